/** `sprint upstreams …`: the nodes that the daemon listens to. */
import type { UpstreamsBody } from "../../shared/api.ts";
import { EXIT, type Paint, formatDuration } from "../../shared/cli.ts";
import { type AskOptions, connect } from "./connect.ts";
import { fittedTable } from "./fit.ts";
import { type Io, paintFor, printResult } from "./io.ts";
import { causeOf } from "./trouble.ts";

export async function listUpstreams(options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.upstreams();
  printResult(io, options, answer, () => upstreamsText(answer, paintFor(io.stdout, io, options), io.stdout.columns));
  return EXIT.DONE;
}

const HEAD = ["NAME", "CHAIN", "STATE", "HEIGHT", "AGENT", "URL", "TROUBLE"];

/** What an operator looks for comes first, and is what is cut last. */
function upstreamsText({ upstreams }: UpstreamsBody, paint: Paint, columns: number | undefined): string {
  const sorted = upstreams.toSorted((a, b) => Number(a.state === "up") - Number(b.state === "up"));
  const rows = sorted.map((upstream) => [
    upstream.name,
    upstream.chain,
    upstream.state,
    upstream.height,
    upstream.agent,
    upstream.url,
    upstream.cordon?.reason ?? (upstream.last_error === null ? null : causeOf(upstream.last_error.message)),
  ]);
  return fittedTable(HEAD, rows, { columns, cut: { AGENT: "end", URL: "end", TROUBLE: "end" } }, (text, _row, column) =>
    column === "STATE" ? paint(STATE_COLOR[text] ?? "red", text) : text,
  );
}

const STATE_COLOR: Readonly<Record<string, Parameters<Paint>[0]>> = {
  up: "green",
  connecting: "yellow",
  idle: "yellow",
};

export async function cordon(
  name: string,
  options: AskOptions & { readonly reason: string; readonly for?: number },
  io: Io,
): Promise<number> {
  const { client } = await connect(options, io);
  const forMs = options.for === undefined ? {} : { forMs: options.for };
  const answer = await client.cordon(name, { reason: options.reason, ...forMs });
  const until = options.for === undefined ? "until uncordon" : `for ${formatDuration(options.for)}`;
  printResult(io, options, answer, () => `${name} is out ${until}`);
  return EXIT.DONE;
}

export async function uncordon(name: string, options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.uncordon(name);
  printResult(io, options, answer, () => `${name} is back`);
  return EXIT.DONE;
}
