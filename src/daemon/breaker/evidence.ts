/**
 * Algorithm 3, adaptive threshold: what trips the breaker is evidence, not a rate.
 *
 * Each call is one bit, bad or good. A cumulative sum (Page's CUSUM, the sequential probability ratio test that starts again at 0)
 *
 *     S ← max(0, S + 1)      after a bad call
 *     S ← max(0, S − w)      after a good one           open when S ≥ H
 *
 * asks all the time "since some moment, does the rate look more like p₁ (`badRate`) than like p₀ (tolerated)?". It needs no window
 * and no minimum of requests: three calls at night are no evidence, and sixty per cent of errors are found although no two failures need to
 * stand in a row. In units of one bad call
 *
 *     w = ln((1−p₀)/(1−p₁)) / ln(p₁/p₀)                  H = `failureThreshold`
 *
 * p₀ is not chosen. H bad calls in a row must weigh ln N, N being the calls that one false open is accepted in, so ln(p₁/p₀) = ln(N)/H:
 *
 *     | H            | p₀     | w    |  one false open in N = 10⁶ calls
 *     | 3 FREE       | 0.6 %  | 0.20 |
 *     | 10 BUSINESS  | 15 %   | 0.54 |
 *     | 20 ENTERPRISE| 30 %   | 0.81 |
 *
 * Adaptation: H is multiplied by 0.5 to 2 with the rate of bad calls that is normal for this upstream: the median of a history of 100 points
 * (16 calls each), or the mean of the last two dozen calls where that is more. What is normal is learnt once the evidence is back at 0. What began when
 * it rose and ended in an opening was an incident and is not learnt; what came near to one enters the median alone, which does not move while less
 * than half of the history is like it. So an incident cannot teach the breaker that it is normal, and a step to errors that must be borne is learnt in
 * some 20 calls. "20 failures in 5 minutes" opens on 1 % of errors at 10 calls a second; "20 in a row" never sees 60 %.
 */
import type { BreakerPolicy } from "./policy.ts";

export interface EvidenceRule {
  /** H: evidence that opens, in bad calls. */
  readonly threshold: number;
  /** w: what a good call takes away. */
  readonly relief: number;
  /** p₀: the rate of bad calls up to which the budget holds. */
  readonly toleratedRate: number;
}

export function evidenceRule(policy: BreakerPolicy): EvidenceRule {
  const natsPerBad = Math.log(policy.falseOpenBudget) / policy.failureThreshold;
  const toleratedRate = policy.badRate * Math.exp(-natsPerBad);
  const relief = Math.log((1 - toleratedRate) / (1 - policy.badRate)) / natsPerBad;
  return { threshold: policy.failureThreshold, relief, toleratedRate };
}

/**
 * Calls between two false opens when a share `rate` of healthy calls is bad and `threshold` is asked for: Siegmund's approximation of a
 * CUSUM's average run length. With θ > 0 solving rate·e^θ + (1−rate)·e^(−θw) = 1, drift d = rate − (1−rate)·w and the mean overshoot c:
 *     N = (e^(θ(H+c)) − 1 − θ(H+c)) / (θ·|d|)
 * Infinity where nothing is bad.
 */
