import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_POOL, assemble, CompactStore, type TransactionPool } from "../../../src/daemon/upstream/compact.ts";
import {
  ByteReader,
  type CompactBlock,
  type Decode,
  decodeCompactBlock,
  shortIdKey,
  shortIdOf,
  transactionEnd,
  transactionIdOf,
} from "../../../src/daemon/wire/index.ts";
import { hasData, readData } from "../../fakes/data.ts";

const skip = hasData ? false : "no recorded chain data on this machine";
const decodeHeader: Decode<null> = (_, offset) => ({ value: null, end: offset + 80 });

/** Mainnet block 426884, and the compact form in which a node announced it: short ids over txid. */
function recorded() {
  const raw = readData("bitcoin/blocks/426884.raw");
  const compact = decodeCompactBlock(readData("bitcoin/p2p/cmpctblock-426884.bin"), decodeHeader);
  const reader = new ByteReader(raw, "block", 80);
  const count = reader.count(65_535, "transactions");
  const transactions: Uint8Array[] = [];
  for (let i = 0; i < count; i++) transactions.push(reader.take(transactionEnd(raw, reader.offset) - reader.offset));
  return { raw, compact, transactions };
}

function poolOf(transactions: readonly Uint8Array[]): TransactionPool {
  return { entries: () => transactions.map((transaction) => ({ id: transactionIdOf(transaction), transaction })) };
}

test("a real block comes together from nothing but the peer's answers", { skip }, () => {
  const { raw, compact, transactions } = recorded();
  const assembly = assemble(compact, EMPTY_POOL);
  assert.ok(assembly);
  assert.equal(assembly.missing.length, transactions.length - compact.prefilled.length);
  const answer = assembly.missing.map((index) => transactions[index] ?? new Uint8Array());
  assert.deepEqual(Buffer.from(assembly.complete(answer) ?? []), raw);
});

test("what the pool has is not asked for", { skip }, () => {
  const { raw, compact, transactions } = recorded();
  const known = transactions.filter((_, index) => index % 3 !== 0);
  const assembly = assemble(compact, poolOf(known));
  assert.ok(assembly);
  assert.ok(assembly.missing.length > 0 && assembly.missing.every((index) => index % 3 === 0));
  const answer = assembly.missing.map((index) => transactions[index] ?? new Uint8Array());
  assert.deepEqual(Buffer.from(assembly.complete(answer) ?? []), raw);
  assert.deepEqual(assemble(compact, poolOf(transactions))?.missing, []);
});

test(
  "a pool transaction that only shares a short id makes the root wrong, and the block is asked for whole",
  { skip },
  () => {
    const { compact, transactions } = recorded();
    const [wanted, stranger] = [transactions[5], transactions[6]];
    assert.ok(wanted && stranger);
    const pool: TransactionPool = { entries: () => [{ id: transactionIdOf(wanted), transaction: stranger }] };
    const assembly = assemble(compact, pool);
    assert.ok(assembly && !assembly.missing.includes(5));
    assert.equal(assembly.complete(assembly.missing.map((index) => transactions[index] ?? new Uint8Array())), null);
  },
);

test("two pool transactions for one place: neither is taken", { skip }, () => {
  const { compact, transactions } = recorded();
  const [wanted, stranger] = [transactions[5], transactions[6]];
  assert.ok(wanted && stranger);
  const id = transactionIdOf(wanted);
  const pool: TransactionPool = { entries: () => [wanted, stranger].map((transaction) => ({ id, transaction })) };
  assert.ok(assemble(compact, pool)?.missing.includes(5));
});

const synthetic: CompactBlock<null> = {
  header: null,
  headerBytes: new Uint8Array(80),
  nonce: 3n,
  shortIds: [7, 8],
  prefilled: [{ index: 1, transaction: Uint8Array.of(1) }],
  txCount: 3,
};

test("two equal short ids in one block cannot be told apart", () => {
  assert.deepEqual(assemble(synthetic, EMPTY_POOL)?.missing, [0, 2]);
  assert.equal(assemble({ ...synthetic, shortIds: [7, 7] }, EMPTY_POOL), null);
});

test("the short id's key covers the whole serialised header", () => {
  const id = new Uint8Array(32);
  const plain = shortIdKey(synthetic.headerBytes, 3n);
  const merged = shortIdKey(Buffer.concat([synthetic.headerBytes, Buffer.from("auxpow")]), 3n);
  assert.notEqual(shortIdOf(plain, id), shortIdOf(merged, id));
});

test("the store keeps the eight newest, and none that is too large", () => {
  const store = new CompactStore(EMPTY_POOL);
  for (let i = 0; i < 9; i++) store.add(`h${i}`, synthetic, 100);
  store.add("large", synthetic, 1_000_001);
  assert.equal(store.take("h0"), null);
  assert.equal(store.take("large"), null);
  assert.ok(store.take("h1") !== null);
  assert.equal(store.take("h1"), null, "taken once");
});
