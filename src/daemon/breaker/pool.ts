/**
 * Many breakers in one pool. A breaker is a row, its handle an integer; keys lead to handles, at most `capacity` of them. When a key needs room, the breaker
 * that is closed and unused for longest goes, and `onEvict` says so, so that its metric series can go with it.
 *
 * A handle of an evicted breaker is known to be old: `tryAcquire` answers REJECT_UNKNOWN, and `open(key)` gives a new one.
 */
import type { Clock, Random } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import {
  BAD_EVIDENCE,
  COUNTS,
  FAILURE_EVIDENCE,
  SLOW_FROM,
  STATE,
  TAG,
  THRESHOLD,
  TICK_AT,
  TIMES,
  WAKE_AT,
} from "./columns.ts";
import { REJECT_UNKNOWN, type OutcomeCode } from "./codes.ts";
import { ROW_BITS } from "./admission.ts";
import { Engine } from "./engine.ts";
import { type EvidenceRule, evidenceRule } from "./evidence.ts";
import { type ForceBy, Forces } from "./force.ts";
import {
  CLOSED,
  CONDITIONS,
  FORCE_CLOSE,
  FORCE_OPEN,
  HALF_OPEN,
  OPEN,
  type BreakerCondition,
  type BreakerTransition,
  type TransitionCause,
} from "./machine.ts";
import { type BreakerPolicy, checkPolicy } from "./policy.ts";
import { type BreakerReport, reportOf } from "./report.ts";
import { type SavedBreaker, checkSaved } from "./saved.ts";

export interface PoolOptions {
  /** Breakers at most, 1 to 131,071. */
  readonly capacity: number;
  /** A closed breaker unused for so long may be evicted by `tidy`. */
  readonly idleMs: number;
}

export const POOL_DEFAULTS: PoolOptions = { capacity: 10_000, idleMs: 3_600_000 };

export interface PoolModules {
  /** Read for the wall time of transitions only; the caller brings monotonic time with every call. */
  readonly clock: Pick<Clock, "wall">;
  readonly random: Random;
  /** After each transition, inside the call that made it. One that throws is counted and otherwise ignored. */
  readonly onTransition?: (transition: BreakerTransition) => void;
  readonly onEvict?: (key: string) => void;
}

const ROW_MASK = 2 ** ROW_BITS - 1;
const GROWTH = 512;
const MOST_TAGS = 2 ** 14 - 1;

export class BreakerPool {
  readonly #options: PoolOptions;
  readonly #modules: PoolModules;
  readonly #engine: Engine;
  readonly #forces = new Forces();
  readonly #rows = new Map<string, number>();
  readonly #keys: (string | null)[] = [];
  readonly #policies: BreakerPolicy[] = [];
  readonly #rules: EvidenceRule[] = [];
  #spare: number[] = [];
  #seq = 0;
  #tags = 0;
  #listenerErrors = 0;
  #stale = 0;

