/**
 * What a proved block tells beside its verdict: the outputs and spends that somebody watches, and the figures that stats take.
 *
 * The block's bytes are walked once more, over offsets that were checked already, so nothing is bounded here again. Most outputs
 * and inputs are nobody's: each is first held against a bitmap by two words of its bytes, and only what that lets through becomes
 * a string that can be looked up.
 */
import type { BodyReading, Movement, UtxoDigest, WatchSet } from "../../shared/body.ts";
import { displayHash, sha256d } from "./hash.ts";
import type { MwebBlock } from "./mweb.ts";
import { ByteReader, readU32 } from "./reader.ts";
import { scanTransaction, TransactionTable } from "./transaction.ts";
import type { UtxoHeader } from "./types.ts";

const HASH_BYTES = 32;
const OUTPOINT_BYTES = 36;
const VERSION_BYTES = 4;
const LOCKTIME_BYTES = 4;
/** Bits of the bitmap for each thing in it: one in so many of the others gets through. */
const BITS_EACH = 32;
const MIN_BITS = 1 << 12;
const MAX_BITS = 1 << 24;

/** A block that holds, as `checkBody` has read it. */
export interface ReadableBody {
  readonly raw: Uint8Array;
  readonly header: UtxoHeader;
  readonly table: TransactionTable;
  readonly mweb: MwebBlock | null;
  readonly weight: number;
}

export function readBody(body: ReadableBody, watch: WatchSet): BodyReading {
  const idle = watch.items.size === 0 && watch.outpoints.size === 0;
  return { logs: null, movements: idle ? [] : movementsOf(body.raw, body.table, watch), digest: digestOf(body) };
}

/** What a loose transaction would do to what is watched. Throws SPRINT_DECODE_* on bytes that are none. */
export function readTransaction(raw: Uint8Array, watch: WatchSet): readonly Movement[] {
  const table = new TransactionTable(1);
  const reader = new ByteReader(raw);
  scanTransaction(reader, table, 0, true);
  return table.outputs[0] === 0 ? [] : movementsOf(raw, table, watch);
}

function digestOf({ raw, header, table, mweb, weight }: ReadableBody): UtxoDigest {
  let outputs = 0;
  let segwitTransactions = 0;
  for (let i = 0; i < table.count; i++) {
    outputs += countAt(raw, table.outputs[i] as number);
    if (i > 0 && table.hasWitness(i)) segwitTransactions++;
  }
  let reward = 0n;
  eachOutputAt(raw, table.outputs[0] as number, (valueAt) => (reward += valueOf(raw, valueAt)));
  return {
    family: "utxo",
    coinbaseScript: firstInputScript(raw, table.inputs[0] as number),
    parentCoinbaseScript: header.auxpow === null ? null : coinbaseScriptOf(header.auxpow.coinbase),
    rewardUnits: String(reward),
    weight,
    // As `getblockstats` counts: without the coinbase's input, with its outputs.
    inputs: table.inputTotal - 1,
    outputs,
    segwitTransactions,
    mwebKernels: mweb === null ? null : mweb.kernels.length,
  };
}

interface Spendable {
  readonly item: string;
  /** Null for outputs of other blocks. */
  readonly value: string | null;
}

function movementsOf(raw: Uint8Array, table: TransactionTable, watch: WatchSet): Movement[] {
  const index = indexOf(watch);
  /** Outputs among these to a watched script, by `txid:index`: they may be spent further down. */
  const created = new Map<string, Spendable>();
  const createdTxids = new Set<number>();
  const movements: Movement[] = [];

  let at = 0;
  let txid: string | null = null;
  const idOf = (): string => (txid ??= transactionId(raw, table, at));
  const onInput = (outpointAt: number, input: number): void => {
    const word = readU32(raw, outpointAt);
    if (!index.outpoints.mayHold(mix(word, readU32(raw, outpointAt + 4))) && !createdTxids.has(word)) return;
    const outpoint = outpointText(raw, outpointAt);
    const script = watch.outpoints.get(outpoint);
    const found = created.get(outpoint) ?? (script === undefined ? undefined : { item: script, value: null });
    if (found === undefined) return;
    const { item, value } = found;
    movements.push({ item, txid: idOf(), output: input, kind: "spent", value, outpoint });
  };
  const onOutput = (valueAt: number, scriptAt: number, length: number, output: number): void => {
    if (!index.scripts.mayHold(scriptWord(raw, scriptAt, length))) return;
    const item = hexAt(raw, scriptAt, length);
    if (!watch.items.has(item)) return;
    const value = String(valueOf(raw, valueAt));
    created.set(`${idOf()}:${output}`, { item, value });
    createdTxids.add(firstWord(idOf()));
    movements.push({ item, txid: idOf(), output, kind: "created", value, outpoint: null });
  };
  for (; at < table.count; at++) {
    txid = null;
    eachInputAt(raw, table.inputs[at] as number, onInput);
    eachOutputAt(raw, table.outputs[at] as number, onOutput);
  }
  return movements;
}

// --- what is watched, made quick to deny ---

interface WatchIndex {
  readonly scripts: Bitmap;
  readonly outpoints: Bitmap;
}

/** A watch set is immutable, and is asked for block after block. */
const indexes = new WeakMap<WatchSet, WatchIndex>();

