/** Connections to the nodes that we listen to. Owns dialling, watching, reconnecting and each protocol's requests; does not
 *  own what a block means, whether it is valid, or which upstream is to be believed. */
export type {
  AnnounceVia,
  Announcement,
  ChainPoint,
  Feed,
  FeedKind,
  FeedSink,
  FeedState,
  FeedStatus,
  FilterRange,
  FilterRun,
  MempoolFigures,
} from "./types.ts";
export { MAX_WATCHED } from "./types.ts";
export { FEED_DEFAULTS, type FeedModules, stallMsFor } from "./feed.ts";
export type { BackoffOptions } from "./backoff.ts";
export { P2P_DEFAULTS, createP2pFeed } from "./p2p.ts";
export type { P2pModules, P2pOptions } from "./p2p.ts";
export type { TransactionPool } from "./compact.ts";
export { createRpcFeed, RPC_DEFAULTS } from "./rpc.ts";
export type { RpcFeedModules, RpcFeedOptions } from "./rpc.ts";
export { createEvmFeed } from "./evm.ts";
export type { EvmFeedModules, EvmFeedOptions } from "./evm.ts";
export type { EvmNetwork } from "./evm-node.ts";
export { createZmqFeed } from "./zmq.ts";
export type { ZmqFeedModules, ZmqFeedOptions } from "./zmq.ts";
export type { SequenceGap } from "./zmq-sequence.ts";
export {
  type CallOptions,
  type RpcCaller,
  RpcClient,
  type RpcClientModules,
  type RpcClientOptions,
} from "./jsonrpc.ts";
export { RpcSocket, type RpcSocketModules, type RpcSocketOptions } from "./rpc-socket.ts";
export type { Notification } from "./rpc-socket-message.ts";
export { createSvmFeed, SVM_DEFAULTS, type SvmFeedModules, type SvmFeedOptions } from "./svm.ts";
export type { SvmFeedCodec } from "./svm-node.ts";
export type { PassedAnswer } from "./jsonrpc-answer.ts";
export { BEACON_DEFAULTS, createBeaconFeed } from "./beacon.ts";
export type { BeaconFeedModules, BeaconFeedOptions } from "./beacon.ts";
export { type BesideOptions, openCallerBeside, type OpenCaller } from "./caller-beside.ts";
export { parseUpstreamUrl, rpcOrigin, wsUrl } from "./url.ts";
export type {
  P2pAddress,
  RpcAddress,
  RpcAuth,
  RpcUpstreamAddress,
  UpstreamAddress,
  WsAddress,
  ZmqAddress,
} from "./url.ts";
export { PEER_SET_DEFAULTS, PeerSet } from "./peers.ts";
export type { PeerSetModules, PeerSetOptions, PeerStatus } from "./peers.ts";
