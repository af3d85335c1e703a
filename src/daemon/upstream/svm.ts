/**
 * A node of Solana: slots as it processes them, over its WebSocket; over HTTP alone what is confirmed, by asking now and then.
 *
 * `slotSubscribe` tells a slot when the node begins to work on it, with its parent's: so that one is done, and the newest blockhash is
 * asked for. What these two do not tell together is told when it is confirmed (see `svm-follow.ts`). `slotsUpdatesSubscribe` and
 * `blockSubscribe`, which not every node has, make that sooner; `blockSubscribe` is asked for headers only: bodies are megabytes, and
 * one upstream's is enough.
 */
import type { PendingTransaction } from "../../shared/body.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { isSprintError, SprintError } from "../../shared/errors.ts";
import type { SvmAnnounced } from "../chain/index.ts";
import { CONTRADICTION, type FeedModules, type FeedOptions, type Link, type LinkEvents, LinkFeed } from "./feed.ts";
import { Job } from "./job.ts";
import { asLost, pause } from "./rpc.ts";
import { RpcSocket } from "./rpc-socket.ts";
import type { Notification } from "./rpc-socket-message.ts";
import { openCallerBeside, openHttpCaller, type OpenCaller } from "./caller-beside.ts";
import { SvmFollower } from "./svm-follow.ts";
import { SvmMentions, WatchedItems } from "./svm-mentions.ts";
import { announcedOf, member, REFUSED, SvmNode, type SvmFeedCodec, wholeNumber } from "./svm-node.ts";
import type { Feed } from "./types.ts";
import { type RpcUpstreamAddress, type WsAddress, wsUrl } from "./url.ts";

export interface SvmFeedOptions extends Pick<
  FeedOptions,
  "name" | "stallMs" | "openTimeoutMs" | "requestTimeoutMs" | "backoff"
> {
  readonly address: WsAddress | RpcUpstreamAddress;
  /** Between two looks at a node without a socket, and at what is confirmed while a hole is filled; each is up to a quarter shorter or longer. */
  readonly pollMs?: number;
  /** Transactions that mention what is watched are listened for as well, where the node has a socket. Default: not. */
  readonly transactions?: boolean;
}

export interface SvmFeedModules extends Omit<FeedModules, "connect"> {
  readonly codec: SvmFeedCodec;
  /** Not all that is watched is listened for, and why; told once until it is. */
  readonly onUnwatched?: (reason: string) => void;
}

export const SVM_DEFAULTS = { pollMs: 400 } as const;

/** A node's newest processed block is a moment behind its notifications: it is asked for again after each of these. */
const LOOK_AGAIN_MS = [30, 60, 120] as const;
/** Slots between two blocks told; more are not filled from here. */
const MAX_GAP_SLOTS = 512;
/** Slots in which a chain has a block at least. */
const ANCHOR_SLOTS = 512;
/** A node that ends below what it told as confirmed is given so long: behind one address may be several, some late. */
const REWOUND_MS = 2_000;
/** Polls between two looks at what is rooted. */
const ROOT_EVERY = 8;
/** A block that should be there is asked for so often, then its node is given up. */
const MAX_STRIKES = 25;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

export function createSvmFeed(options: SvmFeedOptions, modules: SvmFeedModules): Feed {
  const { address } = options;
  const { chain, params } = modules.codec;
  const settings = { ...SVM_DEFAULTS, ...options };
  const watched = new WatchedItems((reason) => modules.onUnwatched?.(reason));
  const connect = (events: LinkEvents): Link => new SvmLink(settings, { ...modules, watched }, events);
  const { blockTimeSeconds } = params;
  const feed = new LinkFeed(
    { ...options, chain, kind: address.kind, url: address.display, blockTimeSeconds },
    { ...modules, connect },
  );
  if (options.transactions !== true || address.kind !== "ws") return feed;
  return Object.assign(feed, { watch: (items: readonly string[]) => watched.set(items) });
}

interface LinkModules extends SvmFeedModules {
  readonly watched: WatchedItems;
}

type Settings = SvmFeedOptions & { readonly pollMs: number };

