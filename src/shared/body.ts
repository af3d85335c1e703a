/** What is read out of a proved body beside its verdict: for `log` events, watch lists and stats. Plain data: it crosses threads. */

/** One log of an EVM block, as `log` events tell it. Hex with 0x. */
export interface BlockLog {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
  readonly transaction_hash: string;
  readonly transaction_index: number;
  /** Position in the block. */
  readonly log_index: number;
}

/** What is looked for in bodies, all watch lists of one chain together. Immutable: a change makes another one. */
export interface WatchSet {
  /** Output scripts (hex, no 0x) of the Bitcoin family; 20-byte addresses (0x, lower case) of EVM chains; accounts and programs (base58) of Solana. */
  readonly items: ReadonlySet<string>;
  /** First topics of logs, EVM only. */
  readonly topics: ReadonlySet<string>;
  /** Unspent outputs that paid to a watched script, `txid:index`, and the script. Bitcoin family only. */
  readonly outpoints: ReadonlyMap<string, string>;
}

/** Something watched that a transaction did. `txid`, `output` and `kind` name it within a chain. */
export interface Movement {
  /** The item or topic of the watch set. */
  readonly item: string;
  readonly txid: string;
  /** Index of the output created or of the input that spends, of the log, null for the transaction as a whole. */
  readonly output: number | null;
  readonly kind: "created" | "spent" | "log" | "transaction";
  /** Base units, decimal; null where it cannot be told. */
  readonly value: string | null;
  /** `txid:index` of the output that is spent, else null. */
  readonly outpoint: string | null;
}

export interface BodyReading {
  /** In order, complete; null where the chain has none or they were not proved. */
  readonly logs: readonly BlockLog[] | null;
  readonly movements: readonly Movement[];
  readonly digest: BlockDigest;
}

export type BlockDigest = UtxoDigest | EvmDigest | SvmDigest;

export interface UtxoDigest {
  readonly family: "utxo";
  /** The coinbase's input script, hex: who mined it stands there. */
  readonly coinbaseScript: string;
  /** Of the parent chain's coinbase where the work is merged, hex; else null. */
  readonly parentCoinbaseScript: string | null;
  /** All that the coinbase pays, base units. */
  readonly rewardUnits: string;
  readonly weight: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Transactions with a witness. */
  readonly segwitTransactions: number;
  /** Kernels of the extension block; null where there is none. */
  readonly mwebKernels: number | null;
}

export interface EvmDigest {
  readonly family: "evm";
  readonly gasUsed: number;
  readonly gasLimit: number;
  /** Wei, decimal; null before London. */
  readonly baseFeeWei: string | null;
  /** What transactions pay above the base fee for a unit of gas, wei, ascending by gas: at 10, 25, 50, 75 and 90 %. Empty where there is none. */
  readonly tipsWei: readonly string[];
  readonly blobs: number;
  readonly excessBlobGas: string | null;
  /** The most called, most gas first, 20 at most. Gas is that of whole transactions; 0 where receipts are not here. */
  readonly contracts: readonly { readonly address: string; readonly calls: number; readonly gasUsed: number }[];
}

export interface SvmDigest {
  readonly family: "svm";
  readonly slot: number;
  readonly parentSlot: number;
  readonly transactions: number;
  /** Null where not all messages were given. */
  readonly votes: number | null;
  readonly failed: number | null;
  readonly feesLamports: string | null;
  readonly computeUnits: number | null;
  /** Who is paid the block's fees, base58; null where the node does not tell. */
  readonly leader: string | null;
}

/** A transaction that is not in a block yet, as an upstream told it. */
export interface PendingTransaction {
  readonly txid: string;
  /** Serialised, where it came whole. */
  readonly raw: Uint8Array | null;
  /** EVM: what filters look at; null elsewhere, and where only the hash came. */
  readonly evm: PendingEvm | null;
  /** Solana: what it mentions of what is watched, as far as the upstream told; another one may tell more. Failed ones mention as well. */
  readonly mentions?: readonly string[];
}

/** Hex with 0x, lower case; wei decimal. */
export interface PendingEvm {
  readonly from: string;
  readonly to: string | null;
  readonly valueWei: string;
  readonly nonce: number;
  readonly gasLimit: number;
  readonly maxFeeWei: string;
  readonly maxTipWei: string;
  /** First four bytes of the input, null where there are fewer. */
  readonly selector: string | null;
  readonly blobs: number;
}
