/** The journey of a block: who is believed, who is blamed, what subscribers are told, in which order. */
import assert from "node:assert/strict";
import { type TestContext, describe, test } from "node:test";
import { FakeFeed, Journey, type JourneyOptions, type MinedBlock, bodyOf } from "./journey.ts";
import type { UtxoChain } from "../../../src/shared/chain.ts";
import { SprintError } from "../../../src/shared/errors.ts";

const UTXO: readonly UtxoChain[] = ["bitcoin", "litecoin"];

function journey(t: TestContext, options?: JourneyOptions): Journey {
  const made = new Journey(options);
  t.after(() => made.pipeline.close());
  return made;
}

const last = (blocks: readonly MinedBlock[]): MinedBlock => blocks.at(-1) as MinedBlock;
const hashesOf = (blocks: readonly MinedBlock[]): string[] => blocks.map(({ hash }) => hash);

describe("who was first", () => {
  for (const chain of UTXO) {
    test(`${chain}: the first valid announcement is relayed once, each upstream stands in the ledger`, async (t) => {
      const j = journey(t, { chain });
      const a = await j.feed("a");
      const b = await j.feed("b");
      const block = await j.mine(j.genesis);
      a.announce(j.announcement(block, null, "cmpctblock"));
      j.clock.advance(7);
      // For scrypt the first proof is still under way here.
      b.announce(j.announcement(block, null, "headers"));
      await j.until(() => (j.race.report(1).blocks[0]?.arrivals.length ?? 0) === 2);
      assert.deepEqual(j.announced, [block.hash]);
      const event = j.events.find((e) => e.type === "block" && e.data.hash === block.hash);
      assert.equal(event?.type === "block" && event.data.upstream, "a");
      assert.deepEqual(j.firsts, ["a"]);
      assert.deepEqual(j.race.report(1).blocks[0], {
        hash: block.hash,
        height: 1,
        firstAt: j.clock.wall() - 7,
        arrivals: [
          { upstream: "a", via: "cmpctblock", behindMs: 0 },
          { upstream: "b", via: "headers", behindMs: 7 },
        ],
      });
      assert.deepEqual(j.faults, []);
    });
  }

  test("an announcement is relayed within the call where its proof is synchronous", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const block = await j.mine(j.genesis);
    a.announce(j.announcement(block));
    assert.equal(j.announced.at(-1), block.hash);
  });

  test("headers that were asked for are no announcement", async (t) => {
    const j = journey(t);
    const blocks = await j.mineRun(j.genesis, 3);
    const a = await j.feed("a");
    a.answer = j.nodeAt(last(blocks));
    j.pipeline.checkFeeds();
    await j.until(() => j.ingest.tip.height === 3);
    assert.deepEqual(j.race.report(10).blocks, []);
  });

  test("headers proved in threads are told in the order in which they came, whichever is done first", async (t) => {
    const j = journey(t, { chain: "litecoin" });
    const a = await j.feed("a");
    const b = await j.feed("b");
    const blocks = await j.mineRun(j.genesis, 4);
    const gates = new Map(blocks.map(({ hash }) => [hash, Promise.withResolvers<void>()]));
    j.proofGate = async ({ hash }) => gates.get(hash)?.promise;
    const [one, two, three, four] = blocks as [MinedBlock, MinedBlock, MinedBlock, MinedBlock];
    a.announce(j.announcement(one), j.announcement(two));
    b.announce(j.announcement(three));
    a.announce(j.announcement(four));
    assert.deepEqual(j.proofs, hashesOf(blocks), "proofs run side by side");
    for (const block of blocks.toReversed()) {
      assert.equal(j.ingest.tip.height, 0);
      gates.get(block.hash)?.resolve();
      await j.settle();
    }
    await j.until(() => j.ingest.tip.height === 4);
    assert.deepEqual(j.announced, hashesOf(blocks));
  });
});

