/**
 * A breaker as one would write it on a page: plain objects, a list of calls, no columns, no window. What the pool must agree with, operation by operation:
 * states, permits, counts, evidence, the census of overdue calls, and the ramp. It does not adapt.
 */
import { evidenceRule } from "../../../src/daemon/breaker/evidence.ts";
import type { BreakerPolicy } from "../../../src/daemon/breaker/policy.ts";
import type { BreakerTransition } from "../../../src/daemon/breaker/machine.ts";

interface Out {
  readonly epoch: number;
  readonly quantum: number;
  overdue: boolean;
}

/** What chance and the clock have told the pool: the transition that it took last. */
type Told = () => BreakerTransition | undefined;

const RAMP = [0.5, 0.75];

export class ReferenceBreaker {
  state = "closed";
  epoch = 0;
  failures = 0;
  bad = 0;
  recent: boolean[] = [];
  slowRun = 0;
  onset = 0;
  probes = 0;
  successes = 0;
  setbacks = 0;
  ramp = 0;
  credit = 0;
  probeAt = 0;
  quantum = 0;
  wakeAt: number;
  forceOpen: number | null = null;
  forceClose: number | null = null;
  readonly out = new Map<number, Out>();
  counts = { requests: 0, successes: 0, failures: 0, ignored: 0, slow: 0, overdue: 0, rejected: 0, late: 0 };
  readonly #policy: BreakerPolicy;
  readonly #relief: number;

  constructor(policy: BreakerPolicy, now: number) {
    this.#policy = policy;
    this.#relief = evidenceRule(policy).relief;
    this.wakeAt = now + this.#quantumMs();
  }

  get permits(): number {
    return Math.min(this.#policy.halfOpenCalls, 1 + this.successes);
  }

  /** What `tryAcquire` must have answered: admitted or not. */
  asks(now: number, told: Told): boolean {
    if (this.state === "open") {
      if (now >= this.probeAt) this.#become("half_open", now);
    } else if (now >= this.wakeAt) this.#census(now, told);
    this.#expire(now);
    const admitted =
      this.state === "closed" || this.state === "force_close" || (this.state === "half_open" && this.#probes());
    if (!admitted) this.counts.rejected++;
    return admitted;
  }

  #probes(): boolean {
    if (this.ramp === 0) return this.probes < this.permits;
    this.credit += RAMP[this.ramp - 1] ?? 1;
    if (this.credit < 1) return false;
    this.credit--;
    return true;
  }

  admitted(token: number): void {
    this.counts.requests++;
    if (this.state === "half_open") this.probes++;
    this.out.set(token, { epoch: this.epoch, quantum: this.quantum, overdue: false });
  }

  /** Time is cut into thirds of "slow"; who is out at the begin of the fourth third after its own is overdue. Unseen, two thirds pass at most. */
  #census(now: number, told: Told): void {
    const third = this.#quantumMs();
    const due = Math.floor((now - this.wakeAt) / third) + 1;
    const passed = Math.min(due, 2);
    this.wakeAt = due > 2 ? now + third : this.wakeAt + passed * third;
    for (let n = 0; n < passed; n++) {
      this.quantum++;
      const { epoch } = this;
      const found = [...this.out.values()].filter(
        (call) => call.epoch === epoch && !call.overdue && this.quantum - call.quantum > 3,
      );
      for (const call of found) {
        call.overdue = true;
        this.counts.overdue++;
      }
      if (this.state === "half_open" && found.length > 0) this.#open(now, told);
      for (const _ of found) {
        if (this.state !== "closed") continue;
        this.#note(true, now);
        this.#weigh(now, told);
      }
      if (this.epoch !== epoch) return;
    }
  }

