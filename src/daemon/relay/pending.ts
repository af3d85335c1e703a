/**
 * Who is told of which pending transactions. They come by the thousand, and most concern nobody: filters are found by what they name,
 * an address or a method, and only those found are held against the transaction.
 */
import type { PendingEntry } from "../../shared/events.ts";
import { hearsPending, pendingMatches } from "./filter.ts";
import type { Filter, PendingDraft } from "./types.ts";

interface Listener {
  readonly filter: Filter;
}

export class PendingListeners<L extends Listener> {
  /** Of all transactions. */
  readonly #all = new Set<L>();
  readonly #byAddress = new Map<string, Set<L>>();
  /** Those that name methods and no address. */
  readonly #bySelector = new Map<string, Set<L>>();
  /** Those that name neither. */
  readonly #others = new Set<L>();

  add(listener: L): void {
    for (const set of this.#placesOf(listener.filter, true)) set.add(listener);
  }

  remove(listener: L): void {
    const { pending } = listener.filter;
    for (const set of this.#placesOf(listener.filter, false)) set.delete(listener);
    for (const address of pending?.addresses ?? []) dropEmpty(this.#byAddress, address);
    for (const selector of pending?.selectors ?? []) dropEmpty(this.#bySelector, selector);
  }

  /** By listener what it is told, in the order of the event; all of it is the event's own list. Nobody is told of nothing. */
  pick({ chain, data: { transactions } }: PendingDraft): ReadonlyMap<L, readonly PendingEntry[]> {
    const picked = new Map<L, readonly PendingEntry[]>();
    if (transactions.length === 0) return picked;
    for (const listener of this.#all) if (hearsPending(listener.filter, chain)) picked.set(listener, transactions);
    const some = new Map<L, PendingEntry[]>();
    for (const entry of transactions) {
      const { evm } = entry;
      if (evm === undefined) continue;
      const { from, to, selector } = evm;
      this.#hold(entry, chain, this.#byAddress.get(from), some);
      if (to !== null && to !== from) this.#hold(entry, chain, this.#byAddress.get(to), some);
      if (selector !== null) this.#hold(entry, chain, this.#bySelector.get(selector), some);
      this.#hold(entry, chain, this.#others, some);
    }
    for (const [listener, entries] of some) picked.set(listener, entries);
    return picked;
  }

  #hold(entry: PendingEntry, chain: string, found: ReadonlySet<L> | undefined, some: Map<L, PendingEntry[]>): void {
    for (const listener of found ?? []) {
      const { filter } = listener;
      if (filter.pending === undefined || !pendingMatches(entry, filter.pending)) continue;
      const entries = some.get(listener);
      if (entries === undefined) {
        if (hearsPending(filter, chain)) some.set(listener, [entry]);
        // found by its other address before
      } else if (entries.at(-1) !== entry) entries.push(entry);
    }
  }

  #placesOf(filter: Filter, makes: boolean): readonly Set<L>[] {
    const { pending, types } = filter;
    if (types?.includes("pending_tx") !== true) return [];
    if (pending === undefined) return [this.#all];
    const at = (map: Map<string, Set<L>>, name: string): readonly Set<L>[] => {
      const known = map.get(name);
      if (known !== undefined || !makes) return known === undefined ? [] : [known];
      const made = new Set<L>();
      map.set(name, made);
      return [made];
    };
    if (pending.addresses.length > 0) return pending.addresses.flatMap((address) => at(this.#byAddress, address));
    if (pending.selectors.length > 0) return pending.selectors.flatMap((selector) => at(this.#bySelector, selector));
    return [this.#others];
  }
}

function dropEmpty(map: Map<string, Set<unknown>>, name: string): void {
  if (map.get(name)?.size === 0) map.delete(name);
}
