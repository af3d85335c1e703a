import { strict as assert } from "node:assert";
import { test } from "node:test";
import { FakeClock } from "../../fakes/clock.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import {
  BreakerPool,
  BreakerRejection,
  FAILURE,
  Guard,
  IGNORED,
  SUCCESS,
  httpOutcome,
  httpStatusOutcome,
  jsonRpcOutcome,
  policyOf,
  socketOutcome,
  sqlOutcome,
} from "../../../src/daemon/breaker/index.ts";

function guarded(turn?: (fn: () => void) => void) {
  const clock = new FakeClock();
  const pool = new BreakerPool({ capacity: 2 }, { clock, random: seededRandom(1) });
  const guard = new Guard("store", policyOf("FREE"), { pool, clock, ...(turn === undefined ? {} : { turn }) });
  return { clock, pool, guard };
}

test("run gives what the call gives, and measures it", async () => {
  const { clock, pool, guard } = guarded();
  assert.equal(await guard.run(async () => (clock.advance(25), 7)), 7);
  const fault = new Error("refused");
  await assert.rejects(
    guard.run(() => Promise.reject(fault)),
    (error) => error === fault,
  );
  await assert.rejects(
    guard.run(() => {
      throw fault;
    }),
    (error) => error === fault,
  );
  // oxlint-disable-next-line unicorn/no-thenable -- what is tried is a promise of somebody else's making
  const thenable = { then: (resolve: (value: number) => void) => resolve(8) } as PromiseLike<number>;
  assert.equal(await guard.run(() => thenable), 8);
  const { successes, failures, inFlight, latencyMs } = pool.report(guard.handle, clock.now());
  assert.deepEqual([successes, failures, inFlight], [2, 2, 0]);
  assert.ok((latencyMs.p99 ?? 0) < 30);
});

test("who is turned away gets one error without a stack, which knows when to come back", async () => {
  const { clock, guard } = guarded();
  for (let i = 0; i < 3; i++) await assert.rejects(guard.run(() => Promise.reject(new Error("refused"))));
  const errors: unknown[] = [];
  let called = false;
  for (let i = 0; i < 2; i++) {
    const never = async (): Promise<void> => {
      called = true;
    };
    await guard.run(never).catch((error: unknown) => errors.push(error));
  }
  const [error, again] = errors;
  assert.ok(error instanceof BreakerRejection);
  assert.equal(error, again);
  assert.equal(called, false);
  assert.deepEqual([error.code, error.breaker, error.state], ["SPRINT_BREAKER_OPEN", "store", "open"]);
  assert.doesNotMatch(error.stack ?? "", /\n\s+at /);
  const wait = error.retryAfterMs ?? 0;
  assert.ok(wait >= 100 && wait <= 120_000);
  clock.advance(wait);
  assert.equal(error.retryAfterMs, 0);
  assert.equal(await guard.run(async () => 1), 1);
});

test("what the caller gave up on is nobody's fault", async () => {
  const { clock, pool, guard } = guarded();
  const abort = new AbortController();
  const call = guard.run(
    (signal) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("gone")))),
    { signal: abort.signal },
  );
  abort.abort();
  await assert.rejects(call, /gone/);
  const { failures, ignored } = pool.report(guard.handle, clock.now());
  assert.deepEqual([failures, ignored], [0, 1]);
});

test("a signal belongs to its call alone", async () => {
  const { clock, pool, guard } = guarded();
  const abort = new AbortController();
  await guard.run(async () => 1, { signal: abort.signal });
  abort.abort();
  await assert.rejects(guard.run(() => Promise.reject(new Error("refused"))));
  const { failures, ignored } = pool.report(guard.handle, clock.now());
  assert.deepEqual([failures, ignored], [1, 0]);
});

test("a guard whose breaker was evicted opens its key again", async () => {
  const { clock, pool, guard } = guarded();
  assert.equal(pool.evict("store"), true);
  assert.equal(await guard.run(async () => 1), 1);
  assert.equal(pool.handleOf("store"), guard.handle);
  assert.equal(pool.report(guard.handle, clock.now()).successes, 1);
});

test("with turns the clock is read once a turn, and again after sixty-four uses", async () => {
  const turns: (() => void)[] = [];
  const { clock, guard } = guarded((fn) => turns.push(fn));
  let readings = 0;
  const now = clock.now.bind(clock);
  clock.now = () => (readings++, now());
  for (let i = 0; i < 32; i++) await guard.run(async () => i);
  assert.equal(readings, 1);
  assert.equal(turns.length, 1);
  turns[0]?.();
  await guard.run(async () => 1);
  assert.equal(readings, 2);
  for (let i = 0; i < 64; i++) await guard.run(async () => i);
  assert.equal(readings, 3);
});

test("classifiers tell the upstream's fault from the caller's", () => {
  assert.deepEqual([200, 301, 401, 404, 408, 429, 500, 501, 503].map(httpStatusOutcome), [
    SUCCESS,
    SUCCESS,
    SUCCESS,
    SUCCESS,
    FAILURE,
    FAILURE,
    FAILURE,
    SUCCESS,
    FAILURE,
  ]);
  assert.equal(httpOutcome({ statusCode: 404 }), SUCCESS);
  assert.equal(httpOutcome(Object.assign(new Error("x"), { code: "ECONNRESET" })), FAILURE);
  const rpc = (code: number) => jsonRpcOutcome({ code, message: "x" });
  assert.deepEqual([-28, -32603, -32005, -32000].map(rpc), [FAILURE, FAILURE, FAILURE, FAILURE]);
  assert.deepEqual([-5, -8, -32601, -32602, 3].map(rpc), [SUCCESS, SUCCESS, SUCCESS, SUCCESS, SUCCESS]);
  assert.equal(jsonRpcOutcome(Object.assign(new Error("x"), { code: "ETIMEDOUT" })), FAILURE);
  assert.equal(socketOutcome({ code: "EMFILE" }), IGNORED);
  assert.equal(socketOutcome({ name: "AbortError" }), IGNORED);
  assert.deepEqual(
    ["08006", "53300", "57P01", "XX000"].map((code) => sqlOutcome({ code })),
    [FAILURE, FAILURE, FAILURE, FAILURE],
  );
  assert.deepEqual(
    ["23505", "40001", "42601"].map((code) => sqlOutcome({ code })),
    [SUCCESS, SUCCESS, SUCCESS],
  );
  assert.equal(sqlOutcome({ code: "57014" }), IGNORED);
  assert.deepEqual(
    ["SQLITE_CONSTRAINT_UNIQUE", "SQLITE_BUSY", "ECONNREFUSED"].map((code) => sqlOutcome({ code })),
    [SUCCESS, FAILURE, FAILURE],
  );
});
