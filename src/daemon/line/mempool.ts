/** Transactions that are in no block yet, of one chain: each once, however many upstreams tell it, in batches as they come. */
import type { PendingEvm, PendingTransaction } from "../../shared/body.ts";
import type { PendingEntry } from "../../shared/events.ts";

export interface MempoolModules {
  /** Those heard of for the first time. */
  readonly onHeard: (entries: readonly PendingEntry[], transactions: readonly PendingTransaction[]) => void;
  /** Those heard of again that say what they mention: it may be more than before. */
  readonly onMentioned: (transactions: readonly PendingTransaction[]) => void;
}

/** Ids remembered in each of two halves: when one is full, the older is forgotten. */
const HALF = 100_000;

export class Mempool {
  readonly #modules: MempoolModules;
  #newer = new Set<string>();
  #older = new Set<string>();

  constructor(modules: MempoolModules) {
    this.#modules = modules;
  }

  heard(upstream: string, transactions: readonly PendingTransaction[]): void {
    const { onHeard, onMentioned } = this.#modules;
    const fresh: PendingTransaction[] = [];
    const mentioned: PendingTransaction[] = [];
    for (const transaction of transactions) {
      if (this.#isNew(transaction.txid)) fresh.push(transaction);
      else if (transaction.mentions !== undefined) mentioned.push(transaction);
    }
    if (fresh.length > 0) {
      const entries = fresh.map((transaction) => entryOf(upstream, transaction));
      onHeard(entries, fresh);
    }
    if (mentioned.length > 0) onMentioned(mentioned);
  }

  #isNew(txid: string): boolean {
    if (this.#newer.has(txid) || this.#older.has(txid)) return false;
    this.#newer.add(txid);
    if (this.#newer.size >= HALF) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return true;
  }
}

function entryOf(upstream: string, { txid, raw, evm }: PendingTransaction): PendingEntry {
  return {
    txid,
    upstream,
    ...(evm === null ? {} : { evm: evmEntry(evm) }),
    ...(raw === null ? {} : { size_bytes: raw.length }),
  };
}

function evmEntry(evm: PendingEvm): NonNullable<PendingEntry["evm"]> {
  const { from, to, valueWei, nonce, gasLimit, maxFeeWei, maxTipWei, selector, blobs } = evm;
  const price = { value_wei: valueWei, gas_limit: gasLimit, max_fee_wei: maxFeeWei, max_tip_wei: maxTipWei };
  return { from, to, nonce, ...price, selector, blobs };
}
