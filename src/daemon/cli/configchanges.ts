/** `sprint config diff|explain|reload`: what the running daemon has, what the file says now, and where each value comes from. */
import type { ChangeBody } from "../../shared/api.ts";
import { EXIT, type Paint } from "../../shared/cli.ts";
import { type ErrorCode, SprintError, isSprintError } from "../../shared/errors.ts";
import {
  type ConfigFlags,
  type ExplainedKey,
  diffDocuments,
  dumpConfig,
  explainConfig,
  loadConfig,
} from "../config/index.ts";
import { changesTable, valueText } from "./changestext.ts";
import { type AskOptions, connect } from "./connect.ts";
import { fittedTable } from "./fit.ts";
import { type CommonOptions, type Io, paintFor, printResult } from "./io.ts";

/** Exit code 1 where something differs, as `diff` has it. */
export async function diff(file: string | undefined, options: AskOptions, io: Io): Promise<number> {
  const { dataDir } = options;
  const flags = { ...(file === undefined ? {} : { config: file }), ...(dataDir === undefined ? {} : { dataDir }) };
  const here = loadConfig({ flags, env: io.env, cwd: io.cwd });
  const { client, address } = await connect(options, io);
  const running = await client.config();
  if (running === null || typeof running !== "object") {
    const message = `expected the configuration of the daemon at ${address.url}, got something else; is it of this version?`;
    throw new SprintError("SPRINT_CLIENT_BAD_ANSWER", message, { url: address.url });
  }
  const changes = diffDocuments(running, dumpConfig(here));
  const source = here.file ?? "no file, defaults";
  printResult(io, options, { file: here.file, changes }, () =>
    changes.length === 0
      ? `no difference between the running daemon and ${source}`
      : changesTable(changes, ["RUNNING", here.file === null ? "DEFAULTS" : "FILE"], paintFor(io.stdout, io, options)),
  );
  return changes.length === 0 ? EXIT.DONE : EXIT.FAILED;
}

export async function reload(options: AskOptions & { readonly dryRun: boolean }, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const { dryRun } = options;
  const answer = await client.reload({ dryRun }).catch((error: unknown) => {
    throw refusedReload(error, options, io);
  });
  printResult(io, options, answer, () => {
    const { applied, changes } = answer;
    if (changes.length === 0) return "nothing changed: the daemon has what its file says";
    const waits = changes.some(({ restart }) => restart);
    const wouldBe = waits ? "a reload would be refused, part of this needs a restart:" : "a reload would apply:";
    const paint = paintFor(io.stdout, io, options);
    return `${applied ? "applied:" : wouldBe}\n${changesTable(changes, ["BEFORE", "AFTER"], paint)}`;
  });
  return EXIT.DONE;
}

/** The daemon's own word, and what stands in the way as a table. A configuration that does not hold is wrong usage here too. */
function refusedReload(error: unknown, options: AskOptions, io: Io): unknown {
  if (!isSprintError(error)) return error;
  const { reason, details } = error.data as { readonly reason?: string; readonly details?: object };
  if (reason?.startsWith("SPRINT_CONFIG_") !== true) return error;
  const changes = (details as { readonly changes?: readonly ChangeBody[] } | undefined)?.changes ?? [];
  if (changes.length > 0 && options.json !== true && options.quiet !== true) {
    io.stderr.write(`${changesTable(changes, ["RUNNING", "FILE"], paintFor(io.stderr, io, options))}\n`);
  }
  return new SprintError(reason as ErrorCode, error.message, { ...details }, { cause: error });
}

export async function explain(key: string | undefined, options: CommonOptions & ConfigFlags, io: Io): Promise<number> {
  const keys = explainConfig({ flags: options, env: io.env, cwd: io.cwd }, key ?? null);
  printResult(io, options, { keys }, () => {
    const [only, ...others] = keys;
    return only !== undefined && others.length === 0
      ? explainedText(only, paintFor(io.stdout, io, options))
      : explainedTable(keys, paintFor(io.stdout, io, options), io.stdout.columns);
  });
  return EXIT.DONE;
}

function explainedText({ key, value, from, over, whileRunning }: ExplainedKey, paint: Paint): string {
  return [
    `${paint("bold", key)} = ${valueText(value)}`,
    `  from ${from}`,
    ...over.map((place) => `  over ${place}`),
    whileRunning ? "  changes while running: sprint config reload" : "  changes at the next start",
  ].join("\n");
}

function explainedTable(keys: readonly ExplainedKey[], paint: Paint, columns: number | undefined): string {
  const rows = keys.map(({ key, value, from, whileRunning }) => [
    key,
    valueText(value),
    whileRunning ? "running" : "start",
    from,
  ]);
  const [head = "", ...lines] = fittedTable(["KEY", "VALUE", "CHANGES", "FROM"], rows, {
    columns,
    cut: { VALUE: "end", FROM: "start" },
  }).split("\n");
  return [
    paint("dim", head),
    ...lines.map((line, i) => (keys[i]?.from === "default" ? paint("dim", line) : line)),
  ].join("\n");
}
