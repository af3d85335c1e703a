/**
 * Reads what a node answered over JSON-RPC. Takes the forms of both 1.0 (error beside result, HTTP 500 for an error) and 2.0
 * (one of the two, HTTP 200). Every way in which an answer, or its absence, can be wrong has a code, `SPRINT_RPC_` and:
 *
 *   UNREACHABLE no connection, or it broke     TIMEOUT no answer in time            BUSY our own queue is full
 *   UNAUTHORIZED 401      FORBIDDEN 403        UNAVAILABLE 503 or "work queue"      STATUS any other status without JSON
 *   WARMING_UP code -28   METHOD_MISSING -32601   ERROR any other error object      COOKIE the cookie file cannot be read
 *   EMPTY, NOT_JSON, BAD_JSON, WRONG_ID, SHAPE, TOO_LARGE: it answered, but not like this         CLOSED after `close`
 */
import { type ErrorData, messageOf, SprintError } from "../../shared/errors.ts";

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Of one call of a batch. */
export type Outcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: SprintError };

/** The `result` or the `error` member in the node's own words. */
export type PassedAnswer =
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly json: string; readonly code: number | null; readonly message: string };

/** The forms in which nodes write a result, N for the id. */
const FORMS = [
  // Core and its forks: 1.0
  ['{"result":', ',"error":null,"id":N}'],
  // 2.0 since Bitcoin Core 28, and Solana
  ['{"jsonrpc":"2.0","result":', ',"id":N}'],
  // Ethereum
  ['{"jsonrpc":"2.0","id":N,"result":', "}"],
  ['{"id":N,"jsonrpc":"2.0","result":', "}"],
] as const;
/** A result up to this length is parsed to see that it is JSON; a longer one would hold up everything else meanwhile. */
export const CHECKED_CHARS = 65_536;

/**
 * Cuts the result out of the answer where it has one of the usual forms: a block of 10 MB costs no parsing, and every
 * number stays as the node printed it. Other answers are parsed and written anew.
 */
export function readPassed(origin: string, method: string, id: number, answer: Answer): PassedAnswer {
  const text = answer.body.trimEnd();
  for (const form of answer.status === 200 ? FORMS : []) {
    const [head, tail] = form.map((part) => part.replace("N", `${id}`)) as [string, string];
    if (!text.startsWith(head) || !text.endsWith(tail)) continue;
    const json = text.slice(head.length, -tail.length);
    if (json.length > CHECKED_CHARS ? isEnclosed(json) : isJson(json)) return { ok: true, json };
  }
  const parsed = parse(origin, method, answer);
  const { result, error, id: answeredId } = membersOf(parsed);
  if (typeof error === "object" && error !== null) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    return {
      ok: false,
      json: JSON.stringify(error),
      code: typeof code === "number" ? code : null,
      message: typeof message === "string" ? message : "",
    };
  }
  if (result === undefined || (error !== undefined && error !== null)) throw noMember(origin, method);
  if (answeredId !== id) throw wrongId(origin, method, id, answeredId);
  return { ok: true, json: JSON.stringify(result) };
}

