/** Which node a devnet gets, and the real one at work. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import {
  type EvmHeader,
  checkEvmBlock,
  checkEvmContext,
  evmBlockFromJson,
  evmParamsFor,
  evmReceiptsFromJson,
} from "../../../src/daemon/chain/index.ts";
import { EvmAnvilNode } from "../../../src/daemon/devnet/evm-anvil.ts";
import { openEvmDevnet } from "../../../src/daemon/devnet/evm-devnet.ts";
import { findAnvil, freePort } from "../../../src/daemon/devnet/evm-process.ts";
import type { SprintError } from "../../../src/shared/errors.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { waitUntilStopped } from "../../fakes/anvil.ts";
import { type Json, blockOf, rpc, subscriber } from "./evm-client.ts";

const BINARY = findAnvil() ?? "";
const skip = BINARY === "" && "no anvil";
const DEVNET = evmParamsFor("ethereum", "devnet");

test("anvil where it is installed, with traffic by the clock", { skip }, async (context) => {
  const options = { seed: 1, blockIntervalMs: 1_000, forkChance: 1, historyBlocks: 10 } as const;
  const node = await openEvmDevnet(options, { clock: systemClock });
  context.after(() => node.close());
  assert.equal(node.kind, "anvil");
  const client = await subscriber(node.url);
  context.after(() => client.close());
  const heads = await client.call("eth_subscribe", "newHeads");
  const logs = await client.call("eth_subscribe", "logs", {});
  await client.until(logs, (all) => all.length > 0);
  const told = await client.until(heads, (all) => new Set(all.map(({ number }) => number)).size < all.length);
  assert.ok(told.length > 0);
});

test("anvil on orders: blocks with transactions and logs that hold, and every order", { skip }, async (context) => {
  const options = { binary: BINARY, blockIntervalMs: null, historyBlocks: 12, transactionsPerBlock: 4 } as const;
  const node = new EvmAnvilNode(options, { clock: systemClock, random: seededRandom(5) });
  await node.start();
  context.after(() => node.close());
  const mined = await node.mine(5);
  assert.equal(mined.length, 5);
  const transactionsOf = async (hash = ""): Promise<string[]> =>
    (await rpc(node.url, "eth_getBlockByHash", hash, false)).transactions;
  const reverted = await transactionsOf(mined[3]);
  assert.ok(reverted.length > 0);
  const branch = await node.reorg(2, 3);
  assert.equal(branch.length, 3);
  assert.deepEqual(await transactionsOf(branch[0]), reverted, "what was taken back is mined again");
  await node.mine(3);
  await node.rollback(1);
  const hashes = await node.hashes();
  assert.equal(hashes.length, 1 + 12 + 5 + 1 + 3 - 1);
  assert.deepEqual(hashes.slice(13, 16), mined.slice(0, 3));
  assert.deepEqual(hashes.slice(16, 19), branch);

  let parent: EvmHeader | null = null;
  let logCount = 0;
  for (const hash of hashes) {
    const body = await blockOf(node.url, hash);
    const block = evmBlockFromJson(body.block, DEVNET);
    const verdict = checkEvmBlock(block, evmReceiptsFromJson(body.receipts), DEVNET);
    assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
    assert.equal(verdict.facts.level, "full");
    logCount += body.receipts.flatMap((each: Json) => each.logs).length;
    if (parent !== null) assert.equal(checkEvmContext(block.header, parent, DEVNET), null);
    parent = block.header;
  }
  assert.ok(logCount > 10);
  const behindSeconds = Date.now() / 1_000 - (parent?.timestamp ?? 0);
  assert.ok(behindSeconds < 60, "its history comes up to today");

  node.freeze();
  waitUntilStopped(node.pid);
  let answered = false;
  const asked = rpc(node.url, "eth_chainId").then((id) => {
    answered = true;
    return id;
  });
  // Long enough for one that is not frozen to answer.
  const other = await openEvmDevnet({ seed: 1, kind: "embedded", blockIntervalMs: null }, { clock: systemClock });
  await other.close();
  assert.equal(answered, false);
  node.thaw();
  assert.equal(await asked, "0x7a69");
});

test("anvil that ends by itself is told of", { skip }, async (context) => {
  const ended = Promise.withResolvers<SprintError>();
  const options = { binary: BINARY, blockIntervalMs: null, historyBlocks: 2 } as const;
  const modules = { clock: systemClock, random: seededRandom(5), onEnded: ended.resolve };
  const node = new EvmAnvilNode(options, modules);
  await node.start();
  context.after(() => node.close());
  process.kill(node.pid, "SIGKILL");
  assert.equal((await ended.promise).code, "SPRINT_DEVNET_ANVIL");
  await assert.rejects(node.mine(), { code: "SPRINT_DEVNET_CLOSED" });
});

test("anvil that cannot start is told of", async () => {
  const options = { binary: "/nowhere/anvil", blockIntervalMs: null } as const;
  const node = new EvmAnvilNode(options, { clock: systemClock, random: seededRandom(5) });
  await assert.rejects(node.start(), { code: "SPRINT_DEVNET_ANVIL" });
});

test("anvil whose start is called off does not stay behind", { skip }, async () => {
  const port = await freePort("127.0.0.1");
  const options = { binary: BINARY, blockIntervalMs: null, historyBlocks: 2, port } as const;
  const node = new EvmAnvilNode(options, { clock: systemClock, random: seededRandom(5) });
  const starting = node.start();
  await node.close();
  await starting;
  await assert.rejects(rpc(node.url, "eth_chainId"));
  await node.start();
  assert.equal(await rpc(node.url, "eth_blockNumber"), "0x2");
  await node.close();
  await assert.rejects(rpc(node.url, "eth_chainId"));
});

test("the embedded one stands in where anvil is missing, and where it does not start", async (context) => {
  const problems: string[] = [];
  for (const binary of [null, "/nowhere/anvil"]) {
    const options = { seed: 1, binary, blockIntervalMs: null, historyBlocks: 2 } as const;
    const onProblem = (error: SprintError): unknown => problems.push(error.code);
    const node = await openEvmDevnet(options, { clock: systemClock, onProblem });
    context.after(() => node.close());
    assert.equal(node.kind, "embedded");
  }
  assert.deepEqual(problems, ["SPRINT_DEVNET_ANVIL"]);
  const options = { seed: 1, kind: "anvil", binary: "/nowhere/anvil" } as const;
  await assert.rejects(openEvmDevnet(options, { clock: systemClock }), { code: "SPRINT_DEVNET_ANVIL" });
});

test("a port that is taken is said, also where nobody answers on it", { skip }, async (context) => {
  const server = createServer().listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const options = { binary: BINARY, blockIntervalMs: null, port } as const;
  const node = new EvmAnvilNode(options, { clock: systemClock, random: seededRandom(5) });
  await assert.rejects(node.start(), { code: "SPRINT_DEVNET_ANVIL", message: /in use/ });
});

test("the embedded one by name", async (context) => {
  const options = { seed: 1, kind: "embedded", blockIntervalMs: null, historyBlocks: 3 } as const;
  const node = await openEvmDevnet(options, { clock: systemClock });
  context.after(() => node.close());
  assert.equal(node.kind, "embedded");
  assert.equal(await rpc(node.url, "eth_blockNumber"), "0x3");
  assert.equal((await node.hashes()).length, 4);
});
