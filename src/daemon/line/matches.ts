/** Which older blocks may concern a watch list: by the filters that some nodes keep of each block (BIP 157, 158), without the blocks. */
import type { MatchesBody, MatchesQuery } from "../../shared/api.ts";
import { SprintError } from "../../shared/errors.ts";
import { filterMatches } from "../chain/index.ts";
import type { ChainLine } from "./line.ts";
import type { Feed } from "../upstream/index.ts";

const MAX_BLOCKS = 500;
/** Of one question to a node: some 20 KB each on a busy chain. */
const PAGE = 100;
const TIMEOUT_MS = 15_000;
/** Scripts held against a filter in one turn, some milliseconds: blocks pass in between. */
const SLICE = 500;

/** Null where there is no list of that id. Throws SPRINT_WATCH_NO_FILTERS, SPRINT_WATCH_RANGE, and what the upstream's answer is worth. */
export async function matchesOf(line: ChainLine, id: string, query: MatchesQuery): Promise<MatchesBody | null> {
  const { watching, ingest, feeds, chain } = line;
  const items = watching.itemsOf(id);
  if (items === null) return null;
  const { from } = query;
  const to = Math.min(query.to ?? ingest.tip.height, from + MAX_BLOCKS - 1, ingest.tip.height);
  const last = ingest.tree.at(to);
  if (to < from || last === null || ingest.tree.at(from) === null) {
    const message = `blocks ${from} to ${to} of ${chain}: expected heights from ${ingest.tree.oldest.block.height} to ${ingest.tip.height}`;
    throw new SprintError("SPRINT_WATCH_RANGE", message, { from, to });
  }
  const feed = feeds().find(hasFilters);
  if (feed === undefined) {
    const message = `no upstream of ${chain} that is up serves block filters: it takes one over p2p://, started with -blockfilterindex=1 -peerblockfilters=1`;
    throw new SprintError("SPRINT_WATCH_NO_FILTERS", message, { chain });
  }
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const blocks: MatchesBody["blocks"] = [];
  let header: string | null = null;
  for (let startHeight = from; startHeight <= to; startHeight += PAGE) {
    const count = Math.min(PAGE, to - startHeight + 1);
    const stopHash = ingest.tree.at(startHeight + count - 1)?.block.hash ?? last.block.hash;
    const run = await feed.filters({ startHeight, stopHash, count }, signal);
    if (header !== null && run.previousHeader !== header) throw otherChain(feed.name, startHeight);
    for (const [index, { blockHash, filter }] of run.filters.entries()) {
      const found: string[] = [];
      for (let at = 0; at < items.length; at += SLICE) {
        found.push(...filterMatches(filter, blockHash, items.slice(at, at + SLICE)));
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      if (found.length > 0) blocks.push({ hash: blockHash, height: startHeight + index, items: found });
    }
    header = run.filters.at(-1)?.header ?? null;
  }
  return { from, to, upstream: feed.name, blocks };
}

function hasFilters(feed: Feed): feed is Feed & Required<Pick<Feed, "filters">> {
  return feed.kind === "p2p" && feed.filters !== undefined && feed.status().state === "up";
}

/** A reorg came between two answers, or the node tells two stories. */
function otherChain(upstream: string, height: number): SprintError {
  const message = `filters of ${upstream}: expected those from block ${height} on to follow the ones before, they do not; ask again`;
  return new SprintError("SPRINT_UPSTREAM_FILTERS", message, { upstream, height });
}
