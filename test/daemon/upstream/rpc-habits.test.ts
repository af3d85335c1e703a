/** What RpcNode and the RPC link make of nodes that behave oddly; the chain they serve is real. */
import { strict as assert } from "node:assert";
import { type TestContext, test } from "node:test";
import { openRpcNode, createRpcFeed, type RpcFeedOptions } from "../../../src/daemon/upstream/rpc.ts";
import { parseUpstreamUrl, type RpcUpstreamAddress } from "../../../src/daemon/upstream/url.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { hasData, readData } from "../../fakes/data.ts";
import { type FakeRpcNode, fakeRpcNode } from "../../fakes/rpc-node.ts";
import { fakeBlock, firstBitcoinBlocks } from "./blocks.ts";
import { headerCodec, listen, type Listener, type ListenOptions, never } from "./listener.ts";

const skip = !hasData && "no chain data";
const bitcoin = headerCodec("bitcoin", "mainnet");
const blocks = hasData ? firstBitcoinBlocks(600) : [];
const hashes = blocks.map(({ hash }) => hash);

function rpcAddress(url: string): RpcUpstreamAddress {
  const address = parseUpstreamUrl(url);
  assert.ok(address.kind === "rpc");
  return address;
}

function follow(
  t: TestContext,
  node: FakeRpcNode,
  options: Partial<RpcFeedOptions> = {},
  listening: ListenOptions = {},
): Listener {
  const address = rpcAddress(node.url);
  const create: Parameters<typeof listen>[2] = (given, modules) =>
    createRpcFeed({ ...given, address, pollMs: 5, ...options }, modules);
  return listen(t, bitcoin, create, listening);
}

function ask(t: TestContext, node: FakeRpcNode, codec = bitcoin) {
  const opened = openRpcNode(rpcAddress(node.url).rpc, { codec, clock: systemClock });
  t.after(() => opened.client.close());
  return opened.node;
}

const waitIsOut = (node: FakeRpcNode): Promise<void> => node.until(() => node.waits() > 0);

/** As above, and the look at the best hash that goes with each wait is over: from now on the wait alone tells. */
function onlyWaiting(node: FakeRpcNode): Promise<void> {
  const count = (method: string) => node.calls.get(method) ?? 0;
  return node.until(() => node.waits() > 0 && count("getbestblockhash") === count("waitfornewblock"));
}

test("a block between two waits is not missed", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 5));
  const heard = follow(t, node);
  await heard.until(() => heard.filled());
  await onlyWaiting(node);
  // The wait tells of block 5; block 6 comes before the next wait and no wait ever tells of it.
  node.chain.push(...blocks.slice(5, 6));
  node.releaseWaits("tell");
  node.chain.push(...blocks.slice(6, 7));
  await heard.until(() => heard.hashes.length === 6);
  assert.deepEqual(heard.hashes, hashes.slice(1, 7));
});

test("a wait that the server cuts is not the end of the node", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 5));
  const heard = follow(t, node, { longPollMs: 2000 });
  await heard.until(() => heard.filled());
  for (let next = 5; heard.hashes.length < 8; next++) {
    await waitIsOut(node);
    node.chain.push(...blocks.slice(next, next + 1));
    // Dropped twice: the client repeats a dropped call once.
    node.releaseWaits("drop");
    await waitIsOut(node);
    node.releaseWaits("drop");
    await heard.until(() => heard.hashes.length === next);
    // 2000, 1000, 500, and no more: from then on it is polled.
    if (next === 7) break;
  }
  node.chain.push(...blocks.slice(8, 12));
  await heard.until(() => heard.hashes.length === 11);
  assert.deepEqual(heard.hashes, hashes.slice(1, 12));
  assert.equal(node.calls.get("waitfornewblock"), 6);
  assert.deepEqual(heard.downs, []);
});

test("a tip that nothing told before leads to is told alone", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 300));
  const heard = follow(t, node, {}, { orphansAllowed: true });
  await heard.until(() => heard.filled());
  await onlyWaiting(node);
  // The node knows none of what it told before: another chain behind the same genesis block.
  node.chain = [...blocks.slice(0, 1), ...blocks.slice(400, 402)];
  node.releaseWaits("tell");
  await heard.until(() => heard.announced.length > 0);
  assert.deepEqual(
    heard.announced.map(({ header }) => header.hash),
    [hashes[401]],
  );
});

test("a node that takes no batches is asked one by one", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 250));
  node.takesBatches = false;
  const asked = ask(t, node);
  for (const _ of [1, 2]) {
    const headers = await asked.headersAfter([hashes[3] ?? ""], never);
    assert.deepEqual(
      headers.map(({ hash }) => hash),
      hashes.slice(4, 250),
    );
  }
});

