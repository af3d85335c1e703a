/**
 * The core: admission and result of every breaker of a pool, over columns of numbers. No timers: what time changes is computed when somebody asks.
 * No allocation on the way through; what is rare (a look at the window each 100 ms, a transition) is in methods of its own.
 */
import type { Random } from "../../shared/clock.ts";
import { decayed, nextOpenMs } from "./backoff.ts";
import { Calls } from "./calls.ts";
import { type Columns, clearRow, createColumns, growColumns } from "./columns.ts";
import { Detail } from "./detail.ts";
import type { EvidenceRule } from "./evidence.ts";
import { EARLY_SHARE, UNHEALTHY } from "./health.ts";
import { binOf } from "./histogram.ts";
import { LatencyBaseline, NO_CALLS, consensus, pushRecent, slowFromMs } from "./latency.ts";
import {
  CLOSED,
  CONDITIONS,
  FORCE_CLOSE,
  FORCE_OPEN,
  HALF_OPEN,
  OPEN,
  TRANSITIONS,
  type TransitionCause,
} from "./machine.ts";
import type { BreakerPolicy } from "./policy.ts";
import { PREDICTOR_SHARE } from "./predictor.ts";
import { probeAfterMs, probeSpacingMs } from "./recovery.ts";

export const SUCCESS = 0;
export const FAILURE = 1;
export const IGNORED = 2;
export type OutcomeCode = typeof SUCCESS | typeof FAILURE | typeof IGNORED;

export const REJECT_OPEN = -1;
/** Half-open, and its permits are out. */
export const REJECT_PROBES = -2;
/** Half-open, and not of the share that is admitted. */
export const REJECT_RAMP = -3;
export const REJECT_FORCED = -4;
/** As many calls are out as a pool can hold. */
export const REJECT_FULL = -5;
/** No such breaker, or one that was evicted. */
export const REJECT_UNKNOWN = -6;
/** `now` is no finite number. */
export const REJECT_CLOCK = -7;

export const ROW_BITS = 17;
const ROW_MASK = (1 << ROW_BITS) - 1;
const TICK_MS = 100;
/** How long an answer may wait in a socket while our own process stood still. */
const STANDSTILL_MS = 10;
const RATE_MS = 3_000;
const SEEN_OVERDUE = 1;
const COUNTED = 2;
/** A probe may take longer: caches are cold. */
const PROBE_PATIENCE = 2;
const RAMP = [0.5, 0.75];
const RAMP_CALLS = 8;
/** After a recovery the evidence starts here, of the threshold: good calls take it away, bad ones find it half done. */
const PROBATION = 0.5;
/** After so long an outage what was usual before it says nothing. */
const FORGET_BASELINE_MS = 600_000;

export interface EngineModules {
  readonly random: Random;
  /** State has changed already. May throw: the owner guards it. */
  readonly onTransition: (row: number, from: number, to: number, cause: TransitionCause, now: number) => void;
  readonly policyOf: (row: number) => BreakerPolicy;
  readonly ruleOf: (row: number) => EvidenceRule;
  /** Ends forced states whose time is over; called only in forced states. */
  readonly expire: (row: number, now: number) => void;
}

