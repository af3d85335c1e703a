/** Loose transactions over ZMQ: which are told, when, and what is noticed to be missing. */
import { strict as assert } from "node:assert";
import { once } from "node:events";
import { test } from "node:test";
import { idsOf } from "../../../src/daemon/upstream/p2p-transactions.ts";
import { parseUpstreamUrl } from "../../../src/daemon/upstream/url.ts";
import { createZmqFeed } from "../../../src/daemon/upstream/zmq.ts";
import type { SequenceGap } from "../../../src/daemon/upstream/zmq-sequence.ts";
import { ZmqTransactions } from "../../../src/daemon/upstream/zmq-transactions.ts";
import type { PendingTransaction } from "../../../src/shared/body.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { coinbase, spend, transactionBytes } from "../../fakes/blocks.ts";
import { testBreaker } from "../../fakes/breaker.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { zmqPublisher } from "../../fakes/zmq-publisher.ts";
import { headerCodec } from "./listener.ts";

const transaction = (tag: number): Buffer => transactionBytes(spend(tag), true);
const txid = (tag: number): string => idsOf(transaction(tag))?.txid ?? "";

function sequence(tag: number, label: "A" | "R", number: number): Buffer {
  const tail = Buffer.alloc(9, label);
  tail.writeBigUInt64LE(BigInt(number), 1);
  return Buffer.concat([Buffer.from(txid(tag), "hex"), tail]);
}

function setUp() {
  const clock = new FakeClock();
  const told: (readonly PendingTransaction[])[] = [];
  const gaps: SequenceGap[] = [];
  const transactions = new ZmqTransactions({
    clock,
    onPending: (batch) => told.push(batch),
    onGap: (gap) => gaps.push(gap),
  });
  let raws = 0;
  let sequences = 0;
  return {
    clock,
    gaps,
    transactions,
    txids: () => told.flat().map((transaction) => transaction.txid),
    told,
    raw: (tag: number) => transactions.receive("rawtx", transaction(tag), raws++),
    sequence: (tag: number, label: "A" | "R", number: number) =>
      transactions.receive("sequence", sequence(tag, label, number), sequences++),
  };
}

test("bytes alone are told once, in batches, without coinbases", () => {
  const { clock, told, txids, raw, transactions } = setUp();
  raw(1);
  raw(2);
  raw(1);
  transactions.receive("rawtx", transactionBytes(coinbase(100), true), 3);
  transactions.receive("rawtx", Buffer.of(1, 2), 4);
  assert.equal(told.length, 0);
  clock.advance(50);
  assert.deepEqual(txids(), [txid(1), txid(2)]);
  assert.deepEqual(Buffer.from(told[0]?.[0]?.raw ?? []), transaction(1));
  raw(2);
  clock.advance(500);
  assert.equal(told.length, 1, "again, with its block");
  assert.equal(clock.pending, 0);
});

test("where the node says what it accepted, blocks tell nothing, and what has no bytes is told by its name", () => {
  const { clock, told, txids, raw, sequence } = setUp();
  sequence(1, "A", 7);
  raw(1);
  raw(2);
  sequence(2, "A", 8);
  sequence(3, "A", 9);
  raw(4);
  sequence(1, "R", 10);
  clock.advance(50);
  assert.deepEqual(txids(), [txid(1), txid(2)]);
  clock.advance(50);
  assert.deepEqual(txids(), [txid(1), txid(2), txid(3)]);
  assert.equal(told[1]?.[0]?.raw, null);
  clock.advance(500);
  assert.equal(told.length, 2, "4 came with a block");
  assert.equal(clock.pending, 0);
});

test("numbers that are missing are noticed, of messages and of the mempool", () => {
  const { gaps, sequence, transactions } = setUp();
  transactions.receive("rawtx", transaction(1), 5);
  transactions.receive("rawtx", transaction(2), 8);
  sequence(3, "A", 100);
  sequence(4, "A", 101);
  sequence(5, "A", 104);
  sequence(6, "A", 1);
  assert.deepEqual(gaps, [
    { topic: "rawtx", cause: "lost", expected: 6, got: 8 },
    { topic: "mempool", cause: "lost", expected: 102, got: 104 },
    { topic: "mempool", cause: "restarted", expected: 105, got: 1 },
  ]);
  transactions.stop();
});

test("no more are held than there is room for", () => {
  const { clock, txids, transactions } = setUp();
  for (let i = 0; i < 3_000; i++) {
    const raw = transactionBytes(spend(1, { inputs: [{ txid: Buffer.alloc(32, 1), index: i }] }), true);
    transactions.receive("rawtx", raw, i);
  }
  clock.advance(50);
  assert.equal(txids().length, 2_000);
});

test("they come over a socket of their own, and not at all where nobody wants them", async (t) => {
  for (const transactions of [true, false]) {
    const publisher = await zmqPublisher(t);
    const address = parseUpstreamUrl(`zmq+tcp://127.0.0.1:${publisher.port}`);
    assert.ok(address.kind === "zmq");
    const heard = new EventTarget();
    const pending: PendingTransaction[] = [];
    const feed = createZmqFeed(
      { name: "z", address, transactions },
      {
        codec: headerCodec("bitcoin"),
        clock: systemClock,
        random: seededRandom(1),
        breaker: testBreaker(),
        sink: {
          up() {},
          announce() {},
          down() {},
          pending(_, batch) {
            pending.push(...batch);
            heard.dispatchEvent(new Event("pending"));
          },
        },
      },
    );
    t.after(() => feed.close());
    feed.start();
    await publisher.subscribed();
    if (transactions) {
      await publisher.subscribed(["rawtx", "sequence"]);
      const told = once(heard, "pending");
      await publisher.send(["rawtx", transaction(1), Buffer.alloc(4)]);
      await told;
      assert.deepEqual(
        pending.map((one) => one.txid),
        [txid(1)],
      );
    } else {
      await publisher.send(["rawtx", transaction(1), Buffer.alloc(4)]);
      await feed.close();
      assert.deepEqual(pending, []);
    }
  }
});
