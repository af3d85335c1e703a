/**
 * Deliveries per second to 1,000 subscribers that another process holds and drains without looking: our server in one process,
 * the same with half of the subscribers in a child, the usual `for (c of clients) c.send()` of ws, and Redis pub/sub where
 * redis-server is installed; with one event a turn, and with 20. A turn begins when the last client has got the last byte of
 * the one before, so nobody gains by joining events of several turns. All stand side by side and take turns: a noisy machine is
 * noisy for all of them.
 */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { type BenchCheck, type BenchDocument, type BenchOptions, check, machine, median } from "./document.ts";
import { pacingPeak } from "./pacing.ts";
import { type Order, type Publishing, publishPaced, type Reply, type Role } from "./fanout-party.ts";

const CLIENTS = 1_000;
/** Events of one turn. */
const PER_TURN = { single: 1, burst: 20 } as const;
/** Turns of one measurement: half a second and more of work. */
const TURNS = {
  single: { sprint: 100, "sprint-two-processes": 100, "ws-loop": 100, redis: 100 },
  burst: { sprint: 50, "sprint-two-processes": 50, "ws-loop": 5, redis: 30 },
} as const;

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

const MODES = ["single", "burst"] as const;
type Mode = (typeof MODES)[number];
type Name = keyof (typeof TURNS)["single"];

interface Spent {
  readonly elapsedMs: number;
  /** Of the publishing process alone; null where it cannot be told. */
  readonly cpuMs: number | null;
}

interface Contender {
  readonly name: Name;
  readonly port: number;
  readonly greeting: string;
  publish(order: Publishing): Promise<Spent>;
  close(): Promise<void>;
}

interface Sample {
  readonly perSecond: number;
  readonly cpuUs: number;
}

type Samples = ReadonlyMap<Name, Readonly<Record<Mode, Sample[]>>>;

export async function run({ quick, progress }: BenchOptions): Promise<BenchDocument> {
  const rounds = quick ? 3 : 11;
  const clients = await startParty("clients");
  const contenders: Contender[] = [];
  try {
    const { port: pacePort } = await awaitReply(clients, "ready");
    for (const role of ["sprint", "ws-loop", "sprint-two-processes"] as const) contenders.push(await startServer(role));
    const redis = await startRedis();
    if (redis === null) progress("redis-server is not installed: left out");
    else contenders.push(redis);
    const eventBytes = new Map<Name, number>();
    for (const contender of contenders) eventBytes.set(contender.name, await gather(contender, clients));
    const samples = await measure(contenders, { rounds, pacePort, eventBytes, progress });
    return document(samples, rounds, redis !== null);
  } finally {
    // The clients first: to be closed is a fault to them.
    await endParty(clients);
    for (const contender of contenders) await contender.close();
  }
}

/** Connects the clients of one contender; returns the bytes that one event is to all of them. */
async function gather({ port, greeting, publish }: Contender, clients: ChildProcess): Promise<number> {
  await order(clients, { type: "connect", port, count: CLIENTS, greeting }, "connected");
  // The first event tells the chain's position for the first time, and its cursor is shorter.
  for (let i = 0; i < 2; i++) {
    await order(clients, { type: "settle", port }, "settled");
    await publish({ turns: 1, perTurn: 1, bytesPerTurn: 0, pacePort: 0 });
  }
  const { bytes } = await order(clients, { type: "settle", port }, "settled");
  if (bytes % CLIENTS !== 0 || bytes < CLIENTS * 300)
    throw new Error(`${CLIENTS} clients got ${bytes} bytes of one event`);
  return bytes;
}

interface Measuring {
  readonly rounds: number;
  readonly pacePort: number;
  readonly eventBytes: ReadonlyMap<Name, number>;
  readonly progress: (line: string) => void;
}

