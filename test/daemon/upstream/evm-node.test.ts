/** What EvmNode makes of a node's answers, over HTTP and over a socket. */
import { strict as assert } from "node:assert";
import { type TestContext, test } from "node:test";
import { EvmNode, type EvmNodeOptions } from "../../../src/daemon/upstream/evm-node.ts";
import { RpcClient, type RpcCaller } from "../../../src/daemon/upstream/jsonrpc.ts";
import { RpcSocket } from "../../../src/daemon/upstream/rpc-socket.ts";
import { evmCodecFor, evmParamsFor, parseJson } from "../../../src/daemon/chain/index.ts";
import { systemClock as clock } from "../../../src/shared/clock.ts";
import { hasData } from "../../fakes/data.ts";
import { evmSamples } from "../../fakes/evm.ts";
import { type FakeEvm, fakeEvm, Scripted } from "./evm-fake.ts";
import { devnet, never } from "./evm-listener.ts";

type Way = "http" | "socket";
const WAYS: readonly Way[] = ["http", "socket"];

function ask(t: TestContext, node: FakeEvm, way: Way = "http", options: EvmNodeOptions = {}): EvmNode {
  const client: RpcCaller & { close(): Promise<void> } =
    way === "http"
      ? new RpcClient({ origin: node.httpUrl, path: "/", auth: { kind: "none" } }, { clock })
      : new RpcSocket({ url: node.url }, { clock, onLost: () => {} });
  t.after(() => client.close());
  return new EvmNode(options, { caller: client, network: devnet, clock });
}

const hashesOf = (blocks: readonly { readonly hash: string }[]): readonly string[] => blocks.map(({ hash }) => hash);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const methodMissing = new Scripted({ error: { code: -32_601, message: "no such method" } });

