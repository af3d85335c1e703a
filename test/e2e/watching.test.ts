/** Watch lists over the REST API with real nodes: each state of a movement once, across reorgs; and stats of every chain. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import type { StatsBody, UnspentBody, WatchBody, WatchListBody } from "../../src/shared/api.ts";
import type { Chain } from "../../src/shared/chain.ts";
import type { WatchData, WatchEvent } from "../../src/shared/events.ts";
import { hasAnvil, startAnvil } from "../fakes/anvil.ts";
import {
  atSameBlock,
  hasLitecoind,
  joinNodes,
  type Litecoind,
  mineOther,
  partNodes,
  startLitecoind,
} from "../fakes/litecoind.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { subscribe, type TestSubscriber } from "../fakes/subscriber.ts";
import { deployToken, TRANSFER_TOPIC } from "../fakes/token.ts";
import { until } from "./watch.ts";

const WATCHED = "/ws/v1/events?types=block,reorg,finalized,watch,hello,gap";

async function relayOf(t: TestContext, args: readonly string[]): Promise<SprintProcess> {
  const sprint = await startSprint({ args: ["--tier", "ENTERPRISE", ...args] });
  t.after(() => sprint.stop());
  return sprint;
}

async function listen(t: TestContext, sprint: SprintProcess, path = WATCHED): Promise<TestSubscriber> {
  const client = await subscribe(`${sprint.tiers.ENTERPRISE}${path}`);
  t.after(() => client.close());
  return client;
}

async function rest<T>(sprint: SprintProcess, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${sprint.tiers.ENTERPRISE}/api/v1/chains/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { connection: "close", ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.ok(response.ok, `${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

function watch(sprint: SprintProcess, chain: Chain, body: WatchBody): Promise<WatchListBody> {
  return rest(sprint, `${chain}/watch`, body);
}

/** What was told of one movement, as `mined 101` and `confirmed 2 @101`, in order; its sequence numbers must count up by one. */
function story(client: TestSubscriber, wanted: Partial<WatchData>): string[] {
  const told = client.events.filter((event): event is WatchEvent => event.type === "watch").map(({ data }) => data);
  const own = told.filter((data) =>
    Object.entries(wanted).every(([name, value]) => data[name as keyof WatchData] === value),
  );
  const movements = new Set(own.map(({ list, txid, output, kind, item }) => [list, txid, output, kind, item].join()));
  assert.ok(movements.size <= 1, `more than one movement: ${[...movements].join(" and ")}`);
  const first = own[0]?.sequence ?? 0;
  assert.deepEqual(
    own.map(({ sequence }) => sequence),
    own.map((_, i) => first + i),
  );
  return own.map(({ state, confirmations, block }) =>
    [state, ...(state === "confirmed" ? [confirmations] : []), ...(block === null ? [] : [`@${block.height}`])].join(
      " ",
    ),
  );
}

async function told(client: TestSubscriber, wanted: Partial<WatchData>, last: string): Promise<void> {
  while (story(client, wanted).at(-1) !== last) await client.next();
}

/** Until every proof up to the node's newest block was told. */
async function provedUpTo(client: TestSubscriber, chain: Chain, hash: string): Promise<void> {
  while (client.checker.tip(chain) !== hash || !client.checker.isValidated(chain, hash)) await client.next();
}

