/**
 * The words of this room. Pure: no clock, no I/O; every number comes in. One interface for all families, as `GET …/stats` has one
 * route: what a family has no use for it ignores.
 */
import type { Block, EvmDetail } from "../../shared/block.ts";
import type { BlockDigest, PendingTransaction } from "../../shared/body.ts";
import type { Chain, ChainFamily } from "../../shared/chain.ts";
import type { StatsBody } from "../../shared/stats-api.ts";

export interface ChainStats {
  readonly family: ChainFamily;
  /**
   * A block of the best chain, in order: once with its header (`digest` null), and again when its body is proved. Older ones may
   * be given at the start, so that windows are full. One that does not follow the newest undoes what stands at its height and
   * above; after a hole the windows begin anew.
   */
  block(block: Block, digest: BlockDigest | null): void;
  /** The newest `count` blocks left the best chain: one reorg. */
  reverted(count: number): void;
  /** Transactions heard of for the first time. */
  pending(batch: readonly PendingTransaction[]): void;
  /** The newest picture of the mempool; null where there is none any more. */
  mempool(snapshot: MempoolSnapshot | null): void;
  /** Solana: who votes, as the node says. */
  votes(snapshot: VoteSnapshot | null): void;
  /** Solana: where the epoch stands, as the node says. */
  epoch(snapshot: EpochSnapshot | null): void;
  /** Unix ms; rates count by it. Call it once a second or so, and before `report`. */
  tick(nowMs: number): void;
  report(): StatsBody;
}

export interface StatsOptions {
  readonly chain: Chain;
  readonly network: string;
  /** Between blocks, as the chain plans it; on Solana between slots. */
  readonly blockTimeSeconds: number;
}

// --- Bitcoin family

/** The mempool as it is told: rates in base units a virtual byte. */
export interface MempoolSnapshot {
  readonly transactions: number;
  readonly bytes: number;
  readonly minFeeRate: number | null;
  /** Highest rate first; at most 100 steps are told. */
  readonly histogram: readonly { readonly fee_rate: number; readonly vsize: number; readonly count: number }[];
  /** What the next block would take; null where nobody made one. */
  readonly template: {
    readonly transactions: number;
    readonly weight: number;
    readonly fees_units: string;
    readonly min_fee_rate: number | null;
  } | null;
}

export interface UtxoStatsOptions extends StatsOptions {
  /** As the chain's header rules have it. */
  readonly retarget: Retarget;
  /** Easiest target allowed. */
  readonly powLimit: bigint;
  /** Blocks of the hash rate's window, as in `getnetworkhashps`. Default 120. */
  readonly hashRateBlocks?: number;
  /** Blocks of intervals, pools and shares. Default 144. */
  readonly windowBlocks?: number;
  /** Default 4,000,000. */
  readonly maxWeight?: number;
}

/** What of the chain's rule the forecast needs; the header rules of `chain` have this shape. */
export type Retarget =
  | { readonly kind: "none" }
  | {
      readonly kind: "window";
      readonly intervalBlocks: number;
      readonly timespanSeconds: number;
      readonly fullWindow: boolean;
      readonly minDifficultyAfterSeconds: number | null;
    }
  | {
      readonly kind: "dogecoin";
      readonly digishieldHeight: number;
      readonly digishieldTimespanSeconds: number;
      readonly minDifficultyAfterSeconds: number | null;
    };

export interface UtxoStatsModules {
  /** The target that compact bits stand for; null where they stand for none. */
  readonly targetOf: (bits: number) => bigint | null;
  /** Who mined a block, by its coinbase's input script (hex); null where it names nobody that is known. */
  readonly poolOf: (coinbaseScript: string) => string | null;
}

// --- EVM

/** What the rules of the next block look at. */
export interface FeeParent extends EvmDetail {
  readonly height: number;
  readonly timestamp: number;
}

export interface BlobMarket {
  readonly targetBlobs: number;
  readonly maxBlobs: number;
  /** Of a unit of blob gas, in this block and in the next. */
  readonly feeWei: bigint;
  readonly nextFeeWei: bigint;
}

export interface EvmStatsModules {
  /** Base fee of a child of `parent`; null where the chain says it by no such rule. */
  readonly nextBaseFee: (parent: FeeParent) => bigint | null;
  /** Gas above which the base fee rises; null where there is none. */
  readonly gasTarget: (block: FeeParent) => bigint | null;
  /** Null where the chain has no blob market. */
  readonly blobMarket: (block: FeeParent) => BlobMarket | null;
}

export interface EvmStatsOptions extends StatsOptions {
  /** Blocks of tips and congestion. Default 20. */
  readonly feeBlocks?: number;
  /** Blocks of contracts and intervals. Default 100. */
  readonly windowBlocks?: number;
  /** Newest pending transactions whose tips are looked at. Default 4,096. */
  readonly pendingSample?: number;
}

// --- Solana

export interface SvmStatsOptions extends StatsOptions {
  /** Newest blocks looked at. Default 150, a minute of them. */
  readonly windowBlocks?: number;
}

/** Of `getVoteAccounts`; at most 10,000 are looked at. */
export interface VoteSnapshot {
  readonly validators: readonly Validator[];
}

export interface Validator {
  /** Vote account, base58. */
  readonly vote: string;
  /** Identity of its node, base58. */
  readonly node: string;
  /** Lamports: more than a double holds. */
  readonly stakeLamports: bigint;
  readonly delinquent: boolean;
}

/** Of `getEpochInfo`. */
export interface EpochSnapshot {
  readonly epoch: number;
  readonly slotIndex: number;
  readonly slotsInEpoch: number;
  readonly absoluteSlot: number;
}
