/** The devnet node as a peer sees it, over real sockets. */
import assert from "node:assert/strict";
import { type TestContext, describe, test } from "node:test";
import { type UtxoHeader, decodeHeader, paramsFor } from "../../../src/daemon/chain/index.ts";
import { DevnetNode, type DevnetNodeModules, type DevnetNodeOptions } from "../../../src/daemon/devnet/index.ts";
import {
  INV,
  decodeAddresses,
  decodeBlockTransactions,
  decodeCompactBlock,
  decodeHeaders,
  decodeInventory,
  decodeSendCompact,
  decodeVersion,
  encodeGetBlockTransactions,
  encodeInventory,
  encodeMessage,
  shortIdKey,
  shortIdOf,
  witnessIdOf,
} from "../../../src/daemon/wire/index.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { type Client, dial, greet } from "./client.ts";

const PARAMS = paramsFor("bitcoin", "regtest");
const CODEC = { params: PARAMS };
const readHeader = (bytes: Uint8Array, offset: number): { value: UtxoHeader; end: number } => {
  const { header, end } = decodeHeader(bytes, offset, PARAMS);
  return { value: header, end };
};
const headersOf = (payload: Uint8Array): string[] => decodeHeaders(payload, readHeader).map((header) => header.hash);
const blockHashOf = (block: Uint8Array): string => readHeader(block, 0).value.hash;

async function start(
  context: TestContext,
  options: Partial<DevnetNodeOptions> = {},
  modules: Partial<DevnetNodeModules> = {},
): Promise<DevnetNode> {
  const node = new DevnetNode(
    { chain: "bitcoin", ...options },
    { codec: CODEC, clock: systemClock, random: seededRandom(1), ...modules },
  );
  await node.start();
  context.after(() => node.close());
  return node;
}

/** A client that the node knows to have the tip. */
async function follow(
  context: TestContext,
  node: DevnetNode,
  wishes: Parameters<typeof greet>[2] = {},
): Promise<Client> {
  const client = await greet(node.address.port, PARAMS, wishes);
  context.after(() => client.close());
  await client.getHeaders([node.tip.hash]);
  return client;
}

test("shakes hands as Core does and counts what it saw", async (context) => {
  const node = await start(context);
  const client = await greet(node.address.port, PARAMS);
  context.after(() => client.close());
  await client
    .next("sendcmpct")
    .then((payload) => assert.deepEqual(decodeSendCompact(payload), { highBandwidth: false, version: 2n }));
  assert.deepEqual(
    client.received.slice(0, 6).map((message) => message.command),
    ["version", "wtxidrelay", "sendaddrv2", "verack", "sendheaders", "sendcmpct"],
  );
  const version = decodeVersion(await client.next("version"));
  assert.equal(version.height, 12);
  assert.equal(version.version, PARAMS.protocolVersion);
  client.send("getaddr");
  assert.deepEqual(decodeAddresses(await client.next("addr")), []);
  assert.equal(node.peers, 1);
  const { connections, handshakes, messages } = node.seen;
  assert.deepEqual({ connections, handshakes }, { connections: 1, handshakes: 1 });
  assert.deepEqual(messages, { version: 1, verack: 1, ping: 1, getaddr: 1 });
});

test("getheaders answers after the first hash it knows, and after genesis where it knows none", async (context) => {
  const node = await start(context);
  const client = await follow(context, node);
  const truth = node.blocks;
  assert.equal(truth[0], PARAMS.genesisHash);
  assert.deepEqual(
    headersOf(await client.getHeaders(["ab".repeat(32), truth[5] as string, truth[2] as string])),
    truth.slice(6),
  );
  assert.deepEqual(headersOf(await client.getHeaders([])), truth.slice(1));
  assert.deepEqual(headersOf(await client.getHeaders([node.tip.hash])), []);
});

