/** What differs between families: which methods pass, and what a node's answer means. */
import type { OutcomeCode } from "../breaker/index.ts";
import type { PassedAnswer } from "../upstream/index.ts";
import type { MethodRow } from "./methods.ts";
import type { Params, ServedChain } from "./types.ts";

export type NodeFault = Extract<PassedAnswer, { ok: false }>;

/** What a served block says of an answer. `doubted`: it may be right, and is not believed. `failed`: it is wrong. */
export type Doubt = "doubted" | "failed";

/** A call whose answer settles a doubt. */
export interface Witness {
  readonly method: string;
  readonly params: Params;
}

export interface Dialect {
  readonly methods: Readonly<Record<string, Omit<MethodRow, "method">>>;
  /** The row under these arguments: they may name a block that does not change any more. */
  rowFor(row: MethodRow, params: Params, served: ServedChain): MethodRow;
  /** An error object is an answer, unless it says that the node is not well. */
  outcomeOf(fault: NodeFault): OutcomeCode;
  /** Whether this node says that it has not what it was asked for; `for ever` where time changes nothing. */
  missing(answer: PassedAnswer): "yet" | "for ever" | null;
  /** Of the block that the arguments name, where that is known. */
  heightAsked(row: MethodRow, params: Params, served: ServedChain): number | null;
  /** Of the tip that the answer shows. */
  heightIn(method: string, params: Params, json: string, served: ServedChain): number | null;
  /** What can be held against a block that is served; null where nothing speaks against it. */
  doubt(row: MethodRow, params: Params, json: string, served: ServedChain): Doubt | null;
  /** What to ask where all answers to a call were doubted; null where nothing would help. */
  witness(row: MethodRow, params: Params, served: ServedChain): Witness | null;
  /** The answer to the first call, proved by the witness's; null where that proves nothing. */
  settle(params: Params, json: string, served: ServedChain): string | null;
}

export const fresh = { fresh: true, elsewhere: false, block: null } as const;
export const still = { fresh: false, elsewhere: false, block: null } as const;

export function param(params: Params, position: number, name: string): unknown {
  return Array.isArray(params) ? params[position] : (params as Readonly<Record<string, unknown>>)[name];
}

export function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return null;
  }
}
