/** The EVM feed against a real anvil. */
import { strict as assert } from "node:assert";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, type TestContext, test } from "node:test";
import { seededRandom } from "../../../src/shared/clock.ts";
import { type Anvil, hasAnvil, startAnvil } from "../../fakes/anvil.ts";
import { codec, fastClock, listenEvm, never } from "./evm-listener.ts";

const skip = !hasAnvil && "no anvil";
let anvil: Anvil;
before(async () => {
  if (hasAnvil) anvil = await startAnvil();
});
after(() => anvil?.close());

const URLS = {
  ws: () => anvil.url,
  http: () => anvil.httpUrl,
  "ws with http": () => `${anvil.url}?rpc=${anvil.httpUrl}`,
} as const;

for (const [kind, url] of Object.entries(URLS)) {
  test(`${kind}: bursts, reorgs of depth 1 to 8, and a silent rewind, without a hole`, { skip }, async (t) => {
    const listener = listenEvm(t, { url: url() });
    await listener.until(listener.filled);
    for (let burst = 1; burst <= 8; burst++) {
      const mined = await anvil.mine(burst * 5);
      await listener.until(() => listener.head() === mined.at(-1));
      assert.deepEqual(listener.chain(mined.length), mined);
    }
    for (let depth = 1; depth <= 8; depth++) {
      const branch = await anvil.reorg(depth, depth % 3);
      await listener.until(() => listener.head() === branch.at(-1));
      assert.deepEqual(listener.chain(branch.length), branch);
    }
    const lower = await anvil.rollback(3);
    await listener.until(() => listener.head() === lower);
    const [next] = await anvil.mine(1);
    await listener.until(() => listener.head() === next);
    assert.equal(listener.chain(2)[0], lower);
    assert.deepEqual(listener.downs, []);
  });

  test(`${kind}: whatever the node does without waiting for us, its chain is ours in the end`, { skip }, async (t) => {
    const random = seededRandom(7);
    const listener = listenEvm(t, { url: url() });
    await listener.until(listener.filled);
    await anvil.mine(10);
    for (let step = 0; step < 25; step++) {
      const roll = random();
      const few = 1 + Math.floor(random() * 8);
      if (roll < 0.6) await anvil.rpc("anvil_mine", [`0x${few.toString(16)}`]);
      else if (roll < 0.9) await anvil.rpc("anvil_reorg", [few, []]);
      else await anvil.rpc("anvil_rollback", [few]);
    }
    const [last] = (await anvil.mine(1)).slice(-1);
    await listener.until(() => listener.head() === last);
    const chain = (await anvil.hashes()).slice(-40);
    assert.deepEqual(listener.chain(chain.length), chain);
    assert.deepEqual(listener.downs, []);
  });
}

/** A way to the node that can be cut; in how far what was on it had arrived is left to chance. */
async function cuttable(t: TestContext): Promise<{ readonly url: string; cut(): void }> {
  const open = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(anvil.port, "127.0.0.1");
    open.add(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
    near.on("close", () => open.delete(near));
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  t.after(() => {
    proxy.close();
    cut();
  });
  return { url: `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`, cut };
}

for (const seed of [1, 2, 3]) {
  test(`connections cut at any moment, round ${seed}: what was missed is filled`, { skip }, async (t) => {
    const random = seededRandom(seed);
    const way = await cuttable(t);
    const listener = listenEvm(t, { url: way.url });
    await listener.until(listener.filled);
    await anvil.mine(10);
    for (let step = 0; step < 30; step++) {
      const roll = random();
      const few = 1 + Math.floor(random() * 8);
      if (roll < 0.5) await anvil.rpc("anvil_mine", [`0x${(3 * few).toString(16)}`]);
      else if (roll < 0.75) await anvil.rpc("anvil_reorg", [few, []]);
      else way.cut();
    }
    const [last] = await anvil.mine(1);
    await listener.until(() => listener.head() === last);
    const chain = (await anvil.hashes()).slice(-40);
    assert.deepEqual(listener.chain(chain.length), chain);
    assert.ok(listener.downs.length > 0);
  });
}

test("bodies hold: transactions, receipts and logs of a real node", { skip }, async (t) => {
  const listener = listenEvm(t, { url: anvil.url, pending: true });
  await listener.until(listener.filled);
  const [from] = await anvil.rpc<string[]>("eth_accounts");
  // A contract that logs its caller's word: PUSH1 0 CALLDATALOAD PUSH1 0 MSTORE PUSH1 7 PUSH1 32 PUSH1 0 LOG1
  const code = "5f355f52600760205fa1";
  const creation = `0x69${code}5f52600a6016f3`;
  const txids: string[] = [await anvil.rpc<string>("eth_sendTransaction", [{ from, data: creation }])];
  await anvil.mine(1);
  const { contractAddress: to } = await anvil.rpc<{ contractAddress: string }>("eth_getTransactionReceipt", txids);
  for (let at = 0; at < 20; at++)
    txids.push(await anvil.rpc<string>("eth_sendTransaction", [{ from, to, data: `0x${"0".repeat(62)}2a` }]));
  const [hash] = await anvil.mine(1);
  assert.ok(hash !== undefined);
  await listener.until(() => listener.head() === hash && listener.pending.length === txids.length);
  assert.deepEqual(listener.pending.map(({ txid }) => txid).toSorted(), txids.toSorted());
  const raw = await listener.feed.body(hash, never);
  const watch = { items: new Set<string>(), topics: new Set<string>(), outpoints: new Map<string, string>() };
  const verdict = codec.checkBody(raw, { hash, height: null }, watch);
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
  assert.equal(verdict.facts.level, "full");
  assert.equal(verdict.facts.txCount, 20);
  assert.equal(verdict.facts.reading?.logs?.length, 20);
  await assert.rejects(listener.feed.body(`0x${"ab".repeat(32)}`, never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
});

test("safe and final as the node says", { skip }, async (t) => {
  const listener = listenEvm(t, { url: anvil.url });
  await listener.until(listener.filled);
  await anvil.mine(12);
  const height = Number(await anvil.rpc<string>("eth_blockNumber"));
  const [finalized] = await anvil.hashes(height - 8);
  await listener.until(() => listener.finalized.at(-1)?.hash === finalized);
  assert.equal(listener.finalized.at(-1)?.height, height - 8);
});

for (const [kind, url] of Object.entries(URLS)) {
  test(`${kind}: a node that hangs is left, and taken up again where it goes on`, { skip }, async (t) => {
    const listener = listenEvm(t, { url: url(), clock: fastClock(20) });
    await listener.until(listener.filled);
    anvil.freeze();
    await listener.until(() => listener.downs.length === 1).finally(() => anvil.thaw());
    const mined = await anvil.mine(5);
    await listener.until(() => listener.filled() && listener.head() === mined.at(-1));
    assert.deepEqual(listener.chain(5), mined);
  });
}

test("a restart of the node: what it mined meanwhile is filled, no hole", { skip }, async (t) => {
  const listener = listenEvm(t, { url: anvil.url });
  await listener.until(listener.filled);
  const before = await anvil.mine(3);
  await anvil.restart();
  const mined = await anvil.mine(20);
  await listener.until(() => listener.head() === mined.at(-1));
  assert.equal(listener.downs.length, 1);
  assert.deepEqual(listener.chain(23), [...before, ...mined]);
});

test("a real node of another chain id", { skip }, async (t) => {
  const other = await startAnvil({ chainId: 5 });
  t.after(() => other.close());
  const listener = listenEvm(t, { url: other.url });
  await listener.until(() => listener.feed.status().lastError !== null);
  assert.equal(listener.feed.status().lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
});
