/** The command line, as a table of commands; each command's work is in a file of its own, loaded when it is called. */
import { Argument, Command, CommanderError, Option } from "commander";
import { CHAINS } from "../../shared/chain.ts";
import { EXIT, exitCodeOf, tellError } from "../../shared/cli.ts";
import { TIERS } from "../../shared/tier.ts";
import { VERSION } from "../version.ts";
import { inspectorOf } from "./inspectors.ts";
import { type CommonOptions, type Io, paintFor } from "./io.ts";
import { type Done, asking, collect, common, countUpTo, durationMs, example } from "./options.ts";
import { addWatching } from "./watchcommands.ts";

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

function buildProgram(io: Io, done: Done): Command {
  const program = new Command("sprint")
    .description(
      "Listens to nodes of Bitcoin, Litecoin, Dogecoin, Ethereum, Solana and more, proves each block itself, relays the first valid announcement.",
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
  addWatching(program, io, done);
  addPlugins(program, io, done);
  addBreakers(program, io, done);
  addLocal(program, io, done);
  addConfig(program, io, done);
  addCompletion(program, io, done);
  return program;
}

// --- start

function addStart(program: Command, io: Io, done: Done): void {
  const start = program
    .command("start")
    .description("run the relay; without a configuration on devnet, with nodes of its own");
  addConfigOptions(start);
  common(start, "events as JSON lines on standard output, no live view")
    .addHelpText(
      "after",
      `
Ctrl-C, SIGTERM: stop, with a goodbye to every subscriber. SIGHUP: where standard input or output is a terminal
(it was closed), stop; else read the configuration again, as sprint config reload does.
${example(
  "sprint start",
  "sprint start --network mainnet --tier ENTERPRISE",
  "sprint start --chain 'ethereum=ws://127.0.0.1:8546?rpc=http://127.0.0.1:8545' --chain ethereum=beacon+http://127.0.0.1:5052",
  "sprint start --chain 'litecoin=p2p://127.0.0.1:19444?network=regtest' --chain 'litecoin=http://127.0.0.1:19443?network=regtest&cookie=/var/lib/litecoin/regtest/.cookie'",
)}`,
    )
    .action(async (options) => done((await import("./start.ts")).start(options, io)));
}

function addConfigOptions(command: Command): void {
  command
    .option("--tier <tier>", `open this tier's listener only: ${TIERS.join(", ")}`)
    .option("--network <name>", "devnet, mainnet, or a test network of the chains: testnet4, regtest, sepolia, …")
    .option(
      "--chain <name=url>",
      "an upstream of a chain (p2p://, zmq+tcp://, http(s)://, ws(s)://, beacon+http(s)://); repeatable, several race",
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
    .addOption(new Option("--chain <chain>", "the chain").makeOptionMandatory())
    .option("--last <n>", "how many blocks", countUpTo(1_000), 20)
    .addHelpText("after", example("sprint race --chain litecoin --last 50"))
    .action(async (options) => done((await ask()).race(options, io)));

  const nodes = () => import("./upstreams.ts");
  const upstreams = program.command("upstreams").description("the nodes listened to").usage("<command>");
  upstreams.addHelpText("after", example("sprint upstreams list", "sprint upstreams cordon ltc-1 --for 10m"));
  asking(upstreams.command("list"))
    .description("state, height and last error of each")
    .addHelpText("after", example("sprint upstreams list --json"))
    .action(async (options) => done((await nodes()).listUpstreams(options, io)));
  asking(upstreams.command("cordon <upstream>"))
    .description("take one out; it stays out until uncordon, or as long as --for says")
    .option("--reason <text>", "shown wherever the upstream is", "operator")
    .option("--for <duration>", "come back by itself after this", durationMs)
    .addHelpText("after", example("sprint upstreams cordon ltc-1 --for 10m --reason 'node upgrade'"))
    .action(async (name, options) => done((await nodes()).cordon(name, options, io)));
  asking(upstreams.command("uncordon <upstream>"))
    .description("take one back in")
    .addHelpText("after", example("sprint upstreams uncordon ltc-1"))
    .action(async (name, options) => done((await nodes()).uncordon(name, options, io)));
}

function addPlugins(program: Command, io: Io, done: Done): void {
  const work = () => import("./plugins.ts");
  const plugins = program.command("plugins").description("modules that bring chains of their own").usage("<command>");
  plugins.addHelpText("after", example("sprint plugins list", "sprint plugins check ./my-chain.ts"));
  asking(plugins.command("list"))
    .description("what was loaded, and why what was not was refused")
    .addHelpText("after", example("sprint plugins list --json"))
    .action(async (options) => done((await work()).listPlugins(options, io)));
  asking(plugins.command("reload"))
    .description("read the configuration's plug-ins again and load each anew, other chains undisturbed")
    .addHelpText("after", example("sprint plugins reload"))
    .action(async (options) => done((await work()).reloadPlugins(options, io)));
  common(plugins.command("check <module>"))
    .description("hold a plug-in against its interface, without a daemon")
    .option("--blocks <file>", "JSON array of recorded bodies that are to hold")
    .addHelpText("after", example("sprint plugins check ./my-chain.ts --blocks blocks.json"))
    .action(async (module, options) => done((await work()).checkPluginFile(module, options, io)));
}

function addBreakers(program: Command, io: Io, done: Done): void {
  const work = () => import("./breakers.ts");
  const breakers = program.command("breakers").description("what guards each upstream").usage("<command>");
  breakers.addHelpText(
    "after",
    example(
      "sprint breakers list",
      "sprint breakers history upstream:litecoin:ltc-1 --last 10",
      "sprint breakers force-open upstream:litecoin:ltc-1 --for 10m --reason 'node upgrade'",
    ),
  );
  asking(breakers.command("list"))
    .description("state, health and last error of each, those in trouble first")
    .option("--watch", "again every 2 s until Ctrl-C", false)
    .addHelpText(
      "after",
      example("sprint breakers list", "sprint breakers list --watch", "sprint breakers list --json"),
    )
    .action(async (options) => done((await work()).list(options, io)));
  asking(breakers.command("get <breaker>"))
    .description("everything of one: state and why, window, threshold, recovery, policy")
    .addHelpText("after", example("sprint breakers get upstream:litecoin:ltc-1"))
    .action(async (name, options) => done((await work()).get(name, options, io)));
  asking(breakers.command("history <breaker>"))
    .description("its changes of state, newest first, each with cause and evidence")
    .option("--last <n>", "how many", countUpTo(256), 50)
    .addHelpText("after", example("sprint breakers history upstream:litecoin:ltc-1 --last 10"))
    .action(async (name, options) => done((await work()).history(name, options, io)));
  forcing(breakers.command("force-open <breaker>"))
    .description("let nothing pass, until reset or as long as --for says")
    .addHelpText(
      "after",
      example("sprint breakers force-open upstream:litecoin:ltc-1 --for 10m --reason 'node upgrade'"),
    )
    .action(async (name, options) => done((await work()).forceOpen(name, options, io)));
  forcing(breakers.command("force-close <breaker>"))
    .description("let everything pass, until reset or as long as --for says")
    .addHelpText("after", example("sprint breakers force-close upstream:litecoin:ltc-1 --for 5m --reason 'slow disk'"))
    .action(async (name, options) => done((await work()).forceClose(name, options, io)));
  asking(breakers.command("reset <breaker>"))
    .description("close it, and drop the orders and the evidence it holds")
    .addHelpText("after", example("sprint breakers reset upstream:litecoin:ltc-1"))
    .action(async (name, options) => done((await work()).reset(name, options, io)));
  asking(breakers.command("set <breaker> <key=value...>"))
    .description("change its policy while it runs; all of the changes or none; sprint breakers get shows the keys")
    .addHelpText(
      "after",
      example(
        "sprint breakers set upstream:litecoin:ltc-1 failure_threshold=10 reset_timeout_ms=5s",
        "sprint breakers set upstream:litecoin:ltc-1 failure_threshold=default",
      ),
    )
    .action(async (name, changes, options) => done((await work()).set(name, changes, options, io)));

  asking(program.command("audit"))
    .description("who ordered what of the running daemon, when, and what came of it")
    .option("--last <n>", "how many", countUpTo(1_000), 50)
    .addHelpText("after", example("sprint audit --last 10"))
    .action(async (options) => done((await import("./audit.ts")).audit(options, io)));
}

function forcing(command: Command): Command {
  return asking(command)
    .option("--reason <text>", "shown wherever the breaker is, and kept in the audit log", "operator")
    .option("--for <duration>", "end by itself after this", durationMs);
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
    .description(
      "decode and validate blocks or headers; raw, hex or block-file bytes, or RPC's JSON; - reads standard input",
    )
    .addOption(new Option("--chain <chain>", "the chain").choices(CHAINS).makeOptionMandatory())
    .option("--network <name>", "the chain's network", "mainnet")
    .addOption(
      new Option("--level <level>", "header: work and context; full: the body as well")
        .choices(["header", "full"])
        .default("full"),
    )
    .option("--headers", "the files hold runs of headers instead of blocks", false)
    .option("--receipts <file>", "receipts of the one block, for Ethereum and its like")
    .addHelpText(
      "after",
      example(
        "sprint inspect --chain bitcoin block.raw",
        "litecoin-cli getblock HASH 0 | sprint inspect --chain litecoin -",
        "sprint inspect --chain bitcoin --headers --level header headers.bin",
        "sprint inspect --chain ethereum block.json --receipts receipts.json",
        "sprint inspect --chain solana getblock.json",
      ),
    )
    .action(async (files, options) => {
      const silent = options.quiet === true ? { write: () => {} } : {};
      return done((await inspectorOf(options))({ ...options, files }, silent));
    });

  common(program.command("version"))
    .description("print versions")
    .addHelpText("after", example("sprint version --json"))
    .action(async (options) => done((await import("./configuration.ts")).version(options, io)));
}

// --- the configuration

function addConfig(program: Command, io: Io, done: Done): void {
  const local = () => import("./configuration.ts");
  const changes = () => import("./configchanges.ts");

  const config = program.command("config").description("look at the configuration, change it").usage("<command>");
  config.addHelpText(
    "after",
    example("sprint config validate sprint.toml", "sprint config diff", "sprint config reload"),
  );
  common(config.command("validate [file]"))
    .description("read it as a start would, and say what is wrong")
    .addHelpText("after", example("sprint config validate sprint.yaml"))
    .action(async (file, options) => done((await local()).validate(file, options, io)));
  common(config.command("dump [file]"))
    .description("print what is in effect, as TOML, without credentials")
    .addHelpText("after", example("sprint config dump --json"))
    .action(async (file, options) => done((await local()).dump(file, options, io)));
  asking(config.command("diff [file]"))
    .description("what the running daemon has, against what the file says now")
    .addHelpText(
      "after",
      `
Exit code 0: no difference; 1: some; with an error on standard error: it could not be told. Secrets are not compared, and what
the daemon was given on its command line differs too: sprint config reload --dry-run has the daemon compare.
${example("sprint config diff", "sprint config diff /etc/bitcoin-sprint/sprint.toml --json")}`,
    )
    .action(async (file, options) => done((await changes()).diff(file, options, io)));
  const explain = config.command("explain [key]");
  addConfigOptions(explain);
  common(explain)
    .description("where each value comes from: option, variable, file or default; of one key also who was not heard")
    .addHelpText(
      "after",
      example("sprint config explain", "sprint config explain limits.FREE", "sprint config explain log.level"),
    )
    .action(async (key, options) => done((await changes()).explain(key, options, io)));
  asking(config.command("reload"))
    .description("have the daemon read its configuration again; applied whole or not at all, subscribers stay")
    .option("--dry-run", "only show what would change", false)
    .addHelpText(
      "after",
      `
SIGHUP does the same where the daemon has no terminal. Where a change needs a restart, nothing is applied.
${example("sprint config reload --dry-run", "sprint config reload", "systemctl reload bitcoin-sprint   # with ExecReload=kill -HUP $MAINPID")}`,
    )
    .action(async (options) => done((await changes()).reload(options, io)));
}

// --- completion in a shell

function addCompletion(program: Command, io: Io, done: Done): void {
  program
    .command("completion")
    .description("print the script that lets a shell complete commands, options and names")
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      example(
        "source <(sprint completion bash)",
        'sprint completion zsh > "${fpath[1]}/_sprint"',
        "sprint completion fish > ~/.config/fish/completions/sprint.fish",
      ),
    )
    .action(async (shell) => done((await import("./completion.ts")).completion(program, shell, io)));
  program
    .command("__complete", { hidden: true })
    .addArgument(new Argument("<kind>").choices(["breakers", "upstreams"]))
    .action(async (kind) => done((await import("./completion.ts")).completeNames(kind, io)));
}

export type { CommonOptions, Io };
