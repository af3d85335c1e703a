/** REST and control API: routes, query strings, payloads. Declared once: the server checks by it, /openapi.json is made from it, clients are typed by it. */
import { type Static, Type } from "typebox";
import { type BreakersBody, ChangeBody, type TransitionBody } from "./breaker-api.ts";
import type { BlockEvent, ReorgEvent } from "./events.ts";
import { ChainName, Hash, HASH_PATTERN, Height, oneOf, orNull, Ref, strict, TierName, Time } from "./schema.ts";

export * from "./breaker-api.ts";
export * from "./filter-api.ts";
export * from "./stats-api.ts";
export * from "./watch-api.ts";

/** Paths of a tier's listener. */
export const TIER_ROUTES = {
  latest: "/api/v1/blocks/latest",
  block: "/api/v1/blocks/:hash",
  chains: "/api/v1/chains",
  chainStatus: "/api/v1/chains/:chain/status",
  chainBlocks: "/api/v1/chains/:chain/blocks",
  rpc: "/api/v1/chains/:chain/rpc",
  stats: "/api/v1/chains/:chain/stats",
  watchLists: "/api/v1/chains/:chain/watch",
  watchList: "/api/v1/chains/:chain/watch/:id",
  unspent: "/api/v1/chains/:chain/watch/:id/unspent",
  matches: "/api/v1/chains/:chain/watch/:id/matches",
  subscribe: "/api/v1/subscribe",
  subscription: "/api/v1/subscribe/:id",
  subscriptions: "/api/v1/subscriptions",
  health: "/api/v1/health",
  metrics: "/api/v1/metrics",
  version: "/api/v1/version",
  healthz: "/healthz",
  readyz: "/readyz",
  openapi: "/openapi.json",
  events: "/ws/v1/events",
} as const;

/** Paths of the control API. */
export const CONTROL_ROUTES = {
  status: "/control/v1/status",
  topology: "/control/v1/topology",
  upstreams: "/control/v1/upstreams",
  cordon: "/control/v1/upstreams/:name/cordon",
  uncordon: "/control/v1/upstreams/:name/uncordon",
  config: "/control/v1/config",
  reload: "/control/v1/config/reload",
  breakers: "/control/v1/breakers",
  breaker: "/control/v1/breakers/:name",
  breakerHistory: "/control/v1/breakers/:name/history",
  forceOpen: "/control/v1/breakers/:name/force-open",
  forceClose: "/control/v1/breakers/:name/force-close",
  reset: "/control/v1/breakers/:name/reset",
  breakerConfig: "/control/v1/breakers/:name/config",
  audit: "/control/v1/audit",
  plugins: "/control/v1/plugins",
  reloadPlugins: "/control/v1/plugins/reload",
  race: "/control/v1/race",
  stop: "/control/v1/stop",
  stream: "/control/v1/stream",
  metrics: "/metrics",
  openapi: "/openapi.json",
} as const;

export const ErrorBody = Type.Object({
  error: Type.Object({
    code: Type.String({ description: "stable: SPRINT_<AREA>_<WHAT>" }),
    message: Type.String({ description: "what was expected, what came, what to do" }),
    details: Type.Record(Type.String(), Type.Unknown()),
  }),
});
export type ErrorBody = Static<typeof ErrorBody>;

// --- Tier listeners

const Wei = Type.String({ description: "wei, decimal" });

/** EVM chains only. Gas fits a double; wei does not. */
export const EvmBlockBody = Type.Object({
  gas_used: Type.Integer(),
  gas_limit: Type.Integer(),
  base_fee_wei: orNull(Wei),
  blob_gas_used: orNull(Type.Integer()),
  excess_blob_gas: orNull(Type.String({ description: "decimal" })),
  beneficiary: Type.String(),
  state_root: Type.String(),
  transactions_root: Type.String(),
  receipts_root: Type.String(),
});

/** Solana only. */
export const SvmBlockBody = Type.Object({
  slot: Type.Integer(),
  parent_slot: Type.Integer(),
  skipped_slots: Type.Integer({ description: "between the parent's and this one; no block is missing" }),
  signatures_checked: orNull(Type.Integer()),
  signatures: orNull(Type.Integer()),
});

