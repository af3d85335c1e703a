/** What is told on, and what is not worth telling. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BreakerPool, FAILURE, policyOf } from "../../src/daemon/breaker/index.ts";
import { createLogger, createMetrics } from "../../src/daemon/observe/index.ts";
import { createTelemetry } from "../../src/daemon/telemetry.ts";
import { seededRandom } from "../../src/shared/clock.ts";
import { FakeClock } from "../fakes/clock.ts";

test("the log names what is unhealthy and asked all the same, not what is shut already", () => {
  const clock = new FakeClock();
  const lines: { breaker: string; state: string }[] = [];
  const log = createLogger(
    { level: "info", format: "json", color: false },
    { write: (line) => void lines.push(JSON.parse(line)) },
  );
  const telemetry = createTelemetry({ log, metrics: createMetrics({ processMetrics: false }), clock });
  const pool = new BreakerPool({}, { clock, random: seededRandom(1) });
  const policy = policyOf("ENTERPRISE");
  const by = { owner: "test", reason: "upgrade" };
  const views = ["left open", "forced open", "forced closed"].map((name) => {
    const handle = pool.open(name, policy, clock.now());
    for (let call = 0; call < 60; call++) {
      const token = pool.tryAcquire(handle, clock.now());
      if (token > 0) pool.onResult(handle, token, FAILURE, 5, clock.now());
      clock.advance(10);
    }
    if (name === "forced open") pool.forceOpen(handle, by, clock.now());
    if (name === "forced closed") pool.forceClose(handle, by, clock.now());
    return { tier: "ENTERPRISE" as const, policy, report: pool.report(handle, clock.now()) };
  });
  assert.ok(views.every(({ report }) => report.health < 0.5));
  telemetry.unhealthy(views);
  assert.deepEqual(
    lines.map(({ breaker, state }) => [breaker, state]),
    [["forced closed", "force_close"]],
  );
});
