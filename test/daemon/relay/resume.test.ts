import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Block } from "../../../src/shared/block.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import {
  ChainIngest,
  EventLog,
  type Filter,
  GAP,
  resume,
  type Resumed,
  type StreamEvent,
} from "../../../src/daemon/relay/index.ts";
import { FACTS, chainOn, childOf, genesis, withFacts } from "./blocks.ts";
import { ChainClient } from "./client.ts";

const ALL: Filter = { chains: null, types: null, phase: null };

/** One run of a daemon: its log, its chains. */
class Run {
  readonly log: EventLog;
  readonly ingests: ChainIngest[];
  readonly maxEvents: number;
  onEvent: (event: StreamEvent) => void = () => {};

  constructor(
    id: number,
    roots: readonly Block[],
    options: { maxEvents?: number; logEvents?: number; finalityDepth?: number } = {},
  ) {
    this.log = new EventLog({ maxEvents: options.logEvents ?? 1_000 }, { run: new Uint8Array(8).fill(id) });
    this.maxEvents = options.maxEvents ?? 1_000;
    this.ingests = roots.map(
      (root) =>
        new ChainIngest(
          { chain: root.chain, network: "regtest", finalityDepth: options.finalityDepth ?? 4 },
          { publish: (draft) => this.onEvent(this.log.append(draft)), withFacts },
          { block: root, work: 1n },
        ),
    );
  }

  get first(): ChainIngest {
    return this.ingests[0] as ChainIngest;
  }

  accept(block: Block, work = 1n): string {
    const ingest = this.ingests.find(({ chain }) => chain === block.chain) as ChainIngest;
    return ingest.accept({ block, work, upstream: "u", receivedAt: 0 });
  }

  prove(...blocks: readonly Block[]): void {
    for (const block of blocks) this.ingests.find(({ chain }) => chain === block.chain)?.validated(block.hash, FACTS);
  }

  live(): void {
    for (const ingest of this.ingests) ingest.live(0);
  }

  resume(cursor: string | null, filter: Filter = ALL): Resumed {
    return resume(cursor, filter, { maxEvents: this.maxEvents }, this);
  }
}

function told(events: readonly StreamEvent[]): string[] {
  return events.map((event) => {
    if (event.type === "block") return `${event.phase} ${event.data.height}`;
    if (event.type === "reorg") return `reorg -${event.data.reverted.length} +${event.data.applied.length}`;
    if (event.type === "finalized") return `finalized ${event.data.height}`;
    if (event.type !== "gap") return event.type;
    return `gap ${event.data.reason} ${event.data.from?.height ?? null}-${event.data.to?.height ?? null}`;
  });
}

/** A run with `count` blocks on its root, all proved but the last `unproved`. */
function grown(
  count: number,
  unproved = 0,
  options: ConstructorParameters<typeof Run>[2] = {},
): { run: Run; root: Block; blocks: Block[] } {
  const root = genesis();
  const run = new Run(1, [root], options);
  run.live();
  const blocks = chainOn(root, count);
  for (const block of blocks) run.accept(block);
  run.prove(root, ...blocks.slice(0, count - unproved));
  return { run, root, blocks };
}

/** The next run after a restart, which has fetched `blocks` before it went live. */
function restarted(root: Block, blocks: readonly Block[], options: ConstructorParameters<typeof Run>[2] = {}): Run {
  const run = new Run(2, [root], options);
  for (const block of blocks) run.accept(block);
  run.live();
  return run;
}

