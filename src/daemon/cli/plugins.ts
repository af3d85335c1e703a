/** `sprint plugins …`: the modules that bring chains of their own. */
import { resolve } from "node:path";
import type { PluginsBody } from "../../shared/api.ts";
import { EXIT, table } from "../../shared/cli.ts";
import { checkPlugin, type PluginCheck } from "../plugins/index.ts";
import { type AskOptions, connect } from "./connect.ts";
import { type CommonOptions, type Io, paintFor, printResult } from "./io.ts";

export async function listPlugins(options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.plugins();
  printResult(io, options, answer, () => pluginsText(answer));
  return EXIT.DONE;
}

/** Exit code 1 where one is refused: the version of before goes on. */
export async function reloadPlugins(options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.reloadPlugins();
  printResult(io, options, answer, () => pluginsText(answer));
  return answer.plugins.some(({ state }) => state === "refused") ? EXIT.FAILED : EXIT.DONE;
}

function pluginsText({ plugins }: PluginsBody): string {
  if (plugins.length === 0) return 'no plug-ins: plugins = ["./my-chain.ts"] in the configuration names some';
  const rows = plugins.map(({ path, chain, state, serves, loads, error }) => [
    chain,
    state === "refused" && serves ? "refused, serves as before" : state,
    loads,
    path,
    error === null ? null : `${error.code}: ${error.message.replace(`plug-in ${path}: `, "")}`,
  ]);
  return table(["CHAIN", "STATE", "LOADS", "MODULE", "REASON"], rows);
}

/** Needs no daemon: what a plug-in is held against, and with recorded blocks more of it. */
export async function checkPluginFile(
  path: string,
  options: CommonOptions & { readonly blocks?: string },
  io: Io,
): Promise<number> {
  const checks = await checkPlugin(
    resolve(io.cwd, path),
    options.blocks === undefined ? null : resolve(io.cwd, options.blocks),
  );
  const paint = paintFor(io.stdout, io, options);
  const line = ({ check, ok, found }: PluginCheck): string =>
    `${ok ? paint("green", "holds") : paint("red", "fails")}  ${check}: ${found}`;
  printResult(io, options, { plugin: path, checks }, () => checks.map(line).join("\n"));
  return checks.every(({ ok }) => ok) ? EXIT.DONE : EXIT.FAILED;
}
