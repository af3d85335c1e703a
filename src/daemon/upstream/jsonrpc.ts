/**
 * JSON-RPC over HTTP to a node of the Bitcoin family. Takes answers in the forms of both 1.0 (error beside result, HTTP 500
 * for an error) and 2.0 (one of the two, HTTP 200). Every answer is bounded in bytes and in time, and every way in which it
 * can be wrong has a code of its own:
 *
 *   UNREACHABLE no connection, or it broke     TIMEOUT no answer in time            BUSY our own queue is full
 *   UNAUTHORIZED 401      FORBIDDEN 403        UNAVAILABLE 503 or "work queue"      STATUS any other status without JSON
 *   WARMING_UP code -28   METHOD_MISSING -32601   ERROR any other error object      COOKIE the cookie file cannot be read
 *   EMPTY, NOT_JSON, BAD_JSON, WRONG_ID, SHAPE, TOO_LARGE: it answered, but not like this         CLOSED after `close`
 *
 * Calls must be safe to repeat: one whose kept-alive connection the node had just dropped is sent once more.
 */
import { readFile } from "node:fs/promises";
import type { Pool } from "undici";
import type { Clock } from "../../shared/clock.ts";
import { type ErrorCode, type ErrorData, messageOf, SprintError } from "../../shared/errors.ts";
import type { RpcAuth } from "./url.ts";

export interface RpcClientOptions {
  /** `http://host:port` */
  readonly origin: string;
  /** `/` for a node of one's own. */
  readonly path: string;
  readonly auth: RpcAuth;
  /** Calls on the way at a time; a long poll counts as one. */
  readonly concurrency?: number;
  /** Calls that may wait for their turn. */
  readonly queueLimit?: number;
  readonly timeoutMs?: number;
  readonly maxResponseBytes?: number;
}

export interface RpcClientModules {
  readonly clock: Clock;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly maxResponseBytes?: number;
}

const DEFAULTS = { concurrency: 4, queueLimit: 4096, timeoutMs: 15_000, maxResponseBytes: 1_048_576 };
const MAX_COOKIE_BYTES = 4096;
/** Nodes drop idle connections after `rpcservertimeout` and do not say how long that is; be the first to. */
const KEEP_ALIVE_MS = 1000;

/** Of one call of a batch. */
export type Outcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: SprintError };

interface Answer {
  readonly status: number;
  readonly body: string;
}

export class RpcClient {
  readonly #options: Required<RpcClientOptions>;
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new AbortController();
  #running = 0;
  #nextId = 1;
  #pool: Promise<Pool> | null = null;
  #authorization: string | null = null;

  constructor(options: RpcClientOptions, modules: RpcClientModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#clock = modules.clock;
  }

  /** The `result` member of the answer, of any shape. Throws SPRINT_RPC_*, or the signal's reason. */
  async call(method: string, params: readonly unknown[] = [], options: CallOptions = {}): Promise<unknown> {
    const id = this.#nextId++;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    return this.#read(method, id, await this.#exchange(method, body, options));
  }

