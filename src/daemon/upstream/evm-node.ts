/**
 * What one node of an EVM chain tells about it over JSON-RPC, by HTTP or by a socket. Every header is decoded from the node's
 * fields, and its hash recomputed: it must be the one that was asked for.
 */
import type { Chain } from "../../shared/chain.ts";
import type { Clock } from "../../shared/clock.ts";
import { isSprintError, SprintError } from "../../shared/errors.ts";
import { type EvmHeader, evmHeaderFromJson, type Header } from "../chain/index.ts";
import { chunks, inParallel, linked, NO_BATCHES } from "./batches.ts";
import { EvmBodies } from "./evm-bodies.ts";
import type { FollowedNode, Known } from "./follow.ts";
import type { RpcCaller } from "./jsonrpc.ts";
import { shorten } from "./jsonrpc-answer.ts";
import type { ChainPoint } from "./types.ts";

/** What is needed of a chain's codec. */
export interface EvmNetwork {
  readonly chain: Chain;
  readonly network: string;
  readonly blockTimeSeconds: number;
  readonly params: {
    readonly chainId: bigint;
    /** Null where each start of its nodes makes another. */
    readonly genesisHash: string | null;
    readonly historyBlocks: number;
  };
}

export interface EvmNodeOptions {
  /** Where an empty locator takes the chain up: so far below its head. Default: the network's. */
  readonly historyBlocks?: number;
  /** Headers in one answer of `headersAfter`. */
  readonly maxHeaders?: number;
}

export interface EvmNodeModules {
  readonly caller: RpcCaller;
  readonly network: EvmNetwork;
  readonly clock: Clock;
}

const MAX_HEADERS = 2000;
/** Blocks in one batch at first: without their transactions a kilobyte or two each, and 67 bytes for each transaction. */
const BATCH = 50;
const PARALLEL_BATCHES = 2;
const PARALLEL_CALLS = 4;
const MAX_BATCH_BYTES = 32 * 1024 * 1024;
/** From a far node as many headers as come in this time. */
const BUDGET_MS = 8000;
/** A node whose head is this old, and which says that it is syncing, is. Some say so for a few blocks. */
const MAX_SYNCING_SECONDS = 600;
/** First step back to where a new head meets what is known, and the longest. */
const STEP_BACK = 4;
const MAX_STEP_BACK = 128;

export class EvmNode implements FollowedNode {
  readonly #options: Required<EvmNodeOptions>;
  readonly #caller: RpcCaller;
  readonly #network: EvmNetwork;
  readonly #clock: Clock;
  readonly #bodies: EvmBodies;
  /** Becomes smaller for a node that refuses; 1 is no batch. */
  #batch = BATCH;

  constructor(options: EvmNodeOptions, { caller, network, clock }: EvmNodeModules) {
    this.#options = { historyBlocks: network.params.historyBlocks, maxHeaders: MAX_HEADERS, ...options };
    this.#caller = caller;
    this.#network = network;
    this.#clock = clock;
    this.#bodies = new EvmBodies({ caller });
  }

