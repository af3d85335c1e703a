/** `node test/tables/blocks.ts`: every block and header of the chain data through `sprint inspect`, as a Markdown table. */
import { hasData } from "../fakes/data.ts";
import { evmSamples, examineEvm } from "../fakes/evm.ts";
import { examine, samples } from "../fakes/samples.ts";
import type { Inspection } from "../../src/daemon/inspect/index.ts";

if (!hasData) {
  console.error("no chain data: set SPRINT_CHAIN_DATA to its folder");
  process.exit(2);
}

/** What the lines of every family have. */
type Line = Omit<Inspection, "chain">;

console.log("| File | Chain | Count | Height | Transactions | Validation | Result |\n|---|---|---|---|---|---|---|");
let unexpected = 0;
for (const sample of samples()) {
  const { name, chain, network, count, refusals, bodyOnly } = sample;
  const expected = (line: Line): boolean =>
    refusals === null ? line.ok : refusals.some((code) => code.test(line.error?.code ?? "valid"));
  row({ name, chain: `${chain} ${network}`, count, bodyOnly, expected }, await examine(sample));
}
for (const sample of evmSamples()) {
  const { name, chain, count, refusal } = sample;
  const expected = (line: Line, index: number): boolean =>
    (line.error?.code ?? null) === (index === count - 1 ? refusal : null);
  row({ name, chain: `${chain} mainnet`, count, bodyOnly: false, expected }, await examineEvm(sample));
}
process.exitCode = unexpected === 0 ? 0 : 1;

interface Expectation {
  readonly name: string;
  readonly chain: string;
  readonly count: number;
  readonly bodyOnly: boolean;
  readonly expected: (line: Line, index: number) => boolean;
}

function row({ name, chain, count, bodyOnly, expected }: Expectation, lines: readonly Line[]): void {
  const good = lines.length === count && lines.every(expected);
  if (!good) unexpected++;
  const transactions = lines.reduce((sum, line) => sum + (line.tx_count ?? 0), 0);
  const cells = [
    `\`${name}\``,
    chain,
    lines.length,
    heights(lines),
    transactions === 0 ? "-" : transactions,
    bodyOnly ? "body" : (lines[0]?.validation ?? "-"),
    good ? resultOf(lines) : `**unexpected:** ${resultOf(lines)}`,
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

function resultOf(lines: readonly Line[]): string {
  const counts = Map.groupBy(lines, (line) => line.error?.code ?? "valid");
  const skipped = new Set(lines.flatMap((line) => line.skipped ?? []));
  const text = [...counts].map(([code, of]) => (lines.length === 1 ? code : `${of.length} × ${code}`)).join(", ");
  return skipped.size === 0 ? text : `${text} (left out: ${[...skipped].join("; ")})`;
}

function heights(lines: readonly Line[]): string {
  const known = lines.map((line) => line.height).filter((height) => height !== null);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return "-";
  return first === last ? String(first) : `${first}-${last}`;
}
