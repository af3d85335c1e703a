/** Learns how long each method usually takes, over the last minutes: how long to wait before a second upstream is asked as well. */
import type { Clock } from "../../shared/clock.ts";
import { BINS, binOf, quantileOf } from "../breaker/index.ts";
import type { HedgeOptions } from "./types.ts";

/** What is known is of the last one to two of these. */
const SPAN_MS = 120_000;
const RELEARN_AFTER = 32;

interface Known {
  now: Uint32Array;
  before: Uint32Array;
  /** Answers in both. */
  samples: number;
  samplesNow: number;
  since: number;
  waitMs: number | null;
  unread: number;
}

export class Patience {
  readonly #options: HedgeOptions;
  readonly #clock: Pick<Clock, "now">;
  /** By method of the table: bounded by it. */
  readonly #known = new Map<string, Known>();

  constructor(options: HedgeOptions, modules: { readonly clock: Pick<Clock, "now"> }) {
    this.#options = options;
    this.#clock = modules.clock;
  }

  learn(method: string, latencyMs: number): void {
    const known = this.#of(method);
    const bin = binOf(latencyMs);
    known.now[bin] = (known.now[bin] ?? 0) + 1;
    known.samples++;
    known.samplesNow++;
    known.unread++;
  }

  /** Null: too little is known. */
  waitMs(method: string): number | null {
    const known = this.#of(method);
    const { samples, quantile, leastMs, mostMs } = this.#options;
    if (known.samples < samples) return null;
    if (known.waitMs === null || known.unread >= RELEARN_AFTER) {
      known.unread = 0;
      const both = known.now.map((count, bin) => count + (known.before[bin] ?? 0));
      known.waitMs = Math.min(mostMs, Math.max(leastMs, quantileOf(both, quantile)));
    }
    return known.waitMs;
  }

  #of(method: string): Known {
    const now = this.#clock.now();
    let known = this.#known.get(method);
    if (known === undefined || now - known.since >= 2 * SPAN_MS) {
      known = {
        now: new Uint32Array(BINS),
        before: new Uint32Array(BINS),
        samples: 0,
        samplesNow: 0,
        since: now,
        waitMs: null,
        unread: 0,
      };
      this.#known.set(method, known);
    } else if (now - known.since >= SPAN_MS) {
      known.before = known.now;
      known.now = new Uint32Array(BINS);
      known.samples = known.samplesNow;
      known.samplesNow = 0;
      known.since = now;
      known.waitMs = null;
    }
    return known;
  }
}
