/** A scripted EVM node on one port, HTTP and WebSocket, with a chain of headers whose hashes are real. Any method can be scripted. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { evmHeaderFromJson } from "../../../src/daemon/chain/index.ts";
import { SprintError } from "../../../src/shared/errors.ts";

export interface FakeBlock {
  readonly hash: string;
  readonly parentHash: string;
  readonly number: string;
  readonly [field: string]: unknown;
}

/** A result (null too), an error object, a whole answer as text, or no answer at all. */
export type Reply =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string } }
  | { readonly text: string }
  | "silence";

export class Scripted {
  readonly reply: Reply;

  constructor(reply: Reply) {
    this.reply = reply;
  }
}

export interface FakeEvm {
  readonly url: string;
  readonly httpUrl: string;
  /** By hash. */
  readonly blocks: Map<string, FakeBlock>;
  /** The best chain, from block 0. */
  best: FakeBlock[];
  /** Method → what it answers, a `Scripted` or a result. Null takes the usual answer. */
  readonly script: Map<string, (params: readonly unknown[]) => unknown>;
  /** Methods asked for, in order; batches as `method*count`. */
  readonly asked: string[];
  readonly sockets: Set<WebSocket>;
  /** What is below the sockets. */
  readonly connections: Set<Duplex>;
  subscribers(name: string): number;
  /** Puts `count` blocks on the best chain below `from` (default: its end), replacing what was there. Pushes nothing. */
  mine(count: number, from?: number, salt?: string): readonly FakeBlock[];
  push(value: unknown, name?: string): void;
}

const ZERO = `0x${"00".repeat(32)}`;

/** A header of London's form, with the hash that belongs to it. */
export function fakeBlock(number: number, parentHash: string, salt = "00"): FakeBlock {
  const fields = {
    parentHash,
    sha3Uncles: ZERO,
    miner: `0x${"00".repeat(20)}`,
    stateRoot: ZERO,
    transactionsRoot: ZERO,
    receiptsRoot: ZERO,
    logsBloom: `0x${"00".repeat(256)}`,
    difficulty: "0x0",
    number: `0x${number.toString(16)}`,
    gasLimit: "0x1c9c380",
    gasUsed: "0x0",
    timestamp: `0x${(1_700_000_000 + number).toString(16)}`,
    extraData: `0x${salt}`,
    mixHash: ZERO,
    nonce: "0x0000000000000000",
    baseFeePerGas: "0x7",
    transactions: [],
  };
  return { ...fields, hash: hashOf(fields) };
}

/** What the fields hash to, as the decoder complains of a wrong one. */
export function hashOf(fields: object): string {
  try {
    return evmHeaderFromJson({ ...fields, hash: ZERO }).hash;
  } catch (error) {
    if (error instanceof SprintError && error.code === "SPRINT_EVM_HEADER_HASH") return String(error.data["expected"]);
    throw error;
  }
}

export async function fakeEvm(t: TestContext, length = 10): Promise<FakeEvm> {
  const blocks = new Map<string, FakeBlock>();
  const script: FakeEvm["script"] = new Map();
  const asked: string[] = [];
  const sockets = new Set<WebSocket>();
  const connections = new Set<Duplex>();
  const subscriptions = new Map<string, Set<{ readonly socket: WebSocket; readonly id: string }>>();

  const byTag = (tag: unknown): FakeBlock | null => {
    if (tag === "latest") return node.best.at(-1) ?? null;
    if (tag === "safe" || tag === "finalized") return node.best[Math.max(0, node.best.length - 4)] ?? null;
    return node.best[Number(tag)] ?? null;
  };
  const usual: Readonly<Record<string, (params: readonly unknown[]) => unknown>> = {
    eth_chainId: () => "0x7a69",
    web3_clientVersion: () => "fake/1.0",
    eth_getBlockByNumber: ([tag]) => byTag(tag),
    eth_getBlockByHash: ([hash]) => blocks.get(String(hash)) ?? null,
    eth_getBlockReceipts: () => [],
  };
  const answerOne = (call: Call): string | null => {
    const head = `{"jsonrpc":"2.0","id":${call.id},`;
    const scripted = script.get(call.method)?.(call.params) ?? null;
    const ask = usual[call.method];
    const missing = { code: -32_601, message: "the method does not exist" };
    const result = scripted ?? (ask === undefined ? new Scripted({ error: missing }) : ask(call.params));
    if (!(result instanceof Scripted)) return `${head}"result":${JSON.stringify(result)}}`;
    if (result.reply === "silence") return null;
    if ("result" in result.reply) return `${head}"result":${JSON.stringify(result.reply.result)}}`;
    return "text" in result.reply ? result.reply.text : `${head}"error":${JSON.stringify(result.reply.error)}}`;
  };
  const answer = (text: string): string | null => {
    const body = JSON.parse(text) as Call | Call[];
    if (!Array.isArray(body)) {
      asked.push(body.method);
      return answerOne(body);
    }
    asked.push(`${body[0]?.method}*${body.length}`);
    const refusal = script.get("batch")?.([body.length]) ?? null;
    if (refusal instanceof Scripted && refusal.reply !== "silence" && "text" in refusal.reply)
      return refusal.reply.text;
    return `[${body.map(answerOne).join(",")}]`;
  };

  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const text = answer(body);
      if (text !== null) response.setHeader("content-type", "application/json").end(text);
    });
  });
  const sink = new WebSocketServer({ server });
  sink.on("connection", (socket, request) => {
    sockets.add(socket);
    connections.add(request.socket);
    socket.on("close", () => {
      sockets.delete(socket);
      connections.delete(request.socket);
      for (const set of subscriptions.values()) for (const one of set) if (one.socket === socket) set.delete(one);
    });
    socket.on("message", (data: Buffer) => {
      const call = JSON.parse(data.toString()) as Call;
      const isScripted = script.get("eth_subscribe")?.(call.params) instanceof Scripted;
      if (call.method !== "eth_subscribe" || isScripted) {
        const text = answer(data.toString());
        if (text !== null) socket.send(text);
        return;
      }
      const name = String(call.params[0]);
      const set = subscriptions.get(name) ?? new Set();
      subscriptions.set(name, set);
      const id = `0x${call.id.toString(16)}`;
      set.add({ socket, id });
      socket.send(JSON.stringify({ jsonrpc: "2.0", id: call.id, result: id }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.terminate();
    sink.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const node: FakeEvm = {
    url: `ws://127.0.0.1:${port}`,
    httpUrl: `http://127.0.0.1:${port}`,
    blocks,
    best: [],
    script,
    asked,
    sockets,
    connections,
    subscribers: (name) => subscriptions.get(name)?.size ?? 0,
    mine(count, from = node.best.length, salt = "00") {
      const kept = node.best.slice(0, from);
      const fresh: FakeBlock[] = [];
      for (let at = 0; at < count; at++) {
        const block = fakeBlock(from + at, (fresh.at(-1) ?? kept.at(-1))?.hash ?? ZERO, salt);
        blocks.set(block.hash, block);
        fresh.push(block);
      }
      node.best = [...kept, ...fresh];
      return fresh;
    },
    push(value, name = "newHeads") {
      for (const { socket, id } of subscriptions.get(name) ?? [])
        socket.send(
          JSON.stringify({ jsonrpc: "2.0", method: "eth_subscription", params: { subscription: id, result: value } }),
        );
    },
  };
  node.mine(length);
  return node;
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}
