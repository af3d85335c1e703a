/** `node test/tables/blocks.ts`: every block and header of the chain data through `sprint inspect`, as a Markdown table. */
import { hasData } from "../fakes/data.ts";
import { examine, type Sample, samples } from "../fakes/samples.ts";
import type { Inspection } from "../../src/daemon/inspect.ts";

if (!hasData) {
  console.error("no chain data: set SPRINT_CHAIN_DATA to its folder");
  process.exit(2);
}

console.log("| File | Chain | Count | Height | Transactions | Validation | Result |\n|---|---|---|---|---|---|---|");
let unexpected = 0;
for (const sample of samples()) {
  const lines = await examine(sample);
  const { text, good } = resultOf(sample, lines);
  if (!good) unexpected++;
  const transactions = lines.reduce((sum, line) => sum + (line.tx_count ?? 0), 0);
  const cells = [
    `\`${sample.name}\``,
    `${sample.chain} ${sample.network}`,
    lines.length,
    heights(lines),
    transactions === 0 ? "-" : transactions,
    sample.bodyOnly ? "body" : (lines[0]?.validation ?? "-"),
    good ? text : `**unexpected:** ${text}`,
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
process.exitCode = unexpected === 0 ? 0 : 1;

function resultOf(sample: Sample, lines: readonly Inspection[]): { text: string; good: boolean } {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const code = line.error?.code ?? "valid";
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  const skipped = new Set(lines.flatMap((line) => line.skipped ?? []));
  const text = [...counts].map(([code, count]) => (lines.length === 1 ? code : `${count} × ${code}`)).join(", ");
  const expected = (line: Inspection): boolean =>
    sample.refusals === null
      ? line.ok
      : line.error !== null && sample.refusals.some((code) => code.test(line.error?.code ?? ""));
  const good = lines.length === sample.count && lines.every(expected);
  return { text: skipped.size === 0 ? text : `${text} (left out: ${[...skipped].join("; ")})`, good };
}

function heights(lines: readonly Inspection[]): string {
  const known = lines.map((line) => line.height).filter((height) => height !== null);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return "-";
  return first === last ? String(first) : `${first}-${last}`;
}
