/** What an upstream's answer, or its absence, means: for its breaker, and for the call. */
import { isSprintError } from "../../shared/errors.ts";
import { FAILURE, IGNORED, jsonRpcOutcome, type OutcomeCode, SUCCESS } from "../breaker/index.ts";
import type { PassedAnswer } from "../upstream/index.ts";
import type { MethodRow } from "./methods.ts";
import type { Params, ServedChain } from "./types.ts";

/**
 * `answer` goes to the client. `behind`: right for a chain that ends before the served tip. `elsewhere`: this node does not have it, another may.
 * `failed`: it did not do its work. `too_large`: nobody's answer would be smaller. `stopped`: we broke it off.
 */
export type Verdict = "answer" | "behind" | "elsewhere" | "failed" | "too_large" | "stopped";

/** A node's error codes for what it has not: RPC_MISC_ERROR, RPC_INVALID_ADDRESS_OR_KEY, RPC_INVALID_PARAMETER (bitcoind's protocol.h). */
const NOT_HERE: ReadonlySet<number | null> = new Set([-1, -5, -8]);
const WARMING_UP = -28;

/** An error object is an answer, unless it says that the node is not well. */
export function outcomeOf(answer: PassedAnswer): OutcomeCode {
  return answer.ok ? SUCCESS : jsonRpcOutcome({ code: answer.code });
}

export function verdictOf(row: MethodRow, params: Params, answer: PassedAnswer, served: ServedChain): Verdict {
  if (outcomeOf(answer) === FAILURE) return "failed";
  if (isBehind(row, params, answer, served)) return "behind";
  return !answer.ok && row.elsewhere && NOT_HERE.has(answer.code) ? "elsewhere" : "answer";
}

/** The node's answer contradicts what our subscribers were told already. Nothing is known before the first block. */
function isBehind(row: MethodRow, params: Params, answer: PassedAnswer, served: ServedChain): boolean {
  const tip = served.tip();
  if (tip === null) return false;
  if (!answer.ok) {
    // A pruned node is not behind: it will never have it again.
    if (row.block === null || !NOT_HERE.has(answer.code) || answer.message.includes("pruned")) return false;
    const asked = param(params, ...row.block);
    const height = typeof asked === "string" ? served.heightOf(asked) : asked;
    return typeof height === "number" && height >= 0 && height <= tip.height;
  }
  const height = heightIn(row.method, answer.json, served);
  return height !== null && height < tip.height;
}

function heightIn(method: string, json: string, served: ServedChain): number | null {
  if (method === "getblockcount") return numberOrNull(parsed(json));
  if (method === "getblockchaininfo") return numberOrNull((parsed(json) as { blocks?: unknown } | null)?.blocks);
  if (method !== "getbestblockhash" && method !== "gettxout") return null;
  const answer = parsed(json);
  const hash = method === "gettxout" ? (answer as { bestblock?: unknown } | null)?.bestblock : answer;
  // One that we do not know is newer than what we serve, or on a branch that may win.
  return typeof hash === "string" ? served.heightOf(hash) : null;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return null;
  }
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function param(params: Params, position: number, name: string): unknown {
  return Array.isArray(params) ? params[position] : (params as Readonly<Record<string, unknown>>)[name];
}

/** In `x-sprint-tried` and in metrics: how an attempt ended. */
const FAILURE_WORDS: Readonly<Record<string, string>> = {
  SPRINT_RPC_TIMEOUT: "timeout",
  SPRINT_RPC_UNREACHABLE: "unreachable",
  SPRINT_RPC_UNAVAILABLE: "overloaded",
  SPRINT_RPC_BUSY: "busy",
  SPRINT_RPC_UNAUTHORIZED: "unauthorized",
  SPRINT_RPC_FORBIDDEN: "forbidden",
  SPRINT_RPC_COOKIE: "unauthorized",
  SPRINT_RPC_TOO_LARGE: "too_large",
  SPRINT_RPC_CLOSED: "closed",
};

/** All that an attempt can be told as. */
export const ATTEMPT_WORDS: readonly string[] = [
  "ok",
  "error",
  "behind",
  "elsewhere",
  "warming_up",
  "unwell",
  "stopped",
  "garbled",
  ...new Set(Object.values(FAILURE_WORDS)),
];

export function wordOfAnswer(verdict: Verdict, answer: PassedAnswer): string {
  if (verdict === "failed") return !answer.ok && answer.code === WARMING_UP ? "warming_up" : "unwell";
  return verdict === "answer" ? (answer.ok ? "ok" : "error") : verdict;
}

export function wordOfError(error: unknown): string {
  return (isSprintError(error) ? FAILURE_WORDS[error.code] : undefined) ?? "garbled";
}

/** Our own limits say nothing about the node, and a method that its owner does not let us call (`rpcwhitelist`) nothing about its health. */
const NOT_ITS_HEALTH: ReadonlySet<string> = new Set(["too_large", "busy", "closed", "forbidden"]);

export function outcomeOfError(word: string): OutcomeCode {
  return NOT_ITS_HEALTH.has(word) ? IGNORED : FAILURE;
}
