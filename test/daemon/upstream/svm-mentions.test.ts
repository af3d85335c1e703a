/** Listening for what is watched: which items, on which connection, and where it ends. */
import { strict as assert } from "node:assert";
import { describe, it, type TestContext } from "node:test";
import { encodeBase58 } from "../../../src/daemon/chain/index.ts";
import { SvmDevnetNode } from "../../../src/daemon/devnet/svm-node.ts";
import { type MentionModules, SvmMentions, WatchedItems } from "../../../src/daemon/upstream/svm-mentions.ts";
import { MAX_WATCHED } from "../../../src/daemon/upstream/types.ts";
import type { PendingTransaction } from "../../../src/shared/body.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { fakeSvm } from "./svm-fake.ts";
import { listenSvm, never } from "./svm-listener.ts";

const txid = (i: number): string => encodeBase58(Buffer.alloc(64, `signature ${i} `));
const item = (i: number): string => encodeBase58(Buffer.alloc(32, `item ${i} `));
const items = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => item(i));

type Listener = Parameters<MentionModules["socket"]["subscribe"]>[2];

/** A connection that takes subscriptions up to a limit, and on which the test tells. */
function connection(watched: WatchedItems, limit = Number.POSITIVE_INFINITY) {
  const clock = new FakeClock();
  const told: PendingTransaction[] = [];
  const listeners = new Map<string, { readonly name: number; readonly take: Listener }>();
  const left: number[] = [];
  let named = 0;
  const mentions = new SvmMentions({
    watched,
    clock,
    tell: (transactions) => void told.push(...transactions),
    socket: {
      async subscribe(method, params, take) {
        const [{ mentions: mentioned }, config] = params as [{ mentions: string[] }, unknown];
        assert.deepEqual([method, mentioned.length, config], ["logsSubscribe", 1, { commitment: "processed" }]);
        if (listeners.size >= limit) throw new SprintError("SPRINT_RPC_ERROR", "node subscription limit reached");
        listeners.set(mentioned[0] ?? "", { name: ++named, take });
        return named;
      },
      async unsubscribe(method, name) {
        assert.equal(method, "logsUnsubscribe");
        for (const [each, { name: own }] of listeners) if (own === name) listeners.delete(each);
        left.push(Number(name));
      },
    },
  });
  return {
    clock,
    told,
    left,
    mentions,
    listened: () => [...listeners.keys()],
    push(mentioned: string, signature: unknown, err: unknown = null) {
      const value = { context: { slot: 1 }, value: { signature, err, logs: [] } };
      const { take } = listeners.get(mentioned) ?? assert.fail(`${mentioned} is not listened for`);
      take({ kind: "notification", subscription: 1, value: () => value, json: () => "", length: 1, receivedAt: 0 });
    },
  };
}

describe("what is watched on Solana", () => {
  it("is listened for up to a bound, those that count most first, which is said once until it fits again", async () => {
    const said: string[] = [];
    const watched = new WatchedItems((reason) => void said.push(reason));
    const { mentions, listened, left } = connection(watched);
    watched.set(items(MAX_WATCHED));
    await mentions.follow(never);
    assert.deepEqual(said, []);
    watched.set([item(999), ...items(MAX_WATCHED)]);
    await mentions.follow(never);
    assert.deepEqual(new Set(listened()), new Set([item(999), ...items(MAX_WATCHED - 1)]));
    assert.deepEqual(left, [MAX_WATCHED], "the one that counts least makes room, the others keep their subscriptions");
    watched.set([item(998), ...watched.items]);
    await mentions.follow(never);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /more than 50 accounts and programs/);
    watched.set(items(3));
    await mentions.follow(never);
    assert.deepEqual(listened().sort(), [...items(3)].sort());
    watched.set(items(51));
    assert.equal(said.length, 2, "it is news again");
    watched.set([]);
    await mentions.follow(never);
    assert.deepEqual(listened(), []);
  });

  it("is what the node takes where it takes less: each connection asks again, the reason is said once", async () => {
    const said: string[] = [];
    const watched = new WatchedItems((reason) => void said.push(reason));
    watched.set(items(20));
    for (let i = 0; i < 3; i++) {
      const { mentions, listened } = connection(watched, 5);
      await mentions.follow(never);
      assert.equal(listened().length, 5);
    }
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /subscription limit/);
    const roomy = connection(watched);
    await roomy.mentions.follow(never);
    assert.equal(roomy.listened().length, 20);
    await connection(watched, 5).mentions.follow(never);
    assert.equal(said.length, 2);
  });

  it("that is no answer at all is the connection's failure", async () => {
    const watched = new WatchedItems(() => {});
    watched.set(items(1));
    const socket = {
      subscribe: () => Promise.reject(new SprintError("SPRINT_RPC_TIMEOUT", "no answer")),
      unsubscribe: () => assert.fail("nothing was subscribed to"),
    };
    const mentions = new SvmMentions({ watched, clock: new FakeClock(), tell: () => {}, socket });
    await assert.rejects(mentions.follow(never), { code: "SPRINT_RPC_TIMEOUT" });
  });

  it("is told in portions, a transaction once with all that it mentions, failed or not, and no simulations", async () => {
    const watched = new WatchedItems(() => {});
    watched.set(items(2));
    const { mentions, push, told, clock } = connection(watched);
    await mentions.follow(never);
    push(item(0), txid(1));
    push(item(1), txid(1));
    push(item(0), txid(1));
    push(item(1), txid(2), { InstructionError: [0, "Custom"] });
    push(item(1), "1".repeat(64));
    assert.deepEqual(told, [], "not one by one");
    clock.advance(20);
    const entry = (i: number, mentioned: readonly string[]) => ({
      txid: txid(i),
      raw: null,
      evm: null,
      mentions: mentioned,
    });
    assert.deepEqual(told, [entry(1, items(2)), entry(2, [item(1)])]);
    for (let i = 0; i < 1_024; i++) push(item(0), txid(i));
    assert.equal(told.length, 2 + 1_024, "a full portion does not wait");
    push(item(0), txid(5));
    mentions.close();
    clock.advance(20);
    assert.equal(told.length, 2 + 1_024, "and nothing is told of a connection that ended");
    for (const strange of [undefined, null, 7, "", "0OIl", txid(1).slice(9), "1".repeat(65)])
      assert.throws(() => push(item(0), strange), { code: "SPRINT_RPC_SHAPE" }, String(strange));
  });

  it("is let go of where it is in so many transactions that blocks would wait, and taken up when it is watched anew", async () => {
    const said: string[] = [];
    const watched = new WatchedItems((reason) => void said.push(reason));
    watched.set(items(2));
    const { mentions, push, told, clock, listened } = connection(watched);
    await mentions.follow(never);
    let changes = 0;
    watched.onChange = () => void changes++;
    for (let second = 0; second < 30; second++) {
      for (let i = 0; i < 199; i++) push(item(0), txid(second * 199 + i));
      clock.advance(1_000);
    }
    assert.deepEqual([told.length, changes], [30 * 199, 0], "200 a second are not too many");
    for (let i = 0; i < 2_100; i++) push(item(0), txid(i));
    assert.equal(changes, 1);
    push(item(1), txid(1));
    await mentions.follow(never);
    assert.deepEqual(listened(), [item(1)]);
    assert.match(said.join(), new RegExp(`^${item(0)}: in more than 2000 transactions in 10 s`));
    await mentions.follow(never);
    assert.deepEqual([listened(), said.length], [[item(1)], 1]);
    watched.set([item(1)]);
    await mentions.follow(never);
    watched.set(items(2));
    await mentions.follow(never);
    assert.equal(listened().length, 2);
  });
});

