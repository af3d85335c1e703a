/**
 * JSON-RPC as bitcoind speaks it: 1.0 by default, where an error object comes with an HTTP status of its own (404 no such method,
 * 400 no such request, else 500), and 2.0 where `"jsonrpc": "2.0"` says so, where it comes with 200. Batches come with 200.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf } from "../../shared/errors.ts";
import { RPC_CODE, type RpcCode, RpcRefusal } from "./rpc-error.ts";

/** `params` is what the request held: a list, an object by name, or nothing. Throws RpcRefusal. */
export type Call = (method: string, params: unknown) => Promise<unknown>;

export interface Reply {
  readonly status: number;
  /** Empty with 204: nobody wants to know. */
  readonly body: string;
}

/** A method that reads the whole archive takes a millisecond: others get their turn between so many. */
const CALLS_A_TURN = 20;
const MAX_BATCH = 1_000;
const QUIET: Reply = { status: 204, body: "" };

/** Answers the text of one request, which holds one call or a batch. Never throws. */
export async function answerRequest(text: string, call: Call): Promise<Reply> {
  let request: unknown;
  try {
    request = JSON.parse(text);
  } catch {
    return failed(RPC_CODE.PARSE_ERROR, "Parse error");
  }
  if (Array.isArray(request)) return answerBatch(request, call);
  if (typeof request !== "object" || request === null) {
    return failed(RPC_CODE.PARSE_ERROR, "Top-level object parse error");
  }
  const answered = await answerOne(request, call);
  return answered === null ? QUIET : { status: answered.status, body: line(answered.member) };
}

async function answerBatch(requests: readonly unknown[], call: Call): Promise<Reply> {
  if (requests.length > MAX_BATCH)
    return failed(RPC_CODE.INVALID_REQUEST, `A batch holds at most ${MAX_BATCH} calls, not ${requests.length}`);
  const members: object[] = [];
  for (const [at, request] of requests.entries()) {
    if (at % CALLS_A_TURN === CALLS_A_TURN - 1) await nextTurn();
    const answered = await answerOne(request, call);
    if (answered !== null) members.push(answered.member);
  }
  return members.length === 0 && requests.length > 0 ? QUIET : { status: 200, body: line(members) };
}

interface Answered {
  readonly member: object;
  readonly status: number;
}

/** Null for a 2.0 call without an id, which asks for no answer. */
async function answerOne(request: unknown, call: Call): Promise<Answered | null> {
  const { jsonrpc, id, method, params } = (typeof request === "object" ? (request ?? {}) : {}) as Record<
    string,
    unknown
  >;
  const modern = jsonrpc === "2.0";
  const shownId = typeof id === "object" || id === undefined ? null : id;
  try {
    checkRequest(request);
    const result = await call(method as string, params);
    if (modern && id === undefined) return null;
    const member = modern ? { jsonrpc, result, id: shownId } : { result, error: null, id: shownId };
    return { member, status: 200 };
  } catch (error) {
    if (modern && id === undefined) return null;
    const { code, message } = errorObject(error);
    if (modern) return { member: { jsonrpc, error: { code, message }, id: shownId }, status: 200 };
    return { member: legacyError(code, message, shownId), status: legacyStatus(code) };
  }
}

function checkRequest(request: unknown): void {
  const invalid = (message: string): RpcRefusal => new RpcRefusal(RPC_CODE.INVALID_REQUEST, message);
  if (typeof request !== "object" || request === null || Array.isArray(request))
    throw invalid("Invalid Request object");
  const { jsonrpc, id, method, params } = request as Record<string, unknown>;
  // Written back as it came, and what is nested without end cannot be.
  if (typeof id === "object" && id !== null) throw invalid("Id must be a string or a number");
  if (jsonrpc !== undefined && typeof jsonrpc !== "string") throw invalid("jsonrpc field must be a string");
  // Bitcoin Core's forks take anything here, as 1.0; "1.1" is what old clients say.
  if (jsonrpc !== undefined && !["1.0", "1.1", "2.0"].includes(jsonrpc))
    throw invalid("JSON-RPC version not supported");
  if (method === undefined) throw invalid("Missing method");
  if (typeof method !== "string") throw invalid("Method must be a string");
  if (params !== undefined && typeof params !== "object") throw invalid("Params must be an array or object");
}

function errorObject(error: unknown): { readonly code: RpcCode; readonly message: string } {
  if (error instanceof RpcRefusal) return { code: error.rpcCode, message: error.message };
  // As bitcoind does with what it did not think of.
  return { code: RPC_CODE.MISC_ERROR, message: messageOf(error) };
}

function failed(code: RpcCode, message: string): Reply {
  return { status: legacyStatus(code), body: line(legacyError(code, message, null)) };
}

function legacyError(code: RpcCode, message: string, id: unknown): object {
  return { result: null, error: { code, message }, id };
}

function legacyStatus(code: RpcCode): number {
  if (code === RPC_CODE.INVALID_REQUEST) return 400;
  return code === RPC_CODE.METHOD_NOT_FOUND ? 404 : 500;
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
