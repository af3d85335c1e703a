/** The Solana devnet node over HTTP: answers, refusals and bounds as validators have them. */
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, randomBytes, sign } from "node:crypto";
import { connect as dial } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import {
  checkSvmBlock,
  decodeBase58,
  encodeBase58,
  encodeMessage,
  encodeTransaction,
  svmParams,
} from "../../../src/daemon/chain/index.ts";
import { ask, get, post, startSvm } from "./svm-client.ts";

const PARAMS = svmParams("localnet");
const SYSTEM = "11111111111111111111111111111111";
const VOTE = "Vote111111111111111111111111111111111111111";
const bytesOf = (address: string): Uint8Array => decodeBase58(address, 32) as Uint8Array;

test("says who it is, how far it is, and what comes next", async (context) => {
  const node = await startSvm(context);
  node.skip(2);
  node.mine(8);
  assert.equal(await get(node, "getGenesisHash"), node.genesisHash);
  assert.equal(await get(node, "getHealth"), "ok");
  assert.equal(await (await fetch(`${node.httpUrl}/health`)).text(), "ok");
  assert.match((await get(node, "getVersion"))["solana-core"], /^\d+\.\d+\.\d+/);
  assert.deepEqual(await get(node, "getIdentity"), { identity: node.ledger.validators[0]?.identity.address });
  for (const [commitment, expected] of [
    ["processed", node.tip],
    ["confirmed", node.confirmed],
    ["finalized", node.root],
  ] as const) {
    assert.equal(await get(node, "getSlot", { commitment }), expected.slot);
    assert.equal(await get(node, "getBlockHeight", { commitment }), expected.height);
    const { context: place, value } = await get(node, "getLatestBlockhash", { commitment });
    assert.equal(place.slot, expected.slot);
    assert.deepEqual(value, { blockhash: expected.hash, lastValidBlockHeight: expected.height + 150 });
  }
  assert.equal(await get(node, "getSlot"), node.root.slot, "finalized, where nothing else is asked for");
  const late = await ask(node, "getSlot", { minContextSlot: node.tip.slot });
  assert.equal(late.error?.code, -32016);
  assert.deepEqual(late.error?.data, { contextSlot: node.root.slot });
});

test("getBlock gives each form of a block, and they prove as the same block", async (context) => {
  const node = await startSvm(context);
  node.mine(8);
  const { slot, hash } = node.root;
  const form = { maxSupportedTransactionVersion: 0 };
  for (const encoding of ["json", "base64", "base58"]) {
    const verdict = checkSvmBlock(await get(node, "getBlock", slot, { ...form, encoding }), { params: PARAMS, slot });
    assert.ok(verdict.ok, JSON.stringify(verdict));
    assert.deepEqual([verdict.header.hash, verdict.facts.opaque], [hash, 0]);
    assert.equal(verdict.facts.voteCount, 4);
  }
  const [full, names, accounts, none] = await Promise.all([
    get(node, "getBlock", slot, form),
    get(node, "getBlock", slot, { ...form, transactionDetails: "signatures" }),
    get(node, "getBlock", slot, { ...form, transactionDetails: "accounts", rewards: false }),
    get(node, "getBlock", slot, { ...form, transactionDetails: "none" }),
  ]);
  assert.deepEqual(
    names.signatures,
    full.transactions.map((each: { transaction: { signatures: string[] } }) => each.transaction.signatures[0]),
  );
  assert.equal(names.transactions, undefined);
  assert.deepEqual(Object.keys(accounts.transactions[0].transaction), ["accountKeys", "signatures"]);
  assert.equal(accounts.rewards, undefined);
  assert.equal(full.rewards[0].rewardType, "Fee");
  assert.deepEqual([none.transactions, none.signatures], [undefined, undefined]);
  assert.equal(full.blockHeight, node.root.height);
  const parsed = await get(node, "getBlock", slot, { ...form, encoding: "jsonParsed" });
  assert.equal(parsed.transactions[0].transaction.message.instructions[0].programId, VOTE);
  assert.deepEqual(full.transactions[0].meta.logMessages, [`Program ${VOTE} invoke [1]`, `Program ${VOTE} success`]);
});

test("transactions of version 0 are for those who say that they know them", async (context) => {
  const node = await startSvm(context, { historySlots: 30, rootBehind: 2 });
  const slots = node.blocks.filter(({ slot }) => slot <= node.root.slot).map(({ slot }) => slot);
  const answers = await Promise.all(slots.map((slot) => ask(node, "getBlock", slot)));
  const refused = answers.filter(({ error }) => error !== undefined);
  assert.ok(refused.length > 0 && refused.length < answers.length);
  assert.ok(
    refused.every(({ error }) => error?.code === -32015 && error.message.includes("maxSupportedTransactionVersion")),
  );
  const known = answers.find(({ result }) => result?.transactions.length > 0);
  assert.ok(known !== undefined && !("version" in known.result.transactions[0]));
});

