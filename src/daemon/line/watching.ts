/** The watch lists of one chain: what clients name becomes what bodies are read for, and what is found there becomes `watch` events. */
import type { UnspentBody, UnspentQuery, WatchBody, WatchListBody } from "../../shared/api.ts";
import type { Movement, PendingTransaction, WatchSet } from "../../shared/body.ts";
import type { Chain, ChainFamily } from "../../shared/chain.ts";
import type { Clock } from "../../shared/clock.ts";
import { SprintError, isSprintError } from "../../shared/errors.ts";
import type { WatchData } from "../../shared/events.ts";
import { Wallet, decodeBase58, readTransaction, scriptOf } from "../chain/index.ts";
import type { IngestModules, TreeNode } from "../relay/index.ts";
import { WatchBook, type WatchList, type WatchRefusal, type WatchedOutput } from "../watch/index.ts";

export interface WatchingOptions {
  readonly chain: Chain;
  readonly family: ChainFamily;
  /** Whose address rules hold. */
  readonly network: string;
}

export interface WatchingModules {
  readonly clock: Clock;
  /** An event of a movement in the block `node`, or in none. */
  readonly onEvent: (data: WatchData) => void;
  /** Also where the bounds leave no room for a used wallet's further addresses: SPRINT_WATCH_ITEMS_FULL. */
  readonly onRefused: (chain: Chain, refusal: WatchRefusal) => void;
  /** Another set of items is watched. */
  readonly onChange: () => void;
}

/** Scripts of one extended key that are derived in one turn: each costs 0.6 ms. */
const DERIVED_AT_ONCE = 20;
const DEFAULT_CONFIRMATIONS = [1];
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const KEY_BYTES = 32;

/** What of the ingest and of upstreams it hears. */
export interface Watching extends Required<Pick<IngestModules, "onProved" | "onReverted" | "onTip" | "onFinal">> {
  /** What bodies and pending transactions are read for. The same object until it changes. */
  watch(): WatchSet;
  readonly isEmpty: boolean;
  pending(transactions: readonly PendingTransaction[]): void;
  /** Some of the items, each once, those of the newest lists first. */
  newest(most: number): readonly string[];
  /** Throws SPRINT_WATCH_*, SPRINT_ADDRESS_*, SPRINT_XPUB_*. */
  add(body: WatchBody): Promise<WatchListBody>;
  list(id: string): WatchListBody | null;
  lists(): readonly WatchListBody[];
  remove(id: string): boolean;
  unspent(id: string, query: UnspentQuery): UnspentBody | null;
  /** What bodies are looked through for on behalf of a list; null where there is none of that id. */
  itemsOf(id: string): readonly string[] | null;
}

