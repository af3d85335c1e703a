import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Block, type Transaction } from "bitcoinjs-lib";
import { checkBody } from "../../../src/daemon/chain/body.ts";
import { codecFor, paramsFor, readTransaction } from "../../../src/daemon/chain/index.ts";
import type { Movement, UtxoDigest, WatchSet } from "../../../src/shared/body.ts";
import type { UtxoChain } from "../../../src/shared/chain.ts";
import { blockBytes, coinbase, committed, sha256d, spend, transactionBytes } from "../../fakes/blocks.ts";
import { hasData, readData } from "../../fakes/data.ts";

const HEIGHT = 1000;
const skip = hasData ? false : "no chain data";
const script = (tag: number, length = 22): Buffer => Buffer.alloc(length, tag);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const display = (bytes: Uint8Array): string => hex(Uint8Array.from(bytes).reverse());

function watching(items: readonly Buffer[], outpoints: readonly (readonly [string, Buffer])[] = []): WatchSet {
  return {
    items: new Set(items.map(hex)),
    topics: new Set(),
    outpoints: new Map(outpoints.map(([outpoint, item]) => [outpoint, hex(item)])),
  };
}

function read(raw: Uint8Array, watch: WatchSet, chain: UtxoChain = "bitcoin", network = "regtest", height = HEIGHT) {
  const verdict = codecFor(paramsFor(chain, network)).checkBody(raw, { height, hash: null }, watch);
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
  assert.ok(verdict.facts.reading);
  return verdict.facts.reading;
}

function digest(raw: Uint8Array, chain: UtxoChain, network: string, height: number): UtxoDigest {
  const found = read(raw, watching([]), chain, network, height).digest;
  assert.ok(found.family === "utxo");
  return found;
}