  #quantumMs(): number {
    return Math.max(1, ((this.state === "half_open" ? 2 : 1) * this.#policy.slowCallMs) / 3);
  }

  /** False where the token is not out. `rate` is what the pool takes for calls a second. */
  result(token: number, outcome: number, latencyMs: number, now: number, rate: number, told: Told): boolean {
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
    if (this.state === "closed") this.#judge(ok, slow, call.overdue, now, told);
    else if (this.state === "half_open") this.#probed(ok && latencyMs < 2 * this.#policy.slowCallMs, rate, now, told);
    return true;
  }

  #judge(ok: boolean, slow: boolean, overdue: boolean, now: number, told: Told): void {
    const threshold = this.#policy.failureThreshold;
    if (ok) {
      this.failures = Math.max(0, this.failures - this.#relief);
      if (!slow) {
        this.bad = Math.max(0, this.bad - this.#relief);
        this.recent = [...this.recent, false].slice(-8);
        this.slowRun = 0;
        return;
      }
      // What was overdue has been counted then.
      if (!overdue) this.#note(true, now);
      return this.#weigh(now, told);
    }
    if (!overdue) this.#note(slow, now);
    this.failures++;
    this.bad = Math.max(this.bad, Math.min(threshold, this.failures));
    if (this.failures >= threshold) this.#open(now, told);
    else this.#weigh(now, told);
  }

  #note(slow: boolean, now: number): void {
    if (this.bad === 0) this.onset = now;
    this.bad = Math.min(this.#policy.failureThreshold, this.bad + 1);
    this.recent = [...this.recent, true].slice(-8);
    if (slow) this.slowRun++;
  }

  #weigh(now: number, told: Told): void {
    const threshold = this.#policy.failureThreshold;
    const consensus = this.recent.filter(Boolean).length >= 5.6;
    // Chance asks for four or more, and these policies for no more than four.
    const run = this.#policy.latency && this.slowRun >= 4 && now - this.onset >= 200;
    if ((this.bad >= threshold && consensus) || run) this.#open(now, told);
  }

  #probed(good: boolean, rate: number, now: number, told: Told): void {
    if (!good) {
      this.setbacks++;
      if (this.setbacks > Math.floor(0.7 * ((this.ramp === 0 ? 1 : 3) + this.successes))) this.#open(now, told);
      return;
    }
    this.successes++;
    const dense = rate >= this.#policy.rampFromPerSecond;
    const probes = Math.ceil((dense ? 1 : 0.3) * this.#policy.halfOpenCalls);
    if (this.successes < (this.ramp === 0 ? probes : Math.max(2, Math.min(8, Math.ceil(0.04 * rate))))) return;
    if (dense && this.ramp < RAMP.length) {
      this.ramp++;
      this.successes = 0;
      this.setbacks = 0;
      return;
    }
    this.#become("closed", now);
    this.failures = 0.4 * this.#policy.failureThreshold;
    this.bad = this.failures;
    this.onset = now;
  }

  #open(now: number, told: Told): void {
    this.#become("open", now);
    this.probeAt = now + (told()?.evidence.probeInMs ?? Number.NaN);
  }

  hold(side: "open" | "close", until: number, now: number): void {
    if (side === "open") {
      this.forceOpen = until;
      if (this.state !== "force_open") this.#become("force_open", now);
    } else {
      this.forceClose = until;
      if (this.state !== "force_open" && this.state !== "force_close") this.#become("force_close", now);
    }
  }

  release(now: number): void {
    if (this.state === "force_open") this.forceOpen = null;
    else if (this.state === "force_close") this.forceClose = null;
    this.#fall(now);
  }

  reset(now: number): void {
    this.forceOpen = null;
    this.forceClose = null;
    this.#become("closed", now);
  }

  look(now: number): void {
    this.#expire(now);
  }

  #expire(now: number): void {
    if (this.state !== "force_open" && this.state !== "force_close") return;
    if (this.forceOpen !== null && now >= this.forceOpen) this.forceOpen = null;
    if (this.forceClose !== null && now >= this.forceClose) this.forceClose = null;
    this.#fall(now);
  }

  #fall(now: number): void {
    if (this.state === "force_open" && this.forceOpen === null) {
      this.#become(this.forceClose === null ? "half_open" : "force_close", now);
    } else if (this.state === "force_close" && this.forceClose === null) this.#become("closed", now);
  }

  #become(state: string, now: number): void {
    this.state = state;
    this.epoch++;
    this.quantum = 0;
    this.wakeAt = now + this.#quantumMs();
    this.failures = 0;
    this.bad = 0;
    this.recent = [];
    this.slowRun = 0;
    this.probes = 0;
    this.successes = 0;
    this.setbacks = 0;
    this.ramp = 0;
    this.credit = 0;
  }
}
