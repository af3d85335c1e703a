/** A peer of a devnet node that does nothing by itself: tests write each message and read each answer. */
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import type { NetworkParams } from "../../../src/daemon/chain/index.ts";
import {
  MAX_PAYLOAD_BYTES,
  MessageReader,
  NO_STOP,
  encodeGetHeaders,
  encodeInventory,
  encodeMessage,
  encodePing,
  encodeSendCompact,
  encodeVersion,
} from "../../../src/daemon/wire/index.ts";

export interface Message {
  readonly command: string;
  readonly payload: Uint8Array;
}

export interface Client {
  readonly received: Message[];
  /** Sizes of the chunks that arrived. */
  readonly chunks: number[];
  readonly closed: Promise<void>;
  send(command: string, payload?: Uint8Array): void;
  sendRaw(bytes: Uint8Array): void;
  /** The first message of `command` that was not taken yet; waits for it. Rejects when the socket closes first. */
  next(command: string): Promise<Uint8Array>;
  /** Resolves when the node has read all that was sent so far. */
  settle(): Promise<void>;
  getHeaders(locator: readonly string[]): Promise<Uint8Array>;
  getData(type: number, hash: string): void;
  close(): Promise<void>;
}

export async function dial(port: number, params: NetworkParams): Promise<Client> {
  const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const received: Message[] = [];
  const untaken: Message[] = [];
  const chunks: number[] = [];
  let waiting: { command: string; resolve: (payload: Uint8Array) => void; reject: (error: Error) => void } | null =
    null;
  let ended = false;
  const reader = new MessageReader(
    { magic: params.magic, maxPayloadBytes: MAX_PAYLOAD_BYTES },
    {
      onMessage: (command, payload) => {
        const message = { command, payload: Buffer.from(payload) };
        received.push(message);
        if (waiting?.command === command) {
          const { resolve } = waiting;
          waiting = null;
          resolve(message.payload);
        } else untaken.push(message);
      },
    },
  );
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk.length);
    reader.push(chunk);
  });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => {
      ended = true;
      waiting?.reject(new Error(`closed while waiting for ${waiting.command}`));
      resolve();
    });
  });
  const client: Client = {
    received,
    chunks,
    closed,
    send: (command, payload) => socket.write(encodeMessage(params.magic, command, payload)),
    sendRaw: (bytes) => socket.write(bytes),
    next: (command) => {
      const at = untaken.findIndex((message) => message.command === command);
      const [message] = at === -1 ? [] : untaken.splice(at, 1);
      if (message !== undefined) return Promise.resolve(message.payload);
      if (ended) return Promise.reject(new Error(`closed before ${command}`));
      return new Promise((resolve, reject) => {
        waiting = { command, resolve, reject };
      });
    },
    settle: async () => {
      client.send("ping", encodePing(7n));
      await client.next("pong");
    },
    getHeaders: (locator) => {
      client.send("getheaders", encodeGetHeaders({ version: params.protocolVersion, locator, stop: NO_STOP }));
      return client.next("headers");
    },
    getData: (type, hash) => client.send("getdata", encodeInventory([{ type, hash }])),
    close: async () => {
      socket.destroy();
      await closed;
    },
  };
  return client;
}

export interface Wishes {
  readonly sendHeaders?: boolean;
  /** Version of compact blocks to ask for in high bandwidth. */
  readonly compact?: bigint;
}

/** Dials and shakes hands, then asks for what `wishes` say. */
export async function greet(port: number, params: NetworkParams, wishes: Wishes = {}): Promise<Client> {
  const client = await dial(port, params);
  client.send(
    "version",
    encodeVersion({
      version: params.protocolVersion,
      services: 0n,
      time: 0n,
      nonce: 1n,
      agent: "/test/",
      height: 0,
      relay: false,
    }),
  );
  await client.next("verack");
  client.send("verack");
  if (wishes.sendHeaders) client.send("sendheaders");
  if (wishes.compact !== undefined) {
    client.send("sendcmpct", encodeSendCompact({ highBandwidth: true, version: wishes.compact }));
  }
  await client.settle();
  return client;
}