test("getdata gives blocks with and without witness, and says what is not there", async (context) => {
  const node = await start(context);
  const client = await follow(context, node);
  const sizes: number[][] = [];
  for (const hash of node.blocks.slice(1)) {
    const pair: number[] = [];
    for (const type of [INV.BLOCK, INV.WITNESS_BLOCK]) {
      client.getData(type, hash);
      const block = await client.next("block");
      assert.equal(blockHashOf(block), hash);
      pair.push(block.length);
    }
    sizes.push(pair);
  }
  assert.ok(
    sizes.every(([stripped = 0, full = 0]) => full > stripped),
    "each coinbase has a witness",
  );
  const unknown = { type: INV.WITNESS_BLOCK, hash: "cd".repeat(32) };
  const transaction = { type: INV.TX, hash: "ef".repeat(32) };
  client.send("getdata", encodeInventory([unknown, { type: INV.BLOCK, hash: node.tip.hash }, transaction]));
  assert.deepEqual(decodeInventory(await client.next("notfound")), [unknown, transaction]);
});

describe("announces each block", () => {
  test("by cmpctblock to a high-bandwidth peer that has the parent; getblocktxn gives the rest", async (context) => {
    const node = await start(context);
    const client = await follow(context, node, { sendHeaders: true, compact: 2n });
    let asked = 0;
    for (const hash of await node.mine(6)) {
      const compact = decodeCompactBlock(await client.next("cmpctblock"), readHeader);
      assert.equal(compact.header.hash, hash);
      assert.deepEqual(
        compact.prefilled.map((entry) => entry.index),
        [0],
      );
      const indexes = compact.shortIds.map((_, i) => i + 1);
      asked += indexes.length;
      client.send("getblocktxn", encodeGetBlockTransactions({ blockHash: hash, indexes }));
      const answer = decodeBlockTransactions(await client.next("blocktxn"));
      assert.equal(answer.blockHash, hash);
      const key = shortIdKey(compact.headerBytes, compact.nonce);
      assert.deepEqual(
        answer.transactions.map((bytes) => shortIdOf(key, Buffer.from(witnessIdOf(bytes)))),
        compact.shortIds,
      );
    }
    assert.ok(asked > 0, "some block had more than its coinbase");
  });

  test("by headers to a peer that asked for them", async (context) => {
    const node = await start(context);
    const client = await follow(context, node, { sendHeaders: true });
    for (const hash of await node.mine(3)) assert.deepEqual(headersOf(await client.next("headers")), [hash]);
  });

  test("by inv to all others, and to those that may not have the parent", async (context) => {
    const node = await start(context);
    const plain = await follow(context, node);
    const blind = await greet(node.address.port, PARAMS, { sendHeaders: true, compact: 2n });
    context.after(() => blind.close());
    const [hash = ""] = await node.mine();
    for (const client of [plain, blind]) {
      assert.deepEqual(decodeInventory(await client.next("inv")), [{ type: INV.BLOCK, hash }]);
    }
  });

  test("not by compact blocks of a version that it does not speak", async (context) => {
    const node = await start(context);
    const client = await follow(context, node, { sendHeaders: true, compact: 1n });
    const [hash] = await node.mine();
    assert.deepEqual(headersOf(await client.next("headers")), [hash]);
  });
});

test("getdata for an old compact block gives the whole block", async (context) => {
  const node = await start(context);
  const client = await follow(context, node);
  client.getData(INV.COMPACT_BLOCK, node.blocks[3] as string);
  assert.equal(blockHashOf(await client.next("block")), node.blocks[3]);
  client.getData(INV.COMPACT_BLOCK, node.tip.hash);
  assert.equal(decodeCompactBlock(await client.next("cmpctblock"), readHeader).header.hash, node.tip.hash);
});

