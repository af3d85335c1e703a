/** What one node of the Bitcoin family tells over RPC about its chain. Checks that each answer is of the shape and hash asked for. */
import type { Clock } from "../../shared/clock.ts";
import { type ErrorData, isSprintError, SprintError } from "../../shared/errors.ts";
import { type Header, type UtxoCodec, findByGenesis, type UtxoHeader } from "../chain/index.ts";
import { chunks, inParallel, linked, NO_BATCHES } from "./batches.ts";
import type { FollowedNode, Known } from "./follow.ts";
import type { CallOptions, RpcClient } from "./jsonrpc.ts";
import { shorten } from "./jsonrpc-answer.ts";
import { RpcMempool } from "./rpc-mempool.ts";
import { member, wrongShape } from "./rpc-shape.ts";
import type { ChainPoint, MempoolFigures } from "./types.ts";

/** What is needed of a chain's codec. */
export type HeaderCodec = Pick<UtxoCodec, "chain" | "network" | "params" | "decodeHeader">;

export interface RpcNodeOptions {
  /** Headers in one answer of `headersAfter`. */
  readonly maxHeaders?: number;
}

export interface RpcNodeModules {
  readonly client: RpcClient;
  readonly codec: HeaderCodec;
  readonly clock: Clock;
}

export type Tip = ChainPoint;

/** As many as one P2P `headers` message holds. */
const MAX_HEADERS = 2000;
/** Calls in one request, where the node takes several. */
const BATCH = 100;
const PARALLEL_BATCHES = 2;
const PARALLEL_CALLS = 3;
/** From a far node that takes one call at a time: as many headers as come in this time. */
const UNBATCHED_MS = 8000;
/** A Dogecoin header carries a coinbase transaction, and a node may send a batch of them. */
const MAX_BATCH_BYTES = 32 * 1024 * 1024;
const HASH = /^[0-9a-f]{64}$/;
const HEX = /^(?:[0-9a-f]{2})+$/;
/** RPC_INVALID_ADDRESS_OR_KEY, which Core and its forks answer for a block that they do not have. */
const NOT_FOUND_CODE = -5;

export class RpcNode implements FollowedNode {
  readonly #maxHeaders: number;
  readonly #client: RpcClient;
  readonly #codec: HeaderCodec;
  readonly #clock: Clock;
  readonly #mempool: RpcMempool;
  /** The node's header answers stop at 80 bytes where an AuxPoW should follow. */
  #cutsAuxPow = false;
  #takesBatches = true;

  constructor(options: RpcNodeOptions, modules: RpcNodeModules) {
    this.#maxHeaders = options.maxHeaders ?? MAX_HEADERS;
    this.#client = modules.client;
    this.#codec = modules.codec;
    this.#clock = modules.clock;
    this.#mempool = new RpcMempool({}, modules);
  }

  /** See `RpcMempool`. */
  mempool(signal: AbortSignal): Promise<MempoolFigures> {
    return this.#mempool.figures(signal);
  }