test("a reorg while headers are fetched ends the answer, without a hole", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 50));
  let asked = 0;
  node.habits.set("getblockhash", ([height]) => {
    // The chain is replaced from height 30 on by something else in the middle of the answer.
    if (++asked > 31 && (height as number) >= 30) return hashes[(height as number) + 100];
    return hashes[height as number];
  });
  node.habits.set("getblockheader", ([hash]) =>
    Buffer.from(blocks[hashes.indexOf(hash as string)]?.header ?? []).toString("hex"),
  );
  const headers = await ask(t, node).headersFrom({ hash: hashes[0] ?? "", height: 0 }, never);
  assert.deepEqual(
    headers.map(({ hash }) => hash),
    hashes.slice(1, 32),
  );
});

test("another block than the one asked for is told apart", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 5));
  const other = Buffer.from(blocks[2]?.raw ?? []).toString("hex");
  node.habits.set("getblock", () => other);
  node.habits.set("getblockheader", () => other.slice(0, 160));
  const asked = ask(t, node);
  await assert.rejects(asked.body(hashes[3] ?? "", never), { code: "SPRINT_UPSTREAM_WRONG_BLOCK" });
  await assert.rejects(asked.header(hashes[3] ?? "", never), { code: "SPRINT_UPSTREAM_WRONG_BLOCK" });
});

test("results of a wrong shape have a code", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 5));
  const asked = ask(t, node);
  const cases: readonly (readonly [method: string, result: unknown, call: () => Promise<unknown>])[] = [
    ["getblockhash", 7, () => asked.identify(never)],
    ["getblockhash", "AB".repeat(32), () => asked.identify(never)],
    ["getblockchaininfo", { blocks: -1, bestblockhash: hashes[1] }, () => asked.identify(never)],
    ["getblockchaininfo", "fine", () => asked.identify(never)],
    ["getbestblockhash", null, () => asked.bestHash(never)],
    ["waitfornewblock", { hash: hashes[1], height: 1.5 }, () => asked.waitForNewBlock(1000, never)],
    ["getblock", "zz", () => asked.body(hashes[1] ?? "", never)],
    ["getblock", { hash: hashes[1] }, () => asked.body(hashes[1] ?? "", never)],
    ["getblockheader", "abc", () => asked.header(hashes[1] ?? "", never)],
    ["getblockcount", "4", () => asked.headersAfter([], never)],
  ];
  for (const [method, result, call] of cases) {
    node.habits.set(method, () => result);
    await assert.rejects(call(), { code: "SPRINT_RPC_SHAPE" }, `${method} ${JSON.stringify(result)}`);
    node.habits.delete(method);
  }
  node.habits.set("getblockheader", () => "00".repeat(79));
  await assert.rejects(asked.header(hashes[1] ?? "", never), { code: "SPRINT_DECODE_TRUNCATED" });
});

test("an upstream that answers wrongly is down with the reason, and up when it is well again", { skip }, async (t) => {
  const node = await fakeRpcNode(t, blocks.slice(0, 5));
  const heard = follow(t, node);
  await heard.until(() => heard.filled());
  for (const [status, text, code] of [
    [200, "<html>captive portal</html>", "SPRINT_RPC_NOT_JSON"],
    [401, "", "SPRINT_RPC_UNAUTHORIZED"],
    [503, "", "SPRINT_RPC_UNAVAILABLE"],
    [500, '{"result":null,"error":{"code":-28,"message":"Verifying blocks..."},"id":1}', "SPRINT_RPC_WARMING_UP"],
  ] as const) {
    const ups = heard.ups();
    await waitIsOut(node);
    node.broken = { status, text };
    node.releaseWaits("tell");
    await heard.until(() => heard.feed.status().lastError?.code === code);
    node.broken = null;
    await heard.until(() => heard.ups() > ups);
  }
  assert.deepEqual(heard.hashes, hashes.slice(1, 5));
});

test("a Dogecoin node whose headers stop before the AuxPoW gives it with the block", { skip }, async (t) => {
  const dogecoin = headerCodec("dogecoin", "mainnet");
  const genesis = fakeBlock("dogecoin", readData("dogecoin/blocks/0000000.raw"));
  const merged = fakeBlock("dogecoin", readData("dogecoin/blocks/0371337.raw"));
  assert.ok(merged.header.length > 80);
  const whole = await fakeRpcNode(t, [genesis, merged]);
  assert.ok((await ask(t, whole, dogecoin).header(merged.hash, never)).auxpow);
  assert.equal(whole.calls.get("getblock"), undefined);

  const cut = await fakeRpcNode(t, [genesis, { ...merged, header: merged.header.subarray(0, 80) }]);
  const asked = ask(t, cut, dogecoin);
  for (const _ of [1, 2]) {
    const header = await asked.header(merged.hash, never);
    assert.ok(header.auxpow !== null && header.hash === merged.hash);
  }
  assert.equal(cut.calls.get("getblockheader"), 1, "asked for in vain once only");
  assert.equal(cut.calls.get("getblock"), 2);
});
