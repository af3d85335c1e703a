/**
 * Where a transaction ends and what its ids are taken over; nothing about whether it is valid.
 *
 *   transaction := version[4] (marker[1]=0 flag[1]=1)? n:CompactSize input{n} m:CompactSize output{m} witness{n}? lockTime[4]
 *   input       := outpoint[36] script:string sequence[4]
 *   output      := value[8] script:string
 *   witness     := k:CompactSize item:string{k}                  present where marker and flag are
 *   string      := CompactSize bytes
 *
 * BIP 144, https://developer.bitcoin.org/reference/transactions.html
 */
import { ByteReader, malformed } from "./bytes.ts";
import { sha256d } from "./frame.ts";

/** A transaction has at least this many bytes per input and output: a count above the bytes left is a lie. */
const INPUT_BYTES = 41;
const OUTPUT_BYTES = 9;

interface Extent {
  readonly segwit: boolean;
  /** Where the witness starts; with no witness, where the lock time does. */
  readonly witnessAt: number;
  readonly end: number;
}

function extentOf(bytes: Uint8Array, offset: number): Extent {
  const reader = new ByteReader(bytes, "transaction", offset);
  reader.take(4);
  const segwit = bytes[reader.offset] === 0;
  if (segwit) {
    reader.take(1);
    const flag = reader.u8();
    if (flag !== 1) throw malformed("transaction", "segwit flag 1", flag);
  }
  const inputs = reader.count(Math.floor(reader.remaining / INPUT_BYTES), "inputs");
  for (let i = 0; i < inputs; i++) {
    reader.take(36);
    skipString(reader);
    reader.take(4);
  }
  const outputs = reader.count(Math.floor(reader.remaining / OUTPUT_BYTES), "outputs");
  for (let i = 0; i < outputs; i++) {
    reader.take(8);
    skipString(reader);
  }
  const witnessAt = reader.offset;
  if (segwit) {
    for (let i = 0; i < inputs; i++) {
      const items = reader.count(reader.remaining, "witness items");
      for (let item = 0; item < items; item++) skipString(reader);
    }
  }
  reader.take(4);
  return { segwit, witnessAt, end: reader.offset };
}

function skipString(reader: ByteReader): void {
  reader.take(reader.count(reader.remaining, "bytes of string"));
}

/** The offset behind the transaction that starts at `offset`. Throws SPRINT_P2P_MALFORMED. */
export function transactionEnd(bytes: Uint8Array, offset: number): number {
  return extentOf(bytes, offset).end;
}

/** wtxid in wire order: what a version-2 short id is taken over. */
export function witnessIdOf(transaction: Uint8Array): Uint8Array {
  return sha256d(transaction);
}

/** txid in wire order: the hash without marker, flag and witness. */
export function transactionIdOf(transaction: Uint8Array): Uint8Array {
  const { segwit, witnessAt, end } = extentOf(transaction, 0);
  if (!segwit) return sha256d(transaction.subarray(0, end));
  return sha256d(
    Buffer.concat([transaction.subarray(0, 4), transaction.subarray(6, witnessAt), transaction.subarray(end - 4, end)]),
  );
}
