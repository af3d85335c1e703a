/** The EVM feed and a scripted node: what real ones do seldom. */
import { strict as assert } from "node:assert";
import { type TestContext, test } from "node:test";
import { type FakeBlock, type FakeEvm, fakeEvm, Scripted } from "./evm-fake.ts";
import { devnet, type EvmListener, type EvmListenOptions, listenEvm, never } from "./evm-listener.ts";

/** No look beside the push, unless a test wants one. */
const PUSH_ONLY = { pollMs: 3_600_000, finalityMs: 3_600_000 };

async function follow(t: TestContext, node: FakeEvm, options: Partial<EvmListenOptions> = {}): Promise<EvmListener> {
  const listener = listenEvm(t, { url: node.url, ...PUSH_ONLY, ...options });
  await listener.until(listener.filled);
  return listener;
}

const hashes = (blocks: readonly FakeBlock[]): readonly string[] => blocks.map(({ hash }) => hash);

test("heads that the push skipped are fetched in one portion and told before it", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node, { url: `${node.url}?rpc=${node.httpUrl}` });
  node.asked.length = 0;
  const mined = node.mine(40);
  node.push(mined.at(-1));
  await listener.until(() => listener.head() === mined.at(-1)?.hash);
  assert.deepEqual(listener.batches, [hashes(mined)]);
  assert.deepEqual(node.asked, ["eth_getBlockByNumber*39"]);
  assert.deepEqual(
    listener.announced.map(({ via }) => via),
    [...mined.slice(1).map(() => "rpc"), "newHeads"],
  );
});

test("a push that came while another was led back is told after it", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const mined = node.mine(6);
  node.push(mined[3]);
  node.push(mined[5]);
  // A head that was told, below the tip: late, not a way back.
  node.push(mined[4]);
  const [next] = node.mine(1);
  node.push(next);
  await listener.until(() => listener.head() === next?.hash);
  const [a, b, c, d, e, f] = hashes(mined);
  assert.deepEqual(listener.batches, [[a, b, c, d], [e, f], [next?.hash]]);
});

test("a reorg at the same height, and the way back to the old branch", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const old = node.best.slice(7);
  const branch = node.mine(3, 7, "aa");
  // Of the new branch only its end is pushed.
  node.push(branch.at(-1));
  await listener.until(() => listener.head() === branch.at(-1)?.hash);
  assert.deepEqual(listener.batches, [hashes(branch)]);
  node.push(old.at(-1));
  await listener.until(() => listener.head() === old.at(-1)?.hash);
  assert.deepEqual(listener.batches.at(-1), [old.at(-1)?.hash]);
});

test("the same head pushed twice is told once", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const mined = node.mine(2);
  for (const block of [mined[0], mined[0], mined[1], mined[1]]) node.push(block);
  await listener.until(() => listener.head() === mined[1]?.hash);
  assert.deepEqual(listener.batches.flat(), hashes(mined));
});

test("a rewind that nobody pushed is found by looks that agree, and one late answer is no rewind", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node, { pollMs: 20 });
  const [next] = node.mine(1);
  node.push(next);
  await listener.until(() => listener.head() === next?.hash);
  let late = 0;
  node.script.set("eth_getBlockByNumber", ([tag]) => (tag === "latest" && late++ === 0 ? node.best.at(-2) : null));
  await untilAsked(node, "eth_getBlockByNumber", 8);
  assert.ok(late > 1);
  assert.equal(listener.head(), next?.hash);

  node.script.clear();
  node.best = node.best.slice(0, -3);
  await listener.until(() => listener.head() === node.best.at(-1)?.hash);
  assert.deepEqual(listener.batches.at(-1), [node.best.at(-1)?.hash]);
});

test("a subscription that died while its socket lives: blocks come by looks, then over a new connection", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node, { pollMs: 20 });
  for (let at = 0; at < 2; at++) {
    const [next] = node.mine(1);
    await listener.until(() => listener.head() === next?.hash);
  }
  const [third] = node.mine(1);
  await listener.until(() => listener.downs.length === 1 && listener.filled());
  assert.match(listener.downs[0] ?? "", /subscription did not push/);
  assert.equal(listener.head(), third?.hash);
  const [pushed] = node.mine(1);
  node.push(pushed);
  await listener.until(() => listener.head() === pushed?.hash);
});

test("a connection cut while a gap is filled: the next one fills it", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const mined = node.mine(30);
  node.script.set("eth_getBlockByNumber", () => {
    for (const socket of node.sockets) socket.terminate();
    node.script.clear();
    return new Scripted("silence");
  });
  node.push(mined.at(-1));
  await listener.until(() => listener.ups() === 2 && listener.filled());
  assert.deepEqual(listener.chain(30), hashes(mined));
});

