/** What `/openapi.json` of a tier's listener says, route by route. */
import { EventsQuery, TIER_ROUTES } from "../../shared/api.ts";
import type { EventType, SprintEvent } from "../../shared/events.ts";
import { TIER, type Tier } from "../../shared/tier.ts";
import type { AnsweredCode } from "./codes.ts";
import {
  BLOCK,
  CHAIN,
  CURSOR,
  FILTER,
  MATCHES,
  METRICS,
  RPC_ANSWER,
  RPC_CALL,
  STATS,
  SUBSCRIPTION,
  UNSPENT,
  VERSION,
  WATCH,
  WATCHED,
  WATCH_LIST,
} from "./examples.ts";
import type { DocumentOptions, Message, Operations, Rules, Schema, Stream } from "./openapi.ts";

const OPERATIONS: Operations = {
  [`GET ${TIER_ROUTES.latest}`]: {
    tag: "blocks",
    summary: "Newest block of each chain, or of one",
    description: "The tip of the best chain as this daemon proved it. A chain without a block yet is left out.",
    says: { 200: "in the order of the configuration" },
    codes: ["SPRINT_API_CHAIN_OFF"],
    answer: { blocks: [BLOCK] },
  },
  [`GET ${TIER_ROUTES.block}`]: {
    tag: "blocks",
    summary: "One block by its hash",
    description: "On the best chain or on a fork that lost (`best_chain`), of any chain that is on.",
    says: { 200: "the block" },
    codes: ["SPRINT_API_BLOCK_UNKNOWN"],
    answer: BLOCK,
  },
  [`GET ${TIER_ROUTES.chains}`]: {
    tag: "chains",
    summary: "The chains that are on",
    description: "Each with its tip, finality and how many of its upstreams are up.",
    says: { 200: "in the order of the configuration" },
    answer: { chains: [CHAIN] },
  },
  [`GET ${TIER_ROUTES.chainStatus}`]: {
    tag: "chains",
    summary: "Tip, finality and upstreams of a chain",
    description: "`syncing` while the headers up to the upstreams' tip are still fetched.",
    says: { 200: "the chain" },
    codes: ["SPRINT_API_CHAIN_OFF"],
    answer: CHAIN,
  },
  [`GET ${TIER_ROUTES.chainBlocks}`]: {
    tag: "blocks",
    summary: "Best chain, newest first, as far back as it is kept",
    description: "Page by page: `next_before` of one answer is `before` of the next; null at the end of what is kept.",
    says: { 200: "one page" },
    codes: ["SPRINT_API_CHAIN_OFF", "SPRINT_API_BLOCK_UNKNOWN"],
    answer: { chain: "bitcoin", blocks: [BLOCK], next_before: BLOCK.hash },
  },
  [`POST ${TIER_ROUTES.rpc}`]: {
    tag: "rpc",
    summary: "JSON-RPC through the upstreams of a chain",
    description: `One call, or a batch of at most 100, of 256 KiB in all; any content type. Methods that read the chain, and sendrawtransaction, are let through; others
are answered with error -32601, whose message lists those that are. What a node answers, its error object included, comes back unchanged with status 200. A single
call that no upstream can answer is 502, 503 or 504; in a batch it is error -32000, whose \`data.code\` is the same code. What is no JSON-RPC gets status 400 with its error -32700 or -32600. Each call of a batch counts against the
tier's calls per minute.`,
    says: { 200: "what a node answered; of a batch an array, in the order of the calls" },
    alsoOn: { 400: "what came is no JSON-RPC: its error -32700 or -32600" },
    headers: {
      "x-sprint-upstream": "who answered; of a batch all of them, comma-separated",
      "x-sprint-tried":
        "who was asked and how that ended, in order: `ltc-1=timeout, ltc-2=ok`; also on 502, 503 and 504",
      "x-sprint-hedged":
        "`true`: a second upstream was asked meanwhile, because the first took longer than 95 % of its kind",
      "x-sprint-shared": "`true`: the answer is that of an equal call that was under way",
    },
    codes: [
      "SPRINT_API_CHAIN_OFF",
      "SPRINT_PROXY_FAILED",
      "SPRINT_PROXY_TOO_LARGE",
      "SPRINT_PROXY_NO_UPSTREAM",
      "SPRINT_PROXY_OPEN",
      "SPRINT_PROXY_BUSY",
      "SPRINT_PROXY_BEHIND",
      "SPRINT_PROXY_CLOSED",
      "SPRINT_PROXY_TIMEOUT",
    ],
    request: RPC_CALL,
    answer: RPC_ANSWER,
  },
  [`GET ${TIER_ROUTES.stats}`]: {
    tag: "stats",
    summary: "What a chain's users watch",
    description: `By family: hash rate, retarget, mempool, pools and SegWit share; gas, base fee forecast, tips, blobs and busiest contracts; slots, transactions a second, leaders
and stake. What is not known is null, never guessed. \`stats\` events tell the same every 5 s.`,
    says: { 200: "as of now" },
    codes: ["SPRINT_API_CHAIN_OFF"],
    answer: STATS,
  },
  [`POST ${TIER_ROUTES.watchLists}`]: {
    tag: "watch",
    summary: "Watch addresses, scripts, extended keys, topics or programs",
    description: `What becomes of them is told by \`watch\` events: seen, mined, confirmed (at each depth of \`confirmations\`), final, reverted; each once per movement and
block. Lists are shared by all clients of the daemon, and forgotten by a restart.`,
    says: { 201: "watched from the next block on" },
    codes: [
      "SPRINT_API_CHAIN_OFF",
      "SPRINT_WATCH_*",
      "SPRINT_ADDRESS_*",
      "SPRINT_XPUB_*",
      "SPRINT_WATCH_EXISTS",
      "SPRINT_WATCH_LISTS_FULL",
      "SPRINT_WATCH_ITEMS_FULL",
    ],
    request: WATCH,
    answer: WATCH_LIST,
  },
  [`GET ${TIER_ROUTES.watchLists}`]: {
    tag: "watch",
    summary: "The watch lists of a chain",
    description: "In the order in which they were made.",
    says: { 200: "all of them" },
    codes: ["SPRINT_API_CHAIN_OFF"],
    answer: { lists: [WATCH_LIST] },
  },
  [`GET ${TIER_ROUTES.watchList}`]: {
    tag: "watch",
    summary: "One watch list",
    description: "As it was posted; `items` counts the scripts of extended keys, too.",
    says: { 200: "the list" },
    codes: ["SPRINT_API_CHAIN_OFF", "SPRINT_WATCH_UNKNOWN"],
    answer: WATCH_LIST,
  },
  [`DELETE ${TIER_ROUTES.watchList}`]: {
    tag: "watch",
    summary: "Watch no more",
    description: "Nothing more is told of the list.",
    says: { 204: "forgotten" },
    codes: ["SPRINT_API_CHAIN_OFF", "SPRINT_WATCH_UNKNOWN"],
  },
  [`GET ${TIER_ROUTES.matches}`]: {
    tag: "watch",
    summary: "Older blocks that may concern a list",
    description: `Bitcoin family, where an upstream over p2p:// serves block filters (BIP 157, 158): what was before the list was made. A block that is not in the answer
has nothing of the list; one that is may have, one in 784,931 for each script by chance.`,
    says: { 200: "at most 500 blocks looked at" },
    codes: [
      "SPRINT_API_CHAIN_OFF",
      "SPRINT_WATCH_UNKNOWN",
      "SPRINT_WATCH_*",
      "SPRINT_WATCH_NO_FILTERS",
      "SPRINT_UPSTREAM_*",
    ],
    answer: MATCHES,
  },
  [`GET ${TIER_ROUTES.unspent}`]: {
    tag: "watch",
    summary: "Outputs of a watched script that nothing spends",
    description: "Bitcoin family: created in blocks since the script is watched; older ones are not known here.",
    says: { 200: "one page" },
    codes: ["SPRINT_API_CHAIN_OFF", "SPRINT_WATCH_UNKNOWN", "SPRINT_WATCH_*", "SPRINT_ADDRESS_*"],
    answer: UNSPENT,
  },
  [`POST ${TIER_ROUTES.subscribe}`]: {
    tag: "subscriptions",
    summary: "Store a filter and get a WebSocket address for it",
    description: `What is left out filters nothing. Kept in memory until 24 hours after its last connection ended; a restart forgets it. At most 100 of one
client address, 1,000 of a listener.`,
    says: { 201: "stored; connect to `url`" },
    codes: ["SPRINT_API_CHAIN_OFF", "SPRINT_API_SUBSCRIPTIONS_FULL", "SPRINT_ABI_*"],
    request: FILTER,
    answer: SUBSCRIPTION,
  },
  [`DELETE ${TIER_ROUTES.subscription}`]: {
    tag: "subscriptions",
    summary: "Forget a stored filter",
    description: "Streams that are open go on. Whoever knows the id may delete it.",
    says: { 204: "forgotten" },
    codes: ["SPRINT_API_SUBSCRIPTION_UNKNOWN"],
  },
  [`GET ${TIER_ROUTES.subscriptions}`]: {
    tag: "subscriptions",
    summary: "The filters stored from this client address",
    description: "Those of other addresses are not listed.",
    says: { 200: "oldest first" },
    answer: { subscriptions: [SUBSCRIPTION] },
  },
  [`GET ${TIER_ROUTES.health}`]: {
    tag: "daemon",
    summary: "Health of the daemon and its chains",
    description: "`ok`: every chain is synced; `degraded`: at least one is.",
    says: { 200: "`ok` or `degraded`", 503: "`down`: no chain is synced; `draining`: a shutdown has begun" },
    answer: { status: "ok", uptime_seconds: 86_400.5, chains: [CHAIN] },
  },
  [`GET ${TIER_ROUTES.version}`]: {
    tag: "daemon",
    summary: "Version and networks",
    description: "Of the daemon, and the tier of this listener.",
    says: { 200: "the version" },
    answer: VERSION,
  },
  [`GET ${TIER_ROUTES.metrics}`]: {
    tag: "daemon",
    summary: "Metrics as Prometheus text",
    description: "The same as /metrics of the control API.",
    says: { 200: "text exposition format 0.0.4" },
    media: "text/plain",
    answer: METRICS,
  },
  [`GET ${TIER_ROUTES.healthz}`]: {
    tag: "daemon",
    summary: "The process answers",
    description: "For a liveness probe: always 200. Not subject to the tier's limits.",
    says: { 200: "it does" },
    answer: { ready: true, reason: null },
  },
  [`GET ${TIER_ROUTES.readyz}`]: {
    tag: "daemon",
    summary: "At least one chain is relayed and no shutdown has begun",
    description: "For a readiness probe. Not subject to the tier's limits.",
    says: { 200: "ready", 503: "not ready; `reason` is `down` or `draining`" },
    answer: { ready: true, reason: null },
  },
  [`GET ${TIER_ROUTES.openapi}`]: {
    tag: "daemon",
    summary: "This document",
    description: "OpenAPI 3.1.",
    says: { 200: "the document" },
  },
};