describe("takes orders", () => {
  test("fork: the heavier branch is announced whole, the reverted blocks leave the truth", async (context) => {
    const node = await start(context);
    const client = await follow(context, node, { sendHeaders: true, compact: 2n });
    const before = node.blocks;
    const { reverted, applied } = await node.fork(5, 7);
    assert.deepEqual(reverted, before.slice(-5).reverse());
    assert.deepEqual(node.blocks, [...before.slice(0, -5), ...applied]);
    assert.deepEqual(headersOf(await client.next("headers")), applied.slice(0, 6));
    assert.equal(decodeCompactBlock(await client.next("cmpctblock"), readHeader).header.hash, applied[6]);
    client.getData(INV.BLOCK, reverted[0] as string);
    assert.equal(blockHashOf(await client.next("block")), reverted[0], "the old branch is still served");
  });

  test("fork: refuses a branch that would not win", async (context) => {
    const node = await start(context);
    for (const [depth, length] of [
      [3, 3],
      [0, 1],
      [13, 14],
      [101, 102],
    ] as const) {
      await assert.rejects(
        node.fork(depth, length),
        (error) => error instanceof SprintError && error.code === "SPRINT_DEVNET_FORK",
      );
    }
  });

  test("stall and resume: silence, then the missed blocks", async (context) => {
    const node = await start(context);
    const client = await follow(context, node, { sendHeaders: true });
    node.stall();
    const [missed] = await node.mine();
    const question = client.getHeaders([PARAMS.genesisHash]);
    const late = await dial(node.address.port, PARAMS);
    context.after(() => late.close());
    const count = client.received.length;
    const messages = node.seen.messages;
    // Another node's answer shows that there was time to answer.
    const other = await start(context);
    await follow(context, other);
    assert.equal(client.received.length, count);
    assert.deepEqual(node.seen.messages, messages);
    node.resume();
    assert.deepEqual(headersOf(await question), [missed]);
    assert.equal(headersOf(await client.next("headers")).length, 13);
  });

  test("stall: no time-out closes a socket that is to stay open", async (context) => {
    const clock = new FakeClock();
    const node = await start(context, {}, { clock });
    const client = await follow(context, node);
    node.stall();
    assert.equal(clock.pending, 0);
    clock.advance(600_000);
    node.resume();
    await client.settle();
    clock.advance(60_000);
    await client.next("ping");
    assert.equal(node.peers, 1);
  });

  test("splitMessages: every message arrives whole, in pieces", async (context) => {
    const node = await start(context);
    const client = await follow(context, node);
    const before = client.chunks.length;
    node.splitMessages(7);
    assert.deepEqual(headersOf(await client.getHeaders([])), node.blocks.slice(1));
    assert.ok(client.chunks.length - before > 20, `in ${client.chunks.length - before} pieces`);
  });

  test("sendRaw and disconnect", async (context) => {
    const node = await start(context);
    const client = await follow(context, node);
    node.sendRaw(encodeMessage(PARAMS.magic, "alien", Buffer.from("hello")));
    assert.equal(Buffer.from(await client.next("alien")).toString(), "hello");
    node.disconnect();
    await client.closed;
    assert.equal(node.peers, 0);
  });

  test("close and start: the same chain at the same port", async (context) => {
    const node = await start(context);
    const { port } = node.address;
    await node.mine(2);
    const truth = node.blocks;
    await node.close();
    await assert.rejects(node.mine(), (error) => error instanceof SprintError && error.code === "SPRINT_DEVNET_CLOSED");
    await node.start();
    assert.equal(node.address.port, port);
    const client = await follow(context, node);
    assert.deepEqual(headersOf(await client.getHeaders([])), truth.slice(1));
  });

  test("a second node with the same store announces what the first mines", async (context) => {
    const first = await start(context);
    const second = await start(context, {}, { store: first.store });
    const client = await follow(context, second, { sendHeaders: true });
    const [hash] = await first.mine();
    assert.deepEqual(headersOf(await client.next("headers")), [hash]);
    assert.deepEqual(second.blocks, first.blocks);
  });

  test("lag: announces late, by the clock that it was given", async (context) => {
    const clock = new FakeClock();
    const node = await start(context, {}, { clock });
    const client = await follow(context, node, { sendHeaders: true });
    node.lag(500);
    const [hash] = await node.mine();
    clock.advance(499);
    await client.settle();
    assert.equal(client.received.filter((message) => message.command === "headers").length, 1);
    clock.advance(1);
    assert.deepEqual(headersOf(await client.next("headers")), [hash]);
  });
});