test("a header whose fields do not hash to its name is not told, and its sender is left", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const [next] = node.mine(1);
  const forged = { ...next, gasUsed: "0x5208" } as FakeBlock;
  node.blocks.set(forged.hash, forged);
  node.best = node.best.slice(0, -1);
  node.push(forged);
  await listener.until(() => listener.downs.length === 1);
  assert.equal(listener.feed.status().lastError?.code, "SPRINT_EVM_HEADER_HASH");
  assert.equal(listener.announced.length, 0);
});

test("a push that is short of fields is fetched whole", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const [next] = node.mine(1);
  node.push({ hash: next?.hash, number: next?.number });
  await listener.until(() => listener.head() === next?.hash);
  assert.equal(listener.downs.length, 0);
});

test("a block that the node cannot give yet is asked for again", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const [next] = node.mine(1);
  let asked = 0;
  node.script.set("eth_getBlockByHash", () => {
    if (++asked === 2) node.script.clear();
    return new Scripted({ result: null });
  });
  node.push({ hash: next?.hash });
  await listener.until(() => listener.head() === next?.hash);
  assert.equal(asked, 2);
});

for (const [what, over, code] of [
  ["a number beyond 2^53", { number: "0x20000000000001" }, "SPRINT_EVM_NUMBER_RANGE"],
  ["a field that is no hex", { stateRoot: 7 }, "SPRINT_EVM_JSON_TYPE"],
  ["a block without a name", { hash: null }, "SPRINT_EVM_JSON_FIELD"],
] as const) {
  test(`${what} costs the connection, with a code`, async (t) => {
    const node = await fakeEvm(t);
    const listener = await follow(t, node, { pollMs: 20 });
    const head = { ...node.best.at(-1), ...over };
    node.script.set("eth_getBlockByNumber", () => head);
    await listener.until(() => listener.downs.length === 1);
    assert.equal(listener.feed.status().lastError?.code, code);
  });
}

test("100 MB of JSON are refused while they are read", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node);
  const frame = Buffer.alloc(10);
  frame.writeUInt16BE(0x817f);
  frame.writeBigUInt64BE(100_000_000n, 2);
  for (const connection of node.connections) connection.write(frame);
  await listener.until(() => listener.downs.length === 1);
  assert.equal(listener.feed.status().lastError?.code, "SPRINT_RPC_TOO_LARGE");

  const overHttp = listenEvm(t, { url: node.httpUrl, pollMs: 20 });
  await overHttp.until(overHttp.filled);
  const long = JSON.stringify("x".repeat(2_000_000));
  node.script.set("eth_getBlockByNumber", () => new Scripted({ text: `{"jsonrpc":"2.0","id":1,"result":${long}}` }));
  await overHttp.until(() => overHttp.downs.length === 1);
  assert.equal(overHttp.feed.status().lastError?.code, "SPRINT_RPC_TOO_LARGE");
});