describe("gaps", () => {
  test("a block whose parent is not known waits until its upstream filled the gap, in order", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const blocks = await j.mineRun(j.genesis, 5);
    const gate = Promise.withResolvers<void>();
    const answer = j.nodeAt(last(blocks));
    a.answer = async (locator, signal) => gate.promise.then(() => answer(locator, signal));
    a.announce(j.announcement(last(blocks), null, "cmpctblock"));
    await j.settle();
    assert.equal(j.ingest.tip.height, 0, "held");
    gate.resolve();
    await j.until(() => j.ingest.tip.height === 5);
    assert.deepEqual(j.announced, hashesOf(blocks));
    assert.deepEqual(j.faults, []);
    // Its own announcement counts, what was filled in does not.
    await j.settle();
    assert.deepEqual(
      j.race.report(10).blocks.map(({ height }) => height),
      [5],
    );
  });

  test("nothing is told before the first fill is done, then the tip alone", async (t) => {
    const j = journey(t);
    const blocks = await j.mineRun(j.genesis, 4);
    const a = new FakeFeed("a", "bitcoin", j.pipeline);
    a.answer = j.nodeAt(last(blocks));
    a.start();
    a.announce(j.announcement(blocks[0] as MinedBlock));
    assert.deepEqual(j.events, []);
    await j.until(() => j.ingest.isLive);
    assert.equal(j.told, "4a");
  });

  test("while one upstream's gap is filled, another's blocks go ahead", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const b = await j.feed("b");
    const blocks = await j.mineRun(j.genesis, 3);
    a.answer = () => new Promise(() => {});
    a.announce(j.announcement(last(blocks)));
    const proofs = j.proofs.length;
    a.announce(j.announcement(last(blocks)));
    assert.equal(j.proofs.length, proofs, "what has to wait is not proved yet");
    b.announce(...blocks.map((block) => j.announcement(block)));
    assert.equal(j.ingest.tip.hash, last(blocks).hash);
  });

  test("an upstream that goes down while it is asked leaves nothing behind; back up, it is asked again", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const blocks = await j.mineRun(j.genesis, 3);
    const aborted = Promise.withResolvers<void>();
    a.answer = (_, signal) => new Promise(() => signal.addEventListener("abort", () => aborted.resolve()));
    a.announce(j.announcement(last(blocks)));
    a.hangUp();
    await aborted.promise;
    await j.settle();
    assert.equal(j.ingest.tip.height, 0);
    assert.deepEqual([j.faults, j.troubles], [[], []]);
    a.answer = j.nodeAt(last(blocks));
    a.start();
    await j.until(() => j.ingest.tip.height === 3);
    assert.deepEqual(j.announced, hashesOf(blocks));
  });

  test("an upstream that goes down between the answer and its proofs is not heard any more", async (t) => {
    const j = journey(t, { chain: "litecoin" });
    const a = await j.feed("a");
    const blocks = await j.mineRun(j.genesis, 3);
    const gate = Promise.withResolvers<void>();
    j.proofGate = () => gate.promise;
    a.answer = j.nodeAt(last(blocks));
    j.pipeline.checkFeeds();
    await j.until(() => j.proofs.length === 3);
    a.hangUp();
    gate.resolve();
    await j.settle();
    assert.equal(j.ingest.tip.height, 0);
    assert.deepEqual(j.faults, []);
  });

  test("more headers than one answer holds are asked for until there are no more", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const blocks = await j.mineRun(j.genesis, 2_005);
    a.answer = j.nodeAt(last(blocks));
    const asked = a.asked;
    j.pipeline.checkFeeds();
    await j.until(() => j.ingest.tip.height === 2_005);
    await j.settle();
    assert.equal(a.asked - asked, 2);
  });

  test("over RPC a short answer is no end: the stream begins at the node's tip, not where a slow node's first answer stopped", async (t) => {
    const j = journey(t);
    const blocks = await j.mineRun(j.genesis, 7);
    const a = new FakeFeed("a", "bitcoin", j.pipeline);
    a.kind = "rpc";
    a.answer = j.nodeAt(last(blocks), 3);
    a.start();
    await j.until(() => j.ingest.isLive);
    assert.equal(j.told, "7a");
  });

  test("an upstream that cannot say where its block comes from is taken out", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const b = await j.feed("b");
    const [, second] = (await j.mineRun(j.genesis, 2)) as [MinedBlock, MinedBlock];
    a.announce(j.announcement(second));
    await j.until(() => a.cordoned !== null);
    assert.equal(a.cordoned, "SPRINT_UPSTREAM_UNLINKED");
    assert.equal(b.cordoned, null);
    assert.equal(j.ingest.tip.height, 0);
  });

  test("an answer that builds on nothing of ours takes its upstream out", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const blocks = await j.mineRun(j.genesis, 3);
    a.answer = async () => blocks.slice(1).map((block) => j.headerOf(block));
    const asked = a.asked;
    j.pipeline.checkFeeds();
    await j.until(() => a.cordoned !== null);
    assert.equal(a.asked - asked, 1, "one answer is enough");
    assert.equal(a.cordoned, "SPRINT_UPSTREAM_UNLINKED");
  });

  test("an upstream that fails to answer keeps its place, and is asked again", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const blocks = await j.mineRun(j.genesis, 3);
    a.answer = async () => {
      throw new SprintError("SPRINT_RPC_STATUS", "503");
    };
    const asked = a.asked;
    a.announce(j.announcement(last(blocks)));
    await j.settle();
    assert.equal(a.cordoned, null);
    assert.equal(a.asked - asked, 1, "no hurry");
    assert.deepEqual(j.troubles, ["filling the gap: SPRINT_RPC_STATUS"]);
    a.answer = j.nodeAt(last(blocks));
    await j.clock.advanceAsync(2_000);
    assert.equal(j.ingest.tip.height, 3);
  });
});

