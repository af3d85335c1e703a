/** The embedded Ethereum node: what it mines holds by mainnet's rules, and what it serves is what it mined. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  type EvmHeader,
  bloomMayMatch,
  checkEvmBlock,
  checkEvmContext,
  evmBlockFromJson,
  evmReceiptsFromJson,
  senderOf,
  verifyAccountProof,
} from "../../../src/daemon/chain/index.ts";
import { EvmEmbeddedNode } from "../../../src/daemon/devnet/evm-embedded.ts";
import type { EvmLie } from "../../../src/daemon/devnet/evm-lies.ts";
import type { EvmDevnetOptions } from "../../../src/daemon/devnet/evm-node.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { type Json, PRAGUE, blockOf, post, rpc, subscriber } from "./evm-client.ts";

async function started(context: TestContext, options: Partial<EvmDevnetOptions> = {}): Promise<EvmEmbeddedNode> {
  const node = new EvmEmbeddedNode(
    { blockIntervalMs: null, transactionsPerBlock: 6, ...options },
    { clock: systemClock, random: seededRandom(7) },
  );
  await node.start();
  context.after(() => node.close());
  return node;
}

/** Proves the whole chain, block by block and against each parent; the bodies, oldest first. */
async function prove(node: EvmEmbeddedNode): Promise<{ block: Json; receipts: Json }[]> {
  const bodies: { block: Json; receipts: Json }[] = [];
  let parent: EvmHeader | null = null;
  for (const hash of await node.hashes()) {
    const body = await blockOf(node.url, hash);
    const block = evmBlockFromJson(body.block, PRAGUE);
    const verdict = checkEvmBlock(block, evmReceiptsFromJson(body.receipts), PRAGUE);
    assert.ok(verdict.ok, verdict.ok ? "" : `${block.header.number}: ${verdict.refusal.message}`);
    assert.equal(verdict.facts.level, "full");
    assert.deepEqual(verdict.facts.skipped, []);
    assert.equal(BigInt(body.block.size), BigInt(verdict.facts.sizeBytes ?? 0));
    if (parent !== null) assert.equal(checkEvmContext(block.header, parent, PRAGUE), null);
    block.transactions?.forEach((each, i) => assert.equal(senderOf(each), body.block.transactions[i].from));
    parent = block.header;
    bodies.push(body);
  }
  return bodies;
}

test("every block holds by mainnet's rules, also across reorgs and rollbacks", async (context) => {
  const node = await started(context);
  await node.mine(20);
  await node.reorg(3);
  await node.rollback(2);
  await node.reorg(5, 7);
  await node.mine(4);
  const bodies = await prove(node);
  assert.equal(bodies.length, 12 + 20 - 2 + 2 + 4 + 1);
  const receipts = bodies.flatMap((body) => body.receipts);
  const types = new Set(bodies.flatMap(({ block }) => block.transactions.map((each: Json) => each.type)));
  assert.deepEqual(types, new Set(["0x2", "0x3"]));
  assert.ok(receipts.some(({ logs }) => logs.length > 0));
  const fees = new Set(bodies.map(({ block }) => block.baseFeePerGas));
  assert.ok(fees.size > 20, "the base fee moves");
});

test("accounts, storage and their absence are proved against the state root", async (context) => {
  const node = await started(context);
  await node.mine(5);
  const { stateRoot } = await rpc(node.url, "eth_getBlockByNumber", "0xc", false);
  const [account = ""] = node.accounts;
  const prove = async (address: string, slots: string[]): Promise<Json> => {
    const answer = await rpc(node.url, "eth_getProof", address, slots, "0xc");
    const verdict = verifyAccountProof(stateRoot, answer);
    assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
    return verdict.account;
  };
  const { balance, nonce } = await prove(account, []);
  assert.equal(balance, BigInt(await rpc(node.url, "eth_getBalance", account, "0xc")));
  assert.equal(nonce, BigInt(await rpc(node.url, "eth_getTransactionCount", account, "0xc")));
  const slot = `0x${account.slice(2).padStart(64, "0")}`;
  const nobody = `0x${"11".repeat(32)}`;
  const token = await prove(node.token, [slot, nobody]);
  assert.ok(token.storage.get(slot) > 0n);
  assert.equal(token.storage.get(nobody), 0n);
  assert.equal((await prove(`0x${"22".repeat(20)}`, [])).exists, false);
  assert.match(await rpc(node.url, "eth_getCode", node.token, "latest"), /^0x6024/);
});

