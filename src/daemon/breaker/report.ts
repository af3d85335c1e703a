/** What a breaker tells of itself. Times are monotonic ms. */
import {
  BAD_EVIDENCE,
  COUNTS,
  FAILED,
  IGNORED_CALLS,
  LATE,
  REJECTED,
  SLOW,
  SLOW_FROM,
  STATE,
  SUCCEEDED,
  TAG,
  THRESHOLD,
  TIMES,
  WAKE_AT,
} from "./columns.ts";
import type { Engine } from "./engine.ts";
import { type EvidenceRule, type Interval, callsPerFalseOpen, wilson } from "./evidence.ts";
import type { Forces } from "./force.ts";
import { type BreakerStatus, CONDITIONS } from "./machine.ts";
import type { PredictorRecord } from "./predictor.ts";
import { recoveryProbability } from "./recovery.ts";

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

/** A healthy upstream's errors, for the false-open figure of one that had none yet. */
const FEW_ERRORS = 0.01;

export function reportOf(
  name: string,
  engine: Engine,
  row: number,
  forces: Forces,
  rule: EvidenceRule,
  now: number,
): BreakerReport {
  const c = engine.columns;
  const total = (which: number): number => (c.counts[row * COUNTS + which] as number) >>> 0;
  const time = (which: number): number => c.times[row * TIMES + which] as number;
  const detail = engine.details[row] ?? null;
  const stats = detail?.window.stats() ?? null;
  const status = statusOf(engine, row, forces, now);
  const usual = Math.max(detail?.adaptive.normalRate() ?? 0, FEW_ERRORS);
  return {
    name,
    handle: c.counts[row * COUNTS + TAG] as number,
    status,
    since: c.since[row] as number,
    health: c.health[row] as number,
    failureRate: stats?.failureRate ?? null,
    failureRateRange: wilson((stats?.failureRate ?? 0) * (stats?.requests ?? 0), stats?.requests ?? 0),
    failureThreshold: time(THRESHOLD),
    callsPerFalseOpen: callsPerFalseOpen(usual, time(THRESHOLD), rule.relief),
    toleratedRate: rule.toleratedRate,
    slowRate: stats?.slowRate ?? null,
    slowFromMs: time(SLOW_FROM),
    rejectionRate: stats?.rejectionRate ?? null,
    latencyMs: stats?.latencyMs ?? { p50: null, p95: null, p99: null },
    trend: stats?.trend ?? 0,
    ratePerSecond: c.rate[row] as number,
    requests: engine.requests(row),
    successes: total(SUCCEEDED),
    failures: total(FAILED),
    ignored: total(IGNORED_CALLS),
    slow: total(SLOW),
    overdue: c.overdue[row] as number,
    rejected: total(REJECTED),
    late: total(LATE),
    inFlight: engine.inFlight(row),
    recoveryProbability: status.state === "open" ? status.recoveryProbability : 1,
    nextAttemptAt: status.state === "open" ? status.probeAt : null,
    lastError: detail?.lastError ?? null,
    predictor: detail?.predictor?.record() ?? null,
  };
}

function statusOf(engine: Engine, row: number, forces: Forces, now: number): BreakerStatus {
  const c = engine.columns;
  const time = (which: number): number => c.times[row * TIMES + which] as number;
  const state = CONDITIONS[c.counts[row * COUNTS + STATE] as number] ?? "closed";
  switch (state) {
    case "closed":
      return { state, evidence: time(BAD_EVIDENCE), threshold: time(THRESHOLD) };
    case "open": {
      const recovery = {
        sinceMs: now - (c.since[row] as number),
        failures: time(THRESHOLD),
        health: c.health[row] as number,
        periodMs: Math.max(1, c.openMs[row] as number),
      };
      return {
        state,
        probeAt: time(WAKE_AT),
        openings: c.openings[row] as number,
        recoveryProbability: recoveryProbability(recovery),
      };
    }
    case "half_open": {
      const [probes, successes] = [c.probes[row] as number, c.successes[row] as number];
      return { state, probes, permits: engine.permits(row), successes, ramp: engine.rampShare(row) };
    }
    default: {
      const force = forces.of(row, state === "force_open" ? "open" : "close");
      return { state, forced: true, force: force ?? { owner: "unknown", reason: "", until: null } };
    }
  }
}
