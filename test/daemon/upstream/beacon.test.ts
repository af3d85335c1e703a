import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout } from "node:timers/promises";
import { parse } from "yaml";
import { beaconParamsFor, holdsSyncSignature, readLightClient, type Refusal } from "../../../src/daemon/chain/index.ts";
import { createBeaconFeed } from "../../../src/daemon/upstream/beacon.ts";
import type { ChainPoint, Feed } from "../../../src/daemon/upstream/types.ts";
import { parseUpstreamUrl } from "../../../src/daemon/upstream/url.ts";
import { type Clock, seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { blockAt, executionHashAt, heightAt, TEST_PARAMS } from "../../fakes/beacon-chain.ts";
import { type FakeBeacon, fakeBeacon } from "../../fakes/beacon.ts";
import { testBreaker } from "../../fakes/breaker.ts";
import { hasData, readData } from "../../fakes/data.ts";
import { jsonOf } from "../../fakes/ssz.ts";

const never = new AbortController().signal;
const ethereum = { chain: "ethereum", network: "mainnet" } as const;

interface Heard {
  readonly feed: Feed;
  readonly finalized: ChainPoint[];
  readonly downs: string[];
  readonly notYet: Refusal[];
  readonly ups: () => number;
  /** How often anything was told as final. */
  readonly tellings: () => number;
  until(holds: () => boolean): Promise<void>;
}

interface Wishes {
  /** Slot that it is. */
  readonly now?: number;
  readonly query?: string;
  readonly silenceMs?: number;
  /** As the daemon makes it for mainnet, at this Unix time. */
  readonly mainnetAtMs?: number;
  /** Signatures are checked as in the daemon, else here. */
  readonly inThread?: boolean;
}

function listen(t: TestContext, node: FakeBeacon, wishes: Wishes = {}): Heard {
  const slotMs = (TEST_PARAMS.genesisTime + (wishes.now ?? 1_000) * TEST_PARAMS.secondsPerSlot) * 1_000;
  const wallMs = wishes.mainnetAtMs ?? slotMs;
  const clock: Clock = { ...systemClock, wall: () => wallMs };
  const finalized: ChainPoint[] = [];
  const downs: string[] = [];
  const notYet: Refusal[] = [];
  let ups = 0;
  let tellings = 0;
  const feed = createBeaconFeed(
    {
      name: "beacon-1",
      address: node.address(wishes.query),
      backoff: { baseMs: 20, capMs: 100 },
      silenceMs: wishes.silenceMs ?? 60_000,
    },
    {
      codec: ethereum,
      ...(wishes.mainnetAtMs === undefined ? { params: TEST_PARAMS } : {}),
      clock,
      random: seededRandom(1),
      breaker: testBreaker({ clock }),
      ...(wishes.inThread === true ? {} : { verify: holdsSyncSignature }),
      onNotYet: (refusal) => void notYet.push(refusal),
      sink: {
        up: () => void ups++,
        announce: () => assert.fail("a beacon node announces nothing"),
        down: (_, reason) => void downs.push(reason),
        // It is told again with each head.
        finalized: (_, point) => {
          tellings++;
          if (finalized.at(-1)?.hash !== point.hash) finalized.push(point);
        },
      },
    },
  );
  t.after(() => feed.close());
  feed.start();
  return {
    feed,
    finalized,
    downs,
    notYet,
    ups: () => ups,
    tellings: () => tellings,
    async until(holds) {
      while (!holds()) {
        // Heights are not told to the sink.
        await setTimeout(2, null, { signal: t.signal });
      }
    },
  };
}

function point(slot: number): ChainPoint {
  return { hash: executionHashAt(slot), height: heightAt(slot) };
}

test("a node that is believed tells what is final, and its height", async (t) => {
  const node = await fakeBeacon(t, { head: 150, finalized: 136 });
  const heard = listen(t, node);
  await heard.until(() => heard.finalized.length === 1 && heard.feed.status().height === heightAt(150));
  assert.deepEqual(heard.finalized, [point(136)]);
  const { agent, kind, state, finalized } = heard.feed.status();
  assert.deepEqual([agent, kind, state, finalized], ["Fake/v1.2.3", "beacon", "up", point(136)]);

  node.advance(152, 144);
  await heard.until(() => heard.finalized.length === 2 && heard.feed.status().height === heightAt(152));
  assert.deepEqual(heard.finalized[1], point(144));
  assert.deepEqual(await heard.feed.headersAfter([], never), [], "nothing newer, ever");
  await assert.rejects(heard.feed.body(point(144).hash, never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
  assert.ok(!node.asked.some((path) => path.includes("light_client")));
  const before = heard.tellings();
  node.advance(153);
  await heard.until(() => heard.tellings() > before);
  assert.equal(heard.finalized.length, 2, "the same again, for who had no such block before");
  assert.deepEqual(heard.downs, []);
});

test("with a trusted root only what is proved is told, over periods, by SSZ and by JSON", async (t) => {
  for (const servesSsz of [true, false]) {
    const node = await fakeBeacon(t, { head: 341, finalized: 328 });
    node.servesSsz = servesSsz;
    const heard = listen(t, node, { now: 360, query: `?trusted=${blockAt(136).root}` });
    await heard.until(() => heard.finalized.length === 1);
    assert.deepEqual(heard.finalized, [point(328)]);
    assert.equal(node.asked.filter((path) => path.includes("updates?start_period=2&count=4")).length, 1);

    // The checkpoint comes with its block; what proves it one slot later.
    node.finality = { finalized: 328 };
    node.advance(344, 336);
    await heard.until(() => heard.feed.status().height === heightAt(344));
    assert.equal(heard.finalized.at(-1)?.height, heightAt(328));
    node.finality = {};
    node.advance(345);
    await heard.until(() => heard.finalized.at(-1)?.height === heightAt(336));
    assert.equal(node.asked.filter((path) => path.includes("bootstrap")).length, 1);
    assert.deepEqual(heard.downs, []);
  }
});

test("a signature is checked in a thread", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const heard = listen(t, node, { query: `?trusted=${blockAt(136).root}`, now: 156, inThread: true });
  await heard.until(() => heard.finalized.length === 1);
  assert.deepEqual(heard.finalized, [point(144)]);
});

test("mainnet's own data, as a node serves it", { skip: !hasData && "no chain data" }, async (t) => {
  const mainnet = beaconParamsFor("mainnet");
  assert.ok(mainnet !== null);
  const content = (name: string): Buffer => {
    const text = readData(`ethereum/beacon/light-client-deneb-${name}.yaml`).toString();
    return Buffer.from((parse(text) as { content_value: string }).content_value.slice(2), "hex");
  };
  const ssz = (bytes: Buffer) => (response: ServerResponse) => {
    response
      .writeHead(200, { "content-type": "application/octet-stream", "eth-consensus-version": "deneb" })
      .end(bytes);
  };
  const updates = content("updates");
  const second = updates.readUInt32LE(4);
  const node = await fakeBeacon(t, { head: 10, finalized: 0 });
  node.habits.set("/eth/v1/beacon/genesis", { data: { genesis_validators_root: mainnet.genesisValidatorsRoot } });
  const path = "/eth/v1/beacon/states/head/finality_checkpoints";
  node.habits.set(path, { data: { finalized: { epoch: "320262", root: `0x${"12".repeat(32)}` } } });
  node.habits.set("/eth/v1/beacon/light_client/bootstrap/:root", ssz(content("bootstrap").subarray(4)));
  node.habits.set("/eth/v1/beacon/light_client/finality_update", ssz(content("finality-update").subarray(4)));
  node.habits.set(
    "/eth/v1/beacon/light_client/updates",
    [updates.subarray(12, second), updates.subarray(second + 4)].map((bytes) => ({
      version: "deneb",
      data: jsonOf(readLightClient("update", "deneb", bytes, mainnet)),
    })),
  );
  const heard = listen(t, node, {
    query: "?trusted=0x33d75f8506929d950a6d9e43508e92e50a072a39978821900e3a2e261f80ddbf",
    mainnetAtMs: Date.UTC(2024, 9, 25, 20),
    inThread: true,
  });
  await heard.until(() => heard.finalized.length === 1);
  assert.deepEqual(heard.finalized, [
    { hash: "0x4385bc35a5f2e2760f51c40626a63fe274c14bf9cccc5de739aff3e15432a293", height: 21_038_093 },
  ]);
});

test("what was proved stays when the connection does not", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const heard = listen(t, node, { query: `?trusted=${blockAt(136).root}`, now: 170 });
  await heard.until(() => heard.finalized.length === 1);
  for (const stream of node.streams) stream.destroy();
  await heard.until(() => heard.ups() === 2);
  node.advance(165, 152);
  await heard.until(() => heard.finalized.at(-1)?.height === heightAt(152));
  assert.equal(node.asked.filter((path) => path.includes("bootstrap")).length, 1);
  assert.equal(heard.downs.length, 1);
});

test("a node that lies about what is final is given up, and nothing of it is told", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const heard = listen(t, node, { query: `?trusted=${blockAt(136).root}`, now: 170 });
  await heard.until(() => heard.finalized.length === 1);
  const code = (): string | undefined => heard.feed.status().lastError?.code;

  node.finality = { signers: 9 };
  node.advance(165, 152);
  await heard.until(() => code() === "SPRINT_BEACON_SIGNATURE");
  node.finality = { finalized: 144, finalizedVariant: "other" };
  await heard.until(() => code() === "SPRINT_BEACON_EQUIVOCATION");
  node.finality = {};
  node.habits.set("/eth/v1/beacon/light_client/finality_update", { version: "gloas", data: {} });
  await heard.until(() => code() === "SPRINT_BEACON_FORK");
  node.habits.set("/eth/v1/beacon/light_client/finality_update", { version: "deneb", data: {} });
  await heard.until(() => code() === "SPRINT_BEACON_JSON");
  assert.ok(heard.finalized.every(({ height }) => height === heightAt(144)));
  node.habits.clear();
  await heard.until(() => heard.finalized.at(-1)?.height === heightAt(152));
});