function indexOf(watch: WatchSet): WatchIndex {
  const known = indexes.get(watch);
  if (known !== undefined) return known;
  const scripts = new Bitmap(watch.items.size);
  for (const item of watch.items) {
    const script = Buffer.from(item, "hex");
    scripts.add(scriptWord(script, 0, script.length));
  }
  const outpoints = new Bitmap(watch.outpoints.size);
  for (const outpoint of watch.outpoints.keys()) {
    const txid = Buffer.from(outpoint.slice(0, 2 * HASH_BYTES), "hex").reverse();
    if (txid.length === HASH_BYTES) outpoints.add(mix(readU32(txid, 0), readU32(txid, 4)));
  }
  const made = { scripts, outpoints };
  indexes.set(watch, made);
  return made;
}

class Bitmap {
  readonly #shift: number;
  readonly #bits: Uint8Array;
  readonly #empty: boolean;

  constructor(count: number) {
    let size = MIN_BITS;
    while (size < count * BITS_EACH && size < MAX_BITS) size *= 2;
    this.#shift = Math.clz32(size) + 1;
    this.#bits = new Uint8Array(size >> 3);
    this.#empty = count === 0;
  }

  add(word: number): void {
    const bit = word >>> this.#shift;
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) | (1 << (bit & 7));
  }

  mayHold(word: number): boolean {
    if (this.#empty) return false;
    const bit = word >>> this.#shift;
    return ((this.#bits[bit >> 3] as number) & (1 << (bit & 7))) !== 0;
  }
}

function mix(a: number, b: number): number {
  const word = Math.imul(a ^ Math.imul(b, 0x85eb_ca6b), 0x9e37_79b1);
  return Math.imul(word ^ (word >>> 15), 0xc2b2_ae35) >>> 0;
}

/** Eight bytes from the middle, where every form of address has bytes of its hash or key, and the length. */
function scriptWord(bytes: Uint8Array, at: number, length: number): number {
  if (length >= 12) return mix(readU32(bytes, at + 4) ^ length, readU32(bytes, at + 8));
  let word = length;
  for (let i = 0; i < length; i++) word = Math.imul(word, 31) + (bytes[at + i] as number);
  return mix(word, length);
}

// --- the walk ---

function eachInputAt(bytes: Uint8Array, at: number, visit: (outpointAt: number, index: number) => void): void {
  const count = countAt(bytes, at);
  let next = at + countBytes(bytes, at);
  for (let i = 0; i < count; i++) {
    visit(next, i);
    next += OUTPOINT_BYTES;
    next += countBytes(bytes, next) + countAt(bytes, next) + 4;
  }
}

function eachOutputAt(
  bytes: Uint8Array,
  at: number,
  visit: (valueAt: number, scriptAt: number, scriptBytes: number, index: number) => void,
): void {
  const count = countAt(bytes, at);
  let next = at + countBytes(bytes, at);
  for (let i = 0; i < count; i++) {
    const script = countAt(bytes, next + 8);
    const scriptAt = next + 8 + countBytes(bytes, next + 8);
    visit(next, scriptAt, script, i);
    next = scriptAt + script;
  }
}

/** Of the only input of a coinbase, hex. */
function firstInputScript(bytes: Uint8Array, inputsAt: number): string {
  const at = inputsAt + countBytes(bytes, inputsAt) + OUTPOINT_BYTES;
  return hexAt(bytes, at + countBytes(bytes, at), countAt(bytes, at));
}

/** A transaction with a witness has a marker, 0, and flags where the number of inputs would stand. */
function coinbaseScriptOf(transaction: Uint8Array): string {
  return firstInputScript(transaction, transaction[VERSION_BYTES] === 0 ? VERSION_BYTES + 2 : VERSION_BYTES);
}

/** Display order. */
function transactionId(raw: Uint8Array, table: TransactionTable, index: number): string {
  const [start, end] = [table.start[index] as number, table.end[index] as number];
  if (table.flags[index] === 0) return displayHash(sha256d(raw.subarray(start, end)));
  const version = raw.subarray(start, start + VERSION_BYTES);
  const middle = raw.subarray(table.inputs[index] as number, table.tail[index] as number);
  return displayHash(sha256d(Buffer.concat([version, middle, raw.subarray(end - LOCKTIME_BYTES, end)])));
}

/** As the watch set writes it. */
function outpointText(bytes: Uint8Array, at: number): string {
  return `${displayHash(bytes.subarray(at, at + HASH_BYTES))}:${readU32(bytes, at + HASH_BYTES)}`;
}

/** What `readU32` gives of a transaction id where it stands in an outpoint. */
function firstWord(txid: string): number {
  return readU32(Buffer.from(txid.slice(-8), "hex").reverse(), 0);
}

function hexAt(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString("hex");
}

/** A CompactSize that was read before, and so is short enough. */
function countAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0xfd) return first;
  if (first === 0xfd) return (bytes[at + 1] as number) | ((bytes[at + 2] as number) << 8);
  return readU32(bytes, at + 1);
}

function countBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  return first < 0xfd ? 1 : first === 0xfd ? 3 : first === 0xfe ? 5 : 9;
}

function valueOf(bytes: Uint8Array, at: number): bigint {
  return BigInt(readU32(bytes, at)) + (BigInt(readU32(bytes, at + 4)) << 32n);
}
