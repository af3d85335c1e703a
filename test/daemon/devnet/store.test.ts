/** What a node keeps when it has run for long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockStore, type MinedBlock } from "../../../src/daemon/devnet/blocks.ts";

const KEEP = 20;
const NO_STOP = "00".repeat(32);

/** A block whose header is its parent's hash and some bytes; AuxPoW makes every third longer. */
function blockOn(parent: MinedBlock | null, mark: number): MinedBlock {
  const height = parent === null ? 0 : parent.height + 1;
  const header = Buffer.alloc(height % 3 === 0 ? 700 : 80, height);
  const hash = Buffer.alloc(32, 0xee);
  hash.writeUInt32BE(height, 0);
  hash.writeUInt32BE(mark, 4);
  header.set(Buffer.from(parent?.hash ?? NO_STOP, "hex").reverse(), 4);
  return { hash: hash.toString("hex"), height, time: height, header, transactions: [], parent };
}

function grow(store: BlockStore, count: number): void {
  for (let i = 0; i < count; i++) store.add(blockOn(store.tip, 0));
}

test("serves every header of a long chain, and remembers only the newest blocks", () => {
  const store = new BlockStore({ keepBlocks: KEEP }, blockOn(null, 0));
  const headers: Buffer[] = [];
  const hashes: string[] = [store.tip.hash];
  for (let i = 0; i < 500; i++) {
    grow(store, 1);
    headers.push(store.tip.header);
    hashes.push(store.tip.hash);
  }
  assert.deepEqual(store.hashes(), hashes);
  assert.deepEqual(store.headersAfter([], NO_STOP, 2_000).headers, headers);
  assert.deepEqual(store.headersAfter([hashes[123] as string], NO_STOP, 50).headers, headers.slice(123, 173));
  assert.deepEqual(
    store.headersAfter(["ab".repeat(32), hashes[3] as string], NO_STOP, 10).headers,
    headers.slice(3, 13),
  );
  assert.deepEqual(
    store.headersAfter([hashes[495] as string], hashes[497] as string, 10).headers,
    headers.slice(495, 497),
  );
  assert.equal(hashes.filter((hash) => store.get(hash) !== undefined).length, KEEP);
});

test("a longer branch wins, an equal one does not, and both are forgotten in time", () => {
  const store = new BlockStore({ keepBlocks: KEEP }, blockOn(null, 0));
  grow(store, 10);
  const base = store.at(8) as MinedBlock;
  const changes: { reverted: number[]; applied: string[] }[] = [];
  store.onTip((change) => {
    changes.push({ reverted: change.reverted.map((b) => b.height), applied: change.applied.map((b) => b.hash) });
  });
  const rivals: MinedBlock[] = [];
  for (let parent = base; rivals.length < 3; parent = rivals.at(-1) as MinedBlock) {
    rivals.push(blockOn(parent, 1));
    store.add(rivals.at(-1) as MinedBlock);
    assert.equal(changes.length, rivals.length === 3 ? 1 : 0);
  }
  assert.deepEqual(changes, [{ reverted: [10, 9], applied: rivals.map((b) => b.hash) }]);
  const old = blockOn(base, 0).hash;
  assert.ok(store.get(old) !== undefined, "the loser is kept while a reorg may bring it back");
  grow(store, 2 * KEEP);
  assert.equal(store.get(old), undefined);
  assert.equal(store.at(store.tip.height - KEEP + 1)?.parent, null, "nothing holds the past");
});
