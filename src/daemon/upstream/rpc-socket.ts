/**
 * JSON-RPC over one WebSocket: calls, and subscriptions of a node that pushes. One connection; when it ends it is told once,
 * everything under way fails with the reason, and another one is made. Errors are those of `jsonrpc-answer.ts`.
 *
 * TCP does not notice a black hole: when nothing was read for a while the node is pinged, and given up when nothing comes.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type RawData, WebSocket } from "ws";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { isSprintError, messageOf, type SprintError } from "../../shared/errors.ts";
import { basic, type CallOptions, type RpcCaller } from "./jsonrpc.ts";
import { type Outcome, type PassedAnswer, readAnswer, readPassed, rpcProblem, shorten } from "./jsonrpc-answer.ts";
import { type Notification, readMessage } from "./rpc-socket-message.ts";
import { Turns } from "./turns.ts";
import type { RpcAuth } from "./url.ts";

export interface RpcSocketOptions {
  /** `ws://host:port/path?query`. Keys may stand in it: of this only scheme, host and port are ever shown. */
  readonly url: string;
  readonly auth?: RpcAuth;
  /** From the dial to the end of the handshake, and of each call. */
  readonly timeoutMs?: number;
  /** A larger message ends the connection as soon as its length is known. */
  readonly maxMessageBytes?: number;
  /** Calls that the node works on at a time; more wait. */
  readonly concurrency?: number;
  /** Calls that may wait for their turn. */
  readonly queueLimit?: number;
  /** Silence after which the node is pinged. */
  readonly pingMs?: number;
  /** How long it has to say anything then. */
  readonly pongMs?: number;
}

export interface RpcSocketModules {
  readonly clock: Clock;
  /** The connection ended, or never came about, and `close` was not called. Once. */
  readonly onLost: (error: SprintError) => void;
}

const DEFAULTS = {
  timeoutMs: 15_000,
  maxMessageBytes: 32 * 1024 * 1024,
  concurrency: 32,
  queueLimit: 4096,
  pingMs: 15_000,
  pongMs: 10_000,
} as const;
const MAX_SUBSCRIPTIONS = 256;
/** Notifications that came before the answer which names their subscription. */
const MAX_EARLY = 32;
/** Sent and not yet taken by the network. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

interface Pending {
  readonly method: string;
  /** Takes the whole message; what it throws is the call's failure. */
  readonly take: (text: string) => void;
  readonly fail: (error: unknown) => void;
}

export class RpcSocket implements RpcCaller {
  /** `ws://host:port` */
  readonly origin: string;
  readonly #options: Required<Omit<RpcSocketOptions, "auth" | "url">>;
  readonly #modules: RpcSocketModules;
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  readonly #closed: Promise<void>;
  readonly #ending = new AbortController();
  readonly #turns: Turns;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<string | number, (notification: Notification) => void>();
  readonly #early: Notification[] = [];
  #isOpen = false;
  #nextId = 1;
  #subscribing = 0;
  #tcp: Socket | null = null;
  #cancelTimer: Cancel = () => {};

