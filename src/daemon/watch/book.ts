/**
 * The watch book of one chain. Each (list, item, transaction, output, kind) is a movement with a state of its own:
 *
 *   seen ─▶ mined ─▶ confirmed n, for each n asked for ─▶ final
 *             ▲  └─▶ reverted ─┐
 *             └────────────────┘   in that block or in another
 *
 * `seen` and `reverted` are waiting; `mined` begins with any block and ends with its leaving. A depth above finality is told after
 * `final`. Each change of state is told once, with the movement's next sequence number: 1 is `seen`, told or not, so that the
 * same blocks give the same numbers whatever was heard before them. `reverted` names the block that left. What is waiting or
 * finished may be forgotten at a bound, the oldest first; a movement that comes back after that begins at 1 or 2 again.
 */
import type { Movement, WatchSet } from "../../shared/body.ts";
import { SprintError } from "../../shared/errors.ts";
import type { WatchState } from "../../shared/events.ts";
import { WatchLists } from "./lists.ts";
import { Outputs } from "./outputs.ts";
import type {
  SavedTrack,
  UnspentPage,
  WatchBlock,
  WatchList,
  WatchListDraft,
  WatchModules,
  WatchOptions,
  WatchSaved,
} from "./types.ts";

const DEFAULTS = {
  maxLists: 1_000,
  maxListItems: 10_000,
  maxItems: 100_000,
  maxMovements: 100_000,
  maxWaiting: 20_000,
  keepFinished: 10_000,
  maxOutputs: 100_000,
};

interface Track extends SavedTrack {
  readonly key: string;
  state: SavedTrack["state"];
  sequence: number;
  confirmed: number;
  block: WatchBlock | null;
  finished: boolean;
}

/** A block of the best chain whose movements are not all finished. */
interface Page {
  readonly block: WatchBlock;
  readonly tracks: Set<Track>;
  /** Nothing is due before the tip has this height, unless the block becomes final. */
  dueHeight: number;
  isFinal: boolean;
}

export class WatchBook {
  readonly #options: Required<WatchOptions>;
  readonly #modules: WatchModules;
  readonly #lists: WatchLists;
  readonly #outputs: Outputs;
  readonly #tracks = new Map<string, Track>();
  readonly #seen = new Set<Track>();
  readonly #reverted = new Set<Track>();
  readonly #finished = new Set<Track>();
  /** By block hash, in the order in which they came. */
  readonly #pages = new Map<string, Page>();
  #watch: WatchSet | null = null;
  #tip = -1;
  #final = -1;

  constructor(options: WatchOptions, modules: WatchModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#modules = modules;
    this.#lists = new WatchLists(this.#options);
    this.#outputs = new Outputs(this.#options.maxOutputs);
  }

  /** Goes on where `saved` was taken. Throws SPRINT_WATCH_SAVED where it is another chain's or of another version. */
  static restore(saved: WatchSaved, options: WatchOptions, modules: WatchModules): WatchBook {
    if (saved.version !== 1 || saved.chain !== options.chain) {
      const message = `saved watch book: expected version 1 of ${options.chain}, got ${saved.version} of ${saved.chain}`;
      throw new SprintError("SPRINT_WATCH_SAVED", message, { expected: options.chain, actual: saved.chain });
    }
    const book = new WatchBook(options, modules);
    book.#load(saved);
    return book;
  }

  /**
   * What to look for in bodies. The same object until it changes. Outputs of a block are in it once the block was told: of the
   * Bitcoin family the body of the next one is read after that.
   */
  get watch(): WatchSet {
    const { items, topics } = this.#lists.union;
    const { outpoints } = this.#outputs;
    const { items: itemsBefore, topics: topicsBefore, outpoints: outpointsBefore } = this.#watch ?? {};
    if (this.#watch === null || items !== itemsBefore || topics !== topicsBefore || outpoints !== outpointsBefore) {
      this.#watch = Object.freeze({ items, topics, outpoints });
    }
    return this.#watch;
  }

