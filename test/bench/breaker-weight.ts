/** Prints what 10,000 breakers weigh, as JSON: `node --expose-gc test/bench/breaker-weight.ts`. Keys are counted as the caller's: he has them anyway. */
import { SUCCESS } from "../../src/daemon/breaker/codes.ts";
import { BreakerPool } from "../../src/daemon/breaker/pool.ts";
import { policyOf } from "../../src/daemon/breaker/policy.ts";

const BREAKERS = 10_000;
const WITH_TRAFFIC = 500;

function bytes(): number {
  const collect = (globalThis as { gc?: () => void }).gc;
  collect?.();
  collect?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const keys = Array.from({ length: BREAKERS }, (_, n) => `upstream:bench:${n}`);
// Strings that were put together are made one piece when they are first looked up; that is the caller's weight, too.
const whole = new Set(keys);
const policy = policyOf("ENTERPRISE");
const make = (): BreakerPool =>
  new BreakerPool({ capacity: BREAKERS }, { clock: { wall: () => 0 }, random: Math.random });
make().open("warm", policy, 0);
const before = bytes();
const pool = make();
for (const key of keys) pool.open(key, policy, 0);
const idle = (bytes() - before) / BREAKERS;
const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout" || kind === "Immediate").length;
const quiet = bytes();
for (const key of keys.slice(0, WITH_TRAFFIC)) {
  const handle = pool.handleOf(key) ?? 0;
  for (let now = 1; now < 1_000; now += 50) pool.onResult(handle, pool.tryAcquire(handle, now), SUCCESS, 1, now);
}
const used = (bytes() - quiet) / WITH_TRAFFIC;
console.log(JSON.stringify({ idle: Math.round(idle), used: Math.round(used), timers }));
if (pool.size !== whole.size) process.exitCode = 1;
