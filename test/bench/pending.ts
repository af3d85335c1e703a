/**
 * Ten thousand pending transactions a second through the filters of a hundred subscribers, while blocks come: how much later a block is
 * than without them, whether each subscriber has each of its transactions once and in order, and what it costs the daemon. Quiet and
 * loud rounds take turns in the same daemon.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { child, heard } from "./child.ts";
import { type BenchDocument, type BenchOptions, check, machine, median, quantile } from "./document.ts";
import type { Order, Report } from "./pending-subscribers.ts";
import { makeTraffic } from "./pending-traffic.ts";
import { startScriptedEvm } from "./scripted-evm.ts";

const SUBSCRIBERS = 100;
const PER_SECOND = 10_000;
const MAX_RATIO = 1.5;
/** A share of the rate: the sender shares two cores with all others. */
const MIN_RATE = 0.98;
/** Between two writes of the node. */
const TICK_MS = 5;
/** Between blocks: half a tick more or less, so that they come anywhere between two writes. */
const PAUSE_MS = 40;
const WARM_UP_BLOCKS = 40;
/** From the last write to the last delivery. */
const DRAIN_MS = 1_000;
/** Of `/proc/PID/stat`. */
const CLOCK_TICKS = 100;

interface Round {
  readonly delays: readonly number[];
  readonly cpuShare: number;
  /** Sent a second. */
  readonly rate: number;
  readonly told: number;
  readonly wrong: number;
}

export async function run({ quick, progress }: BenchOptions): Promise<BenchDocument> {
  const rounds = quick ? 4 : 8;
  const blocks = quick ? 50 : 120;
  const stage = await setStage();
  const quiet: Round[] = [];
  const loud: Round[] = [];
  try {
    for (const isLoud of [false, true, true]) await stage.play(WARM_UP_BLOCKS, isLoud);
    for (let round = 0; round < rounds; round++) {
      for (const isLoud of round % 2 === 0 ? [false, true] : [true, false]) {
        (isLoud ? loud : quiet).push(await stage.play(blocks, isLoud));
      }
      const [before, now] = [quiet, loud].map((all) => quantile(all.at(-1)?.delays ?? [], 0.99).toFixed(2));
      progress(`round ${round + 1} of ${rounds}: p99 ${before} ms quiet, ${now} ms loud`);
    }
  } finally {
    await stage.close();
  }
  const ratio = (q: number): number =>
    median(loud.map(({ delays }, i) => quantile(delays, q) / quantile(quiet[i]?.delays ?? [], q)));
  const wrong = loud.reduce((sum, round) => sum + round.wrong, 0);
  const told = loud.reduce((sum, round) => sum + round.told, 0);
  return {
    bench: "pending",
    machine: machine(),
    versions: { node: process.versions.node },
    rounds,
    rows: [row("quiet", quiet), row("loud", loud)],
    checks: [
      check("p99 of block relay, loud against quiet (median of rounds)", ratio(0.99), "<=", MAX_RATIO),
      check("pending transactions a second", median(loud.map(({ rate }) => rate)), ">=", PER_SECOND * MIN_RATE, "/s"),
      {
        name: `transactions lost, told twice or out of order, of ${told.toLocaleString("en")} deliveries`,
        target: "0",
        observed: `${wrong}`,
        ok: wrong === 0 && told > 0,
      },
    ],
  };
}

function row(what: string, rounds: readonly Round[]): BenchDocument["rows"][number] {
  const over = (of: (round: Round) => number): number => median(rounds.map(of));
  return {
    what,
    block_p50_ms: over(({ delays }) => quantile(delays, 0.5)),
    block_p90_ms: over(({ delays }) => quantile(delays, 0.9)),
    block_p99_ms: over(({ delays }) => quantile(delays, 0.99)),
    "pending/s": Math.round(over(({ rate }) => rate)),
    "deliveries/round": Math.round(over(({ told }) => told)),
    daemon_cpu_percent: Math.round(over(({ cpuShare }) => cpuShare * 100)),
  };
}

interface Stage {
  play(blocks: number, isLoud: boolean): Promise<Round>;
  close(): Promise<void>;
}