test("a block that is not there is refused by the reason why it is not", async (context) => {
  const node = await startSvm(context, { keepBanks: 12, historySlots: 20 });
  node.skip(1);
  const [mined] = node.mine();
  const skipped = (mined?.slot ?? 0) - 1;
  const codeOf = async (slot: number, config: object = {}): Promise<number | undefined> =>
    (await ask(node, "getBlock", slot, { maxSupportedTransactionVersion: 0, ...config })).error?.code;
  assert.equal(await codeOf(mined?.slot ?? 0), -32004, "not rooted yet");
  assert.equal(await codeOf(mined?.slot ?? 0, { commitment: "confirmed" }), -32004, "not confirmed yet");
  assert.equal(await codeOf(skipped, { commitment: "confirmed" }), -32004, "who knows whether it comes");
  assert.equal(await codeOf(mined?.slot ?? 0, { commitment: "processed" }), -32602);
  node.mine(2);
  assert.equal(await codeOf(mined?.slot ?? 0, { commitment: "confirmed" }), undefined);
  node.mine(5);
  assert.equal(await codeOf(mined?.slot ?? 0), undefined);
  assert.equal(await codeOf(skipped), -32007);
  assert.equal(await codeOf(1), -32001);
  const { error } = await ask(node, "getBlock", 1);
  assert.equal(
    error?.message,
    `Block 1 cleaned up, does not exist on node. First available block: ${node.blocks[0]?.slot}`,
  );
  const other = await startSvm(context, { keepBanks: 12, historySlots: 20, longTermStorage: true });
  assert.equal((await ask(other, "getBlock", 1)).error?.code, -32009);
  for (const slot of ["1", -1, 1.5, null]) assert.equal((await ask(node, "getBlock", slot)).error?.code, -32602);
});

test("getBlocks names the slots that have one", async (context) => {
  const node = await startSvm(context);
  node.skip(3);
  node.mine(8);
  const rooted = node.blocks.map(({ slot }) => slot).filter((slot) => slot <= node.root.slot);
  assert.deepEqual(await get(node, "getBlocks", 0), rooted);
  assert.deepEqual(await get(node, "getBlocks", 3, 5), [3, 4, 5]);
  assert.deepEqual(await get(node, "getBlocksWithLimit", 2, 3), [2, 3, 4]);
  const confirmed = await get(node, "getBlocks", 0, null, { commitment: "confirmed" });
  assert.equal(confirmed.at(-1), node.confirmed.slot);
  assert.equal((await ask(node, "getBlocks", 0, 600_000)).error?.code, -32602);
  assert.equal((await ask(node, "getBlocksWithLimit", 0, 600_000)).error?.code, -32602);
  assert.equal(await get(node, "minimumLedgerSlot"), 0);
  assert.equal(
    await get(node, "getBlockTime", node.root.slot),
    (await get(node, "getBlock", node.root.slot, { transactionDetails: "none" })).blockTime,
  );
  assert.equal(await get(node, "getBlockTime", node.tip.slot + 9), null);
});

test("tells epochs, leaders, votes and stakes", async (context) => {
  const node = await startSvm(context, { slotsPerEpoch: 32, historySlots: 40 });
  const info = await get(node, "getEpochInfo", { commitment: "processed" });
  assert.deepEqual(
    [info.epoch, info.slotIndex, info.slotsInEpoch, info.absoluteSlot, info.blockHeight],
    [1, node.tip.slot - 32, 32, node.tip.slot, node.tip.height],
  );
  const schedule: Record<string, number[]> = await get(node, "getLeaderSchedule");
  assert.deepEqual(
    Object.values(schedule)
      .flat()
      .toSorted((a, b) => a - b),
    Array.from({ length: 32 }, (_, i) => i),
  );
  const leader = await get(node, "getSlotLeader", { commitment: "processed" });
  assert.ok(schedule[leader]?.includes(node.tip.slot - 32));
  assert.deepEqual(await get(node, "getSlotLeaders", node.tip.slot, 1), [leader]);
  assert.deepEqual(await get(node, "getLeaderSchedule", null, { identity: leader }), { [leader]: schedule[leader] });
  assert.equal(await get(node, "getLeaderSchedule", 500), null);
  assert.equal((await ask(node, "getSlotLeaders", 500, 1)).error?.code, -32602);
  const block = await get(node, "getBlock", node.root.slot, { transactionDetails: "none" });
  assert.deepEqual(await get(node, "getSlotLeaders", node.root.slot, 1), [block.rewards[0].pubkey]);

  node.setValidator(3, { votes: false });
  node.setValidator(1, { stake: 5 });
  node.mine(10);
  const near = await get(node, "getVoteAccounts", { commitment: "processed", delinquentSlotDistance: 5 });
  assert.deepEqual([near.current.length, near.delinquent.length], [3, 1]);
  assert.equal(near.delinquent[0].votePubkey, node.ledger.validators[3]?.voteAddress);
  assert.equal(near.current[1].activatedStake, 5);
  assert.equal(near.current[0].lastVote, node.tip.slot - 1);
  assert.equal((await get(node, "getVoteAccounts")).delinquent.length, 0);
});