export const BlockBody = Type.Object({
  chain: ChainName,
  network: Type.String(),
  hash: Hash,
  height: Height,
  parent_hash: Hash,
  timestamp: Time,
  tx_count: orNull(Type.Integer()),
  size_bytes: orNull(Type.Integer()),
  weight: Type.Optional(orNull(Type.Integer({ description: "this and the next five: Bitcoin family only" }))),
  version: Type.Optional(Type.Integer()),
  merkle_root: Type.Optional(Type.String()),
  bits: Type.Optional(Type.String({ description: "compact target, 8 hex digits" })),
  nonce: Type.Optional(Type.Integer()),
  auxpow: Type.Optional(Type.Boolean()),
  evm: Type.Optional(EvmBlockBody),
  svm: Type.Optional(SvmBlockBody),
  validation: oneOf(["header", "full"], "what was proved here: the header alone, or the body as well"),
  upstream: orNull(Type.String({ description: "who announced it first" })),
  best_chain: Type.Boolean({ description: "false: on a fork that lost" }),
  final: Type.Boolean(),
});
export type BlockBody = Static<typeof BlockBody>;

export const BlocksBody = Type.Object({ blocks: Type.Array(BlockBody) });
export type BlocksBody = Static<typeof BlocksBody>;

export const ChainBlocksBody = Type.Object({
  chain: ChainName,
  blocks: Type.Array(BlockBody, { description: "best chain, newest first" }),
  next_before: orNull(Type.String({ description: "`before` of the next page, null at the end of what is kept" })),
});
export type ChainBlocksBody = Static<typeof ChainBlocksBody>;

export const ChainBody = Type.Object({
  chain: ChainName,
  network: Type.String(),
  status: oneOf(["synced", "syncing", "down"], "down: no upstream is connected"),
  tip: orNull(Ref),
  tip_time: orNull(Time),
  finalized: orNull(Ref),
  safe: Type.Optional(orNull(Type.Object(Ref.properties, { description: "EVM: what most upstreams call safe" }))),
  upstreams_up: Type.Integer(),
  upstreams_total: Type.Integer(),
});
export type ChainBody = Static<typeof ChainBody>;

export const ChainsBody = Type.Object({ chains: Type.Array(ChainBody) });
export type ChainsBody = Static<typeof ChainsBody>;

export const HealthBody = Type.Object({
  status: oneOf(["ok", "degraded", "down", "draining"], "degraded: at least one chain is not synced; down: none is"),
  uptime_seconds: Type.Number(),
  chains: Type.Array(ChainBody),
});
export type HealthBody = Static<typeof HealthBody>;

export const ReadyBody = Type.Object({ ready: Type.Boolean(), reason: orNull(Type.String()) });
export type ReadyBody = Static<typeof ReadyBody>;

export const VersionBody = Type.Object({
  name: Type.Literal("bitcoin-sprint"),
  version: Type.String(),
  network: Type.String({ description: "devnet, mainnet, …; devnet means embedded nodes" }),
  chains: Type.Record(Type.String(), Type.String(), { description: "network of each chain" }),
  tier: TierName,
});
export type VersionBody = Static<typeof VersionBody>;

export const ChainParams = Type.Object({ chain: ChainName }, strict);
export const HashParams = Type.Object({ hash: Hash }, strict);
export const LatestQuery = Type.Object({ chain: Type.Optional(ChainName) }, strict);
export const ChainBlocksQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 500, default: 20, description: "blocks of a page" }),
    before: Type.Optional(
      Type.String({
        pattern: `^([0-9]{1,10}|${HASH_PATTERN})$`,
        description: "a height or a block hash; only blocks below it are listed",
      }),
    ),
  },
  strict,
);

const RpcId = Type.Union([Type.String({ maxLength: 256 }), Type.Number(), Type.Null()]);

export const RpcCallBody = Type.Object({
  jsonrpc: Type.Optional(Type.String({ description: "2.0; answered in the form of 1.0 where absent or 1.x" })),
  id: RpcId,
  method: Type.String({ description: "of the allow-list; all others are answered with -32601" }),
  params: Type.Optional(Type.Union([Type.Array(Type.Unknown()), Type.Record(Type.String(), Type.Unknown())])),
});
export type RpcCallBody = Static<typeof RpcCallBody>;