export function createWatching(options: WatchingOptions, modules: WatchingModules): Watching {
  const { chain, family } = options;
  const { clock, onEvent, onRefused, onChange } = modules;
  const book = new WatchBook({ chain }, { onEvent, onRefused: (refusal) => onRefused(chain, refusal) });
  /** Extended keys of each list. */
  const wallets = new Map<string, readonly Wallet[]>();

  const itemOf = (text: string): string => {
    if (family === "utxo") return scriptOf(text, options);
    const fits = family === "evm" ? ADDRESS.test(text) : decodeBase58(text, KEY_BYTES) !== null;
    if (fits) return family === "evm" ? text.toLowerCase() : text;
    const expected = family === "evm" ? "0x and 40 hex digits" : "32 bytes in base58";
    throw refused("ITEM", `address of ${chain}: expected ${expected}, got ${text.slice(0, 80)}`);
  };

  return {
    watch: () => book.watch,
    get isEmpty() {
      return book.isEmpty;
    },
    pending(transactions) {
      if (book.isEmpty) return;
      for (const transaction of transactions) {
        const movements = movementsOf(transaction, book.live);
        if (movements.length > 0) book.pending(transaction.txid, movements);
      }
    },
    newest(most) {
      const items = new Set<string>();
      for (const list of book.lists().toReversed()) {
        for (const item of list.items) {
          if (items.size >= most) return [...items];
          items.add(item);
        }
      }
      return [...items];
    },
    onProved(node, reading) {
      const movements = reading?.movements ?? [];
      book.mined(node.block, movements);
      for (const movement of movements) if (movement.kind === "created") extendWallets(movement);
    },
    onReverted(nodes) {
      for (const node of nodes) book.reverted(node.block);
    },
    onTip: (node: TreeNode) => book.tip(node.block.height),
    onFinal: (node) => book.final(node.block.height),
    async add(body) {
      refuseOtherFamily(family, body);
      const { addresses = [], scripts = [], xpubs = [], topics = [], programs = [], id } = body;
      const opened = xpubs.map((key) => new Wallet({}, key, options));
      const items = [...addresses, ...scripts, ...programs].map(itemOf);
      for (const wallet of opened) items.push(...(await allOf(wallet, clock)));
      const list = book.add({
        ...(id === undefined ? {} : { id }),
        source: { addresses, scripts, xpubs, topics, programs },
        items,
        topics: topics.map((topic) => topic.toLowerCase()),
        confirmations: body.confirmations ?? DEFAULT_CONFIRMATIONS,
        createdAt: clock.wall(),
      });
      if (opened.length > 0) wallets.set(list.id, opened);
      onChange();
      return listBody(chain, list);
    },
    list(id) {
      const list = book.list(id);
      return list === null ? null : listBody(chain, list);
    },
    itemsOf: (id) => book.list(id)?.items ?? null,
    lists: () => book.lists().map((list) => listBody(chain, list)),
    remove(id) {
      wallets.delete(id);
      if (!book.remove(id)) return false;
      onChange();
      return true;
    },
    unspent(id, { item, limit, after }) {
      const list = book.list(id);
      if (list === null) return null;
      const script = itemOf(item);
      if (!list.items.includes(script))
        throw refused(
          "ITEM",
          `${item.slice(0, 100)} is not on the watch list ${id}; its items are what it was made of`,
        );
      const { outputs, nextAfter } = book.unspent(script, { limit, after });
      return { outputs: outputs.flatMap(unspentBody), next_after: nextAfter };
    },
  };

  /** A used address moves the gap of its wallet: as many new ones are watched behind it. */
  function extendWallets(movement: Movement): void {
    for (const [id, opened] of wallets) {
      for (const wallet of opened) if (wallet.used(movement.item)) extend(id, wallet, movement);
    }
  }

  /** Told, never thrown: a block goes on its way whatever a list has room for. */
  function extend(id: string, wallet: Wallet, movement: Movement): void {
    try {
      book.extend(id, wallet.fill(DERIVED_AT_ONCE * 2));
      onChange();
    } catch (error) {
      if (!isSprintError(error)) throw error;
      onRefused(chain, { code: error.code, message: error.message, movement });
    }
  }
}

/** What a transaction in no block does to what is watched. */
function movementsOf({ txid, raw, evm, mentions }: PendingTransaction, watch: WatchSet): readonly Movement[] {
  if (raw !== null) return readTransaction(raw, watch);
  const named = new Set(mentions ?? (evm === null ? [] : [evm.from, evm.to]));
  const value = evm?.valueWei ?? null;
  return [...named]
    .filter((item) => item !== null && watch.items.has(item))
    .map((item) => ({ item: item as string, txid, output: null, kind: "transaction", value, outpoint: null }));
}

/** Some at a time, so that blocks pass in between. */
async function allOf(wallet: Wallet, clock: Clock): Promise<readonly string[]> {
  const scripts: string[] = [];
  for (let more = wallet.fill(DERIVED_AT_ONCE); more.length > 0; more = wallet.fill(DERIVED_AT_ONCE)) {
    scripts.push(...more);
    await new Promise<void>((resolve) => clock.after(0, resolve));
  }
  return scripts;
}

const FAMILY_OF_FIELD = { scripts: "utxo", xpubs: "utxo", topics: "evm", programs: "svm" } as const;

function refuseOtherFamily(family: ChainFamily, body: WatchBody): void {
  for (const [field, belongs] of Object.entries(FAMILY_OF_FIELD)) {
    const given = body[field as keyof typeof FAMILY_OF_FIELD];
    if (given !== undefined && given.length > 0 && belongs !== family)
      throw refused("FAMILY", `${field} belong to another family of chains than this one (${family}); give addresses`);
  }
}

function listBody(chain: Chain, { id, source, items, topics, confirmations, createdAt }: WatchList): WatchListBody {
  return {
    id,
    chain,
    addresses: [...source.addresses],
    scripts: [...source.scripts],
    xpubs: [...source.xpubs],
    topics: [...source.topics],
    programs: [...source.programs],
    confirmations: [...confirmations],
    items: items.length + topics.length,
    created_at: new Date(createdAt).toISOString(),
  };
}

function unspentBody({ item, txid, output, value, created, spender }: WatchedOutput): UnspentBody["outputs"] {
  if (created === null) return [];
  const block = { hash: created.hash, height: created.height };
  return [{ item, txid, output, value, block, spending_txid: spender }];
}

function refused(what: string, message: string): SprintError {
  return new SprintError(`SPRINT_WATCH_${what}`, message);
}
