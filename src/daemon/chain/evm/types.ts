/** Parameters and rules of this family's networks. */
import type { Chain } from "../../../shared/chain.ts";

export interface EvmParams {
  readonly chain: Chain;
  readonly network: string;
  readonly chainId: bigint;
  /** Null where each start of its nodes makes another. */
  readonly genesisHash: string | null;
  readonly blockTimeSeconds: number;
  /** Depth at which a block counts as final where no node tells what is. */
  readonly finalityDepth: number;
  /** How far below the head a start takes up the chain. */
  readonly historyBlocks: number;
  /** How far a block's time may be ahead of ours; null where its nodes set clocks of their own. */
  readonly maxFutureSeconds: number | null;
  /** Time of block 0, where slots count from; null where time has no grid. */
  readonly slots: { readonly genesisTime: number; readonly seconds: number } | null;
  /** Rules at genesis, then what each fork changes, in the order in which they came. */
  readonly genesisRules: EvmRules;
  readonly forks: readonly EvmFork[];
}

/** Active from a block number or a timestamp on, or in blocks whose header has that many fields. */
export interface EvmFork {
  readonly name: string;
  readonly from: { readonly block: number } | { readonly time: number } | { readonly fields: number };
  readonly rules: Partial<EvmRules>;
}

/** What holds for one block. */
export interface EvmRules {
  readonly fork: string;
  /** How many fields its header has. */
  readonly headerFields: number;
  readonly extraDataBytes: { readonly min: number; readonly max: number };
  readonly difficulty: DifficultyRule;
  /** Whether a block may name ommers. */
  readonly ommers: boolean;
  /** Whether the nonce is zero. */
  readonly zeroNonce: boolean;
  /** The time against the parent's: later; not before; later by exactly so many seconds. */
  readonly time: "later" | "notBefore" | number;
  /** The gas limit may change by less than a 1/n of the parent's; null where something else sets it. */
  readonly gasLimitDivisor: bigint | null;
  readonly baseFee: BaseFeeRule | null;
  /** `list`: the root is over the withdrawals. `none`: there is none, and the root is that of an empty list. `storage`: OP's Isthmus. */
  readonly withdrawals: "list" | "none" | "storage" | null;
  readonly blobs: BlobRule | null;
  /** Types of transactions that may be in a block. */
  readonly transactionTypes: readonly number[];
  /** Whether the root of transactions is over the blobs too, which no block has: anvil keeps transactions as they were sent. */
  readonly blobsInRoot: boolean;
  /** EIP-7825 */
  readonly maxTransactionGas: bigint | null;
  /** EIP-7934, RLP */
  readonly maxBlockBytes: number | null;
}

export type DifficultyRule =
  /** Proof of work: follows from the parent, with the bomb delayed by so many blocks. The work itself is not proved. */
  | { readonly kind: "work"; readonly formula: "frontier" | "homestead" | "byzantium"; readonly bombDelay: number }
  | { readonly kind: "between"; readonly min: bigint; readonly max: bigint };

export type BaseFeeRule =
  /** EIP-1559 */
  | { readonly kind: "eip1559"; readonly denominator: bigint; readonly elasticity: bigint }
  /** The OP stack since Holocene: parameters in the parent's extraData, zeros for these. */
  | { readonly kind: "holocene"; readonly denominator: bigint; readonly elasticity: bigint }
  | { readonly kind: "zero" }
  /** Set by the chain's own contracts, or by who runs a development network; `usual` is EIP-1559's numbers where it mostly follows them. */
  | { readonly kind: "own"; readonly usual?: { readonly denominator: bigint; readonly elasticity: bigint } };

export type BlobRule =
  /** EIP-4844 with the numbers of EIP-7691 and EIP-7892; `reserve`: EIP-7918. */
  | {
      readonly kind: "market";
      readonly targetGas: bigint;
      readonly maxGas: bigint;
      readonly updateFraction: bigint;
      readonly reserve: boolean;
    }
  /** Blobs are counted; the excess follows from no parent. */
  | { readonly kind: "own" }
  /** The fields are there and zero. */
  | { readonly kind: "zero" }
  /** The OP stack since Jovian: blobGasUsed is the data footprint, excessBlobGas zero. */
  | { readonly kind: "footprint" };
