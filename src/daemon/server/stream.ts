/** `/control/v1/stream`: what happens in the daemon, as it happens. A reader that falls behind is closed, never waited for. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import type { ControlMessage } from "../../shared/api.ts";
import type { Cancel } from "../../shared/clock.ts";
import { CLOSE } from "../../shared/events.ts";
import { checkHandshake } from "./handshake.ts";
import type { ServerModules } from "./modules.ts";
import { streamedEvent, timeOf, upstreamBody } from "./views.ts";

const MAX_READERS = 64;
const MAX_BUFFERED_BYTES = 1 << 20;
const MAX_MESSAGE_BYTES = 1_024;

export class ControlStream {
  readonly #hello: { readonly version: string; readonly network: string };
  readonly #server: ServerModules;
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES });
  readonly #cancels: readonly Cancel[];

  constructor(
    options: { readonly version: string; readonly network: string },
    modules: { readonly server: ServerModules },
  ) {
    const { server } = modules;
    this.#hello = options;
    this.#server = server;
    this.#cancels = [
      server.onEvent((event) => this.#send(() => ({ type: "event", at: this.#now(), data: streamedEvent(event) }))),
      server.onUpstream((status) =>
        this.#send(() => ({ type: "upstream", at: this.#now(), data: upstreamBody(status, server.clock) })),
      ),
      server.onTransition(({ breaker, from, to, cause }) =>
        this.#send(() => ({ type: "transition", at: this.#now(), data: { breaker, from, to, cause } })),
      ),
    ];
  }

  /** Throws SPRINT_API_BAD_HANDSHAKE. */
  open(request: IncomingMessage, socket: Socket, head: Buffer): void {
    checkHandshake(request);
    this.#sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on("error", () => ws.terminate());
      ws.on("message", () => ws.close(CLOSE.UNSUPPORTED_MESSAGE, "nothing is said to this stream"));
      if (this.#sockets.clients.size > MAX_READERS) {
        ws.close(CLOSE.CONNECTION_LIMIT, `all ${MAX_READERS} places are taken`);
        return;
      }
      const hello: ControlMessage = { type: "hello", at: this.#now(), data: this.#hello };
      ws.send(JSON.stringify(hello));
    });
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
    for (const ws of this.#sockets.clients) ws.close(CLOSE.SHUTDOWN, "shutdown");
  }

  #send(make: () => ControlMessage): void {
    if (this.#sockets.clients.size === 0) return;
    const text = JSON.stringify(make());
    for (const ws of this.#sockets.clients) this.#sendTo(ws, text);
  }

  #sendTo(ws: WebSocket, text: string): void {
    if (ws.readyState !== ws.OPEN) return;
    if (ws.bufferedAmount <= MAX_BUFFERED_BYTES) ws.send(text);
    else ws.close(CLOSE.SLOW_CONSUMER, "reads too slowly");
  }

  #now(): string {
    return timeOf(this.#server.clock.wall());
  }
}
