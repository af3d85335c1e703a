/** The detection table: each trace, each rate, several seeds, ours and theirs; and what is asked of ours as checks. */
import { type Entrant, type Peers, peers as theirs, sprint } from "./breaker-subjects.ts";
import { type Verdict, simulate } from "./breaker-simulation.ts";
import { TRACES, type TraceName, trace } from "./breaker-traces.ts";
import { type BenchCheck, type BenchDocument, check, quantile } from "./document.ts";

type Row = BenchDocument["rows"][number];

const RATES = [100, 500, 10, 3];
const OURS = "sprint ENTERPRISE";

interface Cell {
  readonly rate: number;
  readonly trace: TraceName;
  readonly who: string;
  readonly verdicts: readonly Verdict[];
}

export async function detection(
  peers: Peers,
  quick: boolean,
  rows: Row[],
  checks: BenchCheck[],
  progress: (line: string) => void,
): Promise<void> {
  const entrants: Entrant[] = [sprint("ENTERPRISE"), sprint("BUSINESS"), sprint("FREE"), ...theirs(peers)];
  const first = Number(process.env["SPRINT_BENCH_SEED"] ?? 1);
  const seeds = Array.from({ length: quick ? 2 : 6 }, (_, n) => first + n);
  const cells: Cell[] = [];
  for (const rate of RATES) {
    progress(`detection at ${rate} calls/s`);
    for (const name of TRACES) {
      for (const entrant of entrants) cells.push(await cellOf(entrant, name, rate, seeds, quick));
    }
  }
  for (const cell of cells) {
    rows.push({
      what: `${cell.rate}/s ${cell.trace}`,
      who: cell.who,
      "open s": openSeconds(cell),
      "bad let": mean(cell, (v) => v.badLet),
      "good lost": mean(cell, (v) => v.goodLost),
      "false opens": mean(cell, (v) => v.falseOpens),
      "recover s": mean(cell, (v) => v.recoverMs) / 1_000,
      ratio: null,
    });
  }
  judge(cells, checks);
}

async function cellOf(
  entrant: Entrant,
  name: TraceName,
  rate: number,
  seeds: readonly number[],
  quick: boolean,
): Promise<Cell> {
  const verdicts: Verdict[] = [];
  // The long traces are as long as promised for ours at 100/s, shorter where all take part.
  const minutes = quick ? 1 : entrant.name === OURS && rate <= 100 ? 30 : rate >= 500 ? 1 : 5;
  for (const seed of seeds) verdicts.push(await simulate(entrant, trace(name, rate, seed, minutes), seed));
  return { rate, trace: name, who: entrant.name, verdicts };
}

function judge(cells: readonly Cell[], checks: BenchCheck[]): void {
  const ours = (rate: number, name: TraceName): Cell | undefined =>
    cells.find((cell) => cell.rate === rate && cell.trace === name && cell.who === OURS);
  const limits: [TraceName, number][] = [
    ["total outage", 0.25],
    ["60 % errors", 0.6],
    ["hang", 0.5],
    ["latency x10", 0.6],
  ];
  for (const [name, seconds] of limits)
    checks.push(
      check(`100/s ${name}: median time to open`, openSeconds(ours(100, name)) ?? Number.NaN, "<=", seconds, " s"),
    );
  for (const rate of RATES) {
    const opens = (["30 % noise", "steady 1 %"] as const).reduce(
      (sum, name) => sum + (ours(rate, name)?.verdicts ?? []).reduce((all, v) => all + v.falseOpens, 0),
      0,
    );
    checks.push(check(`${rate}/s false opens under noise, all seeds`, opens, "<=", 0, ""));
  }
  const libraries = new Set(cells.map(({ who }) => who).filter((who) => !who.startsWith("sprint")));
  if (libraries.size === 0) return;
  for (const rate of RATES) {
    let [best, worst] = [0, 0];
    const sums = new Map<string, number>();
    for (const name of TRACES) {
      const cost = new Map(
        cells
          .filter((c) => c.rate === rate && c.trace === name)
          .map((c) => [c.who, mean(c, (v) => v.badLet + v.goodLost) / lengthOf(c)]),
      );
      const own = cost.get(OURS) ?? Number.NaN;
      const others = [...libraries].map((who) => cost.get(who) ?? Number.NaN);
      if (own <= Math.min(...others) * 1.001) best++;
      if (own > Math.max(...others) * 1.001) worst++;
      // Every trace weighs the same: as a share of what the best entrant paid.
      const least = Math.min(own, ...others);
      for (const who of [OURS, ...libraries])
        sums.set(who, (sums.get(who) ?? 0) + (cost.get(who) ?? Number.NaN) / least);
    }
    checks.push(
      // Where traffic is thin, no worse than the best library on any; where it is dense, better than all on most.
      rate >= 100
        ? check(`${rate}/s traces with the smallest sum, of ${TRACES.length}`, best, ">=", 5, "")
        : check(`${rate}/s traces worse than the best library, of ${TRACES.length}`, TRACES.length - best, "<=", 0, ""),
      check(`${rate}/s traces with the largest sum`, worst, "<=", 0, ""),
      check(
        `${rate}/s mean over traces of sum / least sum, over the best library's`,
        (sums.get(OURS) ?? Number.NaN) / Math.min(...[...libraries].map((who) => sums.get(who) ?? Number.NaN)),
        "<=",
        1,
      ),
    );
  }
}

/** The two long traces are longer for ours: costs are compared a call. */
function lengthOf(cell: Cell): number {
  if (cell.trace !== "30 % noise" && cell.trace !== "steady 1 %") return 1;
  return cell.verdicts.reduce((sum, v) => sum + v.calls, 0) / cell.verdicts.length;
}

/** Median over seeds; null where it opened in less than half of them. */
function openSeconds(cell: Cell | undefined): number | null {
  if (cell === undefined) return null;
  const ms = quantile(
    cell.verdicts.map(({ openMs }) => openMs ?? Number.POSITIVE_INFINITY),
    0.5,
  );
  return Number.isFinite(ms) ? ms / 1_000 : null;
}

function mean(cell: Cell, of: (verdict: Verdict) => number): number {
  return cell.verdicts.reduce((sum, verdict) => sum + of(verdict), 0) / cell.verdicts.length;
}
