/** One row per breaker in columns of numbers: no object, no timer, about 190 bytes a row, and the collector has nothing to walk. */

const SHAPE = {
  tag: Int32Array,
  policy: Uint16Array,
  state: Uint8Array,
  /** 0 lets callers through without a question. */
  gate: Uint8Array,
  ramp: Uint8Array,
  generation: Int32Array,
  inFlight: Int32Array,
  tail: Int32Array,
  /** The oldest call that is not counted as overdue; -1 without. */
  cursor: Int32Array,
  probes: Int32Array,
  successes: Int32Array,
  setbacks: Int32Array,
  openings: Int32Array,
  recent: Int32Array,
  overdueAt: Float64Array,
  holdUntil: Float64Array,
  seenAt: Float64Array,
  tickAt: Float64Array,
  since: Float64Array,
  probeAt: Float64Array,
  onsetAt: Float64Array,
  failedAt: Float64Array,
  slowFromMs: Float32Array,
  backoffMs: Float32Array,
  rate: Float32Array,
  health: Float32Array,
  admitted: Float32Array,
  failureEvidence: Float64Array,
  badEvidence: Float64Array,
  threshold: Float64Array,
  asked: Uint32Array,
  requests: Uint32Array,
  successesTotal: Uint32Array,
  failures: Uint32Array,
  ignored: Uint32Array,
  slow: Uint32Array,
  overdue: Uint32Array,
  rejected: Uint32Array,
  late: Uint32Array,
} as const;

export type Columns = { [K in keyof typeof SHAPE]: InstanceType<(typeof SHAPE)[K]> };
type Column = Columns[keyof Columns];

const NAMES = Object.keys(SHAPE) as (keyof Columns)[];

/** Bytes of one row. */
export const ROW_BYTES = NAMES.reduce((sum, name) => sum + SHAPE[name].BYTES_PER_ELEMENT, 0);

export function createColumns(rows: number): Columns {
  const columns: Partial<Record<keyof Columns, Column>> = {};
  for (const name of NAMES) columns[name] = new SHAPE[name](rows);
  return columns as Columns;
}

/** The same object with longer columns: who holds it sees them. */
export function growColumns(columns: Columns, rows: number): void {
  for (const name of NAMES) {
    const longer = new SHAPE[name](rows);
    longer.set(columns[name]);
    (columns as Record<keyof Columns, Column>)[name] = longer;
  }
}

export function clearRow(columns: Columns, row: number): void {
  for (const name of NAMES) columns[name][row] = 0;
}
