/**
 * Solana. Reads of blocks, transactions and accounts pass, and one method that sends.
 *
 * Left out is what takes a node minutes (getProgramAccounts, getLargestAccounts, getSupply), what tells of the node or its peers (getIdentity, getVersion,
 * getHealth, getClusterNodes), and requestAirdrop.
 */
import { FAILURE, jsonRpcOutcome, SUCCESS } from "../breaker/index.ts";
import { type Dialect, fresh, param, parsed, still } from "./dialect.ts";
import type { MethodClass, MethodRow } from "./methods.ts";
import type { Params } from "./types.ts";

const byId = { fresh: false, elsewhere: true, block: null } as const;

/** Class, position of the configuration, which may say how final the answer is to be, and whether one node may have what another has not. */
type Committed = readonly [name: MethodClass, config: number, elsewhere?: boolean];

/** Under `finalized`, the default, a node that is some slots behind is right as well. */
const COMMITTED: Readonly<Record<string, Committed>> = {
  getSlot: ["tip", 0],
  getBlockHeight: ["tip", 0],
  getLatestBlockhash: ["tip", 0],
  getEpochInfo: ["tip", 0],
  getTransactionCount: ["tip", 0],
  getSlotLeader: ["tip", 0],
  isBlockhashValid: ["tip", 1],
  getFeeForMessage: ["tip", 1],
  getAccountInfo: ["lookup", 1],
  getBalance: ["lookup", 1],
  getTokenAccountBalance: ["lookup", 1],
  getTokenSupply: ["lookup", 1],
  getMinimumBalanceForRentExemption: ["lookup", 1],
  getBlock: ["bulk", 1, true],
  getTransaction: ["bulk", 1, true],
  getSignaturesForAddress: ["bulk", 1, true],
  getMultipleAccounts: ["bulk", 1],
  getTokenAccountsByOwner: ["bulk", 2],
  getVoteAccounts: ["bulk", 0],
  simulateTransaction: ["bulk", 1],
};

function rowOf([name, , elsewhere = false]: Committed): Omit<MethodRow, "method"> {
  return { class: name, fresh: true, elsewhere, block: null };
}

/** Of the validator's `rpc_custom_error.rs`: cleaned up, no such block yet, slots skipped or not in its storage, not indexed, no history, not confirmed yet, a slot to come. */
const NOT_YET: ReadonlySet<number | null> = new Set([-32004, -32014, -32016]);
const NOT_HERE: ReadonlySet<number | null> = new Set([-32001, -32007, -32009, -32010, -32011, -32601]);
/** From there too: what was sent or asked for is wrong (preflight, signatures, precompiles, version). */
const QUESTION_WAS_WRONG: ReadonlySet<number | null> = new Set([-32002, -32003, -32006, -32013, -32015]);
const UNHEALTHY = -32005;

export const SVM: Dialect = {
  methods: {
    ...Object.fromEntries(Object.entries(COMMITTED).map(([method, row]) => [method, rowOf(row)])),
    getRecentPrioritizationFees: { class: "tip", ...fresh },
    getRecentPerformanceSamples: { class: "tip", ...fresh },
    getSignatureStatuses: { class: "lookup", ...fresh },
    getBlockTime: { class: "lookup", ...byId },
    getBlockCommitment: { class: "lookup", ...byId },
    getFirstAvailableBlock: { class: "lookup", ...still },
    getGenesisHash: { class: "lookup", ...still },
    getEpochSchedule: { class: "lookup", ...still },
    getStakeMinimumDelegation: { class: "lookup", ...still },
    getBlocks: { class: "bulk", ...byId },
    getBlocksWithLimit: { class: "bulk", ...byId },
    getLeaderSchedule: { class: "bulk", ...byId },
    sendTransaction: { class: "send", ...still },
  },
  rowFor(row, params) {
    const config = COMMITTED[row.method]?.[1];
    if (config === undefined || commitmentOf(params, config) !== "finalized") return row;
    return { ...row, fresh: false };
  },
  outcomeOf({ code }) {
    if (code === UNHEALTHY) return FAILURE;
    const isAnswer = QUESTION_WAS_WRONG.has(code) || NOT_YET.has(code) || NOT_HERE.has(code);
    return isAnswer ? SUCCESS : jsonRpcOutcome({ code });
  },
  missing(answer) {
    if (answer.ok) return answer.json === "null" ? "yet" : null;
    if (NOT_YET.has(answer.code)) return "yet";
    return NOT_HERE.has(answer.code) ? "for ever" : null;
  },
  // its blocks are asked for by slot, and heights are what is served
  heightAsked: () => null,
  heightIn(method, params, json) {
    if (method !== "getBlockHeight" || commitmentOf(params, 0) !== "processed") return null;
    const height = parsed(json);
    return typeof height === "number" ? height : null;
  },
  doubt: () => null,
  witness: () => null,
  settle: () => null,
};

function commitmentOf(params: Params, position: number): string {
  const config = param(params, position, "config");
  const said = typeof config === "object" && config !== null ? (config as { commitment?: unknown }).commitment : null;
  return typeof said === "string" ? said : "finalized";
}
