import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Block } from "../../../src/shared/block.ts";
import { ChainIngest, GAP, type StreamDraft } from "../../../src/daemon/relay/index.ts";
import { FACTS, chainOn, childOf, genesis, withFacts } from "./blocks.ts";
import { ChainClient } from "./client.ts";

function setUp(options: { finalityDepth?: number; validation?: "header" | "full"; maxUnproved?: number } = {}) {
  const events: StreamDraft[] = [];
  const root = genesis();
  const ingest = new ChainIngest(
    { chain: "bitcoin", network: "regtest", finalityDepth: 3, ...options },
    { publish: (draft) => void events.push(draft), withFacts },
    { block: root, work: 1n },
  );
  const accept = (block: Block, work = 1n) =>
    ingest.accept({ block, work, upstream: "btc-1", receivedAt: block.height });
  return { ingest, events, root, accept };
}

/** "block 101 announced", "finalized 98" … */
function lines(events: readonly StreamDraft[]): string[] {
  return events.map((event) => {
    if (event.type === "block") return `${event.phase} ${event.data.height}`;
    if (event.type === "reorg") return `reorg -${event.data.reverted.length} +${event.data.applied.length}`;
    if (event.type === "gap") return `gap ${event.data.reason} ${event.data.to?.height}`;
    if (event.type === "finalized") return `finalized ${event.data.height}`;
    if (event.type === "log") return `${event.data.removed ? "removed" : "logs"} ${event.data.height}`;
    return event.type;
  });
}

