/**
 * What the relay adds: from the write of a compact block on a P2P socket to the read of its frame by each subscriber, beside a bare
 * process that forwards a prebuilt frame of the same size. Four processes: this one announces, the daemon, the floor, the subscribers.
 */
import { type ChildProcess, fork } from "node:child_process";
import { type Socket, connect } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { paramsFor } from "../../src/daemon/chain/index.ts";
import { DevnetNode } from "../../src/daemon/devnet/index.ts";
import { encodeCompactBlock, encodeMessage, shortIdKey, shortIdOf } from "../../src/daemon/wire/index.ts";
import { seededRandom, systemClock } from "../../src/shared/clock.ts";
import { startSprint } from "../fakes/sprint.ts";
import {
  type BenchCheck,
  type BenchDocument,
  type BenchOptions,
  check,
  machine,
  median,
  quantile,
} from "./document.ts";
import type { FloorFrame, FloorPorts } from "./relay-floor.ts";
import type { Group, Order, Report } from "./relay-subscribers.ts";

const SUBSCRIBERS = [1, 100, 1_000] as const;
const MAX_RATIO = 1.3;
const MAX_MEDIAN_MS_AT_100 = 1;
const MAX_P99_MS_AT_1000 = 10;

/** Only what is timed goes over the socket: one frame a block. */
const PATH = "/ws/v1/events?chains=bitcoin&types=block&phase=announced";
/** Between announcements: the body is fetched and proved meanwhile. */
const PAUSE_MS = 15;
const PATIENCE_MS = 20_000;
/** The clock's own timer is never reached: the node announces nothing by itself. */
const NEVER_MS = 2 ** 31 - 1;
const WARM_UP = 30;

interface Latencies {
  readonly relay: number[];
  readonly floor: number[];
  /** What the daemon itself says in each event: from its read to its write to the first subscriber. */
  readonly inDaemon: number[];
}

interface Row {
  readonly subscribers: number;
  readonly relay_p50_ms: number;
  readonly floor_p50_ms: number;
  readonly ratio_p50: number;
  readonly in_daemon_p50_ms: number;
  readonly relay_p99_ms: number;
  readonly floor_p99_ms: number;
  readonly ratio_p99: number;
}

export async function run({ quick, progress }: BenchOptions): Promise<BenchDocument> {
  const rounds = quick ? 3 : 7;
  const blocksPerRound = quick ? 20 : 60;
  const stage = await setStage();
  const rows: Row[] = [];
  try {
    for (const count of SUBSCRIBERS) {
      await stage.connect(count);
      const results: Latencies[] = [];
      for (let round = 0; round < rounds; round++) results.push(await playRound(stage, blocksPerRound));
      const row = summarise(count, results);
      rows.push(row);
      progress(`${count} subscribers: ${row.relay_p50_ms.toFixed(3)} ms, floor ${row.floor_p50_ms.toFixed(3)} ms`);
    }
  } finally {
    await stage.close();
  }
  const versions = { node: process.versions.node };
  return {
    bench: "relay",
    machine: machine(),
    versions,
    rounds,
    rows: rows.map((row) => ({ ...row })),
    checks: judge(rows),
  };
}

/** The announcements of one round, turn by turn to the relay and to the floor, first one first, then the other. */
async function playRound(stage: Stage, blocks: number): Promise<Latencies> {
  const latencies: Latencies = { relay: [], floor: [], inDaemon: [] };
  for (let i = 0; i < blocks; i++) {
    const announcement = await stage.prepare();
    const order: readonly Group[] = i % 2 === 0 ? ["relay", "floor"] : ["floor", "relay"];
    for (const group of order) {
      const { delays, relayTimeMs } = await stage.announce(group, announcement);
      for (const ms of delays) latencies[group].push(ms);
      if (relayTimeMs !== null) latencies.inDaemon.push(relayTimeMs);
      await sleep(PAUSE_MS);
    }
  }
  return latencies;
}

/** Percentiles and ratios of each round, and the median of the rounds: one disturbed round does not decide. */
function summarise(subscribers: number, rounds: readonly Latencies[]): Row {
  const over = (of: (round: Latencies) => number): number => median(rounds.map(of));
  return {
    subscribers,
    relay_p50_ms: over(({ relay }) => quantile(relay, 0.5)),
    floor_p50_ms: over(({ floor }) => quantile(floor, 0.5)),
    ratio_p50: over(({ relay, floor }) => quantile(relay, 0.5) / quantile(floor, 0.5)),
    in_daemon_p50_ms: over(({ inDaemon }) => median(inDaemon)),
    relay_p99_ms: over(({ relay }) => quantile(relay, 0.99)),
    floor_p99_ms: over(({ floor }) => quantile(floor, 0.99)),
    ratio_p99: over(({ relay, floor }) => quantile(relay, 0.99) / quantile(floor, 0.99)),
  };
}

function judge(rows: readonly Row[]): BenchCheck[] {
  const checks = rows.flatMap((row) => [
    check(`p50 against the floor, ${row.subscribers} subscribers`, row.ratio_p50, "<=", MAX_RATIO),
    check(`p99 against the floor, ${row.subscribers} subscribers`, row.ratio_p99, "<=", MAX_RATIO),
  ]);
  const hundred = rows.find((row) => row.subscribers === 100);
  checks.push(
    check("median with 100 subscribers", hundred?.relay_p50_ms ?? Number.NaN, "<=", MAX_MEDIAN_MS_AT_100, " ms"),
  );
  const thousand = rows.find((row) => row.subscribers === 1_000);
  const reached = check("p99 of all 1,000", thousand?.relay_p99_ms ?? Number.NaN, "<=", MAX_P99_MS_AT_1000, " ms");
  const floorMs = thousand?.floor_p99_ms ?? Number.NaN;
  checks.push({
    ...reached,
    target: `${reached.target}, where the floor is`,
    observed: `${reached.observed}, floor ${floorMs.toFixed(2)} ms`,
    ok: reached.ok || floorMs > MAX_P99_MS_AT_1000,
  });
  return checks;
}