const AT = { chain: "bitcoin", network: "mainnet", cursor: CURSOR } as const;
const REF = { hash: BLOCK.hash, height: BLOCK.height };
const LOST = { hash: "0000000000000000f1c24c1d2a66c0f8a7a2b5be3b1d9d3ad7a3a1c09d54e6b2", height: BLOCK.height };
const PARENT = { hash: BLOCK.parent_hash, height: BLOCK.height - 1 };

interface Told<T> extends Message {
  readonly example: Extract<SprintEvent, { readonly type: T }>;
}

const MESSAGES: { readonly [T in EventType]: Told<T> } = {
  hello: {
    says: "first of each stream. `recovered`: everything since the cursor follows; false: the stream starts now, or with a gap",
    example: {
      type: "hello",
      cursor: CURSOR,
      data: { tier: "ENTERPRISE", network: "mainnet", recovered: false, version: "0.1.0" },
    },
  },
  block: {
    says: "a block that extends the best chain; `announced` once its header holds, `validated` once its body does",
    example: {
      type: "block",
      phase: "announced",
      ...AT,
      data: {
        ...REF,
        parent_hash: BLOCK.parent_hash,
        timestamp: BLOCK.timestamp,
        relay_time_ms: 0.42,
        tx_count: null,
        size_bytes: null,
        upstream: "btc-1",
        validation: "header",
      },
    },
  },
  reorg: {
    says: "another branch has more work: undo `reverted` in its order, then take `applied`, each of which follows as a block",
    example: {
      type: "reorg",
      ...AT,
      data: { depth: 1, common_ancestor: PARENT, reverted: [LOST], applied: [REF] },
    },
  },
  finalized: {
    says: "this block and those below it will not be reverted: a branch that leaves the chain below it is refused",
    example: { type: "finalized", ...AT, data: REF },
  },
  gap: {
    says: "what lies between `from` and `to` is not told any more; `reason` says why. Go on from the next block",
    example: { type: "gap", ...AT, data: { from: PARENT, to: REF, reason: "backlog_too_large" } },
  },
  log: {
    says: "the logs of one block that the filter lets through, from receipts that its header commits to: told just before the block's `validated`, and with `removed` just before the `reorg` that reverts it. Only to who names this type",
    example: {
      type: "log",
      chain: "ethereum",
      network: "mainnet",
      cursor: CURSOR,
      data: {
        block_hash: `0x${BLOCK.hash}`,
        height: 17_034_870,
        removed: false,
        logs: [
          {
            address: "0xdac17f958d2ee523a2206206994597c13d831ec7",
            topics: ["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"],
            data: "0x",
            transaction_hash: `0x${PARENT.hash}`,
            transaction_index: 3,
            log_index: 12,
          },
        ],
      },
    },
  },
  watch: {
    says: "something on a watch list happened; `sequence` counts what was told of one movement. Only to who names this type",
    example: { type: "watch", ...AT, data: WATCHED },
  },
  pending_tx: {
    says: "transactions heard of that are in no block yet, each once; of Solana, which has no mempool, those processed that mention something watched, by their signature. Not replayed. Only to who names this type",
    example: {
      type: "pending_tx",
      ...AT,
      data: { transactions: [{ txid: WATCHED.txid, upstream: "btc-1", size_bytes: 222 }] },
    },
  },
  stats: {
    says: "as `GET …/stats`, every 5 s; not replayed. Only to who names this type",
    example: { type: "stats", chain: "ethereum", network: "mainnet", cursor: CURSOR, data: STATS },
  },
  goodbye: {
    says: "last of a stream that the daemon closes, with the close code and the cursor to come back with",
    example: { type: "goodbye", cursor: CURSOR, data: { code: 4_008, reason: "slow_consumer" } },
  },
};

