/** What every bench returns (CONTRACT: Tests and benches), and the arithmetic they share. */
import { cpus } from "node:os";

export interface BenchCheck {
  readonly name: string;
  readonly target: string;
  readonly observed: string;
  readonly ok: boolean;
}

export interface BenchDocument {
  readonly bench: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly rows: readonly Readonly<Record<string, string | number | null>>[];
  readonly checks: readonly BenchCheck[];
}

export interface BenchOptions {
  /** Fewer rounds, for a look rather than for a figure. */
  readonly quick: boolean;
  /** Of a bench with several chains this one alone. */
  readonly only: string | null;
  /** One line of progress on stderr. */
  readonly progress: (line: string) => void;
}

export function machine(): string {
  const list = cpus();
  return `${list.length} × ${list[0]?.model ?? "unknown CPU"}, ${process.platform} ${process.arch}`;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Nearest rank; NaN where there are no values, so that a check on nothing cannot pass. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

/** A check that holds when `observed` is at least (or at most) `bound`; NaN never holds. */
export function check(name: string, observed: number, relation: ">=" | "<=", bound: number, unit = "×"): BenchCheck {
  return {
    name,
    target: `${relation} ${bound}${unit}`,
    observed: `${observed.toFixed(2)}${unit}`,
    ok: relation === ">=" ? observed >= bound : observed <= bound,
  };
}
