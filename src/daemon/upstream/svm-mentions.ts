/**
 * Transactions that mention something watched, told as soon as a node of Solana processes them. Validators take one mention a
 * subscription, so each item has its own. The proved body of a confirmed block tells the same: what is left out here is told later, not never.
 */
import type { PendingTransaction } from "../../shared/body.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { isSprintError } from "../../shared/errors.ts";
import { decodeBase58 } from "../chain/index.ts";
import { inParallel } from "./batches.ts";
import type { RpcSocket } from "./rpc-socket.ts";
import type { Notification } from "./rpc-socket-message.ts";
import { member, REFUSED, wrongShape } from "./svm-node.ts";
import { MAX_WATCHED } from "./types.ts";

/** What a feed listens for, whichever connection it has. */
export class WatchedItems {
  readonly #onUnwatched: (reason: string) => void;
  #items: readonly string[] = [];
  #isOver = false;
  #refusal: string | null = null;
  #said: string | null = null;
  /** Of the connection of now. */
  onChange: () => void = () => {};

  /** `onUnwatched` is told once why not everything is listened for, until that is over. */
  constructor(onUnwatched: (reason: string) => void) {
    this.#onUnwatched = onUnwatched;
  }

  get items(): readonly string[] {
    return this.#items;
  }

  /** Those that count most come first. */
  set(items: readonly string[]): void {
    this.#items = items.slice(0, MAX_WATCHED);
    this.#isOver = items.length > MAX_WATCHED;
    this.#tell();
    this.onChange();
  }

  /** Why the node's connection does not have all of them; null: it does. */
  refused(reason: string | null): void {
    this.#refusal = reason;
    this.#tell();
  }

  #tell(): void {
    const over = `more than ${MAX_WATCHED} accounts and programs are watched: those of the newest lists are listened for`;
    const reason = this.#refusal ?? (this.#isOver ? over : null);
    if (reason !== null && reason !== this.#said) this.#onUnwatched(reason);
    this.#said = reason;
  }
}

export interface MentionModules {
  readonly socket: Pick<RpcSocket, "subscribe" | "unsubscribe">;
  readonly watched: WatchedItems;
  readonly clock: Clock;
  readonly tell: (transactions: readonly PendingTransaction[]) => void;
}

interface Subscription {
  /** Null while it is asked for. */
  name: string | number | null;
  /** Since when its transactions are counted, and how many there were. */
  since: number;
  count: number;
  isBusy: boolean;
}

const PARALLEL = 8;
/** An item in more transactions than that, a program that everybody uses, would take the time that blocks need. */
const MAX_COUNTED = 2_000;
const COUNTED_MS = 10_000;
/** What came in this time is told at once. */
const GATHER_MS = 20;
const MAX_GATHERED = 1_024;
const SIGNATURE_BYTES = 64;
/** 64 zero bytes: nodes tell of simulations under this name. */
const NO_SIGNATURE = "1".repeat(SIGNATURE_BYTES);

/** One connection's subscriptions. */
export class SvmMentions {
  readonly #modules: MentionModules;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Items by transaction. */
  readonly #gathered = new Map<string, string[]>();
  #cancel: Cancel | null = null;

  constructor(modules: MentionModules) {
    this.#modules = modules;
  }

  /**
   * Subscribes to what is watched and lets go of what no longer is. Where the node refuses one, the others wait for the next change.
   * Not to be called again before it is done. Throws SPRINT_RPC_* where the connection is of no use.
   */
  async follow(signal: AbortSignal): Promise<void> {
    const { socket, watched } = this.#modules;
    const { items } = watched;
    const wanted = new Set(items);
    const gone = [...this.#subscriptions].filter(([item]) => !wanted.has(item));
    await inParallel(gone, PARALLEL, async ([item, subscription]) => {
      this.#subscriptions.delete(item);
      await this.#leave(subscription, signal);
      return [];
    });
    let refusal: string | null = null;
    const fresh = items.filter((item) => !this.#subscriptions.has(item));
    await inParallel(fresh, PARALLEL, async (item) => {
      if (refusal !== null) return [];
      const subscription: Subscription = { name: null, since: this.#modules.clock.now(), count: 0, isBusy: false };
      this.#subscriptions.set(item, subscription);
      try {
        const params = [{ mentions: [item] }, { commitment: "processed" }];
        const take = (told: Notification): void => this.#take(item, subscription, told);
        subscription.name = await socket.subscribe("logsSubscribe", params, take, { signal });
      } catch (error) {
        this.#subscriptions.delete(item);
        if (!isSprintError(error) || !REFUSED.has(error.code)) throw error;
        refusal = `not everything that is watched is listened for: ${error.message}`;
      }
      return [];
    });
    const busy = [...this.#subscriptions].filter(([, { isBusy }]) => isBusy);
    await inParallel(busy, PARALLEL, async ([, subscription]) => {
      await this.#leave(subscription, signal);
      return [];
    });
    watched.refused(refusal ?? busyReason(busy.map(([item]) => item)));
  }

  close(): void {
    this.#cancel?.();
    this.#gathered.clear();
  }

  async #leave(subscription: Subscription, signal: AbortSignal): Promise<void> {
    const { name } = subscription;
    subscription.name = null;
    if (name === null) return;
    try {
      await this.#modules.socket.unsubscribe("logsUnsubscribe", name, { signal });
    } catch (error) {
      // what the node does not know it will not tell
      if (!isSprintError(error) || !REFUSED.has(error.code)) throw error;
    }
  }

  #take(item: string, subscription: Subscription, told: Notification): void {
    if (subscription.isBusy) return;
    const txid = member(member(told.value(), "value"), "signature");
    if (typeof txid !== "string" || decodeBase58(txid, SIGNATURE_BYTES) === null)
      throw wrongShape("logsSubscribe", "a signature", txid);
    if (txid === NO_SIGNATURE) return;
    this.#count(subscription);
    const items = this.#gathered.get(txid);
    if (items === undefined) this.#gathered.set(txid, [item]);
    else if (!items.includes(item)) items.push(item);
    if (this.#gathered.size >= MAX_GATHERED) this.#tell();
    else this.#cancel ??= this.#modules.clock.after(GATHER_MS, () => this.#tell());
  }

  #count(subscription: Subscription): void {
    const now = this.#modules.clock.now();
    if (now - subscription.since >= COUNTED_MS) {
      subscription.since = now;
      subscription.count = 0;
    }
    if (++subscription.count <= MAX_COUNTED) return;
    subscription.isBusy = true;
    this.#modules.watched.onChange();
  }

  #tell(): void {
    this.#cancel?.();
    this.#cancel = null;
    const transactions = [...this.#gathered].map(([txid, mentions]) => ({ txid, raw: null, evm: null, mentions }));
    this.#gathered.clear();
    this.#modules.tell(transactions);
  }
}

function busyReason(items: readonly string[]): string | null {
  if (items.length === 0) return null;
  const often = `more than ${MAX_COUNTED} transactions in ${COUNTED_MS / 1_000} s`;
  return `${items.join(", ")}: in ${often}, which are not listened for any more and told when their blocks are confirmed`;
}