describe("an address of a real litecoind", { skip: hasLitecoind() ? false : "litecoind is not installed" }, () => {
  test("paid, reverted by a reorg between two nodes, mined again, final, spent", async (t) => {
    const a = await startLitecoind({ wallet: true, args: ["-txindex"] });
    t.after(() => a.stop());
    const b = await startLitecoind();
    t.after(() => b.stop());
    await a.rpc("createwallet", ["w"]);
    await a.rpc("generatetoaddress", [110, await a.rpc("getnewaddress")]);
    const pushes = `litecoin=p2p://127.0.0.1:${a.p2pPort}?network=regtest`;
    const answers = `litecoin=http://127.0.0.1:${a.rpcPort}?network=regtest&cookie=${encodeURIComponent(a.cookiePath)}`;
    const sprint = await relayOf(t, ["--chain", pushes, "--chain", answers]);
    const client = await listen(t, sprint);
    await joinNodes(a, b);
    await inStep(a, b);
    const best = (): Promise<string> => a.rpc<string>("getbestblockhash");
    await provedUpTo(client, "litecoin", await best());

    const address = await a.rpc<string>("getnewaddress");
    const list = await watch(sprint, "litecoin", { id: "till", addresses: [address], confirmations: [1, 3] });
    assert.deepEqual([list.id, list.items], ["till", 1]);
    const unspent = (): Promise<UnspentBody> => rest(sprint, `litecoin/watch/till/unspent?item=${address}`);

    await parted(a, b);
    const txid = await a.rpc<string>("sendtoaddress", [address, 1.5]);
    const paid = { txid, kind: "created" } as const;
    await told(client, paid, "seen");
    assert.deepEqual((await unspent()).outputs, []);
    await a.mine(3);
    await told(client, paid, "confirmed 3 @111");
    const [output] = (await unspent()).outputs;
    assert.deepEqual([output?.txid, output?.value, output?.block.height], [txid, "150000000", 111]);

    // The other node's four win over these three.
    await mineOther(b, 4);
    await joinNodes(a, b);
    await told(client, paid, "reverted @111");
    await inStep(a, b);
    await provedUpTo(client, "litecoin", await best());
    assert.deepEqual((await unspent()).outputs, []);
    await a.mine(1);
    await told(client, paid, "confirmed 1 @115");
    await a.mine(12);
    await told(client, paid, "final @115");
    const whole = ["seen", "mined @111", "confirmed 1 @111", "confirmed 3 @111", "reverted @111"];
    assert.deepEqual(story(client, paid), [
      ...whole,
      "mined @115",
      "confirmed 1 @115",
      "confirmed 3 @115",
      "final @115",
    ]);

    const place = (await unspent()).outputs[0]?.output ?? -1;
    const target = await a.rpc("getnewaddress");
    const raw = await a.rpc("createrawtransaction", [[{ txid, vout: place }], { [String(target)]: 1.499 }]);
    const { hex } = await a.rpc<{ hex: string }>("signrawtransactionwithwallet", [raw]);
    const spending = await a.rpc<string>("sendrawtransaction", [hex]);
    const spent = { txid: spending, kind: "spent", outpoint: `${txid}:${place}` } as const;
    await told(client, spent, "seen");
    assert.equal((await unspent()).outputs[0]?.spending_txid, spending);
    // Nodes are asked for their mempool every ten seconds.
    let stats: StatsBody | null = null;
    await until(
      async () => {
        stats = await rest<StatsBody>(sprint, "litecoin/stats");
        return (
          stats.family === "utxo" && stats.mempool?.transactions === 1 && stats.mempool.template?.transactions === 1
        );
      },
      () => `no mempool with one transaction: ${JSON.stringify(stats)}`,
    );
    await a.mine(1);
    await told(client, spent, "confirmed 1 @128");
    assert.deepEqual((await unspent()).outputs, []);
    assert.deepEqual(story(client, spent), ["seen", "mined @128", "confirmed 1 @128"]);
    client.checker.assertClean();
  });
});

async function inStep(a: Litecoind, b: Litecoind): Promise<void> {
  await until(
    () => atSameBlock(a, b),
    () => "the nodes stayed on different blocks",
  );
}

async function parted(a: Litecoind, b: Litecoind): Promise<void> {
  await until(
    () => partNodes(a, b),
    () => "the nodes stayed connected",
  );
}