test("counts transactions and how fast they come", async (context) => {
  const node = await startSvm(context, { historySlots: 100, maxTransfers: 2 });
  const [newest] = await get(node, "getRecentPerformanceSamples", 1);
  assert.equal(newest.slot, node.tip.slot);
  assert.ok(newest.samplePeriodSecs >= 10 && newest.numSlots >= 25);
  assert.equal(newest.numTransactions - newest.numNonVoteTransactions, 4 * newest.numSlots);
  assert.ok((await get(node, "getTransactionCount", { commitment: "processed" })) >= 400);
  assert.equal((await ask(node, "getRecentPerformanceSamples", 721)).error?.code, -32602);
  const fees = await get(node, "getRecentPrioritizationFees", [SYSTEM]);
  assert.deepEqual(fees.at(-1), { prioritizationFee: 0, slot: node.tip.slot });
});

test("accounts in each encoding, with numbers that no double holds", async (context) => {
  const node = await startSvm(context);
  node.mine(8);
  const { voteAddress = "", identity } = node.ledger.validators[0] ?? {};
  const info = async (config?: object): Promise<{ data: unknown; owner: string; space: number }> =>
    (await get(node, "getAccountInfo", voteAddress, config)).value;
  const { data, owner, space } = await info({ encoding: "base64" });
  const bytes = Buffer.from((data as string[])[0] as string, "base64");
  assert.deepEqual([owner, space, bytes.length], [VOTE, 3762, 3762]);
  assert.equal(encodeBase58(bytes.subarray(4, 36)), identity?.address);
  assert.equal(Number(bytes.readBigUInt64LE(78)), node.blocks.find(({ slot }) => slot === node.root.slot)?.parentSlot);
  const slice = { dataSlice: { offset: 4, length: 32 } };
  assert.deepEqual((await info({ encoding: "base58", ...slice })).data, [identity?.address, "base58"]);
  assert.equal((await info(slice)).data, identity?.address);
  assert.equal((await ask(node, "getAccountInfo", voteAddress)).error?.code, -32600);
  assert.equal((await get(node, "getAccountInfo", encodeBase58(randomBytes(32)))).value, null);
  assert.equal((await ask(node, "getAccountInfo", "not base58!")).error?.code, -32602);
  const text = await (
    await post(node, JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getAccountInfo", params: [SYSTEM] }))
  ).text();
  assert.match(text, /"rentEpoch":18446744073709551615,/);
});

/** Pays 1,000,000 lamports. */
function sentBy(from: ReturnType<typeof createPrivateKey>, to: Uint8Array, recent: string): Uint8Array {
  const key = Buffer.from(createPublicKey(from).export({ format: "jwk" }).x ?? "", "base64url");
  const data = Buffer.alloc(12);
  data.writeUInt32LE(2, 0);
  data.writeBigUInt64LE(1_000_000n, 4);
  const message = encodeMessage({
    version: "legacy",
    requiredSignatures: 1,
    readonlySigned: 0,
    readonlyUnsigned: 1,
    accountKeys: Buffer.concat([key, to, bytesOf(SYSTEM)]),
    recentBlockhash: bytesOf(recent),
    instructions: [{ program: 2, accounts: Uint8Array.of(0, 1), data }],
    lookups: [],
  });
  return encodeTransaction([sign(null, message, from)], message);
}

test("sendTransaction takes what holds, refuses what does not, and it is found again", async (context) => {
  const node = await startSvm(context);
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, 7)]);
  const wallet = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const own = encodeBase58(Buffer.from(createPublicKey(wallet).export({ format: "jwk" }).x ?? "", "base64url"));
  const to = new Uint8Array(32).fill(5);
  const preflight = { preflightCommitment: "processed" };
  const send = async (bytes: Uint8Array, config: object = preflight): ReturnType<typeof ask> =>
    ask(node, "sendTransaction", encodeBase58(bytes), config);

  const poor = await send(sentBy(wallet, to, node.tip.hash));
  assert.equal(poor.error?.code, -32002);
  assert.equal(poor.error?.data.err, "AccountNotFound");
  node.pay(own, 3_000_000);
  node.mine();
  const good = sentBy(wallet, to, node.tip.hash);
  const forged = Uint8Array.from(good);
  forged[5] = (forged[5] as number) ^ 1;
  assert.equal((await send(forged)).error?.code, -32003);
  assert.equal((await send(good.subarray(0, 80))).error?.code, -32602);
  assert.equal((await send(sentBy(wallet, to, own))).error?.data.err, "BlockhashNotFound");

  const { result: signature } = await ask(node, "sendTransaction", Buffer.from(good).toString("base64"), {
    encoding: "base64",
    ...preflight,
  });
  assert.equal(signature, encodeBase58(good.subarray(1, 65)));
  node.mine();
  assert.equal((await send(good)).error?.data.err, "AlreadyProcessed");
  const balances = await Promise.all(
    [own, encodeBase58(to)].map((each) => get(node, "getBalance", each, { commitment: "processed" })),
  );
  assert.deepEqual(
    balances.map(({ value }) => value),
    [1_995_000, 1_000_000],
  );
  const rest = await send(sentBy(wallet, new Uint8Array(32).fill(6), node.tip.hash), { ...preflight });
  assert.equal(rest.error, undefined);
  node.mine(7);
  const found = await get(node, "getTransaction", signature, { encoding: "base64" });
  assert.deepEqual(found.transaction, [Buffer.from(good).toString("base64"), "base64"]);
  assert.deepEqual(found.meta.postBalances.slice(0, 2), [1_995_000, 1_000_000]);
  const { value } = await get(node, "getSignatureStatuses", [signature, encodeBase58(randomBytes(64))]);
  assert.deepEqual(value, [
    { confirmationStatus: "finalized", confirmations: null, err: null, slot: found.slot, status: { Ok: null } },
    null,
  ]);
  assert.equal(await get(node, "getTransaction", encodeBase58(randomBytes(64))), null);
  const broke = await send(sentBy(wallet, to, node.tip.hash));
  assert.deepEqual(broke.error?.data.err, { InstructionError: [0, { Custom: 1 }] });
  assert.ok(broke.error?.data.logs.some((log: string) => log.includes("insufficient lamports")));
});

