/** Changes of the configuration, as a table for people and as one line for a log. */
import type { ChangeBody } from "../../shared/api.ts";
import { type Paint, printable, table } from "../../shared/cli.ts";

const COLOR = { "+": "green", "-": "red", "~": "yellow" } as const;

/** `+` is new, `-` is gone, `~` is another one; the entries of a list that change have a line each. */
export function changesTable(
  changes: readonly ChangeBody[],
  [before, after]: readonly [string, string],
  paint: Paint,
): string {
  const rows = changes.flatMap(rowsOf);
  const [head = "", ...lines] = table(["", "KEY", before, after, ""], rows).split("\n");
  const painted = lines.map((line, i) => paint(COLOR[rows[i]?.[0] as keyof typeof COLOR], line));
  return [paint("dim", head), ...painted].join("\n");
}

function rowsOf({ key, from, to, restart }: ChangeBody): readonly (readonly string[])[] {
  const note = restart ? "restart" : "";
  if (Array.isArray(from) && Array.isArray(to)) {
    const gone = from.filter((item) => !to.includes(item)).map((item) => ["-", key, valueText(item), "", note]);
    const come = to.filter((item) => !from.includes(item)).map((item) => ["+", key, "", valueText(item), note]);
    // The same entries in another order.
    if (gone.length + come.length > 0) return [...gone, ...come];
  }
  if (from === null) return [["+", key, "", valueText(to), note]];
  if (to === null) return [["-", key, valueText(from), "", note]];
  return [["~", key, valueText(from), valueText(to), note]];
}

/** One line for a log: `log.level: info → debug; limits.FREE.connections: 100 → 50`. */
export function changesSentence(changes: readonly ChangeBody[]): string {
  return changes
    .map(({ key, from, to, restart }) => `${key}: ${valueText(from)} → ${valueText(to)}${restart ? " (restart)" : ""}`)
    .join("; ");
}

export function valueText(value: unknown): string {
  if (value === null) return "-";
  return printable(typeof value === "string" ? value : JSON.stringify(value));
}