interface Announcement {
  readonly hash: string;
  /** The framed cmpctblock. */
  readonly message: Uint8Array;
}

interface Delivery {
  /** Milliseconds from the write to each subscriber's read. */
  readonly delays: number[];
  /** As the event says; null from the floor. */
  readonly relayTimeMs: number | null;
}

interface Stage {
  /** Gives both groups `count` sockets and warms everything up. */
  connect(count: number): Promise<void>;
  /** Mines a block and builds its announcement. */
  prepare(): Promise<Announcement>;
  /** Writes it and waits for every subscriber of the group. */
  announce(group: Group, announcement: Announcement): Promise<Delivery>;
  close(): Promise<void>;
}

/** Starts the four processes' worth of actors and connects them. */
async function setStage(): Promise<Stage> {
  const params = paramsFor("bitcoin", "regtest");
  const node = new DevnetNode({ chain: "bitcoin" }, { codec: { params }, clock: systemClock, random: seededRandom(1) });
  await node.start();
  node.lag(NEVER_MS);
  const sprint = await startSprint({ args: ["--tier", "ENTERPRISE", "--chain", `bitcoin=${node.url}`] });
  const floor = child("relay-floor.ts");
  const subscribers = child("relay-subscribers.ts");
  const ports = (await heard(floor)) as FloorPorts;
  const toFloor: Socket = connect({ port: ports.announce, host: "127.0.0.1", noDelay: true });
  await once(toFloor, "connect");
  while (node.peers === 0) await sleep(10);

  const order = async (what: Order): Promise<void> => {
    const answer = heard(subscribers);
    subscribers.send(what);
    await answer;
  };

  const prepare = async (): Promise<Announcement> => {
    const [hash = ""] = await node.mine();
    const block = node.store.get(hash);
    if (block === undefined) throw new Error(`mined block ${hash} is not in the store`);
    const nonce = 1n;
    const key = shortIdKey(block.header, nonce);
    const [coinbase, ...others] = block.transactions;
    const payload = encodeCompactBlock({
      headerBytes: block.header,
      nonce,
      shortIds: others.map((tx) => shortIdOf(key, tx.wtxid)),
      prefilled: coinbase === undefined ? [] : [{ index: 0, transaction: coinbase.bytes }],
    });
    return { hash, message: encodeMessage(params.magic, "cmpctblock", payload) };
  };

  const announce = async (group: Group, { hash, message }: Announcement): Promise<Delivery> => {
    await order({ do: "arm", group });
    const arrival = heard(subscribers);
    const start = Number(process.hrtime.bigint());
    if (group === "relay") node.sendRaw(message);
    else toFloor.write(message);
    const report = (await arrival.catch((error: unknown) => {
      throw new Error(`${group} did not deliver ${hash}; peers: ${node.peers}; sprint said:\n${sprint.output()}`, {
        cause: error,
      });
    })) as Report;
    if (report.did !== "arrive") throw new Error(`expected arrivals, got ${report.did}`);
    const delays = report.stamps.map((stamp) => (stamp - start) / 1e6);
    return { delays, relayTimeMs: group === "relay" ? await adoptFrame(report.frame, hash) : null };
  };

  /** The floor forwards what the relay sent last: the same size to the byte. The relay's own time, as the frame says. */
  const adoptFrame = async (frame: string, hash: string): Promise<number> => {
    const text = Buffer.from(frame, "base64").toString("latin1");
    const relayTime = /"relay_time_ms": *([0-9.]+)/.exec(text)?.[1];
    if (!text.includes(hash) || relayTime === undefined) {
      throw new Error(`expected a block event for ${hash}, got ${text.slice(0, 300)}`);
    }
    const answer = heard(floor);
    floor.send({ frame } satisfies FloorFrame);
    await answer;
    return Number(relayTime);
  };

  return {
    prepare,
    announce,
    async connect(count) {
      const enterprise = sprint.tiers.ENTERPRISE;
      if (enterprise === undefined) throw new Error(`sprint opened no ENTERPRISE listener:\n${sprint.output()}`);
      await order({ do: "connect", group: "relay", port: Number(new URL(enterprise).port), path: PATH, count });
      await order({ do: "connect", group: "floor", port: ports.subscribe, path: null, count });
      for (let i = 0; i < WARM_UP; i++) {
        const announcement = await prepare();
        for (const group of ["relay", "floor"] as const) await announce(group, announcement);
        await sleep(PAUSE_MS);
      }
    },
    async close() {
      toFloor.destroy();
      for (const process of [floor, subscribers]) if (process.connected) process.disconnect();
      await sprint.stop();
      await node.close();
    },
  };
}

function child(file: string): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)));
}

/** The next message of a child; rejects when it ends or stays silent. */
function heard(from: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(patience);
      from.off("message", onMessage).off("exit", onExit);
      act();
    };
    const onMessage = (message: unknown): void => settle(() => resolve(message));
    const onExit = (code: number | null): void =>
      settle(() => reject(new Error(`a child of the bench ended with ${code}`)));
    const patience = setTimeout(() => onSilence(), PATIENCE_MS);
    const onSilence = (): void =>
      settle(() => reject(new Error(`a child of the bench said nothing for ${PATIENCE_MS} ms`)));
    from.on("message", onMessage).on("exit", onExit);
  });
}
