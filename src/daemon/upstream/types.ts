/** The words of this room. A feed is one upstream's connection: it dials, watches, reconnects, and tells the pipeline. */
import type { Chain } from "../../shared/chain.ts";
import type { Header } from "../chain/index.ts";

export type FeedKind = "p2p" | "rpc" | "zmq";
export type AnnounceVia = "cmpctblock" | "headers" | "inv" | "block" | "zmq" | "rpc";

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
  /** New headers, parents first. Never called between `down` and the next `up`. */
  announce(feed: Feed, announcements: readonly Announcement[]): void;
  down(feed: Feed, reason: string): void;
}

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
  readonly cordon: { readonly reason: string } | null;
}

export interface Feed {
  readonly name: string;
  readonly chain: Chain;
  readonly kind: FeedKind;
  /** Dials, and keeps dialling with jittered backoff until `close`. */
  start(): void;
  close(): Promise<void>;
  /** Headers that follow the first hash of `locator` that the node knows (newest first, sparse), oldest first, 2000 at most.
   *  Empty: the node has nothing newer. */
  headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly Header[]>;
  /** The serialised block. From a compact block where one is pending, else by getdata or RPC. */
  body(hash: string, signal: AbortSignal): Promise<Uint8Array>;
  /** Takes the feed out: it disconnects and stays out for `forMs` (Infinity: until uncordon). */
  cordon(reason: string, forMs: number): void;
  uncordon(): void;
  /** Its breaker changed its state: a connection behind one that is shut is given up, one that may be tried again is dialled at once. */
  breakerMoved(): void;
  status(): FeedStatus;
}
