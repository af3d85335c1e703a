/** The words of this room. Pure: Clock and Random come in; sockets are behind `Subscriber`. */
import type { Block } from "../../shared/block.ts";
import type { BlockLog } from "../../shared/body.ts";
import type { Chain } from "../../shared/chain.ts";
import type {
  BlockData,
  DecodedLog,
  EventType,
  FinalizedData,
  GapData,
  LogData,
  PendingData,
  Phase,
  ReorgData,
  StatsEvent,
  WatchData,
} from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";

/** What an event says, by type. */
export type StreamFact =
  | { readonly type: "block"; readonly phase: Phase; readonly data: Omit<BlockData, "relay_time_ms"> }
  | { readonly type: "reorg"; readonly data: ReorgData }
  | { readonly type: "finalized"; readonly data: FinalizedData }
  | { readonly type: "gap"; readonly data: GapData }
  /** `parentHash`: of the block; told to nobody, cursors need it. */
  | { readonly type: "log"; readonly data: LogData; readonly parentHash: string }
  | { readonly type: "watch"; readonly data: WatchData };

/** What is told of the moment, and not kept. */
export type PassingFact =
  | { readonly type: "pending_tx"; readonly data: PendingData }
  | { readonly type: "stats"; readonly data: StatsEvent["data"] };

/** An event before the log has given it its place. */
export type StreamDraft = {
  readonly chain: Chain;
  readonly network: string;
  /** Monotonic ms of the socket read that caused it. */
  readonly receivedAt: number;
} & StreamFact;

/** A passing event: it has the place in the stream of what went before it. */
export type PassingDraft = Omit<StreamDraft, "type" | "data" | "phase"> & PassingFact;

/** Transactions that are in no block yet. */
export type PendingDraft = Extract<PassingDraft, { readonly type: "pending_tx" }>;

/** One event of the stream, in the order of `seq`, before it is encoded for anybody. */
export type StreamEvent = (StreamDraft | PassingDraft) & {
  /** Position in this daemon's log, from 1 without holes. */
  readonly seq: number;
  /** Good for every transport; names the position after this event. */
  readonly cursor: string;
};

/** What a subscriber wants to hear. `null` stands for all. */
export interface Filter {
  readonly chains: readonly Chain[] | null;
  readonly types: readonly EventType[] | null;
  readonly phase: Phase | null;
  /** Which logs of `log` events; absent: all. */
  readonly logs?: LogFilter;
  /** Which transactions of `pending_tx` events; absent: all. */
  readonly pending?: PendingFilter;
  /** Of which watch lists; absent: all. */
  readonly watch?: readonly string[];
}

/** As eth_getLogs takes it. Hex with 0x, lower case. */
export interface LogFilter {
  /** Any of these; empty: all. */
  readonly addresses: readonly string[];
  /** By position: any of these; null or no entry: all. */
  readonly topics: readonly (readonly string[] | null)[];
  /** Event fragments that logs are decoded with; absent: not decoded. */
  readonly abi?: readonly string[];
}

/** All that are given must hold. */
export interface PendingFilter {
  /** Sender or receiver is one of these; empty: all. */
  readonly addresses: readonly string[];
  /** The input begins with one of these four bytes; empty: all. */
  readonly selectors: readonly string[];
  /** Wei; null: all. */
  readonly minValue: bigint | null;
}

/** Null where no fragment fits. */
export type LogDecoder = (log: BlockLog) => DecodedLog | null;

/** A client's connection, implemented above. Bytes are complete WebSocket frames, shared between subscribers: never written to. */
export interface Subscriber {
  readonly id: string;
  readonly tier: Tier;
  readonly filter: Filter;
  write(bytes: Uint8Array): void;
  /** Bytes handed over by `write` that the socket has not taken yet. */
  bufferedBytes(): number;
  close(code: number, reason: string): void;
}

/** A block's place in the fork tree. */
export interface TreeNode {
  readonly block: Block;
  readonly parent: TreeNode | null;
  /** Total work from the root's own work on. */
  readonly work: bigint;
}
