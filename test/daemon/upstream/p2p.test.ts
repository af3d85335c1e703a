import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { type TestContext, describe, test } from "node:test";
import { seededRandom } from "../../../src/shared/clock.ts";
import { isSprintError } from "../../../src/shared/errors.ts";
import { codecFor, decodeHeader, headerBytes, type UtxoHeader, paramsFor } from "../../../src/daemon/chain/index.ts";
import {
  type Announcement,
  type FeedState,
  type P2pModules,
  type P2pOptions,
  createP2pFeed,
} from "../../../src/daemon/upstream/index.ts";
import { Pinger } from "../../../src/daemon/upstream/p2p-ping.ts";
import {
  INV,
  decodeGetBlockTransactions,
  decodeGetHeaders,
  decodeInventory,
  decodeSendCompact,
  decodeVersion,
  encodeAddresses,
  encodeBlockTransactions,
  encodeCompactBlock,
  encodeGetHeaders,
  encodeHeaders,
  encodeInventory,
  encodeMessage,
  encodePing,
  encodeVersion,
  shortIdKey,
  shortIdOf,
  witnessIdOf,
} from "../../../src/daemon/wire/index.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { PEER_VERSION, startPeer } from "../../fakes/peer.ts";
import { testBreaker } from "../../fakes/breaker.ts";

const LITECOIN = codecFor(paramsFor("litecoin", "regtest"));
const DOGECOIN = codecFor(paramsFor("dogecoin", "regtest"));
const { genesisHash } = LITECOIN.params;
const never = new AbortController().signal;
const hasCode = (code: string) => (error: unknown) => isSprintError(error) && error.code === code;

/** `count` headers, the first a child of `parentHash`. Work is not looked at here. */
function headersFrom(parentHash: string, count: number, merkleRoot = "11".repeat(32)): UtxoHeader[] {
  const headers: UtxoHeader[] = [];
  let parent = parentHash;
  for (let nonce = 0; nonce < count; nonce++) {
    const raw = headerBytes({
      version: 4,
      parentHash: parent,
      merkleRoot,
      time: 1_600_000_000,
      bits: 0x207fffff,
      nonce,
    });
    const { header } = decodeHeader(raw, 0, LITECOIN.params);
    headers.push(header);
    parent = header.hash;
  }
  return headers;
}

const raws = (headers: readonly UtxoHeader[]) => headers.map(({ raw }) => raw);
const hashes = (headers: readonly { readonly hash: string }[]) => headers.map(({ hash }) => hash);

/** A transaction without witness, one input, one output of `script`. */
function transaction(script: string, lockTime = 0): Buffer {
  const end = Buffer.alloc(4);
  end.writeUInt32LE(lockTime);
  const output = `${"00".repeat(8)}${(script.length / 2).toString(16).padStart(2, "0")}${script}`;
  return Buffer.concat([Buffer.from(`0100000001${"00".repeat(36)}0151ffffffff01${output}`, "hex"), end]);
}

/** Queue of what a feed told its sink. */
class Told {
  readonly announced: Announcement[] = [];
  readonly states: [FeedState, string][] = [];
  #wake: () => void = () => {};

  wake(): void {
    this.#wake();
  }

