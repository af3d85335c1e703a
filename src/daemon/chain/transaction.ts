/**
 * Transactions where they lie in a block: a scan that only notes offsets, and the checks that need nothing but the transaction
 * (`CheckTransaction` of Bitcoin Core).
 *
 *   int32 version, [0x00 flags], inputs, outputs, [flags & 1: witness], [flags & 8: MWEB], uint32 lock time
 *
 * Flag 8 is Litecoin's: a null MWEB part (one zero byte) marks the HogEx transaction, the last of a block with an extension.
 */
import { SprintError } from "../../shared/errors.ts";
import { ByteReader, readU32 } from "./reader.ts";
import { refuse } from "./refusal.ts";
import type { BodyRules } from "./rules.ts";
import { legacySigOps } from "./sigops.ts";
import type { Refusal } from "./types.ts";

const WITNESS = 1;
const MWEB = 8;
/** Version, no inputs, no flags, lock time. */
const MIN_TRANSACTION_BYTES = 10;
const OUTPOINT_BYTES = 36;
const SEQUENCE_FINAL = 0xffff_ffff;
const LOCKTIME_BYTES = 4;

/** Offsets of a block's transactions, one column a part. */
export class TransactionTable {
  readonly count: number;
  readonly start: Int32Array;
  /** Where the number of inputs stands. */
  readonly inputs: Int32Array;
  /** Where the number of outputs stands; 0 in the degenerate form without both. */
  readonly outputs: Int32Array;
  /** Behind the outputs: witness, MWEB mark, lock time. */
  readonly tail: Int32Array;
  readonly end: Int32Array;
  readonly flags: Uint8Array;
  /** Inputs of all transactions. */
  inputTotal = 0;

  constructor(count: number) {
    this.count = count;
    this.start = new Int32Array(count);
    this.inputs = new Int32Array(count);
    this.outputs = new Int32Array(count);
    this.tail = new Int32Array(count);
    this.end = new Int32Array(count);
    this.flags = new Uint8Array(count);
  }

  hasWitness(index: number): boolean {
    return ((this.flags[index] as number) & WITNESS) !== 0;
  }

  isHogEx(index: number): boolean {
    return ((this.flags[index] as number) & MWEB) !== 0;
  }

  /** Size without witness and marks: what the transaction id is taken over. */
  baseBytes(index: number): number {
    return (this.flags[index] as number) === 0
      ? (this.end[index] as number) - (this.start[index] as number)
      : (this.tail[index] as number) - (this.start[index] as number) - 2 + LOCKTIME_BYTES;
  }

  /** Size with witness, without Litecoin's mark: what the weight counts. */
  totalBytes(index: number): number {
    if (!this.hasWitness(index)) return this.baseBytes(index);
    return (this.end[index] as number) - (this.start[index] as number) - (this.isHogEx(index) ? 1 : 0);
  }
}

/**
 * Reads the number of transactions and each one's offsets; flag 8 is taken where `mweb`. A number that could not fit in
 * `maxBaseBytes` is refused before room is made for it. Throws SPRINT_DECODE_*.
 */
export function scanTransactions(reader: ByteReader, mweb: boolean, maxBaseBytes: number): TransactionTable {
  const limit = Math.floor(Math.min(reader.remaining, maxBaseBytes) / MIN_TRANSACTION_BYTES);
  const count = reader.varint("number of transactions", limit);
  const table = new TransactionTable(count);
  for (let i = 0; i < count; i++) scanTransaction(reader, table, i, mweb);
  return table;
}

