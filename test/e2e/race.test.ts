/** Two nodes of which one is slower, and the commands with which an operator sees it and acts on it. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { paramsFor } from "../../src/daemon/chain/index.ts";
import { DevnetNode } from "../../src/daemon/devnet/index.ts";
import type { RaceBody, StatusBody, UpstreamsBody } from "../../src/shared/api.ts";
import { seededRandom, systemClock } from "../../src/shared/clock.ts";
import { startNode } from "../fakes/devnet.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { type TestSubscriber, subscribe } from "../fakes/subscriber.ts";
import { ask, runSprint, until, upstreamOnce } from "./watch.ts";

const LAG_MS = 60;
const BLOCKS = 5;

describe("a race, as its operator sees it", () => {
  const stops: (() => Promise<unknown>)[] = [];
  let sprint: SprintProcess;
  let client: TestSubscriber;
  let quick: DevnetNode;
  let slow: DevnetNode;

  before(async () => {
    quick = await startNode("bitcoin");
    stops.push(() => quick.close());
    const codec = { params: paramsFor("bitcoin", "regtest") };
    const modules = { codec, clock: systemClock, random: seededRandom(2), store: quick.store };
    slow = new DevnetNode({ chain: "bitcoin" }, modules);
    await slow.start();
    stops.push(() => slow.close());
    slow.lag(LAG_MS);
    sprint = await startSprint({
      args: ["--tier", "ENTERPRISE", "--chain", `bitcoin=${slow.url}`, "--chain", `bitcoin=${quick.url}`],
    });
    stops.push(() => sprint.stop());
    client = await subscribe(sprint.tiers.ENTERPRISE ?? "");
    stops.push(() => client.close());
    for (const name of ["btc-1", "btc-2"]) await upstreamOnce(sprint, name, ({ state }) => state === "up");
  });
  after(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  async function sprintJson<T>(...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await runSprint([...args, "--json", "--data-dir", sprint.dataDir]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as T;
  }

  test("sprint race says who was first and by how much", async () => {
    const hashes: string[] = [];
    for (let i = 0; i < BLOCKS; i++) {
      hashes.push(...(await quick.mine()));
      await client.next((e) => e.type === "block" && e.data.hash === hashes.at(-1));
    }
    await until(
      async () => {
        const { blocks } = await ask<RaceBody>(sprint, "/control/v1/race?chain=bitcoin");
        return blocks.length === BLOCKS && blocks.every(({ arrivals }) => arrivals.length === 2);
      },
      () => "the slower node's announcements did not come",
    );
    const race = await sprintJson<RaceBody>("race", "--chain", "bitcoin");
    assert.deepEqual(
      race.blocks.map(({ hash }) => hash),
      hashes.toReversed(),
    );
    for (const { arrivals } of race.blocks) {
      assert.deepEqual(
        arrivals.map(({ upstream }) => upstream),
        ["btc-2", "btc-1"],
      );
      assert.equal(arrivals[0]?.behind_ms, 0);
      // A timer may fire a little early by another clock, never by much.
      assert.ok((arrivals[1]?.behind_ms ?? 0) > LAG_MS / 2, JSON.stringify(arrivals));
    }
    const [first, second] = race.standings;
    assert.deepEqual([first?.upstream, first?.wins, first?.seen, first?.wrong], ["btc-2", BLOCKS, BLOCKS, 0]);
    assert.deepEqual([second?.upstream, second?.wins, second?.seen], ["btc-1", 0, BLOCKS]);
    assert.ok((second?.behind_ms_p50 ?? 0) > LAG_MS / 2);
    assert.equal((await sprintJson<RaceBody>("race", "--chain", "bitcoin", "--last", "2")).blocks.length, 2);

    await quick.lie("bad-work");
    await upstreamOnce(sprint, "btc-2", ({ state }) => state === "cordoned");
    const { wrongs } = await sprintJson<RaceBody>("race", "--chain", "bitcoin");
    assert.deepEqual(
      wrongs.map(({ upstream, code }) => [upstream, code]),
      [["btc-2", "SPRINT_WORK_HIGH_HASH"]],
    );
    const table = await runSprint(["race", "--chain", "bitcoin", "--data-dir", sprint.dataDir]);
    assert.match(table.stdout, /btc-2 +5 +5 +- +1/);
    assert.equal((await runSprint(["upstreams", "uncordon", "btc-2", "--data-dir", sprint.dataDir])).code, 0);
    await upstreamOnce(sprint, "btc-2", ({ state }) => state === "up");
  });

  test("sprint status and sprint upstreams list tell what there is", async () => {
    const status = await sprintJson<StatusBody>("status");
    assert.equal(status.pid, sprint.pid);
    assert.equal(status.network, "regtest");
    assert.deepEqual(
      status.tiers.map(({ tier, subscribers }) => [tier, subscribers]),
      [["ENTERPRISE", 1]],
    );
    assert.deepEqual(status.chains[0]?.tip, quick.tip);
    assert.ok((status.relay_latency_ms?.count ?? 0) >= BLOCKS);
    const { upstreams } = await sprintJson<UpstreamsBody>("upstreams", "list");
    assert.deepEqual(
      upstreams.map(({ name, state, height }) => [name, state, height]),
      [
        ["btc-1", "up", quick.tip.height],
        ["btc-2", "up", quick.tip.height],
      ],
    );
  });

  test("an upstream taken out by hand is left alone until it is taken back in", async () => {
    const dir = ["--data-dir", sprint.dataDir];
    const out = await runSprint(["upstreams", "cordon", "btc-2", "--reason", "node upgrade", ...dir]);
    assert.equal(out.code, 0, out.stderr);
    const list = await runSprint(["upstreams", "list", ...dir]);
    assert.match(list.stdout, /btc-2 +bitcoin +cordoned .*node upgrade/);
    assert.equal(quick.peers, 0);
    const [hash] = await quick.mine();
    const event = await client.next((e) => e.type === "block" && e.data.hash === hash);
    assert.equal(event.type === "block" && event.data.upstream, "btc-1");

    assert.equal((await runSprint(["upstreams", "uncordon", "btc-2", ...dir])).code, 0);
    await upstreamOnce(sprint, "btc-2", ({ state }) => state === "up");
    const [next] = await quick.mine();
    const after = await client.next((e) => e.type === "block" && e.data.hash === next);
    assert.equal(after.type === "block" && after.data.upstream, "btc-2");
    client.checker.assertClean();
    const nobody = await runSprint(["upstreams", "cordon", "btc-9", ...dir]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /btc-9/);
  });

  test("a wrong token is not let in", async () => {
    const { code, stderr } = await runSprint(["status", "--daemon", sprint.control, "--token", "guess"]);
    assert.equal(code, 4, stderr);
  });

  test("sprint stop ends it with code 0, and its subscribers know where they were", async () => {
    const { code, stdout } = await runSprint(["stop", "--data-dir", sprint.dataDir]);
    assert.deepEqual([code, stdout.trim()], [0, "stopped"]);
    assert.throws(() => process.kill(sprint.pid, 0), { code: "ESRCH" }, "it returns when the process is gone");
    assert.equal(await sprint.exited, 0);
    const goodbye = client.events.at(-1);
    assert.equal(goodbye?.type, "goodbye");
    assert.ok((goodbye?.cursor ?? "") !== "");
    assert.equal((await client.closed).code, 4000);
    const gone = await runSprint(["status", "--daemon", sprint.control, "--token", sprint.token]);
    assert.equal(gone.code, 3, gone.stderr);
  });
});