  async state(state: FeedState): Promise<string> {
    for (;;) {
      const found = this.states.find(([seen]) => seen === state);
      if (found !== undefined) return found[1];
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async announcements(count: number): Promise<readonly Announcement[]> {
    while (this.announced.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.announced;
  }
}

interface SetUp {
  readonly options?: Partial<P2pOptions>;
  readonly modules?: Partial<P2pModules>;
}

/** A peer, and a feed that dials it; both are closed after the test. */
async function setUp(t: TestContext, { options = {}, modules = {} }: SetUp = {}) {
  const codec = modules.codec ?? LITECOIN;
  const clock = new FakeClock();
  const peer = await startPeer(codec.params.magic);
  const told = new Told();
  const feed = createP2pFeed(
    { name: "f", host: "127.0.0.1", port: peer.port, ...options },
    {
      codec,
      clock,
      random: seededRandom(1),
      breaker: testBreaker({ clock }),
      sink: {
        up() {},
        announce: (_, announcements) => {
          told.announced.push(...announcements);
          told.wake();
        },
        down() {},
      },
      onState: (_, state, reason) => {
        told.states.push([state, reason]);
        told.wake();
      },
      ...modules,
    },
  );
  t.after(async () => {
    await feed.close();
    await peer.close();
    assert.equal(clock.pending, 0, "no timer is left behind");
  });
  feed.start();
  return { feed, peer, told, clock };
}

/** The same, with the handshake done and the chain proved by one answer. */
async function setUpProved(t: TestContext, given: SetUp = {}) {
  const all = await setUp(t, given);
  const node = await all.peer.shakeHands();
  await all.told.state("up");
  const [first] = headersFrom(genesisHash, 1);
  assert.ok(first);
  const answer = all.feed.headersAfter([genesisHash], never);
  await node.next("getheaders");
  node.send("headers", encodeHeaders([first.raw]));
  await answer;
  return { ...all, node, first };
}

describe("handshake", () => {
  test("both at 70016: wtxidrelay and sendaddrv2 before verack, then high-bandwidth compact blocks", async (t) => {
    const { feed, peer, told } = await setUp(t, { options: { agent: "/sprint:test/" } });
    const node = await peer.shakeHands();
    await told.state("up");
    await node.settled();
    assert.deepEqual(
      node.heard.map(({ command }) => command),
      ["version", "wtxidrelay", "sendaddrv2", "verack", "sendheaders", "sendcmpct", "pong"],
    );
    const [version, , , , , compact] = node.heard;
    const ours = decodeVersion(version?.payload ?? Buffer.alloc(0));
    assert.deepEqual(
      [ours.version, ours.agent, ours.relay, ours.services],
      [LITECOIN.params.protocolVersion, "/sprint:test/", false, 0n],
    );
    assert.deepEqual(decodeSendCompact(compact?.payload ?? Buffer.alloc(0)), { highBandwidth: true, version: 2n });
    assert.deepEqual([feed.status().agent, feed.status().height, feed.status().connects], ["/fake:1.0/", 7, 1]);
  });

  test("an older peer is not sent what it does not know; Dogecoin has compact blocks of version 1", async (t) => {
    const { peer, told } = await setUp(t, { modules: { codec: DOGECOIN } });
    const node = await peer.shakeHands({ version: 70_015, services: 1n });
    await told.state("up");
    await node.settled();
    assert.deepEqual(
      node.heard.map(({ command }) => command),
      ["version", "verack", "sendheaders", "sendcmpct", "pong"],
    );
    assert.equal(decodeVersion(node.heard[0]?.payload ?? Buffer.alloc(0)).version, DOGECOIN.params.protocolVersion);
    assert.equal(decodeSendCompact(node.heard[3]?.payload ?? Buffer.alloc(0)).version, 1n);
  });

  const unwanted = [
    ["SPRINT_P2P_SERVICES", "that serves no blocks", { services: 8n }],
    ["SPRINT_P2P_SERVICES", "without witnesses", { services: 1n }],
    ["SPRINT_P2P_OBSOLETE", "of an old protocol", { version: 60_002 }],
  ] as const;
  for (const [code, what, version] of unwanted) {
    test(`a peer ${what} is left with ${code}`, async (t) => {
      const { feed, peer, told } = await setUp(t);
      const node = await peer.accept();
      await node.next("version");
      node.send("version", encodeVersion({ ...PEER_VERSION, ...version }));
      await told.state("down");
      await node.closed;
      assert.equal(feed.status().lastError?.code, code);
    });
  }

  test("a connection to itself is noticed by its nonce", async (t) => {
    const { feed, peer, told } = await setUp(t);
    const node = await peer.accept();
    node.send("version", await node.next("version"));
    await told.state("down");
    assert.equal(feed.status().lastError?.code, "SPRINT_P2P_SELF");
  });

  test("another network's magic, or no Bitcoin protocol at all, is a wrong network", async (t) => {
    const { feed, peer, told } = await setUp(t);
    const node = await peer.accept();
    node.socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    const reason = await told.state("down");
    assert.equal(feed.status().lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
    assert.match(reason, /expected network magic fabfb5da, got 48545450/i);
  });

  test("a closed port and a hang-up are told apart", async (t) => {
    const { feed, peer, told } = await setUp(t);
    const node = await peer.accept();
    node.socket.destroy();
    assert.match(await told.state("down"), /while shaking hands: it may be on another network/);
    assert.equal(feed.status().lastError?.code, "SPRINT_UPSTREAM_DISCONNECTED");

    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    const other = await setUp(t, { options: { port } });
    assert.match(await other.told.state("down"), /Nothing listens there/);
    assert.equal(other.feed.status().lastError?.code, "SPRINT_UPSTREAM_UNREACHABLE");
  });

  test("a peer that takes the connection and says nothing is left after the time-out", async (t) => {
    const { feed, peer, told, clock } = await setUp(t, { options: { openTimeoutMs: 4_000 } });
    const node = await peer.accept();
    await node.next("version");
    clock.advance(4_000);
    await told.state("down");
    await node.closed;
    assert.equal(feed.status().lastError?.code, "SPRINT_UPSTREAM_TIMEOUT");
  });
});

describe("announcements", () => {
  test("a compact block is told by its header at once, also when it comes byte by byte", async (t) => {
    const { told, clock, node, first } = await setUpProved(t);
    const [next] = headersFrom(first.hash, 1);
    assert.ok(next);
    clock.advance(5);
    const prefilled = [{ index: 0, transaction: transaction("51") }];
    await node.sendSlowly(
      "cmpctblock",
      encodeCompactBlock({ headerBytes: next.raw, nonce: 1n, shortIds: [1, 2, 3], prefilled }),
    );
    const [announcement] = await told.announcements(1);
    assert.deepEqual(announcement, {
      header: next,
      via: "cmpctblock",
      receivedAt: clock.now(),
      txCount: 4,
      body: null,
    });
  });

  test("headers and whole blocks that were not asked for are announcements", async (t) => {
    const { told, node, first } = await setUpProved(t);
    const [a, b, c] = headersFrom(first.hash, 3);
    assert.ok(a && b && c);
    node.send("headers", encodeHeaders([a.raw, b.raw]));
    const block = Buffer.concat([c.raw, Buffer.from([1]), transaction("51")]);
    node.send("block", block);
    const announced = await told.announcements(3);
    assert.deepEqual(
      announced.map(({ header, via }) => [header.hash, via]),
      [
        [a.hash, "headers"],
        [b.hash, "headers"],
        [c.hash, "block"],
      ],
    );
    assert.deepEqual(Buffer.from(announced[2]?.body ?? []), block);
  });

  test("an inv of a block becomes a question for its headers, behind the last one known", async (t) => {
    const { told, node, first } = await setUpProved(t);
    const [next] = headersFrom(first.hash, 1);
    assert.ok(next);
    node.send("inv", encodeInventory([{ type: INV.TX, hash: "22".repeat(32) }]));
    node.send("inv", encodeInventory([{ type: INV.BLOCK, hash: next.hash }]));
    assert.deepEqual(decodeGetHeaders(await node.next("getheaders")).locator, [first.hash, genesisHash]);
    node.send("headers", encodeHeaders([next.raw]));
    const [announcement] = await told.announcements(1);
    assert.deepEqual([announcement?.header.hash, announcement?.via], [next.hash, "inv"]);
    node.send("inv", encodeInventory([{ type: INV.BLOCK, hash: next.hash }]));
    await node.settled();
    assert.equal(
      node.heard.filter(({ command }) => command === "getheaders").length,
      2,
      "what is known is not asked for",
    );
  });

  test("what an inv hints at while a question is out is asked for afterwards", async (t) => {
    const { told, node, first } = await setUpProved(t);
    const [a, b] = headersFrom(first.hash, 2);
    assert.ok(a && b);
    node.send("inv", encodeInventory([{ type: INV.BLOCK, hash: a.hash }]));
    await node.next("getheaders");
    node.send("inv", encodeInventory([{ type: INV.BLOCK, hash: b.hash }]));
    node.send("headers", encodeHeaders([a.raw]));
    assert.equal(decodeGetHeaders(await node.next("getheaders")).locator[0], a.hash);
    node.send("headers", encodeHeaders([b.raw]));
    const announced = await told.announcements(2);
    assert.deepEqual(
      announced.map(({ header }) => header.hash),
      [a.hash, b.hash],
    );
  });

  test("before there is a locator, an inv is answered by asking for the block itself", async (t) => {
    const { peer, told } = await setUp(t);
    const node = await peer.shakeHands();
    const [next] = headersFrom(genesisHash, 1);
    assert.ok(next);
    await told.state("up");
    node.send("inv", encodeInventory([{ type: INV.BLOCK, hash: next.hash }]));
    assert.deepEqual(decodeInventory(await node.next("getdata")), [
      { type: LITECOIN.params.blockInvType, hash: next.hash },
    ]);
    node.send("block", Buffer.concat([next.raw, Buffer.from([1]), transaction("51")]));
    const [announcement] = await told.announcements(1);
    assert.deepEqual(
      [announcement?.header.hash, announcement?.body?.length],
      [next.hash, 81 + transaction("51").length],
    );
  });

  test("a peer that asks us for headers hears that we have none", async (t) => {
    const { node } = await setUpProved(t);
    node.send("getheaders", encodeGetHeaders({ version: 70_016, locator: [genesisHash], stop: "00".repeat(32) }));
    assert.deepEqual(await node.next("headers"), Buffer.from([0]));
  });
});

describe("headersAfter", () => {
  test("an empty answer is nothing newer", async (t) => {
    const { feed, node } = await setUpProved(t);
    const answer = feed.headersAfter(["aa".repeat(32), genesisHash], never);
    await node.next("getheaders");
    node.send("headers", encodeHeaders([]));
    assert.deepEqual(await answer, []);
  });

  test("an announcement on another branch that comes in between is not taken for the answer", async (t) => {
    const { feed, told, node, first } = await setUpProved(t);
    const ours = headersFrom(first.hash, 3);
    const other = headersFrom("bb".repeat(32), 1, "22".repeat(32));
    const answer = feed.headersAfter([first.hash, genesisHash], never);
    await node.next("getheaders");
    node.send("headers", encodeHeaders(raws(other)));
    node.send("headers", encodeHeaders(raws(ours)));
    assert.deepEqual(hashes(await answer), hashes(ours));
    assert.deepEqual(
      told.announced.map(({ header }) => header.hash),
      hashes(other),
    );
  });

  test("questions go out one after the other; one that is given up does not block the next", async (t) => {
    const { feed, node, first } = await setUpProved(t);
    const ours = headersFrom(first.hash, 2);
    const gaveUp = new AbortController();
    const one = feed.headersAfter([genesisHash], gaveUp.signal);
    const two = feed.headersAfter([first.hash, genesisHash], never);
    await node.next("getheaders");
    await node.settled();
    assert.equal(
      node.heard.filter(({ command }) => command === "getheaders").length,
      2,
      "the first of setUp and this one",
    );
    gaveUp.abort(new Error("given up"));
    await assert.rejects(one, /given up/);
    assert.deepEqual(decodeGetHeaders(await node.next("getheaders")).locator, [first.hash, genesisHash]);
    node.send("headers", encodeHeaders(raws(ours)));
    assert.deepEqual(hashes(await two), hashes(ours));
  });

  test("an answer that starts at none of our blocks is another chain", async (t) => {
    const { feed, peer, told } = await setUp(t);
    const node = await peer.shakeHands();
    await told.state("up");
    const asked = assert.rejects(feed.headersAfter([genesisHash], never), hasCode("SPRINT_UPSTREAM_WRONG_NETWORK"));
    await node.next("getheaders");
    node.send("headers", encodeHeaders(raws(headersFrom("cc".repeat(32), 2))));
    await asked;
    assert.match(await told.state("down"), /is on another chain or network/);
  });
});

describe("body", () => {
  const transactions = [transaction("51"), transaction("52", 1), transaction("53", 2), transaction("54", 3)];

  function blockOf(parentHash: string, parts = transactions) {
    const [header] = headersFrom(parentHash, 1);
    assert.ok(header);
    const raw = Buffer.concat([header.raw, Buffer.from([parts.length]), ...parts]);
    const key = shortIdKey(header.raw, 9n);
    const [coinbase, ...others] = parts;
    assert.ok(coinbase);
    const shortIds = others.map((part) => shortIdOf(key, witnessIdOf(part)));
    const compact = encodeCompactBlock({
      headerBytes: header.raw,
      nonce: 9n,
      shortIds,
      prefilled: [{ index: 0, transaction: coinbase }],
    });
    return { header, raw, compact };
  }

  test("by getdata, with the chain's type, where there is no compact block", async (t) => {
    const { feed, node, first } = await setUpProved(t);
    const { header, raw } = blockOf(first.hash);
    const [one, two] = [feed.body(header.hash, never), feed.body(header.hash, never)];
    // This peer serves no extension blocks, so they are not asked for.
    assert.deepEqual(decodeInventory(await node.next("getdata")), [{ type: INV.WITNESS_BLOCK, hash: header.hash }]);
    node.send("block", raw);
    assert.deepEqual(Buffer.from(await one), raw);
    assert.deepEqual(Buffer.from(await two), raw);
    assert.equal(node.heard.filter(({ command }) => command === "getdata").length, 1);
  });

  test("notfound is an answer", async (t) => {
    const { feed, node } = await setUpProved(t);
    const body = assert.rejects(feed.body("dd".repeat(32), never), hasCode("SPRINT_UPSTREAM_NOT_FOUND"));
    node.send("notfound", encodeInventory(decodeInventory(await node.next("getdata"))));
    await body;
    assert.equal(feed.status().state, "up");
  });

  test("from the compact block, asking only for what is missing", async (t) => {
    const { feed, node, first, told } = await setUpProved(t);
    const { header, raw, compact } = blockOf(first.hash);
    node.send("cmpctblock", compact);
    await told.announcements(1);
    const body = feed.body(header.hash, never);
    assert.deepEqual(decodeGetBlockTransactions(await node.next("getblocktxn")), {
      blockHash: header.hash,
      indexes: [1, 2, 3],
    });
    node.send("blocktxn", encodeBlockTransactions({ blockHash: header.hash, transactions: transactions.slice(1) }));
    assert.deepEqual(Buffer.from(await body), raw);
    assert.ok(!node.heard.some(({ command }) => command === "getdata"));
  });

  test("a compact block that has everything needs no question", async (t) => {
    const { feed, node, first, told } = await setUpProved(t);
    const { header, raw, compact } = blockOf(first.hash, transactions.slice(0, 1));
    node.send("cmpctblock", compact);
    await told.announcements(1);
    assert.deepEqual(Buffer.from(await feed.body(header.hash, never)), raw);
  });

  for (const [what, answer] of [
    ["too few transactions", transactions.slice(2)],
    ["nothing in time", null],
  ] as const) {
    test(`${what}: the whole block is asked for`, async (t) => {
      const { feed, node, first, told, clock } = await setUpProved(t, { options: { compactTimeoutMs: 1_000 } });
      const { header, raw, compact } = blockOf(first.hash);
      node.send("cmpctblock", compact);
      await told.announcements(1);
      const body = feed.body(header.hash, never);
      await node.next("getblocktxn");
      if (answer === null) clock.advance(1_000);
      else node.send("blocktxn", encodeBlockTransactions({ blockHash: header.hash, transactions: answer }));
      await node.next("getdata");
      node.send("block", raw);
      assert.deepEqual(Buffer.from(await body), raw);
    });
  }

  test("a block with an extension is asked for whole, and so are those after it", async (t) => {
    const { feed, peer, told } = await setUp(t);
    const node = await peer.shakeHands({ services: PEER_VERSION.services | (1n << 24n) });
    await told.state("up");
    const hogEx = transaction(`5820${"77".repeat(32)}`);
    const one = blockOf(genesisHash, [transaction("51"), hogEx]);
    node.send("cmpctblock", one.compact);
    await told.announcements(1);
    const body = feed.body(one.header.hash, never);
    await node.next("getblocktxn");
    node.send("blocktxn", encodeBlockTransactions({ blockHash: one.header.hash, transactions: [hogEx] }));
    assert.deepEqual(decodeInventory(await node.next("getdata")), [{ type: INV.MWEB_BLOCK, hash: one.header.hash }]);
    const extended = Buffer.concat([one.raw, Buffer.from("0102", "hex")]);
    node.send("block", extended);
    assert.deepEqual(Buffer.from(await body), extended);

    const two = blockOf(one.header.hash, [transaction("51"), hogEx]);
    node.send("cmpctblock", two.compact);
    await told.announcements(2);
    const next = feed.body(two.header.hash, never);
    await node.next("getdata");
    node.send("block", two.raw);
    await next;
    assert.equal(node.heard.filter(({ command }) => command === "getblocktxn").length, 1);
  });

  test("an aborted question leaves nothing behind, and a late block is then an announcement", async (t) => {
    const { feed, node, first, told } = await setUpProved(t);
    const { header, raw } = blockOf(first.hash);
    const gaveUp = new AbortController();
    const body = assert.rejects(feed.body(header.hash, gaveUp.signal), /given up/);
    await node.next("getdata");
    gaveUp.abort(new Error("given up"));
    await body;
    node.send("block", raw);
    assert.equal((await told.announcements(1))[0]?.via, "block");
  });
});

describe("misbehaviour ends the connection with a code", () => {
  const magic = LITECOIN.params.magic;
  const damaged = Buffer.from(encodeMessage(magic, "ping", Buffer.alloc(8)));
  damaged.writeUInt8(1, 30);
  const oversized = Buffer.from(encodeMessage(magic, "block"));
  oversized.writeUInt32LE(0x7fff_ffff, 16);
  const [a, , c] = headersFrom(genesisHash, 3);
  assert.ok(a && c);
  const bad: readonly (readonly [string, string, Uint8Array])[] = [
    ["SPRINT_P2P_BAD_CHECKSUM", "a damaged payload", damaged],
    ["SPRINT_P2P_OVERSIZED", "two gigabytes announced", oversized],
    ["SPRINT_P2P_BAD_COMMAND", "a command that is no text", Buffer.concat([magic, Buffer.alloc(20, 0xff)])],
    ["SPRINT_P2P_MALFORMED", "a cut inv", encodeMessage(magic, "inv", Buffer.from([5, 0]))],
    [
      "SPRINT_P2P_MALFORMED",
      "headers that do not follow each other",
      encodeMessage(magic, "headers", encodeHeaders([a.raw, c.raw])),
    ],
    [
      "SPRINT_P2P_MALFORMED",
      "more headers than allowed",
      encodeMessage(magic, "headers", Buffer.from("fdd107", "hex")),
    ],
    ["SPRINT_DECODE_TRUNCATED", "a cut block", encodeMessage(magic, "block", Buffer.alloc(40))],
    [
      "SPRINT_P2P_FLOOD",
      "a flood",
      Buffer.concat(Array.from({ length: 5_100 }, () => encodeMessage(magic, "sendheaders"))),
    ],
  ];
  for (const [code, what, bytes] of bad) {
    test(`${what}: ${code}`, async (t) => {
      const { feed, node, told } = await setUpProved(t);
      node.socket.write(bytes);
      const reason = await told.state("down");
      await node.closed;
      assert.equal(feed.status().lastError?.code, code);
      assert.match(reason, /^p2p:\/\/127\.0\.0\.1:\d+/);
    });
  }
});

describe("keeping the connection", () => {
  test("a ping is answered with its nonce", async (t) => {
    const { node } = await setUpProved(t);
    node.send("ping", encodePing(77n));
    assert.deepEqual(await node.next("pong"), Buffer.from(encodePing(77n)));
  });

  test("a peer that answers our pings stays, one that does not is a black hole", async (t) => {
    const { feed, node, told, clock } = await setUpProved(t, { options: { pingEveryMs: 1_000, pongTimeoutMs: 100 } });
    clock.advance(1_000);
    node.send("pong", await node.next("ping"));
    await node.settled();
    clock.advance(900);
    assert.equal(feed.status().state, "up");
    clock.advance(100);
    await node.next("ping");
    node.send("pong", encodePing(1n));
    await node.settled();
    clock.advance(100);
    await told.state("down");
    assert.equal(feed.status().lastError?.code, "SPRINT_P2P_PING_TIMEOUT");
  });

  test("a pong behind a large block may be late, but not for ever", () => {
    const clock = new FakeClock();
    const sent: string[] = [];
    let arriving = true;
    let timedOut = 0;
    const pinger = new Pinger(
      { pingEveryMs: 1_000, pongTimeoutMs: 100 },
      {
        clock,
        send: (command) => sent.push(command),
        isArriving: () => arriving,
        onTimeout: () => timedOut++,
      },
    );
    pinger.start();
    clock.advance(1_600);
    assert.deepEqual([sent, timedOut], [["ping"], 0]);
    arriving = false;
    clock.advance(100);
    assert.equal(timedOut, 1);
    pinger.start();
    arriving = true;
    clock.advance(1_700);
    assert.deepEqual([sent.length, timedOut], [2, 2]);
    pinger.stop();
    assert.equal(clock.pending, 0);
  });

  test("after a disconnect it comes back by itself", async (t) => {
    const { feed, peer, node, told, clock } = await setUpProved(t);
    node.socket.destroy();
    await told.state("down");
    clock.advance(60_000);
    const again = await peer.shakeHands();
    await again.settled();
    assert.deepEqual([feed.status().state, feed.status().connects], ["up", 2]);
  });

  test("cordon hangs up, and nothing comes through any more", async (t) => {
    const { feed, node, told } = await setUpProved(t);
    feed.cordon("lied", 1_000_000);
    await node.closed;
    assert.deepEqual([feed.status().state, told.announced.length], ["cordoned", 0]);
  });

  test("where addresses are wanted, they are asked for and handed on", async (t) => {
    const seen: string[] = [];
    const onAddresses: P2pModules["onAddresses"] = (list) =>
      seen.push(...list.map(({ host, port }) => `${host}:${port}`));
    const { node } = await setUpProved(t, { modules: { onAddresses } });
    await node.next("getaddr");
    node.send("addr", encodeAddresses([{ time: 1, services: 9n, network: "ipv4", host: "10.1.2.3", port: 19_444 }]));
    await node.settled();
    assert.deepEqual(seen, ["10.1.2.3:19444"]);
  });
});
