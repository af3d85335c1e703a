/** What happens in the rooms, told on: to the log, to the metrics, and to who listens (live view, control stream). Nobody waits for it. */
import { createHistogram } from "node:perf_hooks";
import type { AuditEntryBody } from "../shared/api.ts";
import type { Chain } from "../shared/chain.ts";
import type { Cancel, Clock } from "../shared/clock.ts";
import { messageOf } from "../shared/errors.ts";
import type { Tier } from "../shared/tier.ts";
import type { BreakerTransition } from "./breaker/index.ts";
import type { Breakers } from "./breakers.ts";
import type { StreamCount } from "./catalog.ts";
import type { ChainLineModules } from "./line/index.ts";
import type { Logger, Metrics } from "./observe/index.ts";
import { describeTrouble } from "./line/index.ts";
import type { StreamEvent } from "./relay/index.ts";
import type { BreakerView, ServerModules } from "./server/index.ts";
import type { FeedStatus } from "./upstream/index.ts";

/** One that dials in vain, or comes up and goes down again, says the same thing so often. */
const SAME_STATE_MS = 60_000;
/** Below it an upstream is told of in the log, if its breaker let it stay. */
const UNHEALTHY = 0.5;

type Told =
  | "onAnnounced"
  | "onFault"
  | "onTrouble"
  | "onState"
  | "onSeedFailed"
  | "onGap"
  | "onUnwatched"
  | "onWatchRefused"
  | "onRpcAttempt"
  | "onRpcRequest";
type Listened = "onEvent" | "onTransition" | "onUpstream" | "onAudit" | "onBreakers";

export interface Telemetry {
  /** What chain lines call. */
  readonly ofChains: Pick<ChainLineModules, Told>;
  /** What the edge calls, and what it listens to. */
  readonly ofServer: Pick<ServerModules, Listened | "onRelayed" | "onDrop" | "onFault" | "relayLatency">;
  /** What the stream has told of each chain so far. */
  readonly counts: ReadonlyMap<Chain, StreamCount>;
  event(event: StreamEvent): void;
  /** One of the moment: told, not counted. */
  passing(event: StreamEvent): void;
  transition(transition: BreakerTransition): void;
  audited(entry: AuditEntryBody): void;
  delivered(relayMs: number): void;
  dropped(tier: Tier, reason: string, bufferedBytes: number): void;
  /** Every breaker's figures: to the metrics, and with `toListeners` to the control stream. */
  breakers(views: readonly BreakerView[], toListeners: boolean): void;
  /** Those that are unhealthy without being open. */
  unhealthy(views: readonly BreakerView[]): void;
  adapted(moved: ReturnType<Breakers["adapted"]>): void;
  tidied(done: ReturnType<Breakers["tidy"]>): void;
}

