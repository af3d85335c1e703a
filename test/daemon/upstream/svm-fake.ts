/** A node of Solana in the hands of a test: what it answers to each method, over HTTP and over its socket, and what it pushes when. */
import { EventEmitter, once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { encodeBase58 } from "../../../src/daemon/chain/index.ts";

type Habit = (params: readonly unknown[]) => unknown;

export interface FakeBlock {
  readonly slot: number;
  readonly parent: FakeBlock | null;
}

export interface FakeSvm {
  readonly port: number;
  /** By method: a result, or something thrown (`{code, message}` is an error object). Over HTTP, and over the socket where `hosted`. */
  readonly habits: Map<string, Habit>;
  /** Methods asked for, `ws ` before those over the socket. */
  readonly asked: string[];
  /** Confirmed blocks, oldest first. */
  blocks: FakeBlock[];
  processed: FakeBlock;
  push(method: string, result: unknown): void;
  /** Resolves as soon as it holds; asked after each request. */
  until(holds: () => boolean): Promise<void>;
}

export interface FakeSvmOptions {
  /** The socket answers questions too. */
  readonly hosted?: boolean;
  /** RPC on a port of its own, below the socket's. */
  readonly twoPorts?: boolean;
  /** Subscriptions that it has. */
  readonly topics?: readonly string[];
}

/** The blockhash of a slot. */
export function hashOf(slot: number): string {
  return encodeBase58(Buffer.alloc(32, `slot ${slot}`));
}

export function fakeBlock(slot: number, parent: FakeBlock | null): FakeBlock {
  return { slot, parent };
}

const FIRST_HEIGHT = 50;

function heightOf({ parent }: FakeBlock): number {
  return parent === null ? FIRST_HEIGHT : heightOf(parent) + 1;
}

export async function fakeSvm(t: TestContext, options: FakeSvmOptions = {}): Promise<FakeSvm> {
  const { hosted = false, twoPorts = false, topics = ["slotSubscribe"] } = options;
  const changed = new EventEmitter();
  const subscribed = new Map<string, { socket: WebSocket; id: number }[]>();
  let nextId = 1;
  const usual: Record<string, Habit> = {
    getGenesisHash: () => hashOf(0),
    getVersion: () => ({ "solana-core": "2.0.14", "feature-set": 1 }),
    getSlot: () => fake.blocks.at(-1)?.slot,
    getBlocks: ([from, to]) =>
      fake.blocks.map(({ slot }) => slot).filter((slot) => slot >= Number(from) && slot <= Number(to)),
    getBlock: ([slot]) => {
      const block = fake.blocks.find((each) => each.slot === slot);
      if (block === undefined) throw { code: -32004, message: `Block not available for slot ${slot}` };
      const { parent } = block;
      return {
        blockHeight: heightOf(block),
        blockTime: 1_700_000_000,
        blockhash: hashOf(block.slot),
        parentSlot: parent?.slot ?? block.slot - 1,
        previousBlockhash: hashOf(parent?.slot ?? block.slot - 1),
        transactions: [],
      };
    },
    getLatestBlockhash: () => ({
      context: { slot: fake.processed.slot },
      value: { blockhash: hashOf(fake.processed.slot), lastValidBlockHeight: heightOf(fake.processed) + 150 },
    }),
  };
  const answer = (text: string, way: string, more?: (method: string) => unknown): string => {
    const { id, method, params } = JSON.parse(text) as { id: number; method: string; params: unknown[] };
    fake.asked.push(`${way}${method}`);
    setImmediate(() => changed.emit("change"));
    try {
      const habit = (way === "" || hosted ? (fake.habits.get(method) ?? usual[method]) : undefined) ?? more?.(method);
      if (typeof habit !== "function") throw { code: -32601, message: "Method not found" };
      return JSON.stringify({ jsonrpc: "2.0", result: (habit as Habit)(params) ?? null, id });
    } catch (error) {
      return JSON.stringify({ jsonrpc: "2.0", error, id });
    }
  };
  const rpc = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => response.end(answer(text, "")));
  });
  const sockets = new WebSocketServer({ noServer: true });
  const onSocket = (socket: WebSocket): void => {
    socket.on("message", (data) => {
      const subscribe = (method: string): unknown => {
        if (!topics.includes(method)) return undefined;
        const id = nextId++;
        subscribed.set(method, [...(subscribed.get(method) ?? []), { socket, id }]);
        return () => id;
      };
      socket.send(answer((data as Buffer).toString(), "ws ", subscribe));
    });
  };
  const [port, wsServer] = await listen(rpc, twoPorts);
  wsServer.on("upgrade", (request, socket, head) => sockets.handleUpgrade(request, socket, head, onSocket));
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    for (const server of new Set([rpc, wsServer])) {
      server.closeAllConnections();
      server.close();
    }
  });
  const first = fakeBlock(100, null);
  const fake: FakeSvm = {
    port,
    habits: new Map(),
    asked: [],
    blocks: [first],
    processed: first,
    push(method, result) {
      const notification = method.replace("Subscribe", "Notification");
      for (const { socket, id } of subscribed.get(method) ?? []) {
        socket.send(JSON.stringify({ jsonrpc: "2.0", method: notification, params: { result, subscription: id } }));
      }
    },
    async until(holds) {
      const signal = AbortSignal.timeout(10_000);
      while (!holds()) await once(changed, "change", { signal });
    },
  };
  return fake;
}

/** The socket's port, and who listens there. */
async function listen(rpc: Server, twoPorts: boolean): Promise<[number, Server]> {
  for (;;) {
    rpc.listen(0, "127.0.0.1");
    await once(rpc, "listening");
    const { port } = rpc.address() as AddressInfo;
    if (!twoPorts) return [port, rpc];
    const above = createServer((_request, response) => response.writeHead(405).end());
    above.listen(port + 1, "127.0.0.1");
    const isFree = await once(above, "listening").then(
      () => true,
      () => false,
    );
    if (isFree) return [port + 1, above];
    rpc.close();
    await once(rpc, "close");
  }
}
