/** Transaction ids and merkle trees of a whole block, hashed in place in the memory of the thread's `BatchHasher`. */
import type { BatchHasher } from "./sha256.ts";
import type { TransactionTable } from "./transaction.ts";

const HASH_BYTES = 32;
const LOCKTIME_BYTES = 4;

/** Where the 32-byte leaves of a block's two trees begin in the hasher's memory. */
export interface Leaves {
  readonly txids: number;
  /** Null where no transaction has a witness: then both trees have the same leaves but for the coinbase. */
  readonly wtxids: number | null;
}

/**
 * Hashes each transaction of `raw` without its witness, and with it where any has one. The bytes are patched in the hasher's
 * copy so that each message is one range: with Litecoin's mark removed first, then version and lock time moved next to
 * inputs and outputs.
 */
export function hashTransactions(hasher: BatchHasher, raw: Uint8Array, table: TransactionTable): Leaves {
  const { count, start, tail, end, flags } = table;
  let witnesses = false;
  for (let i = 0; i < count && !witnesses; i++) witnesses = table.hasWitness(i);
  // one node more than leaves: a level of odd length repeats its last
  const leafBytes = (count + 1) * HASH_BYTES;
  const { rawAt, hashesAt } = hasher.open(raw, (count + 1) * (witnesses ? 2 : 1));
  const { bytes } = hasher;
  const txids = hashesAt;
  const wtxids = witnesses ? hashesAt + leafBytes : null;
  if (wtxids !== null) {
    for (let i = 1; i < count; i++) {
      if (!table.hasWitness(i)) continue;
      const from = rawAt + (start[i] as number);
      let length = (end[i] as number) - (start[i] as number);
      if (table.isHogEx(i)) {
        bytes[from + 5] = 1;
        copy4(bytes, raw, (end[i] as number) - LOCKTIME_BYTES, from + length - LOCKTIME_BYTES - 1);
        length--;
      }
      hasher.add(from, length, wtxids + i * HASH_BYTES);
    }
    hasher.flush();
  }
  for (let i = 0; i < count; i++) {
    const from = rawAt + (start[i] as number);
    const extended = (flags[i] as number) !== 0;
    if (extended) {
      copy4(bytes, raw, start[i] as number, from + 2);
      copy4(bytes, raw, (end[i] as number) - LOCKTIME_BYTES, rawAt + (tail[i] as number));
    }
    hasher.add(extended ? from + 2 : from, table.baseBytes(i), txids + i * HASH_BYTES);
  }
  hasher.flush();
  if (wtxids !== null) {
    bytes.fill(0, wtxids, wtxids + HASH_BYTES);
    for (let i = 1; i < count; i++) {
      if (table.hasWitness(i)) continue;
      const from = txids + i * HASH_BYTES;
      bytes.copyWithin(wtxids + i * HASH_BYTES, from, from + HASH_BYTES);
    }
  }
  return { txids, wtxids };
}

export interface MerkleRoot {
  /** 32 bytes in wire order. */
  readonly root: Buffer;
  /**
   * True where the two children of a node are equal, because another list of leaves has that root too (CVE-2012-2459), or any two
   * leaves side by side, which no block has.
   */
  readonly mutated: boolean;
}

/** The root over `count` ≥ 1 leaves at `at`, which are overwritten; there must be room for one more. */
export function merkleRoot(hasher: BatchHasher, at: number, count: number): MerkleRoot {
  let mutated = false;
  let nodes = count;
  while (nodes > 1) {
    const step = nodes === count ? 1 : 2;
    for (let i = 0; i + 1 < nodes && !mutated; i += step) mutated = sameNode(hasher.bytes, at + i * HASH_BYTES);
    if (nodes % 2 === 1) {
      const last = at + (nodes - 1) * HASH_BYTES;
      hasher.bytes.copyWithin(last + HASH_BYTES, last, last + HASH_BYTES);
    }
    nodes = Math.ceil(nodes / 2);
    hasher.pairs(at, at, nodes);
  }
  return { root: Buffer.from(hasher.bytes.subarray(at, at + HASH_BYTES)), mutated };
}

function sameNode(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < HASH_BYTES; i++) if (bytes[at + i] !== bytes[at + HASH_BYTES + i]) return false;
  return true;
}

function copy4(bytes: Uint8Array, source: Uint8Array, from: number, to: number): void {
  for (let i = 0; i < 4; i++) bytes[to + i] = source[from + i] as number;
}