test("too few signers, or a clock behind, is no fault: the next update is waited for", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  node.finality = { absent: 11 };
  const heard = listen(t, node, { query: `?trusted=${blockAt(136).root}`, now: 160 });
  await heard.until(() => heard.notYet.length === 1);
  node.finality = {};
  node.advance(170, 152);
  await heard.until(() => heard.notYet.length === 2);
  assert.deepEqual(
    heard.notYet.map(({ code }) => code),
    ["SPRINT_BEACON_PARTICIPATION", "SPRINT_BEACON_FUTURE"],
  );
  assert.deepEqual(heard.downs, []);
  assert.ok(
    heard.finalized.every(({ height }) => height === heightAt(136)),
    "the trusted block itself",
  );
});

test("a node without the trusted block's bootstrap, and one that has another", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const heard = listen(t, node, { query: `?trusted=0x${"ab".repeat(32)}`, now: 160 });
  const code = (): string | undefined => heard.feed.status().lastError?.code;
  await heard.until(() => code() === "SPRINT_UPSTREAM_BEACON_NO_LIGHT_CLIENT");
  node.habits.set("/eth/v1/beacon/light_client/bootstrap/:root", { version: "deneb", data: { header: 1 } });
  await heard.until(() => code() === "SPRINT_BEACON_JSON");
  assert.deepEqual(heard.finalized, []);
});