describe("headers that do not hold", () => {
  const cases: readonly {
    what: string;
    code: string;
    spoil: (j: Journey) => Promise<MinedBlock>;
    chain?: UtxoChain;
  }[] = [
    { what: "no work", code: "SPRINT_WORK_HIGH_HASH", spoil: (j) => j.mine(j.genesis, { working: false }) },
    {
      what: "no work (scrypt)",
      chain: "litecoin",
      code: "SPRINT_WORK_HIGH_HASH",
      spoil: (j) => j.mine(j.genesis, { working: false }),
    },
    { what: "other bits", code: "SPRINT_HEADER_BITS", spoil: (j) => j.mine(j.genesis, { bits: 0x207ffffe }) },
    { what: "too old", code: "SPRINT_HEADER_TIME_TOO_OLD", spoil: (j) => j.mine(j.genesis, { time: j.genesis.time }) },
  ];
  for (const { what, code, spoil, chain = "bitcoin" } of cases) {
    test(`${what}: its upstream is taken out, the others are not, nothing is told`, async (t) => {
      const j = journey(t, { chain });
      const a = await j.feed("a");
      const b = await j.feed("b");
      const bad = await spoil(j);
      a.announce(j.announcement(bad));
      await j.until(() => a.cordoned !== null);
      assert.equal(a.cordoned, code);
      assert.equal(a.cordons.length, 1);
      assert.equal(b.cordoned, null);
      assert.deepEqual(j.faults, [{ feed: "a", code }]);
      assert.deepEqual(
        j.race.report(1).wrongs.map((wrong) => [wrong.upstream, wrong.code]),
        [["a", code]],
      );
      assert.deepEqual(j.race.report(1).blocks, []);
      const good = await j.mine(j.genesis);
      a.announce(j.announcement(good));
      await j.settle();
      assert.equal(j.ingest.tip.height, 0, "who is out is not heard");
      b.announce(j.announcement(good));
      await j.until(() => j.ingest.tip.hash === good.hash);
      assert.equal(j.told, "1a");
    });
  }

  test("a header from the future is nobody's fault, nor are those on top of it; when its time has come it is taken", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const future = Math.floor(j.clock.wall() / 1000) + 3 * 3_600;
    const early = await j.mine(j.genesis, { time: future });
    const child = await j.mine(early, { time: future + 1 });
    const grandchild = await j.mine(child, { time: future + 2 });
    a.answer = j.nodeAt(early);
    a.announce(j.announcement(early));
    a.answer = j.nodeAt(child);
    a.announce(j.announcement(child));
    await j.settle();
    a.answer = j.nodeAt(grandchild);
    a.announce(j.announcement(grandchild));
    await j.settle();
    assert.equal(j.told, "");
    assert.deepEqual([a.cordoned, j.faults], [null, []]);
    assert.ok(j.troubles.includes("taking a header: SPRINT_HEADER_TIME_TOO_NEW"));
    j.clock.shiftWall(2 * 3_600_000);
    j.pipeline.checkFeeds();
    await j.until(() => j.ingest.tip.hash === grandchild.hash);
    assert.deepEqual(j.announced, hashesOf([early, child, grandchild]));
  });

  test("a branch that leaves before the final block takes its upstream out", async (t) => {
    const j = journey(t, { finalityDepth: 2 });
    const a = await j.feed("a");
    const b = await j.feed("b");
    const blocks = await j.mineRun(j.genesis, 6);
    for (const block of blocks) a.bodies.set(block.hash, bodyOf(block));
    for (const block of blocks) a.announce(j.announcement(block));
    await j.until(() => j.ingest.finalized === 4);
    const branch = await j.mine(blocks[1] as MinedBlock);
    b.announce(j.announcement(branch));
    assert.equal(b.cordoned, "SPRINT_UPSTREAM_PAST_FINALITY");
    assert.equal(a.cordoned, null);
    const side = await j.mine(blocks[4] as MinedBlock);
    a.announce(j.announcement(side));
    assert.equal(a.cordoned, null, "a branch after it is ordinary");
  });

  test("more headers than may wait for their proof is a flood, told once; who sends it does not hold up the others", async (t) => {
    const j = journey(t, { chain: "litecoin", maxLinePerFeed: 4 });
    const a = await j.feed("a");
    const b = await j.feed("b");
    const blocks = await j.mineRun(j.genesis, 8);
    const gate = Promise.withResolvers<void>();
    j.proofGate = () => gate.promise;
    b.announce(j.announcement(blocks[0] as MinedBlock));
    a.announce(...blocks.map((block) => j.announcement(block)));
    assert.deepEqual(j.faults, [{ feed: "a", code: "SPRINT_UPSTREAM_FLOOD" }]);
    assert.equal(a.cordons.length, 1);
    gate.resolve();
    await j.until(() => j.ingest.tip.height === 1);
    await j.settle();
    assert.deepEqual(j.announced, hashesOf(blocks.slice(0, 1)), "what the flood left in line is dropped");
    assert.equal(b.cordoned, null);
  });

  test("a proof that fails is nobody's fault and holds nothing up", async (t) => {
    const j = journey(t, { chain: "litecoin" });
    const a = await j.feed("a");
    const [one, two] = (await j.mineRun(j.genesis, 2)) as [MinedBlock, MinedBlock];
    j.proofGate = () => Promise.reject(new SprintError("SPRINT_TEST_MEMORY", "no memory for scrypt"));
    a.answer = j.nodeAt(two);
    a.announce(j.announcement(one));
    await j.settle();
    assert.deepEqual([a.cordoned, j.troubles], [null, ["proving a header: SPRINT_TEST_MEMORY"]]);
    j.proofGate = null;
    a.announce(j.announcement(two));
    await j.until(() => j.ingest.tip.height === 2);
    assert.deepEqual(j.announced, [one.hash, two.hash]);
  });

  test("what an upstream left in line when it went down does not count when it is back", async (t) => {
    const j = journey(t, { chain: "litecoin", maxLinePerFeed: 3 });
    const a = await j.feed("a");
    const blocks = await j.mineRun(j.genesis, 8);
    const gate = Promise.withResolvers<void>();
    j.proofGate = () => gate.promise;
    a.announce(...blocks.slice(0, 3).map((block) => j.announcement(block)));
    a.hangUp();
    a.start();
    await j.settle();
    gate.resolve();
    await j.settle();
    assert.equal(j.ingest.tip.height, 0);
    const second = Promise.withResolvers<void>();
    j.proofGate = () => second.promise;
    a.announce(...blocks.slice(0, 4).map((block) => j.announcement(block)));
    assert.equal(a.cordoned, "SPRINT_UPSTREAM_FLOOD");
    second.resolve();
  });

  test("an upstream that stays behind is taken out, one that has just fallen behind is not", async (t) => {
    const j = journey(t, { behindBlocks: 2, behindMs: 60_000 });
    const a = await j.feed("a");
    const slow = await j.feed("slow");
    const catchesUp = await j.feed("catches-up");
    const blocks = await j.mineRun(j.genesis, 4);
    for (const block of blocks) a.announce(j.announcement(block));
    j.pipeline.checkFeeds();
    await j.settle();
    j.clock.advance(59_000);
    catchesUp.answer = j.nodeAt(last(blocks));
    j.pipeline.checkFeeds();
    await j.settle();
    j.clock.advance(1_000);
    j.pipeline.checkFeeds();
    assert.equal(slow.cordoned, "SPRINT_UPSTREAM_BEHIND");
    assert.deepEqual([a.cordoned, catchesUp.cordoned], [null, null]);
  });
});

