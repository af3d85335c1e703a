/**
 * Deliveries per second to 1,000 subscribers that another process holds and drains without looking: our hub and sockets, the
 * usual `for (c of clients) c.send()` of ws, and Redis pub/sub where redis-server is installed; one event a turn, and 20.
 * All stand side by side and take turns, so that a noisy machine is noisy for all of them.
 */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { type BenchCheck, type BenchDocument, type BenchOptions, check, machine, median } from "./document.ts";
import { monotonicMs, type Order, type Reply, type Role } from "./fanout-party.ts";

const CLIENTS = 1_000;
const BURST = 20;
/** Turns of one measurement: around a second of work each, and no more than a subscriber's buffer holds. */
const TURNS = { single: 100, burst: { sprint: 60, "sprint-children": 60, "ws-loop": 8, redis: 40 } } as const;

const HANDSHAKE = [
  "GET /ws/v1/events HTTP/1.1",
  "Host: 127.0.0.1",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  "\r\n",
].join("\r\n");
const CHANNEL = "blocks";
const SUBSCRIBE = `*2\r\n$9\r\nSUBSCRIBE\r\n$${CHANNEL.length}\r\n${CHANNEL}\r\n`;

type Mode = "single" | "burst";
type Name = "sprint" | "sprint-children" | "ws-loop" | "redis";

interface Contender {
  readonly name: Name;
  readonly port: number;
  readonly greeting: string;
  /** Publishes and returns when it began, by the system's monotonic clock. */
  publish(turns: number, perTurn: number): Promise<number>;
  close(): Promise<void>;
}

export async function run({ quick, progress }: BenchOptions): Promise<BenchDocument> {
  const rounds = quick ? 3 : 9;
  const clients = await startParty("clients");
  const contenders: Contender[] = [];
  try {
    for (const role of ["sprint", "ws-loop", "sprint-children"] as const) contenders.push(await startServer(role));
    const redis = await startRedis();
    if (redis === null) progress("redis-server is not installed: left out");
    else contenders.push(redis);
    for (const { name, port, greeting } of contenders) {
      progress(`${name}: ${CLIENTS} clients connect`);
      await order(clients, { type: "connect", port, count: CLIENTS, greeting }, "connected");
      await order(clients, { type: "settle", port }, "settled");
    }
    const rates = await measure(contenders, clients, rounds, progress);
    return document(rates, rounds, redis !== null);
  } finally {
    for (const contender of contenders) await contender.close();
    await endParty(clients);
  }
}

type Rates = ReadonlyMap<Name, Readonly<Record<Mode, number[]>>>;

async function measure(
  contenders: readonly Contender[],
  clients: ChildProcess,
  rounds: number,
  progress: (line: string) => void,
): Promise<Rates> {
  const rates = new Map(contenders.map(({ name }) => [name, { single: [] as number[], burst: [] as number[] }]));
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const mode of ["single", "burst"] as const) {
      for (let i = 0; i < contenders.length; i++) {
        const contender = contenders[(round + i) % contenders.length] as Contender;
        const turns = mode === "single" ? TURNS.single : TURNS.burst[contender.name];
        const perTurn = mode === "single" ? 1 : BURST;
        const startedAt = await contender.publish(turns, perTurn);
        const { lastAt, bytesEach } = await order(clients, { type: "settle", port: contender.port }, "settled");
        const events = turns * perTurn;
        if (bytesEach < events * 300)
          throw new Error(`${contender.name}: ${bytesEach} bytes are less than ${events} events`);
        const perSecond = (events * CLIENTS * 1_000) / (lastAt - startedAt);
        if (round > 0) rates.get(contender.name)?.[mode].push(perSecond);
        progress(`round ${round} ${mode} ${contender.name}: ${Math.round(perSecond / 1000)}k/s`);
      }
    }
  }
  return rates;
}

