/** The way of a block on a chain whose head upstreams choose: who is followed, who is blamed, and that nobody stops the others. */
import assert from "node:assert/strict";
import { type TestContext, describe, test } from "node:test";
import type { ChainCodec } from "../../../src/daemon/chain/index.ts";
import type { Block } from "../../../src/shared/block.ts";
import { ScriptedJourney, type ScriptedNode } from "./scripted.ts";
import { genesis } from "../relay/blocks.ts";

function journey(t: TestContext, changes: Partial<ChainCodec> = {}): ScriptedJourney {
  const made = new ScriptedJourney(changes);
  t.after(() => made.pipeline.close());
  return made;
}

const last = (blocks: readonly Block[]): Block => blocks.at(-1) as Block;
const phases = (told: readonly string[]): readonly string[] => told.filter((line) => !line.startsWith("logs"));

describe("where the chain begins", () => {
  test("the first that answers takes it up; the stream begins with its head, proved", async (t) => {
    const j = journey(t);
    await j.up("a", last(j.grow(j.root, 9)));
    assert.equal(j.run.ingest.tree.oldest.block.hash, j.root.hash);
    assert.deepEqual(phases(j.told), ["announced 1009", "validated 1009"]);
    assert.deepEqual([j.faults, j.troubles], [[], []]);
  });

  test("two that answer at once: one root, both are followed from there", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 6);
    const [a, b] = [j.node("a", blocks[4] as Block), j.node("b", last(blocks))];
    const gate = Promise.withResolvers<void>();
    for (const { feed } of [a, b]) {
      const answer = feed.answer;
      feed.answer = async (locator, signal) => gate.promise.then(() => answer(locator, signal));
      feed.start();
    }
    gate.resolve();
    await j.settle();
    assert.equal(j.tip, last(blocks).hash);
    assert.deepEqual([j.faults, j.troubles], [[], []]);
    assert.deepEqual([j.pipeline.heightOf(a.feed), j.pipeline.heightOf(b.feed)], [1_005, 1_006]);
  });

  test("one that takes it up elsewhere is asked again from there", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 12);
    const [a, late] = [j.node("a", last(blocks)), j.node("late", last(blocks))];
    const gate = Promise.withResolvers<void>();
    const answer = late.feed.answer;
    late.feed.answer = async (locator, signal) => {
      if (locator.length > 0) return answer(locator, signal);
      await gate.promise;
      return [{ ...(blocks[10] as Block) }];
    };
    late.feed.start();
    a.feed.start();
    await j.settle();
    gate.resolve();
    await j.settle();
    assert.deepEqual([j.run.ingest.tree.oldest.block.hash, j.tip], [j.root.hash, last(blocks).hash]);
    assert.deepEqual(j.faults, []);
  });

  test("a first header that does not hold is its sender's fault; the next one gives the root", async (t) => {
    const bad = { code: "SPRINT_EVM_HASH", message: "no", data: {} } as const;
    const j = journey(t, { checkHeader: ({ hash }) => (hash === forged ? bad : null) });
    const forged = genesis("ethereum", 5).hash;
    const liar = j.node("liar", j.root);
    liar.feed.answer = async () => [{ hash: forged, parentHash: "", height: 5, locator: forged }];
    liar.feed.start();
    await j.settle();
    assert.deepEqual([j.faults, j.run.ingest.isRooted], [["liar SPRINT_EVM_HASH"], false]);
    const head = last(j.grow(j.root, 2));
    await j.up("a", head);
    assert.equal(j.tip, head.hash);
  });
});

