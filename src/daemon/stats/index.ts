/** The door of the stats: blocks, pending transactions and snapshots in, what a chain's users watch out. */
export { EvmStats } from "./evm.ts";
export { SvmStats } from "./svm.ts";
export type {
  BlobMarket,
  ChainStats,
  EpochSnapshot,
  EvmStatsModules,
  EvmStatsOptions,
  FeeParent,
  MempoolSnapshot,
  Retarget,
  StatsOptions,
  SvmStatsOptions,
  UtxoStatsModules,
  UtxoStatsOptions,
  Validator,
  VoteSnapshot,
} from "./types.ts";
export { UtxoStats } from "./utxo.ts";
