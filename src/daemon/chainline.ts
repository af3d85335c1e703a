/** One chain's working parts put together: codec, ingest, race ledger, pipeline, and the feeds that its configuration names. */
import type { Chain } from "../shared/chain.ts";
import type { Clock, Random } from "../shared/clock.ts";
import type { Breakers, OwnPolicy } from "./breakers.ts";
import type { Orders } from "./orders.ts";
import type { ChainCodec } from "./chain/index.ts";
import type { ChainRow } from "./chains.ts";
import type { ChainConfig } from "./config/index.ts";
import { Mempool } from "./mempool.ts";
import { PIPELINE_DEFAULTS, Pipeline, type PipelineModules } from "./pipeline.ts";
import {
  type AttemptTold,
  type RequestTold,
  type RpcProxy,
  type RpcUpstream,
  createRpcProxy,
  openRpcUpstream,
} from "./proxy/index.ts";
import {
  ChainIngest,
  type ForkTree,
  type PassingDraft,
  type PassingFact,
  RaceLedger,
  type StreamDraft,
  type StreamFact,
  type TreeNode,
  type TreeRoot,
} from "./relay/index.ts";
import { statsOf } from "./statistics.ts";
import type { ChainStats } from "./stats/index.ts";
import {
  type Announcement,
  type Feed,
  type FeedModules,
  type FeedSink,
  type SequenceGap,
  parseUpstreamUrl,
} from "./upstream/index.ts";
import { type Watching, type WatchingModules, createWatching } from "./watching.ts";

/** Blocks from before the stream that stats begin with: a period of the longest retarget. */
const SEED_BLOCKS = 2_020;

/** A dial, a header and a block have no usual length in common: only what is slow by the tier's own limit is. */
const FEED_POLICY: OwnPolicy = () => ({ latency: false });

export interface ChainLineModules extends Pick<PipelineModules, "prover" | "onFault" | "onTrouble"> {
  readonly clock: Clock;
  readonly random: Random;
  readonly breakers: Pick<Breakers, "open" | "release">;
  readonly orders: Orders;
  readonly publish: (draft: StreamDraft) => void;
  /** An event of the moment. */
  readonly publishPassing: (draft: PassingDraft) => void;
  /** A watch list's bounds left no room for something. */
  readonly onWatchRefused: WatchingModules["onRefused"];
  /** What was published goes out now: the rest of this turn can wait. */
  readonly flush: () => void;
  readonly onBodyProved: (chain: Chain, milliseconds: number) => void;
  readonly onAnnounced: (feed: Feed, announcements: readonly Announcement[]) => void;
  readonly onState: NonNullable<FeedModules["onState"]>;
  /** A DNS seed of the chain gave no address. */
  readonly onSeedFailed: (chain: Chain, seed: string, error: unknown) => void;
  /** A ZMQ publisher's messages were lost, or it restarted. */
  readonly onGap: (feed: string, gap: SequenceGap) => void;
  readonly onRpcAttempt: (chain: Chain, attempt: AttemptTold) => void;
  readonly onRpcRequest: (chain: Chain, request: RequestTold) => void;
}

export interface ChainLine {
  readonly chain: Chain;
  /** What events and the API call the network. */
  readonly network: string;
  readonly codec: ChainCodec;
  readonly ingest: ChainIngest;
  readonly race: RaceLedger;
  readonly pipeline: Pipeline;
  readonly stats: ChainStats;
  readonly watching: Watching;
  /** JSON-RPC through the upstreams that speak it. */
  readonly rpc: RpcProxy;
  feeds(): readonly Feed[];
  /** Those whose URL stays are kept with their connection; the others are closed, and new ones dialled. Not where public peers are listened to. */
  setUpstreams(urls: readonly string[]): void;
  /** The breaker of that name changed its state; not ours: nothing happens. */
  breakerMoved(name: string): void;
  start(): void;
  close(): Promise<void>;
}

