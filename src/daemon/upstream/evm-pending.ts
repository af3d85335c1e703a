/** Transactions that are in no block yet: read out of what a node pushes, and told in portions. */
import type { PendingTransaction } from "../../shared/body.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";

export interface PendingModules {
  readonly clock: Clock;
  readonly tell: (transactions: readonly PendingTransaction[]) => void;
}

/** What came in this time is told at once: a turn of the event loop for each would be dearer than what is done with it. */
const GATHER_MS = 20;
const MAX_GATHERED = 1024;
const HASH = /^0x[0-9a-f]{64}$/i;
const ADDRESS = /^0x[0-9a-f]{40}$/i;
const DATA = /^0x(?:[0-9a-f]{2})*$/i;
const QUANTITY = /^0x[0-9a-f]{1,64}$/i;

export class PendingGatherer {
  readonly #modules: PendingModules;
  #gathered: PendingTransaction[] = [];
  #cancel: Cancel | null = null;

  constructor(modules: PendingModules) {
    this.#modules = modules;
  }

  /** A hash, or a transaction as `eth_getTransactionByHash` gives it. What is neither is left out. */
  take(value: unknown): void {
    const transaction = pendingOf(value);
    if (transaction === null) return;
    this.#gathered.push(transaction);
    if (this.#gathered.length >= MAX_GATHERED) this.#tell();
    else this.#cancel ??= this.#modules.clock.after(GATHER_MS, () => this.#tell());
  }

  close(): void {
    this.#cancel?.();
    this.#gathered = [];
  }

  #tell(): void {
    this.#cancel?.();
    this.#cancel = null;
    const transactions = this.#gathered;
    this.#gathered = [];
    this.#modules.tell(transactions);
  }
}

export function pendingOf(value: unknown): PendingTransaction | null {
  if (typeof value === "string") return HASH.test(value) ? { txid: value.toLowerCase(), raw: null, evm: null } : null;
  if (typeof value !== "object" || value === null) return null;
  const fields = value as Readonly<Record<string, unknown>>;
  const { hash, from, to = null, input = fields["data"] ?? "0x", blobVersionedHashes = [] } = fields;
  const price = fields["gasPrice"];
  const amount = quantity(fields["value"]);
  const nonce = quantity(fields["nonce"]);
  const gas = quantity(fields["gas"]);
  const maxFee = quantity(fields["maxFeePerGas"] ?? price);
  const maxTip = quantity(fields["maxPriorityFeePerGas"] ?? price);
  if (!matches(hash, HASH) || !matches(from, ADDRESS) || !(to === null || matches(to, ADDRESS))) return null;
  if (amount === null || nonce === null || gas === null || maxFee === null || maxTip === null) return null;
  if (!matches(input, DATA) || !Array.isArray(blobVersionedHashes)) return null;
  if (nonce > MAX_COUNT || gas > MAX_COUNT) return null;
  return {
    txid: hash.toLowerCase(),
    raw: null,
    evm: {
      from: from.toLowerCase(),
      to: to === null ? null : to.toLowerCase(),
      valueWei: `${amount}`,
      nonce: Number(nonce),
      gasLimit: Number(gas),
      maxFeeWei: `${maxFee}`,
      maxTipWei: `${maxTip}`,
      selector: input.length >= 10 ? input.slice(0, 10).toLowerCase() : null,
      blobs: blobVersionedHashes.length,
    },
  };
}

const MAX_COUNT = BigInt(Number.MAX_SAFE_INTEGER);

function matches(value: unknown, form: RegExp): value is string {
  return typeof value === "string" && form.test(value);
}

function quantity(value: unknown): bigint | null {
  return matches(value, QUANTITY) ? BigInt(value) : null;
}