/** Reads the transaction at the reader into row `index`. Throws SPRINT_DECODE_*. */
export function scanTransaction(reader: ByteReader, table: TransactionTable, index: number, mweb: boolean): void {
  table.start[index] = reader.offset;
  reader.skip(4, "transaction version");
  let flags = 0;
  let inputs = scanInputs(reader, table, index);
  if (inputs === 0) flags = reader.u8("transaction flags");
  if (flags !== 0) inputs = scanInputs(reader, table, index);
  if (inputs > 0 || flags !== 0) {
    table.outputs[index] = reader.offset;
    const outputs = reader.varint("number of outputs", reader.remaining);
    for (let i = 0; i < outputs; i++) {
      reader.skip(8, "output value");
      reader.skip(reader.varint("output script length", reader.remaining), "output script");
    }
  }
  table.inputTotal += inputs;
  table.tail[index] = reader.offset;
  table.flags[index] = flags;
  if ((flags & ~(mweb ? WITNESS | MWEB : WITNESS)) !== 0)
    throw malformed("SPRINT_DECODE_TX_FLAGS", "flags of a known kind", flags, index);
  if ((flags & WITNESS) !== 0 && !scanWitness(reader, inputs)) {
    throw malformed(
      "SPRINT_DECODE_WITNESS",
      "a witness where the flag says so",
      "none (superfluous witness record)",
      index,
    );
  }
  if ((flags & MWEB) !== 0) scanHogExMark(reader, table, index);
  reader.skip(LOCKTIME_BYTES, "lock time");
  table.end[index] = reader.offset;
}

function scanInputs(reader: ByteReader, table: TransactionTable, index: number): number {
  table.inputs[index] = reader.offset;
  const count = reader.varint("number of inputs", reader.remaining);
  for (let i = 0; i < count; i++) {
    reader.skip(OUTPOINT_BYTES, "outpoint");
    reader.skip(reader.varint("input script length", reader.remaining), "input script");
    reader.skip(4, "sequence");
  }
  return count;
}

/** True where any input has a witness. */
function scanWitness(reader: ByteReader, inputs: number): boolean {
  let any = false;
  for (let i = 0; i < inputs; i++) {
    const items = reader.varint("number of witness items", reader.remaining);
    for (let k = 0; k < items; k++) reader.skip(reader.varint("witness item length", reader.remaining), "witness item");
    any ||= items > 0;
  }
  return any;
}

function scanHogExMark(reader: ByteReader, table: TransactionTable, index: number): void {
  if (reader.u8("MWEB part") !== 0) {
    throw malformed("SPRINT_BLOCK_UNEXPECTED_MWEB_DATA", "no MWEB transaction inside a block", "one", index);
  }
  const outputs = table.outputs[index] as number;
  if (reader.bytes[outputs] === 0)
    throw malformed("SPRINT_DECODE_MWEB", "an output of the HogEx transaction", "none", index);
}

function malformed(code: `SPRINT_${string}`, expected: string, actual: string | number, index: number): SprintError {
  const refusal = refuse(code, `transaction ${index}`, expected, actual, { tx: index });
  return new SprintError(refusal.code, refusal.message, refusal.data);
}

/** What `checkTransaction` adds up over a block. */
export interface Tally {
  sigOps: number;
  /** Outputs spent so far. */
  readonly spent: OutpointSet;
}

/** Size, amounts and inputs of one transaction; adds its signature operations to `tally`. `index` 0 must be the coinbase. */
export function checkTransaction(
  bytes: Uint8Array,
  table: TransactionTable,
  index: number,
  rules: BodyRules,
  tally: Tally,
): Refusal | null {
  const what = `transaction ${index}`;
  const data = { tx: index };
  const reader = new ByteReader(bytes, table.inputs[index] as number);
  const inputs = reader.varint("number of inputs", bytes.length);
  if (inputs === 0) return refuse("SPRINT_BLOCK_TX_VIN_EMPTY", what, "at least one input", "none", data);
  const outputsAt = table.outputs[index] as number;
  if (bytes[outputsAt] === 0) return refuse("SPRINT_BLOCK_TX_VOUT_EMPTY", what, "at least one output", "none", data);
  const size = table.baseBytes(index);
  if (size > rules.maxBaseBytes) {
    return refuse("SPRINT_BLOCK_TX_OVERSIZE", what, `at most ${rules.maxBaseBytes} bytes`, size, data);
  }
  return (
    checkOutputs(bytes, outputsAt, rules, tally, index) ??
    checkInputs(reader, inputs, tally, table.start[index] as number, index)
  );
}

