/** `npm run bench -- NAME… [--json] [--quick] [--only=CHAIN]`: prints a table, with --json one document a bench; exit 99 when a check misses. */
import { styleText } from "node:util";
import type { BenchDocument, BenchOptions } from "./document.ts";

const BENCHES: Readonly<Record<string, () => Promise<{ run(options: BenchOptions): Promise<BenchDocument> }>>> = {
  relay: () => import("./relay.ts"),
  pending: () => import("./pending.ts"),
  fanout: () => import("./fanout.ts"),
  decode: () => import("./decode.ts"),
  breaker: () => import("./breaker.ts"),
  detection: () => import("./detection.ts"),
};

const args = process.argv.slice(2);
const json = args.includes("--json");
const quick = args.includes("--quick");
const only = args.find((arg) => arg.startsWith("--only="))?.slice("--only=".length) ?? null;
const options = ["--json", "--quick", `--only=${only}`];
const unknown = args.filter((arg) => (arg.startsWith("--") ? !options.includes(arg) : !(arg in BENCHES)));
if (unknown.length > 0) {
  console.error(
    `unknown: ${unknown.join(" ")}; expected any of ${Object.keys(BENCHES).join(", ")}, --json, --quick, --only=CHAIN`,
  );
  process.exit(2);
}
const named = args.filter((arg) => !arg.startsWith("--"));

let missed = false;
for (const name of named.length > 0 ? named : Object.keys(BENCHES)) {
  const load = BENCHES[name];
  if (load === undefined) continue;
  const bench = await load();
  const document = await bench.run({ quick, only, progress: (line) => process.stderr.write(`${name}: ${line}\n`) });
  missed ||= document.checks.some((check) => !check.ok);
  if (json) process.stdout.write(`${JSON.stringify(document)}\n`);
  else print(document);
}
process.exitCode = missed ? 99 : 0;

function print(document: BenchDocument): void {
  const versions = Object.entries(document.versions).map(([name, version]) => `${name} ${version}`);
  console.log(`\n${document.bench} · ${document.rounds} rounds · ${document.machine} · ${versions.join(", ")}`);
  const columns = Object.keys(document.rows[0] ?? {});
  const cells = [columns, ...document.rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  for (const line of cells) console.log(line.map((text, i) => text.padEnd(widths[i] ?? 0)).join("  "));
  for (const check of document.checks) {
    const verdict = check.ok ? styleText("green", "reached") : styleText("red", "MISSED ");
    console.log(`${verdict}  ${check.name}: ${check.observed} (to reach: ${check.target})`);
  }
}

function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "string" || Number.isInteger(value)) return String(value);
  return value.toPrecision(4);
}
