/** Block headers of every fork: from RLP and from JSON-RPC to the same bytes, whose Keccak-256 is the block's name. */
import type { EvmDetail } from "../../../shared/block.ts";
import { SprintError } from "../../../shared/errors.ts";
import type { Header } from "../types.ts";
import { dataOf, fieldOf, hexOf, type JsonObject, objectOf, quantityBytes, safeNumber } from "./json.ts";
import { keccak256 } from "./keccak.ts";
import { bytesInteger, decodeRlp, encodeRlp, type RlpItem } from "./rlp.ts";

/** What a block keeps of it, and what names it. */
export interface EvmHeader extends Header, Omit<EvmDetail, "family"> {
  /** As `number`. */
  readonly height: number;
  readonly number: number;
  /** Unix seconds. */
  readonly timestamp: number;
  /** How many fields it has: 15 in Frontier, 21 in Prague. */
  readonly fields: number;
  /** The RLP that the hash is taken over. */
  readonly raw: Uint8Array;
}

/** JSON-RPC's name, and bytes: a fixed length, or the most of an integer, or the most of data. */
type Row = readonly [name: string, kind: "fixed" | "integer" | "data", bytes: number];

/** A bound for memory; rules.ts has the chain's own. */
const MAX_EXTRA_BYTES = 1024 * 1024;

const ROWS: readonly Row[] = [
  ["parentHash", "fixed", 32],
  ["sha3Uncles", "fixed", 32],
  ["miner", "fixed", 20],
  ["stateRoot", "fixed", 32],
  ["transactionsRoot", "fixed", 32],
  ["receiptsRoot", "fixed", 32],
  ["logsBloom", "fixed", 256],
  ["difficulty", "integer", 32],
  ["number", "integer", 8],
  ["gasLimit", "integer", 8],
  ["gasUsed", "integer", 8],
  ["timestamp", "integer", 8],
  ["extraData", "data", MAX_EXTRA_BYTES],
  ["mixHash", "fixed", 32],
  ["nonce", "fixed", 8],
  ["baseFeePerGas", "integer", 32],
  ["withdrawalsRoot", "fixed", 32],
  ["blobGasUsed", "integer", 8],
  ["excessBlobGas", "integer", 8],
  ["parentBeaconBlockRoot", "fixed", 32],
  ["requestsHash", "fixed", 32],
];
/** Those that were made here, whose hash was taken over their bytes then. */
const hashed = new WeakSet<EvmHeader>();
/** What Frontier has; each later field needs all before it. */
const REQUIRED = 15;

/** A header from its RLP, with nothing behind it. Throws SPRINT_EVM_RLP_*, SPRINT_EVM_HEADER_FIELDS or SPRINT_EVM_NUMBER_RANGE. */
export function decodeEvmHeader(raw: Uint8Array): EvmHeader {
  const items = decodeRlp(raw);
  if (items instanceof Uint8Array) throw badFields("a list", "bytes");
  return headerOf(items, raw);
}

/**
 * A header from a block of JSON-RPC; fields that do not belong to it are not looked at.
 * Throws SPRINT_EVM_JSON_*, SPRINT_EVM_HEADER_* or SPRINT_EVM_NUMBER_RANGE; SPRINT_EVM_HEADER_HASH where `hash` is another.
 */
export function evmHeaderFromJson(value: unknown): EvmHeader {
  const block = objectOf(value, "block");
  const items: Uint8Array[] = [];
  const texts: string[] = [];
  for (const [index, row] of ROWS.entries()) {
    const field = fieldOf(block, [row[0]]);
    if (field === undefined && index >= REQUIRED) continue;
    if (items.length < index) throw badFields(`${ROWS[items.length]?.[0]}, as ${row[0]} is there`, "no such field");
    items.push(fieldBytes(row, field));
    texts.push((field as string).toLowerCase());
  }
  const header = headerOf(items, encodeRlp(items), texts);
  const named = hexOf(dataOf(block["hash"], "hash", 32));
  if (named !== header.hash) throw badHash(named, header.hash);
  checkArbitrum(block, header);
  return header;
}

