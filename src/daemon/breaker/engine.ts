/**
 * What the call path of `admission.ts` leaves over: the census, bad calls and what they weigh, probes and the ramp, calls that never come back. No timers: what
 * time changes is computed when somebody asks. No allocation; transitions and the look at the window each 100 ms are in `epochs.ts`.
 */
import { Admission, ROW_BITS } from "./admission.ts";
import { MOST_CALLS, MOST_TOKEN, TRIES, doubled } from "./calls.ts";
import {
  SUCCESS,
  FAILURE,
  REJECT_OPEN,
  REJECT_PROBES,
  REJECT_RAMP,
  REJECT_FORCED,
  REJECT_FULL,
  REJECT_CLOCK,
} from "./codes.ts";
import {
  BAD_EVIDENCE,
  COUNTS,
  EPOCH_START,
  FAILED,
  FAILURE_EVIDENCE,
  IGNORED_CALLS,
  LATE,
  LINGERING,
  OUT,
  QUANTUM,
  RECENT,
  REJECTED,
  SLOW,
  SLOW_FROM,
  STATE,
  SUCCEEDED,
  TAG,
  THRESHOLD,
  TICK_AT,
  TIMES,
  WAKE_AT,
} from "./columns.ts";
import { EVIDENCE_LEFT, ONE_SLOW, PROBE_PATIENCE, QUANTA, TICK_MS } from "./epochs.ts";
import { UNHEALTHY } from "./health.ts";
import { binOf } from "./histogram.ts";
import { consensus } from "./latency.ts";
import { CLOSED, FORCE_CLOSE, FORCE_OPEN, HALF_OPEN, OPEN } from "./machine.ts";

const ROW_MASK = 2 ** ROW_BITS - 1;
/** Quanta that pass at most while nobody looked. */
const UNSEEN_QUANTA = 2;
/** Quanta, six days at least: half of it is longer than a call may be out. */
const LONGEST_EPOCH = 2 ** 29;
const MOST_SLOW = 0xff * ONE_SLOW;
const RAMP = [0.5, 0.75];
/** Good calls that end a stage of the ramp: 40 ms of traffic, at most so many. */
const RAMP_CALLS = 8;
const RAMP_SECONDS = 0.04;
const rampCalls = (rate: number): number => Math.max(2, Math.min(RAMP_CALLS, Math.ceil(rate * RAMP_SECONDS)));
/** Where traffic is thin a round of probes takes long; so fewer, of the permits, end it. */
const THIN_SHARE = 0.3;
/**
 * Probes that may fail, of one more than succeeded: none as the first; 30 % of failures, which a closed breaker bears, pass a round of ten in half of
 * the cases, 60 % in one of forty.
 */
const SETBACK_SHARE = 0.7;

export class Engine extends Admission {
  #sweptAt = Number.NEGATIVE_INFINITY;

  // --- the call path