/** Whether it may be one object, list or string; no member that stands behind it was cut out along with it. */
function isEnclosed(text: string): boolean {
  return ["{}", "[]", '""'].includes(`${text[0]}${text.at(-1)}`);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function readAnswer(origin: string, method: string, id: number, answer: Answer): unknown {
  const parsed = parse(origin, method, answer);
  const { result, id: answeredId } = member(origin, method, parsed);
  if (answeredId === id) return result;
  throw wrongId(origin, method, id, answeredId);
}

export function readBatch(
  origin: string,
  method: string,
  calls: readonly { readonly id: number }[],
  answer: Answer,
): readonly Outcome[] {
  const parsed = parse(origin, method, answer);
  if (!Array.isArray(parsed)) {
    member(origin, method, parsed);
    throw rpcProblem(origin, "SHAPE", `${method}: expected a list of ${calls.length} answers, got one answer`);
  }
  const byId = new Map<unknown, unknown>();
  for (const one of parsed) if (typeof one === "object" && one !== null) byId.set((one as { id?: unknown }).id, one);
  return calls.map(({ id }): Outcome => {
    const one = byId.get(id);
    if (one === undefined)
      throw rpcProblem(origin, "WRONG_ID", `${method}: expected an answer to call ${id}, got none`, { id });
    try {
      return { ok: true, result: member(origin, method, one).result };
    } catch (error) {
      return { ok: false, error: error as SprintError };
    }
  });
}

/** One answer's members; throws what its error object says. */
function member(origin: string, method: string, answer: unknown): { readonly result: unknown; readonly id: unknown } {
  const { result, error, id } = membersOf(answer);
  if (typeof error === "object" && error !== null) throw errorObject(origin, method, error);
  if (result !== undefined && (error === undefined || error === null)) return { result, id };
  throw noMember(origin, method);
}

function membersOf(answer: unknown): Record<string, unknown> {
  return (typeof answer === "object" && answer !== null ? answer : {}) as Record<string, unknown>;
}

function noMember(origin: string, method: string): SprintError {
  return rpcProblem(origin, "SHAPE", `${method}: expected a result or an error object, got neither`);
}

function wrongId(origin: string, method: string, id: number, answered: unknown): SprintError {
  const got = shorten(JSON.stringify(answered) ?? "none");
  return rpcProblem(origin, "WRONG_ID", `${method}: expected the answer to call ${id}, got one to ${got}`, { id });
}

function parse(origin: string, method: string, { status, body }: Answer): unknown {
  if (status === 401) {
    const advice = "check USER:PASS@ or cookie= in the URL";
    throw rpcProblem(origin, "UNAUTHORIZED", `${method}: the node refused the credentials (401); ${advice}`, {
      status,
    });
  }
  if (status === 403) {
    const advice = "see its rpcallowip and rpcwhitelist";
    throw rpcProblem(origin, "FORBIDDEN", `${method}: the node refused this address or this method (403); ${advice}`, {
      status,
    });
  }
  const text = body.trimStart();
  if (!text.startsWith("{") && !text.startsWith("[")) throw notJson(origin, method, status, text);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const got = `${body.length} characters that are none: ${shorten(messageOf(cause))}`;
    throw rpcProblem(origin, "BAD_JSON", `${method}: expected JSON, got ${got}`, { status });
  }
}

function notJson(origin: string, method: string, status: number, text: string): SprintError {
  const overloaded = status === 503 || text.startsWith("Work queue depth exceeded");
  if (overloaded)
    return rpcProblem(
      origin,
      "UNAVAILABLE",
      `${method}: the node has no room for calls now (${status}): ${shorten(text)}`,
      { status },
    );
  if (status < 200 || status > 299)
    return rpcProblem(
      origin,
      "STATUS",
      `${method}: expected a JSON-RPC answer, got HTTP status ${status}: ${shorten(text)}`,
      { status },
    );
  if (text === "")
    return rpcProblem(origin, "EMPTY", `${method}: expected a JSON-RPC answer, got an empty one`, { status });
  const what = text.startsWith("<") ? "a web page; is this a node's RPC port?" : shorten(text);
  return rpcProblem(origin, "NOT_JSON", `${method}: expected a JSON-RPC answer, got ${what}`, { status });
}

function errorObject(origin: string, method: string, error: object): SprintError {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const said = shorten(typeof message === "string" ? message : "no message");
  // Whatever else stands in the place of a number is not printed: it may be anything.
  const number = typeof code === "number" ? code : null;
  const data = { method, rpcCode: number };
  if (code === -28) return rpcProblem(origin, "WARMING_UP", `${method}: the node is starting: ${said}`, data);
  if (code === -32601)
    return rpcProblem(origin, "METHOD_MISSING", `${method}: the node does not have this method`, data);
  return rpcProblem(
    origin,
    "ERROR",
    `${method}: the node answered error ${number ?? "without a number"}: ${said}`,
    data,
  );
}

export function rpcProblem(
  origin: string,
  what: string,
  message: string,
  data: ErrorData = {},
  cause?: unknown,
): SprintError {
  return new SprintError(`SPRINT_RPC_${what}`, message, { origin, ...data }, cause === undefined ? {} : { cause });
}

/** One line that is safe to print: what a node says may hold anything, terminal sequences too. */
export function shorten(text: string, maxChars = 120): string {
  const line = text.replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  return line.length > maxChars ? `${line.slice(0, maxChars - 3)}...` : line;
}
