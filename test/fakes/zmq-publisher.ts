/** A real ZMQ publisher that speaks as a node's does, in the hands of a test. */
import { once } from "node:events";
import type { TestContext } from "node:test";
import { XPublisher } from "zeromq";
import type { FakeBlock } from "./rpc-node.ts";

export type Topic = "hashblock" | "rawblock" | "sequence";

export interface ZmqPublisher {
  readonly port: number;
  /** What the next message of each topic counts as. */
  readonly counters: Map<Topic, number>;
  /** Resolves when someone has subscribed to all topics, or to these. */
  subscribed(topics?: readonly string[]): Promise<void>;
  /** Tells of a new tip by these topics, in this order. */
  publish(block: FakeBlock, topics?: readonly Topic[]): Promise<void>;
  /** Counts on without sending, as at a full queue. */
  drop(topics?: readonly Topic[]): void;
  send(frames: readonly (string | Uint8Array)[]): Promise<void>;
  close(): void;
}

const ALL: readonly Topic[] = ["hashblock", "rawblock", "sequence"];

export async function zmqPublisher(t: TestContext, port?: number): Promise<ZmqPublisher> {
  const socket = new XPublisher({ linger: 0, verbosity: "allSubs" });
  await socket.bind(`tcp://127.0.0.1:${port ?? "*"}`);
  let closed = false;
  const close = (): void => {
    if (!closed) socket.close();
    closed = true;
  };
  t.after(close);
  const counters = new Map<Topic, number>();
  const next = (topic: Topic): Buffer => {
    const counter = counters.get(topic) ?? 0;
    counters.set(topic, (counter + 1) >>> 0);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(counter);
    return bytes;
  };
  const hash = (block: FakeBlock): Buffer => Buffer.from(block.hash, "hex");
  const body: Record<Topic, (block: FakeBlock) => Uint8Array> = {
    hashblock: hash,
    rawblock: (block) => block.raw,
    sequence: (block) => Buffer.concat([hash(block), Buffer.from("C")]),
  };
  return {
    port: Number(new URL(socket.lastEndpoint ?? "").port),
    counters,
    async subscribed(topics = ALL) {
      const missing = new Set<string>(topics);
      while (missing.size > 0) {
        const [message] = await socket.receive();
        if (message?.[0] === 1) missing.delete(message.toString("latin1", 1));
      }
    },
    async publish(block, topics = ALL) {
      for (const topic of topics) await socket.send([topic, body[topic](block), next(topic)]);
    },
    drop(topics = ALL) {
      for (const topic of topics) next(topic);
    },
    send: (frames) => socket.send([...frames]),
    close,
  };
}

/** Resolves when the port is free again. */
export async function unbound(port: number): Promise<void> {
  const { createServer } = await import("node:net");
  for (;;) {
    const server = createServer().listen(port, "127.0.0.1");
    const free = await once(server, "listening").then(
      () => true,
      () => false,
    );
    server.close();
    if (free) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
