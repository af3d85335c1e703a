/** A server with everything below it made up: a chain of blocks that tests publish from, a real hub, a real log. */
import { createHash } from "node:crypto";
import type { Block } from "../../../src/shared/block.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import { type Clock, seededRandom, systemClock } from "../../../src/shared/clock.ts";
import type { AuditEntryBody, PluginBody, ReloadBody } from "../../../src/shared/api.ts";
import { createLogDecoder } from "../../../src/daemon/abi.ts";
import { codecFor, paramsFor } from "../../../src/daemon/chain/index.ts";
import { statsOf } from "../../../src/daemon/line/statistics.ts";
import { createWatching } from "../../../src/daemon/line/watching.ts";
import {
  BreakerPool,
  type BreakerPolicy,
  type BreakerTransition,
  FAILURE,
  policyOf,
} from "../../../src/daemon/breaker/index.ts";
import {
  decodeCursor,
  EventLog,
  Hub,
  type HubOptions,
  type StreamDraft,
  type StreamEvent,
} from "../../../src/daemon/relay/index.ts";
import {
  createServer,
  type Addresses,
  type BlockRecord,
  type BreakerView,
  type ControlToken,
  type Server,
  type ServerModules,
  type ServerOptions,
} from "../../../src/daemon/server/index.ts";
import type { FeedStatus } from "../../../src/daemon/upstream/index.ts";

/** The data directory's own, an admin's. */
export const TOKEN = "token-of-the-test";
export const VIEWER: ControlToken = { name: "screen", role: "viewer", token: "token-of-a-viewer" };
export const OPERATOR: ControlToken = { name: "night shift", role: "operator", token: "token-of-an-operator" };
export const ADMIN: ControlToken = { name: "cookie", role: "admin", token: TOKEN };