test("subscribers hear of each block, log and pending transaction, and of logs that are taken back", async (context) => {
  const node = await started(context);
  const client = await subscriber(node.url);
  context.after(() => client.close());
  const heads = await client.call("eth_subscribe", "newHeads");
  const logs = await client.call("eth_subscribe", "logs", { address: node.token });
  const others = await client.call("eth_subscribe", "logs", { topics: [`0x${"00".repeat(32)}`] });
  const pending = await client.call("eth_subscribe", "newPendingTransactions");
  const mined = await node.mine(4);
  const branch = await node.reorg(2, 3);
  const all = [...mined, ...branch];
  const told = await client.until(heads, (each) => each.length === all.length);
  assert.deepEqual(
    told.map(({ hash }) => hash),
    all,
  );

  // All that came before this answer is here.
  await client.call("eth_chainId");
  const kept = new Map<string, number>();
  for (const { blockHash, logIndex, removed } of client.told(logs)) {
    const id = `${blockHash}:${logIndex}`;
    kept.set(id, (kept.get(id) ?? 0) + (removed ? -1 : 1));
  }
  const range = { fromBlock: "0xd", toBlock: "latest", address: node.token };
  const asked: Json[] = await rpc(node.url, "eth_getLogs", range);
  assert.ok(client.told(logs).some(({ removed }) => removed));
  assert.deepEqual(
    [...kept]
      .filter(([, count]) => count === 1)
      .map(([id]) => id)
      .toSorted(),
    asked.map(({ blockHash, logIndex }) => `${blockHash}:${logIndex}`).toSorted(),
  );
  assert.ok([...kept.values()].every((count) => count === 0 || count === 1));
  assert.deepEqual(client.told(others), []);

  const seen = new Set(client.told(pending));
  for (const hash of all.slice(0, 2)) {
    const { transactions } = await rpc(node.url, "eth_getBlockByHash", hash, false);
    for (const each of transactions) assert.ok(seen.has(each));
  }

  assert.equal(await client.call("eth_unsubscribe", heads), true);
  assert.equal(await client.call("eth_unsubscribe", heads), false);
  await node.rollback(1);
  await node.mine(1);
  await client.call("eth_chainId");
  assert.equal(client.told(heads).length, all.length);
});

test("a rollback is silent, and what was taken back is mined again", async (context) => {
  const node = await started(context);
  const client = await subscriber(node.url);
  context.after(() => client.close());
  const heads = await client.call("eth_subscribe", "newHeads");
  const [, last = ""] = await node.mine(2);
  const { transactions } = await rpc(node.url, "eth_getBlockByHash", last, false);
  assert.ok(transactions.length > 0);
  await node.rollback(1);
  assert.equal(await client.call("eth_blockNumber"), "0xd");
  assert.equal(client.told(heads).length, 2);
  assert.equal((await rpc(node.url, "eth_getTransactionByHash", transactions[0])).blockHash, null);
  const [again] = await node.mine();
  assert.equal((await rpc(node.url, "eth_getTransactionByHash", transactions[0])).blockHash, again);
  assert.equal((await rpc(node.url, "eth_getTransactionReceipt", transactions[0])).blockHash, again);
  assert.deepEqual(await client.until(heads, (each) => each.length === 3).then((all) => all.at(-1).hash), again);
});

