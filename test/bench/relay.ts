/**
 * What the relay adds, for a chain of each family: from the write of an announcement on a node's socket (a compact block over P2P, a new
 * head or a slot over a WebSocket) to the read of its frame by each subscriber, beside a bare process that reads as many bytes, asks its
 * announcer as often, and forwards a prebuilt frame of the same size.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type BenchCheck,
  type BenchDocument,
  type BenchOptions,
  check,
  machine,
  median,
  quantile,
} from "./document.ts";
import { SOURCES } from "./relay-sources.ts";
import { PAUSE_MS, type Stage, setStage } from "./relay-stage.ts";
import type { Group } from "./relay-subscribers.ts";

const SUBSCRIBERS = [1, 100, 1_000] as const;
const MAX_RATIO = 1.3;
const MAX_MEDIAN_MS_AT_100 = 1;
const MAX_P99_MS_AT_1000 = 10;

interface Latencies {
  readonly relay: number[];
  readonly floor: number[];
  /** What the daemon itself says in each event: from its read to its write to the first subscriber. */
  readonly inDaemon: number[];
}

interface Row {
  readonly chain: string;
  readonly subscribers: number;
  readonly relay_p50_ms: number;
  readonly floor_p50_ms: number;
  readonly ratio_p50: number;
  readonly in_daemon_p50_ms: number;
  readonly relay_p99_ms: number;
  readonly floor_p99_ms: number;
  readonly ratio_p99: number;
}

export async function run({ quick, only, progress }: BenchOptions): Promise<BenchDocument> {
  const rounds = quick ? 3 : 7;
  const blocksPerRound = quick ? 20 : 60;
  const rows: Row[] = [];
  for (const [chain, openSource] of Object.entries(SOURCES)) {
    if (only !== null && only !== chain) continue;
    const stage = await setStage(openSource);
    try {
      for (const count of SUBSCRIBERS) {
        await stage.connect(count);
        const results: Latencies[] = [];
        for (let round = 0; round < rounds; round++) results.push(await playRound(stage, blocksPerRound));
        const row = summarise(chain, count, results);
        rows.push(row);
        const [relay, floor] = [row.relay_p50_ms.toFixed(3), row.floor_p50_ms.toFixed(3)];
        progress(`${chain}, ${count} subscribers: ${relay} ms, floor ${floor} ms`);
      }
    } finally {
      await stage.close();
    }
  }
  return {
    bench: "relay",
    machine: machine(),
    versions: { node: process.versions.node },
    rounds,
    rows: rows.map((row) => ({ ...row })),
    checks: Object.keys(SOURCES).flatMap((chain) => judge(rows.filter((row) => row.chain === chain))),
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
function summarise(chain: string, subscribers: number, rounds: readonly Latencies[]): Row {
  const over = (of: (round: Latencies) => number): number => median(rounds.map(of));
  return {
    chain,
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
    check(`${row.chain}: p50 against the floor, ${row.subscribers} subscribers`, row.ratio_p50, "<=", MAX_RATIO),
    check(`${row.chain}: p99 against the floor, ${row.subscribers} subscribers`, row.ratio_p99, "<=", MAX_RATIO),
  ]);
  const hundred = rows.find((row) => row.subscribers === 100);
  const thousand = rows.find((row) => row.subscribers === 1_000);
  if (hundred === undefined || thousand === undefined) return checks;
  const { chain, floor_p99_ms: floorMs } = thousand;
  checks.push(check(`${chain}: median with 100 subscribers`, hundred.relay_p50_ms, "<=", MAX_MEDIAN_MS_AT_100, " ms"));
  const reached = check(`${chain}: p99 of all 1,000`, thousand.relay_p99_ms, "<=", MAX_P99_MS_AT_1000, " ms");
  checks.push({
    ...reached,
    target: `${reached.target}, where the floor is`,
    observed: `${reached.observed}, floor ${floorMs.toFixed(2)} ms`,
    ok: reached.ok || floorMs > MAX_P99_MS_AT_1000,
  });
  return checks;
}
