/** A real breaker in a pool of its own, for who needs one before something. */
import { type Breaker, BreakerPool, type BreakerPolicy, breakerOf, policyOf } from "../../src/daemon/breaker/index.ts";
import { type Clock, seededRandom, systemClock } from "../../src/shared/clock.ts";

export interface TestBreakerOptions {
  readonly clock?: Clock;
  /** Over FREE's policy, in which by default only a thousand failures in a row open it. */
  readonly policy?: Partial<BreakerPolicy>;
  /** In the turn after each transition. */
  readonly onMoved?: () => void;
}

export function testBreaker({ clock = systemClock, policy, onMoved }: TestBreakerOptions = {}): Breaker {
  const onTransition = (): void => queueMicrotask(onMoved ?? (() => {}));
  const pool = new BreakerPool({ capacity: 1 }, { clock, random: seededRandom(1), onTransition });
  const whole = policyOf("FREE", { latency: false, failureThreshold: 1_000, ...policy });
  return breakerOf("test", () => whole, { pool, now: () => clock.now() });
}
