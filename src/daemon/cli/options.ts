/** Options and values that many commands take, and the example that each ends with. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../../shared/cli.ts";

/** Takes a command's exit code. */
export type Done = (work: Promise<number>) => Promise<void>;

export function asking(command: Command): Command {
  return common(command)
    .option("--daemon <url>", "control API of the daemon (SPRINT_CONTROL_URL; else control.json in the data directory)")
    .option("--token <token>", "its token (SPRINT_TOKEN; else .cookie in the data directory)")
    .option("--data-dir <dir>", "the daemon's data directory");
}

export function common(command: Command, json = "one JSON document on standard output"): Command {
  return command
    .option("--json", json)
    .option("--quiet", "no output but errors")
    .option("--no-color", "no colour (also NO_COLOR)");
}

/** Stands at the end of a command's help. */
export function example(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? "s" : ""}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export function durationMs(value: string): number {
  const milliseconds = parseDuration(value);
  if (milliseconds === null)
    throw new InvalidArgumentError('Expected a duration with its unit: "250ms", "5s", "1m30s".');
  return milliseconds;
}

/** "1,6" */
export function countList(value: string): readonly number[] {
  const read = value.split(",").map((part) => (/^ *\d{1,6} *$/.test(part) ? Number(part) : 0));
  if (read.every((count) => count > 0)) return read;
  throw new InvalidArgumentError("Expected whole numbers from 1 on, with commas between them: 1,6.");
}

export function countUpTo(max: number): (value: string) => number {
  return (value) => {
    const count = Number(value);
    if (!Number.isInteger(count) || count < 1 || count > max) {
      throw new InvalidArgumentError(`Expected a whole number from 1 to ${max}.`);
    }
    return count;
  };
}

/** Of a command that asks about one chain. */
export function ofChain(command: Command): Command {
  return asking(command).addOption(new Option("--chain <chain>", "the chain").makeOptionMandatory());
}
