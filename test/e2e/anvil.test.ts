/** The real daemon on a real anvil: whatever the node does, its chain and its logs reach a subscriber, in order, once, and are taken back where due. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../src/shared/clock.ts";
import type { LogEntry, LogEvent } from "../../src/shared/events.ts";
import { type Anvil, hasAnvil, startAnvil } from "../fakes/anvil.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { type ChainChecker, subscribe, type TestSubscriber } from "../fakes/subscriber.ts";
import { deployToken, type Token, topicOf, TRANSFER_ABI, TRANSFER_TOPIC } from "../fakes/token.ts";
import { startWire } from "../fakes/wire.ts";
import { upstream, upstreamOnce } from "./watch.ts";

const skip = !hasAnvil && "no anvil";
const EVERYTHING = "/ws/v1/events?types=block,reorg,finalized,gap,log,hello";
/** A block that anvil counts as final is so far below its tip. */
const FINAL_DEPTH = 8;

interface RpcLog {
  readonly blockHash: string;
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
  readonly transactionHash: string;
  readonly transactionIndex: string;
  readonly logIndex: string;
}

/** A node with a token, closed with the test. */
async function nodeFor(t: TestContext): Promise<{ anvil: Anvil; token: Token }> {
  const anvil = await startAnvil();
  t.after(() => anvil.close());
  const token = await deployToken(anvil);
  await anvil.mine(FINAL_DEPTH * 2);
  return { anvil, token };
}

async function relayOf(
  t: TestContext,
  urls: readonly string[],
  again: { dataDir?: string; port?: number } = {},
): Promise<SprintProcess> {
  const chains = urls.flatMap((url) => ["--chain", `ethereum=${url}?network=devnet`]);
  const sprint = await startSprint({ args: ["--tier", "ENTERPRISE", ...chains], ...again });
  t.after(() => sprint.stop());
  return sprint;
}

async function listen(t: TestContext, address: string, checker?: ChainChecker): Promise<TestSubscriber> {
  const client = await subscribe(address, checker === undefined ? {} : { checker });
  t.after(() => client.close());
  return client;
}

/** Waits until the node's newest block was told as proved. */
async function caughtUp(client: TestSubscriber, anvil: Anvil): Promise<void> {
  const { hash } = await anvil.rpc<{ hash: string }>("eth_getBlockByNumber", ["latest", false]);
  const { checker } = client;
  while (checker.tip("ethereum") !== hash || !checker.isValidated("ethereum", hash)) await client.next();
}

/** The stream told exactly the node's chain and its logs, from the first block heard on; how many logs. */
async function assertSame(client: TestSubscriber, anvil: Anvil, filter: object = {}): Promise<number> {
  await caughtUp(client, anvil);
  const { checker } = client;
  checker.assertClean();
  const truth = await anvil.hashes();
  const path = checker.path("ethereum");
  assert.deepEqual(path, truth.slice(-path.length));
  for (const hash of path) assert.ok(checker.isValidated("ethereum", hash), `no proof of ${hash} was told`);
  const fromBlock = `0x${(truth.length - path.length).toString(16)}`;
  const logs = await anvil.rpc<RpcLog[]>("eth_getLogs", [{ fromBlock, toBlock: "latest", ...filter }]);
  const expected = logs.map(({ blockHash, address, topics, data, ...place }) => ({
    block: blockHash,
    address,
    topics,
    data,
    transaction_hash: place.transactionHash,
    transaction_index: Number(place.transactionIndex),
    log_index: Number(place.logIndex),
  }));
  const told = checker.logs("ethereum");
  assert.deepEqual(
    path.flatMap((block) => (told.get(block) ?? []).map((log) => ({ block, ...withoutArguments(log) }))),
    expected,
  );
  assert.equal([...told.values()].flat().length, expected.length);
  return expected.length;
}

function withoutArguments(log: LogEntry): LogEntry {
  const { decoded: _decoded, ...rest } = log;
  return rest;
}

function gapsOf({ events }: TestSubscriber): readonly unknown[] {
  return events.filter(({ type }) => type === "gap");
}

