/**
 * Algorithm 4, latency-based detection.
 *
 *     baseline = the least of the medians of 30 s windows over 10 minutes
 *     slow     = latency ≥ min(slowCallMs, max(slowFloorMs, slowMultiplier · baseline))
 *     slow calls open when S (all bad calls, `evidence.ts`) reaches H and 7 of the last 10 calls were bad
 *
 * Reason: a moving average as baseline learns a drift and never fires; the least median of ten minutes cannot be pulled up by an incident that is
 * younger. The consensus of 70 % keeps a slow tenth of otherwise good calls from opening: a slow upstream is worse than none only when it is slow
 * for almost everybody. `slowCallMs` (2 s, 5 s, 10 s by tier) holds whatever is usual.
 *
 * In-flight census: a call that is out for longer than "slow" is counted as bad there and then, once, not when its time-out ends: a hang is seen after the
 * baseline's multiple plus H calls. Two guards: the call must still be out a moment after it fell due when nobody looked in between (our own
 * process may have stood still, and its answer wait in the socket), and it is never counted twice.
 */
import type { BreakerPolicy } from "./policy.ts";
import { quantileOf } from "./histogram.ts";

const WINDOWS = 20;
/** Fewer calls make no median. */
const LEAST_CALLS = 10;

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

/** The last ten calls as bits under a sentinel, newest lowest: 1 is bad. */
export const NO_CALLS = 1;
const RECENT = 10;
const SENTINEL = 1 << RECENT;

export function pushRecent(bits: number, bad: 0 | 1): number {
  const next = (bits << 1) | bad;
  return next >= SENTINEL << 1 ? (next & (SENTINEL - 1)) | SENTINEL : next;
}

/** True where at least 70 % of the last ten calls were bad; false of fewer than ten. */
export function consensus(bits: number): boolean {
  if (bits < SENTINEL) return false;
  let left = bits & (SENTINEL - 1);
  let bad = 0;
  while (left !== 0) {
    left &= left - 1;
    bad++;
  }
  return bad >= 7;
}

function callsIn(slot: Uint32Array): number {
  let sum = 0;
  for (const count of slot) sum += count;
  return sum;
}