describe("which head is followed", () => {
  test("a reorg at the same height, told by the one node there is", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 3);
    const a = await j.up("a", last(blocks));
    const [sibling] = j.grow(blocks[1] as Block, 1) as [Block];
    a.goTo(sibling);
    await j.settle();
    assert.equal(j.tip, sibling.hash);
    assert.deepEqual(
      phases(j.told)
        .filter((line) => !line.startsWith("removed"))
        .slice(-3),
      ["reorg -1 +1", "announced 1003", "validated 1003"],
    );
    assert.deepEqual(j.faults, []);
  });

  test("a silent rewind, and the way back", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 5);
    const a = await j.up("a", last(blocks));
    a.goTo(blocks[2] as Block);
    assert.equal(j.tip, blocks[2]?.hash, "within the call");
    a.goTo(last(blocks));
    await j.settle();
    assert.equal(j.tip, last(blocks).hash);
    assert.deepEqual(j.faults, []);
  });

  test("one that is frozen holds nobody back, and is taken out when it stays behind", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 3);
    const a = await j.up("a", last(blocks));
    const frozen = await j.up("frozen", last(blocks));
    const more = j.grow(last(blocks), 8);
    for (const block of more) a.goTo(block);
    await j.settle();
    assert.equal(j.tip, last(more).hash);
    assert.ok(!j.told.some((line) => line.startsWith("reorg")));
    j.pipeline.checkFeeds();
    j.clock.advance(120_001);
    j.pipeline.checkFeeds();
    assert.deepEqual(j.faults, ["frozen SPRINT_UPSTREAM_BEHIND"]);
    assert.equal(frozen.feed.cordoned, "SPRINT_UPSTREAM_BEHIND");
    await j.settle();
    assert.equal(j.tip, last(more).hash);
  });

  test("one against two: the two are followed, and the one when one of them joins it", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 3);
    const [a, b, c] = [await j.up("a", last(blocks)), await j.up("b", last(blocks)), await j.up("c", last(blocks))];
    const branch = j.grow(blocks[0] as Block, 6);
    c.goTo(last(branch));
    await j.settle();
    assert.equal(j.tip, last(blocks).hash, "the longer branch has one vote");
    a.goTo(last(branch));
    assert.equal(j.tip, last(branch).hash);
    assert.deepEqual(j.faults, []);
    assert.equal(b.feed.cordons.length, 0);
  });

  test("one that is lost decides what is even, one that was taken out nothing", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 3);
    const a = await j.up("a", last(blocks));
    const b = await j.up("b", last(blocks));
    b.feed.hangUp();
    a.goTo(blocks[0] as Block);
    assert.equal(j.tip, last(blocks).hash, "a lost connection unmakes no block");
    j.pipeline.forget(b.feed);
    assert.equal(j.tip, blocks[0]?.hash);
  });

  test("a rewind past what is final is the upstream's fault, and undoes nothing; one that just came up is not blamed for it", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 8);
    const a = await j.up("a", last(blocks));
    j.pipeline.finalized(a.feed, { hash: blocks[5]?.hash ?? "", height: 1_006 });
    // The stream's first block was the tip; what is final before it is not told.
    const [next] = j.grow(last(blocks), 1) as [Block];
    a.goTo(next);
    await j.settle();
    assert.equal(j.run.ingest.finalized, 1_006);
    const fresh = j.node("fresh", next);
    fresh.feed.answer = async () => new Promise(() => {});
    fresh.feed.start();
    a.goTo(blocks[2] as Block);
    await j.settle();
    assert.deepEqual([j.tip, j.faults], [next.hash, ["a SPRINT_UPSTREAM_PAST_FINALITY"]]);
    const other = j.grow(blocks[2] as Block, 2);
    const b = await j.up("b", last(other));
    assert.deepEqual([j.tip, j.faults.slice(1)], [next.hash, ["b SPRINT_UPSTREAM_PAST_FINALITY"]]);
    assert.equal(b.feed.cordoned, "SPRINT_UPSTREAM_PAST_FINALITY");
  });

  test("final is what more than half of those who tell it say", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 8);
    const feeds: ScriptedNode[] = [];
    for (const name of ["a", "b", "c"]) feeds.push(await j.up(name, last(blocks)));
    const [next] = j.grow(last(blocks), 1) as [Block];
    feeds[0]?.goTo(next);
    await j.settle();
    const say = (at: number, index: number): number => {
      const { hash, height } = blocks[index] as Block;
      j.pipeline.finalized((feeds[at] as ScriptedNode).feed, { hash, height });
      return j.run.ingest.finalized;
    };
    assert.equal(say(0, 2), 1_003, "the only one that tells");
    assert.equal(say(1, 5), 1_003, "one of two is no majority");
    assert.equal(say(2, 4), 1_005);
    assert.equal(say(1, 1), 1_005, "never back");
    j.pipeline.finalized((feeds[0] as ScriptedNode).feed, { hash: "0xnone", height: 1_009 });
    assert.equal(j.run.ingest.finalized, 1_005, "of a block that is not here");
  });
});

