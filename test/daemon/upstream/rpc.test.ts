import { strict as assert } from "node:assert";
import { type TestContext, test } from "node:test";
import { RpcClient } from "../../../src/daemon/upstream/jsonrpc.ts";
import { RpcNode } from "../../../src/daemon/upstream/rpc-node.ts";
import { openRpcNode, createRpcFeed } from "../../../src/daemon/upstream/rpc.ts";
import { parseUpstreamUrl, type RpcUpstreamAddress } from "../../../src/daemon/upstream/url.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { bcoinMissing, startBcoin } from "../../fakes/bcoin.ts";
import { hasLitecoind, type Litecoind, startLitecoind } from "../../fakes/litecoind.ts";
import { headerCodec, listen, never } from "./listener.ts";

const litecoin = headerCodec("litecoin");
const skip = !hasLitecoind() && "litecoind is not installed";

function rpcAddress(url: string): RpcUpstreamAddress {
  const address = parseUpstreamUrl(url);
  assert.ok(address.kind === "rpc");
  return address;
}

async function litecoind(
  t: TestContext,
  args: readonly string[] = [],
): Promise<{ node: Litecoind; address: RpcUpstreamAddress }> {
  const node = await startLitecoind({ args });
  // Killed first: a node that is asked to stop waits for its kept-alive connections.
  t.after(() => node.kill().then(() => node.stop()));
  return { node, address: rpcAddress(`http://127.0.0.1:${node.rpcPort}?cookie=${node.cookiePath}`) };
}

test("a real litecoind over RPC alone: every block, across a reorg", { skip }, async (t) => {
  const { node, address } = await litecoind(t);
  const before = await node.mine(12);
  const heard = listen(t, litecoin, (options, modules) => createRpcFeed({ ...options, address }, modules));
  await heard.until(() => heard.hashes.length === 12);
  assert.deepEqual(heard.hashes, before);
  assert.match(heard.feed.status().agent ?? "", /LitecoinCore/);

  // One at a time, then in a burst that the long poll tells the end of only.
  for (let i = 0; i < 3; i++) {
    const [hash] = await node.mine(1);
    await heard.until(() => heard.hashes.at(-1) === hash);
  }
  const burst = await node.mine(40);
  await heard.until(() => heard.hashes.length === 55);
  assert.deepEqual(heard.hashes.slice(15), burst);
  assert.equal(heard.feed.status().height, 55);
  assert.ok(heard.announced.every(({ via, body }) => via === "rpc" && body === null));

  // Reorg of depth 5 onto other blocks.
  await node.rpc("invalidateblock", [burst[35]]);
  const { descriptor } = await node.rpc<{ descriptor: string }>("getdescriptorinfo", ["raw(52)"]);
  const branch = await node.rpc<string[]>("generatetodescriptor", [6, descriptor]);
  await heard.until(() => heard.hashes.at(-1) === branch[5]);
  assert.deepEqual(heard.hashes.slice(55), branch);
  assert.equal(new Set(heard.announced.map(({ header }) => header.hash)).size, heard.announced.length, "told once");
});

test("headersAfter and body, as the node has them", { skip }, async (t) => {
  const { node, address } = await litecoind(t);
  const mined = await node.mine(30);
  const { client, node: asked } = openRpcNode(address.rpc, { codec: litecoin, clock: systemClock });
  t.after(() => client.close());
  const after = async (locator: string[]) => (await asked.headersAfter(locator, never)).map(({ hash }) => hash);
  const stranger = "ab".repeat(32);
  assert.deepEqual(await after([stranger, mined[20] ?? "", mined[3] ?? ""]), mined.slice(21));
  assert.deepEqual(await after([mined[29] ?? ""]), []);
  assert.deepEqual(await after([stranger]), mined, "from the start, as a peer does");
  // A locator that begins on a branch that lost.
  await node.rpc("invalidateblock", [mined[25]]);
  assert.deepEqual(await after([mined[29] ?? "", mined[26] ?? "", mined[22] ?? ""]), mined.slice(23, 25));

  const raw = await node.rpc<string>("getblock", [mined[10], 0]);
  assert.equal(Buffer.from(await asked.body(mined[10] ?? "", never)).toString("hex"), raw);
  await assert.rejects(asked.body(stranger, never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
});

test("a long answer comes in batches, and is bounded", { skip }, async (t) => {
  const { node, address } = await litecoind(t);
  const mined = await node.mine(250);
  const { client } = openRpcNode(address.rpc, { codec: litecoin, clock: systemClock });
  t.after(() => client.close());
  const asked = new RpcNode({ maxHeaders: 205 }, { client, codec: litecoin, clock: systemClock });
  const headers = await asked.headersAfter([litecoin.params.genesisHash], never);
  assert.deepEqual(
    headers.map(({ hash }) => hash),
    mined.slice(0, 205),
  );
});

test("a client outlives its node's restart: the new cookie is read", { skip }, async (t) => {
  const { node, address } = await litecoind(t);
  await node.mine(1);
  const client = new RpcClient(
    { origin: `http://127.0.0.1:${node.rpcPort}`, path: "/", auth: address.rpc.auth },
    { clock: systemClock },
  );
  t.after(() => client.close());
  assert.equal(await client.call("getblockcount"), 1);
  await node.restart();
  assert.equal(await client.call("getblockcount"), 1);
});

test("kill -9 and restart of the node: down, up again, and no hole", { skip }, async (t) => {
  const { node, address } = await litecoind(t);
  await node.mine(5);
  const heard = listen(t, litecoin, (options, modules) => createRpcFeed({ ...options, address }, modules));
  await heard.until(() => heard.hashes.length === 5);
  await node.rpc("gettxoutsetinfo");
  await node.kill();
  await heard.until(() => heard.downs.length === 1);
  assert.match(heard.feed.status().lastError?.code ?? "", /^SPRINT_RPC_(UNREACHABLE|COOKIE)$/);
  await node.restart();
  await node.mine(3);
  await heard.until(() => heard.hashes.length === 8);
  const [last] = await node.mine(1);
  await heard.until(() => heard.hashes.at(-1) === last);
});

test("a node of another chain is refused by its genesis block", { skip }, async (t) => {
  const { address } = await litecoind(t);
  const bitcoin = headerCodec("bitcoin");
  const heard = listen(t, bitcoin, (options, modules) => createRpcFeed({ ...options, address }, modules));
  await heard.until(() => heard.feed.status().state === "down");
  const { lastError } = heard.feed.status();
  assert.equal(lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
  assert.match(lastError?.message ?? "", /bitcoin regtest .* got one of litecoin regtest/);
  assert.equal(heard.ups(), 0);
});

test("a real bcoin has no long poll: it is polled", async (t) => {
  const node = await startBcoin();
  if (node === null) return t.skip(bcoinMissing());
  t.after(() => node.stop());
  const bitcoin = headerCodec("bitcoin");
  const before = await node.mine(4);
  const address = rpcAddress(node.rpcUrl);
  const heard = listen(t, bitcoin, (options, modules) => createRpcFeed({ ...options, address, pollMs: 20 }, modules));
  await heard.until(() => heard.hashes.length === 4);
  const after = await node.mine(5);
  await heard.until(() => heard.hashes.length === 9);
  assert.deepEqual(heard.hashes, [...before, ...after]);
  assert.match(heard.feed.status().agent ?? "", /bcoin/);
  const raw = await node.rpc("getblock", [after[4], false]);
  assert.equal(Buffer.from(await heard.feed.body(after[4] ?? "", never)).toString("hex"), raw);
  await assert.rejects(heard.feed.body("ab".repeat(32), never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
});
