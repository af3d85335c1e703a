/**
 * What a breaker remembers of its upstream's outages: how long they were, and when the last one ended.
 *
 *     M ← √(M · length)                                      the usual length, 20 s before the first; for the spacing of probes, `recovery.ts`
 *     share = 1 − (1 − least)·2^(−healthy / 60 s)            of the evidence that opens it again; least = ½, or 0.15 right after a bad call
 *
 * Reason: who has just failed fails again more often than who never did. Where callers are few (`rampFromPerSecond`) most of an outage's cost is
 * the evidence: after a recovery two bad calls in a row are enough there.
 *
 * Only outages count. An opening that stood on less than four bad calls in a row, and whose probes were good at once, was chance, and takes half of the
 * suspicion away.
 */
const USUAL_MS = 20_000;
const BRIEFEST_MS = 1_000;
const HALVING_MS = 60_000;
const LEAST_SHARE = 0.5;
const LEAST_SHARE_AFTER_BAD = 0.15;

/** As plain JSON, with a duration instead of a moment. */
export interface SavedOutages {
  readonly usualMs: number;
  /** Since the last one; null before the first. What was chance makes it longer. */
  readonly healthyMs: number | null;
  /** Of the one that goes on: it is none by chance. */
  readonly sure: boolean;
}

export class Outages {
  #usualMs = USUAL_MS;
  #sure = false;
  #endedAt = Number.NEGATIVE_INFINITY;

  /** Geometric mean, the newest weighing as much as all before it. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /** It opened. `sure`: the last calls before were all bad. */
  began(sure: boolean): void {
    this.#sure = sure;
  }

  /** The first probe of a round was bad. */
  confirmed(): void {
    this.#sure = true;
  }

  ended(lengthMs: number, now: number): void {
    if (this.#sure) {
      this.#usualMs = Math.sqrt(this.#usualMs * Math.max(BRIEFEST_MS, lengthMs));
      this.#endedAt = now;
    } else this.#endedAt -= HALVING_MS;
  }

  /** Null where nothing is known. */
  saved(now: number): SavedOutages | null {
    const known = this.#sure || this.#endedAt > Number.NEGATIVE_INFINITY;
    if (!known) return null;
    const healthyMs = this.#endedAt === Number.NEGATIVE_INFINITY ? null : Math.max(0, now - this.#endedAt);
    return { usualMs: this.#usualMs, healthyMs, sure: this.#sure };
  }

  restore({ usualMs, healthyMs, sure }: SavedOutages, now: number): void {
    this.#usualMs = usualMs;
    this.#endedAt = healthyMs === null ? Number.NEGATIVE_INFINITY : now - healthyMs;
    this.#sure = sure;
  }

  /** 0-1, of the evidence. */
  relapseShare(now: number, afterBad: boolean): number {
    const least = afterBad ? LEAST_SHARE_AFTER_BAD : LEAST_SHARE;
    return 1 - (1 - least) * 2 ** (-Math.max(0, now - this.#endedAt) / HALVING_MS);
  }
}
