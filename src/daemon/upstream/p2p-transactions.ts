/**
 * Loose transactions of a peer: it names them by `inv`, we ask for those that we have not heard of, and tell them in batches. All of it
 * gives way to blocks: questions and rate are bounded, and nothing is told in the turn in which it came.
 *
 *   inv ─▶ not asked before? ─▶ queue ─▶ getdata, some a second ─▶ tx ─▶ batch ─▶ told, every 50 ms at most
 *
 * At a bound the newest are not asked for: whoever watches hears of them from another upstream, or in their block.
 */
import type { PendingTransaction } from "../../shared/body.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { isSprintError } from "../../shared/errors.ts";
import { INV, type InventoryEntry, encodeInventory, transactionIdOf, witnessIdOf } from "../wire/index.ts";
import type { Send } from "./p2p-handshake.ts";

export interface TransactionAsksOptions {
  /** Chains with SegWit ask for the witness where the peer names the txid. */
  readonly witness: boolean;
  readonly perSecond?: number;
  readonly underWay?: number;
  readonly queued?: number;
  readonly remembered?: number;
}

export interface TransactionAsksModules {
  readonly send: Send;
  readonly clock: Clock;
  readonly onPending: (transactions: readonly PendingTransaction[]) => void;
}

/** Bitcoin's busiest days had some 20 a second. */
export const TRANSACTION_DEFAULTS = { perSecond: 200, underWay: 100, queued: 5_000, remembered: 50_000 } as const;
const BATCH_MS = 50;
/** A peer that did not answer by then will not. */
const PATIENCE_MS = 30_000;

export class TransactionAsks {
  readonly #options: TransactionAsksOptions & Required<Omit<TransactionAsksOptions, "witness">>;
  readonly #modules: TransactionAsksModules;
  readonly #seen: RecentSet;
  readonly #queue = new Map<string, number>();
  /** By the hash that was asked for, and when. */
  readonly #underWay = new Map<string, number>();
  #batch: PendingTransaction[] = [];
  #cancel: Cancel | null = null;
  /** Questions that may go out now. */
  #allowance: number;
  #allowedAt: number;

  constructor(options: TransactionAsksOptions, modules: TransactionAsksModules) {
    this.#options = { ...TRANSACTION_DEFAULTS, ...options };
    this.#modules = modules;
    this.#seen = new RecentSet(this.#options.remembered);
    this.#allowance = this.#options.perSecond;
    this.#allowedAt = modules.clock.now();
  }

  /** What an `inv` names. */
  heard(entries: readonly InventoryEntry[]): void {
    for (const { type, hash } of entries) {
      if (type !== INV.TX && type !== INV.WTX) continue;
      if (this.#queue.size >= this.#options.queued || !this.#seen.add(hash)) continue;
      this.#queue.set(hash, type === INV.TX && this.#options.witness ? INV.WITNESS_TX : type);
    }
    this.#pump();
  }

  /** False where nobody asked for it. */
  receive(raw: Uint8Array): boolean {
    const found = idsOf(raw);
    if (found === null || !(this.#underWay.delete(found.wtxid) || this.#underWay.delete(found.txid))) return false;
    // It is told once, whichever of its two names it has in the next inv.
    this.#seen.add(found.txid);
    this.#seen.add(found.wtxid);
    // The message lies in a chunk of the socket.
    this.#batch.push({ txid: found.txid, raw: Uint8Array.from(raw), evm: null });
    this.#pump();
    return true;
  }

  receiveNotFound(entries: readonly InventoryEntry[]): void {
    for (const { hash } of entries) this.#underWay.delete(hash);
    this.#pump();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#queue.clear();
    this.#batch = [];
  }

  #pump(): void {
    this.#ask();
    if (this.#cancel !== null || (this.#batch.length === 0 && this.#queue.size === 0)) return;
    this.#cancel = this.#modules.clock.after(BATCH_MS, () => {
      this.#cancel = null;
      const batch = this.#batch;
      this.#batch = [];
      if (batch.length > 0) this.#modules.onPending(batch);
      this.#pump();
    });
  }

  #ask(): void {
    if (this.#queue.size === 0) return;
    const { perSecond, underWay } = this.#options;
    const now = this.#modules.clock.now();
    this.#allowance = Math.min(perSecond, this.#allowance + ((now - this.#allowedAt) / 1_000) * perSecond);
    this.#allowedAt = now;
    for (const [hash, since] of this.#underWay) {
      if (now - since < PATIENCE_MS) break;
      this.#underWay.delete(hash);
    }
    const entries: InventoryEntry[] = [];
    for (const [hash, type] of this.#queue) {
      if (this.#allowance < 1 || this.#underWay.size >= underWay) break;
      this.#allowance--;
      this.#queue.delete(hash);
      this.#underWay.set(hash, now);
      entries.push({ type, hash });
    }
    if (entries.length > 0) this.#modules.send("getdata", encodeInventory(entries));
  }
}

/** The newest so many, give or take half. */
export class RecentSet {
  readonly #half: number;
  #newer = new Set<string>();
  #older = new Set<string>();

  constructor(size: number) {
    this.#half = Math.ceil(size / 2);
  }

  has(value: string): boolean {
    return this.#newer.has(value) || this.#older.has(value);
  }

  /** False where it was there already. */
  add(value: string): boolean {
    if (this.has(value)) return false;
    this.#newer.add(value);
    if (this.#newer.size >= this.#half) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return true;
  }
}

/** Display order. Null for what cannot be read: Litecoin's nodes relay transactions of the extension block, too. */
export function idsOf(raw: Uint8Array): { readonly txid: string; readonly wtxid: string } | null {
  try {
    return { txid: displayed(transactionIdOf(raw)), wtxid: displayed(witnessIdOf(raw)) };
  } catch (error) {
    if (isSprintError(error)) return null;
    throw error;
  }
}

function displayed(hash: Uint8Array): string {
  return Buffer.from(hash).reverse().toString("hex");
}