for (const [kind, blocks] of [
  ["ws", 1_000],
  ["http", 300],
] as const) {
  describe(`anvil over ${kind}`, { skip }, () => {
    test(`${blocks} blocks in bursts, reorgs of depth 1 to 8 and rewinds that nobody is told of`, async (t) => {
      const { anvil, token } = await nodeFor(t);
      const sprint = await relayOf(t, [kind === "ws" ? anvil.url : anvil.httpUrl]);
      const client = await listen(t, `${sprint.tiers.ENTERPRISE}${EVERYTHING}`);
      await caughtUp(client, anvil);
      const random = seededRandom(4);
      const upTo = (most: number): number => 1 + Math.floor(random() * most);
      const height = async (): Promise<number> => Number(await anvil.rpc<string>("eth_blockNumber"));
      const burst = async (count: number): Promise<void> => {
        for (let left = count; left > 0; left--) {
          if (random() < 0.6) await token.transfer(upTo(3));
          await anvil.rpc("anvil_mine", ["0x1"]);
        }
      };
      let turn = 0;
      const enough = (await height()) + blocks;
      for (; (await height()) < enough; turn++) {
        await anvil.rpc("anvil_mine", [`0x${upTo(40).toString(16)}`]);
        await burst(upTo(25));
        // Sooner or later than the stream has come to what is undone.
        if (random() < 0.5) await caughtUp(client, anvil);
        await token.reorg((turn % 8) + 1);
        if (turn % 8 !== 3) continue;
        await caughtUp(client, anvil);
        const lower = await anvil.rollback(upTo(5));
        while (client.checker.tip("ethereum") !== lower) await client.next();
        await burst(FINAL_DEPTH);
      }
      const logs = await assertSame(client, anvil);
      assert.deepEqual(gapsOf(client), []);
      const { seen } = client.checker;
      assert.ok(
        seen.announced >= blocks && seen.reorgs >= blocks / 60 && seen.removed > 0 && logs > blocks / 4,
        JSON.stringify(seen),
      );
      t.diagnostic(`${JSON.stringify(seen)}, ${turn} reorgs ordered, ${logs} logs at the end`);
      assert.equal((await upstream(sprint, "eth-1")).state, "up");
    });
  });
}

describe("an anvil that comes and goes", { skip }, () => {
  test("frozen, thawed, restarted with its blocks, killed and back", async (t) => {
    const { anvil, token } = await nodeFor(t);
    const sprint = await relayOf(t, [anvil.url]);
    const client = await listen(t, `${sprint.tiers.ENTERPRISE}${EVERYTHING}`);
    for (let turn = 1; turn <= 3; turn++) {
      await token.transfer(2);
      const mining = anvil.mine(3);
      anvil.freeze();
      await sleep(500);
      anvil.thaw();
      await mining;
      await token.reorg(turn);
      await assertSame(client, anvil);
    }
    await anvil.restart();
    await token.transfer(3);
    await anvil.mine(5);
    await assertSame(client, anvil);
    // Of a crash it knows nothing that came after the last restart, and mines other blocks.
    await anvil.kill();
    await upstreamOnce(sprint, "eth-1", ({ state }) => state !== "up");
    await anvil.restart();
    await token.transfer(1);
    await anvil.mine(7);
    await assertSame(client, anvil);
    assert.deepEqual(gapsOf(client), []);
    t.diagnostic(JSON.stringify(client.checker.seen));
  });

  test("cut off in the middle of a reorg while a second way to it stays", async (t) => {
    const { anvil, token } = await nodeFor(t);
    const first = await startWire(anvil.port);
    t.after(() => first.close());
    const second = await startWire(anvil.port);
    t.after(() => second.close());
    const sprint = await relayOf(t, [`ws://127.0.0.1:${first.port}`, `ws://127.0.0.1:${second.port}`]);
    const client = await listen(t, `${sprint.tiers.ENTERPRISE}${EVERYTHING}`);
    for (let turn = 1; turn <= 4; turn++) {
      const [cut] = turn % 2 === 0 ? [first] : [second];
      for (let block = 0; block < 6; block++) {
        await token.transfer(2);
        await anvil.mine(1);
      }
      await caughtUp(client, anvil);
      const before = client.checker.seen.removed;
      // One way tells nothing of it any more; a longer branch goes over the other.
      cut.cut("from");
      await token.reorg(turn + 2);
      await token.transfer(1);
      await anvil.mine(2);
      await caughtUp(client, anvil);
      assert.ok(
        client.checker.seen.removed >= before + turn + 2,
        `turn ${turn}: ${JSON.stringify(client.checker.seen)}`,
      );
      cut.mend();
      await token.reorg(1);
      await anvil.mine(1);
      for (const name of ["eth-1", "eth-2"]) await upstreamOnce(sprint, name, ({ state }) => state === "up");
      await assertSame(client, anvil);
    }
    assert.deepEqual(gapsOf(client), []);
    t.diagnostic(JSON.stringify(client.checker.seen));
  });
});