/** Amounts are compared as two 32-bit halves: Dogecoin's exceed what a double holds exactly. */
function checkOutputs(bytes: Uint8Array, at: number, rules: BodyRules, tally: Tally, index: number): Refusal | null {
  const reader = new ByteReader(bytes, at);
  const what = `outputs of transaction ${index}`;
  const data = { tx: index };
  const maxHigh = Number(rules.maxMoney >> 32n);
  const maxLow = Number(rules.maxMoney & 0xffff_ffffn);
  let high = 0;
  let low = 0;
  const outputs = reader.varint("number of outputs", bytes.length);
  for (let i = 0; i < outputs; i++) {
    const valueLow = reader.u32("value");
    const valueHigh = reader.u32("value");
    if (valueHigh >= 0x8000_0000)
      return refuse("SPRINT_BLOCK_TX_VOUT_NEGATIVE", what, "no negative value", `output ${i}`, data);
    if (valueHigh > maxHigh || (valueHigh === maxHigh && valueLow > maxLow)) {
      return refuse("SPRINT_BLOCK_TX_VOUT_TOO_LARGE", what, `at most ${rules.maxMoney}`, `more in output ${i}`, data);
    }
    low += valueLow;
    high += valueHigh;
    if (low > 0xffff_ffff) {
      low -= 0x1_0000_0000;
      high++;
    }
    if (high > maxHigh || (high === maxHigh && low > maxLow)) {
      return refuse("SPRINT_BLOCK_TX_TOTAL_TOO_LARGE", what, `at most ${rules.maxMoney} together`, "more", data);
    }
    const script = reader.varint("script length", bytes.length);
    tally.sigOps += legacySigOps(bytes, reader.offset, reader.offset + script);
    reader.skip(script, "script");
  }
  return null;
}

function checkInputs(reader: ByteReader, inputs: number, tally: Tally, start: number, index: number): Refusal | null {
  const bytes = reader.bytes;
  const what = `transaction ${index}`;
  const data = { tx: index };
  let coinbaseScript = -1;
  for (let i = 0; i < inputs; i++) {
    const outpoint = reader.offset;
    reader.skip(OUTPOINT_BYTES, "outpoint");
    const script = reader.varint("script length", bytes.length);
    tally.sigOps += legacySigOps(bytes, reader.offset, reader.offset + script);
    reader.skip(script + 4, "script and sequence");
    if (isNullOutpoint(bytes, outpoint)) {
      if (inputs > 1)
        return refuse("SPRINT_BLOCK_TX_PREVOUT_NULL", what, "inputs that name an output", "a null one", data);
      coinbaseScript = script;
      continue;
    }
    const before = tally.spent.add(outpoint);
    if (before >= start) {
      const expected = "each output spent once (CVE-2018-17144)";
      return refuse("SPRINT_BLOCK_TX_INPUTS_DUPLICATE", what, expected, `input ${i} again`, data);
    }
    if (before >= 0) {
      const expected = "outputs that no transaction before it spends";
      return refuse("SPRINT_BLOCK_TX_INPUTS_SPENT", what, expected, `a spent one in input ${i}`, data);
    }
  }
  if (coinbaseScript === -1 || (coinbaseScript >= 2 && coinbaseScript <= 100)) return null;
  return refuse("SPRINT_BLOCK_COINBASE_LENGTH", "coinbase script", "2 to 100 bytes", coinbaseScript, data);
}

/** One input, and that one names no output. */
export function isCoinbase(bytes: Uint8Array, table: TransactionTable, index: number): boolean {
  const inputs = table.inputs[index] as number;
  return bytes[inputs] === 1 && isNullOutpoint(bytes, inputs + 1);
}

