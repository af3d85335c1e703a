/** The door of this room: the networks, their codecs, and the words both speak in. */
export { checkpointFrom } from "./checkpoints.ts";
export { codecFor } from "./codec.ts";
export { decodeHeader, encodeHeader, HEADER_BYTES, headerBytes, type HeaderFields } from "./header.ts";
export { findByGenesis, networksOf, paramsFor } from "./params.ts";
export type {
  Ancestor,
  AuxPow,
  AuxPowRules,
  Block,
  BlockRef,
  BodyFacts,
  BodyVerdict,
  ChainCodec,
  Checkpoint,
  Header,
  HeaderRules,
  NetworkParams,
  Refusal,
  RetargetRule,
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
export { SVM_NETWORKS, type SvmParams, svmParams } from "./svm/params.ts";