for (const way of WAYS) {
  test(`${way}: headers behind the newest of a locator that is on the best chain`, async (t) => {
    const node = await fakeEvm(t, 130);
    const lost = node.best.slice(100, 130);
    node.mine(20, 100, "cc");
    const asked = ask(t, node, way);
    const locator = [...lost.toReversed(), node.best[99] as { hash: string }].map(({ hash }) => hash);
    assert.deepEqual(hashesOf(await asked.headersAfter(locator, never)), hashesOf(node.best.slice(100)));
    assert.deepEqual(hashesOf(await asked.headersAfter([node.best.at(-1)?.hash ?? ""], never)), []);
    const elsewhere = await asked.headersAfter([lost[3]?.hash ?? ""], never);
    assert.deepEqual(hashesOf(elsewhere), hashesOf(node.best.slice(-65)), "its own chain, from where one takes it up");
  });

  test(`${way}: an empty locator takes the chain up below its head`, async (t) => {
    const node = await fakeEvm(t, 130);
    assert.deepEqual(hashesOf(await ask(t, node, way).headersAfter([], never)), hashesOf(node.best.slice(130 - 65)));
    const short = await fakeEvm(t, 3);
    assert.deepEqual(hashesOf(await ask(t, short, way).headersAfter([], never)), hashesOf(short.best));
  });

  test(`${way}: a body is the node's own text`, async (t) => {
    const node = await fakeEvm(t, 3);
    const { hash } = node.best[2] as { hash: string };
    const asked = ask(t, node, way);
    const body = text(await asked.body(hash, never));
    assert.equal(body, `{"block":${JSON.stringify(node.best[2])},"receipts":[]}`);
    await assert.rejects(asked.body(`0x${"99".repeat(32)}`, never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
  });

  test(`${way}: a large body is cut out as it stands there`, async (t) => {
    const node = await fakeEvm(t, 3);
    const { hash } = node.best[2] as { hash: string };
    // A number that no JavaScript number holds survives only where nothing is parsed.
    const block = `{"hash":"${hash}","x":123456789012345678901234567890,"long":"${"y".repeat(200_000)}"}`;
    let id = 0;
    node.script.set("eth_getBlockByHash", () => {
      id++;
      return null;
    });
    const asked = ask(t, node, way);
    await asked.header(hash, never);
    assert.equal(id, 1);
    node.script.set("eth_getBlockByHash", () => new Scripted({ text: `{"jsonrpc":"2.0","id":2,"result":${block}}` }));
    assert.equal(text(await asked.body(hash, never)), `{"block":${block},"receipts":[]}`);
  });
}

test("at most so many headers, in portions, and none behind a reorg in the middle", async (t) => {
  const node = await fakeEvm(t, 200);
  const asked = ask(t, node, "http", { maxHeaders: 120 });
  const first = await asked.headersAfter([node.best[0]?.hash ?? ""], never);
  assert.deepEqual(hashesOf(first), hashesOf(node.best.slice(1, 121)));
  assert.deepEqual(
    node.asked.filter((one) => one.includes("*")),
    ["eth_getBlockByNumber*50", "eth_getBlockByNumber*50", "eth_getBlockByNumber*20"],
  );
  const before = node.best.slice(0, 60);
  node.script.set("eth_getBlockByNumber", ([tag]) => {
    if (Number(tag) === 60) node.mine(140, 60, "dd");
    return null;
  });
  // What is behind the reorg does not follow what is before it, whichever portion came first.
  const run = await asked.headersAfter([node.best[0]?.hash ?? ""], never);
  for (const [at, header] of run.slice(1).entries()) assert.equal(header.parentHash, run[at]?.hash);
  assert.ok(run.length >= 49);
  assert.deepEqual(hashesOf(run.slice(0, 49)), hashesOf(before.slice(1, 50)));
});

test("a node that takes small batches, or none", async (t) => {
  const node = await fakeEvm(t, 90);
  const tooMany = new Scripted({
    text: '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}',
  });
  node.script.set("batch", ([count]) => (Number(count) > 12 ? tooMany : null));
  const asked = ask(t, node);
  assert.deepEqual(hashesOf(await asked.headersAfter([node.best[0]?.hash ?? ""], never)), hashesOf(node.best.slice(1)));
  assert.ok(node.asked.includes("eth_getBlockByNumber*12") && !node.asked.includes("eth_getBlockByNumber*3"));

  node.script.set("batch", () => tooMany);
  assert.deepEqual(hashesOf(await asked.headersAfter([node.best[0]?.hash ?? ""], never)), hashesOf(node.best.slice(1)));
  node.asked.length = 0;
  await asked.headersAfter([node.best[0]?.hash ?? ""], never);
  assert.ok(!node.asked.some((one) => one.includes("*")), "not tried again");
});

test("a node that answers with another block than it was asked for", async (t) => {
  const node = await fakeEvm(t, 5);
  const asked = ask(t, node);
  const [, first, second] = node.best as [unknown, { hash: string }, { hash: string }];
  node.script.set("eth_getBlockByHash", () => second);
  await assert.rejects(asked.header(first.hash, never), { code: "SPRINT_UPSTREAM_WRONG_BLOCK" });
  node.script.clear();
  node.script.set("eth_getBlockByNumber", ([tag]) => (tag === "latest" ? null : second));
  await assert.rejects(asked.headersAfter([], never), { code: "SPRINT_UPSTREAM_WRONG_BLOCK" });
});

test("null where a block should be", async (t) => {
  const node = await fakeEvm(t, 5);
  const asked = ask(t, node);
  const nothing = new Scripted({ result: null });
  node.script.set("eth_getBlockByHash", () => nothing);
  await assert.rejects(asked.header(node.best[1]?.hash ?? "", never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
  node.script.set("eth_getBlockByNumber", () => nothing);
  await assert.rejects(asked.latest(never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
});

test("receipts one by one where the node has no better way, then none", async (t) => {
  const node = await fakeEvm(t, 3);
  const { hash } = node.best[2] as { hash: string };
  const transactions = Array.from({ length: 130 }, (_, at) => `0x${at.toString(16).padStart(64, "0")}`);
  node.blocks.set(hash, { ...(node.best[2] as object), transactions } as never);
  node.script.set("eth_getBlockReceipts", () => methodMissing);
  node.script.set("eth_getTransactionReceipt", ([transactionHash]) => ({ transactionHash, blockHash: hash }));
  const asked = ask(t, node);
  const { receipts } = JSON.parse(text(await asked.body(hash, never)));
  assert.deepEqual(
    receipts,
    transactions.map((transactionHash) => ({ transactionHash, blockHash: hash })),
  );
  node.script.set("eth_getTransactionReceipt", () => new Scripted({ result: null }));
  await assert.rejects(asked.body(hash, never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
  node.script.set("eth_getTransactionReceipt", () => methodMissing);
  assert.equal(JSON.parse(text(await asked.body(hash, never))).receipts, null);
  node.asked.length = 0;
  assert.equal(JSON.parse(text(await asked.body(hash, never))).receipts, null);
  assert.deepEqual(node.asked, ["eth_getBlockByHash"], "what it does not have is asked for once");
});

test("receipts of another block, of none, and no list", async (t) => {
  const node = await fakeEvm(t, 3);
  const { hash } = node.best[2] as { hash: string };
  const asked = ask(t, node);
  for (const [answer, code] of [
    [[{ blockHash: node.best[1]?.hash }], "SPRINT_UPSTREAM_WRONG_BLOCK"],
    [new Scripted({ result: null }), "SPRINT_UPSTREAM_NOT_FOUND"],
    [{}, "SPRINT_RPC_SHAPE"],
    [new Scripted({ error: { code: -32_000, message: "header not found" } }), "SPRINT_RPC_ERROR"],
  ] as const) {
    node.script.set("eth_getBlockReceipts", () => answer);
    await assert.rejects(asked.body(hash, never), { code });
  }
});

test("a body of 100 MB is refused while it is read", async (t) => {
  const node = await fakeEvm(t, 3);
  const { hash } = node.best[2] as { hash: string };
  const long = `{"jsonrpc":"2.0","id":1,"result":{"x":"${"z".repeat(100_000_000)}"}}`;
  node.script.set("eth_getBlockByHash", () => new Scripted({ text: long }));
  await assert.rejects(ask(t, node).body(hash, never), { code: "SPRINT_RPC_TOO_LARGE" });
});

test(
  "real blocks of every network: header and body as a node gives them hold in the codec",
  { skip: !hasData && "no chain data" },
  async (t) => {
    let bodies = 0;
    for (const { chain, bytes, receipts } of evmSamples().filter(({ name }) => name.includes("/rpc/"))) {
      const codec = evmCodecFor(evmParamsFor(chain, "mainnet"));
      const block = parseJson(bytes) as { readonly hash: string };
      const node = await fakeEvm(t, 1);
      node.script.set("eth_getBlockByHash", () => block);
      const given = receipts === null ? methodMissing : parseJson(receipts);
      node.script.set("eth_getBlockReceipts", () => given);
      const asked = ask(t, node, bodies % 2 === 0 ? "http" : "socket");
      const header = await asked.header(block.hash, never);
      assert.equal(await codec.checkHeader(header), null, chain);
      const verdict = codec.checkBody(await asked.body(block.hash, never), { hash: block.hash, height: null }, null);
      assert.ok(verdict.ok, verdict.ok ? "" : `${chain} ${header.number}: ${verdict.refusal.message}`);
      bodies++;
    }
    assert.ok(bodies >= 10, `${bodies}`);
    t.diagnostic(`${bodies} blocks`);
  },
);
