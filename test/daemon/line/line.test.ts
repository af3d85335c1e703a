/** One chain's parts put together: what its feeds are called, where its tree begins, and that blocks go all the way. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { policyOf } from "../../../src/daemon/breaker/index.ts";
import { type Breakers, createBreakers } from "../../../src/daemon/breakers.ts";
import { NO_ORDER, NO_ORDERS, type Order, type Orders } from "../../../src/daemon/orders.ts";
import { codecFor, paramsFor } from "../../../src/daemon/chain/index.ts";
import { type ChainLine, type ChainLineModules, createChainLine } from "../../../src/daemon/line/line.ts";
import { BUILT_IN_ROWS, type ChainRow } from "../../../src/daemon/line/chains.ts";
import type { ChainConfig } from "../../../src/daemon/config/index.ts";
import type { StreamDraft } from "../../../src/daemon/relay/index.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { startBitcoinNode } from "../../fakes/devnet.ts";

const REGTEST: ChainConfig = {
  chain: "bitcoin",
  network: "regtest",
  upstreams: [],
  validation: "full",
  finalityDepth: null,
  checkpoint: null,
  mempool: false,
  signatures: null,
};

const BITCOIN = BUILT_IN_ROWS.find(({ chain }) => chain === "bitcoin") as ChainRow;

interface Open {
  readonly line: ChainLine;
  readonly breakers: Breakers;
  readonly events: StreamDraft[];
  readonly faults: string[];
  /** Of upstreams, as they were told. */
  readonly states: string[];
  /** Resolves with the first event that fits, also one that was before. */
  event(fits: (event: StreamDraft) => boolean): Promise<StreamDraft>;
}

function open(t: TestContext, config: Partial<ChainConfig>, network = "regtest", orders: Orders = NO_ORDERS): Open {
  const events: StreamDraft[] = [];
  const faults: string[] = [];
  const states: string[] = [];
  let wake = Promise.withResolvers<void>();
  const codec = codecFor(paramsFor("bitcoin", "regtest"));
  const breakers = createBreakers(
    { tier: "FREE", policy: policyOf("FREE") },
    {
      clock: systemClock,
      random: seededRandom(2),
      orders,
      onOrderLost: (_, error) => assert.fail(String(error)),
      onTransition: ({ breaker }) => line.breakerMoved(breaker),
      onEvict: () => {},
    },
  );
  const modules: ChainLineModules = {
    clock: systemClock,
    random: seededRandom(1),
    prover: { check: async (_subject, raw, place, watch) => codec.checkBody(raw, place, watch) },
    breakers,
    orders,
    flush: () => {},
    publishPassing: () => {},
    onWatchRefused: () => {},
    publish(draft) {
      events.push(draft);
      wake.resolve();
      wake = Promise.withResolvers();
    },
    onFault: (_, refusal) => void faults.push(refusal.code),
    onTrouble: () => {},
    onBodyProved: () => {},
    onAnnounced: () => {},
    onState: (feed, state) => void states.push(`${feed.name} ${state}`),
    onSeedFailed: () => {},
    onGap: () => {},
    onUnwatched: () => {},
    onRpcAttempt: () => {},
    onRpcRequest: () => {},
  };
  const line: ChainLine = createChainLine({ ...REGTEST, ...config }, BITCOIN, network, modules);
  t.after(() => line.close());
  return {
    line,
    breakers,
    events,
    faults,
    states,
    async event(fits) {
      for (;;) {
        const found = events.find(fits);
        if (found !== undefined) return found;
        await wake.promise;
      }
    },
  };
}

