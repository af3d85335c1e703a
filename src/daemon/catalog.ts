/** What the daemon knows, as the API and the live view ask for it. Reads only; changes nothing but an upstream's cordon. */
import type { Chain } from "../shared/chain.ts";
import { SprintError } from "../shared/errors.ts";
import { type ChainLine, cordonOf } from "./line/index.ts";
import { matchesOf } from "./line/index.ts";
import { NO_ORDER, type Orders } from "./orders.ts";
import type { TreeNode } from "./relay/index.ts";
import type { BlockRecord, ServerModules } from "./server/index.ts";
import type { Feed, FeedStatus } from "./upstream/index.ts";
import type { ChainView, DaemonView } from "./view.ts";

/** The race is told over so many blocks in the live view. */
const VIEW_RACE_BLOCKS = 100;

export type Catalog = Pick<
  ServerModules,
  | "chains"
  | "latest"
  | "blockByHash"
  | "blocksOf"
  | "upstreams"
  | "cordon"
  | "uncordon"
  | "race"
  | "rpc"
  | "stats"
  | "watch"
  | "watchLists"
  | "watchList"
  | "unwatch"
  | "unspent"
  | "matches"
> & { upstreamViews(): DaemonView["upstreams"] };

export interface CatalogModules {
  readonly orders: Orders;
  /** Unix ms. */
  readonly wall: () => number;
}

/** `lines` may grow and shrink: plug-ins come and go. */
export function createCatalog(lines: () => readonly ChainLine[], { orders, wall }: CatalogModules): Catalog {
  const lineOf = (chain: Chain): ChainLine => {
    const line = lines().find((candidate) => candidate.chain === chain);
    if (line === undefined)
      throw new SprintError("SPRINT_API_CHAIN_OFF", `${chain} is not relayed by this daemon`, { chain });
    return line;
  };
  const feedNamed = (name: string): Feed | undefined =>
    lines()
      .flatMap((line) => line.feeds())
      .find((feed) => feed.name === name);

  return {
    chains: () =>
      lines().map(({ chain, network, ingest, codec, feeds }) => ({
        chain,
        network,
        tip: ingest.isLive ? ingest.tip : null,
        finalized: ingest.isLive ? ingest.tree.final.block : null,
        synced: ingest.isLive,
        ...(codec.family === "evm" ? { safe: safeOf(feeds()) } : {}),
      })),
    latest(chain) {
      const line = lineOf(chain);
      return line.ingest.isLive ? recordOf(line, line.ingest.tree.tip) : null;
    },
    blockByHash(hash) {
      for (const line of lines()) {
        const node = line.ingest.tree.get(hash);
        if (node !== undefined) return recordOf(line, node);
      }
      return null;
    },
    blocksOf(chain, { limit, before }) {
      const line = lineOf(chain);
      const { tree } = line.ingest;
      const start = startOf(line, before);
      if (start === null) return null;
      const records: BlockRecord[] = [];
      for (
        let node: TreeNode | null = start === undefined ? null : start;
        node !== null && records.length < limit;
        node = node.parent
      ) {
        if (tree.isMain(node)) records.push(recordOf(line, node));
      }
      return records;
    },
    upstreams: () => lines().flatMap((line) => line.feeds().map((feed) => statusOf(line, feed))),
    cordon(name, reason, forMs) {
      const feed = feedNamed(name);
      const until = Number.isFinite(forMs) ? wall() + forMs : null;
      feed?.cordon(reason, forMs);
      if (feed !== undefined) orders.put(cordonOf(feed.status().url), { ...NO_ORDER, cordon: { reason, until } });
      return feed !== undefined;
    },
    uncordon(name) {
      const feed = feedNamed(name);
      feed?.uncordon();
      if (feed !== undefined) orders.put(cordonOf(feed.status().url), NO_ORDER);
      return feed !== undefined;
    },
    rpc: (chain, body, signal) => lineOf(chain).rpc.handle(body, signal),
    stats(chain) {
      const { stats } = lineOf(chain);
      stats.tick(wall());
      return stats.report();
    },
    watch: (chain, body) => lineOf(chain).watching.add(body),
    watchLists: (chain) => lineOf(chain).watching.lists(),
    watchList: (chain, id) => lineOf(chain).watching.list(id),
    unwatch: (chain, id) => lineOf(chain).watching.remove(id),
    matches: (chain, id, query) => matchesOf(lineOf(chain), id, query),
    unspent: (chain, id, query) => lineOf(chain).watching.unspent(id, query),
    race: (chain, last) => lineOf(chain).race.report(last),
    upstreamViews: () =>
      lines().flatMap((line) => {
        const { standings } = line.race.report(VIEW_RACE_BLOCKS);
        return line.feeds().map((feed) => {
          const { name, chain, state, agent, height, cordon, lastError } = statusOf(line, feed);
          const firsts = standings.find(({ upstream }) => upstream === name)?.wins ?? 0;
          const trouble = cordon?.reason ?? (state === "up" ? null : (lastError?.message ?? null));
          return { name, chain, state, agent, height, firsts, trouble };
        });
      }),
  };
}

/** The lowest that an upstream tells: all of them stand by it. */
function safeOf(feeds: readonly Feed[]): { readonly hash: string; readonly height: number } | null {
  const told = feeds.map((feed) => feed.status().safe).filter((safe) => safe !== null);
  return told.length === 0 ? null : told.reduce((low, safe) => (safe.height < low.height ? safe : low));
}

/** As the feed tells it, with the height that its blocks have shown where that is higher than what it said. */
function statusOf({ pipeline }: ChainLine, feed: Feed): FeedStatus {
  const status = feed.status();
  return { ...status, height: Math.max(pipeline.heightOf(feed) ?? 0, status.height ?? 0) || null };
}

/** The first block of a page: undefined where there is none below `before`, null where `before` is not known. */
function startOf({ ingest }: ChainLine, before: number | string | null): TreeNode | null | undefined {
  const { tree } = ingest;
  if (before === null) return tree.tip;
  if (typeof before === "number") return before > tree.tip.block.height ? tree.tip : (tree.at(before - 1) ?? undefined);
  const node = tree.get(before);
  return node === undefined ? null : (node.parent ?? undefined);
}

function recordOf({ network, ingest }: ChainLine, node: TreeNode): BlockRecord {
  const { block } = node;
  return {
    block,
    network,
    validation: ingest.validatedFact(node) === null ? "header" : "full",
    upstream: ingest.announcedBy(block.hash),
    bestChain: ingest.tree.isMain(node),
    final: ingest.tree.isMain(node) && block.height <= ingest.finalized,
  };
}

/** `counts`: what the stream has told of each chain so far. */
export function chainViews(
  lines: readonly ChainLine[],
  counts: ReadonlyMap<Chain, StreamCount>,
  wallNow: number,
  now: number,
): readonly ChainView[] {
  return lines.map((line) => {
    const { chain, network, ingest } = line;
    const tip = ingest.tree.tip;
    const count = counts.get(chain);
    const isUp = line.feeds().some((feed) => feed.status().state === "up");
    const at = wallNow - (now - ingest.originOf(tip).receivedAt);
    return {
      chain,
      network,
      tip: ingest.isLive
        ? {
            height: tip.block.height,
            hash: tip.block.hash,
            at,
            phase: ingest.validatedFact(tip) === null ? "announced" : "validated",
          }
        : null,
      status: !isUp ? "down" : ingest.isLive ? "synced" : "syncing",
      relayed: count?.blocks ?? 0,
      reorgs: count?.reorgs ?? 0,
    };
  });
}

export interface StreamCount {
  blocks: number;
  reorgs: number;
}
