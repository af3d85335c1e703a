/**
 * Subscribers' sockets of one process. `ws` makes the handshake and reads what comes in; what goes out are frames that the hub
 * has built once for all, written straight to the TCP socket.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type ServerOptions, WebSocketServer, type WebSocket } from "ws";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { CLOSE } from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";
import type { Filter, Hub, Opening, Subscriber } from "../relay/index.ts";
import type { Handshake } from "./handshake.ts";
import type { SocketLimits } from "./options.ts";

/** A subscriber before its socket speaks WebSocket; plain, so that it can be sent to another process. */
export interface Seat {
  readonly id: string;
  readonly tier: Tier;
  readonly filter: Filter;
  readonly handshake: Handshake;
  /** What it hears before anything live. */
  readonly opening: Opening;
}

export interface EventSocketsModules {
  readonly clock: Clock;
  readonly hub: Hub;
}

export class EventSockets {
  readonly #limits: SocketLimits;
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #server: WebSocketServer;
  readonly #open = new Set<EventSocket>();
  #cancelBeat: Cancel;
  #onEmpty: (() => void) | null = null;

  constructor(limits: SocketLimits, modules: EventSocketsModules) {
    this.#limits = limits;
    this.#hub = modules.hub;
    this.#clock = modules.clock;
    const options: ServerOptions & { closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.maxMessageBytes,
      closeTimeout: limits.closeTimeoutMs,
    };
    this.#server = new WebSocketServer(options);
    this.#cancelBeat = this.#clock.after(limits.pingIntervalMs, () => this.#beat());
  }

  get size(): number {
    return this.#open.size;
  }

  /** Answers the handshake and adds the subscriber to the hub, in this order and in this turn. `onEnd` is called once. */
  seat(seat: Seat, socket: Socket, head: Uint8Array, onEnd: () => void): void {
    socket.setNoDelay(true);
    let isSeated = false;
    this.#server.handleUpgrade(seat.handshake as unknown as IncomingMessage, socket, head as Buffer, (ws) => {
      isSeated = true;
      const subscriber = new EventSocket(seat, ws, socket);
      this.#open.add(subscriber);
      ws.on("pong", () => (subscriber.isAlive = true));
      // A protocol error; ws closes the connection with the code that RFC 6455 has for it.
      ws.on("error", () => {});
      ws.on("message", () => {
        this.#hub.dismiss(seat.id, CLOSE.UNSUPPORTED_MESSAGE, "this stream takes no messages");
      });
      ws.on("close", () => {
        this.#open.delete(subscriber);
        this.#hub.remove(seat.id);
        onEnd();
        if (this.#open.size === 0) this.#onEmpty?.();
      });
      this.#hub.add(subscriber, seat.opening);
    });
    // The client had gone before the answer.
    if (!isSeated) onEnd();
  }

  /** Resolves when the last socket is closed; the hub has said goodbye to them before. */
  empty(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  close(): void {
    this.#cancelBeat();
    for (const subscriber of this.#open) subscriber.terminate();
  }

  #beat(): void {
    for (const subscriber of this.#open) subscriber.beat();
    this.#cancelBeat = this.#clock.after(this.#limits.pingIntervalMs, () => this.#beat());
  }
}

class EventSocket implements Subscriber {
  readonly id: string;
  readonly tier: Tier;
  readonly filter: Filter;
  isAlive = true;
  #isClosing = false;
  readonly #ws: WebSocket;
  readonly #socket: Socket;

  constructor(seat: Seat, ws: WebSocket, socket: Socket) {
    this.id = seat.id;
    this.tier = seat.tier;
    this.filter = seat.filter;
    this.#ws = ws;
    this.#socket = socket;
  }

  write(bytes: Uint8Array): void {
    // Nothing may follow a close frame (RFC 6455, section 5.5.1).
    if (!this.#isClosing) this.#socket.write(bytes);
  }

  bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  close(code: number, reason: string): void {
    this.#isClosing = true;
    this.#ws.close(code, reason);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  /** Drops a socket that has not answered the last ping, and pings the others. */
  beat(): void {
    if (!this.isAlive) this.#ws.terminate();
    else if (this.#ws.readyState === 1) {
      this.isAlive = false;
      this.#ws.ping();
    }
  }
}
