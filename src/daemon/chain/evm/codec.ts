/** All that the floors above need to know of a network of this family, as one object. */
import type { Block, EvmDetail } from "../../../shared/block.ts";
import type { WatchSet } from "../../../shared/body.ts";
import { isSprintError, SprintError } from "../../../shared/errors.ts";
import { refuse } from "../refusal.ts";
import type { Ancestor, BodyFacts, BodyPlace, BodyVerdict, ChainCodec, Refusal } from "../types.ts";
import {
  checkEvmBlock,
  type EvmBlock,
  evmBlockFromJson,
  evmBlockFromRlp,
  type EvmFacts,
  evmReceiptsFromJson,
  mutated,
} from "./block.ts";
import { type EvmHeader, hashOfEvmHeader } from "./header.ts";
import { objectOf, parseJson } from "./json.ts";
import { readEvmBody } from "./reading.ts";
import type { EvmReceipt } from "./receipt.ts";
import { checkEvmContext, checkEvmFuture, checkEvmHeader, type EvmParent } from "./rules.ts";
import type { EvmParams } from "./types.ts";

/** RLP of a list begins here, JSON with a character. */
const RLP_LIST = 0xc0;

export interface EvmCodec extends ChainCodec<EvmHeader, EvmFacts> {
  readonly family: "evm";
  readonly params: EvmParams;
}

/** The codec of one network. Stateless. */
export function evmCodecFor(params: EvmParams): EvmCodec {
  const { chain, network, blockTimeSeconds, finalityDepth, genesisHash } = params;
  return {
    chain,
    family: "evm",
    network,
    forkChoice: "heads",
    blockTimeSeconds,
    finalityDepth,
    genesisHash,
    params,
    checkHeader: (header) => checkHash(header) ?? checkEvmHeader(header, params),
    checkContext: (header, parent, nowSeconds) =>
      checkEvmContext(header, parentOf(parent), params) ?? checkEvmFuture(header, nowSeconds, params),
    weight: () => 1n,
    toBlock: (header, height, facts) => toBlock(params, header, height, facts),
    withFacts,
    checkBody: (raw, place, watch) => checkBody(raw, place, watch, params),
  };
}

function checkHash(header: EvmHeader): Refusal | null {
  const { hash } = header;
  const actual = hashOfEvmHeader(header);
  return actual === hash ? null : refuse("SPRINT_EVM_HEADER_HASH", "hash", actual, hash);
}

/** Throws SPRINT_EVM_PARENT for an ancestor that another family's codec made. */
function parentOf({ block }: Ancestor): EvmParent {
  const { hash, height, timestamp, detail } = block;
  if (detail.family === "evm") return { ...detail, hash, number: height, timestamp };
  const message = `parent ${hash}: expected a block of the EVM family, got ${detail.family}`;
  throw new SprintError("SPRINT_EVM_PARENT", message, { expected: "evm", actual: detail.family });
}

function toBlock({ chain }: EvmParams, header: EvmHeader, height: number, facts: EvmFacts | null): Block {
  const { hash, locator, parentHash, timestamp } = header;
  return Object.freeze({
    chain,
    height,
    hash,
    locator,
    parentHash,
    timestamp,
    txCount: facts?.txCount ?? null,
    sizeBytes: facts?.sizeBytes ?? null,
    detail: detailOf(header),
  });
}

function detailOf(header: EvmHeader): EvmDetail {
  return Object.freeze({
    family: "evm",
    beneficiary: header.beneficiary,
    stateRoot: header.stateRoot,
    transactionsRoot: header.transactionsRoot,
    receiptsRoot: header.receiptsRoot,
    logsBloom: header.logsBloom,
    ommersHash: header.ommersHash,
    difficulty: header.difficulty,
    gasLimit: header.gasLimit,
    gasUsed: header.gasUsed,
    extraData: header.extraData,
    mixHash: header.mixHash,
    nonce: header.nonce,
    baseFeePerGas: header.baseFeePerGas,
    withdrawalsRoot: header.withdrawalsRoot,
    blobGasUsed: header.blobGasUsed,
    excessBlobGas: header.excessBlobGas,
    parentBeaconBlockRoot: header.parentBeaconBlockRoot,
    requestsHash: header.requestsHash,
  });
}

function withFacts(block: Block, { txCount, sizeBytes }: BodyFacts): Block {
  return Object.freeze({ ...block, txCount, sizeBytes });
}

interface Body {
  readonly block: EvmBlock;
  readonly receipts: readonly EvmReceipt[] | null;
}

/** The body of the block that was asked for, and of no other: whatever else came says nothing about that one. */
function checkBody(
  raw: Uint8Array,
  place: BodyPlace,
  watch: WatchSet | null,
  params: EvmParams,
): BodyVerdict<EvmFacts> {
  let body: Body;
  try {
    body = readBody(raw, params);
  } catch (error) {
    if (!isSprintError(error)) throw error;
    const { code, message, data } = error;
    return { ok: false, refusal: { code, message, data: { ...data, mutated: true } } };
  }
  const { block, receipts } = body;
  const stray = mutated(checkPlace(block.header, place));
  if (stray !== null) return { ok: false, refusal: stray };
  const verdict = checkEvmBlock(block, receipts, params);
  if (!verdict.ok || watch === null) return verdict;
  return { ok: true, facts: { ...verdict.facts, reading: readEvmBody(block, receipts, watch) } };
}

function readBody(raw: Uint8Array, params: EvmParams): Body {
  if ((raw[0] ?? 0) >= RLP_LIST) {
    const { block, end } = evmBlockFromRlp(raw);
    if (end === raw.length) return { block, receipts: null };
    const actual = raw.length - end;
    const message = `block: expected its end, got ${actual} bytes more`;
    throw new SprintError("SPRINT_EVM_BLOCK_FIELDS", message, { expected: end, actual });
  }
  const json = objectOf(parseJson(raw), "body");
  const { receipts } = json;
  return {
    block: evmBlockFromJson(json["block"], params),
    receipts: receipts === null || receipts === undefined ? null : evmReceiptsFromJson(receipts),
  };
}

function checkPlace(header: EvmHeader, { height, hash }: BodyPlace): Refusal | null {
  if (hash !== null && header.hash !== hash) return refuse("SPRINT_BODY_HASH", "block", hash, header.hash);
  return height === null || header.number === height
    ? null
    : refuse("SPRINT_BODY_HEIGHT", "block number", height, header.number);
}