  /** Dials at once. Throws SPRINT_RPC_UNREACHABLE on a URL that is none. */
  constructor(options: RpcSocketOptions, modules: RpcSocketModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#modules = modules;
    this.#turns = new Turns({ atATime: this.#options.concurrency, waiting: this.#options.queueLimit });
    const { protocol, host } = new URL(options.url);
    this.origin = `${protocol}//${host}`;
    const { auth } = options;
    const headers = auth?.kind === "password" ? { authorization: basic(`${auth.user}:${auth.password}`) } : {};
    this.#socket = new WebSocket(options.url, {
      headers,
      perMessageDeflate: false,
      maxPayload: this.#options.maxMessageBytes,
    });
    this.#closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.#opened = this.#open();
    // Whoever does not wait for it hears of it by `onLost`.
    this.#opened.catch(() => {});
  }

  /** Resolves when the handshake is done; rejects with why there is none. */
  opened(): Promise<void> {
    return this.#opened;
  }

  /** The `result` member of the answer, of any shape. Throws SPRINT_RPC_*, or the signal's reason. */
  call(method: string, params: readonly unknown[] = [], options: CallOptions = {}): Promise<unknown> {
    return this.#exchange(method, params, options, (text, id) =>
      readAnswer(this.origin, method, id, { status: 200, body: text }),
    );
  }

  /** The answer as the node wrote it, its error object included; a large one is not parsed. Throws as `call`. */
  ask(
    method: string,
    params: readonly unknown[] | Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<PassedAnswer> {
    return this.#exchange(method, params, options, (text, id) =>
      readPassed(this.origin, method, id, { status: 200, body: text }),
    );
  }

  /** An outcome for each, in their order. Over a socket they are calls one behind the other: every node takes that. */
  async batch(
    method: string,
    paramsOfEach: readonly (readonly unknown[])[],
    options: CallOptions = {},
  ): Promise<readonly Outcome[]> {
    const outcomes = paramsOfEach.map((params) =>
      this.call(method, params, options).then(
        (result): Outcome => ({ ok: true, result }),
        (error: unknown): Outcome => {
          if (isSprintError(error) && OF_ONE_CALL.has(error.code)) return { ok: false, error };
          throw error;
        },
      ),
    );
    // All are waited for, so that none fails unheard when another did.
    await Promise.allSettled(outcomes);
    return Promise.all(outcomes);
  }

  /**
   * Subscribes with `method` and `params`, and hands on what comes until the connection ends; the first may come before this
   * resolves with the subscription's name. A listener that throws ends the connection with what it threw.
   */
  async subscribe(
    method: string,
    params: readonly unknown[],
    onNotification: (notification: Notification) => void,
    options: CallOptions = {},
  ): Promise<string | number> {
    if (this.#listeners.size + this.#subscribing >= MAX_SUBSCRIPTIONS)
      throw rpcProblem(this.origin, "BUSY", `${method}: there are ${MAX_SUBSCRIPTIONS} subscriptions already`);
    this.#subscribing++;
    try {
      return await this.#exchange(method, params, options, (text, id) => {
        const name = readAnswer(this.origin, method, id, { status: 200, body: text });
        if (typeof name !== "string" && typeof name !== "number")
          throw rpcProblem(this.origin, "SHAPE", `${method}: expected a subscription's name, got ${typeof name}`);
        // In this same turn, so that what comes behind the answer finds its listener.
        this.#listeners.set(name, onNotification);
        return name;
      });
    } finally {
      this.#subscribing--;
      this.#handEarly();
    }
  }

  /** Ends a subscription; nothing of it is handed on from here on. Throws as `call`. */
  async unsubscribe(method: string, name: string | number, options: CallOptions = {}): Promise<void> {
    this.#listeners.delete(name);
    await this.call(method, [name], options);
  }

  /** Breaks off what is on the way. */
  async close(): Promise<void> {
    this.#end(rpcProblem(this.origin, "CLOSED", "the socket was closed"));
    await this.#closed;
  }

  // --- one call ---

  async #exchange<T>(
    method: string,
    params: readonly unknown[] | Readonly<Record<string, unknown>>,
    { signal, timeoutMs = this.#options.timeoutMs, maxResponseBytes }: CallOptions,
    read: (text: string, id: number) => T,
  ): Promise<T> {
    // A block may wait for the answer: where nothing is in the way, the question goes out in this turn.
    if (!this.#isOpen) await this.#opened;
    const ending = this.#ending.signal;
    const signals = signal === undefined ? [ending] : [ending, signal];
    for (const each of signals) each.throwIfAborted();
    if (!this.#turns.takeNow())
      await this.#turns.take(signals, () =>
        rpcProblem(this.origin, "BUSY", `${method}: ${this.#turns.waiting} calls wait already; the node is too slow`),
      );
    const id = this.#nextId++;
    let cancel: Cancel = () => {};
    let onAbort = (): void => {};
    try {
      return await new Promise<T>((resolve, reject) => {
        const take = (text: string): void => {
          if (maxResponseBytes !== undefined && text.length > maxResponseBytes)
            throw this.#tooLarge(method, maxResponseBytes);
          resolve(read(text, id));
        };
        this.#pending.set(id, { method, take, fail: reject });
        onAbort = () => reject(signal?.reason as Error);
        signal?.addEventListener("abort", onAbort, { once: true });
        cancel = this.#modules.clock.after(timeoutMs, () => reject(this.#noAnswer(method, timeoutMs)));
        this.#send(method, JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      });
    } finally {
      cancel();
      signal?.removeEventListener("abort", onAbort);
      this.#pending.delete(id);
      this.#turns.done();
    }
  }

  /** Throws where the connection is no more, or takes nothing. */
  #send(method: string, text: string): void {
    this.#ending.signal.throwIfAborted();
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES)
      throw rpcProblem(this.origin, "BUSY", `${method}: ${this.#socket.bufferedAmount} bytes wait to be sent already`);
    this.#socket.send(text);
  }

  // --- what comes ---

  #onMessage(data: RawData): void {
    if (this.#ending.signal.aborted) return;
    const receivedAt = this.#modules.clock.now();
    const message = readMessage((data as Buffer).toString("utf8"), receivedAt);
    if (message.kind === "answer") this.#answer(message.id, message.text);
    else if (message.kind === "notification") this.#notify(message);
    // What is neither, an error without an id perhaps, belongs to no call; the one it was for runs out of time.
  }

  #answer(id: number, text: string): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    try {
      pending?.take(text);
    } catch (error) {
      pending?.fail(error);
    }
  }

  #notify(notification: Notification): void {
    const listener = this.#listeners.get(notification.subscription);
    if (listener === undefined) {
      if (this.#subscribing > 0 && this.#early.length < MAX_EARLY) this.#early.push(notification);
      return;
    }
    try {
      listener(notification);
    } catch (error) {
      const problem = rpcProblem(this.origin, "SHAPE", `a notification: ${shorten(messageOf(error))}`, {}, error);
      this.#lose(isSprintError(error) ? error : problem);
    }
  }

  #handEarly(): void {
    for (const notification of this.#early.splice(0)) {
      const isKnown = this.#listeners.has(notification.subscription);
      if (isKnown || this.#subscribing > 0) this.#notify(notification);
    }
  }

  // --- the connection's life ---

  #open(): Promise<void> {
    const socket = this.#socket;
    const { timeoutMs } = this.#options;
    this.#cancelTimer = this.#modules.clock.after(timeoutMs, () =>
      this.#lose(this.#noAnswer("the handshake", timeoutMs)),
    );
    socket.on("upgrade", (response: IncomingMessage) => (this.#tcp = response.socket));
    socket.on("message", (data) => this.#onMessage(data));
    socket.on("unexpected-response", (request, response: IncomingMessage) => {
      this.#lose(this.#refused(response.statusCode ?? 0));
      request.destroy();
    });
    socket.on("error", (error) => this.#lose(this.#asProblem(error)));
    socket.on("close", (code, reason) =>
      this.#lose(
        rpcProblem(
          this.origin,
          "UNREACHABLE",
          `the node closed the socket: ${code} ${shorten(reason.toString())}`.trim(),
          {
            code,
          },
        ),
      ),
    );
    return new Promise((resolve, reject) => {
      const { signal } = this.#ending;
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      socket.once("open", () => {
        this.#cancelTimer();
        this.#watch(this.#bytesRead());
        this.#isOpen = true;
        resolve();
      });
    });
  }

  #bytesRead(): number {
    return this.#tcp?.bytesRead ?? 0;
  }

  /** Bytes count, not messages: while a large one comes in no pong can. */
  #watch(before: number): void {
    this.#cancelTimer = this.#modules.clock.after(this.#options.pingMs, () => {
      const now = this.#bytesRead();
      if (now !== before) return this.#watch(now);
      this.#socket.ping();
      const { pongMs, pingMs } = this.#options;
      this.#cancelTimer = this.#modules.clock.after(pongMs, () => {
        if (this.#bytesRead() !== now) return this.#watch(this.#bytesRead());
        const silence = `expected an answer to a ping within ${pongMs} ms, after ${pingMs} ms of silence, got none`;
        this.#lose(rpcProblem(this.origin, "TIMEOUT", silence, { timeoutMs: pongMs }));
      });
    });
  }

  #lose(error: SprintError): void {
    if (this.#end(error)) this.#modules.onLost(error);
  }

  /** False: it has ended before. */
  #end(reason: SprintError): boolean {
    if (this.#ending.signal.aborted) return false;
    this.#ending.abort(reason);
    this.#cancelTimer();
    this.#listeners.clear();
    this.#early.length = 0;
    for (const { fail } of this.#pending.values()) fail(reason);
    this.#pending.clear();
    this.#socket.terminate();
    return true;
  }

  // --- what can be wrong ---

  #noAnswer(method: string, timeoutMs: number): SprintError {
    return rpcProblem(this.origin, "TIMEOUT", `${method}: expected an answer within ${timeoutMs} ms, got none`, {
      timeoutMs,
    });
  }

  #tooLarge(method: string, maxBytes: number): SprintError {
    return rpcProblem(this.origin, "TOO_LARGE", `${method}: expected at most ${maxBytes} bytes, got more`, {
      maxBytes,
    });
  }

  #refused(status: number): SprintError {
    const what =
      status === 401 ? "UNAUTHORIZED" : status === 403 ? "FORBIDDEN" : status === 503 ? "UNAVAILABLE" : "STATUS";
    const advice = "is this a WebSocket port, and is its key good?";
    return rpcProblem(this.origin, what, `expected a WebSocket handshake, got HTTP status ${status}; ${advice}`, {
      status,
    });
  }

  #asProblem(error: Error): SprintError {
    const { code } = error as { readonly code?: unknown };
    if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") return this.#tooLarge("a message", this.#options.maxMessageBytes);
    const reason = error instanceof AggregateError ? error.errors.map(messageOf).join("; ") : messageOf(error);
    const message = `expected a node at ${this.origin}, got: ${shorten(reason)}`;
    return rpcProblem(this.origin, "UNREACHABLE", message, { reason: typeof code === "string" ? code : "" }, error);
  }
}

/** What says something about one call, not about the connection. */
const OF_ONE_CALL: ReadonlySet<string> = new Set([
  "SPRINT_RPC_ERROR",
  "SPRINT_RPC_METHOD_MISSING",
  "SPRINT_RPC_WARMING_UP",
  "SPRINT_RPC_SHAPE",
]);