describe("resume in the same run", () => {
  it("replays exactly what followed, filtered", () => {
    const { run, blocks } = grown(3);
    const cursor = run.log.cursor();
    const [next] = chainOn(blocks.at(-1) as Block, 1) as [Block];
    run.accept(next);
    run.prove(next);
    assert.deepEqual(told(run.resume(cursor).backlog), ["announced 104", "validated 104"]);
    assert.deepEqual(told(run.resume(cursor, { ...ALL, phase: "validated" }).backlog), ["validated 104"]);
    assert.deepEqual(told(run.resume(cursor, { ...ALL, types: ["reorg"] }).backlog), []);
    assert.equal(run.resume(cursor).recovered, true);
    assert.equal(run.resume(cursor).cursor, cursor);
    assert.deepEqual(run.resume(run.log.cursor()).backlog, []);
  });

  it("tells it anew from the tree where the log has forgotten", () => {
    const { run, blocks } = grown(2, 0, { logEvents: 4 });
    const cursor = run.log.cursor();
    const more = chainOn(blocks.at(-1) as Block, 4);
    for (const block of more) {
      run.accept(block);
      run.prove(block);
    }
    const back = run.resume(cursor);
    assert.equal(back.recovered, true);
    assert.deepEqual(told(back.backlog).slice(0, 4), [
      "announced 103",
      "validated 103",
      "announced 104",
      "validated 104",
    ]);
    assert.deepEqual(told(back.backlog).slice(-1), ["finalized 102"]);
    assert.equal(back.backlog.at(-1)?.cursor, run.log.cursor());
    // Dropped in the middle of that, it goes on from there.
    assert.deepEqual(told(run.resume(back.backlog[2]?.cursor ?? "").backlog), told(back.backlog).slice(3));
  });

  it("knows after a reorg which proofs and which final blocks are still owed", () => {
    const root = genesis();
    const run = new Run(1, [root], { logEvents: 6, finalityDepth: 4 });
    const lost = chainOn(root, 3);
    for (const block of lost) run.accept(block);
    run.live();
    run.prove(...lost);
    const branch = chainOn(root, 6);
    for (const block of branch.slice(0, 4)) run.accept(block);
    const cursor = run.log.cursor();
    for (const block of branch.slice(4)) run.accept(block);
    run.prove(...branch);
    assert.equal(run.log.since(5), null, "forgotten");
    assert.deepEqual(told(run.resume(cursor).backlog), [
      "validated 101",
      "validated 102",
      "validated 103",
      "validated 104",
      "announced 105",
      "validated 105",
      "announced 106",
      "validated 106",
      "finalized 101",
      "finalized 102",
    ]);
  });

  it("puts a gap where more is due than is told at once, even if the log holds it", () => {
    for (const logEvents of [4, 1_000]) {
      const { run, blocks } = grown(2, 0, { logEvents, maxEvents: 10 });
      const cursor = run.log.cursor();
      for (const block of chainOn(blocks.at(-1) as Block, 12)) {
        run.accept(block);
        run.prove(block);
      }
      const back = run.resume(cursor);
      assert.equal(back.recovered, false);
      assert.deepEqual(told(back.backlog), [`gap ${GAP.BACKLOG_TOO_LARGE} 102-114`, "announced 114", "validated 114"]);
    }
  });
});

describe("resume without a usable cursor", () => {
  it("begins with the tip, and with the blocks whose proofs are still to come", () => {
    const { run } = grown(5, 2);
    const fresh = run.resume(null);
    assert.deepEqual([fresh.recovered, told(fresh.backlog)], [false, ["announced 104", "announced 105"]]);
    const proved = grown(2).run.resume(null);
    assert.deepEqual(told(proved.backlog), ["announced 102", "validated 102"]);
    assert.deepEqual(
      told(run.resume(fresh.cursor).backlog),
      told(fresh.backlog),
      "hello's cursor stands before the backlog",
    );
  });

  it("begins with all blocks whose proofs are still to come, however far those are behind", () => {
    const { run, blocks } = grown(400, 300, { maxEvents: 100 });
    const client = new ChainClient();
    for (const event of run.resume(null).backlog) client.take(event);
    run.onEvent = (event) => client.take(event);
    run.prove(...blocks);
    assert.deepEqual([client.blocks.length, client.blocks.at(-1)?.proved, client.gaps], [300, true, []]);
  });

  it("tells a gap from nowhere for one that is damaged", () => {
    const { run } = grown(3);
    const cursor = run.log.cursor();
    const damaged = cursor.slice(0, -1) + (cursor.endsWith("A") ? "B" : "A");
    for (const text of [damaged, "", "!!", cursor.slice(0, 20), "A".repeat(5_000)]) {
      const back = run.resume(text);
      assert.equal(back.recovered, false);
      assert.deepEqual(told(back.backlog), [`gap ${GAP.CURSOR_UNREADABLE} null-103`, "announced 103", "validated 103"]);
    }
  });
});

