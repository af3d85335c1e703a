/** Breakers as text for an operator. Nothing here asks anybody; `now` is Unix ms. */
import type {
  BreakerBody,
  BreakerConfigBody,
  BreakersBody,
  HistoryBody,
  PolicyBody,
  TransitionBody,
} from "../../shared/api.ts";
import { type Paint, formatDuration, printable, table } from "../../shared/cli.ts";
import { changesTable, valueText } from "./changestext.ts";

type State = BreakerBody["state"];

const COLOR: Readonly<Record<State, Parameters<Paint>[0]>> = {
  closed: "green",
  open: "red",
  half_open: "yellow",
  force_open: "magenta",
  force_close: "magenta",
};

/** What an operator looks for first: calls turned away, by fault before by order; then faults that an order hides. */
const WORST_FIRST: readonly State[] = ["open", "force_open", "half_open", "force_close", "closed"];

/** In a narrow terminal they make room, the first one first; --json has them always. */
const LESS_WANTED = ["RATE/S", "P95 MS", "REJECTED", "FAIL%"];
const LIST_HEAD = ["NAME", "STATE", "HEALTH", "FAIL%", "P95 MS", "RATE/S", "REJECTED", "NEXT ATTEMPT", "LAST ERROR"];
/** Below, a breaker opens on less evidence: one that is still closed is worth a look. */
const AILING_HEALTH = 0.5;
/** However narrow the terminal, so much of an error is shown. */
const MIN_ERROR_LETTERS = 16;

export function listText(
  { breakers }: BreakersBody,
  now: number,
  terminal: { readonly paint: Paint; readonly columns?: number | undefined },
): string {
  if (breakers.length === 0) return "no breakers: public peers have none, one that fails is replaced";
  const sorted = breakers.toSorted(
    (a, b) =>
      WORST_FIRST.indexOf(a.state) - WORST_FIRST.indexOf(b.state) ||
      a.health - b.health ||
      a.name.localeCompare(b.name, "en"),
  );
  const rows = sorted.map((breaker) => [
    breaker.name,
    breaker.state,
    rounded(breaker.health, 2),
    breaker.failure_rate === null ? null : rounded(breaker.failure_rate * 100, 1),
    breaker.latency_ms.p95 === null ? null : rounded(breaker.latency_ms.p95, 1),
    rounded(breaker.rate_per_second, 1),
    breaker.rejected,
    nextAttempt(breaker, now),
  ]);
  const columns = terminal.columns ?? Number.POSITIVE_INFINITY;
  let head = LIST_HEAD.slice(0, -1);
  let shown: (string | number | null)[][] = rows;
  const width = (): number =>
    Math.max(
      ...table(head, shown)
        .split("\n")
        .map((line) => line.length),
    );
  const notes = sorted.map((breaker) => trouble(breaker, now));
  const wanted = Math.max("LAST ERROR".length, ...notes.map((note) => Math.min(MIN_ERROR_LETTERS, note?.length ?? 1)));
  for (const name of LESS_WANTED) {
    if (width() + 2 + wanted <= columns) break;
    const at = head.indexOf(name);
    head = head.toSpliced(at, 1);
    shown = shown.map((row) => row.toSpliced(at, 1));
  }
  const room = Math.max(MIN_ERROR_LETTERS, columns - width() - 2);
  const whole = shown.map((row, i) => [...row, cut(notes[i] ?? null, room)]);
  return table([...head, "LAST ERROR"], whole, (text, row, column) => {
    const breaker = sorted[row];
    if (breaker === undefined) return text;
    const { state, health, forced } = breaker;
    if (column === "STATE" || (column === "LAST ERROR" && forced !== null)) return terminal.paint(COLOR[state], text);
    return column === "HEALTH" && health < AILING_HEALTH ? terminal.paint("red", text) : text;
  });
}

function nextAttempt({ next_attempt_at: at, half_open: half }: BreakerBody, now: number): string | null {
  if (half !== null) {
    return half.ramp === null ? `probing, ${half.probes} of ${half.permits} out` : `ramp, ${percent(half.ramp)} pass`;
  }
  if (at === null) return null;
  const inMs = Date.parse(at) - now;
  return inMs <= 0 ? "due" : `in ${span(inMs)}`;
}

