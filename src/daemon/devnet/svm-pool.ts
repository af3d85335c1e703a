/** Transactions that wait for a block, until one is final that holds them or their blockhash is too old. */
import type { SvmBank } from "./svm-bank.ts";
import type { SvmTransaction } from "./svm-transactions.ts";

/** `MAX_PROCESSING_AGE` */
export const MAX_BLOCKHASH_AGE = 150;
const MAX_WAITING = 1_000;

export class SvmPool {
  readonly #waiting = new Map<string, { readonly transaction: SvmTransaction; readonly lastHeight: number }>();

  get size(): number {
    return this.#waiting.size;
  }

  /** `lastHeight`: the last block that may hold it. False where there is no room. */
  add(transaction: SvmTransaction, lastHeight: number): boolean {
    if (this.#waiting.size >= MAX_WAITING) return false;
    this.#waiting.set(transaction.signature, { transaction, lastHeight });
    return true;
  }

  /** What a block on `parent` may hold: not what its branch has. A branch given up leaves its transactions to the next one. */
  candidates(parent: SvmBank, isDone: (signature: string) => boolean): SvmTransaction[] {
    return [...this.#waiting.values()]
      .filter(({ transaction, lastHeight }) => parent.height < lastHeight && !isDone(transaction.signature))
      .filter(({ transaction }) => isRecent(parent, transaction.message.recentBlockhash))
      .map(({ transaction }) => transaction);
  }

  /** Forgets what needs no other block any more. */
  settle(root: SvmBank, isFinal: (signature: string) => boolean): void {
    for (const [signature, { lastHeight }] of this.#waiting) {
      if (lastHeight < root.height || isFinal(signature)) this.#waiting.delete(signature);
    }
  }
}

/** The bank of that blockhash on `tip`'s branch, where it is young enough for a block on `tip`; null where not. */
export function recentBank(tip: SvmBank, blockhash: Uint8Array): SvmBank | null {
  let at: SvmBank | null = tip;
  for (let age = 0; age < MAX_BLOCKHASH_AGE && at !== null; age++, at = at.parent) {
    if (Buffer.compare(at.hash, blockhash) === 0) return at;
  }
  return null;
}

function isRecent(tip: SvmBank, blockhash: Uint8Array): boolean {
  return recentBank(tip, blockhash) !== null;
}
