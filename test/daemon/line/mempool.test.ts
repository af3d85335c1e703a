/** Transactions that are in no block yet: each told once, whoever tells it, in a memory that has an end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Mempool } from "../../../src/daemon/line/mempool.ts";
import type { PendingTransaction } from "../../../src/shared/body.ts";

function scene() {
  const heard: string[][] = [];
  const entries: unknown[] = [];
  const mentioned: string[] = [];
  const mempool = new Mempool({
    onHeard(told, transactions) {
      heard.push(transactions.map(({ txid }) => txid));
      for (const entry of told) entries.push(entry);
    },
    onMentioned: (transactions) => void mentioned.push(...transactions.map(({ txid }) => txid)),
  });
  return { mempool, heard, entries, mentioned };
}

const bare = (txid: string): PendingTransaction => ({ txid, raw: null, evm: null });

test("each once, in batches as they come, named after who was first", () => {
  const { mempool, heard, entries } = scene();
  mempool.heard("a", [bare("1"), bare("2"), bare("1")]);
  mempool.heard("b", [bare("2"), bare("3")]);
  mempool.heard("a", [bare("3"), bare("1")]);
  assert.deepEqual(heard, [["1", "2"], ["3"]]);
  assert.deepEqual(entries, [
    { txid: "1", upstream: "a" },
    { txid: "2", upstream: "a" },
    { txid: "3", upstream: "b" },
  ]);
});

test("with what came along: the size of bytes, the fields of an EVM transaction in the API's words", () => {
  const { mempool, entries } = scene();
  const to = null;
  const evm = {
    from: "0xa",
    to,
    valueWei: "1",
    nonce: 2,
    gasLimit: 3,
    maxFeeWei: "4",
    maxTipWei: "5",
    selector: null,
    blobs: 6,
  };
  mempool.heard("a", [
    { txid: "1", raw: new Uint8Array(250), evm: null },
    { txid: "2", raw: null, evm },
  ]);
  assert.deepEqual(entries, [
    { txid: "1", upstream: "a", size_bytes: 250 },
    {
      txid: "2",
      upstream: "a",
      evm: {
        from: "0xa",
        to,
        value_wei: "1",
        nonce: 2,
        gas_limit: 3,
        max_fee_wei: "4",
        max_tip_wei: "5",
        selector: null,
        blobs: 6,
      },
    },
  ]);
});

test("at least the last 100,000 are remembered, and at most twice as many", () => {
  const { mempool, heard } = scene();
  const batch = (from: number, count: number): PendingTransaction[] =>
    Array.from({ length: count }, (_, at) => bare(String(from + at)));
  mempool.heard("a", batch(0, 150_000));
  heard.length = 0;
  mempool.heard("b", batch(50_000, 100_000));
  assert.equal(heard.length, 0, "the newest are known");
  mempool.heard("a", batch(150_000, 50_000));
  mempool.heard("b", batch(0, 10));
  assert.equal(heard.at(-1)?.length, 10, "the oldest are forgotten, and told again");
});
