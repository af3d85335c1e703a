/** The words of this room. A call is one JSON-RPC call of a client; an attempt is that call at one upstream. */
import type { Clock, Random } from "../../shared/clock.ts";
import type { Block } from "../../shared/block.ts";
import type { Chain, ChainFamily } from "../../shared/chain.ts";
import type { Breaker, BreakerPolicy } from "../breaker/index.ts";
import type { CallOptions, PassedAnswer } from "../upstream/index.ts";
import type { MethodClass } from "./methods.ts";

export type Params = readonly unknown[] | Readonly<Record<string, unknown>>;

/** A node that answers JSON-RPC. Its object must stay the same as long as it is the same upstream. */
export interface RpcUpstream {
  readonly name: string;
  /** Keeps `timeoutMs` and `signal`. Throws SPRINT_RPC_*, or the signal's reason. */
  ask(method: string, params: Params, options: CallOptions): Promise<PassedAnswer>;
  /** Of its chain, as the daemon knows it now; null where it does not. */
  heightNow(): number | null;
}

export interface ProxyOptions {
  readonly chain: Chain;
  readonly family: ChainFamily;
  /** From a call's begin to its end, whatever was tried. */
  readonly deadlineMs: number;
  /** Upstreams that are asked for one call before it fails. */
  readonly attempts: number;
  /** Calls under way at one upstream. A node queues 16 by itself and refuses more. */
  readonly perUpstream: number;
  /** Calls at one upstream that another one has answered meanwhile: they are left to end by themselves, for their breaker. */
  readonly leftPerUpstream: number;
  /** Requests under way; a batch is one. */
  readonly requests: number;
  readonly batchCalls: number;
  /** Calls of one batch under way at a time. */
  readonly batchParallel: number;
  /** Of a request's body. */
  readonly requestChars: number;
  /** Of one upstream's answer. */
  readonly answerBytes: number;
  /** Of all answers of a batch together. */
  readonly replyChars: number;
  /** How long a call waits for an upstream to catch up with the served tip. */
  readonly behindWaitMs: number;
  /** Calls under way that others may join. */
  readonly shared: number;
  readonly retries: RetryOptions;
  readonly hedge: HedgeOptions;
}

/**
 * A bucket: each call puts `share` of an attempt in, each second `perSecond`, and it holds `most`. Starts full. `most` is above what breakers need to see
 * before they open (20 at ENTERPRISE, for each class): until then a dead upstream costs an attempt for each call that begins with it.
 */
export interface RetryOptions {
  readonly share: number;
  readonly perSecond: number;
  readonly most: number;
}

/** A second upstream is asked after the learnt `quantile` of a method, from `leastMs` to `mostMs`; never before `samples` answers. */
export interface HedgeOptions {
  readonly quantile: number;
  readonly samples: number;
  readonly leastMs: number;
  readonly mostMs: number;
}

export const PROXY_DEFAULTS: Omit<ProxyOptions, "chain" | "family"> = {
  deadlineMs: 10_000,
  attempts: 3,
  perUpstream: 16,
  leftPerUpstream: 16,
  requests: 256,
  batchCalls: 100,
  batchParallel: 8,
  requestChars: 256 * 1024,
  answerBytes: 16 * 1024 * 1024,
  replyChars: 32 * 1024 * 1024,
  behindWaitMs: 250,
  shared: 1_024,
  retries: { share: 0.1, perSecond: 1, most: 100 },
  hedge: { quantile: 0.95, samples: 100, leastMs: 5, mostMs: 1_000 },
};

/** What this daemon has told its subscribers of the chain. */
export interface ServedChain {
  /** Null before the first block. */
  tip(): { readonly hash: string; readonly height: number } | null;
  /** Of a block on the served chain; null where it is not on it, or not known. */
  heightOf(hash: string): number | null;
  /** The block at that height of the served chain, for answers that can be held against it; null where it is not known. */
  block?(height: number): Block | null;
}

export interface ProxyModules {
  readonly clock: Clock;
  /** For the order in which upstreams are first asked. */
  readonly random: Random;
  /** The breaker of that name, under the tier's policy but for what `own` makes of it. */
  readonly openBreaker: (name: string, own: (tier: BreakerPolicy) => Partial<BreakerPolicy>) => Breaker;
  /** Those that may be asked now, without the cordoned ones. */
  readonly upstreams: () => readonly RpcUpstream[];
  readonly served: ServedChain;
  /** `outcome` is a word of `ATTEMPT_WORDS`. */
  readonly onAttempt?: (attempt: AttemptTold) => void;
  /** `method` is one of the table, or "other". */
  readonly onRequest?: (request: RequestTold) => void;
}

export interface AttemptTold {
  readonly upstream: string;
  readonly class: MethodClass;
  readonly outcome: string;
  readonly latencyMs: number;
}

export interface RequestTold {
  readonly method: string;
  /** `error`: the node's own. `refused`: not a call, or not of the table. `failed`: no upstream could. */
  readonly outcome: "result" | "error" | "refused" | "failed" | "gone";
  readonly latencyMs: number;
}

export interface RpcReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Text of JSON. */
  readonly body: string;
  /** How many there were in a batch; else 1. */
  readonly calls: number;
}

export interface RpcProxy {
  /**
   * Answers a request as it came. Throws SPRINT_PROXY_NO_UPSTREAM, _OPEN, _BUSY, _BEHIND, _TIMEOUT, _FAILED, _TOO_LARGE, _CLOSED for a single call; in
   * a batch these are error objects. Rejects with the signal's reason when the client has gone.
   */
  handle(body: string, signal: AbortSignal): Promise<RpcReply>;
  /** Breaks off what is under way. The upstreams are the caller's to close. */
  close(): void;
}
