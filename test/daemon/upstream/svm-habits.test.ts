/** The feed of Solana against nodes as they come: hosted ones, validators with two ports, and bad ones. */
import { strict as assert } from "node:assert";
import { describe, it, type TestContext } from "node:test";
import { svmCodecFor, svmParams } from "../../../src/daemon/chain/index.ts";
import { RpcClient } from "../../../src/daemon/upstream/jsonrpc.ts";
import { type SvmKnowledge, SvmNode } from "../../../src/daemon/upstream/svm-node.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { fakeBlock, fakeSvm, type FakeSvm, hashOf } from "./svm-fake.ts";
import { listenSvm, never } from "./svm-listener.ts";

/** The node works on `slot` now, on `parent`; that one is processed. */
function opens(fake: FakeSvm, slot: number, parent = fake.processed): void {
  fake.push("slotSubscribe", { slot, parent: parent.slot, root: 1 });
}

describe("a feed of Solana", () => {
  it("asks a hosted node over its socket", async (t) => {
    const fake = await fakeSvm(t, { hosted: true });
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`);
    await heard.until(() => heard.filled());
    assert.ok(
      fake.asked.every((method) => method.startsWith("ws ")),
      fake.asked.join(),
    );
    assert.equal(heard.feed.status().agent, "solana-core 2.0.14");
  });

  it("asks a validator one port below its socket", async (t) => {
    const fake = await fakeSvm(t, { twoPorts: true });
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`);
    await heard.until(() => heard.filled());
    assert.ok(fake.asked.includes("getBlocks") && !fake.asked.includes("ws getBlocks"));
  });

  it("asks where rpc= says, and does not try the socket", async (t) => {
    const fake = await fakeSvm(t, { hosted: true });
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}?rpc=http://127.0.0.1:${fake.port}`);
    await heard.until(() => heard.filled());
    assert.deepEqual(
      fake.asked.filter((method) => method.startsWith("ws get")),
      [],
    );
  });

  it("polls over the socket where slots are not pushed", async (t) => {
    const fake = await fakeSvm(t, { hosted: true, topics: [] });
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`, { pollMs: 5 });
    await heard.until(() => heard.filled());
    fake.blocks.push(fakeBlock(103, fake.blocks[0] ?? null));
    await heard.until(() => heard.head()?.slot === 103);
  });

  it("asks again for a head that is late behind its notification", async (t) => {
    const fake = await fakeSvm(t);
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`);
    await heard.until(() => heard.filled());
    const next = fakeBlock(101, fake.processed);
    opens(fake, 101);
    const before = fake.asked.length;
    opens(fake, 103, next);
    const looks = (): number => fake.asked.slice(before).filter((method) => method === "getLatestBlockhash").length;
    await fake.until(() => looks() >= 2);
    fake.processed = next;
    await heard.until(() => heard.head()?.hash === hashOf(101));
    assert.equal(heard.announced.at(-1)?.header.height, 51);
  });

  it("follows slotsUpdates where it has them: frozen ones are asked for, dead ones left", async (t) => {
    const fake = await fakeSvm(t, { topics: ["slotsUpdatesSubscribe", "slotSubscribe"] });
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`);
    await heard.until(() => heard.filled());
    const update = (type: string, slot: number, more = {}): void =>
      fake.push("slotsUpdatesSubscribe", { type, slot, timestamp: 1, ...more });
    update("firstShredReceived", 102);
    update("createdBank", 102, { parent: 100 });
    fake.processed = fakeBlock(102, fake.processed);
    update("frozen", 102);
    await heard.until(() => heard.head()?.slot === 102);
    update("dead", 102, { err: "invalid" });
    await heard.until(() => heard.head()?.slot === 100);
  });

  const strange: readonly (readonly [string, unknown, RegExp])[] = [
    ["a slot as text", { slot: "101", parent: 100, root: 1 }, /SPRINT_RPC_SHAPE/],
    ["a slot beyond 2^53", { slot: 2 ** 60, parent: 100, root: 1 }, /SPRINT_RPC_SHAPE/],
    ["a parent above its slot", { slot: 101, parent: 101, root: 1 }, /SPRINT_UPSTREAM_PARENT_SLOT/],
    ["null", null, /SPRINT_RPC_SHAPE/],
  ];
  for (const [name, value, code] of strange) {
    it(`hangs up on a node that pushes ${name}`, async (t) => {
      const fake = await fakeSvm(t);
      const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`);
      await heard.until(() => heard.filled());
      fake.push("slotSubscribe", value);
      await heard.until(() => heard.errors.length > 0);
      assert.match(heard.errors.join(), code);
      await heard.until(() => heard.ups() === 2);
    });
  }

  const answers: readonly (readonly [string, string, () => unknown, RegExp])[] = [
    ["getGenesisHash", "a number", () => 5, /SPRINT_RPC_SHAPE/],
    ["getSlot", "null", () => null, /SPRINT_RPC_SHAPE/],
    ["getSlot", "more than 2^53", () => 2 ** 60, /SPRINT_RPC_SHAPE/],
    ["getBlocks", "slots in disorder", () => [100, 99], /SPRINT_RPC_SHAPE/],
    ["getBlocks", "slots that were not asked for", () => [200], /SPRINT_RPC_SHAPE/],
    ["getBlock", "a string", () => "block", /SPRINT_SVM_SHAPE/],
    [
      "getBlock",
      "a block that is its own parent",
      () => ({ blockhash: hashOf(100), previousBlockhash: hashOf(100), parentSlot: 99 }),
      /SPRINT_SVM_BLOCKHASH/,
    ],
  ];
  for (const [method, what, habit, code] of answers) {
    it(`does not come up with a node whose ${method} gives ${what}`, async (t) => {
      const fake = await fakeSvm(t);
      fake.habits.set(method, habit);
      const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`);
      await heard.until(() => heard.errors.length > 0);
      assert.match(heard.errors[0] ?? "", code);
      assert.equal(heard.ups(), 0);
    });
  }

  it("gives up a node whose heads are no blockhashes", async (t) => {
    const fake = await fakeSvm(t);
    const heard = listenSvm(t, `ws://127.0.0.1:${fake.port}`);
    await heard.until(() => heard.filled());
    fake.habits.set("getLatestBlockhash", () => ({
      context: { slot: 101 },
      value: { blockhash: "x".repeat(100_000) },
    }));
    opens(fake, 103, fakeBlock(101, null));
    await heard.until(() => heard.errors.includes("SPRINT_RPC_SHAPE"));
  });

  it("gives up a node whose blocks do not build on each other", async (t) => {
    const fake = await fakeSvm(t);
    const heard = listenSvm(t, `http://127.0.0.1:${fake.port}`, { pollMs: 2, orphansAllowed: true });
    await heard.until(() => heard.filled());
    fake.blocks.push(fakeBlock(105, fakeBlock(104, null)));
    await heard.until(() => heard.errors.includes("SPRINT_UPSTREAM_UNLINKED"));
  });
});

