/** The words of this room. Pure: Clock and Random come in; sockets are behind `Subscriber`. */
import type { Block } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { BlockData, EventType, FinalizedData, GapData, Phase, ReorgData } from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";

/** What an event says, by type. */
export type StreamFact =
  | { readonly type: "block"; readonly phase: Phase; readonly data: Omit<BlockData, "relay_time_ms"> }
  | { readonly type: "reorg"; readonly data: ReorgData }
  | { readonly type: "finalized"; readonly data: FinalizedData }
  | { readonly type: "gap"; readonly data: GapData };

/** An event before the log has given it its place. */
export type StreamDraft = {
  readonly chain: Chain;
  readonly network: string;
  /** Monotonic ms of the socket read that caused it. */
  readonly receivedAt: number;
} & StreamFact;

/** One event of the stream, in the order of `seq`, before it is encoded for anybody. */
export type StreamEvent = StreamDraft & {
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
}

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
