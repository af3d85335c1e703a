/** The execution block that a beacon block holds, read where it stands: of a block of 100 KB these 40 bytes are wanted. */
import { SprintError } from "../../../shared/errors.ts";
import { type BeaconForkName, type BeaconParams, isSince } from "./params.ts";
import { bytes32, container, count, hexOf, sszFromJson } from "./ssz.ts";

export interface ExecutionPoint {
  readonly hash: string;
  readonly height: number;
}

/** In JSON's payload, as in its header in a blinded block. */
const Point = container({ block_number: count, block_hash: bytes32 });
/** Of a signed block: the offset of the message, the signature. Then slot, proposer, parent, state, the offset of the body. */
const BODY_OFFSET_AT = 4 + 96 + 8 + 8 + 32 + 32;
const MESSAGE_AT = 4 + 96;
/** Reveal, deposit data, graffiti, five offsets of lists; behind them the sync aggregate, then the offset of the payload. */
const AGGREGATE_AT = 96 + 72 + 32 + 5 * 4;
const SIGNATURE_BYTES = 96;
/** Hashes and roots, fees' recipient, bloom, randao before it; number, gas, time, two numbers of 4 and 32 bytes between. */
const NUMBER_AT = 32 + 20 + 32 + 32 + 256 + 32;
const HASH_AT = NUMBER_AT + 4 * 8 + 4 + 32;

/**
 * Of a SignedBeaconBlock, blinded or not, of Bellatrix up to Fulu: SSZ where it is bytes, else the `data` of its JSON. Null where the block is from
 * before the merge. Nothing is proved. Throws SPRINT_BEACON_SSZ, SPRINT_BEACON_JSON or SPRINT_BEACON_NUMBER.
 */
export function executionOfBlock(fork: BeaconForkName, data: unknown, params: BeaconParams): ExecutionPoint | null {
  if (!isSince(fork, "bellatrix")) return null;
  const { block_hash: hash, block_number: height } =
    data instanceof Uint8Array ? pointFromSsz(data, params) : pointFromJson(data);
  return hash.every((byte) => byte === 0) ? null : { hash: hexOf(hash), height };
}

function pointFromSsz(bytes: Uint8Array, params: BeaconParams) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const offset = (at: number, from: number): number => {
    if (at + 4 > bytes.length) throw cut(bytes.length);
    return from + view.getUint32(at, true);
  };
  const body = offset(BODY_OFFSET_AT, MESSAGE_AT);
  const payload = offset(body + AGGREGATE_AT + params.committeeSize / 8 + SIGNATURE_BYTES, body);
  if (payload + HASH_AT + 32 > bytes.length) throw cut(bytes.length);
  const height = view.getBigUint64(payload + NUMBER_AT, true);
  if (height > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new SprintError("SPRINT_BEACON_NUMBER", `beacon block: expected a block number up to 2^53, got ${height}`);
  }
  return {
    block_number: Number(height),
    block_hash: Uint8Array.from(bytes.subarray(payload + HASH_AT, payload + HASH_AT + 32)),
  };
}

function pointFromJson(data: unknown) {
  const body = member(member(data, "message"), "body");
  return sszFromJson(Point, member(body, "execution_payload") ?? member(body, "execution_payload_header"), "payload");
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function cut(actual: number): SprintError {
  const message = `beacon block: expected its execution payload where the offsets say, it ends after ${actual} bytes`;
  return new SprintError("SPRINT_BEACON_SSZ", message, { actual });
}