test("another network is refused before anything is asked", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  node.habits.set("/eth/v1/beacon/genesis", { data: { genesis_validators_root: `0x${"12".repeat(32)}` } });
  const heard = listen(t, node);
  await heard.until(() => heard.feed.status().lastError !== null);
  assert.equal(heard.feed.status().lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
  assert.deepEqual([heard.ups(), node.streams.size], [0, 0]);
});

test("a stream that says nothing: quiet where the head stands, stalled where it does not", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const heard = listen(t, node, { silenceMs: 30 });
  await heard.until(() => heard.ups() === 1);
  const looks = (): number => node.asked.filter((path) => path === "/eth/v1/beacon/headers/head").length;
  await node.until(() => looks() >= 3);
  assert.deepEqual(heard.downs, [], "slots without a block");
  // A new block that no event tells.
  node.head = 156;
  await heard.until(() => heard.ups() === 2);
  assert.match(heard.downs[0] ?? "", /told no head for 30 ms/);
});

test("a cut stream is dialled again, and what came between is asked for", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const heard = listen(t, node);
  await heard.until(() => heard.finalized.length === 1);
  node.finalized = 152;
  node.head = 165;
  for (const stream of node.streams) stream.end();
  await heard.until(() => heard.finalized.length === 2);
  assert.deepEqual(heard.finalized[1], point(152));
  assert.equal(heard.feed.status().lastError?.code, "SPRINT_UPSTREAM_BEACON_DISCONNECTED");
});

