/** The door of the breaker room. */
export { createBreaker, type BreakerModules, type BreakerOptions } from "./breaker.ts";
export type { Breaker, BreakerSnapshot, BreakerState, Outcome, Transition } from "./types.ts";
