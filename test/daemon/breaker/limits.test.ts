/** Where numbers turn over, tables are full, and callers give nonsense: what happens after weeks, or never should. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { FakeClock } from "../../fakes/clock.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { FAILURE, REJECT_PROBES, REJECT_UNKNOWN, SUCCESS } from "../../../src/daemon/breaker/codes.ts";
import { FAILED, QUANTUM, STATE, SUCCEEDED } from "../../../src/daemon/breaker/columns.ts";
import { Engine } from "../../../src/daemon/breaker/engine.ts";
import { evidenceRule } from "../../../src/daemon/breaker/evidence.ts";
import { OPEN } from "../../../src/daemon/breaker/machine.ts";
import { type BreakerPolicy, policyOf } from "../../../src/daemon/breaker/policy.ts";
import { BreakerPool, type PoolOptions } from "../../../src/daemon/breaker/pool.ts";
import { Guard } from "../../../src/daemon/breaker/run.ts";

/** One breaker without its pool, so that its counters can be set near their end. */
function bare(policy: BreakerPolicy) {
  const rule = evidenceRule(policy);
  const engine: Engine = new Engine(1, {
    random: seededRandom(1),
    onTransition: (row, from, to, cause, now) => engine.enter(row, to, from, cause, now),
    policyOf: () => policy,
    ruleOf: () => rule,
    expire: () => {},
  });
  const handle = 2 ** 17;
  engine.begin(0, handle, 0, 0);
  const call = (outcome: number, now: number): void => {
    const token = engine.tryAcquire(handle, now);
    if (token > 0) engine.onResult(handle, token, outcome, 1, now);
  };
  return { engine, counts: engine.columns.counts, call };
}

function pooled(options: Partial<PoolOptions> = {}) {
  return new BreakerPool(options, { clock: { wall: () => 0 }, random: seededRandom(1) });
}

const BY = { owner: "ops", reason: "drill" };

test("a breaker whose count of calls turns over still opens", () => {
  for (const tier of ["BUSINESS", "ENTERPRISE"] as const) {
    const { engine, counts, call } = bare(policyOf(tier));
    let now = 0;
    for (; now < 1_000; now += 1) call(SUCCESS, now);
    counts[SUCCEEDED] = -500;
    for (; now < 3_000; now += 1) call(SUCCESS, now);
    assert.ok(Number.isFinite(engine.details[0]?.adaptive.scale), "what is normal is still a number");
    for (let n = 0; n < 100 && counts[STATE] !== OPEN; n++, now++) call(FAILURE, now);
    assert.equal(counts[STATE], OPEN);
  }
});

test("the count of failures turns over, and health does not move", () => {
  const { engine, counts, call } = bare(policyOf("ENTERPRISE"));
  let now = 0;
  counts[FAILED] = -1;
  for (; now < 1_000; now += 1) call(SUCCESS, now);
  call(FAILURE, now);
  assert.equal(counts[FAILED], 0);
  for (; now < 1_300; now += 1) call(SUCCESS, now);
  const { health = 0, window } = engine.details[0] ?? assert.fail();
  assert.ok(health > 0.9 && health <= 1, `${health}`);
  assert.ok((window.stats().failureRate ?? 1) <= 1);
});

test("an epoch of more than 2^31 quanta still judges its calls", () => {
  const { counts, call } = bare(policyOf("FREE"));
  let now = 0;
  for (let turned = 0; turned < 3; turned++) {
    // Half a turn of the running number, while time passes as it does.
    counts[QUANTUM] = ((counts[QUANTUM] as number) + 2 ** 30 - 10) | 0;
    for (let n = 0; n < 100; n++) call(SUCCESS, (now += 4_000));
  }
  for (let n = 0; n < 3; n++) call(FAILURE, now);
  assert.equal(counts[STATE], OPEN);
});

test("a probe that finds all places taken, and then not, holds one permit", () => {
  const pool = pooled();
  const probed = pool.open("probed", policyOf("FREE"), 0);
  const hog = pool.open("hog", policyOf("FREE", { slowCallMs: 10_000, abandonMs: 10_000 }), 0);
  for (let n = 0; n < 3; n++) pool.onResult(probed, pool.tryAcquire(probed, 0), FAILURE, 1, 0);
  for (let n = 0; n < 65_536; n++) assert.ok(pool.tryAcquire(hog, 0) > 0);
  const now = 20_000;
  const token = pool.tryAcquire(probed, now);
  assert.ok(token > 0, "those that never came back make room");
  assert.equal(pool.tryAcquire(probed, now), REJECT_PROBES);
  assert.equal(pool.onResult(probed, token, SUCCESS, 1, now), true);
  assert.equal(pool.report(probed, now).inFlight, 0);
  assert.notEqual(pool.stateOf(probed), "half_open", "one good probe of a thin round closes it");
});

