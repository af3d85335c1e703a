/**
 * Asking for block filters and the headers over them (BIP 157).
 *
 *   getcfilters, getcfheaders := type[1] startHeight[4] stopHash[32]
 *   cfilter      := type[1] blockHash[32] filter:string                              one for each block, oldest first
 *   cfheaders    := type[1] stopHash[32] previousHeader[32] n:CompactSize filterHash[32]{n}    at most 2,000
 *
 * A node that does not serve what is asked for (another type, a block that it does not know, more than it takes) hangs up.
 * `getcfcheckpt` is for those who fetch from the first block on, and is not asked here.
 */
import { ByteReader, ByteWriter, HASH_BYTES } from "./bytes.ts";

/** The only type that there is. */
export const BASIC_FILTER = 0;
/** Blocks of one `getcfilters`, and of one `getcfheaders`. */
export const MAX_FILTERS = 1_000;
export const MAX_FILTER_HEADERS = 2_000;

export interface GetFilters {
  readonly type: number;
  readonly startHeight: number;
  /** Display order, as all hashes here. */
  readonly stopHash: string;
}

export interface BlockFilter {
  readonly type: number;
  readonly blockHash: string;
  readonly filter: Uint8Array;
}

export interface FilterHeaders {
  readonly type: number;
  readonly stopHash: string;
  /** Of the filter before the first. */
  readonly previousHeader: string;
  readonly filterHashes: readonly string[];
}

/** The payload of `getcfilters` and of `getcfheaders`. */
export function encodeGetFilters({ type, startHeight, stopHash }: GetFilters): Uint8Array {
  return new ByteWriter(37).u8(type).u32(startHeight).hash(stopHash).done();
}

export function decodeGetFilters(payload: Uint8Array): GetFilters {
  const reader = new ByteReader(payload, "getcfilters");
  const message = { type: reader.u8(), startHeight: reader.u32(), stopHash: reader.hash() };
  reader.finish();
  return message;
}

export function encodeFilter({ type, blockHash, filter }: BlockFilter): Uint8Array {
  return new ByteWriter(42 + filter.length).u8(type).hash(blockHash).compactSize(filter.length).put(filter).done();
}

/** `filter` is a view. */
export function decodeFilter(payload: Uint8Array): BlockFilter {
  const reader = new ByteReader(payload, "cfilter");
  const [type, blockHash] = [reader.u8(), reader.hash()];
  const filter = reader.take(reader.count(reader.remaining, "bytes of filter"));
  reader.finish();
  return { type, blockHash, filter };
}

export function encodeFilterHeaders({ type, stopHash, previousHeader, filterHashes }: FilterHeaders): Uint8Array {
  const writer = new ByteWriter(74 + HASH_BYTES * filterHashes.length);
  writer.u8(type).hash(stopHash).hash(previousHeader).compactSize(filterHashes.length);
  for (const hash of filterHashes) writer.hash(hash);
  return writer.done();
}

export function decodeFilterHeaders(payload: Uint8Array): FilterHeaders {
  const reader = new ByteReader(payload, "cfheaders");
  const [type, stopHash, previousHeader] = [reader.u8(), reader.hash(), reader.hash()];
  const count = reader.count(MAX_FILTER_HEADERS, "filter hashes");
  const filterHashes: string[] = [];
  for (let i = 0; i < count; i++) filterHashes.push(reader.hash());
  reader.finish();
  return { type, stopHash, previousHeader, filterHashes };
}
