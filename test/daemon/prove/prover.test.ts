import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prover, PROVER_DEFAULTS } from "../../../src/daemon/prove/index.ts";
import { blockBytes, coinbase } from "../../fakes/blocks.ts";
import { FakeClock } from "../../fakes/clock.ts";

const faulty = new URL("./faulty-worker.ts", import.meta.url);
const options = { threads: 1, maxQueued: 4, timeoutMs: 1000 };

/** A "block" of 100 bytes whose first byte tells the faulty worker what to do; the second tells copies apart. */
function order(what: number, tag = 0): Uint8Array {
  const bytes = new Uint8Array(100);
  bytes.set([what, tag]);
  return bytes;
}

describe("prover", () => {
  it("proves a block in a thread, from sources", async () => {
    const prover = new Prover({ ...PROVER_DEFAULTS, threads: 1 });
    try {
      for (const chain of ["bitcoin", "litecoin", "dogecoin"] as const) {
        const raw = blockBytes({ transactions: [coinbase(20)] });
        const verdict = await prover.check(chain, "regtest", raw, 20);
        assert.equal(verdict.ok && verdict.facts.txCount, 1, chain);
        const broken = Buffer.from(raw);
        broken[40] = (broken[40] ?? 0) ^ 1;
        const refused = await prover.check(chain, "regtest", broken, 20);
        assert.equal(refused.ok ? null : refused.refusal.code, "SPRINT_BLOCK_BAD_MERKLE_ROOT", chain);
      }
    } finally {
      await prover.close();
    }
  });

  it("says which network it does not know", async () => {
    const prover = new Prover(options);
    await assert.rejects(prover.check("bitcoin", "nonet", order(0), 0), { code: "SPRINT_CHAIN_UNKNOWN_NETWORK" });
    await prover.close();
  });

  it("gives a known verdict again without asking a thread, and never one that may be the copy's fault", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const first = await prover.check("bitcoin", "regtest", order(0), 7);
    assert.equal(await prover.check("bitcoin", "regtest", order(0), 7), first);
    assert.notEqual(await prover.check("bitcoin", "regtest", order(0), 8), first);
    assert.notEqual(await prover.check("litecoin", "regtest", order(0), 7), first);
    const refused = await prover.check("bitcoin", "regtest", order(3), 7);
    assert.equal(refused.ok, false);
    assert.notEqual(await prover.check("bitcoin", "regtest", order(3), 7), refused);
    await prover.close();
  });

  it("proves copies that come together once", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const [one, two] = await Promise.all([order(0), order(0)].map((raw) => prover.check("bitcoin", "regtest", raw, 7)));
    assert.equal(one, two);
    const [bad, worse] = await Promise.all(
      [order(3), order(3)].map((raw) => prover.check("bitcoin", "regtest", raw, 7)),
    );
    assert.notEqual(bad, worse, "a copy's fault says nothing about the other copy");
    await prover.close();
  });

  it("leaves the bytes to whom they belong, a part of a larger buffer too", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const lent = order(0, 1);
    await prover.check("bitcoin", "regtest", lent, 7);
    assert.equal(lent.length, 100);
    const part = new Uint8Array(5000).subarray(1000, 1100);
    const verdict = await prover.check("bitcoin", "regtest", part, 7);
    assert.equal(part.length, 100);
    assert.equal(verdict.ok && verdict.facts.sizeBytes, 100);
    await prover.close();
  });

  it("fails the job of a thread that dies, and goes on with another thread", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const crashing = [order(1), order(4)].map((raw) =>
      assert.rejects(prover.check("bitcoin", "regtest", raw, 7), { code: "SPRINT_PROVE_CRASHED" }),
    );
    const after = prover.check("bitcoin", "regtest", order(0), 7);
    await Promise.all(crashing);
    assert.equal((await after).ok, true);
    await prover.close();
  });

  it("fails the job of a thread that overruns, and goes on with another thread", async () => {
    const clock = new FakeClock();
    const prover = new Prover(options, { workerUrl: faulty, clock });
    const stuck = assert.rejects(prover.check("bitcoin", "regtest", order(2), 7), { code: "SPRINT_PROVE_TIMEOUT" });
    const after = prover.check("bitcoin", "regtest", order(0), 7);
    clock.advance(1000);
    await stuck;
    assert.equal((await after).ok, true);
    await prover.close();
  });

  it("refuses more than its queue holds", async () => {
    const prover = new Prover({ ...options, maxQueued: 1 }, { workerUrl: faulty });
    const stuck = [order(2, 1), order(2, 2)].map((raw) =>
      assert.rejects(prover.check("bitcoin", "regtest", raw, 7), { code: "SPRINT_PROVE_CLOSED" }),
    );
    await assert.rejects(prover.check("bitcoin", "regtest", order(2, 3), 7), { code: "SPRINT_PROVE_OVERLOADED" });
    await prover.close();
    await Promise.all(stuck);
    await assert.rejects(prover.check("bitcoin", "regtest", order(0), 7), { code: "SPRINT_PROVE_CLOSED" });
  });
});
