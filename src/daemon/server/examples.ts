/** Examples of the OpenAPI documents, typed by the contract; their test holds them against the documents' schemas. */
import type { WatchData } from "../../shared/events.ts";
import type {
  AuditEntryBody,
  BlockBody,
  BreakerBody,
  ChainBody,
  PolicyBody,
  MatchesBody,
  PluginBody,
  RaceBody,
  ReloadBody,
  RpcAnswerBody,
  RpcCallBody,
  StatusBody,
  SubscribeBody,
  SubscriptionBody,
  TopologyBody,
  TransitionBody,
  UpstreamBody,
  VersionBody,
  WatchBody,
  WatchListBody,
  UnspentBody,
  StatsBody,
} from "../../shared/api.ts";

const HASH = "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d";
const PARENT = "00000000000008a3a41b85b8b29ad444def299fee21793cd8b9e567eab02cd81";
const HEIGHT = 125_552;
const NAME = "upstream:bitcoin:btc-1";
const TIER_URL = "http://127.0.0.1:9000";
const AT = "2026-03-01T12:00:00.250Z";

export const CURSOR = "eyJyIjoiM2YifQ";

export const BLOCK: BlockBody = {
  chain: "bitcoin",
  network: "mainnet",
  hash: HASH,
  height: HEIGHT,
  parent_hash: PARENT,
  timestamp: "2011-05-21T17:26:31Z",
  tx_count: 4,
  size_bytes: 1_496,
  weight: 5_984,
  version: 1,
  merkle_root: "2b12fcf1b09288fcaff797d71e950e71ae42b91e8bdb2304758dfcffc2b620e3",
  bits: "1a44b9f2",
  nonce: 2_504_433_986,
  auxpow: false,
  validation: "full",
  upstream: "btc-1",
  best_chain: true,
  final: false,
};

export const CHAIN: ChainBody = {
  chain: "bitcoin",
  network: "mainnet",
  status: "synced",
  tip: { hash: HASH, height: HEIGHT },
  tip_time: BLOCK.timestamp,
  finalized: null,
  upstreams_up: 2,
  upstreams_total: 2,
};

export const VERSION: VersionBody = {
  name: "bitcoin-sprint",
  version: "0.1.0",
  network: "mainnet",
  chains: { bitcoin: "mainnet", litecoin: "mainnet" },
  tier: "ENTERPRISE",
};

export const RPC_CALL: RpcCallBody = { jsonrpc: "2.0", id: 1, method: "getblockcount" };
export const RPC_ANSWER: RpcAnswerBody = { jsonrpc: "2.0", id: 1, result: HEIGHT };

export const WATCH: WatchBody = {
  id: "treasury",
  addresses: ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"],
  confirmations: [1, 6],
};
export const WATCH_LIST: WatchListBody = {
  id: "treasury",
  chain: "bitcoin",
  addresses: ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"],
  scripts: [],
  xpubs: [],
  topics: [],
  programs: [],
  confirmations: [1, 6],
  items: 1,
  created_at: AT,
};
const OUTPOINT = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
export const UNSPENT: UnspentBody = {
  outputs: [
    {
      item: "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
      txid: OUTPOINT,
      output: 0,
      value: "5000000000",
      block: { hash: HASH, height: HEIGHT },
      spending_txid: null,
    },
  ],
  next_after: null,
};
export const MATCHES: MatchesBody = {
  from: HEIGHT - 10,
  to: HEIGHT,
  upstream: "btc-1",
  blocks: [{ hash: HASH, height: HEIGHT, items: ["76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"] }],
};
export const WATCHED: WatchData = {
  list: "treasury",
  item: "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
  txid: OUTPOINT,
  output: 0,
  kind: "created",
  state: "confirmed",
  confirmations: 6,
  value: "5000000000",
  outpoint: null,
  block: { hash: HASH, height: HEIGHT },
  sequence: 3,
};
export const STATS: StatsBody = {
  family: "evm",
  chain: "ethereum",
  network: "mainnet",
  at: AT,
  tip: null,
  reorgs: 0,
  gas: null,
  base_fee: { now_wei: "1000000000", next_wei: "1012500000", next_change_percent: 1.25, bounds: [] },
  tips: null,
  suggestion: null,
  congestion: null,
  blobs: null,
  busiest: { blocks: 0, contracts: [] },
  pending: { per_second: 21.4, sample: 0, underpriced: 0, tips: null },
  block_interval: { target_seconds: 12, blocks: 0, mean_seconds: null, median_seconds: null },
};

export const FILTER: SubscribeBody = { chains: ["bitcoin"], types: ["block", "reorg"], phase: "validated" };

export const SUBSCRIPTION: SubscriptionBody = {
  id: "5b0f3c1d9a7e42688c1f0d2b3a495867",
  url: "ws://127.0.0.1:9000/ws/v1/events?subscription=5b0f3c1d9a7e42688c1f0d2b3a495867",
  chains: ["bitcoin"],
  types: ["block", "reorg"],
  phase: "validated",
  created_at: AT,
  expires_at: "2026-03-02T12:00:00.250Z",
  connections: 0,
};

export const METRICS = "# TYPE sprint_server_deliveries_total counter\nsprint_server_deliveries_total 42\n";

// --- Control API

const LISTENER: StatusBody["tiers"][number] = {
  tier: "ENTERPRISE",
  url: TIER_URL,
  connections: 13,
  connections_limit: null,
  subscribers: 12,
};

