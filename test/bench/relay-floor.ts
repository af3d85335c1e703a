/**
 * The floor of the relay bench: what a process costs that only reads the announcement and writes a prebuilt frame to every socket.
 * A child process: listens on two ports, `{ announce, subscribe }`, and takes the frame as a message.
 */
import { type AddressInfo, type Server, type Socket, createServer } from "node:net";
import { once } from "node:events";

export interface FloorPorts {
  readonly announce: number;
  readonly subscribe: number;
}

/** Base64 of the frame to forward. */
export interface FloorFrame {
  readonly frame: string;
}

/** Length of the payload in a P2P message header, and of that header. */
const LENGTH_AT = 16;
const HEADER_BYTES = 24;

const subscribers = new Set<Socket>();
let frame = Buffer.alloc(0);

const subscribe = createServer({ noDelay: true }, (socket) => {
  subscribers.add(socket);
  socket.on("close", () => subscribers.delete(socket));
  socket.on("error", () => {});
  socket.resume();
  socket.write("!");
});

const announce = createServer({ noDelay: true }, (socket) => {
  let pending: Buffer = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    if (pending.length < HEADER_BYTES || pending.length < HEADER_BYTES + pending.readUInt32LE(LENGTH_AT)) return;
    pending = Buffer.alloc(0);
    for (const subscriber of subscribers) subscriber.write(frame);
  });
});

process.on("message", (message: FloorFrame) => {
  frame = Buffer.from(message.frame, "base64");
  process.send?.({ framed: true });
});
process.on("disconnect", () => process.exit(0));
const ports: FloorPorts = { announce: await listen(announce), subscribe: await listen(subscribe) };
process.send?.(ports);

async function listen(server: Server): Promise<number> {
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1_024 });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
