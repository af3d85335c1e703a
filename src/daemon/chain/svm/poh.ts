/**
 * Proof of history: a block's entries are one chain of SHA-256 from the parent's blockhash to its own. An entry says how many hashes
 * it is from the one before; where it has transactions, its last hash takes in the merkle root of their signatures
 * (`next_hash`, `hash_transactions` of the reference validator). An entry without transactions is a tick.
 */
import { hash } from "node:crypto";
import { type BatchHasher, batchHasher } from "../sha256.ts";
import { encodeBase58 } from "./base58.ts";
import { failure } from "./failure.ts";
import { base58Of, listOf, objectOf, wholeNumberOf } from "./json.ts";
import type { SvmParams } from "./params.ts";

export interface Entry {
  readonly numHashes: number;
  readonly hash: Uint8Array;
  /** How many transactions of the block it takes, after those of the entries before. */
  readonly transactions: number;
}

export interface EntryFacts {
  readonly entries: number;
  readonly ticks: number;
  readonly hashes: number;
}

/** Where a block's entries stand. */
export interface EntryPlace {
  /** The parent's blockhash. */
  readonly start: Uint8Array;
  readonly blockhash: Uint8Array;
  /** Slots from the parent's to the block's own; null where the slot is not known. */
  readonly slots: number | null;
  /** Of each transaction. */
  readonly signatures: readonly (readonly Uint8Array[])[];
  readonly params: Pick<SvmParams, "ticksPerSlot" | "evenTicks">;
}

const HASH_BYTES = 32;
const LANES = 4;
const MAX_ENTRIES = 2 ** 18;
/** Some 16 slots of 62,500 hashes a tick, or 5 seconds of work: a leader that skips more begins a new block. */
const MAX_HASHES = 2 ** 26;

/** Entries as `{numHashes, hash, transactions}`. Throws SPRINT_SVM_*. */
export function entriesFromJson(value: unknown): readonly Entry[] {
  return listOf(value, "entries", MAX_ENTRIES).map((each) => {
    const entry = objectOf(each, "entry");
    return {
      numHashes: wholeNumberOf(entry["numHashes"], "numHashes of an entry"),
      hash: base58Of(entry["hash"], "hash of an entry", HASH_BYTES),
      transactions: wholeNumberOf(entry["transactions"], "transactions of an entry"),
    };
  });
}

/** Hashes every entry again. CPU-heavy. Throws SPRINT_SVM_ENTRIES, _TICKS, _ENTRY_HASH, _BLOCKHASH, _LIMIT. */
export function verifyEntries(entries: readonly Entry[], place: EntryPlace): EntryFacts {
  const facts = checkCounts(entries, place);
  const mixed = mixins(entries, place.signatures);
  const starts = entries.map((_, i) => entries[i - 1]?.hash ?? place.start);
  const rounds = entries.map(({ numHashes }, i) => (mixed[i] === null ? numHashes : Math.max(0, numHashes - 1)));
  const hashed = repeatAll(batchHasher(), starts, rounds);
  entries.forEach((entry, index) => {
    const before = hashed[index] as Uint8Array;
    const root = mixed[index] ?? null;
    const actual = root === null ? before : hash("sha256", Buffer.concat([before, root]), "buffer");
    if (Buffer.compare(actual, entry.hash) !== 0) {
      throw failure("SPRINT_SVM_ENTRY_HASH", `hash of entry ${index}`, encodeBase58(actual), encodeBase58(entry.hash));
    }
  });
  return facts;
}

