/** A breaker as one would write it on a page: plain objects, a list of calls, no census, no window. What the pool must agree with, operation by operation. */
import { evidenceRule } from "../../../src/daemon/breaker/evidence.ts";
import type { BreakerPolicy } from "../../../src/daemon/breaker/policy.ts";
import type { BreakerTransition } from "../../../src/daemon/breaker/machine.ts";

interface Out {
  epoch: number;
}

export class ReferenceBreaker {
  state = "closed";
  epoch = 0;
  failures = 0;
  bad = 0;
  recent: boolean[] = [];
  probes = 0;
  successes = 0;
  setbacks = 0;
  probeAt = 0;
  forceOpen: number | null = null;
  forceClose: number | null = null;
  readonly out = new Map<number, Out>();
  counts = { requests: 0, successes: 0, failures: 0, ignored: 0, slow: 0, rejected: 0, late: 0 };
  readonly #policy: BreakerPolicy;
  readonly #relief: number;

  constructor(policy: BreakerPolicy) {
    this.#policy = policy;
    this.#relief = evidenceRule(policy).relief;
  }

  /** What `tryAcquire` must answer: admitted or not. */
  asks(now: number): boolean {
    this.#expire(now);
    if (this.state === "open" && now >= this.probeAt) this.#become("half_open");
    const admitted =
      this.state === "closed" ||
      this.state === "force_close" ||
      (this.state === "half_open" && this.probes < Math.min(this.#policy.halfOpenCalls, 1 + this.successes));
    if (!admitted) this.counts.rejected++;
    return admitted;
  }

  admitted(token: number): void {
    this.counts.requests++;
    if (this.state === "half_open") this.probes++;
    this.out.set(token, { epoch: this.epoch });
  }

  /** False where the token is not out. `opened` tells the period that chance has drawn. */
  result(
    token: number,
    outcome: number,
    latencyMs: number,
    now: number,
    opened: () => BreakerTransition | undefined,
  ): boolean {
    const call = this.out.get(token);
    if (call === undefined) return false;
    this.out.delete(token);
    if (call.epoch !== this.epoch) {
      this.counts.late++;
      return true;
    }
    if (this.state === "half_open") this.probes--;
    if (outcome === 2) {
      this.counts.ignored++;
      return true;
    }
    const slow = latencyMs >= this.#policy.slowCallMs;
    const ok = outcome === 0;
    if (ok) this.counts.successes++;
    else this.counts.failures++;
    if (ok && slow) this.counts.slow++;
    if (this.state === "closed") this.#judge(ok, slow, now, opened);
    else if (this.state === "half_open") this.#probed(ok && latencyMs < 2 * this.#policy.slowCallMs, now, opened);
    return true;
  }

  #judge(ok: boolean, slow: boolean, now: number, opened: () => BreakerTransition | undefined): void {
    const threshold = this.#policy.failureThreshold;
    if (ok) this.failures = Math.max(0, this.failures - this.#relief);
    else this.failures++;
    this.bad = ok && !slow ? Math.max(0, this.bad - this.#relief) : Math.min(threshold, this.bad + 1);
    this.recent = [...this.recent, !ok || slow].slice(-8);
    const consensus = this.recent.filter(Boolean).length >= 5.6;
    if (!ok && this.failures >= threshold) this.#open(now, opened);
    else if (!(ok && !slow) && this.bad >= threshold && consensus) this.#open(now, opened);
  }

  #probed(good: boolean, now: number, opened: () => BreakerTransition | undefined): void {
    if (!good) {
      this.setbacks++;
      if (this.setbacks > Math.floor(0.7 * (1 + this.successes))) this.#open(now, opened);
      return;
    }
    this.successes++;
    if (this.successes < Math.ceil(0.3 * this.#policy.halfOpenCalls)) return;
    this.#become("closed");
    this.failures = this.#policy.failureThreshold / 2;
    this.bad = this.failures;
  }

  #open(now: number, opened: () => BreakerTransition | undefined): void {
    this.#become("open");
    this.probeAt = now + (opened()?.evidence.probeInMs ?? Number.NaN);
  }

  hold(side: "open" | "close", until: number): void {
    if (side === "open") {
      this.forceOpen = until;
      if (this.state !== "force_open") this.#become("force_open");
    } else {
      this.forceClose = until;
      if (this.state !== "force_open" && this.state !== "force_close") this.#become("force_close");
    }
  }

  release(): void {
    if (this.state === "force_open") this.forceOpen = null;
    else if (this.state === "force_close") this.forceClose = null;
    this.#fall();
  }

  reset(): void {
    this.forceOpen = null;
    this.forceClose = null;
    this.#become("closed");
  }

  look(now: number): void {
    this.#expire(now);
  }

  #expire(now: number): void {
    if (this.state !== "force_open" && this.state !== "force_close") return;
    if (this.forceOpen !== null && now >= this.forceOpen) this.forceOpen = null;
    if (this.forceClose !== null && now >= this.forceClose) this.forceClose = null;
    this.#fall();
  }

  #fall(): void {
    if (this.state === "force_open" && this.forceOpen === null) {
      this.#become(this.forceClose === null ? "half_open" : "force_close");
    } else if (this.state === "force_close" && this.forceClose === null) this.#become("closed");
  }

  #become(state: string): void {
    this.state = state;
    this.epoch++;
    this.failures = 0;
    this.bad = 0;
    this.recent = [];
    this.probes = 0;
    this.successes = 0;
    this.setbacks = 0;
  }
}
