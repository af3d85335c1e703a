/**
 * Algorithm 8, recovery probability, and the spacing of probes.
 *
 *     P(t) = (1 − ½·e^(−t/τ)) · 0.8^(F·e^(−t/τ)) · (0.8 + 0.2·health)          a probe is tried when P ≥ ½
 *
 * t: time since the last failure; F: failures of this outage, at most 20; τ: a third of the open period that the backoff drew, so that the
 * two agree. Read literally, 0.8^failures without decay is 0.41 after four failures and stays there: no probe would ever be tried.
 *
 * Spacing. A probe costs one bad call, a late discovery of the upstream's return costs the good calls until then. For an outage of age A the chance
 * that it ends in the next instant is about 1/A (old outages last), so with `rate` callers a second a spacing r costs per second 1/r bad calls plus
 * rate·r/(2A) good ones; their sum is least at
 *
 *     r = √(2·A / rate)          100 calls a second: 0.45 s after 10 s, 1.1 s after a minute; 3 a second: 2.6 s, 6.3 s
 *
 * so that probes follow outage age and how often callers come, as an exponential backoff with a fixed cap does not.
 */
const MOST_FAILURES = 20;
const PROBE_FROM = 0.5;
/** How long outages are, where none was seen. */
const USUAL_OUTAGE_MS = Number(process.env.YOUNG ?? 5_000);
const BRIEF_OUTAGE_MS = 1_000;
/** Healthy time in which half of the suspicion goes. */
const SUSPICION_HALVING_MS = Number(process.env.HALV ?? 60_000);
const RELAPSE_MIX = Number(process.env.MIX ?? 0.3);
const RELAPSE_SHARE = Number(process.env.RELAPSE ?? 0.3);

export interface RecoveryInput {
  /** Since the last failure. */
  readonly sinceMs: number;
  /** Failures of this outage. */
  readonly failures: number;
  readonly health: number;
  /** The open period that was drawn. */
  readonly periodMs: number;
}

export function recoveryProbability({ sinceMs, failures, health, periodMs }: RecoveryInput): number {
  const left = Math.exp((-3 * Math.max(0, sinceMs)) / Math.max(1, periodMs));
  return (1 - 0.5 * left) * 0.8 ** (Math.min(MOST_FAILURES, failures) * left) * (0.8 + 0.2 * health);
}

/** Time after the last failure from which on a probe is tried: the drawn period, or later where P says so. P grows with time, so bisection finds it. */
export function probeAfterMs(failures: number, health: number, periodMs: number): number {
  const at = (sinceMs: number): number => recoveryProbability({ sinceMs, failures, health, periodMs });
  if (at(periodMs) >= PROBE_FROM) return periodMs;
  let [low, high] = [periodMs, 3 * periodMs];
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    if (at(middle) < PROBE_FROM) low = middle;
    else high = middle;
  }
  return high;
}

/** Infinity where nobody asks: then the backoff alone decides. */
export function probeSpacingMs(outageMs: number, ratePerSecond: number, usualMs = USUAL_OUTAGE_MS): number {
  if (ratePerSecond <= 0) return Number.POSITIVE_INFINITY;
  return 1_000 * Math.sqrt((usualMs + Math.max(0, outageMs)) / 1_000 / ratePerSecond);
}

/** What the outages of one upstream were like. */
export class Outages {
  #usualMs = USUAL_OUTAGE_MS;
  #sure = false;
  #endedAt = Number.NEGATIVE_INFINITY;

  /** The geometric mean of the last outages, the newest as much as all before. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /** `sure` where what opened it leaves no doubt. */
  began(sure: boolean): void {
    this.#sure = sure;
  }

  /** The first probe of a round failed. */
  confirmed(): void {
    this.#sure = true;
  }

  /** What the first probe finds well, and nothing was sure of, was no outage. */
  ended(outageMs: number, now: number): void {
    if (!this.#sure) return;
    this.#usualMs = Math.sqrt(this.#usualMs * Math.max(BRIEF_OUTAGE_MS, outageMs));
    this.#endedAt = now;
  }

  /** Of the evidence: what has just failed fails again more often than what never did. */
  relapseShare(now: number, pure: boolean): number {
    return 1 - (1 - (pure ? RELAPSE_SHARE : RELAPSE_MIX)) * 2 ** (-Math.max(0, now - this.#endedAt) / SUSPICION_HALVING_MS);
  }
}