function checkCounts(entries: readonly Entry[], { blockhash, slots, signatures, params }: EntryPlace): EntryFacts {
  const last = entries.at(-1);
  if (last === undefined) throw failure("SPRINT_SVM_ENTRIES", "entries", "at least one", 0);
  const taken = entries.reduce((sum, { transactions }) => sum + transactions, 0);
  if (taken !== signatures.length) {
    throw failure("SPRINT_SVM_ENTRIES", "transactions of all entries", signatures.length, taken);
  }
  const hashes = entries.reduce((sum, { numHashes }) => sum + numHashes, 0);
  if (hashes > MAX_HASHES) throw failure("SPRINT_SVM_LIMIT", "hashes of all entries", `at most ${MAX_HASHES}`, hashes);
  const ticks = checkTicks(entries, params.evenTicks);
  const expected = slots === null ? null : params.ticksPerSlot * slots;
  if (expected === null ? ticks % params.ticksPerSlot !== 0 : ticks !== expected) {
    const rule = expected ?? `a multiple of ${params.ticksPerSlot}`;
    throw failure("SPRINT_SVM_TICKS", "ticks of the block", rule, ticks);
  }
  if (last.transactions > 0) throw failure("SPRINT_SVM_TICKS", "last entry", "a tick", "transactions");
  if (Buffer.compare(last.hash, blockhash) !== 0) {
    const [expected, actual] = [encodeBase58(last.hash), encodeBase58(blockhash)];
    throw failure("SPRINT_SVM_BLOCKHASH", "blockhash", `${expected}, the last entry's`, actual);
  }
  return { entries: entries.length, ticks, hashes };
}

/** How many there are; where `even`, each must stand as many hashes after the one before as the first does. */
function checkTicks(entries: readonly Entry[], even: boolean): number {
  let ticks = 0;
  let perTick: number | null = null;
  let hashes = 0;
  entries.forEach(({ numHashes, transactions }, index) => {
    hashes += numHashes;
    if (transactions > 0) return;
    perTick ??= hashes;
    if (numHashes === 0 || (even && hashes !== perTick)) {
      throw failure("SPRINT_SVM_TICKS", `hashes of the tick at entry ${index}`, even ? perTick : "at least 1", hashes);
    }
    hashes = 0;
    ticks++;
  });
  return ticks;
}

/** What each entry's last hash takes in: the root over its transactions' signatures, null for a tick. */
function mixins(
  entries: readonly Entry[],
  signatures: readonly (readonly Uint8Array[])[],
): readonly (Uint8Array | null)[] {
  let next = 0;
  return entries.map(({ transactions }) => {
    if (transactions === 0) return null;
    const own = signatures.slice(next, next + transactions);
    next += transactions;
    return signatureRoot(own.flat());
  });
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Merkle root over signatures; leaves and nodes begin with a byte of their own, and an odd one out is paired with itself. */
export function signatureRoot(signatures: readonly Uint8Array[]): Uint8Array {
  let level: Uint8Array[] = signatures.map((signature) => hash("sha256", Buffer.concat([LEAF, signature]), "buffer"));
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Uint8Array;
      above.push(hash("sha256", Buffer.concat([NODE, left, level[i + 1] ?? left]), "buffer"));
    }
    level = above;
  }
  return level[0] ?? new Uint8Array(HASH_BYTES);
}

/**
 * SHA-256 of each start over its own result, `rounds` times. An entry starts from what the one before claims, so they are
 * independent, and four are under way at a time; the long ones begin, so that the lanes end together.
 */
function repeatAll(
  hasher: BatchHasher,
  starts: readonly Uint8Array[],
  rounds: readonly number[],
): readonly Uint8Array[] {
  const results = [...starts];
  const waiting = [...rounds.keys()].filter((job) => (rounds[job] as number) > 0);
  waiting.sort((a, b) => (rounds[a] as number) - (rounds[b] as number));
  const lanes: { job: number; left: number }[] = [];
  for (;;) {
    for (let lane = 0; lane < LANES && waiting.length > 0; lane++) {
      if ((lanes[lane]?.left ?? 0) > 0) continue;
      const job = waiting.pop() as number;
      lanes[lane] = { job, left: rounds[job] as number };
      hasher.setLane(lane, starts[job] as Uint8Array);
    }
    const active = lanes.filter(({ left }) => left > 0);
    if (active.length === 0) return results;
    const step = active.reduce((least, { left }) => Math.min(least, left), Infinity);
    hasher.repeat(step);
    lanes.forEach((lane, index) => {
      if (lane.left === 0) return;
      lane.left -= step;
      if (lane.left === 0) results[lane.job] = hasher.laneHash(index);
    });
  }
}