function fieldBytes([name, kind, size]: Row, field: unknown): Uint8Array {
  if (kind === "fixed") return dataOf(field, name, size);
  return kind === "integer" ? quantityBytes(field, name) : dataOf(field, name);
}

/** `texts`: the items in hex, where they were read from that. */
function headerOf(items: readonly RlpItem[], raw: Uint8Array, texts: readonly string[] = []): EvmHeader {
  if (items.length < REQUIRED || items.length > ROWS.length) {
    throw badFields(`${REQUIRED} to ${ROWS.length} fields`, `${items.length}`);
  }
  const hex = (index: number): string => {
    const [name, kind, size] = ROWS[index] as Row;
    const item = items[index];
    const fits = item instanceof Uint8Array && (kind === "fixed" ? item.length === size : item.length <= size);
    if (!fits) throw badFields(`${name} of ${size} bytes`, item instanceof Uint8Array ? `${item.length}` : "a list");
    return texts[index] ?? hexOf(item);
  };
  const integer = (index: number): bigint => {
    const [name, , size] = ROWS[index] as Row;
    return bytesInteger(items[index] as RlpItem, name, size);
  };
  const optional = <T>(index: number, read: (index: number) => T): T | null =>
    index < items.length ? read(index) : null;
  const hash = hexOf(keccak256(raw));
  const number = safeNumber(integer(8), "number");
  const header: EvmHeader = {
    hash,
    locator: hash,
    height: number,
    parentHash: hex(0),
    ommersHash: hex(1),
    beneficiary: hex(2),
    stateRoot: hex(3),
    transactionsRoot: hex(4),
    receiptsRoot: hex(5),
    logsBloom: hex(6),
    difficulty: integer(7),
    number,
    gasLimit: integer(9),
    gasUsed: integer(10),
    timestamp: safeNumber(integer(11), "timestamp"),
    extraData: hex(12),
    mixHash: hex(13),
    nonce: hex(14),
    baseFeePerGas: optional(15, integer),
    withdrawalsRoot: optional(16, hex),
    blobGasUsed: optional(17, integer),
    excessBlobGas: optional(18, integer),
    parentBeaconBlockRoot: optional(19, hex),
    requestsHash: optional(20, hex),
    fields: items.length,
    // a copy, so that a header that is kept does not hold the message that it came in
    raw: new Uint8Array(raw),
  };
  hashed.add(header);
  return header;
}

/** The Keccak-256 of a header's bytes; of one that was decoded here it is not taken twice. */
export function hashOfEvmHeader(header: EvmHeader): string {
  return hashed.has(header) ? header.hash : hexOf(keccak256(header.raw));
}

/** Nitro nodes repeat what they hide in extraData and mixHash; what is repeated must be the same. */
function checkArbitrum(block: JsonObject, header: EvmHeader): void {
  const mixed = (from: number): bigint => BigInt(`0x${header.mixHash.slice(2 + from * 2, 18 + from * 2)}`);
  const repeated: readonly (readonly [name: string, expected: () => Uint8Array])[] = [
    ["sendRoot", () => Buffer.from(header.extraData.slice(2), "hex")],
    ["sendCount", () => quantityBytes(`0x${mixed(0).toString(16)}`, "mixHash")],
    ["l1BlockNumber", () => quantityBytes(`0x${mixed(8).toString(16)}`, "mixHash")],
  ];
  for (const [name, expected] of repeated) {
    const field = fieldOf(block, [name]);
    if (field === undefined) continue;
    const actual = name === "sendRoot" ? dataOf(field, name, 32) : quantityBytes(field, name);
    if (Buffer.compare(actual, expected()) !== 0) {
      throw badFields(`${name} as extraData and mixHash say, ${hexOf(expected())}`, hexOf(actual));
    }
  }
}

function badFields(expected: string, actual: string): SprintError {
  return new SprintError("SPRINT_EVM_HEADER_FIELDS", `header: expected ${expected}, got ${actual}`, {
    expected,
    actual,
  });
}

function badHash(named: string, actual: string): SprintError {
  const message = `hash: expected the Keccak-256 of the header's fields, ${actual}, got ${named}`;
  return new SprintError("SPRINT_EVM_HEADER_HASH", message, { expected: actual, actual: named });
}
