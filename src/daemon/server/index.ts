/** The door of the edge: listeners of the tiers, the control API, and the sockets of every subscriber. */
export { createServer, type Addresses, type Server } from "./server.ts";
export type { Before, BlockRecord, BreakerView, ChainSnapshot, Resumed, RpcReply, ServerModules } from "./modules.ts";
export {
  type Adjustment,
  type ControlOptions,
  type ControlToken,
  FANOUT_DEFAULTS,
  type FanoutOptions,
  HTTP_LIMITS,
  type HttpLimits,
  type ServerOptions,
  SOCKET_LIMITS,
  type SocketLimits,
  SUBSCRIPTION_LIMITS,
  type SubscriptionLimits,
  type TierLimits,
  type TierOptions,
} from "./options.ts";
export type { ProcessStatus } from "./fanout.ts";
