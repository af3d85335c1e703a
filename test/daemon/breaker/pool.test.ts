import { strict as assert } from "node:assert";
import { test } from "node:test";
import { seededRandom } from "../../../src/shared/clock.ts";
import {
  FAILURE,
  IGNORED,
  REJECT_CLOCK,
  REJECT_FORCED,
  REJECT_OPEN,
  REJECT_PROBES,
  REJECT_UNKNOWN,
  SUCCESS,
} from "../../../src/daemon/breaker/codes.ts";
import { type BreakerCondition, type BreakerTransition, TRANSITIONS } from "../../../src/daemon/breaker/machine.ts";
import { BreakerPool, type PoolOptions } from "../../../src/daemon/breaker/pool.ts";
import { type BreakerPolicy, checkPolicy, policyOf } from "../../../src/daemon/breaker/policy.ts";
import { endure } from "./invariants.ts";
import { operate } from "./operations.ts";

const BY = { owner: "ops", reason: "drill" };

function made(changes: Partial<BreakerPolicy> = {}, options: Partial<PoolOptions> = {}) {
  const transitions: BreakerTransition[] = [];
  const evicted: string[] = [];
  const pool = new BreakerPool(options, {
    clock: { wall: () => 1_750_000_000_000 },
    random: seededRandom(1),
    onTransition: (transition) => transitions.push(transition),
    onEvict: (key) => evicted.push(key),
  });
  const policy = policyOf("FREE", { failureThreshold: 3, halfOpenCalls: 4, ...changes });
  const handle = pool.open("upstream:litecoin:ltc-1", policy, 0);
  const fail = (times: number, now: number): void => {
    for (let i = 0; i < times; i++) pool.onResult(handle, pool.tryAcquire(handle, now), FAILURE, 1, now);
  };
  const succeed = (times: number, now: number): void => {
    for (let i = 0; i < times; i++) pool.onResult(handle, pool.tryAcquire(handle, now), SUCCESS, 1, now);
  };
  const probeAt = (): number => pool.probeAt(handle) ?? Number.NaN;
  return { pool, handle, policy, transitions, evicted, fail, succeed, probeAt };
}

test("the transition table, all of it", () => {
  const rows = Object.entries(TRANSITIONS).flatMap(([from, ways]) =>
    Object.entries(ways).map(([cause, to]) => `${from} ${cause} ${to}`),
  );
  assert.deepEqual(rows, [
    "closed evidence open",
    "closed latency open",
    "closed health open",
    "closed force_open force_open",
    "closed force_close force_close",
    "closed restored_open open",
    "closed restored_half_open half_open",
    "open period_over half_open",
    "open reset closed",
    "open force_open force_open",
    "open force_close force_close",
    "half_open probe_failed open",
    "half_open probe_overdue open",
    "half_open ramp_failed open",
    "half_open recovered closed",
    "half_open reset closed",
    "half_open force_open force_open",
    "half_open force_close force_close",
    "force_open released half_open",
    "force_open released_to_force_close force_close",
    "force_open reset closed",
    "force_close released closed",
    "force_close force_open force_open",
    "force_close reset closed",
  ]);
});

test("every way of the table that operators and time can take is taken, and told with its cause", () => {
  const seen = new Set<string>();
  for (const [state, reach] of Object.entries(REACH)) {
    for (const step of Object.values(STEPS)) {
      const it = made();
      reach(it);
      assert.equal(it.pool.stateOf(it.handle), state);
      step(it);
      for (const { from, cause, to } of it.transitions) {
        assert.equal(TRANSITIONS[from][cause], to);
        seen.add(`${from} ${cause}`);
      }
      assert.deepEqual(
        it.transitions.map(({ seq }) => seq),
        it.transitions.map((_, i) => i + 1),
      );
    }
  }
  for (const way of [
    "closed evidence",
    "open period_over",
    "half_open probe_failed",
    "half_open recovered",
    "half_open reset",
    "open reset",
    "open force_open",
    "half_open force_close",
    "force_open released",
    "force_open released_to_force_close",
    "force_open reset",
    "force_close released",
    "force_close force_open",
    "force_close reset",
  ]) {
    assert.ok(seen.has(way), way);
  }
});

