/**
 * Algorithm 4, latency-based detection.
 *
 *     baseline = the least of the medians of 30 s windows over 10 minutes
 *     slow     = latency ≥ min(slowCallMs, max(slowFloorMs, slowMultiplier · baseline))
 *     slow calls open when S (all bad calls, `evidence.ts`) reaches H and 6 of the last 8 calls were bad,
 *     or when k = ln N / ln(1/q) of them stand in a row for 0.2 s           q: what is normal, `evidence.ts`, 3 % at least
 *
 * Reason: a moving average as baseline learns a drift and never fires; the least median of ten minutes cannot be pulled up by an incident that is
 * younger. The consensus of 70 % keeps a slow tenth of otherwise good calls from opening: a slow upstream is worse than none only when it is slow
 * for almost everybody. Errors must be borne up to p₀ though they were never seen; slowness need not, so where hardly a call is bad a run of four
 * tells a hang from chance, and at three calls a second that is a second sooner than H. `slowCallMs` (2 s, 5 s, 10 s by tier) holds whatever is usual.
 *
 * In-flight census: a call that is out for longer than "slow" is counted as bad there and then, once, not when its time-out ends: a hang is seen after the
 * baseline's multiple plus H calls. Nothing is kept per call but the quantum it started in, a third of "slow"; each breaker counts what is still out
 * of the last four quanta, and what is left of the oldest when a new one begins is overdue. While nobody looked, at most two quanta pass: our own
 * process may have stood still, with the answers waiting in its sockets.
 */
import type { BreakerPolicy } from "./policy.ts";
import { quantileOf } from "./histogram.ts";

const WINDOWS = 20;
/** Fewer calls make no median. */
const LEAST_CALLS = 10;
/** Slow calls that are borne where none was ever seen. */
const USUAL_SLOW = 0.03;
const LEAST_RUN = 4;

export class LatencyBaseline {
  readonly #medians = new Float32Array(WINDOWS).fill(Number.POSITIVE_INFINITY);
  #next = 0;
  #closed = 0;
  #provisional = Number.NaN;

  /** A 30 s window ended. One with too few calls says nothing: the twenty are those that had traffic. */
  close(slot: Uint32Array): void {
    const median = callsIn(slot) >= LEAST_CALLS ? quantileOf(slot, 0.5) : Number.NaN;
    if (Number.isNaN(median)) return;
    this.#medians[this.#next] = median;
    this.#next = (this.#next + 1) % WINDOWS;
    this.#closed++;
  }

  /** Until the first window ended, the first median that there are calls for. It can only fall. */
  look(slot: Uint32Array): void {
    if (this.#closed > 0 || callsIn(slot) < LEAST_CALLS) return;
    const median = quantileOf(slot, 0.5);
    this.#provisional = Number.isNaN(this.#provisional) ? median : Math.min(this.#provisional, median);
  }

  /** Ms; null while unknown. */
  value(): number | null {
    if (this.#closed === 0) return Number.isNaN(this.#provisional) ? null : this.#provisional;
    let least =
      Number.isNaN(this.#provisional) || this.#closed >= WINDOWS ? Number.POSITIVE_INFINITY : this.#provisional;
    for (const median of this.#medians) least = Math.min(least, median);
    return least;
  }
}

/** From how many ms on a call is slow. */
export function slowFromMs(policy: BreakerPolicy, baselineMs: number | null): number {
  if (baselineMs === null) return policy.slowCallMs;
  return Math.min(policy.slowCallMs, Math.max(policy.slowFloorMs, policy.slowMultiplier * baselineMs));
}

/**
 * Slow calls in a row that no chance explains: in N calls (`falseOpenBudget`) of which a share `normalRate` is bad, and 3 % at least, so many come
 * together once. Never more than the evidence for errors, and 4 at least. 4 where almost nothing is bad, 6 at a tenth.
 */
export function slowInARow(policy: BreakerPolicy, normalRate: number): number {
  const usual = Math.min(0.9, Math.max(USUAL_SLOW, normalRate));
  const run = Math.ceil(Math.log(policy.falseOpenBudget) / -Math.log(usual));
  return Math.min(run, Math.max(LEAST_RUN, policy.failureThreshold));
}

/** True where at least 70 % of the last eight calls were bad, of their bits. */
export function consensus(bits: number): boolean {
  let bad = 0;
  for (let left = bits; left !== 0; left &= left - 1) bad++;
  return bad >= 0.7 * 8;
}

function callsIn(slot: Uint32Array): number {
  let sum = 0;
  for (const count of slot) sum += count;
  return sum;
}
