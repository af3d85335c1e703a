/** What this room needs from above; daemon.ts implements it. Calls are synchronous and cheap unless they return a promise. */
import type { Block, BlockRef } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import type { Validation } from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";
import type {
  AuditEntryBody,
  ChangeBody,
  MatchesBody,
  MatchesQuery,
  PluginBody,
  ReloadBody,
  StatsBody,
  UnspentBody,
  UnspentQuery,
  WatchBody,
  WatchListBody,
} from "../../shared/api.ts";
import type { BreakerPolicy, BreakerReport, BreakerTransition } from "../breaker/index.ts";
import type { Drop, Filter, Hub, RaceReport, StreamEvent } from "../relay/index.ts";
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
  /** Of chains whose upstreams tell it; null where none has. */
  readonly safe?: { readonly hash: string; readonly height: number } | null;
  /** The gap to the upstreams' tip is filled. */
  readonly synced: boolean;
}

/** Where a stream begins. */
export interface Resumed {
  /** True when everything since the cursor is in `backlog`. */
  readonly recovered: boolean;
  /** The position before the backlog. */
  readonly cursor: string;
  /** What the filter lets through of all that was published since, oldest first, up to the newest event. */
  readonly backlog: readonly StreamEvent[];
}

export interface BreakerView {
  readonly tier: Tier;
  readonly policy: BreakerPolicy;
  readonly report: BreakerReport;
}

export interface ForceBy {
  readonly owner: string;
  readonly reason: string;
  readonly forMs?: number;
}

/** Null: as it would be without an operator. */
export type PolicyChanges = { readonly [K in keyof BreakerPolicy]?: BreakerPolicy[K] | null };

export interface Configured {
  readonly breaker: BreakerView;
  readonly changes: readonly ChangeBody[];
}

/** What the JSON-RPC proxy answers over HTTP. */
export interface RpcReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Text of JSON. */
  readonly body: string;
  /** How many there were in a batch; else 1. */
  readonly calls: number;
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
  /**
   * Answers a JSON-RPC request, `body` as it came, through the upstreams of a chain that is on. Throws SPRINT_PROXY_* where no upstream can
   * answer; `signal` says that the client has gone.
   */
  rpc(chain: Chain, body: string, signal: AbortSignal): Promise<RpcReply>;
  stats(chain: Chain): StatsBody;
  /** Throws SPRINT_WATCH_* where a list cannot be taken. */
  watch(chain: Chain, body: WatchBody): Promise<WatchListBody>;
  watchLists(chain: Chain): readonly WatchListBody[];
  /** Null where there is no list of that id; so in the next two. */
  watchList(chain: Chain, id: string): WatchListBody | null;
  unspent(chain: Chain, id: string, query: UnspentQuery): UnspentBody | null;
  /** Blocks from before the list that may concern it. Throws SPRINT_WATCH_NO_FILTERS, SPRINT_WATCH_RANGE, SPRINT_UPSTREAM_*. */
  matches(chain: Chain, id: string, query: MatchesQuery): Promise<MatchesBody | null>;
  /** False where there is no list of that id. */
  unwatch(chain: Chain, id: string): boolean;
  /** Settles when logs can be decoded by these fragments. Rejects with SPRINT_ABI_* where one is none. */
  prepareAbi(abi: readonly string[]): Promise<void>;
  upstreams(): readonly FeedStatus[];
  /** False where no upstream has that name. `forMs` may be Infinity. */
  cordon(name: string, reason: string, forMs: number): boolean;
  uncordon(name: string): boolean;
  breakers(): readonly BreakerView[];
  /** Null where no breaker has that name; so in all that follow. */
  breaker(name: string): BreakerView | null;
  /** Newest first. */
  breakerHistory(name: string, last: number): readonly BreakerTransition[] | null;
  force(name: string, to: "open" | "close", by: ForceBy): BreakerView | null;
  resetBreaker(name: string): BreakerView | null;
  /** Whole or not at all. Throws SPRINT_BREAKER_OPTIONS with `data.field`. */
  configureBreaker(name: string, changes: PolicyChanges): Configured | null;
  /**
   * Reads the configuration again from where it came. Throws SPRINT_CONFIG_* where it does not hold, and SPRINT_CONFIG_NEEDS_RESTART with
   * `data.changes` where part of it cannot change while running; then nothing changed.
   */
  reload(dryRun: boolean): Promise<ReloadBody>;
  plugins(): readonly PluginBody[];
  /** Reads the configuration's plug-ins again, loads each anew and takes over what holds. Throws SPRINT_CONFIG_*. */
  reloadPlugins(): Promise<readonly PluginBody[]>;
  /** Kept, told to the control stream, and written down. */
  audit(entry: AuditEntryBody): void;
  /** Newest first. */
  audited(last: number): readonly AuditEntryBody[];
  race(chain: Chain, last: number): RaceReport;
  /** Socket read to socket write, null before the first block. */
  relayLatency(): { readonly p50Ms: number; readonly p99Ms: number; readonly count: number } | null;
  /** Null: `resume` can be asked at once. Else it settles when the daemon has caught up with the cursor, or will not in good time. */
  caughtUp(cursor: string, filter: Filter): Promise<void> | null;
  /** `cursor` null: from now on. A cursor that cannot be followed is answered with a gap in the backlog, never refused. */
  resume(cursor: string | null, filter: Filter): Resumed;
  /** The running configuration, secrets redacted. */
  config(): unknown;
  /** Prometheus text. */
  metricsText(): Promise<string>;
  /** Asked for by an operator: begin the graceful shutdown. Returns at once. */
  stop(): void;
  /** Each published event, after it went to the hub, in order, before anything else happens in this process. */
  onEvent(listener: (event: StreamEvent) => void): Cancel;
  /** What the hubs of the fan-out processes tell; the main process's hub tells it by callbacks of its own. */
  onRelayed(tier: Tier, relayMs: number): void;
  onDrop(drop: Omit<Drop, "subscriber"> & { readonly tier: Tier }): void;
  /** An error of ours on the way to an answer; the client was told no more than that. */
  onFault(error: unknown, where: string): void;
  onTransition(listener: (transition: BreakerTransition) => void): Cancel;
  onAudit(listener: (entry: AuditEntryBody) => void): Cancel;
  /** The beat of metrics collection. */
  onBreakers(listener: (breakers: readonly BreakerView[]) => void): Cancel;
  onUpstream(listener: (status: FeedStatus) => void): Cancel;
}
