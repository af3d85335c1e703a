/**
 * The fan-out: each event is encoded once and handed to every subscriber that asked for it, ENTERPRISE first.
 * It does not know sockets: the same code runs where there is one process and in each of several that own sockets.
 */
import type { Cancel, Clock } from "../../shared/clock.ts";
import { CLOSE, type HelloEvent } from "../../shared/events.ts";
import { TIER, TIER_ORDER, type Tier, type TierRow } from "../../shared/tier.ts";
import { type Batch, encodeEvent, encodeMessage, isForAll, joinBatches, pendingEncoder, stamped } from "./encode.ts";
import { filterKey, matches } from "./filter.ts";
import { type Handed, Outbox } from "./outbox.ts";
import { CHUNK, PacingEntropy, TimingWheel } from "./pacing.ts";
import { PendingListeners } from "./pending.ts";
import type { Filter, LogDecoder, PendingDraft, StreamEvent, Subscriber } from "./types.ts";

export interface HubOptions {
  /** Bytes that may wait for one subscriber before it counts as slow. */
  readonly outboxBytes: number;
  /** What one turn of the event loop publishes goes out in one write; at these bounds it goes at once. */
  readonly joinEvents: number;
  readonly joinBytes: number;
  readonly joinMs: number;
  /** Events of a replay in one write. */
  readonly sliceEvents: number;
  /** So long a turn writes pending transactions; the rest of them has turns of its own, so that no block waits for all. */
  readonly sliceMs: number;
  /** How each tier is paced, and how much of it a subscriber gets in a second. */
  readonly tiers: Readonly<Record<Tier, Pick<TierRow, "pacingMs" | "eventsPerSecond">>>;
}

const HUB_DEFAULTS: HubOptions = {
  outboxBytes: 4 * 1024 * 1024,
  joinEvents: 64,
  joinBytes: 64 * 1024,
  joinMs: 1,
  sliceEvents: 64,
  sliceMs: 0.5,
  tiers: TIER,
};

export interface HubModules {
  readonly clock: Clock;
  /** 32 bytes of the system's generator. */
  readonly entropy: Uint8Array;
  /** Calls `fn` at the end of the running turn (queueMicrotask): what was published until then goes out in one write. */
  readonly defer: (fn: () => void) => void;
  /** Decodes logs by the fragments of a filter. */
  readonly decoderOf?: (abi: readonly string[]) => LogDecoder;
  /** A subscriber was removed by the hub: it was told why, and closed. */
  readonly onDrop?: (drop: Drop) => void;
  /** A subscriber's unsent bytes passed half of what is allowed; told once until it has caught up. */
  readonly onSlow?: (subscriber: Subscriber, bufferedBytes: number) => void;
  /** Up to 32 subscribers of `tier` were handed a newly announced block `relayMs` after the socket read that brought it; replays do not count. */
  readonly onRelayed?: (tier: Tier, relayMs: number) => void;
}

export interface Drop {
  readonly subscriber: Subscriber;
  readonly code: number;
  readonly reason: "slow_consumer" | "write_failed";
  readonly bufferedBytes: number;
  /** The last position handed over. */
  readonly cursor: string;
}

/** What a subscriber begins with. */
export interface Opening {
  readonly hello: HelloEvent;
  /** What it missed; live events queue behind. */
  readonly backlog: readonly StreamEvent[];
}

export interface HubStats {
  readonly subscribers: Readonly<Record<Tier, number>>;
  /** Groups of one tier and one filter. */
  readonly groups: number;
  readonly published: number;
  /** Events handed over, summed over subscribers. */
  readonly deliveries: number;
  readonly writes: number;
  readonly bytes: number;
  /** Subscribers closed for being slow. */
  readonly dropped: number;
  /** Subscribers for whom something waits. */
  readonly waiting: number;
}

interface Group {
  readonly key: string;
  readonly tier: Tier;
  readonly filter: Filter;
  readonly outboxes: Set<Outbox>;
  /** Published, not sent yet. */
  pending: Batch[];
  /** True: it goes at the end of this turn. False: with a slice, or before what is due. */
  isDue: boolean;
}

interface Member {
  readonly outbox: Outbox;
  readonly group: Group;
}

