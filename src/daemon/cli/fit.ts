/** Tables that stay within a terminal. */
import { table } from "../../shared/cli.ts";

type Cell = string | number | null;

export interface Fitting {
  /** Undefined: no terminal, and nothing is cut. */
  readonly columns: number | undefined;
  /** Columns that may give room, those that are missed least first; "start": the end of its cells is what counts, as with hashes. */
  readonly cut: Readonly<Record<string, "start" | "end">>;
}

/** However narrow the terminal, so much of a cell is shown. */
const MIN_LETTERS = 12;

export function fittedTable(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  { columns, cut }: Fitting,
  look?: Parameters<typeof table>[2],
): string {
  let shown = rows;
  for (const [name, side] of Object.entries(cut)) {
    const lines = table(head, shown).split("\n");
    const excess = Math.max(...lines.map((line) => line.length)) - (columns ?? Number.POSITIVE_INFINITY);
    if (excess <= 0) break;
    const at = head.indexOf(name);
    const width = Math.max(...shown.map((row) => String(row[at] ?? "").length));
    const room = Math.max(MIN_LETTERS, width - excess);
    shown = shown.map((row) =>
      row.map((cell, i) => (i === at && typeof cell === "string" ? cutTo(cell, room, side) : cell)),
    );
  }
  return table(head, shown, look);
}

function cutTo(text: string, room: number, side: "start" | "end"): string {
  if (text.length <= room) return text;
  return side === "start" ? `…${text.slice(1 - room)}` : `${text.slice(0, room - 1)}…`;
}