type Made = ReturnType<typeof made>;
const REACH: Record<BreakerCondition, (it: Made) => void> = {
  closed: () => {},
  open: (it) => it.fail(3, 10),
  half_open: (it) => {
    it.fail(3, 10);
    it.pool.onResult(it.handle, it.pool.tryAcquire(it.handle, it.probeAt()), IGNORED, 1, 5_000);
  },
  force_open: (it) => {
    it.pool.forceClose(it.handle, BY, 10);
    it.pool.forceOpen(it.handle, BY, 10);
  },
  force_close: (it) => it.pool.forceClose(it.handle, BY, 10),
};
const STEPS: Record<string, (it: Made) => void> = {
  fail: (it) => it.fail(3, 200_000),
  succeed: (it) => it.succeed(4, 200_000),
  forceOpen: (it) => it.pool.forceOpen(it.handle, BY, 200_000),
  forceClose: (it) => it.pool.forceClose(it.handle, BY, 200_000),
  release: (it) => {
    it.pool.release(it.handle, 200_000);
    it.pool.release(it.handle, 200_000);
  },
  releaseAlone: (it) => {
    it.pool.reset(it.handle, 150_000);
    it.pool.forceOpen(it.handle, BY, 160_000);
    it.pool.release(it.handle, 200_000);
  },
  reset: (it) => it.pool.reset(it.handle, 200_000),
};

test("a transition tells what was known", () => {
  const { transitions, fail, handle } = made();
  fail(3, 10);
  const [opened] = transitions;
  assert.ok(opened);
  const { evidence, ...rest } = opened;
  assert.deepEqual(rest, {
    seq: 1,
    breaker: "upstream:litecoin:ltc-1",
    handle,
    from: "closed",
    to: "open",
    at: 10,
    wall: 1_750_000_000_000,
    cause: "evidence",
    forced: null,
  });
  assert.equal(evidence.failures, 3);
  assert.equal(evidence.threshold, 3);
  assert.ok(evidence.probeInMs >= 100);
});

test("random operations agree with the plain reference", () => {
  for (const seed of [11, 12]) {
    const { transitions, overdue, ramps } = operate(100_000, seed);
    assert.ok(transitions > 1_000 && overdue > 100 && ramps > 20, JSON.stringify({ transitions, overdue, ramps }));
  }
});

test("what must hold of a breaker that learns and adapts, whatever happens", () => {
  for (const seed of [21, 22]) {
    const { transitions, overdue, ramps, forced, scales } = endure(100_000, seed);
    const seen = JSON.stringify({ transitions, overdue, ramps, forced, scales });
    assert.ok(transitions > 500 && overdue > 50 && ramps > 20 && forced > 20, seen);
    assert.ok(scales[0] < 0.5 && scales[1] > 1.5, `it adapted: ${seen}`);
  }
});

test("who finds it opened by time is turned away", () => {
  const { pool, handle, fail, probeAt, transitions } = made({ slowCallMs: 100, slowFloorMs: 10 });
  fail(3, 0);
  let now = probeAt();
  assert.ok(pool.tryAcquire(handle, now) > 0);
  while (transitions.at(-1)?.cause !== "probe_overdue") {
    now += 20;
    assert.ok(pool.tryAcquire(handle, now) < 0, "the probe hangs, and nobody else is let through");
  }
});

test("a hang opens while every call is still out, and not before calls are overdue", () => {
  const { pool, handle, transitions } = made({ failureThreshold: 10, slowMultiplier: 4 });
  let now = 0;
  for (; now < 2_000; now += 10) pool.onResult(handle, pool.tryAcquire(handle, now), SUCCESS, 20, now + 5);
  const hungAt = now;
  for (; transitions.length === 0 && now < hungAt + 5_000; now += 10) pool.tryAcquire(handle, now);
  const [opened] = transitions;
  assert.equal(opened?.cause, "latency");
  const took = now - hungAt;
  assert.ok(took > 80 && took < 350, `${took} ms, for calls overdue after 80 ms`);
});

