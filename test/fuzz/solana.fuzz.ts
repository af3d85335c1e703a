/** Solana: transactions and messages on the wire, blocks as JSON, broken by bytes and by values. */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { checkSvmBlock, svmCodecFor, svmParams } from "../../src/daemon/chain/index.ts";
import { decodeBase58, decodeBase58Bounded, encodeBase58 } from "../../src/daemon/chain/svm/base58.ts";
import { encodeMessage } from "../../src/daemon/chain/svm/message.ts";
import { decodeTransaction, encodeTransaction, verifySignatures } from "../../src/daemon/chain/svm/transaction.ts";
import { type Random, seededRandom } from "../../src/shared/clock.ts";
import { hasData, readData } from "../fakes/data.ts";
import { type BlockJson, solanaBlock, threeTransactions } from "../fakes/solana.ts";
import { fuzzParser } from "./harness.ts";
import { below, type FuzzResult } from "./mutate.ts";

type Judge = (input: Uint8Array) => boolean;

const params = { ...svmParams("localnet"), evenTicks: true };
const codec = svmCodecFor(params, { signatures: 0.5, seed: 1 });

export function fuzz(seed: number, iterations: number): FuzzResult {
  const inputs: (readonly [Uint8Array, Judge])[] = [];
  const transactions = [...threeTransactions(1), ...realTransactions()];
  for (const bytes of transactions) inputs.push([bytes, judgeTransaction]);
  inputs.push([Buffer.from(encodeBase58(transactions[0] as Uint8Array)), judgeBase58], [Buffer.alloc(40), judgeBytes]);
  const first = solanaBlock(0, null);
  for (const block of [solanaBlock(1, first), jsonForm(solanaBlock(2, first)), ...realBlocks()]) {
    const text = Buffer.from(JSON.stringify(block));
    inputs.push([text, judgeText]);
    inputs.push([Buffer.from(JSON.stringify({ slot: placeOf(block), block })), judgeBody]);
    // these bytes are no JSON: they choose which values of the block are replaced
    for (let i = 0; i < 4; i++) inputs.push([hash("sha256", text, "buffer"), judgeValues(block)]);
  }
  return fuzzParser(
    inputs.map(([bytes]) => bytes),
    (input, source) => (inputs[source] as (typeof inputs)[0])[1](input),
    seed,
    iterations,
  );
}

function judgeTransaction(input: Uint8Array): boolean {
  const { signatures, message } = decodeTransaction(input);
  assert.ok(Buffer.from(encodeMessage(message)).equals(message.bytes), "the message encodes back to itself");
  assert.ok(Buffer.from(encodeTransaction(signatures, message.bytes)).equals(input), "and the transaction");
  verifySignatures([{ signatures, message }], null);
  return true;
}

/** Text is refused, or is what its bytes are written as. */
function judgeBase58(input: Uint8Array): boolean {
  const text = Buffer.from(input).toString("latin1");
  const bytes = decodeBase58Bounded(text, 1_232);
  if (bytes === null) return false;
  assert.equal(encodeBase58(bytes), text);
  return true;
}

function judgeBytes(input: Uint8Array): boolean {
  assert.ok(Buffer.from(decodeBase58(encodeBase58(input), input.length) ?? "?").equals(input));
  return true;
}

function judgeText(input: Uint8Array): boolean {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(input).toString());
  } catch {
    return false;
  }
  return judgeBlock(json);
}

function placeOf(block: Partial<BlockJson>): number {
  return block.slot ?? (block.parentSlot ?? 0) + 1;
}

/** As an upstream's bytes come to a worker: every refusal is the sender's, and what is read is plain. */
function judgeBody(input: Uint8Array): boolean {
  const watch = { items: new Set([encodeBase58(new Uint8Array(32))]), topics: new Set<string>(), outpoints: new Map() };
  const verdict = codec.checkBody(input, { hash: null, height: null }, watch);
  if (!verdict.ok) {
    assert.match(verdict.refusal.code, /^SPRINT_SVM_[A-Z0-9_]+$/);
    assert.equal(verdict.refusal.data["mutated"], true);
    return false;
  }
  const { txCount, signatures, reading } = verdict.facts;
  assert.ok(signatures.checked <= signatures.total && reading?.digest.family === "svm");
  assert.equal(reading.digest.transactions, txCount);
  structuredClone(verdict);
  return true;
}

