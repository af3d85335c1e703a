/** The WebSocket side of the Solana node: who has subscribed to what, and telling them. */
import { hash } from "node:crypto";
import type { WebSocket } from "ws";
import { numberIn } from "./svm-arguments.ts";
import { SVM_AGENT } from "./svm-cluster-methods.ts";
import type { SvmSlotEvent } from "./svm-ledger.ts";
import { SVM_RPC_CODE, SvmRefusal, answerSvmMessage } from "./svm-request.ts";
import { type SvmTopic, type SvmTopicModules, isUnsubscribe, svmTopic } from "./svm-topics.ts";

export interface SvmSocketsOptions {
  /** A socket's. */
  readonly maxSubscriptions: number;
  /** One who leaves more unread is hung up on. */
  readonly maxUnreadBytes: number;
}

interface Subscription {
  readonly id: number;
  readonly topic: SvmTopic;
  /** Of what was asked for: validators answer the same question of a socket with the same subscription. */
  readonly digest: string;
}

/** One client, and what it is subscribed to. */
class Session {
  readonly subscriptions = new Map<number, Subscription>();
  readonly socket: WebSocket;

  readonly #maxUnreadBytes: number;

  constructor(socket: WebSocket, { maxUnreadBytes }: SvmSocketsOptions) {
    this.socket = socket;
    this.#maxUnreadBytes = maxUnreadBytes;
  }

  tell(event: SvmSlotEvent): void {
    for (const { id, topic } of this.subscriptions.values()) {
      for (const result of topic.tell(event)) {
        this.#send(
          JSON.stringify({ jsonrpc: "2.0", method: topic.notification, params: { result, subscription: id } }),
        );
        if (topic.once?.(result) === true) this.subscriptions.delete(id);
      }
    }
  }

  answer(text: string): void {
    if (text !== "") this.#send(text);
  }

  #send(text: string): void {
    if (this.socket.bufferedAmount > this.#maxUnreadBytes) this.socket.terminate();
    else this.socket.send(text);
  }
}

export class SvmSockets {
  readonly #options: SvmSocketsOptions;
  readonly #modules: SvmTopicModules;
  readonly #sessions = new Set<Session>();
  readonly #subscribed = new Map<string, number>();
  #nextId = 0;

  constructor(options: SvmSocketsOptions, modules: SvmTopicModules) {
    this.#options = options;
    this.#modules = modules;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Subscriptions taken, by method, since the node was made. */
  get subscribed(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#subscribed);
  }

  add(socket: WebSocket): void {
    const session = new Session(socket, this.#options);
    this.#sessions.add(session);
    socket.on("error", () => {});
    socket.on("close", () => this.#sessions.delete(session));
    socket.on("message", (data, isBinary) => {
      const text = isBinary ? "" : (data as Buffer).toString("utf8");
      session.answer(answerSvmMessage(text, (method, params) => this.#call(session, method, params)));
    });
  }

  tell(event: SvmSlotEvent): void {
    if (this.#modules.view.silent) return;
    const told = this.#modules.view.event(event);
    for (const session of this.#sessions) session.tell(told);
  }

  /** Reads nothing of those that are here until `thaw`. */
  freeze(): void {
    for (const { socket } of this.#sessions) socket.pause();
  }

  thaw(): void {
    for (const { socket } of this.#sessions) socket.resume();
  }

  hangUp(): void {
    for (const { socket } of this.#sessions) socket.terminate();
  }

  #call(session: Session, method: string, params: readonly unknown[]): unknown {
    if (method === "getVersion") return { "feature-set": 0, "solana-core": SVM_AGENT };
    if (isUnsubscribe(method)) {
      if (session.subscriptions.delete(numberIn(params[0]))) return true;
      throw new SvmRefusal(SVM_RPC_CODE.INVALID_PARAMS, "Invalid subscription id.");
    }
    const topic = svmTopic(method, params, this.#modules);
    const digest = hash("sha256", JSON.stringify([method, params]), "base64");
    const same = [...session.subscriptions.values()].find((each) => each.digest === digest);
    if (same !== undefined) return same.id;
    if (session.subscriptions.size >= this.#options.maxSubscriptions) {
      const message = "Internal Error: Subscription refused. Node subscription limit reached";
      throw new SvmRefusal(SVM_RPC_CODE.INTERNAL_ERROR, message);
    }
    const id = this.#nextId++;
    session.subscriptions.set(id, { id, topic, digest });
    this.#subscribed.set(method, (this.#subscribed.get(method) ?? 0) + 1);
    return id;
  }
}