function trouble(breaker: BreakerBody, now: number): string | null {
  return breaker.forced === null ? breaker.last_error : untilText(breaker.forced, now);
}

/** "forced by alice until reset: node upgrade". */
export function untilText({ owner, reason, until }: NonNullable<BreakerBody["forced"]>, now: number): string {
  const time = until === null ? "until reset" : `for ${span(Math.max(0, Date.parse(until) - now))} more`;
  return printable(`forced by ${owner} ${time}: ${reason}`);
}

// --- one breaker

type Row = readonly [name: string, value: string];

/** Everything of one breaker, in groups. `latest`: its newest transition, null before the first. */
export function breakerText(breaker: BreakerBody, latest: TransitionBody | null, now: number, paint: Paint): string {
  const groups: readonly (readonly [string, readonly Row[]])[] = [
    ["State", stateRows(breaker, latest, now, paint)],
    ["Calls of the last five minutes", windowRows(breaker)],
    ["Opens", thresholdRows(breaker)],
    ["Recovery", recoveryRows(breaker, now)],
    ["Since the start", totalRows(breaker)],
    [`Policy (${breaker.tier}; change it with sprint breakers set)`, policyRows(breaker.policy)],
  ];
  const width = Math.max(...groups.flatMap(([, rows]) => rows.map(([name]) => name.length)));
  const lines = groups.flatMap(([head, rows]) => [
    "",
    paint("dim", head),
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
  ]);
  return [`${paint("bold", printable(breaker.name))}`, ...lines.slice(1)].join("\n");
}

function stateRows(breaker: BreakerBody, latest: TransitionBody | null, now: number, paint: Paint): Row[] {
  const { state, since, health, last_error: lastError, forced } = breaker;
  const rows: Row[] = [
    ["state", `${paint(COLOR[state], state)} for ${span(Math.max(0, now - Date.parse(since)))}, since ${since}`],
  ];
  const evidence = latest === null ? "" : evidenceText(latest);
  if (forced !== null) rows.push(["why", paint("magenta", untilText(forced, now))]);
  else if (latest !== null) rows.push(["why", `${latest.cause}${evidence === "" ? "" : `: ${evidence}`}`]);
  rows.push(["health", `${health.toFixed(2)} of 1`]);
  rows.push(["last error", lastError === null ? "none" : printable(lastError)]);
  return rows;
}

function windowRows(breaker: BreakerBody): Row[] {
  const { failure_rate: rate, failure_rate_range: range, latency_ms: latency, trend } = breaker;
  const direction = `${trend < 0 ? "" : "+"}${rounded(trend * 100, 1)} points`;
  const between = `95% sure of ${percent(range.low)} to ${percent(range.high)}`;
  return [
    ["failed", rate === null ? "no calls" : `${percent(rate)} (${between}), last minute ${direction}`],
    ["slow", `${orNone(breaker.slow_rate, percent)}, slow from ${span(breaker.slow_from_ms)} on`],
    ["turned away", orNone(breaker.rejection_rate, percent)],
    ["latency", `p50 ${orNone(latency.p50, span)}, p95 ${orNone(latency.p95, span)}, p99 ${orNone(latency.p99, span)}`],
    ["rate", `${rounded(breaker.rate_per_second, 1)} a second, ${breaker.in_flight} in flight`],
  ];
}

function thresholdRows({
  failure_threshold: threshold,
  calls_per_false_open: calls,
  policy,
  ...breaker
}: BreakerBody): Row[] {
  const base = policy.failure_threshold;
  const adapted = Math.abs(threshold - base) < 0.05 ? "" : `; ${base} before it adapted to what is normal here`;
  const { rate_per_second: rate } = breaker;
  const isNever = calls === null || calls >= 1e15;
  const often = isNever || rate <= 0 ? "" : `, at the present rate one in ${span((calls / rate) * 1000)}`;
  return [
    ["at", `${rounded(threshold, 1)} bad calls in a row, or as much evidence of a mix${adapted}`],
    ["falsely", isNever ? "practically never" : `one false open in ${large(calls)} calls${often}`],
  ];
}

function recoveryRows(breaker: BreakerBody, now: number): Row[] {
  return [
    ["probability", breaker.recovery_probability.toFixed(2)],
    ["next attempt", nextAttempt(breaker, now) ?? "-"],
  ];
}