  /** `wants` is false for who only looks. */
  protected ask(handle: number, now: number, wants = true): number {
    if (now - now !== 0) return REJECT_CLOCK;
    const { counts, times } = this.columns;
    const row = handle & ROW_MASK;
    const i = row * COUNTS;
    const late = now - (times[row * TIMES + WAKE_AT] as number);
    // What time alone changes: an open period ends, the quanta of the census go on.
    if (late >= 0 && counts[i + STATE] === OPEN) this.transit(row, "period_over", now);
    else if (late >= 0) {
      const quantumMs = this.quantumMs(row);
      const due = Math.floor(late / quantumMs) + 1;
      const steps = Math.min(due, UNSEEN_QUANTA);
      times[row * TIMES + WAKE_AT] =
        due > UNSEEN_QUANTA ? now + quantumMs : (times[row * TIMES + WAKE_AT] as number) + steps * quantumMs;
      for (let step = 0; step < steps; step++) {
        const quantum = ((counts[i + QUANTUM] as number) + 1) | 0;
        counts[i + QUANTUM] = quantum;
        const out = i + OUT + (quantum & 3);
        const overdue = counts[out] as number;
        counts[out] = 0;
        counts[i + LINGERING] = (counts[i + LINGERING] as number) + overdue;
        if (overdue > 0 && this.#overdue(row, overdue, now)) break;
      }
      // Told apart by their difference of 32 bits: an epoch that lasts begins again and again, or its calls would look like earlier ones.
      const quantum = counts[i + QUANTUM] as number;
      if (((quantum - (counts[i + EPOCH_START] as number)) | 0) > LONGEST_EPOCH)
        counts[i + EPOCH_START] = (quantum - LONGEST_EPOCH / 2) | 0;
    }
    if (!wants) return 0;
    const refusal = this.#gated(row, now);
    if (refusal === 0) return this.admit(handle, now);
    (counts[i + REJECTED] as number)++;
    return refusal;
  }

  protected admitLater(handle: number, now: number): number {
    return this.#room() ? this.admit(handle, now) : this.#full(handle, now);
  }

  /** Sees to it that the place of the token after `last` is free. False where too many calls are out. */
  #room(): boolean {
    for (;;) {
      const size = this.places.length;
      for (let tries = size < MOST_CALLS ? TRIES : size; tries > 0; tries--) {
        const next = this.last === MOST_TOKEN ? 1 : this.last + 1;
        if (this.places[next & this.mask]?.token === 0) return true;
        this.last = next;
      }
      if (size === MOST_CALLS) return false;
      this.places = doubled(this.places);
      this.mask = this.places.length - 1;
    }
  }