  constructor(options: Partial<PoolOptions>, modules: PoolModules) {
    this.#options = checkPool({ ...POOL_DEFAULTS, ...options });
    this.#modules = modules;
    this.#engine = new Engine(Math.min(this.#options.capacity, 16), {
      random: modules.random,
      onTransition: (row, from, to, cause, now) => this.#transited(row, from, to, cause, now),
      policyOf: (row) => this.#policies[this.#engine.columns.policy[row] as number] as BreakerPolicy,
      ruleOf: (row) => this.#rules[this.#engine.columns.policy[row] as number] as EvidenceRule,
      expire: (row, now) => this.#expire(row, now),
    });
  }

  // --- registry

  /** The handle of `key`, made with `policy` where there is none. Throws SPRINT_BREAKER_FULL where nothing may be evicted. */
  open(key: string, policy: BreakerPolicy, now: number): number {
    checkTime(now);
    const known = this.#rows.get(key);
    if (known !== undefined) return this.#count(known, TAG);
    const number = this.#policyNumber(policy);
    const row = this.#row();
    const tag = (this.#tags++ % MOST_TAGS) + 1;
    this.#rows.set(key, row);
    this.#keys[row] = key;
    this.#engine.begin(row, (tag << ROW_BITS) | row, number, now);
    return this.#count(row, TAG);
  }

  handleOf(key: string): number | null {
    const row = this.#rows.get(key);
    return row === undefined ? null : this.#count(row, TAG);
  }

  keys(): readonly string[] {
    return [...this.#rows.keys()];
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Listeners that threw, and results whose token was not out: old, doubled or never given. */
  get faults(): { readonly listenerErrors: number; readonly staleResults: number; readonly callsOut: number } {
    return { listenerErrors: this.#listenerErrors, staleResults: this.#stale, callsOut: this.#engine.callsOut };
  }

  /** False where it is in use: not closed, forced, or with calls out. */
  evict(key: string): boolean {
    const row = this.#rows.get(key);
    if (row === undefined || !this.#idle(row)) return false;
    this.#rows.delete(key);
    this.#keys[row] = null;
    this.#engine.end(row);
    this.#spare.push(row);
    try {
      this.#modules.onEvict?.(key);
    } catch {
      this.#listenerErrors++;
    }
    return true;
  }

  /** For a worker once in a while: evicts what was idle for `idleMs` and may go, gives lost calls up. Returns what it did. */
  tidy(
    now: number,
    mayEvict: (key: string) => boolean = () => true,
  ): { readonly evicted: number; readonly abandoned: number } {
    checkTime(now);
    const abandoned = this.#engine.sweep(now);
    let evicted = 0;
    for (const [key, row] of this.#rows) {
      const isIdle = now - this.#engine.usedAt(row) >= this.#options.idleMs;
      if (isIdle && mayEvict(key) && this.evict(key)) evicted++;
    }
    return { evicted, abandoned };
  }

  // --- the call path

  /** A token, more than 0, or a REJECT code, less than 0. `now` is monotonic ms. */
  tryAcquire(handle: number, now: number): number {
    return this.#engine.tryAcquire(handle, now);
  }

  /** Once for each token. False where the token is not out; then nothing happened. */
  onResult(handle: number, token: number, outcome: OutcomeCode, latencyMs: number, now: number): boolean {
    if (this.#engine.onResult(handle, token, outcome, latencyMs, now)) return true;
    this.#stale++;
    return false;
  }

  /** Remembers what the last failure said, for reports. Cut at 500 characters. */
  note(handle: number, error: string): void {
    const detail = this.#engine.details[this.#rowOf(handle)];
    if (detail) detail.lastError = error.slice(0, 500);
  }

  /** The state at `now`, with the calls counted that have become overdue. Who is too busy to ask for admission still learns that nobody answers. */
  look(handle: number, now: number): BreakerCondition {
    checkTime(now);
    const row = this.#rowOf(handle);
    this.#expire(row, now);
    this.#engine.look(row, now);
    return this.stateOf(handle);
  }

  /** The state without a report, and without what time would change. */
  stateOf(handle: number): BreakerCondition {
    return CONDITIONS[this.#count(this.#rowOf(handle), STATE)] ?? "closed";
  }

  /** When a probe is let through, monotonic ms; null unless it is open. */
  probeAt(handle: number): number | null {
    const row = this.#rowOf(handle);
    return this.#count(row, STATE) === OPEN ? this.#time(row, WAKE_AT) : null;
  }

  // --- operators

  /** Nothing passes until it is released, `forMs` is over, or `reset`. Beats `forceClose`. */
  forceOpen(handle: number, by: ForceBy, now: number): void {
    const row = this.#rowOf(handle);
    this.#forces.hold(row, "open", by, now);
    if (this.#count(row, STATE) !== FORCE_OPEN) this.#engine.transit(row, "force_open", now);
  }

  /** Everything passes until it is released, `forMs` is over, or `reset`. */
  forceClose(handle: number, by: ForceBy, now: number): void {
    const row = this.#rowOf(handle);
    this.#forces.hold(row, "close", by, now);
    const state = this.#count(row, STATE);
    if (state !== FORCE_OPEN && state !== FORCE_CLOSE) this.#engine.transit(row, "force_close", now);
  }

  /** Ends what force holds it now. False where none does. */
  release(handle: number, now: number): boolean {
    checkTime(now);
    const row = this.#rowOf(handle);
    const state = this.#count(row, STATE);
    if (state !== FORCE_OPEN && state !== FORCE_CLOSE) return false;
    this.#forces.release(row, state === FORCE_OPEN ? "open" : "close");
    this.#fall(row, now);
    return true;
  }

  /** Closed, unforced, without evidence or backoff. */
  reset(handle: number, now: number): void {
    checkTime(now);
    const row = this.#rowOf(handle);
    this.#forces.clear(row);
    this.#engine.columns.openMs[row] = 0;
    if (this.#count(row, STATE) === CLOSED) this.#engine.enter(row, CLOSED, CLOSED, "reset", now);
    else this.#engine.transit(row, "reset", now);
  }

  policyOf(handle: number): BreakerPolicy {
    return this.#policies[this.#engine.columns.policy[this.#rowOf(handle)] as number] as BreakerPolicy;
  }

  /** Whole or not at all: throws SPRINT_BREAKER_OPTIONS before anything changed. State and counts stay. */
  configure(handle: number, changes: Partial<BreakerPolicy>): BreakerPolicy {
    const row = this.#rowOf(handle);
    const policy = checkPolicy({ ...this.policyOf(handle), ...changes });
    this.#engine.columns.policy[row] = this.#policyNumber(policy);
    this.#engine.adopt(row);
    return policy;
  }

  // --- reports

  /** What there is to say at `now`. Changes nothing but what time has changed. */
  report(handle: number, now: number): BreakerReport {
    checkTime(now);
    const row = this.#rowOf(handle);
    this.#expire(row, now);
    // Who never had a result has no window, and gets none for being looked at.
    if (this.#engine.details[row] && now >= this.#time(row, TICK_AT)) this.#engine.tick(row, now);
    const policy = this.#engine.columns.policy[row] as number;
    return reportOf(
      this.#keys[row] as string,
      this.#engine,
      row,
      this.#forces,
      this.#rules[policy] as EvidenceRule,
      now,
    );
  }

  // --- to and from a restart

  /** What a restart should not forget, with remaining durations: monotonic time starts anew with the process. */
  snapshot(handle: number, now: number): SavedBreaker {
    checkTime(now);
    const row = this.#rowOf(handle);
    this.#expire(row, now);
    const c = this.#engine.columns;
    const state = this.#count(row, STATE);
    return {
      version: 1,
      key: this.#keys[row] as string,
      state: state === OPEN || state === HALF_OPEN ? (CONDITIONS[state] as "open" | "half_open") : "closed",
      probeInMs: state === OPEN ? Math.max(0, this.#time(row, WAKE_AT) - now) : 0,
      backoffMs: c.openMs[row] as number,
      outageMs: state === CLOSED ? 0 : Math.max(0, now - (c.onsetAt[row] as number)),
      openings: c.openings[row] as number,
      outages: this.#engine.details[row]?.outages.saved(now) ?? null,
      forceOpen: this.#forces.remaining(row, "open", now),
      forceClose: this.#forces.remaining(row, "close", now),
    };
  }

  /** Opens the breaker of `state.key` as it was. Throws SPRINT_BREAKER_STATE on what no `snapshot` gave, SPRINT_BREAKER_FULL as `open`. */
  restore(state: SavedBreaker, policy: BreakerPolicy, now: number): number {
    checkSaved(state);
    const handle = this.open(state.key, policy, now);
    const row = this.#rowOf(handle);
    const c = this.#engine.columns;
    this.reset(handle, now);
    c.onsetAt[row] = now - state.outageMs;
    if (state.state !== "closed")
      this.#engine.transit(row, state.state === "open" ? "restored_open" : "restored_half_open", now);
    c.openings[row] = Math.min(0xffff, state.openings);
    c.openMs[row] = state.backoffMs;
    if (state.state === "open") c.times[row * TIMES + WAKE_AT] = now + Math.min(state.probeInMs, policy.resetTimeoutMs);
    if (state.outages !== null) this.#engine.recall(row, state.outages, now);
    if (state.forceClose !== null) this.forceClose(handle, { ...state.forceClose }, now);
    if (state.forceOpen !== null) this.forceOpen(handle, { ...state.forceOpen }, now);
    return handle;
  }

  // --- inside

  #count(row: number, which: number): number {
    return this.#engine.columns.counts[row * COUNTS + which] as number;
  }

  #time(row: number, which: number): number {
    return this.#engine.columns.times[row * TIMES + which] as number;
  }

  #rowOf(handle: number): number {
    const row = handle & ROW_MASK;
    if (this.#count(row, TAG) === handle) return row;
    throw new SprintError(
      "SPRINT_BREAKER_UNKNOWN",
      `breaker: expected a handle that open() gave and that was not evicted, got ${handle}; open its key again`,
      { handle, code: REJECT_UNKNOWN },
    );
  }

  #expire(row: number, now: number): void {
    const state = this.#count(row, STATE);
    if (state !== FORCE_OPEN && state !== FORCE_CLOSE) return;
    this.#forces.expire(row, now);
    this.#fall(row, now);
  }

  /** To what the forces that are left ask for. */
  #fall(row: number, now: number): void {
    const state = this.#count(row, STATE);
    const close = this.#forces.of(row, "close") !== null;
    if (state === FORCE_OPEN && this.#forces.of(row, "open") === null) {
      this.#engine.transit(row, close ? "released_to_force_close" : "released", now);
    } else if (state === FORCE_CLOSE && !close) this.#engine.transit(row, "released", now);
  }

  #transited(row: number, from: number, to: number, cause: TransitionCause, now: number): void {
    const c = this.#engine.columns;
    const { onTransition, clock } = this.#modules;
    const state = (at: number) => CONDITIONS[at] ?? "closed";
    const transition: BreakerTransition = {
      seq: ++this.#seq,
      breaker: this.#keys[row] as string,
      handle: this.#count(row, TAG),
      from: state(from),
      to: state(to),
      at: now,
      wall: clock.wall(),
      cause,
      forced:
        to === FORCE_OPEN ? this.#forces.of(row, "open") : to === FORCE_CLOSE ? this.#forces.of(row, "close") : null,
      evidence: {
        failures: this.#time(row, FAILURE_EVIDENCE),
        bad: this.#time(row, BAD_EVIDENCE),
        threshold: this.#time(row, THRESHOLD),
        slowFromMs: this.#time(row, SLOW_FROM),
        inFlight: this.#engine.inFlight(row),
        ratePerSecond: c.rate[row] as number,
        health: c.health[row] as number,
        outageMs: to === OPEN ? now - (c.onsetAt[row] as number) : 0,
        probeInMs: to === OPEN ? (c.openMs[row] as number) : 0,
      },
    };
    this.#engine.enter(row, to, from, cause, now);
    try {
      onTransition?.(transition);
    } catch {
      this.#listenerErrors++;
    }
  }

  #policyNumber(policy: BreakerPolicy): number {
    const at = this.#policies.findIndex((known) => known === policy || same(known, policy));
    if (at >= 0) return at;
    const checked = checkPolicy(policy);
    const used = new Set([...this.#rows.values()].map((row) => this.#engine.columns.policy[row] as number));
    const unused = this.#policies.findIndex((_, number) => !used.has(number));
    const number = unused >= 0 ? unused : this.#policies.length;
    this.#policies[number] = checked;
    this.#rules[number] = evidenceRule(checked);
    return number;
  }

  #row(): number {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    const { capacity } = this.#options;
    const row = this.#keys.length;
    if (row < capacity) {
      const rows = this.#engine.columns.rows;
      if (row >= rows) this.#engine.grow(Math.min(capacity, rows + Math.min(GROWTH, rows)));
      this.#keys.push(null);
      return row;
    }
    let oldest: string | null = null;
    let at = Number.POSITIVE_INFINITY;
    for (const [key, candidate] of this.#rows) {
      const usedAt = this.#engine.usedAt(candidate);
      if (usedAt >= at || !this.#idle(candidate)) continue;
      oldest = key;
      at = usedAt;
    }
    if (oldest !== null) this.evict(oldest);
    const freed = this.#spare.pop();
    if (freed !== undefined) return freed;
    throw new SprintError(
      "SPRINT_BREAKER_FULL",
      `breaker: expected at most ${capacity} breakers, and all of them are in use; raise capacity or use fewer keys`,
      { capacity },
    );
  }

  #idle(row: number): boolean {
    return this.#count(row, STATE) === CLOSED && this.#engine.inFlight(row) === 0;
  }
}

function same(a: BreakerPolicy, b: BreakerPolicy): boolean {
  const fields = Object.keys(a) as (keyof BreakerPolicy)[];
  return fields.length === Object.keys(b).length && fields.every((field) => a[field] === b[field]);
}

function checkTime(now: number): void {
  if (Number.isFinite(now)) return;
  throw new SprintError("SPRINT_BREAKER_CLOCK", `breaker: expected a finite monotonic time in ms, got ${now}`, { now });
}

function checkPool(options: PoolOptions): PoolOptions {
  const { capacity, idleMs } = options;
  const most = ROW_MASK;
  const ok = Number.isInteger(capacity) && capacity >= 1 && capacity <= most && idleMs > 0;
  if (ok) return options;
  throw new SprintError(
    "SPRINT_BREAKER_OPTIONS",
    `breaker pool: expected a whole capacity from 1 to ${most} and idleMs above 0, got ${capacity} and ${idleMs}`,
    { ...options },
  );
}