test("a node of another chain is not listened to", async (t) => {
  const node = await fakeEvm(t);
  node.script.set("eth_chainId", () => "0x1");
  const listener = listenEvm(t, { url: node.url });
  await listener.until(() => listener.feed.status().lastError !== null);
  const { lastError, state } = listener.feed.status();
  assert.equal(lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
  assert.match(lastError?.message ?? "", /ethereum devnet \(chain id 31337\), got one with chain id 1;/);
  assert.notEqual(state, "up");
});

test("a node that is still syncing has no head yet; an old head alone says nothing", async (t) => {
  const node = await fakeEvm(t);
  node.script.set("eth_syncing", () => ({ currentBlock: "0x9", highestBlock: "0x999999" }));
  const listener = listenEvm(t, { url: node.url });
  await listener.until(() => listener.feed.status().lastError !== null);
  assert.equal(listener.feed.status().lastError?.code, "SPRINT_UPSTREAM_SYNCING");
  node.script.set("eth_syncing", () => false);
  await listener.until(listener.filled);
});

test("chain id right, genesis wrong; a node that has block 0 no more goes by its chain id", async (t) => {
  const node = await fakeEvm(t);
  const network = { ...devnet, params: { ...devnet.params, genesisHash: `0x${"12".repeat(32)}` } };
  const listener = listenEvm(t, { url: node.httpUrl, network });
  await listener.until(() => listener.feed.status().lastError !== null);
  assert.equal(listener.feed.status().lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
  assert.match(listener.feed.status().lastError?.message ?? "", new RegExp(node.best[0]?.hash ?? "none"));
  const pruned = { error: { code: 4444, message: "pruned history unavailable" } };
  node.script.set("eth_getBlockByNumber", ([tag]) => (tag === "0x0" ? new Scripted(pruned) : null));
  await listener.until(listener.filled);
});

test("two addresses of two chains are told apart", async (t) => {
  const node = await fakeEvm(t);
  const other = await fakeEvm(t);
  other.script.set("eth_chainId", () => "0xa");
  const listener = listenEvm(t, { url: `${other.url}?rpc=${node.httpUrl}` });
  await listener.until(() => listener.feed.status().lastError !== null);
  assert.equal(listener.feed.status().lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
});

test("what is safe and final is told as it changes, and not asked for by what does not tell", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node, { finalityMs: 20 });
  await listener.until(() => listener.finalized.length === 1);
  node.mine(1);
  await listener.until(() => listener.finalized.length === 2);
  assert.deepEqual(
    listener.finalized.map(({ height }) => height),
    [6, 7],
  );
  assert.deepEqual(listener.feed.status().safe, { hash: node.best[7]?.hash, height: 7 });
});

test("pending transactions: whole, as hashes, and what is neither", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node, { pending: true });
  await listener.until(() => node.subscribers("newPendingTransactions") === 1);
  const txid = `0x${"Ab".repeat(32)}`;
  const whole = {
    hash: txid,
    from: `0x${"11".repeat(20)}`,
    to: `0x${"22".repeat(20)}`,
    value: "0xde0b6b3a7640000",
    nonce: "0x5",
    gas: "0x5208",
    gasPrice: "0x3b9aca00",
    maxFeePerGas: "0x77359400",
    maxPriorityFeePerGas: "0x1",
    input: "0xa9059cbb00",
    blobVersionedHashes: [txid],
  };
  for (const value of [txid, 7, { ...whole, nonce: "0x20000000000000" }, { ...whole, from: null }, whole])
    node.push(value, "newPendingTransactions");
  await listener.until(() => listener.pending.length === 2);
  assert.deepEqual(listener.pending, [
    { txid: txid.toLowerCase(), raw: null, evm: null },
    {
      txid: txid.toLowerCase(),
      raw: null,
      evm: {
        from: whole.from,
        to: whole.to,
        valueWei: "1000000000000000000",
        nonce: 5,
        gasLimit: 21_000,
        maxFeeWei: "2000000000",
        maxTipWei: "1",
        selector: "0xa9059cbb",
        blobs: 1,
      },
    },
  ]);
});

test("pending transactions of a node that gives hashes only, or none at all", async (t) => {
  const node = await fakeEvm(t);
  const refused = new Scripted({ error: { code: -32_602, message: "too many arguments, want at most 1" } });
  node.script.set("eth_subscribe", ([name, whole]) => (name !== "newHeads" && whole === true ? refused : null));
  const listener = await follow(t, node, { pending: true });
  await listener.until(() => node.subscribers("newPendingTransactions") === 1);
  const txids = Array.from({ length: 2000 }, (_, at) => `0x${at.toString(16).padStart(64, "0")}`);
  for (const txid of txids) node.push(txid, "newPendingTransactions");
  await listener.until(() => listener.pending.length === txids.length);
  assert.deepEqual(
    listener.pending.map(({ txid }) => txid),
    txids,
  );

  node.script.set("eth_subscribe", ([name]) => (name === "newHeads" ? null : refused));
  const other = await follow(t, node, { pending: true });
  const [next] = node.mine(1);
  node.push(next);
  await other.until(() => other.head() === next?.hash);
  assert.equal(node.subscribers("newPendingTransactions"), 1);
});

test("a node that counts calls is asked more seldom, not left at once", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node, { url: node.httpUrl, pollMs: 20 });
  let refusals = 0;
  const limit = new Scripted({ error: { code: -32_005, message: "limit exceeded" } });
  node.script.set("eth_getBlockByNumber", ([tag]) => (tag === "latest" && refusals++ < 2 ? limit : null));
  const [next] = node.mine(1);
  await listener.until(() => listener.head() === next?.hash);
  assert.equal(listener.downs.length, 0);
  node.script.set("eth_getBlockByNumber", () => limit);
  await listener.until(() => listener.downs.length === 1);
  assert.equal(listener.feed.status().lastError?.code, "SPRINT_RPC_ERROR");
});

test("a head that leads to nothing that was told is told alone, and what is asked for is the chain that it ends", async (t) => {
  const node = await fakeEvm(t);
  const listener = await follow(t, node, { orphansAllowed: true });
  const [ours] = listener.chain(1);
  const strange = node.mine(20, 0, "bb");
  node.push(strange.at(-1));
  await listener.until(() => listener.batches.length > 0);
  assert.deepEqual(listener.batches, [[strange.at(-1)?.hash]]);
  const headers = await listener.feed.headersAfter([ours ?? ""], never);
  assert.deepEqual(
    headers.map(({ hash }) => hash),
    hashes(strange),
  );
});

async function untilAsked(node: FakeEvm, method: string, times: number): Promise<void> {
  node.asked.length = 0;
  while (node.asked.filter((one) => one === method).length < times)
    await new Promise((resolve) => setImmediate(resolve));
}