test("feeds are numbered in the order of the configuration, each behind a breaker of the tier's policy", (t) => {
  const upstreams = [
    "p2p://127.0.0.1:1",
    "http://user:secret@127.0.0.1:2?network=regtest",
    "zmq+tcp://127.0.0.1:3?rpc=http://127.0.0.1:2",
  ];
  const { line, breakers } = open(t, { upstreams });
  assert.deepEqual(
    line.feeds().map(({ name, kind }) => [name, kind]),
    [
      ["btc-1", "p2p"],
      ["btc-2", "rpc"],
      ["btc-3", "zmq"],
    ],
  );
  assert.ok(line.feeds().every((feed) => !feed.status().url.includes("secret")));
  assert.deepEqual(
    breakers.breakers().map(({ report }) => report.name),
    ["upstream:bitcoin:btc-1", "upstream:bitcoin:btc-2", "upstream:bitcoin:btc-3"],
  );
});

test("a URL that is written twice is one upstream, with one breaker", (t) => {
  const { line, breakers } = open(t, { upstreams: ["p2p://127.0.0.1:1", "p2p://127.0.0.1:1"] });
  assert.deepEqual([line.feeds().length, breakers.breakers().length], [1, 1]);
});

test("upstreams change while it runs: those that stay keep their connection, a name is given once", async (t) => {
  const nodes = [await startBitcoinNode(), await startBitcoinNode()];
  for (const node of nodes) t.after(() => node.close());
  const [first, second] = nodes.map((node) => node.url) as [string, string];
  const { line, breakers, states, event } = open(t, { upstreams: [first, "p2p://127.0.0.1:1"] });
  line.start();
  await event((each) => each.type === "block");
  const names = (): string[] => line.feeds().map(({ name }) => name);
  line.setUpstreams([second, first]);
  assert.deepEqual(names(), ["btc-1", "btc-3"]);
  assert.equal(states.filter((told) => told === "btc-2 closed").length, 1);
  await once(() => line.feeds()[1]?.status().state === "up");
  assert.deepEqual([line.feeds()[0]?.status().state, line.feeds()[0]?.status().connects], ["up", 1]);
  await once(() => breakers.breaker("upstream:bitcoin:btc-2") === null);
  assert.deepEqual(
    breakers.breakers().map(({ report }) => report.name),
    ["upstream:bitcoin:btc-1", "upstream:bitcoin:btc-3"],
  );
});

test("an operator's force takes a connection down and keeps it down; let go, it is dialled at once", async (t) => {
  const node = await startBitcoinNode();
  t.after(() => node.close());
  const { line, breakers, event } = open(t, { upstreams: [node.url] });
  line.start();
  await event((each) => each.type === "block");
  const name = "upstream:bitcoin:btc-1";
  const state = (): string | undefined => line.feeds()[0]?.status().state;
  assert.equal(breakers.force(name, "open", { owner: "test", reason: "upgrade" })?.report.status.state, "force_open");
  await once(() => state() === "down");
  await node.mine();
  assert.equal(line.feeds()[0]?.status().connects, 1);
  assert.equal(breakers.resetBreaker(name)?.report.status.state, "closed");
  await event((each) => each.type === "block" && each.data.hash === node.tip.hash);
  assert.equal(line.feeds()[0]?.status().connects, 2);
  assert.deepEqual(
    breakers.breakerHistory(name, 9)?.map(({ to, cause, forced }) => [to, cause, forced?.reason]),
    [
      ["closed", "reset", undefined],
      ["force_open", "force_open", "upgrade"],
    ],
  );
});

test("an upstream that an operator cordoned before the restart is not dialled until its time", (t) => {
  const cordon = { reason: "upgrade", until: null };
  const url = "p2p://127.0.0.1:1";
  const of = (target: string) => (target === `cordon ${url}` ? { ...NO_ORDER, cordon } : NO_ORDER);
  const { line } = open(t, { upstreams: [url, "p2p://127.0.0.1:2"] }, "regtest", { of, put: () => {} });
  line.start();
  const [first, second] = line.feeds().map((feed) => feed.status());
  assert.deepEqual([first?.state, first?.cordon?.reason, second?.state], ["cordoned", "upgrade", "connecting"]);
});