describe("resume after a restart", () => {
  it("goes on where the client's newest block is on the best chain", () => {
    const { run, root, blocks } = grown(3);
    const cursor = run.log.cursor();
    const more = chainOn(blocks.at(-1) as Block, 2) as [Block, Block];
    const next = restarted(root, [...blocks, more[0]]);
    next.prove(more[0]);
    next.accept(more[1]);
    const back = next.resume(cursor);
    assert.equal(back.recovered, true);
    assert.deepEqual(told(back.backlog), ["announced 104", "validated 104", "announced 105", "finalized 101"]);
  });

  it("names the blocks whose proofs this run has not made", () => {
    const { run, root, blocks } = grown(3);
    const cursor = run.log.cursor();
    const more = chainOn(blocks.at(-1) as Block, 3);
    const next = restarted(root, [...blocks, ...more]);
    next.prove(...more);
    const back = next.resume(cursor);
    assert.equal(back.recovered, true, "all were proved");
    const later = restarted(root, [...blocks, ...more]);
    later.prove(more[2] as Block);
    assert.deepEqual(told(later.resume(cursor).backlog), [
      "announced 104",
      "announced 105",
      "announced 106",
      `gap ${GAP.BODY_UNAVAILABLE} 103-105`,
      "validated 106",
      "finalized 101",
      "finalized 102",
    ]);
    const announced = later.resume(cursor, { ...ALL, phase: "announced" });
    assert.deepEqual([announced.recovered, announced.backlog.length], [true, 5]);
  });

  it("undoes a known fork first", () => {
    const { run, root, blocks } = grown(1);
    const fork = chainOn(blocks[0] as Block, 2);
    for (const block of fork) run.accept(block);
    const cursor = run.log.cursor();
    const best = chainOn(blocks[0] as Block, 3);
    const next = restarted(root, [...blocks, ...fork, ...best]);
    const back = next.resume(cursor);
    assert.deepEqual(told(back.backlog).slice(0, 4), [
      "reorg -2 +3",
      "announced 102",
      "announced 103",
      "announced 104",
    ]);
  });

  it("goes back to the last proved block where the fork is not known", () => {
    const { run, root, blocks } = grown(3, 1);
    const cursor = run.log.cursor();
    const next = restarted(root, [...blocks.slice(0, 2), ...chainOn(blocks[1] as Block, 1)]);
    const back = next.resume(cursor);
    assert.equal(back.recovered, false);
    assert.deepEqual(told(back.backlog), [`gap ${GAP.FORK_UNKNOWN} 102-103`, "announced 103"]);
    const elsewhere = restarted(genesis(), []);
    assert.deepEqual(told(elsewhere.resume(cursor).backlog), [`gap ${GAP.POSITION_AHEAD} null-100`, "announced 100"]);
  });

  it("says that it is behind, so that the caller can wait, and gives a gap to those who cannot", () => {
    const { run, root, blocks } = grown(3);
    const cursor = run.log.cursor();
    const next = new Run(2, [root]);
    next.accept(blocks[0] as Block);
    const early = next.resume(cursor);
    assert.deepEqual([told(early.backlog), early.catchingUp], [[`gap ${GAP.CATCHING_UP} null-null`], ["bitcoin"]]);
    next.live();
    const behind = next.resume(cursor);
    assert.deepEqual(behind.catchingUp, ["bitcoin"]);
    assert.equal(behind.recovered, false);
    next.accept(blocks[1] as Block);
    next.accept(blocks[2] as Block);
    assert.deepEqual(next.resume(cursor).catchingUp, ["bitcoin"], "the client has proofs that are made again here");
    next.prove(...blocks);
    const caughtUp = next.resume(cursor);
    assert.deepEqual([caughtUp.recovered, caughtUp.catchingUp, caughtUp.backlog], [true, [], []]);
  });
});

