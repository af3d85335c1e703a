/** `sprint` inside the test's own process, with streams that remember. */
import { runCli } from "../../../src/daemon/cli/index.ts";
import type { Io } from "../../../src/daemon/cli/io.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `isTTY`: standard output is a terminal, with colours. */
export async function run(
  args: readonly string[],
  options: { readonly env?: Io["env"]; readonly isTTY?: boolean; readonly columns?: number } = {},
): Promise<Ran> {
  let [out, err] = ["", ""];
  const stdout = { write: (text: string) => void (out += text), on: () => {}, ...options };
  const stderr = { write: (text: string) => void (err += text), on: () => {} };
  const io = { stdin: {}, stdout, stderr, env: options.env ?? {}, cwd: "/" } as unknown as Io;
  const code = await runCli(args, io);
  return { code, out, err };
}
