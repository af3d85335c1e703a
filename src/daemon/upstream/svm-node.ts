/** What one node of Solana tells about its chain when it is asked. Checks that each answer is of the shape and slot asked for. */
import type { Clock } from "../../shared/clock.ts";
import { isSprintError, SprintError } from "../../shared/errors.ts";
import { decodeSvmHeader, type SvmAnnounced, type SvmCodec, svmLocator, svmLocatorOf } from "../chain/index.ts";
import type { RpcCaller } from "./jsonrpc.ts";
import { type PassedAnswer, shorten } from "./jsonrpc-answer.ts";
import { pause } from "./rpc.ts";
import { inParallel, linked } from "./batches.ts";

export type Commitment = "processed" | "confirmed" | "finalized";

/** What is needed of a chain's codec. */
export type SvmFeedCodec = Pick<SvmCodec, "chain" | "network" | "params">;

export interface SvmNodeOptions {
  /** How long `body` waits for a block to be confirmed. */
  readonly confirmMs?: number;
  /** Between two questions for it. */
  readonly askAgainMs?: number;
}

export interface SvmNodeModules {
  readonly caller: RpcCaller;
  readonly codec: SvmFeedCodec;
  readonly clock: Clock;
}

/** The end of a node's chain at some commitment. */
export interface SvmHead {
  readonly slot: number;
  readonly hash: string;
}

/** What is known of a block without asking. */
export type Standing = "waiting" | "confirmed" | "lost" | "unknown";

export interface SvmKnowledge {
  standingOf(block: SvmHead): Standing;
  /** As it was announced; null where it was not. */
  parentOf(locator: string): string | null;
  /** The node gave that as a confirmed block. Throws where it contradicts itself. */
  given(block: ConfirmedBlock): void;
}

/** What a confirmed block says of itself. */
export interface ConfirmedBlock extends SvmHead {
  readonly parentSlot: number;
  readonly parentHash: string;
}

/** Below the time that a feed gives one request: a block that is not confirmed is no failure of its node. */
const DEFAULTS = { confirmMs: 12_000, askAgainMs: 200 };
/** Headers of one answer; each is a question. */
const MAX_HEADERS = 512;
/** Slots that getBlocks is asked for at a time; nodes give 500,000 at most. */
const MAX_RANGE = 4_096;
const PARALLEL = 8;
/** As many headers as come in this time: a far node takes some. */
const HEADERS_MS = 8_000;
/** Locator entries looked up at a time. */
const LOOKUPS = 4;
/** Between two looks at what was pushed, and after how long it is asked for whatever was. */
const LOOK_MS = 20;
const ASK_ANYWAY_MS = 1_000;
const MAX_BODY_BYTES = 48 * 1024 * 1024;
const MAX_LIST_BYTES = 1024 * 1024;
/** What stands for a parent that the node no longer has. */
export const NO_HASH = "1".repeat(32);
/** Where a block's JSON names it. */
const HEAD_CHARS = 512;

export class SvmNode {
  readonly #options: Required<SvmNodeOptions>;
  readonly #caller: RpcCaller;
  readonly #codec: SvmFeedCodec;
  readonly #clock: Clock;

  constructor(options: SvmNodeOptions, { caller, codec, clock }: SvmNodeModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#caller = caller;
    this.#codec = codec;
    this.#clock = clock;
  }

  /** Throws SPRINT_UPSTREAM_WRONG_NETWORK where its genesis is not ours. */
  async identify(signal: AbortSignal): Promise<void> {
    const { chain, network, params } = this.#codec;
    const genesis = await this.#caller.call("getGenesisHash", [], { signal });
    if (typeof genesis !== "string") throw wrongShape("getGenesisHash", "a hash", genesis);
    if (params.genesisHash === null || genesis === params.genesisHash) return;
    const got = shorten(genesis, 64);
    throw new SprintError(
      "SPRINT_UPSTREAM_WRONG_NETWORK",
      `expected a node of ${chain} ${network} (genesis ${params.genesisHash}), got one of genesis ${got}; check the URL and its network=`,
      { chain, network, expected: params.genesisHash, got },
    );
  }

