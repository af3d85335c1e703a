/** Where a chain begins when several upstreams are asked, and one of them lies, is silent, or goes. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Header } from "../../../src/daemon/chain/index.ts";
import { ROOT_PATIENCE_MS } from "../../../src/daemon/line/rooting.ts";
import { FakeFeed } from "./journey.ts";
import { HeadsJourney, ROOT, branch, header } from "./headsjourney.ts";

const HONEST = [ROOT, ...branch("a", ROOT, 6)];
const FAKE_ROOT = header("fake", "nothing", 90);
const FAKE = [FAKE_ROOT, ...branch("f", FAKE_ROOT, 30)];

function open(t: TestContext, sources: number): HeadsJourney {
  const journey = new HeadsJourney({ unrooted: true, sources });
  t.after(() => {
    journey.pipeline.close();
    assert.equal(journey.clock.pending, 0, "no timer is left");
  });
  return journey;
}

/** A node that answers what it has after what is known, or all that it has. */
function node(journey: HeadsJourney, name: string, chain: readonly Header[]): FakeFeed {
  const feed = new FakeFeed(name, "solana", journey.pipeline);
  feed.kind = "rpc";
  feed.answer = async (locator) => {
    const at = chain.findLastIndex(({ hash }) => locator.includes(hash));
    return chain.slice(at + 1) as never;
  };
  return feed;
}

async function up(journey: HeadsJourney, name: string, chain: readonly Header[]): Promise<FakeFeed> {
  const feed = node(journey, name, chain);
  feed.start();
  await journey.settle();
  return feed;
}

const rootOf = ({ ingest }: HeadsJourney): string => ingest.tree.oldest.block.hash;

test("a liar that answers first waits for one that agrees; the chain begins where two do, and it is taken out", async (t) => {
  const journey = open(t, 3);
  await up(journey, "liar", FAKE);
  await up(journey, "a", HONEST);
  assert.deepEqual([journey.ingest.isRooted, journey.told], [false, ""]);
  await up(journey, "b", HONEST);
  assert.deepEqual([rootOf(journey), journey.tip, journey.told], ["root", "a106", "a106a"]);
  assert.deepEqual(journey.faults, ["liar SPRINT_UPSTREAM_UNLINKED"]);
});

test("two that take it up at different heights: the oldest block that both have, at once", async (t) => {
  const journey = open(t, 2);
  await up(journey, "a", HONEST.slice(0, 5));
  await up(journey, "b", HONEST.slice(2));
  assert.deepEqual([rootOf(journey), journey.tip, journey.faults], ["a102", "a106", []]);
});

for (const order of ["before", "behind"]) {
  test(`a made-up beginning of honest blocks is left out, told ${order} the honest one`, async (t) => {
    const journey = open(t, 2);
    const nodes = [
      ["liar", [FAKE_ROOT, ...HONEST]],
      ["a", HONEST],
    ] as const;
    for (const [name, chain] of order === "before" ? nodes : nodes.toReversed()) await up(journey, name, chain);
    assert.deepEqual([rootOf(journey), journey.tip], ["root", "a106"]);
  });
}

test("an honest block at another height is no agreement", async (t) => {
  const journey = open(t, 3);
  await up(
    journey,
    "liar",
    HONEST.map((each) => ({ ...each, height: (each.height ?? 0) + 5 })),
  );
  await up(journey, "a", HONEST);
  assert.equal(journey.ingest.isRooted, false);
  await up(journey, "b", HONEST);
  assert.equal(journey.ingest.tree.oldest.block.height, 100);
});

test("where nobody agrees in time the first that answered is believed, and one alone begins", async (t) => {
  const journey = open(t, 2);
  await up(journey, "a", HONEST);
  await journey.clock.advanceAsync(ROOT_PATIENCE_MS - 1);
  assert.equal(journey.told, "");
  await journey.clock.advanceAsync(1);
  await journey.settle();
  assert.deepEqual([rootOf(journey), journey.told], ["root", "a106a"]);
});

test("what is pushed while it waits goes on behind the answer", async (t) => {
  const journey = open(t, 2);
  const a = await up(journey, "a", HONEST);
  journey.tell(a, ...branch("a", HONEST.at(-1) as Header, 2));
  await up(journey, "b", HONEST);
  await journey.settle();
  assert.deepEqual([journey.tip, journey.faults], ["a108", []]);
});

test("one that is lost while it waits says nothing any more; after the patience the next that answers is enough", async (t) => {
  const journey = open(t, 2);
  const liar = await up(journey, "liar", FAKE);
  liar.hangUp();
  await journey.clock.advanceAsync(ROOT_PATIENCE_MS);
  assert.equal(journey.ingest.isRooted, false);
  await up(journey, "a", HONEST);
  assert.deepEqual([rootOf(journey), journey.tip], ["root", "a106"]);
});

test("the same upstream twice is one", async (t) => {
  const journey = open(t, 2);
  const liar = await up(journey, "liar", FAKE);
  liar.hangUp();
  liar.start();
  await journey.settle();
  assert.equal(journey.ingest.isRooted, false);
});

test("the only one that is configured begins at once", async (t) => {
  const journey = open(t, 1);
  await up(journey, "a", HONEST);
  assert.deepEqual([rootOf(journey), journey.told], ["root", "a106a"]);
});