describe("a feed of Solana that is told what is watched", () => {
  const ACCOUNT = encodeBase58(Buffer.alloc(32, "watched"));
  const OTHER = encodeBase58(Buffer.alloc(32, "another"));

  async function startNode(t: TestContext): Promise<SvmDevnetNode> {
    const node = new SvmDevnetNode({ slotMs: null }, { clock: systemClock, random: seededRandom(7) });
    await node.start();
    t.after(() => node.close());
    return node;
  }

  it("follows changes, and keeps to them when its connection is another one", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url, { transactions: true });
    heard.feed.watch?.([ACCOUNT]);
    const count = (): number => node.seen.subscriptions["logsSubscribe"] ?? 0;
    const subscribed = async (times: number): Promise<void> => {
      while (count() < times) await new Promise<void>((resolve) => setImmediate(resolve));
    };
    const mentions = (signature: string) => heard.pending.find((each) => each.txid === signature)?.mentions;
    await subscribed(1);
    const first = node.pay(ACCOUNT, 1_000_000);
    const unheard = node.pay(OTHER, 1_000_000);
    node.mine();
    await heard.until(() => mentions(first) !== undefined);
    assert.deepEqual(mentions(first), [ACCOUNT]);

    heard.feed.watch?.([OTHER]);
    await subscribed(2);
    for (let i = 2; i <= 3; i++) {
      const [gone, second] = [node.pay(ACCOUNT, 1_000_000), node.pay(OTHER, 1_000_000)];
      node.mine();
      await heard.until(() => mentions(second) !== undefined);
      assert.deepEqual([mentions(second), mentions(gone)], [[OTHER], undefined]);
      node.disconnect();
      await heard.until(() => heard.ups() === i);
      await subscribed(i + 1);
    }
    assert.equal(mentions(unheard), undefined);
    assert.deepEqual([...new Set(heard.errors)], ["SPRINT_RPC_UNREACHABLE"], "nothing but the hang-ups");
  });

  it("goes on without where its node has no such subscription, and says so", async (t) => {
    const fake = await fakeSvm(t);
    const unwatched: string[] = [];
    const onUnwatched = (reason: string): void => void unwatched.push(reason);
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`, { transactions: true, onUnwatched });
    await heard.until(() => heard.filled());
    heard.feed.watch?.([ACCOUNT, OTHER]);
    await fake.until(() => fake.asked.includes("ws logsSubscribe"));
    while (unwatched.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    assert.match(
      unwatched.join(),
      /not everything that is watched is listened for: logsSubscribe: the node does not have this method/,
    );
    assert.deepEqual([heard.feed.status().state, heard.errors], ["up", []]);
  });

  it("is not asked where transactions are not listened to, or where there is no socket", async (t) => {
    const node = await startNode(t);
    assert.equal(listenSvm(t, node.url).feed.watch, undefined);
    assert.equal(listenSvm(t, node.httpUrl, { transactions: true }).feed.watch, undefined);
  });
});