test("when our own process stands still, what waits in its sockets is not overdue", () => {
  const { pool, handle, transitions } = made({ failureThreshold: 5 });
  let now = 0;
  for (; now < 2_000; now += 10) pool.onResult(handle, pool.tryAcquire(handle, now), SUCCESS, 20, now + 5);
  const out = Array.from({ length: 10 }, () => pool.tryAcquire(handle, now));
  now += 60_000;
  assert.ok(pool.tryAcquire(handle, now) > 0);
  for (const token of out) pool.onResult(handle, token, SUCCESS, 20, now + 1);
  assert.equal(pool.report(handle, now + 1).overdue, 0);
  assert.deepEqual(transitions, []);
});

test("probes: one, then one more for each that was good; the rest is turned away, never parked", () => {
  const { pool, handle, fail, probeAt } = made({ halfOpenCalls: 10 });
  fail(3, 0);
  assert.equal(pool.tryAcquire(handle, probeAt() - 1), REJECT_OPEN);
  const now = probeAt();
  const first = pool.tryAcquire(handle, now);
  assert.ok(first > 0);
  assert.equal(pool.tryAcquire(handle, now), REJECT_PROBES);
  pool.onResult(handle, first, SUCCESS, 1, now);
  assert.ok(pool.tryAcquire(handle, now) > 0);
  assert.ok(pool.tryAcquire(handle, now) > 0);
  assert.equal(pool.tryAcquire(handle, now), REJECT_PROBES);
});

test("an ignored probe gives its permit back; a hung one expires and opens again", () => {
  const { pool, handle, fail, probeAt, transitions } = made({ slowCallMs: 100, slowFloorMs: 10 });
  fail(3, 0);
  const now = probeAt();
  pool.onResult(handle, pool.tryAcquire(handle, now), IGNORED, 1, now);
  const hung = pool.tryAcquire(handle, now);
  assert.ok(hung > 0);
  let later = now;
  while (transitions.at(-1)?.cause !== "probe_overdue" && later < now + 2_000) pool.tryAcquire(handle, (later += 20));
  assert.ok(later - now >= 200 && later - now < 500, "twice what is slow");
  assert.equal(pool.onResult(handle, hung, SUCCESS, 900, later), true);
  assert.equal(pool.stateOf(handle), "open", "a late result changes nothing");
});

test("late, doubled, unknown and foreign tokens change nothing", () => {
  const { pool, handle, policy, fail } = made();
  const other = pool.open("other", policy, 0);
  const old = pool.tryAcquire(handle, 0);
  fail(3, 0);
  assert.equal(pool.onResult(other, old, FAILURE, 1, 0), false);
  assert.equal(pool.onResult(handle, old, SUCCESS, 1, 0), true);
  for (const token of [old, 0, -1, 12_345, 2 ** 31, 1.5, Number.NaN])
    assert.equal(pool.onResult(handle, token, FAILURE, 1, 0), false, String(token));
  assert.equal(pool.faults.staleResults, 8);
  const report = pool.report(handle, 0);
  assert.equal(report.late, 1);
  assert.equal(report.inFlight, 0);
  assert.equal(pool.report(other, 0).requests, 0);
});

test("a clock that stands still, jumps or gives nonsense", () => {
  const { pool, handle, fail, succeed, probeAt } = made();
  for (const now of [Number.NaN, Number.POSITIVE_INFINITY]) assert.equal(pool.tryAcquire(handle, now), REJECT_CLOCK);
  assert.equal(pool.tryAcquire(handle, Number.NEGATIVE_INFINITY), REJECT_CLOCK);
  succeed(10, 5);
  fail(3, 5);
  assert.equal(pool.tryAcquire(handle, 5), REJECT_OPEN);
  assert.ok(probeAt() < 10_000);
  assert.ok(pool.tryAcquire(handle, 1e12) > 0, "far in the future a probe goes");
  assert.throws(() => pool.open("late", policyOf("FREE"), Number.NaN), { code: "SPRINT_BREAKER_CLOCK" });
});

