/**
 * JSON-RPC through the upstreams of one chain. What stands around a call, from the outside to the inside, and why in this order:
 *
 *   1. bounds         size, batch, requests under way      nothing below has to be afraid of its input
 *   2. allow-list     `dialects.ts`                        what is refused costs nothing further
 *   3. sharing        equal reads under way, one answer    before all that costs: a hundred clients are one call to what follows
 *   4. deadline       10 s, for all that follows           a retry does not buy time, it spends it
 *   5. catching up    250 ms of looking again              around failover: only when nobody was up to date
 *   6. retry budget   for all attempts but the first       around failover and hedge alike: both multiply what an outage sees
 *   7. failover       three upstreams, each once
 *      and hedge      the second begins before the first has failed; otherwise it is the same
 *   8. choice         served tip, then state of breaker    without asking the breaker: a permit is for who will be asked
 *   9. bulkhead       16 calls an upstream, no queue       before the breaker: that we are busy is not its failure, and uses no permit;
 *                                                          16 more that a hedge has overtaken, which end by themselves, for the breaker
 *  10. breaker        by upstream and class                around the time-out, to see it as what it is, a failure
 *  11. time-out       by class, of one attempt             innermost: of nothing but the call
 *
 * Never behind: what depends on a node's tip is not asked of one below the served tip, and an answer that shows it to be below (also "not found" for a
 * block that was announced) is not passed on. The proxy looks again for 250 ms, as the node that announced a block may still be connecting it; then it
 * says 503 SPRINT_PROXY_BEHIND. It never answers with an older tip. Where the height of an upstream is not known (the relay has no connection to it) and its
 * answer shows none, as of a mempool, nothing can be told: such a one is asked after the others.
 *
 * A call joins one that is under way only if it is the same call, no block was served and no transaction sent since that began: who was told of a block
 * never gets an answer from before it.
 *
 * An upstream whose breaker wants a probe gets a copy of a call that another one answers: no client waits for somebody who was ill a moment ago, unless
 * nobody else is left.
 */
import { isSprintError } from "../../shared/errors.ts";
import type { Dialect } from "./dialect.ts";
import { dialectOf, methodsOf } from "./dialects.ts";
import { Failover, type Served } from "./failover.ts";
import { CLASSES, type MethodRow } from "./methods.ts";
import { closed, tooManyRequests } from "./problem.ts";
import {
  type Asked,
  type Entry,
  errorAnswer,
  errorObjectAnswer,
  METHOD_NOT_FOUND,
  readRequest,
  resultAnswer,
  SERVER_ERROR,
} from "./request.ts";
import { Sharing } from "./sharing.ts";
import { headerOf, headerToken } from "./trail.ts";
import {
  PROXY_DEFAULTS,
  type ProxyModules,
  type ProxyOptions,
  type RequestTold,
  type RpcProxy,
  type RpcReply,
} from "./types.ts";

/** Longer keys are not kept: such calls are seldom twice the same. */
const MOST_KEY_CHARS = 1_024;

interface Answered {
  readonly served: Served;
  readonly shared: boolean;
}

/** What the headers tell of the calls of a request. */
class Account {
  readonly #upstreams = new Set<string>();
  readonly #steps = new Set<string>();
  #hedged = false;
  #shared = false;

  add({ served, shared }: Answered): void {
    this.#upstreams.add(headerToken(served.upstream));
    this.tried(served.trail.steps);
    this.#hedged ||= served.hedged;
    this.#shared ||= shared;
  }

  tried(steps: readonly string[]): void {
    for (const step of steps) this.#steps.add(step);
  }

