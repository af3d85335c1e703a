/** One chain's working parts put together: codec, ingest, race ledger, pipeline, and the feeds that its configuration names. */
import { randomInt } from "node:crypto";
import type { Chain } from "../../shared/chain.ts";
import type { Random } from "../../shared/clock.ts";
import { type Books, type BooksModules, openBooks } from "./books.ts";
import type { Breaker, BreakerPolicy } from "../breaker/index.ts";
import type { ChainCodec } from "../chain/index.ts";
import type { ChainRow, OpenChain } from "./chains.ts";
import type { ChainConfig } from "../config/index.ts";
import { PIPELINE_DEFAULTS, Pipeline, type PipelineModules, behindBlocksOf } from "./pipeline.ts";
import {
  type AttemptTold,
  type RequestTold,
  type RpcProxy,
  type RpcUpstream,
  createRpcProxy,
  type RpcUpstreamModules,
  openRpcUpstream,
  openSocketUpstream,
} from "../proxy/index.ts";
import type { ProofSubject } from "../prove/index.ts";
import type { ChainIngest, RaceLedger } from "../relay/index.ts";
import type { ChainStats } from "../stats/index.ts";
import {
  type Announcement,
  type Feed,
  type FeedModules,
  type FeedSink,
  type SequenceGap,
  type UpstreamAddress,
  MAX_WATCHED,
  parseUpstreamUrl,
} from "../upstream/index.ts";
import type { Watching } from "./watching.ts";

/** A dial, a header and a block have no usual length in common: only what is slow by the tier's own limit is. */
const FEED_POLICY = (): Partial<BreakerPolicy> => ({ latency: false });

/** Where breakers come from. The same name gives the same breaker. */
export interface LineBreakers {
  /** `own`: what its owner needs otherwise than the tier's policy has it. `lasting`: what orders are kept under over a restart. */
  open(
    name: string,
    owner?: { readonly own?: (tier: BreakerPolicy) => Partial<BreakerPolicy>; readonly lasting?: string },
  ): Breaker;
  /** Its owner is gone. */
  release(name: string): void;
  /** The same where what it guards goes on under another owner, or after a restart. */
  retire(name: string): void;
}

/** What operators ordered of an upstream. */
export interface LineOrders {
  of(target: string): { readonly cordon: { readonly reason: string; readonly until: number | null } | null };
}

export interface ChainLineModules extends BooksModules, Pick<PipelineModules, "prover" | "onFault" | "onTrouble"> {
  readonly random: Random;
  readonly breakers: LineBreakers;
  readonly orders: LineOrders;
  /** What was published goes out now: the rest of this turn can wait. */
  readonly flush: () => void;
  readonly onBodyProved: (chain: Chain, milliseconds: number) => void;
  readonly onAnnounced: (feed: Feed, announcements: readonly Announcement[]) => void;
  readonly onState: NonNullable<FeedModules["onState"]>;
  /** A DNS seed of the chain gave no address. */
  readonly onSeedFailed: (chain: Chain, seed: string, error: unknown) => void;
  /** A ZMQ publisher's messages were lost, or it restarted. */
  readonly onGap: (feed: string, gap: SequenceGap) => void;
  /** An upstream does not listen for all that is watched. */
  readonly onUnwatched: (feed: string, reason: string) => void;
  readonly onRpcAttempt: (chain: Chain, attempt: AttemptTold) => void;
  readonly onRpcRequest: (chain: Chain, request: RequestTold) => void;
}

