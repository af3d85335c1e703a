/**
 * What a breaker is between two calls: its rows, its epochs and transitions, and what is learnt of it each 100 ms. The calls themselves are in `admission.ts` and `engine.ts`.
 */
import type { Random } from "../../shared/clock.ts";
import { decayed, nextOpenMs } from "./backoff.ts";
import {
  BAD_EVIDENCE,
  COUNTS,
  Columns,
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
import { Detail } from "./detail.ts";
import type { EvidenceRule } from "./evidence.ts";
import { EARLY_SHARE, UNHEALTHY } from "./health.ts";
import { LatencyBaseline, slowFromMs, slowInARow } from "./latency.ts";
import { CLOSED, CONDITIONS, HALF_OPEN, OPEN, TRANSITIONS, type TransitionCause } from "./machine.ts";
import type { SavedOutages } from "./outages.ts";
import type { BreakerPolicy } from "./policy.ts";
import { PREDICTOR_SHARE } from "./predictor.ts";
import { probeSpacingMs } from "./recovery.ts";

/** Between two looks at the window, where there is traffic. */
export const TICK_MS = 100;
const RATE_MS = 3_000;
/** From a recovery on, until its traces are gone from the recent rates. */
const SETTLED_MS = 3_000;
/** Quanta of the census that make "slow". */
export const QUANTA = 3;
/** Beside the eight bits of `RECENT`: some evidence is left, so a good call has something to do. */
export const EVIDENCE_LEFT = 0x100;
/** Beside them: how many calls in a row were slow or overdue. A good call, which keeps the lower bits alone, ends it. */
export const ONE_SLOW = 0x200;
/** A probe may take longer: caches are cold. */
export const PROBE_PATIENCE = 2;
/** After a recovery the evidence starts here, of the threshold: good calls take it away. One bad call alone does not open. */
const PROBATION = 0.4;
/** A pause of the upstream's is not a hang: a run of slow calls must last so long. */
const SLOW_RUN_MS = 200;
/** So many bad calls in a row are an outage, whatever its probes find. */
const SURELY_BAD = 0b1111;
/** After so long an outage what was usual before it says nothing. */
const FORGET_BASELINE_MS = 600_000;

export interface EpochModules {
  readonly random: Random;
  /** State has changed already. May throw: the owner guards it. */
  readonly onTransition: (row: number, from: number, to: number, cause: TransitionCause, now: number) => void;
  readonly policyOf: (row: number) => BreakerPolicy;
  readonly ruleOf: (row: number) => EvidenceRule;
  /** Ends forced states whose time is over; called only in forced states. */
  readonly expire: (row: number, now: number) => void;
}

export class Epochs {
  declare readonly columns: Columns;
  readonly details: (Detail | null)[] = [];
  declare protected readonly modules: EpochModules;

  constructor(rows: number, modules: EpochModules) {
    this.columns = new Columns(rows);
    this.modules = modules;
  }

  // --- rows

  begin(row: number, tag: number, policy: number, now: number): void {
    const c = this.columns;
    c.clear(row);
    c.counts[row * COUNTS + TAG] = tag;
    c.policy[row] = policy;
    c.times[row * TIMES + TICK_AT] = now;
    c.health[row] = 1;
    this.details[row] = null;
    this.adopt(row);
    this.startEpoch(row, CLOSED, now);
  }

  /** Takes on a new policy: thresholds from now on, counts and state as they are. */
  adopt(row: number): void {
    const { times } = this.columns;
    this.details[row]?.predicts(this.modules.policyOf(row).predictive);
    this.setSlowFrom(row);
    times[row * TIMES + THRESHOLD] = this.thresholdOf(row, Number.POSITIVE_INFINITY);
  }

  end(row: number): void {
    this.columns.counts[row * COUNTS + TAG] = -1;
    this.details[row] = null;
  }

  /** What was known of its outages before a restart. */
  recall(row: number, outages: SavedOutages, now: number): void {
    this.tick(row, now);
    this.details[row]?.outages.restore(outages, now);
    this.columns.times[row * TIMES + THRESHOLD] = this.thresholdOf(row, now);
  }

  // --- transitions

  /** Takes the way that the table has for `cause`, if it has one. */
  transit(row: number, cause: TransitionCause, now: number): void {
    const c = this.columns;
    const from = c.counts[row * COUNTS + STATE] as number;
    const name = TRANSITIONS[CONDITIONS[from] ?? "closed"][cause];
    if (name === undefined) return;
    const to = CONDITIONS.indexOf(name);
    const judgedBy = c.times[row * TIMES + THRESHOLD] as number;
    if (this.details[row]) this.tick(row, now);
    if (from === CLOSED && to === OPEN && cause !== "restored_open") {
      const detail = this.details[row];
      detail?.predictor?.opened();
      detail?.outages.began(((c.counts[row * COUNTS + RECENT] as number) & SURELY_BAD) === SURELY_BAD);
    }
    if (from === HALF_OPEN && to === OPEN && c.ramp[row] === 0 && c.successes[row] === 0)
      this.details[row]?.outages.confirmed();
    if (to === OPEN) this.planProbe(row, from === CLOSED ? now - (c.since[row] as number) : 0, now);
    // The look at the window has adapted it; told is the one that the evidence was held against.
    if (from === CLOSED && to === OPEN) c.times[row * TIMES + THRESHOLD] = judgedBy;
    this.modules.onTransition(row, from, to, cause, now);
  }

  /** The state's own data, and a new epoch. Called by the owner once it took the evidence down, so that events tell what was before. */
  enter(row: number, to: number, from: number, cause: TransitionCause, now: number): void {
    const c = this.columns;
    if (from === HALF_OPEN && to === OPEN) c.openings[row] = Math.min(0xffff, (c.openings[row] as number) + 1);
    else if (to === OPEN) c.openings[row] = 1;
    if (to === HALF_OPEN && now - (c.onsetAt[row] as number) > FORGET_BASELINE_MS) {
      const detail = this.details[row];
      if (detail) detail.baseline = new LatencyBaseline();
      this.setSlowFrom(row);
    }
    this.startEpoch(row, to, now);
    if (cause === "recovered") {
      this.details[row]?.outages.ended(now - (c.onsetAt[row] as number), now);
      c.times[row * TIMES + THRESHOLD] = this.thresholdOf(row, now);
      const t = row * TIMES;
      c.times[t + FAILURE_EVIDENCE] = PROBATION * (c.times[t + THRESHOLD] as number);
      c.times[t + BAD_EVIDENCE] = PROBATION * (c.times[t + THRESHOLD] as number);
      c.counts[row * COUNTS + RECENT] = EVIDENCE_LEFT;
      c.onsetAt[row] = now;
    }
  }

  protected startEpoch(row: number, to: number, now: number): void {
    const c = this.columns;
    const i = row * COUNTS;
    const t = row * TIMES;
    c.counts[i + STATE] = to;
    // All that is out belongs to an earlier epoch now, and lingers.
    c.counts[i + LINGERING] = this.inFlight(row);
    c.counts.fill(0, i + OUT, i + OUT + QUANTA + 1);
    c.counts[i + QUANTUM] = ((c.counts[i + QUANTUM] as number) + QUANTA + 1) | 0;
    c.counts[i + EPOCH_START] = c.counts[i + QUANTUM] as number;
    c.counts[i + RECENT] = 0;
    c.since[row] = now;
    c.probes[row] = 0;
    c.successes[row] = 0;
    c.setbacks[row] = 0;
    c.ramp[row] = 0;
    c.admitted[row] = 0;
    c.times[t + FAILURE_EVIDENCE] = 0;
    c.times[t + BAD_EVIDENCE] = 0;
    this.setSlowFrom(row);
    c.times[t + WAKE_AT] = now + (to === OPEN ? (c.openMs[row] as number) : this.quantumMs(row));
  }

  protected planProbe(row: number, closedForMs: number, now: number): void {
    const c = this.columns;
    const policy = this.modules.policyOf(row);
    const left = decayed(c.openMs[row] as number, closedForMs);
    const previous = left >= policy.firstOpenMs ? left : 0;
    const rate = c.rate[row] as number;
    const detail = this.details[row];
    const spacing = detail
      ? probeSpacingMs(now - (c.onsetAt[row] as number), rate, detail.outages.usualMs, this.#badShare(row))
      : Number.POSITIVE_INFINITY;
    c.openMs[row] = nextOpenMs(policy, previous, rate, spacing, this.modules.random);
  }

  /** Of the calls that this opening stands on, how many were bad: all of them in a total outage. */
  #badShare(row: number): number {
    const c = this.columns;
    if (c.counts[row * COUNTS + STATE] === HALF_OPEN) {
      const [bad, good] = [c.setbacks[row] as number, c.successes[row] as number];
      return bad + good === 0 ? 1 : bad / (bad + good);
    }
    const calls = Math.min(8, Math.ceil(c.times[row * TIMES + BAD_EVIDENCE] as number));
    if (calls < 1) return 1;
    let bad = 0;
    for (let bits = (c.counts[row * COUNTS + RECENT] as number) & ((1 << calls) - 1); bits !== 0; bits &= bits - 1)
      bad++;
    return bad / calls;
  }

  // --- each 100 ms, when there is traffic

  /** What is learnt from the window: rate, baseline, normal rate of errors, health, prediction. */
  tick(row: number, now: number): void {
    if (!Number.isFinite(now)) return;
    const c = this.columns;
    const { counts, times } = c;
    const i = row * COUNTS;
    const t = row * TIMES;
    const lastAt = (times[t + TICK_AT] as number) - TICK_MS;
    times[t + TICK_AT] = now + TICK_MS;
    const policy = this.modules.policyOf(row);
    const failures = (counts[i + FAILED] as number) >>> 0;
    const completed = ((counts[i + SUCCEEDED] as number) + failures) >>> 0;
    const slow = (counts[i + SLOW] as number) >>> 0;
    const rejected = (counts[i + REJECTED] as number) >>> 0;
    let detail = this.details[row] ?? null;
    const elapsedMs = detail === null ? 0 : Math.max(1, now - lastAt);
    if (detail === null) {
      detail = new Detail(now, policy.predictive);
      this.details[row] = detail;
    }
    detail.lookAt = now + TICK_MS;
    c.rate[row] = detail.rate(this.asked(row), now, elapsedMs, RATE_MS);
    const state = counts[i + STATE] as number;
    const share = Math.min(1, (times[t + BAD_EVIDENCE] as number) / (times[t + THRESHOLD] as number));
    detail.look(
      {
        now,
        elapsedMs: elapsedMs || TICK_MS,
        counts: { completed, failures, slow, rejected },
        asked: this.asked(row),
        inFlight: this.inFlight(row),
        evidenceShare: state === OPEN ? 1 : share,
        toleratedRate: this.modules.ruleOf(row).toleratedRate,
        allFactors: policy.health,
      },
      state === CLOSED,
      state === CLOSED && now - (c.since[row] as number) >= SETTLED_MS,
    );
    c.health[row] = detail.health;
    this.setSlowFrom(row);
    times[t + THRESHOLD] = this.thresholdOf(row, now);
    // What is slow may have become less: a quantum that began before must not last as long as it meant to.
    if (state !== OPEN) times[t + WAKE_AT] = Math.min(times[t + WAKE_AT] as number, now + this.quantumMs(row));
  }

  /** When it was made, or found to have been asked since the look before. */
  usedAt(row: number): number {
    return this.details[row]?.usedAt ?? (this.columns.times[row * TIMES + TICK_AT] as number);
  }

  inFlight(row: number): number {
    const { counts } = this.columns;
    let sum = counts[row * COUNTS + LINGERING] as number;
    for (let at = 0; at <= QUANTA; at++) sum += counts[row * COUNTS + OUT + at] as number;
    return sum;
  }

  /** Calls that were let through, ever; turns over at 2^32, as its parts do. */
  requests(row: number): number {
    const { counts, abandoned } = this.columns;
    const count = (at: number): number => counts[row * COUNTS + at] as number;
    const done = count(SUCCEEDED) + count(FAILED) + count(IGNORED_CALLS) + count(LATE);
    return (done + this.inFlight(row) + (abandoned[row] as number)) >>> 0;
  }

  /** All who came, let through or not; turns over at 2^32. */
  asked(row: number): number {
    return (this.requests(row) + (this.columns.counts[row * COUNTS + REJECTED] as number)) >>> 0;
  }

  protected setSlowFrom(row: number): void {
    const { times, counts } = this.columns;
    const policy = this.modules.policyOf(row);
    const detail = this.details[row];
    const learnt = policy.latency ? (detail?.baseline.value() ?? null) : null;
    const from = slowFromMs(policy, learnt);
    times[row * TIMES + SLOW_FROM] = from;
    if (detail) detail.quickBelowMs = counts[row * COUNTS + STATE] === CLOSED ? from : Number.NEGATIVE_INFINITY;
  }

  protected fullThreshold(row: number): number {
    const scale = this.modules.policyOf(row).adaptive ? (this.details[row]?.adaptive.scale ?? 1) : 1;
    return this.modules.ruleOf(row).threshold * scale;
  }

  protected thresholdOf(row: number, now: number): number {
    const policy = this.modules.policyOf(row);
    const full = this.fullThreshold(row);
    const early = policy.health && (this.columns.health[row] as number) < UNHEALTHY ? EARLY_SHARE : 1;
    // Where callers are few, each of them is a large part of the outage: the second bad call in a row may be enough.
    const thin = (this.columns.rate[row] as number) < policy.rampFromPerSecond;
    const justBad = thin && ((this.columns.counts[row * COUNTS + RECENT] as number) & 1) === 1;
    const relapse = policy.adaptive ? (this.details[row]?.outages.relapseShare(now, justBad) ?? 1) : 1;
    let threshold = full * Math.min(early, relapse);
    if (policy.predictive && this.details[row]?.predictor?.warning === true) threshold *= PREDICTOR_SHARE;
    return Math.max(1, Math.min(2, full), threshold);
  }

  /** Whether so many slow calls in a row, of the bits of `RECENT`, open it before there is as much evidence as for errors. */
  protected slowRunOpens(row: number, bits: number, now: number): boolean {
    const policy = this.modules.policyOf(row);
    const detail = this.details[row];
    if (!policy.latency || !detail || bits < 2 * ONE_SLOW) return false;
    if (now - (this.columns.onsetAt[row] as number) < SLOW_RUN_MS) return false;
    return Math.floor(bits / ONE_SLOW) >= slowInARow(policy, detail.adaptive.normalRate());
  }

  protected quantumMs(row: number): number {
    const slowFrom = this.columns.times[row * TIMES + SLOW_FROM] as number;
    const half = this.columns.counts[row * COUNTS + STATE] === HALF_OPEN;
    return Math.max(1, ((half ? PROBE_PATIENCE : 1) * slowFrom) / QUANTA);
  }
}
