import type { Chain } from "./chain.ts";

/** Names one block. `hash` is written as that chain's users print it (reversed hex for the Bitcoin family). */
export interface BlockRef {
  readonly chain: Chain;
  readonly height: number;
  readonly hash: string;
}

/** One block in the model all chains share. Frozen; only a codec makes one. */
export interface Block extends BlockRef {
  readonly parentHash: string;
  /** Unix seconds, as the header says. */
  readonly timestamp: number;
  /** Null while only the header is known. */
  readonly txCount: number | null;
  /** Serialised size in bytes, null while only the header is known. */
  readonly sizeBytes: number | null;
  readonly detail: BlockDetail;
}

export type BlockDetail = UtxoDetail;

export interface UtxoDetail {
  readonly family: "utxo";
  readonly version: number;
  readonly merkleRoot: string;
  /** Compact target ("nBits") as an unsigned 32-bit number. */
  readonly bits: number;
  readonly nonce: number;
  /** True when the proof of work is a parent chain's (Dogecoin merged mining). */
  readonly auxpow: boolean;
  /** BIP-141 weight, null while only the header is known. */
  readonly weight: number | null;
}
