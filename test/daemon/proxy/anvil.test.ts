/** The proxy before two real anvils, one of which has a proxy of its own that lies. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BreakerPool } from "../../../src/daemon/breaker/index.ts";
import { evmCodecFor, evmHeaderFromJson, evmParamsFor } from "../../../src/daemon/chain/index.ts";
import { createRpcProxy, methodsOf, openRpcUpstream, type RpcProxy } from "../../../src/daemon/proxy/index.ts";
import type { Block } from "../../../src/shared/block.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { type Anvil, hasAnvil, startAnvil } from "../../fakes/anvil.ts";
import { openIn } from "./upstreams.ts";

/** Emits a log with this topic, whoever calls it. */
const TOPIC = `0x${"20".padStart(64, "0")}`;
const LOGGING_CODE = "0x60016000526042602060006020a100";
const CONTRACT = `0x${"22".repeat(20)}`;

describe("a real anvil behind the proxy", { skip: !hasAnvil && "no anvil" }, () => {
  let anvil: Anvil;
  let proxy: RpcProxy;
  let upstream: ReturnType<typeof openRpcUpstream>;
  const blocks: Block[] = [];
  /** Answers in the node's place. */
  let lies: Readonly<Record<string, string>> = {};

  before(async () => {
    anvil = await startAnvil({ hardfork: "prague" });
    const [from] = await anvil.rpc<string[]>("eth_accounts");
    await anvil.rpc("anvil_setCode", [CONTRACT, LOGGING_CODE]);
    await anvil.rpc("eth_sendTransaction", [{ from, to: CONTRACT, gas: "0x186a0" }]);
    await anvil.mine(3);
    const codec = evmCodecFor(evmParamsFor("ethereum", "devnet"));
    for (const hash of await anvil.hashes()) {
      const header = evmHeaderFromJson(await anvil.rpc("eth_getBlockByHash", [hash, false]));
      blocks.push(codec.toBlock(header, header.number, null));
    }
    const address = { secure: false, host: "127.0.0.1", port: anvil.port, path: "/", auth: { kind: "none" } } as const;
    const modules = { clock: systemClock, heightNow: () => 3 };
    upstream = openRpcUpstream({ name: "eth-1", address, rpcPort: 8545 }, modules);
    const liar = {
      ...upstream,
      name: "eth-2",
      ask: async (method: string, ...rest: [never, never]) => {
        const lie = lies[method];
        return lie === undefined ? upstream.ask(method, ...rest) : { ok: true as const, json: lie };
      },
    };
    proxy = createRpcProxy(
      { chain: "ethereum", family: "evm" },
      {
        clock: systemClock,
        random: () => 0,
        openBreaker: openIn(new BreakerPool({}, { clock: systemClock, random: Math.random }), systemClock),
        upstreams: () => [liar, upstream],
        served: {
          tip: () => blocks.at(-1) ?? null,
          heightOf: (hash) => blocks.find((block) => block.hash === hash)?.height ?? null,
          block: (height) => blocks[height] ?? null,
        },
      },
    );
  });
  after(async () => {
    proxy?.close();
    await upstream?.close();
    await anvil?.close();
  });

  async function ask(method: string, params: unknown = []): Promise<{ result: unknown; tried: string | undefined }> {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const reply = await proxy.handle(body, new AbortController().signal);
    const { result, error } = JSON.parse(reply.body) as { result?: unknown; error?: { message: string } };
    return { result: result ?? error?.message, tried: reply.headers["x-sprint-tried"] };
  }

  test("every method of the table is one that it knows", async () => {
    const unknown: string[] = [];
    for (const method of methodsOf("ethereum", "evm").keys()) {
      const { error } = await anvil.rpc(method).then(
        () => ({ error: "" }),
        (thrown: Error) => ({ error: thrown.message }),
      );
      if (/method not found|not supported|unknown variant/i.test(error)) unknown.push(method);
    }
    assert.deepEqual(unknown, []);
  });

  test("the newest block is that which was served, whoever says less", async () => {
    lies = { eth_blockNumber: '"0x2"' };
    for (let i = 0; i < 4; i++) assert.equal((await ask("eth_blockNumber")).result, "0x3");
    lies = { eth_getBlockByHash: "null" };
    const { hash } = blocks[1] as Block;
    for (let i = 0; i < 2; i++) {
      assert.equal(((await ask("eth_getBlockByHash", [hash, false])).result as { hash: string }).hash, hash);
    }
    lies = {};
    assert.match(String((await ask("eth_getBalance", [CONTRACT, "0x99"])).result), /BlockOutOfRange/);
  });

  test("a balance that the state root does not hold is nobody's", async () => {
    const { hash } = blocks[2] as Block;
    const at = { blockHash: hash };
    const honest = await anvil.rpc<{ balance: string }>("eth_getProof", [CONTRACT, [], at]);
    lies = { eth_getProof: JSON.stringify({ ...honest, balance: "0xffff" }) };
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 2; i++) {
      const { result, tried } = await ask("eth_getProof", [CONTRACT, [], at]);
      assert.deepEqual(result, honest);
      seen.add(tried);
    }
    assert.ok(seen.has("eth-2=disproved, eth-1=ok"), [...seen].join());
  });

  test("logs that are kept back are found by the bloom, and none at all by the receipts", async () => {
    const filter = { address: CONTRACT, blockHash: blocks[1]?.hash };
    const honest = await anvil.rpc<unknown[]>("eth_getLogs", [filter]);
    assert.equal(honest.length, 1);
    lies = { eth_getLogs: "[]" };
    for (let i = 0; i < 2; i++) assert.deepEqual((await ask("eth_getLogs", [filter])).result, honest);
    // the bloom has the bits of both, but no log has them in these places: only the receipts tell
    const both = await ask("eth_getLogs", [{ ...filter, topics: [null, TOPIC] }]);
    assert.deepEqual(both.result, []);
    assert.match(both.tried ?? "", /eth-1=doubted/);
    assert.match((await ask("eth_getLogs", [{ blockHash: blocks[2]?.hash }])).tried ?? "", /^eth-[12]=ok$/);
  });
});
