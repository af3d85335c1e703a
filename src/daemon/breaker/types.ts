/** The words of this room. Synchronous admission: ask, do, tell. The breaker has no opinion on errors; its caller classifies. */

export type BreakerState = "closed" | "open" | "half_open";
/** `ignored` is neither success nor failure and never in a denominator. */
export type Outcome = "success" | "failure" | "ignored";

export interface Transition {
  readonly breaker: string;
  readonly from: BreakerState;
  readonly to: BreakerState;
  /** Monotonic ms. */
  readonly at: number;
  readonly cause: string;
}

export interface BreakerSnapshot {
  readonly name: string;
  readonly state: BreakerState;
  readonly failures: number;
  readonly requests: number;
  readonly rejected: number;
  /** Monotonic ms at which a probe is let through, null while closed. */
  readonly nextAttemptAt: number | null;
  readonly lastError: string | null;
}

export interface Breaker {
  readonly name: string;
  /** A permit (> 0), or 0: rejected. */
  tryAcquire(now: number): number;
  onResult(permit: number, outcome: Outcome, now: number, error?: string): void;
  snapshot(now: number): BreakerSnapshot;
}
