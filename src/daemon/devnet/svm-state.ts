/** Accounts over branches: each bank holds what it changed, and what is older than all banks lies below. */
import { type SvmBank } from "./svm-bank.ts";
import type { SvmAccount, SvmAccounts } from "./svm-execute.ts";

/** What would be one account more than these comes to nothing. */
const MAX_ACCOUNTS = 100_000;

export class SvmState {
  readonly #settled: Map<string, SvmAccount>;
  /** What some bank may have changed: programs and the like are not looked for in each. */
  readonly #touched = new Set<string>();

  constructor(genesis: ReadonlyMap<string, SvmAccount>) {
    this.#settled = new Map(genesis);
  }

  /** The account as it is after `bank`. */
  at(bank: SvmBank | null, address: string): SvmAccount | undefined {
    for (let each = this.#touched.has(address) ? bank : null; each !== null; each = each.parent) {
      const changed = each.changes.get(address);
      if (changed !== undefined) return changed;
    }
    return this.#settled.get(address);
  }

  /** Accounts on top of `parent`; what is set goes into `changes`. */
  on(parent: SvmBank | null, changes: Map<string, SvmAccount>): SvmAccounts {
    return {
      get: (address) => changes.get(address) ?? this.at(parent, address),
      set: (address, account) => {
        const isOneTooMany = this.#touched.size >= MAX_ACCOUNTS && !this.#touched.has(address);
        if (isOneTooMany) return;
        this.#touched.add(address);
        changes.set(address, account);
      },
    };
  }

  /** Takes over what a final bank changed that is not kept any longer. */
  settle(bank: SvmBank): void {
    for (const [address, account] of bank.changes) this.#settled.set(address, account);
  }
}
