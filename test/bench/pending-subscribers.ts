/**
 * The subscribers of the bench `pending`, in a process of their own. Each reads blocks and the pending transactions that its filter lets
 * through; the reads of a block are stamped as they come, transactions are kept and looked at when the round is over.
 */
import { type Socket, connect } from "node:net";
import { randomBytes } from "node:crypto";

export type Order =
  | { readonly do: "connect"; readonly port: number; readonly paths: readonly string[] }
  /** The next block is stamped. */
  | { readonly do: "arm" }
  /** What came since the last time. */
  | { readonly do: "count" };

export type Report =
  | { readonly did: "connect" }
  | { readonly did: "arm" }
  /** Monotonic nanoseconds of the machine at which each subscriber read the block. */
  | { readonly did: "arrive"; readonly stamps: readonly number[] }
  /** By subscriber: numbers of the transactions, in the order in which they came. */
  | { readonly did: "count"; readonly numbers: readonly (readonly number[])[] };

const INBOX = Buffer.alloc(65_536);
const BLOCK = '"type":"block"';
/** As the bench numbers them: in the last digits. */
const TXID = /"txid":"0x[0-9a-f]{56}([0-9a-f]{8})"/g;

/** Told without being asked, which RFC 6455 allows (section 5.5.3): the relay drops who answers no ping. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
const PONG_MS = 5_000;

interface Subscriber {
  readonly socket: Socket;
  readonly index: number;
  readonly chunks: Buffer[];
  /** End of the chunk before: what is looked for may be cut in two. */
  tail: string;
}

let subscribers: Subscriber[] = [];
let stamps = new Float64Array(0);
let missing = 0;

process.on("message", (order: Order) => {
  if (order.do === "connect") void connectAll(order.port, order.paths).then(() => report({ did: "connect" }));
  else if (order.do === "count") report({ did: "count", numbers: subscribers.map(numbersOf) });
  else {
    stamps.fill(0);
    missing = subscribers.length;
    report({ did: "arm" });
  }
});
process.on("disconnect", () => process.exit(0));
setInterval(() => {
  for (const { socket } of subscribers) socket.write(PONG);
}, PONG_MS);

async function connectAll(port: number, paths: readonly string[]): Promise<void> {
  stamps = new Float64Array(paths.length);
  subscribers = await Promise.all(paths.map((path, index) => open(port, path, index)));
}

function arrived(subscriber: Subscriber, length: number): void {
  const chunk = INBOX.subarray(0, length);
  subscriber.chunks.push(Buffer.from(chunk));
  const { index, tail } = subscriber;
  if (missing > 0 && stamps[index] === 0 && hasBlock(chunk, tail)) {
    stamps[index] = Number(process.hrtime.bigint());
    if (--missing === 0) report({ did: "arrive", stamps: [...stamps] });
  }
  subscriber.tail = chunk.toString("latin1", Math.max(0, length - BLOCK.length));
}

function hasBlock(chunk: Buffer, tail: string): boolean {
  return chunk.includes(BLOCK) || (tail + chunk.toString("latin1", 0, BLOCK.length)).includes(BLOCK);
}

function numbersOf({ chunks }: Subscriber): number[] {
  const text = Buffer.concat(chunks.splice(0)).toString("latin1");
  return [...text.matchAll(TXID)].map(([, digits = ""]) => Number.parseInt(digits, 16));
}

/** A socket that was greeted. */
function open(port: number, path: string, index: number): Promise<Subscriber> {
  return new Promise((resolve, reject) => {
    let greeting = "";
    let isOpen = false;
    const callback = (length: number): boolean => {
      if (isOpen) {
        arrived(subscriber, length);
        return true;
      }
      greeting += INBOX.toString("latin1", 0, length);
      if (!greeting.startsWith("HTTP/1.1 101")) reject(new Error(`expected 101, got ${greeting.slice(0, 300)}`));
      isOpen = greeting.includes('"hello"');
      if (isOpen) resolve(subscriber);
      return true;
    };
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, onread: { buffer: INBOX, callback } });
    const subscriber: Subscriber = { socket, index, chunks: [], tail: "" };
    socket.on("error", (error) => {
      throw error;
    });
    socket.on("close", () => {
      if (isOpen) throw new Error(`subscriber ${index} was closed by the relay`);
    });
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