test("batches, odd requests and foreign HTTP are answered as validators do", async (context) => {
  const node = await startSvm(context);
  const text = async (body: string): Promise<unknown> => (await post(node, body)).json();
  const call = (id: unknown, method: unknown): object => ({ jsonrpc: "2.0", id, method });
  assert.deepEqual(
    await text(JSON.stringify([call(1, "getHealth"), call("b", "nope"), { jsonrpc: "2.0", method: "getHealth" }])),
    [
      { jsonrpc: "2.0", result: "ok", id: 1 },
      { jsonrpc: "2.0", error: { code: -32601, message: "Method not found" }, id: "b" },
    ],
  );
  const codeOf = async (body: string): Promise<number> =>
    ((await text(body)) as { error: { code: number } }).error.code;
  assert.equal(await codeOf("{"), -32700);
  assert.equal(await codeOf("[]"), -32600);
  assert.equal(await codeOf("7"), -32600);
  assert.equal(await codeOf(JSON.stringify({ id: 1, method: "getHealth" })), -32600);
  assert.equal(await codeOf(JSON.stringify(call({}, "getHealth"))), -32600);
  assert.equal(await codeOf(JSON.stringify(call(1, "constructor"))), -32601);
  assert.equal(await codeOf(JSON.stringify({ ...call(1, "getSlot"), params: { a: 1 } })), -32602);
  assert.equal(await codeOf(JSON.stringify(Array.from({ length: 101 }, () => call(1, "getHealth")))), -32600);
  assert.equal((await post(node, "{}", { "content-type": "text/plain" })).status, 415);
  assert.equal((await fetch(node.httpUrl)).status, 405);
});

test("a request that is too large is refused before it is read, and connections have a limit", async (context) => {
  const node = await startSvm(context, { maxConnections: 2 });
  const response = await post(node, " ".repeat(60_000)).catch(() => null);
  assert.ok(response === null || response.status === 413);
  const chunks = Array.from({ length: 60 }, () => " ".repeat(1_000));
  const headers = { "content-type": "application/json" };
  const body = ReadableStream.from(chunks.map((chunk) => Buffer.from(chunk)));
  const streamed = await fetch(node.httpUrl, { method: "POST", headers, body, duplex: "half" }).catch(() => null);
  assert.ok(streamed === null || streamed.status === 413, "nor where nobody said how long it would be");
  const { port } = node;
  const sockets = Array.from({ length: 8 }, () => dial({ port, host: "127.0.0.1" }));
  context.after(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.any(sockets.map((socket) => once(socket, "close")));
});