/** Body of `rpc`: one call, or a batch of at most 100. */
export const RpcRequestBody = Type.Union([RpcCallBody, Type.Array(RpcCallBody, { minItems: 1, maxItems: 100 })]);
export type RpcRequestBody = Static<typeof RpcRequestBody>;

export const RpcAnswerBody = Type.Object({
  jsonrpc: Type.Optional(Type.Literal("2.0")),
  id: RpcId,
  result: Type.Optional(Type.Unknown()),
  error: Type.Optional(
    orNull(
      Type.Object(
        { code: Type.Integer(), message: Type.String(), data: Type.Optional(Type.Unknown()) },
        { description: "the node's own error object, unchanged; -32601 and -32600 are also said here" },
      ),
    ),
  ),
});
export type RpcAnswerBody = Static<typeof RpcAnswerBody>;

export const RpcReplyBody = Type.Union([RpcAnswerBody, Type.Array(RpcAnswerBody)]);
export type RpcReplyBody = Static<typeof RpcReplyBody>;

// --- Control API

export const PluginBody = Type.Object({
  path: Type.String(),
  chain: orNull(Type.String({ description: "null: the module never said" })),
  state: oneOf(["loaded", "refused"], "refused: the last try to load it failed; `error` says why"),
  error: orNull(Type.Object({ code: Type.String(), message: Type.String() })),
  loads: Type.Integer({ description: "tries since the start" }),
  serves: Type.Boolean({ description: "a version of it is in use: the newest that was not refused" }),
});
export type PluginBody = Static<typeof PluginBody>;

export const PluginsBody = Type.Object({ plugins: Type.Array(PluginBody) });
export type PluginsBody = Static<typeof PluginsBody>;

export const ListenerBody = Type.Object({
  tier: TierName,
  url: Type.String(),
  connections: Type.Integer(),
  connections_limit: orNull(Type.Integer({ description: "null: no limit" })),
  subscribers: Type.Integer(),
});
export type ListenerBody = Static<typeof ListenerBody>;

export const StatusBody = Type.Object({
  version: Type.String(),
  pid: Type.Integer(),
  network: Type.String(),
  started_at: Time,
  uptime_seconds: Type.Number(),
  draining: Type.Boolean(),
  rss_bytes: Type.Integer(),
  tiers: Type.Array(ListenerBody),
  chains: Type.Array(ChainBody),
  relay_latency_ms: orNull(
    Type.Object(
      { p50: Type.Number(), p99: Type.Number(), count: Type.Integer() },
      { description: "null before the first block" },
    ),
  ),
});
export type StatusBody = Static<typeof StatusBody>;

const UpstreamState = oneOf(["idle", "connecting", "up", "down", "cordoned", "closed"], "connection state");

export const UpstreamBody = Type.Object({
  name: Type.String(),
  chain: ChainName,
  kind: Type.String(),
  url: Type.String({ description: "credentials redacted" }),
  state: UpstreamState,
  agent: orNull(Type.String()),
  height: orNull(Height),
  progress_age_ms: orNull(Type.Number({ description: "since the last push progress" })),
  connects: Type.Integer(),
  last_error: orNull(Type.Object({ code: Type.String(), message: Type.String() })),
  cordon: orNull(Type.Object({ reason: Type.String() })),
});
export type UpstreamBody = Static<typeof UpstreamBody>;

export const UpstreamsBody = Type.Object({ upstreams: Type.Array(UpstreamBody) });
export type UpstreamsBody = Static<typeof UpstreamsBody>;

/** Which upstream feeds which chain feeds which tier. */
export const TopologyBody = Type.Object({
  network: Type.String(),
  chains: Type.Array(
    Type.Object({
      chain: ChainName,
      network: Type.String(),
      upstreams: Type.Array(
        Type.Object({
          name: Type.String(),
          kind: Type.String(),
          state: UpstreamState,
          breakers: Type.Array(Type.String(), { description: "names of those before it" }),
        }),
      ),
      tiers: Type.Array(TierName, { description: "listeners that relay it" }),
    }),
  ),
  tiers: Type.Array(Type.Object({ tier: TierName, url: Type.String(), subscribers: Type.Integer() })),
  fanout: Type.Object({
    processes: Type.Array(Type.Object({ pid: Type.Integer(), subscribers: Type.Integer() }), {
      description: "child processes that hold subscribers; empty while the main process holds them all",
    }),
  }),
});
export type TopologyBody = Static<typeof TopologyBody>;

