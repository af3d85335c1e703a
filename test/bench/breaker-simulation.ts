/** One breaker in one trace, in virtual time: who was let through, who was turned away, when it opened, when it was back. */
import type { Entrant, VirtualClock } from "./breaker-subjects.ts";
import type { Answer, Trace } from "./breaker-traces.ts";

export interface Verdict {
  /** From the first fault's begin; null where it never opened during a fault. */
  readonly openMs: number | null;
  readonly badLet: number;
  readonly goodLost: number;
  /** Openings while nothing was wrong. */
  readonly falseOpens: number;
  /** Mean over the faults, from the fault's end to the last caller turned away. */
  readonly recoverMs: number;
  readonly calls: number;
}

interface Timer {
  readonly id: number;
  due: number;
  readonly every: number;
  readonly fn: () => void;
}

/** What ended during a fault may still be told of after it. */
const GRACE_MS = 1_100;
const real = { setTimeout, clearTimeout, setInterval, clearInterval, now: Date.now, turn: setImmediate };

/** Time, completions and timers of the simulation, in one queue; a binary heap on `due`. */
class VirtualTime implements VirtualClock {
  #now = 1_000;
  #heap: Timer[] = [];
  readonly #cancelled = new Set<number>();
  #ids = 1;

  now(): number {
    return this.#now;
  }

  next(): number {
    return this.#heap[0]?.due ?? Number.POSITIVE_INFINITY;
  }

  at(due: number, fn: () => void, every = 0): number {
    const timer = { id: this.#ids++, due, every, fn };
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((heap[parent] as Timer).due <= timer.due) break;
      heap[i] = heap[parent] as Timer;
      i = parent;
    }
    heap[i] = timer;
    return timer.id;
  }

  cancel(id: unknown): void {
    if (typeof id === "object" && id !== null && "id" in id) this.#cancelled.add(Number(id.id));
  }

  moveTo(now: number): void {
    this.#now = Math.max(this.#now, now);
  }

  /** Runs the first of the queue. */
  run(): void {
    const heap = this.#heap;
    const timer = heap[0] as Timer;
    const last = heap.pop() as Timer;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && (heap[child + 1] as Timer).due < (heap[child] as Timer).due) child++;
        if ((heap[child] as Timer).due >= last.due) break;
        heap[i] = heap[child] as Timer;
        i = child;
      }
      heap[i] = last;
    }
    this.moveTo(timer.due);
    if (this.#cancelled.delete(timer.id)) return;
    timer.fn();
    if (timer.every > 0) this.at(timer.due + timer.every, timer.fn, timer.every);
  }

  /** The process's own time is the simulation's until the returned function is called. */
  install(): () => void {
    const handle = (id: number) => ({ id, unref: () => handle(id), ref: () => handle(id) });
    const fake = {
      setTimeout: (fn: () => void, ms = 0) => handle(this.at(this.#now + ms, fn)),
      setInterval: (fn: () => void, ms = 0) => handle(this.at(this.#now + ms, fn, Math.max(1, ms))),
      clearTimeout: (id: unknown) => this.cancel(id),
      clearInterval: (id: unknown) => this.cancel(id),
    };
    Object.assign(globalThis, fake);
    Date.now = () => Math.floor(this.#now);
    return () => {
      const { setTimeout, clearTimeout, setInterval, clearInterval } = real;
      Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
      Date.now = real.now;
    };
  }
}

export async function simulate(entrant: Entrant, trace: Trace, seed: number): Promise<Verdict> {
  const time = new VirtualTime();
  const restore = entrant.ours ? () => {} : time.install();
  try {
    return await drive(entrant, trace, seed, time);
  } finally {
    restore();
  }
}

async function drive(entrant: Entrant, trace: Trace, seed: number, time: VirtualTime): Promise<Verdict> {
  const origin = time.now();
  const subject = entrant.make(time, seed);
  const upstream = trace.upstream();
  let [badLet, goodLost, falseOpens] = [0, 0, 0];
  let openMs: number | null = null;
  let open = false;
  const lostAt = trace.faults.map(() => 0);
  const settle = (): Promise<void> => new Promise((resolve) => real.turn(resolve));

  const watch = (): void => {
    const is = subject.isOpen();
    if (is && !open) {
      const at = time.now() - origin;
      const fault = trace.faults.find(
        ({ from, to }) => at >= from && at < to + (trace.name === "cold recovery" ? 15_000 : GRACE_MS),
      );
      if (fault === undefined) falseOpens++;
      else if (fault === trace.faults[0]) openMs ??= at - fault.from;
    }
    open = is;
  };

  for (const arrival of trace.arrivals) {
    while (time.next() <= origin + arrival.at) {
      time.run();
      await settle();
      watch();
    }
    time.moveTo(origin + arrival.at);
    let answer: Answer | null = null;
    const invoke = (): Promise<void> => {
      const got = upstream(arrival, time.now() - origin, true);
      answer = got;
      if (!got.good) badLet++;
      return new Promise((resolve, reject) =>
        time.at(time.now() + got.latencyMs, () => (got.ok ? resolve() : reject(FAULT))),
      );
    };
    subject.call(invoke).catch(() => {
      if (answer !== null) return;
      const would = upstream(arrival, arrival.at, false);
      if (!would.good) return;
      goodLost++;
      const at = trace.faults.findLastIndex(({ to }) => arrival.at >= to);
      const fault = trace.faults[at];
      if (fault !== undefined) lostAt[at] = arrival.at - fault.to;
    });
    await settle();
    watch();
  }
  subject.close();
  const recoverMs = lostAt.length === 0 ? 0 : lostAt.reduce((sum, ms) => sum + ms, 0) / lostAt.length;
  return { openMs, badLet, goodLost, falseOpens, recoverMs, calls: trace.arrivals.length };
}

const FAULT = new Error("the upstream's fault");
