/** Loose transactions over P2P: what is asked for, how fast, and what is told. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { codecFor, paramsFor } from "../../../src/daemon/chain/index.ts";
import {
  RecentSet,
  TransactionAsks,
  type TransactionAsksOptions,
  idsOf,
} from "../../../src/daemon/upstream/p2p-transactions.ts";
import { INV, decodeInventory, decodeVersion, encodeInventory } from "../../../src/daemon/wire/index.ts";
import type { PendingTransaction } from "../../../src/shared/body.ts";
import { spend, transactionBytes } from "../../fakes/blocks.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FeedListener } from "../../fakes/feed-listener.ts";
import { hasLitecoind, startLitecoind } from "../../fakes/litecoind.ts";
import { startPeer } from "../../fakes/peer.ts";

const LITECOIN = codecFor(paramsFor("litecoin", "regtest"));
const witness = [Buffer.from("beef", "hex")];
const transaction = (tag: number): Buffer =>
  transactionBytes(spend(tag, { inputs: [{ txid: Buffer.alloc(32, tag), witness }] }), true);
const ids = (tag: number) => idsOf(transaction(tag)) ?? assert.fail("a transaction");
const named = (count: number, type: number = INV.WTX) =>
  Array.from({ length: count }, (_, at) => ({ type, hash: (at + 1).toString(16).padStart(64, "0") }));

function setUp(options: Partial<TransactionAsksOptions> = {}) {
  const clock = new FakeClock();
  const told: (readonly PendingTransaction[])[] = [];
  const asked: { readonly type: number; readonly hash: string }[] = [];
  const asks = new TransactionAsks(
    { witness: true, ...options },
    {
      clock,
      send: (command, payload) => {
        assert.equal(command, "getdata");
        asked.push(...decodeInventory(payload ?? Buffer.alloc(0)));
      },
      onPending: (batch) => told.push(batch),
    },
  );
  return { asks, clock, told, asked };
}

describe("loose transactions", () => {
  test("are asked for once, and told in a batch behind the turn in which they came", () => {
    const { asks, clock, told, asked } = setUp();
    asks.heard([
      { type: INV.WTX, hash: ids(1).wtxid },
      { type: INV.TX, hash: ids(2).txid },
      { type: INV.BLOCK, hash: "ab".repeat(32) },
    ]);
    asks.heard([{ type: INV.WTX, hash: ids(1).wtxid }]);
    assert.deepEqual(asked, [
      { type: INV.WTX, hash: ids(1).wtxid },
      { type: INV.WITNESS_TX, hash: ids(2).txid },
    ]);
    const bytes = transaction(1);
    assert.equal(asks.receive(bytes), true);
    bytes.fill(0);
    assert.equal(asks.receive(transaction(2)), true);
    assert.equal(asks.receive(transaction(1)), false, "twice");
    assert.equal(asks.receive(transaction(3)), false, "unasked");
    assert.equal(asks.receive(Buffer.of(1, 2, 3)), false, "none");
    assert.equal(told.length, 0);
    clock.advance(50);
    const batch = told.flat();
    assert.deepEqual(
      batch.map(({ txid }) => txid),
      [ids(1).txid, ids(2).txid],
    );
    assert.deepEqual(Buffer.from(batch[0]?.raw ?? []), transaction(1), "of their own, with witness");
    asks.heard([{ type: INV.TX, hash: ids(1).txid }]);
    assert.equal(asked.length, 2, "under its other name");
    clock.advance(1_000);
    assert.equal(told.length, 1);
    assert.equal(clock.pending, 0);
  });

  test("are asked for at a bounded rate, so many at a time, and no more wait than there is room for", () => {
    const { asks, clock, asked } = setUp({ perSecond: 100, underWay: 40, queued: 60 });
    asks.heard(named(500));
    assert.equal(asked.length, 40, "under way");
    asks.receiveNotFound(named(40));
    assert.equal(asked.length, 60, "those that had room to wait");
    asks.receiveNotFound(named(500));
    asks.heard(named(1_000).slice(500));
    asks.receiveNotFound(named(1_000));
    asks.heard(named(2_000).slice(1_000));
    assert.equal(asked.length, 100, "in this second");
    clock.advance(200);
    assert.equal(asked.length, 100 + 20);
    asks.stop();
    assert.equal(clock.pending, 0);
  });

  test("that never come give their place to others", () => {
    const { asks, clock, asked } = setUp({ underWay: 1 });
    asks.heard(named(2));
    assert.equal(asked.length, 1);
    clock.advance(29_000);
    assert.equal(asked.length, 1);
    clock.advance(1_100);
    assert.equal(asked.length, 2);
    asks.stop();
  });

  test("are remembered in bounded room", () => {
    const seen = new RecentSet(10);
    for (let i = 0; i < 100; i++) assert.equal(seen.add(String(i)), true);
    assert.equal(seen.add("99"), false);
    assert.equal(seen.add("96"), false);
    assert.equal(seen.has("80"), false);
  });
});

async function listen(t: TestContext, port: number, transactions: boolean): Promise<FeedListener> {
  const listener = new FeedListener(port, LITECOIN, { transactions });
  t.after(() => listener.feed.close());
  return listener;
}

test("a peer is told that they are wanted, and only then gives them", async (t) => {
  for (const transactions of [true, false]) {
    const peer = await startPeer(LITECOIN.params.magic);
    t.after(() => peer.close());
    const listener = await listen(t, peer.port, transactions);
    const node = await peer.shakeHands();
    await listener.until(() => listener.told.includes("up"));
    assert.equal(decodeVersion(node.heard[0]?.payload ?? Buffer.alloc(0)).relay, transactions);
    node.send("inv", encodeInventory([{ type: INV.WTX, hash: ids(1).wtxid }]));
    await node.settled();
    assert.equal(
      node.heard.some(({ command }) => command === "getdata"),
      transactions,
    );
    node.send("tx", transaction(1));
    await node.settled();
    if (!transactions) continue;
    await listener.until(() => listener.pending.length > 0);
    assert.equal(listener.pending[0]?.txid, ids(1).txid);
  }
});

test(
  "a real litecoind's transactions come with their bytes",
  { skip: hasLitecoind() ? false : "litecoind is not installed" },
  async (t) => {
    const node = await startLitecoind({ wallet: true });
    t.after(() => node.stop());
    await node.rpc("createwallet", ["w"]);
    const address = await node.rpc<string>("getnewaddress", [], "w");
    await node.rpc("generatetoaddress", [103, address], "w");
    const listener = await listen(t, node.p2pPort, true);
    await listener.until(() => listener.told.includes("up"));
    const sent = [];
    for (let i = 0; i < 3; i++) sent.push(await node.rpc<string>("sendtoaddress", [address, 1], "w"));
    await listener.until(() => listener.pending.length >= 3);
    assert.deepEqual(listener.pending.map(({ txid }) => txid).sort(), sent.toSorted());
    for (const { txid, raw } of listener.pending) {
      assert.equal(Buffer.from(raw ?? []).toString("hex"), await node.rpc("getrawtransaction", [txid]));
    }
  },
);
