/** Figures of windows: means, medians, rates. */
import type { IntervalStats } from "../../shared/stats-api.ts";

/** Null of none. */
export function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Between two values the mean of both; null of none. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? null : (upper + lower) / 2;
}

export function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}

/** Nearest rank of a sorted list; null of none. */
export function quantile<T>(sorted: readonly T[], share: number): T | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}

export function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `part` of `whole` as a number, precise to nine digits. */
export function ratio(part: bigint, whole: bigint): number {
  return whole === 0n ? 0 : Number((part * 1_000_000_000n) / whole) / 1e9;
}

/** Of blocks in order; headers' times may go backwards. */
export function intervals(timestamps: readonly number[], targetSeconds: number): IntervalStats {
  const between = timestamps.slice(1).map((time, i) => time - (timestamps[i] ?? time));
  return {
    target_seconds: targetSeconds,
    blocks: between.length,
    mean_seconds: mean(between),
    median_seconds: median(between),
  };
}

/** RFC 3339, without the thousandths. */
export function rfc3339(unixSeconds: number): string {
  return new Date(Math.round(unixSeconds) * 1_000).toISOString().replace(".000Z", "Z");
}

const RATE_SECONDS = 60;

/** How often something happens in a second, over the last whole minute, in sixty counters. */
export class Rate {
  readonly #counts = new Float64Array(RATE_SECONDS + 1);
  /** The second that is being counted, and the first one; null before anything happened. */
  #now: number | null = null;
  #first: number | null = null;

  /** Unix seconds. Where time goes back it is still counted for the latest second. */
  advance(nowSeconds: number): void {
    const second = Math.floor(nowSeconds);
    this.#now ??= second;
    for (let next = Math.max(this.#now + 1, second - RATE_SECONDS); next <= second; next++) {
      this.#counts[next % this.#counts.length] = 0;
    }
    this.#now = Math.max(this.#now, second);
  }

  /** Before the first `advance` nothing is counted. */
  add(count: number): void {
    if (this.#now === null) return;
    this.#first ??= this.#now;
    const at = this.#now % this.#counts.length;
    this.#counts[at] = (this.#counts[at] ?? 0) + count;
  }

  /** The second that has not ended is left out; null until one has since the first was counted. */
  perSecond(): number | null {
    if (this.#now === null || this.#first === null || this.#now === this.#first) return null;
    const seconds = Math.min(RATE_SECONDS, this.#now - this.#first);
    let total = 0;
    for (let back = 1; back <= seconds; back++) total += this.#counts[(this.#now - back) % this.#counts.length] ?? 0;
    return total / seconds;
  }
}
