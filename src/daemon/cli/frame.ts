/** The live view as text: what stands in which line, for a terminal of a given size. Nothing here knows a terminal. */
import { formatDuration } from "../../shared/cli.ts";
import { type BreakerLine, type DaemonView, devnetText } from "../view.ts";
import { causeOf } from "./trouble.ts";

export type Style = "plain" | "bold" | "dim" | "good" | "warn" | "bad" | "accent" | "forced";

export interface Segment {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly Segment[];

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

export interface FrameInput {
  readonly version: string;
  readonly view: DaemonView;
  /** At most so many lines, newest last. */
  readonly news: (max: number) => readonly Line[];
  /** Unix ms. */
  readonly now: number;
}

const MAX_COLUMNS = 140;
/** From here on a sentence has room for its long form. */
const WIDE_COLUMNS = 100;
const MIN_NEWS = 2;
/** With less, the listeners give up lines of their own. */
const FAIR_NEWS = 4;
/** A chain's or a network's name. */
const MAX_NAME = 16;
/** 0x and 64 digits. */
const LONGEST_HASH = 66;
/** Breakers that are not closed and have a line of their own. */
const MAX_BREAKERS = 4;

/**
 * At most `rows - 1` lines of at most `columns` letters. In a small terminal listeners share a line, then news goes, then upstreams,
 * then gaps.
 */
export function frame(input: FrameInput, size: Size): readonly Line[] {
  const columns = Math.min(size.columns, MAX_COLUMNS);
  const height = Math.max(1, size.rows - 1);
  const head = [title(input, columns)];
  const chains = chainLines(input, columns);
  const state = [relayLine(input.view), ...breakerLines(input.view)];
  const foot = [[dim("q or Ctrl-C stops")]];

  const gaps = 4;
  const others = head.length + chains.length + state.length + foot.length + gaps;
  const wanted = others + input.view.upstreams.length + 1 + FAIR_NEWS;
  const long = tierLines(input.view);
  const tiers = [...(wanted + long.length <= height ? long : shortTierLines(input.view)), ...state];
  const fixed = others + tiers.length - state.length;
  const upstreams = upstreamLines(input.view, columns, Math.max(2, height - fixed - MIN_NEWS));
  const room = height - fixed - upstreams.length;
  if (room < 0) {
    const tight = [...head, ...chains, ...tiers, ...upstreams].slice(0, height - foot.length);
    return [...tight, ...foot].map((line) => cut(line, columns));
  }
  const shown = room === 0 ? [] : input.news(room);
  const rest = Array.from({ length: room - shown.length }, (): Line => []);
  return [...head, [], ...chains, [], ...upstreams, [], ...tiers, [], ...shown, ...rest, ...foot].map((line) =>
    cut(line, columns),
  );
}

function title({ version, view, now }: FrameInput, columns: number): Line {
  const isDevnet = view.network === "devnet";
  const left: Line = [
    { text: `sprint ${version}`, style: "bold" },
    plain("  "),
    { text: isDevnet ? devnetText(view, columns < WIDE_COLUMNS) : view.network, style: isDevnet ? "warn" : "accent" },
  ];
  const up = `up ${formatDuration(Math.max(0, Math.floor((now - view.startedAt) / 1000) * 1000))}`;
  return [...left, plain(" ".repeat(Math.max(2, columns - widthOf(left) - up.length))), dim(up)];
}

function chainLines({ view, now }: FrameInput, columns: number): Line[] {
  const widest = (head: string, cells: readonly string[], most = MAX_NAME): number =>
    Math.min(most, Math.max(head.length, ...cells.map((cell) => cell.length)));
  const names = widest(
    "CHAIN",
    view.chains.map(({ chain }) => chain),
  );
  const networks = widest(
    "NETWORK",
    view.chains.map(({ network }) => network),
  );
  const heights = widest(
    "HEIGHT",
    view.chains.map(({ tip }) => String(tip?.height ?? "")),
  );
  // What stands right of the hash takes 32 letters, and five of gaps are left of it.
  const hashes = Math.min(LONGEST_HASH, Math.max(10, columns - names - networks - heights - 5 - 32));
  const head = [
    `${"CHAIN".padEnd(names)}  ${"NETWORK".padEnd(networks)} ${"HEIGHT".padStart(heights)}  ${"TIP".padEnd(hashes)}`,
    `${"AGE".padStart(6)}  ${"PHASE".padEnd(9)}${"BLOCKS".padStart(8)}${"REORGS".padStart(7)}`,
  ];
  const lines: Line[] = [[dim(head.join(""))]];
  for (const chain of view.chains) {
    const { tip } = chain;
    const start: Line = [
      { text: `${chain.chain.slice(0, names).padEnd(names)}  `, style: "bold" },
      plain(`${chain.network.slice(0, networks).padEnd(networks)} `),
    ];
    if (tip === null) {
      lines.push([
        ...start,
        { text: `${chain.status}, no block yet`, style: chain.status === "down" ? "bad" : "warn" },
      ]);
      continue;
    }
    const state: Segment =
      chain.status === "synced"
        ? { text: tip.phase.padEnd(9), style: tip.phase === "validated" ? "good" : "plain" }
        : { text: chain.status.padEnd(9), style: chain.status === "down" ? "bad" : "warn" };
    lines.push([
      ...start,
      plain(`${String(tip.height).padStart(heights)}  `),
      dim(tail(tip.hash, hashes).padEnd(hashes)),
      plain(`${age(now - tip.at).padStart(6)}  `),
      state,
      plain(String(chain.relayed).padStart(8)),
      { text: String(chain.reorgs).padStart(7), style: chain.reorgs > 0 ? "warn" : "plain" },
    ]);
  }
  return lines;
}

function upstreamLines(view: DaemonView, columns: number, max: number): Line[] {
  const names = Math.min(28, Math.max(8, ...view.upstreams.map((upstream) => upstream.name.length)));
  const heights = Math.max("HEIGHT".length, ...view.upstreams.map(({ height }) => String(height ?? "").length));
  const lines: Line[] = [
    [
      dim(
        `${"UPSTREAM".padEnd(names)}  ${"STATE".padEnd(10)} ${"HEIGHT".padStart(heights)}${"FIRST".padStart(8)}  AGENT`,
      ),
    ],
  ];
  // Those in trouble first: they are what one looks for where not all have room.
  const order = [...view.upstreams].sort((a, b) => Number(a.state === "up") - Number(b.state === "up"));
  const rows = order.length <= max - 1 ? order : order.slice(0, Math.max(0, max - 2));
  for (const upstream of rows) {
    const style: Style =
      upstream.state === "up" ? "good" : upstream.state === "connecting" || upstream.state === "idle" ? "warn" : "bad";
    const note = upstream.trouble === null ? (upstream.agent ?? "") : causeOf(upstream.trouble);
    lines.push([
      plain(upstream.name.slice(0, names).padEnd(names)),
      plain("  "),
      { text: upstream.state.padEnd(10), style },
      plain(` ${(upstream.height === null ? "-" : String(upstream.height)).padStart(heights)}`),
      plain(String(upstream.firsts).padStart(8)),
      plain("  "),
      {
        text: shortened(note, Math.max(0, columns - names - heights - 23)),
        style: upstream.trouble === null ? "dim" : "warn",
      },
    ]);
  }
  if (rows.length < order.length) {
    const up = order.filter((upstream) => upstream.state === "up").length;
    lines.push([dim(`and ${order.length - rows.length} more; ${up} of ${order.length} are up`)]);
  }
  return lines;
}

function tierLines(view: DaemonView): Line[] {
  return [
    [dim(`${"TIER".padEnd(12)}${"LISTENER".padEnd(30)}${"SUBSCRIBERS".padStart(11)}`)],
    ...view.tiers.map((tier): Line => [
      plain(tier.tier.padEnd(12)),
      plain(tier.url.padEnd(30)),
      { text: String(tier.subscribers).padStart(11), style: tier.subscribers > 0 ? "good" : "plain" },
    ]),
  ];
}

/** All in one line: they have one host. */
function shortTierLines({ tiers }: DaemonView): Line[] {
  const places = tiers.map(({ url }) => new URL(url));
  const host = places[0]?.hostname ?? "";
  const counts = tiers.map((tier, i): Segment => ({
    text: `  ${tier.tier} :${places[i]?.port ?? ""} ${tier.subscribers}`,
    style: tier.subscribers > 0 ? "good" : "plain",
  }));
  return tiers.length === 0 ? [] : [[dim(`SUBSCRIBERS at ${host}`), ...counts]];
}

function relayLine(view: DaemonView): Line {
  const { relayMs, breakers } = view;
  const latency =
    relayMs === null
      ? "relay latency: no delivery yet"
      : `relay latency p50 ${milliseconds(relayMs.p50)}  p99 ${milliseconds(relayMs.p99)}  (${relayMs.count} deliveries)`;
  const closed = breakers.filter((breaker) => breaker.state === "closed").length;
  const of = closed === breakers.length ? "" : ` of ${breakers.length}`;
  return [plain(latency), plain("   "), dim(`${closed}${of} breaker${breakers.length === 1 ? "" : "s"} closed`)];
}

/** Worst first: a fault, an order that turns calls away, a way back, an order that lets everything pass. */
const BREAKER_STYLE: Readonly<Record<Exclude<BreakerLine["state"], "closed">, Style>> = {
  open: "bad",
  force_open: "forced",
  half_open: "warn",
  force_close: "forced",
};

function breakerLines({ breakers }: DaemonView): Line[] {
  const rows = Object.entries(BREAKER_STYLE).flatMap(([state, style]) =>
    breakers.filter((breaker) => breaker.state === state).map((breaker) => ({ ...breaker, style })),
  );
  const shown = rows.length <= MAX_BREAKERS ? rows : rows.slice(0, MAX_BREAKERS - 1);
  const names = Math.max(0, ...shown.map(({ name }) => name.length));
  const lines = shown.map(({ name, state, style, note }): Line => [
    plain(`${name.padEnd(names)}  `),
    { text: state.padEnd(12), style },
    dim(note === null ? "" : causeOf(note)),
  ]);
  if (shown.length < rows.length) lines.push([dim(`and ${rows.length - shown.length} more that are not closed`)]);
  return lines;
}

// --- words and widths

function plain(text: string): Segment {
  return { text, style: "plain" };
}

function dim(text: string): Segment {
  return { text, style: "dim" };
}

export function widthOf(line: Line): number {
  return line.reduce((sum, segment) => sum + segment.text.length, 0);
}

export function textOf(line: Line): string {
  return line.map((segment) => segment.text).join("");
}

function cut(line: Line, columns: number): Line {
  let room = columns;
  const kept: Segment[] = [];
  for (const { text, style } of line) {
    // A node names itself as it likes: no control character of its agent reaches the terminal.
    const clean = text.replace(/\p{Cc}/gu, "?");
    if (room <= 0) break;
    kept.push({ text: clean.slice(0, room), style });
    room -= clean.length;
  }
  return kept;
}

/** Hashes begin with zeros: the end is what tells them apart. */
function tail(hash: string, width: number): string {
  return hash.length <= width ? hash : `…${hash.slice(1 - width)}`;
}

function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 6_000) return `${Math.floor(seconds / 60)}m`;
  return seconds < 360_000 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
}