test("a listener that throws is counted, and the transition holds", () => {
  const pool = new BreakerPool(
    {},
    {
      clock: { wall: () => 0 },
      random: Math.random,
      onTransition: () => {
        throw new Error("listener");
      },
    },
  );
  const handle = pool.open("x", policyOf("FREE"), 0);
  for (let i = 0; i < 3; i++) pool.onResult(handle, pool.tryAcquire(handle, 0), FAILURE, 1, 0);
  assert.equal(pool.stateOf(handle), "open");
  assert.equal(pool.faults.listenerErrors, 1);
});

test("force-open beats force-close; both say who and why, record, and end by themselves", () => {
  const { pool, handle, fail, transitions } = made();
  pool.forceClose(handle, { ...BY, forMs: 1_000 }, 0);
  fail(50, 1);
  assert.equal(pool.stateOf(handle), "force_close");
  assert.equal(pool.report(handle, 1).failures, 50);
  pool.forceOpen(handle, { owner: "ann", reason: "maintenance", forMs: 100 }, 2);
  assert.equal(pool.tryAcquire(handle, 3), REJECT_FORCED);
  pool.forceClose(handle, { ...BY, forMs: 1_000 }, 4);
  const { status } = pool.report(handle, 5);
  assert.deepEqual(status, {
    state: "force_open",
    forced: true,
    force: { owner: "ann", reason: "maintenance", until: 102 },
  });
  assert.ok(pool.tryAcquire(handle, 103) > 0, "back to force_close");
  assert.ok(pool.tryAcquire(handle, 1_005) > 0, "back to closed");
  assert.deepEqual(
    transitions.map(({ cause }) => cause),
    ["force_close", "force_open", "released_to_force_close", "released"],
  );
  assert.deepEqual(transitions[1]?.forced, { owner: "ann", reason: "maintenance", until: 102 });
  for (const wrong of [{ owner: "" }, { reason: "" }, { forMs: -1 }, { forMs: Number.NaN }]) {
    assert.throws(() => pool.forceOpen(handle, { ...BY, ...wrong }, 0), { code: "SPRINT_BREAKER_FORCE" });
  }
});

test("a configuration that cannot be is refused, naming field, expected and actual", () => {
  const wrong: [Partial<BreakerPolicy>, string][] = [
    [{ failureThreshold: Number.NaN }, "failureThreshold"],
    [{ failureThreshold: 0 }, "failureThreshold"],
    [{ halfOpenCalls: 1.5 }, "halfOpenCalls"],
    [{ resetTimeoutMs: -1 }, "resetTimeoutMs"],
    [{ firstOpenMs: 500_000 }, "firstOpenMs"],
    [{ backoffMultiplier: 3 }, "backoffMultiplier"],
    [{ badRate: 1 }, "badRate"],
    [{ slowFloorMs: 20_000 }, "slowFloorMs"],
    [{ predictive: true }, "predictive"],
    [{ adaptive: "yes" as unknown as boolean }, "adaptive"],
    [{ tresholds: 1 } as Partial<BreakerPolicy>, "tresholds"],
  ];
  for (const [changes, field] of wrong) {
    assert.throws(
      () => policyOf("FREE", changes),
      (error: { code: string; message: string; data: { field: string; expected: string } }) =>
        error.code === "SPRINT_BREAKER_OPTIONS" &&
        error.data.field === field &&
        error.message.includes("expected") &&
        error.message.includes("got"),
      field,
    );
  }
  const { pool, handle } = made();
  assert.throws(() => pool.configure(handle, { failureThreshold: 5, halfOpenCalls: -1 }), {
    code: "SPRINT_BREAKER_OPTIONS",
  });
  assert.equal(pool.policyOf(handle).failureThreshold, 3, "whole or not at all");
  pool.configure(handle, { failureThreshold: 5 });
  assert.equal(pool.report(handle, 0).failureThreshold, 5);
  assert.ok(Object.isFrozen(checkPolicy(pool.policyOf(handle))));
  assert.throws(() => new BreakerPool({ capacity: 0 }, { clock: { wall: () => 0 }, random: Math.random }), {
    code: "SPRINT_BREAKER_OPTIONS",
  });
});

