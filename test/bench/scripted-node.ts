/** A node behind a WebSocket that says what a bench has prepared, and costs the process that it runs in next to nothing. */
import { type AddressInfo, type Socket } from "node:net";
import { createServer } from "node:http";
import { once } from "node:events";
import { type WebSocket, WebSocketServer } from "ws";

export interface ScriptedNode {
  /** ws://HOST:PORT */
  readonly url: string;
  /** The frame that tells `result` to those who subscribed by `topic`: what is written when it is told. */
  frame(topic: string, result: unknown): Buffer;
  /** To everybody. */
  push(frame: Buffer): void;
  /** How many subscriptions of `topic` there are. */
  subscribers(topic: string): number;
  /** Bytes that the slowest connection has not taken yet. */
  unsentBytes(): number;
  close(): Promise<void>;
}

export interface ScriptedNodeOptions {
  /** How it names the notifications of a topic. */
  readonly notification: (topic: string) => string;
  /** The topic that a call subscribes to; null: it is another call. */
  readonly topicOf: (method: string, params: readonly unknown[]) => string | null;
  /** A result; undefined: there is no such method. */
  readonly answer: (method: string, params: readonly unknown[]) => unknown;
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

export async function startScriptedNode({ notification, topicOf, answer }: ScriptedNodeOptions): Promise<ScriptedNode> {
  const sockets = new Set<Socket>();
  /** Names of subscriptions: one each, whoever subscribes. */
  const topics = new Map<string, number>();
  const counts = new Map<string, number>();
  const nameOf = (topic: string): number => {
    const name = topics.get(topic) ?? topics.size + 1;
    topics.set(topic, name);
    return name;
  };
  const answerTo = ({ id, method, params }: Call): string => {
    const topic = topicOf(method, params);
    if (topic !== null) counts.set(topic, (counts.get(topic) ?? 0) + 1);
    const result = topic === null ? answer(method, params) : nameOf(topic);
    if (result === undefined)
      return JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32_601, message: "no such method" } });
    return `{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(result)}}`;
  };
  const server = createServer();
  const handshakes = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.on("upgrade", (request, socket: Socket, head) => {
    socket.setNoDelay(true);
    handshakes.handleUpgrade(request, socket, head, (opened: WebSocket) => {
      sockets.add(socket);
      opened.on("close", () => sockets.delete(socket));
      opened.on("error", () => {});
      opened.on("message", (data: Buffer) =>
        socket.write(textFrame(answerTo(JSON.parse(data.toString("latin1")) as Call))),
      );
    });
  });
  server.listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    frame(topic, result) {
      const params = { subscription: nameOf(topic), result };
      return textFrame(JSON.stringify({ jsonrpc: "2.0", method: notification(topic), params }));
    },
    push(frame) {
      for (const socket of sockets) socket.write(frame);
    },
    subscribers: (topic) => counts.get(topic) ?? 0,
    unsentBytes: () => Math.max(0, ...[...sockets].map((socket) => socket.writableLength)),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A whole text message, unmasked (RFC 6455, section 5.2). */
function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const headBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.alloc(headBytes + length);
  frame[0] = 0x81;
  frame[1] = headBytes === 2 ? length : headBytes === 4 ? 126 : 127;
  if (headBytes === 4) frame.writeUInt16BE(length, 2);
  if (headBytes === 10) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.write(text, headBytes);
  return frame;
}
