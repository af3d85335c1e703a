/**
 * One call's way through the upstreams. A round asks one after the other, or two at a time where the first lets it wait for long; a further round
 * follows only where all that there is to blame is that they are behind the served tip, which passes in a moment.
 */
import type { Clock } from "../../shared/clock.ts";
import { REJECT_FORCED } from "../breaker/index.ts";
import type { PassedAnswer } from "../upstream/index.ts";
import { type AttemptModules, Attempt, type Call, type Ended } from "./attempt.ts";
import { RetryBudget } from "./budget.ts";
import { dialectOf } from "./dialects.ts";
import { type Choice, choose, Lane } from "./lane.ts";
import { CLASSES } from "./methods.ts";
import { Patience } from "./patience.ts";
import { problemOf } from "./problem.ts";
import { Trail } from "./trail.ts";
import type { ProxyModules, ProxyOptions, RpcUpstream } from "./types.ts";

export interface Served {
  readonly answer: PassedAnswer;
  readonly upstream: string;
  readonly trail: Trail;
  /** A second upstream was asked before the first had answered. */
  readonly hedged: boolean;
}

/** What a call has seen so far. */
interface Way {
  readonly call: Call;
  readonly signal: AbortSignal;
  /** Monotonic ms. */
  readonly until: number;
  readonly trail: Trail;
  /** The first answer of one that has not what it was asked for: the client's if nobody else has it either. */
  missing: Ended | null;
  /** The first answer that a served block speaks against: nobody's, unless it is proved. */
  doubted: Ended | null;
  hedged: boolean;
}

/** First look again after so long; then twice that, and so on. */
const FIRST_LOOK_MS = 15;

export class Failover {
  readonly #options: ProxyOptions;
  readonly #modules: ProxyModules;
  readonly #attemptModules: AttemptModules;
  readonly #budget: RetryBudget;
  readonly #patience: Patience;
  readonly #lanes = new WeakMap<RpcUpstream, Lane>();
  /** Nobody waits for these: probes, and those whose hedge was quicker. */
  readonly #aside = new Set<Attempt>();
  #turn: number;

  constructor(options: ProxyOptions, modules: ProxyModules) {
    const { clock, served, onAttempt } = modules;
    this.#options = options;
    this.#modules = modules;
    this.#attemptModules = { clock, dialect: dialectOf(options.family), served, onAttempt };
    this.#budget = new RetryBudget(options.retries, { clock });
    this.#patience = new Patience(options.hedge, { clock });
    this.#turn = Math.floor(modules.random() * 1_000);
  }

  /** Throws SPRINT_PROXY_*, or the signal's reason. */
  pursue(call: Call, signal: AbortSignal): Promise<Served> {
    return this.#pursue(call, signal, this.#modules.clock.now() + this.#options.deadlineMs);
  }

  async #pursue(call: Call, signal: AbortSignal, until: number): Promise<Served> {
    const { clock } = this.#modules;
    const begunAt = clock.now();
    const { behindWaitMs } = this.#options;
    const way: Way = { call, signal, until, trail: new Trail(), missing: null, doubted: null, hedged: false };
    const order = this.#order();
    this.#budget.earn();
    for (let lookMs = FIRST_LOOK_MS; ; lookMs *= 2) {
      const ended = await this.#round(way, order);
      if (ended !== null) return served(way, ended);
      signal.throwIfAborted();
      const again = way.trail.saw("behind") && clock.now() + lookMs <= begunAt + behindWaitMs;
      if (!again || (way.trail.attempts > 0 && this.#budget.isEmpty)) break;
      await pause(clock, lookMs, signal);
    }
    if (way.missing !== null) return served(way, way.missing);
    const settled = way.doubted === null ? null : await this.#settle(way, way.doubted);
    if (settled !== null) return settled;
    throw problemOf(way.trail, clock.now());
  }

  /** All that answered are in doubt: what proves or refutes them is asked for in what is left of the call's time. */
  async #settle(way: Way, doubted: Ended): Promise<Served | null> {
    const { served: chain } = this.#modules;
    const { dialect } = this.#attemptModules;
    const { row, params } = way.call;
    const witness = dialect.witness(row, params, chain);
    const own = witness === null ? undefined : dialect.methods[witness.method];
    if (witness === null || own === undefined) return null;
    const call = { row: { method: witness.method, ...own }, params: witness.params };
    const { answer } = await this.#pursue(call, way.signal, way.until);
    const json = answer.ok ? dialect.settle(params, answer.json, chain) : null;
    return json === null ? null : { ...served(way, doubted), answer: { ok: true, json } };
  }

