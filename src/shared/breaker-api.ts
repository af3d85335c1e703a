/** What the control API tells of a breaker, and takes for one. */
import { type Static, type TNull, type TOptional, type TUnion, Type } from "typebox";
import { oneOf, orNull, strict, TierName, Time } from "./schema.ts";

export const BREAKER_STATES = ["closed", "open", "half_open", "force_open", "force_close"] as const;
const BreakerState = oneOf(BREAKER_STATES, "force_open beats force_close beats the automatic states");

const Share = Type.Number({ minimum: 0, maximum: 1 });

export const ForcedBody = Type.Object({
  owner: Type.String({ description: "name of the token that asked for it" }),
  reason: Type.String(),
  until: orNull(Type.String({ format: "date-time", description: "null: until reset" })),
});

/** Of a breaker; docs/breaker.md says what each does. Rates 0-1, times in ms. */
const policyFields = {
  failure_threshold: Type.Integer({ minimum: 1, maximum: 1_000 }),
  bad_rate: Type.Number({ minimum: 0.05, maximum: 0.95 }),
  false_open_budget: Type.Number({ minimum: 100, maximum: 1e12 }),
  reset_timeout_ms: Type.Number({ minimum: 1, maximum: 86_400_000 }),
  first_open_ms: Type.Number({ minimum: 1, maximum: 86_400_000 }),
  backoff_multiplier: Type.Number({ minimum: 1.5, maximum: 2 }),
  half_open_calls: Type.Integer({ minimum: 1, maximum: 1_000 }),
  slow_call_ms: Type.Number({ minimum: 1, maximum: 86_400_000 }),
  slow_multiplier: Type.Number({ minimum: 1.1, maximum: 1_000 }),
  slow_floor_ms: Type.Number({ minimum: 0, maximum: 86_400_000 }),
  ramp_from_per_second: Type.Number({ minimum: 1, maximum: 1e9 }),
  abandon_ms: Type.Number({ minimum: 1, maximum: 86_400_000 }),
  adaptive: Type.Boolean(),
  latency: Type.Boolean(),
  health: Type.Boolean(),
  predictive: Type.Boolean(),
};

export const PolicyBody = Type.Object(policyFields);
export type PolicyBody = Static<typeof PolicyBody>;

/** PATCH of a breaker's configuration: any of the policy's fields, applied whole or not at all. */
const patchFields = Object.fromEntries(
  Object.entries(policyFields).map(([key, field]) => [key, Type.Optional(orNull(field))]),
) as { [K in keyof typeof policyFields]: TOptional<TUnion<[(typeof policyFields)[K], TNull]>> };

export const PolicyPatch = Type.Object(patchFields, {
  ...strict,
  minProperties: 1,
  description: "null takes back what was set before",
});
export type PolicyPatch = Static<typeof PolicyPatch>;

export const BreakerBody = Type.Object({
  name: Type.String({ description: "what it guards: upstream:litecoin:ltc-1" }),
  tier: TierName,
  state: BreakerState,
  since: Time,
  health: Share,
  failure_rate: orNull(Type.Number({ description: "of the last five minutes, null without calls" })),
  failure_rate_range: Type.Object({ low: Share, high: Share }, { description: "Wilson, 95 %" }),
  failure_threshold: Type.Number({ description: "evidence that opens, in bad calls, after adaptation" }),
  calls_per_false_open: orNull(
    Type.Number({ description: "one false open in so many calls; null: practically never" }),
  ),
  slow_rate: orNull(Type.Number()),
  slow_from_ms: Type.Number({ description: "a call is slow from here on" }),
  rejection_rate: orNull(Type.Number({ description: "of all who asked" })),
  latency_ms: Type.Object({ p50: orNull(Type.Number()), p95: orNull(Type.Number()), p99: orNull(Type.Number()) }),
  trend: Type.Number({ description: "failure rate of the last minute minus that of the four before" }),
  rate_per_second: Type.Number(),
  requests: Type.Integer({ description: "admitted, of all time" }),
  failures: Type.Integer(),
  ignored: Type.Integer({ description: "neither success nor failure; in no rate" }),
  slow: Type.Integer(),
  overdue: Type.Integer({ description: "calls that were out longer than slow, counted before they ended" }),
  rejected: Type.Integer(),
  late: Type.Integer({ description: "results of an earlier state; they judged nothing" }),
  in_flight: Type.Integer(),
  recovery_probability: Share,
  next_attempt_at: orNull(Time),
  last_error: orNull(Type.String()),
  forced: orNull(ForcedBody),
  half_open: orNull(
    Type.Object({
      probes: Type.Integer(),
      permits: Type.Integer(),
      successes: Type.Integer(),
      ramp: orNull(Type.Number({ description: "share of callers admitted; null while probing" })),
    }),
  ),
  policy: PolicyBody,
});
export type BreakerBody = Static<typeof BreakerBody>;

export const BreakersBody = Type.Object({ breakers: Type.Array(BreakerBody) });
export type BreakersBody = Static<typeof BreakersBody>;

export const TransitionBody = Type.Object({
  seq: Type.Integer({ description: "counts up by one over all breakers: a gap is a lost event" }),
  breaker: Type.String(),
  from: BreakerState,
  to: BreakerState,
  at: Time,
  monotonic_ms: Type.Number(),
  cause: Type.String({ description: "evidence, latency, health, period_over, probe_failed, recovered, force_open, …" }),
  forced: orNull(ForcedBody),
  evidence: Type.Object({
    failures: Type.Number(),
    bad: Type.Number(),
    threshold: Type.Number(),
    slow_from_ms: Type.Number(),
    in_flight: Type.Integer(),
    rate_per_second: Type.Number(),
    health: Type.Number(),
    outage_ms: Type.Number(),
    probe_in_ms: Type.Number(),
  }),
});
export type TransitionBody = Static<typeof TransitionBody>;

export const HistoryQuery = Type.Object(
  { last: Type.Integer({ minimum: 1, maximum: 256, default: 50, description: "so many transitions" }) },
  strict,
);

export const HistoryBody = Type.Object({
  name: Type.String(),
  transitions: Type.Array(TransitionBody, { description: "newest first" }),
});
export type HistoryBody = Static<typeof HistoryBody>;

export const ForceBody = Type.Object(
  {
    reason: Type.String({ minLength: 1, maxLength: 200, default: "operator", description: "why, for others to read" }),
    for_ms: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 40, description: "until reset where absent" })),
  },
  strict,
);
export type ForceBody = Static<typeof ForceBody>;

export const ChangeBody = Type.Object({
  key: Type.String({ description: "as the file names it: chains.litecoin.upstreams" }),
  from: Type.Unknown(),
  to: Type.Unknown(),
  restart: Type.Boolean({ description: "true: takes effect only at the next start" }),
});
export type ChangeBody = Static<typeof ChangeBody>;

export const BreakerConfigBody = Type.Object({ breaker: BreakerBody, changes: Type.Array(ChangeBody) });
export type BreakerConfigBody = Static<typeof BreakerConfigBody>;
