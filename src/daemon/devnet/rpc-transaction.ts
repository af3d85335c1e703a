/** Transactions as bitcoind's RPC shows them. What takes a script's meaning (`asm`, `address`) is left out, but for its type. */
import { displayHash } from "./serialize.ts";
import type { Transaction } from "./transactions.ts";

const COIN = 100_000_000;
const COINBASE_INDEX = 0xffffffff;

/** Scripts of the kinds that the miner writes. */
const SCRIPT_TYPES: readonly (readonly [type: string, hex: RegExp])[] = [
  ["pubkeyhash", /^76a914.{40}88ac$/],
  ["witness_v0_keyhash", /^0014.{40}$/],
  ["witness_v1_taproot", /^5120.{64}$/],
  ["nulldata", /^6a/],
];

/** As in `getblock` with verbosity 2 and `getrawtransaction` with verbose. Amounts are in coins. */
export function transactionView(transaction: Transaction): Record<string, unknown> {
  const { bytes, stripped, txid, wtxid } = transaction;
  const weight = 3 * stripped.length + bytes.length;
  const reader = new Reader(bytes);
  const version = reader.u32();
  const hasWitness = bytes.length !== stripped.length;
  if (hasWitness) reader.take(2);
  const inputs = reader.list(() => ({
    txid: displayHash(reader.take(32)),
    vout: reader.u32(),
    script: reader.string(),
    sequence: reader.u32(),
  }));
  const vout = reader.list((n) => ({ value: reader.amount() / COIN, n, scriptPubKey: scriptView(reader.string()) }));
  const vin = inputs.map(({ txid, vout, script, sequence }) => {
    const items = hasWitness ? reader.list(() => reader.string()) : [];
    const witness = items.length === 0 ? {} : { txinwitness: items };
    if (vout === COINBASE_INDEX) return { coinbase: script, ...witness, sequence };
    return { txid, vout, scriptSig: { hex: script }, ...witness, sequence };
  });
  return {
    txid: displayHash(txid),
    hash: displayHash(wtxid),
    version,
    size: bytes.length,
    vsize: Math.ceil(weight / 4),
    weight,
    locktime: reader.u32(),
    vin,
    vout,
    hex: bytes.toString("hex"),
  };
}

function scriptView(hex: string): object {
  return { hex, type: SCRIPT_TYPES.find(([, form]) => form.test(hex))?.[0] ?? "nonstandard" };
}

/** Reads what the miner wrote, which is whole: no bounds are checked. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  amount(): number {
    return Number(this.take(8).readBigUInt64LE());
  }

  /** Of so many bytes as stands before them, in hex. */
  string(): string {
    return this.take(this.#count()).toString("hex");
  }

  list<T>(read: (index: number) => T): T[] {
    return Array.from({ length: this.#count() }, (_, index) => read(index));
  }

  /** CompactSize; nothing in a block of the miner is 65,536 long. */
  #count(): number {
    const first = this.take(1).readUInt8();
    return first === 0xfd ? this.take(2).readUInt16LE() : first;
  }
}