describe("hangs up on", () => {
  const ping = encodeMessage(PARAMS.magic, "ping", Buffer.alloc(8));
  const cases: Readonly<Record<string, (client: Client, node: DevnetNode) => void>> = {
    "another network's magic": (client) => client.sendRaw(Buffer.from("f9beb4d9", "hex")),
    "a wrong checksum": (client) =>
      client.sendRaw(Buffer.concat([ping.subarray(0, 20), Buffer.alloc(4, 1), ping.subarray(24)])),
    "a message too long": (client) => {
      const head = Buffer.from(ping.subarray(0, 24));
      head.writeUInt32LE(1_800_010, 16);
      client.sendRaw(head);
    },
    "a ping without nonce": (client) => client.send("ping", Buffer.alloc(3)),
    "a second version": (client) => client.send("version", Buffer.alloc(100)),
    "wtxidrelay after verack": (client) => client.send("wtxidrelay"),
    "a locator too long": (client) => client.send("getheaders", Buffer.alloc(5 + 102 * 32 + 32, 102)),
    "an index beyond the block": (client, node) =>
      client.send("getblocktxn", encodeGetBlockTransactions({ blockHash: node.tip.hash, indexes: [500] })),
  };
  for (const [name, misbehave] of Object.entries(cases)) {
    test(name, async (context) => {
      const refusals: string[] = [];
      const node = await start(context, {}, { onRefused: (error) => refusals.push(error.code) });
      const other = await follow(context, node);
      const client = await follow(context, node);
      misbehave(client, node);
      await client.closed;
      assert.equal(refusals.length, 1);
      assert.match(refusals[0] ?? "", /^SPRINT_(P2P|DEVNET)_/);
      assert.deepEqual(headersOf(await other.getHeaders([node.tip.hash])), [], "the other peer noticed nothing");
    });
  }

  test("a peer that does not say version first", async (context) => {
    const node = await start(context);
    const client = await dial(node.address.port, PARAMS);
    client.send("verack");
    await client.closed;
  });

  test("a peer that says nothing, and one that answers no ping", async (context) => {
    const clock = new FakeClock();
    const node = await start(context, {}, { clock });
    const mute = await follow(context, node);
    const silent = await dial(node.address.port, PARAMS);
    while (node.seen.connections < 2) await mute.settle();
    clock.advance(10_000);
    await silent.closed;
    assert.equal(node.peers, 1);
    clock.advance(120_000);
    await mute.closed;
  });

  test("one peer more than it may have", async (context) => {
    const node = await start(context, { maxPeers: 2 });
    await follow(context, node);
    await follow(context, node);
    const third = await dial(node.address.port, PARAMS);
    await third.closed;
    assert.equal(node.peers, 2);
  });
});

test("mines by the clock, forks by chance, and stops when closed", async (context) => {
  const clock = new FakeClock();
  const mined: number[] = [];
  let reorgs = 0;
  const node = await start(
    context,
    { blockIntervalMs: 1_000, forkChance: 0.3 },
    { clock, onBlock: ({ height }) => mined.push(height) },
  );
  node.store.onTip(({ reverted }) => {
    if (reverted.length > 0) reorgs++;
  });
  const from = node.tip.height;
  while (mined.length < 40) await clock.advanceAsync(1_500);
  assert.ok(reorgs > 0, "a fork in forty blocks");
  assert.ok(node.tip.height > from + 20);
  await node.close();
  assert.equal(clock.pending, 0);
  const { height } = node.tip;
  await clock.advanceAsync(10_000);
  assert.equal(node.tip.height, height);
});

test("a port in use is said in a sentence", async (context) => {
  const node = await start(context);
  const second = new DevnetNode(
    { chain: "bitcoin", port: node.address.port },
    { codec: CODEC, clock: systemClock, random: seededRandom(1) },
  );
  await assert.rejects(
    second.start(),
    (error) => error instanceof SprintError && error.code === "SPRINT_DEVNET_LISTEN",
  );
});

test("the same seed mines the same chain", async (context) => {
  const clock = new FakeClock();
  const [a, b, c] = await Promise.all(
    [1, 1, 2].map((seed) => start(context, {}, { clock, random: seededRandom(seed) })),
  );
  assert.deepEqual(a?.blocks, b?.blocks);
  assert.notDeepEqual(a?.blocks, c?.blocks);
});