describe("ChainIngest", () => {
  it("says nothing while it catches up, then the tip, then everything", () => {
    const { ingest, events, root, accept } = setUp();
    const blocks = chainOn(root, 5);
    for (const block of blocks.slice(0, 4)) accept(block);
    assert.equal(events.length, 0);
    ingest.live(50);
    accept(blocks[4] as Block);
    assert.deepEqual(lines(events), ["announced 104", "announced 105"]);
    const [, last] = events;
    assert.ok(last?.type === "block");
    assert.equal(last.receivedAt, 105);
    assert.equal(last.data.upstream, "btc-1");
    assert.equal(last.data.timestamp, "2025-06-16T08:36:40Z");
    assert.equal(last.data.validation, "header");
  });

  it("publishes proofs in the chain's order, and finality behind them", () => {
    const { ingest, events, root, accept } = setUp({ finalityDepth: 2 });
    ingest.live(0);
    const blocks = chainOn(root, 4);
    for (const block of blocks) accept(block);
    events.length = 0;
    for (const block of blocks.toReversed()) ingest.validated(block.hash, FACTS);
    assert.equal(events.length, 0, "the first block's proof is still missing");
    ingest.validated(root.hash, FACTS);
    assert.deepEqual(lines(events), [
      "validated 100",
      "validated 101",
      "validated 102",
      "validated 103",
      "validated 104",
      "finalized 101",
      "finalized 102",
    ]);
    const [first] = events;
    assert.ok(first?.type === "block");
    assert.deepEqual([first.data.tx_count, first.data.size_bytes, first.data.validation], [3, 900, "full"]);
    assert.equal(ingest.tip.sizeBytes, 900);
  });

  it("tells a reorg, the blocks of the new branch, and their proofs where they are known", () => {
    const { ingest, events, root, accept } = setUp({ finalityDepth: 10 });
    ingest.live(0);
    ingest.validated(root.hash, FACTS);
    const [lost] = chainOn(root, 1) as [Block];
    const branch = chainOn(root, 2) as [Block, Block];
    accept(lost);
    accept(branch[0]);
    ingest.validated(branch[0].hash, FACTS);
    events.length = 0;
    assert.equal(accept(branch[1]), "reorged");
    assert.deepEqual(lines(events), ["reorg -1 +2", "announced 101", "announced 102", "validated 101"]);
    assert.equal(ingest.nextUnvalidated()?.block.hash, branch[1].hash);
  });

  it("undoes a block whose body was refused, and goes on with the best branch that remains", () => {
    const { ingest, events, root, accept } = setUp({ finalityDepth: 10 });
    ingest.live(0);
    const bad = chainOn(root, 3) as [Block, Block, Block];
    const other = chainOn(root, 2) as [Block, Block];
    for (const block of [...bad, ...other]) accept(block);
    events.length = 0;
    assert.equal(ingest.invalid(bad[1].hash), "reorged");
    assert.deepEqual(lines(events), ["reorg -3 +2", "announced 101", "announced 102"]);
    assert.equal(ingest.tip.hash, other[1].hash);
    assert.equal(ingest.invalid(bad[2].hash), "unknown");
    assert.equal(ingest.invalid(bad[0].hash), "removed");
    assert.equal(accept(childOf(bad[1])), "orphan");
  });

  it("makes the blocks of a branch from below the stream's first block final in their turn", () => {
    const { ingest, events, root, accept } = setUp({ finalityDepth: 4, validation: "header" });
    for (const block of chainOn(root, 3)) accept(block);
    ingest.live(0);
    for (const block of chainOn(root, 7)) accept(block);
    assert.deepEqual(lines(events), [
      "announced 103",
      "reorg -3 +4",
      "announced 101",
      "announced 102",
      "announced 103",
      "announced 104",
      "announced 105",
      "finalized 101",
      "announced 106",
      "finalized 102",
      "announced 107",
      "finalized 103",
    ]);
  });

  it("refuses a branch from before the final block", () => {
    const { ingest, root, accept } = setUp({ finalityDepth: 2, validation: "header" });
    ingest.live(0);
    const blocks = chainOn(root, 6) as [Block, Block, ...Block[]];
    for (const block of blocks) accept(block);
    assert.equal(ingest.finalized, 104);
    assert.equal(accept(childOf(blocks[1]), 99n), "past_finality");
    assert.equal(ingest.invalid(blocks[1].hash), "final");
  });

  it("goes on behind a gap where a body cannot be had", () => {
    const { ingest, events, root, accept } = setUp({ finalityDepth: 10 });
    ingest.live(0);
    ingest.validated(root.hash, FACTS);
    const blocks = chainOn(root, 2) as [Block, Block];
    for (const block of blocks) accept(block);
    ingest.validated(blocks[1].hash, FACTS);
    events.length = 0;
    ingest.withoutBody(blocks[0].hash);
    assert.deepEqual(lines(events), [`gap ${GAP.BODY_UNAVAILABLE} 101`, "validated 102"]);
  });

  it("waits for a bounded number of proofs", () => {
    const { ingest, events, root, accept } = setUp({ maxUnproved: 5, finalityDepth: 2 });
    ingest.live(0);
    for (const block of chainOn(root, 7)) accept(block);
    assert.equal(lines(events).filter((line) => line.startsWith("gap")).length, 3);
    assert.equal(ingest.provedHeight, 102);
  });

  it("lets a client rebuild the best chain from the events alone", () => {
    const step = fc.record({ kind: fc.nat(9), pick: fc.nat(), work: fc.integer({ min: 1, max: 3 }) });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 120 }),
        fc.nat(20),
        fc.integer({ min: 1, max: 6 }),
        (steps, liveAt, finalityDepth) => {
          const { ingest, events, root, accept } = setUp({ finalityDepth });
          const all = [root];
          const client = new ChainClient();
          let taken = 0;
          const outcomes = new Set(["known", "orphan", "past_finality", "side", "extended", "reorged"]);
          for (const [index, { kind, pick, work }] of steps.entries()) {
            if (index === liveAt) ingest.live(index);
            const block = all[pick % all.length] as Block;
            if (kind < 3) ingest.validated(block.hash, FACTS);
            else if (kind === 3) ingest.invalid(block.hash);
            else if (kind === 4) ingest.withoutBody(block.hash);
            else {
              // Mostly on one of the newest blocks, so that branches grow.
              const parent = kind > 6 ? block : (all.at(-1 - (pick % Math.min(3, all.length))) as Block);
              const child = childOf(parent);
              assert.ok(outcomes.has(accept(child, BigInt(work))));
              all.push(child);
            }
            for (; taken < events.length; taken++) client.take(events[taken] as StreamDraft);
            if (!ingest.isLive) continue;
            const best: string[] = [];
            for (
              let node = ingest.tree.at(client.blocks[0]?.height ?? -1);
              node !== null;
              node = ingest.tree.at(node.block.height + 1)
            ) {
              best.push(node.block.hash);
            }
            // A stream whose every block was undone has no block of its own until the next one.
            if (client.blocks.length > 0) assert.deepEqual(client.hashes(), best);
            const proved = client.blocks.filter((held) => held.proved).at(-1);
            if (proved !== undefined) assert.equal(proved.height, ingest.provedHeight);
            if (client.finalized >= 0) assert.equal(client.finalized, ingest.finalized);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});
