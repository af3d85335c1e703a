/** What the families' figures are told in. */
import type { IntervalStats } from "../../shared/api.ts";
import { grouped, span } from "./figurestext.ts";

/** Null: not known, and not shown. */
export type Row = readonly [name: string, value: string | null];
export interface Group {
  readonly head: string;
  readonly rows: readonly Row[];
}

/** "9m41s mean, 7m2s median of 144; 10m wanted" */
export function interval({
  blocks,
  mean_seconds: mean,
  median_seconds: median,
  target_seconds: target,
}: IntervalStats): string | null {
  if (mean === null || median === null) return null;
  return `${span(mean)} mean, ${span(median)} median, of ${grouped(blocks)}; ${span(target)} wanted`;
}
