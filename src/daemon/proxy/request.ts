/**
 * Reads what a client sent and writes what it gets: JSON-RPC 2.0, and 1.0 for clients that do not say "2.0", as nodes do. Whatever comes is a request or
 * one answer that says what is wrong; nothing is thrown.
 */
import type { Params } from "./types.ts";

export interface Asked {
  /** As JSON. */
  readonly id: string;
  readonly version: 1 | 2;
  readonly method: string;
  readonly params: Params;
}

/** A call, or the answer to what is none. */
export type Entry = { readonly asked: Asked } | { readonly refusal: string };

export type Request =
  | { readonly kind: "single"; readonly entry: Entry }
  | { readonly kind: "batch"; readonly entries: readonly Entry[] }
  /** Nothing in it can be answered by itself. */
  | { readonly kind: "malformed"; readonly refusal: string };

export interface RequestLimits {
  readonly requestChars: number;
  readonly batchCalls: number;
}

export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
/** JSON-RPC 2.0 leaves -32000 to -32099 to the server: no upstream could answer; `data.code` says why. */
export const SERVER_ERROR = -32000;

const MOST_PARAMS = 16;
/** Arguments are not nested deeper than a list of lists; what is would overflow the stack that writes it. */
const MOST_DEPTH = 8;
const MOST_ID_CHARS = 256;
const MOST_METHOD_CHARS = 64;

export function readRequest(text: string, limits: RequestLimits): Request {
  if (text.length > limits.requestChars)
    return malformed(INVALID_REQUEST, `expected at most ${limits.requestChars} characters, got ${text.length}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return malformed(PARSE_ERROR, "expected JSON, and what came is none");
  }
  if (!Array.isArray(parsed)) {
    const entry = readEntry(parsed);
    return "refusal" in entry ? { kind: "malformed", refusal: entry.refusal } : { kind: "single", entry };
  }
  if (parsed.length === 0 || parsed.length > limits.batchCalls) {
    return malformed(INVALID_REQUEST, `expected a batch of 1 to ${limits.batchCalls} calls, got ${parsed.length}`);
  }
  return { kind: "batch", entries: parsed.map(readEntry) };
}

function malformed(code: number, message: string): Request {
  return { kind: "malformed", refusal: errorAnswer(null, code, message) };
}

function readEntry(value: unknown): Entry {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { refusal: errorAnswer(null, INVALID_REQUEST, "expected a call, an object with id and method") };
  }
  const { jsonrpc, id, method, params = [] } = value as Record<string, unknown>;
  const said = idOf(id);
  const version = jsonrpc === "2.0" ? 2 : 1;
  const wrong = (message: string): Entry => ({
    refusal: errorAnswer(said === null ? null : { id: said, version }, INVALID_REQUEST, message),
  });
  if (said === null) {
    return wrong(
      id === undefined
        ? "expected an id: a call without one is a notification, and nothing here is worth asking without an answer"
        : `expected id to be null, a string of at most ${MOST_ID_CHARS} characters or a number that a double holds`,
    );
  }
  if (jsonrpc !== undefined && typeof jsonrpc !== "string") return wrong("expected jsonrpc to be a string, as 2.0");
  if (typeof method !== "string" || method === "" || method.length > MOST_METHOD_CHARS)
    return wrong(`expected method to be a name of at most ${MOST_METHOD_CHARS} characters`);
  if (typeof params !== "object" || params === null) return wrong("expected params to be a list or an object");
  if (Object.keys(params).length > MOST_PARAMS) return wrong(`expected at most ${MOST_PARAMS} params`);
  if (!isShallow(params, MOST_DEPTH)) return wrong(`expected params nested at most ${MOST_DEPTH} deep`);
  return { asked: { id: said, version, method, params: params as Params } };
}

/** Null where it is none that comes back as it was. */
function idOf(id: unknown): string | null {
  if (id === null) return "null";
  if (typeof id === "string") return id.length <= MOST_ID_CHARS ? JSON.stringify(id) : null;
  if (typeof id !== "number" || !Number.isFinite(id)) return null;
  return Number.isInteger(id) && !Number.isSafeInteger(id) ? null : JSON.stringify(id);
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1));
}

export function resultAnswer({ id, version }: Pick<Asked, "id" | "version">, json: string): string {
  return version === 2 ? `{"jsonrpc":"2.0","result":${json},"id":${id}}` : `{"result":${json},"error":null,"id":${id}}`;
}

/** `json` is the error object. */
export function errorObjectAnswer({ id, version }: Pick<Asked, "id" | "version">, json: string): string {
  return version === 2 ? `{"jsonrpc":"2.0","error":${json},"id":${id}}` : `{"result":null,"error":${json},"id":${id}}`;
}

/** Null: an answer to what has no id. */
export function errorAnswer(
  asked: Pick<Asked, "id" | "version"> | null,
  code: number,
  message: string,
  data?: unknown,
): string {
  return errorObjectAnswer(asked ?? { id: "null", version: 2 }, JSON.stringify({ code, message, data }));
}
