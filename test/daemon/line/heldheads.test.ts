/** What an upstream pushes while it is asked for the gap before it: older than the answer by the time it counts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Header } from "../../../src/daemon/chain/index.ts";
import { FakeFeed } from "./journey.ts";
import { HeadsJourney, ROOT, branch } from "./headsjourney.ts";

/** A feed whose answer to the first question waits for the test. */
function slowFeed(journey: HeadsJourney, answer: readonly Header[]) {
  const feed = new FakeFeed("slow", "solana", journey.pipeline);
  const gate = Promise.withResolvers<void>();
  feed.answer = async () => {
    await gate.promise;
    feed.answer = async () => [];
    return answer;
  };
  feed.start();
  return { feed, answered: gate.resolve };
}

test("a head that waited for a slow answer is not gone back to, though its node counts later ones as final", async () => {
  const journey = new HeadsJourney({ unrooted: true });
  const blocks = branch("a", ROOT, 6);
  const { feed, answered } = slowFeed(journey, [ROOT, ...blocks]);
  journey.tell(feed, blocks[1] as Header);
  journey.pipeline.finalized(feed, { hash: "a103", height: 103 });
  answered();
  await journey.settle();
  assert.deepEqual([journey.faults, journey.tip, journey.pipeline.heightOf(feed)], [[], "a106", 106]);
  journey.tell(feed, ...branch("a", blocks[5] as Header, 1));
  await journey.settle();
  assert.equal(journey.tip, "a107", "it goes on from there");
  journey.tell(feed, blocks[0] as Header);
  await journey.settle();
  assert.deepEqual(journey.faults, ["slow SPRINT_UPSTREAM_PAST_FINALITY"], "what is pushed now is where it stands now");
});

test("a head that waited and goes beyond the answer counts, on another branch as well", async () => {
  const journey = new HeadsJourney({ unrooted: true });
  const blocks = branch("a", ROOT, 3);
  const beyond = branch("b", blocks[1] as Header, 2);
  const { feed, answered } = slowFeed(journey, [ROOT, ...blocks]);
  journey.tell(feed, ...beyond);
  answered();
  await journey.settle();
  assert.deepEqual([journey.faults, journey.tip], [[], "b104"]);
});