class SvmLink implements Link {
  readonly #settings: Settings;
  readonly #modules: LinkModules;
  readonly #events: LinkEvents;
  readonly #clock: Clock;
  readonly #follower: SvmFollower;
  readonly #abort = new AbortController();
  readonly #look: Job;
  readonly #fill: Job;
  readonly #finalize: Job;
  readonly #watch: Job;
  readonly #ended: Promise<void>;
  #socket: RpcSocket | null = null;
  #open: OpenCaller | null = null;
  #node: SvmNode | null = null;
  #mentions: SvmMentions | null = null;
  #isUp = false;
  /** The newest slot that should be processed. */
  #expectedSlot = 0;
  /** How often it was looked for. */
  #looks = 0;
  #cancelLook: Cancel = () => {};
  #rootSlot = 0;
  #finalizedSlot = -1;
  /** Since when it ends below that. */
  #belowSince: number | null = null;
  #strikes = 0;

  constructor(settings: Settings, modules: LinkModules, events: LinkEvents) {
    this.#settings = settings;
    this.#modules = modules;
    this.#events = events;
    this.#clock = modules.clock;
    this.#follower = new SvmFollower({
      nowSeconds: () => Math.floor(modules.clock.wall() / 1000),
      announce: (announcements) => {
        const height = announcements.at(-1)?.header.height ?? null;
        if (height !== null) events.told({ height });
        events.announce(announcements);
      },
    });
    const failed = (error: unknown): void => this.#lose(error);
    this.#look = new Job(() => this.#lookAtHead(), failed);
    this.#fill = new Job(() => this.#fillHole(), failed);
    this.#finalize = new Job(() => this.#tellFinalized(), failed);
    this.#watch = new Job(async () => this.#mentions?.follow(this.#abort.signal), failed);
    modules.watched.onChange = () => this.#watch.poke();
    this.#ended = this.#run();
  }

  async headersAfter(...[locator, signal]: Parameters<Link["headersAfter"]>): Promise<readonly SvmAnnounced[]> {
    return this.#asked().headersAfter(locator, signal);
  }

  async body(locator: string, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#asked().body(locator, signal, this.#follower);
    } catch (error) {
      if (isSprintError(error) && error.code === CONTRADICTION) this.#lose(error);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#cancelLook();
    this.#mentions?.close();
    await Promise.all([this.#socket?.close(), this.#open?.close()]);
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const { codec } = this.#modules;
    try {
      // nothing is told before `Connect` has returned
      await Promise.resolve();
      this.#open = await this.#openCaller(signal);
      const node = new SvmNode({}, { caller: this.#open.caller, codec, clock: this.#clock });
      this.#node = node;
      await node.identify(signal);
      const agent = await node.agent(signal);
      const isPushed = this.#socket !== null && (await this.#subscribe(this.#socket, signal));
      const anchor = await this.#anchor(signal);
      this.#follower.startAt(anchor);
      this.#events.told({
        ...(anchor.height === null ? {} : { height: anchor.height }),
        ...(agent === null ? {} : { agent }),
      });
      this.#isUp = true;
      this.#events.up();
      this.#listenForMentions();
      if (isPushed) this.#look.poke();
      else await this.#watchByPolling(signal);
    } catch (error) {
      this.#lose(error);
    }
  }

  async #openCaller(signal: AbortSignal): Promise<OpenCaller> {
    const { address } = this.#settings;
    const { rpcPort } = this.#modules.codec.params;
    const clock = this.#clock;
    if (address.kind === "rpc") return openHttpCaller(address.rpc, rpcPort, clock);
    this.#socket = new RpcSocket(
      { url: wsUrl(address, rpcPort + 1), auth: address.auth, maxMessageBytes: MAX_MESSAGE_BYTES },
      { clock, onLost: (error) => this.#lose(error) },
    );
    await this.#socket.opened();
    return openCallerBeside(this.#socket, address, { rpcPort, clock, signal, probe: "getGenesisHash" });
  }

  /** False where the node does not push slots: it is polled. */
  async #subscribe(socket: RpcSocket, signal: AbortSignal): Promise<boolean> {
    const { codec } = this.#modules;
    const has = async (
      method: string,
      params: readonly unknown[],
      take: (value: unknown, receivedAt: number) => void,
    ): Promise<boolean> => {
      try {
        const onNotification = (told: Notification): void => take(told.value(), told.receivedAt);
        await socket.subscribe(method, params, onNotification, { signal });
        return true;
      } catch (error) {
        if (isSprintError(error) && REFUSED.has(error.code)) return false;
        throw error;
      }
    };
    const isPushed = await has("slotSubscribe", [], (value) => this.#onSlot(value));
    await has("slotsUpdatesSubscribe", [], (value, receivedAt) => this.#onUpdate(value, receivedAt));
    await has("rootSubscribe", [], (value) => this.#onRoot(wholeNumber("rootSubscribe", value)));
    const details = {
      commitment: "confirmed",
      encoding: "base64",
      transactionDetails: "none",
      showRewards: false,
      maxSupportedTransactionVersion: 0,
    };
    await has("blockSubscribe", ["all", details], (value, receivedAt) => {
      const told = member(value, "value");
      const block = member(told, "block") ?? null;
      if (block === null || !this.#isUp) return;
      const header = announcedOf(block, wholeNumber("blockSubscribe", member(told, "slot")), codec, this.#clock);
      this.#follower.heardConfirmed(header.slot, true);
      if (!this.#follower.pushed(header, receivedAt)) this.#fill.poke();
    });
    return isPushed;
  }

  #listenForMentions(): void {
    if (this.#socket === null || this.#abort.signal.aborted) return;
    const { watched } = this.#modules;
    const tell = (transactions: readonly PendingTransaction[]): void => this.#events.pending(transactions);
    this.#mentions = new SvmMentions({ socket: this.#socket, watched, clock: this.#clock, tell });
    this.#watch.poke();
  }

  #onSlot(value: unknown): void {
    const [slot, parent, root] = ["slot", "parent", "root"].map((name) =>
      wholeNumber("slotSubscribe", member(value, name)),
    ) as [number, number, number];
    this.#opened(slot, parent);
    // it has just begun with the slot itself; what is rooted can wait until the node is asked
    if (!this.#follower.knowsSlot(parent)) this.#expect(parent);
    this.#onRoot(root);
  }

  #onUpdate(value: unknown, receivedAt: number): void {
    const type = member(value, "type");
    const slot = wholeNumber("slotsUpdatesSubscribe", member(value, "slot"));
    if (type === "createdBank") this.#opened(slot, wholeNumber("slotsUpdatesSubscribe", member(value, "parent")));
    else if (type === "frozen") this.#expect(slot);
    else if (type === "dead" && this.#isUp) this.#follower.dead(slot, receivedAt);
    else if (type === "root") this.#onRoot(slot);
    else if (type === "optimisticConfirmation") {
      this.#follower.heardConfirmed(slot, true);
      if (this.#follower.hasHole) this.#fill.poke();
    }
  }

  #opened(slot: number, parent: number): void {
    if (parent < slot || slot === 0) return this.#follower.opened(slot, parent);
    const message = `slot ${slot}: expected a parent below it, got ${parent}`;
    throw new SprintError("SPRINT_UPSTREAM_PARENT_SLOT", message, { slot, parent });
  }

  #expect(slot: number): void {
    this.#expectedSlot = Math.max(this.#expectedSlot, slot);
    this.#looks = 0;
    if (this.#isUp) this.#look.poke();
  }

  #onRoot(slot: number): void {
    if (slot <= this.#rootSlot) return;
    this.#rootSlot = slot;
    if (this.#isUp) this.#finalize.poke();
  }

  // --- what is asked for ---

  async #lookAtHead(): Promise<void> {
    this.#cancelLook();
    const head = await this.#asked().head("processed", this.#abort.signal);
    this.#checkNotRewound(head.slot);
    this.#follower.processed(head, this.#clock.now());
    if (this.#follower.hasHole) this.#fill.poke();
    const againMs = LOOK_AGAIN_MS[this.#looks++];
    if (head.slot >= this.#expectedSlot || againMs === undefined || this.#abort.signal.aborted) return;
    this.#cancelLook = this.#clock.after(againMs, () => this.#look.poke());
  }

  async #fillHole(): Promise<void> {
    while (this.#follower.hasHole) {
      await this.#catchUp();
      if (this.#follower.hasHole) await this.#pause();
    }
  }

  async #watchByPolling(signal: AbortSignal): Promise<never> {
    for (let poll = 0; ; poll++) {
      if (poll % ROOT_EVERY === 0) this.#onRoot(await this.#asked().slot("finalized", signal));
      await this.#catchUp();
      await this.#pause();
    }
  }

  /** Tells what is confirmed and was not told. */
  async #catchUp(): Promise<void> {
    const { signal } = this.#abort;
    const follower = this.#follower;
    const node = this.#asked();
    const newest = await node.slot("confirmed", signal);
    this.#checkNotRewound(newest);
    this.#follower.heardConfirmed(newest, false);
    const from = follower.confirmedSlot + 1;
    if (newest < from) return;
    if (newest - from >= MAX_GAP_SLOTS) return this.#jumpTo(newest, node, signal);
    const listed = await node.slots(from, newest, signal);
    const unknown = listed.filter((slot) => !follower.knowsSlot(slot));
    const headers = await node.headers(unknown, signal);
    const missing = unknown[headers.length];
    const upTo = missing === undefined ? (listed.at(-1) ?? from - 1) : missing - 1;
    const hasLinked = follower.confirmed(headers, upTo, this.#clock.now());
    if (hasLinked && missing === undefined) this.#strikes = 0;
    else if (hasLinked) this.#strike("NULL_BLOCK", `a block in slot ${missing}`);
    else this.#strike("UNLINKED", `blocks that build on each other up to slot ${newest}`);
  }

  async #jumpTo(slot: number, node: SvmNode, signal: AbortSignal): Promise<void> {
    const header = await node.header(slot, signal);
    if (header === null) return this.#strike("NULL_BLOCK", `a block in slot ${slot}`);
    this.#strikes = 0;
    this.#follower.jump(header, this.#clock.now());
  }

  async #tellFinalized(): Promise<void> {
    const slot = this.#rootSlot;
    const point = this.#follower.pointAt(slot) ?? (await this.#asked().header(slot, this.#abort.signal, "finalized"));
    if (point === null || point.height === null || slot <= this.#finalizedSlot) return;
    this.#finalizedSlot = slot;
    this.#events.told({ finalized: { hash: point.hash, height: point.height } });
  }

  /** The newest confirmed block: what is told builds on it. */
  async #anchor(signal: AbortSignal): Promise<SvmAnnounced> {
    for (;;) {
      const newest = await this.#asked().slot("confirmed", signal);
      const listed = await this.#asked().slots(Math.max(0, newest - ANCHOR_SLOTS), newest, signal);
      const slot = listed.at(-1);
      const header = slot === undefined ? null : await this.#asked().header(slot, signal);
      if (header !== null) return header;
      this.#strike("NULL_BLOCK", `a block in slot ${slot ?? newest}`);
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    const { random } = this.#modules;
    return pause(this.#settings.pollMs * (0.75 + random() / 2), this.#clock, this.#abort.signal);
  }

  // --- what can be wrong ---

  /** What is confirmed stays: a node that ends below it has another ledger now. */
  #checkNotRewound(slot: number): void {
    const now = this.#clock.now();
    const { newestConfirmed } = this.#follower;
    if (slot >= newestConfirmed) this.#belowSince = null;
    else this.#belowSince ??= now;
    if (this.#belowSince === null || now - this.#belowSince < REWOUND_MS) return;
    throw new SprintError(
      "SPRINT_UPSTREAM_REWOUND",
      `expected the node's chain to end at slot ${newestConfirmed} or above, which it has told as confirmed, got ${slot}`,
      { expected: newestConfirmed, actual: slot },
    );
  }

  /** Throws when the node's answers have not fitted together for some time. */
  #strike(what: "NULL_BLOCK" | "UNLINKED", expected: string): void {
    if (++this.#strikes < MAX_STRIKES) return;
    throw new SprintError(
      `SPRINT_UPSTREAM_${what}`,
      `expected ${expected}, which the node lists as confirmed, got none that fits in ${MAX_STRIKES} questions`,
      { expected, questions: MAX_STRIKES },
    );
  }

  #asked(): SvmNode {
    if (this.#node !== null) return this.#node;
    throw new SprintError("SPRINT_UPSTREAM_DOWN", "this connection is not open yet", {});
  }

  #lose(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#events.lost(asLost(error));
  }
}
