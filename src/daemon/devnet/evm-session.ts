/** One WebSocket of the embedded Ethereum node: its calls and its subscriptions. */
import { randomBytes } from "node:crypto";
import type { WebSocket } from "ws";
import type { SignedTransaction } from "./evm-accounts.ts";
import type { EvmChange } from "./evm-chain.ts";
import { type LogQuery, isAskedFor, logQueryIn, objectIn } from "./evm-rpc-arguments.ts";
import { type EvmNodeFacts, callEvmMethod, toldHead } from "./evm-rpc-methods.ts";
import { answerEvmRequest } from "./evm-rpc-request.ts";
import { type View, logViews, transactionView } from "./evm-rpc-views.ts";
import { RPC_CODE, RpcRefusal } from "./rpc-error.ts";

type Subscription =
  | { readonly kind: "newHeads" }
  | { readonly kind: "logs"; readonly query: LogQuery }
  | { readonly kind: "newPendingTransactions"; readonly full: boolean };

const MAX_SUBSCRIPTIONS = 64;
/** Who reads slower than this is cut off. */
const MAX_UNREAD_BYTES = 16_777_216;

export class EvmSession {
  readonly #socket: WebSocket;
  readonly #facts: EvmNodeFacts;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Answers come in the order of the calls. */
  #lastAnswer: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, facts: EvmNodeFacts) {
    this.#socket = socket;
    this.#facts = facts;
    socket.on("message", (data) => this.#hear(String(data)));
    // It ends with a close, which whoever made it hears.
    socket.on("error", () => {});
  }

  /** Reads nothing until `resume`; what is sent in the meantime is told by its owner later. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.terminate();
  }

  tellChange({ reverted, applied }: EvmChange): void {
    const { lies } = this.#facts;
    for (const [id, each] of this.#told()) {
      if (each.kind === "newHeads") {
        for (const block of applied)
          if (!lies.has("skip-heads") || block.header.number % 2 === 0) this.#tell(id, toldHead(block, lies));
      } else if (each.kind === "logs") {
        const logs = [
          ...reverted.map((block) => logViews(block, true)),
          ...applied.map((block) => logViews(block, false)),
        ];
        for (const log of logs.flat()) if (isAskedFor(log, each.query)) this.#tell(id, log);
      }
    }
  }

  tellPending(transactions: readonly SignedTransaction[]): void {
    for (const [id, each] of this.#told()) {
      if (each.kind !== "newPendingTransactions") continue;
      for (const one of transactions) this.#tell(id, each.full ? transactionView(one, null, 0) : one.hash);
    }
  }

  #told(): Iterable<[string, Subscription]> {
    return this.#facts.lies.has("silent") ? [] : this.#subscriptions;
  }

  #tell(subscription: string, result: View | string): void {
    const params = { subscription, result };
    this.#send(JSON.stringify({ jsonrpc: "2.0", method: "eth_subscription", params }));
  }

  #send(text: string): void {
    if (this.#socket.bufferedAmount > MAX_UNREAD_BYTES) this.#socket.terminate();
    else this.#socket.send(text);
  }

  #hear(text: string): void {
    this.#lastAnswer = this.#lastAnswer.then(async () => {
      const answer = await answerEvmRequest(text, (method, params) => this.#call(method, params));
      if (answer !== "" && this.#socket.readyState === this.#socket.OPEN) this.#send(answer);
    });
  }

  #call(method: string, params: readonly unknown[]): unknown {
    if (method === "eth_subscribe") return this.#subscribe(params);
    if (method === "eth_unsubscribe") return this.#subscriptions.delete(String(params[0]));
    return callEvmMethod(method, params, this.#facts);
  }

  #subscribe([kind, options]: readonly unknown[]): string {
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS)
      throw new RpcRefusal(RPC_CODE.LIMIT_EXCEEDED, `a connection holds at most ${MAX_SUBSCRIPTIONS} subscriptions`);
    const id = `0x${randomBytes(16).toString("hex")}`;
    const asked = subscriptionIn(kind, options);
    // After the answer that names it, also where something happens in this turn.
    this.#lastAnswer.then(() => this.#subscriptions.set(id, asked)).catch(() => {});
    return id;
  }
}

function subscriptionIn(kind: unknown, options: unknown): Subscription {
  switch (kind) {
    case "newHeads":
      return { kind };
    case "logs":
      return { kind, query: logQueryIn(objectIn(options ?? {}, "filter")) };
    case "newPendingTransactions":
      return { kind, full: options === true };
    default:
      throw new RpcRefusal(
        RPC_CODE.METHOD_NOT_FOUND,
        `no "${String(kind).slice(0, 40)}" subscription in eth namespace`,
      );
  }
}
