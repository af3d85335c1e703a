import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type Ancestor,
  type BodyVerdict,
  type SvmAnnounced,
  type SvmBodyFacts,
  svmCodecFor,
  svmLocator,
  svmLocatorOf,
  svmParams,
} from "../../../../src/daemon/chain/index.ts";
import { encodeBase58 } from "../../../../src/daemon/chain/svm/base58.ts";
import type { SvmDetail } from "../../../../src/shared/block.ts";
import type { WatchSet } from "../../../../src/shared/body.ts";
import { hasData, readData } from "../../../fakes/data.ts";
import { type BlockJson, key, signer, solanaBlock, VOTE_PROGRAM } from "../../../fakes/solana.ts";

const codec = svmCodecFor(svmParams("localnet"));
const first = solanaBlock(0, null);
const block = solanaBlock(1, first);
const next = solanaBlock(5, block);

function announced(json: BlockJson, changes: Partial<SvmAnnounced> = {}): SvmAnnounced {
  const slot = json.slot ?? 0;
  return {
    hash: json.blockhash,
    parentHash: json.previousBlockhash,
    height: json.blockHeight,
    locator: svmLocator(slot, json.blockhash),
    slot,
    parentSlot: json.parentSlot,
    timestamp: json.blockTime ?? 0,
    ...changes,
  };
}

function body(json: object, slot = (json as BlockJson).slot): Uint8Array {
  return Buffer.from(JSON.stringify({ slot, block: json }));
}

function codeOf(verdict: BodyVerdict): string | null {
  return verdict.ok ? null : verdict.refusal.code;
}

const here = (json: BlockJson) => ({ hash: json.blockhash, height: json.blockHeight });
/** As nodes give it: without its entries. */
const bare = (json: BlockJson): object => ({ ...json, entries: undefined });

describe("the codec of Solana", () => {
  it("makes blocks, and adds to them what a body proves", () => {
    const header = announced(next, { timestamp: 7 });
    assert.equal(codec.checkHeader(header), null);
    const made = codec.toBlock(header, 2, null);
    assert.deepEqual(made, {
      chain: "solana",
      height: 2,
      hash: next.blockhash,
      locator: `5:${next.blockhash}`,
      parentHash: block.blockhash,
      timestamp: 7,
      txCount: null,
      sizeBytes: null,
      detail: { family: "svm", slot: 5, parentSlot: 1, signatures: null },
    });
    const verdict = codec.checkBody(body(next), here(next), null);
    assert.ok(verdict.ok);
    const whole = codec.withFacts(made, verdict.facts);
    const raw = next.transactions.map(({ transaction }) => Buffer.from((transaction as [string])[0], "base64"));
    assert.equal(whole.txCount, 3);
    assert.equal(
      whole.sizeBytes,
      raw.reduce((sum, { length }) => sum + length, 0),
    );
    assert.equal(whole.timestamp, next.blockTime, "as voted, not as heard");
    assert.deepEqual((whole.detail as SvmDetail).signatures, { checked: 4, total: 4 });
    assert.equal(verdict.facts.level, "full");
    assert.equal(verdict.facts.reading, undefined, "nobody asked");
    assert.deepEqual(codec.toBlock(header, 2, verdict.facts), whole);
    assert.ok(Object.isFrozen(whole) && Object.isFrozen(whole.detail));
  });

  it("links by hash, parent slot and height: skipped slots are no gap", () => {
    const parent = (json: BlockJson, height: number): Ancestor => ({
      block: codec.toBlock(announced(json), height, null),
      parent: null,
    });
    assert.equal(codec.checkContext(announced(next), parent(block, 1), 0), null);
    assert.equal(codec.checkContext(announced(next, { height: null }), parent(block, 9), 0), null);
    assert.equal(codec.checkContext(announced(next), parent(first, 0), 0)?.code, "SPRINT_SVM_PARENT_HASH");
    const slots = codec.checkContext(announced(next, { parentSlot: 2 }), parent(block, 1), 0);
    assert.equal(slots?.code, "SPRINT_SVM_PARENT_SLOT");
    assert.equal(codec.checkContext(announced(next), parent(block, 2), 0)?.code, "SPRINT_SVM_HEIGHT");
  });

  it("refuses announcements that cannot be", () => {
    const refusals: readonly (readonly [Partial<SvmAnnounced>, string])[] = [
      [{ parentSlot: 5 }, "SPRINT_SVM_PARENT_SLOT"],
      [{ parentSlot: -1 }, "SPRINT_SVM_NUMBER"],
      [{ slot: 2 ** 53 }, "SPRINT_SVM_NUMBER"],
      [{ height: 3 }, "SPRINT_SVM_HEIGHT"],
      [{ height: 1.5 }, "SPRINT_SVM_NUMBER"],
      [{ timestamp: Number.NaN }, "SPRINT_SVM_NUMBER"],
      [{ hash: "0x00" }, "SPRINT_SVM_BASE58"],
      [{ parentHash: next.blockhash }, "SPRINT_SVM_BLOCKHASH"],
      [{ locator: next.blockhash }, "SPRINT_SVM_SHAPE"],
      [{ slot: 0, height: 0, locator: svmLocator(0, next.blockhash) }, "SPRINT_SVM_PARENT_SLOT"],
    ];
    for (const [changes, code] of refusals) {
      const refusal = codec.checkHeader(announced(next, changes));
      assert.equal((refusal as { code: string } | null)?.code, code, JSON.stringify(changes));
    }
    const mainnet = svmCodecFor(svmParams("mainnet"));
    const refusal = mainnet.checkHeader(announced(first)) as { code: string } | null;
    assert.equal(refusal?.code, "SPRINT_SVM_GENESIS");
  });

  it("reads its own locators and no others", () => {
    assert.deepEqual(svmLocatorOf(svmLocator(5, next.blockhash)), { slot: 5, hash: next.blockhash });
    assert.deepEqual(svmLocatorOf(svmLocator(0, next.blockhash)), { slot: 0, hash: next.blockhash });
    const others = [
      "",
      next.blockhash,
      `05:${next.blockhash}`,
      `5:${"z".repeat(44)}`,
      "5:",
      "-1:x",
      `5:${"1".repeat(31)}`,
    ];
    for (const text of others) assert.equal(svmLocatorOf(text), null, text);
    assert.equal(svmLocatorOf(`9999999999999999:${next.blockhash}`), null);
  });
});

