/** A breaker as the control API shows it, and its policy in both spellings. */
import type { BreakerBody, PolicyBody, PolicyPatch, TransitionBody } from "../../shared/api.ts";
import type { Clock } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import { redactText } from "../../shared/redact.ts";
import type { BreakerPolicy, BreakerReport, BreakerTransition, Force } from "../breaker/index.ts";
import type { BreakerView, Configured, PolicyChanges } from "./modules.ts";
import { timeOf } from "./views.ts";

const POLICY_FIELDS = {
  failure_threshold: "failureThreshold",
  bad_rate: "badRate",
  false_open_budget: "falseOpenBudget",
  reset_timeout_ms: "resetTimeoutMs",
  first_open_ms: "firstOpenMs",
  backoff_multiplier: "backoffMultiplier",
  half_open_calls: "halfOpenCalls",
  slow_call_ms: "slowCallMs",
  slow_multiplier: "slowMultiplier",
  slow_floor_ms: "slowFloorMs",
  ramp_from_per_second: "rampFromPerSecond",
  abandon_ms: "abandonMs",
  adaptive: "adaptive",
  latency: "latency",
  health: "health",
  predictive: "predictive",
} as const satisfies Readonly<Record<keyof PolicyBody, keyof BreakerPolicy>>;

const FIELDS = Object.entries(POLICY_FIELDS) as readonly [keyof PolicyBody, keyof BreakerPolicy][];
const TOLD_AS = new Map<string, string>(FIELDS.map(([told, field]) => [field, told]));

export function policyBody(policy: BreakerPolicy): PolicyBody {
  return Object.fromEntries(FIELDS.map(([told, field]) => [told, policy[field]])) as PolicyBody;
}

/** What was left out stays out: it keeps its value. */
export function policyChanges(patch: PolicyPatch): PolicyChanges {
  return Object.fromEntries(
    FIELDS.filter(([told]) => patch[told] !== undefined).map(([told, field]) => [field, patch[told]]),
  );
}

/** A refusal of the breaker room in the words of the one who asked: its fields have other names there. */
export function policyFault(error: SprintError): SprintError {
  const told = (text: string): string => text.replace(/\w+/g, (word) => TOLD_AS.get(word) ?? word);
  const { field, expected } = error.data;
  const data = { ...error.data, part: "body", field: told(String(field)), expected: told(String(expected)) };
  return new SprintError(error.code, told(error.message), data, { cause: error });
}

export function changesBody({ changes }: Configured): Configured["changes"][number][] {
  return changes.map((change) => ({ ...change, key: TOLD_AS.get(change.key) ?? change.key }));
}

export function breakerBody({ tier, policy, report }: BreakerView, clock: Clock): BreakerBody {
  // Both are read once, so that two times of one answer are as far apart as they were.
  const offset = clock.wall() - clock.now();
  const { status, failureRateRange, nextAttemptAt, lastError } = report;
  return {
    name: report.name,
    tier,
    state: status.state,
    since: wallTime(report.since + offset),
    health: report.health,
    failure_rate: report.failureRate,
    failure_rate_range: { low: failureRateRange.low, high: failureRateRange.high },
    failure_threshold: report.failureThreshold,
    calls_per_false_open: finite(report.callsPerFalseOpen),
    slow_rate: report.slowRate,
    slow_from_ms: report.slowFromMs,
    rejection_rate: report.rejectionRate,
    latency_ms: { p50: report.latencyMs.p50, p95: report.latencyMs.p95, p99: report.latencyMs.p99 },
    trend: report.trend,
    rate_per_second: report.ratePerSecond,
    requests: report.requests,
    failures: report.failures,
    ignored: report.ignored,
    slow: report.slow,
    overdue: report.overdue,
    rejected: report.rejected,
    late: report.late,
    in_flight: report.inFlight,
    recovery_probability: report.recoveryProbability,
    next_attempt_at:
      nextAttemptAt === null || !Number.isFinite(nextAttemptAt) ? null : wallTime(nextAttemptAt + offset),
    last_error: lastError === null ? null : redactText(lastError),
    forced: "forced" in status ? forcedBody(status.force, offset) : null,
    half_open: halfOpenBody(status),
    policy: policyBody(policy),
  };
}

/** Its wall time is that of the transition, and what it says of later is reckoned from there. */
export function transitionBody(transition: BreakerTransition): TransitionBody {
  const { seq, breaker, from, to, at, wall, cause, forced, evidence } = transition;
  return {
    seq,
    breaker,
    from,
    to,
    at: wallTime(wall),
    monotonic_ms: at,
    cause,
    forced: forced === null ? null : forcedBody(forced, wall - at),
    evidence: {
      failures: evidence.failures,
      bad: evidence.bad,
      threshold: evidence.threshold,
      slow_from_ms: evidence.slowFromMs,
      in_flight: evidence.inFlight,
      rate_per_second: evidence.ratePerSecond,
      health: evidence.health,
      outage_ms: evidence.outageMs,
      probe_in_ms: evidence.probeInMs,
    },
  };
}

function halfOpenBody(status: BreakerReport["status"]): BreakerBody["half_open"] {
  if (status.state !== "half_open") return null;
  const { probes, permits, successes, ramp } = status;
  return { probes, permits, successes, ramp };
}

function forcedBody({ owner, reason, until }: Force, offset: number): NonNullable<BreakerBody["forced"]> {
  return { owner, reason: redactText(reason), until: until === null ? null : wallTime(until + offset) };
}

function wallTime(unixMs: number): string {
  return timeOf(Math.round(unixMs));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
