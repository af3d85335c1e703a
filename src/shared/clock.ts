/** Time and randomness come in as parameters, so that the same seed gives the same run. */

export interface Clock {
  /** Monotonic milliseconds with a fraction; only differences mean anything. */
  now(): number;
  /** Unix milliseconds. */
  wall(): number;
  /** Calls `fn` once after `ms`; the returned function cancels it. The timer never keeps the process alive. */
  after(ms: number, fn: () => void): Cancel;
}

export type Cancel = () => void;

/** A number in [0, 1), as Math.random. */
export type Random = () => number;

/** 24 days; a timer that is set for longer goes off at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Taken once: as a global it is looked up with each reading, which takes as long as the reading itself. */
const { performance } = globalThis;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fn) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number): void => {
      const isLong = leftMs > MAX_TIMER_MS;
      timer = isLong ? setTimeout(() => wait(leftMs - MAX_TIMER_MS), MAX_TIMER_MS) : setTimeout(fn, leftMs);
      timer.unref();
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
};

/** A small, fast, seeded generator (splitmix32); for tests, pacing and jitter, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    z ^= z >>> 15;
    return (z >>> 0) / 0x1_0000_0000;
  };
}
