/**
 * Values of Ethereum's JSON-RPC: quantities and data as hex strings. https://ethereum.org/developers/docs/apis/json-rpc/
 * Every reader names the field that it did not like; nothing is a JavaScript number on the way.
 */
import { SprintError } from "../../../shared/errors.ts";

export interface JsonObject {
  readonly [field: string]: unknown;
}

/** A block's data as text, and its receipts', are each smaller than this. */
export const MAX_JSON_BYTES = 64 * 1024 * 1024;
const MAX_QUANTITY_DIGITS = 64;
const MAX_LIST = 1_000_000;

/** Throws SPRINT_EVM_JSON_SIZE or SPRINT_EVM_JSON_SYNTAX. A response of JSON-RPC is opened: its `result` is returned. */
export function parseJson(text: string | Uint8Array): unknown {
  const size = typeof text === "string" ? Buffer.byteLength(text) : text.length;
  if (size > MAX_JSON_BYTES) throw problem("SPRINT_EVM_JSON_SIZE", "JSON", `at most ${MAX_JSON_BYTES} bytes`, size);
  let value: unknown;
  try {
    value = JSON.parse(
      typeof text === "string" ? text : Buffer.from(text.buffer, text.byteOffset, text.length).toString("utf8"),
    );
  } catch (error) {
    throw problem("SPRINT_EVM_JSON_SYNTAX", "JSON", "a JSON document", (error as Error).message);
  }
  return openResponse(value);
}

/** The result of a JSON-RPC response; anything else is a result itself. Throws SPRINT_EVM_JSON_RESPONSE for one that is an error. */
export function openResponse(value: unknown): unknown {
  if (!isObject(value) || !("jsonrpc" in value)) return value;
  if (isObject(value["error"])) {
    throw problem("SPRINT_EVM_JSON_RESPONSE", "response", "a result", show(value["error"]["message"]));
  }
  return value["result"];
}

/** Throws SPRINT_EVM_JSON_NULL for null, as nodes answer for what they do not have; SPRINT_EVM_JSON_TYPE for others. */
export function objectOf(value: unknown, what: string): JsonObject {
  if (value === null || value === undefined) throw problem("SPRINT_EVM_JSON_NULL", what, "an object", "null");
  if (!isObject(value)) throw problem("SPRINT_EVM_JSON_TYPE", what, "an object", show(value));
  return value;
}

export function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === null || value === undefined) throw problem("SPRINT_EVM_JSON_NULL", what, "a list", "null");
  if (!Array.isArray(value)) throw problem("SPRINT_EVM_JSON_TYPE", what, "a list", show(value));
  if (value.length > MAX_LIST) throw problem("SPRINT_EVM_JSON_SIZE", what, `at most ${MAX_LIST} items`, value.length);
  return value;
}

/** The first of `names` that is there; null counts as not there. */
export function fieldOf(object: JsonObject, names: readonly string[]): unknown {
  for (const name of names) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** A quantity as its big-endian bytes without leading zeros, none for zero. At most 256 bits. */
export function quantityBytes(value: unknown, what: string): Uint8Array {
  const digits = digitsOf(value, what, "a quantity");
  if (digits.length === 0 || digits.length > MAX_QUANTITY_DIGITS) {
    throw problem("SPRINT_EVM_JSON_QUANTITY", what, `1 to ${MAX_QUANTITY_DIGITS} hex digits`, digits.length);
  }
  let from = 0;
  while (from < digits.length && digits.charCodeAt(from) === 0x30) from++;
  const rest = digits.slice(from);
  return bytesOf(rest.length % 2 === 0 ? rest : `0${rest}`, what, "SPRINT_EVM_JSON_QUANTITY");
}

/** A quantity of at most 256 bits. */
export function quantityOf(value: unknown, what: string): bigint {
  const bytes = quantityBytes(value, what);
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

/** Throws SPRINT_EVM_NUMBER_RANGE above 2^53 - 1. */
export function countOf(value: unknown, what: string): number {
  return safeNumber(quantityOf(value, what), what);
}

export function safeNumber(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw problem("SPRINT_EVM_NUMBER_RANGE", what, `at most ${Number.MAX_SAFE_INTEGER}`, `${value}`);
  }
  return Number(value);
}

/** Data of any length, or of `length` bytes where that is given. */
export function dataOf(value: unknown, what: string, length?: number): Buffer {
  const digits = digitsOf(value, what, length === undefined ? "data" : `${length} bytes of data`);
  if (digits.length % 2 === 1 || (length !== undefined && digits.length !== length * 2)) {
    const expected = length === undefined ? "an even number of hex digits" : `${length * 2} hex digits`;
    throw problem("SPRINT_EVM_JSON_LENGTH", what, expected, digits.length);
  }
  return bytesOf(digits, what, "SPRINT_EVM_JSON_DATA");
}

export function hexOf(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")}`;
}

function digitsOf(value: unknown, what: string, expected: string): string {
  if (value === undefined || value === null) {
    throw problem("SPRINT_EVM_JSON_FIELD", what, `${expected}, 0x and hex digits`, "no such field");
  }
  if (typeof value !== "string" || !(value.startsWith("0x") || value.startsWith("0X"))) {
    throw problem("SPRINT_EVM_JSON_TYPE", what, `${expected}, 0x and hex digits`, show(value));
  }
  return value.slice(2);
}

type HexFault = "SPRINT_EVM_JSON_QUANTITY" | "SPRINT_EVM_JSON_DATA";

/** Buffer.from stops at what is no hex digit, so a result that is too short says that there was one. */
function bytesOf(digits: string, what: string, code: HexFault): Buffer {
  const bytes = Buffer.from(digits, "hex");
  if (bytes.length * 2 !== digits.length) throw problem(code, what, "hex digits", show(digits));
  return bytes;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Never the inside of a list or an object: that may be as deep as the text is long. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return "an object";
  const text = String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

type Fault = "SIZE" | "SYNTAX" | "RESPONSE" | "NULL" | "TYPE" | "FIELD" | "QUANTITY" | "LENGTH" | "DATA";

function problem(
  code: `SPRINT_EVM_JSON_${Fault}` | "SPRINT_EVM_NUMBER_RANGE",
  what: string,
  expected: string,
  actual: string | number,
): SprintError {
  return new SprintError(code, `${what}: expected ${expected}, got ${actual}`, { field: what, expected, actual });
}