export function callsPerFalseOpen(rate: number, threshold: number, relief: number): number {
  if (rate <= 0) return Number.POSITIVE_INFINITY;
  const drift = rate - (1 - rate) * relief;
  if (drift >= 0) return threshold / Math.max(drift, 1e-3);
  const excess = (theta: number): number => rate * Math.exp(theta) + (1 - rate) * Math.exp(-theta * relief) - 1;
  let [low, high] = [1e-9, 1];
  while (excess(high) < 0) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (excess(middle) < 0) low = middle;
    else high = middle;
  }
  const overshoot = 0.33 * Math.min(1, relief);
  const exponent = low * (threshold + overshoot);
  return (Math.exp(exponent) - 1 - exponent) / (low * -drift);
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Wilson's 95 % interval of a rate: right also for few calls and for rates near 0 or 1, where p ± 2σ is not. [0, 1] without calls. */
export function wilson(hits: number, calls: number, z = 1.96): Interval {
  if (calls <= 0) return { low: 0, high: 1 };
  const p = hits / calls;
  const scale = 1 + (z * z) / calls;
  const centre = (p + (z * z) / (2 * calls)) / scale;
  const half = (z / scale) * Math.sqrt((p * (1 - p)) / calls + (z * z) / (4 * calls * calls));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

const HISTORY_POINTS = 100;
/** Calls that one point stands for. */
const CALLS_PER_POINT = 16;
/** Calls that the quick half of "normal" remembers. */
const RECENT_CALLS = 24;
/** What a healthy history asks for, of the base, where callers are few (each call that teaches is one of theirs), and where they are many. */
const LEAST_SCALE = 0.5;
const LEAST_SCALE_DENSE = 0.6;
const FEW_PER_SECOND = 15;
const MANY_PER_SECOND = 50;
const MOST_SCALE = 2;

/** The history of one breaker and the scale that follows from it. 100 points of a byte. */
export class AdaptiveThreshold {
  readonly #points = new Uint8Array(HISTORY_POINTS);
  /** How many points have each value: the median is a walk over 65 counts, not a sort. */
  readonly #counts = new Uint8Array(65);
  #length = 0;
  #next = 0;
  #bad = 0;
  #calls = 0;
  #recent = 0;
  #scale = 1;

  /** 0.5-2, of the base threshold. */
  get scale(): number {
    return this.#scale;
  }

  /**
   * Adds completed calls that were no incident: those since the evidence was 0 last, once it is 0 again. A large batch is several points, so that
   * history is counted in calls and not in time.
   */
  add(bad: number, calls: number, usual: boolean, toleratedRate: number, ratePerSecond: number): void {
    if (usual) this.#recent += (1 - Math.exp(-calls / RECENT_CALLS)) * (bad / calls - this.#recent);
    this.#bad += bad;
    this.#calls += calls;
    if (this.#calls >= CALLS_PER_POINT) this.#point();
    if (this.#length > 0) this.#scale = scaleOf(this.normalRate(), toleratedRate, ratePerSecond);
  }

  #point(): void {
    const copies = Math.min(HISTORY_POINTS, Math.floor(this.#calls / CALLS_PER_POINT));
    const value = Math.min(64, Math.round((64 * this.#bad) / this.#calls));
    for (let i = 0; i < copies; i++) this.#push(value);
    this.#bad = 0;
    this.#calls = 0;
  }

  /** The rate of bad calls that is normal here: the median of the history, or of the last two dozen calls where that is more. */
  normalRate(): number {
    return Math.max(this.#median() / 64, this.#recent);
  }

  #median(): number {
    let seen = 0;
    for (let value = 0; value <= 64; value++) {
      seen += this.#counts[value] ?? 0;
      if (seen * 2 > this.#length) return value;
    }
    return 0;
  }

  #push(value: number): void {
    const counts = this.#counts;
    if (this.#length === HISTORY_POINTS) {
      const oldest = this.#points[this.#next] ?? 0;
      counts[oldest] = (counts[oldest] ?? 1) - 1;
    } else this.#length++;
    this.#points[this.#next] = value;
    counts[value] = (counts[value] ?? 0) + 1;
    this.#next = (this.#next + 1) % HISTORY_POINTS;
  }
}

/** 0.5 to 0.6 where almost nothing is bad, 1 at half of the tolerated rate, 2 from the tolerated rate on. */
function scaleOf(normalRate: number, toleratedRate: number, ratePerSecond: number): number {
  const share = toleratedRate === 0 ? 1 : normalRate / toleratedRate;
  const density = (ratePerSecond - FEW_PER_SECOND) / (MANY_PER_SECOND - FEW_PER_SECOND);
  const least = LEAST_SCALE + (LEAST_SCALE_DENSE - LEAST_SCALE) * Math.min(1, Math.max(0, density));
  const scale = share < 0.5 ? least + (1 - least) * 2 * share : 1 + 2 * (share - 0.5);
  return Math.min(MOST_SCALE, scale);
}
