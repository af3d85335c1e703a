/** A subscriber of a tier's listener that comes back by its cursor. */
import type { WebSocket } from "ws";
import { TIER_ROUTES } from "./api.ts";
import type { Chain } from "./chain.ts";
import { type Clock, type Random, systemClock } from "./clock.ts";
import { openSocket } from "./connect.ts";
import { SprintError, messageOf } from "./errors.ts";
import { CLOSE, type EventType, type Phase, type SprintEvent } from "./events.ts";

/** A pause before a reconnect keeps the program alive: it is what the program is there for. */
const waitingClock: Clock = {
  ...systemClock,
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

export interface SubscribeOptions {
  /** Origin of a tier's listener, or the whole WebSocket address. */
  readonly url: string;
  readonly chains?: readonly Chain[];
  readonly types?: readonly EventType[];
  readonly phase?: Phase;
  /** Resume after this cursor. */
  readonly cursor?: string;
  /** First pause before a reconnect; doubles up to `maxBackoffMs`. */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

export interface SubscribeModules {
  readonly onEvent: (event: SprintEvent) => void;
  /** The connection was lost and comes back after `inMs`. */
  readonly onReconnect?: (reason: string, inMs: number) => void;
  /** Over for good: closed by us (`null`), or the server said not to come back. */
  readonly onEnd?: (error: SprintError | null) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Listens to `/ws/v1/events` and resumes by the last cursor whenever the connection is lost or closed with 4000-4499.
 * Ends at close codes 4500-4999 and at handshakes refused with 4xx other than 408 and 429.
 */
export class EventSubscription {
  readonly #options: Required<Pick<SubscribeOptions, "minBackoffMs" | "maxBackoffMs">> & SubscribeOptions;
  readonly #modules: SubscribeModules;
  readonly #clock: Clock;
  readonly #random: Random;
  #cursor: string | null;
  #socket: WebSocket | null = null;
  #cancelPause: () => void = () => {};
  #failures = 0;
  #ended = false;
  /** What came on this connection is no event: nothing after it is taken. It may come before the connection is ours. */
  #isBroken = false;

  constructor(options: SubscribeOptions, modules: SubscribeModules) {
    this.#options = { minBackoffMs: 250, maxBackoffMs: 15_000, ...options };
    this.#modules = modules;
    this.#clock = modules.clock ?? waitingClock;
    this.#random = modules.random ?? Math.random;
    this.#cursor = options.cursor ?? null;
    void this.#connect();
  }

  /** The last cursor received. */
  get cursor(): string | null {
    return this.#cursor;
  }

  close(): void {
    this.#end(null);
  }

  async #connect(): Promise<void> {
    let socket: WebSocket;
    this.#isBroken = false;
    try {
      socket = await openSocket(this.#url(), (text) => this.#take(text));
    } catch (error) {
      const failure = error as SprintError;
      if (failure.data["retry"] === false) this.#end(failure);
      else this.#pause(messageOf(error));
      return;
    }
    if (this.#ended) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    socket.on("close", (code, reason) => {
      this.#socket = null;
      if (code >= 4500 && code <= 4999) {
        const text = String(reason);
        this.#end(
          new SprintError("SPRINT_CLIENT_CLOSED", `the daemon closed the stream for good: ${text}`, {
            code,
            reason: text,
          }),
        );
      } else this.#pause(`closed with ${code}${code === CLOSE.SHUTDOWN ? " (shutdown)" : ""}`);
    });
    if (this.#isBroken) socket.terminate();
  }

  #take(text: string): void {
    if (this.#ended || this.#isBroken) return;
    let event: SprintEvent;
    try {
      event = JSON.parse(text) as SprintEvent;
    } catch {
      this.#isBroken = true;
      this.#socket?.terminate();
      return;
    }
    this.#failures = 0;
    // A cursor names the position after its event, so it is ours only once the event was taken.
    this.#modules.onEvent(event);
    this.#cursor = event.cursor;
  }

  #url(): URL {
    const { url, chains, types, phase } = this.#options;
    const target = new URL(url.replace(/^http/, "ws"));
    if (target.pathname === "/") target.pathname = TIER_ROUTES.events;
    if (chains !== undefined) target.searchParams.set("chains", chains.join(","));
    if (types !== undefined) target.searchParams.set("types", types.join(","));
    if (phase !== undefined) target.searchParams.set("phase", phase);
    if (this.#cursor !== null) target.searchParams.set("cursor", this.#cursor);
    return target;
  }

  #pause(reason: string): void {
    if (this.#ended) return;
    const { minBackoffMs, maxBackoffMs } = this.#options;
    const ceiling = Math.min(maxBackoffMs, minBackoffMs * 2 ** this.#failures++);
    const inMs = ceiling * (0.5 + this.#random() / 2);
    this.#modules.onReconnect?.(reason, inMs);
    this.#cancelPause = this.#clock.after(inMs, () => void this.#connect());
  }

  #end(error: SprintError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelPause();
    this.#socket?.close(1000);
    this.#modules.onEnd?.(error);
  }
}
