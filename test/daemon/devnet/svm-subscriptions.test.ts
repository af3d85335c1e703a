/** Every subscription of the Solana devnet node, over a real socket. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { checkSvmBlock, decodeBase58, encodeBase58, svmParams } from "../../../src/daemon/chain/index.ts";
import { connect, get, startSvm } from "./svm-client.ts";

const PARAMS = svmParams("localnet");
const VOTE = "Vote111111111111111111111111111111111111111";
const SYSTEM = "11111111111111111111111111111111";
const CLOCK = "SysvarC1ock11111111111111111111111111111111";
const address = (seed: number): string => encodeBase58(new Uint8Array(32).fill(seed));

test("slotSubscribe tells each slot with its parent and the root, skipped ones not, branches and dead ones too", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const id = await client.subscribe("slotSubscribe");
  const { tip, root } = node;
  node.mine();
  node.skip(2);
  node.mine();
  const beside = node.orphan();
  const dead = node.dead();
  const rootNow = node.root.slot;
  assert.deepEqual(await client.told(id), [
    { parent: tip.slot, root: root.slot, slot: tip.slot + 1 },
    { parent: tip.slot + 1, root: root.slot + 1, slot: tip.slot + 4 },
    { parent: tip.slot + 1, root: rootNow, slot: beside.slot },
    { parent: tip.slot + 4, root: rootNow, slot: dead },
  ]);
});

test("slotsUpdatesSubscribe tells the life of each slot in order", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const id = await client.subscribe("slotsUpdatesSubscribe");
  const { tip, confirmed, root } = node;
  node.mine();
  const dead = node.dead();
  const told = await client.told(id);
  const at = tip.slot + 1;
  assert.deepEqual(
    told.map(({ type, slot }) => [type, slot]),
    [
      ["firstShredReceived", at],
      ["createdBank", at],
      ["completed", at],
      ["frozen", at],
      ["optimisticConfirmation", confirmed.slot + 1],
      ["root", root.slot + 1],
      ["firstShredReceived", dead],
      ["createdBank", dead],
      ["dead", dead],
    ],
  );
  assert.equal(told[1].parent, tip.slot);
  assert.equal(typeof told[8].err, "string");
  assert.ok(told.every(({ timestamp }) => Number.isSafeInteger(timestamp)));
  const transactions = node.ledger.at(at)?.transactions ?? [];
  const { stats } = told[3];
  assert.equal(stats.numSuccessfulTransactions + stats.numFailedTransactions, transactions.length);
  assert.equal(stats.maxTransactionsPerEntry, 4, "four votes in one entry");
});

test("rootSubscribe and voteSubscribe tell numbers and ballots", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const roots = await client.subscribe("rootSubscribe");
  const votes = await client.subscribe("voteSubscribe");
  const { root, tip } = node;
  node.mine(2);
  assert.deepEqual(await client.told(roots), [root.slot + 1, root.slot + 2]);
  const told = await client.told(votes);
  assert.equal(told.length, 8);
  const { hash, signature, timestamp, ...ballot } = told[0];
  assert.deepEqual(ballot, { slots: [tip.slot], votePubkey: node.ledger.validators[0]?.voteAddress });
  assert.equal(decodeBase58(hash, 32)?.length, 32);
  assert.equal(node.ledger.at(tip.slot + 1)?.transactions[0]?.signature, signature);
  assert.ok(Number.isSafeInteger(timestamp));
});

test("blockSubscribe gives whole blocks that prove, once they are confirmed or rooted", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const form = { maxSupportedTransactionVersion: 0 };
  const confirmed = await client.subscribe("blockSubscribe", "all", { ...form, commitment: "confirmed" });
  const rooted = await client.subscribe("blockSubscribe", "all", {
    ...form,
    encoding: "json",
    transactionDetails: "signatures",
  });
  const to = address(9);
  const mentions = await client.subscribe(
    "blockSubscribe",
    { mentionsAccountOrProgram: to },
    { ...form, commitment: "confirmed" },
  );
  const signature = node.pay(to, 1_000_000);
  node.mine(4);
  const told = await client.told(confirmed);
  assert.deepEqual(
    told.map(({ value }) => value.slot),
    [-3, -2, -1, 0].map((behind) => node.confirmed.slot + behind),
  );
  for (const { context: place, value } of told) {
    assert.deepEqual([place.slot, value.err], [value.slot, null]);
    assert.ok(checkSvmBlock(value.block, { params: PARAMS, slot: value.slot }).ok);
    assert.equal(value.block.rewards, undefined);
  }
  assert.equal((await client.told(rooted)).at(-1).value.slot, node.root.slot);
  const found = await client.told(mentions);
  assert.equal(found.length, 1);
  assert.equal(found[0].value.block.transactions.length, 1);
  const own = Buffer.from(found[0].value.block.transactions[0].transaction[0], "base64");
  assert.equal(encodeBase58(own.subarray(1, 65)), signature);
  assert.equal((await client.call("blockSubscribe", "all", { commitment: "processed" })).error?.code, -32602);
});

test("what a node has switched off is not found there", async (context) => {
  const node = await startSvm(context, { blockSubscribe: false, voteSubscribe: false });
  const client = await connect(context, node);
  for (const method of ["blockSubscribe", "voteSubscribe", "getSlot"]) {
    assert.deepEqual((await client.call(method, "all")).error, { code: -32601, message: "Method not found" });
  }
});

test("logsSubscribe tells logs of all, of votes too, or of those that mention one address", async (context) => {
  const node = await startSvm(context, { maxTransfers: 0 });
  const client = await connect(context, node);
  const processed = { commitment: "processed" };
  const all = await client.subscribe("logsSubscribe", "all", processed);
  const withVotes = await client.subscribe("logsSubscribe", "allWithVotes", processed);
  const mentions = await client.subscribe("logsSubscribe", { mentions: [CLOCK] });
  const signature = node.pay(address(4), 1_000_000);
  node.mine();
  const [only, ...others] = await client.told(all);
  assert.deepEqual(others, []);
  assert.equal(only.context.slot, node.tip.slot);
  assert.deepEqual([only.value.signature, only.value.err], [signature, null]);
  assert.deepEqual(only.value.logs.slice(0, 2), [`Program ${SYSTEM} invoke [1]`, `Program ${SYSTEM} success`]);
  assert.match(only.value.logs[3], /^Program log: Memo \(len \d+\): "devnet \d+"$/);
  assert.equal((await client.told(withVotes)).length, 5);
  assert.equal((await client.told(mentions)).length, 4, "those of the block that was rooted");
  for (const filter of [{ mentions: [] }, { mentions: [CLOCK, VOTE] }, { mentions: ["x"] }, "some"]) {
    assert.equal((await client.call("logsSubscribe", filter)).error?.code, -32602);
  }
});

test("accountSubscribe and programSubscribe tell accounts that changed, at their commitment", async (context) => {
  const node = await startSvm(context, { maxTransfers: 0 });
  const client = await connect(context, node);
  const to = address(8);
  const processed = await client.subscribe("accountSubscribe", to, { commitment: "processed", encoding: "base64" });
  const confirmed = await client.subscribe("accountSubscribe", to, { commitment: "confirmed" });
  const { voteAddress = "", identity } = node.ledger.validators[2] ?? {};
  const program = await client.subscribe("programSubscribe", VOTE, {
    commitment: "processed",
    encoding: "base64",
    filters: [{ dataSize: 3762 }, { memcmp: { offset: 4, bytes: identity?.address } }],
  });
  const nothing = await client.subscribe("programSubscribe", VOTE, { filters: [{ dataSize: 1 }] });
  node.pay(to, 1_000_000);
  const [first] = node.mine();
  const [told] = await client.told(processed);
  assert.deepEqual(
    [told.context.slot, told.value.lamports, told.value.owner, told.value.data],
    [first?.slot, 1_000_000, SYSTEM, ["", "base64"]],
  );
  assert.deepEqual(await client.told(confirmed), []);
  node.mine(2);
  assert.equal((await client.told(confirmed))[0].context.slot, first?.slot);
  assert.equal((await client.told(processed)).length, 1);
  const votes = await client.told(program);
  assert.deepEqual(
    votes.map(({ value }) => value.pubkey),
    [voteAddress, voteAddress, voteAddress],
  );
  assert.deepEqual(await client.told(nothing), []);
  assert.equal((await client.call("accountSubscribe", "x")).error?.message, "Invalid Request: Invalid pubkey provided");
});

test("signatureSubscribe tells once, also of what has long happened", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const signature = node.pay(address(7), 1_000_000);
  const id = await client.subscribe("signatureSubscribe", signature, {
    commitment: "confirmed",
    enableReceivedNotification: true,
  });
  node.mine();
  assert.deepEqual(
    (await client.told(id)).map(({ value }) => value),
    ["receivedSignature"],
  );
  node.mine(3);
  assert.deepEqual(
    (await client.told(id)).map(({ value }) => value),
    ["receivedSignature", { err: null }],
  );
  assert.equal((await client.call("signatureUnsubscribe", id)).error?.code, -32602, "it has ended by itself");
  const late = await client.subscribe("signatureSubscribe", signature, { commitment: "processed" });
  node.mine(2);
  assert.equal((await client.told(late)).length, 1);
});

test("what was unsubscribed is silent, and each method of subscribing has its counterpart", async (context) => {
  const node = await startSvm(context);
  const client = await connect(context, node);
  const signature = (await get(node, "getBlock", 3, { transactionDetails: "signatures" })).signatures[0];
  const filters: Record<string, unknown[]> = {
    slot: [],
    slotsUpdates: [],
    root: [],
    vote: [],
    block: ["all"],
    logs: ["all"],
    account: [VOTE],
    program: [VOTE],
    signature: [signature],
  };
  for (const [kind, params] of Object.entries(filters)) {
    const id = await client.subscribe(`${kind}Subscribe`, ...params);
    assert.deepEqual((await client.call(`${kind}Unsubscribe`, id)).result, true);
    const again = await client.call(`${kind}Unsubscribe`, id);
    assert.deepEqual(again.error, { code: -32602, message: "Invalid subscription id." });
  }
  node.mine(10);
  await client.call("getVersion");
  assert.equal(
    client.received.some(({ method }) => method !== undefined),
    false,
  );
  assert.equal(Object.keys(node.seen.subscriptions).length, 9);
});

test("a socket has so many subscriptions, messages have a length, and text that is none is answered", async (context) => {
  const node = await startSvm(context, { maxSubscriptions: 3 });
  const client = await connect(context, node);
  const ids = await Promise.all(["slot", "root", "vote"].map((kind) => client.subscribe(`${kind}Subscribe`)));
  assert.equal(new Set(ids).size, 3);
  assert.equal(await client.subscribe("slotSubscribe"), ids[0], "asked for twice, it is one");
  const { error } = await client.call("slotsUpdatesSubscribe");
  assert.equal(error?.message, "Internal Error: Subscription refused. Node subscription limit reached");
  for (const text of ["{", "[]", '[{"jsonrpc":"2.0","id":1,"method":"getVersion"}]']) client.send(text);
  await client.call("getVersion");
  assert.deepEqual(
    client.received.filter(({ id }) => id === null).map((answer) => answer.error.code),
    [-32700, -32700, -32700],
  );
  client.send(" ".repeat(70_000));
  const [code] = await once(client.socket, "close");
  assert.equal(code, 1009);
  const other = await connect(context, node);
  assert.equal((await other.call("getVersion")).error, undefined, "others are not disturbed");
});
