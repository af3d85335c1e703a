/** Accounts of Solana on a watch list, through a chain's line: seen when a node processes them, mined when their block is proved. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { type TestContext, describe, it } from "node:test";
import { policyOf } from "../../../src/daemon/breaker/index.ts";
import { createBreakers } from "../../../src/daemon/breakers.ts";
import { encodeBase58, svmCodecFor, svmParams } from "../../../src/daemon/chain/index.ts";
import { type ChainLine, createChainLine } from "../../../src/daemon/line/line.ts";
import { BUILT_IN_ROWS, type ChainRow } from "../../../src/daemon/line/chains.ts";
import { SvmDevnetNode } from "../../../src/daemon/devnet/svm-node.ts";
import type { TreeNode } from "../../../src/daemon/relay/index.ts";
import { NO_ORDERS } from "../../../src/daemon/orders.ts";
import type { Block } from "../../../src/shared/block.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { createWatching } from "../../../src/daemon/line/watching.ts";
import type { WatchData } from "../../../src/shared/events.ts";
import { childOf, genesis } from "../relay/blocks.ts";

const SOLANA = BUILT_IN_ROWS.find(({ chain }) => chain === "solana") as ChainRow;
const codec = svmCodecFor(svmParams("localnet"));
const ACCOUNT = encodeBase58(Buffer.alloc(32, "watched"));
const SYSTEM_PROGRAM = "1".repeat(32);
const LAMPORTS = 1_000_000;
const SLOT_MS = 40;

interface Watcher {
  readonly node: SvmDevnetNode;
  readonly line: ChainLine;
  readonly watched: WatchData[];
  readonly pendingTxids: string[];
  readonly faults: string[];
  readonly unwatched: string[];
  /** Slots come by themselves from now on, until what comes back is called. */
  mining(): () => void;
  until(holds: () => boolean): Promise<void>;
  /** What was told of a transaction, in order. */
  story(txid: string, item?: string): readonly string[];
  /** Resolves when it is final, and as deep as was asked for. */
  final(txid: string): Promise<void>;
}

async function startNode(t: TestContext, ledger?: SvmDevnetNode["ledger"]): Promise<SvmDevnetNode> {
  const modules = { clock: systemClock, random: seededRandom(7), ...(ledger === undefined ? {} : { ledger }) };
  const node = new SvmDevnetNode({ slotMs: null, rootBehind: 6 }, modules);
  await node.start();
  t.after(() => node.close());
  return node;
}

async function watch(t: TestContext, more: (node: SvmDevnetNode) => Promise<readonly string[]>): Promise<Watcher> {
  const node = await startNode(t);
  const upstreams = [node.url, ...(await more(node))];
  const changed = new EventEmitter();
  const watched: WatchData[] = [];
  const pendingTxids: string[] = [];
  const faults: string[] = [];
  const unwatched: string[] = [];
  const breakers = createBreakers(
    { tier: "FREE", policy: policyOf("FREE") },
    {
      clock: systemClock,
      random: seededRandom(2),
      orders: NO_ORDERS,
      onOrderLost: (_, error) => assert.fail(String(error)),
      onTransition: ({ breaker }) => line.breakerMoved(breaker),
      onEvict: () => {},
    },
  );
  const config = {
    chain: "solana",
    network: "localnet",
    upstreams,
    validation: "full",
    finalityDepth: null,
    checkpoint: null,
    mempool: true,
    signatures: null,
  } as const;
  const line: ChainLine = createChainLine(config, SOLANA, "localnet", {
    clock: systemClock,
    random: seededRandom(1),
    prover: { check: async (_subject, raw, place, watch) => codec.checkBody(raw, place, watch) },
    breakers,
    orders: NO_ORDERS,
    flush: () => {},
    publishPassing(draft) {
      if (draft.type === "pending_tx") pendingTxids.push(...draft.data.transactions.map(({ txid }) => txid));
    },
    onWatchRefused: (_, refusal) => assert.fail(refusal.message),
    publish(draft) {
      if (draft.type === "watch") watched.push(draft.data);
      changed.emit("change");
    },
    onFault: (_, refusal) => void faults.push(refusal.code),
    onTrouble: () => {},
    onBodyProved: () => {},
    onAnnounced: () => {},
    onState: () => changed.emit("change"),
    onSeedFailed: () => {},
    onGap: () => {},
    onUnwatched: (_, reason) => void unwatched.push(reason),
    onRpcAttempt: () => {},
    onRpcRequest: () => {},
  });
  t.after(() => line.close());
  line.start();
  const until = async (holds: () => boolean): Promise<void> => {
    const signal = AbortSignal.timeout(20_000);
    while (!holds()) await once(changed, "change", { signal });
  };
  const told = (txid: string, item: string): readonly WatchData[] =>
    watched.filter((each) => each.txid === txid && each.item === item);
  return {
    node,
    line,
    watched,
    pendingTxids,
    faults,
    unwatched,
    until,
    mining() {
      const timer = setInterval(() => {
        node.mine();
        changed.emit("change");
      }, SLOT_MS);
      t.after(() => clearInterval(timer));
      return () => clearInterval(timer);
    },
    story: (txid, item = ACCOUNT) =>
      told(txid, item).map(({ state, confirmations, sequence }) => `${sequence} ${state} ${confirmations}`),
    async final(txid) {
      const has = (wanted: string) => told(txid, ACCOUNT).some(({ state }) => state === wanted);
      const isDeep = () => told(txid, ACCOUNT).filter(({ state }) => state === "confirmed").length === 2;
      await until(() => has("final") && isDeep());
    },
  };
}

