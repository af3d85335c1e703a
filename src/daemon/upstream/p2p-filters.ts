/**
 * Block filters (BIP 157), for those who look for their own scripts without telling us which. One range at a time: what its headers
 * are, then its filters, each held against its hash. Whether the headers are right, one node alone cannot prove: ask another.
 */
import { SprintError } from "../../shared/errors.ts";
import { filterHash, filterHeaders } from "../chain/index.ts";
import {
  BASIC_FILTER,
  type BlockFilter,
  type FilterHeaders,
  decodeFilter,
  decodeFilterHeaders,
  encodeGetFilters,
} from "../wire/index.ts";
import type { Send } from "./p2p-handshake.ts";
import type { FilterRange, FilterRun } from "./types.ts";

/** Blocks of one request: filters of full blocks have 20-30 kB. */
const MAX_BLOCKS = 100;
/** Ranges that wait. */
const MAX_WAITING = 8;

interface Ask {
  readonly range: FilterRange;
  readonly resolve: (run: FilterRun) => void;
  /** Set when `cfheaders` came. */
  headers: FilterHeaders | null;
  readonly filters: BlockFilter[];
}

export interface FilterAsksOptions {
  readonly url: string;
  /** The peer's services say that it has filters. */
  readonly served: boolean;
}

export class FilterAsks {
  readonly #options: FilterAsksOptions;
  readonly #send: Send;
  /** The first is out. */
  readonly #asks: Ask[] = [];
  /** Filters under way that nobody waits for any more. */
  #stale = 0;

  constructor(options: FilterAsksOptions, send: Send) {
    this.#options = options;
    this.#send = send;
  }

  /** The node must know `stopHash`: Core hangs up on who asks for a block that it does not have. */
  ask(range: FilterRange, signal: AbortSignal): Promise<FilterRun> {
    const { url, served } = this.#options;
    if (!served) return Promise.reject(unserved(url));
    if (!(range.count >= 1 && range.count <= MAX_BLOCKS)) return Promise.reject(tooMany(range.count));
    if (this.#asks.length >= MAX_WAITING) return Promise.reject(busy(url));
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const onAbort = () => {
        const at = this.#asks.indexOf(ask);
        this.#asks.splice(at, 1);
        if (ask.headers !== null) this.#stale += range.count - ask.filters.length;
        if (at === 0) this.#sendFirst();
        reject(signal.reason as Error);
      };
      const ask: Ask = {
        range,
        headers: null,
        filters: [],
        resolve: (run) => {
          signal.removeEventListener("abort", onAbort);
          resolve(run);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#asks.push(ask);
      if (this.#asks.length === 1) this.#sendFirst();
    });
  }

  /** True where the message answers what was asked. Throws SPRINT_P2P_MALFORMED on an answer that is not what it should be. */
  receive(command: string, payload: Uint8Array): boolean {
    if (command === "cfilter" && this.#stale > 0) {
      this.#stale--;
      return true;
    }
    const ask = this.#asks[0];
    if (ask === undefined) return false;
    return command === "cfheaders" ? this.#receiveHeaders(ask, payload) : this.#receiveFilter(ask, payload);
  }

  #receiveHeaders(ask: Ask, payload: Uint8Array): boolean {
    const headers = decodeFilterHeaders(payload);
    const { range } = ask;
    if (headers.stopHash !== range.stopHash || ask.headers !== null) return false;
    if (headers.filterHashes.length !== range.count) {
      throw wrong(`${range.count} filter hashes up to ${range.stopHash}`, headers.filterHashes.length);
    }
    ask.headers = headers;
    this.#send("getcfilters", question(range));
    return true;
  }

  #receiveFilter(ask: Ask, payload: Uint8Array): boolean {
    if (ask.headers === null) return false;
    const filter = decodeFilter(payload);
    const expected = ask.headers.filterHashes[ask.filters.length];
    const actual = filterHash(filter.filter);
    if (actual !== expected) throw wrong(`a filter with hash ${expected}`, actual);
    // The message lies in a chunk of the socket.
    ask.filters.push({ ...filter, filter: Uint8Array.from(filter.filter) });
    if (ask.filters.length < ask.range.count) return true;
    if (filter.blockHash !== ask.range.stopHash)
      throw wrong(`the last filter of block ${ask.range.stopHash}`, filter.blockHash);
    this.#asks.shift();
    ask.resolve(runOf(ask.headers, ask.filters));
    this.#sendFirst();
    return true;
  }

  #sendFirst(): void {
    const ask = this.#asks[0];
    if (ask !== undefined) this.#send("getcfheaders", question(ask.range));
  }
}

function question({ startHeight, stopHash }: FilterRange): Uint8Array {
  return encodeGetFilters({ type: BASIC_FILTER, startHeight, stopHash });
}

function runOf({ previousHeader, filterHashes }: FilterHeaders, filters: readonly BlockFilter[]): FilterRun {
  const headers = filterHeaders(previousHeader, filterHashes);
  return {
    previousHeader,
    filters: filters.map(({ blockHash, filter }, at) => ({ blockHash, filter, header: headers[at] as string })),
  };
}

function wrong(expected: string, got: string | number): SprintError {
  return new SprintError("SPRINT_P2P_MALFORMED", `block filters: expected ${expected}, got ${got}`, { expected, got });
}

function unserved(url: string): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_UNSUPPORTED",
    `${url} serves no block filters: start it with -blockfilterindex=1 -peerblockfilters=1, or ask another upstream.`,
    { url },
  );
}

function tooMany(count: number): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_UNSUPPORTED",
    `block filters: expected 1 to ${MAX_BLOCKS} blocks, got ${count}`,
    { count },
  );
}

function busy(url: string): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_BUSY",
    `${url} has ${MAX_WAITING} ranges of block filters to answer already. Ask again later.`,
    { url },
  );
}