  /**
   * The node's head, once chain id and genesis are ours. Throws SPRINT_UPSTREAM_WRONG_NETWORK where they are not, and
   * SPRINT_UPSTREAM_SYNCING for a node that is far from the head of its chain: what it calls its head is none.
   */
  async identify(signal: AbortSignal): Promise<EvmHeader> {
    const { params } = this.#network;
    const chainId = quantity("eth_chainId", await this.#caller.call("eth_chainId", [], { signal }));
    if (chainId !== params.chainId) throw wrongNetwork(this.#network, "chain id", `${params.chainId}`, `${chainId}`);
    if (params.genesisHash !== null) {
      const genesis = await this.#genesis(signal);
      if (genesis !== null && genesis !== params.genesisHash)
        throw wrongNetwork(this.#network, "genesis", params.genesisHash, genesis);
    }
    const latest = await this.latest(signal);
    const ageSeconds = this.#clock.wall() / 1000 - latest.timestamp;
    if (ageSeconds > MAX_SYNCING_SECONDS) {
      const syncing = await orNull(this.#caller.call("eth_syncing", [], { signal }));
      if (typeof syncing === "object" && syncing !== null) throw stillSyncing(this.#network, latest.number, ageSeconds);
    }
    return latest;
  }

  /** As `anvil/v1.7.1`; null where the node does not tell. */
  async agent(signal: AbortSignal): Promise<string | null> {
    const agent = await orNull(this.#caller.call("web3_clientVersion", [], { signal }));
    return typeof agent === "string" ? shorten(agent, 256) : null;
  }

  /** The head of the node's chain. */
  async latest(signal: AbortSignal): Promise<EvmHeader> {
    const block = await this.#caller.call("eth_getBlockByNumber", ["latest", false], { signal });
    if (block === null) throw notFound("the latest block");
    return evmHeaderFromJson(block);
  }

  /** Throws SPRINT_UPSTREAM_NOT_FOUND where the node does not have it, or has it no more. */
  async header(hash: string, signal: AbortSignal): Promise<EvmHeader> {
    const block = await this.#caller.call("eth_getBlockByHash", [hash, false], { signal });
    if (block === null) throw notFound(`block ${hash}`, { hash });
    const header = evmHeaderFromJson(block);
    if (header.hash !== hash) throw wrongBlock("eth_getBlockByHash", hash, header.hash);
    return header;
  }

  /** The blocks that the node counts as safe and as final; null where it does not tell. */
  async finality(
    signal: AbortSignal,
  ): Promise<{ readonly safe: ChainPoint | null; readonly finalized: ChainPoint | null }> {
    const point = async (tag: string): Promise<ChainPoint | null> => {
      const block = await orNull(this.#caller.call("eth_getBlockByNumber", [tag, false], { signal }));
      if (block === null) return null;
      const { hash, number } = evmHeaderFromJson(block);
      return { hash, height: number };
    };
    const [safe, finalized] = await Promise.all([point("safe"), point("finalized")]);
    return { safe, finalized };
  }

  /** See `Feed.headersAfter`. Where nothing of the locator is on the node's best chain, as of an empty one: it shows whose chain that is. */
  async headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly EvmHeader[]> {
    const latest = (await this.latest(signal)).number;
    const fork = await this.#findFork(locator, signal);
    if (fork !== null) return this.#run(fork.hash, fork.height + 1, latest, signal);
    return this.#run(null, Math.max(0, latest - this.#options.historyBlocks), latest, signal);
  }

  /** See `FollowedNode`. In portions by number, from the end on: what the node's push skipped is most often one request away. */
  async leadingTo(last: Header, known: Known, signal: AbortSignal): Promise<readonly EvmHeader[]> {
    const found: EvmHeader[] = [last as EvmHeader];
    const until = this.#clock.now() + BUDGET_MS;
    let step = Math.max(STEP_BACK, (last.height ?? 0) - (known.height() ?? 0) - 1);
    for (;;) {
      const oldest = found[0] as EvmHeader;
      if (known.has(oldest.parentHash)) return found;
      if (oldest.number === 0 || found.length >= this.#options.maxHeaders || this.#clock.now() > until) return [];
      const count = Math.min(step, oldest.number, this.#options.maxHeaders);
      const older = await this.#at(range(oldest.number - count, oldest.number - 1), signal);
      const before = found.length;
      for (const header of older.toReversed()) {
        const { parentHash } = found[0] as EvmHeader;
        if (header?.hash !== parentHash || known.has(parentHash)) break;
        found.unshift(header);
      }
      // Its chain is another one by now; this one is asked for by name.
      if (found.length === before) found.unshift(await this.header(oldest.parentHash, signal));
      step = Math.min(Math.max(STEP_BACK, step) * 2, MAX_STEP_BACK);
    }
  }

  /** JSON text as the codec takes it, see `EvmBodies`. */
  body(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    return this.#bodies.body(hash, signal);
  }

  /** Null where the node has it no more, as one that holds newer blocks only. */
  async #genesis(signal: AbortSignal): Promise<string | null> {
    const block = await orNull(this.#caller.call("eth_getBlockByNumber", ["0x0", false], { signal }));
    if (block === null) return null;
    const hash = (block as { readonly hash?: unknown }).hash;
    if (typeof hash !== "string") throw wrongShape("eth_getBlockByNumber", "a block with its hash", hash);
    return hash.toLowerCase();
  }

  /** The first hash of `locator` that is on the node's best chain. */
  async #findFork(locator: readonly string[], signal: AbortSignal): Promise<ChainPoint | null> {
    for (const some of [locator.slice(0, 1), ...chunks(locator.slice(1), 10)]) {
      const numbers = await this.#numbersOf(some, signal);
      const headers = await this.#at(
        numbers.filter((number) => number !== null),
        signal,
      );
      const best = new Set(headers.map((header) => header?.hash));
      const at = some.findIndex((hash) => best.has(hash));
      if (at >= 0) return { hash: some[at] as string, height: numbers[at] as number };
    }
    return null;
  }

  async #numbersOf(hashes: readonly string[], signal: AbortSignal): Promise<readonly (number | null)[]> {
    const unlessGone = async (hash: string): Promise<readonly (number | null)[]> => {
      try {
        return [(await this.header(hash, signal)).number];
      } catch (error) {
        if (isSprintError(error) && GONE.has(error.code)) return [null];
        throw error;
      }
    };
    return inParallel(hashes, PARALLEL_CALLS, unlessGone);
  }

  /** Headers from `first` to `last`, as far as they are a chain that starts behind `parentHash`. A reorg meanwhile makes them fewer. */
  async #run(
    parentHash: string | null,
    first: number,
    last: number,
    signal: AbortSignal,
  ): Promise<readonly EvmHeader[]> {
    const end = Math.min(last, first + this.#options.maxHeaders - 1);
    return linked(parentHash, await this.#at(range(first, end), signal));
  }

  /** The blocks of the best chain at these heights; null where there is none (any more), or time ran out. */
  async #at(numbers: readonly number[], signal: AbortSignal): Promise<readonly (EvmHeader | null)[]> {
    const until = this.#clock.now() + BUDGET_MS;
    const late = (): boolean => this.#clock.now() > until;
    while (this.#batch > 1 && numbers.length > 1) {
      try {
        return await inParallel(chunks(numbers, this.#batch), PARALLEL_BATCHES, async (some) =>
          late() ? some.map(() => null) : this.#inOneBatch(some, signal),
        );
      } catch (error) {
        // A node that is broken altogether shows below.
        if (!isSprintError(error) || !TOO_MANY.has(error.code)) throw error;
        this.#batch = Math.floor(this.#batch / 4);
      }
    }
    return inParallel(numbers, PARALLEL_CALLS, async (number) =>
      late()
        ? [null]
        : [headerAt(number, await orNull(this.#caller.call("eth_getBlockByNumber", [hex(number), false], { signal })))],
    );
  }

  async #inOneBatch(numbers: readonly number[], signal: AbortSignal): Promise<readonly (EvmHeader | null)[]> {
    const params = numbers.map((number) => [hex(number), false]);
    const options = { signal, maxResponseBytes: MAX_BATCH_BYTES };
    const outcomes = await this.#caller.batch("eth_getBlockByNumber", params, options);
    // Refused one by one, as by a node that counts calls: what came before that is good.
    if (outcomes[0]?.ok === false) throw outcomes[0].error;
    return numbers.map((number, at) => {
      const outcome = outcomes[at];
      return outcome?.ok ? headerAt(number, outcome.result) : null;
    });
  }
}

/** A batch is too large, or none is taken. */
const TOO_MANY: ReadonlySet<string> = new Set([...NO_BATCHES, "SPRINT_RPC_TOO_LARGE", "SPRINT_RPC_BAD_JSON"]);
/** How nodes say that they do not have a block. */
const GONE: ReadonlySet<string> = new Set(["SPRINT_UPSTREAM_NOT_FOUND", "SPRINT_RPC_ERROR"]);
/** Methods that hosted nodes hide, blocks that pruned ones have no more. */
const REFUSED: ReadonlySet<string> = new Set([
  "SPRINT_RPC_ERROR",
  "SPRINT_RPC_METHOD_MISSING",
  "SPRINT_RPC_FORBIDDEN",
  "SPRINT_RPC_STATUS",
  "SPRINT_RPC_UNAVAILABLE",
]);

async function orNull(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (isSprintError(error) && REFUSED.has(error.code)) return null;
    throw error;
  }
}

function headerAt(number: number, block: unknown): EvmHeader | null {
  if (block === null) return null;
  const header = evmHeaderFromJson(block);
  if (header.number !== number) throw wrongBlock("eth_getBlockByNumber", `number ${number}`, `number ${header.number}`);
  return header;
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
}

function hex(number: number): string {
  return `0x${number.toString(16)}`;
}

function quantity(method: string, value: unknown): bigint {
  if (typeof value === "string" && /^0x[0-9a-f]{1,64}$/i.test(value)) return BigInt(value);
  throw wrongShape(method, "a number in hex", value);
}

function wrongShape(method: string, expected: string, value: unknown): SprintError {
  const got = shorten(JSON.stringify(value) ?? "nothing", 80);
  return new SprintError("SPRINT_RPC_SHAPE", `${method}: expected ${expected}, got ${got}`, { method, got });
}

function notFound(what: string, data: { readonly hash?: string } = {}): SprintError {
  return new SprintError("SPRINT_UPSTREAM_NOT_FOUND", `the node does not have ${what}`, data);
}

function wrongBlock(method: string, expected: string, got: string): SprintError {
  const data = { method, expected, got };
  return new SprintError("SPRINT_UPSTREAM_WRONG_BLOCK", `${method}: asked for ${expected}, got ${got}`, data);
}

function stillSyncing({ chain, network }: EvmNetwork, height: number, ageSeconds: number): SprintError {
  const message = `expected a node at the head of ${chain} ${network}, got one that is still syncing: its block ${height} is ${Math.round(ageSeconds)} s old. It is asked again later`;
  return new SprintError("SPRINT_UPSTREAM_SYNCING", message, { chain, network, height, ageSeconds });
}

function wrongNetwork({ chain, network }: EvmNetwork, what: string, expected: string, got: string): SprintError {
  const message = `expected a node of ${chain} ${network} (${what} ${expected}), got one with ${what} ${shorten(got)}; check the URL and its network=`;
  return new SprintError("SPRINT_UPSTREAM_WRONG_NETWORK", message, { chain, network, what, expected, got });
}
