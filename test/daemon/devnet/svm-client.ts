/** A client of the Solana devnet node that does nothing by itself: HTTP calls, and one WebSocket. */
import { once } from "node:events";
import type { TestContext } from "node:test";
import { WebSocket } from "ws";
import {
  SvmDevnetNode,
  type SvmDevnetNodeModules,
  type SvmDevnetNodeOptions,
} from "../../../src/daemon/devnet/index.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { FakeClock } from "../../fakes/clock.ts";

/** What JSON holds; tests assert on what they read. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Loose = any;

export interface Answer {
  readonly result?: Loose;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Loose };
}

/** Mines on orders, and confirms and roots soon. */
export async function startSvm(
  context: TestContext,
  options: Partial<SvmDevnetNodeOptions> = {},
  modules: Partial<SvmDevnetNodeModules> = {},
): Promise<SvmDevnetNode> {
  const node = new SvmDevnetNode(
    { slotMs: null, rootBehind: 6, historySlots: 12, skipChance: 0, ...options },
    { clock: new FakeClock(), random: seededRandom(1), ...modules },
  );
  await node.start();
  context.after(() => node.close());
  return node;
}

export async function post(node: SvmDevnetNode, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(node.httpUrl, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
}

export async function ask(node: SvmDevnetNode, method: string, ...params: unknown[]): Promise<Answer> {
  const response = await post(node, JSON.stringify({ jsonrpc: "2.0", id: 7, method, params }));
  return (await response.json()) as Answer;
}

/** The result of a call that must have one. */
export async function get(node: SvmDevnetNode, method: string, ...params: unknown[]): Promise<Loose> {
  const { result, error } = await ask(node, method, ...params);
  if (error !== undefined) throw new Error(`${method}: ${error.code} ${error.message}`);
  return result;
}

export interface SvmClient {
  readonly socket: WebSocket;
  /** All that came, answers and notifications. */
  readonly received: Loose[];
  send(text: string): void;
  call(method: string, ...params: unknown[]): Promise<Answer>;
  /** The subscription's id. */
  subscribe(method: string, ...params: unknown[]): Promise<number>;
  /** Results that came for a subscription, after the node has told all that it had to tell. */
  told(subscription: number): Promise<Loose[]>;
}

export async function connect(context: TestContext, node: SvmDevnetNode): Promise<SvmClient> {
  const socket = new WebSocket(node.url, { perMessageDeflate: false });
  socket.on("error", () => {});
  context.after(() => socket.terminate());
  const received: Loose[] = [];
  const waiting = new Map<number, (answer: Answer) => void>();
  socket.on("message", (data) => {
    const message = JSON.parse((data as Buffer).toString("utf8"));
    received.push(message);
    waiting.get(message.id)?.(message);
  });
  await once(socket, "open");
  let nextId = 0;
  const client: SvmClient = {
    socket,
    received,
    send: (text) => socket.send(text),
    call: (method, ...params) => {
      const id = nextId++;
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      return new Promise((resolve) => waiting.set(id, resolve));
    },
    subscribe: async (method, ...params) => {
      const { result, error } = await client.call(method, ...params);
      if (error !== undefined) throw new Error(`${method}: ${error.code} ${error.message}`);
      return result;
    },
    told: async (subscription) => {
      await client.call("getVersion");
      return received.filter(({ params }) => params?.subscription === subscription).map(({ params }) => params.result);
    },
  };
  return client;
}
