/** Stats, watch lists and filters over the wire: bodies, and every way to ask wrongly. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Value } from "typebox/value";
import { StatsBody, SubscriptionBody, WatchListBody, WatchListsBody } from "../../../src/shared/api.ts";
import { ask, post } from "./ask.ts";
import { type FakeDaemon, startFake } from "./daemon.ts";

const SCRIPT = `0014${"07".repeat(20)}`;
const ADDRESS = `0x${"Ab".repeat(20)}`;
const TOPIC = `0x${"Cd".repeat(32)}`;
const lists = ({ tier }: FakeDaemon): string => `${tier}/api/v1/chains/bitcoin/watch`;

test("stats of a chain, as their schema says", async () => {
  await using daemon = await startFake({ mined: 2 });
  const { status, body } = await ask(`${daemon.tier}/api/v1/chains/bitcoin/stats`);
  assert.deepEqual([status, body.chain, body.network], [200, "bitcoin", "devnet"]);
  assert.deepEqual([...Value.Errors(StatsBody, body)], []);
  const off = await ask(`${daemon.tier}/api/v1/chains/dogecoin/stats`);
  assert.deepEqual(
    [off.status, off.body.error.code, off.body.error.details.on],
    [404, "SPRINT_API_CHAIN_OFF", ["bitcoin", "litecoin"]],
  );
});

describe("watch lists", () => {
  test("are made, listed, read and deleted", async () => {
    await using daemon = await startFake();
    const made = await post(lists(daemon), { id: "cold", scripts: [SCRIPT], confirmations: [6, 1] });
    assert.equal(made.status, 201);
    assert.deepEqual([...Value.Errors(WatchListBody, made.body)], []);
    assert.deepEqual([made.body.id, made.body.items, made.body.confirmations], ["cold", 1, [1, 6]]);
    const unnamed = await post(lists(daemon), { scripts: [SCRIPT] });
    assert.match(unnamed.body.id, /^[a-z0-9]/);
    const all = await ask(lists(daemon));
    assert.deepEqual([...Value.Errors(WatchListsBody, all.body)], []);
    assert.equal(all.body.lists.length, 2);
    assert.deepEqual((await ask(`${lists(daemon)}/cold`)).body, made.body);
    const unspent = await ask(`${lists(daemon)}/cold/unspent?item=${SCRIPT}`);
    assert.deepEqual([unspent.status, unspent.body], [200, { outputs: [], next_after: null }]);
    assert.equal((await ask(`${lists(daemon)}/cold`, { method: "DELETE" })).status, 204);
    assert.equal((await ask(lists(daemon))).body.lists.length, 1);
    assert.deepEqual(daemon.faults, []);
  });

  test("that are asked for wrongly are refused by code, field and status", async () => {
    await using daemon = await startFake();
    await post(lists(daemon), { id: "cold", scripts: [SCRIPT] });
    const posted = async (body: unknown, chain = "bitcoin"): Promise<unknown[]> => {
      const answer = await post(`${daemon.tier}/api/v1/chains/${chain}/watch`, body);
      return [answer.status, answer.body.error?.code, answer.body.error?.details.field];
    };
    assert.deepEqual(await posted({ id: "cold", scripts: [SCRIPT] }), [409, "SPRINT_WATCH_EXISTS", undefined]);
    assert.deepEqual(await posted({ scripts: [SCRIPT] }, "dogecoin"), [404, "SPRINT_API_CHAIN_OFF", undefined]);
    assert.deepEqual(await posted({ topics: [`0x${"cd".repeat(32)}`] }), [400, "SPRINT_WATCH_FAMILY", undefined]);
    assert.deepEqual(await posted({ id: "Not A Name", scripts: [SCRIPT] }), [400, "SPRINT_API_BAD_INPUT", "id"]);
    assert.deepEqual((await posted({ scripts: ["0G"] })).slice(0, 2), [400, "SPRINT_API_BAD_INPUT"]);
    assert.deepEqual((await posted({ scripts: Array(1_001).fill(SCRIPT) })).slice(0, 2), [400, "SPRINT_API_BAD_INPUT"]);
    assert.deepEqual((await posted({ confirmations: [0], scripts: [SCRIPT] })).slice(0, 2), [
      400,
      "SPRINT_API_BAD_INPUT",
    ]);
    assert.deepEqual(await posted({ script: [SCRIPT] }), [400, "SPRINT_API_BAD_INPUT", "script"]);
    assert.equal((await posted({}))[0], 400, "a list of nothing");
    assert.equal((await posted({ addresses: ["bc1qnothing"] }))[0], 400);
    for (const [path, method] of [
      ["/none", "GET"],
      ["/none", "DELETE"],
      [`/none/unspent?item=${SCRIPT}`, "GET"],
      ["/none/matches?from=1", "GET"],
    ] as const) {
      const { status, body } = await ask(lists(daemon) + path, { method });
      assert.deepEqual([status, body.error.code, body.error.details.id], [404, "SPRINT_WATCH_UNKNOWN", "none"], path);
    }
    const other = await ask(`${lists(daemon)}/cold/unspent?item=0014${"08".repeat(20)}`);
    assert.deepEqual([other.status, other.body.error.code], [400, "SPRINT_WATCH_ITEM"]);
    const limit = await ask(`${lists(daemon)}/cold/unspent?item=${SCRIPT}&limit=0`);
    assert.deepEqual([limit.status, limit.body.error.details.field], [400, "limit"]);
    assert.deepEqual(daemon.faults, []);
  });

  test("have an end: one more than there is room for is told to wait", async () => {
    await using daemon = await startFake();
    for (let list = 0; list < 1_000; list++) {
      const { status } = await post(lists(daemon), { scripts: [SCRIPT] });
      if (status !== 201) assert.fail(`list ${list}: ${status}`);
    }
    const { status, body } = await post(lists(daemon), { scripts: [SCRIPT] });
    assert.deepEqual([status, body.error.code], [429, "SPRINT_WATCH_LISTS_FULL"]);
  });
});

describe("filters", () => {
  test("are stored as they were given, in lower case, and shown again", async () => {
    await using daemon = await startFake();
    const fragment = "event Transfer(address indexed from, address indexed to, uint256 value)";
    const { status, body } = await post(`${daemon.tier}/api/v1/subscribe`, {
      chains: ["bitcoin"],
      types: ["log", "pending_tx", "watch"],
      logs: { addresses: [ADDRESS], topics: [TOPIC, null, [TOPIC, TOPIC.toLowerCase()]], abi: [fragment] },
      pending: { addresses: [ADDRESS], selectors: ["0xA9059CBB"], min_value_wei: "1000000000000000000000" },
      watch: ["cold"],
    });
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual([...Value.Errors(SubscriptionBody, body)], []);
    const [address, topic] = [ADDRESS.toLowerCase(), TOPIC.toLowerCase()];
    assert.deepEqual(body.logs, { addresses: [address], topics: [[topic], null, [topic, topic]], abi: [fragment] });
    assert.deepEqual(body.pending, {
      addresses: [address],
      selectors: ["0xa9059cbb"],
      min_value_wei: "1000000000000000000000",
    });
    assert.deepEqual(body.watch, ["cold"]);
    assert.deepEqual(daemon.decoded, [[fragment]], "its decoder is made before the first log comes");
    const { subscriptions } = (await ask(`${daemon.tier}/api/v1/subscriptions`)).body;
    assert.deepEqual(subscriptions, [body]);
  });

  test("that are none are refused", async () => {
    await using daemon = await startFake();
    const refused = async (body: unknown): Promise<unknown[]> => {
      const answer = await post(`${daemon.tier}/api/v1/subscribe`, body);
      return [answer.status, answer.body.error?.code];
    };
    const bad = [400, "SPRINT_API_BAD_INPUT"];
    assert.deepEqual(await refused({ logs: { addresses: ["0x12"] } }), bad);
    assert.deepEqual(await refused({ logs: { topics: [TOPIC, TOPIC, TOPIC, TOPIC, TOPIC] } }), bad);
    assert.deepEqual(await refused({ logs: { topics: ["0x12"] } }), bad);
    assert.deepEqual(await refused({ logs: { address: [ADDRESS] } }), bad);
    assert.deepEqual(await refused({ pending: { selectors: ["0x12"] } }), bad);
    assert.deepEqual(await refused({ pending: { min_value_wei: "1e18" } }), bad);
    assert.deepEqual(await refused({ pending: { min_value_wei: "9".repeat(79) } }), bad);
    assert.deepEqual(await refused({ watch: [] }), bad);
    assert.deepEqual(await refused({ types: ["logs"] }), bad);
    assert.deepEqual(await refused({ chains: ["dogecoin"] }), [404, "SPRINT_API_CHAIN_OFF"]);
    const [status, code] = await refused({ logs: { abi: ["event Transfer(address from"] } });
    assert.equal(status, 400);
    assert.match(String(code), /^SPRINT_ABI_/);
    assert.deepEqual((await ask(`${daemon.tier}/api/v1/subscriptions`)).body.subscriptions, []);
    assert.deepEqual(daemon.faults, []);
  });
});
