import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkBody } from "../../../src/daemon/chain/body.ts";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import type { UtxoFacts } from "../../../src/daemon/chain/types.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import {
  BLOCK_TIME,
  blockBytes,
  type BlockParts,
  coinbase,
  committed,
  compactSize,
  type InputParts,
  spend,
  type TransactionParts,
  transactionBytes,
} from "../../fakes/blocks.ts";

const HEIGHT = 1000;

interface Place {
  readonly chain?: Chain;
  readonly network?: string;
  readonly height?: number | null;
}

function facts(raw: Uint8Array, { chain = "bitcoin", network = "regtest", height = HEIGHT }: Place = {}): UtxoFacts {
  const verdict = checkBody(raw, height, paramsFor(chain, network));
  assert.ok(verdict.ok, verdict.ok ? "" : `${verdict.refusal.code}: ${verdict.refusal.message}`);
  return verdict.facts;
}

/** The code of the refusal; with a `!` where another copy of the same block may still hold. */
function code(raw: Uint8Array, { chain = "bitcoin", network = "regtest", height = HEIGHT }: Place = {}): string {
  const verdict = checkBody(raw, height, paramsFor(chain, network));
  if (verdict.ok) return "holds";
  return `${verdict.refusal.code}${verdict.refusal.data["mutated"] === true ? "!" : ""}`;
}

function block(transactions: readonly TransactionParts[], parts: Partial<BlockParts> = {}): Buffer {
  return blockBytes({ transactions, ...parts });
}

function withoutWitness({ witness, ...input }: InputParts): InputParts {
  assert.ok(witness !== undefined);
  return input;
}

const witness = [Buffer.from("beef", "hex")];
const segwit = (tag: number): TransactionParts => spend(tag, { inputs: [{ txid: Buffer.alloc(32, tag), witness }] });

