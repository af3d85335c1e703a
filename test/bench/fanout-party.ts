/** One process of the fan-out bench. `role`: a server that publishes when told to, or the clients that drain. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { WebSocketServer } from "ws";
import { FakeChain, startFake } from "../daemon/server/daemon.ts";

export type Role = "sprint" | "sprint-two-processes" | "ws-loop" | "clients";

export type Order =
  | { readonly type: "connect"; readonly port: number; readonly count: number; readonly greeting: string }
  | { readonly type: "settle"; readonly port: number }
  | ({ readonly type: "publish" } & Publishing);

export interface Publishing {
  readonly turns: number;
  readonly perTurn: number;
  /** What all clients together get of one turn; 0: nobody is waited for. */
  readonly bytesPerTurn: number;
  /** Where the clients' process says that a turn has arrived. */
  readonly pacePort: number;
}

export type Reply =
  | { readonly type: "ready"; readonly port: number }
  | { readonly type: "connected" }
  | { readonly type: "settled"; readonly bytes: number }
  | { readonly type: "published"; readonly elapsedMs: number; readonly cpuMs: number };

const QUIET_MS = 300;

function reply(message: Reply): void {
  process.send?.(message);
}

/**
 * Publishes turn by turn; the next turn begins when the last byte of the one before has reached the last client.
 * `turn` publishes `perTurn` events. Returns the ms it took.
 */
export async function publishPaced(port: number, order: Publishing, turn: () => void | Promise<void>): Promise<number> {
  if (order.bytesPerTurn === 0) {
    await turn();
    return 0;
  }
  const pace = connect({ port: order.pacePort, host: "127.0.0.1", noDelay: true });
  await once(pace, "connect");
  const startedAt = performance.now();
  for (let i = 0; i < order.turns; i++) {
    const arrived = once(pace, "data");
    pace.write(`${port} ${order.bytesPerTurn}\n`);
    await turn();
    await arrived;
  }
  const elapsedMs = performance.now() - startedAt;
  pace.destroy();
  return elapsedMs;
}

function serve(port: number, publish: () => void): void {
  process.on("message", async (order: Order) => {
    if (order.type !== "publish") return;
    const before = process.cpuUsage();
    const elapsedMs = await publishPaced(port, order, () => {
      for (let i = 0; i < order.perTurn; i++) publish();
    });
    const { user, system } = process.cpuUsage(before);
    reply({ type: "published", elapsedMs, cpuMs: (user + system) / 1_000 });
  });
  reply({ type: "ready", port });
}

/** Heights of as many digits all the way, so that all events have the same size. */
const FIRST_HEIGHT = 1_000_000;

/** `held`: clients that stay in the main process; the others go to one child. */
async function serveSprint(held: number): Promise<void> {
  const daemon = await startFake({
    firstHeight: FIRST_HEIGHT,
    fanout: { threshold: held, processes: 1 },
    // The clients answer no pings: they must not be dropped for it.
    sockets: { pingIntervalMs: 3_600_000 },
  });
  serve(Number(new URL(daemon.tier).port), () => daemon.chain.mine());
}

/** What everybody writes first: one `send` for each client. */
async function serveLoop(): Promise<void> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await once(server, "listening");
  const chain = new FakeChain(({ receivedAt: _receivedAt, seq: _seq, ...event }) => {
    const text = JSON.stringify({ ...event, data: { ...event.data, relay_time_ms: 1.234 } });
    for (const client of server.clients) client.send(text);
  }, FIRST_HEIGHT);
  serve((server.address() as AddressInfo).port, () => chain.mine());
}

/** All clients of one contender. */
interface Crowd {
  bytes: number;
  expected: number;
  arrived: () => void;
}

/** Sockets that count what comes and look at none of it. */
async function beClients(): Promise<void> {
  const crowds = new Map<number, Crowd>();
  const crowdAt = (port: number): Crowd => {
    const crowd = crowds.get(port);
    if (crowd === undefined) throw new Error(`no clients of port ${port}`);
    return crowd;
  };
  const pace = createServer({ noDelay: true }, (socket) => answerPace(socket, crowdAt)).listen(0, "127.0.0.1");
  await once(pace, "listening");
  process.on("message", async (order: Order) => {
    if (order.type === "connect") {
      const crowd: Crowd = { bytes: 0, expected: Number.POSITIVE_INFINITY, arrived: () => {} };
      crowds.set(order.port, crowd);
      for (let i = 0; i < order.count; i++) await join(crowd, order.port, order.greeting);
      reply({ type: "connected" });
    } else if (order.type === "settle") reply({ type: "settled", bytes: await settled(crowdAt(order.port)) });
  });
  reply({ type: "ready", port: (pace.address() as AddressInfo).port });
}

function answerPace(socket: Socket, crowdAt: (port: number) => Crowd): void {
  socket.on("error", () => {});
  socket.on("data", (line) => {
    const [port = 0, bytes = 0] = line.toString().split(" ").map(Number);
    const crowd = crowdAt(port);
    crowd.expected = bytes;
    crowd.arrived = () => {
      crowd.bytes -= bytes;
      crowd.expected = Number.POSITIVE_INFINITY;
      socket.write(".");
    };
    if (crowd.bytes >= bytes) crowd.arrived();
  });
}

const buffer = Buffer.allocUnsafe(256 * 1024);

async function join(crowd: Crowd, port: number, greeting: string): Promise<void> {
  const first = Promise.withResolvers<void>();
  const socket = connect({
    port,
    host: "127.0.0.1",
    onread: {
      buffer,
      callback: (bytes) => {
        crowd.bytes += bytes;
        if (crowd.bytes >= crowd.expected) crowd.arrived();
        else first.resolve();
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

/** Waits until nothing comes any more and says how much came; counting begins anew. */
async function settled(crowd: Crowd): Promise<number> {
  let last = -1;
  while (crowd.bytes !== last) {
    last = crowd.bytes;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  }
  crowd.bytes = 0;
  return last;
}

const roles: Readonly<Record<Role, () => Promise<void>>> = {
  sprint: () => serveSprint(Number.POSITIVE_INFINITY),
  "sprint-two-processes": () => serveSprint(500),
  "ws-loop": serveLoop,
  clients: beClients,
};

if (import.meta.main) {
  process.on("disconnect", () => process.exit(0));
  await roles[process.argv[2] as Role]();
}
