/**
 * The metrics of this build, declared once. Names are `sprint_<room>_<noun>_<unit>` in base units; labels come only from
 * closed lists or from configuration, and each metric stops at a fixed number of label sets, so that no peer or client can
 * grow the registry.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { Chain } from "../../shared/chain.ts";
import type { Tier } from "../../shared/tier.ts";

/** Label sets of one metric; more are counted under `other`. */
const MAX_LABEL_SETS = 500;

const RELAY_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const BODY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type MetricsPhase = "announced" | "validated";

export interface Metrics {
  /** A block event went out. */
  blockRelayed(chain: Chain, phase: MetricsPhase): void;
  /** From the socket read that completed the announcement to the hand-over to the subscribers' sockets. */
  relayLatency(chain: Chain, milliseconds: number): void;
  reorg(chain: Chain, depth: number): void;
  /** A header that an upstream pushed, also one that was known already. */
  announced(chain: Chain, upstream: string, via: string): void;
  /** A header, body or connection refused, by its error code. */
  refused(chain: Chain, code: string): void;
  upstreamState(chain: Chain, upstream: string, state: string): void;
  /** Takes the state of an upstream that is gone out of the registry; what it did stays counted. */
  upstreamGone(upstream: string): void;
  subscribers(tier: Tier, count: number): void;
  /** Events written to subscribers since it was last told. */
  delivered(count: number): void;
  /** A subscriber was closed because it did not read. */
  slowClosed(tier: Tier): void;
  breakerTransition(breaker: string, to: string): void;
  breaker(figures: BreakerFigures): void;
  /** Takes the series of a breaker that is gone out of the registry. */
  breakerGone(breaker: string): void;
  bodyProved(chain: Chain, milliseconds: number): void;
  /** A call that a client made, by what became of it. */
  rpcRequest(what: { readonly chain: Chain; readonly method: string; readonly outcome: string }, ms: number): void;
  /** That call at one upstream. `methods` is the class of its method. */
  rpcAttempt(
    what: { readonly chain: Chain; readonly upstream: string; readonly methods: string; readonly outcome: string },
    ms: number,
  ): void;
  /** Called at each scrape, before the text is made: set gauges from what is now. */
  onScrape(refresh: () => void): void;
  /** Prometheus text exposition. */
  text(): Promise<string>;
}

/** Counts are of all time. */
export interface BreakerFigures {
  readonly name: string;
  readonly state: string;
  readonly health: number;
  readonly failureThreshold: number;
  readonly failureRate: number | null;
  readonly counts: Readonly<Record<"success" | "failure" | "ignored" | "rejected", number>>;
  readonly latencyMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };
}

const QUANTILES = { p50: "0.5", p95: "0.95", p99: "0.99" } as const;
/** Totals of a breaker are of 32 bits. */
const COUNT_WRAPS = 2 ** 32;

