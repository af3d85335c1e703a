/** The feed of Solana against the devnet's validator. */
import { strict as assert } from "node:assert";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { svmCodecFor, svmParams } from "../../../src/daemon/chain/index.ts";
import { SvmDevnetNode, type SvmDevnetNodeOptions } from "../../../src/daemon/devnet/svm-node.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { listenSvm, never, type SvmListener } from "./svm-listener.ts";

const codec = svmCodecFor(svmParams("localnet"));

async function startNode(t: TestContext, options: Partial<SvmDevnetNodeOptions> = {}): Promise<SvmDevnetNode> {
  const node = new SvmDevnetNode({ slotMs: null, ...options }, { clock: systemClock, random: seededRandom(7) });
  await node.start();
  t.after(() => node.close());
  return node;
}

/** The feed has come to the node's head, by the node's chain. */
async function inStep(heard: SvmListener, node: SvmDevnetNode): Promise<void> {
  await heard.until(() => heard.filled() && heard.head()?.hash === node.tip.hash && heard.headers.has(node.tip.hash));
  const chain = heard.chain();
  const truth = node.blocks.slice(-chain.length).map(({ hash }) => hash);
  assert.deepEqual(chain, truth);
}

/** What is processed when the feed comes up has parents that it did not hear of: once these are confirmed it is in step. */
async function warm(heard: SvmListener, node: SvmDevnetNode): Promise<void> {
  await heard.until(() => heard.filled());
  const isInStep = inStep(heard, node).then(() => true);
  do node.mine();
  while (!(await Promise.race([isInStep, delay(100, false)])));
}

