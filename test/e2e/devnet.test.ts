/** A bare `sprint start`: blocks of five chains on three tiers, each at its pace, and a goodbye at the end. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Chain } from "../../src/shared/chain.ts";
import type { BlockEvent } from "../../src/shared/events.ts";
import { TIER, TIERS, type Tier } from "../../src/shared/tier.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { hasAnvil } from "../fakes/anvil.ts";
import { type TestSubscriber, subscribe } from "../fakes/subscriber.ts";

const CHAINS = ["bitcoin", "litecoin", "dogecoin", "ethereum", "solana"] as const;

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
    assert.match(sprint.output(), hasAnvil ? /Ethereum: anvil/ : /Ethereum: an embedded producer/);
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
        const proved = (): BlockEvent | undefined => mined(tier, chain).find(({ phase }) => phase === "validated");
        while (proved() === undefined) await client.next();
        const validated = proved();
        const announced = mined(tier, chain).find(({ data }) => data.hash === validated?.data.hash);
        assert.deepEqual([announced?.phase, announced?.data.validation], ["announced", "header"]);
        assert.deepEqual([validated?.phase, validated?.data.validation], ["validated", "full"]);
        assert.equal(announced?.network, "devnet");
        assert.equal(validated?.data.evm !== undefined, chain === "ethereum");
        assert.equal(validated?.data.svm !== undefined, chain === "solana");
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

test("where anvil is not installed the embedded node stands in, and that is said", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "sprint-no-anvil-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const hiding = join(directory, "hiding.cjs");
  await writeFile(hiding, HIDE_ANVIL);
  const sprint = await startSprint({ args: ["--tier", "ENTERPRISE"], env: { NODE_OPTIONS: `--require=${hiding}` } });
  t.after(() => sprint.stop());
  const client = await subscribe(`${sprint.tiers.ENTERPRISE}/ws/v1/events?chains=ethereum&types=block,reorg,log,gap`);
  t.after(() => client.close());
  assert.match(sprint.output(), /Ethereum: an embedded producer, as anvil is missing/);
  for (let proved = 0; proved < 4;) {
    const event = await client.next();
    if (event.type === "block" && event.phase === "validated" && event.data.validation === "full") proved++;
  }
  assert.ok(client.events.some((event) => event.type === "log" && event.data.logs.length > 0));
  client.checker.assertClean();
});

/** As if its packages were not there. */
const HIDE_ANVIL = `
const Module = require("node:module");
const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  if (!request.startsWith("@foundry-rs/")) return resolve.call(this, request, ...rest);
  throw Object.assign(new Error("hidden: " + request), { code: "MODULE_NOT_FOUND" });
};
`;
