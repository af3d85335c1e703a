/**
 * The numbers of all breakers of a pool: no object and no timer per breaker, under 200 bytes each, and nothing for the collector to walk.
 *
 * What each call touches lies together, 64 bytes of whole numbers and 48 of doubles per breaker; what is rare has columns of its own.
 */

/** Whole numbers of a row, `counts`. */
export const COUNTS = 16;
/** The handle; -1 in a row without breaker. */
export const TAG = 0;
export const STATE = 1;
/** The running number of the census's quantum. Calls of earlier epochs have numbers below `EPOCH_START`. */
export const QUANTUM = 2;
export const EPOCH_START = 3;
/** Calls that started in the present quantum and the three before and are still out. */
export const OUT = 4;
/** Calls that are out for longer, or since an earlier epoch. */
export const LINGERING = 8;
/** The last eight calls as bits, newest lowest: 1 is bad. */
export const RECENT = 9;
export const SUCCEEDED = 10;
export const FAILED = 11;
export const REJECTED = 12;
export const SLOW = 13;
export const LATE = 14;
export const IGNORED_CALLS = 15;

/** Doubles of a row, `times`. */
export const TIMES = 6;
/** When time alone changes something: the quantum ends, or, while open, a probe is due. */
export const WAKE_AT = 0;
/** When the window is looked at next: not long after the last call. */
export const TICK_AT = 1;
export const SLOW_FROM = 2;
/** S of failures, S of all that was bad, and H of `evidence.ts`. */
export const FAILURE_EVIDENCE = 3;
export const BAD_EVIDENCE = 4;
export const THRESHOLD = 5;

type Column = Uint8Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array;

const WIDTH: Readonly<Record<string, number>> = { counts: COUNTS, times: TIMES };

/** Fields are set one by one: an object whose properties are added in a loop is a dictionary, and slow to read. */
export class Columns {
  declare counts: Int32Array;
  declare times: Float64Array;
  declare policy: Uint32Array;
  declare ramp: Uint8Array;
  /** Of half-open: probes out, good ones and bad ones of this round. */
  probes: Uint16Array;
  successes: Uint16Array;
  setbacks: Uint16Array;
  openings: Uint16Array;
  overdue: Uint32Array;
  abandoned: Uint32Array;
  since: Float64Array;
  onsetAt: Float64Array;
  openMs: Float32Array;
  rate: Float32Array;
  health: Float32Array;
  admitted: Float32Array;

  constructor(rows: number) {
    this.counts = new Int32Array(rows * COUNTS);
    this.times = new Float64Array(rows * TIMES);
    this.policy = new Uint32Array(rows);
    this.ramp = new Uint8Array(rows);
    this.probes = new Uint16Array(rows);
    this.successes = new Uint16Array(rows);
    this.setbacks = new Uint16Array(rows);
    this.openings = new Uint16Array(rows);
    this.overdue = new Uint32Array(rows);
    this.abandoned = new Uint32Array(rows);
    this.since = new Float64Array(rows);
    this.onsetAt = new Float64Array(rows);
    this.openMs = new Float32Array(rows);
    this.rate = new Float32Array(rows);
    this.health = new Float32Array(rows);
    this.admitted = new Float32Array(rows);
    this.#vacate(0);
  }

  get rows(): number {
    return this.policy.length;
  }

  /** Longer columns in the same object: who holds it sees them. */
  grow(rows: number): void {
    const before = this.rows;
    for (const [name, column] of this.#all()) {
      const longer = new (column.constructor as new (length: number) => Column)(rows * (WIDTH[name] ?? 1));
      longer.set(column);
      (this as unknown as Record<string, Column>)[name] = longer;
    }
    this.#vacate(before);
  }

  /** Rows from this one on have no breaker: 0 would be a handle. */
  #vacate(from: number): void {
    for (let row = from; row < this.rows; row++) this.counts[row * COUNTS + TAG] = -1;
  }

  clear(row: number): void {
    for (const [name, column] of this.#all()) {
      const width = WIDTH[name] ?? 1;
      column.fill(0, row * width, (row + 1) * width);
    }
  }

  #all(): [string, Column][] {
    return Object.entries(this as unknown as Record<string, Column>);
  }
}