const EVENTS: Stream = {
  path: TIER_ROUTES.events,
  query: EventsQuery.properties as unknown as Readonly<Record<string, Schema>>,
  tag: "events",
  summary: "Events as they happen (WebSocket)",
  description: `A handshake of RFC 6455; without one it is no route. No event of a chain is sent whose parent was not sent on the same stream, unless a reorg or a gap
stands between. Come back with the last \`cursor\` and everything since follows in order, or a gap that says what is gone. Ignore types you do not know.
\`subscription\` stands for the whole filter. The stream takes no messages; pings come every 30 s. Close codes 4000-4499: come back with the
cursor; 4500-4999: something must change first.`,
  says: { 101: "the stream begins" },
  codes: ["SPRINT_API_BAD_HANDSHAKE", "SPRINT_API_CHAIN_OFF", "SPRINT_API_SUBSCRIPTION_UNKNOWN", "SPRINT_API_DRAINING"],
  messages: MESSAGES,
};

const LIMITED: readonly AnsweredCode[] = ["SPRINT_API_RATE_LIMIT", "SPRINT_API_CONNECTION_LIMIT"];
const RATE_HEADERS = {
  "ratelimit-limit": "calls a minute; absent where there is no limit",
  "ratelimit-remaining": "calls left in this minute",
  "ratelimit-reset": "seconds to the next minute",
};

