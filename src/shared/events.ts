/** What goes over `/ws/v1/events`: one text message is one event. */
import type { BlockLog } from "./body.ts";
import type { Chain } from "./chain.ts";
import type { StatsBody } from "./stats-api.ts";
import type { Tier } from "./tier.ts";

/** What everybody hears who names no types. */
export const BASIC_TYPES = ["block", "reorg", "finalized", "gap", "hello", "goodbye"] as const;
/** What is told to those who name it. `pending_tx` and `stats` tell of the moment: they are not replayed. */
export const NAMED_TYPES = ["log", "watch", "pending_tx", "stats"] as const;
export const EVENT_TYPES = [...BASIC_TYPES, ...NAMED_TYPES] as const;
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
  /** What only this family of chains has; absent for the Bitcoin family. */
  readonly evm?: EvmBlockData;
  readonly svm?: SvmBlockData;
}

export interface EvmBlockData {
  readonly gas_used: number;
  readonly gas_limit: number;
  /** Decimal; null before London. */
  readonly base_fee_wei: string | null;
}

export interface SvmBlockData {
  readonly slot: number;
  readonly parent_slot: number;
  /** Slots between the parent's and this one: nobody made a block there, none is missing. */
  readonly skipped_slots: number;
  /** Signatures verified, and signatures there are; null while only the header is known. */
  readonly signatures_checked: number | null;
  readonly signatures: number | null;
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
  /** Oldest first: each follows as a `block` event of its own. Empty where the chain went back and nothing new is there yet. */
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

/** The logs of one block that a subscriber's filter lets through, in the order of the block; told just before the block's `validated` event. */
export interface LogData {
  readonly block_hash: string;
  readonly height: number;
  /** True: the block was reverted, and these logs with it; told just before the `reorg`. Whose connection ends between the two takes the proofs from this
   *  height on as taken back as well: where the block counts again, its logs and its `validated` event are told again. */
  readonly removed: boolean;
  readonly logs: readonly LogEntry[];
}

export interface LogEntry extends BlockLog {
  /** By the ABI that came with the subscription; null where no fragment of it fits, absent without one. */
  readonly decoded?: DecodedLog | null;
}

export interface DecodedLog {
  /** Signature, as `Transfer(address,address,uint256)`. */
  readonly event: string;
  /** By name, or by position where there is none; integers as decimal text. */
  readonly args: Readonly<Record<string, unknown>>;
}

/** Transactions that are in no block yet, as they were heard of since the last such event. */
export interface PendingData {
  readonly transactions: readonly PendingEntry[];
}

export interface PendingEntry {
  readonly txid: string;
  readonly upstream: string;
  /** EVM: absent where only the hash came. Hex with 0x, lower case; wei decimal. */
  readonly evm?: {
    readonly from: string;
    readonly to: string | null;
    readonly value_wei: string;
    readonly nonce: number;
    readonly gas_limit: number;
    readonly max_fee_wei: string;
    readonly max_tip_wei: string;
    /** First four bytes of the input, null where there are fewer. */
    readonly selector: string | null;
    readonly blobs: number;
  };
  /** Bitcoin family: serialised size, absent where only the id came. */
  readonly size_bytes?: number;
}

export const WATCH_STATES = ["seen", "mined", "confirmed", "final", "reverted"] as const;
export type WatchState = (typeof WATCH_STATES)[number];

/** Something that a watch list names happened. Each state once per movement and block. */
export interface WatchData {
  /** The watch list's id. */
  readonly list: string;
  /** The script, address, topic, account or program. */
  readonly item: string;
  readonly txid: string;
  readonly output: number | null;
  readonly kind: "created" | "spent" | "log" | "transaction";
  readonly state: WatchState;
  /** Blocks from the movement's on, 0 while it is in none. */
  readonly confirmations: number;
  /** Base units, decimal; null where it cannot be told. */
  readonly value: string | null;
  /** `txid:index` of the output that is spent, else null. */
  readonly outpoint: string | null;
  /** The one that it is in, or that left; null for `seen`. */
  readonly block: RefData | null;
  /** Counts the states of this movement: 1 is `seen`, told or not, so that the first `mined` is 2 in every run. */
  readonly sequence: number;
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
export type LogEvent = ChainEvent<"log", LogData>;
export type WatchEvent = ChainEvent<"watch", WatchData>;
export type PendingEvent = ChainEvent<"pending_tx", PendingData>;
export type StatsEvent = ChainEvent<"stats", StatsBody>;
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
export type SprintEvent =
  | BlockEvent
  | ReorgEvent
  | FinalizedEvent
  | GapEvent
  | LogEvent
  | WatchEvent
  | PendingEvent
  | StatsEvent
  | HelloEvent
  | GoodbyeEvent;

/** 4000-4499: come back with the cursor. 4500-4999: do not, something must change first. */
export const CLOSE = {
  SHUTDOWN: 4000,
  RATE_LIMITED: 4003,
  SLOW_CONSUMER: 4008,
  BAD_REQUEST: 4500,
  UNSUPPORTED_MESSAGE: 4501,
  CONNECTION_LIMIT: 4503,
} as const;
