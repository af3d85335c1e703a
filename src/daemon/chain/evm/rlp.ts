/**
 * Recursive length prefix, strictly: one encoding for each value, so that what is decoded and encoded again is the same bytes.
 * https://ethereum.org/developers/docs/data-structures-and-encoding/rlp/
 *
 *     00-7f                 the byte itself
 *     80-b7 payload         up to 55 bytes           c0-f7 items       list of up to 55 bytes
 *     b8-bf length payload  more, length big-endian  f8-ff length items
 */
import { SprintError } from "../../../shared/errors.ts";

export type RlpItem = Uint8Array | readonly RlpItem[];

/** The deepest thing that blocks hold is a storage key of an access list: five lists around it. */
const MAX_DEPTH = 12;
/** Items of one input: a block's gas does not pay for more. */
const MAX_ITEMS = 1_000_000;
/** A payload needs at most this many bytes for its length. */
const MAX_LENGTH_BYTES = 4;

/** Where an item and its payload lie. */
interface Span {
  readonly isList: boolean;
  readonly from: number;
  readonly to: number;
}

/** The one item that `bytes` is; parts of it are views. Throws SPRINT_EVM_RLP_*. */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  const { item, end } = readRlp(bytes, 0);
  if (end < bytes.length) throw trailing(end, bytes.length);
  return item;
}

/** The item at `offset`, and where it ends. */
export function readRlp(bytes: Uint8Array, offset: number): { readonly item: RlpItem; readonly end: number } {
  const count = { left: MAX_ITEMS };
  const span = spanAt(bytes, offset, bytes.length);
  return { item: materialise(bytes, span, MAX_DEPTH, count), end: span.to };
}

/** The items of a list as their own encoded bytes, views; `at` is where the list begins. Nothing inside of them is read. */
export function splitRlpList(
  bytes: Uint8Array,
  at = 0,
): { readonly items: readonly Uint8Array[]; readonly end: number } {
  const { isList, from, to } = spanAt(bytes, at, bytes.length);
  if (!isList) throw broken("SPRINT_EVM_RLP_TYPE", "list", "a list", "bytes", at);
  const items: Uint8Array[] = [];
  for (let next = from; next < to;) {
    const span = spanAt(bytes, next, to);
    items.push(bytes.subarray(next, span.to));
    if (items.length > MAX_ITEMS) throw tooMany(next);
    next = span.to;
  }
  return { items, end: to };
}

export function isRlpList(encoded: Uint8Array): boolean {
  return (encoded[0] ?? 0) >= 0xc0;
}

/** The payload of one encoded string. Throws SPRINT_EVM_RLP_TYPE for a list. */
export function rlpPayload(encoded: Uint8Array): Uint8Array {
  const { isList, from, to } = spanAt(encoded, 0, encoded.length);
  if (isList) throw broken("SPRINT_EVM_RLP_TYPE", "bytes", "bytes", "a list", 0);
  if (to < encoded.length) throw trailing(to, encoded.length);
  return encoded.subarray(from, to);
}

function materialise(bytes: Uint8Array, span: Span, depth: number, count: { left: number }): RlpItem {
  if (count.left-- === 0) throw tooMany(span.from);
  if (!span.isList) return bytes.subarray(span.from, span.to);
  if (depth === 0)
    throw broken("SPRINT_EVM_RLP_DEPTH", "lists", `at most ${MAX_DEPTH} inside each other`, "more", span.from);
  const items: RlpItem[] = [];
  for (let at = span.from; at < span.to;) {
    const next = spanAt(bytes, at, span.to);
    items.push(materialise(bytes, next, depth - 1, count));
    at = next.to;
  }
  return items;
}

/** Reads the prefix at `at`; the item must end by `limit`. */
function spanAt(bytes: Uint8Array, at: number, limit: number): Span {
  const prefix = bytes[at];
  if (prefix === undefined || at >= limit) throw truncated(at, 1, limit - at);
  if (prefix < 0x80) return { isList: false, from: at, to: at + 1 };
  const isList = prefix >= 0xc0;
  const short = prefix - (isList ? 0xc0 : 0x80);
  let from = at + 1;
  let length = short;
  if (short > 55) {
    const lengthBytes = short - 55;
    if (lengthBytes > MAX_LENGTH_BYTES) {
      throw broken("SPRINT_EVM_RLP_SIZE", "length", `at most ${MAX_LENGTH_BYTES} bytes long`, lengthBytes, at);
    }
    if (from + lengthBytes > limit) throw truncated(at, lengthBytes, limit - from);
    length = 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + (bytes[from + i] as number);
    if (bytes[from] === 0 || length <= 55) throw notCanonical(at, "the shortest form of a length");
    from += lengthBytes;
  }
  if (from + length > limit) throw truncated(at, length, limit - from);
  if (!isList && short === 1 && (bytes[from] as number) < 0x80) throw notCanonical(at, "a byte below 0x80 as itself");
  return { isList, from, to: from + length };
}

