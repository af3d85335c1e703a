/**
 * Basic block filters (BIP 158), and the chain of headers over them (BIP 157): by the filter of a block it can be told that none of
 * many scripts was paid to or spent from in it, without the block. One script in 784,931 is taken for one that is there.
 *
 *   filter  := n:CompactSize bits             n values, ascending, each as its distance from the one before
 *   value   := SipHash(script) * n * M / 2^64 keyed by the first 16 bytes of the block's hash
 *   bits    := (distance >> 19) ones, 0, the lowest 19 bits of distance, highest first; filled up with 0 at the end
 *   header  := SHA-256d(SHA-256d(filter) header of the filter before)
 *
 * In it are the scripts of all outputs but OP_RETURN and empty ones, and those of the outputs that are spent, which stand in earlier
 * blocks: building needs them given, matching does not. On chains with MWEB, that of the extension is not in it.
 */
import { SprintError } from "../../shared/errors.ts";
import { type SipKey, sipHash24 } from "../../shared/siphash.ts";
import { displayHash, sha256d, wireHash } from "./hash.ts";
import { decodeHeader } from "./header.ts";
import { ByteReader } from "./reader.ts";
import { refuse } from "./refusal.ts";
import { eachOutput, scanTransactions } from "./transaction.ts";
import type { NetworkParams, Refusal } from "./types.ts";

const P = 19;
const M = 784_931;
const KEY_BYTES = 16;
const OP_RETURN = 0x6a;
/** Of the filter before the first. */
export const NO_FILTER_HEADER: string = "00".repeat(32);

/**
 * The filter of a serialised block; `spentScripts` are those of the outputs that its inputs spend, in any order. Throws SPRINT_DECODE_* on
 * bytes that are no block. Whether the block holds is not looked at.
 */
export function buildFilter(
  raw: Uint8Array,
  spentScripts: Iterable<Uint8Array>,
  params: Pick<NetworkParams, "chain" | "headerRules" | "maxBlockBytes">,
): Uint8Array {
  const { header, end } = decodeHeader(raw, 0, params);
  const table = scanTransactions(new ByteReader(raw, end), params.chain === "litecoin", params.maxBlockBytes);
  const scripts = new Set<string>();
  for (let i = 0; i < table.count; i++) {
    eachOutput(raw, table, i, (_, at, length) => {
      if (length > 0 && raw[at] !== OP_RETURN) scripts.add(hexOf(raw.subarray(at, at + length)));
    });
  }
  for (const script of spentScripts) if (script.length > 0) scripts.add(hexOf(script));
  const key = keyOf(header.hash);
  const values = [...scripts].map((script) => valueOf(key, script, scripts.size)).sort((a, b) => a - b);
  return encodeValues(values);
}

/** Those of `scripts` (hex) that are in the filter of this block, or seem to be. Throws SPRINT_FILTER_MALFORMED. */
export function filterMatches(filter: Uint8Array, blockHash: string, scripts: Iterable<string>): readonly string[] {
  const decoded = decodeValues(filter);
  const values = new Set(decoded);
  const key = keyOf(blockHash);
  const matches: string[] = [];
  for (const script of scripts) {
    if (script !== "" && values.has(valueOf(key, script, decoded.length))) matches.push(script);
  }
  return matches;
}

/** Display order, as nodes print it. */
export function filterHash(filter: Uint8Array): string {
  return displayHash(sha256d(filter));
}

/** The header of a filter by its hash and the header before; display order. */
export function filterHeader(hash: string, previousHeader: string): string {
  return displayHash(sha256d(Buffer.concat([wireHash(hash), wireHash(previousHeader)])));
}

/** The headers of a run of filters, by their hashes, oldest first. */
export function filterHeaders(previousHeader: string, hashes: readonly string[]): readonly string[] {
  let last = previousHeader;
  return hashes.map((hash) => (last = filterHeader(hash, last)));
}

/** Whether a run of hashes leads from one known header to another, as `cfheaders` must between those of `cfcheckpt`. */
export function checkFilterHeaders(
  previousHeader: string,
  hashes: readonly string[],
  lastHeader: string,
): Refusal | null {
  const actual = filterHeaders(previousHeader, hashes).at(-1) ?? previousHeader;
  return actual === lastHeader ? null : refuse("SPRINT_FILTER_HEADERS", "last filter header", lastHeader, actual);
}

function keyOf(blockHash: string): SipKey {
  return wireHash(blockHash).subarray(0, KEY_BYTES);
}

/** Spread evenly over 0 … count * M by a multiplication instead of a division. */
function valueOf(key: SipKey, script: string, count: number): number {
  return Number((sipHash24(key, Buffer.from(script, "hex")) * BigInt(count * M)) >> 64n);
}

function encodeValues(values: readonly number[]): Uint8Array {
  const { length } = values;
  const count = length < 0xfd ? [length] : [length <= 0xffff ? 0xfd : 0xfe, ...littleEndian(length)];
  const bits: number[] = [...count];
  let byte = 0;
  let filled = 0;
  const put = (bit: number): void => {
    byte = (byte << 1) | bit;
    if (++filled < 8) return;
    bits.push(byte);
    byte = 0;
    filled = 0;
  };
  let last = 0;
  for (const value of values) {
    const distance = value - last;
    last = value;
    for (let ones = Math.floor(distance / 2 ** P); ones > 0; ones--) put(1);
    put(0);
    for (let bit = P - 1; bit >= 0; bit--) put((distance >>> bit) & 1);
  }
  for (let missing = (8 - filled) & 7; missing > 0; missing--) put(0);
  return Uint8Array.from(bits);
}

function littleEndian(count: number): number[] {
  return Array.from({ length: count <= 0xffff ? 2 : 4 }, (_, byte) => (count >>> (8 * byte)) & 0xff);
}

function countOf(filter: Uint8Array): { readonly count: number; readonly end: number } {
  const reader = new ByteReader(filter);
  try {
    // A value takes at least 20 bits: a filter that claims more than fit is not read.
    const count = reader.varint("number of values", Math.floor((8 * filter.length) / (P + 1)));
    return { count, end: reader.offset };
  } catch (cause) {
    throw malformed("a number of values that fit", `another in ${filter.length} bytes`, cause);
  }
}

function decodeValues(filter: Uint8Array): readonly number[] {
  const { count, end } = countOf(filter);
  const values: number[] = [];
  let at = 8 * end;
  const bits = 8 * filter.length;
  const next = (): number => {
    if (at >= bits) throw malformed(`${count} values`, `the end after ${values.length}`);
    const bit = ((filter[at >> 3] as number) >> (7 - (at & 7))) & 1;
    at++;
    return bit;
  };
  let last = 0;
  for (let i = 0; i < count; i++) {
    let quotient = 0;
    while (next() === 1) quotient++;
    let rest = 0;
    for (let bit = 0; bit < P; bit++) rest = (rest << 1) | next();
    last += quotient * 2 ** P + rest;
    values.push(last);
  }
  if (bits - at >= 8) throw malformed(`the end after ${count} values`, `${bits - at} more bits`);
  return values;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

function malformed(expected: string, actual: string, cause?: unknown): SprintError {
  const message = `block filter: expected ${expected}, got ${actual}`;
  return new SprintError("SPRINT_FILTER_MALFORMED", message, { expected, actual }, { cause });
}