test("a pool without breakers knows none", () => {
  const pool = pooled();
  for (const handle of [0, 1, -1, 2 ** 17, Number.NaN]) {
    assert.equal(pool.tryAcquire(handle, 1), REJECT_UNKNOWN, String(handle));
    assert.throws(() => pool.stateOf(handle), { code: "SPRINT_BREAKER_UNKNOWN" });
  }
});

test("a time that is none is refused, or ignored where a call ends", () => {
  for (const nonsense of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const pool = pooled();
    const handle = pool.open("a", policyOf("FREE"), 0);
    for (const act of [
      () => pool.report(handle, nonsense),
      () => pool.look(handle, nonsense),
      () => pool.reset(handle, nonsense),
      () => pool.release(handle, nonsense),
      () => pool.snapshot(handle, nonsense),
    ])
      assert.throws(act, { code: "SPRINT_BREAKER_CLOCK" });
    for (let n = 0; n < 3; n++) pool.onResult(handle, pool.tryAcquire(handle, 1), SUCCESS, 1, nonsense);
    for (let now = 10; now < 1_000; now += 10) pool.onResult(handle, pool.tryAcquire(handle, now), SUCCESS, 1, now);
    assert.equal(pool.report(handle, 1_000).failureRate, 0, `learnt on after ${nonsense}`);
  }
});

test("a look is no use: who is only reported on is evicted", () => {
  const pool = pooled({ idleMs: 3_600_000 });
  const handle = pool.open("used once", policyOf("ENTERPRISE"), 0);
  pool.open("never used", policyOf("ENTERPRISE"), 0);
  pool.onResult(handle, pool.tryAcquire(handle, 0), SUCCESS, 1, 0);
  const reportAll = (now: number): void => {
    for (const key of pool.keys()) pool.report(pool.handleOf(key) ?? 0, now);
  };
  for (let now = 30_000; now <= 3_570_000; now += 30_000) reportAll(now);
  assert.equal(pool.tidy(3_570_000).evicted, 0);
  reportAll(3_700_000);
  assert.equal(pool.tidy(3_700_000).evicted, 2);
});

test("switches that are set on a breaker with traffic have an effect", () => {
  const pool = pooled();
  const handle = pool.open("a", policyOf("BUSINESS"), 0);
  pool.onResult(handle, pool.tryAcquire(handle, 0), SUCCESS, 1, 0);
  assert.equal(pool.report(handle, 0).predictor, null);
  pool.configure(handle, { predictive: true });
  assert.equal(pool.report(handle, 0).predictor?.on, true);
  pool.configure(handle, { predictive: false });
  assert.equal(pool.report(handle, 0).predictor, null);
});

test("a classifier that throws costs no token, and its caller gets the error of the call", async () => {
  const clock = new FakeClock();
  const pool = pooled();
  const classify = (): never => {
    throw new Error("classifier");
  };
  const guard = new Guard("a", policyOf("FREE"), { pool, clock, classify });
  await assert.rejects(
    guard.run(() => Promise.reject(new Error("refused"))),
    /refused/,
  );
  const { inFlight, failures } = pool.report(guard.handle, clock.now());
  assert.deepEqual([inFlight, failures], [0, 1]);
});

test("a guard that finds no room for its breaker rejects, and does not throw", async () => {
  const clock = new FakeClock();
  const pool = pooled({ capacity: 1 });
  const guard = new Guard("a", policyOf("FREE"), { pool, clock });
  pool.forceOpen(pool.open("b", policyOf("FREE"), clock.now()), BY, clock.now());
  const answer = guard.run(async () => 1);
  await assert.rejects(answer, { code: "SPRINT_BREAKER_FULL" });
});

test("what a listener resets stays reset: overdue calls of the epoch before are not held against the new one", () => {
  const pool: BreakerPool = new BreakerPool(
    {},
    {
      clock: { wall: () => 0 },
      random: seededRandom(1),
      onTransition: ({ handle, to, at }) => to === "open" && pool.reset(handle, at),
    },
  );
  const handle = pool.open("a", policyOf("FREE", { slowCallMs: 100, slowFloorMs: 10 }), 0);
  for (let n = 0; n < 20; n++) pool.tryAcquire(handle, 0);
  for (let now = 10; now < 1_000; now += 10) pool.look(handle, now);
  const { status } = pool.report(handle, 1_000);
  assert.ok(status.state === "closed" && status.evidence === 0, JSON.stringify(status));
});

