/** `sprint completion`: what can be typed where, read from the commands as they are declared. */
import type { Argument, Command, Option } from "commander";
import { PolicyPatch } from "../../shared/api.ts";
import { CHAINS } from "../../shared/chain.ts";
import { EXIT } from "../../shared/cli.ts";
import { TIERS } from "../../shared/tier.ts";
import { LOG_LEVELS } from "../observe/index.ts";
import {
  type Place,
  type PlaceArgument,
  type PlaceOption,
  SCRIPTS,
  type Shell,
  type Suggestion,
} from "./completionshells.ts";
import { connect } from "./connect.ts";
import type { Io } from "./io.ts";

/** By the name that stands between the angle brackets; choices that are declared come before it. */
const BY_NAME: Readonly<Record<string, Suggestion>> = {
  breaker: "breakers",
  upstream: "upstreams",
  file: "files",
  dir: "files",
  tier: TIERS,
  chain: CHAINS,
  "name=url": CHAINS.map((chain) => `${chain}=`),
  module: "files",
  level: LOG_LEVELS,
  "key=value": Object.keys(PolicyPatch.properties).map((key) => `${key}=`),
};

/** A Tab must not wait for a daemon that hangs. */
const NAMES_TIMEOUT_MS = 1_000;
/** What no shell takes for anything but a letter of a word. */
const PLAIN_NAME = /^[\w:.@-]+$/;

export async function completion(program: Command, shell: Shell, io: Io): Promise<number> {
  io.stdout.write(SCRIPTS[shell](placesOf(program)));
  return EXIT.DONE;
}

export function placesOf(command: Command, path = ""): Place[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  return [
    {
      path,
      commands: below.map((each) => ({ name: each.name(), description: each.description() })),
      options: help.visibleOptions(command).map(optionOf),
      args: command.registeredArguments.map(argumentOf),
    },
    ...below.flatMap((each) => placesOf(each, `${path} ${each.name()}`.trim())),
  ];
}

function optionOf(option: Option): PlaceOption {
  const { short = null, long = null, description, flags } = option;
  const [, name = ""] = /<([^>]+)>/.exec(flags) ?? [];
  const values = option.required || option.optional ? (option.argChoices ?? BY_NAME[name] ?? []) : null;
  return { short, long: long ?? flags, description, values };
}

function argumentOf(argument: Argument): PlaceArgument {
  return { values: argument.argChoices ?? BY_NAME[argument.name()] ?? [], variadic: argument.variadic };
}

/** Names for the scripts, one a line. Silent where there is no daemon: whoever pressed Tab asked for nothing. */
export async function completeNames(kind: "breakers" | "upstreams", io: Io): Promise<number> {
  try {
    const { client } = await connect({}, io, { timeoutMs: NAMES_TIMEOUT_MS });
    const named = kind === "breakers" ? (await client.breakers()).breakers : (await client.upstreams()).upstreams;
    const names = named.map((each) => each.name).filter((name) => PLAIN_NAME.test(name));
    io.stdout.write(names.map((name) => `${name}\n`).join(""));
  } catch {
    return EXIT.FAILED;
  }
  return EXIT.DONE;
}
