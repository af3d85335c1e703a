import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  checkSvmBlock,
  checkSvmLink,
  type SvmHeader,
  svmParams,
  type SvmVerdict,
} from "../../../../src/daemon/chain/index.ts";
import { decodeBase58, encodeBase58 } from "../../../../src/daemon/chain/svm/base58.ts";
import { type BlockJson, key, solanaBlock, threeTransactions } from "../../../fakes/solana.ts";

const params = svmParams("localnet");
const mainnet = svmParams("mainnet");
const first = solanaBlock(0, null);
const block = solanaBlock(1, first);
const next = solanaBlock(5, block);

const check = (json: unknown, slot: number | null = null): SvmVerdict => checkSvmBlock(json, { params, slot });
const codeOf = (json: unknown, slot: number | null = null): string | null => {
  const verdict = check(json, slot);
  return verdict.ok ? null : verdict.refusal.code;
};
const headerOf = (json: unknown): SvmHeader => {
  const verdict = check(json);
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
  return verdict.header;
};
const without = (json: BlockJson, ...keys: (keyof BlockJson)[]): Partial<BlockJson> =>
  Object.fromEntries(Object.entries(json).filter(([name]) => !keys.includes(name as keyof BlockJson)));

describe("a block of Solana", () => {
  it("is proved with its entries", () => {
    const verdict = check(block);
    assert.deepEqual(verdict, {
      ok: true,
      header: {
        slot: 1,
        parentSlot: 0,
        hash: block.blockhash,
        parentHash: first.blockhash,
        height: 1,
        timestamp: 1_700_000_001,
      },
      facts: {
        txCount: 3,
        voteCount: 1,
        opaque: 0,
        signatures: { signatures: 4, verified: 4, sample: null },
        entries: { entries: 66, ticks: 64, hashes: 320 },
        skipped: [],
      },
    });
  });

  it("says what it cannot prove", () => {
    const skipped = (json: unknown, sample = { transactions: 9, seed: 1 }): readonly string[] => {
      const verdict = checkSvmBlock(json, { params, sample });
      assert.ok(verdict.ok);
      return verdict.facts.skipped;
    };
    const blockhash = "blockhash: needs the entries and where they begin";
    assert.deepEqual(skipped(block), []);
    assert.deepEqual(skipped(without(block, "entries")), [blockhash]);
    assert.deepEqual(skipped({ ...block, previousBlockhash: "1".repeat(32) }), [blockhash]);
    assert.deepEqual(skipped(without(block, "entries", "transactions")), ["transactions: not given", blockhash]);
    const opaque = block.transactions.map(() => ({
      transaction: { signatures: [encodeBase58(Buffer.alloc(64, ++seed))] },
    }));
    assert.deepEqual(skipped({ ...without(block, "entries"), transactions: opaque }), [
      "messages and signatures of 3 transactions: not in a form that was signed",
      blockhash,
    ]);
    assert.deepEqual(skipped(block, { transactions: 0, seed: 7 }), ["4 of 4 signatures: not in the sample of seed 7"]);
  });
  let seed = 0;

  it("is refused with any bit of a transaction, a hash or an entry changed", () => {
    const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
      const copy = Uint8Array.from(bytes);
      const at = (bit >> 3) % copy.length;
      copy[at] = (copy[at] as number) ^ (1 << (bit & 7));
      return copy;
    };
    const hash = (text: string, bit: number): string => encodeBase58(flip(decodeBase58(text, 32) as Uint8Array, bit));
    const rows = threeTransactions(1);
    const changes: Record<string, (at: number, bit: number) => unknown> = {
      transaction: (at, bit) => {
        const changed = Buffer.from(flip(rows[at % 3] as Uint8Array, bit)).toString("base64");
        return { ...block, transactions: block.transactions.with(at % 3, { transaction: [changed, "base64"] }) };
      },
      blockhash: (_, bit) => ({ ...block, blockhash: hash(block.blockhash, bit) }),
      previousBlockhash: (_, bit) => ({ ...block, previousBlockhash: hash(block.previousBlockhash, bit) }),
      entry: (at, bit) => {
        const entries = [...(block.entries ?? [])];
        const entry = entries[at % entries.length] as (typeof entries)[0];
        const changed =
          bit % 3 === 0
            ? { ...entry, hash: hash(entry.hash, bit) }
            : bit % 3 === 1
              ? { ...entry, numHashes: entry.numHashes + 1 + (bit % 5) }
              : { ...entry, transactions: entry.transactions + 1 };
        return { ...block, entries: entries.with(at % entries.length, changed) };
      },
    };
    const natural = fc.nat({ max: 20_000 });
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(changes)), natural, natural, (name, at, bit) => {
        assert.notEqual(codeOf(changes[name]?.(at, bit)), null, `${name} ${at} ${bit}`);
      }),
      { numRuns: 400, seed: 2 },
    );
  });

  it("holds its transactions in one order, each once", () => {
    const [one, two, three] = block.transactions as [
      BlockJson["transactions"][0],
      BlockJson["transactions"][0],
      BlockJson["transactions"][0],
    ];
    assert.equal(codeOf({ ...block, transactions: [two, one, three] }), "SPRINT_SVM_ENTRY_HASH");
    assert.equal(codeOf({ ...block, transactions: [one, two] }), "SPRINT_SVM_ENTRIES");
    const twice = { ...without(block, "entries"), transactions: [one, two, three, one] };
    assert.equal(codeOf(twice), "SPRINT_SVM_DUPLICATE_TRANSACTION");
  });

  it("ticks 64 times a slot, skipped ones included, evenly", () => {
    assert.equal(next.parentSlot, 1);
    const verdict = check(next);
    assert.ok(verdict.ok);
    assert.equal(verdict.facts.entries?.ticks, 256);
    assert.equal(codeOf({ ...next, slot: 4 }), "SPRINT_SVM_TICKS");
    assert.equal(codeOf(without(next, "slot")), null, "any number of slots, where the slot is not known");
    assert.equal(codeOf({ ...block, entries: block.entries?.slice(0, -1) }), "SPRINT_SVM_TICKS");
    assert.equal(codeOf({ ...block, entries: [] }), "SPRINT_SVM_ENTRIES");
    const entries = solanaBlock(1, first).entries ?? [];
    const [tick, after] = [entries[0], entries[1]] as [(typeof entries)[0], (typeof entries)[0]];
    const uneven = [
      { ...tick, numHashes: tick.numHashes - 1 },
      { ...after, numHashes: after.numHashes + 1 },
    ];
    const json = { ...block, entries: [...uneven, ...entries.slice(2)] };
    const refusals = [params, { ...params, evenTicks: true }].map((params) => {
      const verdict = checkSvmBlock(json, { params });
      return verdict.ok ? null : verdict.refusal.code;
    });
    assert.deepEqual(refusals, ["SPRINT_SVM_ENTRY_HASH", "SPRINT_SVM_TICKS"]);
    assert.ok(checkSvmBlock(block, { params: { ...params, evenTicks: true } }).ok);
    const endless = { ...block, entries: entries.with(0, { ...tick, numHashes: 2 ** 40 }) };
    assert.equal(codeOf(endless), "SPRINT_SVM_LIMIT", "before any of it is hashed");
  });
});