/** `network` is the name shown; `config.network` the one whose rules count (devnet runs on regtest rules). */
export function createChainLine(
  config: ChainConfig,
  row: ChainRow,
  network: string,
  modules: ChainLineModules,
): ChainLine {
  const { chain } = config;
  const { clock, random, publish, prover, onFault, onTrouble, onBodyProved } = modules;
  const opened = row.open(config.network);
  const { codec } = opened;
  const tell = (fact: StreamFact): void => publish({ chain, network, receivedAt: clock.now(), ...fact });
  const tellPassing = (fact: PassingFact): void =>
    modules.publishPassing({ chain, network, receivedAt: clock.now(), ...fact });
  const stats = statsOf(codec, network);
  const watching = createWatching(
    { chain, family: codec.family, network: config.network },
    { clock, onEvent: (data) => tell({ type: "watch", data }), onRefused: modules.onWatchRefused },
  );
  const mempool = new Mempool({
    onHeard(transactions, raw) {
      tellPassing({ type: "pending_tx", data: { transactions } });
      watching.pending(raw);
      stats.pending(raw);
    },
  });
  let isSeeded = false;
  const isByWork = codec.forkChoice === "work";
  const root = opened.root(config);
  const ingest = new ChainIngest(
    {
      chain,
      network,
      finalityDepth: config.finalityDepth ?? codec.finalityDepth,
      // Whoever sets a depth means it.
      finality: isByWork || config.finalityDepth !== null ? "depth" : "told",
      validation: config.validation,
      followsWork: isByWork,
      tellsLogs: codec.family === "evm" && config.validation === "full",
    },
    {
      publish,
      withFacts: (block, facts) => codec.withFacts(block, facts),
      onProved(node, reading) {
        stats.block(node.block, reading?.digest ?? null);
        watching.onProved(node, reading);
      },
      onReverted(nodes) {
        stats.reverted(nodes.length);
        watching.onReverted(nodes);
      },
      onTip(node) {
        if (!isSeeded) for (const { block } of newest(ingest.tree, SEED_BLOCKS)) stats.block(block, null);
        else stats.block(node.block, null);
        isSeeded = true;
        watching.onTip(node);
      },
      onFinal: (node) => watching.onFinal(node),
    },
    root ?? placeholder(chain),
  );
  if (root === null) ingest.unroot();
  const race = new RaceLedger({ chain });
  const pipeline = new Pipeline(PIPELINE_DEFAULTS, {
    codec,
    subject: { chain, network: config.network, plugin: row.plugin },
    watch: () => watching.watch(),
    ingest,
    race,
    prover,
    clock,
    onFault,
    onTrouble,
    onBodyProved: (milliseconds) => onBodyProved(chain, milliseconds),
    onFirst: (feed) => peers?.scored(feed.name, 1),
  });
  const sink: FeedSink = {
    up: (feed) => pipeline.up(feed),
    announce(feed, announcements) {
      pipeline.announce(feed, announcements);
      modules.flush();
      modules.onAnnounced(feed, announcements);
    },
    down: (feed) => pipeline.down(feed),
    finalized: (feed, point) => pipeline.finalized(feed, point),
    pending: (feed, transactions) => mempool.heard(feed.name, transactions),
  };

  const configured = new Map<string, Configured>();
  let isStarted = false;
  let named = 0;
  const open = (url: string): Configured => {
    // A name is given once in a run: what is recorded under it stays true.
    const name = `${row.shortName}-${++named}`;
    const address = parseUpstreamUrl(url);
    const owner = { own: FEED_POLICY, lasting: `breaker ${address.display}` };
    const breaker = modules.breakers.open(`upstream:${chain}:${name}`, owner);
    const onGap = (gap: SequenceGap): void => modules.onGap(name, gap);
    const listening = { name, transactions: config.mempool };
    const feed = opened.openFeed(address, listening, { sink, breaker, clock, random, onGap, onState: modules.onState });
    // What it told before it was lost says nothing about now.
    const heightNow = (): number | null => {
      const { state, height } = feed.status();
      return state === "up" ? Math.max(pipeline.heightOf(feed) ?? 0, height ?? 0) || null : null;
    };
    const rpc =
      address.rpc === null
        ? null
        : openRpcUpstream({ name, address: address.rpc, rpcPort: opened.rpcPort }, { clock, heightNow });
    const { cordon } = modules.orders.of(cordonOf(feed.status().url));
    if (cordon !== null) feed.cordon(cordon.reason, (cordon.until ?? Number.POSITIVE_INFINITY) - clock.wall());
    if (isStarted) feed.start();
    return { feed, rpc, breaker: breaker.key };
  };
  /** Each URL once, however often it is written. */
  const openNew = (urls: readonly string[]): void => {
    for (const url of urls) if (!configured.has(url)) configured.set(url, open(url));
  };
  openNew(config.upstreams);
  const { onState } = modules;
  const onSeedFailed = (seed: string, error: unknown): void => modules.onSeedFailed(chain, seed, error);
  const peers =
    configured.size > 0
      ? null
      : opened.openPeers({ sink, clock, random, onState, onSeedFailed });
  const feeds = (): readonly Feed[] => [...[...configured.values()].map(({ feed }) => feed), ...(peers?.feeds() ?? [])];
  const rpc = createRpcProxy(
    { chain, family: codec.family },
    {
      clock,
      random,
      openBreaker(name, own) {
        const upstream = [...configured.values()].find(({ breaker }) => name.startsWith(`${breaker}:`));
        if (upstream === undefined) return modules.breakers.open(name, { own });
        const methods = name.slice(upstream.breaker.length + 1);
        return modules.breakers.open(name, { own, lasting: `breaker ${upstream.feed.status().url} ${methods}` });
      },
      upstreams: () =>
        [...configured.values()].flatMap((each) =>
          each.rpc === null || each.feed.status().state === "cordoned" ? [] : each.rpc,
        ),
      served: {
        tip: () => (ingest.isLive ? ingest.tip : null),
        heightOf(hash) {
          const node = ingest.tree.get(hash);
          return node !== undefined && ingest.tree.isMain(node) ? node.block.height : null;
        },
      },
      onAttempt: (attempt) => modules.onRpcAttempt(chain, attempt),
      onRequest: (request) => modules.onRpcRequest(chain, request),
    },
  );
  /** Removed, and not closed yet. */
  const leaving = new Set<Promise<void>>();

  return {
    chain,
    network,
    codec,
    ingest,
    race,
    pipeline,
    stats,
    watching,
    rpc,
    feeds,
    setUpstreams(urls) {
      for (const [url, upstream] of configured) {
        if (urls.includes(url)) continue;
        configured.delete(url);
        const { breaker } = upstream;
        const left = closeOf(upstream).finally(() => {
          leaving.delete(left);
          pipeline.forget(upstream.feed);
          modules.breakers.release(breaker);
        });
        leaving.add(left);
      }
      openNew(urls);
    },
    breakerMoved(name) {
      for (const { feed, breaker } of configured.values()) if (breaker === name) feed.breakerMoved();
    },
    start() {
      isStarted = true;
      for (const { feed } of configured.values()) feed.start();
      peers?.start();
    },
    async close() {
      pipeline.close();
      rpc.close();
      await Promise.all([...[...configured.values()].map(closeOf), peers?.close(), ...leaving]);
    },
  };
}

/** What an order to cordon an upstream is kept under. */
export function cordonOf(url: string): string {
  return `cordon ${url}`;
}

interface Configured {
  readonly feed: Feed;
  /** Its other door, where it has one. */
  readonly rpc: (RpcUpstream & { close(): Promise<void> }) | null;
  /** Its breaker's name. */
  readonly breaker: string;
}

async function closeOf({ feed, rpc }: Configured): Promise<void> {
  await Promise.all([feed.close(), rpc?.close()]);
}

/** The best chain's newest blocks, oldest first. */
function newest(tree: ForkTree, most: number): readonly TreeNode[] {
  const nodes: TreeNode[] = [];
  for (let node: TreeNode | null = tree.tip; node !== null && nodes.length < most; node = node.parent) nodes.push(node);
  return nodes.reverse();
}

/** In the place of a root that is not known yet; nothing is told of it. */
function placeholder(chain: Chain): TreeRoot {
  const detail = { family: "svm", slot: 0, parentSlot: 0, signatures: null } as const;
  const block = { chain, height: 0, hash: "", locator: "", parentHash: "", timestamp: 0, txCount: null, sizeBytes: null };
  return { block: { ...block, detail }, work: 0n };
}