  /** Several calls of one method in one request; an outcome for each, in their order. */
  async batch(
    method: string,
    paramsOfEach: readonly (readonly unknown[])[],
    options: CallOptions = {},
  ): Promise<readonly Outcome[]> {
    if (paramsOfEach.length === 0) return [];
    const calls = paramsOfEach.map((params) => ({ jsonrpc: "2.0", id: this.#nextId++, method, params }));
    return this.#readBatch(method, calls, await this.#exchange(method, JSON.stringify(calls), options));
  }

  /** Breaks off what is on the way. */
  async close(): Promise<void> {
    this.#closing.abort(this.#problem("CLOSED", "the client was closed"));
    const pool = await this.#pool;
    await pool?.destroy();
  }

  /** In its turn and in its time. */
  async #exchange(method: string, body: string, options: CallOptions): Promise<Answer> {
    options.signal?.throwIfAborted();
    await this.#turn(method, options.signal);
    try {
      return await this.#inTime(method, body, options);
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #turn(method: string, signal: AbortSignal | undefined): Promise<void> {
    this.#closing.signal.throwIfAborted();
    if (this.#running < this.#options.concurrency) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= this.#options.queueLimit) {
      throw this.#problem(
        "BUSY",
        `${method}: ${this.#waiting.length} calls wait already; the node is too slow for what is asked of it`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      const take = (): void => {
        signal?.removeEventListener("abort", leave);
        this.#closing.signal.removeEventListener("abort", leave);
        this.#running++;
        resolve();
      };
      const leave = (): void => {
        const at = this.#waiting.indexOf(take);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        signal?.removeEventListener("abort", leave);
        this.#closing.signal.removeEventListener("abort", leave);
        reject(signal?.aborted ? signal.reason : this.#closing.signal.reason);
      };
      signal?.addEventListener("abort", leave);
      this.#closing.signal.addEventListener("abort", leave);
      this.#waiting.push(take);
    });
  }

  /** One abort for the three reasons to stop: caller, time, close. */
  async #inTime(method: string, body: string, options: CallOptions): Promise<Answer> {
    const stop = new AbortController();
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
    const cancelTimer = this.#clock.after(timeoutMs, () =>
      stop.abort(
        this.#problem("TIMEOUT", `${method}: expected an answer within ${timeoutMs} ms, got none`, { timeoutMs }),
      ),
    );
    const outer = [options.signal, this.#closing.signal].filter((signal) => signal !== undefined);
    const onAbort = (event: Event): void => stop.abort((event.target as AbortSignal).reason);
    for (const signal of outer) {
      if (signal.aborted) stop.abort(signal.reason);
      else signal.addEventListener("abort", onAbort, { once: true });
    }
    try {
      const maxBytes = options.maxResponseBytes ?? this.#options.maxResponseBytes;
      return await this.#authorized(method, body, maxBytes, stop.signal);
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      cancelTimer();
      for (const signal of outer) signal.removeEventListener("abort", onAbort);
    }
  }

  async #authorized(method: string, body: string, maxBytes: number, signal: AbortSignal): Promise<Answer> {
    this.#authorization ??= await this.#readAuthorization();
    let answer = await this.#post(method, body, this.#authorization, maxBytes, signal);
    // The cookie is written anew at each start of the node.
    if (answer.status === 401 && this.#options.auth.kind === "cookie") {
      this.#authorization = await this.#readAuthorization();
      answer = await this.#post(method, body, this.#authorization, maxBytes, signal);
    }
    if (answer.status === 401) this.#authorization = null;
    return answer;
  }

  async #post(
    method: string,
    body: string,
    authorization: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Answer> {
    try {
      return await this.#postOnce(method, body, authorization, maxBytes, signal);
    } catch (error) {
      if (signal.aborted || !isDroppedConnection(error)) throw this.#asUnreachable(method, error);
    }
    try {
      return await this.#postOnce(method, body, authorization, maxBytes, signal);
    } catch (error) {
      throw this.#asUnreachable(method, error);
    }
  }

  async #postOnce(
    method: string,
    body: string,
    authorization: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Answer> {
    this.#pool ??= this.#open();
    const pool = await this.#pool;
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (authorization !== "") headers["authorization"] = authorization;
    const response = await pool.request({ method: "POST", path: this.#options.path, headers, body, signal });
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      // Leaving the loop destroys the body and with it the connection.
      if (sizeBytes > maxBytes)
        throw this.#problem("TOO_LARGE", `${method}: expected at most ${maxBytes} bytes, got more`, { maxBytes });
      chunks.push(chunk);
    }
    return { status: response.statusCode, body: Buffer.concat(chunks, sizeBytes).toString("utf8") };
  }

  /** Loaded at first use: the package costs more to load than all of this room. */
  async #open(): Promise<Pool> {
    const undici = await import("undici");
    return new undici.Pool(this.#options.origin, {
      connections: this.#options.concurrency,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      // The time is kept by the caller's clock, per call.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: this.#options.timeoutMs },
    });
  }

