/**
 * The subscribers of the relay bench, in a process of their own: two groups of sockets, `relay` (WebSocket) and `floor` (bare). A group is
 * armed; then the first frame that each of its sockets reads is stamped, and the stamps go back when all are there.
 */
import { type Socket, connect } from "node:net";
import { randomBytes } from "node:crypto";

export type Group = "relay" | "floor";

export type Order =
  /** `path` is asked for by a WebSocket handshake; null: bare sockets. Replaces the group. */
  | {
      readonly do: "connect";
      readonly group: Group;
      readonly port: number;
      readonly path: string | null;
      readonly count: number;
    }
  | { readonly do: "arm"; readonly group: Group };

export type Report =
  | { readonly did: "connect" }
  | { readonly did: "arm" }
  /** Monotonic nanoseconds of the machine at which each socket's data event ran, and the first socket's bytes in base64. */
  | { readonly did: "arrive"; readonly stamps: readonly number[]; readonly frame: string };

/** Shorter reads are WebSocket pings. */
const MIN_FRAME_BYTES = 64;
/** So many handshakes at once. */
const BATCH = 50;

/** All sockets read into it, one after the other: a read costs no allocation. */
const INBOX = Buffer.alloc(65_536);

type OnRead = (chunk: Buffer) => void;

interface Subscriber {
  readonly socket: Socket;
  /** Called with each chunk, which is only good until it returns. */
  onRead: OnRead;
}

const subscribers: Record<Group, Subscriber[]> = { relay: [], floor: [] };
const stamps: Record<Group, Float64Array> = { relay: new Float64Array(0), floor: new Float64Array(0) };
const missing: Record<Group, number> = { relay: 0, floor: 0 };
const firstFrame: Record<Group, string> = { relay: "", floor: "" };

process.on("message", (order: Order) => {
  if (order.do === "connect") void reconnect(order).then(() => report({ did: "connect" }));
  else {
    stamps[order.group].fill(0);
    missing[order.group] = subscribers[order.group].length;
    report({ did: "arm" });
  }
});
process.on("disconnect", () => process.exit(0));

async function reconnect({ group, port, path, count }: Extract<Order, { do: "connect" }>): Promise<void> {
  for (const { socket } of subscribers[group]) socket.destroy();
  subscribers[group] = [];
  stamps[group] = new Float64Array(count);
  missing[group] = 0;
  for (let from = 0; from < count; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - from) }, () => open(port, path));
    for (const subscriber of await Promise.all(batch)) {
      const index = subscribers[group].push(subscriber) - 1;
      subscriber.onRead = (chunk) => arrived(group, index, chunk);
    }
  }
}

function arrived(group: Group, index: number, chunk: Buffer): void {
  const list = stamps[group];
  if (missing[group] === 0 || list[index] !== 0 || chunk.length < MIN_FRAME_BYTES) return;
  list[index] = Number(process.hrtime.bigint());
  if (index === 0) firstFrame[group] = chunk.toString("base64");
  if (--missing[group] === 0) report({ did: "arrive", stamps: [...list], frame: firstFrame[group] });
}

/** A socket that the other side has greeted: with a `hello` after the WebSocket handshake, with a byte on a bare socket. */
function open(port: number, path: string | null): Promise<Subscriber> {
  return new Promise((resolve, reject) => {
    let text = "";
    const greeting = (chunk: Buffer): void => {
      text += chunk.toString("latin1");
      const refused = path !== null && !text.startsWith("HTTP/1.1 101");
      if (refused) reject(new Error(`expected 101 Switching Protocols, got ${text.slice(0, 200)}`));
      if (path === null || text.includes('"hello"')) resolve(subscriber);
    };
    const callback = (length: number): boolean => {
      subscriber.onRead(INBOX.subarray(0, length));
      return true;
    };
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, onread: { buffer: INBOX, callback } });
    const subscriber: Subscriber = { socket, onRead: greeting };
    socket.on("error", (error) => {
      throw error;
    });
    if (path === null) return;
    const key = randomBytes(16).toString("base64");
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
  });
}

function report(message: Report): void {
  process.send?.(message);
}
