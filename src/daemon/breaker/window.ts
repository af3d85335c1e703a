/**
 * Algorithm 2, sliding window statistics: 5 minutes as 60 buckets of 5 s for counts and 10 slots of 30 s for latencies.
 *
 * The call path adds to cumulative counts and to one histogram; the window takes the differences when somebody looks at the clock anyway.
 * Rotation is computed from time: after an idle gap the buckets that lie between are emptied, at most all of them once, whatever the gap.
 * Figure: one breaker's window is about 7 KB and is made with its first result, not with the breaker.
 */
import { BINS, quantileOf } from "./histogram.ts";

const WINDOW_MS = 300_000;
const BUCKETS = 60;
const BUCKET_MS = WINDOW_MS / BUCKETS;
const SLOTS = 10;
const SLOT_MS = WINDOW_MS / SLOTS;

/** Cumulative counts, as the call path keeps them: they turn over at 2^32. */
export interface Counts {
  readonly completed: number;
  readonly failures: number;
  readonly slow: number;
  readonly rejected: number;
}

/** How far a cumulative count has come since it was `before`. A turn falls out of the difference. */
export function since(now: number, before: number): number {
  return (now - before) >>> 0;
}

export interface WindowStats {
  readonly requests: number;
  readonly failureRate: number | null;
  readonly slowRate: number | null;
  /** Rejected of all who asked. */
  readonly rejectionRate: number | null;
  readonly latencyMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };
  /** Failure rate of the last minute minus that of the four before. */
  readonly trend: number;
}

export class SlidingWindow {
  readonly #completed = new Uint32Array(BUCKETS);
  readonly #failures = new Uint32Array(BUCKETS);
  readonly #slow = new Uint32Array(BUCKETS);
  readonly #rejected = new Uint32Array(BUCKETS);
  readonly #latency = new Uint32Array(BINS * SLOTS);
  /** The slot that the call path counts into. */
  current: Uint32Array;
  #bucket: number;
  #slot: number;
  #seen: Counts;

  /** `seen` are the cumulative counts at `now`; what came before is not of this window. */
  constructor(now: number, seen: Counts) {
    this.#bucket = Math.floor(now / BUCKET_MS);
    this.#slot = Math.floor(now / SLOT_MS);
    this.#seen = seen;
    this.current = this.#slotAt(this.#slot);
  }

  /** Puts what was counted since the last call into the bucket of `now`. True when a latency slot ended; `ended` is called before it goes. */
  advance(now: number, counts: Counts, ended: (slot: Uint32Array) => void): void {
    const bucket = Math.floor(now / BUCKET_MS);
    for (let steps = Math.min(bucket - this.#bucket, BUCKETS); steps > 0; steps--) {
      const cleared = modulo(bucket - steps + 1, BUCKETS);
      for (const column of [this.#completed, this.#failures, this.#slow, this.#rejected]) column[cleared] = 0;
    }
    this.#bucket = Math.max(this.#bucket, bucket);
    const at = modulo(this.#bucket, BUCKETS);
    const before = this.#seen;
    add(this.#completed, at, since(counts.completed, before.completed));
    add(this.#failures, at, since(counts.failures, before.failures));
    add(this.#slow, at, since(counts.slow, before.slow));
    add(this.#rejected, at, since(counts.rejected, before.rejected));
    this.#seen = counts;

    const slot = Math.floor(now / SLOT_MS);
    if (slot <= this.#slot) return;
    ended(this.current);
    for (let steps = Math.min(slot - this.#slot, SLOTS); steps > 0; steps--) this.#slotAt(slot - steps + 1).fill(0);
    this.#slot = slot;
    this.current = this.#slotAt(slot);
  }

  stats(): WindowStats {
    const [requests, failures, slow, rejected] = [this.#completed, this.#failures, this.#slow, this.#rejected].map(
      total,
    );
    const merged = new Uint32Array(BINS);
    for (let i = 0; i < this.#latency.length; i++) add(merged, i % BINS, this.#latency[i] ?? 0);
    const rate = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);
    const quantile = (q: number): number | null => orNull(quantileOf(merged, q));
    return {
      requests: requests ?? 0,
      failureRate: rate(failures ?? 0, requests ?? 0),
      slowRate: rate(slow ?? 0, requests ?? 0),
      rejectionRate: rate(rejected ?? 0, (requests ?? 0) + (rejected ?? 0)),
      latencyMs: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
      trend: this.#trend(),
    };
  }

  #trend(): number {
    const lastMinute = BUCKETS / 5;
    const sums = { newer: [0, 0], older: [0, 0] };
    for (let back = 0; back < BUCKETS; back++) {
      const at = modulo(this.#bucket - back, BUCKETS);
      const sum = back < lastMinute ? sums.newer : sums.older;
      sum[0] = (sum[0] ?? 0) + (this.#failures[at] ?? 0);
      sum[1] = (sum[1] ?? 0) + (this.#completed[at] ?? 0);
    }
    const [newer, older] = [sums.newer, sums.older].map(([failed = 0, all = 0]) => (all === 0 ? 0 : failed / all));
    return (newer ?? 0) - (older ?? 0);
  }

  #slotAt(slot: number): Uint32Array {
    const start = modulo(slot, SLOTS) * BINS;
    return this.#latency.subarray(start, start + BINS);
  }
}

function add(column: Uint32Array, at: number, more: number): void {
  column[at] = (column[at] ?? 0) + more;
}

function total(column: Uint32Array): number {
  let sum = 0;
  for (const value of column) sum += value;
  return sum;
}

function modulo(value: number, size: number): number {
  return ((value % size) + size) % size;
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
