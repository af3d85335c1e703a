/** The composition root: builds every room from the configuration, starts them, and closes them in reverse order. */
import { randomBytes } from "node:crypto";
import { createHistogram } from "node:perf_hooks";
import type { AuditEntryBody } from "../shared/api.ts";
import { CHAINS, type Chain } from "../shared/chain.ts";
import { type Cancel, seededRandom, systemClock } from "../shared/clock.ts";
import { messageOf } from "../shared/errors.ts";
import { TIER_ORDER, type Tier } from "../shared/tier.ts";
import { type Audit, openAudit } from "./audit.ts";
import { type BreakerTransition, policyOf } from "./breaker/index.ts";
import { type Breakers, createBreakers } from "./breakers.ts";
import { type StreamCount, chainViews, createCatalog } from "./catalog.ts";
import { codecFor, paramsFor } from "./chain/index.ts";
import { type ChainLine, createChainLine } from "./chainline.ts";
import { type ChainConfig, type Config, dumpConfig } from "./config.ts";
import { type Devnet, startDevnet } from "./devnet/index.ts";
import { type Logger, createMetrics } from "./observe/index.ts";
import { describeTrouble } from "./pipeline.ts";
import { PROVER_DEFAULTS, Prover } from "./prove/index.ts";
import { rehearse } from "./rehearsal.ts";
import { EventLog, Hub, RESUME_DEFAULTS, type StreamEvent, resume } from "./relay/index.ts";
import { type Addresses, type BreakerView, type Server, type ServerModules, createServer } from "./server/index.ts";
import type { FeedStatus } from "./upstream/index.ts";
import { VERSION } from "./version.ts";
import type { DaemonView } from "./view.ts";
import { startTasks, tasksOf } from "./workers.ts";

export interface DaemonModules {
  readonly log: Logger;
  /** What the control API asks for. */
  readonly token: string;
  /** The control API asked for the end; whoever started the daemon closes it. */
  readonly onStop: () => void;
}

export interface Daemon {
  readonly addresses: Addresses;
  view(): DaemonView;
  /** Every event of the stream as it is relayed, in order. */
  onEvent(listener: (event: StreamEvent) => void): Cancel;
  /** Says goodbye to every subscriber, then closes everything. The caller holds the deadline. */
  close(): Promise<void>;
}

/** Nobody is served before each chain that can has caught up, so that who comes back after a crash is not told of a gap. */
const CATCH_UP_MS = 5_000;
/** A chain of which no upstream answered by then is not waited for. */
const DIAL_MS = 1_000;
/** How long a returning subscriber waits for a daemon that is behind it, before it is told of a gap. */
const RESUME_PATIENCE_MS = 5_000;
/** Below it an upstream is told of in the log, if its breaker let it stay. */
const UNHEALTHY = 0.5;
const REHEARSAL_BLOCKS = 600;
const SAME_STATE_MS = 60_000;

