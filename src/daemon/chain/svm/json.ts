/** Reads values of a node's JSON: each is what it should be, or SPRINT_SVM_SHAPE, _NUMBER, _LIMIT, _BASE58 or _BASE64 is thrown. */
import { decodeBase58, decodeBase58Bounded } from "./base58.ts";
import { failure } from "./failure.ts";

export type Json = Readonly<Record<string, unknown>>;

export function objectOf(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw shape(what, "an object", value);
  return value as Json;
}

export function listOf(value: unknown, what: string, maxLength: number): readonly unknown[] {
  if (!Array.isArray(value)) throw shape(what, "an array", value);
  if (value.length > maxLength) throw failure("SPRINT_SVM_LIMIT", what, `at most ${maxLength}`, value.length);
  return value;
}

/** 0 to 2^53 - 1. Slots and heights are u64: what a double cannot hold exactly has been rounded by JSON.parse already. */
export function wholeNumberOf(value: unknown, what: string): number {
  if (typeof value !== "number") throw shape(what, "a number", value);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw failure("SPRINT_SVM_NUMBER", what, "a whole number of 0 to 2^53 - 1", value);
  }
  return value;
}

export function byteOf(value: unknown, what: string): number {
  const number = wholeNumberOf(value, what);
  if (number > 0xff) throw failure("SPRINT_SVM_NUMBER", what, "0 to 255", number);
  return number;
}

export function bytesOf(value: unknown, what: string, maxLength: number): Uint8Array {
  return Uint8Array.from(listOf(value, what, maxLength), (entry) => byteOf(entry, what));
}

export function textOf(value: unknown, what: string): string {
  if (typeof value !== "string") throw shape(what, "a string", value);
  return value;
}

/** `sizeBytes` bytes exactly. */
export function base58Of(value: unknown, what: string, sizeBytes: number): Uint8Array {
  const bytes = decodeBase58(textOf(value, what), sizeBytes);
  if (bytes === null) throw failure("SPRINT_SVM_BASE58", what, `${sizeBytes} bytes of base58`, shortened(value));
  return bytes;
}

export function boundedBase58Of(value: unknown, what: string, maxBytes: number): Uint8Array {
  const bytes = decodeBase58Bounded(textOf(value, what), maxBytes);
  if (bytes === null) throw failure("SPRINT_SVM_BASE58", what, `at most ${maxBytes} bytes of base58`, shortened(value));
  return bytes;
}

/** RFC 4648 with padding, and nothing between the digits. */
export function boundedBase64Of(value: unknown, what: string, maxBytes: number): Uint8Array {
  const text = textOf(value, what);
  const expected = `at most ${maxBytes} bytes of base64`;
  if (text.length > Math.ceil(maxBytes / 3) * 4) {
    throw failure("SPRINT_SVM_LIMIT", what, expected, `${text.length} characters`);
  }
  const bytes = Buffer.from(text, "base64");
  // Node's decoder is lenient; only what encodes back to itself is base64
  if (bytes.toString("base64") !== text) throw failure("SPRINT_SVM_BASE64", what, expected, shortened(text));
  return bytes;
}

export function shape(what: string, expected: string, actual: unknown): Error {
  return failure("SPRINT_SVM_SHAPE", what, expected, kindOf(actual));
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}

const SHOWN_CHARACTERS = 100;

/** A value of the input for a message: never more than some of it. */
export function shortened(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") return kindOf(value);
  if (value.length <= SHOWN_CHARACTERS) return `"${value}"`;
  return `"${value.slice(0, SHOWN_CHARACTERS)}…", ${value.length} characters`;
}