  headers(): Record<string, string> {
    if (this.#steps.size === 0) return {};
    return {
      ...(this.#upstreams.size === 0 ? {} : { "x-sprint-upstream": headerOf([...this.#upstreams]) }),
      "x-sprint-tried": headerOf([...this.#steps]),
      "x-sprint-hedged": String(this.#hedged),
      "x-sprint-shared": String(this.#shared),
    };
  }
}

export function createRpcProxy(
  options: Pick<ProxyOptions, "chain" | "family"> & Partial<ProxyOptions>,
  modules: ProxyModules,
): RpcProxy {
  return new ChainProxy({ ...PROXY_DEFAULTS, ...options }, modules);
}

class ChainProxy implements RpcProxy {
  readonly #options: ProxyOptions;
  readonly #modules: ProxyModules;
  readonly #dialect: Dialect;
  readonly #methods: ReadonlyMap<string, MethodRow>;
  readonly #failover: Failover;
  readonly #sharing: Sharing<Served>;
  #isClosed = false;
  #requests = 0;
  #sent = 0;

  constructor(options: ProxyOptions, modules: ProxyModules) {
    this.#options = options;
    this.#modules = modules;
    this.#dialect = dialectOf(options.family);
    this.#methods = methodsOf(options.chain, options.family);
    this.#failover = new Failover(options, modules);
    this.#sharing = new Sharing({ limit: options.shared });
  }

  async handle(body: string, signal: AbortSignal): Promise<RpcReply> {
    if (this.#isClosed) throw closed();
    if (this.#requests >= this.#options.requests) throw tooManyRequests(this.#options.requests);
    this.#requests++;
    try {
      const request = readRequest(body, this.#options);
      if (request.kind === "batch") return await this.#batch(request.entries, signal);
      if (request.kind === "single") return await this.#single(request.entry, signal);
      this.#told("other", "refused", this.#modules.clock.now());
      return { status: 400, headers: {}, body: request.refusal, calls: 1 };
    } finally {
      this.#requests--;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#sharing.close(closed());
    this.#failover.close();
  }

  async #single(entry: Entry, signal: AbortSignal): Promise<RpcReply> {
    const account = new Account();
    const body = await this.#entry(entry, account, signal);
    return { status: 200, headers: account.headers(), body, calls: 1 };
  }

  /** Some calls at a time; answers in the order of the calls. What fails is an error object: the others have answers. */
  async #batch(entries: readonly Entry[], signal: AbortSignal): Promise<RpcReply> {
    const { batchParallel, replyChars } = this.#options;
    const account = new Account();
    const answers: string[] = [];
    const queue = entries.entries();
    let chars = 0;
    const work = async (): Promise<void> => {
      for (const [at, entry] of queue) {
        let answer = await this.#entry(entry, account, signal, (asked, error) => failedAnswer(asked, error, account));
        if (chars + answer.length > replyChars && "asked" in entry)
          answer = errorAnswer(
            entry.asked,
            SERVER_ERROR,
            `the answers of this batch are above ${replyChars} characters`,
            {
              code: "SPRINT_PROXY_TOO_LARGE",
            },
          );
        chars += answer.length;
        answers[at] = answer;
      }
    };
    await Promise.all(Array.from({ length: Math.min(batchParallel, entries.length) }, work));
    return { status: 200, headers: account.headers(), body: `[${answers.join(",")}]`, calls: entries.length };
  }

  /** The answer to one call. Throws what `onFailed` does not turn into one. */
  async #entry(
    entry: Entry,
    account: Account,
    signal: AbortSignal,
    onFailed?: (asked: Asked, error: unknown) => string,
  ): Promise<string> {
    const begunAt = this.#modules.clock.now();
    const row = "asked" in entry ? this.#methods.get(entry.asked.method) : undefined;
    if ("refusal" in entry || row === undefined) {
      this.#told("other", "refused", begunAt);
      if ("refusal" in entry) return entry.refusal;
      const known = [...this.#methods.keys()].toSorted().join(", ");
      return errorAnswer(entry.asked, METHOD_NOT_FOUND, `this method is not let through here; these are: ${known}`);
    }
    const { asked } = entry;
    try {
      const answered = await this.#answer(asked, row, signal);
      account.add(answered);
      const { answer } = answered.served;
      this.#told(row.method, answer.ok ? "result" : "error", begunAt);
      return answer.ok ? resultAnswer(asked, answer.json) : errorObjectAnswer(asked, answer.json);
    } catch (error) {
      this.#told(row.method, signal.aborted ? "gone" : "failed", begunAt);
      if (signal.aborted || onFailed === undefined) throw error;
      return onFailed(asked, error);
    }
  }

  async #answer({ params }: Asked, row: MethodRow, signal: AbortSignal): Promise<Answered> {
    const call = { row: this.#dialect.rowFor(row, params, this.#modules.served), params };
    const { reads } = CLASSES[row.class];
    try {
      const begin = (flight: AbortSignal): Promise<Served> => this.#failover.pursue(call, flight);
      const { value: served, shared } = await this.#sharing.join(reads ? this.#keyOf(call) : null, begin, signal);
      return { served, shared };
    } finally {
      if (!reads) this.#sent++;
    }
  }

  #keyOf({ row, params }: { readonly row: MethodRow; readonly params: Asked["params"] }): string | null {
    const key = `${this.#modules.served.tip()?.hash} ${this.#sent} ${row.method} ${JSON.stringify(params)}`;
    return key.length <= MOST_KEY_CHARS ? key : null;
  }

  #told(method: string, outcome: RequestTold["outcome"], begunAt: number): void {
    const latencyMs = this.#modules.clock.now() - begunAt;
    this.#modules.onRequest?.({ method, outcome, latencyMs });
  }
}

/** What is no SprintError is a fault of ours, and is not told. */
function failedAnswer(asked: Asked, error: unknown, account: Account): string {
  if (!isSprintError(error)) throw error;
  const { tried, retryAfterSeconds } = error.data;
  if (typeof tried === "string") account.tried(tried.split(", "));
  return errorAnswer(asked, SERVER_ERROR, error.message, {
    code: error.code,
    tried,
    retry_after_seconds: retryAfterSeconds,
  });
}