/** Resolves when the listeners are open; throws SprintError SPRINT_* where something cannot start, with all closed again. */
export async function startDaemon(config: Config, modules: DaemonModules): Promise<Daemon> {
  const { log } = modules;
  const clock = systemClock;
  const random = seededRandom(randomBytes(4).readUInt32LE());
  const startedAt = clock.wall();
  const metrics = createMetrics();
  const relayed = createHistogram();
  const counts = new Map<Chain, StreamCount>();
  /** Grows with each event and each proof. */
  let progress = 0;
  /** When a state of an upstream was logged last: as many entries as upstreams have states and error codes. */
  const statesTold = new Map<string, number>();
  let lines: readonly ChainLine[] = [];
  const closers: (() => Promise<void> | void)[] = [];
  const eventListeners = new Set<(event: StreamEvent) => void>();
  const transitionListeners = new Set<(transition: BreakerTransition) => void>();
  const breakersListeners = new Set<(breakers: readonly BreakerView[]) => void>();
  const auditListeners = new Set<(entry: AuditEntryBody) => void>();
  const upstreamListeners = new Set<(status: FeedStatus) => void>();

  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) {
      try {
        await closer();
      } catch (error) {
        log.error({ err: error }, "a part did not close");
      }
    }
  };

  try {
    // Where blocks come from when nothing is configured.
    const devnet = config.network === "devnet" ? await openDevnet() : null;
    if (devnet !== null) closers.push(() => devnet.close());

    // What every chain shares: the log of the stream, the fan-out, the threads that prove bodies.
    const events = new EventLog({}, { run: randomBytes(8) });
    const pacing = { tiers: config.tier };
    const hub = new Hub(pacing, {
      clock,
      entropy: randomBytes(32),
      defer: queueMicrotask,
      onDrop: ({ subscriber, reason, bufferedBytes }) => dropped(subscriber.tier, reason, bufferedBytes),
      onRelayed: (_tier, relayMs) => delivered(relayMs),
    });
    const prover = new Prover(PROVER_DEFAULTS);
    closers.push(() => prover.close());

    const publish = (draft: Parameters<EventLog["append"]>[0]): void => {
      progress++;
      const event = events.append(draft);
      hub.publish(event);
      // Counted and told to others after the fan-out, which the hub has put at the end of this turn.
      queueMicrotask(() => {
        count(event);
        for (const listener of eventListeners) listener(event);
      });
    };

    const servedTier = TIER_ORDER.find((tier) => config.tiers.includes(tier)) ?? "FREE";
    const breakers = createBreakers(
      { tier: servedTier, policy: policyOf(servedTier) },
      { clock, random, onTransition: transited, onEvict: (name) => metrics.breakerGone(name) },
    );
    const audit = openAudit(
      { directory: config.dataDir },
      {
        onEntry(entry) {
          log.info({ audit: entry }, `${entry.actor}: ${entry.action} ${entry.target ?? ""}: ${entry.outcome}`);
          for (const listener of auditListeners) listener(entry);
        },
        onFault: (error) => log.error({ err: error }, "an audit entry could not be written to the data directory"),
      },
    );

    lines = config.chains.map((chain) =>
      createChainLine(withDevnet(chain, devnet), devnet === null ? chain.network : "devnet", {
        clock,
        random,
        prover,
        publish,
        flush: () => hub.flush(),
        breakers,
        onBodyProved(chain, milliseconds) {
          progress++;
          metrics.bodyProved(chain, milliseconds);
        },
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
          metrics.upstreamState(feed.chain, feed.name, state);
          const status = feed.status();
          tellState(status, reason);
          for (const listener of upstreamListeners) listener(status);
        },
        onSeedFailed(chain, seed, error) {
          log.warn({ chain, seed }, `expected addresses of peers from this DNS seed, got: ${messageOf(error)}`);
        },
        onGap(feed, { topic, expected, got, cause }) {
          const what = cause === "restarted" ? "the publisher restarted" : "messages were lost";
          log.warn({ upstream: feed, topic, expected, got }, `ZMQ: ${what}; asking the node for what is missing`);
        },
      }),
    );
    for (const line of lines) closers.push(() => line.close());

    const ingests = lines.map((line) => line.ingest);
    const catalog = createCatalog(lines);
    const serverModules: ServerModules = {
      ...catalog,
      ...breakers,
      clock,
      hub,
      relayLatency: () => latency(),
      caughtUp(cursor, filter) {
        let askedAt = progress;
        const isCaughtUp = (): boolean => {
          askedAt = progress;
          const { catchingUp, unproved } = resume(cursor, filter, RESUME_DEFAULTS, { log: events, ingests });
          for (const line of lines) line.pipeline.prove(unproved.filter(({ chain }) => chain === line.chain));
          return catchingUp.length === 0;
        };
        if (isCaughtUp()) return null;
        // The answer is another one only after a block or a proof: a thousand who wait do not ask all the time.
        return until(() => askedAt !== progress && isCaughtUp(), RESUME_PATIENCE_MS);
      },
      resume(cursor, filter) {
        return resume(cursor, filter, RESUME_DEFAULTS, { log: events, ingests });
      },
      config: () => dumpConfig(config),
      metricsText: () => metrics.text(),
      stop: modules.onStop,
      onRelayed: (_tier, relayMs) => delivered(relayMs),
      onDrop: ({ tier, reason, bufferedBytes }) => dropped(tier, reason, bufferedBytes),
      onFault: (error, where) => log.error({ err: error, where }, messageOf(error)),
      onEvent: (listener) => listen(eventListeners, listener),
      audit: (entry) => audit.add(entry),
      audited: (last) => audit.last(last),
      onAudit: (listener) => listen(auditListeners, listener),
      onBreakers: (listener) => listen(breakersListeners, listener),
      onTransition: (listener) => listen(transitionListeners, listener),
      onUpstream: (listener) => listen(upstreamListeners, listener),
    };
    const server = await createServer(
      {
        version: VERSION,
        network: config.network,
        startedAt,
        tiers: config.tiers.map((tier) => {
          const { port, connections, apiCallsPerMinute } = config.tier[tier];
          return { tier, host: config.host, port, connections, apiCallsPerMinute };
        }),
        control: { ...config.control, token: modules.token },
        hub: pacing,
      },
      serverModules,
    );
    closers.push(() => server.close());
    let deliveriesTold = 0;
    metrics.onScrape(() => {
      const elsewhere = server.processes().reduce((sum, process) => sum + (process.hub?.deliveries ?? 0), 0);
      const deliveries = hub.stats().deliveries + elsewhere;
      // A process that ended took its count with it.
      metrics.delivered(Math.max(0, deliveries - deliveriesTold));
      deliveriesTold = deliveries;
      for (const { tier, subscribers } of server.listeners()) metrics.subscribers(tier, subscribers);
      tellBreakers(breakers.breakers());
    });

    for (const line of lines) line.start();
    await rehearse(REHEARSAL_BLOCKS, { clock, prover });
    const patience = clock.now() + DIAL_MS;
    const mayCatchUp = ({ ingest, feeds }: ChainLine): boolean =>
      !ingest.isLive && (clock.now() < patience || feeds().some((feed) => feed.status().state === "up"));
    await until(() => !lines.some(mayCatchUp), CATCH_UP_MS);
    const addresses = await server.listen();
    closers.push(
      () => server.drain(),
      startTasks(
        tasksOf({
          checkFeeds: () => lines.forEach((line) => line.pipeline.checkFeeds()),
          evaluateStates: () => breakers.evaluate(),
          collectMetrics() {
            const views = breakers.breakers();
            tellBreakers(views);
            for (const listener of breakersListeners) listener(views);
          },
          checkHealth() {
            for (const { report } of breakers.breakers()) {
              const { name, health, status, lastError } = report;
              if (health >= UNHEALTHY || status.state === "open") continue;
              log.warn({ breaker: name, health, state: status.state, lastError }, "unhealthy, and not open");
            }
          },
          adaptThresholds() {
            for (const { name, from, to } of breakers.adapted())
              log.info({ breaker: name, from, to }, "the evidence that opens it was adapted to what is normal");
          },
          cleanUp() {
            const { evicted, abandoned } = breakers.tidy();
            if (evicted + abandoned > 0) log.info({ evicted, abandoned }, "breakers tidied");
          },
        }),
        { clock, onError: (task, error) => log.error({ task, err: error }, "a periodic task failed") },
      ),
    );

    return {
      addresses,
      onEvent: (listener) => listen(eventListeners, listener),
      view: () => ({
        network: config.network,
        startedAt,
        tiers: tierViews(server),
        chains: chainViews(lines, counts, clock.wall(), clock.now()),
        upstreams: catalog.upstreamViews(),
        breakers: breakers.breakers().map(({ report }) => ({ name: report.name, state: report.status.state })),
        relayMs: viewLatency(),
      }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }

  /** One that dials in vain, or comes up and goes down again, says the same thing once a minute. */
  function tellState({ chain, name, state, lastError }: FeedStatus, reason: string): void {
    const code = state === "down" ? lastError?.code : undefined;
    const line = `${name} ${state} ${code ?? ""}`;
    const now = clock.now();
    const isNews = now - (statesTold.get(line) ?? Number.NEGATIVE_INFINITY) >= SAME_STATE_MS;
    if (isNews) statesTold.set(line, now);
    const level = !isNews || state === "connecting" || state === "closed" ? "debug" : state === "up" ? "info" : "warn";
    log[level]({ chain, upstream: name, state, code }, reason);
  }

  function transited(transition: BreakerTransition): void {
    const { breaker, from, to, cause, seq, forced } = transition;
    metrics.breakerTransition(breaker, to);
    log[to === "open" || to === "force_open" ? "warn" : "info"](
      { breaker, from, to, seq, ...(forced === null ? {} : { forced }) },
      `${breaker} is ${to}: ${cause}`,
    );
    for (const listener of transitionListeners) listener(transition);
    for (const line of lines) line.breakerMoved(breaker);
  }

  function tellBreakers(views: readonly BreakerView[]): void {
    for (const { report } of views) {
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

  function openDevnet(): Promise<Devnet> {
    const codecs = Object.fromEntries(CHAINS.map((chain) => [chain, codecFor(paramsFor(chain, "regtest"))])) as Record<
      Chain,
      ReturnType<typeof codecFor>
    >;
    return startDevnet({ seed: randomBytes(4).readUInt32LE() }, { codecs, clock });
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

  function delivered(relayMs: number): void {
    relayed.record(Math.max(1, Math.round(relayMs * 1_000)));
  }

  function dropped(tier: Tier, reason: string, bufferedBytes: number): void {
    if (reason === "slow_consumer") metrics.slowClosed(tier);
    log.info({ tier, reason, bufferedBytes }, "a subscriber was closed; it was told its cursor");
  }

  function latency(): { p50Ms: number; p99Ms: number; count: number } | null {
    if (relayed.count === 0) return null;
    return { p50Ms: relayed.percentile(50) / 1_000, p99Ms: relayed.percentile(99) / 1_000, count: relayed.count };
  }

  function viewLatency(): DaemonView["relayMs"] {
    const now = latency();
    return now === null ? null : { p50: now.p50Ms, p99: now.p99Ms, count: now.count };
  }

  /** Resolves when `holds`, or when waiting longer would help nobody. */
  async function until(holds: () => boolean, patienceMs: number): Promise<void> {
    for (const deadline = clock.now() + patienceMs; !holds() && clock.now() < deadline;) {
      await new Promise<void>((resolve) => setTimeout(resolve, 25));
    }
  }
}

function withDevnet(chain: ChainConfig, devnet: Devnet | null): ChainConfig {
  return devnet === null ? chain : { ...chain, upstreams: [p2pUrl(devnet.nodes[chain.chain].address)] };
}

function p2pUrl({ host, port }: { readonly host: string; readonly port: number }): string {
  return `p2p://${host}:${port}`;
}

function tierViews(server: Server): DaemonView["tiers"] {
  return server.listeners().map(({ tier, url, subscribers }) => ({ tier, url, subscribers }));
}

function listen<T>(listeners: Set<T>, listener: T): Cancel {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
