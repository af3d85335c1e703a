/**
 * Algorithm 8, recovery probability, and the spacing of probes.
 *
 *     P(t) = (1 − ½·e^(−t/τ)) · 0.8^(F·e^(−t/τ)) · (0.8 + 0.2·health)          a probe is tried at P ≥ ½
 *
 * t: time since it opened; F: the bad calls in a row that it asks for, at most 20; τ: a third of the open period that the backoff drew. So the two agree: P
 * passes ½ after a quarter to four fifths of the period and is 0.62 at least at its end, when the probe goes. Read literally, 0.8^failures without
 * decay is 0.41 after four failures and stays there: no probe would ever be tried.
 *
 * Spacing. A probe costs one bad call, a late discovery of the upstream's return costs the good calls until then. For an outage of age A the chance
 * that it ends in the next second is about 2/(A + M): old outages last, and M is how long they usually are here (`outages.ts`). So with `rate` callers a
 * second a spacing r costs per second 1/r bad calls plus rate·r/(A + M) good ones; their sum is least at
 *
 *     r = √(g·(A + M) / rate)          M = 20 s, g = 1; 100 calls a second: 0.55 s after 10 s, 0.9 s after a minute; 3 a second: 3.2 s, 5.2 s
 *
 * so that probes follow outage age and how often callers come, as an exponential backoff with a fixed cap does not. g is what turning a caller away
 * gains, 2p − 1 where a share p of calls is bad, at least 0.2: in a total outage 1, at 60 % of errors a fifth, since four in ten of those who are turned
 * away would have got their answer, and a probe may be the one that does.
 */
const MOST_FAILURES = 20;
const LEAST_GAIN = 0.2;

interface RecoveryInput {
  /** Since it opened. */
  readonly sinceMs: number;
  /** Bad calls in a row that open it. */
  readonly failures: number;
  readonly health: number;
  /** The open period that was drawn. */
  readonly periodMs: number;
}

export function recoveryProbability({ sinceMs, failures, health, periodMs }: RecoveryInput): number {
  const left = Math.exp((-3 * Math.max(0, sinceMs)) / Math.max(1, periodMs));
  return (1 - 0.5 * left) * 0.8 ** (Math.min(MOST_FAILURES, failures) * left) * (0.8 + 0.2 * health);
}

/** Infinity where nobody asks: then the backoff alone decides. `badShare` of the calls that were let through. */
export function probeSpacingMs(outageMs: number, ratePerSecond: number, usualMs: number, badShare: number): number {
  if (ratePerSecond <= 0) return Number.POSITIVE_INFINITY;
  const gain = Math.max(LEAST_GAIN, 2 * badShare - 1);
  return 1_000 * Math.sqrt((gain * (usualMs + Math.max(0, outageMs))) / 1_000 / ratePerSecond);
}
