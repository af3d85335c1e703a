/**
 * Turns what a node of Solana pushes into announcements without holes: every block after its parent, each head that the node comes to.
 *
 * A slot that is processed has no getBlock yet. Its parent's slot comes from the node's notifications, its hash from the newest
 * blockhash; where one of these was missed, or the parent's hash, the block is held until what is confirmed fills the hole. Slots
 * without a block are no hole: only parents count.
 */
import { SprintError } from "../../shared/errors.ts";
import { type SvmAnnounced, svmLocator } from "../chain/index.ts";
import { CONTRADICTION } from "./feed.ts";
import { type ConfirmedBlock, NO_HASH, type Standing, type SvmHead } from "./svm-node.ts";
import type { Announcement, ChainPoint } from "./types.ts";

export interface SvmFollowModules {
  /** Called synchronously; the last one is the node's head. */
  readonly announce: (announcements: readonly Announcement[]) => void;
  /** Unix seconds, for a block whose time has not been voted yet. */
  readonly nowSeconds: () => number;
}

/** A head whose parent was not told. */
interface Held extends SvmHead {
  readonly receivedAt: number;
}

/** Blocks told that are remembered; deeper forks are the floor above's to find. */
const MAX_KNOWN = 1_024;
/** Slots whose parent's slot is remembered. */
const MAX_PARENTS = 1_024;
const MAX_HELD = 64;
/** A head below the one before is believed when nothing else was told for so long: behind one address may be several nodes, some late. */
const BACK_MS = 2_000;

export class SvmFollower {
  readonly #modules: SvmFollowModules;
  /** By hash, oldest first. */
  readonly #known = new Map<string, SvmAnnounced>();
  /** The block of a slot that was told last. */
  readonly #told = new Map<number, SvmAnnounced>();
  readonly #parents = new Map<number, number>();
  readonly #held = new Map<string, Held>();
  /** What the node gave as the confirmed block of a slot. */
  readonly #given = new Map<number, string>();
  #head: SvmAnnounced | null = null;
  #backSince: number | null = null;
  #confirmedSlot = -1;
  #newestConfirmed = 0;
  #hearsConfirmed = false;

  constructor(modules: SvmFollowModules) {
    this.#modules = modules;
  }

  /** The confirmed block from which on others are told. */
  startAt(anchor: SvmAnnounced): void {
    this.given(anchor);
    this.#remember(anchor);
    this.#head = anchor;
    this.#confirmedSlot = anchor.slot;
  }

  /** Up to here what is confirmed was told. */
  get confirmedSlot(): number {
    return this.#confirmedSlot;
  }

  get head(): SvmAnnounced | null {
    return this.#head;
  }

  /** A head could not be told: what is confirmed may say what is missing. */
  get hasHole(): boolean {
    return this.#held.size > 0;
  }

  knowsSlot(slot: number): boolean {
    return this.#told.has(slot);
  }

  /** As it was told; null for a block that was not. */
  parentOf(locator: string): string | null {
    return this.#known.get(locator.slice(locator.indexOf(":") + 1))?.parentHash ?? null;
  }

  /** The newest slot that the node told as confirmed. */
  get newestConfirmed(): number {
    return this.#newestConfirmed;
  }

  /** `pushed`: the node tells each. */
  heardConfirmed(slot: number, pushed: boolean): void {
    this.#newestConfirmed = Math.max(this.#newestConfirmed, slot);
    this.#hearsConfirmed ||= pushed;
  }

