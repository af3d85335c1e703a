/** The command line, as a table of commands; each command's work is in a file of its own, loaded when it is called. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { CHAINS } from "../../shared/chain.ts";
import { EXIT, exitCodeOf, parseDuration, tellError } from "../../shared/cli.ts";
import { TIERS } from "../../shared/tier.ts";
import { VERSION } from "../version.ts";
import { type CommonOptions, type Io, paintFor } from "./io.ts";

/** Resolves with the exit code; errors are told on standard error, never thrown. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.DONE;
  const command = buildProgram(io, async (work) => {
    code = await work;
  });
  try {
    await command.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    // Commander has told help, version and wrong usage itself.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.DONE : EXIT.USAGE;
    const options = { json: args.includes("--json"), color: !args.includes("--no-color") };
    io.stderr.write(tellError(error, { json: options.json, paint: paintFor(io.stderr, io, options) }));
    return exitCodeOf(error);
  }
}

type Done = (work: Promise<number>) => Promise<void>;

function buildProgram(io: Io, done: Done): Command {
  const program = new Command("sprint")
    .description(
      "Listens to Bitcoin, Litecoin and Dogecoin nodes, proves each block itself, relays the first valid announcement.",
    )
    .version(VERSION, "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showSuggestionAfterError()
    .showHelpAfterError("(run with --help for the options and an example)")
    .addHelpText(
      "after",
      example("sprint start", "sprint start --tier ENTERPRISE --chain litecoin=p2p://127.0.0.1:9333"),
    );

  addStart(program, io, done);
  addAsking(program, io, done);
  addLocal(program, io, done);
  return program;
}

// --- start

function addStart(program: Command, io: Io, done: Done): void {
  const start = program
    .command("start")
    .description("run the relay; without a configuration on devnet, with nodes of its own");
  addConfigOptions(start);
  common(start)
    .addHelpText(
      "after",
      example(
        "sprint start",
        "sprint start --network mainnet --tier ENTERPRISE",
        "sprint start --chain 'litecoin=p2p://127.0.0.1:19444?network=regtest' --chain 'litecoin=http://127.0.0.1:19443?network=regtest&cookie=/var/lib/litecoin/regtest/.cookie'",
      ),
    )
    .action(async (options) => done((await import("./start.ts")).start(options, io)));
}

function addConfigOptions(command: Command): void {
  command
    .option("--tier <tier>", `open this tier's listener only: ${TIERS.join(", ")}`)
    .option("--network <name>", "devnet, mainnet, testnet3, testnet4, signet, regtest")
    .option(
      "--chain <name=url>",
      "an upstream of a chain (p2p://, http(s)://, zmq+tcp://); repeatable, several race",
      collect,
    )
    .option("--config <file>", "a .toml or .yaml file; else ./sprint.toml and the usual places")
    .option("--data-dir <dir>", "where token, lock and control.json are")
    .option("--host <address>", "what the tiers' listeners bind to (127.0.0.1)")
    .option("--port <port>", "port of the one tier; 0: any free port, also for all tiers")
    .option("--control-port <port>", "port of the control API on 127.0.0.1 (8081); 0: any free port")
    .option("--log-level <level>", "trace, debug, info, warn, error, fatal, silent")
    .option("--log-format <format>", "pretty or json; pretty with a live view on a terminal, else json");
}

// --- commands that ask a running daemon

function addAsking(program: Command, io: Io, done: Done): void {
  const ask = () => import("./ask.ts");

  asking(program.command("status"))
    .description("what the running daemon does: chains, listeners, relay latency")
    .addHelpText("after", example("sprint status", "sprint status --json"))
    .action(async (options) => done((await ask()).status(options, io)));

  asking(program.command("stop"))
    .description("ask the running daemon to stop, and wait until it has")
    .option("--timeout <duration>", "how long to wait", durationMs, 15_000)
    .addHelpText("after", example("sprint stop", "sprint stop --timeout 30s"))
    .action(async (options) => done((await ask()).stop(options, io)));

  asking(program.command("race"))
    .description("who announced each block first, by how much, and who was wrong")
    .addOption(new Option("--chain <chain>", "the chain").choices(CHAINS).makeOptionMandatory())
    .option("--last <n>", "how many blocks", countUpTo(1_000), 20)
    .addHelpText("after", example("sprint race --chain litecoin --last 50"))
    .action(async (options) => done((await ask()).race(options, io)));

  const breakers = program.command("breakers").description("what guards each upstream").usage("<command>");
  breakers.addHelpText("after", example("sprint breakers list"));
  asking(breakers.command("list"))
    .description("state, failures and last error of each")
    .addHelpText("after", example("sprint breakers list --json"))
    .action(async (options) => done((await import("./breakers.ts")).list(options, io)));

  const nodes = () => import("./upstreams.ts");
  const upstreams = program.command("upstreams").description("the nodes listened to").usage("<command>");
  upstreams.addHelpText("after", example("sprint upstreams list", "sprint upstreams cordon ltc-1 --for 10m"));
  asking(upstreams.command("list"))
    .description("state, height and last error of each")
    .addHelpText("after", example("sprint upstreams list --json"))
    .action(async (options) => done((await nodes()).listUpstreams(options, io)));
  asking(upstreams.command("cordon <name>"))
    .description("take one out; it stays out until uncordon, or as long as --for says")
    .option("--reason <text>", "shown wherever the upstream is", "operator")
    .option("--for <duration>", "come back by itself after this", durationMs)
    .addHelpText("after", example("sprint upstreams cordon ltc-1 --for 10m --reason 'node upgrade'"))
    .action(async (name, options) => done((await nodes()).cordon(name, options, io)));
  asking(upstreams.command("uncordon <name>"))
    .description("take one back in")
    .addHelpText("after", example("sprint upstreams uncordon ltc-1"))
    .action(async (name, options) => done((await nodes()).uncordon(name, options, io)));
}

function asking(command: Command): Command {
  return common(command)
    .option("--daemon <url>", "control API of the daemon (SPRINT_CONTROL_URL; else control.json in the data directory)")
    .option("--token <token>", "its token (SPRINT_TOKEN; else .cookie in the data directory)")
    .option("--data-dir <dir>", "the daemon's data directory");
}

// --- commands that need no daemon

function addLocal(program: Command, io: Io, done: Done): void {
  const doctor = program
    .command("doctor")
    .description("check what a start needs: runtime, configuration, ports, upstreams");
  addConfigOptions(doctor);
  common(doctor)
    .addHelpText("after", example("sprint doctor", "sprint doctor --config sprint.toml --json"))
    .action(async (options) => done((await import("./doctor.ts")).doctor(options, io)));

  common(program.command("inspect <file...>"), "one JSON document a block, as without it")
    .description("decode and validate blocks or headers; raw, hex or block-file bytes; - reads standard input")
    .addOption(new Option("--chain <chain>", "the chain").choices(CHAINS).makeOptionMandatory())
    .option("--network <name>", "the chain's network", "mainnet")
    .addOption(
      new Option("--level <level>", "header: work and context; full: the body as well")
        .choices(["header", "full"])
        .default("full"),
    )
    .option("--headers", "the files hold runs of headers instead of blocks", false)
    .addHelpText(
      "after",
      example(
        "sprint inspect --chain bitcoin block.raw",
        "litecoin-cli getblock HASH 0 | sprint inspect --chain litecoin -",
        "sprint inspect --chain bitcoin --headers --level header headers.bin",
      ),
    )
    .action(async (files, options) => {
      const silent = options.quiet === true ? { write: () => {} } : {};
      return done((await import("../inspect.ts")).inspect({ ...options, files }, silent));
    });

  common(program.command("version"))
    .description("print versions")
    .addHelpText("after", example("sprint version --json"))
    .action(async (options) => done((await import("./configuration.ts")).version(options, io)));

  const config = program.command("config").description("look at the configuration").usage("<command>");
  config.addHelpText("after", example("sprint config validate sprint.toml", "sprint config dump"));
  common(config.command("validate [file]"))
    .description("read it as a start would, and say what is wrong")
    .addHelpText("after", example("sprint config validate sprint.yaml"))
    .action(async (file, options) => done((await import("./configuration.ts")).validate(file, options, io)));
  common(config.command("dump [file]"))
    .description("print what is in effect, as TOML, without credentials")
    .addHelpText("after", example("sprint config dump --json"))
    .action(async (file, options) => done((await import("./configuration.ts")).dump(file, options, io)));
}

// --- small things

function common(command: Command, json = "one JSON document on standard output"): Command {
  return command
    .option("--json", json)
    .option("--quiet", "no output but errors")
    .option("--no-color", "no colour (also NO_COLOR)");
}

function example(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? "s" : ""}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function durationMs(value: string): number {
  const milliseconds = parseDuration(value);
  if (milliseconds === null)
    throw new InvalidArgumentError('Expected a duration with its unit: "250ms", "5s", "1m30s".');
  return milliseconds;
}

function countUpTo(max: number): (value: string) => number {
  return (value) => {
    const count = Number(value);
    if (!Number.isInteger(count) || count < 1 || count > max) {
      throw new InvalidArgumentError(`Expected a whole number from 1 to ${max}.`);
    }
    return count;
  };
}

export type { CommonOptions, Io };
