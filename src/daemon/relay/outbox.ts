/** What one subscriber still has to get, in order, and the two bounds on it: events a second, and bytes not taken yet. */
import { type Batch, joinBatches } from "./encode.ts";
import type { Subscriber } from "./types.ts";

export interface OutboxOptions {
  /** Bytes that may wait: in the socket, and in the queue behind it. */
  readonly maxBytes: number;
  /** In each second, counted from its first event. */
  readonly eventsPerSecond: number;
  /** Events of a replay that go out in one write. */
  readonly sliceEvents: number;
}

/** `slow`: more than half of the bytes allowed wait. `full`: more than allowed would; not written. `failed`: the socket threw. */
export type Handed = "written" | "slow" | "full" | "failed";

/** `idle`: nothing left. Else what stopped it, or when (monotonic ms) to look again. */
export type Served = "idle" | "full" | "failed" | { readonly again: number };

interface Entry {
  readonly batch: Batch;
  readonly due: number;
}

/** How long a replay waits for a socket that is half full. */
const REPLAY_WAIT_MS = 20;
const SECOND_MS = 1_000;

export class Outbox {
  readonly subscriber: Subscriber;
  /** Tells it apart where deliveries are spread. */
  readonly salt: number;
  /** The position after the last event handed over. */
  cursor: string;
  isSlow = false;
  #options: OutboxOptions;
  #replay: readonly Batch[];
  #replayed = 0;
  readonly #queue: Entry[] = [];
  #queuedBytes = 0;
  readonly #replayFrom: number;
  #secondFrom = Number.NEGATIVE_INFINITY;
  #secondEvents = 0;

  /** `replay`: what the subscriber missed, sent before all else, from `replayFrom` (monotonic ms) on. */
  constructor(
    options: OutboxOptions,
    modules: {
      readonly subscriber: Subscriber;
      readonly salt: number;
      readonly cursor: string;
      readonly replay: readonly Batch[];
      readonly replayFrom: number;
    },
  ) {
    this.#options = options;
    this.subscriber = modules.subscriber;
    this.salt = modules.salt;
    this.cursor = modules.cursor;
    this.#replay = modules.replay;
    this.#replayFrom = modules.replayFrom;
  }

  /** Something waits: whatever comes now must wait behind it. */
  get isWaiting(): boolean {
    return this.#queue.length > 0 || this.#replayed < this.#replay.length;
  }

  /** Other bounds from now on. */
  adjust(options: Pick<OutboxOptions, "eventsPerSecond" | "sliceEvents">): void {
    this.#options = { ...this.#options, ...options };
  }

  /**
   * True where `events` more fit into the running second; counts them then. A batch that was joined when more were allowed than are now
   * has a second of its own.
   */
  admits(events: number, now: number): boolean {
    if (now - this.#secondFrom >= SECOND_MS) {
      this.#secondFrom = now;
      this.#secondEvents = 0;
    }
    if (this.#secondEvents > 0 && this.#secondEvents + events > this.#options.eventsPerSecond) return false;
    this.#secondEvents += events;
    return true;
  }

  /** Puts a batch behind what waits, to go at `due` (and after what waits) at the earliest. False where that is too much. */
  push(batch: Batch, due: number): boolean {
    this.#queue.push({ batch, due });
    this.#queuedBytes += this.#weighed(batch.bytes);
    return this.subscriber.bufferedBytes() + this.#queuedBytes <= this.#options.maxBytes;
  }

  /**
   * One event counts as half of what is allowed at most: the logs of a block may be more than all of it, and who keeps up must get them;
   * whoever was closed for them would come back for the same event again and again.
   */
  #weighed({ length }: Buffer): number {
    return Math.min(length, this.#options.maxBytes / 2);
  }

  /** Hands over a batch as `bytes`. */
  hand(batch: Batch, bytes: Buffer): Handed {
    const buffered = this.subscriber.bufferedBytes() + this.#weighed(bytes);
    if (buffered > this.#options.maxBytes) return "full";
    try {
      this.subscriber.write(bytes);
    } catch {
      return "failed";
    }
    this.cursor = batch.cursor;
    return 2 * buffered > this.#options.maxBytes ? "slow" : "written";
  }

  /** Sends what is due; `hand` writes one batch, and is told whether it is live or a replay. */
  serve(now: number, hand: (batch: Batch, isLive: boolean) => Handed): Served {
    if (this.#replayed < this.#replay.length) return this.#serveReplay(now, hand);
    let sent = 0;
    for (const { batch, due } of this.#queue) {
      if (due > now || !this.admits(batch.events, now)) break;
      const handed = hand(batch, true);
      if (handed === "full" || handed === "failed") return handed;
      this.#queuedBytes -= this.#weighed(batch.bytes);
      sent++;
    }
    this.#queue.splice(0, sent);
    const head = this.#queue[0];
    if (head === undefined) return "idle";
    return { again: head.due > now ? head.due : this.#secondFrom + SECOND_MS };
  }

  #serveReplay(now: number, hand: (batch: Batch, isLive: boolean) => Handed): Served {
    if (now < this.#replayFrom) return { again: this.#replayFrom };
    if (2 * this.subscriber.bufferedBytes() > this.#options.maxBytes) return { again: now + REPLAY_WAIT_MS };
    const slice = joinBatches(this.#nextSlice());
    if (!this.admits(slice.events, now)) return { again: this.#secondFrom + SECOND_MS };
    const handed = hand(slice, false);
    if (handed === "full" || handed === "failed") return handed;
    this.#replayed += slice.events;
    if (this.#replayed < this.#replay.length) return { again: now + 1 };
    this.#replay = [];
    this.#replayed = 0;
    return this.#queue.length === 0 ? "idle" : { again: Math.max(now + 1, this.#queue[0]?.due ?? 0) };
  }

  /** The next part of the replay: so many events, and at most a quarter of the bytes allowed. */
  #nextSlice(): readonly Batch[] {
    let bytes = 0;
    let end = this.#replayed;
    while (end < this.#replay.length && end - this.#replayed < this.#options.sliceEvents) {
      bytes += this.#replay[end]?.bytes.length ?? 0;
      if (4 * bytes > this.#options.maxBytes && end > this.#replayed) break;
      end++;
    }
    return this.#replay.slice(this.#replayed, end);
  }
}
