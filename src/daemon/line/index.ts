/** The door of the line: one chain's working parts put together, and the chains there are as rows. Owns the order of a block's steps, whose fault a refusal
 *  is, gaps, bodies, which head counts; what is known of the chain, its watch lists, mempool and stats. Does not own the steps, nor any other chain. */
export {
  BUILT_IN_ROWS,
  type ChainRow,
  type ListenModules,
  type ListenOptions,
  type OpenChain,
  openEvm,
  openSvm,
  openUtxo,
} from "./chains.ts";
export {
  type ChainLine,
  type ChainLineModules,
  cordonOf,
  createChainLine,
  type LineBreakers,
  type LineOrders,
} from "./line.ts";
export { matchesOf } from "./matches.ts";
export { describeTrouble } from "./pipeline.ts";
export { createSnapshots } from "./snapshots.ts";
export { statsOf } from "./statistics.ts";