  /** The same, as it is at each moment: for what is read at once, as pending transactions are. It costs nothing, whatever changes. */
  get live(): WatchSet {
    return { ...this.#lists.union, outpoints: this.#outputs.live };
  }

  /** True where nobody watches anything. */
  get isEmpty(): boolean {
    return this.#lists.isEmpty;
  }

  /** Throws SPRINT_WATCH_EMPTY, _ID, _EXISTS, _DEPTH, _LISTS_FULL, _ITEMS_FULL. */
  add(draft: WatchListDraft): WatchList {
    return this.#lists.add(draft);
  }

  /** Adds items to a list, as the addresses of an extended key are used up. Throws SPRINT_WATCH_UNKNOWN, _ITEMS_FULL. */
  extend(id: string, items: readonly string[]): WatchList {
    return this.#lists.extend(id, items);
  }

  /** False where there is no such list. Nothing more is told of it. */
  remove(id: string): boolean {
    if (!this.#lists.remove(id)) return false;
    for (const track of this.#tracks.values()) if (track.list === id) this.#forget(track);
    for (const [hash, { tracks }] of this.#pages) if (tracks.size === 0) this.#pages.delete(hash);
    this.#outputs.keepOnly((item) => this.#lists.has(item));
    return true;
  }

  list(id: string): WatchList | null {
    return this.#lists.get(id);
  }

  /** In the order in which they were added. */
  lists(): readonly WatchList[] {
    return this.#lists.all();
  }

  /** Outputs of a script that are known and unspent on the best chain; `after` is `nextAfter` of the page before, 0 for the first. */
  unspent(item: string, page: { readonly limit: number; readonly after: number }): UnspentPage {
    return this.#outputs.unspent(item, page);
  }

  /** A transaction that is in no block does this. */
  pending(txid: string, movements: readonly Movement[]): void {
    for (const movement of movements) {
      if (movement.txid !== txid || !this.#lists.has(movement.item)) continue;
      if (!this.#outputs.apply(movement, null, this.#final)) this.#refuseOutput(movement);
      for (const list of this.#lists.of(movement.item)) {
        if (this.#tracks.has(keyOf(list.id, movement))) continue;
        const track = this.#begin(list.id, movement);
        this.#wait(this.#seen, track);
        this.#tell(track, "seen", 0);
      }
    }
  }

  /** A block of the best chain is proved and does this; those before it were told, and those it replaces told as reverted. */
  mined({ hash, height }: WatchBlock, movements: readonly Movement[]): void {
    const block = { hash, height };
    this.#tip = Math.max(this.#tip, height);
    const page = this.#pages.get(hash) ?? { block, tracks: new Set<Track>(), dueHeight: height, isFinal: false };
    for (const movement of movements) {
      if (!this.#lists.has(movement.item)) continue;
      if (!this.#outputs.apply(movement, block, this.#final)) this.#refuseOutput(movement);
      for (const list of this.#lists.of(movement.item)) this.#mine(list.id, movement, page);
    }
    if (page.tracks.size === 0) return;
    this.#pages.set(hash, page);
    page.dueHeight = height;
    this.#settle(page);
  }

  /** A block left the best chain. One that is final does not, and one that was never told did nothing. */
  reverted({ hash, height }: WatchBlock): void {
    if (height <= this.#final) return;
    this.#outputs.reverted(hash);
    const page = this.#pages.get(hash);
    if (page === undefined) return;
    this.#pages.delete(hash);
    for (const track of [...page.tracks].reverse()) this.#revert(track);
  }

  /** Height of the best chain's tip. Depths told are not told again where it goes back and forth. */
  tip(height: number): void {
    this.#tip = height;
    for (const page of this.#pages.values()) if (page.dueHeight <= height) this.#settle(page);
  }

  /** No fork can undo blocks up to this height any more. */
  final(height: number): void {
    if (height <= this.#final) return;
    this.#final = height;
    this.#tip = Math.max(this.#tip, height);
    for (const page of this.#pages.values()) if (!page.isFinal && page.block.height <= height) this.#settle(page);
    this.#outputs.final(height);
  }

  save(): WatchSaved {
    const inBlocks = [...this.#pages.values()].flatMap(({ tracks }) => [...tracks]);
    const tracks = [...this.#seen, ...this.#reverted, ...inBlocks, ...this.#finished].map(
      ({ list, movement, state, sequence, confirmed, block, finished }): SavedTrack => {
        return { list, movement, state, sequence, confirmed, block, finished };
      },
    );
    return {
      version: 1,
      chain: this.#options.chain,
      tip: this.#tip,
      final: this.#final,
      nextList: this.#lists.nextList,
      lists: this.lists(),
      tracks,
      outputs: this.#outputs.save(),
    };
  }

  #load({ tip, final, nextList, lists, tracks, outputs }: WatchSaved): void {
    this.#tip = tip;
    this.#final = final;
    for (const list of lists) this.#lists.add(list);
    this.#lists.nextList = nextList;
    this.#outputs.load(outputs, final);
    for (const saved of tracks) {
      const track: Track = { ...saved, key: keyOf(saved.list, saved.movement) };
      this.#tracks.set(track.key, track);
      if (track.finished) this.#finished.add(track);
      else if (track.block === null) (track.state === "seen" ? this.#seen : this.#reverted).add(track);
      else {
        const { block } = track;
        const page = this.#pages.get(block.hash) ?? { block, tracks: new Set(), dueHeight: 0, isFinal: false };
        page.tracks.add(track);
        this.#pages.set(block.hash, page);
      }
    }
    // What became due is told already; this finds what is due next.
    for (const page of this.#pages.values()) this.#settle(page);
  }

  #mine(list: string, movement: Movement, page: Page): void {
    const known = this.#tracks.get(keyOf(list, movement));
    if (known?.state === "final" || known?.block?.hash === page.block.hash) return;
    if (known === undefined && !this.#hasRoom(movement)) return;
    if (known !== undefined && known.block !== null) {
      // told in another block that nobody said had left: it cannot be in both
      this.#pages.get(known.block.hash)?.tracks.delete(known);
      this.#revert(known);
    }
    const track = known ?? this.#begin(list, movement);
    this.#seen.delete(track);
    this.#reverted.delete(track);
    track.state = "mined";
    track.block = page.block;
    track.sequence++;
    page.tracks.add(track);
    this.#tell(track, "mined", this.#depth(page));
  }

  /** Tells what is due for a block, and closes its page where nothing is left. */
  #settle(page: Page): void {
    const depth = this.#depth(page);
    page.isFinal = page.block.height <= this.#final;
    let next = Infinity;
    for (const track of page.tracks) {
      const depths = this.#lists.get(track.list)?.confirmations ?? [];
      for (let due = depths[track.confirmed]; due !== undefined && due <= depth; due = depths[track.confirmed]) {
        track.confirmed++;
        track.sequence++;
        this.#tell(track, "confirmed", due);
      }
      if (page.isFinal && track.state === "mined") {
        track.state = "final";
        track.sequence++;
        this.#tell(track, "final", depth);
      }
      const due = depths[track.confirmed];
      if (due !== undefined) next = Math.min(next, due);
      else if (page.isFinal) this.#finish(page, track);
    }
    page.dueHeight = page.block.height + next - 1;
    if (page.tracks.size === 0) this.#pages.delete(page.block.hash);
  }

  #finish(page: Page, track: Track): void {
    page.tracks.delete(track);
    track.finished = true;
    this.#finished.add(track);
    if (this.#finished.size > this.#options.keepFinished) this.#forgetOldest(this.#finished);
  }

  #revert(track: Track): void {
    track.sequence++;
    this.#tell(track, "reverted", 0);
    track.state = "reverted";
    track.confirmed = 0;
    track.block = null;
    this.#wait(this.#reverted, track);
  }

  #begin(list: string, movement: Movement): Track {
    const key = keyOf(list, movement);
    const track: Track = {
      key,
      list,
      movement,
      state: "seen",
      sequence: 1,
      confirmed: 0,
      block: null,
      finished: false,
    };
    this.#tracks.set(key, track);
    return track;
  }

  #wait(waiting: Set<Track>, track: Track): void {
    waiting.add(track);
    if (waiting.size > this.#options.maxWaiting) this.#forgetOldest(waiting);
  }

  #forgetOldest(tracks: ReadonlySet<Track>): void {
    const [oldest] = tracks;
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(track: Track): void {
    this.#tracks.delete(track.key);
    this.#seen.delete(track);
    this.#reverted.delete(track);
    this.#finished.delete(track);
    if (track.block !== null) this.#pages.get(track.block.hash)?.tracks.delete(track);
  }

  /** Whether a further movement may be in a block; refuses it where not. */
  #hasRoom(movement: Movement): boolean {
    const { maxMovements } = this.#options;
    if (this.#tracks.size - this.#seen.size - this.#reverted.size - this.#finished.size < maxMovements) return true;
    const message = `expected at most ${maxMovements} movements that are not final: ${movement.txid} is not told`;
    this.#modules.onRefused?.({ code: "SPRINT_WATCH_MOVEMENTS_FULL", message, movement });
    return false;
  }

  #refuseOutput(movement: Movement): void {
    const message = `expected at most ${this.#options.maxOutputs} watched outputs: the spend of ${movement.txid}:${movement.output} will not be told`;
    this.#modules.onRefused?.({ code: "SPRINT_WATCH_OUTPUTS_FULL", message, movement });
  }

  #depth({ block }: Page): number {
    return Math.max(1, this.#tip - block.height + 1);
  }

  #tell({ list, movement, block, sequence }: Track, state: WatchState, confirmations: number): void {
    const { item, txid, output, kind, value, outpoint } = movement;
    const data = { list, item, txid, output, kind, state, confirmations, value, outpoint, block, sequence };
    this.#modules.onEvent(data);
  }
}

function keyOf(list: string, { item, txid, output, kind }: Movement): string {
  return `${list} ${kind} ${txid} ${output} ${item}`;
}
