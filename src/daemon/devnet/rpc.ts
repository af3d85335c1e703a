/**
 * The RPC port of a devnet node: HTTP as bitcoind serves it, on loopback. Nobody has to show a password: what can be asked here
 * changes nothing, and the chain is nobody's money.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { HttpPort, readBody } from "./http-port.ts";
import type { Reply } from "./rpc-request.ts";

export interface RpcServerModules {
  /** `signal` aborts when whoever asked has gone. Does not throw. */
  readonly answer: (body: string, signal: AbortSignal) => Promise<Reply>;
  /** Takes over connections that ask for another protocol, and cuts them at the end; without it they are cut. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

const MAX_BODY_BYTES = 1_048_576;
const MAX_CONNECTIONS = 64;
/** As bitcoind's `rpcworkqueue`: long polls among them. */
const MAX_CALLS = 64;
/** bitcoind's `rpcservertimeout`: for a request to come in whole, and for a connection to be idle. */
const SERVER_TIMEOUT_MS = 30_000;

export class RpcServer {
  readonly #modules: RpcServerModules;
  readonly #port: HttpPort;
  #calls = 0;
  #held: PromiseWithResolvers<void> | null = null;

  constructor(modules: RpcServerModules) {
    this.#modules = modules;
    const { upgrade } = modules;
    this.#port = new HttpPort(
      { maxConnections: MAX_CONNECTIONS, timeoutMs: SERVER_TIMEOUT_MS },
      {
        serve: (request, response) => void this.#serve(request, response),
        ...(upgrade === undefined ? {} : { upgrade }),
      },
    );
  }

  listen(host: string, port: number): Promise<number> {
    return this.#port.listen(host, port);
  }

  /** Cuts every connection, idle or not, and frees the port. */
  close(): Promise<void> {
    return this.#port.close();
  }

  /** Takes questions and answers none until `resume`. */
  pause(): void {
    this.#held ??= Promise.withResolvers();
  }

  resume(): void {
    this.#held?.resolve();
    this.#held = null;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    const closed = new Promise<"closed">((resolve) => {
      response.once("close", () => {
        gone.abort();
        resolve("closed");
      });
    });
    if (this.#calls >= MAX_CALLS) return end(response, { status: 503, body: "Work queue depth exceeded" });
    this.#calls++;
    try {
      await this.#whileHeld(closed);
      const reply = await this.#reply(request, gone.signal);
      await this.#whileHeld(closed);
      end(response, reply);
    } catch {
      // The request broke off before it was whole.
      response.destroy();
    } finally {
      this.#calls--;
    }
  }

  /** What waited through a pause may wait through the next one, but not for one who has gone. */
  async #whileHeld(closed: Promise<"closed">): Promise<void> {
    while (this.#held !== null) if ((await Promise.race([this.#held.promise, closed])) === "closed") return;
  }

  async #reply(request: IncomingMessage, signal: AbortSignal): Promise<Reply> {
    if (request.method !== "POST") return { status: 405, body: "JSONRPC server handles only POST requests" };
    if (request.url !== "/") return { status: 404, body: "" };
    const body = await readBody(request, MAX_BODY_BYTES);
    return body === null ? TOO_LARGE : this.#modules.answer(body, signal);
  }
}

const TOO_LARGE: Reply = { status: 413, body: "" };

function end(response: ServerResponse, { status, body }: Reply): void {
  const isJson = body.startsWith("{") || body.startsWith("[");
  // What was not read stands in the way of the next request.
  if (status === TOO_LARGE.status) response.setHeader("connection", "close");
  response.writeHead(status, status === 204 ? {} : { "content-type": isJson ? "application/json" : "text/plain" });
  response.end(body);
}
