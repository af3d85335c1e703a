/** What this room needs from above; daemon.ts implements it. Calls are synchronous and cheap unless they return a promise. */
import type { Block, BlockRef } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import type { Validation } from "../../shared/events.ts";
import type { BreakerSnapshot, Transition } from "../breaker/index.ts";
import type { Hub, RaceReport, StreamEvent } from "../relay/index.ts";
import type { FeedStatus } from "../upstream/index.ts";

/** A block with what this daemon knows about it. */
export interface BlockRecord {
  readonly block: Block;
  readonly network: string;
  readonly validation: Validation;
  /** Who announced it first; null where it came with a catch-up. */
  readonly upstream: string | null;
  readonly bestChain: boolean;
  readonly final: boolean;
}

export interface ChainSnapshot {
  readonly chain: Chain;
  readonly network: string;
  readonly tip: Block | null;
  readonly finalized: BlockRef | null;
  /** The gap to the upstreams' tip is filled. */
  readonly synced: boolean;
}

/** A listing starts below this: a height, or a block hash; null: at the tip. */
export type Before = number | string | null;

export interface ServerModules {
  readonly clock: Clock;
  /** The main process's hub; subscribers below the fan-out threshold are added to it. */
  readonly hub: Hub;
  /** The chains that are on, in the order of the configuration. */
  chains(): readonly ChainSnapshot[];
  latest(chain: Chain): BlockRecord | null;
  blockByHash(hash: string): BlockRecord | null;
  /** Best chain, newest first, at most `limit`; null where `before` is a hash that is not known. */
  blocksOf(chain: Chain, page: { readonly limit: number; readonly before: Before }): readonly BlockRecord[] | null;
  upstreams(): readonly FeedStatus[];
  /** False where no upstream has that name. `forMs` may be Infinity. */
  cordon(name: string, reason: string, forMs: number): boolean;
  uncordon(name: string): boolean;
  breakers(): readonly BreakerSnapshot[];
  race(chain: Chain, last: number): RaceReport;
  /** Socket read to socket write, null before the first block. */
  relayLatency(): { readonly p50Ms: number; readonly p99Ms: number; readonly count: number } | null;
  /** The running configuration, secrets redacted. */
  config(): unknown;
  /** Prometheus text. */
  metricsText(): Promise<string>;
  /** Asked for by an operator: begin the graceful shutdown. Returns at once. */
  stop(): void;
  /** Each published event, after it went to the hub, in order, in the same tick. */
  onEvent(listener: (event: StreamEvent) => void): Cancel;
  /** An error of ours on the way to an answer; the client was told no more than that. */
  onFault(error: unknown, where: string): void;
  onTransition(listener: (transition: Transition) => void): Cancel;
  onUpstream(listener: (status: FeedStatus) => void): Cancel;
}