/** Each once, in their order. Finality may overtake a depth: the node tells it by itself. */
function assertWhole(story: readonly string[]): void {
  const told = story.map((line) => line.split(" ") as [string, string, string]);
  assert.deepEqual(
    told.map(([sequence]) => Number(sequence)),
    [1, 2, 3, 4, 5],
    story.join(", "),
  );
  assert.deepEqual(
    told.slice(0, 2).map(([, state]) => state),
    ["seen", "mined"],
  );
  const rest = told.slice(2).map(([, state, depth]) => (state === "confirmed" ? `${state} ${depth}` : state));
  assert.deepEqual(rest.toSorted(), ["confirmed 1", "confirmed 3", "final"]);
}

function subscriptions({ node }: Watcher): number {
  return node.seen.subscriptions["logsSubscribe"] ?? 0;
}

describe("watched accounts of Solana", () => {
  it("are seen, mined, confirmed and final, each once: alone, over a hang-up, across a fork, and when they fail", async (t) => {
    const watcher = await watch(t, async () => []);
    const { node, line, until, story, final, pendingTxids } = watcher;
    let stop = watcher.mining();
    await until(() => line.ingest.isLive && line.feeds()[0]?.status().state === "up");
    const addresses = [ACCOUNT];
    await line.watching.add({ id: "own", addresses, programs: [SYSTEM_PROGRAM], confirmations: [1, 3] });
    await until(() => subscriptions(watcher) === 2);

    const paid = node.pay(ACCOUNT, LAMPORTS);
    const failed = node.pay(ACCOUNT, 6_000_000e9);
    await Promise.all([final(paid), final(failed)]);
    for (const txid of [paid, failed]) {
      assertWhole(story(txid));
      assertWhole(story(txid, SYSTEM_PROGRAM));
      assert.equal(
        pendingTxids.filter((each) => each === txid).length,
        1,
        "told as pending once, for both that it names",
      );
    }

    node.disconnect();
    const meanwhile = node.pay(ACCOUNT, LAMPORTS);
    await until(() => subscriptions(watcher) === 4);
    const after = node.pay(ACCOUNT, LAMPORTS);
    await Promise.all([final(meanwhile), final(after)]);
    assertWhole(story(after));
    assert.deepEqual(
      story(meanwhile)
        .map((told) => told.split(" ")[1])
        .filter((state) => state !== "seen"),
      ["mined", "confirmed", "confirmed", "final"],
      "whether anybody was there to see it or not",
    );

    stop();
    await until(() => line.ingest.tip.hash === node.tip.hash);
    const forked = node.pay(ACCOUNT, LAMPORTS);
    node.mine();
    await until(() => story(forked).length === 1);
    node.fork(1, 2);
    stop = watcher.mining();
    await final(forked);
    stop();
    assertWhole(story(forked));
    assert.deepEqual(watcher.faults, []);
    assert.deepEqual(watcher.unwatched, []);

    assert.ok(line.watching.remove("own"));
    const { length } = watcher.watched;
    node.pay(ACCOUNT, LAMPORTS);
    const { height } = node.tip;
    stop = watcher.mining();
    await until(() => line.ingest.tip.height > height + 8);
    stop();
    assert.equal(watcher.watched.length, length, "nobody watches it any more");
  });

  it("are told once, and without a hole, where two nodes tell of them and one hangs up", async (t) => {
    const twins: SvmDevnetNode[] = [];
    const watcher = await watch(t, async ({ ledger }) => {
      twins.push(await startNode(t, ledger));
      return twins.map(({ url }) => url);
    });
    const { node, line, until, story, final, pendingTxids } = watcher;
    const stop = watcher.mining();
    await until(() => line.ingest.isLive && line.feeds().every((feed) => feed.status().state === "up"));
    await line.watching.add({ id: "own", addresses: [ACCOUNT], confirmations: [1, 3] });
    await until(() => [node, ...twins].every((each) => each.seen.subscriptions["logsSubscribe"] === 1));
    const paid: string[] = [];
    for (const each of [node, ...twins]) {
      paid.push(node.pay(ACCOUNT, LAMPORTS));
      await until(() => story(paid.at(-1) ?? "").length > 0);
      each.disconnect();
      paid.push(node.pay(ACCOUNT, LAMPORTS));
      await until(() => each.seen.subscriptions["logsSubscribe"] === 2);
    }
    for (const txid of paid) {
      await final(txid);
      assertWhole(story(txid));
      assert.equal(pendingTxids.filter((each) => each === txid).length, 1);
    }
    stop();
  });
});

