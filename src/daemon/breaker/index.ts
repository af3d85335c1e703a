/** The door of the breaker room. */
export { type Breaker, breakerOf } from "./breaker.ts";
export {
  failureOutcome,
  httpOutcome,
  httpStatusOutcome,
  jsonRpcOutcome,
  socketOutcome,
  sqlOutcome,
} from "./classify.ts";
export * from "./codes.ts";
export type { Interval } from "./evidence.ts";
export type { ForceBy } from "./force.ts";
export { BINS, binOf, quantileOf } from "./histogram.ts";
export {
  TRANSITIONS,
  type BreakerCondition,
  type BreakerStatus,
  type BreakerTransition,
  type Force,
  type TransitionCause,
  type TransitionEvidence,
} from "./machine.ts";
export { checkPolicy, policyOf, type BreakerPolicy } from "./policy.ts";
export { BreakerPool, POOL_DEFAULTS, type PoolModules, type PoolOptions } from "./pool.ts";
export type { PredictorRecord } from "./predictor.ts";
export type { BreakerReport } from "./report.ts";
export { BreakerRejection, Guard, type GuardModules, type RunOptions } from "./run.ts";
export type { SavedBreaker } from "./saved.ts";
