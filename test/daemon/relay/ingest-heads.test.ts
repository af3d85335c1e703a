/** A chain whose head upstreams choose: its logs, its way to and fro, and the finality that is told. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Block } from "../../../src/shared/block.ts";
import { GAP, type IngestOptions } from "../../../src/daemon/relay/index.ts";
import { chainOn, childOf, FACTS, genesis } from "./blocks.ts";
import { HeadsRun, logsOf, told } from "./logs.ts";

/** A run that is live, and `count` proved blocks with logs on its root. */
function grown(count: number, options: Partial<IngestOptions> = {}) {
  const root = genesis("ethereum");
  const run = new HeadsRun(1, root, options);
  run.ingest.live(0);
  run.prove(root);
  const blocks: Block[] = [];
  while (blocks.length < count) {
    const block = childOf(blocks.at(-1) ?? root);
    if (logsOf(block).length > 0) blocks.push(block);
  }
  for (const block of blocks) run.accept(block);
  run.prove(...blocks);
  const since = run.events.length;
  return { run, root, blocks, told: () => told(run.events.slice(since)) };
}

describe("logs", () => {
  it("stand before the proof of their block, and none are told of a block without any", () => {
    const { run } = grown(2);
    const lines = told(run.events).filter((line) => !line.startsWith("announced"));
    assert.deepEqual(lines.slice(-4), ["logs 101", "validated 101", "logs 102", "validated 102"]);
    const at = run.events.length;
    let bare = childOf(run.ingest.tip);
    while (logsOf(bare).length > 0) bare = childOf(run.ingest.tip);
    run.accept(bare);
    run.prove(bare);
    assert.deepEqual(told(run.events.slice(at)), ["announced 103", "validated 103"]);
  });

  it("are taken back newest first before the reorg, those of unproved blocks not, and told again when their block is back", () => {
    const { run, root, blocks, told: lines } = grown(3);
    const unproved = childOf(run.ingest.tip);
    run.accept(unproved);
    const other = childOf(blocks[0] as Block);
    assert.equal(run.accept(other), "side");
    run.prefer(other);
    run.prefer(unproved);
    assert.deepEqual(lines(), [
      "announced 104",
      "removed 103",
      "removed 102",
      "reorg -3 +1",
      "announced 102",
      "reorg -1 +3",
      "announced 102",
      "announced 103",
      "announced 104",
      "logs 102",
      "validated 102",
      "logs 103",
      "validated 103",
    ]);
    const logs = run.events.flatMap((event) => (event.type === "log" && event.data.height === 102 ? [event.data] : []));
    assert.deepEqual(
      logs.map(({ block_hash, removed }) => [block_hash, removed]),
      [false, true, false].map((removed) => [blocks[1]?.hash, removed]),
    );
    assert.deepEqual(logs[0]?.logs, logs[1]?.logs);
    assert.ok(root.height === 100);
  });

  it("that were not read are a gap before the proof", () => {
    const { run, told: lines } = grown(1);
    const next = childOf(run.ingest.tip);
    run.accept(next);
    run.ingest.validated(next.hash, { ...FACTS, level: "header" });
    assert.deepEqual(lines(), ["announced 102", `gap ${GAP.LOGS_UNAVAILABLE} 102`, "validated 102"]);
    const proof = run.events.at(-1);
    assert.equal(proof?.type === "block" && proof.data.validation, "header", "and the event says what was proved");
  });

  it("are told by nobody where the chain has none to tell", () => {
    const { run } = grown(2, { tellsLogs: false });
    assert.deepEqual(told(run.events).slice(-2), ["validated 101", "validated 102"]);
    assert.equal(run.ingest.logFact(run.ingest.tree.tip, false), null);
  });

  it("of the newest final blocks are kept, older ones are gone", () => {
    const { run, blocks } = grown(70);
    run.ingest.finalizedUpTo(170);
    const facts = blocks.map((block) => run.ingest.logFact(run.node(block), false));
    assert.equal(facts.filter((fact) => fact === "gone").length, 6);
    assert.deepEqual(
      facts.findLastIndex((fact) => fact === "gone"),
      5,
    );
  });
});

