/** Logs and heads across a resume: whatever the place where a client was cut off, it ends with what one that stayed holds. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Block } from "../../../src/shared/block.ts";
import { type Random, seededRandom } from "../../../src/shared/clock.ts";
import { GAP, type StreamEvent } from "../../../src/daemon/relay/index.ts";
import { chainOn, childOf, genesis } from "./blocks.ts";
import { HeadsRun, LogClient, WITH_LOGS, logsOf, told } from "./logs.ts";

const STEPS = 30;
const STORIES = 120;

interface Lived {
  readonly root: Block;
  readonly run: HeadsRun;
  /** All that were accepted, in that order, and which of them were proved. */
  readonly blocks: readonly Block[];
  readonly proved: ReadonlySet<string>;
  readonly finalized: number;
}

/** A chain that grows, forks, goes back to forks, is rolled back, is proved and becomes final, as `random` says; in the end all of it is proved. */
function lived(random: Random, { logEvents, finality }: { logEvents?: number; finality: boolean }): Lived {
  const root = genesis("ethereum");
  const run = new HeadsRun(1, root, {}, logEvents);
  const { ingest } = run;
  const blocks: Block[] = [];
  const proved = new Set<string>();
  const pick = (below: number): number => Math.floor(random() * below);
  const prove = (block: Block): void => {
    proved.add(block.hash);
    run.prove(block);
  };
  const grow = (parent: Block): void => {
    const block = childOf(parent);
    if (!["side", "extended"].includes(run.accept(block))) return;
    blocks.push(block);
    if (!ingest.tree.isMain(run.node(block))) run.prefer(block);
  };
  run.ingest.live(0);
  prove(root);
  for (let step = 0; step < STEPS; step++) {
    const kind = pick(12);
    const recent = blocks.slice(-8);
    const some = recent[pick(recent.length)] ?? root;
    if (kind < 4) grow(ingest.tip);
    else if (kind < 6) grow(some);
    else if (kind < 10) prove(some);
    else if (kind === 10) {
      const node = ingest.tree.get(some.hash);
      if (node !== undefined) ingest.prefer(node, 0);
    } else if (finality) ingest.finalizedUpTo(ingest.provedHeight - 3);
  }
  grow(ingest.tip);
  for (let node = ingest.tree.tip; node.parent !== null; node = node.parent) prove(node.block);
  return { root, run, blocks, proved, finalized: ingest.finalized };
}

/** The daemon started again: it fetched every block that the other knew. */
function restarted({ root, run, blocks, proved, finalized }: Lived): HeadsRun {
  const next = new HeadsRun(2, root);
  for (const block of blocks) next.accept(block);
  next.prefer(run.ingest.tip);
  for (const hash of proved) next.prove({ hash });
  next.ingest.live(0);
  next.ingest.finalizedUpTo(finalized);
  return next;
}

function clientOf(events: readonly StreamEvent[]): LogClient {
  const client = new LogClient();
  for (const event of events) client.take(event);
  return client;
}

function holdsTheSame(client: LogClient, other: LogClient, what: string): void {
  assert.deepEqual(client.chain.hashes(), other.chain.hashes(), what);
  assert.deepEqual([...client.logs].sort(), [...other.logs].sort(), `logs: ${what}`);
}

describe("a client cut off anywhere", () => {
  it("hears exactly the rest, where the log holds it", () => {
    for (let seed = 1; seed <= STORIES; seed++) {
      const { run } = lived(seededRandom(seed), { finality: true });
      for (const [index, { cursor }] of run.events.entries()) {
        const back = run.resume(cursor);
        assert.deepEqual(
          [back.recovered, back.backlog],
          [true, run.events.slice(index + 1)],
          `seed ${seed} at ${index}`,
        );
      }
    }
  });

  const RUNS = [
    { what: "told from the tree, in the same run", next: ({ run }: Lived) => run, logEvents: 1 },
    { what: "told from the tree, after a restart", next: restarted, logEvents: 10_000 },
  ];
  for (const { what, next, logEvents } of RUNS) {
    it(`ends with the same blocks and logs: ${what}`, () => {
      let cuts = 0;
      let removals = 0;
      for (let seed = 1; seed <= STORIES; seed++) {
        const life = lived(seededRandom(seed), { logEvents, finality: false });
        const { events } = life.run;
        const stayed = clientOf(events);
        const run = next(life);
        const clients: LogClient[] = [];
        for (const [index, { cursor }] of events.entries()) {
          const cut = `seed ${seed}, cut after ${told(events.slice(Math.max(0, index - 2), index + 1)).join(", ")}`;
          const client = clientOf(events.slice(0, index + 1));
          client.chain.reconnected();
          const { backlog, recovered } = run.resume(cursor);
          try {
            for (const event of backlog) client.take(event);
          } catch (error) {
            assert.fail(`${cut}: ${String(error)}; it is told ${told(backlog).join(", ")}`);
          }
          holdsTheSame(client, stayed, `${cut}; it is told ${told(backlog).join(", ")}`);
          assert.deepEqual([recovered, client.chain.gaps], [true, []], cut);
          removals += backlog.filter((event) => event.type === "log" && event.data.removed).length;
          clients.push(client);
          cuts++;
        }
        // They go on together, over one more reorg.
        run.onEvent = (event) => [stayed, ...clients].forEach((client) => client.take(event));
        if (run !== life.run) assert.ok(run.events.length > 0);
        const { tree } = run.ingest;
        const fork = tree.at(tree.tip.block.height - 2) ?? tree.oldest;
        const branch = chainOn(fork.block, 3);
        for (const block of branch) run.accept(block);
        run.prefer(branch[2] as Block);
        run.prove(...branch);
        for (const client of clients) holdsTheSame(client, stayed, `seed ${seed}, afterwards`);
      }
      assert.ok(cuts > 20 * STORIES, `${cuts}`);
      assert.ok(removals > STORIES, `${removals}`);
    });
  }

  it("ends on the same chain where its fork is forgotten, and holds no log of another", () => {
    let whole = 0;
    let cuts = 0;
    for (let seed = 1; seed <= STORIES; seed++) {
      const life = lived(seededRandom(seed), { finality: true });
      const run = restarted(life);
      const stayed = clientOf(life.run.events);
      const best = new Set(stayed.chain.hashes());
      for (const [index, { cursor }] of life.run.events.entries()) {
        const client = clientOf(life.run.events.slice(0, index + 1));
        client.chain.finalized = -1;
        client.chain.reconnected();
        const { backlog, recovered } = run.resume(cursor);
        for (const event of backlog) client.take(event);
        assert.equal(client.chain.tip?.hash, stayed.chain.tip?.hash, `seed ${seed} at ${index}`);
        assert.ok([...client.logs.keys()].every((hash) => best.has(hash)));
        assert.equal(recovered, client.chain.gaps.length === 0);
        if (recovered) holdsTheSame(client, stayed, `seed ${seed} at ${index}`);
        whole += Number(recovered);
        cuts++;
      }
    }
    assert.ok(whole > cuts * 0.7, `${whole} of ${cuts}`);
  });
});

