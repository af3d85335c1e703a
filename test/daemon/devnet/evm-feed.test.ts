/** The embedded Ethereum node and the relay's own feed understand each other: heads, branches, rewinds, what is final, bodies. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { evmCodecFor } from "../../../src/daemon/chain/index.ts";
import { EvmEmbeddedNode } from "../../../src/daemon/devnet/index.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { type EvmListener, listenEvm, never } from "../upstream/evm-listener.ts";
import { PRAGUE } from "./evm-client.ts";

async function listening(
  context: TestContext,
  scheme: "ws" | "http",
): Promise<{ node: EvmEmbeddedNode; listener: EvmListener }> {
  const node = new EvmEmbeddedNode(
    { blockIntervalMs: null, transactionsPerBlock: 3 },
    { clock: systemClock, random: seededRandom(9) },
  );
  await node.start();
  const listener = listenEvm(context, { url: node.url.replace("ws", scheme), pending: scheme === "ws" });
  context.after(() => node.close());
  await listener.until(listener.filled);
  return { node, listener };
}

for (const scheme of ["ws", "http"] as const) {
  test(`a feed over ${scheme} follows bursts, branches and a rewind`, { timeout: 60_000 }, async (context) => {
    const { node, listener } = await listening(context, scheme);
    const codec = evmCodecFor(PRAGUE);
    const follow = async (hashes: readonly string[]): Promise<void> => {
      await listener.until(() => listener.head() === hashes.at(-1));
      assert.deepEqual(listener.chain(hashes.length), hashes);
    };
    await follow(await node.mine(20));
    for (let depth = 1; depth <= 8; depth++) await follow(await node.reorg(depth, depth + (depth % 2)));
    await node.rollback(3);
    await listener.until(() => listener.head() === node.tip.hash);
    await follow(await node.mine(12));
    assert.deepEqual(listener.downs, []);
    const final = node.tip.height - 8;
    await listener.until(() => listener.finalized.some(({ height }) => height === final));
    if (scheme === "ws") assert.ok(listener.pending.length > 0);

    const hashes = await node.hashes(1);
    for (const hash of hashes.slice(-5)) {
      const height = hashes.indexOf(hash) + 1;
      const verdict = codec.checkBody(await listener.feed.body(hash, never), { height, hash }, null);
      assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
      assert.equal(verdict.facts.level, "full");
    }
  });
}

test("a feed finds what a silent subscription does not tell", { timeout: 60_000 }, async (context) => {
  const { node, listener } = await listening(context, "ws");
  node.lie("silent");
  const mined = await node.mine(5);
  await listener.until(() => listener.head() === mined.at(-1));
});

test("a feed fills what the heads leave out", { timeout: 60_000 }, async (context) => {
  const { node, listener } = await listening(context, "ws");
  node.lie("skip-heads");
  const mined = await node.mine(8);
  await listener.until(() => listener.head() === mined.at(-1));
  assert.deepEqual(listener.chain(8), mined);
});

test("a feed that was hung up on comes back, and has what it missed", { timeout: 60_000 }, async (context) => {
  const { node, listener } = await listening(context, "ws");
  node.disconnect();
  const mined = await node.mine(5);
  await listener.until(() => listener.ups() === 2 && listener.head() === mined.at(-1));
  assert.deepEqual(listener.chain(5), mined);
});
