/**
 * Algorithm 6, state management: the whole machine is this table. A pair that is not in it is no transition.
 *
 *   closed       everything passes, evidence is gathered
 *   open         nothing passes until the probe is due
 *   half_open    probes: one in flight, one more with each success, up to the tier's permits; then, where traffic is dense, a ramp of admission
 *   force_open   an operator keeps it shut; force_close: an operator keeps it passing. Both record, neither judges
 *
 * Force-open beats force-close beats automatic: while both are held the breaker is force_open, and falls to force_close when that ends.
 * Out of force_open it goes to half_open, not closed: nobody knows how the upstream is.
 */
export type BreakerCondition = "closed" | "open" | "half_open" | "force_open" | "force_close";

export type TransitionCause =
  | "evidence"
  | "latency"
  | "health"
  | "period_over"
  | "probe_failed"
  | "probe_overdue"
  | "ramp_failed"
  | "recovered"
  | "reset"
  | "force_open"
  | "force_close"
  | "released"
  | "released_to_force_close"
  | "restored_open"
  | "restored_half_open";

export const TRANSITIONS: Readonly<
  Record<BreakerCondition, Readonly<Partial<Record<TransitionCause, BreakerCondition>>>>
> = {
  closed: {
    evidence: "open",
    latency: "open",
    health: "open",
    force_open: "force_open",
    force_close: "force_close",
    restored_open: "open",
    restored_half_open: "half_open",
  },
  open: { period_over: "half_open", reset: "closed", force_open: "force_open", force_close: "force_close" },
  half_open: {
    probe_failed: "open",
    probe_overdue: "open",
    ramp_failed: "open",
    recovered: "closed",
    reset: "closed",
    force_open: "force_open",
    force_close: "force_close",
  },
  force_open: { released: "half_open", released_to_force_close: "force_close", reset: "closed" },
  force_close: { released: "closed", force_open: "force_open", reset: "closed" },
};

/** Numbers of the states in the columns. */
export const CLOSED = 0;
export const OPEN = 1;
export const HALF_OPEN = 2;
export const FORCE_OPEN = 3;
export const FORCE_CLOSE = 4;
export const CONDITIONS: readonly BreakerCondition[] = ["closed", "open", "half_open", "force_open", "force_close"];

export interface Force {
  readonly owner: string;
  readonly reason: string;
  /** Monotonic ms; null: until it is released. */
  readonly until: number | null;
}

/** What a breaker is now: each state holds its own data and no other's. */
export type BreakerStatus =
  | { readonly state: "closed"; readonly evidence: number; readonly threshold: number }
  | {
      readonly state: "open";
      readonly probeAt: number;
      readonly openings: number;
      readonly recoveryProbability: number;
    }
  | {
      readonly state: "half_open";
      readonly probes: number;
      readonly permits: number;
      readonly successes: number;
      /** Share of callers admitted; null while probing. */
      readonly ramp: number | null;
    }
  | { readonly state: "force_open" | "force_close"; readonly forced: true; readonly force: Force };

export interface BreakerTransition {
  /** Counts up by one in each pool: a gap is a lost event. */
  readonly seq: number;
  readonly breaker: string;
  readonly handle: number;
  readonly from: BreakerCondition;
  readonly to: BreakerCondition;
  /** Monotonic ms. */
  readonly at: number;
  /** Unix ms. */
  readonly wall: number;
  readonly cause: TransitionCause;
  readonly forced: Force | null;
  readonly evidence: TransitionEvidence;
}

/** What was known when it happened. */
export interface TransitionEvidence {
  /** S of failures and S of all that was bad, `evidence.ts`, and what was asked for. */
  readonly failures: number;
  readonly bad: number;
  readonly threshold: number;
  readonly slowFromMs: number;
  readonly inFlight: number;
  readonly ratePerSecond: number;
  readonly health: number;
  /** Since the first bad call of the outage. */
  readonly outageMs: number;
  /** Until the next probe; 0 where it is not open. */
  readonly probeInMs: number;
}
