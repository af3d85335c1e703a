/**
 * Counts the sockets of one listener, whoever holds them, and says which come in over its limit. A socket over the limit is
 * kept just long enough to be told so; when there are too many of those, or too many that have not asked for anything yet,
 * newer ones are dropped without a word.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";

export interface GateOptions {
  /** Infinity: no limit. `limitTo` changes it. */
  readonly connections: number;
  readonly pendingSockets: number;
  readonly refusedSockets: number;
}

export class Gate {
  readonly #options: GateOptions;
  readonly #here = new Set<Socket>();
  readonly #pending = new Set<Socket>();
  readonly #refused = new Set<Socket>();
  #elsewhere = 0;
  #limit: number;

  constructor(options: GateOptions, modules: { readonly server: Server }) {
    this.#options = options;
    this.#limit = options.connections;
    modules.server.on("connection", (socket: Socket) => this.#arrived(socket));
    modules.server.prependListener("request", (request) => this.#pending.delete(request.socket));
    modules.server.prependListener("upgrade", (request) => this.#pending.delete(request.socket));
  }

  get connections(): number {
    return this.#here.size + this.#elsewhere;
  }

  /** Connections at most; Infinity: no limit. */
  get limit(): number {
    return this.#limit;
  }

  /** Nobody is sent away: above a lower limit no one comes in until enough have left. A higher one lets those in who still wait for their refusal. */
  limitTo(connections: number): void {
    this.#limit = connections;
    for (const socket of this.#refused) {
      if (this.connections >= connections) return;
      this.#refused.delete(socket);
      this.#here.add(socket);
    }
  }

  isRefused(socket: Socket): boolean {
    return this.#refused.has(socket);
  }

  /** The socket now lives in another process; the returned function says that it ended there. */
  movedAway(socket: Socket): () => void {
    this.#here.delete(socket);
    this.#elsewhere++;
    return () => {
      this.#elsewhere--;
    };
  }

  /** Ends every socket that is still here. */
  destroyAll(): void {
    for (const socket of [...this.#here, ...this.#refused]) socket.destroy();
  }

  #arrived(socket: Socket): void {
    const { pendingSockets, refusedSockets } = this.#options;
    const isOver = this.connections >= this.#limit;
    if (this.#pending.size >= pendingSockets || (isOver && this.#refused.size >= refusedSockets)) {
      socket.destroy();
      return;
    }
    (isOver ? this.#refused : this.#here).add(socket);
    this.#pending.add(socket);
    socket.once("close", () => {
      this.#here.delete(socket);
      this.#refused.delete(socket);
      this.#pending.delete(socket);
    });
  }
}