describe("what goes wrong stays where it is", () => {
  test("a header whose parent was skipped waits until its upstream filled the gap", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 2);
    const a = await j.up("a", last(blocks));
    const more = j.grow(last(blocks), 7);
    a.head = last(more);
    a.push(last(more));
    assert.equal(j.tip, last(blocks).hash);
    await j.settle();
    assert.equal(j.tip, last(more).hash);
    const announced = j.told.filter((line) => line.startsWith("announced"));
    assert.deepEqual(
      announced,
      Array.from({ length: 8 }, (_, at) => `announced ${1_002 + at}`),
    );
  });

  test("a refused header is its sender's fault, and the others' chain goes on", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 2);
    const [a, b] = [await j.up("a", last(blocks)), await j.up("b", last(blocks))];
    const [bad] = j.grow(last(blocks), 1) as [Block];
    j.refusals.set(bad.hash, { code: "SPRINT_EVM_BASE_FEE", message: "no", data: {} });
    a.goTo(bad);
    const [good] = j.grow(last(blocks), 1) as [Block];
    b.goTo(good);
    assert.deepEqual([j.tip, j.faults], [good.hash, ["a SPRINT_EVM_BASE_FEE"]]);
  });

  test("a codec that throws stops nobody and blames nobody; its block comes with the next fill", async (t) => {
    const j = journey(t);
    const blocks = j.grow(j.root, 2);
    const a = await j.up("a", last(blocks));
    const [odd, next] = j.grow(last(blocks), 2) as [Block, Block];
    j.refusals.set(odd.hash, new Error("a fault of the codec"));
    a.goTo(odd);
    assert.deepEqual([j.tip, j.faults, j.troubles], [last(blocks).hash, [], ["taking a header: a fault of the codec"]]);
    j.refusals.clear();
    a.goTo(next);
    await j.settle();
    assert.deepEqual([j.tip, j.faults], [next.hash, []]);
  });
});

describe("bodies", () => {
  const cases = [
    ["utxo", 1],
    ["evm", 4],
    ["svm", 4],
  ] as const;
  for (const [family, most] of cases) {
    test(`${family}: ${most} at a time, told in the chain's order`, async (t) => {
      const j = journey(t, { family });
      const a = await j.up("a", last(j.grow(j.root, 1)));
      const gate = Promise.withResolvers<void>();
      j.proofGate = gate.promise;
      const blocks = j.grow(a.head, 9);
      a.goTo(last(blocks));
      await j.settle();
      assert.deepEqual([j.provesAtOnce, j.mostAtOnce], [most, most]);
      gate.resolve();
      await j.settle();
      const validated = j.told.filter((line) => line.startsWith("validated"));
      assert.deepEqual(
        validated,
        Array.from({ length: 10 }, (_, at) => `validated ${1_001 + at}`),
      );
      assert.equal(j.mostAtOnce, most);
      assert.equal(new Set(a.feed.bodiesAsked).size, a.feed.bodiesAsked.length, "each asked for once");
    });
  }
});