test("answers what nodes answer", async (context) => {
  const node = await started(context);
  const { url } = node;
  await node.mine(8);
  const number = async (tag: string): Promise<number> =>
    Number((await rpc(url, "eth_getBlockByNumber", tag, false)).number);
  assert.deepEqual(
    await Promise.all(["latest", "safe", "finalized", "earliest", "pending"].map(number)),
    [20, 16, 12, 0, 21],
  );
  assert.equal(await rpc(url, "eth_chainId"), "0x7a69");
  assert.equal(await rpc(url, "net_version"), "31337");
  assert.equal(await rpc(url, "eth_syncing"), false);
  assert.match(await rpc(url, "web3_clientVersion"), /devnet/i);
  assert.equal(await rpc(url, "eth_getBlockByNumber", "0x99", false), null);
  assert.equal(await rpc(url, "eth_getBlockReceipts", "0x99"), null);
  assert.ok(BigInt(await rpc(url, "eth_gasPrice")) > BigInt(await rpc(url, "eth_maxPriorityFeePerGas")));

  const history = await rpc(url, "eth_feeHistory", "0x5", "latest", [0, 50, 100]);
  assert.equal(history.oldestBlock, "0x10");
  assert.equal(history.baseFeePerGas.length, 6);
  assert.equal(history.baseFeePerGas[4], (await rpc(url, "eth_getBlockByNumber", "latest", false)).baseFeePerGas);
  assert.ok(
    history.reward.every(
      ([low, middle, high]: string[]) =>
        BigInt(low ?? 0) <= BigInt(middle ?? 0) && BigInt(middle ?? 0) <= BigInt(high ?? 0),
    ),
  );
  const [next] = await node.mine();
  assert.equal((await rpc(url, "eth_getBlockByHash", next, false)).baseFeePerGas, history.baseFeePerGas[5]);

  const [log] = await rpc(url, "eth_getLogs", { fromBlock: "earliest", toBlock: "latest" });
  const { logsBloom } = await rpc(url, "eth_getBlockByHash", log.blockHash, false);
  const bytes = (hex: string): Buffer => Buffer.from(hex.slice(2), "hex");
  assert.ok(bloomMayMatch(bytes(logsBloom), { addresses: [bytes(log.address)], topics: [[bytes(log.topics[0])]] }));
  const byHash = await rpc(url, "eth_getLogs", { blockHash: log.blockHash, topics: [null, log.topics[1]] });
  assert.deepEqual(byHash[0], log);
});

test("refuses as nodes refuse", async (context) => {
  const node = await started(context);
  const code = async (body: unknown): Promise<number> => (await post(node.url, body)).error.code;
  const call = (method: string, params: unknown): object => ({ jsonrpc: "2.0", id: 1, method, params });
  assert.equal(await code("{"), -32700);
  assert.equal(await code({ id: 1, method: "eth_chainId" }), -32600);
  assert.equal(await code([]), -32600);
  assert.equal(await code(call("eth_call", [])), -32601);
  assert.equal(await code(call("eth_subscribe", ["newHeads"])), -32601);
  assert.equal(await code(call("toString", [])), -32601);
  assert.equal(await code(call("eth_getBlockByHash", ["0x12", false])), -32602);
  assert.equal(await code(call("eth_getBalance", [`0x${"00".repeat(20)}`, "0xfff"])), -32000);
  assert.equal(await code(call("eth_getBlockByNumber", { block: 1 })), -32602);
  const batch = await post(node.url, [
    call("eth_blockNumber", []),
    call("nope", []),
    { jsonrpc: "2.0", method: "eth_chainId" },
  ]);
  assert.deepEqual(
    batch.map((each: Json) => each.result ?? each.error.code),
    ["0xc", -32601],
  );
});

test("frozen it takes sockets and calls, and answers none until it thaws", async (context) => {
  const node = await started(context);
  const client = await subscriber(node.url);
  context.after(() => client.close());
  const heads = await client.call("eth_subscribe", "newHeads");
  node.freeze();
  const answers: string[] = [];
  const asked = Promise.all([
    rpc(node.url, "eth_chainId").then(() => answers.push("http")),
    client.call("eth_chainId").then(() => answers.push("socket")),
    subscriber(node.url).then((other) => {
      answers.push("handshake");
      return other.close();
    }),
  ]);
  const mined = await node.mine(2);
  // A node that is not frozen has answered all of it by then.
  const other = await started(context);
  for (let i = 0; i < 5; i++) await rpc(other.url, "eth_chainId");
  assert.deepEqual(answers, []);
  assert.deepEqual(client.told(heads), []);
  node.thaw();
  await asked;
  assert.deepEqual(
    (await client.until(heads, (each) => each.length === 2)).map(({ hash }) => hash),
    mined,
  );
});

