/** Random operations on a pool and on the reference at once; throws on the first disagreement. `node test/daemon/breaker/operations.ts 10000000 7` runs so many. */
import { strict as assert } from "node:assert";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../../src/shared/clock.ts";
import type { OutcomeCode } from "../../../src/daemon/breaker/codes.ts";
import { type BreakerTransition, TRANSITIONS } from "../../../src/daemon/breaker/machine.ts";
import { BreakerPool } from "../../../src/daemon/breaker/pool.ts";
import { type BreakerPolicy, policyOf } from "../../../src/daemon/breaker/policy.ts";
import { endure } from "./invariants.ts";
import { ReferenceBreaker } from "./reference.ts";

export interface Tally {
  readonly operations: number;
  readonly transitions: number;
  readonly admitted: number;
  readonly stale: number;
  readonly overdue: number;
  readonly ramps: number;
}

/** One in two has a limit that calls in flight reach, one in two a ramp. What is slow does not move: adaptation is `invariants.ts`'s. */
function policyFrom(random: () => number, n: number): BreakerPolicy {
  const census = n % 2 === 1;
  const slowCallMs = census ? 50 + Math.floor(random() * 300) : 1e7;
  return policyOf("FREE", {
    failureThreshold: 1 + Math.floor(random() * (census ? 4 : 6)),
    halfOpenCalls: 1 + Math.floor(random() * 10),
    resetTimeoutMs: 500,
    firstOpenMs: 20,
    slowCallMs,
    slowFloorMs: slowCallMs,
    abandonMs: 86_400_000,
    rampFromPerSecond: n >= 2 ? 1 : 1e9,
    latency: census,
  });
}

