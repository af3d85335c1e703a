/**
 * A three-state circuit breaker. It never sets a timer: time comes in with each call, so the way from open to half-open is
 * taken by the first caller who asks after the open period.
 *
 *   closed     everything passes; `failureThreshold` failures in a row open it.
 *   open       nothing passes for `resetTimeoutMs`.
 *   half_open  at most `halfOpenCalls` permits are out or used up at a time; as many successes close it, one failure
 *              opens it again. Probes whose result never comes would lock it, so it starts a new round of probes when
 *              `resetTimeoutMs` went by since the last one was let through.
 *
 * A permit is the number of the epoch that it was given in. Each change of state begins a new epoch, and a result with an
 * older permit changes nothing: what was asked before a trip says nothing about the time after it.
 */
import { SprintError } from "../../shared/errors.ts";
import type { Breaker, BreakerSnapshot, BreakerState, Outcome, Transition } from "./types.ts";

export interface BreakerOptions {
  /** What it guards, as `upstream:litecoin:ltc-1`. */
  readonly name: string;
  /** Failures in a row that open it, at least 1. */
  readonly failureThreshold: number;
  readonly resetTimeoutMs: number;
  /** Probes let through while half-open, and successes needed to close, at least 1. */
  readonly halfOpenCalls: number;
}

export interface BreakerModules {
  /** Called after the state changed, inside the call that changed it. Must not throw. */
  readonly onTransition?: (transition: Transition) => void;
}

type Phase =
  | { readonly state: "closed"; failuresInARow: number }
  | { readonly state: "open"; readonly until: number }
  | { readonly state: "half_open"; given: number; successes: number; lastGivenAt: number };

/** Throws SPRINT_BREAKER_OPTIONS on numbers that make no breaker. */
export function createBreaker(options: BreakerOptions, modules: BreakerModules = {}): Breaker {
  checkOptions(options);
  return new ThreeStateBreaker(options, modules);
}

class ThreeStateBreaker implements Breaker {
  readonly name: string;
  readonly #options: BreakerOptions;
  readonly #modules: BreakerModules;
  #phase: Phase = { state: "closed", failuresInARow: 0 };
  #epoch = 1;
  #requests = 0;
  #failures = 0;
  #rejected = 0;
  #lastError: string | null = null;

  constructor(options: BreakerOptions, modules: BreakerModules) {
    this.name = options.name;
    this.#options = options;
    this.#modules = modules;
  }

  tryAcquire(now: number): number {
    let phase = this.#phase;
    if (phase.state === "open" && now >= phase.until) {
      phase = this.#become(
        { state: "half_open", given: 0, successes: 0, lastGivenAt: now },
        now,
        "open period is over",
      );
    }
    if (phase.state === "open") return this.#reject();
    if (phase.state === "half_open") {
      if (phase.given >= this.#options.halfOpenCalls) {
        if (now - phase.lastGivenAt < this.#options.resetTimeoutMs) return this.#reject();
        this.#epoch++;
        phase.given = 0;
        phase.successes = 0;
      }
      phase.given++;
      phase.lastGivenAt = now;
    }
    this.#requests++;
    return this.#epoch;
  }

  onResult(permit: number, outcome: Outcome, now: number, error?: string): void {
    if (outcome === "failure") {
      this.#failures++;
      this.#lastError = error ?? null;
    }
    const phase = this.#phase;
    if (permit !== this.#epoch || phase.state === "open") return;

    if (phase.state === "closed") {
      if (outcome === "success") phase.failuresInARow = 0;
      if (outcome !== "failure") return;
      phase.failuresInARow++;
      if (phase.failuresInARow >= this.#options.failureThreshold) {
        this.#open(now, `${phase.failuresInARow} failures in a row`);
      }
      return;
    }
    if (outcome === "failure") {
      this.#open(now, "a probe failed");
    } else if (outcome === "ignored") {
      phase.given = Math.max(phase.successes, phase.given - 1);
    } else {
      phase.successes++;
      if (phase.successes >= this.#options.halfOpenCalls) {
        this.#become({ state: "closed", failuresInARow: 0 }, now, `${phase.successes} probes succeeded`);
      }
    }
  }

  snapshot(now: number): BreakerSnapshot {
    const phase = this.#phase;
    return {
      name: this.name,
      state: phase.state,
      failures: this.#failures,
      requests: this.#requests,
      rejected: this.#rejected,
      nextAttemptAt: this.#nextAttemptAt(now),
      lastError: this.#lastError,
    };
  }

  #nextAttemptAt(now: number): number | null {
    const phase = this.#phase;
    if (phase.state === "closed") return null;
    if (phase.state === "open") return phase.until;
    return phase.given < this.#options.halfOpenCalls ? now : phase.lastGivenAt + this.#options.resetTimeoutMs;
  }

  #reject(): 0 {
    this.#rejected++;
    return 0;
  }

  #open(now: number, cause: string): void {
    this.#become({ state: "open", until: now + this.#options.resetTimeoutMs }, now, cause);
  }

  #become<P extends Phase>(phase: P, at: number, cause: string): P {
    const from: BreakerState = this.#phase.state;
    this.#phase = phase;
    this.#epoch++;
    this.#modules.onTransition?.({ breaker: this.name, from, to: phase.state, at, cause });
    return phase;
  }
}

function checkOptions(options: BreakerOptions): void {
  const { failureThreshold, halfOpenCalls, resetTimeoutMs } = options;
  const counts = [failureThreshold, halfOpenCalls];
  if (counts.every((n) => Number.isSafeInteger(n) && n >= 1) && Number.isFinite(resetTimeoutMs) && resetTimeoutMs >= 0)
    return;
  throw new SprintError(
    "SPRINT_BREAKER_OPTIONS",
    `breaker ${options.name}: expected failureThreshold and halfOpenCalls of 1 or more and a finite resetTimeoutMs, ` +
      `got ${failureThreshold}, ${halfOpenCalls}, ${resetTimeoutMs}`,
    { ...options },
  );
}
