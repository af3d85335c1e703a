/** The small numbers of the call path: outcomes, and why a caller was turned away. */
export const SUCCESS = 0;
export const FAILURE = 1;
export const IGNORED = 2;
export type OutcomeCode = typeof SUCCESS | typeof FAILURE | typeof IGNORED;

export const REJECT_OPEN = -1;
/** Half-open, and its permits are out. */
export const REJECT_PROBES = -2;
/** Half-open, and not of the share that is admitted. */
export const REJECT_RAMP = -3;
export const REJECT_FORCED = -4;
/** As many calls are out as a pool can hold. */
export const REJECT_FULL = -5;
/** No such breaker, or one that was evicted. */
export const REJECT_UNKNOWN = -6;
/** `now` is no finite number. */
export const REJECT_CLOCK = -7;
