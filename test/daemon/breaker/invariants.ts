/**
 * Random operations on breakers of the real tiers, which learn and adapt, so that no plain reference could follow them: what must hold all the same, checked after
 * each operation. Throws on the first that does not.
 */
import { strict as assert } from "node:assert";
import { seededRandom } from "../../../src/shared/clock.ts";
import { TIERS } from "../../../src/shared/tier.ts";
import type { OutcomeCode } from "../../../src/daemon/breaker/codes.ts";
import type { BreakerTransition } from "../../../src/daemon/breaker/machine.ts";
import { BreakerPool } from "../../../src/daemon/breaker/pool.ts";
import { type BreakerPolicy, policyOf } from "../../../src/daemon/breaker/policy.ts";

export interface Endured {
  readonly operations: number;
  readonly transitions: number;
  readonly overdue: number;
  readonly ramps: number;
  readonly forced: number;
  /** Least and most of threshold over base that was seen. */
  readonly scales: readonly [number, number];
}

/** What its upstream does, for a while: share of errors, share of slow calls, share of calls that never come back in time. */
const MOODS = [
  [0.001, 0, 0],
  [0.01, 0.01, 0],
  [0.3, 0, 0],
  [0.6, 0, 0],
  [1, 0, 0],
  [0, 0.9, 0],
  [0.05, 0, 0.95],
] as const;

interface Subject {
  readonly handle: number;
  readonly policy: BreakerPolicy;
  /** Calls a second. */
  readonly rate: number;
  readonly out: { token: number; readonly at: number; readonly dueAt: number; readonly outcome: OutcomeCode }[];
  readonly forces: { open: number | null; close: number | null };
  mood: (typeof MOODS)[number];
  now: number;
  since: number;
  seen: { overdue: number; late: number };
}

export function endure(operations: number, seed: number): Endured {
  const random = seededRandom(seed);
  let [transitions, ramps, forced] = [0, 0, 0];
  let scales: [number, number] = [Number.POSITIVE_INFINITY, 0];
  let acting: "operator" | "call" = "call";
  let subject: Subject | undefined;
  const onTransition = (transition: BreakerTransition): void => {
    assert.equal(transition.seq, ++transitions, "a gap in the sequence");
    const it = subject;
    if (it === undefined || !transition.from.startsWith("force")) return;
    forced++;
    const side = transition.from === "force_open" ? "open" : "close";
    const until = it.forces[side];
    // A forced state ends by an operator's hand or when its time is over, whatever its upstream does.
    assert.ok(acting === "operator" || (until !== null && transition.at >= until), `left ${transition.from} by itself`);
  };
  const pool = new BreakerPool({ capacity: 16 }, { clock: { wall: () => 0 }, random, onTransition });
  const subjects: Subject[] = TIERS.flatMap((tier) =>
    [3, 20, 200].map((rate) => {
      const policy = policyOf(tier, { resetTimeoutMs: 2_000, slowCallMs: 500 });
      const handle = pool.open(`${tier} ${rate}`, policy, 0);
      const seen = { overdue: 0, late: 0 };
      return {
        handle,
        policy,
        rate,
        out: [],
        forces: { open: null, close: null },
        mood: MOODS[0],
        now: 0,
        since: 0,
        seen,
      };
    }),
  );

  for (let n = 0; n < operations; n++) {
    const it = subjects[Math.floor(random() * subjects.length)] as Subject;
    subject = it;
    if (random() < 0.002) it.mood = MOODS[Math.floor(random() * MOODS.length)] as Subject["mood"];
    it.now += (1_000 / it.rate) * -Math.log(1 - random()) * (random() < 0.001 ? 1_000 : 1);
    acting = "call";
    back(pool, it);
    if (random() < 0.001) {
      acting = "operator";
      operator(random, pool, it);
    } else ask(random, pool, it);
    // What one breaker must be is a report away; each look is as good as each other, so not all are taken.
    if (random() < 0.2) {
      const scale = holds(pool, it);
      scales = [Math.min(scales[0], scale.share), Math.max(scales[1], scale.share)];
      if (scale.ramp) ramps++;
    }
  }
  const overdue = subjects.reduce((sum, { seen }) => sum + seen.overdue, 0);
  return { operations, transitions, overdue, ramps, forced, scales };
}

