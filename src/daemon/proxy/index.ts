/** The JSON-RPC proxy of a chain. Owns which methods pass, which upstream is asked, and what is tried when it fails; does not own HTTP, nor what a block means. */
export { createRpcProxy } from "./proxy.ts";
export { methodsOf } from "./dialects.ts";
export { CLASSES, type MethodClass } from "./methods.ts";
export {
  openRpcUpstream,
  openSocketUpstream,
  type RpcUpstreamModules,
  type RpcUpstreamOptions,
  type SocketUpstreamOptions,
} from "./upstream.ts";
export {
  type AttemptTold,
  type Params,
  PROXY_DEFAULTS,
  type ProxyModules,
  type ProxyOptions,
  type RequestTold,
  type RpcProxy,
  type RpcReply,
  type RpcUpstream,
  type ServedChain,
} from "./types.ts";
export { ATTEMPT_WORDS } from "./verdict.ts";
