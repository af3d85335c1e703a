import { strict as assert } from "node:assert";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { parseUpstreamUrl } from "../../../src/daemon/upstream/url.ts";
import { createZmqFeed, type ZmqFeedModules } from "../../../src/daemon/upstream/zmq.ts";
import { type SequenceGap, SequenceTracker } from "../../../src/daemon/upstream/zmq-sequence.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { hasData } from "../../fakes/data.ts";
import { type FakeRpcNode, fakeRpcNode } from "../../fakes/rpc-node.ts";
import { unbound, zmqPublisher } from "../../fakes/zmq-publisher.ts";
import { firstBitcoinBlocks } from "./blocks.ts";
import { headerCodec, listen, type Listener, never } from "./listener.ts";

const skip = !hasData && "no chain data";
const bitcoin = headerCodec("bitcoin", "mainnet");
const blocks = hasData ? firstBitcoinBlocks(60) : [];
const hashes = blocks.map(({ hash }) => hash);

function block(height: number) {
  const found = blocks[height];
  assert.ok(found);
  return found;
}

interface Heard extends Listener {
  readonly gaps: SequenceGap[];
}

function follow(
  t: TestContext,
  port: number,
  node: FakeRpcNode | null,
  more: Pick<ZmqFeedModules, "load"> = {},
  clock?: FakeClock,
): Heard {
  const url = `zmq+tcp://127.0.0.1:${port}${node === null ? "" : `?rpc=${node.url}`}`;
  const address = parseUpstreamUrl(url);
  assert.ok(address.kind === "zmq");
  const gaps: SequenceGap[] = [];
  const heard = listen(
    t,
    bitcoin,
    (options, modules) =>
      createZmqFeed({ ...options, address }, { ...modules, ...more, onGap: (gap) => gaps.push(gap) }),
    { orphansAllowed: node === null, ...(clock === undefined ? {} : { clock }) },
  );
  return { ...heard, gaps };
}

/**
 * A publisher and its node's RPC, both at height 5, and a feed that is up and has nothing more to ask. With a clock that
 * stands still the second look behind the subscription is the test's to call.
 */
async function setUp(t: TestContext, clock?: FakeClock) {
  const publisher = await zmqPublisher(t);
  const node = await fakeRpcNode(t, blocks.slice(0, 5));
  const heard = follow(t, publisher.port, node, {}, clock);
  await publisher.subscribed();
  await heard.until(() => heard.filled());
  // Asked for after the first look at the RPC: once this block is there, that one is over.
  node.chain.push(block(5));
  await publisher.publish(block(5), ["hashblock"]);
  await heard.until(() => heard.hashes.length === 5 && heard.announced.length === 1);
  heard.announced.length = 0;
  node.calls.clear();
  return { publisher, node, heard };
}

test("blocks are passed on whole, once, in order", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t);
  for (let height = 6; height < 12; height++) {
    node.chain.push(block(height));
    await publisher.publish(block(height));
  }
  await heard.until(() => heard.hashes.length === 11);
  assert.deepEqual(heard.hashes, hashes.slice(1, 12));
  assert.deepEqual(
    heard.announced.map(({ header }) => header.hash),
    hashes.slice(6, 12),
  );
  assert.ok(heard.announced.every(({ via }) => via === "zmq"));
  assert.equal(heard.feed.status().height, 11);
  assert.deepEqual(heard.gaps, []);
});

test("a pushed block comes with its body, and needs no RPC", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t, new FakeClock());
  await publisher.publish(block(6), ["rawblock"]);
  await heard.until(() => heard.announced.length === 1);
  const [first] = heard.announced;
  assert.ok(first?.body && Buffer.from(first.body).equals(Buffer.from(block(6).raw)));
  assert.equal(node.calls.size, 0);
});

test("a publisher of hashes alone: the headers come over RPC", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t, new FakeClock());
  node.chain.push(block(6));
  await publisher.publish(block(6), ["hashblock"]);
  await heard.until(() => heard.hashes.length === 6);
  node.chain.push(block(7));
  await publisher.publish(block(7), ["sequence"]);
  await heard.until(() => heard.hashes.length === 7);
  assert.deepEqual(heard.hashes, hashes.slice(1, 8));
});

