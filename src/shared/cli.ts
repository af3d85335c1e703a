/** What the four programs' command lines have in common: exit codes, durations, colour, tables, how an error is told. */
import { type ErrorCode, SprintError, isSprintError, messageOf } from "./errors.ts";
import { redactText, redactValue } from "./redact.ts";

export const EXIT = {
  DONE: 0,
  FAILED: 1,
  USAGE: 2,
  UNREACHABLE: 3,
  NOT_ALLOWED: 4,
  ROLLBACK_UNCONFIRMED: 97,
  INCONCLUSIVE: 98,
  MISSED: 99,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

/** The exit code that an error's code stands for: the first prefix that fits. */
const EXIT_BY_PREFIX: readonly (readonly [string, number])[] = [
  ["SPRINT_CONFIG_", EXIT.USAGE],
  ["SPRINT_CLI_", EXIT.USAGE],
  ["SPRINT_CLIENT_BAD_URL", EXIT.USAGE],
  ["SPRINT_CLIENT_UNREACHABLE", EXIT.UNREACHABLE],
  ["SPRINT_CLIENT_TIMEOUT", EXIT.UNREACHABLE],
  ["SPRINT_CLIENT_NO_DAEMON", EXIT.UNREACHABLE],
  ["SPRINT_CLIENT_NO_TOKEN", EXIT.NOT_ALLOWED],
  ["SPRINT_CLIENT_NOT_ALLOWED", EXIT.NOT_ALLOWED],
];

export function exitCodeOf(error: unknown): number {
  if (!isSprintError(error)) return EXIT.FAILED;
  // The daemon read the order and found it wrong, as the command line would have.
  if (error.code === "SPRINT_CLIENT_REFUSED" && error.data["status"] === 400) return EXIT.USAGE;
  return EXIT_BY_PREFIX.find(([prefix]) => error.code.startsWith(prefix))?.[1] ?? EXIT.FAILED;
}

// --- durations

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;

/** "250ms", "5s", "1m30s" → milliseconds; null where the text is none. A bare number is none: its unit would be a guess. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
  }
  return Number.isSafeInteger(Math.round(totalMs)) ? totalMs : null;
}

/** The shortest text that `parseDuration` reads back: 90000 → "1m30s". */
export function formatDuration(milliseconds: number): string {
  let rest = Math.round(milliseconds);
  if (rest <= 0) return "0s";
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

// --- the terminal

export interface Terminal {
  readonly isTTY?: boolean | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** NO_COLOR (any value but empty) and TERM=dumb switch colour off, FORCE_COLOR switches it on, else a terminal has it. */
export function wantsColor(stream: Terminal, env: Environment): boolean {
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  const forced = env["FORCE_COLOR"];
  if (forced !== undefined && forced !== "") return forced !== "0" && forced !== "false";
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

const ANSI = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  magenta: [35, 39],
  cyan: [36, 39],
} as const;

export type Paint = (style: keyof typeof ANSI, text: string) => string;

export function painter(color: boolean): Paint {
  return (style, text) => {
    const [on, off] = ANSI[style];
    return color ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  };
}

/** What came from outside, without what would steer the terminal: a node names itself as it likes. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

/** Columns padded to their widest cell; numbers stand right. The last column is not padded. `look` colours a cell of a row. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  look: (text: string, row: number, column: string) => string = (text) => text,
): string {
  const lines = [head, ...rows.map((row) => row.map((cell) => (cell === null ? "-" : printable(String(cell)))))];
  const right = head.map((_, column) => {
    const cells = rows.map((row) => row[column] ?? null).filter((cell) => cell !== null);
    return cells.length > 0 && cells.every((cell) => typeof cell === "number");
  });
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  return lines
    .map((line, row) =>
      head
        .map((name, column) => {
          const cell = line[column] ?? "";
          const space = " ".repeat((widths[column] ?? 0) - cell.length);
          const shown = row === 0 || cell === "" ? cell : look(cell, row - 1, name);
          return right[column] === true ? space + shown : shown + space;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

// --- words that nearly fit

/** The known word that `word` was probably meant to be, null where none is near (a third of its letters may differ). */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}

// --- errors

export interface ErrorDocument {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly details: unknown };
}

/** The same document that the REST API answers with. */
export function errorDocument(error: unknown): ErrorDocument {
  const known = isSprintError(error) ? error : new SprintError("SPRINT_UNEXPECTED", messageOf(error));
  return { error: { code: known.code, message: redactText(known.message), details: redactValue(known.data) } };
}

/** One sentence and its code for people, one document for programs; always without secrets. */
export function tellError(error: unknown, options: { readonly json: boolean; readonly paint: Paint }): string {
  const document = errorDocument(error);
  if (options.json) return `${JSON.stringify(document)}\n`;
  const { code, message } = document.error;
  return `${options.paint("red", "error")} ${message} ${options.paint("dim", `[${code}]`)}\n`;
}