test("an operator's order for an upstream outlives the line, and goes with the upstream that is taken out", async (t) => {
  const kept = new Map<string, Order>();
  const orders: Orders = {
    of: (target) => kept.get(target) ?? NO_ORDER,
    put: (target, order) => void kept.set(target, order),
  };
  const [stays, goes] = ["p2p://127.0.0.1:1", "p2p://127.0.0.1:2"];
  const { line, breakers } = open(t, { upstreams: [stays, goes] }, "regtest", orders);
  for (const number of [1, 2])
    breakers.force(`upstream:bitcoin:btc-${number}`, "open", { owner: "test", reason: "upgrade" });
  line.setUpstreams([stays]);
  await once(() => breakers.breaker("upstream:bitcoin:btc-2") === null);
  await line.close();
  assert.equal(breakers.breaker("upstream:bitcoin:btc-1"), null);
  assert.equal(kept.get(`breaker ${stays}`)?.forceOpen?.reason, "upgrade");
  assert.equal(kept.get(`breaker ${goes}`)?.forceOpen, null);
});

test("blocks go from a node's socket to the stream, under the name that the network is shown by", async (t) => {
  const node = await startBitcoinNode();
  t.after(() => node.close());
  const { line, event, faults } = open(t, { upstreams: [node.url] }, "devnet");
  line.start();
  const first = await event((each) => each.type === "block");
  assert.deepEqual([first.network, first.type === "block" && first.data.hash], ["devnet", node.tip.hash]);
  const [hash] = await node.mine();
  const told = await event((e) => e.type === "block" && e.data.hash === hash && e.phase === "validated");
  assert.equal(told.type === "block" && told.data.upstream, "btc-1");
  assert.deepEqual(line.race.report(5).standings[0]?.wins, 1);
  assert.deepEqual(faults, []);
  await line.close();
  assert.equal(line.feeds()[0]?.status().state, "closed");
});

test("the operator's checkpoint is where the tree begins; what is before it is never asked for", async (t) => {
  const node = await startBitcoinNode();
  t.after(() => node.close());
  const params = paramsFor("bitcoin", "regtest");
  const codec = codecFor(params);
  const anchor = node.store.at(7);
  assert.ok(anchor);
  const checkpoint = {
    height: 7,
    header: anchor.header,
    work: codec.weight(codec.decodeHeader(anchor.header).header) * 8n,
  };
  const { line, event, events } = open(t, { upstreams: [node.url], checkpoint });
  assert.deepEqual([line.ingest.tree.oldest.block.height, line.ingest.tip.hash], [7, anchor.hash]);
  line.start();
  await event((e) => e.type === "block" && e.data.hash === node.tip.hash && e.phase === "validated");
  assert.equal(line.ingest.tree.oldest.block.height, 7);
  assert.ok(events.every((e) => e.type !== "block" || e.data.height > 7));
});

test("a checkpoint whose header does not meet its own target is refused", (t) => {
  const { genesisHeader } = paramsFor("bitcoin", "regtest");
  const header = Buffer.from(genesisHeader);
  header.writeUInt32LE(0x1d00ffff, 72);
  assert.throws(
    () => open(t, { checkpoint: { height: 1, header, work: 4n } }),
    /checkpoint hash: expected at most 0{8}ffff/,
  );
});

test("only headers: blocks are announced and never validated", async (t) => {
  const node = await startBitcoinNode();
  t.after(() => node.close());
  const { line, event, events } = open(t, { upstreams: [node.url], validation: "header", finalityDepth: 2 });
  line.start();
  await event((e) => e.type === "block");
  const hashes = await node.mine(4);
  await event((e) => e.type === "finalized" && e.data.hash === hashes[1]);
  assert.ok(events.every((e) => e.type !== "block" || e.phase === "announced"));
  assert.equal(node.seen.messages["getblocktxn"] ?? 0, 0);
});

/** Feeds tell of their states to nobody here. */
async function once(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => setImmediate(resolve));
}
