/** What an upstream's answer, or its absence, means: for its breaker, and for the call. */
import { isSprintError } from "../../shared/errors.ts";
import { FAILURE, IGNORED, type OutcomeCode, SUCCESS } from "../breaker/index.ts";
import type { PassedAnswer } from "../upstream/index.ts";
import type { Dialect } from "./dialect.ts";
import type { MethodRow } from "./methods.ts";
import type { Params, ServedChain } from "./types.ts";

/**
 * `answer` goes to the client. `behind`: right for a chain that ends before the served tip. `elsewhere`: this node does not have it, another may. `doubted`: a
 * served block speaks against it.
 * `failed`: it did not do its work. `too_large`: nobody's answer would be smaller. `stopped`: we broke it off.
 */
export type Verdict = "answer" | "behind" | "elsewhere" | "doubted" | "failed" | "too_large" | "stopped";

const WARMING_UP = -28;

export interface Judged {
  readonly verdict: Verdict;
  readonly outcome: OutcomeCode;
}

export function judge(
  dialect: Dialect,
  row: MethodRow,
  params: Params,
  answer: PassedAnswer,
  served: ServedChain,
): Judged {
  const outcome = answer.ok ? SUCCESS : dialect.outcomeOf(answer);
  if (outcome === FAILURE) return { verdict: "failed", outcome };
  const missing = dialect.missing(answer);
  if (isBehind(dialect, row, params, answer, served, missing)) return { verdict: "behind", outcome };
  if (missing !== null) return { verdict: row.elsewhere ? "elsewhere" : "answer", outcome };
  const doubt = answer.ok ? dialect.doubt(row, params, answer.json, served) : null;
  return { verdict: doubt ?? "answer", outcome: doubt === "failed" ? FAILURE : outcome };
}

/** The node's answer contradicts what our subscribers were told already. Nothing is known before the first block. */
function isBehind(
  dialect: Dialect,
  row: MethodRow,
  params: Params,
  answer: PassedAnswer,
  served: ServedChain,
  missing: "yet" | "for ever" | null,
): boolean {
  const tip = served.tip();
  if (tip === null) return false;
  if (missing !== null) {
    // A pruned node is not behind: it will never have it again.
    if (missing === "for ever") return false;
    const asked = dialect.heightAsked(row, params, served);
    return asked !== null && asked <= tip.height;
  }
  const height = answer.ok ? dialect.heightIn(row.method, params, answer.json, served) : null;
  return height !== null && height < tip.height;
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
  "doubted",
  "warming_up",
  "unwell",
  "disproved",
  "stopped",
  "garbled",
  ...new Set(Object.values(FAILURE_WORDS)),
];

export function wordOfAnswer(verdict: Verdict, answer: PassedAnswer): string {
  if (verdict === "failed") {
    if (answer.ok) return "disproved";
    return answer.code === WARMING_UP ? "warming_up" : "unwell";
  }
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
