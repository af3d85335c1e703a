/** A mempool in figures: from a node's entries, and from a real litecoind's. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type MempoolEntry, histogramOf, templateOf } from "../../../src/daemon/upstream/mempool-figures.ts";
import { createRpcFeed } from "../../../src/daemon/upstream/rpc.ts";
import { RpcMempool } from "../../../src/daemon/upstream/rpc-mempool.ts";
import { parseUpstreamUrl } from "../../../src/daemon/upstream/url.ts";
import { SprintError, isSprintError } from "../../../src/shared/errors.ts";
import { hasLitecoind, startLitecoind } from "../../fakes/litecoind.ts";
import { headerCodec, listen, never } from "./listener.ts";

const turn = async (): Promise<void> => {};
const entry = (vsize: number, fee: number, depends: readonly string[] = []): MempoolEntry => ({
  vsize,
  weight: 4 * vsize,
  fee,
  depends,
});

test("fees are told in steps that fit any chain, weighted by size", () => {
  const steps = histogramOf([
    entry(100, 100),
    entry(200, 210),
    entry(100, 1_230),
    entry(250, 25_000_000),
    entry(10, 0),
    entry(100, 300),
  ]);
  assert.deepEqual(steps, [
    { fee_rate: 100_000, vsize: 250, count: 1 },
    { fee_rate: 12, vsize: 100, count: 1 },
    { fee_rate: 3, vsize: 100, count: 1 },
    { fee_rate: 1, vsize: 300, count: 2 },
    { fee_rate: 0, vsize: 10, count: 1 },
  ]);
});

test("the next block takes packages: a poor parent comes with its rich child, and alone it stays out", async () => {
  const entries = new Map([
    ["parent", entry(500_000, 500_000)],
    ["child", entry(1_000, 50_000_000, ["parent", "confirmed long ago"])],
    ["middle", entry(400_000, 20_000_000)],
    ["large", entry(600_000, 12_000_000)],
    ["poor", entry(500_000, 500_000)],
  ]);
  assert.deepEqual(await templateOf(entries, turn), {
    transactions: 3,
    weight: 4 * 901_000,
    fees_units: "70500000",
    min_fee_rate: 50,
  });
  assert.deepEqual(await templateOf(new Map(), turn), {
    transactions: 0,
    weight: 0,
    fees_units: "0",
    min_fee_rate: null,
  });
});

/** A node whose mempool the test writes. */
function nodeWith(mempool: Map<string, unknown>) {
  const asked: string[] = [];
  const client = {
    call: async (method: string): Promise<unknown> => {
      asked.push(method);
      if (method === "getrawmempool") return [...mempool.keys()];
      return { size: mempool.size, bytes: 1_234, mempoolminfee: 0.00001 };
    },
    batch: async (_method: string, params: readonly (readonly unknown[])[]) => {
      asked.push(...params.map(([txid]) => String(txid).slice(-2)));
      return params.map(([txid]) => {
        const result = mempool.get(String(txid));
        if (result !== undefined) return { ok: true as const, result };
        return { ok: false as const, error: new SprintError("SPRINT_RPC_ERROR", "gone") };
      });
    },
  };
  return { client, asked };
}

const id = (at: number): string => at.toString(16).padStart(64, "0");

test("only what is new is asked for, and nothing is told before all is known", async () => {
  const core = { vsize: 100, weight: 400, fees: { base: 0.0000_1 }, depends: [] };
  const mempool = new Map<string, unknown>([1, 2, 3].map((at) => [id(at), core]));
  const { client, asked } = nodeWith(mempool);
  const figures = new RpcMempool({ maxFetched: 2 }, { client });
  const first = await figures.figures(never);
  assert.deepEqual(first, { transactions: 3, bytes: 1_234, minFeeRate: 1, histogram: [], template: null });
  const second = await figures.figures(never);
  assert.deepEqual(second.histogram, [{ fee_rate: 10, vsize: 300, count: 3 }]);
  mempool.delete(id(1));
  // As a node from before SegWit has it.
  mempool.set(id(4), { size: 100, fee: 1, depends: [id(2)] });
  asked.length = 0;
  const third = await figures.figures(never);
  assert.deepEqual(asked, ["getmempoolinfo", "getrawmempool", "04"]);
  assert.deepEqual(
    third.histogram.map(({ fee_rate, count }) => [fee_rate, count]),
    [
      [1_000_000, 1],
      [10, 2],
    ],
  );
  assert.deepEqual(third.template, { transactions: 3, weight: 1_200, fees_units: "100002000", min_fee_rate: 10 });
});

test("of a mempool that is too large only the size is told, and nobody is asked for more", async () => {
  const { client, asked } = nodeWith(new Map([1, 2, 3].map((at) => [id(at), {}])));
  const told = await new RpcMempool({ maxTransactions: 2 }, { client }).figures(never);
  assert.deepEqual([told.transactions, told.template, asked], [3, null, ["getmempoolinfo"]]);
});

test("a node that does not tell is not one that fails", async () => {
  const call = async (): Promise<never> => {
    throw new SprintError("SPRINT_RPC_METHOD_MISSING", "getmempoolinfo is not served");
  };
  const told = new RpcMempool({}, { client: { call, batch: async () => [] } }).figures(never);
  await assert.rejects(told, (error) => isSprintError(error) && error.code === "SPRINT_UPSTREAM_UNSUPPORTED");
});

test("a real litecoind's mempool", { skip: !hasLitecoind() && "litecoind is not installed" }, async (t) => {
  const node = await startLitecoind({ wallet: true });
  t.after(() => node.stop());
  await node.rpc("createwallet", ["w"]);
  const address = await node.rpc<string>("getnewaddress", [], "w");
  await node.rpc("generatetoaddress", [110, address], "w");
  const url = parseUpstreamUrl(`http://127.0.0.1:${node.rpcPort}?cookie=${node.cookiePath}`);
  assert.ok(url.kind === "rpc");
  const heard = listen(t, headerCodec("litecoin"), (options, modules) =>
    createRpcFeed({ ...options, address: url }, modules),
  );
  await heard.until(() => heard.filled());
  for (let i = 0; i < 5; i++) await node.rpc("sendtoaddress", [address, 1], "w");
  const { mempool } = heard.feed;
  assert.ok(mempool);
  const told = await mempool.call(heard.feed, never);
  const info = await node.rpc<{ size: number; bytes: number }>("getmempoolinfo");
  assert.deepEqual([told.transactions, told.bytes], [5, info.bytes]);
  assert.equal(
    told.histogram.reduce((sum, step) => sum + step.vsize, 0),
    info.bytes,
  );
  const entries = await node.rpc<Record<string, { fee: number }>>("getrawmempool", [true]);
  const fees = Object.values(entries).reduce((sum, { fee }) => sum + Math.round(fee * 1e8), 0);
  assert.deepEqual(told.template && [told.template.transactions, told.template.fees_units], [5, String(fees)]);
});