export interface ChainLine {
  readonly chain: Chain;
  /** What events and the API call the network. */
  readonly network: string;
  readonly codec: ChainCodec;
  readonly row: ChainRow;
  readonly ingest: ChainIngest;
  readonly race: RaceLedger;
  readonly pipeline: Pipeline;
  readonly stats: ChainStats;
  readonly watching: Watching;
  /** What another line of the same chain and network goes on with. */
  readonly books: Books;
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
  before: ChainLine | null = null,
): ChainLine {
  const { chain } = config;
  const { clock, random, prover, onFault, onTrouble, onBodyProved } = modules;
  const opened = row.open(config.network);
  const { codec } = opened;
  const books =
    before === null ? openBooks({ config, codec, network, root: opened.root(config) }, modules) : before.books;
  books.codec = codec;
  const { ingest, race, stats, watching, mempool } = books;
  const behindBlocks = behindBlocksOf(codec.blockTimeSeconds);
  const pipeline = new Pipeline(
    { ...PIPELINE_DEFAULTS, behindBlocks },
    {
      codec,
      subject: { chain, network: config.network, plugin: row.plugin, signatures: sampleOf(config) },
      watch: () => watching.watch(),
      ingest,
      race,
      prover,
      clock,
      onFault,
      onTrouble,
      onBodyProved: (milliseconds) => onBodyProved(chain, milliseconds),
      onFirst: (feed) => peers?.scored(feed.name, 1),
      sources: () => [...configured.values()].filter(({ feed }) => hasBlocks(feed)).length,
      flush: modules.flush,
    },
  );
  const sink: FeedSink = {
    up(feed) {
      if (hasBlocks(feed)) pipeline.up(feed);
    },
    announce(feed, announcements) {
      pipeline.announce(feed, announcements);
      modules.flush();
      modules.onAnnounced(feed, announcements);
    },
    down: (feed) => pipeline.down(feed),
    finalized: (feed, point) => pipeline.finalized(feed, point),
    contradicted: (feed, error) => pipeline.contradicted(feed, error),
    pending: (feed, transactions) => mempool.heard(feed.name, transactions),
  };

  const configured = new Map<string, Configured>();
  // One more than it listens for: so it knows that there are more.
  const tellWatched = (feed: Feed): void => feed.watch?.(watching.newest(MAX_WATCHED + 1));
  books.onWatchChanged = () => {
    for (const { feed } of configured.values()) tellWatched(feed);
  };
  let isStarted = false;
  let isClosed = false;
  const open = (url: string): Configured => {
    // A name is given once in a run: what is recorded under it stays true.
    const name = `${row.shortName}-${++books.named}`;
    const address = parseUpstreamUrl(url);
    const owner = { own: FEED_POLICY, lasting: `breaker ${address.display}` };
    const breaker = modules.breakers.open(`upstream:${chain}:${name}`, owner);
    const onGap = (gap: SequenceGap): void => modules.onGap(name, gap);
    const listening = { name, transactions: config.mempool };
    const onUnwatched = (reason: string): void => modules.onUnwatched(name, reason);
    const told = { onGap, onUnwatched, onState: modules.onState };
    const feed = opened.openFeed(address, listening, { sink, breaker, clock, random, ...told });
    // What it told before it was lost says nothing about now.
    const heightNow = (): number | null => {
      const { state, height } = feed.status();
      return state === "up" ? Math.max(pipeline.heightOf(feed) ?? 0, height ?? 0) || null : null;
    };
    const rpc = openRpc(address, name, opened, { clock, heightNow });
    const { cordon } = modules.orders.of(cordonOf(feed.status().url));
    if (cordon !== null) feed.cordon(cordon.reason, (cordon.until ?? Number.POSITIVE_INFINITY) - clock.wall());
    tellWatched(feed);
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
  const peers = configured.size > 0 ? null : opened.openPeers({ sink, clock, random, onState, onSeedFailed });
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
        block: (height) => ingest.tree.at(height)?.block ?? null,
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
    row,
    ingest,
    race,
    books,
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
      // What moves when it is let go is nobody's any more: whoever asks it would have it again.
      if (isClosed) return;
      for (const { feed, breaker } of configured.values()) if (breaker === name) feed.breakerMoved();
    },
    start() {
      isStarted = true;
      for (const { feed } of configured.values()) feed.start();
      peers?.start();
    },
    async close() {
      isClosed = true;
      pipeline.close();
      rpc.close();
      await Promise.all([...[...configured.values()].map(closeOf), peers?.close(), ...leaving]);
      for (const { breaker } of configured.values()) modules.breakers.retire(breaker);
    },
  };
}

/** A beacon node has none: it tells what is final, and nothing else is asked of it. */
function hasBlocks({ kind }: Feed): boolean {
  return kind !== "beacon";
}

/** Where the proxy asks an upstream; null where it answers nothing. */
function openRpc(
  address: UpstreamAddress,
  name: string,
  { rpcPort, socket }: OpenChain,
  modules: RpcUpstreamModules,
): Configured["rpc"] {
  if (address.rpc !== null) return openRpcUpstream({ name, address: address.rpc, rpcPort }, modules);
  if (address.kind !== "ws" || socket === null) return null;
  return openSocketUpstream({ name, address, rpcPort, ...socket }, modules);
}

/** The largest that `randomInt` draws below. */
const MAX_SEED = 2 ** 48 - 1;

/** Who sends bodies must not know which signatures are left out: the seed is drawn at each start. */
function sampleOf({ signatures }: ChainConfig): ProofSubject["signatures"] {
  return signatures === null ? null : { share: signatures, seed: randomInt(MAX_SEED) };
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
