/**
 * `npm run bench -- breaker`: what a call costs beside opossum, cockatiel and nothing; what 10,000 breakers weigh; what the algorithms cost.
 * What it decides is in `detection.ts`.
 *
 * Loops are interleaved round by round and the ratio is taken within a round, so that a noisy machine bends both sides of it.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { FAILURE, SUCCESS } from "../../src/daemon/breaker/codes.ts";
import { BreakerPool } from "../../src/daemon/breaker/pool.ts";
import { policyOf } from "../../src/daemon/breaker/policy.ts";
import { Guard } from "../../src/daemon/breaker/run.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { algorithmRows } from "./breaker-algorithms.ts";
import { type Peers, loadPeers } from "./breaker-subjects.ts";
import {
  type BenchCheck,
  type BenchDocument,
  type BenchOptions,
  check,
  machine,
  median,
  quantile,
} from "./document.ts";

type Loop = (times: number) => Promise<void> | void;
type Row = BenchDocument["rows"][number];

export async function run({ quick, progress }: BenchOptions): Promise<BenchDocument> {
  const peers = await loadPeers();
  const rounds = quick ? 5 : 15;
  const rows: Row[] = [];
  const checks: BenchCheck[] = [];
  progress("cost of a call");
  await costs(peers, rounds, rows, checks);
  progress("10,000 breakers");
  weigh(rows, checks);
  progress("algorithms");
  algorithmRows(rows, checks);
  const versions = { node: process.versions.node, ...peers.versions };
  return { bench: "breaker", machine: machine(), versions, rounds, rows: rows.map(widened), checks };
}

const COLUMNS = ["what", "who", "median", "best", "unit", "ratio"] as const;

/** All rows have all columns: the table is drawn from the first. */
function widened(row: Row): Row {
  return Object.fromEntries(COLUMNS.map((column) => [column, row[column] ?? null]));
}

async function costs(peers: Peers, rounds: number, rows: Row[], checks: BenchCheck[]): Promise<void> {
  const pool = new BreakerPool({ capacity: 8 }, { clock: systemClock, random: Math.random });
  const guarded = (key: string): Guard =>
    new Guard(key, policyOf("ENTERPRISE"), { pool, clock: systemClock, turn: setImmediate });
  const good = guarded("good");
  const held = guarded("held");
  pool.forceClose(held.handle, { owner: "bench", reason: "failures without an opening" }, systemClock.now());
  const ok = async (): Promise<number> => 1;
  const bad = async (): Promise<number> => {
    throw new Error("the upstream's fault");
  };
  const caught = async (call: () => Promise<unknown>): Promise<void> => {
    try {
      await call();
    } catch {
      // what is measured
    }
  };
  const at = systemClock.now();
  const raw = pool.open("raw", policyOf("ENTERPRISE"), at);
  let now = at;
  // What is the loop's own is kept out of it: variables of a scope around it are read and checked each time, in it they are known.
  const pair: Loop = (times) => {
    const path = pool;
    const handle = raw | 0;
    const outcome = SUCCESS;
    let time = Number(now);
    for (let i = 0; i < times; i++) {
      const token = path.tryAcquire(handle, time);
      path.onResult(handle, token, outcome, 0.5, time);
      if ((i & 1023) === 0) time += 0.1;
    }
    now = time;
  };
  const shut = pool.open("shut", policyOf("FREE", { firstOpenMs: 100_000 }), at);
  for (let i = 0; i < 3; i++) pool.onResult(shut, pool.tryAcquire(shut, at), FAILURE, 1, at);
  let refused = 0;
  const reject: Loop = (times) => {
    for (let i = 0; i < times; i++) refused += pool.tryAcquire(shut, at);
  };

  const success: Record<string, Loop> = {
    "bare await": async (times) => {
      for (let i = 0; i < times; i++) await ok();
    },
    sprint: async (times) => {
      for (let i = 0; i < times; i++) await good.run(ok);
    },
  };
  const failure: Record<string, Loop> = {
    "bare throw": async (times) => {
      for (let i = 0; i < times; i++) await caught(bad);
    },
    sprint: async (times) => {
      for (let i = 0; i < times; i++) await caught(() => held.run(bad));
    },
  };
  const stops: (() => void)[] = [];
  const { opossum: Opossum, cockatiel } = peers;
  const fires = new Opossum((fn) => fn(), {});
  const fails = new Opossum((fn) => fn(), { errorThresholdPercentage: 100 });
  stops.push(
    () => fires.shutdown(),
    () => fails.shutdown(),
  );
  const policy = (threshold: number) =>
    cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 10_000,
      breaker: new cockatiel.ConsecutiveBreaker(threshold),
    });
  const executes = policy(5);
  const neverOpens = policy(Number.POSITIVE_INFINITY);
  success["opossum"] = async (times) => {
    for (let i = 0; i < times; i++) await fires.fire(ok as never);
  };
  success["cockatiel"] = async (times) => {
    for (let i = 0; i < times; i++) await executes.execute(ok as never);
  };
  failure["opossum"] = async (times) => {
    for (let i = 0; i < times; i++) await caught(() => fails.fire(bad as never));
  };
  failure["cockatiel"] = async (times) => {
    for (let i = 0; i < times; i++) await caught(() => neverOpens.execute(bad as never));
  };

  const successNs = await interleaved(success, rounds, 1, (who) => SUCCESSES[who] ?? 50_000);
  const failureNs = await interleaved(failure, rounds, 1, (who) => FAILURES[who] ?? 5_000);
  const coreNs = await interleaved({ "admission pair": pair, "open reject": reject }, rounds, 10, () => 500_000);
  for (const stop of stops) stop();
  if (refused >= 0) throw new Error("the shut breaker let somebody through");

  const table = (what: string, figures: Map<string, number[]>, bare: string): Map<string, number> => {
    const ratios = new Map<string, number>();
    for (const [who, ns] of figures) {
      const ratio = median(ns.map((value, round) => value / (figures.get(bare)?.[round] ?? Number.NaN)));
      ratios.set(who, ratio);
      rows.push({ what, who, median: median(ns), best: quantile(ns, 0), unit: "ns", ratio });
    }
    return ratios;
  };
  const successRatio = table("call, success", successNs, "bare await");
  const failureRatio = table("call, failure", failureNs, "bare throw");
  for (const [what, ns] of coreNs)
    rows.push({ what, who: "sprint", median: median(ns), best: quantile(ns, 0), unit: "ns" });
  checks.push(
    check("run() over bare await, success", successRatio.get("sprint") ?? Number.NaN, "<=", 2.5),
    check("run() over bare throw, failure", failureRatio.get("sprint") ?? Number.NaN, "<=", 1.8),
    check("admission pair, shared clock", median(coreNs.get("admission pair") ?? []), "<=", 15, " ns"),
    check("open reject", median(coreNs.get("open reject") ?? []), "<=", 10, " ns"),
  );
}

