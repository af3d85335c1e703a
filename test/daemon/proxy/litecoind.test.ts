/** The proxy before two real litecoind. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { BreakerPool } from "../../../src/daemon/breaker/index.ts";
import {
  createRpcProxy,
  methodsOf,
  openRpcUpstream,
  type RpcProxy,
  type RpcUpstream,
} from "../../../src/daemon/proxy/index.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { openIn } from "./upstreams.ts";
import { type Litecoind, hasLitecoind, startLitecoind } from "../../fakes/litecoind.ts";

const skip = hasLitecoind() ? false : "litecoind is not installed";

describe("two real litecoind behind the proxy", { skip }, () => {
  let nodes: readonly [Litecoind, Litecoind];
  let proxy: RpcProxy;
  const upstreams: (RpcUpstream & { close(): Promise<void> })[] = [];
  let served: { hash: string; height: number } | null = null;
  /** Of the chain that is served. */
  const heights = new Map<string, number>();

  before(async () => {
    const args = ["-vbparams=mweb:0:0"];
    nodes = await Promise.all([startLitecoind({ args }), startLitecoind({ args })]);
    const [one, two] = nodes;
    await two.rpc("addnode", [`127.0.0.1:${one.p2pPort}`, "onetry"]);
    for (const [at, hash] of (await one.mine(5)).entries()) heights.set(hash, at + 1);
    for (const [at, { rpcPort, cookiePath }] of nodes.entries()) {
      const address = {
        secure: false,
        host: "127.0.0.1",
        port: rpcPort,
        path: "/",
        auth: { kind: "cookie", file: cookiePath },
      } as const;
      upstreams.push(
        openRpcUpstream({ name: `ltc-${at + 1}`, address, rpcPort }, { clock: systemClock, heightNow: () => null }),
      );
    }
    proxy = createRpcProxy(
      { chain: "litecoin", family: "utxo", behindWaitMs: 5_000 },
      {
        clock: systemClock,
        random: () => 0,
        openBreaker: openIn(new BreakerPool({}, { clock: systemClock, random: Math.random }), systemClock),
        upstreams: () => upstreams,
        served: { tip: () => served, heightOf: (hash) => heights.get(hash) ?? null },
      },
    );
  });
  after(async () => {
    proxy.close();
    await Promise.all([...upstreams.map((upstream) => upstream.close()), ...nodes.map((node) => node.stop())]);
  });

  async function ask(
    method: string,
    params: unknown = [],
  ): Promise<{ text: string; headers: Readonly<Record<string, string>> }> {
    const body = JSON.stringify({ id: 1, method, params });
    const reply = await proxy.handle(body, new AbortController().signal);
    return { text: reply.body, headers: reply.headers };
  }

  /** What the node itself answers, byte for byte. */
  async function direct({ rpcPort, cookiePath }: Litecoind, method: string, params: unknown): Promise<string> {
    const cookie = (await readFile(cookiePath, "utf8")).trim();
    const response = await fetch(`http://127.0.0.1:${rpcPort}/`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(cookie).toString("base64")}`, connection: "close" },
      body: JSON.stringify({ id: 1, method, params }),
    });
    return (await response.text()).trimEnd();
  }

  test("answers and error objects are the node's own, byte for byte", async () => {
    const [one] = nodes;
    const hash = await one.rpc("getblockhash", [3]);
    const calls: readonly (readonly [string, unknown])[] = [
      ["getblock", [hash, 2]],
      ["getblock", { blockhash: hash, verbosity: 0 }],
      ["getblockheader", [hash]],
      ["getblockstats", [3]],
      ["getdifficulty", []],
      ["getblockhash", [9_999]],
      ["getblockheader", ["ff".repeat(32)]],
      ["decoderawtransaction", ["zz"]],
      ["getblock", []],
    ];
    for (const [method, params] of calls) {
      const { text } = await ask(method, params);
      assert.deepEqual(JSON.parse(text), JSON.parse(await direct(one, method, params)), method);
      assert.equal(text, await direct(one, method, params), method);
    }
  });

  test("the node has every method of the table", async () => {
    for (const method of methodsOf("litecoin", "utxo").keys()) {
      const { text } = await ask(method);
      assert.notEqual((JSON.parse(text) as { error: { code: number } | null }).error?.code, -32601, method);
    }
  });

  test("a block that was announced is found, also while one of the two has not got it yet", async () => {
    const [one] = nodes;
    for (let i = 0; i < 10; i++) {
      const [hash = assert.fail()] = await one.mine(1);
      heights.set(hash, 6 + i);
      served = { hash, height: 6 + i };
      const [count, best, block] = await Promise.all([
        ask("getblockcount"),
        ask("getbestblockhash"),
        ask("getblock", [hash]),
      ]);
      assert.ok(JSON.parse(count.text).result >= 6 + i);
      assert.equal(JSON.parse(best.text).result, hash);
      assert.equal(JSON.parse(block.text).result.height, 6 + i);
    }
  });

  test("one is killed: calls go on", async () => {
    await nodes[0].kill();
    for (let i = 0; i < 4; i++) {
      const { headers } = await ask("getdifficulty");
      assert.equal(headers["x-sprint-upstream"], "ltc-2");
    }
  });
});
