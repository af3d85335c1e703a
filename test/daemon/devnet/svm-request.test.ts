/** Whatever a caller writes, the Solana devnet node answers with JSON-RPC, and never with an error of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SvmLedger } from "../../../src/daemon/devnet/svm-ledger.ts";
import { SvmView } from "../../../src/daemon/devnet/svm-lies.ts";
import { callSvmMethod } from "../../../src/daemon/devnet/svm-methods.ts";
import { answerSvmMessage, answerSvmRequest } from "../../../src/daemon/devnet/svm-request.ts";
import { svmTopic } from "../../../src/daemon/devnet/svm-topics.ts";
import { seededRandom } from "../../../src/shared/clock.ts";

const INTERNAL_ERROR = -32603;

const ledger = new SvmLedger({ keepBanks: 30, rootBehind: 4 }, { random: seededRandom(3), time: 1_750_000_000 });
for (let i = 0; i < 40; i++) ledger.extend(ledger.get("processed"), 1_750_000_000 + i);
const view = new SvmView(ledger);
const bank = ledger.get("finalized");

const METHODS = [
  "getGenesisHash,getVersion,getHealth,getSlot,getBlockHeight,getLatestBlockhash,getBlock,getBlocks,getBlocksWithLimit",
  "getFirstAvailableBlock,getBlockTime,getEpochInfo,getSlotLeader,getSlotLeaders,getLeaderSchedule,getVoteAccounts",
  "getRecentPerformanceSamples,getSignatureStatuses,getTransaction,getAccountInfo,getBalance,getTransactionCount",
  "sendTransaction,getRecentPrioritizationFees,minimumLedgerSlot,getIdentity",
].flatMap((names) => names.split(","));
const TOPICS = ["slot", "slotsUpdates", "root", "vote", "block", "logs", "account", "program", "signature"];

/** What means something somewhere, and what does not. */
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    bank.slot,
    bank.blockhash,
    bank.transactions[0]?.signature,
    ledger.validators[0]?.voteAddress,
    "all",
    2 ** 53,
    -1,
    0.5,
    1e300,
  ),
  fc.record(
    {
      commitment: fc.constantFrom("processed", "confirmed", "finalized", "recent"),
      encoding: fc.constantFrom("json", "base58", "base64", "base64+zstd", "jsonParsed", "binary", "hex"),
      transactionDetails: fc.constantFrom("full", "accounts", "signatures", "none", 1),
      maxSupportedTransactionVersion: fc.constantFrom(0, 1, "legacy"),
      dataSlice: fc.constantFrom({ offset: 0, length: 9e9 }, { offset: -1 }, {}),
      mentions: fc.constantFrom([bank.blockhash], [], [1]),
      mentionsAccountOrProgram: fc.constantFrom(bank.blockhash, ""),
      filters: fc.constantFrom([{ dataSize: 5 }], [{ memcmp: { offset: 9e9, bytes: "2" } }], [{ memcmp: null }], [{}]),
    },
    { requiredKeys: [] },
  ),
);

function codeOf(answer: string): number | null {
  const { jsonrpc, error, result } = JSON.parse(answer);
  assert.equal(jsonrpc, "2.0");
  assert.notEqual(error === undefined, result === undefined);
  return error?.code ?? null;
}

test("every method, with whatever parameters, answers or says what is wrong with them", () => {
  const codes = new Set<number | null>();
  const property = fc.property(fc.constantFrom(...METHODS), fc.array(value, { maxLength: 3 }), (method, params) => {
    const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const answer = answerSvmMessage(text, (name, list) => callSvmMethod(name, list, { view, longTermStorage: false }));
    const code = codeOf(answer);
    codes.add(code);
    assert.notEqual(code, INTERNAL_ERROR, `${text}: ${answer}`);
  });
  fc.assert(property, { numRuns: 3_000, seed: 1 });
  assert.ok(codes.has(null) && codes.has(-32602));
});

test("every subscription that is taken can be told everything that happens", () => {
  const modules = { view, wallMs: () => 0, blockSubscribe: true, voteSubscribe: true };
  const events = [
    { type: "firstShredReceived", slot: 1 },
    { type: "createdBank", slot: 1, parent: 0 },
    { type: "completed", slot: 1 },
    { type: "frozen", slot: bank.slot, bank },
    { type: "optimisticConfirmation", slot: bank.slot, bank },
    { type: "root", slot: bank.slot, bank },
    { type: "dead", slot: 1, err: "" },
  ] as const;
  let taken = 0;
  const property = fc.property(fc.constantFrom(...TOPICS), fc.array(value, { maxLength: 2 }), (kind, params) => {
    const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method: `${kind}Subscribe`, params });
    const answer = answerSvmMessage(text, (method, list) => {
      const topic = svmTopic(method, list, modules);
      for (const event of events) JSON.stringify(topic.tell(event));
      return taken++;
    });
    assert.notEqual(codeOf(answer), INTERNAL_ERROR, `${text}: ${answer}`);
  });
  fc.assert(property, { numRuns: 2_000, seed: 2 });
  assert.ok(taken > 500);
});

test("text that is no request, and requests that are none, are answered too", async () => {
  const request = fc.oneof(
    fc.string(),
    fc.json({ maxDepth: 2 }),
    fc.json({ maxDepth: 1 }).map((text) => `[${text},${text}]`),
  );
  const property = fc.asyncProperty(request, async (text) => {
    const answer = await answerSvmRequest(text, () => assert.fail("nothing was called"));
    for (const each of [JSON.parse(answer)].flat()) assert.ok([-32700, -32600].includes(each.error.code), answer);
  });
  await fc.assert(property, { numRuns: 1_000, seed: 3 });
});