describe("bodies", () => {
  it("gives what a proved body adds to its header", () => {
    const raw = block([coinbase(HEIGHT), spend(1), spend(2)]);
    const expected = {
      level: "full",
      txCount: 3,
      sizeBytes: raw.length,
      weight: raw.length * 4,
      coinbaseHeight: HEIGHT,
      skipped: [],
    };
    assert.deepEqual(facts(raw), expected);
    const withWitness = block(committed(HEIGHT, [segwit(1)]));
    const stripped = block(committed(HEIGHT, [segwit(1)])).length - (2 + 34) - (2 + 4);
    assert.equal(facts(withWitness).weight, stripped * 3 + withWitness.length);
  });

  it("reads heights of every length", () => {
    for (const height of [1, 16, 17, 127, 128, 255, 256, 32_767, 32_768, 8_388_607, 8_388_608]) {
      assert.equal(facts(block([coinbase(height)]), { height }).coinbaseHeight, height);
      assert.equal(facts(block([coinbase(height)]), { height: null }).coinbaseHeight, height);
      assert.equal(code(block([coinbase(height + 1)]), { height }), "SPRINT_BLOCK_BAD_COINBASE_HEIGHT");
    }
    const padded = coinbase(HEIGHT, { input: { script: Buffer.from("03e80300", "hex"), index: 0xffff_ffff } });
    assert.equal(code(block([padded])), "SPRINT_BLOCK_BAD_COINBASE_HEIGHT", "not the shortest form");
    assert.equal(code(block([padded]), { network: "mainnet" }), "holds", "below the height of BIP34");
  });

  it("refuses a root that is not the transactions'", () => {
    const raw = block([coinbase(HEIGHT), spend(1)]);
    assert.equal(
      code(block([coinbase(HEIGHT), spend(2)], { merkleRoot: raw.subarray(36, 68) })),
      "SPRINT_BLOCK_BAD_MERKLE_ROOT!",
    );
  });

  it("refuses a list lengthened by its own end, which has the same root (CVE-2012-2459)", () => {
    const list = [coinbase(HEIGHT), spend(1), spend(2)];
    const merkleRoot = block(list).subarray(36, 68);
    assert.equal(code(block([...list, spend(2)], { merkleRoot })), "SPRINT_BLOCK_DUPLICATE_TX!");
    const six = [...list, spend(3), spend(4), spend(5)];
    const root = block(six).subarray(36, 68);
    assert.equal(code(block([...six, spend(4), spend(5)], { merkleRoot: root })), "SPRINT_BLOCK_DUPLICATE_TX!");
  });

  it("refuses inner nodes passed off as transactions (64 bytes)", () => {
    const node = spend(1, { outputs: [{ value: 1n, script: Buffer.alloc(4) }] });
    assert.equal(transactionBytes(node, false).length, 64);
    assert.equal(code(block([node])), "SPRINT_BLOCK_MUTATED!");
    assert.equal(code(block([coinbase(HEIGHT), node])), "holds", "as the nodes' rule is");
  });

  it("refuses a block without a coinbase, with two, or with a script of the wrong length", () => {
    assert.equal(code(block([])), "SPRINT_BLOCK_BAD_LENGTH!");
    assert.equal(code(block([spend(1)])), "SPRINT_BLOCK_COINBASE_MISSING");
    assert.equal(code(block([coinbase(HEIGHT), coinbase(HEIGHT + 1)])), "SPRINT_BLOCK_COINBASE_MULTIPLE");
    for (const [length, expected] of [
      [1, "SPRINT_BLOCK_COINBASE_LENGTH"],
      [100, "holds"],
      [101, "SPRINT_BLOCK_COINBASE_LENGTH"],
    ] as const) {
      const input = {
        index: 0xffff_ffff,
        script: Buffer.concat([Buffer.from("02e803", "hex"), Buffer.alloc(100)]).subarray(0, length),
      };
      assert.equal(code(block([coinbase(HEIGHT, { inputs: [input] })])), expected, `${length} bytes`);
    }
  });

  it("refuses transactions that break a rule of their own, wherever they stand", () => {
    const twice = spend(1, { inputs: [{ txid: Buffer.alloc(32, 1) }, { txid: Buffer.alloc(32, 1) }] });
    assert.equal(code(block([coinbase(HEIGHT), spend(2), twice])), "SPRINT_BLOCK_TX_INPUTS_DUPLICATE");
    const again = spend(1, { outputs: [{ value: 2n }] });
    assert.equal(code(block([coinbase(HEIGHT), spend(1), spend(2), again])), "SPRINT_BLOCK_TX_INPUTS_SPENT");
    const rich = coinbase(HEIGHT, { outputs: [{ value: 21_000_001n * 100_000_000n }] });
    assert.equal(code(block([rich])), "SPRINT_BLOCK_TX_VOUT_TOO_LARGE");
    const none = spend(1, { inputs: [{ txid: Buffer.alloc(32, 1) }, { index: 0xffff_ffff }] });
    assert.equal(code(block([coinbase(HEIGHT), none])), "SPRINT_BLOCK_TX_PREVOUT_NULL");
    assert.equal(code(block([coinbase(HEIGHT), spend(1, { outputs: [] })])), "SPRINT_BLOCK_TX_VOUT_EMPTY");
  });

  it("bounds size, weight and signature operations", () => {
    const filler = (bytes: number): TransactionParts => spend(1, { outputs: [{ script: Buffer.alloc(bytes) }] });
    const room = 1_000_000 - block([coinbase(HEIGHT), filler(70_000)]).length + 70_000;
    for (const chain of ["bitcoin", "litecoin", "dogecoin"] as const) {
      assert.equal(code(block([coinbase(HEIGHT), filler(room)]), { chain }), "holds", chain);
      assert.equal(code(block([coinbase(HEIGHT), filler(room + 1)]), { chain }), "SPRINT_BLOCK_BAD_LENGTH", chain);
    }
    const heavy = spend(1, {
      inputs: [{ witness: [Buffer.alloc(3_000_000)] }],
      outputs: [{ script: Buffer.alloc(400_000) }],
    });
    assert.equal(code(block(committed(HEIGHT, [heavy]))), "SPRINT_BLOCK_BAD_WEIGHT");
    assert.equal(code(Buffer.concat([block([coinbase(HEIGHT)]), Buffer.alloc(4_000_000)])), "SPRINT_BLOCK_BAD_LENGTH!");
    const crowd = Buffer.concat([block([]).subarray(0, 80), compactSize(100_001), Buffer.alloc(1_100_000)]);
    assert.equal(code(crowd), "SPRINT_DECODE_LIMIT!", "more transactions than fit, before room is made for them");
    const busy = (count: number): TransactionParts => spend(1, { outputs: [{ script: Buffer.alloc(count, 0xac) }] });
    assert.equal(code(block([coinbase(HEIGHT), busy(20_000)])), "holds");
    assert.equal(code(block([coinbase(HEIGHT), busy(20_001)])), "SPRINT_BLOCK_SIGOPS");
  });

  it("refuses transactions whose lock has not run out", () => {
    const locked = (lockTime: number): Buffer =>
      block([coinbase(HEIGHT), spend(1, { lockTime, inputs: [{ txid: Buffer.alloc(32, 1), sequence: 1 }] })]);
    assert.equal(code(locked(HEIGHT - 1)), "holds");
    assert.equal(code(locked(HEIGHT)), "SPRINT_BLOCK_NONFINAL_TX");
    assert.equal(code(locked(BLOCK_TIME)), "SPRINT_BLOCK_NONFINAL_TX");
    assert.deepEqual(facts(locked(BLOCK_TIME - 1)).skipped, ["lock times against the median time past"]);
    assert.equal(code(locked(499_999_999)), "SPRINT_BLOCK_NONFINAL_TX", "a height");
    assert.equal(code(locked(500_000_000)), "holds", "a time");
  });

  it("proves witnesses by the commitment in the coinbase (BIP141)", () => {
    const good = committed(HEIGHT, [segwit(1), spend(2), segwit(3)]);
    assert.equal(code(block(good)), "holds");
    const [first, second, ...rest] = good as [TransactionParts, TransactionParts, ...TransactionParts[]];
    const tampered = { ...second, inputs: [{ txid: Buffer.alloc(32, 1), witness: [Buffer.from("beee", "hex")] }] };
    assert.equal(code(block([first, tampered, ...rest])), "SPRINT_BLOCK_BAD_WITNESS_COMMITMENT!");
    const stripped = { ...second, inputs: [{ txid: Buffer.alloc(32, 1) }] };
    assert.equal(code(block([first, stripped, ...rest])), "SPRINT_BLOCK_BAD_WITNESS_COMMITMENT!");
    for (const reserved of [[], [Buffer.alloc(31)], [Buffer.alloc(32), Buffer.alloc(0)]]) {
      const inputs = first.inputs.map((input) => ({ ...input, witness: reserved }));
      const expected = reserved.length === 0 ? "SPRINT_DECODE_WITNESS!" : "SPRINT_BLOCK_BAD_WITNESS_NONCE_SIZE!";
      assert.equal(code(block([{ ...first, inputs }, ...good.slice(1)])), expected);
    }
    const bare = { ...first, inputs: first.inputs.map(withoutWitness) };
    assert.equal(
      code(block([bare, spend(2)])),
      "SPRINT_BLOCK_BAD_WITNESS_NONCE_SIZE!",
      "a commitment without any witness",
    );
    assert.equal(code(block([coinbase(HEIGHT), segwit(1)])), "SPRINT_BLOCK_UNEXPECTED_WITNESS!", "no commitment");
  });

  it("takes the last output that looks like a commitment", () => {
    const [first, ...rest] = committed(HEIGHT, [segwit(1)]) as [TransactionParts, ...TransactionParts[]];
    const decoy = { script: Buffer.concat([Buffer.from("6a24aa21a9ed", "hex"), Buffer.alloc(40, 1)]) };
    const outputs = (list: TransactionParts["outputs"]): Buffer => block([{ ...first, outputs: list }, ...rest]);
    assert.equal(code(outputs([decoy, ...first.outputs])), "holds");
    assert.equal(code(outputs([...first.outputs, decoy])), "SPRINT_BLOCK_BAD_WITNESS_COMMITMENT!");
  });

  it("takes no witness where SegWit is not in force", () => {
    const raw = block(committed(HEIGHT, [segwit(1)]));
    assert.equal(code(raw, { network: "mainnet" }), "SPRINT_BLOCK_UNEXPECTED_WITNESS!");
    assert.equal(code(raw, { chain: "dogecoin" }), "SPRINT_BLOCK_UNEXPECTED_WITNESS!");
    assert.equal(code(raw, { chain: "litecoin" }), "holds");
    const at = (height: number): string => code(block(committed(height, [segwit(1)])), { network: "mainnet", height });
    assert.deepEqual([at(481_823), at(481_824)], ["SPRINT_BLOCK_UNEXPECTED_WITNESS!", "holds"]);
    // a commitment by miners who were ready early means nothing yet
    const [first] = committed(HEIGHT, []) as [TransactionParts];
    const early = { ...first, inputs: first.inputs.map(withoutWitness) };
    assert.equal(code(block([early, spend(1)]), { network: "mainnet" }), "holds");
  });

  it("says what it leaves out where the height is not known", () => {
    const old = block([coinbase(HEIGHT)], { version: 1 });
    assert.deepEqual(facts(old, { height: null, network: "mainnet" }).skipped, ["coinbase height"]);
    const locked = block([coinbase(HEIGHT), spend(1, { lockTime: 5, inputs: [{ sequence: 1 }] })], { version: 1 });
    assert.deepEqual(facts(locked, { height: null }).skipped, ["lock times", "coinbase height"]);
    const carried = block([coinbase(HEIGHT), spend(1, { lockTime: HEIGHT, inputs: [{ sequence: 1 }] })]);
    assert.equal(code(carried, { height: null }), "SPRINT_BLOCK_NONFINAL_TX", "the coinbase tells the height");
    const chance = facts(carried, { height: null, network: "mainnet" });
    assert.deepEqual(chance.skipped, ["lock times", "coinbase height"], "no coinbase of mainnet tells a height so low");
    const signet = facts(block([coinbase(HEIGHT)]), { network: "signet" });
    assert.deepEqual(signet.skipped, ["signet solution"]);
  });

  it("refuses bytes that are no block, and bytes behind one", () => {
    const raw = block(committed(HEIGHT, [segwit(1), spend(2)]));
    for (let cut = 0; cut < raw.length; cut++) {
      assert.match(code(raw.subarray(0, cut)), /^SPRINT_DECODE_[A-Z_]+!$/, `cut to ${cut} bytes`);
    }
    assert.equal(code(Buffer.concat([raw, Buffer.alloc(1)])), "SPRINT_DECODE_TRAILING!");
  });
});
