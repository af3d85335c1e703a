/** One breaker of a pool as an object, for who keeps it. */
import { type OutcomeCode, REJECT_UNKNOWN } from "./codes.ts";
import type { BreakerCondition } from "./machine.ts";
import type { BreakerPolicy } from "./policy.ts";
import type { BreakerPool } from "./pool.ts";

export interface Breaker {
  readonly key: string;
  /** A token, more than 0, or a REJECT code, less than 0. `now` is monotonic ms. */
  tryAcquire(now: number): number;
  /** Once for each token. `error` is what reports show as the last one. */
  onResult(token: number, outcome: OutcomeCode, latencyMs: number, now: number, error?: string): void;
  /** Now, with the calls counted that have become overdue. */
  state(): BreakerCondition;
  /** When a probe is let through, monotonic ms; null unless it is open. */
  probeAt(): number | null;
}

/** The breaker of `key`, made with `policy` where there is none; made again where it was evicted while nobody called. */
export function breakerOf(
  key: string,
  policy: () => BreakerPolicy,
  modules: { readonly pool: BreakerPool; readonly now: () => number },
): Breaker {
  const { pool, now } = modules;
  let handle = pool.open(key, policy(), now());
  /** For what is asked rarely. */
  const present = (): number => {
    handle = pool.handleOf(key) ?? pool.open(key, policy(), now());
    return handle;
  };
  return {
    key,
    tryAcquire(at) {
      const token = pool.tryAcquire(handle, at);
      return token === REJECT_UNKNOWN ? pool.tryAcquire(present(), at) : token;
    },
    onResult(token, outcome, latencyMs, at, error) {
      pool.onResult(handle, token, outcome, latencyMs, at);
      if (error !== undefined) pool.note(present(), error);
    },
    state: () => pool.look(present(), now()),
    probeAt: () => pool.probeAt(present()),
  };
}
