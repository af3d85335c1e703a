/**
 * What an error says about the one who was asked. The breaker has no opinion; these are for its callers. FAILURE: it did not do its work. SUCCESS: it
 * did, and the answer is that the question was wrong. IGNORED: it says nothing about it.
 */
import { FAILURE, IGNORED, type OutcomeCode, SUCCESS } from "./codes.ts";

/** Every rejection is a failure, only an abort by the caller is nobody's fault. */
export function failureOutcome(error: unknown): OutcomeCode {
  return property(error, "name") === "AbortError" ? IGNORED : FAILURE;
}

/**
 * Of an HTTP status (RFC 9110, 6585). 5xx, 408 and 429 are failures: it cannot, or not now. 501 and 505 are answers. The other 4xx are about the
 * question, 401, 403 and 407 included: they would open a breaker on one client's wrong password.
 */
export function httpStatusOutcome(status: number): OutcomeCode {
  if (status === 408 || status === 429) return FAILURE;
  if (status >= 500) return status === 501 || status === 505 ? SUCCESS : FAILURE;
  return status >= 100 ? SUCCESS : FAILURE;
}

/** Of an error with `status` or `statusCode`, else of its socket. */
export function httpOutcome(error: unknown): OutcomeCode {
  const status = property(error, "statusCode") ?? property(error, "status");
  return typeof status === "number" ? httpStatusOutcome(status) : socketOutcome(error);
}

/** Answers of a node that is well: bitcoind's own codes (protocol.h) from -1 to -8, -25 to -27, and JSON-RPC 2.0's on requests. */
const QUESTION_WAS_WRONG = new Set([-32700, -32600, -32601, -32602, -1, -3, -5, -7, -8, -11, -22, -25, -26, -27, 3]);
/** -28: still warming up; -9, -10: no peers, in initial download; -32603: internal; -32005: limit exceeded; -32000 to -32099: the server's. */
const NODE_IS_NOT_WELL = new Set([-28, -9, -10, -32603, -32005]);

/** Of a JSON-RPC error object (`code` a number), else of HTTP and of the socket. */
export function jsonRpcOutcome(error: unknown): OutcomeCode {
  const code = property(error, "code");
  if (typeof code !== "number") return httpOutcome(error);
  if (NODE_IS_NOT_WELL.has(code)) return FAILURE;
  if (QUESTION_WAS_WRONG.has(code)) return SUCCESS;
  return code <= -32000 && code >= -32099 ? FAILURE : SUCCESS;
}

/** What is wrong on our side of the socket: no descriptors, no memory, no right. */
const OURS = new Set([
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "EACCES",
  "EPERM",
  "EADDRINUSE",
  "EADDRNOTAVAIL",
  "ERR_INVALID_ARG_TYPE",
  "ERR_INVALID_URL",
]);

/** Of a socket's error: what the other end or the way to it did is a failure, what our own machine lacks says nothing about it. */
export function socketOutcome(error: unknown): OutcomeCode {
  const code = property(error, "code");
  if (typeof code === "string" && OURS.has(code)) return IGNORED;
  return failureOutcome(error);
}

/**
 * Of a SQL error: the SQLSTATE class (ISO 9075) of PostgreSQL and others in `code`, or SQLite's name. 08 connection, 53 resources, 57 operator
 * intervention, 58 system, XX internal, F0 configuration are failures. All others are answers, among them 23 constraint, 40 serialization and 42 syntax.
 */
export function sqlOutcome(error: unknown): OutcomeCode {
  const code = property(error, "code");
  if (typeof code !== "string") return failureOutcome(error);
  if (code.startsWith("SQLITE_"))
    return /^SQLITE_(?:CONSTRAINT|MISMATCH|RANGE|TOOBIG|ERROR)/.test(code) ? SUCCESS : FAILURE;
  if (/^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E")) {
    // 57014: the query was cancelled, by us.
    if (code === "57014") return IGNORED;
    return /^(?:08|53|57|58|XX|F0)/.test(code) ? FAILURE : SUCCESS;
  }
  return socketOutcome(error);
}

function property(error: unknown, name: string): unknown {
  return typeof error === "object" && error !== null ? (error as Record<string, unknown>)[name] : undefined;
}