test("snapshot and restore carry what remains, not when", () => {
  const { pool, handle, fail, policy, probeAt } = made();
  fail(3, 1_000);
  const left = probeAt() - 1_050;
  pool.forceOpen(pool.open("held", policy, 0), { ...BY, forMs: 500 }, 1_000);
  const open = JSON.parse(JSON.stringify(pool.snapshot(handle, 1_050)));
  const held = JSON.parse(JSON.stringify(pool.snapshot(pool.handleOf("held") ?? 0, 1_100)));
  const after = made().pool;
  const restored = after.restore(open, policy, 9_000_000);
  assert.equal(after.stateOf(restored), "open");
  assert.ok(Math.abs((after.probeAt(restored) ?? 0) - 9_000_000 - left) < 1e-6);
  const heldAgain = after.restore(held, policy, 9_000_000);
  assert.equal(after.tryAcquire(heldAgain, 9_000_399), REJECT_FORCED);
  assert.ok(after.tryAcquire(heldAgain, 9_000_400) > 0);
  assert.throws(() => after.restore({ ...open, outageMs: -1 }, policy, 0), { code: "SPRINT_BREAKER_STATE" });
});

test("at the cap the breaker unused for longest goes; what is in use never does", () => {
  const { pool, handle, policy, evicted } = made({}, { capacity: 3 });
  const busy = pool.open("busy", policy, 1);
  pool.tryAcquire(busy, 1);
  const third = pool.open("third", policy, 2);
  for (let i = 0; i < 3; i++) pool.onResult(third, pool.tryAcquire(third, 2), FAILURE, 1, 2);
  const fourth = pool.open("fourth", policy, 3);
  assert.deepEqual(evicted, ["upstream:litecoin:ltc-1"]);
  assert.equal(pool.tryAcquire(handle, 4), REJECT_UNKNOWN);
  assert.throws(() => pool.report(handle, 4), { code: "SPRINT_BREAKER_UNKNOWN" });
  assert.ok(pool.tryAcquire(fourth, 4) > 0);
  assert.throws(() => pool.open("fifth", policy, 5), { code: "SPRINT_BREAKER_FULL" });
  assert.equal(pool.size, 3);
});

test("tidy evicts what is idle and gives lost calls up", () => {
  const { pool, handle, evicted } = made({ abandonMs: 60_000 }, { idleMs: 120_000 });
  const lost = pool.tryAcquire(handle, 0);
  assert.deepEqual(pool.tidy(59_000), { evicted: 0, abandoned: 0 });
  assert.deepEqual(pool.tidy(60_000), { evicted: 0, abandoned: 1 });
  assert.equal(pool.report(handle, 60_000).inFlight, 0);
  assert.equal(pool.onResult(handle, lost, FAILURE, 1, 60_000), false);
  assert.deepEqual(pool.tidy(600_000), { evicted: 1, abandoned: 0 });
  assert.deepEqual(evicted, ["upstream:litecoin:ltc-1"]);
});

test("more calls out than the table began with, in any order of return", () => {
  const { pool, handle } = made();
  const random = seededRandom(3);
  const out: number[] = [];
  for (let n = 0; n < 20_000; n++) {
    if (random() < 0.6 || out.length === 0) {
      const token = pool.tryAcquire(handle, 0);
      assert.ok(token > 0 && !out.includes(token));
      out.push(token);
    } else {
      const [token] = out.splice(Math.floor(random() * out.length), 1);
      assert.equal(pool.onResult(handle, token ?? 0, SUCCESS, 1, 0), true);
    }
  }
  assert.equal(pool.report(handle, 0).inFlight, out.length);
  assert.ok(out.length > 3_000);
});

