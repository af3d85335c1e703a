import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { createBreaker, type Outcome, type Transition } from "../../../src/daemon/breaker/index.ts";

function breaker(numbers: { failureThreshold?: number; resetTimeoutMs?: number; halfOpenCalls?: number } = {}) {
  const transitions: Transition[] = [];
  const made = createBreaker(
    { name: "upstream:litecoin:ltc-1", failureThreshold: 3, resetTimeoutMs: 100, halfOpenCalls: 2, ...numbers },
    { onTransition: (transition) => transitions.push(transition) },
  );
  return { breaker: made, transitions };
}

function failTimes(target: ReturnType<typeof breaker>["breaker"], times: number, now: number): void {
  for (let i = 0; i < times; i++) target.onResult(target.tryAcquire(now), "failure", now, "refused");
}

test("opens at the threshold and not before", () => {
  const { breaker: b, transitions } = breaker();
  failTimes(b, 2, 10);
  assert.equal(b.snapshot(10).state, "closed");
  failTimes(b, 1, 11);
  assert.deepEqual(transitions, [
    { breaker: "upstream:litecoin:ltc-1", from: "closed", to: "open", at: 11, cause: "3 failures in a row" },
  ]);
  assert.equal(b.tryAcquire(110), 0);
  assert.deepEqual(b.snapshot(110), {
    name: "upstream:litecoin:ltc-1",
    state: "open",
    failures: 3,
    requests: 3,
    rejected: 1,
    nextAttemptAt: 111,
    lastError: "refused",
  });
});

test("a success between failures starts the count again; an ignored result does not", () => {
  const { breaker: b } = breaker();
  failTimes(b, 2, 0);
  b.onResult(b.tryAcquire(0), "success", 0);
  failTimes(b, 2, 0);
  b.onResult(b.tryAcquire(0), "ignored", 0);
  assert.equal(b.snapshot(0).state, "closed");
  failTimes(b, 1, 0);
  assert.equal(b.snapshot(0).state, "open");
});

test("half-open lets its probes through, no more, and closes when all succeeded", () => {
  const { breaker: b, transitions } = breaker();
  failTimes(b, 3, 0);
  const first = b.tryAcquire(100);
  const second = b.tryAcquire(100);
  assert.ok(first > 0 && second > 0);
  assert.equal(b.tryAcquire(100), 0);
  b.onResult(first, "success", 101);
  assert.equal(b.snapshot(101).state, "half_open");
  assert.equal(b.tryAcquire(101), 0, "a success is no new permit");
  b.onResult(second, "success", 102);
  assert.deepEqual(
    transitions.map((t) => t.to),
    ["open", "half_open", "closed"],
  );
  assert.equal(b.snapshot(102).nextAttemptAt, null);
});

test("one failed probe opens it again for the whole period", () => {
  const { breaker: b } = breaker();
  failTimes(b, 3, 0);
  b.onResult(b.tryAcquire(100), "failure", 150, "again");
  assert.equal(b.tryAcquire(249), 0);
  assert.ok(b.tryAcquire(250) > 0);
});

test("an ignored probe gives its permit back", () => {
  const { breaker: b } = breaker({ halfOpenCalls: 1 });
  failTimes(b, 3, 0);
  b.onResult(b.tryAcquire(100), "ignored", 100);
  assert.ok(b.tryAcquire(100) > 0);
});

test("probes whose result never comes do not lock it", () => {
  const { breaker: b } = breaker({ halfOpenCalls: 1 });
  failTimes(b, 3, 0);
  const lost = b.tryAcquire(100);
  assert.equal(b.tryAcquire(199), 0);
  assert.equal(b.snapshot(199).nextAttemptAt, 200);
  const next = b.tryAcquire(200);
  assert.ok(next > 0 && next !== lost);
  b.onResult(lost, "failure", 201, "late");
  assert.equal(b.snapshot(201).state, "half_open", "the lost probe's result is of an older round");
  b.onResult(next, "success", 202);
  assert.equal(b.snapshot(202).state, "closed");
});

