/** What a breaker tells of itself. Times are monotonic ms. */
import type { Interval } from "./evidence.ts";
import type { BreakerStatus } from "./machine.ts";
import type { PredictorRecord } from "./predictor.ts";

export interface BreakerReport {
  readonly name: string;
  readonly handle: number;
  readonly status: BreakerStatus;
  readonly since: number;
  /** 0-1. */
  readonly health: number;
  /** Rates and latencies are of the last five minutes; null without calls. */
  readonly failureRate: number | null;
  /** Wilson, 95 %. */
  readonly failureRateRange: Interval;
  /** After adaptation. */
  readonly failureThreshold: number;
  /** One false open in so many calls, at the rate of bad calls that is normal here, 1 % at least. */
  readonly callsPerFalseOpen: number;
  /** The rate of bad calls up to which the policy's `falseOpenBudget` holds. */
  readonly toleratedRate: number;
  readonly slowRate: number | null;
  /** A call is slow from here on. */
  readonly slowFromMs: number;
  /** Of all who asked. */
  readonly rejectionRate: number | null;
  readonly latencyMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };
  /** Failure rate of the last minute minus that of the four before. */
  readonly trend: number;
  readonly ratePerSecond: number;
  /** Totals count admitted calls of all time and wrap at 2^32. */
  readonly requests: number;
  readonly successes: number;
  readonly failures: number;
  readonly ignored: number;
  readonly slow: number;
  readonly overdue: number;
  readonly rejected: number;
  /** Results that came after the state they were asked in; they judged nothing. */
  readonly late: number;
  readonly inFlight: number;
  /** 1 unless open. */
  readonly recoveryProbability: number;
  readonly nextAttemptAt: number | null;
  readonly lastError: string | null;
  readonly predictor: PredictorRecord | null;
}
