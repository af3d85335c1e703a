/**
 * `[breakers.TIER]`: what a tier's breakers ask for, over the tier's row. The keys are those of the control API's policy; times are
 * durations ("15s") and so have no `_ms` in their names. The breaker room decides what holds together; here it gets its place.
 */
import { formatDuration } from "../../shared/cli.ts";
import { isSprintError } from "../../shared/errors.ts";
import { TIERS, type Tier } from "../../shared/tier.ts";
import { type BreakerPolicy, policyOf } from "../breaker/index.ts";
import {
  type Fields,
  type Place,
  type ReadFields,
  type Read,
  conflict,
  duration,
  flag,
  perTier,
  section,
  wrongValue,
} from "./values.ts";

const number: Read<number> = (value, place) => {
  const read = typeof value === "string" && /^\d{1,16}(\.\d{1,16})?$/.test(value) ? Number(value) : value;
  if (typeof read !== "number" || !Number.isFinite(read)) throw wrongValue(place, "a number", value);
  return read;
};

/** What stands where a policy's field does. */
const KEY_OF = {
  failureThreshold: "failure_threshold",
  badRate: "bad_rate",
  falseOpenBudget: "false_open_budget",
  resetTimeoutMs: "reset_timeout",
  firstOpenMs: "first_open",
  backoffMultiplier: "backoff_multiplier",
  halfOpenCalls: "half_open_calls",
  slowCallMs: "slow_call",
  slowMultiplier: "slow_multiplier",
  slowFloorMs: "slow_floor",
  rampFromPerSecond: "ramp_from_per_second",
  abandonMs: "abandon",
  adaptive: "adaptive",
  latency: "latency",
  health: "health",
  predictive: "predictive",
} as const satisfies Readonly<Record<keyof BreakerPolicy, string>>;

const FIELD_NAMES = Object.keys(KEY_OF) as (keyof BreakerPolicy)[];

const POLICY_FIELDS = {
  failure_threshold: number,
  bad_rate: number,
  false_open_budget: number,
  reset_timeout: duration,
  first_open: duration,
  backoff_multiplier: number,
  half_open_calls: number,
  slow_call: duration,
  slow_multiplier: number,
  slow_floor: duration,
  ramp_from_per_second: number,
  abandon: duration,
  adaptive: flag,
  latency: flag,
  health: flag,
  predictive: flag,
} satisfies Fields & Readonly<Record<(typeof KEY_OF)[keyof BreakerPolicy], Read<unknown>>>;

type FilePolicy = ReadFields<typeof POLICY_FIELDS>;
export type FileBreakers = Partial<Record<Tier, FilePolicy>>;

export const readBreakers: Read<FileBreakers> = perTier(section(POLICY_FIELDS));

/** Whole policies, the tier's row under what is written. Throws SPRINT_CONFIG_CONFLICT that names `source` and key. */
export function policiesOf(written: FileBreakers, source: string): Readonly<Record<Tier, BreakerPolicy>> {
  const policies = TIERS.map((tier) => [tier, policy(tier, written[tier] ?? {}, { source, key: `breakers.${tier}` })]);
  return Object.fromEntries(policies) as Record<Tier, BreakerPolicy>;
}

function policy(tier: Tier, written: FilePolicy, place: Place): BreakerPolicy {
  const changes = FIELD_NAMES.flatMap((field) => {
    const value = written[KEY_OF[field]];
    return value === undefined ? [] : [[field, value]];
  });
  try {
    return policyOf(tier, Object.fromEntries(changes) as Partial<BreakerPolicy>);
  } catch (error) {
    if (!isSprintError(error)) throw error;
    const field = error.data["field"] as keyof BreakerPolicy;
    const expected = inFileWords(String(error.data["expected"]), field);
    throw conflict({ ...place, key: `${place.key}.${KEY_OF[field]}` }, expected, inFile(field, error.data["actual"]));
  }
}

/** The policy under the file's own keys. */
export function documentOfPolicy(of: BreakerPolicy): Record<string, unknown> {
  return Object.fromEntries(FIELD_NAMES.map((field) => [KEY_OF[field], inFile(field, of[field])]));
}

function isTime(field: keyof BreakerPolicy): boolean {
  return field.endsWith("Ms");
}

function inFile(field: keyof BreakerPolicy, value: unknown): unknown {
  return isTime(field) && typeof value === "number" ? formatDuration(value) : value;
}

/** "at most resetTimeoutMs, 50" → "at most reset_timeout, 50ms" */
function inFileWords(sentence: string, field: keyof BreakerPolicy): string {
  const named = sentence.replace(/[a-zA-Z]+/g, (word) => KEY_OF[word as keyof BreakerPolicy] ?? word);
  if (!isTime(field)) return named;
  return named.replace(/\d+/g, (digits) => formatDuration(Number(digits))).replace("a number", "a duration");
}