/** Gives back what has ended until now. */
function back(pool: BreakerPool, it: Subject): void {
  it.out.sort((a, b) => b.dueAt - a.dueAt);
  for (let last = it.out.at(-1); last !== undefined && last.dueAt <= it.now; last = it.out.at(-1)) {
    it.out.pop();
    assert.ok(pool.onResult(it.handle, last.token, last.outcome, last.dueAt - last.at, it.now), "a token was lost");
    assert.equal(pool.onResult(it.handle, last.token, 1, 1, it.now), false, "a token came back twice");
  }
}

function ask(random: () => number, pool: BreakerPool, it: Subject): void {
  const token = pool.tryAcquire(it.handle, it.now);
  const state = pool.stateOf(it.handle);
  if (token <= 0) {
    assert.notEqual(state, "closed", "a closed breaker turned a caller away");
    assert.notEqual(state, "force_close", "one that is forced to pass turned a caller away");
    return;
  }
  assert.notEqual(state, "open", "an open breaker let a caller through");
  assert.notEqual(state, "force_open", "one that is forced open let a caller through");
  const [errors, slow, hung] = it.mood;
  const dice = random();
  const took = 20 * (0.7 + 0.6 * random());
  const lasts = dice < hung ? 3_000 : random() < slow ? 10 * took : took;
  const outcome: OutcomeCode = dice < hung || random() < errors ? 1 : random() < 0.02 ? 2 : 0;
  it.out.push({ token, at: it.now, dueAt: it.now + lasts, outcome });
}

function operator(random: () => number, pool: BreakerPool, it: Subject): void {
  const { handle, now, forces } = it;
  pool.report(handle, now);
  const state = pool.stateOf(handle);
  const dice = random();
  const forMs = 100 + random() * 10_000;
  const by = { owner: "ops", reason: "drill", forMs };
  if (dice < 0.3) {
    pool.forceOpen(handle, by, now);
    forces.open = now + forMs;
  } else if (dice < 0.6) {
    pool.forceClose(handle, by, now);
    forces.close = now + forMs;
  } else if (dice < 0.8) {
    if (pool.release(handle, now)) forces[state === "force_open" ? "open" : "close"] = null;
  } else {
    pool.reset(handle, now);
    forces.open = null;
    forces.close = null;
    assert.equal(pool.stateOf(handle), "closed");
  }
}

function holds(pool: BreakerPool, it: Subject): { readonly share: number; readonly ramp: boolean } {
  const { handle, policy, now } = it;
  const report = pool.report(handle, now);
  const base = policy.failureThreshold;
  const { failureThreshold: threshold, status } = report;
  // Half of the base to twice as much by adaptation; health and suspicion take more away, but never leave less than two bad calls in a row.
  assert.ok(threshold >= Math.min(2, base / 2) && threshold >= 1 && threshold <= 2 * base, `threshold ${threshold}`);
  if (!policy.adaptive) assert.equal(threshold, base);
  assert.ok(report.health >= 0 && report.health <= 1);
  assert.ok(report.since >= it.since && report.since <= now, "an epoch of the past");
  it.since = report.since;
  assert.equal(report.inFlight, it.out.length, "in flight");
  assert.equal(
    report.requests,
    report.successes + report.failures + report.ignored + report.late + report.inFlight,
    "a call was counted twice or not at all",
  );
  assert.ok(report.overdue >= it.seen.overdue && report.overdue <= report.requests, "overdue");
  assert.ok(report.late >= it.seen.late, "late");
  it.seen = { overdue: report.overdue, late: report.late };
  let ramp = false;
  if (status.state === "closed") assert.ok(status.evidence >= 0 && status.evidence <= 2 * base, "evidence");
  if (status.state === "open") assert.ok(status.probeAt <= report.since + 3 * policy.resetTimeoutMs, "open for ever");
  if (status.state === "half_open") {
    ramp = status.ramp !== null;
    assert.ok(status.probes >= 0, "probes");
    assert.ok(status.permits >= 1 && status.permits <= policy.halfOpenCalls, "permits");
    if (!ramp) assert.ok(status.probes <= policy.halfOpenCalls, "more probes than permits");
  }
  return { share: threshold / base, ramp };
}