export class Hub {
  /** As asked for; what the tiers allow is less. */
  readonly #asked: HubOptions;
  #options: HubOptions;
  readonly #modules: HubModules;
  readonly #entropy: PacingEntropy;
  readonly #wheel: TimingWheel<Outbox>;
  readonly #members = new Map<string, Member>();
  readonly #groups: Readonly<Record<Tier, Map<string, Group>>> = {
    FREE: new Map(),
    BUSINESS: new Map(),
    ENTERPRISE: new Map(),
  };
  readonly #pendingListeners = new PendingListeners<Group>();
  /** Those for whom nothing is due, only what goes in slices. */
  readonly #sliced = new Set<Group>();
  #cancelSlice: Cancel | null = null;
  /** Events are encoded once as long as somebody holds them. */
  readonly #encoded = new WeakMap<StreamEvent, Batch>();
  #pendingEvents = 0;
  #pendingBytes = 0;
  #pendingSince = 0;
  #deferred = false;
  #copy: { readonly batch: Batch; readonly now: number; readonly bytes: Buffer } | null = null;
  #admitted = 0;
  #published = 0;
  #deliveries = 0;
  #writes = 0;
  #bytes = 0;
  #dropped = 0;

  constructor(options: Partial<HubOptions>, modules: HubModules) {
    this.#asked = { ...HUB_DEFAULTS, ...options };
    this.#options = bounded(this.#asked, this.#asked.tiers);
    this.#modules = modules;
    this.#entropy = new PacingEntropy(modules.entropy);
    this.#wheel = new TimingWheel(modules.clock, (outbox, now) => this.#serve(outbox, now));
  }

  /** Takes an event for everybody. It leaves at the end of the running turn, with all that was published in it. */
  publish(event: StreamEvent): void {
    this.#published++;
    if (event.type === "pending_tx") return this.#publishPending(event);
    if (event.type === "block" && event.phase === "announced") this.#entropy.stir(event.data.hash);
    let batch: Batch | null = null;
    for (const tier of TIER_ORDER) {
      for (const group of this.#groups[tier].values()) {
        if (!matches(group.filter, event)) continue;
        batch = this.#encode(event, group.filter);
        group.pending.push(batch);
        group.isDue = true;
      }
    }
    if (batch !== null) this.#join(batch);
  }

  /** Sends what this turn has published so far. */
  flush(): void {
    if (this.#pendingEvents === 0) return;
    this.#pendingEvents = 0;
    this.#pendingBytes = 0;
    for (const tier of TIER_ORDER) {
      for (const group of this.#groups[tier].values()) {
        if (group.isDue) this.#send(group);
      }
    }
    this.#copy = null;
  }

  /**
   * Other paces and rates from now on, for those who are here too. What waits keeps its time and its place; an outbox whose head waits
   * for its second looks again then.
   */
  adjust(tiers: HubOptions["tiers"]): void {
    this.#flushAll();
    this.#options = bounded(this.#asked, tiers);
    const { sliceEvents } = this.#options;
    for (const { outbox, group } of this.#members.values()) {
      outbox.adjust({ eventsPerSecond: tiers[group.tier].eventsPerSecond, sliceEvents });
    }
  }

  /** Adds a subscriber. `backlog` must be taken in the same turn: it is everything up to the newest event published. */
  add(subscriber: Subscriber, { hello, backlog }: Opening): void {
    this.#flushAll();
    const now = this.#modules.clock.now();
    const salt = this.#entropy.salt(this.#admitted++);
    const { pacingMs, eventsPerSecond } = this.#options.tiers[subscriber.tier];
    const outbox = new Outbox(
      { maxBytes: this.#options.outboxBytes, eventsPerSecond, sliceEvents: this.#options.sliceEvents },
      {
        subscriber,
        salt,
        cursor: hello.cursor,
        replay: backlog.map((event) => this.#encode(event, subscriber.filter)),
        replayFrom: pacingMs === null ? now : now + this.#entropy.delay(salt, pacingMs),
      },
    );
    subscriber.write(encodeMessage(hello));
    const group = this.#groupOf(subscriber);
    group.outboxes.add(outbox);
    this.#members.set(subscriber.id, { outbox, group });
    if (outbox.isWaiting) this.#serve(outbox, now);
  }

  /** Forgets a subscriber whose connection is gone. Nothing is written to it any more. */
  remove(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    const { group, outbox } = member;
    this.#members.delete(id);
    group.outboxes.delete(outbox);
    if (group.outboxes.size > 0) return;
    this.#groups[group.tier].delete(group.key);
    this.#pendingListeners.remove(group);
    this.#sliced.delete(group);
  }

  /** Says goodbye to one subscriber, with its cursor, and closes it. What waited is not sent: the cursor brings it back. */
  dismiss(id: string, code: number, reason: string): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#dismiss(member.outbox, code, reason);
  }

  /** Says goodbye to everybody, each with its own cursor, and closes. */
  closeAll(code: number, reason: string): void {
    this.#flushAll();
    this.#cancelSlice?.();
    this.#wheel.stop();
    for (const { outbox } of this.#members.values()) this.#dismiss(outbox, code, reason);
  }

  stats(): HubStats {
    const subscribers: Record<Tier, number> = { FREE: 0, BUSINESS: 0, ENTERPRISE: 0 };
    let groups = 0;
    for (const tier of TIER_ORDER) {
      groups += this.#groups[tier].size;
      for (const group of this.#groups[tier].values()) subscribers[tier] += group.outboxes.size;
    }
    return {
      subscribers,
      groups,
      published: this.#published,
      deliveries: this.#deliveries,
      writes: this.#writes,
      bytes: this.#bytes,
      dropped: this.#dropped,
      waiting: this.#wheel.waiting,
    };
  }

  #publishPending(event: StreamEvent & PendingDraft): void {
    const encode = pendingEncoder(event);
    const picked = this.#pendingListeners.pick(event);
    if (picked.size === 0) return;
    for (const [group, transactions] of picked) {
      group.pending.push(encode(transactions));
      if (!group.isDue) this.#sliced.add(group);
    }
    if (this.#cancelSlice !== null) return;
    let isOff = false;
    this.#cancelSlice = () => (isOff = true);
    this.#modules.defer(() => {
      if (!isOff) this.#slice();
    });
  }

  /** What came first, as long as there is time. */
  #slice(): void {
    const { clock } = this.#modules;
    const until = clock.now() + this.#options.sliceMs;
    for (const group of this.#sliced) {
      this.#send(group);
      if (clock.now() >= until) break;
    }
    this.#cancelSlice = this.#sliced.size === 0 ? null : clock.after(0, () => this.#slice());
  }

  #flushAll(): void {
    this.flush();
    for (const group of this.#sliced) this.#send(group);
  }

  /** All that is published to the group, in its order. */
  #send(group: Group): void {
    const batch = joinBatches(group.pending);
    group.pending = [];
    group.isDue = false;
    this.#sliced.delete(group);
    if (this.#options.tiers[group.tier].pacingMs === null) this.#fanOut(group, batch);
    else this.#spread(group, batch);
  }

  #encode(event: StreamEvent, filter: Filter): Batch {
    if (!isForAll(event, filter)) {
      const abi = filter.logs?.abi;
      return encodeEvent(event, filter, abi === undefined ? null : (this.#modules.decoderOf?.(abi) ?? null));
    }
    let batch = this.#encoded.get(event);
    if (batch === undefined) {
      batch = encodeEvent(event, filter, null);
      this.#encoded.set(event, batch);
    }
    return batch;
  }

  #join(batch: Batch): void {
    const { joinEvents, joinBytes, joinMs } = this.#options;
    const now = this.#modules.clock.now();
    if (this.#pendingEvents === 0) this.#pendingSince = now;
    this.#pendingEvents++;
    this.#pendingBytes += batch.bytes.length;
    const late = now - this.#pendingSince >= joinMs;
    if (late || this.#pendingEvents >= joinEvents || this.#pendingBytes >= joinBytes) {
      this.flush();
    } else if (!this.#deferred) {
      this.#deferred = true;
      this.#modules.defer(() => {
        this.#deferred = false;
        this.flush();
      });
    }
  }

  /** To a whole group at once. */
  #fanOut(group: Group, batch: Batch): void {
    let now = 0;
    let index = 0;
    for (const outbox of group.outboxes) {
      if (index++ % CHUNK === 0) now = this.#modules.clock.now();
      if (outbox.isWaiting || !outbox.admits(batch.events, now)) this.#enqueue(outbox, batch, now);
      else this.#settle(outbox, this.#hand(outbox, batch, now, true));
    }
  }

  /** To each of a group after a wait of its own. */
  #spread(group: Group, batch: Batch): void {
    const window = this.#options.tiers[group.tier].pacingMs;
    const now = this.#modules.clock.now();
    for (const outbox of group.outboxes) {
      this.#enqueue(outbox, batch, window === null ? now : now + this.#entropy.delay(outbox.salt, window));
    }
  }

  #enqueue(outbox: Outbox, batch: Batch, due: number): void {
    const scheduled = outbox.isWaiting;
    const fits = outbox.push(batch, due);
    if (!fits) this.#drop(outbox, "slow_consumer");
    else if (!scheduled) this.#wheel.schedule(outbox, due);
  }

  /** An outbox with something in it is on the wheel exactly once; this is its turn. */
  #serve(outbox: Outbox, now: number): void {
    if (this.#members.get(outbox.subscriber.id)?.outbox !== outbox) return;
    const served = outbox.serve(now, (batch, isLive) => this.#hand(outbox, batch, now, isLive));
    if (served === "full" || served === "failed") this.#settle(outbox, served);
    else if (served !== "idle") this.#wheel.schedule(outbox, served.again);
  }

  #hand(outbox: Outbox, batch: Batch, now: number, isLive: boolean): Handed {
    if (this.#copy === null || this.#copy.batch !== batch || this.#copy.now !== now) {
      this.#copy = { batch, now, bytes: stamped(batch, now) };
      if (isLive && batch.announcedAt !== null)
        this.#modules.onRelayed?.(outbox.subscriber.tier, now - batch.announcedAt);
    }
    const handed = outbox.hand(batch, this.#copy.bytes);
    if (handed === "written" || handed === "slow") {
      this.#writes++;
      this.#deliveries += batch.events;
      this.#bytes += batch.bytes.length;
      if (outbox.isSlow !== (handed === "slow")) this.#turnSlow(outbox, handed === "slow");
    }
    return handed;
  }

  #settle(outbox: Outbox, handed: Handed): void {
    if (handed === "full") this.#drop(outbox, "slow_consumer");
    else if (handed === "failed") this.#drop(outbox, "write_failed");
  }

  #turnSlow(outbox: Outbox, slow: boolean): void {
    outbox.isSlow = slow;
    if (slow) this.#modules.onSlow?.(outbox.subscriber, outbox.subscriber.bufferedBytes());
  }

  #drop(outbox: Outbox, reason: Drop["reason"]): void {
    this.#dropped++;
    const { subscriber, cursor } = outbox;
    const bufferedBytes = subscriber.bufferedBytes();
    this.#dismiss(outbox, CLOSE.SLOW_CONSUMER, reason);
    this.#modules.onDrop?.({ subscriber, code: CLOSE.SLOW_CONSUMER, reason, bufferedBytes, cursor });
  }

  #dismiss(outbox: Outbox, code: number, reason: string): void {
    const { subscriber, cursor } = outbox;
    this.remove(subscriber.id);
    try {
      subscriber.write(encodeMessage({ type: "goodbye", cursor, data: { code, reason } }));
      subscriber.close(code, reason);
    } catch {
      // A socket that throws is gone already; its owner hears of that from the socket itself.
    }
  }

  #groupOf({ tier, filter }: Subscriber): Group {
    const key = filterKey(filter);
    let group = this.#groups[tier].get(key);
    if (group === undefined) {
      group = { key, tier, filter, outboxes: new Set(), pending: [], isDue: false };
      this.#groups[tier].set(key, group);
      this.#pendingListeners.add(group);
    }
    return group;
  }
}

/** A write of more events than a tier gets in a second would never go out. */
function bounded(asked: HubOptions, tiers: HubOptions["tiers"]): HubOptions {
  const least = Math.min(...Object.values(tiers).map(({ eventsPerSecond }) => eventsPerSecond));
  return {
    ...asked,
    tiers,
    joinEvents: Math.min(asked.joinEvents, least),
    sliceEvents: Math.min(asked.sliceEvents, least),
  };
}