/** `processMetrics: false` leaves out the process's own (their event loop monitor is a timer that tests do not want). */
export function createMetrics(options: { readonly processMetrics: boolean } = { processMetrics: true }): Metrics {
  const registers = [new Registry()];
  const registry = registers[0] as Registry;
  if (options.processMetrics) collectDefaultMetrics({ register: registry, prefix: "sprint_" });

  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    bounded(new Counter({ name, help, labelNames, registers }));
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    bounded(new Gauge({ name, help, labelNames, registers }));
  const histogram = <L extends string>(name: string, help: string, labelNames: L[], buckets: number[]) =>
    bounded(new Histogram({ name, help, labelNames, buckets, registers }));

  const blocks = counter("sprint_relay_blocks_total", "Block events sent to the tiers.", ["chain", "phase"]);
  const latency = histogram(
    "sprint_relay_latency_seconds",
    "Socket read of an announcement to the hand-over to subscribers' sockets.",
    ["chain"],
    RELAY_SECONDS,
  );
  const reorgs = counter("sprint_relay_reorgs_total", "Reorganisations of the best chain.", ["chain"]);
  const reverted = counter("sprint_relay_reverted_blocks_total", "Blocks taken back by reorganisations.", ["chain"]);
  const announcements = counter("sprint_upstream_announcements_total", "Headers pushed by upstreams.", [
    "chain",
    "upstream",
    "via",
  ]);
  const refusals = counter("sprint_upstream_refused_total", "What upstreams sent and was refused.", ["chain", "code"]);
  const states = gauge("sprint_upstream_state", "1 for the state that an upstream is in, 0 for those it was in.", [
    "chain",
    "upstream",
    "state",
  ]);
  const subscribers = gauge("sprint_server_subscribers", "Subscribers connected now.", ["tier"]);
  const deliveries = counter("sprint_server_deliveries_total", "Events written to subscribers.", []);
  const slow = counter("sprint_server_slow_closes_total", "Subscribers closed because they did not read.", ["tier"]);
  const transitions = counter("sprint_breaker_transitions_total", "Breaker state changes.", ["breaker", "to"]);
  const breakerStates = gauge("sprint_breaker_state", "1 for the state that a breaker is in, 0 for those it was in.", [
    "breaker",
    "state",
  ]);
  const health = gauge("sprint_breaker_health_ratio", "Health score of what a breaker guards, 0-1.", ["breaker"]);
  const threshold = gauge(
    "sprint_breaker_failure_threshold_calls",
    "Evidence that opens a breaker, in bad calls, after adaptation.",
    ["breaker"],
  );
  const failing = gauge("sprint_breaker_failure_ratio", "Failures over calls, of the last five minutes.", ["breaker"]);
  const calls = counter("sprint_breaker_calls_total", "Calls that asked a breaker, by what became of them.", [
    "breaker",
    "outcome",
  ]);
  const callSeconds = gauge("sprint_breaker_latency_seconds", "Latency of what a breaker guards, last five minutes.", [
    "breaker",
    "quantile",
  ]);
  const ofBreaker = [transitions, breakerStates, health, threshold, failing, calls, callSeconds];
  const breakerCounts = new Map<string, BreakerFigures["counts"]>();
  const breakerStateNow = new Map<string, string>();
  const bodies = histogram(
    "sprint_prove_body_seconds",
    "Time to prove a block's body, waiting for a worker included.",
    ["chain"],
    BODY_SECONDS,
  );

  const rpcCalls = counter("sprint_proxy_requests_total", "JSON-RPC calls of clients, by what became of them.", [
    "chain",
    "method",
    "outcome",
  ]);
  const rpcSeconds = histogram(
    "sprint_proxy_request_seconds",
    "JSON-RPC calls of clients, from the request to its answer.",
    ["chain"],
    BODY_SECONDS,
  );
  const attempts = counter("sprint_proxy_attempts_total", "Calls of the JSON-RPC proxy at an upstream.", [
    "chain",
    "upstream",
    "class",
    "outcome",
  ]);
  const attemptSeconds = histogram(
    "sprint_proxy_attempt_seconds",
    "Calls of the JSON-RPC proxy at an upstream.",
    ["chain", "upstream"],
    BODY_SECONDS,
  );

  const stateNow = new Map<string, string>();
  const refreshers: (() => void)[] = [];

  return {
    blockRelayed: (chain, phase) => blocks({ chain, phase }).inc(),
    relayLatency: (chain, milliseconds) => latency({ chain }).observe(milliseconds / 1000),
    reorg(chain, depth) {
      reorgs({ chain }).inc();
      reverted({ chain }).inc(depth);
    },
    announced: (chain, upstream, via) => announcements({ chain, upstream, via }).inc(),
    refused: (chain, code) => refusals({ chain, code }).inc(),
    upstreamState(chain, upstream, state) {
      const before = stateNow.get(upstream);
      if (before !== undefined && before !== state) states({ chain, upstream, state: before }).set(0);
      stateNow.set(upstream, state);
      states({ chain, upstream, state }).set(1);
    },
    upstreamGone(upstream) {
      stateNow.delete(upstream);
      states.forget("upstream", upstream);
    },
    subscribers: (tier, count) => subscribers({ tier }).set(count),
    delivered: (count) => deliveries({}).inc(count),
    slowClosed: (tier) => slow({ tier }).inc(),
    breakerTransition: (breaker, to) => transitions({ breaker, to }).inc(),
    breaker({ name, state, counts, latencyMs, ...now }) {
      const before = breakerStateNow.get(name);
      if (before !== undefined && before !== state) breakerStates({ breaker: name, state: before }).set(0);
      breakerStateNow.set(name, state);
      breakerStates({ breaker: name, state }).set(1);
      health({ breaker: name }).set(now.health);
      threshold({ breaker: name }).set(now.failureThreshold);
      if (now.failureRate !== null) failing({ breaker: name }).set(now.failureRate);
      for (const [outcome, total] of Object.entries(counts)) {
        const told = breakerCounts.get(name)?.[outcome as keyof typeof counts] ?? 0;
        calls({ breaker: name, outcome }).inc((total - told + COUNT_WRAPS) % COUNT_WRAPS);
      }
      breakerCounts.set(name, counts);
      for (const [percentile, quantile] of Object.entries(QUANTILES)) {
        const ms = latencyMs[percentile as keyof typeof QUANTILES];
        if (ms !== null) callSeconds({ breaker: name, quantile }).set(ms / 1000);
      }
    },
    breakerGone(breaker) {
      breakerStateNow.delete(breaker);
      breakerCounts.delete(breaker);
      for (const metric of ofBreaker) metric.forget("breaker", breaker);
    },
    bodyProved: (chain, milliseconds) => bodies({ chain }).observe(milliseconds / 1000),
    rpcRequest({ chain, method, outcome }, ms) {
      rpcCalls({ chain, method, outcome }).inc();
      rpcSeconds({ chain }).observe(ms / 1000);
    },
    rpcAttempt({ chain, upstream, methods, outcome }, ms) {
      attempts({ chain, upstream, class: methods, outcome }).inc();
      attemptSeconds({ chain, upstream }).observe(ms / 1000);
    },
    onScrape: (refresh) => void refreshers.push(refresh),
    text() {
      for (const refresh of refreshers) refresh();
      return registry.metrics();
    },
  };
}