describe("bodies", () => {
  test("asked from who was first, proved, told after the announcement with their facts", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const b = await j.feed("b");
    const [one, two] = (await j.mineRun(j.genesis, 2)) as [MinedBlock, MinedBlock];
    for (const feed of [a, b]) for (const block of [one, two]) feed.bodies.set(block.hash, bodyOf(block));
    b.announce(j.announcement(one));
    a.announce(j.announcement(two));
    await j.until(() => j.told.endsWith("2v"));
    assert.equal(j.told, "1a 2a 1v 2v");
    assert.deepEqual(
      b.bodiesAsked.filter((hash) => hash === one.hash),
      [one.hash],
    );
    assert.ok(!a.bodiesAsked.includes(one.hash));
    assert.ok(a.bodiesAsked.includes(two.hash));
    const proved = j.events.at(-1);
    assert.equal(proved?.type === "block" && proved.data.tx_count, two.transactions.length);
    assert.equal(proved?.type === "block" && proved.data.size_bytes, bodyOf(two).length);
    assert.equal(proved?.type === "block" && proved.data.validation, "full");
  });

  test("a body that came along is not asked for", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const block = await j.mine(j.genesis);
    a.announce(j.announcement(block, bodyOf(block), "block"));
    await j.until(() => j.told.endsWith("1v"));
    assert.deepEqual(
      a.bodiesAsked.filter((hash) => hash === block.hash),
      [],
    );
  });

  test("bytes that do not belong to the header: who sent them is taken out, another upstream gives the right ones", async (t) => {
    const j = journey(t);
    const liar = await j.feed("liar");
    const honest = await j.feed("honest");
    const block = await j.mine(j.genesis);
    const other = await j.mine(j.genesis);
    liar.bodies.set(block.hash, bodyOf(block, other.transactions));
    honest.bodies.set(block.hash, bodyOf(block));
    liar.announce(j.announcement(block));
    honest.announce(j.announcement(block));
    await j.until(() => j.told.endsWith("1v"));
    assert.equal(liar.cordoned, "SPRINT_BLOCK_BAD_MERKLE_ROOT");
    assert.equal(honest.cordoned, null);
    assert.equal(j.told, "1a 1v");
  });

  test("bytes that cannot be read at all say nothing about the block either", async (t) => {
    const j = journey(t);
    const liar = await j.feed("liar");
    const honest = await j.feed("honest");
    const block = await j.mine(j.genesis);
    liar.bodies.set(block.hash, bodyOf(block).subarray(0, 100));
    honest.bodies.set(block.hash, bodyOf(block));
    liar.announce(j.announcement(block));
    await j.until(() => j.told.endsWith("1v"));
    assert.match(liar.cordoned ?? "", /^SPRINT_DECODE_/);
    assert.equal(honest.cordoned, null);
  });

  test("where only wrong bytes are to be had the block is withdrawn, and comes again from an honest upstream", async (t) => {
    const j = journey(t);
    const liar = await j.feed("liar");
    const honest = await j.feed("honest");
    const block = await j.mine(j.genesis);
    const other = await j.mine(j.genesis);
    liar.bodies.set(block.hash, bodyOf(block, other.transactions));
    liar.announce(j.announcement(block));
    await j.until(() => j.told.endsWith("reorg-1"));
    assert.equal(j.told, "1a reorg-1");
    honest.bodies.set(block.hash, bodyOf(block));
    honest.announce(j.announcement(block));
    await j.until(() => j.told.endsWith("1v"));
    assert.equal(honest.cordoned, null);
  });

  test("a block that breaks a rule itself goes with all that builds on it; whoever brings it again is taken out", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const b = await j.feed("b");
    // The coinbase names another height; the header commits to that coinbase.
    const bad = { ...(await j.mine(j.genesis, { height: 7 })), height: 1 };
    const child = await j.mine(bad);
    const gate = Promise.withResolvers<void>();
    a.bodyGate = gate.promise;
    a.bodies.set(bad.hash, bodyOf(bad));
    a.announce(j.announcement(bad), j.announcement(child));
    await j.settle();
    assert.equal(j.told, "1a 2a");
    gate.resolve();
    await j.until(() => j.told.endsWith("reorg-2"));
    assert.equal(a.cordoned, "SPRINT_BLOCK_BAD_COINBASE_HEIGHT");
    assert.equal(j.ingest.tip.height, 0);
    const good = await j.mine(j.genesis);
    b.bodies.set(good.hash, bodyOf(good));
    b.announce(j.announcement(good));
    await j.until(() => j.told.endsWith("1v"));
    const c = await j.feed("c");
    c.announce(j.announcement(child));
    assert.equal(c.cordoned, "SPRINT_BLOCK_BAD_COINBASE_HEIGHT", "a child of it");
    b.announce(j.announcement(bad));
    assert.equal(b.cordoned, "SPRINT_BLOCK_BAD_COINBASE_HEIGHT");
    assert.equal(j.ingest.tip.hash, good.hash);
  });

  test("withdrawn for a liar's bytes, the block comes again at once where an upstream announced it too", async (t) => {
    const j = journey(t);
    const liar = await j.feed("liar");
    const honest = await j.feed("honest");
    const block = await j.mine(j.genesis);
    const other = await j.mine(j.genesis);
    liar.bodies.set(block.hash, bodyOf(block, other.transactions));
    liar.announce(j.announcement(block));
    honest.announce(j.announcement(block));
    honest.answer = j.nodeAt(block);
    await j.until(() => j.told.startsWith("1a reorg-1 1a"));
    honest.bodies.set(block.hash, bodyOf(block));
    await j.clock.advanceAsync(1_000);
    assert.equal(j.told, "1a reorg-1 1a 1v");
    assert.equal(honest.cordoned, null);
  });

  test("a bad body under a losing fork brings the other branch back", async (t) => {
    const j = journey(t);
    const a = await j.feed("a");
    const b = await j.feed("b");
    const good = await j.mine(j.genesis);
    a.bodies.set(good.hash, bodyOf(good));
    a.announce(j.announcement(good));
    await j.until(() => j.told.endsWith("1v"));
    const bad = { ...(await j.mine(j.genesis, { height: 9 })), height: 1 };
    const child = await j.mine(bad);
    b.bodies.set(bad.hash, bodyOf(bad));
    b.announce(j.announcement(bad), j.announcement(child));
    await j.until(() => b.cordoned !== null);
    await j.settle();
    assert.equal(j.ingest.tip.hash, good.hash);
    assert.deepEqual(j.told.split(" ").slice(2), ["reorg-1", "1a", "2a", "reorg-2", "1a", "1v"]);
  });

  test("a body that nobody has is asked for again, and given up with a gap in the end", async (t) => {
    const j = journey(t, { bodyGiveUpMs: 5_000 });
    const a = await j.feed("a");
    const [one, two] = (await j.mineRun(j.genesis, 2)) as [MinedBlock, MinedBlock];
    a.bodies.set(two.hash, bodyOf(two));
    a.announce(j.announcement(one));
    await j.settle();
    a.announce(j.announcement(two));
    await j.settle();
    assert.equal(j.clock.pending, 1, "one retry is planned, whatever comes in the meantime");
    await j.clock.advanceAsync(4_900);
    assert.equal(j.told, "1a 2a");
    assert.ok(j.troubles.includes("fetching a body: SPRINT_UPSTREAM_NOT_FOUND"));
    const tries = a.bodiesAsked.filter((hash) => hash === one.hash).length;
    assert.ok(tries >= 4 && tries <= 8, `asked ${tries} times in 4.9 s`);
    await j.clock.advanceAsync(2_000);
    assert.equal(j.told, "1a 2a gap:body_unavailable 2v");
    assert.equal(a.cordoned, null);
  });

  test("while no upstream is there no body is given up", async (t) => {
    const j = journey(t, { bodyGiveUpMs: 5_000 });
    const a = await j.feed("a");
    const block = await j.mine(j.genesis);
    a.announce(j.announcement(block));
    a.hangUp();
    await j.clock.advanceAsync(20_000);
    assert.equal(j.told, "1a");
    a.bodies.set(block.hash, bodyOf(block));
    a.start();
    await j.clock.advanceAsync(1_000);
    assert.equal(j.told, "1a 1v");
  });
});

