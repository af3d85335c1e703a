/**
 * `run(fn)`: admission, call and result in one, for who would rather have a promise than a token. It returns the caller's own promise chain; rejected
 * callers get an error that was built before, without a stack: where it was thrown is never the question.
 */
import type { Clock } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import { failureOutcome } from "./classify.ts";
import { IGNORED, type OutcomeCode, REJECT_UNKNOWN, SUCCESS } from "./codes.ts";
import type { BreakerCondition } from "./machine.ts";
import type { BreakerPolicy } from "./policy.ts";
import type { BreakerPool } from "./pool.ts";

export interface GuardModules {
  readonly pool: BreakerPool;
  readonly clock: Pick<Clock, "now">;
  /** What a rejection means; FAILURE where absent. Never asked when the caller's own signal was aborted: that is IGNORED. */
  readonly classify?: (error: unknown) => OutcomeCode;
  /**
   * Calls back once, in the next turn of the event loop (`setImmediate`). With it the clock is read once a turn, as the loop itself does, and again
   * after each 64 uses; without, at the begin and at the end of each call.
   */
  readonly turn?: (fn: () => void) => unknown;
}

export interface RunOptions {
  /** Handed to `fn`. A call that was aborted through it is nobody's fault. */
  readonly signal?: AbortSignal;
}

/** `code` says why: SPRINT_BREAKER_OPEN, _HALF_OPEN, _FORCED, _FULL. One object per breaker, reason, state and probe time; it has no stack. */
export class BreakerRejection extends SprintError {
  readonly breaker: string;
  readonly state: BreakerCondition;
  /** Monotonic ms from which on a probe is let through; null where time alone does not help. */
  readonly retryAt: number | null;
  readonly #clock: Pick<Clock, "now">;

  constructor(
    reject: number,
    breaker: string,
    state: BreakerCondition,
    retryAt: number | null,
    clock: Pick<Clock, "now">,
  ) {
    const [code, what] = REASONS[-reject] ?? REASONS[1];
    super(code, `${breaker} was not asked: ${what}`, { breaker, state });
    this.name = "BreakerRejection";
    this.breaker = breaker;
    this.state = state;
    this.retryAt = retryAt;
    this.#clock = clock;
  }

  /** From now; null where time alone does not help. */
  get retryAfterMs(): number | null {
    return this.retryAt === null ? null : Math.max(0, this.retryAt - this.#clock.now());
  }
}

type Reason = readonly [`SPRINT_BREAKER_${string}`, string];
const OPEN_REASON: Reason = ["SPRINT_BREAKER_OPEN", "its breaker is open; try again after retryAfterMs"];
const REASONS: readonly [Reason, Reason, ...Reason[]] = [
  OPEN_REASON,
  OPEN_REASON,
  ["SPRINT_BREAKER_HALF_OPEN", "its breaker is trying it out with few calls; try again shortly"],
  ["SPRINT_BREAKER_HALF_OPEN", "its breaker lets only a share of calls through; try again shortly"],
  ["SPRINT_BREAKER_FORCED", "an operator holds its breaker open"],
  ["SPRINT_BREAKER_FULL", "as many calls are out as its pool can hold"],
  ["SPRINT_BREAKER_UNKNOWN", "its breaker was evicted"],
  ["SPRINT_BREAKER_CLOCK", "the clock gave no finite time"],
];

/** Readings of the clock are used so often within one turn. */
const USES_PER_READING = 64;
/** Records of calls that are kept for the next ones; those of a burst beyond are not. */
const MOST_KEPT = 1_024;

/** One call that is out. Its two continuations are made once and used for many calls, one after the other. */
interface Call {
  /** The next spare one. */
  next: Call | null;
  readonly kept: boolean;
  token: number;
  startedAt: number;
  signal: AbortSignal | undefined;
  readonly succeeded: <T>(value: T) => T;
  readonly failed: (error: unknown) => never;
}

export class Guard {
  readonly key: string;
  readonly #policy: BreakerPolicy;
  readonly #pool: BreakerPool;
  readonly #clock: Pick<Clock, "now">;
  readonly #turn: GuardModules["turn"];
  readonly #classify: (error: unknown) => OutcomeCode;
  #handle: number;
  #now = Number.NaN;
  #uses = 0;
  #armed = false;
  #spare: Call | null = null;
  #kept = 0;
  #rejection: BreakerRejection | null = null;
  #rejectionCode = 0;
  readonly #turned = (): void => {
    this.#armed = false;
    this.#uses = 0;
  };

