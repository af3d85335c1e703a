/** A bare `sprint start`: blocks of three chains on three tiers, each at its pace, and a goodbye at the end. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CHAINS, type Chain } from "../../src/shared/chain.ts";
import type { BlockEvent } from "../../src/shared/events.ts";
import { TIER, TIERS, type Tier } from "../../src/shared/tier.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { type TestSubscriber, subscribe } from "../fakes/subscriber.ts";

describe("a start with no configuration", () => {
  let sprint: SprintProcess;
  const clients = {} as Record<Tier, TestSubscriber>;

  before(async () => {
    sprint = await startSprint({ args: [] });
    for (const tier of TIERS) clients[tier] = await subscribe(sprint.tiers[tier] ?? "");
  });
  after(async () => {
    await sprint.stop();
  });

  test("it says that it is devnet, wherever it says anything", async () => {
    for (const tier of TIERS) {
      const version = (await (await fetch(`${sprint.tiers[tier]}/api/v1/version`)).json()) as Record<string, unknown>;
      assert.equal(version["network"], "devnet");
      assert.equal(version["tier"], tier);
      const hello = await clients[tier].next((e) => e.type === "hello");
      assert.ok(hello.type === "hello" && hello.data.network === "devnet" && hello.data.tier === tier);
    }
    assert.match(sprint.output(), /devnet: embedded nodes, no real blocks/);
  });

  /** Those after the block that the stream began with. */
  function mined(tier: Tier, chain: Chain): readonly BlockEvent[] {
    const blocks = clients[tier].events.filter((e): e is BlockEvent => e.type === "block" && e.chain === chain);
    return blocks.filter(({ data }) => data.hash !== blocks[0]?.data.hash);
  }

  test("each tier gets new blocks of each chain, announced, then validated", async () => {
    for (const tier of TIERS) {
      const client = clients[tier];
      for (const chain of CHAINS) {
        const isProved = (): boolean => mined(tier, chain).some(({ phase }) => phase === "validated");
        while (!isProved()) await client.next();
        const [announced, ...later] = mined(tier, chain);
        assert.deepEqual([announced?.phase, announced?.data.validation], ["announced", "header"]);
        const validated = later.find(({ data }) => data.hash === announced?.data.hash);
        assert.deepEqual([validated?.phase, validated?.data.validation], ["validated", "full"]);
        assert.equal(announced?.network, "devnet");
      }
      client.checker.assertClean();
    }
  });

  test("FREE and BUSINESS hear of a block no sooner than their window opens", () => {
    for (const tier of ["FREE", "BUSINESS"] as const) {
      for (const { data, phase } of CHAINS.flatMap((chain) => mined(tier, chain))) {
        if (phase === "validated") continue;
        assert.ok(data.relay_time_ms >= (TIER[tier].pacingMs?.min ?? 0), `${tier} after ${data.relay_time_ms} ms`);
      }
    }
  });

  test("the same blocks stand on REST", async () => {
    const origin = sprint.tiers.FREE ?? "";
    const { chains } = (await (await fetch(`${origin}/api/v1/chains`)).json()) as {
      chains: { chain: string; network: string; status: string }[];
    };
    assert.deepEqual(
      chains.map(({ chain, network, status }) => [chain, network, status]),
      CHAINS.map((chain) => [chain, "devnet", "synced"]),
    );
    const told = clients.FREE.events.find((e) => e.type === "block" && e.phase === "validated");
    assert.ok(told?.type === "block");
    const block = (await (await fetch(`${origin}/api/v1/blocks/${told.data.hash}`)).json()) as Record<string, unknown>;
    assert.equal(block["height"], told.data.height);
    assert.equal(block["validation"], "full");
  });

  test("at SIGTERM everybody is told goodbye with a cursor, and the exit code says it was a signal", async () => {
    assert.equal(await sprint.stop(), 143);
    for (const tier of TIERS) {
      assert.equal((await clients[tier].closed).code, 4000);
      const goodbye = clients[tier].events.at(-1);
      assert.ok(goodbye?.type === "goodbye" && goodbye.data.code === 4000, JSON.stringify(goodbye));
      assert.ok(goodbye.cursor.length > 0);
    }
  });
});
