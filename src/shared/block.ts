import type { Chain } from "./chain.ts";

/** Names one block. `hash` is written as that chain's users print it: reversed hex, hex with 0x, base58. */
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
  /** Serialised size in bytes, null while only the header is known, and where it cannot be told. */
  readonly sizeBytes: number | null;
  /** What a node is asked by for this block: its hash; on Solana `slot:hash`, as nodes know blocks by slot. */
  readonly locator: string;
  readonly detail: BlockDetail;
}

export type BlockDetail = UtxoDetail | EvmDetail | SvmDetail;

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

/** Hashes and data are hex with 0x; quantities are bigint unless they count blocks or seconds. */
export interface EvmDetail {
  readonly family: "evm";
  readonly beneficiary: string;
  readonly stateRoot: string;
  readonly transactionsRoot: string;
  readonly receiptsRoot: string;
  readonly logsBloom: string;
  readonly ommersHash: string;
  readonly difficulty: bigint;
  readonly gasLimit: bigint;
  readonly gasUsed: bigint;
  readonly extraData: string;
  readonly mixHash: string;
  readonly nonce: string;
  /** London, EIP-1559 */
  readonly baseFeePerGas: bigint | null;
  /** Shanghai, EIP-4895 */
  readonly withdrawalsRoot: string | null;
  /** Cancun, EIP-4844 and EIP-4788 */
  readonly blobGasUsed: bigint | null;
  readonly excessBlobGas: bigint | null;
  readonly parentBeaconBlockRoot: string | null;
  /** Prague, EIP-7685 */
  readonly requestsHash: string | null;
}

export interface SvmDetail {
  readonly family: "svm";
  readonly slot: number;
  /** Less than `slot` - 1 where slots were skipped: these have no block, and none is missing. */
  readonly parentSlot: number;
  /** Signatures verified and signatures there are, null while only the header is known. */
  readonly signatures: { readonly checked: number; readonly total: number } | null;
}