  async #readAuthorization(): Promise<string> {
    const auth = this.#options.auth;
    if (auth.kind === "none") return "";
    if (auth.kind === "password") return basic(`${auth.user}:${auth.password}`);
    let cookie: string;
    try {
      cookie = (await readFile(auth.file, "utf8")).trim();
    } catch (cause) {
      throw this.#problem(
        "COOKIE",
        `expected a readable cookie file at ${auth.file}, got: ${messageOf(cause)}; is the node running, and may this user read its data directory?`,
        { file: auth.file },
        cause,
      );
    }
    if (!cookie.includes(":") || cookie.length > MAX_COOKIE_BYTES) {
      throw this.#problem(
        "COOKIE",
        `expected USER:PASSWORD in the cookie file ${auth.file}, got ${cookie.length} characters without it`,
        { file: auth.file },
      );
    }
    return basic(cookie);
  }

  #read(method: string, id: number, answer: Answer): unknown {
    const parsed = this.#parse(method, answer);
    const { result, id: answeredId } = this.#member(method, parsed);
    if (answeredId === id) return result;
    const got = shorten(JSON.stringify(answeredId) ?? "none");
    throw this.#problem("WRONG_ID", `${method}: expected the answer to call ${id}, got one to ${got}`, { id });
  }

  #readBatch(method: string, calls: readonly { readonly id: number }[], answer: Answer): readonly Outcome[] {
    const parsed = this.#parse(method, answer);
    if (!Array.isArray(parsed)) {
      this.#member(method, parsed);
      throw this.#problem("SHAPE", `${method}: expected a list of ${calls.length} answers, got one answer`);
    }
    const byId = new Map<unknown, unknown>();
    for (const one of parsed) if (typeof one === "object" && one !== null) byId.set((one as { id?: unknown }).id, one);
    return calls.map(({ id }): Outcome => {
      const one = byId.get(id);
      if (one === undefined)
        throw this.#problem("WRONG_ID", `${method}: expected an answer to call ${id}, got none`, { id });
      try {
        return { ok: true, result: this.#member(method, one).result };
      } catch (error) {
        return { ok: false, error: error as SprintError };
      }
    });
  }

  /** One answer's members; throws what its error object says. */
  #member(method: string, answer: unknown): { readonly result: unknown; readonly id: unknown } {
    const { result, error, id } = (typeof answer === "object" && answer !== null ? answer : {}) as Record<
      string,
      unknown
    >;
    if (typeof error === "object" && error !== null) throw this.#errorObject(method, error);
    if (result !== undefined && (error === undefined || error === null)) return { result, id };
    throw this.#problem("SHAPE", `${method}: expected a result or an error object, got neither`);
  }

  #parse(method: string, { status, body }: Answer): unknown {
    if (status === 401) {
      const advice = "check USER:PASS@ or cookie= in the URL";
      throw this.#problem("UNAUTHORIZED", `${method}: the node refused the credentials (401); ${advice}`, { status });
    }
    if (status === 403) {
      const advice = "see its rpcallowip and rpcwhitelist";
      throw this.#problem("FORBIDDEN", `${method}: the node refused this address or this method (403); ${advice}`, {
        status,
      });
    }
    const text = body.trimStart();
    if (!text.startsWith("{") && !text.startsWith("[")) throw this.#notJson(method, status, text);
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      const got = `${body.length} characters that are none: ${messageOf(cause)}`;
      throw this.#problem("BAD_JSON", `${method}: expected JSON, got ${got}`, { status });
    }
  }

  #notJson(method: string, status: number, text: string): SprintError {
    const overloaded = status === 503 || text.startsWith("Work queue depth exceeded");
    if (overloaded)
      return this.#problem(
        "UNAVAILABLE",
        `${method}: the node has no room for calls now (${status}): ${shorten(text)}`,
        { status },
      );
    if (status < 200 || status > 299)
      return this.#problem(
        "STATUS",
        `${method}: expected a JSON-RPC answer, got HTTP status ${status}: ${shorten(text)}`,
        { status },
      );
    if (text === "")
      return this.#problem("EMPTY", `${method}: expected a JSON-RPC answer, got an empty one`, { status });
    const what = text.startsWith("<") ? "a web page; is this a node's RPC port?" : shorten(text);
    return this.#problem("NOT_JSON", `${method}: expected a JSON-RPC answer, got ${what}`, { status });
  }

  #errorObject(method: string, error: object): SprintError {
    const { code, message } = error as { code?: unknown; message?: unknown };
    const said = shorten(typeof message === "string" ? message : "no message");
    const data = { method, rpcCode: code };
    if (code === -28) return this.#problem("WARMING_UP", `${method}: the node is starting: ${said}`, data);
    if (code === -32601) return this.#problem("METHOD_MISSING", `${method}: the node does not have this method`, data);
    return this.#problem("ERROR", `${method}: the node answered error ${String(code)}: ${said}`, data);
  }

  #asUnreachable(method: string, error: unknown): unknown {
    if (error instanceof SprintError) return error;
    return this.#problem(
      "UNREACHABLE",
      `${method}: expected a node at ${this.#options.origin}, got: ${reasonOf(error)}`,
      { reason: codeOf(error) },
      error,
    );
  }

  #problem(what: string, message: string, data: ErrorData = {}, cause?: unknown): SprintError {
    const code: ErrorCode = `SPRINT_RPC_${what}`;
    return new SprintError(
      code,
      message,
      { origin: this.#options.origin, ...data },
      cause === undefined ? {} : { cause },
    );
  }
}

function basic(userAndPassword: string): string {
  return `Basic ${Buffer.from(userAndPassword, "utf8").toString("base64")}`;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** A name with several addresses fails with one error for each, and no message of its own. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join("; ") : messageOf(error);
}

function isDroppedConnection(error: unknown): boolean {
  return ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"].includes(codeOf(error));
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
}