/**
 * The child of one label set, found without prom-client's own lookup on the hot way; past the bound every label but the
 * first reads `other`.
 */
function bounded<L extends string, C>(metric: {
  labels(labels: Record<L, string>): C;
  remove(labels: Record<L, string>): void;
}): Bounded<L, C> {
  const children = new Map<string, { readonly labels: Record<L, string>; readonly child: C }>();
  const find = (labels: Record<L, string>): C => {
    const key = Object.values(labels).join("\u0000");
    const known = children.get(key);
    if (known !== undefined) return known.child;
    if (children.size >= MAX_LABEL_SETS) return metric.labels(allOther(labels));
    const child = metric.labels(labels);
    children.set(key, { labels, child });
    return child;
  };
  return Object.assign(find, {
    forget(label: L, value: string) {
      for (const [key, { labels }] of children) {
        if (labels[label] !== value) continue;
        metric.remove(labels);
        children.delete(key);
      }
    },
  });
}

interface Bounded<L extends string, C> {
  (labels: Record<L, string>): C;
  /** Removes every series whose label has this value. */
  forget(label: L, value: string): void;
}

function allOther<L extends string>(labels: Record<L, string>): Record<L, string> {
  const [first] = Object.keys(labels);
  const other = Object.entries<string>(labels).map(([name, value]) => [name, name === first ? value : "other"]);
  return Object.fromEntries(other) as Record<L, string>;
}
