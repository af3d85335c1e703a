import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evmBlockFromJson, evmReceiptsFromJson } from "../../../../src/daemon/chain/evm/block.ts";
import { evmParamsFor } from "../../../../src/daemon/chain/evm/params.ts";
import { readEvmBody } from "../../../../src/daemon/chain/evm/reading.ts";
import { senderOf } from "../../../../src/daemon/chain/evm/sender.ts";
import { transactionFromJson } from "../../../../src/daemon/chain/evm/transaction.ts";
import type { BodyReading, EvmDigest, WatchSet } from "../../../../src/shared/body.ts";
import type { EvmChain } from "../../../../src/shared/chain.ts";
import { hasData, readData } from "../../../fakes/data.ts";

interface JsonLog {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
  readonly transactionHash: string;
  readonly transactionIndex: string;
  readonly logIndex: string;
}
interface JsonReceipt {
  readonly gasUsed: string;
  readonly effectiveGasPrice: string;
  readonly status: string;
  readonly logs: readonly JsonLog[];
}
interface JsonTransaction {
  readonly type: string;
  readonly hash: string;
  readonly from: string;
  readonly to: string | null;
  readonly value: string;
  readonly input: string;
}
interface JsonBlock {
  readonly baseFeePerGas: string;
  readonly transactions: readonly JsonTransaction[];
}

const skip = !hasData && "no chain data";
const NOTHING: WatchSet = { items: new Set(), topics: new Set(), outpoints: new Map() };
const BLOCK = "ethereum/rpc/17300000";

function json<T>(name: string): T {
  return JSON.parse(readData(`${name}.json`).toString()) as T;
}

function read(
  name: string,
  watch: Partial<WatchSet> = {},
  withReceipts = true,
  chain: EvmChain = "ethereum",
): BodyReading {
  const block = evmBlockFromJson(json(`${name}.block`), evmParamsFor(chain, "mainnet"));
  const receipts = withReceipts ? evmReceiptsFromJson(json(`${name}.receipts`)) : null;
  return readEvmBody(block, receipts, { ...NOTHING, ...watch });
}

