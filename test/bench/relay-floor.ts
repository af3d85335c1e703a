/**
 * The floor of the relay bench: what a process costs that only reads the announcement and writes a prebuilt frame to every socket.
 * Where the relay has to ask its node something first, so does this one. A child process: listens on two ports, `{ announce, subscribe }`,
 * and takes the frame as a message.
 */
import { type AddressInfo, type Server, type Socket, createServer } from "node:net";
import { once } from "node:events";

export interface FloorPorts {
  readonly announce: number;
  readonly subscribe: number;
}

export interface FloorFrame {
  /** Base64 of the frame to forward. */
  readonly frame: string;
  /** Bytes of the question that an announcement is answered with, of which the answer is what makes it forward; 0: none. */
  readonly askBytes: number;
}

/** Each message of the announcer begins with its length, 32 bits, little-endian. */
const LENGTH_BYTES = 4;

const subscribers = new Set<Socket>();
let frame = Buffer.alloc(0);
let question = Buffer.alloc(0);

const subscribe = createServer({ noDelay: true }, (socket) => {
  subscribers.add(socket);
  socket.on("close", () => subscribers.delete(socket));
  socket.on("error", () => {});
  socket.resume();
  socket.write("!");
});

const announce = createServer({ noDelay: true }, (socket) => {
  let pending: Buffer = Buffer.alloc(0);
  let hasAsked = false;
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    if (pending.length < LENGTH_BYTES || pending.length < pending.readUInt32LE(0)) return;
    pending = Buffer.alloc(0);
    hasAsked = question.length > 0 && !hasAsked;
    if (hasAsked) socket.write(question);
    else for (const subscriber of subscribers) subscriber.write(frame);
  });
});

process.on("message", (message: FloorFrame) => {
  frame = Buffer.from(message.frame, "base64");
  question = Buffer.alloc(message.askBytes);
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
