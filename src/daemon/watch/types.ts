/** The words of this room. Pure: what is told goes out by callbacks, synchronously and in order. */
import type { Movement } from "../../shared/body.ts";
import type { Chain } from "../../shared/chain.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import type { WatchData } from "../../shared/events.ts";

export interface WatchOptions {
  readonly chain: Chain;
  /** A further list is refused. Default 1000. */
  readonly maxLists?: number;
  /** Items and topics of one list. Default 10,000. */
  readonly maxListItems?: number;
  /** Items and topics of all lists together, those in several counted once. Default 100,000. */
  readonly maxItems?: number;
  /** Movements in blocks that are not final, or await confirmations; a further one is refused, not told. Default 100,000. */
  readonly maxMovements?: number;
  /** Movements in no block, those only seen and those reverted each: the oldest is forgotten for a further one. Default 20,000. */
  readonly maxWaiting?: number;
  /** Movements of which everything is told, remembered so that they are not told again; the oldest goes first. Default 10,000. */
  readonly keepFinished?: number;
  /** Outputs not finally spent. At the bound the oldest that is in no block makes room, else the new one is refused. Default 100,000. */
  readonly maxOutputs?: number;
}

export interface WatchModules {
  /** Called in order, from within the call that caused it. Must not call the book. */
  readonly onEvent: (event: WatchData) => void;
  /** Something that the bounds leave no room for, and that is therefore not told. */
  readonly onRefused?: (refusal: WatchRefusal) => void;
}

/** SPRINT_WATCH_MOVEMENTS_FULL, SPRINT_WATCH_OUTPUTS_FULL */
export interface WatchRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly movement: Movement;
}

/** What a client asked for, in its own words. */
export interface WatchSource {
  readonly addresses: readonly string[];
  readonly scripts: readonly string[];
  readonly xpubs: readonly string[];
  readonly topics: readonly string[];
  readonly programs: readonly string[];
}

export interface WatchListDraft {
  /** Chosen by the client; without it the book chooses. */
  readonly id?: string;
  readonly source: WatchSource;
  /** What to look for, as in `WatchSet.items`: addresses and extended keys already turned into scripts. */
  readonly items: readonly string[];
  /** As in `WatchSet.topics`. */
  readonly topics: readonly string[];
  /** Depths at which `confirmed` is told. */
  readonly confirmations: readonly number[];
  /** Unix ms. */
  readonly createdAt: number;
}

export interface WatchList extends WatchListDraft {
  readonly id: string;
  /** Ascending, each once. */
  readonly confirmations: readonly number[];
}

/** A block of this chain. */
export interface WatchBlock {
  readonly hash: string;
  readonly height: number;
}

/** An output of a watched script. */
export interface WatchedOutput {
  /** `txid:index` */
  readonly outpoint: string;
  readonly item: string;
  readonly txid: string;
  readonly output: number;
  readonly value: string | null;
  /** The block of the best chain that creates it; null while none does. */
  readonly created: WatchBlock | null;
  /** The block of the best chain that spends it. */
  readonly spent: WatchBlock | null;
  /** The last transaction seen to spend it, in a block or not. */
  readonly spender: string | null;
}

/** A movement as one list is told of it. */
export interface SavedTrack {
  readonly list: string;
  readonly movement: Movement;
  readonly state: "seen" | "mined" | "final" | "reverted";
  readonly sequence: number;
  /** How many of the list's confirmations are told for this block. */
  readonly confirmed: number;
  readonly block: WatchBlock | null;
  /** Nothing is left to tell. */
  readonly finished: boolean;
}

/** All that a book knows, as plain data that survives JSON. */
export interface WatchSaved {
  readonly version: 1;
  readonly chain: Chain;
  readonly tip: number;
  readonly final: number;
  /** Number of the next list that the book names itself. */
  readonly nextList: number;
  readonly lists: readonly WatchList[];
  readonly tracks: readonly SavedTrack[];
  readonly outputs: readonly WatchedOutput[];
}

export interface UnspentPage {
  readonly outputs: readonly WatchedOutput[];
  /** `after` of the next page; null at the end. */
  readonly nextAfter: number | null;
}