describe("a chain of Solana", () => {
  it("is linked by parent slot, hash and height; skipped slots are no gap", () => {
    const [a, b, c] = [first, block, next].map(headerOf) as [SvmHeader, SvmHeader, SvmHeader];
    assert.equal(checkSvmLink(a, b), null);
    assert.equal(checkSvmLink(b, c), null);
    assert.equal(checkSvmLink(a, c)?.code, "SPRINT_SVM_PARENT_HASH");
    assert.equal(checkSvmLink({ ...b, slot: 2 }, c)?.code, "SPRINT_SVM_PARENT_SLOT");
    assert.equal(checkSvmLink(b, { ...c, height: 4 })?.code, "SPRINT_SVM_HEIGHT");
    assert.equal(checkSvmLink(b, { ...c, parentHash: null }), null, "a node that no longer has the parent");
    assert.equal(checkSvmLink({ ...b, slot: null, height: null }, c), null);
  });

  it("begins at the genesis hash of its network", () => {
    const genesis = (json: unknown): string | null => {
      const verdict = checkSvmBlock(json, { params: mainnet, slot: 0 });
      return verdict.ok ? verdict.header.parentHash : verdict.refusal.code;
    };
    assert.equal(genesis(without(first, "entries")), "SPRINT_SVM_GENESIS");
    assert.equal(genesis({ ...without(first, "entries"), previousBlockhash: "1".repeat(32) }), mainnet.genesisHash);
    assert.deepEqual(genesis({ ...first, previousBlockhash: "1".repeat(32) }), "SPRINT_SVM_ENTRY_HASH");
    assert.throws(() => svmParams("betanet"), { code: "SPRINT_CHAIN_UNKNOWN_NETWORK", message: /localnet.*betanet/ });
  });
});