  /** As `solana-core 2.0.14`; null where the node does not tell. */
  async agent(signal: AbortSignal): Promise<string | null> {
    try {
      const version = member(await this.#caller.call("getVersion", [], { signal }), "solana-core");
      return typeof version === "string" ? `solana-core ${shorten(version, 64)}` : null;
    } catch (error) {
      if (isSprintError(error) && REFUSED.has(error.code)) return null;
      throw error;
    }
  }

  async slot(commitment: Commitment, signal: AbortSignal): Promise<number> {
    return wholeNumber("getSlot", await this.#caller.call("getSlot", [{ commitment }], { signal }));
  }

  /** The newest block and its slot. That of `processed` is in no getBlock yet. */
  async head(commitment: Commitment, signal: AbortSignal): Promise<SvmHead> {
    const answer = await this.#caller.call("getLatestBlockhash", [{ commitment }], { signal });
    const slot = wholeNumber("getLatestBlockhash", member(member(answer, "context"), "slot"));
    const hash = member(member(answer, "value"), "blockhash");
    if (typeof hash === "string" && svmLocatorOf(svmLocator(slot, hash)) !== null) return { slot, hash };
    throw wrongShape("getLatestBlockhash", "a blockhash", hash);
  }

  /** Null where the node has no block there (yet, or any more). Throws SPRINT_SVM_* for one that cannot be. */
  async header(slot: number, signal: AbortSignal, commitment: Commitment = "confirmed"): Promise<SvmAnnounced | null> {
    const details = { commitment, transactionDetails: "none", rewards: false, maxSupportedTransactionVersion: 0 };
    const result = await this.#caller.call("getBlock", [slot, details], { signal }).catch((error: unknown) => {
      if (noBlockCode(error) === null) throw error;
      return null;
    });
    return result === null ? null : announcedOf(result, slot, this.#codec, this.#clock);
  }

  /** Confirmed slots from `from` to `to`, both included, that have a block; ascending, some thousand at most. */
  async slots(from: number, to: number, signal: AbortSignal): Promise<readonly number[]> {
    const range = [from, Math.min(to, from + MAX_RANGE - 1), { commitment: "confirmed" }];
    const answer = await this.#caller.call("getBlocks", range, { signal, maxResponseBytes: MAX_LIST_BYTES });
    if (!Array.isArray(answer) || answer.length > MAX_RANGE) throw wrongShape("getBlocks", "a list of slots", answer);
    const slots = answer.map((slot) => wholeNumber("getBlocks", slot));
    const isOrdered = slots.every((slot, at) => slot >= from && slot <= to && slot > (slots[at - 1] ?? -1));
    if (!isOrdered) throw wrongShape("getBlocks", `ascending slots of ${from} to ${to}`, answer.slice(0, 8));
    return slots;
  }

  /** The confirmed blocks of `slots`, in their order; it ends where one does not come. */
  async headers(slots: readonly number[], signal: AbortSignal): Promise<readonly SvmAnnounced[]> {
    const until = this.#clock.now() + HEADERS_MS;
    const found = await inParallel(slots.slice(0, MAX_HEADERS), PARALLEL, async (slot) =>
      this.#clock.now() > until ? [null] : [await this.header(slot, signal)],
    );
    const missing = found.indexOf(null);
    return (missing < 0 ? found : found.slice(0, missing)) as readonly SvmAnnounced[];
  }

  /** See `Feed.headersAfter`. */
  async headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly SvmAnnounced[]> {
    const newest = await this.slot("confirmed", signal);
    const start = await this.#findStart(locator, newest, signal);
    const from = start === null ? Math.max(0, newest - this.#codec.params.historySlots) : start.slot + 1;
    for (let at = from; at <= newest; at += MAX_RANGE) {
      const slots = await this.slots(at, newest, signal);
      if (slots.length > 0) return linked(start?.hash ?? null, await this.headers(slots, signal));
    }
    return [];
  }

  /** The first of `locator` that is confirmed. */
  async #findStart(locator: readonly string[], newest: number, signal: AbortSignal): Promise<SvmHead | null> {
    const asked = locator.map(svmLocatorOf).filter((entry) => entry !== null && entry.slot <= newest);
    for (let at = 0; at < asked.length; at += LOOKUPS) {
      const some = asked.slice(at, at + LOOKUPS) as SvmHead[];
      const headers = await Promise.all(some.map(({ slot }) => this.header(slot, signal)));
      const found = some.find(({ hash }, i) => headers[i]?.hash === hash);
      if (found !== undefined) return found;
    }
    return null;
  }

  /**
   * The text `{"slot":N,"block":<getBlock result>}`. Waits until the block is confirmed. Throws SPRINT_UPSTREAM_NOT_FOUND where it is
   * not in time, or never will be: its slot was skipped after all, or went to another block. Throws SPRINT_UPSTREAM_WRONG_BLOCK where
   * it has another parent than it was announced with: the blockhash alone would not show it. Throws what `known.given` throws.
   */
  async body(locator: string, signal: AbortSignal, known: SvmKnowledge = NOTHING_KNOWN): Promise<Uint8Array> {
    const place = svmLocatorOf(locator);
    if (place === null) throw notFound(locator, "that is no slot and hash");
    const details = {
      commitment: "confirmed",
      encoding: "base64",
      transactionDetails: "full",
      rewards: true,
      maxSupportedTransactionVersion: 0,
    };
    const until = this.#clock.now() + this.#options.confirmMs;
    for (let askAt = this.#clock.now() + ASK_ANYWAY_MS; ;) {
      const standing = known.standingOf(place);
      if (standing === "lost") throw notFound(locator, "what is confirmed builds on another block");
      if (standing === "waiting" && this.#clock.now() < askAt) {
        await pause(LOOK_MS, this.#clock, signal);
        continue;
      }
      askAt = this.#clock.now() + ASK_ANYWAY_MS;
      const options = { signal, maxResponseBytes: MAX_BODY_BYTES };
      const answer = await this.#caller.ask("getBlock", [place.slot, details], options);
      if (answer.ok && answer.json !== "null") return bodyOf(locator, place, answer.json, known);
      if (!mayCome(answer)) throw notFound(locator, answer.ok ? "null" : shorten(answer.message));
      if (this.#clock.now() >= until)
        throw notFound(locator, `it is not confirmed after ${this.#options.confirmMs} ms`);
      await pause(this.#options.askAgainMs, this.#clock, signal);
    }
  }
}

const NOTHING_KNOWN: SvmKnowledge = { standingOf: () => "unknown", parentOf: () => null, given: () => {} };

/** The answer is not read further than its head: it has megabytes, and a worker does. */
function bodyOf(locator: string, { slot, hash }: SvmHead, json: string, known: SvmKnowledge): Uint8Array {
  const head = json.slice(0, HEAD_CHARS);
  const told = /"blockhash":"(\w{1,64})"/.exec(head)?.[1] ?? hash;
  const parent = /"previousBlockhash":"(\w{1,64})"/.exec(head)?.[1] ?? NO_HASH;
  const parentSlot = Number(/"parentSlot":(\d{1,15})\b/.exec(head)?.[1] ?? slot);
  known.given({ slot, hash: told, parentSlot, parentHash: parent });
  if (told !== hash) throw notFound(locator, `slot ${slot} has ${told}`);
  const parentHash = known.parentOf(locator);
  if (parentHash !== null && parent !== NO_HASH && parent !== parentHash) {
    throw new SprintError(
      "SPRINT_UPSTREAM_WRONG_BLOCK",
      `block ${locator}: expected the parent that the node announced, ${parentHash}, got ${parent}`,
      { locator, expected: parentHash, actual: parent },
    );
  }
  return Buffer.from(`{"slot":${slot},"block":${json}}`);
}

/** Of a getBlock result, whatever its details, or of what blockSubscribe brings. Throws SPRINT_SVM_*. */
export function announcedOf(result: unknown, slot: number, codec: SvmFeedCodec, clock: Clock): SvmAnnounced {
  const { parentSlot, hash, parentHash, height, timestamp } = decodeSvmHeader(result, { params: codec.params, slot });
  return {
    hash,
    parentHash: parentHash ?? NO_HASH,
    height,
    locator: svmLocator(slot, hash),
    slot,
    parentSlot,
    timestamp: timestamp ?? Math.floor(clock.wall() / 1000),
  };
}

/** BLOCK_NOT_AVAILABLE and BLOCK_STATUS_NOT_AVAILABLE_YET of the reference validator (rpc-client-api/custom_error.rs). */
const NOT_YET: ReadonlySet<unknown> = new Set([-32004, -32014]);
/** BLOCK_CLEANED_UP, SLOT_SKIPPED, LONG_TERM_STORAGE_SLOT_SKIPPED, TRANSACTION_HISTORY_NOT_AVAILABLE. */
const NEVER: ReadonlySet<unknown> = new Set([-32001, -32007, -32009, -32011]);

/** The number by which the node says that it has no block there; null for any other error. */
function noBlockCode(error: unknown): number | null {
  if (!isSprintError(error) || error.code !== "SPRINT_RPC_ERROR") return null;
  const code = error.data["rpcCode"];
  return NOT_YET.has(code) || NEVER.has(code) ? (code as number) : null;
}

/** Throws SPRINT_RPC_ERROR for an error that says nothing about the block. */
function mayCome(answer: PassedAnswer): boolean {
  if (answer.ok || NOT_YET.has(answer.code)) return true;
  if (NEVER.has(answer.code)) return false;
  const said = `getBlock: the node answered error ${answer.code ?? "without a number"}: ${shorten(answer.message)}`;
  throw new SprintError("SPRINT_RPC_ERROR", said, { method: "getBlock", rpcCode: answer.code });
}

/** Methods that hosted nodes hide. */
export const REFUSED: ReadonlySet<string> = new Set([
  "SPRINT_RPC_ERROR",
  "SPRINT_RPC_METHOD_MISSING",
  "SPRINT_RPC_FORBIDDEN",
]);

export function wholeNumber(method: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrongShape(method, "a slot", value);
}

export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

export function wrongShape(method: string, expected: string, value: unknown): SprintError {
  const got = shorten((JSON.stringify(value) ?? "nothing").slice(0, 80));
  return new SprintError("SPRINT_RPC_SHAPE", `${method}: expected ${expected}, got ${got}`, { method, got });
}

function notFound(locator: string, why: string): SprintError {
  return new SprintError("SPRINT_UPSTREAM_NOT_FOUND", `the node does not have block ${locator}: ${why}`, { locator });
}
