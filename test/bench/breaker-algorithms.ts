/**
 * What each algorithm costs, each with its definition: one call of its function on a breaker with a full window, and the bytes that it keeps.
 */
import { nextOpenMs } from "../../src/daemon/breaker/backoff.ts";
import { FAILURE, SUCCESS } from "../../src/daemon/breaker/codes.ts";
import { AdaptiveThreshold } from "../../src/daemon/breaker/evidence.ts";
import { healthScore } from "../../src/daemon/breaker/health.ts";
import { BINS } from "../../src/daemon/breaker/histogram.ts";
import { LatencyBaseline } from "../../src/daemon/breaker/latency.ts";
import { BreakerPool } from "../../src/daemon/breaker/pool.ts";
import { policyOf } from "../../src/daemon/breaker/policy.ts";
import { probeSpacingMs, recoveryProbability } from "../../src/daemon/breaker/recovery.ts";
import { SlidingWindow } from "../../src/daemon/breaker/window.ts";
import { seededRandom } from "../../src/shared/clock.ts";
import { type BenchCheck, type BenchDocument, check } from "./document.ts";

type Row = BenchDocument["rows"][number];

export function algorithmRows(rows: Row[], checks: BenchCheck[]): void {
  const policy = policyOf("ENTERPRISE");
  const random = seededRandom(1);
  const slot = new Uint32Array(BINS).fill(7);
  const window = new SlidingWindow(0, { completed: 0, failures: 0, slow: 0, rejected: 0 });
  window.current.fill(3);
  const adaptive = new AdaptiveThreshold();
  const baseline = new LatencyBaseline();
  const factors = { success: 0.9, latency: 0.8, errors: 0.7, resources: 1, throughput: 1 };
  const kb = 1_024;
  const ill = { sinceMs: 100, failures: 20, health: 0.1, periodMs: 400 };
  const spacing = (): number => probeSpacingMs(10_000, 100, 20_000, 1);
  // Bytes: the typed arrays each of them keeps for a breaker.
  const algorithms: [name: string, limitMs: number, bytes: number, limitBytes: number, run: () => unknown][] = [
    ["backoff: the next open period", 0.1, 4, kb, () => nextOpenMs(policy, 250, 100, 400, random)],
    ["recovery: probability, spacing of probes", 0.1, 4, kb, () => [recoveryProbability(ill), spacing()]],
    ["window: rates and percentiles of 5 min", 0.5, 60 * 4 * 4 + BINS * 10 * 4, 10 * kb, () => window.stats()],
    ["adaptive: one point, median, scale", 1, 100 + 65, 50 * kb, () => adaptive.add(1, 16, true, 0.3, 100)],
    ["latency: median of a 30 s window, baseline", 0.2, 20 * 4, 5 * kb, () => [baseline.close(slot), baseline.value()]],
    ["health: score of five factors", 0.3, 6 * 8, 15 * kb, () => healthScore(factors)],
  ];
  for (const [name, limitMs, bytes, limitBytes, run] of algorithms) {
    const ms = medianOfMany(run);
    rows.push(
      { what: name, who: "sprint", median: ms * 1e6, unit: "ns" },
      { what: name, who: "sprint", median: bytes, unit: "bytes" },
    );
    checks.push(
      check(`${name}: time`, ms, "<=", limitMs, " ms"),
      check(`${name}: kept`, bytes, "<=", limitBytes, " B"),
    );
  }
  decide(rows, checks);
}

/** Median of 200 runs after 2,000, in ms. */
function medianOfMany(run: () => unknown): number {
  for (let i = 0; i < 2_000; i++) run();
  const times = Array.from({ length: 200 }, () => {
    const begin = process.hrtime.bigint();
    run();
    return Number(process.hrtime.bigint() - begin) / 1e6;
  });
  return times.sort((a, b) => a - b)[100] ?? Number.NaN;
}

/** From the deciding result to the event in the listener's hands. */
function decide(rows: Row[], checks: BenchCheck[]): void {
  let told = 0n;
  const pool = new BreakerPool(
    { capacity: 2_000 },
    { clock: { wall: () => 0 }, random: seededRandom(1), onTransition: () => (told = process.hrtime.bigint()) },
  );
  const times: number[] = [];
  for (let n = 0; n < 1_000; n++) {
    const handle = pool.open(`x${n}`, policyOf("FREE"), 0);
    for (let i = 0; i < 20; i++) pool.onResult(handle, pool.tryAcquire(handle, i), SUCCESS, 1, i);
    for (let i = 0; i < 3; i++) {
      const token = pool.tryAcquire(handle, 30);
      const begin = process.hrtime.bigint();
      pool.onResult(handle, token, FAILURE, 1, 30);
      if (i === 2) times.push(Number(told - begin) / 1e6);
    }
  }
  const ms = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN;
  rows.push({ what: "transition after the deciding call, p99", who: "sprint", median: ms * 1e6, unit: "ns" });
  checks.push(check("detection and transition after the deciding call, p99", ms, "<=", 1, " ms"));
}
