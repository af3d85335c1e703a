/** The watch lists of one chain, and which of them an item concerns. */
import { SprintError } from "../../shared/errors.ts";
import { WATCH_LIMITS, WATCH_LIST_ID } from "../../shared/watch-api.ts";
import type { WatchList, WatchListDraft } from "./types.ts";

export interface ListBounds {
  readonly maxLists: number;
  readonly maxListItems: number;
  readonly maxItems: number;
}

const ID = new RegExp(WATCH_LIST_ID);

export class WatchLists {
  readonly #bounds: ListBounds;
  readonly #lists = new Map<string, WatchList>();
  /** Item or topic → lists that have it, in the order in which they came. */
  readonly #byItem = new Map<string, Set<WatchList>>();
  /** Null where they have changed since they were asked for. */
  #union: { readonly items: ReadonlySet<string>; readonly topics: ReadonlySet<string> } | null = null;
  /** Number of the next list without a name; never given twice. */
  nextList = 1;

  constructor(bounds: ListBounds) {
    this.#bounds = bounds;
  }

  /** What all lists together look for; other sets after each change. */
  get union(): { readonly items: ReadonlySet<string>; readonly topics: ReadonlySet<string> } {
    if (this.#union === null) {
      const lists = this.all();
      const items = new Set(lists.flatMap((list) => list.items));
      this.#union = { items, topics: new Set(lists.flatMap(({ topics }) => topics)) };
    }
    return this.#union;
  }

  get isEmpty(): boolean {
    return this.#byItem.size === 0;
  }

  get(id: string): WatchList | null {
    return this.#lists.get(id) ?? null;
  }

  all(): readonly WatchList[] {
    return [...this.#lists.values()];
  }

  /** Lists that watch `item`. */
  of(item: string): Iterable<WatchList> {
    return this.#byItem.get(item) ?? [];
  }

  has(item: string): boolean {
    return this.#byItem.has(item);
  }

  /** Throws SPRINT_WATCH_EMPTY, _ID, _EXISTS, _DEPTH, _LISTS_FULL, _ITEMS_FULL; then nothing has changed. */
  add(draft: WatchListDraft): WatchList {
    const id = draft.id ?? this.#freeId();
    if (!ID.test(id)) throw refused("ID", `id of a watch list: expected ${WATCH_LIST_ID}, got ${id}`);
    if (this.#lists.has(id))
      throw refused("EXISTS", `a watch list ${id} is there already: choose another id, or delete it`);
    const { maxLists } = this.#bounds;
    if (this.#lists.size >= maxLists) {
      throw refused("LISTS_FULL", `expected at most ${maxLists} watch lists on this chain: delete one first`);
    }
    const confirmations = [...new Set(draft.confirmations)].sort((a, b) => a - b);
    const isDepth = (n: number): boolean => Number.isInteger(n) && n >= 1 && n <= WATCH_LIMITS.depth;
    if (confirmations.length > WATCH_LIMITS.confirmations || !confirmations.every(isDepth)) {
      const expected = `at most ${WATCH_LIMITS.confirmations} whole numbers from 1 to ${WATCH_LIMITS.depth}`;
      throw refused("DEPTH", `confirmations: expected ${expected}, got ${confirmations.join(", ")}`);
    }
    const list: WatchList = { ...draft, ...distinct(draft), id, confirmations };
    if (list.items.length + list.topics.length === 0)
      throw refused("EMPTY", "expected something to watch, got nothing");
    this.#put(list);
    if (draft.id === undefined) this.nextList++;
    return list;
  }

  /** Adds items to a list (further scripts of an extended key). Throws SPRINT_WATCH_UNKNOWN, _ITEMS_FULL; then nothing has changed. */
  extend(id: string, items: readonly string[]): WatchList {
    const before = this.#lists.get(id);
    if (before === undefined) throw refused("UNKNOWN", `no watch list ${id} on this chain`);
    const list: WatchList = { ...before, ...distinct({ items: [...before.items, ...items], topics: before.topics }) };
    this.#put(list);
    return list;
  }

  remove(id: string): boolean {
    const list = this.#lists.get(id);
    if (list === undefined) return false;
    this.#unindex(list);
    this.#lists.delete(id);
    this.#union = null;
    return true;
  }

  /** Takes the list in, in the place of the one with its id. */
  #put(list: WatchList): void {
    const { maxListItems, maxItems } = this.#bounds;
    const own = [...list.items, ...list.topics];
    const total = this.#byItem.size + own.filter((item) => !this.#byItem.has(item)).length;
    if (own.length > maxListItems || total > maxItems) {
      const message = `expected at most ${maxListItems} items in a list and ${maxItems} on the chain, got ${own.length} and ${total}`;
      throw refused("ITEMS_FULL", message);
    }
    const before = this.#lists.get(list.id);
    if (before !== undefined) this.#unindex(before);
    this.#lists.set(list.id, list);
    for (const item of own) {
      const lists = this.#byItem.get(item);
      if (lists === undefined) this.#byItem.set(item, new Set([list]));
      else lists.add(list);
    }
    this.#union = null;
  }

  #unindex(list: WatchList): void {
    for (const item of [...list.items, ...list.topics]) {
      const lists = this.#byItem.get(item);
      lists?.delete(list);
      if (lists?.size === 0) this.#byItem.delete(item);
    }
  }

  #freeId(): string {
    while (this.#lists.has(`list-${this.nextList}`)) this.nextList++;
    return `list-${this.nextList}`;
  }
}

function distinct({ items, topics }: Pick<WatchList, "items" | "topics">): Pick<WatchList, "items" | "topics"> {
  return { items: [...new Set(items)], topics: [...new Set(topics)] };
}

function refused(what: string, message: string): SprintError {
  return new SprintError(`SPRINT_WATCH_${what}`, message);
}
