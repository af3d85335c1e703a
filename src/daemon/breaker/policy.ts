/**
 * Algorithm 7, tier policies: one engine, three rows. What a tier buys is how much evidence the breaker asks for (3, 10, 20), how long
 * it may stay away (2 min, 30 s, 15 s), how many probes it sends, and whether it adapts and predicts.
 *
 * FREE is conservative: three calls are evidence enough, so that it tolerates only a low rate of errors (see `evidence.ts`), and what
 * it holds for normal never moves. BUSINESS adapts to the errors that are normal for its upstream. ENTERPRISE also predicts.
 */
import { SprintError } from "../../shared/errors.ts";
import { TIER, type Tier, type TierRow } from "../../shared/tier.ts";

export interface BreakerPolicy {
  /** Bad calls in a row that open it, before adaptation; the base evidence. 1 or more. */
  readonly failureThreshold: number;
  /** The rate of bad calls that it must find, 0-1. */
  readonly badRate: number;
  /** One false open in so many calls is accepted. With `failureThreshold` it decides which rate of errors is tolerated. */
  readonly falseOpenBudget: number;
  /** Longest open period. */
  readonly resetTimeoutMs: number;
  /** Shortest open period; the first one is near it. At most `resetTimeoutMs`. */
  readonly firstOpenMs: number;
  /** Growth of the open period from one failed round of probes to the next, 1.5-2. */
  readonly backoffMultiplier: number;
  /** Probes in flight while half-open, and good probes that end it. 1 or more. */
  readonly halfOpenCalls: number;
  /** A call of this length is slow, whatever is usual. */
  readonly slowCallMs: number;
  /** A call of so many times the baseline is slow, more than 1. */
  readonly slowMultiplier: number;
  /** No call is slow below this, whatever the baseline: a pause of our own process is not the upstream's fault. */
  readonly slowFloorMs: number;
  /** Evidence asked for moves between 0.5 and 2 times the base with what is normal for this upstream. */
  readonly adaptive: boolean;
  /** Slow and overdue calls are learnt from a baseline and may open it; without, `slowCallMs` alone says what is slow. */
  readonly latency: boolean;
  /** A health score below 0.5 opens early. */
  readonly health: boolean;
  /** A failure predictor may shorten detection. Needs `adaptive`. */
  readonly predictive: boolean;
  /** Calls a second from which on traffic is dense: recovery is a ramp of admission, and after an outage two bad calls in a row are not enough. */
  readonly rampFromPerSecond: number;
  /** A call without result for so long is given up: its permit returns. */
  readonly abandonMs: number;
}

const SHARED = {
  badRate: 0.6,
  falseOpenBudget: 1_000_000,
  firstOpenMs: 100,
  slowMultiplier: 4,
  slowFloorMs: 10,
  rampFromPerSecond: 30,
  abandonMs: 600_000,
};

const SWITCHES = ["adaptive", "latency", "health", "predictive"] as const;
type Switch = (typeof SWITCHES)[number];

const OWN: Readonly<Record<Tier, Pick<BreakerPolicy, "backoffMultiplier" | Switch>>> = {
  FREE: { backoffMultiplier: 2, adaptive: false, latency: true, health: false, predictive: false },
  BUSINESS: { backoffMultiplier: 1.75, adaptive: true, latency: true, health: true, predictive: false },
  ENTERPRISE: { backoffMultiplier: 1.5, adaptive: true, latency: true, health: true, predictive: true },
};

/** The row of a tier, with `changes` over it. Throws SPRINT_BREAKER_OPTIONS that names field, expected and actual. */
export function policyOf(tier: Tier, changes: Partial<BreakerPolicy> = {}): BreakerPolicy {
  return checkPolicy({ ...rowOf(TIER[tier].breaker), ...SHARED, ...OWN[tier], ...changes });
}

function rowOf(row: TierRow["breaker"]): TierRow["breaker"] {
  const { failureThreshold, resetTimeoutMs, halfOpenCalls, slowCallMs } = row;
  return { failureThreshold, resetTimeoutMs, halfOpenCalls, slowCallMs };
}

type Limits = readonly [least: number, most: number, whole: boolean];

const LIMITS: Readonly<Record<Exclude<keyof BreakerPolicy, Switch>, Limits>> = {
  failureThreshold: [1, 1_000, true],
  badRate: [0.05, 0.95, false],
  falseOpenBudget: [100, 1e12, false],
  resetTimeoutMs: [1, 86_400_000, false],
  firstOpenMs: [1, 86_400_000, false],
  backoffMultiplier: [1.5, 2, false],
  halfOpenCalls: [1, 1_000, true],
  slowCallMs: [1, 86_400_000, false],
  slowMultiplier: [1.1, 1_000, false],
  slowFloorMs: [0, 86_400_000, false],
  rampFromPerSecond: [1, 1e9, false],
  abandonMs: [1, 86_400_000, false],
};

/** Gives `policy` back frozen, without what is no field of a policy; throws SPRINT_BREAKER_OPTIONS on the first field that is wrong. */
export function checkPolicy(policy: BreakerPolicy): BreakerPolicy {
  for (const field of Object.keys(policy)) {
    if (field in LIMITS || (SWITCHES as readonly string[]).includes(field)) continue;
    throw wrong(field, `one of ${[...Object.keys(LIMITS), ...SWITCHES].join(", ")}`, field);
  }
  for (const [field, [least, most, whole]] of Object.entries(LIMITS)) {
    const actual: unknown = policy[field as keyof typeof LIMITS];
    const ok = typeof actual === "number" && actual >= least && actual <= most && (!whole || Number.isInteger(actual));
    if (!ok) throw wrong(field, `a ${whole ? "whole " : ""}number from ${least} to ${most}`, actual);
  }
  for (const field of SWITCHES) {
    if (typeof policy[field] !== "boolean") throw wrong(field, "true or false", policy[field]);
  }
  const { firstOpenMs, resetTimeoutMs, slowFloorMs, slowCallMs, abandonMs, predictive, adaptive } = policy;
  if (firstOpenMs > resetTimeoutMs)
    throw wrong("firstOpenMs", `at most resetTimeoutMs, ${resetTimeoutMs}`, firstOpenMs);
  if (slowFloorMs > slowCallMs) throw wrong("slowFloorMs", `at most slowCallMs, ${slowCallMs}`, slowFloorMs);
  if (abandonMs < slowCallMs) throw wrong("abandonMs", `at least slowCallMs, ${slowCallMs}`, abandonMs);
  if (predictive && !adaptive) throw wrong("predictive", "false where adaptive is false", predictive);
  return Object.freeze({ ...policy });
}

function wrong(field: string, expected: string, actual: unknown): SprintError {
  return new SprintError(
    "SPRINT_BREAKER_OPTIONS",
    `breaker: expected ${field} to be ${expected}, got ${String(actual)}`,
    { field, expected, actual },
  );
}
