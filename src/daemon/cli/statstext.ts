/** `sprint stats` as text: one heading, then groups of rows, by family. */
import type { StatsBody } from "../../shared/api.ts";
import { type Paint, printable } from "../../shared/cli.ts";
import { counted, grouped, span } from "./figurestext.ts";
import { evmGroups } from "./statsevm.ts";
import { svmGroups } from "./statssvm.ts";
import type { Group } from "./statsrows.ts";
import { utxoGroups } from "./statsutxo.ts";

/** A name longer than this is cut: it is an address or a pool's own word for itself. */
const MAX_NAME = 44;

/** `now`: Unix ms. */
export function statsText(body: StatsBody, now: number, paint: Paint): string {
  const groups = groupsOf(body).flatMap(({ head, rows }) => {
    const told = rows.filter((row): row is readonly [string, string] => row[1] !== null);
    return told.length === 0 ? [] : [{ head, rows: told }];
  });
  const lines = groups.flatMap(({ head, rows }) => {
    const width = Math.max(...rows.map(([name]) => Math.min(MAX_NAME, name.length)));
    const texts = rows.map(
      ([name, value]) => `  ${printable(name).slice(0, MAX_NAME).padEnd(width)}  ${printable(value)}`,
    );
    return ["", paint("dim", head), ...texts];
  });
  return [heading(body, now, paint), ...lines].join("\n");
}

function groupsOf(body: StatsBody): readonly Group[] {
  switch (body.family) {
    case "utxo":
      return utxoGroups(body);
    case "evm":
      return evmGroups(body);
    case "svm":
      return svmGroups(body);
  }
}

function heading({ chain, network, tip, reorgs }: StatsBody, now: number, paint: Paint): string {
  const name = `${paint("bold", printable(chain))} ${printable(network)}`;
  if (tip === null) return `${name}: no block yet`;
  const ageSeconds = Math.max(0, Math.floor((now - Date.parse(tip.timestamp)) / 1_000));
  const since = reorgs === 0 ? "no reorg" : counted(reorgs, "reorg");
  return `${name} at ${grouped(tip.height)}, stamped ${span(ageSeconds)} ago, ${since} since the start\n${paint("dim", printable(tip.hash))}`;
}