/** Calls of a round, so that each loop takes about as long: what the machine does besides then strikes each alike. */
const SUCCESSES: Readonly<Record<string, number>> = { "bare await": 125_000, cockatiel: 25_000, opossum: 5_000 };
const FAILURES: Readonly<Record<string, number>> = { "bare throw": 7_500, opossum: 200 };

/** Rounds that are not counted: until then the code is not compiled for good, as code that becomes known anew is thrown away once or twice. */
const WARM_ROUNDS = 6;

/**
 * Nanoseconds a call, per round, all loops in each round. In a round the loops take `turns`, and what is told of it is the median: so a turn in which the
 * machine did something else falls out. Loops that leave garbage have one long turn: what collecting it takes is theirs.
 */
async function interleaved(
  loops: Readonly<Record<string, Loop>>,
  rounds: number,
  turns: number,
  times: (who: string) => number,
): Promise<Map<string, number[]>> {
  const figures = new Map(Object.keys(loops).map((who) => [who, [] as number[]]));
  for (let round = -WARM_ROUNDS; round < rounds; round++) {
    const taken = new Map(Object.keys(loops).map((who) => [who, [] as number[]]));
    for (let turn = 0; turn < turns; turn++) {
      for (const [who, loop] of Object.entries(loops)) {
        const count = times(who) / turns;
        const begin = process.hrtime.bigint();
        await loop(count);
        taken.get(who)?.push(Number(process.hrtime.bigint() - begin) / count);
      }
    }
    if (round >= 0) for (const [who, ns] of taken) figures.get(who)?.push(median(ns));
  }
  return figures;
}

/** In a process of its own with a collector that can be called. */
/** Processes of which the middle one counts. */
const WEIGHINGS = 5;

function weigh(rows: Row[], checks: BenchCheck[]): void {
  const script = fileURLToPath(new URL("breaker-weight.ts", import.meta.url));
  const weighed = Array.from(
    { length: WEIGHINGS },
    () =>
      JSON.parse(execFileSync(process.execPath, ["--expose-gc", script], { encoding: "utf8" })) as Record<
        string,
        number
      >,
  );
  // Code that is compiled beside it weighs some 100 KB more in one process of ten.
  const of = (what: string): number => median(weighed.map((each) => each[what] ?? Number.NaN));
  const [idle, used, timers] = [of("idle"), of("used"), of("timers")];
  rows.push(
    { what: "one of 10,000 breakers", who: "sprint", median: idle, unit: "bytes" },
    { what: "one with traffic", who: "sprint", median: used, unit: "bytes" },
    { what: "timers of 10,000 breakers", who: "sprint", median: timers, unit: "timers" },
  );
  checks.push(
    check("a breaker's bytes, of 10,000", idle, "<=", 250, " B"),
    check("timers of 10,000 breakers", timers, "<=", 0, ""),
  );
}
