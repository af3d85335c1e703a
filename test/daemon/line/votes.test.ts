/** Upstreams that disagree, fall silent, answer late and lie, on a chain without work. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Header } from "../../../src/daemon/chain/index.ts";
import { behindBlocksOf } from "../../../src/daemon/line/pipeline.ts";
import { FakeFeed } from "./journey.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { HeadsJourney, ROOT, branch, header } from "./headsjourney.ts";

function last(headers: readonly Header[]): Header {
  return headers.at(-1) ?? ROOT;
}

test("an upstream that is left alone is followed, whatever lost ones said last", async () => {
  const journey = new HeadsJourney();
  const [a, b, c] = [await journey.feed("a"), await journey.feed("b"), await journey.feed("c")];
  const common = branch("x", ROOT, 2);
  const stale = branch("s", last(common), 1);
  for (const feed of [a, b]) journey.tell(feed, ...common, ...stale);
  a.hangUp();
  b.hangUp();
  journey.tell(c, ...common, ...branch("r", last(common), 3));
  await journey.settle();
  assert.equal(journey.tip, "r105");
});

test("a lost connection unmakes no block", async () => {
  const journey = new HeadsJourney();
  const [a, b] = [await journey.feed("a"), await journey.feed("b")];
  const common = branch("x", ROOT, 4);
  journey.tell(a, ...common);
  journey.tell(b, ...common.slice(0, 2));
  a.hangUp();
  await journey.settle();
  assert.equal(journey.tip, "x104");
  assert.doesNotMatch(journey.told, /reorg/);
});

test("a liar's blocks hold nobody up once it hung up", async () => {
  const journey = new HeadsJourney();
  const [liar, honest] = [await journey.feed("liar"), await journey.feed("honest")];
  const common = branch("x", ROOT, 2);
  journey.tell(honest, ...common);
  journey.tell(liar, ...common, ...branch("fake", last(common), 40));
  liar.hangUp();
  journey.tell(honest, ...branch("r", last(common), 2));
  await journey.settle();
  assert.equal(journey.tip, "r104");
  for (let passed = 0; passed < 300_000; passed += 30_000) {
    await journey.clock.advanceAsync(30_000);
    journey.pipeline.checkFeeds();
  }
  assert.deepEqual(journey.faults, []);
});

test("an answer that a push has overtaken takes nothing back", async () => {
  const journey = new HeadsJourney();
  const chain = branch("x", ROOT, 3);
  const a = await journey.feed("a", ...chain.slice(0, 1));
  const gate = Promise.withResolvers<void>();
  a.answer = async () => {
    a.answer = async () => [];
    await gate.promise;
    return chain.slice(1, 2) as never;
  };
  journey.pipeline.checkFeeds();
  for (const each of chain.slice(1)) journey.tell(a, each);
  gate.resolve();
  await journey.settle();
  assert.equal(journey.tip, "x103");
  assert.equal(journey.told, "roota x101a x102a x103a");
});

test("one whose own words do not fit together is out, its vote with it", async () => {
  const journey = new HeadsJourney();
  const honest = await journey.feed("honest", ...branch("x", ROOT, 2));
  const liar = await journey.feed("liar", ...branch("y", ROOT, 3));
  assert.equal(journey.tip, "y103");
  journey.pipeline.contradicted(liar, new SprintError("SPRINT_UPSTREAM_CONTRADICTION", "no"));
  await journey.settle();
  assert.deepEqual(journey.faults, ["liar SPRINT_UPSTREAM_CONTRADICTION"]);
  assert.deepEqual([liar.status().state, honest.status().state], ["cordoned", "up"]);
  assert.equal(journey.tip, "x102");
});

test("a block is final at the height that it has, whatever is said of it", async () => {
  const journey = new HeadsJourney();
  const a = await journey.feed("a", ...branch("x", ROOT, 10));
  journey.pipeline.finalized(a, { hash: "x104", height: 9_000 });
  assert.equal(journey.ingest.finalized, 104);
});

test("a chain that begins too high for a cursor is refused, and the next upstream asked", async () => {
  const journey = new HeadsJourney({ unrooted: true });
  const liar = new FakeFeed("liar", "solana", journey.pipeline);
  liar.answer = async () => [header("far", "before", 2 ** 50)] as never;
  liar.start();
  await journey.settle();
  assert.deepEqual(journey.faults, ["liar SPRINT_UPSTREAM_HEIGHT"]);
  const honest = new FakeFeed("honest", "solana", journey.pipeline);
  honest.answer = async (locator) => (locator.length === 0 ? [ROOT] : []) as never;
  honest.start();
  await journey.settle();
  assert.equal(journey.told, "roota");
});

test("where blocks come fast, who is some seconds late is not behind; who stays behind is", async () => {
  const journey = new HeadsJourney({ behindBlocks: behindBlocksOf(0.25) });
  const [quick, polled, stuck] = [
    await journey.feed("quick"),
    await journey.feed("polled"),
    await journey.feed("stuck"),
  ];
  const chain = branch("x", ROOT, 1_400);
  journey.tell(stuck, ...chain.slice(0, 1));
  for (let at = 0; at < chain.length; at += 20) {
    for (const each of chain.slice(at, at + 20)) journey.tell(quick, each);
    for (const each of chain.slice(Math.max(0, at - 20), at)) journey.tell(polled, each);
    await journey.clock.advanceAsync(5_000);
    if (at % 120 === 0) journey.pipeline.checkFeeds();
  }
  assert.deepEqual(journey.faults, ["stuck SPRINT_UPSTREAM_BEHIND"]);
  assert.deepEqual([behindBlocksOf(600), behindBlocksOf(12), behindBlocksOf(0.25)], [3, 5, 240]);
});
