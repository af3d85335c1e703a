/** Putting a block together from its compact form (BIP 152): what is prefilled, what a pool of loose transactions has, and
 *  what the peer is asked for. */
import {
  ByteWriter,
  type CompactBlock,
  HASH_BYTES,
  sha256d,
  shortIdKey,
  shortIdOf,
  transactionIdOf,
} from "../wire/index.ts";

/** Loose transactions that may be in the next block. The one asked must bound its own size. */
export interface TransactionPool {
  /** Serialised with witness, and the id that short ids are taken over (wtxid, or txid on chains without SegWit), wire order. */
  entries(): Iterable<{ readonly id: Uint8Array; readonly transaction: Uint8Array }>;
}

export const EMPTY_POOL: TransactionPool = { entries: () => [] };

/** Compact blocks whose body may still be asked for; the oldest goes first, and a late body is then asked for whole. */
const MAX_PENDING = 8;
/** A larger compact block is not kept. Those of full blocks have 20-50 kB. */
const MAX_PENDING_BYTES = 1_000_000;

/** A block under construction. */
export interface Assembly {
  /** Places that are still empty, ascending. */
  readonly missing: readonly number[];
  /** The block with `missing` filled in that order; null where it cannot be right: ask for the whole block. */
  complete(transactions: readonly Uint8Array[]): Uint8Array | null;
}

export class CompactStore {
  readonly #pool: TransactionPool;
  readonly #pending = new Map<string, CompactBlock<unknown>>();

  constructor(pool: TransactionPool) {
    this.#pool = pool;
  }

  add(hash: string, block: CompactBlock<unknown>, sizeBytes: number): void {
    if (sizeBytes > MAX_PENDING_BYTES) return;
    this.#pending.set(hash, block);
    if (this.#pending.size <= MAX_PENDING) return;
    for (const oldest of this.#pending.keys()) {
      this.#pending.delete(oldest);
      return;
    }
  }

  /** Takes the compact block out of the store. Null where there is none, or where two of its short ids are the same. */
  take(hash: string): Assembly | null {
    const block = this.#pending.get(hash);
    this.#pending.delete(hash);
    return block === undefined ? null : assemble(block, this.#pool);
  }
}

export function assemble(block: CompactBlock<unknown>, pool: TransactionPool): Assembly | null {
  const places: (Uint8Array | null)[] = Array.from({ length: block.txCount }, () => null);
  for (const { index, transaction } of block.prefilled) places[index] = transaction;
  const placeOf = new Map<number, number>();
  let place = 0;
  for (const shortId of block.shortIds) {
    while (places[place] !== null) place++;
    placeOf.set(shortId, place++);
  }
  if (placeOf.size !== block.shortIds.length) return null;

  const fromPool = fill(places, placeOf, block, pool);
  const missing = places.flatMap((transaction, index) => (transaction === null ? [index] : []));
  return {
    missing,
    complete(transactions) {
      if (transactions.length !== missing.length) return null;
      for (const [i, transaction] of transactions.entries()) places[missing[i] ?? 0] = transaction;
      const whole = places.filter((transaction) => transaction !== null);
      // Without the pool every byte is the peer's word, and proving the body judges it. A transaction of ours that only
      // shares its short id would make an honest peer look like a liar.
      if (fromPool && !hasMerkleRoot(block.headerBytes, whole)) return null;
      const writer = new ByteWriter(
        100 + whole.reduce((sum, transaction) => sum + transaction.length, block.headerBytes.length),
      );
      writer.put(block.headerBytes).compactSize(whole.length);
      for (const transaction of whole) writer.put(transaction);
      return writer.done();
    },
  };
}

/** Puts the pool's transactions in their places; true where there was one. Two for one short id: neither. */
function fill(
  places: (Uint8Array | null)[],
  placeOf: ReadonlyMap<number, number>,
  block: CompactBlock<unknown>,
  pool: TransactionPool,
): boolean {
  const key = shortIdKey(block.headerBytes, block.nonce);
  const taken = new Map<number, boolean>();
  for (const { id, transaction } of pool.entries()) {
    const place = placeOf.get(shortIdOf(key, id));
    if (place === undefined) continue;
    const first = !taken.has(place);
    taken.set(place, first);
    places[place] = first ? transaction : null;
  }
  return [...taken.values()].some(Boolean);
}

/** The root stands at 36 of the header. Levels of odd length repeat their last hash. */
function hasMerkleRoot(headerBytes: Uint8Array, transactions: readonly Uint8Array[]): boolean {
  let level: Buffer = Buffer.concat(transactions.map(transactionIdOf));
  while (level.length > HASH_BYTES) {
    const pairs: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2 * HASH_BYTES) {
      const right = at + HASH_BYTES < level.length ? at + HASH_BYTES : at;
      pairs.push(
        sha256d(Buffer.concat([level.subarray(at, at + HASH_BYTES), level.subarray(right, right + HASH_BYTES)])),
      );
    }
    level = Buffer.concat(pairs);
  }
  return level.equals(headerBytes.subarray(36, 36 + HASH_BYTES));
}
