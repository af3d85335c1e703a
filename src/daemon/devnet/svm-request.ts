/** JSON-RPC 2.0 as validators answer it: errors and answers alike come with 200. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf } from "../../shared/errors.ts";

/** `rpc_custom_error` of the reference validator, and JSON-RPC's own. */
export const SVM_RPC_CODE = {
  PARSE_ERROR: -32700,
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  INVALID_PARAMS: -32602,
  INTERNAL_ERROR: -32603,
  BLOCK_CLEANED_UP: -32001,
  PREFLIGHT_FAILURE: -32002,
  SIGNATURE_VERIFICATION_FAILURE: -32003,
  BLOCK_NOT_AVAILABLE: -32004,
  SLOT_SKIPPED: -32007,
  LONG_TERM_STORAGE_SLOT_SKIPPED: -32009,
  UNSUPPORTED_TRANSACTION_VERSION: -32015,
  MIN_CONTEXT_SLOT_NOT_REACHED: -32016,
} as const;

export type SvmRpcCode = (typeof SVM_RPC_CODE)[keyof typeof SVM_RPC_CODE];

/** Thrown by a method; goes to the caller as it is and nowhere else. */
export class SvmRefusal extends Error {
  readonly rpcCode: SvmRpcCode;
  readonly data: unknown;

  constructor(rpcCode: SvmRpcCode, message: string, data?: unknown) {
    super(message);
    this.name = "SvmRefusal";
    this.rpcCode = rpcCode;
    this.data = data;
  }
}

export type SvmCall = (method: string, params: readonly unknown[]) => unknown;

const CALLS_A_TURN = 20;
const MAX_BATCH = 100;
const MAX_METHOD_CHARACTERS = 100;

/** The text of the answer to one call or a batch; empty where nobody wants one. Never throws. */
export async function answerSvmRequest(text: string, call: SvmCall): Promise<string> {
  const request = parse(text);
  if (!Array.isArray(request)) return answerSvmCall(request, call);
  if (request.length === 0) return failed(null, refusal(SVM_RPC_CODE.INVALID_REQUEST));
  if (request.length > MAX_BATCH) {
    const message = `A batch holds at most ${MAX_BATCH} calls, not ${request.length}`;
    return failed(null, new SvmRefusal(SVM_RPC_CODE.INVALID_REQUEST, message));
  }
  const answers: string[] = [];
  for (const [at, each] of request.entries()) {
    if (at % CALLS_A_TURN === CALLS_A_TURN - 1) await nextTurn();
    answers.push(answerSvmCall(each, call));
  }
  const told = answers.filter((answer) => answer !== "");
  return told.length === 0 ? "" : `[${told.join(",")}]`;
}

/** The same over WebSocket, where there are no batches. */
export function answerSvmMessage(text: string, call: SvmCall): string {
  const request = parse(text);
  return Array.isArray(request) ? failed(null, refusal(SVM_RPC_CODE.PARSE_ERROR)) : answerSvmCall(request, call);
}

const UNREADABLE = Symbol("unreadable");

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return UNREADABLE;
  }
}

function answerSvmCall(request: unknown, call: SvmCall): string {
  if (request === UNREADABLE) return failed(null, refusal(SVM_RPC_CODE.PARSE_ERROR));
  if (typeof request !== "object" || request === null) return failed(null, refusal(SVM_RPC_CODE.INVALID_REQUEST));
  const { jsonrpc, id, method, params } = request as Record<string, unknown>;
  const isNamed = typeof id === "string" || (typeof id === "number" && Number.isFinite(id)) || id === null;
  if (jsonrpc !== "2.0" || typeof method !== "string" || method.length > MAX_METHOD_CHARACTERS) {
    return failed(isNamed ? id : null, refusal(SVM_RPC_CODE.INVALID_REQUEST));
  }
  // Written back as it came, and what is nested without end cannot be.
  if (id !== undefined && !isNamed) return failed(null, refusal(SVM_RPC_CODE.INVALID_REQUEST));
  try {
    if (params !== undefined && params !== null && !Array.isArray(params)) {
      throw new SvmRefusal(SVM_RPC_CODE.INVALID_PARAMS, "`params` should be an array");
    }
    const result = call(method, params ?? []);
    return id === undefined ? "" : JSON.stringify({ jsonrpc, result, id });
  } catch (error) {
    return id === undefined ? "" : failed(id, error);
  }
}

export function methodNotFound(): SvmRefusal {
  return refusal(SVM_RPC_CODE.METHOD_NOT_FOUND);
}

const MESSAGES: Partial<Record<SvmRpcCode, string>> = {
  [SVM_RPC_CODE.PARSE_ERROR]: "Parse error",
  [SVM_RPC_CODE.INVALID_REQUEST]: "Invalid request",
  [SVM_RPC_CODE.METHOD_NOT_FOUND]: "Method not found",
};

function refusal(code: SvmRpcCode): SvmRefusal {
  return new SvmRefusal(code, MESSAGES[code] ?? "Server error");
}

function failed(id: unknown, error: unknown): string {
  const known = error instanceof SvmRefusal ? error : new SvmRefusal(SVM_RPC_CODE.INTERNAL_ERROR, messageOf(error));
  const { rpcCode: code, message, data } = known;
  return JSON.stringify({ jsonrpc: "2.0", error: { code, message, ...(data === undefined ? {} : { data }) }, id });
}