async function measure(
  contenders: readonly Contender[],
  { rounds, pacePort, eventBytes, progress }: Measuring,
): Promise<Samples> {
  const samples = new Map(contenders.map(({ name }) => [name, { single: [] as Sample[], burst: [] as Sample[] }]));
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const mode of MODES) {
      for (let i = 0; i < contenders.length; i++) {
        const contender = contenders[(round + i) % contenders.length] as Contender;
        const turns = TURNS[mode][contender.name];
        const perTurn = PER_TURN[mode];
        const bytesPerTurn = perTurn * (eventBytes.get(contender.name) ?? Number.NaN);
        const { elapsedMs, cpuMs } = await contender.publish({ turns, perTurn, bytesPerTurn, pacePort });
        const deliveries = turns * perTurn * CLIENTS;
        const perSecond = (deliveries * 1_000) / elapsedMs;
        const cpuUs = cpuMs === null ? Number.NaN : (cpuMs * 1_000) / deliveries;
        if (round > 0) samples.get(contender.name)?.[mode].push({ perSecond, cpuUs });
        progress(`round ${round} ${mode} ${contender.name}: ${Math.round(perSecond / 1_000)}k/s`);
      }
    }
  }
  return samples;
}

function document(samples: Samples, rounds: number, hasRedis: boolean): BenchDocument {
  const rates = (name: Name, mode: Mode): number[] =>
    (samples.get(name)?.[mode] ?? []).map(({ perSecond }) => perSecond);
  const ratio = (mode: Mode, other: Name): number => median(rates("sprint", mode)) / median(rates(other, mode));
  const checks: BenchCheck[] = [
    check("single events beside the ws loop", ratio("single", "ws-loop"), ">=", 1.3),
    check("bursts of 20 beside the ws loop", ratio("burst", "ws-loop"), ">=", 8),
  ];
  if (hasRedis) {
    checks.push(
      check("single events beside Redis pub/sub", ratio("single", "redis"), ">=", 1),
      check("bursts of 20 beside Redis pub/sub", ratio("burst", "redis"), ">=", 1.3),
    );
  }
  for (const tier of ["FREE", "BUSINESS"] as const) {
    const load = { clients: CLIENTS, blocks: 20 };
    const name = `clients of 1,000 in ${tier}'s fullest millisecond (unpaced: ${pacingPeak(tier, false, load)})`;
    checks.push(check(name, pacingPeak(tier, true, load), "<=", 60, ""));
  }
  const rows = [...samples].flatMap(([name, modes]) =>
    MODES.map((mode) => {
      const cpuUs = median(modes[mode].map((sample) => sample.cpuUs));
      return {
        who: name,
        events_per_turn: PER_TURN[mode],
        subscribers: CLIENTS,
        deliveries_per_second: Math.round(median(rates(name, mode))),
        min: Math.round(Math.min(...rates(name, mode))),
        max: Math.round(Math.max(...rates(name, mode))),
        cpu_us_per_delivery: Number.isNaN(cpuUs) ? null : cpuUs,
        sprint_ratio: ratio(mode, name),
      };
    }),
  );
  return { bench: "fanout", machine: machine(), versions: versions(hasRedis), rounds, rows, checks };
}

function versions(hasRedis: boolean): Record<string, string> {
  const ws = readFileSync(new URL("../../node_modules/ws/package.json", import.meta.url), "utf8");
  const redis = hasRedis ? execFileSync("redis-server", ["--version"], { encoding: "utf8" }) : "";
  return {
    node: process.versions.node,
    ws: (JSON.parse(ws) as { version: string }).version,
    ...(hasRedis ? { redis: /v=(\S+)/.exec(redis)?.[1] ?? "unknown" } : {}),
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

async function startServer(role: Exclude<Role, "clients">): Promise<Contender> {
  const party = await startParty(role);
  const { port } = await awaitReply(party, "ready");
  return {
    name: role,
    port,
    greeting: HANDSHAKE,
    publish: (publishing) => order(party, { type: "publish", ...publishing }, "published"),
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
    async publish(publishing) {
      const text = PUBLISH.repeat(publishing.perTurn);
      const elapsedMs = await publishPaced(port, publishing, () => {
        publisher.write(text);
        return replies(publishing.perTurn);
      });
      return { elapsedMs, cpuMs: null };
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