describe("a client that comes and goes", () => {
  const step = fc.record({ kind: fc.nat(15), pick: fc.nat(), work: fc.integer({ min: 1, max: 2 }) });

  it("always ends on the daemon's best chain, whatever happened in between", () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 5, maxLength: 150 }),
        fc.constantFrom(3, 12, 1_000),
        fc.constantFrom(4, 40, 1_000),
        (steps, logEvents, maxEvents) => {
          const roots = [genesis("bitcoin", 100), genesis("dogecoin", 7)];
          const known = new Map<Chain, [Block, bigint][]>(roots.map((root) => [root.chain, [[root, 1n]]]));
          const clients = new Map<Chain, ChainClient>(roots.map(({ chain }) => [chain, new ChainClient()]));
          let cursor: string | null = null;
          let connected = false;
          let run = start(1);

          function start(id: number): Run {
            const fresh = new Run(id, roots, { logEvents, maxEvents, finalityDepth: 5 });
            fresh.onEvent = (event) => {
              if (connected) take(event);
            };
            return fresh;
          }
          function take(event: StreamEvent): void {
            clients.get(event.chain)?.take(event);
            cursor = event.cursor;
          }
          function connect(upTo: number): void {
            if (connected) return;
            const back = run.resume(cursor);
            cursor = back.cursor;
            connected = upTo >= back.backlog.length;
            for (const event of back.backlog.slice(0, upTo)) take(event);
          }
          function check(): void {
            for (const ingest of run.ingests) {
              const client = clients.get(ingest.chain) as ChainClient;
              if (!connected || !ingest.isLive || client.blocks.length === 0) continue;
              const best: string[] = [];
              for (
                let node = ingest.tree.at(client.blocks[0]?.height ?? -1);
                node !== null;
                node = ingest.tree.at(node.block.height + 1)
              ) {
                best.push(node.block.hash);
              }
              assert.deepEqual(client.hashes(), best);
              const proved = client.blocks.filter((held) => held.proved).at(-1);
              if (proved !== undefined) assert.equal(proved.height, ingest.provedHeight);
            }
          }

          for (const [index, { kind, pick, work }] of steps.entries()) {
            const ingest = run.ingests[pick % 2] as ChainIngest;
            const all = known.get(ingest.chain) as [Block, bigint][];
            const [block] = all.at(-1 - ((pick >> 1) % Math.min(4, all.length))) as [Block, bigint];
            if (kind < 6) {
              const child = childOf(block);
              if (["side", "extended", "reorged"].includes(run.accept(child, BigInt(work))))
                all.push([child, BigInt(work)]);
            } else if (kind < 9) run.prove(block);
            else if (kind === 9) run.live();
            else if (kind === 10) ingest.withoutBody(block.hash);
            else if (kind === 11 && ingest.invalid(block.hash) !== "final") {
              known.set(
                ingest.chain,
                all.filter(([{ hash }]) => ingest.tree.has(hash)),
              );
            } else if (kind === 12) connected = false;
            else if (kind === 13) connect(pick % 7);
            else if (kind === 14) connect(Number.POSITIVE_INFINITY);
            else if (kind === 15 && pick % 3 === 0) {
              connected = false;
              run = start(index + 2);
              // A part of what there was: it may be ahead of the client, behind it, or on another branch.
              for (const blocks of known.values())
                for (const [one, weight] of blocks) if ((one.height * 7 + pick) % 5 > 0) run.accept(one, weight);
              for (const client of clients.values()) client.finalized = -1;
              if (pick % 2 === 0) run.live();
            }
            check();
          }
          connect(Number.POSITIVE_INFINITY);
          run.live();
          check();
          for (const ingest of run.ingests) assert.equal(clients.get(ingest.chain)?.tip?.hash, ingest.tip.hash);
        },
      ),
      { numRuns: 500 },
    );
  });
});