describe("a feed of Solana", () => {
  for (const blockSubscribe of [true, false]) {
    it(`tells every processed block after its parent, ${blockSubscribe ? "with" : "without"} blockSubscribe`, async (t) => {
      const node = await startNode(t, { blockSubscribe });
      const heard = listenSvm(t, node.url);
      await warm(heard, node);
      const before = heard.announced.length;
      for (let i = 0; i < 30; i++) {
        if (i % 4 === 1) node.skip(1 + (i % 3));
        if (i % 7 === 2) node.dead();
        node.mine();
        await inStep(heard, node);
      }
      const told = heard.announced.slice(before);
      assert.deepEqual(
        told.map(({ header }) => header.hash),
        node.blocks.slice(-30).map(({ hash }) => hash),
        "each once",
      );
      assert.ok(
        told.every(({ via }) => via === "slot"),
        "when they were processed",
      );
      assert.deepEqual(heard.errors, []);
      const status = heard.feed.status();
      assert.deepEqual([status.height, status.kind], [node.tip.height, "ws"]);
      assert.match(status.agent ?? "", /solana-core/);
      assert.ok(heard.chain().length >= 60, "with its history");
    });
  }

  it("tells what is rooted", async (t) => {
    const node = await startNode(t, { rootBehind: 6 });
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    for (let i = 0; i < 10; i++) {
      node.mine();
      await heard.until(() => heard.finalized.at(-1)?.hash === node.root.hash);
      assert.equal(heard.finalized.at(-1)?.height, node.root.height);
    }
    const heights = heard.finalized.map(({ height }) => height);
    assert.deepEqual(
      heights,
      [...new Set(heights)].sort((a, b) => a - b),
      "each once, upwards",
    );
    assert.equal(heard.feed.status().finalized?.hash, node.root.hash);
  });

  it("goes with its node to another branch, and back", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    for (let depth = 1; depth <= 2; depth++) {
      node.mine();
      await inStep(heard, node);
      const { reverted, applied } = node.fork(depth, 1);
      await inStep(heard, node);
      assert.equal(heard.announced.at(-1)?.header.hash, applied[0]?.hash);
      assert.ok(reverted.every(({ hash }) => heard.headers.has(hash) && !heard.chain().includes(hash)));
    }
    // a block beside the chain never becomes the head
    const beside = node.orphan();
    node.mine();
    await inStep(heard, node);
    assert.ok(!heard.chain().includes(beside.hash));
    assert.deepEqual(heard.errors, []);
  });

  it("fills what is made faster than it asks", async (t) => {
    const node = await startNode(t, { blockSubscribe: false });
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    node.mine(20);
    node.skip(40);
    node.mine(60);
    node.fork(2, 5);
    await heard.until(() => heard.headers.has(node.confirmed.hash));
    await warm(heard, node);
    assert.ok(heard.announced.some(({ via }) => via === "rpc"));
    assert.deepEqual(heard.errors, []);
  });

  it("jumps where too much is missing, and leaves that to who asks", async (t) => {
    const node = await startNode(t, { blockSubscribe: false, keepBanks: 3_000 });
    const heard = listenSvm(t, node.httpUrl, { pollMs: 20, orphansAllowed: true });
    await heard.until(() => heard.filled());
    const last = [...heard.headers.values()].at(-1);
    for (let i = 0; i < 10; i++) {
      node.skip(60);
      node.mine();
    }
    node.mine(2);
    await assert.doesNotReject(heard.until(() => heard.announced.at(-1)?.header.hash === node.confirmed.hash));
    const missed = await heard.feed.headersAfter([last?.locator ?? ""], never);
    assert.equal(missed.at(-1)?.hash, node.confirmed.hash);
  });

  it("over HTTP tells what is confirmed and rooted", async (t) => {
    const node = await startNode(t, { rootBehind: 6 });
    const heard = listenSvm(t, node.httpUrl, { pollMs: 10 });
    await heard.until(() => heard.filled());
    for (let i = 0; i < 12; i++) {
      if (i % 3 === 0) node.skip(2);
      node.mine(1 + (i % 3));
      await heard.until(() => heard.head()?.hash === node.confirmed.hash);
    }
    await heard.until(() => heard.finalized.at(-1)?.hash === node.root.hash);
    assert.ok(heard.announced.every(({ via }) => via === "rpc"));
    assert.equal(heard.feed.status().kind, "rpc");
    assert.deepEqual(heard.errors, []);
  });

  it("gives bodies that hold, as soon as they are confirmed, and knows which never come", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    const { tip } = node;
    const waiting = heard.feed.body(`${tip.slot}:${tip.hash}`, never);
    node.mine(3);
    const verdict = codec.checkBody(await waiting, { hash: tip.hash, height: tip.height }, null);
    assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
    assert.equal(verdict.facts.signatures.checked, verdict.facts.signatures.total);
    assert.ok(verdict.facts.txCount > 0 && verdict.facts.level === "full");

    const notFound = { code: "SPRINT_UPSTREAM_NOT_FOUND" };
    const [lost] = node.mine();
    await inStep(heard, node);
    const waitingForLost = heard.feed.body(`${lost?.slot}:${lost?.hash}`, never);
    node.fork(1);
    await inStep(heard, node);
    node.mine();
    await inStep(heard, node);
    node.mine();
    await assert.rejects(waitingForLost, { ...notFound, message: /builds on another block/ });

    const beside = node.orphan();
    node.skip(1);
    const skipped = node.tip.slot;
    node.mine(40);
    await assert.rejects(heard.feed.body(`${beside.slot}:${beside.hash}`, never), notFound);
    await assert.rejects(heard.feed.body(`${tip.slot}:${beside.hash}`, never), notFound);
    await assert.rejects(heard.feed.body(`${skipped}:${beside.hash}`, never), notFound);
    await assert.rejects(heard.feed.body(tip.hash, never), notFound);
  });

  it("answers locators: the newest that is confirmed counts, none is where the chain is taken up", async (t) => {
    const node = await startNode(t, { historySlots: 120, skipChance: 0.3 });
    const heard = listenSvm(t, node.url);
    await heard.until(() => heard.filled());
    const { blocks, confirmed, tip } = node;
    const upTo = blocks.findIndex(({ hash }) => hash === confirmed.hash);
    const after = async (locator: readonly string[]): Promise<readonly string[]> =>
      (await heard.feed.headersAfter(locator, never)).map(({ hash }) => hash);
    const hashes = (from: number): readonly string[] => blocks.slice(from, upTo + 1).map(({ hash }) => hash);
    const locator = (at: number): string => `${blocks[at]?.slot}:${blocks[at]?.hash}`;
    const taken = blocks.findIndex(({ slot }) => slot >= confirmed.slot - codec.params.historySlots);
    assert.deepEqual(await after([]), hashes(taken));
    assert.deepEqual(await after([`${tip.slot}:${tip.hash}`, locator(upTo - 5), locator(3)]), hashes(upTo - 4));
    assert.deepEqual(await after([locator(upTo)]), []);
    assert.deepEqual(await after([`${blocks[upTo - 1]?.slot}:${tip.hash}`, locator(upTo - 9)]), hashes(upTo - 8));
    assert.deepEqual(await after([`7:${tip.hash}`, "rubbish"]), hashes(taken), "of a chain that it does not know");
    assert.deepEqual(await after([locator(10)]), hashes(11), "further back than it is taken up");
  });
});

