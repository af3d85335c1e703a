/** A node's side of the P2P protocol in a test's hands: a real server on a free port that says what it is told to, and keeps
 *  what it heard. */
import { once } from "node:events";
import { type AddressInfo, type Socket, createServer } from "node:net";
import {
  MAX_PAYLOAD_BYTES,
  MessageReader,
  SERVICE,
  type Version,
  encodeMessage,
  encodeVersion,
} from "../../src/daemon/wire/index.ts";

export interface Heard {
  readonly command: string;
  readonly payload: Buffer;
}

/** One connection that the peer took. */
export class PeerConnection {
  readonly socket: Socket;
  readonly heard: Heard[] = [];
  readonly closed: Promise<unknown>;
  readonly #magic: Uint8Array;
  readonly #read: number[] = [];
  #wake: () => void = () => {};

  constructor(socket: Socket, magic: Uint8Array) {
    this.socket = socket;
    this.#magic = magic;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    const onMessage = (command: string, payload: Uint8Array) => {
      this.heard.push({ command, payload: Buffer.from(payload) });
      this.#wake();
    };
    const reader = new MessageReader({ magic, maxPayloadBytes: MAX_PAYLOAD_BYTES }, { onMessage });
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    socket.on("error", () => {});
  }

  send(command: string, payload?: Uint8Array): void {
    this.socket.write(encodeMessage(this.#magic, command, payload));
  }

  /** In writes of one byte, each its own packet as far as the system lets it. */
  async sendSlowly(command: string, payload: Uint8Array): Promise<void> {
    this.socket.setNoDelay(true);
    for (const byte of encodeMessage(this.#magic, command, payload)) {
      this.socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The payload of the next message of this kind that was not handed out yet; waits for it. */
  async next(command: string): Promise<Buffer> {
    for (;;) {
      const at = this.heard.findIndex((message, index) => message.command === command && !this.#read.includes(index));
      const found = this.heard[at];
      if (found !== undefined) {
        this.#read.push(at);
        return found.payload;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** All that was sent before has been read by the other side once it answers this ping. */
  async settled(): Promise<void> {
    this.send("ping", Buffer.from("0123456789abcdef", "hex"));
    await this.next("pong");
  }
}

export interface FakePeer {
  readonly port: number;
  /** The next connection, as it was accepted. */
  accept(): Promise<PeerConnection>;
  /** The next connection, after the handshake. */
  shakeHands(version?: Partial<Version>): Promise<PeerConnection>;
  close(): Promise<void>;
}

export const PEER_VERSION: Version = {
  version: 70_016,
  services: SERVICE.NETWORK | SERVICE.WITNESS,
  time: 1_750_000_000n,
  nonce: 1n,
  agent: "/fake:1.0/",
  height: 7,
  relay: false,
};

export async function startPeer(magic: Uint8Array): Promise<FakePeer> {
  const waiting: PeerConnection[] = [];
  const sockets = new Set<Socket>();
  let wake = () => {};
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    waiting.push(new PeerConnection(socket, magic));
    wake();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  async function accept(): Promise<PeerConnection> {
    for (;;) {
      const connection = waiting.shift();
      if (connection !== undefined) return connection;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  return {
    port: (server.address() as AddressInfo).port,
    accept,
    async shakeHands(version = {}) {
      const connection = await accept();
      await connection.next("version");
      connection.send("version", encodeVersion({ ...PEER_VERSION, ...version }));
      await connection.next("verack");
      connection.send("verack");
      return connection;
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}
