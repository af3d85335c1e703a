import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import type { WatchSet } from "../../../src/shared/body.ts";
import type { BodyPlace } from "../../../src/daemon/chain/index.ts";
import { type ProofSubject, Prover, PROVER_DEFAULTS } from "../../../src/daemon/prove/index.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import { blockBytes, coinbase } from "../../fakes/blocks.ts";
import { key, messageFields, signer, solanaBlock, transactionBytes } from "../../fakes/solana.ts";
import { FakeClock } from "../../fakes/clock.ts";

const faulty = new URL("./faulty-worker.ts", import.meta.url);
const options = { threads: 1, maxQueued: 4, timeoutMs: 1000 };

/** A "block" of 100 bytes whose first byte tells the faulty worker what to do; the second tells copies apart. */
function order(what: number, tag = 0): Uint8Array {
  const bytes = new Uint8Array(100);
  bytes.set([what, tag]);
  return bytes;
}

const subject = (chain: Chain): ProofSubject => ({
  chain,
  network: "regtest",
  plugin: null,
  signatures: null,
});
const at = (height: number): BodyPlace => ({ height, hash: null });

describe("prover", () => {
  it("proves a block in a thread, from sources", async () => {
    const prover = new Prover({ ...PROVER_DEFAULTS, threads: 1 });
    try {
      for (const chain of ["bitcoin", "litecoin", "dogecoin"] as const) {
        const raw = blockBytes({ transactions: [coinbase(20)] });
        const verdict = await prover.check(subject(chain), raw, at(20), null);
        assert.equal(verdict.ok && verdict.facts.txCount, 1, chain);
        const broken = Buffer.from(raw);
        broken[40] = (broken[40] ?? 0) ^ 1;
        const refused = await prover.check(subject(chain), broken, at(20), null);
        assert.equal(refused.ok ? null : refused.refusal.code, "SPRINT_BLOCK_BAD_MERKLE_ROOT", chain);
      }
    } finally {
      await prover.close();
    }
  });

  it("says which network it does not know", async () => {
    const prover = new Prover(options);
    await assert.rejects(prover.check({ ...subject("bitcoin"), network: "nonet" }, order(0), at(0), null), {
      code: "SPRINT_CHAIN_UNKNOWN_NETWORK",
    });
    await prover.close();
  });

  it("gives a known verdict again without asking a thread, and never one that may be the copy's fault", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const first = await prover.check(subject("bitcoin"), order(0), at(7), null);
    assert.deepEqual(await prover.check(subject("bitcoin"), order(0), at(7), null), first);
    assert.notDeepEqual(await prover.check(subject("bitcoin"), order(0), at(8), null), first);
    assert.notDeepEqual(await prover.check(subject("litecoin"), order(0), at(7), null), first);
    const refused = await prover.check(subject("bitcoin"), order(3), at(7), null);
    assert.equal(refused.ok, false);
    assert.notDeepEqual(await prover.check(subject("bitcoin"), order(3), at(7), null), refused);
    await prover.close();
  });

  it("proves copies that come together once", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const [one, two] = await Promise.all(
      [order(0), order(0)].map((raw) => prover.check(subject("bitcoin"), raw, at(7), null)),
    );
    assert.deepEqual(one, two);
    const [bad, worse] = await Promise.all(
      [order(3), order(3)].map((raw) => prover.check(subject("bitcoin"), raw, at(7), null)),
    );
    assert.notDeepEqual(bad, worse, "a copy's fault says nothing about the other copy");
    await prover.close();
  });

  it("leaves the bytes to whom they belong, a part of a larger buffer too", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const lent = order(0, 1);
    await prover.check(subject("bitcoin"), lent, at(7), null);
    assert.equal(lent.length, 100);
    const part = new Uint8Array(5000).subarray(1000, 1100);
    const verdict = await prover.check(subject("bitcoin"), part, at(7), null);
    assert.equal(part.length, 100);
    assert.equal(verdict.ok && verdict.facts.sizeBytes, 100);
    await prover.close();
  });

  it("fails the job of a thread that dies, and goes on with another thread", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const crashing = [order(1), order(4)].map((raw) =>
      assert.rejects(prover.check(subject("bitcoin"), raw, at(7), null), { code: "SPRINT_PROVE_CRASHED" }),
    );
    const after = prover.check(subject("bitcoin"), order(0), at(7), null);
    await Promise.all(crashing);
    assert.equal((await after).ok, true);
    await prover.close();
  });

  it("fails the job of a thread that overruns, and goes on with another thread", async () => {
    const clock = new FakeClock();
    const prover = new Prover(options, { workerUrl: faulty, clock });
    const stuck = assert.rejects(prover.check(subject("bitcoin"), order(2), at(7), null), {
      code: "SPRINT_PROVE_TIMEOUT",
    });
    const after = prover.check(subject("bitcoin"), order(0), at(7), null);
    clock.advance(1000);
    await stuck;
    assert.equal((await after).ok, true);
    await prover.close();
  });

  it("refuses more than its queue holds", async () => {
    const prover = new Prover({ ...options, maxQueued: 1 }, { workerUrl: faulty });
    const stuck = [order(2, 1), order(2, 2)].map((raw) =>
      assert.rejects(prover.check(subject("bitcoin"), raw, at(7), null), { code: "SPRINT_PROVE_CLOSED" }),
    );
    await assert.rejects(prover.check(subject("bitcoin"), order(2, 3), at(7), null), {
      code: "SPRINT_PROVE_OVERLOADED",
    });
    await prover.close();
    await Promise.all(stuck);
    await assert.rejects(prover.check(subject("bitcoin"), order(0), at(7), null), { code: "SPRINT_PROVE_CLOSED" });
  });

  it("tells a thread what to look for once, and again when it changes or the chain is another", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const ask = async (chain: Chain, watch: WatchSet | null): Promise<string> => {
      const verdict = await prover.check(subject(chain), order(5), at(7), watch);
      return verdict.ok ? "" : verdict.refusal.message;
    };
    const [one, two] = [watchFor("one"), watchFor("two")];
    const told = [];
    for (const watch of [one, one, null, one, two, two]) told.push(await ask("bitcoin", watch));
    told.push(await ask("dogecoin", one), await ask("bitcoin", two), await ask("dogecoin", one));
    assert.deepEqual(told, ["one", "same", "null", "same", "two", "same", "one", "same", "same"]);
    await prover.close();
  });

  it("remembers verdicts, not what was read: what is to be read is proved again", async () => {
    const prover = new Prover(options, { workerUrl: faulty });
    const ask = async (watch: WatchSet | null): Promise<unknown> => {
      const verdict = await prover.check(subject("bitcoin"), order(6), at(7), watch);
      assert.ok(verdict.ok);
      return [verdict.facts.weight, verdict.facts.reading !== undefined];
    };
    assert.deepEqual(await ask(watchFor("one")), [1, true]);
    assert.deepEqual(await ask(null), [1, false], "known, and nothing was to be read");
    assert.deepEqual(await ask(watchFor("one")), [2, true]);
    await prover.close();
  });

  it("has all of a Solana block's signatures verified, or the share asked for, by the seed", async () => {
    const prover = new Prover({ ...PROVER_DEFAULTS, threads: 1 });
    try {
      const payer = signer(1);
      const block = solanaBlock(
        1,
        solanaBlock(0, null),
        Array.from({ length: 120 }, (_, i) =>
          transactionBytes(messageFields(payer, { recentBlockhash: key(i) }), [payer]),
        ),
      );
      const place = { hash: block.blockhash, height: block.blockHeight };
      const forged = block.transactions.map(({ transaction }, i) => {
        const bytes = Buffer.from((transaction as [string])[0], "base64");
        if (i === 77) bytes[9] = (bytes[9] as number) ^ 1;
        return { transaction: [bytes.toString("base64"), "base64"] };
      });
      const ask = async (transactions: readonly object[], signatures: ProofSubject["signatures"]) => {
        const raw = Buffer.from(JSON.stringify({ slot: 1, block: { ...block, entries: undefined, transactions } }));
        const solana = { ...subject("solana"), network: "localnet", signatures };
        const verdict = await prover.check(solana, raw, place, null);
        return verdict.ok ? verdict.facts.signatures : verdict.refusal.code;
      };
      assert.equal(await ask(forged, null), "SPRINT_SVM_SIGNATURE");
      assert.deepEqual(await ask(block.transactions, null), { checked: 120, total: 120 });
      let found = 0;
      for (let seed = 0; seed < 100; seed++) {
        const told = await ask(forged, { share: 0.25, seed });
        if (told === "SPRINT_SVM_SIGNATURE") found++;
        else assert.deepEqual(told, { checked: 30, total: 120 }, "and not what another seed said");
      }
      assert.ok(found >= 15 && found <= 35, `each transaction is as likely as the others: found ${found} of 100 times`);
      assert.deepEqual(await ask(block.transactions, { share: 0.5, seed: 1 }), { checked: 60, total: 120 });
    } finally {
      await prover.close();
    }
  });

  it("proves a plug-in's blocks in a thread, by the codec that its module makes", async () => {
    const directory = await mkdtemp(join(tmpdir(), "sprint-prover-"));
    const prover = new Prover({ ...PROVER_DEFAULTS, threads: 1 });
    try {
      const file = join(directory, "own.ts");
      await writeFile(file, OWN_CHAIN);
      const own: ProofSubject = {
        ...subject("own"),
        network: "test",
        plugin: { url: `${pathToFileURL(file).href}?v=1`, source: OWN_CHAIN },
      };
      await writeFile(file, "broken since it was read (");
      const raw = blockBytes({ transactions: [coinbase(20)] });
      const verdict = await prover.check(own, raw, at(20), null);
      assert.equal(verdict.ok ? null : verdict.refusal.message, "own refuses 20");
      const broken = { ...own, plugin: { url: `${pathToFileURL(file).href}?v=2`, source: "broken (" } };
      await assert.rejects(prover.check(broken, raw, at(20), null), { code: "SPRINT_PROVE_FAILED" });
      assert.equal((await prover.check(subject("bitcoin"), raw, at(20), null)).ok, true, "the thread goes on");
    } finally {
      await prover.close();
      await rm(directory, { recursive: true });
    }
  });
});

function watchFor(item: string): WatchSet {
  return { items: new Set([item]), topics: new Set(), outpoints: new Map() };
}

const OWN_CHAIN = `export default (kit) => ({
  api: kit.api,
  chain: "own",
  networks: ["test"],
  codec: () => ({
    ...kit.utxo.codec(kit.utxo.params("bitcoin", "regtest")),
    checkBody: (raw, { height }) => ({ ok: false, refusal: { code: "SPRINT_OWN", message: "own refuses " + height, data: {} } }),
  }),
});
`;