export interface FakeDaemon {
  readonly server: Server;
  readonly addresses: Addresses;
  readonly tier: string;
  readonly control: string;
  readonly chain: FakeChain;
  readonly faults: unknown[];
  readonly relayed: number[];
  readonly drops: string[];
  readonly stops: number;
  readonly cordons: readonly (readonly [string, string, number])[];
  /** Fragments that subscriptions asked to decode by. */
  readonly decoded: readonly (readonly string[])[];
  /** Real breakers, `upstream:bitcoin:btc-1` opened by 20 failures and `upstream:litecoin:ltc-1` closed, and what happened to them. */
  readonly pool: BreakerPool;
  readonly transitions: readonly BreakerTransition[];
  readonly audit: readonly AuditEntryBody[];
  /** Each is whether it was a dry run. */
  readonly reloads: readonly boolean[];
  /** The next reloads answer this, or throw it. */
  reloadAs(answer: ReloadBody | Error): void;
  /** The beat of metrics collection. */
  beat(): void;
  upstream(status: FeedStatus): void;
  /** Makes the next answers fail as a bug would. */
  breakDown(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export type FakeOptions = Partial<Omit<ServerOptions, "hub">> & {
  readonly hub?: Partial<HubOptions>;
  readonly connections?: number;
  readonly apiCallsPerMinute?: number;
  /** Blocks of bitcoin that are in the log when it starts. */
  readonly mined?: number;
  readonly firstHeight?: number;
  readonly caughtUp?: ServerModules["caughtUp"];
  readonly rpc?: ServerModules["rpc"];
  readonly clock?: Clock;
};

const UPSTREAM: FeedStatus = {
  name: "btc-1",
  chain: "bitcoin",
  kind: "p2p",
  url: "p2p://127.0.0.1:18444",
  state: "up",
  agent: "/Satoshi:29.0.0/",
  height: 100,
  lastProgressAt: systemClock.now(),
  connects: 1,
  lastError: null,
  safe: null,
  finalized: null,
  cordon: null,
};

const PLUGIN: PluginBody = {
  path: "/etc/bitcoin-sprint/tiny.ts",
  chain: "tiny",
  state: "loaded",
  error: null,
  loads: 1,
  serves: true,
};

const OPEN_BREAKER = "upstream:bitcoin:btc-1";
const CLOSED_BREAKER = "upstream:litecoin:ltc-1";

/** An ENTERPRISE listener and a control API on free ports. `bitcoin` and `litecoin` are on, `dogecoin` is not. */
export async function startFake(options: FakeOptions = {}): Promise<FakeDaemon> {
  const clock = options.clock ?? systemClock;
  const relayed: number[] = [];
  const drops: string[] = [];
  const hub = new Hub(options.hub ?? {}, {
    clock,
    entropy: Buffer.alloc(32, 7),
    defer: queueMicrotask,
    onDrop: ({ reason }) => drops.push(reason),
    onRelayed: (_tier, relayMs) => relayed.push(relayMs),
  });
  const listeners = new Set<(event: StreamEvent) => void>();
  const transitionListeners = new Set<(transition: BreakerTransition) => void>();
  const auditListeners = new Set<(entry: AuditEntryBody) => void>();
  const beatListeners = new Set<(breakers: readonly BreakerView[]) => void>();
  const upstreams = new Set<(status: FeedStatus) => void>();
  const chain = new FakeChain((event) => {
    hub.publish(event);
    for (const listener of listeners) listener(event);
  }, options.firstHeight);
  for (let i = 0; i < (options.mined ?? 0); i++) chain.mine();
  const faults: unknown[] = [];
  const cordons: [string, string, number][] = [];
  const transitions: BreakerTransition[] = [];
  const audit: AuditEntryBody[] = [];
  const reloads: boolean[] = [];
  let reloadAnswer: ReloadBody | Error = { applied: true, changes: [] };
  const pool = new BreakerPool(
    {},
    {
      clock,
      random: seededRandom(1),
      onTransition(transition) {
        transitions.push(transition);
        for (const listener of transitionListeners) listener(transition);
      },
    },
  );
  openByFailures(pool, pool.open(OPEN_BREAKER, policyOf("ENTERPRISE"), clock.now()), clock.now());
  pool.open(CLOSED_BREAKER, policyOf("ENTERPRISE"), clock.now());
  const viewOf = (handle: number): BreakerView => ({
    tier: "ENTERPRISE",
    policy: pool.policyOf(handle),
    report: pool.report(handle, clock.now()),
  });
  const at = <T>(name: string, act: (handle: number) => T): T | null => {
    const handle = pool.handleOf(name);
    return handle === null ? null : act(handle);
  };
  const codec = codecFor(paramsFor("bitcoin", "regtest"));
  const stats = statsOf(codec, "devnet");
  const watching = createWatching(codec, { clock, onEvent: () => {}, onRefused: () => {}, onChange: () => {} });
  const decoded: (readonly string[])[] = [];
  let stops = 0;
  let isBroken = false;
  const listen = <T>(set: Set<T>, listener: T): (() => void) => {
    set.add(listener);
    return () => set.delete(listener);
  };

  const modules: ServerModules = {
    clock,
    hub,
    chains: () =>
      (["bitcoin", "litecoin"] as const).map((name) => ({
        chain: name,
        network: "regtest",
        tip: chain.records(name).at(-1)?.block ?? null,
        finalized: null,
        synced: true,
      })),
    latest: (name) => {
      if (isBroken) throw new Error("secret inside");
      return chain.records(name).at(-1) ?? null;
    },
    blockByHash: (hash) => chain.byHash(hash),
    blocksOf: (name, { limit, before }) => {
      const records = chain.records(name).toReversed();
      if (typeof before === "string" && !records.some(({ block }) => block.hash === before)) return null;
      const start =
        before === null ? 0 : records.findIndex(({ block }) => block.hash === before || block.height < Number(before));
      const from = typeof before === "string" ? start + 1 : start;
      return from < 0 ? [] : records.slice(from, from + limit);
    },
    rpc: options.rpc ?? (async () => ({ status: 200, headers: {}, body: "{}", calls: 1 })),
    stats(name) {
      stats.tick(clock.wall());
      return { ...stats.report(), chain: name };
    },
    watch: (_name, body) => watching.add(body),
    watchLists: () => watching.lists(),
    watchList: (_name, id) => watching.list(id),
    unspent: (_name, id, query) => watching.unspent(id, query),
    matches: async (_name, id, { from }) =>
      watching.list(id) === null ? null : { from, to: from, upstream: "btc-1", blocks: [] },
    unwatch: (_name, id) => watching.remove(id),
    async prepareAbi(abi) {
      for (const fragment of abi) await createLogDecoder([fragment]);
      if (abi.length > 0) decoded.push(abi);
    },
    plugins: () => [PLUGIN],
    async reloadPlugins() {
      reloads.push(false);
      return [{ ...PLUGIN, loads: 2 }];
    },
    upstreams: () => [UPSTREAM],
    cordon: (name, reason, forMs) => {
      if (name !== UPSTREAM.name) return false;
      cordons.push([name, reason, forMs]);
      return true;
    },
    uncordon: (name) => name === UPSTREAM.name,
    breakers: () => pool.keys().map((name) => viewOf(pool.handleOf(name) ?? 0)),
    breaker: (name) => at(name, viewOf),
    breakerHistory: (name, last) =>
      at(name, () =>
        transitions
          .filter(({ breaker }) => breaker === name)
          .slice(-last)
          .reverse(),
      ),
    force: (name, to, by) =>
      at(name, (handle) => {
        if (to === "open") pool.forceOpen(handle, by, clock.now());
        else pool.forceClose(handle, by, clock.now());
        return viewOf(handle);
      }),
    resetBreaker: (name) =>
      at(name, (handle) => {
        pool.reset(handle, clock.now());
        return viewOf(handle);
      }),
    configureBreaker: (name, changes) =>
      at(name, (handle) => {
        const before = pool.policyOf(handle);
        pool.configure(handle, present(changes));
        const fields = Object.keys(changes) as (keyof typeof changes)[];
        return {
          breaker: viewOf(handle),
          changes: fields.map((key) => ({ key, from: before[key], to: changes[key], restart: false })),
        };
      }),
    async reload(dryRun) {
      reloads.push(dryRun);
      if (reloadAnswer instanceof Error) throw reloadAnswer;
      return reloadAnswer;
    },
    audit(entry) {
      audit.push(entry);
      for (const listener of auditListeners) listener(entry);
    },
    audited: (last) => audit.slice(-last).reverse(),
    race: (name) => ({
      chain: name,
      blocks: [
        {
          hash: "ab".repeat(32),
          height: 7,
          firstAt: 1_750_000_000_000,
          arrivals: [{ upstream: "btc-1", via: "cmpctblock", behindMs: 0 }],
        },
      ],
      standings: [{ upstream: "btc-1", seen: 1, wins: 1, behindMsP50: null, behindMsP95: null, wrong: 0 }],
      wrongs: [],
    }),
    relayLatency: () => ({ p50Ms: 0.4, p99Ms: 2, count: 10 }),
    caughtUp: options.caughtUp ?? (() => null),
    resume: (cursor, filter) => chain.resume(cursor, filter),
    config: () => ({ tier: "ENTERPRISE" }),
    metricsText: async () => "# TYPE sprint_test_total counter\nsprint_test_total 1\n",
    stop: () => void stops++,
    onEvent: (listener) => listen(listeners, listener),
    onRelayed: (_tier, relayMs) => relayed.push(relayMs),
    onDrop: ({ reason }) => drops.push(reason),
    onFault: (error) => faults.push(error),
    onTransition: (listener) => listen(transitionListeners, listener),
    onAudit: (listener) => listen(auditListeners, listener),
    onBreakers: (listener) => listen(beatListeners, listener),
    onUpstream: (listener) => listen(upstreams, listener),
  };
  const { connections, apiCallsPerMinute } = options;
  const server = await createServer(
    {
      version: "0.1.0",
      network: "devnet",
      startedAt: Date.now() - 1_000,
      tiers: [
        {
          tier: "ENTERPRISE",
          host: "127.0.0.1",
          port: 0,
          ...(connections === undefined ? {} : { connections }),
          ...(apiCallsPerMinute === undefined ? {} : { apiCallsPerMinute }),
        },
      ],
      control: { host: "127.0.0.1", port: 0, tokens: [VIEWER, OPERATOR, ADMIN] },
      ...options,
    },
    modules,
  );
  const addresses = await server.listen();
  return {
    server,
    addresses,
    tier: addresses.tiers.ENTERPRISE ?? "",
    control: addresses.control,
    chain,
    faults,
    relayed,
    drops,
    get stops() {
      return stops;
    },
    cordons,
    decoded,
    pool,
    transitions,
    audit,
    reloads,
    reloadAs: (answer) => {
      reloadAnswer = answer;
    },
    beat: () => beatListeners.forEach((listener) => listener(modules.breakers())),
    upstream: (status) => upstreams.forEach((listener) => listener(status)),
    breakDown: () => {
      isBroken = true;
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** Evidence enough for the ENTERPRISE tier. */
function openByFailures(pool: BreakerPool, handle: number, now: number): void {
  for (let i = 0; i < 20; i++) pool.onResult(handle, pool.tryAcquire(handle, now), FAILURE, 1, now);
  pool.note(handle, "connect ECONNREFUSED http://user:hunter2@127.0.0.1:1");
}

/** Blocks that link up, published as a real ingest would. */
export class FakeChain {
  readonly #log = new EventLog(
    { maxEvents: 200_000, maxBytes: 256 * 1024 * 1024 },
    { run: Buffer.from("0123456789abcdef", "hex") },
  );
  readonly #records = new Map<Chain, BlockRecord[]>();
  readonly #publish: (event: StreamEvent) => void;
  readonly #firstHeight: number;

  constructor(publish: (event: StreamEvent) => void, firstHeight = 100) {
    this.#publish = publish;
    this.#firstHeight = firstHeight;
  }

  records(chain: Chain): readonly BlockRecord[] {
    return this.#records.get(chain) ?? [];
  }

  byHash(hash: string): BlockRecord | null {
    return [...this.#records.values()].flat().find(({ block }) => block.hash === hash) ?? null;
  }

  get cursor(): string {
    return this.#log.cursor();
  }

  /** Announces the next block of `chain`. */
  mine(chain: Chain = "bitcoin"): StreamEvent {
    const records = this.#records.get(chain) ?? [];
    this.#records.set(chain, records);
    const parent = records.at(-1)?.block;
    const height = parent === undefined ? this.#firstHeight : parent.height + 1;
    const block: Block = {
      chain,
      height,
      hash: hashOf(`${chain} ${height}`),
      locator: hashOf(`${chain} ${height}`),
      parentHash: parent?.hash ?? hashOf(`${chain} root`),
      timestamp: 1_750_000_000 + height,
      txCount: null,
      sizeBytes: null,
      detail: {
        family: "utxo",
        version: 0x2000_0000,
        merkleRoot: hashOf("merkle"),
        bits: 0x207f_ffff,
        nonce: height,
        auxpow: false,
        weight: null,
      },
    };
    records.push({ block, network: "regtest", validation: "header", upstream: "btc-1", bestChain: true, final: false });
    return this.#append(block, "announced");
  }

  /** The newest block's body holds. */
  validate(chain: Chain = "bitcoin"): StreamEvent {
    const block = this.records(chain).at(-1)?.block;
    if (block === undefined) throw new Error("nothing to validate");
    return this.#append(block, "validated");
  }

  resume(
    cursor: string | null,
    { chains, types, phase }: Parameters<ServerModules["resume"]>[1],
  ): ReturnType<ServerModules["resume"]> {
    if (cursor === null) return { recovered: false, cursor: this.#log.cursor(), backlog: [] };
    const decoded = decodeCursor(cursor);
    const events = decoded === null ? null : this.#log.since(decoded.seq);
    if (events === null) {
      const data = { from: null, to: null, reason: "cursor_unreadable" } as const;
      const gap = this.#log.append({
        type: "gap",
        chain: "bitcoin",
        network: "regtest",
        receivedAt: systemClock.now(),
        data,
      });
      return { recovered: false, cursor: this.#log.cursor(), backlog: [gap] };
    }
    const fits = (event: StreamEvent): boolean =>
      (chains?.includes(event.chain) ?? true) &&
      (types?.includes(event.type) ?? true) &&
      (event.type !== "block" || phase === null || event.phase === phase);
    return { recovered: true, cursor, backlog: events.filter(fits) };
  }

  #append(block: Block, phase: "announced" | "validated"): StreamEvent {
    const draft: StreamDraft = {
      type: "block",
      chain: block.chain,
      network: "regtest",
      receivedAt: systemClock.now(),
      phase,
      data: {
        hash: block.hash,
        height: block.height,
        parent_hash: block.parentHash,
        timestamp: new Date(block.timestamp * 1000).toISOString(),
        tx_count: null,
        size_bytes: null,
        upstream: "btc-1",
        validation: phase === "announced" ? "header" : "full",
      },
    };
    const event = this.#log.append(draft);
    this.#publish(event);
    return event;
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Nothing is above these breakers to which a null could take them back. */
function present(changes: Parameters<ServerModules["configureBreaker"]>[1]): Partial<BreakerPolicy> {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null));
}
