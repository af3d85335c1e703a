/** `sprint upstreams …`: the nodes that the daemon listens to. */
import type { UpstreamsBody } from "../../shared/api.ts";
import { EXIT, formatDuration, table } from "../../shared/cli.ts";
import { type AskOptions, connect } from "./connect.ts";
import { type Io, printResult } from "./io.ts";

export async function listUpstreams(options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.upstreams();
  printResult(io, options, answer, () => upstreamsText(answer));
  return EXIT.DONE;
}

function upstreamsText(answer: UpstreamsBody): string {
  const rows = answer.upstreams.map((upstream) => [
    upstream.name,
    upstream.chain,
    upstream.state,
    upstream.height,
    upstream.agent,
    upstream.url,
    upstream.cordon?.reason ?? upstream.last_error?.message ?? null,
  ]);
  return table(["NAME", "CHAIN", "STATE", "HEIGHT", "AGENT", "URL", "TROUBLE"], rows);
}

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
