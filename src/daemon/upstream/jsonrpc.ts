/**
 * JSON-RPC over HTTP: who may call, when and for how long. `jsonrpc-answer.ts` reads what
 * comes back.
 *
 * Calls must be safe to repeat: one whose kept-alive connection the node had just dropped is sent once more.
 */
import { open } from "node:fs/promises";
import type { Pool } from "undici";
import type { Clock } from "../../shared/clock.ts";
import { messageOf, SprintError } from "../../shared/errors.ts";
import {
  type Answer,
  type Outcome,
  type PassedAnswer,
  readAnswer,
  readBatch,
  readPassed,
  rpcProblem,
} from "./jsonrpc-answer.ts";
import { Turns } from "./turns.ts";
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

/** Who can be asked, over HTTP or over a socket. */
export type RpcCaller = Pick<RpcClient, "call" | "ask" | "batch">;

const DEFAULTS = { concurrency: 4, queueLimit: 4096, timeoutMs: 15_000, maxResponseBytes: 1_048_576 };
const MAX_COOKIE_BYTES = 4096;
/** Nodes drop idle connections after `rpcservertimeout` and do not say how long that is; be the first to. */
const KEEP_ALIVE_MS = 1000;

export class RpcClient {
  readonly #options: Required<RpcClientOptions>;
  readonly #clock: Clock;
  readonly #turns: Turns;
  readonly #closing = new AbortController();
  #nextId = 1;
  #pool: Promise<Pool> | null = null;
  #authorization: string | null = null;

  constructor(options: RpcClientOptions, modules: RpcClientModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#turns = new Turns({ atATime: this.#options.concurrency, waiting: this.#options.queueLimit });
    this.#clock = modules.clock;
  }

  /** The `result` member of the answer, of any shape. Throws SPRINT_RPC_*, or the signal's reason. */
  async call(method: string, params: readonly unknown[] = [], options: CallOptions = {}): Promise<unknown> {
    const id = this.#nextId++;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    return readAnswer(this.#options.origin, method, id, await this.#exchange(method, body, options));
  }

  /**
   * The answer as the node wrote it, its error object included, for somebody else to read; `params` may be named. Throws
   * SPRINT_RPC_* where there is no answer, or the signal's reason.
   */
  async ask(
    method: string,
    params: readonly unknown[] | Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<PassedAnswer> {
    const id = this.#nextId++;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    return readPassed(this.#options.origin, method, id, await this.#exchange(method, body, options));
  }

  /** Several calls of one method in one request; an outcome for each, in their order. */
  async batch(
    method: string,
    paramsOfEach: readonly (readonly unknown[])[],
    options: CallOptions = {},
  ): Promise<readonly Outcome[]> {
    if (paramsOfEach.length === 0) return [];
    const calls = paramsOfEach.map((params) => ({ jsonrpc: "2.0", id: this.#nextId++, method, params }));
    const answer = await this.#exchange(method, JSON.stringify(calls), options);
    return readBatch(this.#options.origin, method, calls, answer);
  }

  /** Breaks off what is on the way. */
  async close(): Promise<void> {
    this.#closing.abort(rpcProblem(this.#options.origin, "CLOSED", "the client was closed"));
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
      this.#turns.done();
    }
  }

  async #turn(method: string, signal: AbortSignal | undefined): Promise<void> {
    const { signal: closing } = this.#closing;
    await this.#turns.take(signal === undefined ? [closing] : [closing, signal], () =>
      rpcProblem(
        this.#options.origin,
        "BUSY",
        `${method}: ${this.#turns.waiting} calls wait already; the node is too slow for what is asked of it`,
      ),
    );
  }

  /** One abort for the three reasons to stop: caller, time, close. */
  async #inTime(method: string, body: string, options: CallOptions): Promise<Answer> {
    const stop = new AbortController();
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
    const cancelTimer = this.#clock.after(timeoutMs, () =>
      stop.abort(
        rpcProblem(this.#options.origin, "TIMEOUT", `${method}: expected an answer within ${timeoutMs} ms, got none`, {
          timeoutMs,
        }),
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
        throw rpcProblem(this.#options.origin, "TOO_LARGE", `${method}: expected at most ${maxBytes} bytes, got more`, {
          maxBytes,
        });
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
      cookie = (await readStart(auth.file, MAX_COOKIE_BYTES)).trim();
    } catch (cause) {
      const advice = "is the node running, and may this user read its data directory?";
      const message = `expected a readable cookie file at ${auth.file}, got: ${messageOf(cause)}; ${advice}`;
      throw rpcProblem(this.#options.origin, "COOKIE", message, { file: auth.file }, cause);
    }
    if (!cookie.includes(":")) {
      throw rpcProblem(
        this.#options.origin,
        "COOKIE",
        `expected USER:PASSWORD in the cookie file ${auth.file}, got ${cookie.length} characters without it`,
        { file: auth.file },
      );
    }
    return basic(cookie);
  }

  #asUnreachable(method: string, error: unknown): unknown {
    if (error instanceof SprintError) return error;
    return rpcProblem(
      this.#options.origin,
      "UNREACHABLE",
      `${method}: expected a node at ${this.#options.origin}, got: ${reasonOf(error)}`,
      { reason: codeOf(error) },
      error,
    );
  }
}

async function readStart(file: string, maxBytes: number): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** An Authorization header's value, RFC 7617. */
export function basic(userAndPassword: string): string {
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