test("while the clock stands or goes back calls are judged, counted and given back as ever; what time ends, waits", () => {
  const random = seededRandom(8);
  const pool = pooled();
  const handle = pool.open("a", policyOf("ENTERPRISE", { slowCallMs: 200 }), 0);
  const out: number[] = [];
  let now = 0;
  for (let n = 0; n < 50_000; n++) {
    const dice = random();
    now += dice < 0.02 ? -5_000 * random() : dice < 0.3 ? 0 : 60 * random();
    const token = pool.tryAcquire(handle, now);
    if (token > 0) out.push(token);
    const mood = n % 5_000 < 1_000 ? 0.9 : 0.01;
    while (out.length > 0 && random() < 0.6) {
      const [back = 0] = out.splice(Math.floor(random() * out.length), 1);
      assert.equal(pool.onResult(handle, back, random() < mood ? FAILURE : SUCCESS, 300 * random() ** 4, now), true);
    }
    if (random() > 0.05) continue;
    const { status, inFlight, requests, successes, failures, late, health } = pool.report(handle, now);
    assert.equal(inFlight, out.length);
    assert.equal(requests, successes + failures + late + inFlight);
    assert.ok(health >= 0 && health <= 1);
    if (status.state === "half_open") assert.ok(status.probes >= 0 && (status.ramp !== null || status.probes <= 10));
  }
  const opened = now;
  for (let n = 0; n < 200; n++) pool.onResult(handle, pool.tryAcquire(handle, opened), FAILURE, 1, opened);
  assert.equal(pool.stateOf(handle), "open");
  assert.ok(pool.tryAcquire(handle, opened - 60_000) < 0);
  assert.ok(pool.tryAcquire(handle, pool.probeAt(handle) ?? 0) > 0);
});

test("who failed before a restart is suspected after it, and how long its outages are is known", () => {
  const pool = pooled();
  const policy = policyOf("ENTERPRISE");
  const handle = pool.open("a", policy, 0);
  let now = 0;
  const ask = (outcome: typeof SUCCESS | typeof FAILURE): void => {
    now += 10;
    const token = pool.tryAcquire(handle, now);
    if (token > 0) pool.onResult(handle, token, outcome, 1, now);
  };
  for (let n = 0; n < 1_000; n++) ask(SUCCESS);
  for (let n = 0; n < 300; n++) ask(FAILURE);
  const during = pool.snapshot(handle, now);
  assert.equal(during.outages?.sure, true);
  while (pool.stateOf(handle) !== "closed") ask(SUCCESS);
  const saved = JSON.parse(JSON.stringify(pool.snapshot(handle, now + 30_000)));
  assert.ok(saved.outages.usualMs > 5_000 && saved.outages.usualMs < 10_000, "√(20 s · 3 s)");
  const after = pooled();
  const again = after.restore(saved, policy, 5_000);
  const { failureThreshold } = after.report(again, 5_000);
  assert.ok(Math.abs(failureThreshold - 20 * (1 - 0.5 * 2 ** -0.5)) < 0.2, `${failureThreshold}`);
  assert.ok(Math.abs((after.snapshot(again, 5_000).outages?.usualMs ?? 0) - saved.outages.usualMs) < 1e-6);
  const amid = after.restore({ ...during, key: "b" }, policy, 5_000);
  let later = 5_000;
  for (; after.stateOf(amid) !== "closed"; later += 10)
    after.onResult(amid, after.tryAcquire(amid, later), SUCCESS, 1, later);
  assert.ok(after.report(amid, later).failureThreshold <= 11, "an outage that a restart fell into");
  for (const outages of [{ ...saved.outages, usualMs: -1 }, { ...saved.outages, healthyMs: "1" }, 7])
    assert.throws(() => after.restore({ ...saved, outages }, policy, 0), { code: "SPRINT_BREAKER_STATE" });
  assert.equal(after.snapshot(after.restore({ ...saved, key: "c", outages: null }, policy, 0), 0).outages, null);
});

test("who is turned away for want of room is told the state that the breaker is in now", async () => {
  const clock = new FakeClock();
  const pool = pooled();
  const guard = new Guard("a", policyOf("FREE"), { pool, clock });
  const hog = pool.open("hog", policyOf("FREE"), clock.now());
  while (pool.tryAcquire(hog, clock.now()) > 0);
  const states: string[] = [];
  const told = (error: { state: string }): void => void states.push(error.state);
  await guard.run(async () => 1).catch(told);
  pool.forceClose(guard.handle, BY, clock.now());
  await guard.run(async () => 1).catch(told);
  assert.deepEqual(states, ["closed", "force_close"]);
});
