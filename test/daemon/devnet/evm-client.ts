/** Asks an Ethereum node as its users do: over HTTP, and over a WebSocket with subscriptions. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket } from "ws";

import { type EvmParams, evmParamsFor, evmRulesAt } from "../../../src/daemon/chain/index.ts";

const MAINNET = evmParamsFor("ethereum", "mainnet");
/** Prague as on mainnet, from genesis on: stricter than what is asked of a devnet. */
export const PRAGUE: EvmParams = {
  ...MAINNET,
  network: "test",
  chainId: 31_337n,
  genesisHash: null,
  slots: null,
  genesisRules: evmRulesAt(MAINNET, 22_431_084, 1_746_612_311),
  forks: [],
};

export type Json = any; // oxlint-disable-line no-explicit-any

export async function post(url: string, body: unknown): Promise<Json> {
  const response = await fetch(url.replace("ws:", "http:"), {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", connection: "close" },
  });
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

/** The result of one call; rejects with its error. */
export async function rpc(url: string, method: string, ...params: unknown[]): Promise<Json> {
  const { result, error } = await post(url, { jsonrpc: "2.0", id: 1, method, params });
  if (error !== undefined) throw Object.assign(new Error(error.message), { rpcCode: error.code });
  return result;
}

/** The block with everything in it, and its receipts, as `codec.checkBody` takes them. */
export async function blockOf(url: string, hash: string): Promise<{ block: Json; receipts: Json }> {
  return {
    block: await rpc(url, "eth_getBlockByHash", hash, true),
    receipts: await rpc(url, "eth_getBlockReceipts", hash),
  };
}

export interface Subscriber {
  readonly socket: WebSocket;
  call(method: string, ...params: unknown[]): Promise<Json>;
  /** What was told to a subscription so far. */
  told(id: string): Json[];
  /** Resolves when `done` holds for what was told to the subscription. */
  until(id: string, done: (told: Json[]) => boolean): Promise<Json[]>;
  close(): Promise<void>;
}

export async function subscriber(url: string): Promise<Subscriber> {
  const socket = new WebSocket(url);
  const answers = new Map<number, (answer: Json) => void>();
  const told = new Map<string, Json[]>();
  const waiting = new Set<() => void>();
  let lastId = 0;
  socket.on("message", (data) => {
    const message = JSON.parse(String(data));
    if (message.method !== "eth_subscription") return void answers.get(message.id)?.(message);
    const { subscription, result } = message.params;
    told.set(subscription, [...(told.get(subscription) ?? []), result]);
    for (const check of waiting) check();
  });
  await once(socket, "open");
  const all = (id: string): Json[] => told.get(id) ?? [];
  return {
    socket,
    told: all,
    async call(method, ...params) {
      const id = ++lastId;
      const answer = new Promise<Json>((resolve) => answers.set(id, resolve));
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      const { result, error } = await answer;
      assert.equal(error, undefined);
      return result;
    },
    until: (id, done) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!done(all(id))) return;
          waiting.delete(check);
          resolve(all(id));
        };
        waiting.add(check);
        check();
      }),
    async close() {
      if (socket.readyState === WebSocket.CLOSED) return;
      const closed = once(socket, "close");
      socket.terminate();
      await closed;
    },
  };
}