export function operate(operations: number, seed: number): Tally {
  const random = seededRandom(seed);
  let last: BreakerTransition | undefined;
  let [transitions, admitted, stale, ramps] = [0, 0, 0, 0];
  const onTransition = (transition: BreakerTransition): void => {
    assert.equal(transition.seq, ++transitions, "a gap in the sequence");
    assert.equal(TRANSITIONS[transition.from][transition.cause], transition.to, "not in the table");
    last = transition;
    if (random() < 0.01) throw new Error("a listener that throws");
  };
  const pool = new BreakerPool({ capacity: 8 }, { clock: { wall: () => 0 }, random, onTransition });
  let now = 0;
  const breakers = Array.from({ length: 4 }, (_, n) => {
    const policy = policyFrom(random, n);
    const handle = pool.open(`upstream:${n}`, policy, now);
    const reference = new ReferenceBreaker(policy, now);
    // With its first result a breaker has a window, and looks at runs of slow calls.
    const first = pool.tryAcquire(handle, now);
    reference.asks(now, () => undefined);
    reference.admitted(first);
    pool.onResult(handle, first, 0, 1, now);
    reference.result(first, 0, 1, now, 0, () => undefined);
    return {
      handle,
      reference,
      policy,
      given: [] as number[],
      used: [] as number[],
    };
  });
  const opened = (): BreakerTransition | undefined => last;

  for (let n = 0; n < operations; n++) {
    const breaker = breakers[Math.floor(random() * breakers.length)];
    assert.ok(breaker);
    const { handle, reference, policy, given, used } = breaker;
    let dice = random();
    // Operators come seldom, or no epoch would live to see its calls overdue.
    if (dice >= 0.96 && dice < 0.98 && random() < 0.8) dice = 0;
    if (dice < 0.42 && given.length < 40) {
      const token = pool.tryAcquire(handle, now);
      const expected = reference.asks(now, opened);
      assert.equal(token > 0, expected, `operation ${n}: admitted`);
      assert.equal(pool.stateOf(handle), reference.state, `operation ${n}: state`);
      if (token > 0) assert.notEqual(reference.state, "open");
      if (token > 0) {
        admitted++;
        reference.admitted(token);
        given.push(token);
      }
    } else if (dice < 0.84) {
      const at = Math.floor(random() * given.length);
      const token = given[at];
      if (token !== undefined) {
        given[at] = given.at(-1) as number;
        given.pop();
        if (used.length < 64) used.push(token);
        // Where calls may be overdue, failures alone seldom open it.
        const outcome = (random() < (policy.latency ? 0.1 : 0.45) ? 1 : random() < 0.9 ? 0 : 2) as OutcomeCode;
        const latencyMs = policy.slowCallMs * (random() < 0.2 ? 1 + 2 * random() : random() / 10);
        const rate = reference.state === "half_open" ? pool.report(handle, now).ratePerSecond : 0;
        const known = pool.onResult(handle, token, outcome, latencyMs, now);
        const ramp = reference.ramp;
        assert.equal(known, reference.result(token, outcome, latencyMs, now, rate, opened));
        assert.equal(pool.stateOf(handle), reference.state, `operation ${n}: state`);
        if (reference.ramp > ramp) ramps++;
        if (reference.state === "closed") {
          const { status } = pool.report(handle, now);
          assert.ok(status.state === "closed" && Math.abs(status.evidence - reference.bad) < 1e-9, "evidence");
        }
      }
    } else if (dice < 0.93) now += random() < 0.05 ? random() * 5_000 : random() < 0.5 ? random() * 40 : 0;
    else if (dice < 0.96) {
      const wrong = [
        used[Math.floor(random() * used.length)] ?? 0,
        0,
        -1,
        Math.floor(random() * 2 ** 31),
        Number.NaN,
        1.5,
      ];
      const token = wrong[Math.floor(random() * wrong.length)] as number;
      if (!reference.out.has(token)) {
        assert.equal(pool.onResult(handle, token, 1, 1, now), false, "a token that is not out");
        stale++;
      }
    } else if (dice < 0.98) operator(random, pool, handle, reference, now);
    else {
      reference.look(now);
      const report = pool.report(handle, now);
      const { requests, successes, failures, ignored, slow, overdue, rejected, late } = report;
      assert.deepEqual({ requests, successes, failures, ignored, slow, overdue, rejected, late }, reference.counts);
      assert.equal(report.inFlight, reference.out.size);
      assert.equal(report.status.state, reference.state);
      if (report.status.state === "half_open") {
        assert.equal(report.status.probes, reference.probes);
        assert.equal(report.status.successes, reference.successes);
        assert.equal(report.status.permits, reference.permits);
        assert.equal(report.status.ramp, reference.ramp === 0 ? null : [0.5, 0.75][reference.ramp - 1]);
        assert.ok(report.status.probes >= 0);
        if (reference.ramp === 0) assert.ok(report.status.probes <= policy.halfOpenCalls);
      }
      if (report.status.state === "closed") assert.ok(Math.abs(report.status.evidence - reference.bad) < 1e-9);
      if (report.nextAttemptAt !== null) assert.ok(Math.abs(report.nextAttemptAt - reference.probeAt) < 1e-3);
      if (report.nextAttemptAt !== null) reference.probeAt = report.nextAttemptAt;
    }
  }
  assert.equal(
    pool.faults.callsOut,
    breakers.reduce((sum, { reference }) => sum + reference.out.size, 0),
    "a permit leaked",
  );
  const overdue = breakers.reduce((sum, { reference }) => sum + reference.counts.overdue, 0);
  return { operations, transitions, admitted, stale, overdue, ramps };
}

function operator(
  random: () => number,
  pool: BreakerPool,
  handle: number,
  reference: ReferenceBreaker,
  now: number,
): void {
  const dice = random();
  const forMs = 1 + random() * 50;
  const by = { owner: "ops", reason: "drill", forMs };
  reference.look(now);
  pool.report(handle, now);
  if (dice < 0.3) {
    pool.forceOpen(handle, by, now);
    reference.hold("open", now + forMs, now);
  } else if (dice < 0.6) {
    pool.forceClose(handle, by, now);
    reference.hold("close", now + forMs, now);
  } else if (dice < 0.8) {
    const forced = reference.state.startsWith("force");
    assert.equal(pool.release(handle, now), forced);
    if (forced) reference.release(now);
  } else {
    pool.reset(handle, now);
    reference.reset(now);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const operations = Number(process.argv[2] ?? 10_000_000);
  const seed = Number(process.argv[3] ?? 1);
  console.log(JSON.stringify({ seed, against: "reference", ...operate(operations, seed), violations: 0 }));
  console.log(JSON.stringify({ seed, against: "invariants", ...endure(operations, seed), violations: 0 }));
}