/** The bytes of an item. */
export function encodeRlp(item: RlpItem): Buffer {
  const out = Buffer.allocUnsafe(sizeOf(item));
  write(item, out, 0);
  return out;
}

/** A list of items that are encoded already. */
export function joinRlpList(encoded: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of encoded) length += part.length;
  const out = Buffer.allocUnsafe(prefixSize(length) + length);
  let at = writePrefix(0xc0, length, out, 0);
  for (const part of encoded) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Bytes as one item. */
export function encodeRlpBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 1 && (bytes[0] as number) < 0x80) return bytes;
  const out = Buffer.allocUnsafe(prefixSize(bytes.length) + bytes.length);
  out.set(bytes, writePrefix(0x80, bytes.length, out, 0));
  return out;
}

const isBytes = (item: RlpItem): item is Uint8Array => item instanceof Uint8Array;

function sizeOf(item: RlpItem): number {
  if (isBytes(item)) return item.length === 1 && (item[0] as number) < 0x80 ? 1 : prefixSize(item.length) + item.length;
  const payload = payloadSize(item);
  return prefixSize(payload) + payload;
}

function payloadSize(items: readonly RlpItem[]): number {
  let size = 0;
  for (const item of items) size += sizeOf(item);
  return size;
}

function write(item: RlpItem, out: Buffer, at: number): number {
  if (isBytes(item)) {
    const start = item.length === 1 && (item[0] as number) < 0x80 ? at : writePrefix(0x80, item.length, out, at);
    out.set(item, start);
    return start + item.length;
  }
  let next = writePrefix(0xc0, payloadSize(item), out, at);
  for (const child of item) next = write(child, out, next);
  return next;
}

function prefixSize(length: number): number {
  return length <= 55 ? 1 : 1 + lengthBytesOf(length);
}

function lengthBytesOf(length: number): number {
  return length < 0x100 ? 1 : length < 0x1_0000 ? 2 : length < 0x100_0000 ? 3 : 4;
}

function writePrefix(base: number, length: number, out: Buffer, at: number): number {
  if (length <= 55) {
    out[at] = base + length;
    return at + 1;
  }
  const size = lengthBytesOf(length);
  out[at] = base + 55 + size;
  out.writeUIntBE(length, at + 1, size);
  return at + 1 + size;
}

/** An unsigned integer in as few bytes as hold it; zero is no bytes. */
export function integerBytes(value: bigint | number): Uint8Array {
  if (value === 0 || value === 0n) return EMPTY;
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
}

/** The reverse of `integerBytes`. Throws SPRINT_EVM_RLP_INTEGER on leading zeros or more than `maxBytes`. */
export function bytesInteger(item: RlpItem, what: string, maxBytes = 32): bigint {
  if (!isBytes(item)) throw broken("SPRINT_EVM_RLP_TYPE", what, "bytes", "a list", 0);
  if (item.length === 0) return 0n;
  if (item[0] === 0 || item.length > maxBytes) {
    throw broken("SPRINT_EVM_RLP_INTEGER", what, `at most ${maxBytes} bytes without leading zeros`, hex(item), 0);
  }
  return BigInt(`0x${hex(item)}`);
}

const EMPTY = new Uint8Array(0);

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 40)).toString("hex");
}

type Fault = "TYPE" | "INTEGER" | "DEPTH" | "SIZE" | "TRUNCATED" | "CANONICAL" | "TRAILING";

function broken(
  code: `SPRINT_EVM_RLP_${Fault}`,
  what: string,
  expected: string | number,
  actual: string | number,
  offset: number,
): SprintError {
  const message = `RLP ${what} at offset ${offset}: expected ${expected}, got ${actual}`;
  return new SprintError(code, message, { expected, actual, offset });
}

function truncated(at: number, expected: number, actual: number): SprintError {
  return broken("SPRINT_EVM_RLP_TRUNCATED", "item", `${expected} bytes`, Math.max(0, actual), at);
}

function notCanonical(at: number, expected: string): SprintError {
  return broken("SPRINT_EVM_RLP_CANONICAL", "prefix", expected, "a longer one", at);
}

function trailing(end: number, length: number): SprintError {
  return broken("SPRINT_EVM_RLP_TRAILING", "item", "the end", `${length - end} bytes more`, end);
}

function tooMany(at: number): SprintError {
  return broken("SPRINT_EVM_RLP_SIZE", "items", `at most ${MAX_ITEMS}`, "more", at);
}
