/** The composition root: builds every room from the configuration, starts them, and closes them in reverse order. */
import { randomBytes } from "node:crypto";
import type { ReloadBody } from "../shared/api.ts";
import { UTXO_CHAINS, type UtxoChain } from "../shared/chain.ts";
import { type Cancel, seededRandom, systemClock } from "../shared/clock.ts";
import { SprintError, isSprintError, messageOf } from "../shared/errors.ts";
import { TIER_ORDER } from "../shared/tier.ts";
import { openAudit } from "./audit.ts";
import type { BreakerTransition } from "./breaker/index.ts";
import { createBreakers } from "./breakers.ts";
import { chainViews, createCatalog } from "./catalog.ts";
import { type UtxoCodec, codecFor, paramsFor } from "./chain/index.ts";
import { type ChainLine, type ChainLineModules, createChainLine } from "./line/index.ts";
import { BUILT_IN_ROWS } from "./line/index.ts";
import { type ChainConfig, type Config, dumpConfig, reloadable } from "./config/index.ts";
import { type Devnet, startDevnet } from "./devnet/index.ts";
import { type Logger, createMetrics } from "./observe/index.ts";
import { PROVER_DEFAULTS, Prover } from "./prove/index.ts";
import { openOrders } from "./orders.ts";
import { createPlugins } from "./plugins/index.ts";
import { rehearse } from "./rehearsal.ts";
import { createDecoders } from "./decoders.ts";
import { EventLog, Hub, type PassingDraft, RESUME_DEFAULTS, type StreamEvent, resume } from "./relay/index.ts";
import { type Addresses, type ControlToken, type Server, type ServerModules, createServer } from "./server/index.ts";
import { createSnapshots } from "./line/index.ts";
import { createSwap } from "./plugins/index.ts";
import { createTelemetry } from "./telemetry.ts";
import { VERSION } from "./version.ts";
import { type DaemonView, breakerLine } from "./view.ts";
import { startTasks, tasksOf } from "./workers.ts";

export interface DaemonModules {
  readonly log: Logger;
  /** What the control API asks for. */
  readonly token: string;
  /** The control API asked for the end; whoever started the daemon closes it. */
  readonly onStop: () => void;
  /** The configuration from the same sources, read again. Throws SPRINT_CONFIG_*. */
  readonly readConfig: () => Config;
}

export interface Daemon {
  readonly addresses: Addresses;
  view(): DaemonView;
  /** Every event of the stream as it is relayed, in order. */
  onEvent(listener: (event: StreamEvent) => void): Cancel;
  /** The configuration in effect. */
  config(): Config;
  /** On behalf of who sent the signal. Throws SPRINT_CONFIG_*, SPRINT_BREAKER_OPTIONS, and SPRINT_API_DRAINING once it closes; then nothing changed. */
  reload(): ReloadBody;
  /** Says goodbye to every subscriber, then closes everything. The caller holds the deadline. */
  close(): Promise<void>;
}

/** Nobody is served before each chain that can has caught up, so that who comes back after a crash is not told of a gap. */
const CATCH_UP_MS = 5_000;
/** A chain of which no upstream answered by then is not waited for. */
const DIAL_MS = 1_000;
/** How long a returning subscriber waits for a daemon that is behind it, before it is told of a gap. */
const RESUME_PATIENCE_MS = 5_000;

