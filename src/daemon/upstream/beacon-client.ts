/** The HTTP API of a beacon node: one answer, or the stream of events. https://ethereum.github.io/beacon-APIs/ */
import type { Pool } from "undici";
import type { Clock } from "../../shared/clock.ts";
import { messageOf, SprintError } from "../../shared/errors.ts";

export interface BeaconClientOptions {
  /** `http://host:port` */
  readonly origin: string;
  /** What stands before `/eth`; a slash where nothing does. */
  readonly path: string;
  readonly timeoutMs?: number;
}

export interface BeaconClientModules {
  readonly clock: Clock;
}

export interface BeaconAnswer {
  /** SSZ as bytes, or what the JSON document is. */
  readonly body: unknown;
  /** The fork that the header names ("deneb"), null where none came. */
  readonly version: string | null;
}

interface AskOptions {
  readonly signal: AbortSignal;
  readonly maxBytes: number;
  /** SSZ is welcome: a third of JSON's size. Nodes that do not have it answer with JSON. */
  readonly ssz?: boolean;
}

const TIMEOUT_MS = 15_000;
const JSON_TYPE = "application/json";
const SSZ_TYPE = "application/octet-stream";

export class BeaconClient {
  readonly #options: Required<BeaconClientOptions>;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #pool: Promise<Pool> | null = null;

  constructor(options: BeaconClientOptions, modules: BeaconClientModules) {
    this.#options = { timeoutMs: TIMEOUT_MS, ...options };
    this.#clock = modules.clock;
  }

  /** Null where the node has no such thing (404). Throws SPRINT_UPSTREAM_BEACON_*, or the signal's reason. */
  ask(path: string, options: AskOptions): Promise<BeaconAnswer | null> {
    return this.#inTime(path, options.signal, (signal) => this.#ask(path, { ...options, signal }));
  }

  /** The stream's bytes once it has begun; they come until it ends or this client is closed. */
  async events(topics: readonly string[], signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const path = `/eth/v1/events?topics=${topics.join(",")}`;
    const { statusCode, headers, body } = await this.#inTime(path, signal, (stop) =>
      this.#request(path, "text/event-stream", stop),
    );
    const type = String(headers["content-type"] ?? "none");
    if (statusCode === 200 && type.startsWith("text/event-stream")) return body;
    // Left unread it would hold its connection; that it breaks off is no news.
    body.on("error", () => {}).destroy();
    throw beaconProblem(
      "STATUS",
      `${path}: expected 200 and text/event-stream, got ${statusCode} and ${type.slice(0, 80)}`,
      {
        status: statusCode,
      },
    );
  }

  /** Breaks off what is on the way. */
  async close(): Promise<void> {
    this.#closing.abort(beaconProblem("CLOSED", "the client was closed"));
    await (await this.#pool)?.destroy();
  }

  async #ask(path: string, { signal, maxBytes, ssz = false }: AskOptions): Promise<BeaconAnswer | null> {
    const accept = ssz ? `${SSZ_TYPE};q=1.0,${JSON_TYPE};q=0.9` : JSON_TYPE;
    const { statusCode, headers, body } = await this.#request(path, accept, signal);
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      // Leaving the loop destroys the body and with it the connection.
      if (sizeBytes > maxBytes)
        throw beaconProblem("TOO_LARGE", `${path}: expected at most ${maxBytes} bytes, got more`, { maxBytes });
      chunks.push(chunk);
    }
    if (statusCode === 404) return null;
    if (statusCode !== 200)
      throw beaconProblem("STATUS", `${path}: expected 200, got ${statusCode}`, { status: statusCode });
    const whole = Buffer.concat(chunks, sizeBytes);
    const named = headers["eth-consensus-version"];
    const version = typeof named === "string" ? named.toLowerCase() : null;
    const isSsz = String(headers["content-type"]).startsWith(SSZ_TYPE);
    return { body: isSsz ? whole : parsed(path, whole), version };
  }

  async #request(path: string, accept: string, signal: AbortSignal) {
    this.#pool ??= this.#open();
    const pool = await this.#pool;
    const prefix = this.#options.path.replace(/\/+$/, "");
    try {
      return await pool.request({ method: "GET", path: prefix + path, headers: { accept }, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      const reason = error instanceof AggregateError ? error.errors.map(messageOf).join("; ") : messageOf(error);
      throw beaconProblem(
        "UNREACHABLE",
        `expected a beacon node at ${this.#options.origin}, got: ${reason}`,
        {},
        error,
      );
    }
  }

  /** One abort for the three reasons to stop: caller, time, close. */
  async #inTime<T>(path: string, caller: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const { timeoutMs } = this.#options;
    const cancel = this.#clock.after(timeoutMs, () =>
      stop.abort(
        beaconProblem("TIMEOUT", `${path}: expected an answer within ${timeoutMs} ms, got none`, { timeoutMs }),
      ),
    );
    const outer = [caller, this.#closing.signal];
    const onAbort = (event: Event): void => stop.abort((event.target as AbortSignal).reason);
    for (const signal of outer) {
      if (signal.aborted) stop.abort(signal.reason);
      else signal.addEventListener("abort", onAbort, { once: true });
    }
    try {
      stop.signal.throwIfAborted();
      return await work(stop.signal);
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : broken(path, error);
    } finally {
      cancel();
      for (const signal of outer) signal.removeEventListener("abort", onAbort);
    }
  }

  /** Loaded at first use: the package costs more to load than all of this room. */
  async #open(): Promise<Pool> {
    const undici = await import("undici");
    return new undici.Pool(this.#options.origin, {
      connections: 4,
      pipelining: 1,
      // The time is kept by the clock, per request; a stream may be silent for long.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: this.#options.timeoutMs },
    });
  }
}

function parsed(path: string, text: Buffer): unknown {
  try {
    return JSON.parse(text.toString("utf8"));
  } catch (cause) {
    throw beaconProblem(
      "NOT_JSON",
      `${path}: expected a JSON document, got ${text.length} bytes that are none`,
      {},
      cause,
    );
  }
}

/** What breaks off in the middle of an answer has no code of ours. */
function broken(path: string, error: unknown): SprintError {
  if (error instanceof SprintError) return error;
  return beaconProblem("UNREACHABLE", `${path}: the answer broke off: ${messageOf(error)}`, {}, error);
}

type Fault =
  | "STATUS"
  | "TOO_LARGE"
  | "NOT_JSON"
  | "UNREACHABLE"
  | "TIMEOUT"
  | "CLOSED"
  | "SHAPE"
  | "DISCONNECTED"
  | "NO_LIGHT_CLIENT";

export function beaconProblem(fault: Fault, message: string, data: Record<string, unknown> = {}, cause?: unknown) {
  return new SprintError(`SPRINT_UPSTREAM_BEACON_${fault}`, message, data, cause === undefined ? {} : { cause });
}