test("a late result of an older epoch changes nothing", () => {
  const { breaker: b } = breaker({ failureThreshold: 1, halfOpenCalls: 1 });
  const old = b.tryAcquire(0);
  failTimes(b, 1, 0);
  b.onResult(old, "success", 1);
  assert.equal(b.snapshot(1).state, "open");
  const probe = b.tryAcquire(100);
  b.onResult(old, "failure", 101, "late");
  assert.equal(b.snapshot(101).state, "half_open");
  b.onResult(probe, "success", 102);
  b.onResult(old, "failure", 103, "late");
  assert.equal(b.snapshot(103).state, "closed");
});

test("numbers that make no breaker are refused", () => {
  for (const wrong of [{ failureThreshold: 0 }, { halfOpenCalls: 1.5 }, { resetTimeoutMs: Number.NaN }]) {
    assert.throws(() => breaker(wrong), { code: "SPRINT_BREAKER_OPTIONS" });
  }
});

/** Any run of calls: ask, or answer one of the permits that are out, or let time go by. */
const step = fc.oneof(
  fc.record({ do: fc.constant("ask" as const) }),
  fc.record({
    do: fc.constant("answer" as const),
    pick: fc.nat(1000),
    outcome: fc.constantFrom<Outcome>("success", "failure", "ignored"),
  }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 60 }) }),
);

test("invariants hold over any run", () => {
  const options = fc.record({
    failureThreshold: fc.integer({ min: 1, max: 4 }),
    halfOpenCalls: fc.integer({ min: 1, max: 4 }),
    resetTimeoutMs: fc.integer({ min: 1, max: 100 }),
  });
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 200 }), (numbers, steps) => {
      const { breaker: b, transitions } = breaker(numbers);
      const out: { permit: number; at: number; epochOfGrant: number }[] = [];
      let now = 0;
      let asked = 0;
      let openedAt = Number.NEGATIVE_INFINITY;
      let failuresSinceSuccess = 0;
      for (const s of steps) {
        const seen = transitions.length;
        const before = b.snapshot(now);
        if (s.do === "wait") now += s.ms;
        else if (s.do === "ask") {
          asked++;
          const permit = b.tryAcquire(now);
          const stateNow = b.snapshot(now).state;
          if (before.state === "closed") assert.ok(permit > 0, "closed lets everything through");
          if (stateNow === "open")
            assert.ok(permit === 0 && now < openedAt + numbers.resetTimeoutMs, "open rejects, for its period only");
          if (permit > 0) out.push({ permit, at: now, epochOfGrant: transitions.length });
          if (stateNow === "half_open") {
            const given = out.filter((p) => p.permit === permit).length;
            assert.ok(
              permit === 0 || given <= numbers.halfOpenCalls,
              "half-open never has more probes out than allowed",
            );
          }
        } else if (out.length > 0) {
          const [taken] = out.splice(s.pick % out.length, 1);
          assert.ok(taken);
          b.onResult(taken.permit, s.outcome, now);
          if (taken.epochOfGrant !== seen) assert.equal(transitions.length, seen, "late results change nothing");
          else if (before.state === "closed" && s.outcome === "failure") failuresSinceSuccess++;
          else if (before.state === "closed" && s.outcome === "success") failuresSinceSuccess = 0;
          if (taken.epochOfGrant === seen && before.state === "closed") {
            assert.equal(b.snapshot(now).state, failuresSinceSuccess >= numbers.failureThreshold ? "open" : "closed");
          }
        }
        assert.ok(transitions.length - seen <= 1, "one step changes the state once at most");
        for (const t of transitions.slice(seen)) {
          assert.equal(t.from, before.state);
          assert.ok(
            ["closed>open", "open>half_open", "half_open>open", "half_open>closed"].includes(`${t.from}>${t.to}`),
          );
          if (t.to === "open") openedAt = now;
          if (t.to === "half_open")
            assert.ok(now >= openedAt + numbers.resetTimeoutMs, "not before the open period is over");
          if (t.to === "closed") failuresSinceSuccess = 0;
        }
        const after = b.snapshot(now);
        assert.equal(after.requests + after.rejected, asked);
        assert.equal(after.nextAttemptAt === null, after.state === "closed");
      }
      // Whatever happened, whoever waits is let through in the end.
      assert.ok(b.tryAcquire(now + numbers.resetTimeoutMs) > 0);
    }),
    { seed: 20250905, numRuns: 2000 },
  );
});