test("answers and events without end are cut, and what is none has a code", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const heard = listen(t, node);
  const code = (): string | undefined => heard.feed.status().lastError?.code;
  let sentBytes = 0;
  const flood = (response: ServerResponse): void => {
    response.writeHead(200, { "content-type": "application/json" });
    const chunk = Buffer.alloc(65_536, 0x20);
    const more = (): void => {
      while (!response.destroyed && sentBytes < 100 * 1_048_576) {
        sentBytes += chunk.length;
        if (!response.write(chunk)) return void response.once("drain", more);
      }
      response.end();
    };
    more();
  };
  for (const path of ["/eth/v1/beacon/genesis", "/eth/v2/beacon/blocks/:root"]) {
    sentBytes = 0;
    node.habits.set(path, flood);
    await heard.until(() => code() === "SPRINT_UPSTREAM_BEACON_TOO_LARGE");
    assert.ok(sentBytes < 60 * 1_048_576, `${sentBytes} bytes before it was cut`);
    node.habits.clear();
    await heard.until(() => heard.feed.status().state === "up" && node.streams.size === 1);
    node.say("data: nonsense\nevent: head\n\n");
    await heard.until(() => code() === "SPRINT_UPSTREAM_BEACON_NOT_JSON");
  }
  await heard.until(() => heard.feed.status().state === "up" && node.streams.size === 1);
  node.say(`data: ${"x".repeat(70_000)}`);
  await heard.until(() => code() === "SPRINT_UPSTREAM_BEACON_EVENT");
  for (const [path, answer, expected] of [
    ["/eth/v1/events", { message: "no such topic" }, "STATUS"],
    ["/eth/v1/beacon/headers/head", { data: { root: "0x12" } }, "SHAPE"],
    ["/eth/v1/node/version", [], "SHAPE"],
    ["/eth/v1/beacon/genesis", { data: null }, "SHAPE"],
  ] as const) {
    node.habits.set(path, answer);
    for (const stream of node.streams) stream.end();
    await heard.until(() => code() === `SPRINT_UPSTREAM_BEACON_${expected}`);
    node.habits.clear();
    await heard.until(() => heard.feed.status().state === "up");
  }
});

test("what the node's execution layer has not checked is not told as final", async (t) => {
  const node = await fakeBeacon(t, { head: 155, finalized: 144 });
  const path = "/eth/v1/beacon/states/head/finality_checkpoints";
  const data = { finalized: { epoch: "18", root: blockAt(144).root } };
  node.habits.set(path, { execution_optimistic: true, data });
  const heard = listen(t, node);
  await heard.until(() => heard.feed.status().height === heightAt(155));
  node.say(
    `event: finalized_checkpoint\ndata: ${JSON.stringify({ block: blockAt(144).root, execution_optimistic: true })}\n\n`,
  );
  node.advance(156);
  await heard.until(() => heard.feed.status().height === heightAt(156));
  assert.deepEqual(heard.finalized, []);
});

test("the address of a beacon node", () => {
  const root = blockAt(8).root;
  assert.deepEqual(
    parseUpstreamUrl(`beacon+https://node.example:5052/api?trusted=${root.toUpperCase().replace("0X", "0x")}`),
    {
      kind: "beacon",
      secure: true,
      host: "node.example",
      port: 5052,
      path: "/api",
      trusted: root,
      rpc: null,
      network: null,
      display: `beacon+https://node.example:5052/api?trusted=${root.toUpperCase().replace("0X", "0x")}`,
    },
  );
  for (const bad of [
    "beacon+http://u:p@node:1",
    "beacon+http://node:1?trusted=0x12",
    "beacon+http://node?cookie=/x",
    "beacon://node",
  ]) {
    assert.throws(() => parseUpstreamUrl(bad), { code: "SPRINT_CONFIG_UPSTREAM_URL" }, bad);
  }
});

test("a network without a beacon chain is told at once", async (t) => {
  const node = await fakeBeacon(t, { head: 10, finalized: 0 });
  const modules = {
    clock: systemClock,
    random: seededRandom(1),
    breaker: testBreaker(),
    sink: { up() {}, announce() {}, down() {} },
  };
  for (const codec of [
    { chain: "base", network: "mainnet" },
    { chain: "ethereum", network: "devnet" },
  ]) {
    assert.throws(() => createBeaconFeed({ name: "b", address: node.address() }, { ...modules, codec }), {
      code: "SPRINT_UPSTREAM_NO_BEACON_CHAIN",
    });
  }
});