  constructor(key: string, policy: BreakerPolicy, modules: GuardModules) {
    this.key = key;
    this.#policy = policy;
    this.#pool = modules.pool;
    this.#clock = modules.clock;
    this.#turn = modules.turn;
    this.#classify = modules.classify ?? failureOutcome;
    this.#handle = modules.pool.open(key, policy, modules.clock.now());
  }

  /** Of the breaker in the pool. */
  get handle(): number {
    return this.#handle;
  }

  /** What `fn` gives, or rejects with a `BreakerRejection` before `fn` is called; SPRINT_BREAKER_FULL where it was evicted and there is no room for it. */
  run<T>(fn: (signal: AbortSignal | undefined) => PromiseLike<T>, options?: RunOptions): Promise<T> {
    const at = this.#time();
    let token = this.#pool.tryAcquire(this.#handle, at);
    if (token < 0) {
      try {
        token = token === REJECT_UNKNOWN ? this.#reopen(at) : token;
      } catch (error) {
        return Promise.reject(error);
      }
      if (token < 0) return Promise.reject(this.#rejected(token));
    }
    const call = this.#spare ?? this.#call();
    this.#spare = call.next;
    const signal = options?.signal;
    call.token = token;
    call.startedAt = at;
    if (signal !== undefined) call.signal = signal;
    let promise: PromiseLike<T>;
    try {
      promise = fn(signal);
    } catch (error) {
      return Promise.reject(error).catch(call.failed);
    }
    return (promise instanceof Promise ? promise : Promise.resolve(promise)).then(call.succeeded<T>, call.failed);
  }

  #call(): Call {
    const call: Call = {
      next: null,
      kept: this.#kept < MOST_KEPT,
      token: 0,
      startedAt: Number.NaN,
      signal: undefined,
      succeeded: (value) => {
        const now = this.#time();
        this.#pool.onResult(this.#handle, call.token, SUCCESS, now - call.startedAt, now);
        if (call.signal !== undefined) call.signal = undefined;
        if (call.kept) {
          call.next = this.#spare;
          this.#spare = call;
        }
        return value;
      },
      failed: (error) => {
        const now = this.#time();
        const judged = call.signal?.aborted === true ? IGNORED : this.#judged(error);
        this.#pool.onResult(this.#handle, call.token, judged, now - call.startedAt, now);
        call.signal = undefined;
        if (call.kept) {
          call.next = this.#spare;
          this.#spare = call;
        }
        throw error;
      },
    };
    this.#kept++;
    return call;
  }

  /** A classifier that throws has no opinion. */
  #judged(error: unknown): OutcomeCode {
    try {
      return this.#classify(error);
    } catch {
      return failureOutcome(error);
    }
  }

  /** The time of this turn of the event loop, where somebody tells when it ends; after 64 uses it is read again, as a turn may be long. */
  #time(): number {
    if (this.#uses > 0) this.#uses--;
    else this.#read();
    return this.#now;
  }

  #read(): void {
    this.#now = this.#clock.now();
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#uses = USES_PER_READING;
    if (!this.#armed) {
      this.#armed = true;
      turn(this.#turned);
    }
  }

  /** Its breaker was evicted while nobody called. Throws SPRINT_BREAKER_FULL where there is no room for it. */
  #reopen(now: number): number {
    this.#handle = this.#pool.open(this.key, this.#policy, now);
    return this.#pool.tryAcquire(this.#handle, now);
  }

  #rejected(code: number): BreakerRejection {
    const retryAt = this.#pool.probeAt(this.#handle);
    const state = this.#pool.stateOf(this.#handle);
    const last = this.#rejection;
    const same = last !== null && this.#rejectionCode === code && last.retryAt === retryAt && last.state === state;
    if (same) return last;
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      const made = new BreakerRejection(code, this.key, state, retryAt, this.#clock);
      this.#rejection = made;
      this.#rejectionCode = code;
      return made;
    } finally {
      Error.stackTraceLimit = limit;
    }
  }
}
