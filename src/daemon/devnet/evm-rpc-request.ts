/** JSON-RPC 2.0 as Ethereum's nodes speak it, over HTTP and WebSocket alike. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf } from "../../shared/errors.ts";
import { RPC_CODE, RpcRefusal } from "./rpc-error.ts";

/** Throws RpcRefusal. */
export type EvmCall = (method: string, params: readonly unknown[]) => unknown;

const MAX_BATCH = 1_000;
/** Others get their turn between so many calls of a batch. */
const CALLS_A_TURN = 20;

/** Answers the text of one call or a batch; empty where nobody wants to know. Never throws. */
export async function answerEvmRequest(text: string, call: EvmCall): Promise<string> {
  let request: unknown;
  try {
    request = JSON.parse(text);
  } catch {
    return failed(RPC_CODE.PARSE_ERROR, "parse error");
  }
  if (!Array.isArray(request)) return written(answerOne(request, call));
  if (request.length === 0) return failed(RPC_CODE.INVALID_REQUEST, "empty batch");
  if (request.length > MAX_BATCH) return failed(RPC_CODE.INVALID_REQUEST, `a batch holds at most ${MAX_BATCH} calls`);
  const answers: object[] = [];
  for (const [at, each] of request.entries()) {
    if (at % CALLS_A_TURN === CALLS_A_TURN - 1) await nextTurn();
    const answer = answerOne(each, call);
    if (answer !== null) answers.push(answer);
  }
  return written(answers.length === 0 ? null : answers);
}

/** Null for a call without an id. */
function answerOne(request: unknown, call: EvmCall): object | null {
  const isObject = typeof request === "object" && request !== null && !Array.isArray(request);
  const { jsonrpc, id, method, params } = (isObject ? request : {}) as Record<string, unknown>;
  const shownId = typeof id === "string" || typeof id === "number" ? id : null;
  try {
    if (jsonrpc !== "2.0" || typeof method !== "string")
      throw new RpcRefusal(RPC_CODE.INVALID_REQUEST, "invalid request");
    if (params !== undefined && !Array.isArray(params))
      throw new RpcRefusal(RPC_CODE.INVALID_PARAMS, "non-array params");
    const result = call(method, params ?? []);
    return id === undefined ? null : { jsonrpc: "2.0", id: shownId, result };
  } catch (error) {
    if (isObject && id === undefined && typeof method === "string") return null;
    const code = error instanceof RpcRefusal ? error.rpcCode : RPC_CODE.RESOURCE_UNAVAILABLE;
    return { jsonrpc: "2.0", id: shownId, error: { code, message: messageOf(error) } };
  }
}

function failed(code: number, message: string): string {
  return written({ jsonrpc: "2.0", id: null, error: { code, message } });
}

function written(value: object | null): string {
  return value === null ? "" : JSON.stringify(value);
}