  /**
   * The node gave that as a confirmed block. A blockhash is made of its parent's, and a slot has one confirmed block: of two that do not
   * fit one is made up. Throws SPRINT_UPSTREAM_CONTRADICTION then.
   */
  given({ slot, hash, parentSlot, parentHash }: ConfirmedBlock): void {
    const parent = this.#given.get(parentSlot);
    if (parent !== undefined && parentHash !== NO_HASH && parentSlot < slot && parent !== parentHash) {
      throw new SprintError(
        CONTRADICTION,
        `slot ${slot}: expected its confirmed block to build on ${parent}, which the node gave as the confirmed block of slot ${parentSlot}, got ${parentHash}`,
        { slot, parentSlot, expected: parent, actual: parentHash },
      );
    }
    this.#given.delete(slot);
    this.#given.set(slot, hash);
    dropOldest(this.#given, MAX_KNOWN);
  }

  /** `lost`: what is confirmed builds on another block. `waiting`: it will be told when it is confirmed. */
  standingOf({ slot, hash }: SvmHead): Standing {
    if (this.#newestConfirmed < slot) return this.#hearsConfirmed ? "waiting" : "unknown";
    let at = this.#told.get(this.#newestConfirmed);
    while (at !== undefined && at.slot > slot) at = this.#known.get(at.parentHash);
    if (at === undefined) return "unknown";
    return at.hash === hash ? "confirmed" : "lost";
  }

  /** The node works on `slot`, on top of that of `parentSlot`. */
  opened(slot: number, parentSlot: number): void {
    const before = this.#parents.get(slot);
    // the node threw its block away and takes another one: which hash belongs to the slot now is not known
    if (before !== undefined && before !== parentSlot) this.#told.delete(slot);
    this.#parents.delete(slot);
    this.#parents.set(slot, parentSlot);
    dropOldest(this.#parents, MAX_PARENTS);
  }

  /** The node's newest processed block. */
  processed({ slot, hash }: SvmHead, receivedAt: number): void {
    const known = this.#known.get(hash);
    if (known === undefined) {
      this.#held.set(hash, { slot, hash, receivedAt });
      dropOldest(this.#held, MAX_HELD);
      this.#tell([]);
      return;
    }
    if (hash === this.#head?.hash) {
      this.#backSince = null;
      return;
    }
    if (this.#isBelowHead(known)) {
      this.#backSince ??= receivedAt;
      if (receivedAt - this.#backSince < BACK_MS) return;
    }
    this.#goTo(known, receivedAt);
  }

  /**
   * Confirmed blocks in their order; up to `upTo` there are no others that were not told. False: one builds on none that was told, so what
   * its parent's slot holds is to be asked for. Throws as `given` does.
   */
  confirmed(headers: readonly SvmAnnounced[], upTo: number, receivedAt: number): boolean {
    for (const header of headers) this.given(header);
    const fresh: Announcement[] = [];
    let orphan: SvmAnnounced | null = null;
    for (const header of headers) {
      if (this.#known.has(header.hash)) continue;
      if (!this.#known.has(header.parentHash) && fresh.at(-1)?.header.hash !== header.parentHash) {
        orphan = header;
        break;
      }
      fresh.push(announcement(header, "rpc", receivedAt));
    }
    if (orphan === null) {
      this.#confirmedSlot = upTo;
      // forks that lost are not waited for
      for (const [hash, { slot }] of this.#held) {
        if (slot <= upTo && !fresh.some(({ header }) => header.hash === hash)) this.#held.delete(hash);
      }
    } else {
      this.#told.delete(orphan.parentSlot);
      this.#confirmedSlot = Math.min(this.#confirmedSlot, orphan.parentSlot - 1);
    }
    this.#tell(fresh);
    return orphan === null;
  }

  /** One that was pushed when it was confirmed. False: it builds on none that was told. Throws as `given` does. */
  pushed(header: SvmAnnounced, receivedAt: number): boolean {
    this.given(header);
    if (!this.#known.has(header.hash) && !this.#known.has(header.parentHash)) return false;
    if (header.parentSlot > this.#confirmedSlot) {
      if (!this.#known.has(header.hash)) this.#tell([announcement(header, "slot", receivedAt)]);
      return true;
    }
    return this.confirmed([header], Math.max(this.#confirmedSlot, header.slot), receivedAt);
  }

  /** A confirmed block far above what was told; the floor above asks for what is between. */
  jump(header: SvmAnnounced, receivedAt: number): void {
    this.#confirmedSlot = header.slot;
    this.#held.clear();
    if (!this.#known.has(header.hash)) this.#tell([announcement(header, "rpc", receivedAt)]);
  }

  /** What the node made of the slot does not hold. */
  dead(slot: number, receivedAt: number): void {
    this.#parents.delete(slot);
    for (const [hash, held] of this.#held) if (held.slot === slot) this.#held.delete(hash);
    const head = this.#head;
    if (head?.slot !== slot) return;
    this.#told.delete(slot);
    const parent = this.#known.get(head.parentHash);
    if (parent !== undefined) this.#goTo(parent, receivedAt);
  }

  /** The block of `slot` on the branch of the node's head; null where it was not told or nobody knows its height. */
  pointAt(slot: number): ChainPoint | null {
    let at = this.#head ?? undefined;
    while (at !== undefined && at.slot > slot) at = this.#known.get(at.parentHash);
    return at?.slot === slot && at.height !== null ? { hash: at.hash, height: at.height } : null;
  }

  #goTo(header: SvmAnnounced, receivedAt: number): void {
    this.#backSince = null;
    this.#head = header;
    this.#told.set(header.slot, header);
    this.#modules.announce([announcement(header, "slot", receivedAt)]);
  }

  /** `fresh`, and what was held for want of them. */
  #tell(fresh: readonly Announcement[]): void {
    const batch = [...fresh];
    for (const { header } of fresh) this.#remember(header as SvmAnnounced);
    const waiting = [...this.#held.values()].sort((a, b) => a.slot - b.slot);
    for (const held of waiting) {
      const header = this.#known.get(held.hash) ?? this.#link(held);
      if (header === null) continue;
      this.#held.delete(held.hash);
      if (this.#known.has(held.hash)) continue;
      this.#remember(header);
      batch.push(announcement(header, "slot", held.receivedAt));
    }
    const last = batch.at(-1);
    if (last === undefined) return;
    this.#backSince = null;
    this.#head = last.header as SvmAnnounced;
    this.#modules.announce(batch);
  }

  /** Null where its parent is not known. */
  #link({ slot, hash }: Held): SvmAnnounced | null {
    const parentSlot = this.#parents.get(slot);
    const parent = parentSlot === undefined ? undefined : this.#told.get(parentSlot);
    if (parentSlot === undefined || parentSlot >= slot || parent === undefined) return null;
    return {
      hash,
      parentHash: parent.hash,
      height: parent.height === null ? null : parent.height + 1,
      locator: svmLocator(slot, hash),
      slot,
      parentSlot,
      timestamp: this.#modules.nowSeconds(),
    };
  }

  #remember(header: SvmAnnounced): void {
    this.#known.delete(header.hash);
    this.#known.set(header.hash, header);
    this.#told.delete(header.slot);
    this.#told.set(header.slot, header);
    dropOldest(this.#known, MAX_KNOWN);
    dropOldest(this.#told, MAX_KNOWN);
  }

  #isBelowHead({ hash, slot }: SvmAnnounced): boolean {
    let at = this.#head ?? undefined;
    while (at !== undefined && at.slot > slot) at = this.#known.get(at.parentHash);
    return at?.hash === hash;
  }
}

function announcement(header: SvmAnnounced, via: "slot" | "rpc", receivedAt: number): Announcement {
  return { header, via, receivedAt, txCount: null, body: null };
}

function dropOldest<K>(map: Map<K, unknown>, limit: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= limit) return;
    map.delete(oldest);
  }
}
