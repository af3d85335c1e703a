/**
 * Bodies of EVM blocks as text: `{"block":…,"receipts":…}`, each part cut out of the node's answer as it stands there. Nothing
 * of it is parsed here; the codec does that in a worker, and holds every part against the header.
 */
import { isSprintError, SprintError } from "../../shared/errors.ts";
import type { CallOptions, RpcCaller } from "./jsonrpc.ts";
import type { PassedAnswer } from "./jsonrpc-answer.ts";

export interface EvmBodiesModules {
  readonly caller: RpcCaller;
}

/** Of each part, as the codec takes it. */
const MAX_PART_BYTES = 64 * 1024 * 1024;
/** Where receipts come one by one: as many at a time, and of blocks with no more transactions than that. */
const RECEIPTS_AT_A_TIME = 100;
const MAX_SINGLE_RECEIPTS = 5000;
/** Enough to hold the first receipt. */
const FIRST_RECEIPT_CHARS = 16_384;

/** How receipts are asked for, found out by asking. */
type ReceiptsWay = "of the block" | "one by one" | "none";

export class EvmBodies {
  readonly #caller: RpcCaller;
  #way: ReceiptsWay = "of the block";

  constructor({ caller }: EvmBodiesModules) {
    this.#caller = caller;
  }

  /**
   * Receipts are null where the node gives none. Throws SPRINT_UPSTREAM_NOT_FOUND where it does not have the block (yet, or any
   * more), SPRINT_UPSTREAM_WRONG_BLOCK where receipts are another block's, SPRINT_RPC_TOO_LARGE while it reads too much.
   */
  async body(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    const both = new AbortController();
    const either = AbortSignal.any([signal, both.signal]);
    try {
      const [block, receipts] = await Promise.all([this.#block(hash, either), this.#receipts(hash, either)]);
      return Buffer.from(`{"block":${block},"receipts":${receipts}}`);
    } finally {
      // The one that is still coming when the other failed.
      both.abort();
    }
  }

  async #block(hash: string, signal: AbortSignal): Promise<string> {
    const json = resultOf("eth_getBlockByHash", await this.#ask("eth_getBlockByHash", [hash, true], signal));
    if (json === "null") throw notFound("block", hash);
    if (!json.startsWith("{")) throw wrongShape("eth_getBlockByHash", "a block", json);
    return json;
  }

  /** "null" where the node gives none. */
  async #receipts(hash: string, signal: AbortSignal): Promise<string> {
    if (this.#way === "of the block") {
      const answer = await this.#ask("eth_getBlockReceipts", [hash], signal);
      if (answer.ok) return receiptsOf(hash, answer.json);
      if (answer.code !== METHOD_MISSING && answer.code !== INVALID_PARAMS)
        throw refused("eth_getBlockReceipts", answer);
      this.#way = "one by one";
    }
    if (this.#way === "one by one") {
      try {
        return await this.#oneByOne(hash, signal);
      } catch (error) {
        if (!isSprintError(error) || !NO_RECEIPTS.has(error.code)) throw error;
        this.#way = "none";
      }
    }
    return "null";
  }

  async #oneByOne(hash: string, signal: AbortSignal): Promise<string> {
    const block = await this.#caller.call("eth_getBlockByHash", [hash, false], {
      signal,
      maxResponseBytes: MAX_PART_BYTES,
    });
    if (block === null) throw notFound("block", hash);
    const { transactions } = block as { readonly transactions?: unknown };
    if (!Array.isArray(transactions)) throw wrongShape("eth_getBlockByHash", "transactions", JSON.stringify(block));
    if (transactions.length > MAX_SINGLE_RECEIPTS) return "null";
    const receipts: unknown[] = [];
    for (let at = 0; at < transactions.length; at += RECEIPTS_AT_A_TIME) {
      const some = transactions.slice(at, at + RECEIPTS_AT_A_TIME).map((transaction: unknown) => [transaction]);
      const options: CallOptions = { signal, maxResponseBytes: MAX_PART_BYTES };
      for (const outcome of await this.#caller.batch("eth_getTransactionReceipt", some, options)) {
        if (!outcome.ok) throw outcome.error;
        if (outcome.result === null) throw notFound("a receipt of", hash);
        receipts.push(outcome.result);
      }
    }
    return receiptsOf(hash, JSON.stringify(receipts));
  }

  #ask(method: string, params: readonly unknown[], signal: AbortSignal): Promise<PassedAnswer> {
    return this.#caller.ask(method, params, { signal, maxResponseBytes: MAX_PART_BYTES });
  }
}

const METHOD_MISSING = -32_601;
const INVALID_PARAMS = -32_602;
const NO_RECEIPTS: ReadonlySet<string> = new Set([
  "SPRINT_RPC_ERROR",
  "SPRINT_RPC_METHOD_MISSING",
  "SPRINT_RPC_FORBIDDEN",
]);

function resultOf(method: string, answer: PassedAnswer): string {
  if (answer.ok) return answer.json;
  throw refused(method, answer);
}

/** The node may be on another block by this name, or speak of the one that now has its number. */
function receiptsOf(hash: string, json: string): string {
  if (json === "null") throw notFound("receipts of block", hash);
  if (!json.startsWith("[")) throw wrongShape("eth_getBlockReceipts", "a list", json);
  const named = /"blockHash":"(0x[0-9a-f]{64})"/i.exec(json.slice(0, FIRST_RECEIPT_CHARS))?.[1];
  if (named === undefined || named.toLowerCase() === hash) return json;
  const data = { hash, got: named };
  throw new SprintError(
    "SPRINT_UPSTREAM_WRONG_BLOCK",
    `receipts: asked for those of ${hash}, got some of ${named}`,
    data,
  );
}

function notFound(what: string, hash: string): SprintError {
  return new SprintError("SPRINT_UPSTREAM_NOT_FOUND", `the node does not have ${what} ${hash}`, { hash });
}

function refused(method: string, { code, message }: Extract<PassedAnswer, { readonly ok: false }>): SprintError {
  const said = `${method}: the node answered error ${code ?? "without a number"}: ${message.slice(0, 120)}`;
  return new SprintError("SPRINT_RPC_ERROR", said, { method, rpcCode: code });
}

function wrongShape(method: string, expected: string, json: string): SprintError {
  const got = json.slice(0, 80);
  return new SprintError("SPRINT_RPC_SHAPE", `${method}: expected ${expected}, got ${got}`, { method, got });
}