test("each lie is told, and found", async (context) => {
  const node = await started(context);
  const [hash = ""] = await node.mine(3);
  const verdict = async (): Promise<string> => {
    const { block, receipts } = await blockOf(node.url, hash);
    try {
      const result = checkEvmBlock(evmBlockFromJson(block, PRAGUE), evmReceiptsFromJson(receipts), PRAGUE);
      return result.ok ? "holds" : result.refusal.code;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const told = async (lie: EvmLie): Promise<string> => {
    node.lie(lie);
    const found = await verdict();
    node.lie(lie, false);
    return found;
  };
  assert.equal(await told("wrong-hash"), "SPRINT_EVM_HEADER_HASH");
  assert.equal(await told("wrong-transactions"), "SPRINT_EVM_TX_HASH");
  assert.equal(await told("wrong-receipts"), "SPRINT_EVM_GAS_USED");
  assert.equal(await told("huge-numbers"), "SPRINT_EVM_NUMBER_RANGE");
  assert.equal(await told("null-blocks"), "SPRINT_EVM_JSON_NULL");
  assert.equal(await told("null-receipts"), "SPRINT_EVM_JSON_NULL");
  assert.equal(await verdict(), "holds");
  node.lie("wrong-chain-id");
  assert.equal(await rpc(node.url, "eth_chainId"), "0x7a6a");
  node.lie("empty-logs");
  assert.deepEqual(await rpc(node.url, "eth_getLogs", { fromBlock: "0x0" }), []);

  const client = await subscriber(node.url);
  context.after(() => client.close());
  const heads = await client.call("eth_subscribe", "newHeads");
  node.lie("silent");
  await node.mine(2);
  node.lie("silent", false);
  node.lie("skip-heads");
  await node.mine(4);
  const numbers = (await client.until(heads, (each) => each.length === 2)).map((each) => Number(each.number));
  assert.deepEqual(numbers, [18, 20]);
});

test("a wrong base fee is refused by mainnet's rules", async (context) => {
  const node = await started(context);
  const hash = await node.mineWrongBaseFee();
  const { header } = evmBlockFromJson((await blockOf(node.url, hash)).block, PRAGUE);
  const parent = evmBlockFromJson((await blockOf(node.url, header.parentHash)).block, PRAGUE);
  assert.equal(checkEvmContext(header, parent.header, PRAGUE)?.code, "SPRINT_EVM_BASE_FEE");
});

test("keeps as many blocks as it may, and genesis", async (context) => {
  const node = await started(context, { keepBlocks: 20, transactionsPerBlock: 1 });
  await node.mine(200);
  const hashes = await node.hashes();
  assert.equal(hashes.length, 21);
  assert.equal(await rpc(node.url, "eth_getBlockByNumber", "0x64", false), null);
  assert.equal((await rpc(node.url, "eth_getBlockByNumber", "earliest", false)).number, "0x0");
  await assert.rejects(node.reorg(150), { code: "SPRINT_DEVNET_FORK" });
});

test("mines by the clock, forks by chance, comes back at its address and stops", async () => {
  const clock = new FakeClock();
  const node = new EvmEmbeddedNode({ forkChance: 0.5, transactionsPerBlock: 2 }, { clock, random: seededRandom(3) });
  await node.start();
  const { url } = node;
  const client = await subscriber(url);
  const heads = await client.call("eth_subscribe", "newHeads");
  const start = node.tip.height;
  while (node.tip.height < start + 6) await clock.advanceAsync(500);
  const told = await client.until(heads, (each) => each.length > 6);
  assert.ok(new Set(told.map(({ number }) => number)).size < told.length, "some heights came twice");
  const { hash } = node.tip;
  await node.close();
  assert.equal(clock.pending, 0);
  await client.close().catch(() => {});
  await assert.rejects(node.mine(), { code: "SPRINT_DEVNET_CLOSED" });
  await node.start();
  assert.equal(node.url, url);
  assert.equal((await rpc(url, "eth_getBlockByHash", hash, false)).hash, hash);
  await node.close();
});