async function setStage(): Promise<Stage> {
  const node = await startScriptedEvm();
  const traffic = makeTraffic(SUBSCRIBERS, (transaction) => node.frame("newPendingTransactions", transaction));
  const sprint = await startSprint({ args: ["--tier", "ENTERPRISE", "--chain", `${node.chain}=${node.url}`] });
  const subscribers = child("pending-subscribers.ts");
  const order = async (what: Order): Promise<Report> => {
    const answer = heard(subscribers);
    subscribers.send(what);
    return (await answer) as Report;
  };
  const { port } = new URL(sprint.tiers.ENTERPRISE ?? "");
  const paths = await Promise.all(traffic.filters.map((pending) => subscribe(sprint, { pending })));
  while (node.subscribers("newPendingTransactions") === 0) await sleep(10);
  await order({ do: "connect", port: Number(port), paths });

  const relayBlock = async (): Promise<number[]> => {
    await order({ do: "arm" });
    const news = node.prepare();
    const arrival = heard(subscribers);
    // Not just behind a write of the pump.
    await sleep(Math.random() * TICK_MS);
    const start = Number(process.hrtime.bigint());
    node.tell(news);
    const report = (await arrival.catch((error: unknown) => {
      throw new Error(`not everybody was told of ${news.hash}; sprint said:\n${sprint.output()}`, { cause: error });
    })) as Report;
    if (report.did !== "arrive") throw new Error(`expected arrivals, got ${report.did}`);
    return report.stamps.map((stamp) => (stamp - start) / 1e6);
  };

  return {
    async play(blocks, isLoud) {
      const pump = isLoud ? startPump((count) => node.push(traffic.next(count))) : null;
      if (pump !== null) await sleep(200);
      const [cpuBefore, wallBefore] = [cpuSeconds(sprint.pid), performance.now()];
      const delays: number[] = [];
      for (let i = 0; i < blocks; i++) {
        delays.push(...(await relayBlock()));
        await sleep(PAUSE_MS);
      }
      const cpuShare = (cpuSeconds(sprint.pid) - cpuBefore) / ((performance.now() - wallBefore) / 1_000);
      const rate = pump?.stop() ?? 0;
      await sleep(DRAIN_MS);
      const report = await order({ do: "count" });
      if (report.did !== "count") throw new Error(`expected counts, got ${report.did}`);
      const expected = traffic.expected();
      const told = expected.reduce((sum, { length }) => sum + length, 0);
      const wrong = expected.reduce((sum, list, i) => sum + differences(list, report.numbers[i] ?? []), 0);
      return { delays, cpuShare, rate, told, wrong };
    },
    async close() {
      // Before the daemon says goodbye, which they take for a failure.
      if (subscribers.connected) subscribers.disconnect();
      await sprint.stop();
      await node.close();
    },
  };
}

/** The path of a subscriber of blocks and of these transactions. */
async function subscribe({ tiers }: SprintProcess, filter: object): Promise<string> {
  const body = { chains: ["ethereum"], types: ["block", "pending_tx"], phase: "announced", ...filter };
  const response = await fetch(`${tiers.ENTERPRISE}/api/v1/subscribe`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const { id } = JSON.parse(text) as { id?: string };
  if (id === undefined) throw new Error(`expected a subscription, got ${text}`);
  return `/ws/v1/events?subscription=${id}`;
}

/** Writes as many as are due, however late a tick is. `stop` tells how many a second there were. */
function startPump(write: (count: number) => void): { stop(): number } {
  const start = performance.now();
  let sent = 0;
  const tick = (): void => {
    const due = Math.floor(((performance.now() - start) / 1_000) * PER_SECOND) - sent;
    if (due <= 0) return;
    write(due);
    sent += due;
  };
  const timer = setInterval(tick, TICK_MS);
  return {
    stop() {
      clearInterval(timer);
      return (sent * 1_000) / (performance.now() - start);
    },
  };
}

/** Entries that are not where they belong. */
function differences(expected: readonly number[], actual: readonly number[]): number {
  const length = Math.max(expected.length, actual.length);
  let count = 0;
  for (let i = 0; i < length; i++) if (expected[i] !== actual[i]) count++;
  return count;
}

/** User and system time of a process. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}
