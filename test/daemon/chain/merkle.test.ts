import assert from "node:assert/strict";
import { it } from "node:test";
import { hashTransactions, merkleRoot } from "../../../src/daemon/chain/merkle.ts";
import { ByteReader } from "../../../src/daemon/chain/reader.ts";
import { batchHasher } from "../../../src/daemon/chain/sha256.ts";
import { scanTransactions } from "../../../src/daemon/chain/transaction.ts";
import { compactSize, sha256d, spend, type TransactionParts, transactionBytes, treeRoot } from "../../fakes/blocks.ts";

function leaves(count: number, same: readonly [number, number] | null = null): Buffer[] {
  const list = Array.from({ length: count }, (_, i) => sha256d(Buffer.from([i, i >> 8])));
  if (same !== null) list[same[1]] = list[same[0]] as Buffer;
  return list;
}

function rootOf(list: readonly Buffer[]): { root: Buffer; mutated: boolean } {
  const hasher = batchHasher();
  const { rawAt } = hasher.open(Buffer.concat(list), 4);
  return merkleRoot(hasher, rawAt, list.length);
}

it("computes the root of trees of every shape", () => {
  for (let count = 1; count <= 33; count++) {
    assert.deepEqual(rootOf(leaves(count)), { root: treeRoot(leaves(count)), mutated: false }, `${count} leaves`);
  }
});

it("sees equal leaves side by side and equal children of any node (CVE-2012-2459)", () => {
  assert.equal(rootOf(leaves(6, [2, 3])).mutated, true);
  assert.equal(rootOf(leaves(6, [3, 4])).mutated, true);
  assert.equal(rootOf(leaves(6, [2, 4])).mutated, false);
  assert.equal(rootOf(leaves(7)).mutated, false, "an odd level repeats its last node by rule");
  const three = leaves(3);
  const doubled = [...three, three[2] as Buffer];
  assert.deepEqual(rootOf(doubled), { root: treeRoot(three), mutated: true });
  const six = leaves(6);
  const level = [...six, six[4] as Buffer, six[5] as Buffer];
  assert.deepEqual(rootOf(level), { root: treeRoot(six), mutated: true }, "equal on the second level");
});

it("hashes each transaction with and without its witness, and without Litecoin's mark", () => {
  const witness = [Buffer.from("aabb", "hex"), Buffer.alloc(0)];
  const list: TransactionParts[] = [
    spend(1, { inputs: [{ witness }] }),
    spend(2, { lockTime: 7, version: 1 }),
    spend(3, { inputs: [{ index: 1 }, { index: 2, witness }, { index: 3 }], lockTime: 0x01020304 }),
    spend(4, { outputs: [{ script: Buffer.alloc(5000, 0x51) }] }),
    spend(5, { hogEx: true, lockTime: 9 }),
    spend(6, { hogEx: true, inputs: [{ witness }], lockTime: 0x0a0b0c0d }),
  ];
  const raw = Buffer.concat([
    compactSize(list.length),
    ...list.map((transaction) => transactionBytes(transaction, true)),
  ]);
  const table = scanTransactions(new ByteReader(raw), true, 1_000_000);
  const hasher = batchHasher();
  const { txids, wtxids } = hashTransactions(hasher, raw, table);
  assert.ok(wtxids !== null);
  list.forEach((transaction, i) => {
    const at = (base: number): Buffer => Buffer.from(hasher.bytes.subarray(base + i * 32, base + (i + 1) * 32));
    assert.deepEqual(at(txids), sha256d(transactionBytes(transaction, false)), `txid ${i}`);
    const full = sha256d(transactionBytes({ ...transaction, hogEx: false }, true));
    assert.deepEqual(at(wtxids), i === 0 ? Buffer.alloc(32) : full, `wtxid ${i}; the coinbase's counts as zero`);
  });
});
