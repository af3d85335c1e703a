/** What goes over `/ws/v1/events`: one text message is one event. */
import type { Chain } from "./chain.ts";
import type { Tier } from "./tier.ts";

export const EVENT_TYPES = ["block", "reorg", "finalized", "gap", "hello", "goodbye"] as const;
export type EventType = (typeof EVENT_TYPES)[number];

export const PHASES = ["announced", "validated"] as const;
/** `announced`: the header holds (work, link to its parent). `validated`: the body does. */
export type Phase = (typeof PHASES)[number];

export type Validation = "header" | "full";

export interface BlockData {
  readonly hash: string;
  readonly height: number;
  readonly parent_hash: string;
  /** RFC 3339, UTC, from the header. */
  readonly timestamp: string;
  /** From the socket read that completed the announcement to the write to this subscriber, monotonic. */
  readonly relay_time_ms: number;
  readonly tx_count: number | null;
  readonly size_bytes: number | null;
  /** Who announced it first. */
  readonly upstream: string;
  readonly validation: Validation;
}

export interface RefData {
  readonly hash: string;
  readonly height: number;
}

export interface ReorgData {
  readonly depth: number;
  readonly common_ancestor: RefData;
  /** Newest first: the order in which a client undoes them. */
  readonly reverted: readonly RefData[];
  /** Oldest first: each follows as a `block` event of its own. */
  readonly applied: readonly RefData[];
}

export type FinalizedData = RefData;

export interface GapData {
  /** The last block known to the client, null when the cursor could not be read that far. */
  readonly from: RefData | null;
  /** The next block that the stream will build on. */
  readonly to: RefData | null;
  readonly reason: string;
}

export interface HelloData {
  readonly tier: Tier;
  readonly network: string;
  /** True when everything since the cursor follows; false when the stream starts now. */
  readonly recovered: boolean;
  readonly version: string;
}

export interface GoodbyeData {
  readonly code: number;
  readonly reason: string;
}

interface ChainEvent<T extends EventType, D> {
  readonly type: T;
  readonly chain: Chain;
  readonly network: string;
  readonly cursor: string;
  readonly data: D;
}

export type BlockEvent = ChainEvent<"block", BlockData> & { readonly phase: Phase };
export type ReorgEvent = ChainEvent<"reorg", ReorgData>;
export type FinalizedEvent = ChainEvent<"finalized", FinalizedData>;
export type GapEvent = ChainEvent<"gap", GapData>;
export interface HelloEvent {
  readonly type: "hello";
  readonly cursor: string;
  readonly data: HelloData;
}
export interface GoodbyeEvent {
  readonly type: "goodbye";
  readonly cursor: string;
  readonly data: GoodbyeData;
}
export type SprintEvent = BlockEvent | ReorgEvent | FinalizedEvent | GapEvent | HelloEvent | GoodbyeEvent;

/** 4000-4499: come back with the cursor. 4500-4999: do not, something must change first. */
export const CLOSE = {
  SHUTDOWN: 4000,
  RATE_LIMITED: 4003,
  SLOW_CONSUMER: 4008,
  BAD_REQUEST: 4500,
  UNSUPPORTED_MESSAGE: 4501,
  CONNECTION_LIMIT: 4503,
} as const;
