/**
 * Ethereum and its like. Reads of blocks, transactions and state pass, and one method that sends.
 *
 * Left out is what signs or tells of the node's owner (eth_accounts, eth_sign…, personal_…, admin_…), what only means something on one connection (filters),
 * what takes a node minutes (debug_…, trace_…), and what tells of the node itself (eth_syncing, web3_clientVersion).
 */
import type { EvmDetail } from "../../shared/block.ts";
import { checkAccountAnswer, checkLogs, logFilterFromJson, provedLogs } from "../chain/index.ts";
import { FAILURE, SUCCESS } from "../breaker/index.ts";
import { isSprintError } from "../../shared/errors.ts";
import { type Dialect, type Doubt, fresh, param, parsed, still } from "./dialect.ts";
import type { MethodRow } from "./methods.ts";
import type { Params, ServedChain } from "./types.ts";

/** State of a block: a node may have pruned it. */
function stateAt(position: number): Pick<MethodRow, "fresh" | "elsewhere" | "block"> {
  return { fresh: true, elsewhere: true, block: [position, "block"] };
}
const byBlock = { fresh: true, elsewhere: true, block: [0, "block"] } as const;
const byId = { fresh: false, elsewhere: true, block: null } as const;

/** Answers above this are not read again on the main thread. */
const MAX_DOUBT_CHARS = 256 * 1024;
/** Receipts of a large block; proving them holds up everything else for some 30 ms. */
const MAX_WITNESS_CHARS = 4 * 1024 * 1024;

/** A node that is behind answers for logs that it has not with none: this far below the tip all are taken to have them. */
const LOGS_MARGIN = 32;

/** Nodes word it as they like, under -32000, -32001 or codes of their own: geth, erigon, nethermind, besu, reth, anvil. */
const NOT_YET =
  /header not found|unknown block|block not found|cannot query unfinalized|blockoutofrange|resource not found/i;
const PRUNED =
  /missing trie node|pruned|historical state|state .*(?:un|not )available|required historical|ancient|old data not/i;
const NOT_WELL =
  /timed? ?out|deadline exceeded|overload|too many requests|rate limit|capacity|not synced|syncing|shutting down/i;
/** EIP-1474: not found, unavailable, not supported; JSON-RPC 2.0: no such method. Another node may have it. */
const NOT_HERE: ReadonlySet<number | null> = new Set([-32001, -32002, -32004, -32601]);
const INTERNAL = -32603;
/** EIP-1474: limit exceeded, of calls or of what one asks for. */
const LIMIT = -32005;

export const EVM: Dialect = {
  methods: {
    eth_blockNumber: { class: "tip", ...fresh },
    eth_gasPrice: { class: "tip", ...fresh },
    eth_maxPriorityFeePerGas: { class: "tip", ...fresh },
    eth_blobBaseFee: { class: "tip", ...fresh },
    eth_feeHistory: { class: "tip", ...stateAt(1) },
    eth_chainId: { class: "lookup", ...still },
    net_version: { class: "lookup", ...still },
    eth_getBalance: { class: "lookup", ...stateAt(1) },
    eth_getCode: { class: "lookup", ...stateAt(1) },
    eth_getTransactionCount: { class: "lookup", ...stateAt(1) },
    eth_getStorageAt: { class: "lookup", ...stateAt(2) },
    eth_getProof: { class: "lookup", ...stateAt(2) },
    eth_getBlockTransactionCountByHash: { class: "lookup", ...byBlock },
    eth_getBlockTransactionCountByNumber: { class: "lookup", ...byBlock },
    eth_getTransactionByHash: { class: "lookup", ...byId },
    eth_getTransactionByBlockHashAndIndex: { class: "lookup", ...byBlock },
    eth_getTransactionByBlockNumberAndIndex: { class: "lookup", ...byBlock },
    eth_getTransactionReceipt: { class: "lookup", ...byId },
    eth_getBlockByHash: { class: "bulk", ...byBlock },
    eth_getBlockByNumber: { class: "bulk", ...byBlock },
    eth_getBlockReceipts: { class: "bulk", ...byBlock },
    eth_getLogs: { class: "bulk", ...byBlock },
    eth_call: { class: "bulk", ...stateAt(1) },
    eth_estimateGas: { class: "bulk", ...stateAt(1) },
    eth_createAccessList: { class: "bulk", ...stateAt(1) },
    eth_sendRawTransaction: { class: "send", ...still },
  },
  rowFor(row, params, served) {
    if (row.block === null) return row;
    const asked = askedOf(row, params);
    const height = heightOf(asked, served);
    const tip = served.tip();
    const margin = row.method === "eth_getLogs" ? LOGS_MARGIN : 1;
    const isOld = height === null ? !isNewest(asked) : tip !== null && height + margin <= tip.height;
    return isOld ? { ...row, fresh: false } : row;
  },
  outcomeOf({ code, message }) {
    if (code === LIMIT) return /result|range|response size/i.test(message) ? SUCCESS : FAILURE;
    return code === INTERNAL || NOT_WELL.test(message) ? FAILURE : SUCCESS;
  },
  missing(answer) {
    if (answer.ok) return answer.json === "null" ? "yet" : null;
    if (PRUNED.test(answer.message)) return "for ever";
    if (NOT_YET.test(answer.message)) return "yet";
    return NOT_HERE.has(answer.code) ? "for ever" : null;
  },
  heightAsked: (row, params, served) => (row.block === null ? null : heightOf(askedOf(row, params), served)),
  heightIn(method, params, json) {
    if (method === "eth_blockNumber") return quantity(parsed(json));
    if (method !== "eth_getBlockByNumber" || !isNewest(param(params, 0, "block"))) return null;
    // the block's own: in transactions it is `blockNumber`
    return quantity(/"number":\s*"(0x[0-9a-f]+)"/i.exec(json)?.[1]);
  },
  doubt(row, params, json, served) {
    const check = CHECKS[row.method];
    if (check === undefined || json.length > MAX_DOUBT_CHARS) return null;
    try {
      return check(params, json, served);
    } catch (error) {
      if (!isSprintError(error)) throw error;
      return "failed";
    }
  },
  witness(row, params, served) {
    const block = row.method === "eth_getLogs" ? blockOfLogs(param(params, 0, "filter"), served) : null;
    return block === null ? null : { method: "eth_getBlockReceipts", params: [block.hash] };
  },
  settle(params, json, served) {
    const filter = param(params, 0, "filter");
    const block = blockOfLogs(filter, served);
    if (block === null || json.length > MAX_WITNESS_CHARS) return null;
    try {
      const logs = provedLogs(block.detail.receiptsRoot, logFilterFromJson(filter), parsed(json));
      return logs === null ? null : JSON.stringify(logs);
    } catch (error) {
      if (!isSprintError(error)) throw error;
      return null;
    }
  },
};