test("closed, it holds no timer, no question and tells nothing", async (t) => {
  const j = journey(t, { chain: "litecoin" });
  const a = await j.feed("a");
  const b = await j.feed("b");
  const blocks = await j.mineRun(j.genesis, 3);
  const aborted = { headers: false, body: false };
  a.answer = (_, signal) => new Promise(() => signal.addEventListener("abort", () => void (aborted.headers = true)));
  b.body = (_, signal) =>
    new Promise((_resolve, reject) =>
      signal.addEventListener("abort", () => {
        aborted.body = true;
        reject(signal.reason);
      }),
    );
  b.announce(j.announcement(blocks[0] as MinedBlock));
  await j.until(() => j.ingest.tip.height === 1);
  await j.clock.advanceAsync(3_000);
  const asked = a.asked;
  a.announce(j.announcement(last(blocks)));
  await j.until(() => a.asked > asked);
  const gate = Promise.withResolvers<void>();
  j.proofGate = () => gate.promise;
  b.announce(j.announcement(blocks[1] as MinedBlock));
  await j.settle();
  const told = j.told;
  j.pipeline.close();
  gate.resolve();
  await j.settle();
  assert.deepEqual(aborted, { headers: true, body: true });
  assert.equal(j.clock.pending, 0);
  assert.equal(j.told, told);
  const c = await j.feed("late");
  assert.equal(c.asked, 0);
  c.announce(j.announcement(blocks[1] as MinedBlock));
  await j.clock.advanceAsync(10_000);
  assert.equal(j.told, told);
  assert.equal(j.clock.pending, 0);
});
