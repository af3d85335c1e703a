/** The formulas as one would read them at first, beside what is built: the figures of the table in docs/breaker.md. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { seededRandom } from "../../../src/shared/clock.ts";
import { FAILURE, SUCCESS } from "../../../src/daemon/breaker/codes.ts";
import { healthScore } from "../../../src/daemon/breaker/health.ts";
import { policyOf } from "../../../src/daemon/breaker/policy.ts";
import { BreakerPool } from "../../../src/daemon/breaker/pool.ts";
import { recoveryProbability } from "../../../src/daemon/breaker/recovery.ts";

type Literal = (failed: boolean, latencyMs: number, now: number) => boolean;
interface Traffic {
  readonly rate: number;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly errors: (now: number) => number;
  readonly latencyMs: (now: number) => number;
}

/** Seconds from `fromMs` on until each opened; null where it did not. */
function opened(literal: Literal, { rate, fromMs, untilMs, errors, latencyMs }: Traffic, seed: number) {
  const random = seededRandom(seed);
  const pool = new BreakerPool({ capacity: 1 }, { clock: { wall: () => 0 }, random: seededRandom(seed) });
  const handle = pool.open("a", policyOf("ENTERPRISE"), 0);
  const found: { literal: number | null; built: number | null } = { literal: null, built: null };
  for (let now = 0; now < untilMs && (found.literal === null || found.built === null); now += 1_000 / rate) {
    const failed = random() < errors(now);
    const latency = latencyMs(now);
    if (found.literal === null && literal(failed, latency, now)) found.literal = (now - fromMs) / 1_000;
    if (found.built !== null) continue;
    pool.onResult(handle, pool.tryAcquire(handle, now), failed ? FAILURE : SUCCESS, latency, now);
    if (pool.stateOf(handle) === "open") found.built = (now - fromMs) / 1_000;
  }
  return found;
}

test("20 failures in 5 minutes: healthy traffic with 1 % of errors opens it, at 10 calls a second", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const failures: number[] = [];
    const literal: Literal = (failed, _, now) => {
      if (failed) failures.push(now);
      while ((failures[0] ?? now) < now - 300_000) failures.shift();
      return failures.length >= 20;
    };
    const steady = { rate: 10, fromMs: 0, untilMs: 3_600_000, errors: () => 0.01, latencyMs: () => 20 };
    const found = opened(literal, steady, seed);
    assert.ok(found.literal !== null && found.literal < 300, `after ${found.literal} s`);
    assert.equal(found.built, null);
  }
});

test("20 failures in a row: 60 % of errors are found after minutes, at 100 calls a second", () => {
  const times = Array.from({ length: 9 }, (_, seed) => {
    let run = 0;
    const literal: Literal = (failed) => (run = failed ? run + 1 : 0) >= 20;
    const errors = (now: number): number => (now < 30_000 ? 0.002 : 0.6);
    return opened(literal, { rate: 100, fromMs: 30_000, untilMs: 1e7, errors, latencyMs: () => 20 }, seed);
  });
  const middle = (of: "literal" | "built"): number => times.map((it) => it[of] ?? 1e9).sort((a, b) => a - b)[4] ?? 0;
  assert.ok(middle("literal") > 240, `${middle("literal")} s`);
  assert.ok(middle("built") < 0.6, `${middle("built")} s`);
});

test("a moving average as baseline: what grows tenfold within two minutes is never slow", () => {
  let average = 20;
  let recent: boolean[] = [];
  const literal: Literal = (_, latency) => {
    recent = [...recent, latency > 4 * average].slice(-10);
    average += 0.1 * (latency - average);
    return recent.filter(Boolean).length >= 7;
  };
  const latencyMs = (now: number): number => 20 * 10 ** Math.min(1, Math.max(0, (now - 60_000) / 120_000));
  const found = opened(literal, { rate: 100, fromMs: 60_000, untilMs: 600_000, errors: () => 0, latencyMs }, 1);
  assert.equal(found.literal, null);
  assert.ok(found.built !== null && found.built < 80, `${found.built} s; four times the usual after 72 s`);
});

test("a weighted sum is one half in a total outage, and 0.8 to the power of four is below it for ever", () => {
  const outage = { success: 0, latency: 1, errors: 0, resources: 1, throughput: 1 };
  assert.equal(0.25 * outage.latency + 0.15 * outage.resources + 0.1 * outage.throughput, 0.5);
  assert.ok(healthScore(outage) < 0.04);
  assert.ok(0.8 ** 4 < 0.5);
  assert.ok(recoveryProbability({ sinceMs: 500, failures: 4, health: 0, periodMs: 500 }) > 0.7);
});
