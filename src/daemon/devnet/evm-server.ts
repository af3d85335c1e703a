/** The port of the embedded Ethereum node: HTTP and WebSocket, with subscriptions on the latter. Loopback, and nobody needs a password. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { SignedTransaction } from "./evm-accounts.ts";
import type { EvmChange } from "./evm-chain.ts";
import { type EvmNodeFacts, callEvmMethod } from "./evm-rpc-methods.ts";
import { answerEvmRequest } from "./evm-rpc-request.ts";
import { EvmSession } from "./evm-session.ts";
import { RpcServer } from "./rpc.ts";

const MAX_MESSAGE_BYTES = 1_048_576;
/** What is told after a pause: less than what a bare reader may leave unread. */
const MAX_HELD = 256;

export class EvmServer {
  readonly #facts: EvmNodeFacts;
  readonly #rpc: RpcServer;
  readonly #sessions = new Set<EvmSession>();
  readonly #handshakes = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
  /** Sockets that shook no hands yet, and what they wait to be told; null while it answers. */
  #held: (() => void)[] | null = null;

  constructor(facts: EvmNodeFacts) {
    this.#facts = facts;
    this.#rpc = new RpcServer({
      answer: async (text) => {
        const body = await answerEvmRequest(text, (method, params) => callEvmMethod(method, params, facts));
        return { status: body === "" ? 204 : 200, body };
      },
      upgrade: (request, socket, head) => this.#upgrade(request, socket, head),
    });
  }

  /** Listens, on any free port where `port` is 0, and tells which. */
  listen(host: string, port: number): Promise<number> {
    return this.#rpc.listen(host, port);
  }

  async close(): Promise<void> {
    this.#held = null;
    for (const session of this.#sessions) session.close();
    this.#rpc.resume();
    await this.#rpc.close();
  }

  /** Keeps sockets open, takes new ones, and says nothing until `thaw`. */
  freeze(): void {
    this.#held ??= [];
    this.#rpc.pause();
    for (const session of this.#sessions) session.pause();
  }

  /** Answers what was asked, and tells what happened meanwhile, of much the newest. */
  thaw(): void {
    const held = this.#held ?? [];
    this.#held = null;
    this.#rpc.resume();
    for (const session of this.#sessions) session.resume();
    for (const tell of held) tell();
  }

  tellChange(change: EvmChange): void {
    this.#tell((session) => session.tellChange(change));
  }

  tellPending(transactions: readonly SignedTransaction[]): void {
    this.#tell((session) => session.tellPending(transactions));
  }

  /** Hangs up on every WebSocket; they may call again. */
  disconnect(): void {
    for (const session of this.#sessions) session.close();
  }

  #tell(tell: (session: EvmSession) => void): void {
    this.#orHold(() => {
      for (const session of this.#sessions) tell(session);
    });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {});
    this.#orHold(() => {
      if (socket.destroyed) return;
      this.#handshakes.handleUpgrade(request, socket, head, (opened) => {
        const session = new EvmSession(opened, this.#facts);
        this.#sessions.add(session);
        opened.once("close", () => this.#sessions.delete(session));
        if (this.#held !== null) session.pause();
      });
    });
  }

  #orHold(act: () => void): void {
    if (this.#held === null) return act();
    this.#held.push(act);
    if (this.#held.length > MAX_HELD) this.#held.shift();
  }
}
