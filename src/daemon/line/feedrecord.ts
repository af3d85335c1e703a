/** What the pipeline keeps of each upstream that is up, and of each header on its way. */
import type { Cancel } from "../../shared/clock.ts";
import type { Refusal } from "../chain/index.ts";
import type { Announcement, Feed } from "../upstream/index.ts";

/** A header that waits for its proof, or for its parent. */
export interface Item {
  readonly record: FeedRecord;
  readonly announcement: Announcement;
  /** Pushed by the upstream, not asked for: counts in the race. */
  readonly pushed: boolean;
  /** It waited for a fill, whose answer is newer than the push. */
  readonly waited: boolean;
  proof: Proof | Promise<Proof> | undefined;
}

/** `unproved`: the proof itself failed, which says nothing about the header. */
export type Proof = Refusal | null | "unproved";

export interface FeedRecord {
  readonly feed: Feed;
  readonly abort: AbortController;
  /** Pushed headers whose parent is not known yet. */
  held: Item[];
  filling: boolean;
  inLine: number;
  /** Highest block that it announced or answered with, and since when the served tip is ahead of it. */
  height: number;
  behindSince: number | null;
  /** Fills in a row that did not bring the parent of what it pushed. */
  unlinked: number;
  /** Of the fill that follows one that failed. */
  cancelRefill: Cancel;
}

export function recordOf(feed: Feed): FeedRecord {
  return {
    feed,
    abort: new AbortController(),
    held: [],
    filling: false,
    inLine: 0,
    height: feed.status().height ?? 0,
    behindSince: null,
    unlinked: 0,
    cancelRefill: () => {},
  };
}
