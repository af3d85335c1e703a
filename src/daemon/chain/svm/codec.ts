/**
 * All that the floors above need to know of one network of Solana. Its validators vote for blocks, so the best chain is what upstreams
 * say; a header proves nothing, and a body everything but that it is the one its blockhash was made of.
 */
import { hash } from "node:crypto";
import type { Block, SvmDetail } from "../../../shared/block.ts";
import type { WatchSet } from "../../../shared/body.ts";
import { isSprintError } from "../../../shared/errors.ts";
import type { BodyFacts, BodyPlace, BodyVerdict, ChainCodec, Refusal } from "../types.ts";
import { checkAnnounced, checkAnnouncedLink, type SvmAnnounced } from "./announced.ts";
import { decodeSvmHeader, type SvmHeader, proveSvmBody } from "./block.ts";
import { SIGNATURE_BYTES } from "./ed25519.ts";
import { attempt, failure } from "./failure.ts";
import { listOf, objectOf, wholeNumberOf } from "./json.ts";
import type { SvmParams } from "./params.ts";
import { readSvmBody } from "./reading.ts";
import type { GivenTransaction } from "./rpc.ts";
import type { Sample } from "./transaction.ts";
import { compactU16 } from "./wire.ts";

export interface SvmCodecOptions {
  /** Which signatures are verified: all, or those of this share of a block's transactions, 0 to 1. */
  readonly signatures: "all" | number;
  /** Whoever knows it knows which are left out. */
  readonly seed: number;
}

export interface SvmBodyFacts extends BodyFacts {
  readonly signatures: { readonly checked: number; readonly total: number };
  /** Unix seconds, as the validators voted; null in old blocks. */
  readonly timestamp: number | null;
}

export interface SvmCodec extends ChainCodec<SvmAnnounced, SvmBodyFacts> {
  readonly family: "svm";
  readonly params: SvmParams;
}

export const SVM_CODEC_DEFAULTS: SvmCodecOptions = { signatures: "all", seed: 0 };

/** A block of today has some 6 MB with all that its transactions logged. */
const MAX_BODY_BYTES = 48 * 1024 * 1024;
const MAX_TRANSACTIONS = 2 ** 17;

export function svmCodecFor(params: SvmParams, options: Partial<SvmCodecOptions> = {}): SvmCodec {
  const settings = { ...SVM_CODEC_DEFAULTS, ...options };
  return {
    chain: params.chain,
    family: "svm",
    network: params.network,
    forkChoice: "heads",
    blockTimeSeconds: params.blockTimeSeconds,
    finalityDepth: params.finalityDepth,
    genesisHash: params.genesisHash,
    params,
    checkHeader: (header) => checkAnnounced(header, params),
    checkContext: (header, parent) => checkAnnouncedLink(header, parent),
    weight: () => 1n,
    toBlock: (header, height, facts) => toBlock(params, header, height, facts),
    withFacts,
    checkBody: (raw, place, watch) => checkBody(raw, place, watch, { params, settings }),
  };
}

function toBlock(params: SvmParams, header: SvmAnnounced, height: number, facts: SvmBodyFacts | null): Block {
  const { slot, parentSlot, hash, parentHash, locator, timestamp } = header;
  const detail: SvmDetail = Object.freeze({ family: "svm", slot, parentSlot, signatures: null });
  const block = { chain: params.chain, height, hash, locator, parentHash, timestamp, txCount: null, sizeBytes: null };
  const bare: Block = Object.freeze({ ...block, detail });
  return facts === null ? bare : withFacts(bare, facts);
}

function withFacts(block: Block, facts: BodyFacts): Block {
  const { txCount, sizeBytes, signatures = null } = facts;
  // as the validators voted it, where the announcement could not say
  const timestamp = (facts as Partial<SvmBodyFacts>).timestamp ?? block.timestamp;
  const detail = Object.freeze({ ...(block.detail as SvmDetail), signatures });
  return Object.freeze({ ...block, timestamp, txCount, sizeBytes, detail });
}

interface Rules {
  readonly params: SvmParams;
  readonly settings: SvmCodecOptions;
}

/**
 * `raw` is the text `{"slot":N,"block":<getBlock result>}`. Every refusal is its sender's fault and not the block's (`mutated`): a blockhash
 * does not cover what nodes give of a block, so another node may have the block whole.
 */
function checkBody(raw: Uint8Array, place: BodyPlace, watch: WatchSet | null, rules: Rules): BodyVerdict<SvmBodyFacts> {
  const proved = attempt(() => proveBody(raw, place, watch, rules));
  return proved.ok ? { ok: true, facts: proved.value } : { ok: false, refusal: ofSender(proved.refusal) };
}

function ofSender(refusal: Refusal): Refusal {
  return { ...refusal, data: { ...refusal.data, mutated: true } };
}

function proveBody(raw: Uint8Array, place: BodyPlace, watch: WatchSet | null, rules: Rules): SvmBodyFacts {
  const { params, settings } = rules;
  const body = objectOf(parse(raw), "body");
  const slot = wholeNumberOf(body["slot"], "slot");
  const header = decodeSvmHeader(body["block"], { params, slot });
  checkPlace(header, place);
  const block = objectOf(body["block"], "block");
  const count = listOf(block["transactions"], "transactions", MAX_TRANSACTIONS).length;
  const { facts, transactions } = proveSvmBody(block, header, { params, sample: sampleOf(settings, count, header) });
  const given = transactions ?? [];
  const read = { block, header: { ...header, slot } };
  return {
    txCount: count,
    sizeBytes: facts.opaque > 0 ? null : given.reduce((sum, transaction) => sum + sizeOf(transaction), 0),
    level: facts.opaque > 0 ? "header" : "full",
    signatures: { checked: facts.signatures.verified, total: facts.signatures.signatures },
    skipped: facts.skipped,
    timestamp: header.timestamp,
    ...(watch === null ? {} : { reading: readSvmBody({ ...read, facts, transactions: given }, watch) }),
  };
}

function parse(raw: Uint8Array): unknown {
  if (raw.length > MAX_BODY_BYTES) {
    throw failure("SPRINT_SVM_LIMIT", "body", `at most ${MAX_BODY_BYTES} bytes`, raw.length);
  }
  try {
    return JSON.parse(Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString("utf8"));
  } catch (error) {
    if (isSprintError(error) || !(error instanceof SyntaxError)) throw error;
    throw failure("SPRINT_SVM_JSON", "body", "a JSON document", error.message.slice(0, 200));
  }
}

function checkPlace(header: SvmHeader, { hash, height }: BodyPlace): void {
  if (hash !== null && header.hash !== hash) throw failure("SPRINT_SVM_BLOCKHASH", "blockhash", hash, header.hash);
  if (height !== null && header.height !== null && header.height !== height) {
    throw failure("SPRINT_SVM_HEIGHT", "blockHeight", height, header.height);
  }
}

/** Null for all. Each block has a choice of its own, which says nothing about the seed and so about those of other blocks. */
function sampleOf({ signatures, seed }: SvmCodecOptions, count: number, header: SvmHeader): Sample | null {
  if (signatures === "all" || signatures >= 1) return null;
  const own = hash("sha256", `${seed} ${header.hash}`, "buffer").readUInt32LE(0);
  return { transactions: Math.ceil(Math.max(0, signatures) * count), seed: own };
}

/** On the wire. */
function sizeOf({ signatures, message }: GivenTransaction): number {
  const count = compactU16(signatures.length).length;
  return count + signatures.length * SIGNATURE_BYTES + (message?.bytes.length ?? 0);
}
