/** `/control/v1/stream`: what happens in the daemon, as it happens. A reader that falls behind is closed, never waited for. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import type { ControlMessage } from "../../shared/api.ts";
import type { Cancel } from "../../shared/clock.ts";
import { BASIC_TYPES, CLOSE } from "../../shared/events.ts";
import { breakerBody, transitionBody } from "./breaker-views.ts";
import { checkHandshake } from "./handshake.ts";
import type { BreakerView, ServerModules } from "./modules.ts";
import type { SocketLimits } from "./options.ts";
import { streamedEvent, timeOf, upstreamBody } from "./views.ts";

/** What is told of blocks; logs and what is told of the moment have a stream of their own. */
const BASIC: ReadonlySet<string> = new Set(BASIC_TYPES);
const MAX_READERS = 64;
const MAX_BUFFERED_BYTES = 1 << 20;
/** Of one metrics message, which stays well below what a client takes (1 MiB). */
const MAX_BREAKERS = 256;
/** RFC 6455, section 7.4.1. */
const POLICY_VIOLATION = 1008;

export interface ControlStreamOptions {
  readonly version: string;
  readonly network: string;
  readonly sockets: SocketLimits;
}

interface Reader {
  isAlive: boolean;
  /** Its token still counts. */
  readonly isAllowed: () => boolean;
}

export class ControlStream {
  readonly #options: ControlStreamOptions;
  readonly #server: ServerModules;
  readonly #sockets: WebSocketServer;
  readonly #readers = new Map<WebSocket, Reader>();
  readonly #cancels: readonly Cancel[];
  #cancelBeat: Cancel;

  constructor(options: ControlStreamOptions, modules: { readonly server: ServerModules }) {
    const { server } = modules;
    const { clock } = server;
    this.#options = options;
    this.#server = server;
    const { maxMessageBytes: maxPayload, closeTimeoutMs: closeTimeout, pingIntervalMs } = options.sockets;
    const wsOptions = { noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload, closeTimeout };
    this.#sockets = new WebSocketServer(wsOptions);
    this.#cancels = [
      server.onEvent((event) => {
        if (BASIC.has(event.type)) this.#send(() => ({ type: "event", data: streamedEvent(event) }));
      }),
      server.onUpstream((status) => this.#send(() => ({ type: "upstream", data: upstreamBody(status, clock) }))),
      server.onTransition((transition) => this.#send(() => ({ type: "transition", data: transitionBody(transition) }))),
      server.onBreakers((breakers) =>
        this.#send(() => ({
          type: "metrics",
          data: { breakers: mostTelling(breakers).map((view) => breakerBody(view, clock)) },
        })),
      ),
      server.onAudit((entry) => this.#send(() => ({ type: "audit", data: entry }))),
    ];
    this.#cancelBeat = clock.after(pingIntervalMs, () => this.#beat());
  }

  /** Throws SPRINT_API_BAD_HANDSHAKE. */
  open(request: IncomingMessage, socket: Socket, head: Buffer, isAllowed: () => boolean): void {
    checkHandshake(request);
    this.#sockets.handleUpgrade(request, socket, head, (ws) => {
      const reader: Reader = { isAlive: true, isAllowed };
      this.#readers.set(ws, reader);
      ws.on("close", () => this.#readers.delete(ws));
      ws.on("pong", () => (reader.isAlive = true));
      ws.on("error", () => ws.terminate());
      ws.on("message", () => ws.close(CLOSE.UNSUPPORTED_MESSAGE, "nothing is said to this stream"));
      if (this.#readers.size > MAX_READERS) {
        ws.close(CLOSE.CONNECTION_LIMIT, `all ${MAX_READERS} places are taken`);
        return;
      }
      const { version, network } = this.#options;
      ws.send(this.#text({ type: "hello", data: { version, network } }));
    });
  }

  /** Tokens have changed: closes the readers whose own is gone, keeps the others. */
  recheck(): void {
    for (const [ws, { isAllowed }] of this.#readers) {
      if (!isAllowed()) ws.close(POLICY_VIOLATION, "the token of this stream is gone");
    }
  }

  close(): void {
    this.#cancelBeat();
    for (const cancel of this.#cancels) cancel();
    for (const ws of this.#readers.keys()) ws.close(CLOSE.SHUTDOWN, "shutdown");
  }

  #send(make: () => Told): void {
    if (this.#readers.size === 0) return;
    const text = this.#text(make());
    for (const ws of this.#readers.keys()) this.#sendTo(ws, text);
  }

  #sendTo(ws: WebSocket, text: string): void {
    if (ws.readyState !== ws.OPEN) return;
    if (ws.bufferedAmount <= MAX_BUFFERED_BYTES) ws.send(text);
    else ws.close(CLOSE.SLOW_CONSUMER, "reads too slowly");
  }

  #text({ type, data }: Told): string {
    const message = { type, at: timeOf(this.#server.clock.wall()), data };
    return JSON.stringify(message);
  }

  /** Drops a reader that has not answered the last ping, and pings the others. */
  #beat(): void {
    for (const [ws, reader] of this.#readers) {
      if (!reader.isAlive) ws.terminate();
      else if (ws.readyState === ws.OPEN) {
        reader.isAlive = false;
        ws.ping();
      }
    }
    this.#cancelBeat = this.#server.clock.after(this.#options.sockets.pingIntervalMs, () => this.#beat());
  }
}

/** A message before it is stamped. */
type Told = ControlMessage extends infer M ? (M extends ControlMessage ? Omit<M, "at"> : never) : never;

/** As many as fit a message; where that is not all, those that are not closed come first. */
function mostTelling(breakers: readonly BreakerView[]): readonly BreakerView[] {
  if (breakers.length <= MAX_BREAKERS) return breakers;
  const isClosed = ({ report }: BreakerView): number => (report.status.state === "closed" ? 1 : 0);
  return breakers.toSorted((a, b) => isClosed(a) - isClosed(b)).slice(0, MAX_BREAKERS);
}
