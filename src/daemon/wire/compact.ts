/**
 * Compact blocks.
 *
 *   cmpctblock  := header nonce[8] n:CompactSize shortId[6]{n} m:CompactSize (index:CompactSize transaction){m}
 *   getblocktxn := blockHash[32] n:CompactSize index:CompactSize{n}
 *   blocktxn    := blockHash[32] n:CompactSize transaction{n}
 *
 * Indexes are differential: the first as it is, each later one minus the one before, minus 1.
 * A short id is the low 48 bits of SipHash-2-4 over the transaction's id (version 1: txid, version 2: wtxid), with a
 * key of the first 16 bytes of SHA-256(header nonce), the header as serialised, with its AuxPoW.
 *
 * BIP 152, https://github.com/bitcoin/bitcoin/blob/v27.0/src/blockencodings.h
 */
import { hash } from "node:crypto";
import { ByteReader, ByteWriter, hashBytes, malformed } from "./bytes.ts";
import type { Decode } from "./inventory.ts";
import { type SipKey, sipHash24Low48 } from "../../shared/siphash.ts";
import { transactionEnd } from "./transaction.ts";

const SHORT_ID_BYTES = 6;

/** Core refuses a compact block of more transactions: indexes are 16 bits. */
const MAX_COMPACT_TRANSACTIONS = 65_535;

export interface Prefilled {
  /** Place in the block. */
  readonly index: number;
  readonly transaction: Uint8Array;
}

export interface CompactBlock<H> {
  readonly header: H;
  readonly headerBytes: Uint8Array;
  readonly nonce: bigint;
  /** 48-bit numbers, in the block's order. */
  readonly shortIds: readonly number[];
  readonly prefilled: readonly Prefilled[];
  readonly txCount: number;
}

export interface CompactHead<H> {
  readonly header: H;
  readonly txCount: number;
  /** Where the header ends. */
  readonly headerEnd: number;
}

/** What can be announced before the rest is read: a block of thousands of transactions has as many short ids. */
export function peekCompactBlock<H>(payload: Uint8Array, decodeHeader: Decode<H>): CompactHead<H> {
  const { value: header, end } = decodeHeader(payload, 0);
  const reader = new ByteReader(payload, "cmpctblock", end);
  reader.u64();
  const shortCount = reader.count(MAX_COMPACT_TRANSACTIONS, "short ids");
  reader.take(SHORT_ID_BYTES * shortCount);
  const txCount = shortCount + reader.count(MAX_COMPACT_TRANSACTIONS - shortCount, "prefilled transactions");
  if (txCount === 0) throw malformed("cmpctblock", "at least one transaction", 0);
  return { header, txCount, headerEnd: end };
}

/** Views into `payload`: copy it where the result outlives the chunk. */
export function decodeCompactBlock<H>(
  payload: Uint8Array,
  decodeHeader: Decode<H>,
  head: CompactHead<H> = peekCompactBlock(payload, decodeHeader),
): CompactBlock<H> {
  const { header, txCount, headerEnd: end } = head;
  const reader = new ByteReader(payload, "cmpctblock", end);
  const nonce = reader.u64();
  const shortCount = reader.count(MAX_COMPACT_TRANSACTIONS, "short ids");
  const idsAt = reader.offset;
  reader.take(SHORT_ID_BYTES * shortCount);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const shortIds: number[] = [];
  for (let i = 0, at = idsAt; i < shortCount; i++, at += SHORT_ID_BYTES) {
    shortIds.push(view.getUint32(at, true) + view.getUint16(at + 4, true) * 0x1_0000_0000);
  }
  const prefilledCount = reader.count(MAX_COMPACT_TRANSACTIONS - shortCount, "prefilled transactions");
  const prefilled: Prefilled[] = [];
  let next = 0;
  for (let i = 0; i < prefilledCount; i++) {
    const index = next + reader.count(MAX_COMPACT_TRANSACTIONS, "as a prefilled index");
    if (index >= txCount) throw malformed("cmpctblock", `prefilled indexes below ${txCount}`, index);
    prefilled.push({ index, transaction: takeTransaction(reader) });
    next = index + 1;
  }
  reader.finish();
  return { header, headerBytes: payload.subarray(0, end), nonce, shortIds, prefilled, txCount };
}