/** Of one tier's listener. */
export function tierDocument({ tier, version }: { readonly tier: Tier; readonly version: string }): DocumentOptions {
  return {
    title: "Bitcoin Sprint",
    version,
    description: `Listener of tier ${tier} (port ${TIER[tier].port} by default): blocks and events of its chains, proved by this daemon. Errors are
\`{"error":{"code","message","details"}}\`; \`code\` is stable. Beyond what is listed with a route, any request can get 400 SPRINT_API_BAD_REQUEST, 404 SPRINT_API_NOT_FOUND,
408 SPRINT_API_TIMEOUT and 431 SPRINT_API_HEADERS_TOO_LARGE.`,
    tags: {
      blocks: "Blocks that were relayed",
      chains: "Chains that are on",
      events: "The WebSocket stream",
      subscriptions: "Stored filters for the stream",
      stats: "What a chain's users watch",
      watch: "Watch lists",
      rpc: "Questions to the nodes",
      daemon: "Health, version, metrics",
    },
    isSecured: false,
    routes: TIER_ROUTES,
    operations: OPERATIONS,
    stream: EVENTS,
    rulesOf: ({ url, takesInput, takesBody, isExempt }): Rules => ({
      codes: [
        ...(takesInput ? (["SPRINT_API_BAD_INPUT"] as const) : []),
        ...(takesBody ? (["SPRINT_API_BODY_TOO_LARGE"] as const) : []),
        // The proxy takes any bytes: what is no JSON has an answer in JSON-RPC.
        ...(takesBody && url !== TIER_ROUTES.rpc ? (["SPRINT_API_BAD_JSON", "SPRINT_API_MEDIA_TYPE"] as const) : []),
        ...(isExempt ? [] : LIMITED),
        "SPRINT_API_INTERNAL",
      ],
      ...(isExempt ? {} : { headers: RATE_HEADERS }),
    }),
  };
}
