/**
 * HTTP and WebSocket of the Solana node, as validators serve them on two ports, on one: which it is, the request says. On loopback,
 * without a password: the chain is nobody's money.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { HttpPort, readBody } from "./http-port.ts";

export interface SvmServerModules {
  /** The text of a request in, that of its answer out; empty where there is none. Does not throw. */
  readonly answer: (body: string) => Promise<string>;
  readonly onSocket: (socket: WebSocket) => void;
}

/** `MAX_REQUEST_BODY_SIZE` and the largest message of a subscriber. */
const MAX_BODY_BYTES = 51_200;
const MAX_MESSAGE_BYTES = 65_536;
const REQUEST_TIMEOUT_MS = 30_000;

export class SvmServer {
  readonly #modules: SvmServerModules;
  readonly #sockets: WebSocketServer;
  readonly #port: HttpPort;
  #held: PromiseWithResolvers<void> | null = null;

  constructor(options: { readonly maxConnections: number }, modules: SvmServerModules) {
    this.#modules = modules;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    this.#port = new HttpPort(
      { maxConnections: options.maxConnections, timeoutMs: REQUEST_TIMEOUT_MS, noDelay: true },
      {
        serve: (request, response) => void this.#serve(request, response),
        upgrade: (request, socket, head) => void this.#upgrade(request, socket, head),
      },
    );
  }

  listen(host: string, port: number): Promise<number> {
    return this.#port.listen(host, port);
  }

  /** Cuts every HTTP connection and frees the port, as soon as the sockets that were handed out have been hung up on. */
  close(): Promise<void> {
    const closed = this.#port.close();
    this.thaw();
    return closed;
  }

  /** Takes connections and answers nothing, handshakes neither, until `thaw`. */
  freeze(): void {
    this.#held ??= Promise.withResolvers();
  }

  thaw(): void {
    this.#held?.resolve();
    this.#held = null;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await readBody(request, MAX_BODY_BYTES);
      await this.#whileHeld();
      const { status, text, type } = body === null ? TOO_LARGE : await this.#reply(request, body);
      await this.#whileHeld();
      // What was not read stands in the way of the next request.
      if (body === null) response.setHeader("connection", "close");
      response.writeHead(status, { "content-type": type });
      response.end(text);
    } catch {
      // The request broke off before it was whole.
      response.destroy();
    }
  }

  /** What waited through one freeze may wait through the next one. */
  async #whileHeld(): Promise<void> {
    while (this.#held !== null) await this.#held.promise;
  }

  async #reply(request: IncomingMessage, body: string): Promise<Reply> {
    if (request.method === "GET" && request.url === "/health") return plain(200, "ok");
    if (request.method !== "POST") {
      return plain(405, "Used HTTP Method is not allowed. POST or OPTIONS is required\n");
    }
    if (!(request.headers["content-type"] ?? "").startsWith("application/json")) {
      return plain(415, "Supplied content type is not allowed. Content-Type: application/json is required\n");
    }
    return { status: 200, type: "application/json; charset=utf-8", text: await this.#modules.answer(body) };
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    await this.#whileHeld();
    if (!this.#port.isOpen || socket.destroyed) return void socket.destroy();
    this.#sockets.handleUpgrade(request, socket, head, (each) => this.#modules.onSocket(each));
  }
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function plain(status: number, text: string): Reply {
  return { status, type: "text/plain", text };
}

const TOO_LARGE = plain(413, "Payload too large\n");