  /** A good call among bad ones. */
  #good(row: number): void {
    const { counts, times } = this.columns;
    const before = counts[row * COUNTS + RECENT] as number;
    const still = (times[row * TIMES + BAD_EVIDENCE] as number) > 0;
    // The bits keep a mark while evidence is left, so that they alone tell whether there is anything to do.
    counts[row * COUNTS + RECENT] = ((before << 1) & 0xff) | (still ? EVIDENCE_LEFT : 0);
    if (still) this.#relieve(row);
  }

  #relieve(row: number): void {
    const { times } = this.columns;
    const { relief } = this.modules.ruleOf(row);
    const t = row * TIMES;
    times[t + BAD_EVIDENCE] = Math.max(0, (times[t + BAD_EVIDENCE] as number) - relief);
    times[t + FAILURE_EVIDENCE] = Math.max(0, (times[t + FAILURE_EVIDENCE] as number) - relief);
  }

  protected unusual(row: number, outcome: number, latencyMs: number, at: number, quantum: number): void {
    const c = this.columns;
    const { counts, times } = c;
    const i = row * COUNTS;
    const t = row * TIMES;
    const now = at - at === 0 ? at : (times[t + TICK_AT] as number) - TICK_MS;
    const late = (((counts[i + EPOCH_START] as number) - quantum) | 0) > 0;
    const counted = (((counts[i + QUANTUM] as number) - quantum) | 0) > QUANTA;
    const cell = i + (counted ? LINGERING : OUT + (quantum & 3));
    (counts[cell] as number)--;
    if (late) {
      (counts[i + LATE] as number)++;
      return;
    }
    const state = counts[i + STATE] as number;
    if (state === CLOSED && outcome === SUCCESS && latencyMs < (times[t + SLOW_FROM] as number) && !counted) {
      (counts[i + SUCCEEDED] as number)++;
      if (counts[i + RECENT] !== 0) this.#good(row);
      this.#learn(row, latencyMs, at);
      return;
    }
    if (state === HALF_OPEN) (c.probes[row] as number)--;
    if (outcome !== SUCCESS && outcome !== FAILURE) {
      (counts[i + IGNORED_CALLS] as number)++;
      return;
    }
    if (outcome === SUCCESS) {
      (counts[i + SUCCEEDED] as number)++;
      const slowFrom = times[t + SLOW_FROM] as number;
      const slow = !(latencyMs < slowFrom);
      if (slow) (counts[i + SLOW] as number)++;
      if (state === CLOSED) {
        const bad = times[t + BAD_EVIDENCE] as number;
        this.#relieve(row);
        if (slow) times[t + BAD_EVIDENCE] = bad;
        else counts[i + RECENT] = (((counts[i + RECENT] as number) << 1) & 0xff) | EVIDENCE_LEFT;
        if (slow && !counted) this.#note(row, now, true);
        this.#weigh(row, now);
      } else if (state === HALF_OPEN) this.#probed(row, latencyMs < PROBE_PATIENCE * slowFrom, now);
    } else {
      (counts[i + FAILED] as number)++;
      if (state === CLOSED) {
        if (!counted) this.#note(row, now, !(latencyMs < (times[t + SLOW_FROM] as number)));
        (times[t + FAILURE_EVIDENCE] as number)++;
        this.#admitAsBad(row);
        if ((times[t + FAILURE_EVIDENCE] as number) >= (times[t + THRESHOLD] as number))
          this.#trip(row, now, "evidence");
        else this.#weigh(row, now);
      } else if (state === HALF_OPEN) this.#probed(row, false, now);
    }
    this.#learn(row, latencyMs, at);
  }

  #learn(row: number, latencyMs: number, now: number): void {
    const detail = this.details[row];
    if (detail) (detail.latencies[binOf(latencyMs)] as number)++;
    if (now >= (this.columns.times[row * TIMES + TICK_AT] as number)) this.tick(row, now);
  }

  /** The caller has passed already: who is half-open holds a permit, and needs no other. */
  #full(handle: number, now: number): number {
    if (now - this.#sweptAt >= 1_000 && this.sweep(now) > 0 && this.#room()) return this.admit(handle, now);
    const row = handle & ROW_MASK;
    (this.columns.counts[row * COUNTS + REJECTED] as number)++;
    if (this.columns.counts[row * COUNTS + STATE] === HALF_OPEN) (this.columns.probes[row] as number)--;
    return REJECT_FULL;
  }

  /** Counts what has become overdue, for who does not ask to be admitted. An open period that is over stays open: a probe is a call. */
  look(row: number, now: number): void {
    const { counts, times } = this.columns;
    if (counts[row * COUNTS + STATE] === OPEN || !(now >= (times[row * TIMES + WAKE_AT] as number))) return;
    this.ask(counts[row * COUNTS + TAG] as number, now, false);
  }

  // --- evidence

  #note(row: number, now: number, slow: boolean): void {
    const { counts, times, onsetAt } = this.columns;
    const t = row * TIMES;
    const bits = counts[row * COUNTS + RECENT] as number;
    const slowRun = Math.min(MOST_SLOW, (bits & MOST_SLOW) + (slow ? ONE_SLOW : 0));
    const before = times[t + BAD_EVIDENCE] as number;
    if (before === 0) onsetAt[row] = now;
    times[t + BAD_EVIDENCE] = Math.min(times[t + THRESHOLD] as number, before + 1);
    counts[row * COUNTS + RECENT] = (((bits << 1) | 1) & 0xff) | EVIDENCE_LEFT | slowRun;
  }

  /** A call that was overdue and fails once that was forgiven is bad again, or no good call would forgive its failure. */
  #admitAsBad(row: number): void {
    const { counts, times } = this.columns;
    const t = row * TIMES;
    const failures = Math.min(times[t + FAILURE_EVIDENCE] as number, times[t + THRESHOLD] as number);
    times[t + BAD_EVIDENCE] = Math.max(times[t + BAD_EVIDENCE] as number, failures);
    counts[row * COUNTS + RECENT] = (counts[row * COUNTS + RECENT] as number) | EVIDENCE_LEFT;
  }

  #weigh(row: number, now: number): void {
    const { counts, times } = this.columns;
    const bits = counts[row * COUNTS + RECENT] as number;
    const enough = (times[row * TIMES + BAD_EVIDENCE] as number) >= (times[row * TIMES + THRESHOLD] as number);
    if ((enough && consensus(bits & 0xff)) || this.slowRunOpens(row, bits, now)) this.#trip(row, now, "latency");
  }

  #trip(row: number, now: number, cause: "evidence" | "latency"): void {
    const { times, health } = this.columns;
    const most = Math.max(times[row * TIMES + FAILURE_EVIDENCE] as number, times[row * TIMES + BAD_EVIDENCE] as number);
    const early = (health[row] as number) < UNHEALTHY && most < this.fullThreshold(row);
    this.transit(row, early ? "health" : cause, now);
  }

  /** True where a new epoch began: what a listener made of it, too. */
  #overdue(row: number, calls: number, now: number): boolean {
    const { counts, overdue } = this.columns;
    overdue[row] = (overdue[row] as number) + calls;
    const i = row * COUNTS;
    const epoch = counts[i + EPOCH_START] as number;
    if (counts[i + STATE] === HALF_OPEN) this.transit(row, "probe_overdue", now);
    else if (counts[i + STATE] === CLOSED) {
      for (let call = 0; call < calls && counts[i + EPOCH_START] === epoch; call++) {
        this.#note(row, now, true);
        this.#weigh(row, now);
      }
    }
    return counts[i + EPOCH_START] !== epoch;
  }

  // --- half-open

  /** 0: passes. What time has just changed may have opened it. */
  #gated(row: number, now: number): number {
    const c = this.columns;
    const forced = c.counts[row * COUNTS + STATE] as number;
    if (forced === FORCE_OPEN || forced === FORCE_CLOSE) this.modules.expire(row, now);
    const state = c.counts[row * COUNTS + STATE] as number;
    if (state === FORCE_OPEN) return REJECT_FORCED;
    if (state === OPEN) return REJECT_OPEN;
    if (state !== HALF_OPEN) return 0;
    if (c.ramp[row] === 0) {
      if ((c.probes[row] as number) >= this.permits(row)) return REJECT_PROBES;
    } else {
      const admitted = (c.admitted[row] as number) + (RAMP[(c.ramp[row] as number) - 1] ?? 1);
      c.admitted[row] = admitted >= 1 ? admitted - 1 : admitted;
      if (admitted < 1) return REJECT_RAMP;
    }
    (c.probes[row] as number)++;
    return 0;
  }

  /** Probes that may be out: one, and one more for each that was good. */
  permits(row: number): number {
    const most = this.modules.policyOf(row).halfOpenCalls;
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
      const allowed = Math.floor(SETBACK_SHARE * ((ramp === 0 ? 1 : 3) + (c.successes[row] as number)));
      if ((c.setbacks[row] as number) > allowed) this.transit(row, ramp === 0 ? "probe_failed" : "ramp_failed", now);
      return;
    }
    (c.successes[row] as number)++;
    const { halfOpenCalls, rampFromPerSecond } = this.modules.policyOf(row);
    const dense = (c.rate[row] as number) >= rampFromPerSecond;
    const probes = dense ? halfOpenCalls : Math.ceil(halfOpenCalls * THIN_SHARE);
    if ((c.successes[row] as number) < (ramp === 0 ? probes : rampCalls(c.rate[row] as number))) return;
    if (dense && ramp < RAMP.length) {
      c.ramp[row] = ramp + 1;
      c.successes[row] = 0;
      c.setbacks[row] = 0;
      return;
    }
    this.transit(row, "recovered", now);
  }

  // --- calls whose result never comes

  /** Of all breakers. A count, for reports. */
  get callsOut(): number {
    return this.places.filter(({ token }) => token !== 0).length;
  }

  /** Takes back what is out for longer than its policy's `abandonMs`. Returns how many. */
  sweep(now: number): number {
    this.#sweptAt = now;
    const c = this.columns;
    let given = 0;
    for (const place of this.places) {
      if (place.token === 0) continue;
      const row = place.handle & ROW_MASK;
      if ((((now | 0) - place.startedMs) | 0) < this.modules.policyOf(row).abandonMs) continue;
      const i = row * COUNTS;
      place.token = 0;
      (c.abandoned[row] as number)++;
      given++;
      const { quantum } = place;
      const lingers = (((c.counts[i + QUANTUM] as number) - quantum) | 0) > QUANTA;
      (c.counts[i + (lingers ? LINGERING : OUT + (quantum & 3))] as number)--;
      const late = (((c.counts[i + EPOCH_START] as number) - quantum) | 0) > 0;
      if (!late && c.counts[i + STATE] === HALF_OPEN) (c.probes[row] as number)--;
    }
    return given;
  }
}