interface ServedBlock {
  readonly hash: string;
  readonly detail: EvmDetail;
}

const CHECKS: Readonly<Record<string, (params: Params, json: string, served: ServedChain) => Doubt | null>> = {
  eth_getLogs: doubtLogs,
  eth_getProof: doubtProof,
};

/** Held against the bloom of the one block that is asked about. Bits are shared, so none may be right. */
function doubtLogs(params: Params, json: string, served: ServedChain): Doubt | null {
  const filter = param(params, 0, "filter");
  const block = blockOfLogs(filter, served);
  if (block === null) return null;
  const header = { hash: block.hash, logsBloom: block.detail.logsBloom };
  return checkLogs(header, logFilterFromJson(filter), parsed(json)) === null ? null : "doubted";
}

/** By number it may be about another branch; by hash it is about this block or wrong. */
function doubtProof(params: Params, json: string, served: ServedChain): Doubt | null {
  const at = param(params, 2, "block");
  const block = blockAt(at, served);
  if (block === null) return null;
  const asked = { address: param(params, 0, "address"), keys: param(params, 1, "keys") };
  if (checkAccountAnswer(block.detail.stateRoot, asked, parsed(json)) === null) return null;
  return isHash(named(at)) ? "failed" : "doubted";
}

/** Where the filter is about one block. */
function blockOfLogs(filter: unknown, served: ServedChain): ServedBlock | null {
  const { blockHash, fromBlock, toBlock } = (filter ?? {}) as Record<string, unknown>;
  return blockAt(blockHash ?? (fromBlock !== undefined && fromBlock === toBlock ? fromBlock : null), served);
}

/** The served block of this number or hash; of a tag none, as what it stands for differs between nodes. */
function blockAt(at: unknown, served: ServedChain): ServedBlock | null {
  const height = heightOf(named(at), served);
  const block = height === null ? null : (served.block?.(height) ?? null);
  return block?.detail.family === "evm" ? { hash: block.hash, detail: block.detail } : null;
}

/** What a call asks about; the newest block where it says nothing. */
function askedOf({ method, block }: MethodRow, params: Params): unknown {
  const asked = block === null ? null : param(params, ...block);
  if (method !== "eth_getLogs") return named(asked) ?? "latest";
  const { blockHash, toBlock } = (asked ?? {}) as Record<string, unknown>;
  return blockHash ?? toBlock ?? "latest";
}

/** EIP-1898: an object names a block too. */
function named(asked: unknown): unknown {
  if (typeof asked !== "object" || asked === null) return asked;
  const { blockHash, blockNumber } = asked as Record<string, unknown>;
  return blockHash ?? blockNumber;
}

function heightOf(asked: unknown, served: ServedChain): number | null {
  if (asked === "earliest") return 0;
  return isHash(asked) ? served.heightOf(asked.toLowerCase()) : quantity(asked);
}

function isHash(asked: unknown): asked is string {
  return typeof asked === "string" && /^0x[0-9a-f]{64}$/i.test(asked);
}

function isNewest(asked: unknown): boolean {
  return asked === undefined || asked === null || asked === "latest" || asked === "pending";
}

function quantity(value: unknown): number | null {
  return typeof value === "string" && /^0x[0-9a-f]{1,13}$/i.test(value) ? Number(value) : null;
}
