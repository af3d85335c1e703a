/** `sprint audit`: who ordered what. */
import type { AuditBody } from "../../shared/api.ts";
import { EXIT, type Paint } from "../../shared/cli.ts";
import { type AskOptions, connect } from "./connect.ts";
import { fittedTable } from "./fit.ts";
import { type Io, paintFor, printResult } from "./io.ts";

export async function audit(options: AskOptions & { readonly last: number }, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.audit(options.last);
  printResult(io, options, answer, () => auditText(answer, paintFor(io.stdout, io, options), io.stdout.columns));
  return EXIT.DONE;
}

function auditText({ entries }: AuditBody, paint: Paint, columns: number | undefined): string {
  if (entries.length === 0) return "nothing was ordered yet";
  const rows = entries.map(({ at, actor, role, action, target, outcome, params }) => [
    at,
    `${actor} (${role})`,
    action,
    target,
    outcome,
    paramsText(params),
  ]);
  const head = ["TIME", "WHO", "ACTION", "TARGET", "OUTCOME", "WITH"];
  return fittedTable(head, rows, { columns, cut: { WITH: "end", WHO: "end" } }, (text, _row, column) =>
    column === "OUTCOME" ? paint(text === "done" ? "green" : "red", text) : text,
  );
}

/** `reason="node upgrade" for_ms=600000` */
function paramsText(params: Readonly<Record<string, unknown>>): string | null {
  const parts = Object.entries(params).map(([key, value]) => `${key}=${JSON.stringify(value) ?? "-"}`);
  return parts.length === 0 ? null : parts.join(" ");
}
