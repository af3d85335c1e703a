/** `sprint start`: configuration, data directory, daemon, output, and the way out again. */
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT, formatDuration, wantsColor } from "../../shared/cli.ts";
import { BASIC_TYPES } from "../../shared/events.ts";
import { type Config, type ConfigFlags, loadConfig } from "../config/index.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { type DataDir, openDataDir } from "../datadir.ts";
import { type Logger, createLogger } from "../observe/index.ts";
import { VERSION } from "../version.ts";
import { devnetText } from "../view.ts";
import type { CommonOptions, Io } from "./io.ts";
import { linePrinter } from "./lines.ts";
import { type Reloading, createReloading } from "./reloading.ts";
import type { Screen } from "./screen.ts";
import { STOP_BY_KEY, STOP_BY_ORDER, STOP_BY_READER, type Stopping, watchForStop } from "./stopping.ts";

export type StartOptions = CommonOptions & ConfigFlags;

/** A terminal or pipe that takes no more log lines costs at most this much memory. */
const MAX_BUFFERED_LOG_BYTES = 4 * 1024 * 1024;

export async function start(options: StartOptions, io: Io): Promise<number> {
  const config = readSources(options, io);
  const outlet = new LogOutlet(io);
  const log = createLogger(
    {
      level: config.log.level,
      format: config.log.format ?? (io.stderr.isTTY === true ? "pretty" : "json"),
      color: options.color !== false && wantsColor(io.stderr, io.env),
    },
    outlet,
  );
  for (const warning of config.warnings) log.warn(warning);

  const dataDir = openDataDir(config.dataDir);
  const exitNow = (code: number): never => {
    dataDir.release();
    process.exit(code);
  };
  const reloading = createReloading(log);
  // A terminal that is closed tells its programs so by the same signal.
  const hasTerminal = io.stdin.isTTY === true || io.stdout.isTTY === true;
  const onHangup = hasTerminal ? null : () => reloading.request();
  const stopping = watchForStop({ exitNow, now: () => performance.now(), onHangup });
  try {
    return await run({ config, options, io, log, outlet, dataDir, stopping, reloading });
  } finally {
    stopping.dispose();
    dataDir.release();
  }
}

function readSources(options: StartOptions, io: Io): Config {
  const config = loadConfig({ flags: options, env: io.env, cwd: io.cwd });
  return options.quiet === true ? { ...config, log: { ...config.log, level: "error" } } : config;
}

interface Parts {
  readonly config: Config;
  readonly options: StartOptions;
  readonly io: Io;
  readonly log: Logger;
  readonly outlet: LogOutlet;
  readonly dataDir: DataDir;
  readonly stopping: Stopping;
  readonly reloading: Reloading;
}

async function run(parts: Parts): Promise<number> {
  const { config, options, io, log, dataDir, stopping, reloading } = parts;
  const startedAt = new Date().toISOString();
  const onStop = (): void => stopping.request(STOP_BY_ORDER);
  const readConfig = (): Config => {
    const read = readSources(options, io);
    for (const warning of read.warnings) log.warn(warning);
    return read;
  };
  const daemon = await startDaemon(config, { log, token: dataDir.token, onStop, readConfig });
  let closeOutput: () => Promise<void>;
  try {
    const { control, tiers } = daemon.addresses;
    dataDir.announce({ url: control, pid: process.pid, version: VERSION, started_at: startedAt, tiers });
    log.info({ network: config.network, tiers, control }, banner(config, daemon));
    closeOutput = await openOutput(daemon, parts);
    reloading.started(daemon);
  } catch (error) {
    // Its listeners would keep the process alive, with a data directory that another one may take.
    await daemon.close();
    throw error;
  }
  const reason = await stopping.requested;
  await closeOutput();
  const deadlineMs = daemon.config().shutdownTimeoutMs;
  log.info({ deadlineMs }, `stopping: ${reason.text}`);
  const inTime = await within(daemon.close(), deadlineMs);
  if (inTime) {
    log.info("stopped");
    return reason.exitCode;
  }
  const deadline = formatDuration(deadlineMs);
  log.error(`not closed within ${deadline}; ending all the same (shutdown_timeout in the configuration)`);
  dataDir.release();
  process.exit(EXIT.FAILED);
}

function banner(config: Config, daemon: Daemon): string {
  const chains = config.chains.map((chain) => chain.chain).join(", ");
  const where = config.network === "devnet" ? devnetText(daemon.view()) : `${config.network}: ${chains}`;
  return `sprint ${VERSION} relays ${where}`;
}

/** As a subscriber hears who names no types. */
const BASIC: ReadonlySet<string> = new Set(BASIC_TYPES);

/** A live view on a terminal, else JSON lines; resolves with what ends it. */
async function openOutput(
  daemon: Daemon,
  { config, options, io, outlet, stopping }: Parts,
): Promise<() => Promise<void>> {
  if (options.quiet === true) return async () => {};
  const { stdin, stdout, env } = io;
  // A terminal that was closed fails like a pipe that was, in both directions.
  for (const stream of [stdin, stdout]) stream.on("error", () => stopping.request(STOP_BY_READER));
  if (stdout.isTTY === true && config.log.format !== "json" && options.json !== true && env["TERM"] !== "dumb") {
    const { openScreen } = await import("./screen.ts");
    const screen = await openScreen(
      { version: VERSION, color: options.color !== false && wantsColor(stdout, env) },
      {
        view: () => daemon.view(),
        onQuit: () => stopping.request(STOP_BY_KEY),
        onInterrupt: () => stopping.signal("SIGINT"),
      },
      io,
    );
    outlet.divertTo(screen);
    const cancel = daemon.onEvent((event) => BASIC.has(event.type) && screen.event(event));
    return async () => {
      cancel();
      outlet.divertTo(null);
      await screen.close();
    };
  }
  const printer = linePrinter(stdout, () => performance.now());
  const cancel = daemon.onEvent((event) => BASIC.has(event.type) && printer.print(event));
  return async () => cancel();
}

/** True when `work` ended in time. */
async function within(work: Promise<void>, ms: number): Promise<boolean> {
  const abort = new AbortController();
  const late = sleep(ms, false, { signal: abort.signal }).catch(() => false);
  const ended = await Promise.race([work.then(() => true), late]);
  abort.abort();
  return ended;
}

/** Standard error, or the live view while that covers it. */
class LogOutlet {
  readonly #io: Io;
  #screen: Screen | null = null;

  constructor(io: Io) {
    this.#io = io;
    // Nobody is left to be told that nobody reads.
    io.stderr.on("error", () => {});
  }

  divertTo(screen: Screen | null): void {
    this.#screen = screen;
  }

  write(line: string): void {
    const { stderr } = this.#io;
    if (this.#screen !== null && stderr.isTTY === true) this.#screen.note(line);
    else if (((stderr as { writableLength?: number }).writableLength ?? 0) < MAX_BUFFERED_LOG_BYTES) stderr.write(line);
  }
}
