/** The Solana devnet node's life, and what it does when tests tell it to do wrong. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { checkSvmBlock, checkSvmLink, encodeBase58, svmParams } from "../../../src/daemon/chain/index.ts";
import { SVM_LIES, SvmDevnetNode } from "../../../src/daemon/devnet/index.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { ask, connect, get, startSvm } from "./svm-client.ts";

const PARAMS = svmParams("localnet");
const CONFIRMED = { commitment: "confirmed", maxSupportedTransactionVersion: 0, encoding: "base64" };

test("close hangs up and frees the port, and start goes on with the same chain at the same address", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const { tip, url } = node;
  const closed = once(client.socket, "close");
  await node.close();
  await closed;
  await assert.rejects(fetch(node.httpUrl));
  assert.throws(() => node.mine(), { code: "SPRINT_DEVNET_CLOSED" });
  await node.start();
  assert.deepEqual([node.tip, node.url], [tip, url]);
  const again = await connect(context, node);
  const id = await again.subscribe("slotSubscribe");
  const [next] = node.mine();
  assert.equal(next?.parentSlot, tip.slot);
  assert.equal((await again.told(id)).length, 1, "told once, not twice");
  const other = new SvmDevnetNode(
    { slotMs: null, port: node.port },
    { clock: new FakeClock(), random: seededRandom(2) },
  );
  await assert.rejects(other.start(), { code: "SPRINT_DEVNET_LISTEN" });
});

test("two nodes of one ledger serve the same blocks, and one may lie while the other does not", async (context) => {
  const node = await startSvm(context);
  const twin = await startSvm(context, {}, { ledger: node.ledger });
  const clients = await Promise.all([connect(context, node), connect(context, twin)]);
  const ids = await Promise.all(clients.map((client) => client.subscribe("slotSubscribe")));
  node.mine();
  twin.mine();
  const [first, second] = await Promise.all(clients.map((client, i) => client.told(ids[i] as number)));
  assert.equal(first?.length, 2);
  assert.deepEqual(first, second);
  twin.lie("wrong-genesis");
  assert.equal(await get(node, "getGenesisHash"), node.genesisHash);
  assert.notEqual(await get(twin, "getGenesisHash"), node.genesisHash);
  twin.lie("wrong-genesis", false);
  assert.equal(await get(twin, "getGenesisHash"), node.genesisHash);
});

test("frozen it takes sockets and answers nobody; thawed it answers all, and tells what happened", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const id = await client.subscribe("slotSubscribe");
  node.freeze();
  let answered = 0;
  const count = <T>(value: T): T => {
    answered++;
    return value;
  };
  const asked = get(node, "getSlot", { commitment: "processed" }).then(count);
  const late = connect(context, node).then(count);
  const subscribed = client.subscribe("rootSubscribe").then(count);
  node.mine(3);
  // time enough for answers, were there any: a whole exchange with another node
  const other = await startSvm(context, {}, { random: seededRandom(5) });
  await get(other, "getSlot");
  await (await connect(context, other)).call("getVersion");
  assert.equal(answered, 0);
  assert.equal(client.received.length, 1);
  node.thaw();
  assert.equal(await asked, node.tip.slot);
  await Promise.all([late, subscribed]);
  assert.deepEqual(
    (await client.told(id)).map(({ slot }) => slot),
    [-2, -1, 0].map((behind) => node.tip.slot + behind),
  );
});

test("of a long freeze only the end is told", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const id = await client.subscribe("slotSubscribe");
  node.freeze();
  node.mine(200);
  node.thaw();
  const told = (await client.told(id)).map(({ slot }) => slot);
  assert.ok(told.length > 50 && told.length < 100, `${told.length} of 200`);
  assert.deepEqual(
    told,
    Array.from(told, (_, i) => node.tip.slot - told.length + 1 + i),
  );
});

test("closes while it is frozen, and comes back thawed", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  node.freeze();
  const closed = once(client.socket, "close");
  const asked = ask(node, "getSlot").then(
    () => "answered",
    () => "hung up",
  );
  await node.close();
  await closed;
  assert.equal(await asked, "hung up");
  await node.start();
  assert.equal(await get(node, "getHealth"), "ok");
});

test("one who does not read is hung up on", async (context) => {
  const node = await startSvm(context, { maxUnreadBytes: 200_000 });
  const [client, reader] = await Promise.all([connect(context, node), connect(context, node)]);
  for (let i = 0; i < 20; i++) await client.subscribe("blockSubscribe", "all", { ...CONFIRMED, nth: i });
  client.socket.pause();
  for (let i = 0; i < 60 && node.seen.sockets === 2; i++) {
    node.mine(2);
    await reader.call("getVersion");
  }
  assert.equal(node.seen.sockets, 1);
});

test("each lie is told of what comes after it, and of nothing before", async (context) => {
  const node = await startSvm(context);
  const block = (slot: number): Promise<unknown> => get(node, "getBlock", slot, CONFIRMED);
  const refusals: Record<string, string | undefined> = {};
  for (const lie of ["wrong-blockhash", "wrong-parent", "bad-signature", "null-block"] as const) {
    const before = node.confirmed;
    node.lie(lie);
    node.mine(3);
    const told = checkSvmBlock(await block(before.slot), { params: PARAMS, slot: before.slot });
    assert.ok(told.ok);
    // the first block that it is told of, and the one after it
    const { slot } = node.confirmed;
    const verdict = checkSvmBlock(await block(slot), { params: PARAMS, slot });
    if (!verdict.ok) refusals[lie] = verdict.refusal.code;
    else {
      const truth = checkSvmBlock(node.block(slot), { params: PARAMS, slot });
      const parent = checkSvmBlock(node.block(node.ledger.at(slot)?.parentSlot ?? 0), { params: PARAMS });
      assert.ok(truth.ok && parent.ok);
      const linked = checkSvmLink(parent.header, verdict.header)?.code;
      refusals[lie] = verdict.header.hash === truth.header.hash ? linked : "another hash";
    }
    node.lie(lie, false);
    const honest = checkSvmBlock(await block(slot), { params: PARAMS, slot });
    assert.ok(honest.ok);
  }
  assert.deepEqual(refusals, {
    "wrong-blockhash": "another hash",
    "wrong-parent": "SPRINT_SVM_PARENT_HASH",
    "bad-signature": "SPRINT_SVM_SIGNATURE",
    "null-block": "SPRINT_SVM_NULL_BLOCK",
  });
  assert.equal(SVM_LIES.length, 8);
});

test("subscriptions fall silent, slots never come, and the chain goes backwards", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const id = await client.subscribe("slotSubscribe");
  node.lie("silent");
  node.mine(3);
  assert.deepEqual(await client.told(id), []);
  assert.equal(await get(node, "getSlot", { commitment: "processed" }), node.tip.slot, "HTTP goes on");
  node.lie("silent", false);

  node.lie("phantom-slots");
  const [next] = node.mine();
  const [, phantom] = await client.told(id);
  assert.deepEqual([phantom.slot, phantom.parent], [(next?.slot ?? 0) + 8, next?.slot]);
  assert.equal(await get(node, "getSlot", { commitment: "processed" }), phantom.slot);
  assert.equal((await ask(node, "getBlock", phantom.slot, CONFIRMED)).error?.code, -32004);
  node.lie("phantom-slots", false);

  node.lie("backwards");
  const back = node.blocks.at(-9);
  assert.equal(await get(node, "getSlot", { commitment: "processed" }), back?.slot);
  node.mine();
  const last = (await client.told(id)).at(-1);
  assert.equal(last.slot, back?.slot);
});

test("what was final on a branch that left below the root is undone for good", async (context) => {
  const node = await startSvm(context, { keepBanks: 30 });
  const to = encodeBase58(new Uint8Array(32).fill(9));
  node.pay(to, 2_000_000);
  node.mine(10);
  assert.equal((await get(node, "getBalance", to)).value, 2_000_000);
  node.fork(10);
  assert.equal((await get(node, "getBalance", to, { commitment: "processed" })).value, 0);
  node.mine(60);
  assert.equal((await get(node, "getBalance", to)).value, 0);
});

test("a branch may leave the chain below the root, which no honest node tells", async (context) => {
  const node = await startSvm(context);
  node.mine(10);
  const { root, tip } = node;
  node.fork(9);
  assert.ok(node.root.height < root.height);
  assert.equal(node.tip.height, tip.height - 8);
  const { slot } = node.tip;
  assert.ok(checkSvmBlock(node.block(slot), { params: PARAMS, slot }).ok);
  node.mine(12);
  assert.equal(
    await get(node, "getBlock", root.slot, CONFIRMED).catch((error: Error) => error.message.includes("-32007")),
    true,
  );
});