describe("watch lists of Solana", () => {
  const item = (i: number): string => encodeBase58(Buffer.alloc(32, `item ${i} `));

  function lists() {
    const events: WatchData[] = [];
    let changes = 0;
    const watching = createWatching(
      { chain: "solana", family: "svm", network: "localnet" },
      {
        clock: systemClock,
        onEvent: (data) => void events.push(data),
        onRefused: (_, { message }) => assert.fail(message),
        onChange: () => void changes++,
      },
    );
    return { watching, events, changes: () => changes };
  }

  it("name those of the newest first, each once, as many as are asked for; each change is told", async () => {
    const { watching, changes } = lists();
    await watching.add({ id: "old", addresses: [item(1), item(2)] });
    await watching.add({ id: "new", addresses: [item(2), item(3)], programs: [item(4)] });
    assert.deepEqual(watching.newest(10), [2, 3, 4, 1].map(item));
    assert.deepEqual(watching.newest(2), [2, 3].map(item));
    assert.equal(changes(), 2);
    assert.equal(watching.remove("none"), false);
    await assert.rejects(watching.add({ id: "new", addresses: [item(9)] }), { code: "SPRINT_WATCH_EXISTS" });
    assert.equal(changes(), 2, "nothing has changed");
    watching.remove("new");
    assert.deepEqual([watching.newest(10), changes()], [[1, 2].map(item), 3]);
  });

  it("see a transaction once for each item that it mentions, and nothing else while it is in no block that stays", async () => {
    const { watching, events } = lists();
    await watching.add({ id: "own", addresses: [item(1), item(2)] });
    const told = (mentions: readonly string[]) => watching.pending([{ txid: "t", raw: null, evm: null, mentions }]);
    told([item(1), item(3)]);
    told([item(1)]);
    told([item(2), item(2)]);
    told([]);
    const node = (block: Block): TreeNode => ({ block }) as TreeNode;
    const parent = genesis("solana");
    const [lost, next] = [node(childOf(parent)), node(childOf(childOf(parent)))];
    watching.onProved(lost, null);
    watching.onReverted([lost]);
    watching.onTip(next);
    watching.onFinal(next);
    assert.deepEqual(
      events.map((each) => [each.item, each.state, each.kind, each.output, each.block, each.sequence]),
      [1, 2].map((i) => [item(i), "seen", "transaction", null, null, 1]),
    );
  });
});
