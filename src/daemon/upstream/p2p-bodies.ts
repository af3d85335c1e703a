/**
 * Whole blocks, on demand: from the compact block that announced it where there is one (`getblocktxn` for what is missing),
 * else, or when that leads nowhere, by `getdata`.
 */
import type { Cancel, Clock } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import {
  type BlockTransactions,
  type CompactBlock,
  INV,
  type InventoryEntry,
  encodeGetBlockTransactions,
  encodeInventory,
} from "../wire/index.ts";
import { type Assembly, CompactStore, type TransactionPool } from "./compact.ts";
import type { Send } from "./p2p-handshake.ts";

export interface BodyAsksOptions {
  readonly url: string;
  /** The getdata type for a whole block that this peer understands. */
  readonly blockInvType: number;
  /** How long `blocktxn` is waited for before the whole block is asked for. */
  readonly compactTimeoutMs: number;
}

export interface BodyAsksModules {
  readonly send: Send;
  readonly clock: Clock;
  readonly pool: TransactionPool;
}

/** One block that is waited for; several may wait for the same. */
interface Ask {
  readonly waiters: Set<{ resolve(body: Uint8Array): void; reject(error: Error): void }>;
  /** While `blocktxn` is out. */
  assembly: Assembly | null;
  cancelCompact: Cancel;
}

export class BodyAsks {
  readonly #options: BodyAsksOptions;
  readonly #modules: BodyAsksModules;
  readonly #asks = new Map<string, Ask>();
  readonly #store: CompactStore;
  /** A block of this chain had an MWEB extension, which compact blocks leave out: ask for whole ones from then on. */
  #extended = false;

  constructor(options: BodyAsksOptions, modules: BodyAsksModules) {
    this.#options = options;
    this.#modules = modules;
    this.#store = new CompactStore(modules.pool);
  }

  isAwaited(hash: string): boolean {
    return this.#asks.has(hash);
  }

  keep(hash: string, block: CompactBlock<unknown>, sizeBytes: number): void {
    if (!this.#extended) this.#store.add(hash, block, sizeBytes);
  }

  ask(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const present = this.#asks.get(hash);
      const ask = present ?? { waiters: new Set(), assembly: null, cancelCompact: () => {} };
      const onAbort = () => {
        ask.waiters.delete(waiter);
        if (ask.waiters.size === 0) this.#end(hash, ask);
        reject(signal.reason as Error);
      };
      const settled = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          signal.removeEventListener("abort", onAbort);
          settle(value);
        };
      };
      const waiter = { resolve: settled(resolve), reject: settled(reject) };
      signal.addEventListener("abort", onAbort, { once: true });
      ask.waiters.add(waiter);
      if (present !== undefined) return;
      this.#asks.set(hash, ask);
      this.#begin(hash, ask);
    });
  }

  /** A whole block came. */
  receiveBlock(hash: string, body: Uint8Array): void {
    const ask = this.#asks.get(hash);
    if (ask === undefined) return;
    this.#end(hash, ask);
    for (const waiter of ask.waiters) waiter.resolve(body);
  }

  /** False where nobody asked for them. */
  receiveTransactions(message: BlockTransactions): boolean {
    const ask = this.#asks.get(message.blockHash);
    if (!ask?.assembly) return false;
    this.#complete(message.blockHash, ask, ask.assembly, message.transactions);
    return true;
  }

  receiveNotFound(entries: readonly InventoryEntry[]): void {
    for (const { hash } of entries) {
      const ask = this.#asks.get(hash);
      if (ask === undefined) continue;
      this.#end(hash, ask);
      for (const waiter of ask.waiters) waiter.reject(notFound(this.#options.url, hash));
    }
  }

  #begin(hash: string, ask: Ask): void {
    const assembly = this.#store.take(hash);
    if (assembly === null) return this.#askWhole(hash, ask);
    if (assembly.missing.length === 0) return this.#complete(hash, ask, assembly, []);
    ask.assembly = assembly;
    ask.cancelCompact = this.#modules.clock.after(this.#options.compactTimeoutMs, () => this.#askWhole(hash, ask));
    this.#modules.send("getblocktxn", encodeGetBlockTransactions({ blockHash: hash, indexes: assembly.missing }));
  }

  #complete(hash: string, ask: Ask, assembly: Assembly, transactions: readonly Uint8Array[]): void {
    const body = assembly.complete(transactions);
    const extended = body !== null && this.#options.blockInvType === INV.MWEB_BLOCK && endsWithHogEx(body);
    this.#extended ||= extended;
    if (body === null || extended) this.#askWhole(hash, ask);
    else this.receiveBlock(hash, body);
  }

  #askWhole(hash: string, ask: Ask): void {
    ask.cancelCompact();
    ask.assembly = null;
    this.#modules.send("getdata", encodeInventory([{ type: this.#options.blockInvType, hash }]));
  }

  #end(hash: string, ask: Ask): void {
    ask.cancelCompact();
    this.#asks.delete(hash);
  }
}

/** The script that commits to the extension block, in the first output of the last transaction: OP_8 and 32 bytes. Looked
 *  for as bytes near the end: where it is found by chance, the whole block is asked for once more, and nothing is lost. */
const HOGEX_SCRIPT = Buffer.from([0x22, 0x58, 0x20]);
/** A HogEx with many peg-outs may be longer than this; it is then looked at by who proves the body. */
const HOGEX_REACH_BYTES = 65_536;

function endsWithHogEx(body: Uint8Array): boolean {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).subarray(-HOGEX_REACH_BYTES).includes(HOGEX_SCRIPT);
}

export function notFound(url: string, hash: string): SprintError {
  return new SprintError("SPRINT_UPSTREAM_NOT_FOUND", `${url} does not have block ${hash}. Ask another upstream.`, {
    url,
    hash,
  });
}
