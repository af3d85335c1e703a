/**
 * The RPC port of a devnet node: HTTP as bitcoind serves it, on loopback. Nobody has to show a password: what can be asked here
 * changes nothing, and the chain is nobody's money.
 */
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { Reply } from "./rpc-request.ts";

export interface RpcServerModules {
  /** `signal` aborts when whoever asked has gone. Does not throw. */
  readonly answer: (body: string, signal: AbortSignal) => Promise<Reply>;
  /** Takes over connections that ask for another protocol, and cuts them at the end; without it they are cut. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

const MAX_BODY_BYTES = 1_048_576;
const MAX_HEADER_BYTES = 16_384;
const MAX_CONNECTIONS = 64;
/** As bitcoind's `rpcworkqueue`: long polls among them. */
const MAX_CALLS = 64;
/** bitcoind's `rpcservertimeout`: for a request to come in whole, and for a connection to be idle. */
const SERVER_TIMEOUT_MS = 30_000;

export class RpcServer {
  readonly #modules: RpcServerModules;
  #server: Server | null = null;
  #calls = 0;
  #held: PromiseWithResolvers<void> | null = null;

  constructor(modules: RpcServerModules) {
    this.#modules = modules;
  }

  /** Listens, on any free port where `port` is 0, and tells which. Rejects with what the system says where it cannot. */
  async listen(host: string, port: number): Promise<number> {
    const server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        requestTimeout: SERVER_TIMEOUT_MS,
        headersTimeout: SERVER_TIMEOUT_MS,
        keepAliveTimeout: SERVER_TIMEOUT_MS,
      },
      (request, response) => void this.#serve(request, response),
    );
    server.maxConnections = MAX_CONNECTIONS;
    if (this.#modules.upgrade !== undefined) server.on("upgrade", this.#modules.upgrade);
    this.#server = server;
    server.listen(port, host);
    await once(server, "listening");
    const { port: listening } = server.address() as AddressInfo;
    // Closed in the meantime.
    if (this.#server !== server) server.close();
    return listening;
  }

  /** Cuts every connection, idle or not, and frees the port. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null || !server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
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
    const body = await readBody(request);
    return body === null ? TOO_LARGE : this.#modules.answer(body, signal);
  }
}

const TOO_LARGE: Reply = { status: 413, body: "" };

/** Null where it is longer than it may be; the rest is left unread. Throws where it breaks off. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) return null;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes).toString("utf8");
}

function end(response: ServerResponse, { status, body }: Reply): void {
  const isJson = body.startsWith("{") || body.startsWith("[");
  // What was not read stands in the way of the next request.
  if (status === TOO_LARGE.status) response.setHeader("connection", "close");
  response.writeHead(status, status === 204 ? {} : { "content-type": isJson ? "application/json" : "text/plain" });
  response.end(body);
}