  close(): void {
    for (const attempt of this.#aside) attempt.stop();
  }

  /** The upstreams, each call beginning with the next one. */
  #order(): readonly Lane[] {
    const lanes = this.#modules.upstreams().map((upstream) => {
      let lane = this.#lanes.get(upstream);
      if (lane === undefined) {
        lane = new Lane(this.#options.chain, upstream, this.#modules);
        this.#lanes.set(upstream, lane);
      }
      return lane;
    });
    const start = lanes.length === 0 ? 0 : this.#turn++ % lanes.length;
    return [...lanes.slice(start), ...lanes.slice(0, start)];
  }

  /** Null where no upstream's answer will do. */
  async #round(way: Way, order: readonly Lane[]): Promise<Ended | null> {
    const { call, signal } = way;
    const asked = new Set<Lane>();
    const running = new Set<Attempt>();
    const stop = (): void => {
      for (const attempt of running) attempt.stop();
    };
    signal.addEventListener("abort", stop);
    let isServed = false;
    let hedgeMs = CLASSES[call.row.class].reads ? this.#patience.waitMs(call.row.method) : null;
    try {
      for (;;) {
        if (running.size === 0 && !this.#begin(way, order, asked, running)) return null;
        const ended = await this.#first(running, hedgeMs);
        if (ended === null) {
          hedgeMs = null;
          if (this.#begin(way, order, asked, running)) way.hedged = true;
          continue;
        }
        running.delete(ended.attempt);
        way.trail.ended(ended);
        if (ended.verdict === "answer") {
          this.#learn(ended, call);
          isServed = true;
          return ended;
        }
        if (ended.verdict === "elsewhere") way.missing ??= ended;
        if (ended.verdict === "doubted") way.doubted ??= ended;
        if (ended.verdict === "too_large") throw problemOf(way.trail, this.#modules.clock.now());
      }
    } finally {
      signal.removeEventListener("abort", stop);
      for (const attempt of running) {
        way.trail.lost(attempt);
        if (!isServed) continue;
        this.#leave(attempt);
        // Without what hedges overtake each would make the next one earlier.
        void attempt.ended.then((ended) => this.#learn(ended, call));
      }
      if (!isServed) stop();
    }
  }

  #learn({ verdict, latencyMs }: Ended, { row }: Call): void {
    if (verdict === "answer") this.#patience.learn(row.method, latencyMs);
  }

  /** Begins an attempt at the best upstream that was not asked yet. False where there is none, or no time or budget for one. */
  #begin(way: Way, order: readonly Lane[], asked: Set<Lane>, running: Set<Attempt>): boolean {
    const { clock, served: chain } = this.#modules;
    const { row } = way.call;
    const now = clock.now();
    const isFurther = way.trail.attempts > 0;
    if (way.signal.aborted || now >= way.until || asked.size >= this.#options.attempts) return false;
    if (isFurther && this.#budget.isEmpty) return false;
    const left = order.filter((lane) => !asked.has(lane));
    const choice = choose(left, row, chain, this.#options, now);
    way.trail.skipped(choice);
    for (const lane of choice.ways) {
      const token = lane.breaker(row.class).tryAcquire(now);
      if (token < 0) {
        way.trail.rejected(lane, token === REJECT_FORCED ? "forced" : "open");
        continue;
      }
      if (isFurther) this.#budget.spend();
      way.trail.attempts++;
      asked.add(lane);
      running.add(this.#attempt(way, lane, token, now));
      if (!isFurther && !choice.probes.includes(lane)) this.#probe(way, choice, now);
      return true;
    }
    return false;
  }

  /** An upstream that was ill is tried with a copy of the call, and the client does not wait for it. */
  #probe(way: Way, { probes }: Choice, now: number): void {
    for (const lane of probes) {
      const token = lane.breaker(way.call.row.class).tryAcquire(now);
      if (token < 0) continue;
      this.#leave(this.#attempt(way, lane, token, now));
      return;
    }
  }

  /**
   * It goes on by itself. Broken off, a call would say nothing to its breaker, and an upstream that hangs behind hedges would never be found out.
   */
  #leave(attempt: Attempt): void {
    attempt.leave();
    this.#aside.add(attempt);
    void attempt.ended.then(() => this.#aside.delete(attempt));
  }

  #attempt({ call, until }: Way, lane: Lane, token: number, at: number): Attempt {
    const options = { remainingMs: until - at, answerBytes: this.#options.answerBytes };
    return new Attempt(options, this.#attemptModules, call, { lane, token, at });
  }

  /** What ends first; null after `withinMs`. */
  async #first(running: ReadonlySet<Attempt>, withinMs: number | null): Promise<Ended | null> {
    const ends = Array.from(running, ({ ended }) => ended);
    if (withinMs === null) return Promise.race(ends);
    let cancel = (): void => {};
    const time = new Promise<null>((resolve) => {
      cancel = this.#modules.clock.after(withinMs, () => resolve(null));
    });
    try {
      return await Promise.race([...ends, time]);
    } finally {
      cancel();
    }
  }
}

function served({ trail, hedged }: Way, { answer, attempt }: Ended): Served {
  return { answer: answer as PassedAnswer, upstream: attempt.lane.upstream.name, trail, hedged };
}

/** Shorter where the signal is aborted. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener("abort", done);
  });
}