describe("a node of Solana", () => {
  async function open(t: TestContext): Promise<{ fake: FakeSvm; node: SvmNode }> {
    const fake = await fakeSvm(t);
    const client = new RpcClient(
      { origin: `http://127.0.0.1:${fake.port}`, path: "/", auth: { kind: "none" } },
      { clock: systemClock },
    );
    t.after(() => client.close());
    const codec = svmCodecFor(svmParams("localnet"));
    return { fake, node: new SvmNode({ confirmMs: 60, askAgainMs: 5 }, { caller: client, codec, clock: systemClock }) };
  }
  const locator = `101:${hashOf(101)}`;
  const announcedWith = (parentHash: string): SvmKnowledge => ({
    standingOf: () => "unknown",
    parentOf: () => parentHash,
    given: () => {},
  });

  it("is asked for a body until it is confirmed", async (t) => {
    const { fake, node } = await open(t);
    const body = node.body(locator, never);
    await fake.until(() => fake.asked.length >= 3);
    fake.blocks.push(fakeBlock(101, fake.processed));
    const text = Buffer.from(await body).toString();
    assert.ok(text.startsWith('{"slot":101,"block":{"'));
    assert.equal((JSON.parse(text) as { block: { blockhash: string } }).block.blockhash, hashOf(101));
    await assert.rejects(node.body(locator, never, announcedWith(hashOf(99))), { code: "SPRINT_UPSTREAM_WRONG_BLOCK" });
    assert.ok(await node.body(locator, never, announcedWith(hashOf(100))));
  });

  it("has bounds for that, and tells what never comes from what fails", async (t) => {
    const { fake, node } = await open(t);
    await assert.rejects(node.body(locator, never), {
      code: "SPRINT_UPSTREAM_NOT_FOUND",
      message: /not confirmed after 60 ms/,
    });
    const codes: readonly (readonly [number, string])[] = [
      [-32001, "SPRINT_UPSTREAM_NOT_FOUND"],
      [-32007, "SPRINT_UPSTREAM_NOT_FOUND"],
      [-32009, "SPRINT_UPSTREAM_NOT_FOUND"],
      [-32011, "SPRINT_UPSTREAM_NOT_FOUND"],
      [-32005, "SPRINT_RPC_ERROR"],
      [-32603, "SPRINT_RPC_ERROR"],
    ];
    for (const [code, expected] of codes) {
      fake.habits.set("getBlock", () => {
        throw { code, message: "no" };
      });
      await assert.rejects(node.body(locator, never), { code: expected }, String(code));
      if (expected === "SPRINT_UPSTREAM_NOT_FOUND") assert.equal(await node.header(101, never), null);
      else await assert.rejects(node.header(101, never), { code: expected });
    }
    fake.habits.set("getBlock", () => null);
    await assert.rejects(node.body(locator, never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
    assert.equal(await node.header(101, never), null);
    const abort = new AbortController();
    const body = node.body(locator, abort.signal);
    abort.abort(new Error("enough"));
    await assert.rejects(body, /enough/);
  });

  it("tells a block without a time as of now, and one whose parent is gone", async (t) => {
    const { fake, node } = await open(t);
    fake.habits.set("getBlock", () => ({
      blockhash: hashOf(100),
      previousBlockhash: "1".repeat(32),
      parentSlot: 97,
      blockTime: null,
      blockHeight: null,
    }));
    const header = await node.header(100, never);
    assert.ok(header !== null && Math.abs(header.timestamp - Date.now() / 1000) < 60);
    assert.deepEqual([header.height, header.parentHash], [null, "1".repeat(32)]);
    assert.equal(svmCodecFor(svmParams("localnet")).checkHeader(header), null);
  });
});
