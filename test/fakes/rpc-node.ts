/** A node's RPC in the hands of a test: a chain of headers or blocks, and every bad habit on order. */
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export interface FakeBlock {
  readonly hash: string;
  /** With everything that the node's `getblockheader` gives. */
  readonly header: Uint8Array;
  readonly raw: Uint8Array;
}

export interface FakeRpcNode {
  readonly url: string;
  /** The active chain from genesis on; change it as you like. */
  chain: FakeBlock[];
  /** How often each method was asked for; a call in a batch counts. */
  readonly calls: Map<string, number>;
  /** In place of the answer to a method: a result, or something thrown (`{code, message}` is an error object). */
  readonly habits: Map<string, (params: unknown[]) => unknown>;
  takesBatches: boolean;
  /** Answers every request with this status and text while set. */
  broken: { status: number; text: string } | null;
  /** Ends each `waitfornewblock` that is on the way: with the tip, or by dropping the connection. */
  releaseWaits(how: "tell" | "drop"): void;
  readonly waits: () => number;
  /** Resolves as soon as it holds; asked after each request. */
  until(holds: () => boolean): Promise<void>;
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: unknown[];
}

export async function fakeRpcNode(t: TestContext, chain: FakeBlock[]): Promise<FakeRpcNode> {
  const asked = new EventEmitter();
  let waiting: ((how: "tell" | "drop") => void)[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (text += chunk));
    request.on("end", () => {
      setImmediate(() => asked.emit("request"));
      const body = JSON.parse(text) as Call | Call[];
      const say = (status: number, answer: unknown): void => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
      };
      if (node.broken !== null) return say(node.broken.status, node.broken.text);
      if (Array.isArray(body)) {
        if (!node.takesBatches) return say(200, { id: null, error: { code: -32600, message: "one call at a time" } });
        return say(200, body.map(answerTo));
      }
      if (body.method === "waitfornewblock" && !node.habits.has("waitfornewblock")) {
        count(body.method);
        waiting.push((how) => {
          const tip = node.chain.at(-1);
          if (how === "drop") request.socket.destroy();
          else say(200, { id: body.id, result: { hash: tip?.hash, height: node.chain.length - 1 }, error: null });
        });
        return;
      }
      const answer = answerTo(body);
      say(answer.error === null ? 200 : 500, answer);
    });
  });

  function count(method: string): void {
    node.calls.set(method, (node.calls.get(method) ?? 0) + 1);
  }
  function answerTo({ id, method, params }: Call) {
    count(method);
    try {
      const habit = node.habits.get(method) ?? usual[method];
      if (habit === undefined) throw { code: -32601, message: "Method not found" };
      return { id, result: habit(params), error: null };
    } catch (error) {
      return { id, result: null, error };
    }
  }
  function find(hash: unknown): { block: FakeBlock; height: number } {
    const height = node.chain.findIndex((block) => block.hash === hash);
    const block = node.chain[height];
    if (block === undefined) throw { code: -5, message: "Block not found" };
    return { block, height };
  }
  const usual: Record<string, (params: unknown[]) => unknown> = {
    getblockchaininfo: () => ({ bestblockhash: node.chain.at(-1)?.hash, blocks: node.chain.length - 1 }),
    getbestblockhash: () => node.chain.at(-1)?.hash,
    getblockcount: () => node.chain.length - 1,
    getblockhash: ([height]) => {
      const block = node.chain[height as number];
      if (block === undefined) throw { code: -8, message: "Block height out of range" };
      return block.hash;
    },
    getblockheader: ([hash, verbose]) => {
      const { block, height } = find(hash);
      return verbose === true ? { hash, height } : Buffer.from(block.header).toString("hex");
    },
    getblock: ([hash]) => Buffer.from(find(hash).block.raw).toString("hex"),
  };

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const node: FakeRpcNode = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    chain,
    calls: new Map(),
    habits: new Map(),
    takesBatches: true,
    broken: null,
    releaseWaits(how) {
      const all = waiting;
      waiting = [];
      for (const end of all) end(how);
    },
    waits: () => waiting.length,
    async until(holds) {
      while (!holds()) await once(asked, "request", { signal: AbortSignal.timeout(20_000) });
    },
  };
  return node;
}