export const STATUS: StatusBody = {
  version: "0.1.0",
  pid: 4_711,
  network: "mainnet",
  started_at: AT,
  uptime_seconds: 86_400.5,
  draining: false,
  rss_bytes: 141_557_760,
  tiers: [LISTENER],
  chains: [CHAIN],
  relay_latency_ms: { p50: 0.42, p99: 2.1, count: 144 },
};

export const TOPOLOGY: TopologyBody = {
  network: "mainnet",
  chains: [
    {
      chain: "bitcoin",
      network: "mainnet",
      upstreams: [{ name: "btc-1", kind: "p2p", state: "up", breakers: [NAME] }],
      tiers: ["ENTERPRISE"],
    },
  ],
  tiers: [{ tier: "ENTERPRISE", url: TIER_URL, subscribers: 12 }],
  fanout: { processes: [] },
};

export const UPSTREAM: UpstreamBody = {
  name: "btc-1",
  chain: "bitcoin",
  kind: "p2p",
  url: "p2p://127.0.0.1:8333",
  state: "up",
  agent: "/Satoshi:29.0.0/",
  height: HEIGHT,
  progress_age_ms: 5_120.4,
  connects: 1,
  last_error: null,
  cordon: null,
};

export const RACE: RaceBody = {
  chain: "bitcoin",
  blocks: [
    {
      hash: HASH,
      height: HEIGHT,
      first_at: AT,
      arrivals: [
        { upstream: "btc-1", via: "cmpctblock", behind_ms: 0 },
        { upstream: "btc-2", via: "rpc", behind_ms: 11.2 },
      ],
    },
  ],
  standings: [
    { upstream: "btc-1", seen: 1, wins: 1, behind_ms_p50: null, behind_ms_p95: null, wrong: 0 },
    { upstream: "btc-2", seen: 1, wins: 0, behind_ms_p50: 11.2, behind_ms_p95: 11.2, wrong: 0 },
  ],
  wrongs: [],
};

const POLICY: PolicyBody = {
  failure_threshold: 20,
  bad_rate: 0.5,
  false_open_budget: 1_000_000,
  reset_timeout_ms: 15_000,
  first_open_ms: 1_000,
  backoff_multiplier: 1.5,
  half_open_calls: 10,
  slow_call_ms: 2_000,
  slow_multiplier: 3,
  slow_floor_ms: 50,
  ramp_from_per_second: 30,
  abandon_ms: 60_000,
  adaptive: true,
  latency: true,
  health: true,
  predictive: true,
};

export const BREAKER: BreakerBody = {
  name: NAME,
  tier: "ENTERPRISE",
  state: "open",
  since: AT,
  health: 0.06,
  failure_rate: 0.4,
  failure_rate_range: { low: 0.28, high: 0.54 },
  failure_threshold: 20,
  calls_per_false_open: 1_000_000,
  slow_rate: 0.02,
  slow_from_ms: 240,
  rejection_rate: 0.1,
  latency_ms: { p50: 12, p95: 80, p99: 210 },
  trend: 0.35,
  rate_per_second: 4.2,
  requests: 1_234,
  failures: 20,
  ignored: 3,
  slow: 1,
  overdue: 0,
  rejected: 6,
  late: 0,
  in_flight: 0,
  recovery_probability: 0.31,
  next_attempt_at: "2026-03-01T12:00:01.250Z",
  last_error: "connect ECONNREFUSED 127.0.0.1:8333",
  forced: null,
  half_open: null,
  policy: POLICY,
};

export const ORDER = { reason: "node upgrade", for_ms: 600_000 };

const FORCED = { owner: "night shift", reason: ORDER.reason, until: "2026-03-01T12:10:00.250Z" };
export const FORCED_OPEN: BreakerBody = { ...BREAKER, state: "force_open", next_attempt_at: null, forced: FORCED };
export const FORCED_CLOSED: BreakerBody = { ...BREAKER, state: "force_close", next_attempt_at: null, forced: FORCED };
export const CLOSED: BreakerBody = { ...BREAKER, state: "closed", next_attempt_at: null };

export const TRANSITION: TransitionBody = {
  seq: 7,
  breaker: NAME,
  from: "closed",
  to: "open",
  at: AT,
  monotonic_ms: 86_400_500.25,
  cause: "evidence",
  forced: null,
  evidence: {
    failures: 20,
    bad: 20,
    threshold: 20,
    slow_from_ms: 240,
    in_flight: 0,
    rate_per_second: 4.2,
    health: 0.06,
    outage_ms: 0,
    probe_in_ms: 1_000,
  },
};

export const RELOAD: ReloadBody = {
  applied: true,
  changes: [{ key: "log.level", from: "info", to: "debug", restart: false }],
};

export const PLUGIN: PluginBody = {
  path: "/etc/bitcoin-sprint/my-chain.ts",
  chain: "tiny",
  state: "refused",
  error: {
    code: "SPRINT_PLUGIN_THREW",
    message: "plug-in /etc/bitcoin-sprint/my-chain.ts: its function threw: x is not defined",
  },
  loads: 2,
  serves: true,
};

export const AUDIT_ENTRY: AuditEntryBody = {
  at: AT,
  actor: "night shift",
  role: "operator",
  action: "breaker.force-open",
  target: NAME,
  params: ORDER,
  outcome: "done",
};