describe("JSON of a node that is no block", () => {
  const plain = without(block, "entries");
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["null, for a skipped slot", null, "SPRINT_SVM_NULL_BLOCK"],
    ["nothing", undefined, "SPRINT_SVM_SHAPE"],
    ["a string", "block", "SPRINT_SVM_SHAPE"],
    ["an array", [], "SPRINT_SVM_SHAPE"],
    ["an empty object", {}, "SPRINT_SVM_SHAPE"],
    ["parentSlot as text", { ...plain, parentSlot: "0" }, "SPRINT_SVM_SHAPE"],
    ["parentSlot null", { ...plain, parentSlot: null }, "SPRINT_SVM_SHAPE"],
    ["parentSlot beyond 2^53", JSON.parse('{"parentSlot":9007199254740993,"blockhash":"x"}'), "SPRINT_SVM_NUMBER"],
    ["a slot of u64", { ...plain, slot: 18446744073709551615n.toString() }, "SPRINT_SVM_SHAPE"],
    ["a slot of u64 as a number", { ...plain, slot: Number(18446744073709551615n) }, "SPRINT_SVM_NUMBER"],
    ["a negative slot", { ...plain, parentSlot: -1 }, "SPRINT_SVM_NUMBER"],
    ["half a slot", { ...plain, parentSlot: 0.5 }, "SPRINT_SVM_NUMBER"],
    ["a parent that is itself", { ...plain, parentSlot: 1 }, "SPRINT_SVM_PARENT_SLOT"],
    ["a parent that is to come", { ...plain, parentSlot: 7 }, "SPRINT_SVM_PARENT_SLOT"],
    ["a first slot with a parent", { ...plain, slot: 0, parentSlot: 1 }, "SPRINT_SVM_PARENT_SLOT"],
    ["a height above its slots", { ...plain, blockHeight: 2 }, "SPRINT_SVM_HEIGHT"],
    ["a height beyond 2^53", { ...plain, blockHeight: 2 ** 53 }, "SPRINT_SVM_NUMBER"],
    ["a time as text", { ...plain, blockTime: "now" }, "SPRINT_SVM_SHAPE"],
    ["a blockhash in hex", { ...plain, blockhash: "ab".repeat(32) }, "SPRINT_SVM_BASE58"],
    ["a blockhash of 31 bytes", { ...plain, blockhash: encodeBase58(key(1).subarray(1)) }, "SPRINT_SVM_BASE58"],
    ["a blockhash of a megabyte", { ...plain, blockhash: "z".repeat(1e6) }, "SPRINT_SVM_BASE58"],
    ["a blockhash of zeros", { ...plain, blockhash: "1".repeat(32) }, "SPRINT_SVM_BLOCKHASH"],
    ["its parent's blockhash", { ...plain, blockhash: block.previousBlockhash }, "SPRINT_SVM_BLOCKHASH"],
    ["transactions null", { ...plain, transactions: null }, "SPRINT_SVM_SHAPE"],
    ["too many transactions", { ...plain, transactions: Array(131_073) }, "SPRINT_SVM_LIMIT"],
    ["too many entries", { ...block, entries: Array(262_145) }, "SPRINT_SVM_LIMIT"],
    ["an entry null", { ...block, entries: [null] }, "SPRINT_SVM_SHAPE"],
    [
      "an entry of negative hashes",
      { ...block, entries: [{ ...block.entries?.[0], numHashes: -1 }] },
      "SPRINT_SVM_NUMBER",
    ],
    [
      "too many signatures",
      { ...without(block, "entries", "transactions"), signatures: Array(131_073) },
      "SPRINT_SVM_LIMIT",
    ],
  ];
  for (const [name, json, code] of cases) it(`${name}: ${code}`, () => assert.equal(codeOf(json), code));

  it("another slot than was asked for", () => {
    assert.equal(codeOf(block, 2), "SPRINT_SVM_SLOT");
    assert.equal(codeOf(block, 1), null);
    assert.equal(codeOf(without(block, "slot"), 1), null);
    assert.equal(codeOf(without(block, "slot"), 3), "SPRINT_SVM_TICKS");
  });
});