/** Resolves when the listeners are open; throws SprintError SPRINT_* where something cannot start, with all closed again. */
export async function startDaemon(config: Config, modules: DaemonModules): Promise<Daemon> {
  const { log } = modules;
  const clock = systemClock;
  const random = seededRandom(randomBytes(4).readUInt32LE());
  const startedAt = clock.wall();
  const metrics = createMetrics();
  const telemetry = createTelemetry({ log, metrics, clock });
  /** Grows with each event and each proof. */
  let progress = 0;
  let lines: readonly ChainLine[] = [];
  const closers: (() => Promise<void> | void)[] = [];
  let isClosing = false;
  const close = async (): Promise<void> => {
    isClosing = true;
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
    const devnet = config.network === "devnet" ? await openDevnet(config) : null;
    if (devnet !== null) closers.push(() => devnet.close());

    // What every chain shares: the log of the stream, the fan-out, the threads that prove bodies.
    const events = new EventLog({}, { run: randomBytes(8) });
    const pacing = { tiers: config.tier };
    const decoders = createDecoders();
    const hub = new Hub(pacing, {
      clock,
      decoderOf: (abi) => decoders.of(abi),
      entropy: randomBytes(32),
      defer: queueMicrotask,
      onDrop: ({ subscriber, reason, bufferedBytes }) => telemetry.dropped(subscriber.tier, reason, bufferedBytes),
      onRelayed: (_tier, relayMs) => telemetry.delivered(relayMs),
    });
    const prover = new Prover(PROVER_DEFAULTS);
    closers.push(() => prover.close());

    const publish = (draft: Parameters<EventLog["append"]>[0]): void => {
      progress++;
      const event = events.append(draft);
      hub.publish(event);
      // Counted and told to others after the fan-out, which the hub has put at the end of this turn.
      queueMicrotask(() => telemetry.event(event));
    };

    const publishPassing = (draft: PassingDraft): void => {
      const event = events.passing(draft);
      hub.publish(event);
      queueMicrotask(() => telemetry.passing(event));
    };

    const servedTier = TIER_ORDER.find((tier) => config.tiers.includes(tier)) ?? "FREE";
    const orders = openOrders(
      { directory: config.dataDir },
      { wall: () => clock.wall(), onFault: ({ code, message }) => log.error({ code }, message) },
    );
    const breakers = createBreakers(
      { tier: servedTier, policy: config.breakers[servedTier] },
      {
        clock,
        random,
        orders,
        onTransition,
        onEvict: (name) => metrics.breakerGone(name),
        onOrderLost: (breaker, error) =>
          log.error({ breaker, err: error }, "an operator's order does not hold any more"),
      },
    );
    const audit = openAudit(
      { directory: config.dataDir },
      {
        onEntry: (entry) => telemetry.audited(entry),
        onFault: (error) => log.error({ err: error }, "an audit entry could not be written to the data directory"),
      },
    );

    const plugins = createPlugins();
    await plugins.load(config.plugins);
    for (const { error } of plugins.statuses()) if (error !== null) log.error({ code: error.code }, error.message);

    const lineModules: ChainLineModules = {
      ...telemetry.ofChains,
      clock,
      random,
      prover,
      publish,
      publishPassing,
      flush: () => hub.flush(),
      breakers,
      orders,
      onBodyProved(chain, milliseconds) {
        progress++;
        metrics.bodyProved(chain, milliseconds);
      },
    };
    /** Null where no row is there for it: a plug-in that was refused, or none that brings it. */
    const openLine = (chain: ChainConfig, before: ChainLine | null): ChainLine | null => {
      const row = BUILT_IN_ROWS.find((each) => each.chain === chain.chain) ?? plugins.row(chain.chain);
      if (row !== undefined)
        return createChainLine(withDevnet(chain, devnet), row, shownNetwork(chain, devnet), lineModules, before);
      log.error(
        { code: "SPRINT_PLUGIN_NO_CHAIN", chain: chain.chain },
        `no plug-in that was loaded brings ${chain.chain}: it is not relayed`,
      );
      return null;
    };
    lines = config.chains.flatMap((chain) => openLine(chain, null) ?? []);
    closers.push(() => Promise.all(lines.map((line) => line.close())).then(() => {}));
    const swap = createSwap({
      plugins,
      lines: () => lines,
      setLines: (next) => {
        lines = next;
      },
      openLine,
      publish,
      flush: () => hub.flush(),
      clock,
      isClosing: () => isClosing,
    });

    const ingests = () => lines.map((line) => line.ingest);
    const catalog = createCatalog(() => lines, { orders, wall: () => clock.wall() });
    const serverModules: ServerModules = {
      ...telemetry.ofServer,
      ...catalog,
      ...breakers,
      clock,
      hub,
      caughtUp(cursor, filter) {
        let askedAt = progress;
        const isCaughtUp = (): boolean => {
          askedAt = progress;
          const { catchingUp, unproved } = resume(cursor, filter, RESUME_DEFAULTS, { log: events, ingests: ingests() });
          for (const line of lines) line.pipeline.prove(unproved.filter(({ chain }) => chain === line.chain));
          return catchingUp.length === 0;
        };
        if (isCaughtUp()) return null;
        // The answer is another one only after a block or a proof: a thousand who wait do not ask all the time.
        return until(() => askedAt !== progress && isCaughtUp(), RESUME_PATIENCE_MS);
      },
      resume(cursor, filter) {
        return resume(cursor, filter, RESUME_DEFAULTS, { log: events, ingests: ingests() });
      },
      prepareAbi: (abi) => decoders.prepare(abi),
      config: () => dumpConfig(configuration.current()),
      reload: async (dryRun) => configuration.reload(dryRun),
      metricsText: () => metrics.text(),
      stop: modules.onStop,
      plugins: () => plugins.statuses(),
      reloadPlugins() {
        if (isClosing) throw stopping();
        return swap(configuration.readPlugins());
      },
      audit: (entry) => audit.add(entry),
      audited: (last) => audit.last(last),
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
        control: { ...config.control, tokens: tokensOf(config) },
        hub: pacing,
      },
      serverModules,
    );
    closers.push(() => server.close());
    const configuration = reloadable(config, {
      read() {
        if (isClosing) throw stopping();
        return modules.readConfig();
      },
      apply(next) {
        breakers.retune(next.breakers[servedTier]);
        server.adjust({ tiers: next.tier, tokens: tokensOf(next), hub: next.tier });
        for (const { chain, upstreams } of next.chains) {
          if (devnet?.urls.has(chain) !== true) lines.find((line) => line.chain === chain)?.setUpstreams(upstreams);
        }
        log.level = next.log.level;
      },
    });
    const takeSnapshots = createSnapshots({
      lines: () => lines,
      onTrouble: ({ chain }, doing, error) => log.debug({ chain, doing }, messageOf(error)),
    });
    let deliveriesTold = 0;
    metrics.onScrape(() => {
      const elsewhere = server.processes().reduce((sum, process) => sum + (process.hub?.deliveries ?? 0), 0);
      const deliveries = hub.stats().deliveries + elsewhere;
      // A process that ended took its count with it.
      metrics.delivered(Math.max(0, deliveries - deliveriesTold));
      deliveriesTold = deliveries;
      for (const { tier, subscribers } of server.listeners()) metrics.subscribers(tier, subscribers);
      telemetry.breakers(breakers.breakers(), false);
    });

    for (const line of lines) line.start();
    await rehearse(new Set(lines.map(({ codec }) => codec.family)), { clock, prover });
    const patience = clock.now() + DIAL_MS;
    const mayCatchUp = ({ ingest, feeds }: ChainLine): boolean =>
      !ingest.isLive && (clock.now() < patience || feeds().some((feed) => feed.status().state === "up"));
    await until(() => !lines.some(mayCatchUp), CATCH_UP_MS);
    const addresses = await server.listen();
    closers.push(
      () => server.drain(),
      startTasks(
        tasksOf({
          takeSnapshots,
          tickStats: () => forEachLine("stats clock", ({ stats }) => stats.tick(clock.wall())),
          tellStats: () =>
            forEachLine("stats", ({ chain, network }) => {
              const draft = { chain, network, receivedAt: clock.now() };
              publishPassing({ ...draft, type: "stats", data: catalog.stats(chain) });
            }),
          checkFeeds: () => forEachLine("check feeds", (line) => line.pipeline.checkFeeds()),
          evaluateStates: () => breakers.evaluate(),
          collectMetrics: () => telemetry.breakers(breakers.breakers(), true),
          checkHealth: () => telemetry.unhealthy(breakers.breakers()),
          adaptThresholds: () => telemetry.adapted(breakers.adapted()),
          cleanUp: () => telemetry.tidied(breakers.tidy()),
        }),
        { clock, onError: (task, error) => log.error({ task, err: error }, "a periodic task failed") },
      ),
    );

    return {
      addresses,
      config: () => configuration.current(),
      reload() {
        const entry = { at: new Date(clock.wall()).toISOString(), actor: "SIGHUP", role: "admin" } as const;
        const told = { ...entry, action: "config.reload", target: null, params: {} };
        try {
          const body = configuration.reload(false);
          audit.add({ ...told, outcome: "done" });
          return body;
        } catch (error) {
          audit.add({ ...told, outcome: isSprintError(error) ? error.code : "SPRINT_API_INTERNAL" });
          throw error;
        }
      },
      onEvent: telemetry.ofServer.onEvent,
      view: () => ({
        network: config.network,
        ethereum: devnet?.ethereum ?? null,
        startedAt,
        tiers: tierViews(server),
        chains: chainViews(lines, telemetry.counts, clock.wall(), clock.now()),
        upstreams: catalog.upstreamViews(),
        breakers: breakers.breakers().map(({ report }) => breakerLine(report)),
        relayMs: viewLatency(),
      }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }

  /** One chain's failure is no other's. */
  function forEachLine(task: string, work: (line: ChainLine) => void): void {
    for (const line of lines) {
      try {
        work(line);
      } catch (error) {
        log.error({ task, chain: line.chain, err: error }, "a periodic task failed for one chain");
      }
    }
  }

  function onTransition(transition: BreakerTransition): void {
    telemetry.transition(transition);
    for (const line of lines) line.breakerMoved(transition.breaker);
  }

  function tokensOf({ control }: Config): readonly ControlToken[] {
    return [{ name: "cookie", role: "admin", token: modules.token }, ...control.tokens];
  }

  function openDevnet({ chains }: Config): Promise<Devnet> {
    const codecs = Object.fromEntries(
      UTXO_CHAINS.map((chain) => [chain, codecFor(paramsFor(chain, "regtest"))]),
    ) as Record<UtxoChain, UtxoCodec>;
    const seed = randomBytes(4).readUInt32LE();
    const onProblem = ({ code, message }: SprintError): void => log.warn({ code }, message);
    return startDevnet({ seed, chains: chains.map(({ chain }) => chain) }, { codecs, clock, onProblem });
  }

  function viewLatency(): DaemonView["relayMs"] {
    const now = telemetry.ofServer.relayLatency();
    return now === null ? null : { p50: now.p50Ms, p99: now.p99Ms, count: now.count };
  }

  /** Resolves when `holds`, or when waiting longer would help nobody. */
  async function until(holds: () => boolean, patienceMs: number): Promise<void> {
    for (const deadline = clock.now() + patienceMs; !holds() && clock.now() < deadline;) {
      await new Promise<void>((resolve) => setTimeout(resolve, 25));
    }
  }
}

/** What was closed already would be opened again, and nobody would close it. */
function stopping(): SprintError {
  return new SprintError(
    "SPRINT_API_DRAINING",
    "the daemon is stopping, its configuration is not read again; start it",
  );
}

function withDevnet(chain: ChainConfig, devnet: Devnet | null): ChainConfig {
  const url = devnet?.urls.get(chain.chain);
  return url === undefined ? chain : { ...chain, upstreams: [url] };
}

function shownNetwork({ chain, network }: ChainConfig, devnet: Devnet | null): string {
  return devnet?.urls.has(chain) === true ? "devnet" : network;
}

function tierViews(server: Server): DaemonView["tiers"] {
  return server.listeners().map(({ tier, url, subscribers }) => ({ tier, url, subscribers }));
}
