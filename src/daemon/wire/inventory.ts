/**
 * Asking for, offering and handing over headers and blocks.
 *
 *   getheaders := version[4] locator:CompactSize hash[32]* stop[32]          locator: newest first, at most 101
 *   headers    := count:CompactSize (header 0x00)*                           at most 2,000
 *   header     := 80 bytes, followed by its AuxPoW where the version says so (Dogecoin), so an entry has no fixed length
 *   inv, getdata, notfound := count:CompactSize (type[4] hash[32])*          at most 50,000
 *   block      := header transactions…, read by the chain's codec
 *
 * https://developer.bitcoin.org/reference/p2p_networking.html#data-messages, BIP 130.
 * Limits: MAX_HEADERS_RESULTS, MAX_INV_SZ, MAX_LOCATOR_SZ of
 * https://github.com/bitcoin/bitcoin/blob/v27.0/src/net_processing.cpp
 */
import { ByteReader, ByteWriter, HASH_BYTES, malformed } from "./bytes.ts";

export const MAX_HEADERS = 2_000;
const MAX_INVENTORY = 50_000;
export const MAX_LOCATOR = 101;

/** Types of inventory entries. https://github.com/bitcoin/bitcoin/blob/v27.0/src/protocol.h#L460 */
export const INV = {
  TX: 1,
  BLOCK: 2,
  FILTERED_BLOCK: 3,
  COMPACT_BLOCK: 4,
  WTX: 5,
  WITNESS_TX: 0x4000_0001,
  WITNESS_BLOCK: 0x4000_0002,
  /** Litecoin: with extension block. */
  MWEB_BLOCK: 0x6000_0002,
} as const;

/** Reads one `T` at `offset`; `end` is where the next thing starts. Throws on bytes that are none. */
export type Decode<T> = (bytes: Uint8Array, offset: number) => { readonly value: T; readonly end: number };

export interface GetHeaders {
  readonly version: number;
  /** Display order, newest first. */
  readonly locator: readonly string[];
  /** Where to stop, or all zeros for as many as fit. */
  readonly stop: string;
}

export const NO_STOP: string = "00".repeat(HASH_BYTES);

export function encodeGetHeaders(message: GetHeaders): Uint8Array {
  const writer = new ByteWriter(64 + HASH_BYTES * message.locator.length);
  writer.u32(message.version).compactSize(message.locator.length);
  for (const hash of message.locator) writer.hash(hash);
  return writer.hash(message.stop).done();
}

export function decodeGetHeaders(payload: Uint8Array): GetHeaders {
  const reader = new ByteReader(payload, "getheaders");
  const version = reader.u32();
  const count = reader.count(MAX_LOCATOR, "locator hashes");
  const locator: string[] = [];
  for (let i = 0; i < count; i++) locator.push(reader.hash());
  const stop = reader.hash();
  reader.finish();
  return { version, locator, stop };
}

/** `headers` are serialised headers, each with its AuxPoW where it has one. */
export function encodeHeaders(headers: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter(9 + headers.reduce((sum, header) => sum + header.length + 1, 0));
  writer.compactSize(headers.length);
  for (const header of headers) writer.put(header).u8(0);
  return writer.done();
}

export function decodeHeaders<T>(payload: Uint8Array, decodeHeader: Decode<T>): readonly T[] {
  const reader = new ByteReader(payload, "headers");
  const count = reader.count(MAX_HEADERS, "headers");
  const headers: T[] = [];
  for (let i = 0; i < count; i++) {
    const { value, end } = decodeHeader(payload, reader.offset);
    reader.offset = end;
    headers.push(value);
    const transactions = reader.u8();
    if (transactions !== 0) throw malformed("headers", "a transaction count of 0 after each header", transactions);
  }
  reader.finish();
  return headers;
}

export interface InventoryEntry {
  readonly type: number;
  readonly hash: string;
}

/** The payload of `inv`, `getdata` and `notfound`. */
export function encodeInventory(entries: readonly InventoryEntry[]): Uint8Array {
  const writer = new ByteWriter(9 + 36 * entries.length);
  writer.compactSize(entries.length);
  for (const entry of entries) writer.u32(entry.type).hash(entry.hash);
  return writer.done();
}

export function decodeInventory(payload: Uint8Array): readonly InventoryEntry[] {
  const reader = new ByteReader(payload, "inv");
  const count = reader.count(MAX_INVENTORY, "inventory entries");
  if (reader.remaining !== 36 * count)
    throw malformed("inv", `${36 * count} bytes for ${count} entries`, reader.remaining);
  const entries: InventoryEntry[] = [];
  for (let i = 0; i < count; i++) entries.push({ type: reader.u32(), hash: reader.hash() });
  return entries;
}
