/** What is known of a chain: its blocks and their stream, the race, stats, watch lists and mempool; and how each hears of the others. */
import type { Chain } from "../../shared/chain.ts";
import type { Clock } from "../../shared/clock.ts";
import type { ChainCodec } from "../chain/index.ts";
import type { ChainConfig } from "../config/index.ts";
import { Mempool } from "./mempool.ts";
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
} from "../relay/index.ts";
import { statsOf } from "./statistics.ts";
import type { ChainStats } from "../stats/index.ts";
import { type Watching, type WatchingModules, createWatching } from "./watching.ts";

export interface BooksModules {
  readonly clock: Clock;
  readonly publish: (draft: StreamDraft) => void;
  /** An event of the moment. */
  readonly publishPassing: (draft: PassingDraft) => void;
  /** A watch list's bounds left no room for something. */
  readonly onWatchRefused: WatchingModules["onRefused"];
}

/** Blocks from before the stream that stats begin with: a period of the longest retarget. */
const SEED_BLOCKS = 2_020;

/** What is known of a chain, whoever listens to it and by which codec. */
export interface Books {
  readonly ingest: ChainIngest;
  readonly race: RaceLedger;
  readonly stats: ChainStats;
  readonly watching: Watching;
  readonly mempool: Mempool;
  /** Of now. */
  codec: ChainCodec;
  /** How many upstreams were given a name. */
  named: number;
  /** Of now: watch lists came, went, or grew. */
  onWatchChanged: () => void;
}

export interface BooksOptions {
  readonly config: ChainConfig;
  readonly codec: ChainCodec;
  readonly network: string;
  readonly root: TreeRoot | null;
}

export function openBooks({ config, codec, network, root }: BooksOptions, modules: BooksModules): Books {
  const { chain } = config;
  const { clock, publish } = modules;
  const tell = (fact: StreamFact): void => publish({ chain, network, receivedAt: clock.now(), ...fact });
  const tellPassing = (fact: PassingFact): void =>
    modules.publishPassing({ chain, network, receivedAt: clock.now(), ...fact });
  const stats = statsOf(codec, network);
  const watching = createWatching(
    { chain, family: codec.family, network: config.network },
    {
      clock,
      onEvent: (data) => tell({ type: "watch", data }),
      onRefused: modules.onWatchRefused,
      onChange: () => books.onWatchChanged(),
    },
  );
  const mempool = new Mempool({
    onHeard(transactions, raw) {
      tellPassing({ type: "pending_tx", data: { transactions } });
      watching.pending(raw);
      stats.pending(raw);
    },
    onMentioned: (transactions) => watching.pending(transactions),
  });
  let isSeeded = false;
  const isByWork = codec.forkChoice === "work";
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
      withFacts: (block, facts) => books.codec.withFacts(block, facts),
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
  const books: Books = { ingest, race, stats, watching, mempool, codec, named: 0, onWatchChanged: () => {} };
  return books;
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
  const block = {
    chain,
    height: 0,
    hash: "",
    locator: "",
    parentHash: "",
    timestamp: 0,
    txCount: null,
    sizeBytes: null,
  };
  return { block: { ...block, detail }, work: 0n };
}
