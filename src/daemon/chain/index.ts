/** The door of this room: the networks, their codecs, and the words both speak in. */
export { addressOf, type AddressPlace, scriptOf } from "./address.ts";
export {
  buildFilter,
  checkFilterHeaders,
  filterHash,
  filterHeader,
  filterHeaders,
  filterMatches,
  NO_FILTER_HEADER,
} from "./blockfilter.ts";
export { checkpointFrom } from "./checkpoints.ts";
export { codecFor } from "./codec.ts";
export { decodeHeader, encodeHeader, HEADER_BYTES, headerBytes, type HeaderFields } from "./header.ts";
export { findByGenesis, networksOf, paramsFor } from "./params.ts";
export { poolOf } from "./pools.ts";
export { readTransaction } from "./reading.ts";
export { type Branch, SCRIPT_KINDS, type ScriptKind, Wallet, type WalletOptions, type WalletPlace } from "./xpub.ts";
export type {
  Ancestor,
  AuxPow,
  AuxPowRules,
  Block,
  BlockRef,
  BodyFacts,
  BodyPlace,
  BodyVerdict,
  ChainCodec,
  Checkpoint,
  ForkChoice,
  Header,
  HeaderRules,
  NetworkParams,
  Refusal,
  RetargetRule,
  UtxoCodec,
  UtxoFacts,
  UtxoHeader,
} from "./types.ts";
export {
  checkSvmBlock,
  checkSvmLink,
  decodeSvmHeader,
  type SvmBlockOptions,
  type SvmFacts,
  type SvmHeader,
  type SvmVerdict,
} from "./svm/block.ts";
export { type SvmAnnounced, svmLocator, svmLocatorOf } from "./svm/announced.ts";
export { type SvmBodyFacts, type SvmCodec, svmCodecFor, type SvmCodecOptions } from "./svm/codec.ts";
export { type SvmParams, svmNetworks, svmParams } from "./svm/params.ts";
export { codecOf, networkNamesOf } from "./table.ts";
export { decodeBase58, decodeBase58Bounded, encodeBase58 } from "./svm/base58.ts";
export { verifyEd25519 } from "./svm/ed25519.ts";
export {
  accountKey,
  encodeMessage,
  type Instruction as SvmInstruction,
  type Message as SvmMessage,
} from "./svm/message.ts";
export { signatureRoot } from "./svm/poh.ts";
export { decodeTransaction, encodeTransaction, isVote, MAX_TRANSACTION_BYTES } from "./svm/transaction.ts";
export {
  checkEvmBlock,
  type EvmBlock,
  evmBlockFromJson,
  evmBlockFromRlp,
  type EvmFacts,
  evmReceiptsFromJson,
  evmReceiptsFromRlp,
  type EvmVerdict,
  isRlpBlock,
} from "./evm/block.ts";
export { type EvmCodec, evmCodecFor } from "./evm/codec.ts";
export { BLOOM_BYTES, BloomBits, bloomMayMatch, type LogFilter, mergeBloom } from "./evm/bloom.ts";
export { checkEthash, EthashCache, isEthash } from "./evm/ethash.ts";
export { decodeEvmHeader, type EvmHeader, evmHeaderFromJson } from "./evm/header.ts";
export { hexOf, openResponse, parseJson } from "./evm/json.ts";
export { keccak256 } from "./evm/keccak.ts";
export { checkLogs, logFilterFromJson, provedLogs } from "./evm/logs.ts";
export { evmNetworksOf, evmParamsFor, evmRulesAt } from "./evm/params.ts";
export {
  type AccountVerdict,
  checkAccountAnswer,
  EMPTY_CODE_HASH,
  type ProvedAccount,
  verifyAccountProof,
} from "./evm/proof.ts";
export type { EvmReceipt } from "./evm/receipt.ts";
export { encodeRlp, encodeRlpBytes, integerBytes, joinRlpList, readRlp, type RlpItem } from "./evm/rlp.ts";
export {
  baseFeeAfter,
  blobBaseFee,
  checkEvmContext,
  checkEvmFuture,
  checkEvmHeader,
  type EvmParent,
  excessBlobGasAfter,
  GAS_PER_BLOB,
  NO_OMMERS,
} from "./evm/rules.ts";
export { senderOf } from "./evm/sender.ts";
export type { EvmTransaction } from "./evm/transaction.ts";
export { EMPTY_TRIE_ROOT, orderedTrieRoot, trieProof, trieRoot } from "./evm/trie.ts";
export type { EvmParams, EvmRules } from "./evm/types.ts";
export { type ExecutionPoint, executionOfBlock } from "./beacon/block.ts";
export {
  type LightClientBootstrap,
  type LightClientMessages,
  type LightClientUpdate,
  readLightClient,
} from "./beacon/containers.ts";
export {
  checkLightClientUpdate,
  executionOf,
  type LightClientStore,
  type LightClientVerdict,
  rootOfHeader,
  startLightClient,
  storePeriod,
} from "./beacon/light-client.ts";
export { type BeaconParams, beaconParamsFor, isBeaconFork, periodAt, slotAt } from "./beacon/params.ts";
export { holdsSyncSignature, type SyncSignature } from "./beacon/signature.ts";
export { expandBits } from "./work.ts";
export { CHAIN_KIT, type ChainDefinition, type ChainKit, type ChainPlugin, PLUGIN_API } from "./kit.ts";