test("lost messages are noticed by their numbers and repaired in order", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t, new FakeClock());
  await publisher.publish(block(5));
  for (let height = 6; height < 9; height++) {
    node.chain.push(block(height));
    publisher.drop();
  }
  node.chain.push(block(9));
  await publisher.publish(block(9));
  await heard.until(() => heard.hashes.length === 9 && heard.gaps.length === 3);
  assert.deepEqual(heard.hashes, hashes.slice(1, 10));
  assert.deepEqual(heard.gaps[0], { topic: "hashblock", cause: "lost", expected: 2, got: 5 });
});

test("a block whose parents were lost is told after them, with the body it came with", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t, new FakeClock());
  node.chain.push(...blocks.slice(6, 10));
  await publisher.publish(block(9), ["rawblock"]);
  await heard.until(() => heard.hashes.length === 9);
  assert.deepEqual(heard.hashes, hashes.slice(1, 10));
  assert.deepEqual(
    heard.announced.map(({ body }) => body !== null),
    [false, false, false, true],
  );
});

test("a message about something else that follows a loss is enough to repair it", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t, new FakeClock());
  const mempool = Buffer.concat([Buffer.alloc(32, 7), Buffer.from("A"), Buffer.alloc(8)]);
  const counter = (n: number) => Buffer.from([n, 0, 0, 0]);
  await publisher.send(["sequence", mempool, counter(0)]);
  node.chain.push(block(6));
  await publisher.send(["sequence", mempool, counter(2)]);
  await heard.until(() => heard.hashes.length === 6);
  assert.deepEqual(heard.gaps, [{ topic: "sequence", cause: "lost", expected: 1, got: 2 }]);
});

test("what was published before the subscription was there is asked for a little later", { skip }, async (t) => {
  const clock = new FakeClock();
  const { node, heard } = await setUp(t, clock);
  node.chain.push(block(6));
  clock.advance(1000);
  await heard.until(() => heard.hashes.length === 6);
});

test("a publisher that counts from zero again was restarted", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t, new FakeClock());
  for (const height of [6, 7]) {
    node.chain.push(block(height));
    await publisher.publish(block(height));
  }
  await heard.until(() => heard.hashes.length === 7);
  publisher.counters.clear();
  node.chain.push(block(8), block(9));
  await publisher.publish(block(9));
  await heard.until(() => heard.hashes.length === 9 && heard.gaps.length === 3);
  assert.deepEqual(heard.hashes, hashes.slice(1, 10));
  assert.ok(heard.gaps.every(({ cause, got }) => cause === "restarted" && got === 0));
});

test("a publisher that goes away takes the feed down; the gap behind its return is filled", { skip }, async (t) => {
  const { publisher, node, heard } = await setUp(t);
  const { port } = publisher;
  publisher.close();
  await heard.until(() => heard.downs.length === 1);
  assert.equal(heard.feed.status().lastError?.code, "SPRINT_UPSTREAM_ZMQ_DISCONNECTED");
  node.chain.push(block(6), block(7));
  await unbound(port);
  const again = await zmqPublisher(t, port);
  await again.subscribed();
  await heard.until(() => heard.hashes.length === 7);
  node.chain.push(block(8));
  await again.publish(block(8));
  await heard.until(() => heard.hashes.length === 8);
  assert.deepEqual(heard.hashes, hashes.slice(1, 9));
});

