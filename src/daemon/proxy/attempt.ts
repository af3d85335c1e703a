/** One call at one upstream: under its breaker and its bulkhead, within its time. It ends once, however many things end it. */
import type { Clock } from "../../shared/clock.ts";
import { messageOf } from "../../shared/errors.ts";
import { type Breaker, FAILURE, IGNORED, type OutcomeCode } from "../breaker/index.ts";
import type { PassedAnswer } from "../upstream/index.ts";
import type { Dialect } from "./dialect.ts";
import type { Lane } from "./lane.ts";
import { CLASSES, type MethodRow } from "./methods.ts";
import type { AttemptTold, Params, ServedChain } from "./types.ts";
import { judge, outcomeOfError, type Verdict, wordOfAnswer, wordOfError } from "./verdict.ts";

export interface Call {
  readonly row: MethodRow;
  readonly params: Params;
}

export interface Ended {
  readonly attempt: Attempt;
  readonly verdict: Verdict;
  readonly word: string;
  readonly answer: PassedAnswer | null;
  readonly latencyMs: number;
}

/** A lane whose breaker let the call through. */
export interface Admission {
  readonly lane: Lane;
  readonly token: number;
  /** Monotonic ms. */
  readonly at: number;
}

export interface AttemptOptions {
  /** What is left of the call's time. */
  readonly remainingMs: number;
  readonly answerBytes: number;
}

export interface AttemptModules {
  readonly clock: Clock;
  readonly dialect: Dialect;
  readonly served: ServedChain;
  readonly onAttempt: ((attempt: AttemptTold) => void) | undefined;
}

export class Attempt {
  readonly lane: Lane;
  /** Never rejects. */
  readonly ended: Promise<Ended>;
  readonly #call: Call;
  readonly #modules: AttemptModules;
  readonly #admission: Admission;
  readonly #breaker: Breaker;
  readonly #control = new AbortController();
  #resolve: (ended: Ended) => void = () => {};
  #isOver = false;
  #isLeft = false;

  constructor(options: AttemptOptions, modules: AttemptModules, call: Call, admission: Admission) {
    this.lane = admission.lane;
    this.#call = call;
    this.#modules = modules;
    this.#admission = admission;
    this.#breaker = admission.lane.breaker(call.row.class);
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    admission.lane.underWay++;
    void this.#run(options);
  }

  /** Nobody waits for it any more; it goes on. */
  leave(): void {
    if (this.#isOver || this.#isLeft) return;
    this.#isLeft = true;
    this.lane.underWay--;
    this.lane.left++;
  }

  /** Breaks it off; that is nobody's fault. */
  stop(): void {
    this.#end("stopped", "stopped", IGNORED, null);
    this.#control.abort();
  }

  async #run({ remainingMs, answerBytes }: AttemptOptions): Promise<void> {
    const { row, params } = this.#call;
    const { timeoutMs } = CLASSES[row.class];
    const isCutShort = remainingMs < timeoutMs;
    try {
      const answer = await this.lane.upstream.ask(row.method, params, {
        signal: this.#control.signal,
        timeoutMs: Math.max(1, Math.ceil(Math.min(timeoutMs, remainingMs))),
        maxResponseBytes: answerBytes,
      });
      const { dialect, served } = this.#modules;
      const { verdict, outcome } = judge(dialect, row, params, answer, served);
      this.#end(verdict, wordOfAnswer(verdict, answer), outcome, answer);
    } catch (error) {
      const word = wordOfError(error);
      // One that began late in the call's time had less than an upstream may take.
      const outcome = word === "timeout" && isCutShort ? IGNORED : outcomeOfError(word);
      this.#end(word === "too_large" ? "too_large" : "failed", word, outcome, null, messageOf(error));
    }
  }

  #end(verdict: Verdict, word: string, outcome: OutcomeCode, answer: PassedAnswer | null, error?: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { clock, onAttempt } = this.#modules;
    const { lane } = this;
    const now = clock.now();
    const latencyMs = now - this.#admission.at;
    if (this.#isLeft) lane.left--;
    else lane.underWay--;
    this.#breaker.onResult(this.#admission.token, outcome, latencyMs, now, outcome === FAILURE ? error : undefined);
    onAttempt?.({ upstream: lane.upstream.name, class: this.#call.row.class, outcome: word, latencyMs });
    this.#resolve({ attempt: this, verdict, word, answer, latencyMs });
  }
}
