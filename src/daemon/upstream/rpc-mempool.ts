/**
 * A node's mempool in figures. Its size and least fee cost one small call. Fees need every transaction: the names of all, and then an entry for
 * each that is new since the last time, in small batches, which hold neither the node nor us up as one verbose answer of megabytes would.
 */
import { setImmediate } from "node:timers/promises";
import { SprintError, isSprintError } from "../../shared/errors.ts";
import type { RpcClient } from "./jsonrpc.ts";
import { type MempoolEntry, histogramOf, templateOf } from "./mempool-figures.ts";
import { member, wrongShape } from "./rpc-shape.ts";
import type { MempoolFigures } from "./types.ts";

export interface RpcMempoolOptions {
  /** Of a larger mempool only the size is told. */
  readonly maxTransactions?: number;
  /** Entries asked for in one look: a large mempool takes a few looks until it is known. */
  readonly maxFetched?: number;
}

export interface RpcMempoolModules {
  readonly client: Pick<RpcClient, "call" | "batch">;
}

const DEFAULTS = { maxTransactions: 20_000, maxFetched: 5_000 } as const;
const BATCH = 100;
const MAX_RESPONSE_BYTES = 8 * 1024 * 1024;
const UNITS = 100_000_000;
const TXID = /^[0-9a-f]{64}$/;
/** What a node, or a proxy before it, says that does not give this. */
const UNSERVED: ReadonlySet<string> = new Set([
  "SPRINT_RPC_ERROR",
  "SPRINT_RPC_METHOD_MISSING",
  "SPRINT_RPC_FORBIDDEN",
]);

export class RpcMempool {
  readonly #options: Required<RpcMempoolOptions>;
  readonly #client: RpcMempoolModules["client"];
  #entries = new Map<string, MempoolEntry>();

  constructor(options: RpcMempoolOptions, modules: RpcMempoolModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#client = modules.client;
  }

  /** Histogram and template are empty and null until all entries are known. Throws SPRINT_UPSTREAM_UNSUPPORTED where the node tells nothing. */
  async figures(signal: AbortSignal): Promise<MempoolFigures> {
    const info = await this.#served("getmempoolinfo", signal);
    const transactions = number("getmempoolinfo", info, "size");
    const bytes = number("getmempoolinfo", info, "bytes");
    const least = member(info, "mempoolminfee");
    const size = {
      transactions,
      bytes,
      minFeeRate: typeof least === "number" ? Math.round(least * UNITS) / 1_000 : null,
    };
    const known = transactions <= this.#options.maxTransactions && (await this.#refresh(signal));
    if (!known) return { ...size, histogram: [], template: null };
    const histogram = histogramOf(this.#entries.values());
    return { ...size, histogram, template: await templateOf(this.#entries, setImmediate) };
  }

  /** False where entries are still missing. */
  async #refresh(signal: AbortSignal): Promise<boolean> {
    const names = await this.#names(signal);
    const entries = new Map<string, MempoolEntry>();
    const missing: string[] = [];
    for (const txid of names) {
      const entry = this.#entries.get(txid);
      if (entry === undefined) missing.push(txid);
      else entries.set(txid, entry);
    }
    this.#entries = entries;
    const wanted = missing.slice(0, this.#options.maxFetched);
    for (let at = 0; at < wanted.length; at += BATCH) await this.#fetch(wanted.slice(at, at + BATCH), signal);
    return wanted.length === missing.length;
  }

  async #names(signal: AbortSignal): Promise<readonly string[]> {
    const names = await this.#client.call("getrawmempool", [], { signal, maxResponseBytes: MAX_RESPONSE_BYTES });
    if (!Array.isArray(names)) throw wrongShape("getrawmempool", "a list of ids", names);
    return names.filter((name: unknown): name is string => typeof name === "string" && TXID.test(name));
  }

  /** One that has left the mempool meanwhile has no entry. */
  async #fetch(txids: readonly string[], signal: AbortSignal): Promise<void> {
    const options = { signal, maxResponseBytes: MAX_RESPONSE_BYTES };
    const outcomes = await this.#client.batch(
      "getmempoolentry",
      txids.map((txid) => [txid]),
      options,
    );
    for (const [at, txid] of txids.entries()) {
      const outcome = outcomes[at];
      if (outcome?.ok) this.#entries.set(txid, entryIn(outcome.result));
    }
  }

  async #served(method: string, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#client.call(method, [], { signal });
    } catch (cause) {
      if (!isSprintError(cause) || !UNSERVED.has(cause.code)) throw cause;
      throw new SprintError(
        "SPRINT_UPSTREAM_UNSUPPORTED",
        `the node does not tell of its mempool: ${cause.message}`,
        {},
        { cause },
      );
    }
  }
}

/** Nodes from before SegWit have `size` and `fee` at the top. */
function entryIn(entry: unknown): MempoolEntry {
  const method = "getmempoolentry";
  const vsize = number(method, entry, member(entry, "vsize") === undefined ? "size" : "vsize");
  const fees = member(entry, "fees");
  const coins = fees === undefined ? number(method, entry, "fee") : number(method, fees, "base");
  const weight = member(entry, "weight");
  const depends = member(entry, "depends");
  if (vsize === 0) throw wrongShape(method, "a size", entry);
  return {
    vsize,
    weight: typeof weight === "number" ? weight : 4 * vsize,
    fee: Math.round(coins * UNITS),
    depends: Array.isArray(depends) ? depends.filter((name) => typeof name === "string") : [],
  };
}

function number(method: string, value: unknown, name: string): number {
  const found = member(value, name);
  if (typeof found === "number" && Number.isFinite(found) && found >= 0) return found;
  throw wrongShape(method, `a number as ${name}`, value);
}
