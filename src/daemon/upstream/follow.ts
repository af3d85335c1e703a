/**
 * Turns "the tip is now X" into announcements without holes: every header once, parents first. What lies between the
 * headers told before and the new tip comes from the node over RPC; where that is more than one answer holds, the tip is
 * told alone, and the floor above asks for the rest with a locator of its own.
 */
import type { Clock } from "../../shared/clock.ts";
import type { Header } from "../chain/index.ts";
import type { Announcement, AnnounceVia, ChainPoint } from "./types.ts";

export interface FollowOptions {
  readonly via: AnnounceVia;
  /** The best chain is what nodes say it is: a header told before is told again when the node goes back to it. */
  readonly heads?: boolean;
  /** Blocks that came and wait for their parents; the oldest is forgotten for one too many. */
  readonly maxHeld?: number;
}

/** What was told so far. */
export interface Known {
  has(hash: string): boolean;
  /** Newest first, sparse. */
  locator(): readonly string[];
  /** Of the last one told, where known. */
  height(): number | null;
}

/** The node that is followed. */
export interface FollowedNode {
  header(hash: string, signal: AbortSignal): Promise<Header>;
  /** The headers that lead from a known one to `last`, oldest first, `last` among them. Without it: they cannot be had in one answer. */
  leadingTo(last: Header, known: Known, signal: AbortSignal): Promise<readonly Header[]>;
}

export interface FollowModules {
  /** Null: nobody can be asked, so a block is told even when its parent was not. */
  readonly node: FollowedNode | null;
  readonly clock: Clock;
  /** Called synchronously; height is that of the last one, where known. */
  readonly announce: (announcements: readonly Announcement[], height: number | null) => void;
}

/** Deeper reorgs than this are told by their tip alone. */
const MAX_KNOWN = 256;
/** Whole blocks are heavy. */
const MAX_HELD = 4;

export class TipFollower {
  readonly #options: Required<FollowOptions>;
  readonly #modules: FollowModules;
  readonly #told: Known;
  /** Hashes told, oldest first, with their heights. */
  readonly #known = new Map<string, number | null>();
  readonly #held = new Map<string, Announcement>();
  #tip: ChainPoint | null = null;

  constructor(options: FollowOptions, modules: FollowModules) {
    this.#options = { heads: false, maxHeld: MAX_HELD, ...options };
    this.#modules = modules;
    this.#told = {
      has: (hash) => this.#known.has(hash),
      locator: () => this.#locator(),
      height: () => this.#tip?.height ?? null,
    };
  }

  /** The tip from which on headers are told. */
  startAt(tip: ChainPoint): void {
    this.#remember(tip.hash, tip.height);
    this.#tip = tip;
  }

  /** The header told last, where its height is known. */
  get tip(): ChainPoint | null {
    return this.#tip;
  }

  /** Headers that the floor above has by another way; oldest first. */
  learn(headers: readonly Header[]): void {
    for (const { hash, height } of headers) if (!this.knows(hash)) this.#remember(hash, height);
  }

  knows(hash: string): boolean {
    return this.#known.has(hash);
  }

  /** A block was pushed. True: told. False: it is held, and `advance` with its hash fills the hole before it. */
  pushed(header: Header, body: Uint8Array | null, receivedAt: number, via: AnnounceVia = this.#options.via): boolean {
    const announcement: Announcement = { header, via, receivedAt, txCount: null, body };
    if (this.knows(header.hash)) {
      if (this.#options.heads && header.hash !== this.#tip?.hash) this.#tell([announcement]);
      return true;
    }
    if (this.#modules.node !== null && !this.knows(header.parentHash)) {
      this.#held.set(header.hash, announcement);
      for (const hash of this.#held.keys()) {
        if (this.#held.size <= this.#options.maxHeld) break;
        this.#held.delete(hash);
      }
      return false;
    }
    this.#tell([announcement]);
    return true;
  }

  /** Tells everything up to `tip`. Needs a node to ask; what was told meanwhile by `pushed` is not told again. */
  async advance(tip: string, signal: AbortSignal): Promise<void> {
    const { node } = this.#modules;
    if (node === null || this.knows(tip)) return;
    const last = this.#announcement(this.#held.get(tip)?.header ?? (await node.header(tip, signal)));
    if (this.knows(tip)) return;
    if (this.knows(last.header.parentHash)) return this.#tell([last]);

    const between = await node.leadingTo(last.header, this.#told, signal);
    const fresh = between.filter((header) => !this.knows(header.hash));
    const reached = fresh.some((header) => header.hash === tip);
    if (reached) this.#tell(fresh.map((header) => this.#announcement(header)));
    else if (!this.knows(tip)) this.#tell([last]);
  }

  #announcement(header: Header): Announcement {
    const held = this.#held.get(header.hash);
    return held ?? { header, via: this.#options.via, receivedAt: this.#modules.clock.now(), txCount: null, body: null };
  }

  #tell(announcements: readonly Announcement[]): void {
    for (const { header } of announcements) {
      const parentHeight = this.#known.get(header.parentHash) ?? null;
      const height = header.height ?? (parentHeight === null ? null : parentHeight + 1);
      this.#remember(header.hash, height);
      this.#held.delete(header.hash);
    }
    const last = announcements.at(-1)?.header.hash;
    if (last === undefined) return;
    const height = this.#known.get(last) ?? null;
    this.#tip = height === null ? null : { hash: last, height };
    this.#modules.announce(announcements, height);
  }

  #remember(hash: string, height: number | null): void {
    this.#known.delete(hash);
    this.#known.set(hash, height);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
  }

  /** Newest first: the last ten, then in doubling steps. */
  #locator(): readonly string[] {
    const newestFirst = [...this.#known.keys()].reverse();
    const locator: string[] = [];
    for (let at = 0, step = 1; at < newestFirst.length; at += step) {
      const hash = newestFirst[at];
      if (hash !== undefined) locator.push(hash);
      if (locator.length >= 10) step *= 2;
    }
    return locator;
  }
}