test("a lost call is given up in time where the low 32 bits of the clock turn over", () => {
  const { pool, policy } = made({ abandonMs: 60_000 });
  for (const turn of [2 ** 31, 2 ** 32, 3 * 2 ** 31]) {
    const handle = pool.open(`at ${turn}`, policy, turn - 1_000);
    assert.ok(pool.tryAcquire(handle, turn - 1_000) > 0);
    assert.equal(pool.tidy(turn + 58_000).abandoned, 0);
    assert.equal(pool.tidy(turn + 59_000).abandoned, 1);
  }
});

test("breakers that were there before the pool grew are the same after it", () => {
  const { pool, handle, policy, fail } = made();
  fail(3, 0);
  const token = pool.tryAcquire(pool.open("early", policy, 0), 0);
  const late = Array.from({ length: 40 }, (_, n) => pool.open(`late ${n}`, policy, 0));
  assert.equal(pool.tryAcquire(handle, 1), REJECT_OPEN);
  assert.equal(pool.report(handle, 1).rejected, 1);
  assert.equal(pool.onResult(pool.handleOf("early") ?? 0, token, SUCCESS, 1, 1), true);
  for (const one of late) assert.equal(pool.onResult(one, pool.tryAcquire(one, 1), SUCCESS, 1, 1), true);
  assert.deepEqual(
    late.map((one) => pool.report(one, 1).successes),
    late.map(() => 1),
  );
});

test("where traffic is dense recovery is a ramp; one bad stretch of it opens again", () => {
  const { pool, handle, transitions } = made({ halfOpenCalls: 2 });
  let now = 0;
  const at100 = (outcome: typeof SUCCESS | typeof FAILURE): number => {
    now += 10;
    const token = pool.tryAcquire(handle, now);
    if (token > 0) pool.onResult(handle, token, outcome, 1, now);
    return token;
  };
  for (let i = 0; i < 300; i++) at100(SUCCESS);
  while (pool.stateOf(handle) === "closed") at100(FAILURE);
  const ramp = (): number | null => {
    const { status } = pool.report(handle, now);
    return status.state === "half_open" ? status.ramp : null;
  };
  while (ramp() === null) at100(SUCCESS);
  assert.equal(ramp(), 0.5);
  const answers = Array.from({ length: 8 }, () => at100(SUCCESS) > 0);
  assert.equal(answers.filter(Boolean).length, 4);
  while (pool.stateOf(handle) === "half_open") at100(FAILURE);
  assert.equal(transitions.at(-1)?.cause, "ramp_failed");
});

test("a hang is seen by who looks without asking: calls out too long open it", () => {
  let now = 0;
  const opened: string[] = [];
  const pool = new BreakerPool(
    {},
    { clock: { wall: () => now }, random: seededRandom(1), onTransition: ({ cause }) => void opened.push(cause) },
  );
  const handle = pool.open("a", policyOf("FREE", { slowCallMs: 100 }), now);
  for (let call = 0; call < 8; call++) assert.ok(pool.tryAcquire(handle, now) > 0);
  assert.equal(pool.look(handle, now), "closed");
  for (now = 10; pool.look(handle, now) === "closed"; now += 10) assert.ok(now < 300);
  assert.deepEqual(opened, ["latency"]);
  now += 3_600_000;
  assert.equal(pool.look(handle, now), "open", "a look is no probe");
});

test("an opening tells the threshold that its evidence was held against", () => {
  let now = 0;
  const told: { readonly bad: number; readonly threshold: number }[] = [];
  const pool = new BreakerPool(
    {},
    { clock: { wall: () => now }, random: seededRandom(1), onTransition: ({ evidence }) => void told.push(evidence) },
  );
  const handle = pool.open("a", policyOf("ENTERPRISE"), now);
  for (; pool.stateOf(handle) === "closed"; now += 10) {
    const token = pool.tryAcquire(handle, now);
    pool.onResult(handle, token, now < 3_000 ? SUCCESS : FAILURE, 5, now);
  }
  const [{ bad, threshold } = assert.fail()] = told;
  assert.ok(bad >= threshold && bad < threshold + 1, `${bad} of ${threshold}`);
});