function document(rates: Rates, rounds: number, hasRedis: boolean): BenchDocument {
  const of = (name: Name, mode: Mode): number => median(rates.get(name)?.[mode] ?? []);
  const ratio = (mode: Mode, other: Name): number => of("sprint", mode) / of(other, mode);
  const checks: BenchCheck[] = [
    check("single events beside the ws loop", ratio("single", "ws-loop"), ">=", 1.3),
    check(`bursts of ${BURST} beside the ws loop`, ratio("burst", "ws-loop"), ">=", 8),
  ];
  if (hasRedis) {
    checks.push(
      check("single events beside Redis pub/sub", ratio("single", "redis"), ">=", 1),
      check(`bursts of ${BURST} beside Redis pub/sub`, ratio("burst", "redis"), ">=", 1.3),
    );
  }
  const rows = [...rates].flatMap(([name, modes]) =>
    (["single", "burst"] as const).map((mode) => ({
      who: name,
      events_per_turn: mode === "single" ? 1 : BURST,
      subscribers: CLIENTS,
      deliveries_per_second: Math.round(of(name, mode)),
      min: Math.round(Math.min(...modes[mode])),
      max: Math.round(Math.max(...modes[mode])),
      sprint_ratio: ratio(mode, name),
    })),
  );
  return { bench: "fanout", machine: machine(), versions: versions(hasRedis), rounds, rows, checks };
}

function versions(hasRedis: boolean): Record<string, string> {
  const ws = fileURLToPath(new URL("package.json", import.meta.resolve("ws")));
  return {
    node: process.versions.node,
    ws: (JSON.parse(readFileSync(ws, "utf8")) as { version: string }).version,
    ...(hasRedis
      ? { redis: /v=(\S+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1] ?? "unknown" }
      : {}),
  };
}

async function startParty(role: Role): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("./fanout-party.ts", import.meta.url));
  const party = fork(program, [role], { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: [] });
  await once(party, "spawn");
  return party;
}

async function endParty(party: ChildProcess): Promise<void> {
  if (party.exitCode !== null || party.signalCode !== null) return;
  const exited = once(party, "exit");
  party.kill("SIGKILL");
  await exited;
}

async function startServer(role: "sprint" | "sprint-children" | "ws-loop"): Promise<Contender> {
  const party = await startParty(role);
  const { port } = await awaitReply(party, "listening");
  return {
    name: role,
    port,
    greeting: HANDSHAKE,
    async publish(turns, perTurn) {
      const { startedAt } = await order(party, { type: "publish", turns, perTurn }, "published");
      return startedAt;
    },
    close: () => endParty(party),
  };
}

async function order<T extends Reply["type"]>(
  party: ChildProcess,
  message: Order,
  type: T,
): Promise<Reply & { type: T }> {
  const answer = awaitReply(party, type);
  party.send(message);
  return answer;
}

function awaitReply<T extends Reply["type"]>(party: ChildProcess, type: T): Promise<Reply & { type: T }> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error(`a process of the bench ended before it said "${type}"`));
    party.once("exit", onExit);
    party.once("message", (message: Reply) => {
      party.removeListener("exit", onExit);
      if (message.type === type) resolve(message as Reply & { type: T });
      else reject(new Error(`expected "${type}", got "${message.type}"`));
    });
  });
}

/** As long as one of our events, so that all write the same number of bytes. */
const PAYLOAD = "x".repeat(470);
const PUBLISH = `*3\r\n$7\r\nPUBLISH\r\n$${CHANNEL.length}\r\n${CHANNEL}\r\n$${PAYLOAD.length}\r\n${PAYLOAD}\r\n`;

/** Null where redis-server is not installed. */
async function startRedis(): Promise<Contender | null> {
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"];
  const server = spawn("redis-server", [...args, "--maxclients", "4000"], { stdio: "ignore" });
  const isThere = await once(server, "spawn").then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  const publisher = await connectWhenUp(port);
  const replies = countReplies(publisher);
  return {
    name: "redis",
    port,
    greeting: SUBSCRIBE,
    async publish(turns, perTurn) {
      const startedAt = monotonicMs();
      const text = PUBLISH.repeat(perTurn);
      for (let turn = 0; turn < turns; turn++) {
        publisher.write(text);
        await replies(perTurn);
      }
      return startedAt;
    },
    async close() {
      publisher.destroy();
      const exited = once(server, "exit");
      server.kill("SIGKILL");
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function connectWhenUp(port: number): Promise<Socket> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error("redis-server did not listen within 5 s");
}

/** Resolves when so many more replies (one line each) have come. */
function countReplies(socket: Socket): (count: number) => Promise<void> {
  let open = 0;
  let done = (): void => {};
  socket.on("data", (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 0x0a) open--;
    if (open === 0) done();
  });
  return (count) =>
    new Promise((resolve) => {
      open += count;
      done = resolve;
    });
}