export class Engine {
  readonly columns: Columns;
  readonly calls = new Calls();
  readonly details: (Detail | null)[] = [];
  readonly #modules: EngineModules;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(rows: number, modules: EngineModules) {
    this.columns = createColumns(rows);
    this.#modules = modules;
  }

  // --- rows

  grow(rows: number): void {
    growColumns(this.columns, rows);
  }

  begin(row: number, tag: number, policy: number, now: number): void {
    const c = this.columns;
    const generation = c.generation[row] as number;
    clearRow(c, row);
    c.generation[row] = generation + 1;
    c.tag[row] = tag;
    c.policy[row] = policy;
    c.since[row] = now;
    c.seenAt[row] = now;
    c.tickAt[row] = now;
    c.failedAt[row] = now;
    c.health[row] = 1;
    this.details[row] = null;
    this.#enter(row, CLOSED, now);
    this.adopt(row);
  }

  /** Takes on a new policy: thresholds from now on, counts and state as they are. */
  adopt(row: number): void {
    const c = this.columns;
    c.slowFromMs[row] = this.#slowFrom(row);
    c.threshold[row] = this.#thresholdOf(row);
  }

  end(row: number): void {
    const c = this.columns;
    c.generation[row] = (c.generation[row] as number) + 1;
    c.tag[row] = 0;
    this.details[row] = null;
  }

  // --- the call path

  tryAcquire(handle: number, now: number): number {
    const c = this.columns;
    const row = handle & ROW_MASK;
    if (c.tag[row] !== handle || handle === 0) return REJECT_UNKNOWN;
    if (now - now !== 0) return REJECT_CLOCK;
    (c.asked[row] as number)++;
    if (now >= (c.overdueAt[row] as number)) this.#census(row, now);
    if (c.gate[row] !== CLOSED) {
      const refusal = this.#gated(row, now);
      if (refusal < 0) {
        (c.rejected[row] as number)++;
        c.seenAt[row] = now;
        return refusal;
      }
    }
    const calls = this.calls;
    let slot = calls.take();
    if (slot < 0) {
      slot = this.#takeAfterSweep(now);
      if (slot < 0) {
        (c.rejected[row] as number)++;
        return REJECT_FULL;
      }
    }
    if (c.gate[row] === HALF_OPEN) (c.probes[row] as number)++;
    calls.owner[slot] = row;
    calls.startedAt[slot] = now;
    calls.generation[slot] = c.generation[row] as number;
    calls.marks[slot] = 0;
    calls.next[slot] = -1;
    const tail = c.tail[row] as number;
    calls.previous[slot] = tail;
    if (tail >= 0) calls.next[tail] = slot;
    c.tail[row] = slot;
    if ((c.cursor[row] as number) < 0) this.#watch(row, slot);
    (c.inFlight[row] as number)++;
    (c.requests[row] as number)++;
    c.seenAt[row] = now;
    return calls.tokenOf(slot);
  }

  /** False where the token is not one that is out: unknown, given back before, or of another breaker. */
  onResult(handle: number, token: number, outcome: number, latencyMs: number, at: number): boolean {
    const c = this.columns;
    const row = handle & ROW_MASK;
    const calls = this.calls;
    const slot = calls.slotOf(token);
    if (slot < 0 || calls.owner[slot] !== row || c.tag[row] !== handle) return false;
    const now = at - at === 0 ? at : (c.seenAt[row] as number);
    const current = calls.generation[slot] === c.generation[row];
    const counted = ((calls.marks[slot] as number) & COUNTED) !== 0;
    if (current) this.#unlink(row, slot);
    calls.give(slot);
    (c.inFlight[row] as number)--;
    c.seenAt[row] = now;
    if (!current) {
      (c.late[row] as number)++;
      return true;
    }
    const state = c.state[row] as number;
    if (state === HALF_OPEN) (c.probes[row] as number)--;
    if (outcome === IGNORED) {
      (c.ignored[row] as number)++;
      return true;
    }
    const detail = this.details[row];
    if (detail !== null && detail !== undefined) (detail.window.current[binOf(latencyMs)] as number)++;
    if (outcome === SUCCESS) {
      (c.successesTotal[row] as number)++;
      const slow = latencyMs >= (c.slowFromMs[row] as number);
      if (slow) (c.slow[row] as number)++;
      if (state === CLOSED) {
        const relief = this.#relief(row);
        const failures = (c.failureEvidence[row] as number) - relief;
        c.failureEvidence[row] = failures > 0 ? failures : 0;
        if (slow) {
          if (!counted) this.#note(row, now);
          this.#weigh(row, now);
        } else {
          const bad = (c.badEvidence[row] as number) - relief;
          c.badEvidence[row] = bad > 0 ? bad : 0;
          c.recent[row] = pushRecent(c.recent[row] as number, 0);
        }
      } else if (state === HALF_OPEN) {
        this.#probed(row, latencyMs < PROBE_PATIENCE * (c.slowFromMs[row] as number), now);
      }
    } else {
      (c.failures[row] as number)++;
      c.failedAt[row] = now;
      if (state === CLOSED) {
        if (!counted) this.#note(row, now);
        (c.failureEvidence[row] as number)++;
        if ((c.failureEvidence[row] as number) >= (c.threshold[row] as number)) this.#trip(row, now, "evidence");
        else this.#weigh(row, now);
      } else if (state === HALF_OPEN) this.#probed(row, false, now);
    }
    if (now >= (c.tickAt[row] as number)) this.tick(row, now);
    return true;
  }

  // --- evidence

  #relief(row: number): number {
    return this.#modules.ruleOf(row).relief;
  }

  #note(row: number, now: number): void {
    const c = this.columns;
    const before = c.badEvidence[row] as number;
    if (before === 0) c.onsetAt[row] = now;
    c.badEvidence[row] = Math.min(c.threshold[row] as number, before + 1);
    c.recent[row] = pushRecent(c.recent[row] as number, 1);
  }

  #weigh(row: number, now: number): void {
    const c = this.columns;
    if ((c.badEvidence[row] as number) < (c.threshold[row] as number)) return;
    if (consensus(c.recent[row] as number)) this.#trip(row, now, "latency");
  }

  #trip(row: number, now: number, cause: "evidence" | "latency"): void {
    const c = this.columns;
    const most = Math.max(c.failureEvidence[row] as number, c.badEvidence[row] as number);
    const early = (c.health[row] as number) < UNHEALTHY && most < this.#fullThreshold(row);
    this.details[row]?.predictor?.opened();
    this.transit(row, early ? "health" : cause, now);
  }

  /** Counts the calls that are overdue. In half-open an overdue probe ends the round. */
  #census(row: number, now: number): void {
    const c = this.columns;
    const calls = this.calls;
    const state = c.state[row] as number;
    const limit = this.#overdueAfter(row);
    const stoodStill = now - (c.seenAt[row] as number) > Math.max(STANDSTILL_MS, limit / 2);
    let held = false;
    let slot = c.cursor[row] as number;
    while (slot >= 0 && (calls.startedAt[slot] as number) + limit <= now) {
      if (stoodStill && ((calls.marks[slot] as number) & SEEN_OVERDUE) === 0) {
        held = true;
        for (let at = slot; at >= 0; at = calls.next[at] as number) {
          if ((calls.startedAt[at] as number) + limit > now) break;
          calls.marks[at] = (calls.marks[at] as number) | SEEN_OVERDUE;
        }
        break;
      }
      calls.marks[slot] = (calls.marks[slot] as number) | COUNTED;
      (c.overdue[row] as number)++;
      slot = calls.next[slot] as number;
      c.cursor[row] = slot;
      if (state === HALF_OPEN) return this.transit(row, "probe_overdue", now);
      if (state !== CLOSED) continue;
      this.#note(row, now);
      this.#weigh(row, now);
      if (c.state[row] !== CLOSED) return;
    }
    c.holdUntil[row] = held ? now + STANDSTILL_MS : Number.NEGATIVE_INFINITY;
    this.#watch(row, slot);
  }

  #watch(row: number, slot: number): void {
    const c = this.columns;
    c.cursor[row] = slot;
    if (slot < 0) {
      c.overdueAt[row] = Number.POSITIVE_INFINITY;
      return;
    }
    const due = (this.calls.startedAt[slot] as number) + this.#overdueAfter(row);
    const hold = c.holdUntil[row] as number;
    c.overdueAt[row] = due > hold ? due : hold;
  }

  #overdueAfter(row: number): number {
    const c = this.columns;
    const slowFrom = c.slowFromMs[row] as number;
    return c.state[row] === HALF_OPEN ? PROBE_PATIENCE * slowFrom : slowFrom;
  }

  #unlink(row: number, slot: number): void {
    const { next, previous } = this.calls;
    const after = next[slot] as number;
    const before = previous[slot] as number;
    if (before >= 0) next[before] = after;
    if (after >= 0) previous[after] = before;
    else this.columns.tail[row] = before;
    if (this.columns.cursor[row] === slot) this.#watch(row, after);
  }

  // --- half-open

  /** 0: passes. */
  #gated(row: number, now: number): number {
    const c = this.columns;
    if (now >= (c.tickAt[row] as number)) this.tick(row, now);
    const forced = c.state[row] as number;
    if (forced === FORCE_OPEN || forced === FORCE_CLOSE) this.#modules.expire(row, now);
    if (c.state[row] === OPEN) {
      const wait = (c.probeAt[row] as number) - now;
      // A clock that went back must not keep it shut: no open period is longer than three caps.
      if (wait > 3 * this.#modules.policyOf(row).resetTimeoutMs) c.probeAt[row] = now;
      else if (wait > 0) return REJECT_OPEN;
      this.transit(row, "period_over", now);
    }
    const state = c.state[row] as number;
    if (state === FORCE_OPEN) return REJECT_FORCED;
    if (state !== HALF_OPEN) return 0;
    if (c.ramp[row] === 0) return (c.probes[row] as number) < this.permits(row) ? 0 : REJECT_PROBES;
    const admitted = (c.admitted[row] as number) + (RAMP[(c.ramp[row] as number) - 1] ?? 1);
    c.admitted[row] = admitted >= 1 ? admitted - 1 : admitted;
    return admitted >= 1 ? 0 : REJECT_RAMP;
  }

  /** Probes that may be out: one, and one more for each that was good. */
  permits(row: number): number {
    const most = this.#modules.policyOf(row).halfOpenCalls;
    return Math.min(most, 1 + (this.columns.successes[row] as number));
  }

  /** Share of callers admitted in the ramp; null outside of it. */
  rampShare(row: number): number | null {
    const ramp = this.columns.ramp[row] as number;
    return ramp === 0 ? null : (RAMP[ramp - 1] ?? 1);
  }

  #probed(row: number, good: boolean, now: number): void {
    const c = this.columns;
    const ramp = c.ramp[row] as number;
    if (!good) {
      (c.setbacks[row] as number)++;
      const allowed = ramp === 0 ? (c.successes[row] as number) >> 2 : 1 + ((c.successes[row] as number) >> 2);
      if ((c.setbacks[row] as number) > allowed) this.transit(row, ramp === 0 ? "probe_failed" : "ramp_failed", now);
      return;
    }
    (c.successes[row] as number)++;
    const needed = ramp === 0 ? this.#modules.policyOf(row).halfOpenCalls : RAMP_CALLS;
    if ((c.successes[row] as number) < needed) return;
    const dense = (c.rate[row] as number) >= this.#modules.policyOf(row).rampFromPerSecond;
    if (dense && ramp < RAMP.length) {
      c.ramp[row] = ramp + 1;
      c.successes[row] = 0;
      c.setbacks[row] = 0;
      return;
    }
    this.transit(row, "recovered", now);
  }

  // --- transitions

  /** Takes the way that the table has for `cause`, if it has one. */
  transit(row: number, cause: TransitionCause, now: number): void {
    const c = this.columns;
    const from = c.state[row] as number;
    const name = TRANSITIONS[CONDITIONS[from] ?? "closed"][cause];
    if (name === undefined) return;
    const to = CONDITIONS.indexOf(name);
    const closedFor = now - (c.since[row] as number);
    if (to === OPEN) this.#planProbe(row, from === CLOSED ? closedFor : 0, now);
    this.#modules.onTransition(row, from, to, cause, now);
  }

  /** The state's own data, and a new epoch. Called by the owner once it took the evidence down, so that events tell what was before. */
  enter(row: number, to: number, from: number, now: number): void {
    const c = this.columns;
    if (from === HALF_OPEN && to === OPEN) (c.openings[row] as number)++;
    else if (to === OPEN) c.openings[row] = 1;
    if (to === HALF_OPEN && now - (c.onsetAt[row] as number) > FORGET_BASELINE_MS) {
      const detail = this.details[row];
      if (detail) detail.baseline = new LatencyBaseline();
      c.slowFromMs[row] = this.#slowFrom(row);
    }
    this.#enter(row, to, now);
    if (from === HALF_OPEN && to === CLOSED) {
      c.failureEvidence[row] = PROBATION * (c.threshold[row] as number);
      c.badEvidence[row] = PROBATION * (c.threshold[row] as number);
      c.onsetAt[row] = now;
    }
  }

  #enter(row: number, to: number, now: number): void {
    const c = this.columns;
    c.state[row] = to;
    c.gate[row] = to;
    c.generation[row] = (c.generation[row] as number) + 1;
    c.since[row] = now;
    c.tail[row] = -1;
    c.probes[row] = 0;
    c.successes[row] = 0;
    c.setbacks[row] = 0;
    c.ramp[row] = 0;
    c.admitted[row] = 0;
    c.failureEvidence[row] = 0;
    c.badEvidence[row] = 0;
    c.recent[row] = NO_CALLS;
    c.holdUntil[row] = Number.NEGATIVE_INFINITY;
    this.#watch(row, -1);
  }

  #planProbe(row: number, closedForMs: number, now: number): void {
    const c = this.columns;
    const policy = this.#modules.policyOf(row);
    const left = decayed(c.backoffMs[row] as number, closedForMs);
    const previous = left >= policy.firstOpenMs ? left : 0;
    const rate = c.rate[row] as number;
    const spacing = probeSpacingMs(now - (c.onsetAt[row] as number), rate);
    const period = nextOpenMs(policy, previous, rate, spacing, this.#modules.random);
    c.backoffMs[row] = period;
    c.probeAt[row] = now + probeAfterMs(c.threshold[row] as number, c.health[row] as number, period);
  }

  // --- each 100 ms, when there is traffic

  /** What is learnt from the window: rate, baseline, normal rate of errors, health, prediction. */
  tick(row: number, now: number): void {
    const c = this.columns;
    const lastAt = (c.tickAt[row] as number) - TICK_MS;
    c.tickAt[row] = now + TICK_MS;
    const policy = this.#modules.policyOf(row);
    const completed = (c.successesTotal[row] as number) + (c.failures[row] as number);
    const counts = {
      completed,
      failures: c.failures[row] as number,
      slow: c.slow[row] as number,
      rejected: c.rejected[row] as number,
    };
    let detail = this.details[row];
    const made = detail === null || detail === undefined;
    if (made) {
      if (completed === 0) return;
      detail = new Detail(now, { completed: 0, failures: 0, slow: 0, rejected: 0 }, policy.predictive);
      this.details[row] = detail;
    }
    if (detail === null || detail === undefined) return;
    const asked = c.asked[row] as number;
    const elapsedMs = made ? TICK_MS : Math.max(1, now - lastAt);
    if (!made) c.rate[row] = detail.rate(asked, elapsedMs, RATE_MS);
    else detail.rate(asked, 0, RATE_MS);
    const state = c.state[row] as number;
    detail.look(
      {
        now,
        elapsedMs,
        counts,
        bad: (c.failures[row] as number) + (c.slow[row] as number),
        asked,
        inFlight: c.inFlight[row] as number,
        evidenceShare:
          state === CLOSED ? (c.badEvidence[row] as number) / (c.threshold[row] as number) : state === OPEN ? 1 : 0,
        toleratedRate: this.#modules.ruleOf(row).toleratedRate,
        allFactors: policy.health,
      },
      state === CLOSED,
    );
    c.health[row] = detail.health;
    c.slowFromMs[row] = this.#slowFrom(row);
    c.threshold[row] = this.#thresholdOf(row);
  }

  #slowFrom(row: number): number {
    const policy = this.#modules.policyOf(row);
    return policy.latency ? slowFromMs(policy, this.details[row]?.baseline.value() ?? null) : policy.slowCallMs;
  }

  #fullThreshold(row: number): number {
    const scale = this.#modules.policyOf(row).adaptive ? (this.details[row]?.adaptive.scale ?? 1) : 1;
    return this.#modules.ruleOf(row).threshold * scale;
  }

  #thresholdOf(row: number): number {
    const policy = this.#modules.policyOf(row);
    let threshold = this.#fullThreshold(row);
    if (policy.health && (this.columns.health[row] as number) < UNHEALTHY) threshold *= EARLY_SHARE;
    if (policy.predictive && this.details[row]?.predictor?.warning === true) threshold *= PREDICTOR_SHARE;
    return Math.max(1, threshold);
  }

  // --- calls whose result never comes

  /** Takes back what is out for longer than its policy's `abandonMs`. Returns how many. */
  sweep(now: number): number {
    this.#sweptAt = now;
    const { owner, startedAt, generation } = this.calls;
    const c = this.columns;
    let given = 0;
    for (let slot = 0; slot < owner.length; slot++) {
      const row = owner[slot] as number;
      if (row < 0 || now - (startedAt[slot] as number) < this.#modules.policyOf(row).abandonMs) continue;
      if (generation[slot] === c.generation[row]) {
        this.#unlink(row, slot);
        if (c.state[row] === HALF_OPEN) (c.probes[row] as number)--;
      }
      (c.inFlight[row] as number)--;
      this.calls.give(slot);
      given++;
    }
    return given;
  }

  #takeAfterSweep(now: number): number {
    if (now - this.#sweptAt < 1_000) return -1;
    this.sweep(now);
    return this.calls.take();
  }
}