describe("a body of Solana", () => {
  it("is the block that was asked for, or its sender's fault", () => {
    const refusals: readonly (readonly [Uint8Array, { hash: string | null; height: number | null }, string])[] = [
      [body(block), here(next), "SPRINT_SVM_BLOCKHASH"],
      [body(next), { ...here(next), height: 3 }, "SPRINT_SVM_HEIGHT"],
      [body(next, 4), here(next), "SPRINT_SVM_SLOT"],
      [Buffer.from("{"), here(next), "SPRINT_SVM_JSON"],
      [Buffer.from("null"), here(next), "SPRINT_SVM_SHAPE"],
      [Buffer.from("[".repeat(100_000)), here(next), "SPRINT_SVM_JSON"],
      [Buffer.from('{"slot":5,"block":null}'), here(next), "SPRINT_SVM_NULL_BLOCK"],
      [Buffer.from('{"slot":18446744073709551615,"block":{}}'), here(next), "SPRINT_SVM_NUMBER"],
      [body({ ...bare(next), transactions: undefined }, 5), here(next), "SPRINT_SVM_SHAPE"],
      [Buffer.alloc(48 * 1024 * 1024 + 1), here(next), "SPRINT_SVM_LIMIT"],
    ];
    for (const [raw, place, code] of refusals) {
      const verdict = codec.checkBody(raw, place, null);
      assert.equal(codeOf(verdict), code);
      assert.ok(!verdict.ok && verdict.refusal.data["mutated"] === true, code);
    }
    assert.equal(codeOf(codec.checkBody(body(next), { hash: null, height: null }, null)), null);
  });

  it("has all signatures verified, or a share of the transactions' that the block and a seed choose", () => {
    const [row] = next.transactions as [{ transaction: [string] }];
    const raw = Buffer.from(row.transaction[0], "base64");
    raw[9] = (raw[9] as number) ^ 1;
    const forged = {
      ...bare(next),
      transactions: next.transactions.with(0, { transaction: [raw.toString("base64"), "base64"] }),
    };
    assert.equal(codeOf(codec.checkBody(body(forged, 5), here(next), null)), "SPRINT_SVM_SIGNATURE");
    const chosen = Array.from({ length: 40 }, (_, seed) => {
      const sampling = svmCodecFor(svmParams("localnet"), { signatures: 1 / 3, seed });
      const honest = sampling.checkBody(body(bare(next), 5), here(next), null);
      assert.ok(honest.ok);
      const { checked, total } = honest.facts.signatures;
      assert.ok(total === 4 && checked >= 1 && checked <= 2);
      assert.match(honest.facts.skipped?.join() ?? "", /of 4 signatures: not in the sample/);
      return codeOf(sampling.checkBody(body(forged, 5), here(next), null));
    });
    assert.ok(chosen.includes(null) && chosen.includes("SPRINT_SVM_SIGNATURE"), "each seed chooses for itself");
    const none = svmCodecFor(svmParams("localnet"), { signatures: 0 }).checkBody(body(bare(next), 5), here(next), null);
    assert.ok(none.ok && none.facts.signatures.checked === 0);
  });

  it("is header only where nothing that was signed is in it", () => {
    const opaque = next.transactions.map((_, i) => ({
      transaction: { signatures: [encodeBase58(Buffer.alloc(64, i + 1))] },
    }));
    const verdict = codec.checkBody(body({ ...bare(next), transactions: opaque }, 5), here(next), watching([]));
    assert.ok(verdict.ok);
    assert.deepEqual([verdict.facts.level, verdict.facts.sizeBytes, verdict.facts.txCount], ["header", null, 3]);
    assert.deepEqual(verdict.facts.reading?.movements, []);
  });

  it("is read where something is watched: accounts, programs, looked-up ones", () => {
    const payer = encodeBase58(signer(5).key);
    const votes = encodeBase58(VOTE_PROGRAM);
    const looked = encodeBase58(key(50));
    const metas = [
      { err: null, fee: 5000, computeUnitsConsumed: 2100 },
      { err: { InstructionError: [0, "Custom"] }, fee: 10_000, computeUnitsConsumed: 150 },
      { err: null, fee: 5000, computeUnitsConsumed: 0, loadedAddresses: { writable: [looked], readonly: [payer, 7] } },
    ];
    const transactions = next.transactions.map((row, i) => ({ ...row, meta: metas[i] }));
    const rewards = [
      { pubkey: looked, rewardType: "Rent" },
      { pubkey: votes, rewardType: "Fee" },
    ];
    const raw = body({ ...bare(next), transactions, rewards }, 5);
    const reading = readingOf(codec.checkBody(raw, here(next), watching([payer, votes, looked])));
    assert.deepEqual(reading.digest, {
      family: "svm",
      slot: 5,
      parentSlot: 1,
      transactions: 3,
      votes: 1,
      failed: 1,
      feesLamports: "20000",
      computeUnits: 2250,
      leader: votes,
    });
    assert.equal(reading.logs, null);
    const names = next.transactions.map(({ transaction }) =>
      encodeBase58(Buffer.from((transaction as [string])[0], "base64").subarray(1, 65)),
    );
    const movement = (item: string, at: number) => ({
      item,
      txid: names[at],
      output: null,
      kind: "transaction",
      value: null,
      outpoint: null,
    });
    assert.deepEqual(reading.movements, [
      movement(payer, 0),
      movement(votes, 0),
      movement(payer, 1),
      movement(looked, 2),
      movement(payer, 2),
    ]);
  });

  it("tells nothing of what a node did not, or did badly", () => {
    const fields = [
      undefined,
      null,
      [],
      "meta",
      { fee: "5000" },
      { err: null, fee: 2 ** 53 },
      { loadedAddresses: { writable: {} } },
    ];
    for (const meta of fields) {
      const transactions = next.transactions.map((row) => ({ ...row, meta }));
      const raw = body({ ...bare(next), transactions, rewards: [null, 4] }, 5);
      const { digest } = readingOf(codec.checkBody(raw, here(next), watching(["x"])));
      assert.ok(digest.family === "svm");
      assert.deepEqual([digest.feesLamports, digest.computeUnits, digest.leader], [null, null, null]);
    }
  });

  it("refuses with a code whatever comes", () => {
    const values = [null, -1, 2 ** 53, "", "x".repeat(2000), [], {}, [[]], { a: 1 }, true];
    const paths = [
      "slot",
      "block",
      "block.blockhash",
      "block.previousBlockhash",
      "block.parentSlot",
      "block.blockHeight",
      "block.transactions",
      "block.transactions.0",
      "block.transactions.0.transaction",
      "block.transactions.1.transaction.0",
      "block.transactions.2.meta",
      "block.rewards",
      "block.entries",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.constantFrom(...values), fc.jsonValue(), (path, value, other) => {
        for (const replaced of [value, other]) {
          const json = JSON.parse(JSON.stringify({ slot: 5, block: bare(next) })) as Record<string, unknown>;
          const names = path.split(".");
          let at = json;
          for (const name of names.slice(0, -1)) at = at[name] as Record<string, unknown>;
          at[names.at(-1) ?? ""] = replaced;
          const code = codeOf(codec.checkBody(Buffer.from(JSON.stringify(json)), here(next), watching(["x"])));
          assert.ok(code === null || /^SPRINT_SVM_[A-Z0-9_]+$/.test(code), code ?? "");
        }
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});

describe("real bodies of Solana", { skip: !hasData && "no chain data" }, () => {
  it("hold and are read", () => {
    const mainnet = svmCodecFor(svmParams("mainnet"));
    const json = JSON.parse(readData("solana/blocks/254170887.json.gz").toString()) as BlockJson;
    const place = { hash: json.blockhash, height: 234_724_352 };
    const program = "ComputeBudget111111111111111111111111111111";
    const token = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
    const verdict = mainnet.checkBody(body(json, 254_170_887), place, watching([program, token]));
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.facts.signatures, { checked: 607, total: 607 });
    const { digest, movements } = readingOf(verdict);
    assert.ok(digest.family === "svm");
    assert.deepEqual(
      [digest.transactions, digest.votes, digest.leader],
      [602, 158, "Ninja1spj6n9t5hVYgF3PdnYz2PLnkt7rvaw3firmjs"],
    );
    const text = JSON.stringify(json.transactions);
    assert.ok(text.includes(token));
    assert.ok(movements.filter(({ item }) => item === program).length > 100);
    assert.ok(movements.filter(({ item }) => item === token).length > 50);
  });
});

function watching(items: readonly string[]): WatchSet {
  return { items: new Set(items), topics: new Set(), outpoints: new Map() };
}

function readingOf(verdict: BodyVerdict<SvmBodyFacts>): NonNullable<SvmBodyFacts["reading"]> {
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
  assert.ok(verdict.facts.reading !== undefined);
  return verdict.facts.reading;
}
