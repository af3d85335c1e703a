/** The words of this room. A feed is one upstream's connection: it dials, watches, reconnects, and tells the pipeline. */
import type { PendingTransaction } from "../../shared/body.ts";
import type { Chain } from "../../shared/chain.ts";
import type { SprintError } from "../../shared/errors.ts";
import type { Header } from "../chain/index.ts";
import type { MempoolStep, MempoolTemplate } from "./mempool-figures.ts";

export type FeedKind = "p2p" | "rpc" | "zmq" | "ws" | "beacon";
export type AnnounceVia = "cmpctblock" | "headers" | "inv" | "block" | "zmq" | "rpc" | "newHeads" | "slot";

/** One header that an upstream pushed. */
export interface Announcement {
  readonly header: Header;
  readonly via: AnnounceVia;
  /** Monotonic ms of the socket read that completed the announcement. */
  readonly receivedAt: number;
  /** Known from a compact block, else null. */
  readonly txCount: number | null;
  /** The whole block where it came along (rawblock, block), else null. */
  readonly body: Uint8Array | null;
}

/** What a feed tells the floor above. Calls are synchronous and must not throw. */
export interface FeedSink {
  /** The handshake is done and the node is on our chain: the gap can be filled now. */
  up(feed: Feed): void;
  /** New headers, parents first; the last one is where the node's chain ends now, also where it was told before (it went back to it). Never called
   *  between `down` and the next `up`. */
  announce(feed: Feed, announcements: readonly Announcement[]): void;
  down(feed: Feed, reason: string): void;
  /** The node counts this block and all before it as final. Not of chains whose finality is a depth. */
  finalized?(feed: Feed, point: ChainPoint): void;
  /** Transactions that are in no block yet, as they are heard of. */
  pending?(feed: Feed, transactions: readonly PendingTransaction[]): void;
  /** What the node says cannot all be true, whatever others say. Called after `down`. */
  contradicted?(feed: Feed, error: SprintError): void;
}

/** A block as a node names it. */
export interface ChainPoint {
  readonly hash: string;
  readonly height: number;
}

/** Blocks of the node's best chain, oldest first: `count` of them, 100 at most, up to `stopHash`. */
export interface FilterRange {
  readonly startHeight: number;
  readonly stopHash: string;
  readonly count: number;
}

/** Basic block filters (BIP 158), each held against the header (BIP 157) that stands beside it; hashes in display order. */
export interface FilterRun {
  readonly previousHeader: string;
  readonly filters: readonly { readonly blockHash: string; readonly filter: Uint8Array; readonly header: string }[];
}

/** A node's mempool; rates in base units a virtual byte. */
export interface MempoolFigures {
  readonly transactions: number;
  /** Virtual bytes of all. */
  readonly bytes: number;
  /** Below it the node takes none in; null where it does not tell. */
  readonly minFeeRate: number | null;
  /** Highest rate first; empty where the fees are not known, or not yet. */
  readonly histogram: readonly MempoolStep[];
  /** An estimate of what the next block takes; null as above. */
  readonly template: MempoolTemplate | null;
}

/** Items of `Feed.watch` that a feed listens for: each takes a subscription of its node. */
export const MAX_WATCHED = 50;

export type FeedState = "idle" | "connecting" | "up" | "down" | "cordoned" | "closed";

export interface FeedStatus {
  readonly name: string;
  readonly chain: Chain;
  readonly kind: FeedKind;
  /** Credentials redacted. */
  readonly url: string;
  readonly state: FeedState;
  /** What the node says it is ("/LitecoinCore:0.21.2/"), null before the first handshake. */
  readonly agent: string | null;
  /** Height the node told last, null where unknown. */
  readonly height: number | null;
  /** Monotonic ms of the last push progress. */
  readonly lastProgressAt: number | null;
  readonly connects: number;
  readonly lastError: { readonly code: string; readonly message: string } | null;
  /** Blocks that the node counts as safe and as final; null where it does not tell. */
  readonly safe: ChainPoint | null;
  readonly finalized: ChainPoint | null;
  readonly cordon: { readonly reason: string } | null;
}

export interface Feed {
  readonly name: string;
  readonly chain: Chain;
  readonly kind: FeedKind;
  /** Dials, and keeps dialling with jittered backoff until `close`. */
  start(): void;
  close(): Promise<void>;
  /**
   * Headers that follow the first of `locator` (newest first, sparse) that is on the node's best chain, oldest first, 2000 at most. Empty: the node has
   * nothing newer. Of an empty locator: the node's best chain from where it is to be taken up, that block first (not of the Bitcoin family). The same
   * where nothing of it is on the node's chain (of the Bitcoin family: from block 1 on): what comes then links to nothing that is known.
   */
  headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly Header[]>;
  /** The body as the chain's codec takes it: the serialised block (from a compact block where one is pending, else by getdata or RPC), or JSON of what a
   *  node answers. `locator` is the block's. */
  body(locator: string, signal: AbortSignal): Promise<Uint8Array>;
  /** Of the Bitcoin family over P2P. SPRINT_UPSTREAM_UNSUPPORTED where the node has none, SPRINT_UPSTREAM_NOT_FOUND where it does not have the block. */
  filters?(range: FilterRange, signal: AbortSignal): Promise<FilterRun>;
  /** Of the Bitcoin family over RPC. SPRINT_UPSTREAM_UNSUPPORTED where the node does not tell. */
  mempool?(signal: AbortSignal): Promise<MempoolFigures>;
  /** Of Solana over WebSocket: accounts and programs whose transactions `FeedSink.pending` is told of as soon as the node processes them, in the
   *  place of those before; the first `MAX_WATCHED` of them. Kept whatever becomes of the connection. */
  watch?(items: readonly string[]): void;
  /** Takes the feed out: it disconnects and stays out for `forMs` (Infinity: until uncordon). */
  cordon(reason: string, forMs: number): void;
  uncordon(): void;
  /** Its breaker changed its state: a connection behind one that is shut is given up, one that may be tried again is dialled at once. */
  breakerMoved(): void;
  status(): FeedStatus;
}