  /** The node's tip, once its genesis block is ours. Throws SPRINT_UPSTREAM_WRONG_NETWORK where it is not. */
  async identify(signal: AbortSignal): Promise<Tip> {
    const { params } = this.#codec;
    const genesis = await this.#hash("getblockhash", [0], { signal });
    if (genesis !== params.genesisHash) throw wrongNetwork(this.#codec, genesis);
    const info = await this.#client.call("getblockchaininfo", [], { signal });
    return tipOf("getblockchaininfo", info, "bestblockhash", "blocks");
  }

  /** As `/LitecoinCore:0.21.2/`; null where the node does not tell. */
  async agent(signal: AbortSignal): Promise<string | null> {
    try {
      const info = await this.#client.call("getnetworkinfo", [], { signal });
      const agent = member(info, "subversion");
      return typeof agent === "string" ? shorten(agent, 256) : null;
    } catch (error) {
      if (isSprintError(error) && REFUSED.has(error.code)) return null;
      throw error;
    }
  }

  bestHash(signal: AbortSignal): Promise<string> {
    return this.#hash("getbestblockhash", [], { signal });
  }

  /** Answers at the next change of the tip, or with the tip as it is after `waitMs`. */
  async waitForNewBlock(waitMs: number, signal: AbortSignal): Promise<Tip> {
    const answer = await this.#client.call("waitfornewblock", [waitMs], { signal, timeoutMs: waitMs + 10_000 });
    return tipOf("waitfornewblock", answer, "hash", "height");
  }

  async header(hash: string, signal: AbortSignal): Promise<UtxoHeader> {
    if (!this.#cutsAuxPow) {
      const hex = await this.#client.call("getblockheader", [hash, false], { signal });
      const header = this.#whole(hash, bytesIn("getblockheader", hex));
      if (header !== null) return header;
    }
    return this.#decode("getblock", hash, await this.body(hash, signal));
  }

  /** See `Feed.headersAfter`. */
  async headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly UtxoHeader[]> {
    const fork = await this.findFork(locator, signal);
    return this.headersFrom(fork ?? { hash: this.#codec.params.genesisHash, height: 0 }, signal);
  }

  async leadingTo(_last: Header, known: Known, signal: AbortSignal): Promise<readonly UtxoHeader[]> {
    const fork = await this.findFork(known.locator(), signal);
    return fork === null ? [] : this.headersFrom(fork, signal);
  }

  /** The first hash of `locator` that is on the node's active chain. */
  async findFork(locator: readonly string[], signal: AbortSignal): Promise<Tip | null> {
    for (const hash of locator) {
      const height = await this.#heightOf(hash, signal);
      if (height === null) continue;
      const active = await this.#unlessRefused(this.#hash("getblockhash", [height], { signal }));
      if (active === hash) return { hash, height };
    }
    return null;
  }

  /** Headers that follow `start` on the active chain, oldest first. A reorg meanwhile makes them fewer. */
  async headersFrom(start: Tip, signal: AbortSignal): Promise<readonly UtxoHeader[]> {
    const tip = integer("getblockcount", await this.#client.call("getblockcount", [], { signal }));
    const count = Math.min(this.#maxHeaders, tip - start.height);
    const heights = Array.from({ length: Math.max(0, count) }, (_, at) => start.height + 1 + at);
    if (this.#takesBatches && count > 1) {
      try {
        return linked(
          start.hash,
          await inParallel(chunks(heights, BATCH), PARALLEL_BATCHES, (some) => this.#headersAt(some, signal)),
        );
      } catch (error) {
        // A node that is broken altogether shows below.
        if (!isSprintError(error) || !NO_BATCHES.has(error.code)) throw error;
        this.#takesBatches = false;
      }
    }
    const until = this.#clock.now() + UNBATCHED_MS;
    const headerAt = async (height: number): Promise<readonly (UtxoHeader | null)[]> => {
      if (this.#clock.now() > until) return [null];
      const hash = await this.#unlessRefused(this.#hash("getblockhash", [height], { signal }));
      return [hash === null ? null : await this.header(hash, signal)];
    };
    return linked(start.hash, await inParallel(heights, PARALLEL_CALLS, headerAt));
  }

  /** In two requests: hashes, then headers. */
  async #headersAt(heights: readonly number[], signal: AbortSignal): Promise<readonly (UtxoHeader | null)[]> {
    const hashes: string[] = [];
    for (const outcome of await this.#client.batch(
      "getblockhash",
      heights.map((height) => [height]),
      { signal },
    )) {
      if (!outcome.ok) break;
      hashes.push(hashIn("getblockhash", outcome.result));
    }
    const options = { signal, maxResponseBytes: MAX_BATCH_BYTES };
    const params = this.#cutsAuxPow ? [] : hashes.map((hash) => [hash, false]);
    const outcomes = await this.#client.batch("getblockheader", params, options);
    const headers: (UtxoHeader | null)[] = [];
    for (const [at, hash] of hashes.entries()) {
      const outcome = outcomes[at];
      const header = outcome?.ok ? this.#whole(hash, bytesIn("getblockheader", outcome.result)) : null;
      headers.push(header ?? (await this.#unlessRefused(this.header(hash, signal))));
    }
    return headers;
  }

  /**
   * Throws SPRINT_UPSTREAM_NOT_FOUND where the node does not have it, or has it no more. The wish for bytes is `false`, not
   * 0: older nodes take no other.
   */
  async body(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    // Hex, and some slack for what stands around it.
    const maxResponseBytes = 2 * this.#codec.params.maxBlockBytes + 65_536;
    try {
      const bytes = bytesIn(
        "getblock",
        await this.#client.call("getblock", [hash, false], { signal, maxResponseBytes }),
      );
      this.#decode("getblock", hash, bytes);
      return bytes;
    } catch (error) {
      if (!isRefused(error)) throw error;
      throw new SprintError(
        "SPRINT_UPSTREAM_NOT_FOUND",
        `the node does not have block ${hash}: ${error.message}`,
        { hash },
        { cause: error },
      );
    }
  }

  async #heightOf(hash: string, signal: AbortSignal): Promise<number | null> {
    const answer = await this.#unlessRefused(this.#client.call("getblockheader", [hash, true], { signal }));
    return answer === null ? null : integer("getblockheader", member(answer, "height"));
  }

  async #hash(method: string, params: readonly unknown[], options: CallOptions): Promise<string> {
    return hashIn(method, await this.#client.call(method, params, options));
  }

  /** Null where the AuxPoW is cut off. */
  #whole(hash: string, bytes: Uint8Array): UtxoHeader | null {
    try {
      return this.#decode("getblockheader", hash, bytes);
    } catch (error) {
      const cut = isSprintError(error) && error.code === "SPRINT_DECODE_TRUNCATED" && bytes.length === 80;
      if (!cut) throw error;
      this.#cutsAuxPow = true;
      return null;
    }
  }

  /** The header at the head of `bytes`, which must be that of `hash`. */
  #decode(method: string, hash: string, bytes: Uint8Array): UtxoHeader {
    const { header } = this.#codec.decodeHeader(bytes);
    if (header.hash === hash) return header;
    throw new SprintError("SPRINT_UPSTREAM_WRONG_BLOCK", `${method}: asked for ${hash}, got ${header.hash}`, {
      hash,
      got: header.hash,
    });
  }

  /** Null where the node says that it does not know the block or the height. */
  async #unlessRefused<T>(answer: Promise<T>): Promise<T | null> {
    try {
      return await answer;
    } catch (error) {
      if (isRefused(error)) return null;
      throw error;
    }
  }
}

/** "I do not have it" comes with different numbers: -5, -8, -1 (pruned, and bcoin for everything). */
function isRefused(error: unknown): error is SprintError {
  if (!isSprintError(error) || error.code !== "SPRINT_RPC_ERROR") return false;
  return (
    error.data["rpcCode"] === NOT_FOUND_CODE || /not found|out of range|not available|can't read/i.test(error.message)
  );
}

/** Methods that hosted nodes hide. */
const REFUSED: ReadonlySet<string> = new Set(["SPRINT_RPC_ERROR", "SPRINT_RPC_METHOD_MISSING", "SPRINT_RPC_FORBIDDEN"]);

function bytesIn(method: string, value: unknown): Uint8Array {
  if (typeof value === "string" && HEX.test(value)) return Buffer.from(value, "hex");
  throw wrongShape(method, "bytes in hex", value);
}

function tipOf(method: string, answer: unknown, hashName: string, heightName: string): Tip {
  return { hash: hashIn(method, member(answer, hashName)), height: integer(method, member(answer, heightName)) };
}

function hashIn(method: string, value: unknown): string {
  if (typeof value === "string" && HASH.test(value)) return value;
  throw wrongShape(method, "a block hash", value);
}

function integer(method: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrongShape(method, "a height", value);
}

function wrongNetwork(codec: HeaderCodec, genesis: string): SprintError {
  const { chain, network, params } = codec;
  const found = findByGenesis(genesis);
  const got = found === null ? "no network that is known here" : `${found.chain} ${found.network}`;
  const data: ErrorData = { chain, network, expected: params.genesisHash, got: genesis };
  return new SprintError(
    "SPRINT_UPSTREAM_WRONG_NETWORK",
    `expected a node of ${chain} ${network} (genesis ${params.genesisHash}), got one of ${got} (genesis ${genesis}); check the URL and its network=`,
    data,
  );
}