describe("an address and a topic on a real anvil", { skip: !hasAnvil && "no anvil" }, () => {
  test("paid, reverted, mined again in another block, final", async (t) => {
    const anvil = await startAnvil();
    t.after(() => anvil.close());
    const token = await deployToken(anvil);
    const tip = (await anvil.mine(19)).at(-1) ?? "";
    const sprint = await relayOf(t, ["--chain", `ethereum=${anvil.url}?network=devnet`]);
    const client = await listen(t, sprint);
    await provedUpTo(client, "ethereum", tip);

    const watched = `0x${"5e".repeat(20)}`;
    await watch(sprint, "ethereum", { id: "till", addresses: [watched], confirmations: [1, 2] });
    await watch(sprint, "ethereum", { id: "token", topics: [TRANSFER_TOPIC] });
    const fees = { gas: "0x5208", maxFeePerGas: "0x746a528800", maxPriorityFeePerGas: "0x3b9aca00" };
    const nonce = await anvil.rpc("eth_getTransactionCount", [token.owner, "latest"]);
    const payment = { from: token.owner, to: watched, value: "0x2386f26fc10000", nonce, ...fees };
    const txid = await anvil.rpc<string>("eth_sendTransaction", [payment]);
    await told(client, { txid }, "seen");
    await token.transfer(1);
    await anvil.mine(2);
    await told(client, { txid }, "confirmed 2 @21");
    // The same payment two blocks later.
    await anvil.rpc("anvil_reorg", [2, []]);
    await told(client, { txid }, "reverted @21");
    await anvil.rpc("eth_sendTransaction", [payment]);
    await anvil.mine(1);
    await told(client, { txid }, "confirmed 1 @23");
    await anvil.mine(10);
    await told(client, { txid }, "final @23");
    const before = ["seen", "mined @21", "confirmed 1 @21", "confirmed 2 @21", "reverted @21"];
    assert.deepEqual(story(client, { txid }), [
      ...before,
      "mined @23",
      "confirmed 1 @23",
      "confirmed 2 @23",
      "final @23",
    ]);
    const [seen] = client.events.filter((event): event is WatchEvent => event.type === "watch");
    assert.deepEqual([seen?.data.item, seen?.data.value], [watched, "10000000000000000"]);
    assert.deepEqual(story(client, { list: "token" }), ["mined @21", "confirmed 1 @21", "reverted @21"]);
    client.checker.assertClean();
  });
});

describe("stats of a start without configuration", () => {
  const FILLED: Readonly<Record<string, readonly string[]>> = {
    utxo: ["tip", "hash_rate_per_second", "difficulty", "bits", "segwit_share", "reward_units", "fullness"],
    evm: ["tip", "gas", "base_fee", "tips", "suggestion", "congestion"],
    svm: ["tip", "slot", "epoch", "slot_time_ms", "tps", "skipped", "fees_lamports", "compute_units", "validators"],
  };
  const CHAINS = { bitcoin: "utxo", litecoin: "utxo", dogecoin: "utxo", ethereum: "evm", solana: "svm" } as const;

  function missing(stats: StatsBody): readonly string[] {
    const body = stats as unknown as Readonly<Record<string, unknown>>;
    return (FILLED[stats.family] ?? []).filter((field) => body[field] === null || body[field] === undefined);
  }

  test("each chain's are filled, by question and by event", async (t) => {
    const sprint = await relayOf(t, []);
    const client = await listen(t, sprint, "/ws/v1/events?types=stats");
    for (const [chain, family] of Object.entries(CHAINS)) {
      let stats: StatsBody | null = null;
      await until(
        async () => {
          stats = await rest<StatsBody>(sprint, `${chain}/stats`);
          return missing(stats).length === 0;
        },
        () => `${chain} has no ${stats === null ? "stats" : missing(stats).join(", ")}: ${JSON.stringify(stats)}`,
      );
      const { family: told, network, block_interval: interval } = stats as unknown as Record<string, unknown>;
      assert.deepEqual([told, network], [family, "devnet"]);
      if (family !== "svm") assert.ok((interval as { blocks: number }).blocks > 0);
      const event = await client.next(
        (each) => each.type === "stats" && each.chain === chain && missing(each.data).length === 0,
      );
      assert.ok(event.type === "stats" && event.data.family === family);
    }
  });
});
