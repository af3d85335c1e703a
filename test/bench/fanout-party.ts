/** One process of the fan-out bench. `role`: a server that publishes when told to, or the clients that drain. */
import { once } from "node:events";
import { connect, type AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { FakeChain, startFake } from "../daemon/server/daemon.ts";

export type Role = "sprint" | "sprint-children" | "ws-loop" | "clients";

export type Order =
  | { readonly type: "publish"; readonly turns: number; readonly perTurn: number }
  | { readonly type: "connect"; readonly port: number; readonly count: number; readonly greeting: string }
  | { readonly type: "settle"; readonly port: number };

export type Reply =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "published"; readonly startedAt: number }
  | { readonly type: "connected" }
  | { readonly type: "settled"; readonly lastAt: number; readonly bytesEach: number };

/** The system's monotonic clock in ms, the same in every process of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const QUIET_MS = 250;

function reply(message: Reply): void {
  process.send?.(message);
}

async function serve(port: number, publish: () => void): Promise<void> {
  process.on("message", async (order: Order) => {
    if (order.type !== "publish") return;
    const startedAt = monotonicMs();
    for (let turn = 0; turn < order.turns; turn++) {
      for (let i = 0; i < order.perTurn; i++) publish();
      await new Promise((resolve) => setImmediate(resolve));
    }
    reply({ type: "published", startedAt });
  });
  reply({ type: "listening", port });
}

async function serveSprint(inChildren: boolean): Promise<void> {
  const fanout = { threshold: inChildren ? 0 : Number.POSITIVE_INFINITY };
  // The clients answer no pings: they must not be dropped for it.
  const daemon = await startFake({ fanout, sockets: { pingIntervalMs: 3_600_000 } });
  await serve(Number(new URL(daemon.tier).port), () => daemon.chain.mine());
}

/** What everybody writes first: one `send` for each client. */
async function serveLoop(): Promise<void> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await once(server, "listening");
  const chain = new FakeChain(({ receivedAt, seq: _seq, ...event }) => {
    const data = { ...event.data, relay_time_ms: performance.now() - receivedAt };
    const text = JSON.stringify({ ...event, data });
    for (const client of server.clients) client.send(text);
  });
  await serve((server.address() as AddressInfo).port, () => chain.mine());
}

interface Crowd {
  readonly bytes: number[];
  lastAt: number;
}

/** Sockets that count what comes and look at none of it. */
function beClients(): void {
  const crowds = new Map<number, Crowd>();
  process.on("message", async (order: Order) => {
    if (order.type === "connect") {
      const crowd: Crowd = { bytes: [], lastAt: 0 };
      crowds.set(order.port, crowd);
      for (let i = 0; i < order.count; i++) await join(crowd, order.port, order.greeting);
      reply({ type: "connected" });
    }
    if (order.type === "settle") {
      const crowd = crowds.get(order.port);
      if (crowd === undefined) throw new Error(`no crowd at ${order.port}`);
      const { lastAt, bytesEach } = await settled(crowd);
      reply({ type: "settled", lastAt, bytesEach });
    }
  });
}

const buffer = Buffer.allocUnsafe(256 * 1024);

async function join(crowd: Crowd, port: number, greeting: string): Promise<void> {
  const index = crowd.bytes.push(0) - 1;
  const first = Promise.withResolvers<void>();
  const socket = connect({
    port,
    host: "127.0.0.1",
    onread: {
      buffer,
      callback: (bytes) => {
        crowd.bytes[index] = (crowd.bytes[index] ?? 0) + bytes;
        crowd.lastAt = monotonicMs();
        first.resolve();
        return true;
      },
    },
  });
  socket.on("error", first.reject);
  socket.on("close", () => {
    throw new Error(`a client of port ${port} was closed`);
  });
  socket.write(greeting);
  await first.promise;
}

/** Waits until nothing comes any more; every client must have got the same number of bytes since the last time. */
async function settled(crowd: Crowd): Promise<{ lastAt: number; bytesEach: number }> {
  let total = -1;
  for (;;) {
    const now = crowd.bytes.reduce((sum, bytes) => sum + bytes, 0);
    if (now === total) break;
    total = now;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  }
  const [bytesEach = 0] = crowd.bytes;
  if (crowd.bytes.some((bytes) => bytes !== bytesEach)) throw new Error("clients got different numbers of bytes");
  crowd.bytes.fill(0);
  return { lastAt: crowd.lastAt, bytesEach };
}

const roles: Readonly<Record<Role, () => void>> = {
  sprint: () => void serveSprint(false),
  "sprint-children": () => void serveSprint(true),
  "ws-loop": () => void serveLoop(),
  clients: beClients,
};

if (import.meta.main) {
  process.on("disconnect", () => process.exit(0));
  roles[process.argv[2] as Role]();
}