function isNullOutpoint(bytes: Uint8Array, at: number): boolean {
  for (let i = 32; i < OUTPOINT_BYTES; i++) if (bytes[at + i] !== 0xff) return false;
  for (let i = 0; i < 32; i++) if (bytes[at + i] !== 0) return false;
  return true;
}

/** Outpoints by where they stand in the bytes: a table of offsets, open addressing, half full at most. */
export class OutpointSet {
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  readonly #slots: Int32Array;

  constructor(bytes: Uint8Array, capacity: number) {
    this.#bytes = bytes;
    this.#mask = (1 << (33 - Math.clz32(capacity))) - 1;
    this.#slots = new Int32Array(this.#mask + 1).fill(-1);
  }

  /** Offset of the same outpoint added before, else -1. */
  add(at: number): number {
    let hash = 0;
    for (let word = 0; word < OUTPOINT_BYTES; word += 4) {
      hash = Math.imul(hash ^ readU32(this.#bytes, at + word), 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    let slot = hash & this.#mask;
    for (let other = this.#slots[slot] as number; other >= 0; other = this.#slots[slot] as number) {
      if (sameOutpoint(this.#bytes, at, other)) return other;
      slot = (slot + 1) & this.#mask;
    }
    this.#slots[slot] = at;
    return -1;
  }
}

function sameOutpoint(bytes: Uint8Array, a: number, b: number): boolean {
  for (let i = 0; i < OUTPOINT_BYTES; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/** `IsFinalTx`, as far as it can be told without the median time past of BIP113. */
export type Finality = "final" | "not final" | "unknown";

/** A lock by time is judged by the block's own time, which the median time past must be below: what it locks is not final. */
export function finality(
  bytes: Uint8Array,
  table: TransactionTable,
  index: number,
  height: number | null,
  blockTime: number,
): Finality {
  const lockTime = readU32(bytes, (table.end[index] as number) - LOCKTIME_BYTES);
  if (lockTime === 0) return "final";
  const byHeight = lockTime < 500_000_000;
  if (byHeight && height !== null && lockTime < height) return "final";
  const reader = new ByteReader(bytes, table.inputs[index] as number);
  const inputs = reader.varint("number of inputs", bytes.length);
  let locked = false;
  for (let i = 0; i < inputs && !locked; i++) {
    reader.skip(OUTPOINT_BYTES, "outpoint");
    reader.skip(reader.varint("script length", bytes.length), "script");
    locked = reader.u32("sequence") !== SEQUENCE_FINAL;
  }
  if (!locked) return "final";
  if (byHeight ? height !== null : lockTime >= blockTime) return "not final";
  return "unknown";
}

/** Calls back with each output's value and script range. */
export function eachOutput(
  bytes: Uint8Array,
  table: TransactionTable,
  index: number,
  visit: (valueAt: number, scriptAt: number, scriptBytes: number) => void,
): void {
  const reader = new ByteReader(bytes, table.outputs[index] as number);
  const outputs = reader.varint("number of outputs", bytes.length);
  for (let i = 0; i < outputs; i++) {
    const valueAt = reader.offset;
    reader.skip(8, "value");
    const script = reader.varint("script length", bytes.length);
    visit(valueAt, reader.offset, script);
    reader.skip(script, "script");
  }
}

/** Outpoints of a transaction's inputs, as offsets. */
export function outpointsOf(bytes: Uint8Array, table: TransactionTable, index: number): number[] {
  const reader = new ByteReader(bytes, table.inputs[index] as number);
  const inputs = reader.varint("number of inputs", bytes.length);
  return Array.from({ length: inputs }, () => {
    const at = reader.offset;
    reader.skip(OUTPOINT_BYTES, "outpoint");
    reader.skip(reader.varint("script length", bytes.length) + 4, "script and sequence");
    return at;
  });
}
