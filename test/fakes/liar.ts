/** Stands before the WebSocket of an EVM node and tells something else than it, where a test wants that. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";

/** What is told in place of `result`, the node's answer to `method`; pushes of a subscription are answers to "push". */
export type Lie = (method: string, result: unknown) => unknown;

export interface Liar {
  readonly url: string;
  /** Of the answers that were changed. */
  readonly told: number;
  /** From now on; null is the truth. */
  lie(lie: Lie | null): void;
  close(): Promise<void>;
}

interface Message {
  id?: unknown;
  method?: string;
  result?: unknown;
  params?: { result?: unknown };
}

export async function startLiar(target: string): Promise<Liar> {
  let lie: Lie | null = null;
  let told = 0;
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (near) => {
    const far = new WebSocket(target);
    const methods = new Map<unknown, string>();
    const early: string[] = [];
    const changed = (method: string, result: unknown): unknown => {
      const other = lie === null ? result : lie(method, result);
      if (other !== result) told++;
      return other;
    };
    const passed = (message: Message): Message => {
      if (message.params !== undefined)
        return { ...message, params: { ...message.params, result: changed("push", message.params.result) } };
      const method = methods.get(message.id) ?? "";
      methods.delete(message.id);
      return "result" in message ? { ...message, result: changed(method, message.result) } : message;
    };
    near.on("message", (data) => {
      for (const { id, method = "" } of listed(String(data))) methods.set(id, method);
      if (far.readyState === WebSocket.OPEN) far.send(String(data));
      else early.push(String(data));
    });
    far.on("open", () => early.splice(0).forEach((text) => far.send(text)));
    far.on("message", (data) => {
      const parsed = JSON.parse(String(data)) as Message | Message[];
      near.send(JSON.stringify(Array.isArray(parsed) ? parsed.map(passed) : passed(parsed)));
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("close", () => other.terminate());
      one.on("error", () => other.terminate());
    }
  });
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get told() {
      return told;
    },
    lie: (next) => (lie = next),
    async close() {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, "close");
    },
  };
}

function listed(text: string): readonly Message[] {
  const parsed = JSON.parse(text) as Message | Message[];
  return Array.isArray(parsed) ? parsed : [parsed];
}
