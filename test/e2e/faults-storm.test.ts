/** Everything at once, seeded: forks, lies, stalls, cuts, garbage, cordons and clients that come and go. The streams stay whole. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { paramsFor } from "../../src/daemon/chain/index.ts";
import { DevnetNode, type Lie } from "../../src/daemon/devnet/index.ts";
import { UTXO_CHAINS } from "../../src/shared/chain.ts";
import { seededRandom, systemClock } from "../../src/shared/clock.ts";
import { startNode } from "../fakes/devnet.ts";
import { startSprint } from "../fakes/sprint.ts";
import { subscribe } from "../fakes/subscriber.ts";
import { ask, upstreamOnce } from "./watch.ts";

const SEED = Number(process.env["SPRINT_TEST_SEED"] ?? 1);
const STEPS = 120;
const SHORT = { bitcoin: "btc", litecoin: "ltc", dogecoin: "doge" } as const;
const LIES: readonly Lie[] = ["bad-work", "bad-bits", "bad-time", "unknown-parent", "bad-merkle"];

test(`a storm of faults over six nodes (SPRINT_TEST_SEED=${SEED})`, async () => {
  const stops: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  const random = seededRandom(SEED);
  const upTo = (limit: number): number => Math.floor(random() * limit);
  const nodes: DevnetNode[] = [];
  const args = ["--tier", "ENTERPRISE"];
  for (const chain of UTXO_CHAINS) {
    const first = await startNode(chain, { historyBlocks: 24 });
    const codec = { params: paramsFor(chain, "regtest") };
    const modules = { codec, clock: systemClock, random: seededRandom(SEED + 1), store: first.store };
    const second = new DevnetNode({ chain }, modules);
    await second.start();
    for (const node of [first, second]) {
      stops.push(() => node.close());
      nodes.push(node);
      args.push("--chain", `${chain}=${node.url}`);
    }
  }
  const nameOf = (node: DevnetNode): string => `${SHORT[node.chain]}-${1 + (nodes.indexOf(node) % 2)}`;
  const sprint = await startSprint({ args });
  stops.push(() => sprint.stop());
  const origin = sprint.tiers.ENTERPRISE ?? "";
  const stays = await subscribe(origin);
  let returns = await subscribe(origin);
  stops.push(() => Promise.all([stays.close(), returns.close()]));

  const blows: readonly ((node: DevnetNode) => unknown)[] = [
    (node) => node.mine(1),
    (node) => node.mine(1 + upTo(3)),
    (node) => {
      const depth = 1 + upTo(4);
      return node.fork(depth, depth + 1 + upTo(2));
    },
    (node) => node.lie(LIES[upTo(LIES.length)] as Lie),
    (node) => node.disconnect(),
    (node) => node.splitMessages(1 + upTo(40)),
    (node) => node.stall(),
    (node) => node.resume(),
    (node) => node.lag(upTo(100)),
    (node) => node.sendRaw(Buffer.alloc(30, 1)),
    (node) => ask(sprint, `/control/v1/upstreams/${nameOf(node)}/uncordon`, {}),
    async (node) => {
      const { checker } = returns;
      await returns.close();
      const { cursor } = returns;
      await node.mine(upTo(2));
      returns = await subscribe(`${origin}/ws/v1/events?cursor=${cursor}`, { checker });
    },
  ];
  for (let step = 0; step < STEPS; step++) {
    await blows[upTo(blows.length)]?.(nodes[upTo(nodes.length)] as DevnetNode);
    // As long as a message takes, so that blows fall into the middle of things.
    await sleep(upTo(40));
  }

  // The storm is over: everything works again, and one more block of each chain comes.
  for (const node of nodes) {
    node.splitMessages(Number.POSITIVE_INFINITY);
    node.lag(0);
    node.resume();
    await ask(sprint, `/control/v1/upstreams/${nameOf(node)}/uncordon`, {});
    await upstreamOnce(sprint, nameOf(node), ({ state }) => state === "up");
  }
  for (const node of nodes.filter((_, index) => index % 2 === 0)) {
    await node.mine();
    for (const client of [stays, returns]) {
      while (client.checker.tip(node.chain) !== node.tip.hash) await client.next();
      const path = client.checker.path(node.chain);
      assert.deepEqual(path, node.blocks.slice(-path.length));
    }
  }
  for (const client of [stays, returns]) {
    client.checker.assertClean();
    assert.deepEqual(
      client.events.filter((event) => event.type === "gap"),
      [],
    );
  }
});