describe("logs told from the tree", () => {
  /** Blocks on `root` that have logs. */
  function withLogs(root: Block, count: number): Block[] {
    const blocks: Block[] = [];
    while (blocks.length < count) {
      const block = childOf(blocks.at(-1) ?? root);
      if (logsOf(block).length > 0) blocks.push(block);
    }
    return blocks;
  }

  it("are told once, whether the cursor stands before them, between them and the proof, or after it", () => {
    const root = genesis("ethereum");
    const run = new HeadsRun(1, root, {}, 1);
    run.ingest.live(0);
    run.prove(root);
    const [first] = withLogs(root, 1) as [Block];
    run.accept(first);
    const before = run.events.at(-1)?.cursor ?? "";
    run.prove(first);
    const [logs, proof] = run.events.slice(-2);
    assert.deepEqual(told(run.events.slice(-2)), ["logs 101", "validated 101"]);
    assert.deepEqual(told(run.resume(before).backlog), ["logs 101", "validated 101"]);
    run.accept(childOf(first));
    assert.deepEqual(told(run.resume(logs?.cursor ?? "").backlog), ["validated 101", "announced 102"]);
    assert.deepEqual(told(run.resume(proof?.cursor ?? "").backlog), ["announced 102"]);
  });

  it("are taken back once, wherever among them the cursor stands", () => {
    const root = genesis("ethereum");
    const run = new HeadsRun(1, root, {}, 1);
    run.ingest.live(0);
    run.prove(root);
    const blocks = withLogs(root, 3);
    for (const block of blocks) run.accept(block);
    run.prove(...blocks);
    const at = run.events.length;
    run.prefer(root);
    const events = run.events.slice(at);
    assert.deepEqual(told(events), ["removed 103", "removed 102", "removed 101", "reorg -3 +0"]);
    const rests = events.map(({ cursor }) => told(run.resume(cursor).backlog));
    assert.deepEqual(rests, [
      ["removed 102", "removed 101", "reorg -3 +0"],
      ["removed 101", "reorg -3 +0"],
      ["reorg -3 +0"],
      [],
    ]);
    // The chain is back on them before the client is: what it was told to drop is told again.
    run.prefer(blocks[2] as Block);
    assert.deepEqual(told(run.resume(events[0]?.cursor ?? "").backlog), ["logs 103", "validated 103"]);
  });

  it("that are not kept any more are a gap for those who listen to logs, and nothing for others", () => {
    const root = genesis("ethereum");
    const run = new HeadsRun(1, root, {}, 1);
    run.ingest.live(0);
    run.prove(root);
    const cursor = run.log.cursor();
    const blocks = withLogs(root, 70);
    for (const block of blocks) run.accept(block);
    run.prove(...blocks);
    run.ingest.finalizedUpTo(root.height + 70);
    const { backlog, recovered } = run.resume(cursor);
    const lines = told(backlog);
    assert.equal(recovered, false);
    assert.equal(lines.filter((line) => line.startsWith(`gap ${GAP.LOGS_UNAVAILABLE}`)).length, 6);
    assert.equal(lines.filter((line) => line.startsWith("logs")).length, 64);
    assert.equal(lines.filter((line) => line.startsWith("validated")).length, 70);
    const others = run.resume(cursor, { ...WITH_LOGS, types: ["block"] });
    assert.deepEqual([others.recovered, others.backlog.length], [true, 140]);
  });

  it("of a branch whose bodies this daemon never saw are a gap, and its blocks a reorg", () => {
    const root = genesis("ethereum");
    const run = new HeadsRun(1, root);
    run.ingest.live(0);
    run.prove(root);
    const lost = withLogs(root, 1)[0] as Block;
    run.accept(lost);
    run.prove(lost);
    const cursor = run.log.cursor();
    const next = new HeadsRun(2, root);
    next.accept(lost);
    const won = childOf(root);
    next.accept(won);
    next.prefer(won);
    next.prove(root);
    next.ingest.live(0);
    assert.deepEqual(told(next.resume(cursor).backlog), [
      `gap ${GAP.LOGS_UNAVAILABLE} 101`,
      "reorg -1 +1",
      "announced 101",
    ]);
  });
});
