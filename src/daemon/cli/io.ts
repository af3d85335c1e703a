/** What a command may touch of the world outside, so that one look at its parameters tells. */
import type { ReadStream, WriteStream } from "node:tty";
import { type Environment, type Paint, painter, wantsColor } from "../../shared/cli.ts";

export interface Io {
  readonly stdin: NodeJS.ReadableStream & Partial<Pick<ReadStream, "isTTY" | "setRawMode">>;
  readonly stdout: NodeJS.WritableStream & Partial<Pick<WriteStream, "isTTY" | "rows" | "columns">>;
  readonly stderr: NodeJS.WritableStream & Partial<Pick<WriteStream, "isTTY">>;
  readonly env: Environment;
  readonly cwd: string;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** False with --no-color. */
  readonly color?: boolean;
}

export function paintFor(stream: { readonly isTTY?: boolean | undefined }, io: Io, options: CommonOptions): Paint {
  return painter(options.color !== false && wantsColor(stream, io.env));
}

/** The result: one JSON document with --json, else what `text` makes of it. */
export function printResult(io: Io, options: CommonOptions, result: unknown, text: () => string): void {
  if (options.json === true) io.stdout.write(`${JSON.stringify(result)}\n`);
  else if (options.quiet !== true) io.stdout.write(`${text()}\n`);
}