describe("a daemon that is killed", { skip }, () => {
  test("goes on where its subscriber was, logs included; what was undone meanwhile is a gap", async (t) => {
    const { anvil, token } = await nodeFor(t);
    const dataDir = await mkdtemp(join(tmpdir(), "sprint-anvil-"));
    t.after(() => rm(dataDir, { recursive: true, force: true }));
    const crash = await relayOf(t, [anvil.url], { dataDir });
    const address = crash.tiers.ENTERPRISE ?? "";
    const port = Number(new URL(address).port);
    let client = await listen(t, `${address}${EVERYTHING}`);
    const busy = async (blocks: number): Promise<void> => {
      for (let left = blocks; left > 0; left--) {
        await token.transfer(2);
        await anvil.mine(1);
      }
    };
    await busy(20);
    await caughtUp(client, anvil);
    let sprint = crash;
    const killAndResume = async (meanwhile: () => Promise<void>): Promise<boolean> => {
      await sprint.kill();
      await client.closed;
      await meanwhile();
      sprint = await relayOf(t, [anvil.url], { dataDir, port });
      client = await listen(t, `${address}${EVERYTHING}&cursor=${client.cursor}`, client.checker);
      const hello = await client.next(({ type }) => type === "hello");
      return hello.type === "hello" && hello.data.recovered;
    };
    assert.equal(await killAndResume(() => busy(15)), true);
    await busy(3);
    const logs = await assertSame(client, anvil);
    assert.ok(logs >= 35 * 2);
    assert.deepEqual(gapsOf(client), []);

    const recovered = await killAndResume(() => token.reorg(4));
    await busy(3);
    await assertSame(client, anvil);
    assert.equal(recovered, gapsOf(client).length === 0);
    t.diagnostic(`${logs} logs, ${JSON.stringify(client.checker.seen)}, gaps ${JSON.stringify(gapsOf(client))}`);
  });
});

describe("a filter of logs", { skip }, () => {
  test("by address and topic, decoded, and taken back with the same words", async (t) => {
    const { anvil, token } = await nodeFor(t);
    const other = await deployToken(anvil);
    const sprint = await relayOf(t, [anvil.url]);
    const [, , to = ""] = token.receivers;
    const topics = [TRANSFER_TOPIC, null, topicOf(to)];
    const answer = await fetch(`${sprint.tiers.ENTERPRISE}/api/v1/subscribe`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        chains: ["ethereum"],
        types: ["block", "reorg", "log"],
        logs: { addresses: [token.address], topics, abi: [TRANSFER_ABI] },
      }),
    });
    const text = await answer.text();
    assert.equal(answer.status, 201, text);
    const client = await listen(t, (JSON.parse(text) as { url: string }).url);
    for (let depth = 1; depth <= 4; depth++) {
      for (let block = 0; block < 5; block++) {
        await token.transfer(3);
        await other.transfer(3);
        await anvil.mine(1);
      }
      await caughtUp(client, anvil);
      await token.reorg(depth);
    }
    const logs = await assertSame(client, anvil, { address: token.address, topics });
    const told = client.events
      .filter((event): event is LogEvent => event.type === "log")
      .flatMap(({ data }) => data.logs);
    for (const { topics, data, decoded } of told) {
      const [, from = "", receiver = ""] = topics;
      assert.deepEqual([topicOf(token.owner), topicOf(to)], [from, receiver]);
      assert.equal(decoded?.event, "Transfer(address,address,uint256)");
      const { from: sender, to: payee, value } = decoded.args;
      assert.deepEqual(
        [String(sender).toLowerCase(), String(payee).toLowerCase(), value],
        [token.owner.toLowerCase(), to.toLowerCase(), String(BigInt(data))],
      );
    }
    assert.ok(logs > 0 && told.some(({ decoded }) => decoded !== null));
    t.diagnostic(`${logs} logs at the end, ${JSON.stringify(client.checker.seen)}`);
  });
});