describe("reading", () => {
  it("is left out where nobody asks for it", () => {
    const verdict = checkBody(
      blockBytes({ transactions: [coinbase(HEIGHT)] }),
      HEIGHT,
      paramsFor("bitcoin", "regtest"),
    );
    assert.ok(verdict.ok);
    assert.equal("reading" in verdict.facts, false);
  });

  it("tells outputs to watched scripts and spends of watched outputs, with the id that has no witness in it", () => {
    const mine = script(7);
    const elsewhere = `${"05".repeat(32)}:3`;
    const paying = spend(1, {
      inputs: [{ txid: Buffer.alloc(32, 5), index: 3, witness: [Buffer.from("beef", "hex")] }],
      outputs: [
        { value: 1n, script: script(8) },
        { value: 2n ** 60n - 1n, script: mine },
      ],
    });
    const paid = display(sha256d(transactionBytes(paying, false)));
    const watch = watching([mine], [[elsewhere, script(9)]]);
    // Such amounts exist on no chain; of a loose transaction nobody has judged them.
    const both = [...readTransaction(transactionBytes(paying, true), watch)];
    const item = hex(mine);
    const created: Movement = {
      item,
      txid: paid,
      output: 1,
      kind: "created",
      value: "1152921504606846975",
      outpoint: null,
    };
    const spent: Movement = {
      item: hex(script(9)),
      txid: paid,
      output: 0,
      kind: "spent",
      value: null,
      outpoint: elsewhere,
    };
    assert.deepEqual(both, [spent, created]);

    const modest = {
      ...paying,
      outputs: [
        { value: 1n, script: script(8) },
        { value: 77n, script: mine },
      ],
    };
    const modestId = display(sha256d(transactionBytes(modest, false)));
    const follow = spend(2, {
      inputs: [{ txid: Buffer.alloc(32, 2) }, { txid: Buffer.from(modestId, "hex").reverse(), index: 1 }],
      outputs: [{ value: 9n, script: mine }],
    });
    const followId = display(sha256d(transactionBytes(follow, false)));
    const block = blockBytes({ transactions: committed(HEIGHT, [modest, follow]) });
    assert.deepEqual(read(block, watch).movements, [
      { ...spent, txid: modestId },
      { ...created, txid: modestId, value: "77" },
      { item, txid: followId, output: 1, kind: "spent", value: "77", outpoint: `${modestId}:1` },
      { item, txid: followId, output: 0, kind: "created", value: "9", outpoint: null },
    ]);
  });

  it("knows scripts of every length, and tells one from another that differs in its last byte", () => {
    const lengths = [1, 5, 11, 12, 22, 23, 25, 34, 67, 300];
    const outputs = lengths.map((length) => ({ value: BigInt(length), script: script(0x33, length) }));
    const decoys = outputs.map((output) => ({
      value: 1n,
      script: Buffer.concat([output.script.subarray(1), Buffer.of(1)]),
    }));
    const raw = blockBytes({ transactions: [coinbase(HEIGHT), spend(1, { outputs: [...outputs, ...decoys] })] });
    const { movements } = read(raw, watching(outputs.map((output) => output.script)));
    assert.deepEqual(
      movements.map(({ value }) => value),
      lengths.map(String),
    );
  });

  it("reads nothing out of bytes that are no transaction", () => {
    const raw = transactionBytes(spend(1), true);
    for (let cut = 0; cut < raw.length; cut++) {
      assert.throws(() => readTransaction(raw.subarray(0, cut), watching([script(1)])), { code: /^SPRINT_DECODE_/ });
    }
  });

  it("finds in real blocks what a plain walk finds", { skip }, () => {
    for (const [file, height] of [
      ["bitcoin/blocks/300025.raw", 300_025],
      ["bitcoin/blocks/481824.raw", 481_824],
      ["bitcoin/blocks/866342.raw.gz", 866_342],
    ] as const) {
      const raw = readData(file);
      const transactions = Block.fromBuffer(raw).transactions ?? [];
      const watch = everyFifth(transactions);
      const { movements } = read(raw, watch, "bitcoin", "mainnet", height);
      assert.ok(movements.length > 100, file);
      assert.ok(
        movements.some(({ kind, value }) => kind === "spent" && value !== null),
        `${file}: spent where it was made`,
      );
      assert.deepEqual(movements, plainWalk(transactions, watch), file);
    }
  });

  it("gives stats what they count, of real blocks of each chain", { skip }, () => {
    const bitcoin = digest(readData("bitcoin/blocks/866342.raw.gz"), "bitcoin", "mainnet", 866_342);
    const whole = Block.fromBuffer(readData("bitcoin/blocks/866342.raw.gz"));
    const transactions = whole.transactions ?? [];
    const [first, ...others] = transactions as [Transaction, ...Transaction[]];
    assert.deepEqual(bitcoin, {
      family: "utxo",
      coinbaseScript: hex(first.ins[0]?.script ?? new Uint8Array()),
      parentCoinbaseScript: null,
      rewardUnits: String(first.outs.reduce((sum, { value }) => sum + BigInt(value), 0n)),
      weight: whole.weight(),
      inputs: others.reduce((sum, { ins }) => sum + ins.length, 0),
      outputs: transactions.reduce((sum, { outs }) => sum + outs.length, 0),
      segwitTransactions: others.filter((transaction) => transaction.hasWitnesses()).length,
      mwebKernels: null,
    });
    const dogecoin = digest(readData("dogecoin/blocks/0371337.raw"), "dogecoin", "mainnet", 371_337);
    assert.match(dogecoin.parentCoinbaseScript ?? "", /fabe6d6d/, "the mark of merged mining");
    assert.ok(Number(dogecoin.rewardUnits) >= 62_500e8 && Number(dogecoin.rewardUnits) < 62_600e8, "subsidy and fees");
    const litecoin = digest(readData("litecoin/blocks/2265985.raw"), "litecoin", "mainnet", 2_265_985);
    assert.equal(litecoin.mwebKernels, 3);
  });
});

function everyFifth(transactions: readonly Transaction[]): WatchSet {
  const scripts = transactions.flatMap(({ outs }) => outs.map((output) => Buffer.from(output.script)));
  const spent = transactions.slice(1).flatMap(({ ins }) => ins.map(({ hash, index }) => `${display(hash)}:${index}`));
  return watching(
    scripts.filter((_, at) => at % 5 === 0),
    spent.filter((_, at) => at % 5 === 0).map((outpoint) => [outpoint, script(1)]),
  );
}

/** The same by objects and strings alone. */
function plainWalk(transactions: readonly Transaction[], watch: WatchSet): Movement[] {
  const made = new Map<string, { item: string; value: string }>();
  const movements: Movement[] = [];
  for (const transaction of transactions) {
    const txid = transaction.getId();
    for (const [output, { hash, index }] of transaction.ins.entries()) {
      const outpoint = `${display(hash)}:${index}`;
      const item = made.get(outpoint)?.item ?? watch.outpoints.get(outpoint);
      if (item === undefined) continue;
      movements.push({ item, txid, output, kind: "spent", value: made.get(outpoint)?.value ?? null, outpoint });
    }
    for (const [output, { script: bytes, value }] of transaction.outs.entries()) {
      const item = hex(bytes);
      if (!watch.items.has(item)) continue;
      made.set(`${txid}:${output}`, { item, value: String(value) });
      movements.push({ item, txid, output, kind: "created", value: String(value), outpoint: null });
    }
  }
  return movements;
}