describe("another head", () => {
  it("beside, below, on a branch that was left: each block is announced once each time it comes to count", () => {
    const { run, root, blocks, told: lines } = grown(3, { tellsLogs: false });
    const [first, second, third] = blocks as [Block, Block, Block];
    const sibling = childOf(second);
    run.accept(sibling);
    assert.deepEqual(lines(), [], "a sibling does not count by itself");
    run.prefer(sibling);
    run.prefer(sibling);
    run.prefer(first);
    assert.equal(run.accept(childOf(sibling)), "side");
    run.prefer(third);
    run.prefer(root);
    assert.deepEqual(lines(), [
      "reorg -1 +1",
      "announced 103",
      "reorg -2 +0",
      "announced 102",
      "announced 103",
      "validated 102",
      "validated 103",
      "reorg -3 +0",
    ]);
    assert.deepEqual(run.tips.slice(-1), [root.hash], "a new tip, though no block is new");
    assert.deepEqual(run.reverted.length, 1 + 2 + 3);
  });

  it("is not followed below what is final, and nothing is told", () => {
    const { run, blocks, told: lines } = grown(4);
    run.ingest.finalizedUpTo(103);
    const before = lines().length;
    assert.equal(run.prefer(blocks[1] as Block), false);
    assert.equal(run.prefer(blocks[2] as Block), true);
    assert.equal(run.ingest.tip.height, 103);
    assert.deepEqual(lines().slice(before), ["removed 104", "reorg -1 +0"]);
  });

  it("counts no longer where its body does not hold, and the tip stays where the others are", () => {
    const { run, blocks } = grown(2);
    const bad = childOf(blocks[1] as Block);
    run.accept(bad);
    assert.equal(run.ingest.invalid(bad.hash), "reorged");
    assert.equal(run.ingest.tip.hash, blocks[1]?.hash);
  });
});

describe("finality that is told", () => {
  it("goes up to the height told, never back, and waits for proofs", () => {
    const { run, told: lines } = grown(4, { tellsLogs: false });
    run.ingest.finalizedUpTo(102);
    run.ingest.finalizedUpTo(101);
    run.ingest.finalizedUpTo(102);
    assert.deepEqual(lines(), ["finalized 101", "finalized 102"]);
    const unproved = childOf(run.ingest.tip);
    run.accept(unproved);
    run.ingest.finalizedUpTo(105);
    assert.equal(run.ingest.finalized, 104);
    run.prove(unproved);
    assert.equal(run.ingest.finalized, 105);
    run.ingest.finalizedUpTo(1_000);
    assert.equal(run.ingest.finalized, 105, "of blocks that are not here yet");
    run.accept(childOf(unproved));
    run.prove(run.ingest.tip);
    assert.equal(run.ingest.finalized, 106);
  });

  it("is by depth until somebody tells it, and at a bound where nobody does any more", () => {
    const { run } = grown(6, { tellsLogs: false, finalityDepth: 4, maxUnfinal: 8 });
    assert.equal(run.ingest.finalized, 102);
    run.ingest.finalizedUpTo(103);
    for (const block of chainOn(run.ingest.tip, 5)) {
      run.accept(block);
      run.prove(block);
    }
    assert.equal(run.ingest.finalized, 103, "depth counts no more");
    for (const block of chainOn(run.ingest.tip, 3)) {
      run.accept(block);
      run.prove(block);
    }
    assert.equal(run.ingest.finalized, run.ingest.tip.height - 8);
  });
});

describe("where a chain begins", () => {
  it("is told by the first that is asked, once; before that nothing is there", () => {
    const placeholder = genesis("ethereum", 0);
    const run = new HeadsRun(1, placeholder);
    run.ingest.unroot();
    assert.equal(run.ingest.isRooted, false);
    const first = genesis("ethereum", 5_000);
    assert.equal(run.accept(childOf(first)), "orphan");
    run.ingest.root({ block: first, work: 0n });
    assert.deepEqual([run.ingest.isRooted, run.ingest.tip.hash, run.ingest.provedHeight], [true, first.hash, 5_000]);
    assert.equal(run.ingest.tree.has(placeholder.hash), false);
    assert.throws(() => run.ingest.root({ block: first, work: 0n }), /root already/);
    const next = childOf(first);
    assert.equal(run.accept(next), "extended");
    run.ingest.live(0);
    assert.deepEqual(told(run.events), ["announced 5001"]);
  });
});