function totalRows(breaker: BreakerBody): Row[] {
  const { requests, failures, slow, overdue, ignored, rejected, late } = breaker;
  return [
    [
      "admitted",
      `${requests}, of them ${failures} failed, ${slow} slow, ${overdue} overdue, ${ignored} neither good nor bad`,
    ],
    ["rejected", String(rejected)],
    ["late", `${late}, results of an earlier state that judged nothing`],
  ];
}

function policyRows(policy: PolicyBody): Row[] {
  return Object.entries(policy).map(([key, value]) => [key, settingText(key, value)]);
}

// --- what happened

export function historyText({ name, transitions }: HistoryBody, paint: Paint): string {
  if (transitions.length === 0) return `${printable(name)} has not changed its state since the start`;
  const rows = transitions.map((each) => [each.at, each.from, "→", each.to, each.cause, evidenceText(each)]);
  return table(["TIME", "FROM", "", "TO", "CAUSE", "EVIDENCE"], rows, (text, row, column) => {
    const { from, to } = transitions[row] ?? { from: "closed", to: "closed" };
    if (column === "FROM") return paint(COLOR[from], text);
    return column === "TO" ? paint(COLOR[to], text) : text;
  });
}

/** "20 bad of threshold 14.2, 3 in flight, probe in 212ms". */
function evidenceText({ to, cause, forced, evidence }: TransitionBody): string {
  if (forced !== null) {
    const until = forced.until === null ? "until reset" : `until ${forced.until}`;
    return printable(`by ${forced.owner} ${until}: ${forced.reason}`);
  }
  const { bad, failures, threshold, in_flight: inFlight, health, outage_ms: outage, probe_in_ms: probe } = evidence;
  const parts: string[] = [];
  if (to === "open") {
    const failed = failures < bad ? ` (${rounded(failures, 1)} failed)` : "";
    parts.push(`${rounded(bad, 1)} bad${failed} of threshold ${rounded(threshold, 1)}`);
    if (cause === "latency") parts.push(`slow from ${span(evidence.slow_from_ms)}`);
    if (cause === "health") parts.push(`health ${health.toFixed(2)}`);
  }
  if (inFlight > 0) parts.push(`${inFlight} in flight`);
  if (to === "open" && probe > 0) parts.push(`probe in ${span(probe)}`);
  if (outage > 0) parts.push(`outage of ${span(outage)}`);
  return parts.join(", ");
}

/** What an order changed, times with units. */
export function changesText(name: string, { changes }: Pick<BreakerConfigBody, "changes">, paint: Paint): string {
  if (changes.length === 0) return `${name} has these values already; nothing changed`;
  const readable = changes.map(({ key, from, to, restart }) => ({
    key,
    from: settingText(key, from),
    to: settingText(key, to),
    restart,
  }));
  return `${paint("bold", printable(name))}\n${changesTable(readable, ["BEFORE", "NOW"], paint)}`;
}

// --- words for numbers

function settingText(key: string, value: unknown): string {
  return typeof value === "number" && key.endsWith("_ms") ? formatDuration(value) : valueText(value);
}

function orNone(value: number | null, text: (value: number) => string): string {
  return value === null ? "-" : text(value);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function percent(share: number): string {
  return `${rounded(share * 100, 1)}%`;
}

const LARGE: readonly (readonly [number, string])[] = [
  [1e12, "trillion"],
  [1e9, "billion"],
  [1e6, "million"],
];

function large(value: number): string {
  const [size, word] = LARGE.find(([least]) => value >= least) ?? [1, ""];
  if (word === "") return Math.round(value).toLocaleString("en-US");
  return `${rounded(value / size, 1)} ${word}`;
}

/** A length of time with two digits that matter: "4.2ms", "212ms", "3.1s", "4m10s", "12d". */
function span(ms: number): string {
  if (ms < 10) return `${rounded(ms, 1)}ms`;
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${rounded(ms / 1_000, 1)}s`;
  const unit = ms < 3_600_000 ? 1_000 : ms < 86_400_000 ? 60_000 : ms < 864_000_000 ? 3_600_000 : 86_400_000;
  return ms < 3.2e12 ? formatDuration(Math.round(ms / unit) * unit) : "over 100 years";
}

function cut(text: string | null, room: number): string | null {
  return text === null || text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}
