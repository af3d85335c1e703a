/**
 * Turns "the tip is now X" into announcements without holes: every header once, parents first. What lies between the
 * headers told before and the new tip comes from the node over RPC; where that is more than one answer holds, the tip is
 * told alone, and the floor above asks for the rest with a locator of its own.
 */
import type { Clock } from "../../shared/clock.ts";
import type { UtxoHeader } from "../chain/index.ts";
import type { RpcNode, Tip } from "./rpc-node.ts";
import type { Announcement, AnnounceVia } from "./types.ts";

export interface FollowOptions {
  readonly via: AnnounceVia;
}

export interface FollowModules {
  /** Null: nobody can be asked, so a block is told even when its parent was not. */
  readonly node: RpcNode | null;
  readonly clock: Clock;
  /** Called synchronously; height is that of the last one, where known. */
  readonly announce: (announcements: readonly Announcement[], height: number | null) => void;
}

/** Deeper reorgs than this are told by their tip alone. */
const MAX_KNOWN = 256;
/** Blocks that came whole and wait for their parents. */
const MAX_HELD = 4;

export class TipFollower {
  readonly #via: AnnounceVia;
  readonly #modules: FollowModules;
  /** Hashes told, oldest first, with their heights. */
  readonly #known = new Map<string, number | null>();
  readonly #held = new Map<string, Announcement & { readonly header: UtxoHeader }>();

  constructor(options: FollowOptions, modules: FollowModules) {
    this.#via = options.via;
    this.#modules = modules;
  }

  /** The tip from which on headers are told. */
  startAt(tip: Tip): void {
    this.#remember(tip.hash, tip.height);
  }

  knows(hash: string): boolean {
    return this.#known.has(hash);
  }

  /** A whole block was pushed. True: told. False: it is held, and `advance` with its hash fills the hole before it. */
  pushed(header: UtxoHeader, body: Uint8Array, receivedAt: number): boolean {
    if (this.knows(header.hash)) return true;
    const announcement = { header, via: this.#via, receivedAt, txCount: null, body };
    if (this.#modules.node !== null && !this.knows(header.parentHash)) {
      this.#held.set(header.hash, announcement);
      for (const hash of this.#held.keys()) {
        if (this.#held.size <= MAX_HELD) break;
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

    const fork = await node.findFork(this.#locator(), signal);
    const between = fork === null ? [] : await node.headersFrom(fork, signal);
    const fresh = between.filter((header) => !this.knows(header.hash));
    const reached = fresh.some((header) => header.hash === tip);
    if (reached) this.#tell(fresh.map((header) => this.#announcement(header)));
    else if (!this.knows(tip)) this.#tell([last]);
  }

  #announcement(header: UtxoHeader): Announcement {
    const held = this.#held.get(header.hash);
    return held ?? { header, via: this.#via, receivedAt: this.#modules.clock.now(), txCount: null, body: null };
  }

  #tell(announcements: readonly Announcement[]): void {
    for (const { header } of announcements) {
      const parentHeight = this.#known.get(header.parentHash) ?? null;
      this.#remember(header.hash, parentHeight === null ? null : parentHeight + 1);
      this.#held.delete(header.hash);
    }
    const last = announcements.at(-1);
    if (last !== undefined) this.#modules.announce(announcements, this.#known.get(last.header.hash) ?? null);
  }

  #remember(hash: string, height: number | null): void {
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