function judgeBlock(json: unknown): boolean {
  const verdict = checkSvmBlock(json, { params, sample: { transactions: 2, seed: 1 } });
  if (verdict.ok) {
    const { txCount, opaque, signatures } = verdict.facts;
    assert.ok(txCount === null || (txCount >= opaque && opaque >= 0));
    assert.ok(signatures.verified <= signatures.signatures);
    return true;
  }
  assert.match(verdict.refusal.code, /^SPRINT_SVM_[A-Z0-9_]+$/);
  assert.match(verdict.refusal.message, /: expected .*, got /s);
  assert.ok(verdict.refusal.message.length < 1_000, "a refusal repeats no input");
  return false;
}

const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1,
  0.5,
  255,
  256,
  2 ** 31,
  2 ** 53,
  1e300,
  "",
  "1",
  "0",
  "1".repeat(32),
  "z".repeat(44),
  "é".repeat(5_000),
  [],
  {},
  [[]],
  [null],
  { length: 3 },
  Array(2_000).fill(0),
];

/** Replaces, takes away or doubles one to three values somewhere in the block. */
function judgeValues(block: object): Judge {
  return (input) => {
    const random = seededRandom(hash("sha256", input, "buffer").readUInt32LE(0));
    const json: unknown = structuredClone(block);
    for (let left = 1 + below(random, 3); left > 0; left--) change(json, random);
    return judgeBlock(json);
  };
}

function change(json: unknown, random: Random): void {
  let parent = json as Record<string, unknown>;
  for (;;) {
    const names = Object.keys(parent);
    const name = names[below(random, names.length)];
    if (name === undefined) return;
    const value = parent[name];
    if (typeof value === "object" && value !== null && random() < 0.8) {
      parent = value as Record<string, unknown>;
      continue;
    }
    const other = VALUES[below(random, VALUES.length)];
    if (random() < 0.15) {
      if (Array.isArray(parent)) parent.splice(Number(name), 1);
      else delete parent[name];
    } else if (random() < 0.2 && Array.isArray(parent)) parent.push(structuredClone(value));
    else if (random() < 0.3 && typeof value === "number") parent[name] = value + (random() < 0.5 ? 1 : -1);
    else parent[name] = structuredClone(other);
    return;
  }
}

/** Without entries, and its transactions apart, as nodes give them without an encoding asked for. */
function jsonForm(block: BlockJson): object {
  const transactions = threeTransactions(2).map((bytes) => {
    const { signatures, message } = decodeTransaction(bytes);
    const keys = Array.from({ length: message.accountKeys.length / 32 }, (_, i) =>
      encodeBase58(message.accountKeys.subarray(i * 32, (i + 1) * 32)),
    );
    const header = {
      numRequiredSignatures: message.requiredSignatures,
      numReadonlySignedAccounts: message.readonlySigned,
      numReadonlyUnsignedAccounts: message.readonlyUnsigned,
    };
    const instructions = message.instructions.map(({ program, accounts, data }) => ({
      programIdIndex: program,
      accounts: [...accounts],
      data: encodeBase58(data),
    }));
    const lookups = message.lookups.map(({ table, writable, readonly }) => ({
      accountKey: encodeBase58(table),
      writableIndexes: [...writable],
      readonlyIndexes: [...readonly],
    }));
    const addressTableLookups = message.version === 0 ? { addressTableLookups: lookups } : {};
    const recentBlockhash = encodeBase58(message.recentBlockhash);
    const parts = { header, accountKeys: keys, recentBlockhash, instructions, ...addressTableLookups };
    return { transaction: { signatures: signatures.map(encodeBase58), message: parts } };
  });
  return { ...block, transactions, entries: null };
}

function realTransactions(): Uint8Array[] {
  if (!hasData) return [];
  const block = JSON.parse(readData("solana/blocks/254170887.json.gz").toString()) as BlockJson;
  return block.transactions
    .filter((_, index) => index % 60 === 0)
    .map(({ transaction }) => Buffer.from((transaction as [string])[0], "base64"));
}

function realBlocks(): object[] {
  if (!hasData) return [];
  return ["154808473.json", "100000000.jsonParsed.json"].map(
    (name) => JSON.parse(readData(`solana/partial/${name}`).toString()) as object,
  );
}