test("without an RPC blocks are passed on as they come, and the status says so", { skip }, async (t) => {
  const publisher = await zmqPublisher(t);
  const heard = follow(t, publisher.port, null);
  await publisher.subscribed();
  await heard.until(() => heard.ups() === 1);
  await publisher.publish(block(5));
  await publisher.publish(block(8));
  await heard.until(() => heard.announced.length === 2);
  assert.deepEqual(heard.hashes, [hashes[5], hashes[8]]);
  assert.deepEqual(await heard.feed.headersAfter([hashes[5] ?? ""], never), []);
  await assert.rejects(heard.feed.body(hashes[5] ?? "", never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
  assert.match(heard.feed.status().agent ?? "", /without RPC/);
});

const COUNTER = Buffer.alloc(4);
const MALFORMED: readonly (readonly [name: string, frames: readonly (string | Uint8Array)[], code: string])[] = [
  ["one frame", ["hashblock"], "SPRINT_UPSTREAM_ZMQ_MESSAGE"],
  ["four frames", ["hashblock", Buffer.alloc(32), COUNTER, COUNTER], "SPRINT_UPSTREAM_ZMQ_MESSAGE"],
  ["a counter of 8 bytes", ["hashblock", Buffer.alloc(32), Buffer.alloc(8)], "SPRINT_UPSTREAM_ZMQ_MESSAGE"],
  ["a short hash", ["hashblock", Buffer.alloc(31), COUNTER], "SPRINT_UPSTREAM_ZMQ_MESSAGE"],
  ["a sequence without its letter", ["sequence", Buffer.alloc(32), COUNTER], "SPRINT_UPSTREAM_ZMQ_MESSAGE"],
  ["a block of 79 bytes", ["rawblock", Buffer.alloc(79), COUNTER], "SPRINT_DECODE_TRUNCATED"],
];

test("a message that is none takes the feed down with a reason, and it comes back", { skip }, async (t) => {
  const { publisher, heard } = await setUp(t);
  for (const [name, frames, code] of MALFORMED) {
    const downs = heard.downs.length;
    const ups = heard.ups();
    await publisher.send(frames);
    await heard.until(() => heard.downs.length > downs);
    assert.equal(heard.feed.status().lastError?.code, code, name);
    await publisher.subscribed();
    await heard.until(() => heard.ups() > ups);
  }
  assert.deepEqual(heard.hashes, hashes.slice(1, 6));
});

test("nobody there, and something else there", { skip }, async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const web = follow(t, port, null);
  await web.until(() => web.feed.status().lastError !== null);
  assert.equal(web.feed.status().lastError?.code, "SPRINT_UPSTREAM_ZMQ_HANDSHAKE");
  await web.feed.close();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
  const nobody = follow(t, port, null);
  await nobody.until(() => nobody.feed.status().lastError !== null);
  assert.equal(nobody.feed.status().lastError?.code, "SPRINT_UPSTREAM_ZMQ_UNREACHABLE");
});

test("a node of another network is refused before a message is taken", { skip }, async (t) => {
  const publisher = await zmqPublisher(t);
  const node = await fakeRpcNode(t, blocks.slice(1, 5));
  const heard = follow(t, publisher.port, node);
  await heard.until(() => heard.feed.status().lastError !== null);
  assert.equal(heard.feed.status().lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
  assert.equal(heard.ups(), 0);
});

test("where the optional package is missing, a sentence says what to do", { skip }, async (t) => {
  const load = () => Promise.reject(new Error("Cannot find package 'zeromq'"));
  const heard = follow(t, 1, null, { load });
  await heard.until(() => heard.feed.status().lastError !== null);
  const { lastError } = heard.feed.status();
  assert.equal(lastError?.code, "SPRINT_UPSTREAM_ZMQ_MISSING");
  assert.match(lastError?.message ?? "", /optional package "zeromq".*p2p:\/\//);
});

test("a feed that is closed while the package loads leaves no socket behind", { skip }, async (t) => {
  const zmq = await import("zeromq");
  const opened: { readonly closed: boolean }[] = [];
  class Subscriber extends zmq.Subscriber {
    constructor(options?: ConstructorParameters<typeof zmq.Subscriber>[0]) {
      super(options);
      opened.push(this);
    }
  }
  const loading = Promise.withResolvers<void>();
  const loaded = Promise.withResolvers<Awaited<ReturnType<NonNullable<ZmqFeedModules["load"]>>>>();
  const load = () => {
    loading.resolve();
    return loaded.promise;
  };
  const heard = follow(t, 1, null, { load });
  await loading.promise;
  const closed = heard.feed.close();
  loaded.resolve({ ...zmq, Subscriber });
  await closed;
  assert.deepEqual(
    opened.map((socket) => socket.closed),
    [true],
  );
});

test("sequence numbers: next, lost, restarted, and the turn of the counter", () => {
  const tracker = new SequenceTracker();
  assert.equal(tracker.seen("rawblock", 41), null, "the first that is heard may be any");
  assert.equal(tracker.seen("rawblock", 42), null);
  assert.equal(tracker.seen("hashblock", 7), null, "each topic counts for itself");
  assert.deepEqual(tracker.seen("rawblock", 45), { topic: "rawblock", cause: "lost", expected: 43, got: 45 });
  assert.equal(tracker.seen("rawblock", 46), null);
  assert.deepEqual(tracker.seen("rawblock", 0), { topic: "rawblock", cause: "restarted", expected: 47, got: 0 });
  assert.equal(tracker.seen("sequence", 0xffff_ffff), null);
  assert.equal(tracker.seen("sequence", 0), null, "0 after 0xffffffff is the next one");
});
