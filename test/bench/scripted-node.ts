/** A node behind a WebSocket that says what a bench has prepared, and costs the process that it runs in next to nothing. */
import { type AddressInfo, type Socket } from "node:net";
import { createServer } from "node:http";
import { hash } from "node:crypto";
import { once } from "node:events";

/** RFC 6455, section 1.3 */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

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
  server.on("upgrade", (request, socket: Socket) => {
    socket.setNoDelay(true);
    const accept = hash("sha1", `${request.headers["sec-websocket-key"]}${GUID}`, "base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    sockets.add(socket);
    let pending: Buffer = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      for (let read = readFrame(pending); read !== null; read = readFrame(pending)) {
        pending = pending.subarray(read.bytes);
        if (read.text !== null) socket.write(textFrame(answerTo(JSON.parse(read.text) as Call)));
      }
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

/** The first frame of a client (masked, RFC 6455, section 5.2) and how long it is, null where it is not whole; its text, null for a ping or the like. */
function readFrame(bytes: Buffer): { readonly bytes: number; readonly text: string | null } | null {
  if (bytes.length < 8) return null;
  const short = bytes.readUInt8(1) & 0x7f;
  const [length, maskAt] = short === 126 ? [bytes.readUInt16BE(2), 4] : [short, 2];
  if (short === 127) throw new Error("expected a question of less than 64 KB");
  const from = maskAt + 4;
  if (bytes.length < from + length) return null;
  if ((bytes.readUInt8(0) & 0x0f) !== 1) return { bytes: from + length, text: null };
  const payload = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) payload[i] = bytes.readUInt8(from + i) ^ bytes.readUInt8(maskAt + (i & 3));
  return { bytes: from + length, text: payload.toString("latin1") };
}

/** A whole text message, unmasked. */
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
