/** The HTTP port of an embedded node: opened, and closed whatever is on its way. */
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerOptions, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

export interface HttpPortOptions {
  readonly maxConnections: number;
  /** For a request to come in whole, and for a connection to be idle. */
  readonly timeoutMs: number;
  readonly noDelay?: boolean;
}

export interface HttpPortModules {
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void;
  /** Takes over connections that ask for another protocol; without it they are cut. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

const MAX_HEADER_BYTES = 16_384;

export class HttpPort {
  readonly #options: HttpPortOptions;
  readonly #modules: HttpPortModules;
  #server: Server | null = null;

  constructor(options: HttpPortOptions, modules: HttpPortModules) {
    this.#options = options;
    this.#modules = modules;
  }

  get isOpen(): boolean {
    return this.#server !== null;
  }

  /** Listens, on any free port where `port` is 0, and tells which. Rejects with what the system says where it cannot. */
  async listen(host: string, port: number): Promise<number> {
    const { maxConnections, timeoutMs, noDelay } = this.#options;
    const { serve, upgrade } = this.#modules;
    const options: ServerOptions = {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: timeoutMs,
      headersTimeout: timeoutMs,
      keepAliveTimeout: timeoutMs,
      ...(noDelay === undefined ? {} : { noDelay }),
    };
    const server = createServer(options, serve);
    server.maxConnections = maxConnections;
    if (upgrade !== undefined) server.on("upgrade", upgrade);
    this.#server = server;
    server.listen(port, host);
    await once(server, "listening");
    const { port: listening } = server.address() as AddressInfo;
    // Closed in the meantime.
    if (this.#server !== server) server.close();
    return listening;
  }

  /** Cuts every HTTP connection, idle or not, and frees the port as soon as those that were handed over have ended. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null || !server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}

/** Null where it is longer than `maxBytes`; the rest is left unread. Throws where it breaks off. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | null> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return null;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes).toString("utf8");
}