describe("what is read from a block", { skip }, () => {
  const transactions = (): readonly JsonTransaction[] => json<JsonBlock>(`${BLOCK}.block`).transactions;
  const receipts = (): readonly JsonReceipt[] => json<JsonReceipt[]>(`${BLOCK}.receipts`);

  it("its logs, in order and as the node tells them", () => {
    const expected = receipts()
      .flatMap(({ logs }) => logs)
      .map((log) => ({
        address: log.address.toLowerCase(),
        topics: log.topics,
        data: log.data,
        transaction_hash: log.transactionHash,
        transaction_index: Number(log.transactionIndex),
        log_index: Number(log.logIndex),
      }));
    assert.ok(expected.length > 100);
    assert.deepEqual(read(BLOCK).logs, expected);
    assert.equal(read(BLOCK, {}, false).logs, null);
  });

  it("of a block without transactions there are none, and that needs no receipts", () => {
    const params = evmParamsFor("ethereum", "mainnet");
    const empty = { ...evmBlockFromJson(json(`${BLOCK}.block`), params), transactions: [], transactionHashes: [] };
    const { logs, digest } = readEvmBody(empty, null, NOTHING);
    assert.deepEqual(logs, []);
    assert.deepEqual((digest as EvmDigest).tipsWei, []);
  });

  it("Polygon's logs of state from Ethereum, which no root is over, are left out", () => {
    const name = "polygon/rpc/10000000";
    const said = json<JsonReceipt[]>(`${name}.receipts`);
    const block = evmBlockFromJson(json(`${name}.block`), evmParamsFor("polygon", "mainnet"));
    const proved = said.slice(0, block.transactionHashes.length).flatMap(({ logs }) => logs);
    assert.equal(block.transactionHashes.length, said.length - 1);
    assert.equal(read(name, {}, true, "polygon").logs?.length, proved.length);
  });

  it("a payment moves its value to both ends that are watched, and nothing where it failed", () => {
    const all = transactions();
    const paid = all.findIndex(
      ({ value, to }, i) => to !== null && BigInt(value) > 0n && receipts()[i]?.status === "0x1",
    );
    const { from, to, hash, value } = all[paid] as JsonTransaction;
    const items = new Set([from, to as string]);
    const { movements } = read(BLOCK, { items });
    const own = movements.filter((each) => each.txid === hash && each.kind === "transaction");
    const movement = { txid: hash, output: null, kind: "transaction", value: `${BigInt(value)}`, outpoint: null };
    assert.deepEqual(own, [
      { item: from, ...movement },
      { item: to, ...movement },
    ]);
    // whether it succeeded is in the receipts only
    const unknown = read(BLOCK, { items }, false).movements.find((each) => each.txid === hash);
    assert.equal(unknown?.value, null);
    const failed = all.findIndex((_, i) => receipts()[i]?.status === "0x0");
    assert.ok(failed >= 0);
    const { from: sender, hash: lost } = all[failed] as JsonTransaction;
    const moved = read(BLOCK, { items: new Set([sender]) }).movements.find((each) => each.txid === lost);
    assert.equal(moved?.value, "0");
  });

  it("a sender that the signature does not name is not told", () => {
    const block = json<JsonBlock>(`${BLOCK}.block`);
    const liar = "0x00000000000000000000000000000000000000aa";
    const forged = { ...block, transactions: block.transactions.map((each) => ({ ...each, from: liar })) };
    const params = evmParamsFor("ethereum", "mainnet");
    const few = { ...forged, transactions: forged.transactions.slice(0, 4) };
    const watch = { ...NOTHING, items: new Set([liar]) };
    assert.deepEqual(readEvmBody(evmBlockFromJson(few, params), null, watch).movements, []);
  });

  it("a log is told once for each address and topic that is watched in it", () => {
    const transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
    const logs = read(BLOCK).logs ?? [];
    const log = logs.find(({ topics }) => topics[0] === transfer && topics.length === 3 && topics[1] !== topics[2]);
    assert.ok(log !== undefined);
    const payee = `0x${log.topics[2]?.slice(26)}`;
    const items = new Set([log.address, payee]);
    const movements = read(BLOCK, { items, topics: new Set([transfer]) }).movements;
    const own = movements.filter(({ kind, output }) => kind === "log" && output === log.log_index);
    assert.deepEqual(own.map(({ item }) => item).sort(), [log.address, payee, transfer].sort());
    const names = movements.map(({ item, txid, output, kind }) => `${item} ${txid} ${output} ${kind}`);
    assert.equal(new Set(names).size, names.length);
    const expected = logs.filter(({ topics }) => topics[0] === transfer).length;
    assert.equal(movements.filter(({ item }) => item === transfer).length, expected);
    assert.deepEqual(read(BLOCK).movements, []);
  });

  it("tips by gas as eth_feeHistory weighs them, and the busiest contracts", () => {
    const digest = read(BLOCK).digest as EvmDigest;
    const block = json<JsonBlock>(`${BLOCK}.block`);
    const base = BigInt(block.baseFeePerGas);
    const tips = receipts()
      .map(({ effectiveGasPrice, gasUsed }) => ({ tip: BigInt(effectiveGasPrice) - base, gas: Number(gasUsed) }))
      .sort((a, b) => Number(a.tip - b.tip));
    const total = tips.reduce((sum, { gas }) => sum + gas, 0);
    const at = (percent: number): string => {
      let sum = 0;
      return `${tips.find(({ gas }) => (sum += gas) >= (total * percent) / 100)?.tip}`;
    };
    assert.deepEqual(digest.tipsWei, [10, 25, 50, 75, 90].map(at));
    assert.equal(digest.gasUsed, total);
    const [busiest] = digest.contracts;
    const calls = block.transactions.filter(({ to, input }) => to === busiest?.address && input !== "0x");
    assert.equal(busiest?.calls, calls.length);
    const gas = calls.reduce((sum, { hash }) => {
      const index = block.transactions.findIndex((each) => each.hash === hash);
      return sum + Number(receipts()[index]?.gasUsed);
    }, 0);
    assert.equal(busiest?.gasUsed, gas);
    assert.equal(digest.contracts.length, 20);
    const blind = read(BLOCK, {}, false).digest as EvmDigest;
    assert.ok(blind.contracts.every(({ gasUsed }) => gasUsed === 0) && blind.tipsWei.length === 5);
  });
});

describe("senders", { skip }, () => {
  it("the one whom a node names is the one who signed", () => {
    const types = new Map<string, number>();
    for (const name of ["ethereum/rpc/1000000", BLOCK, "ethereum/rpc/22119617", "optimism/rpc/154497277"]) {
      for (const transaction of json<JsonBlock>(`${name}.block`).transactions) {
        const seen = types.get(transaction.type) ?? 0;
        if (seen >= 6) continue;
        types.set(transaction.type, seen + 1);
        assert.equal(senderOf(transactionFromJson(transaction, "transaction")), transaction.from, transaction.hash);
      }
    }
    assert.ok(types.size >= 4, [...types.keys()].join());
  });

  it("a signature whose s is in the upper half names nobody (EIP-2)", () => {
    const [given] = json<JsonBlock>(BLOCK + ".block").transactions.filter(({ type }) => type === "0x2");
    const transaction = transactionFromJson(given, "transaction");
    const upper = Buffer.alloc(32, 0xfe);
    assert.equal(senderOf({ ...transaction, items: [...transaction.items.slice(0, -1), upper] }), null);
    assert.equal(senderOf({ ...transaction, items: [...transaction.items.slice(0, -1), new Uint8Array(0)] }), null);
  });
});