export function createTelemetry(modules: {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}): Telemetry {
  const { log, metrics, clock } = modules;
  const relayed = createHistogram();
  const counts = new Map<Chain, StreamCount>();
  /** When a state of an upstream was logged last: as many entries as upstreams have states and error codes. */
  const statesTold = new Map<string, number>();
  const events = new Listeners<StreamEvent>();
  const transitions = new Listeners<BreakerTransition>();
  const upstreams = new Listeners<FeedStatus>();
  const entries = new Listeners<AuditEntryBody>();
  const breakers = new Listeners<readonly BreakerView[]>();

  const delivered = (relayMs: number): void => relayed.record(Math.max(1, Math.round(relayMs * 1_000)));
  const dropped = (tier: Tier, reason: string, bufferedBytes: number): void => {
    if (reason === "slow_consumer") metrics.slowClosed(tier);
    log.info({ tier, reason, bufferedBytes }, "a subscriber was closed; it was told its cursor");
  };

  return {
    counts,
    ofChains: {
      onAnnounced(feed, announcements) {
        for (const { via } of announcements) metrics.announced(feed.chain, feed.name, via);
      },
      onFault(feed, refusal) {
        metrics.refused(feed.chain, refusal.code);
        log.warn({ chain: feed.chain, upstream: feed.name, code: refusal.code, ...refusal.data }, refusal.message);
      },
      onTrouble(feed, doing, error) {
        const { code, message } = describeTrouble(error);
        log.info({ chain: feed?.chain, upstream: feed?.name, code, doing }, message);
      },
      onState(feed, state, reason) {
        if (state === "closed") metrics.upstreamGone(feed.name);
        else metrics.upstreamState(feed.chain, feed.name, state);
        const status = feed.status();
        tellState(status, reason);
        upstreams.tell(status);
      },
      onSeedFailed(chain, seed, error) {
        log.warn({ chain, seed }, `expected addresses of peers from this DNS seed, got: ${messageOf(error)}`);
      },
      onGap(feed, { topic, expected, got, cause }) {
        const what = cause === "restarted" ? "the publisher restarted" : "messages were lost";
        log.warn({ upstream: feed, topic, expected, got }, `ZMQ: ${what}; asking the node for what is missing`);
      },
      onUnwatched: (feed, reason) => log.warn({ upstream: feed }, reason),
      onWatchRefused(chain, { code, message }) {
        log.warn({ chain, code }, message);
      },
      onRpcAttempt: (chain, { upstream, class: methods, outcome, latencyMs }) =>
        metrics.rpcAttempt({ chain, upstream, methods, outcome }, latencyMs),
      onRpcRequest: (chain, { method, outcome, latencyMs }) =>
        metrics.rpcRequest({ chain, method, outcome }, latencyMs),
    },
    ofServer: {
      onEvent: (listener) => events.add(listener),
      onTransition: (listener) => transitions.add(listener),
      onUpstream: (listener) => upstreams.add(listener),
      onAudit: (listener) => entries.add(listener),
      onBreakers: (listener) => breakers.add(listener),
      onRelayed: (_tier, relayMs) => delivered(relayMs),
      onDrop: ({ tier, reason, bufferedBytes }) => dropped(tier, reason, bufferedBytes),
      onFault: (error, where) => log.error({ err: error, where }, messageOf(error)),
      relayLatency() {
        if (relayed.count === 0) return null;
        return { p50Ms: relayed.percentile(50) / 1_000, p99Ms: relayed.percentile(99) / 1_000, count: relayed.count };
      },
    },
    event(event) {
      count(event);
      events.tell(event);
    },
    passing: (event) => events.tell(event),
    transition(transition) {
      const { breaker, from, to, cause, seq, forced } = transition;
      metrics.breakerTransition(breaker, to);
      const level = to === "open" || to === "force_open" ? "warn" : "info";
      const by = forced === null ? {} : { forced };
      log[level]({ breaker, from, to, cause, seq, ...by }, `${breaker} is ${to}: ${cause}`);
      transitions.tell(transition);
    },
    audited(entry) {
      const { actor, action, target, outcome } = entry;
      log.info({ audit: entry }, `${actor}: ${action}${target === null ? "" : ` ${target}`}: ${outcome}`);
      entries.tell(entry);
    },
    delivered,
    dropped,
    breakers(views, toListeners) {
      for (const view of views) countBreaker(view);
      if (toListeners) breakers.tell(views);
    },
    unhealthy(views) {
      for (const { report } of views) {
        const { name, health, status, lastError } = report;
        if (health >= UNHEALTHY || status.state === "open" || status.state === "force_open") continue;
        log.warn({ breaker: name, health, state: status.state, lastError }, "unhealthy, and not open");
      }
    },
    adapted(moved) {
      for (const { name, from, to } of moved)
        log.info({ breaker: name, from, to }, "the evidence that opens it was adapted to what is normal");
    },
    tidied({ evicted, abandoned }) {
      if (evicted + abandoned > 0) log.info({ evicted, abandoned }, "breakers tidied");
    },
  };

  function tellState({ chain, name, state, lastError }: FeedStatus, reason: string): void {
    const code = state === "down" ? lastError?.code : undefined;
    const line = `${name} ${state} ${code ?? ""}`;
    const now = clock.now();
    const isNews = now - (statesTold.get(line) ?? Number.NEGATIVE_INFINITY) >= SAME_STATE_MS;
    if (isNews) statesTold.set(line, now);
    const level = !isNews || state === "connecting" || state === "closed" ? "debug" : state === "up" ? "info" : "warn";
    log[level]({ chain, upstream: name, state, code }, reason);
  }

  function count(event: StreamEvent): void {
    const told = counts.get(event.chain) ?? { blocks: 0, reorgs: 0 };
    counts.set(event.chain, told);
    if (event.type === "reorg") {
      told.reorgs++;
      metrics.reorg(event.chain, event.data.depth);
    }
    if (event.type !== "block") return;
    metrics.blockRelayed(event.chain, event.phase);
    if (event.phase === "validated") return;
    told.blocks++;
    metrics.relayLatency(event.chain, clock.now() - event.receivedAt);
  }

  function countBreaker({ report }: BreakerView): void {
    const { name, health, failureThreshold, failureRate, latencyMs, successes, failures, ignored, rejected } = report;
    metrics.breaker({
      name,
      state: report.status.state,
      health,
      failureThreshold,
      failureRate,
      latencyMs,
      counts: { success: successes, failure: failures, ignored, rejected },
    });
  }
}

class Listeners<T> {
  readonly #all = new Set<(value: T) => void>();

  add(listener: (value: T) => void): Cancel {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  tell(value: T): void {
    for (const listener of this.#all) listener(value);
  }
}
