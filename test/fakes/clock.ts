/** A clock that stands still until a test moves it; timers run in the order in which they fall due. */
import type { Cancel, Clock } from "../../src/shared/clock.ts";

interface Timer {
  readonly due: number;
  readonly fn: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  #wallOffset: number;
  readonly #timers = new Set<Timer>();

  constructor(nowMs = 1_000, wallMs = 1_750_000_000_000) {
    this.#now = nowMs;
    this.#wallOffset = wallMs - nowMs;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.#wallOffset;
  }

  /** Moves Unix time alone, as an operator or NTP does. */
  shiftWall(ms: number): void {
    this.#wallOffset += ms;
  }

  after(ms: number, fn: () => void): Cancel {
    const timer = { due: this.#now + Math.max(0, ms), fn };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer falls due, in ms of `now()`; null where none waits. */
  get nextDue(): number | null {
    return this.#next()?.due ?? null;
  }

  /** Moves time on by `ms` and runs every timer that falls due on the way, each at its own time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let timer = this.#next(); timer !== null && timer.due <= end; timer = this.#next()) this.#run(timer);
    this.#now = end;
  }

  /** Like `advance`, and lets promises settle after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let timer = this.#next(); timer !== null && timer.due <= end; timer = this.#next()) {
      this.#run(timer);
      await settle();
    }
    this.#now = end;
    await settle();
  }

  #run(timer: Timer): void {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.due);
    timer.fn();
  }

  #next(): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) if (first === null || timer.due < first.due) first = timer;
    return first;
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