export function encodeCompactBlock(block: {
  readonly headerBytes: Uint8Array;
  readonly nonce: bigint;
  readonly shortIds: readonly number[];
  readonly prefilled: readonly Prefilled[];
}): Uint8Array {
  const writer = new ByteWriter(256 + block.headerBytes.length + SHORT_ID_BYTES * block.shortIds.length);
  writer.put(block.headerBytes).u64(block.nonce).compactSize(block.shortIds.length);
  for (const id of block.shortIds) writer.u16(id % 0x1_0000).u32(Math.floor(id / 0x1_0000));
  writer.compactSize(block.prefilled.length);
  let next = 0;
  for (const { index, transaction } of block.prefilled) {
    writer.compactSize(index - next).put(transaction);
    next = index + 1;
  }
  return writer.done();
}

export function shortIdKey(headerBytes: Uint8Array, nonce: bigint): SipKey {
  const preimage = new ByteWriter(headerBytes.length + 8).put(headerBytes).u64(nonce).done();
  return hash("sha256", preimage, "buffer").subarray(0, 16);
}

/** `id` in wire order: txid for version 1, wtxid for version 2. */
export function shortIdOf(key: SipKey, id: Uint8Array): number {
  return sipHash24Low48(key, id);
}

export interface GetBlockTransactions {
  readonly blockHash: string;
  /** Ascending places in the block. */
  readonly indexes: readonly number[];
}

export function encodeGetBlockTransactions(message: GetBlockTransactions): Uint8Array {
  const writer = new ByteWriter(48 + 3 * message.indexes.length);
  writer.put(hashBytes(message.blockHash)).compactSize(message.indexes.length);
  let next = 0;
  for (const index of message.indexes) {
    writer.compactSize(index - next);
    next = index + 1;
  }
  return writer.done();
}

export function decodeGetBlockTransactions(payload: Uint8Array): GetBlockTransactions {
  const reader = new ByteReader(payload, "getblocktxn");
  const blockHash = reader.hash();
  const count = reader.count(MAX_COMPACT_TRANSACTIONS, "indexes");
  const indexes: number[] = [];
  let next = 0;
  for (let i = 0; i < count; i++) {
    const index = next + reader.count(MAX_COMPACT_TRANSACTIONS, "as an index");
    if (index > MAX_COMPACT_TRANSACTIONS)
      throw malformed("getblocktxn", `indexes up to ${MAX_COMPACT_TRANSACTIONS}`, index);
    indexes.push(index);
    next = index + 1;
  }
  reader.finish();
  return { blockHash, indexes };
}

export interface BlockTransactions {
  readonly blockHash: string;
  /** Serialised, in the order that was asked for. */
  readonly transactions: readonly Uint8Array[];
}

export function encodeBlockTransactions(message: BlockTransactions): Uint8Array {
  const writer = new ByteWriter(48 + message.transactions.reduce((sum, transaction) => sum + transaction.length, 0));
  writer.put(hashBytes(message.blockHash)).compactSize(message.transactions.length);
  for (const transaction of message.transactions) writer.put(transaction);
  return writer.done();
}

export function decodeBlockTransactions(payload: Uint8Array): BlockTransactions {
  const reader = new ByteReader(payload, "blocktxn");
  const blockHash = reader.hash();
  const count = reader.count(MAX_COMPACT_TRANSACTIONS, "transactions");
  const transactions: Uint8Array[] = [];
  for (let i = 0; i < count; i++) transactions.push(takeTransaction(reader));
  reader.finish();
  return { blockHash, transactions };
}

function takeTransaction(reader: ByteReader): Uint8Array {
  return reader.take(transactionEnd(reader.bytes, reader.offset) - reader.offset);
}
