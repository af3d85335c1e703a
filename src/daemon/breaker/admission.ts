/**
 * The call path itself: what a call passes when nothing is wrong, and what is turned away while open. All else is `engine.ts`.
 *
 * Both ways are kept small enough for V8 to make them part of the code that calls them: so the constants are this file's own (an imported one is read from
 * memory and checked each time, its value is not known beforehand), the class has no private names, what is read is a field of its own, each array is
 * looked up once, and `ask` and `unusual` are large on purpose: what is small is taken in, too, and then the rest has no room.
 */
import * as layout from "./columns.ts";
import * as calls from "./calls.ts";
import type { Place } from "./calls.ts";
import * as codes from "./codes.ts";
import type { Detail } from "./detail.ts";
import * as epochs from "./epochs.ts";
import * as histogram from "./histogram.ts";
import * as machine from "./machine.ts";

const { COUNTS, OUT, QUANTUM, RECENT, REJECTED, STATE, SUCCEEDED, TAG, TIMES, WAKE_AT } = layout;
const { MOST_TOKEN } = calls;
const { REJECT_OPEN, REJECT_UNKNOWN, SUCCESS } = codes;
const { QUANTA } = epochs;
const { CLOSED, OPEN } = machine;
const { binOf } = histogram;
/** Of a handle, the row; the rest is a tag. */
export const ROW_BITS = 17;
const ROW_MASK = 2 ** ROW_BITS - 1;

export abstract class Admission extends epochs.Epochs {
  protected places = calls.placesFor(calls.FIRST_CALLS);
  protected mask = calls.FIRST_CALLS - 1;
  /** The token that was given last. */
  protected last = 0;
  declare protected counts: Int32Array;
  declare protected times: Float64Array;

  constructor(rows: number, modules: epochs.EpochModules) {
    super(rows, modules);
    this.counts = this.columns.counts;
    this.times = this.columns.times;
  }

  /** Room for more rows. */
  grow(rows: number): void {
    this.columns.grow(rows);
    this.counts = this.columns.counts;
    this.times = this.columns.times;
  }

  tryAcquire(handle: number, now: number): number {
    const { counts, times } = this;
    const row = handle & ROW_MASK;
    const i = row * COUNTS;
    if (counts[i + TAG] !== handle) return REJECT_UNKNOWN;
    if (now < (times[row * TIMES + WAKE_AT] as number) && now - now === 0) {
      const state = counts[i + STATE];
      if (state === CLOSED) return this.admit(handle, now);
      if (state === OPEN) {
        (counts[i + REJECTED] as number)++;
        return REJECT_OPEN;
      }
    }
    return this.ask(handle, now);
  }

  protected admit(handle: number, now: number): number {
    const { places, mask, last } = this;
    const token = last === MOST_TOKEN ? 1 : last + 1;
    const place = places[token & mask] as Place;
    if (place.token !== 0) return this.admitLater(handle, now);
    const { counts } = this;
    const i = (handle & ROW_MASK) * COUNTS;
    const quantum = counts[i + QUANTUM] as number;
    this.last = token;
    place.token = token;
    place.handle = handle;
    place.quantum = quantum;
    place.startedMs = now | 0;
    (counts[i + OUT + (quantum & 3)] as number)++;
    return token;
  }

  /** False where the token is not one that is out: unknown, given back before, or of another breaker. */
  onResult(handle: number, token: number, outcome: number, latencyMs: number, now: number): boolean {
    const { places, mask } = this;
    const place = places[token & mask] as Place;
    if (place.token !== token || place.handle !== handle || token === 0) return false;
    const row = handle & ROW_MASK;
    const { quantum } = place;
    place.token = 0;
    const { counts } = this;
    const i = row * COUNTS;
    const detail = this.details[row] as Detail | null;
    if (
      outcome !== SUCCESS ||
      detail === null ||
      !(latencyMs < detail.quickBelowMs) ||
      (((counts[i + QUANTUM] as number) - quantum) | 0) > QUANTA ||
      counts[i + RECENT] !== 0
    ) {
      this.unusual(row, outcome, latencyMs, now, quantum);
      return true;
    }
    (counts[i + OUT + (quantum & 3)] as number)--;
    (counts[i + SUCCEEDED] as number)++;
    (detail.latencies[binOf(latencyMs)] as number)++;
    if (now >= detail.lookAt) this.tick(row, now);
    return true;
  }

  /** The same as `tryAcquire` where time changed something, or the state is neither closed nor open. */
  protected abstract ask(handle: number, now: number): number;
  /** The place of the next token is taken. */
  protected abstract admitLater(handle: number, now: number): number;
  /** All results but the quick success of a closed breaker that knows of nothing bad. */
  protected abstract unusual(row: number, outcome: number, latencyMs: number, at: number, quantum: number): void;
}
