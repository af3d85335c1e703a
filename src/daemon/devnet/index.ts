/** Embedded regtest nodes. Owns mining, the blocks it mined, and serving them over P2P and JSON-RPC; does not own validation: nobody here checks
 *  anything, and the relay learns of these nodes by their address like of any other. */
export { DEVNET_CHAINS, DEVNET_DEFAULTS, startDevnet } from "./devnet.ts";
export type { Devnet, DevnetModules, DevnetOptions } from "./devnet.ts";
export { DEVNET_NODE_DEFAULTS, DevnetNode } from "./node.ts";
export type { DevnetNodeModules, DevnetNodeOptions, DevnetSeen } from "./node.ts";
export { LIES } from "./lies.ts";
export type { Lie } from "./lies.ts";
export { SVM_DEVNET_NODE_DEFAULTS, SvmDevnetNode } from "./svm-node.ts";
export type { SvmDevnetNodeModules, SvmDevnetNodeOptions, SvmSlotRef } from "./svm-node.ts";
export { SVM_LIES } from "./svm-lies.ts";
export type { SvmLie } from "./svm-lies.ts";
export { openEvmDevnet } from "./evm-devnet.ts";
export type { EvmDevnetChoice, EvmDevnetModules } from "./evm-devnet.ts";
export { findAnvil } from "./evm-process.ts";
export { EVM_DEVNET_CHAIN_ID, EVM_DEVNET_DEFAULTS } from "./evm-node.ts";
export type { EvmDevnetNode, EvmDevnetOptions } from "./evm-node.ts";
export { EvmEmbeddedNode } from "./evm-embedded.ts";
export { EVM_LIES } from "./evm-lies.ts";
export type { EvmLie } from "./evm-lies.ts";