describe("a feed of Solana whose node", () => {
  it("is killed and comes back", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    await node.close();
    await heard.until(() => heard.feed.status().state === "down");
    await node.start();
    node.mine(4);
    await heard.until(() => heard.ups() === 2 && heard.filled());
    await warm(heard, node);
    assert.match(heard.errors.join(), /SPRINT_RPC_UNREACHABLE/);
  });

  it("hangs up is dialled again, and nothing is missing", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    for (let i = 2; i < 5; i++) {
      node.disconnect();
      node.mine(3);
      await heard.until(() => heard.ups() === i && heard.filled());
      await warm(heard, node);
    }
  });

  it("freezes is asked, given up, and met again", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url, { stallMs: 150, requestTimeoutMs: 150, openTimeoutMs: 300 });
    await heard.until(() => heard.filled());
    node.freeze();
    await heard.until(() => heard.errors.includes("SPRINT_UPSTREAM_STALLED"));
    node.mine(3);
    node.thaw();
    await heard.until(() => heard.ups() >= 2 && heard.filled());
    await heard.until(() => heard.headers.has(node.confirmed.hash));
  });

  it("takes subscriptions and tells nothing is found out", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url, { stallMs: 200 });
    await warm(heard, node);
    node.lie("silent");
    const mining = setInterval(() => node.mine(), 100);
    t.after(() => clearInterval(mining));
    await heard.until(() => heard.errors.includes("SPRINT_UPSTREAM_STALLED"));
    clearInterval(mining);
  });

  it("is of another network is refused by its genesis", async (t) => {
    const node = await startNode(t);
    for (const url of [node.url, node.httpUrl]) {
      const heard = listenSvm(t, url, { network: "mainnet" });
      await heard.until(() => heard.errors.length > 0);
      assert.equal(heard.errors[0], "SPRINT_UPSTREAM_WRONG_NETWORK");
      assert.equal(heard.ups(), 0);
    }
  });

  it("goes backwards below what it has confirmed is given up", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    node.lie("backwards");
    const mining = setInterval(() => node.mine(), 350);
    t.after(() => clearInterval(mining));
    await heard.until(() => heard.errors.includes("SPRINT_UPSTREAM_REWOUND"));
    clearInterval(mining);
  });

  it("lists blocks and gives null is given up", async (t) => {
    const node = await startNode(t, { blockSubscribe: false });
    const heard = listenSvm(t, node.httpUrl, { pollMs: 5 });
    await heard.until(() => heard.filled());
    node.lie("null-block");
    node.mine(5);
    await heard.until(() => heard.errors.includes("SPRINT_UPSTREAM_NULL_BLOCK"));
  });

  it("tells slots that never come tells every one that does", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    node.lie("phantom-slots");
    for (let i = 0; i < 30; i++) {
      node.mine();
      await heard.until(() => heard.headers.has(node.confirmed.hash));
    }
    assert.ok(
      [...heard.headers.values()].every(({ hash, slot }) =>
        node.blocks.some((block) => block.hash === hash && block.slot === slot),
      ),
    );
    node.lie("phantom-slots", false);
    await warm(heard, node);
  });

  it("gives blocks whose signatures do not hold: no body of them is proved", async (t) => {
    const node = await startNode(t);
    const heard = listenSvm(t, node.url);
    await warm(heard, node);
    node.lie("bad-signature");
    const [{ slot, hash, height } = node.tip] = node.mine();
    await inStep(heard, node);
    node.mine(4);
    const verdict = codec.checkBody(await heard.feed.body(`${slot}:${hash}`, never), { hash, height }, null);
    assert.ok(!verdict.ok);
    assert.equal(verdict.refusal.code, "SPRINT_SVM_SIGNATURE");
  });

  for (const lie of ["wrong-blockhash", "wrong-parent"] as const) {
    for (const way of ["pushed", "asked for", "polled"] as const) {
      it(`names blocks or parents that are not (${lie}, ${way}): its own words contradict it`, async (t) => {
        const node = await startNode(t, { blockSubscribe: way === "pushed" });
        const heard = listenSvm(t, way === "polled" ? node.url.replace("ws:", "http:") : node.url);
        await (way === "polled" ? heard.until(() => heard.filled()) : warm(heard, node));
        node.lie(lie);
        for (let turn = 0; turn < 6; turn++) {
          node.mine();
          if (way !== "polled")
            await Promise.race([inStep(heard, node), heard.until(() => heard.contradictions.length > 0)]);
        }
        if (way === "asked for") {
          for (const { slot, hash } of node.blocks.slice(-6, -3)) {
            await heard.feed.body(`${slot}:${hash}`, never).catch(() => {});
          }
        }
        await heard.until(() => heard.contradictions.length > 0);
        assert.match(heard.contradictions[0] ?? "", /^SPRINT_UPSTREAM_CONTRADICTION/);
      });
    }
  }
});

describe("a soak of a feed of Solana", () => {
  it("holds through skips, forks, dead slots and hang-ups", async (t) => {
    const node = await startNode(t, { slotMs: 40, skipChance: 0.15, forkChance: 0.1, deadChance: 0.1 });
    const heard = listenSvm(t, node.url);
    await heard.until(() => heard.filled());
    for (let round = 1; round <= 3; round++) {
      const { height } = node.tip;
      await heard.until(() => heard.filled() && (heard.head()?.height ?? 0) > height + 15);
      const told = new Set(heard.headers.keys());
      const first = heard.headers.values().next().value?.slot ?? 0;
      const missing = node.blocks.filter(
        ({ slot, hash, height }) => slot >= first && height < node.confirmed.height - 15 && !told.has(hash),
      );
      assert.deepEqual(missing, []);
      node.disconnect();
      await heard.until(() => heard.ups() === round + 1);
    }
  });
});