/** What a token may do; each role may what those before it may. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

export const ReloadQuery = Type.Object(
  { dry_run: Type.Boolean({ default: false, description: "true: tell the changes, apply none" }) },
  strict,
);

export const ReloadBody = Type.Object({
  applied: Type.Boolean({ description: "false: nothing changed, or it was a dry run" }),
  changes: Type.Array(ChangeBody),
});
export type ReloadBody = Static<typeof ReloadBody>;

export const AuditEntryBody = Type.Object({
  at: Time,
  actor: Type.String({ description: "name of the token; cookie: the data directory's" }),
  role: oneOf(ROLES, "role of the token"),
  action: Type.String({ description: "breaker.force-open, upstream.cordon, config.reload, …" }),
  target: orNull(Type.String()),
  params: Type.Record(Type.String(), Type.Unknown()),
  outcome: Type.String({ description: "done, or the code of the error that refused it" }),
});
export type AuditEntryBody = Static<typeof AuditEntryBody>;

export const AuditQuery = Type.Object(
  { last: Type.Integer({ minimum: 1, maximum: 1_000, default: 50, description: "so many entries" }) },
  strict,
);

export const AuditBody = Type.Object({ entries: Type.Array(AuditEntryBody, { description: "newest first" }) });
export type AuditBody = Static<typeof AuditBody>;

export const NameParams = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 200, description: "of the breaker or upstream, as listed" }) },
  strict,
);

export const CordonBody = Type.Object(
  {
    reason: Type.String({ minLength: 1, maxLength: 200, default: "operator", description: "why, for others to read" }),
    for_ms: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 40, description: "until uncordon where absent" })),
  },
  strict,
);
export type CordonBody = Static<typeof CordonBody>;

export const RaceQuery = Type.Object(
  {
    chain: ChainName,
    last: Type.Integer({ minimum: 1, maximum: 1_000, default: 20, description: "so many blocks" }),
  },
  strict,
);
export type RaceQuery = Static<typeof RaceQuery>;

export const RaceBody = Type.Object({
  chain: ChainName,
  blocks: Type.Array(
    Type.Object({
      hash: Hash,
      height: Height,
      first_at: Time,
      arrivals: Type.Array(
        Type.Object({
          upstream: Type.String(),
          via: Type.String(),
          behind_ms: Type.Number({ description: "after the first valid announcement" }),
        }),
        { description: "in order of arrival" },
      ),
    }),
    { description: "newest first" },
  ),
  standings: Type.Array(
    Type.Object({
      upstream: Type.String(),
      seen: Type.Integer(),
      wins: Type.Integer(),
      behind_ms_p50: orNull(Type.Number({ description: "over the blocks it did not win" })),
      behind_ms_p95: orNull(Type.Number()),
      wrong: Type.Integer({ description: "announcements refused since the start" }),
    }),
    { description: "most wins first" },
  ),
  wrongs: Type.Array(Type.Object({ upstream: Type.String(), code: Type.String(), message: Type.String(), at: Time }), {
    description: "refused announcements, newest first",
  }),
});
export type RaceBody = Static<typeof RaceBody>;

export const AcceptedBody = Type.Object({ accepted: Type.Boolean() });
export type AcceptedBody = Static<typeof AcceptedBody>;

/** What goes over `/control/v1/stream`; a type that is not known must be ignored. */
export type ControlMessage =
  | {
      readonly type: "hello";
      readonly at: string;
      readonly data: { readonly version: string; readonly network: string };
    }
  | { readonly type: "event"; readonly at: string; readonly data: StreamedEvent }
  | { readonly type: "upstream"; readonly at: string; readonly data: UpstreamBody }
  | { readonly type: "transition"; readonly at: string; readonly data: TransitionBody }
  /** The breakers, at the beat of metrics collection (30 s): at most 256, those that are not closed before the others. */
  | { readonly type: "metrics"; readonly at: string; readonly data: BreakersBody }
  | { readonly type: "audit"; readonly at: string; readonly data: AuditEntryBody };

/** An event as the tiers' subscribers get it, without what belongs to one subscriber. */
export type StreamedEvent = Readonly<Record<string, unknown>> &
  Pick<BlockEvent | ReorgEvent, "chain" | "network" | "cursor"> & { readonly type: string };
