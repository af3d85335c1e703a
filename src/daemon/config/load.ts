/**
 * The configuration: command line over environment over file over default, checked as a whole and frozen. Nothing below
 * reads a file, a variable or a flag by itself; daemon.ts hands each room its own options out of this.
 *
 *   SPRINT_TIER, SPRINT_NETWORK, SPRINT_CHAIN (several NAME=URL, space between them), SPRINT_CONFIG, SPRINT_DATA_DIR,
 *   SPRINT_HOST, SPRINT_PORT, SPRINT_CONTROL_PORT, SPRINT_LOG_LEVEL, SPRINT_LOG_FORMAT
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Environment, formatDuration, nearest } from "../../shared/cli.ts";
import { dataDirectory } from "../../shared/client.ts";
import { redactValue } from "../../shared/redact.ts";
import { TIER, TIERS, type Tier, type TierRow } from "../../shared/tier.ts";
import type { BreakerPolicy } from "../breaker/index.ts";
import { documentOfPolicy, policiesOf } from "./breakers.ts";
import { type ChainConfig, overallNetwork, readWrittenChains, resolveChains } from "./chains.ts";
import { type FileValues, readConfigFile, searchPaths } from "./file.ts";
import { type ControlToken, tokenWarnings, usableTokens } from "./tokens.ts";
import {
  type LogFormat,
  type Place,
  type Read,
  COMMAND_LINE,
  ENVIRONMENT,
  conflict,
  logFormat,
  logLevel,
  networkName,
  port,
  text,
  tierName,
  wrongValue,
} from "./values.ts";
import type { LogLevel } from "../observe/index.ts";

export interface Config {
  /** "devnet": embedded nodes. "mixed": the chains are on networks of different names. */
  readonly network: string;
  /** The listeners to open, in the order of the table. */
  readonly tiers: readonly Tier[];
  /** The table of tiers with this configuration's ports, limits and pacing. */
  readonly tier: Readonly<Record<Tier, TierRow>>;
  readonly host: string;
  /** `tokens`: beside the data directory's own, which is called `cookie`. */
  readonly control: { readonly host: string; readonly port: number; readonly tokens: readonly ControlToken[] };
  /** Absolute. */
  readonly dataDir: string;
  /** `format: null`: pretty on a terminal, JSON otherwise. */
  readonly log: { readonly level: LogLevel; readonly format: LogFormat | null };
  readonly shutdownTimeoutMs: number;
  /** What a tier's breakers are opened with. */
  readonly breakers: Readonly<Record<Tier, BreakerPolicy>>;
  readonly chains: readonly ChainConfig[];
  /** Modules that bring chains; whole paths. */
  readonly plugins: readonly string[];
  /** The file that was read, null without one. */
  readonly file: string | null;
  /** Sentences for the operator: accepted, but not what it may look like. */
  readonly warnings: readonly string[];
}

/** What the command line gave; texts as typed. */
export interface ConfigFlags {
  readonly tier?: string;
  readonly network?: string;
  readonly chain?: readonly string[];
  readonly config?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: string;
  readonly controlPort?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

export interface ConfigSources {
  readonly flags: ConfigFlags;
  readonly env: Environment;
  readonly cwd: string;
}

const DEFAULTS = {
  host: "127.0.0.1",
  controlHost: "127.0.0.1",
  controlPort: 8081,
  logLevel: "info",
  shutdownTimeoutMs: 10_000,
} as const;

/** Variables that name themselves alike and belong to somebody else here. */
const OTHER_VARIABLES = ["SPRINT_TOKEN", "SPRINT_CONTROL_URL", "SPRINT_CHAIN_DATA"];

/** Throws SprintError SPRINT_CONFIG_*; its message names source and key. */
export function loadConfig(sources: ConfigSources): Config {
  const { flags, env, cwd } = sources;
  const file = findFile(sources);
  const values: FileValues = file === null ? {} : readConfigFile(file, env);

  const pick = <T>(option: keyof ConfigFlags, read: Read<T>): T | undefined => {
    if (flags[option] !== undefined) return read(flags[option], { source: COMMAND_LINE, key: flagOf(option) });
    const variable = variableOf(option);
    const fromEnv = env[variable];
    return fromEnv === undefined || fromEnv === "" ? undefined : read(fromEnv, { source: ENVIRONMENT, key: variable });
  };

  const tier = pick("tier", tierName);
  const tiers = TIERS.filter((name) => (tier === undefined ? fileTiers(values, file).includes(name) : name === tier));
  const onePort = pick("port", port);
  const portPlace =
    flags.port === undefined
      ? { source: ENVIRONMENT, key: variableOf("port") }
      : { source: COMMAND_LINE, key: "--port" };
  const rows = tierRows(values, tiers, { onePort, portPlace }, file);
  const host = pick("host", text) ?? values.host ?? DEFAULTS.host;
  const control = {
    host: values.control_host ?? DEFAULTS.controlHost,
    port: pick("controlPort", port) ?? values.control_port ?? DEFAULTS.controlPort,
    tokens: usableTokens(values.control_tokens ?? []),
  };
  refusePortTwice(tiers, rows, control.port);

  const network = pick("network", networkName) ?? values.network ?? null;
  const networkPlace =
    flags.network !== undefined
      ? { source: COMMAND_LINE, key: "--network" }
      : (env[variableOf("network")] ?? "") !== ""
        ? { source: ENVIRONMENT, key: variableOf("network") }
        : { source: file ?? "", key: "network" };
  const written = readWrittenChains(flags.chain, env);
  const { chains, unused } = resolveChains({ network, networkPlace, values, written, file });
  const plugins = (values.plugins ?? []).map((path) => resolve(file === null ? cwd : dirname(file), path));

  return deepFreeze({
    network: overallNetwork(network, chains),
    tiers,
    tier: rows,
    host,
    control,
    dataDir: resolve(cwd, pick("dataDir", text) ?? values.data_dir ?? dataDirectory({ env })),
    log: {
      level: pick("logLevel", logLevel) ?? values.log?.level ?? DEFAULTS.logLevel,
      format: pick("logFormat", logFormat) ?? values.log?.format ?? null,
    },
    shutdownTimeoutMs: values.shutdown_timeout ?? DEFAULTS.shutdownTimeoutMs,
    breakers: policiesOf(values.breakers ?? {}, file ?? ""),
    plugins,
    chains,
    file,
    warnings: [...variableWarnings(env), ...tokenWarnings(values.control_tokens ?? []), ...missing(plugins), ...unused],
  });
}

/** No error: the chains of other plug-ins, and all that are built in, are relayed without it. */
function missing(plugins: readonly string[]): string[] {
  const gone = plugins.filter((path) => !existsSync(path));
  return gone.map((path) => `plugins: there is no file ${path}; its chain is not relayed until it is there`);
}

/** Plain data under the file's own keys, without credentials: what `sprint config dump` prints, and loads again. */
export function dumpConfig(config: Config): Record<string, unknown> {
  const { control_tokens: tokens, ...rest } = documentOf(config);
  const shown = tokens.map(({ name, role }) => ({ name, role }));
  return redactValue({ ...rest, ...(shown.length === 0 ? {} : { control_tokens: shown }) }) as Record<string, unknown>;
}

/** The same with its secrets: to be compared, never to be shown. */
export function documentOf(config: Config): {
  readonly control_tokens: readonly ControlToken[];
  readonly [key: string]: unknown;
} {
  return {
    network: config.network,
    tiers: config.tiers,
    host: config.host,
    control_host: config.control.host,
    control_port: config.control.port,
    data_dir: config.dataDir,
    shutdown_timeout: formatDuration(config.shutdownTimeoutMs),
    ports: perTier(config, (row) => row.port),
    log: config.log.format === null ? { level: config.log.level } : config.log,
    limits: perTier(config, (row) => ({
      connections: unlimited(row.connections),
      events_per_second: row.eventsPerSecond,
      api_calls_per_minute: unlimited(row.apiCallsPerMinute),
    })),
    pacing: perTier(config, (row) => ({
      min: formatDuration(row.pacingMs?.min ?? 0),
      max: formatDuration(row.pacingMs?.max ?? 0),
    })),
    breakers: Object.fromEntries(config.tiers.map((tier) => [tier, documentOfPolicy(config.breakers[tier])])),
    control_tokens: config.control.tokens,
    plugins: config.plugins,
    chains: Object.fromEntries(config.chains.map((chain) => [chain.chain, dumpChain(chain)])),
  };
}

function dumpChain(chain: ChainConfig): Record<string, unknown> {
  return {
    enabled: true,
    network: chain.network,
    upstreams: chain.upstreams,
    validation_level: chain.validation,
    mempool: chain.mempool,
    ...(chain.signatures === null ? {} : { signatures: chain.signatures }),
    ...(chain.finalityDepth === null ? {} : { finality_depth: chain.finalityDepth }),
    ...(chain.checkpoint === null
      ? {}
      : {
          checkpoint: {
            height: chain.checkpoint.height,
            header: Buffer.from(chain.checkpoint.header).toString("hex"),
            work: `0x${chain.checkpoint.work.toString(16)}`,
          },
        }),
  };
}

function perTier<T>(config: Config, of: (row: TierRow) => T): Partial<Record<Tier, T>> {
  return Object.fromEntries(config.tiers.map((tier) => [tier, of(config.tier[tier])]));
}

function unlimited(value: number): number | "unlimited" {
  return value === Number.POSITIVE_INFINITY ? "unlimited" : value;
}

// --- where things come from

/** The file that is read, by its whole path; null where there is none. */
export function findFile({ flags, env, cwd }: ConfigSources): string | null {
  const named = flags.config ?? (env["SPRINT_CONFIG"] === "" ? undefined : env["SPRINT_CONFIG"]);
  if (named !== undefined) return resolve(cwd, named);
  return searchPaths(cwd, env).find((path) => existsSync(path)) ?? null;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export function flagOf(option: keyof ConfigFlags): string {
  return `--${kebab(option)}`;
}

export function variableOf(option: keyof ConfigFlags): string {
  return `SPRINT_${kebab(option).replaceAll("-", "_").toUpperCase()}`;
}

const VARIABLES = (
  ["tier", "network", "chain", "config", "dataDir", "host", "port", "controlPort", "logLevel", "logFormat"] as const
).map(variableOf);

/** A misspelt variable would be silently without effect. Others that begin alike may be another program's. */
function variableWarnings(env: Environment): string[] {
  const known = [...VARIABLES, ...OTHER_VARIABLES];
  return Object.keys(env)
    .filter((name) => name.startsWith("SPRINT_") && !known.includes(name))
    .flatMap((name) => {
      const near = nearest(
        name.slice("SPRINT_".length),
        VARIABLES.map((variable) => variable.slice("SPRINT_".length)),
      );
      return near === null ? [] : [`the environment variable ${name} is not used; did you mean SPRINT_${near}?`];
    });
}

// --- tiers

function fileTiers(values: FileValues, file: string | null): readonly Tier[] {
  if (values.tiers !== undefined && values.tier !== undefined) {
    throw conflict({ source: file ?? "", key: "tier" }, "either tier or tiers", "both");
  }
  if (values.tier !== undefined) return [values.tier];
  if (values.tiers?.length === 0)
    throw wrongValue({ source: file ?? "", key: "tiers" }, "at least one tier", values.tiers);
  return values.tiers ?? TIERS;
}

function tierRows(
  values: FileValues,
  tiers: readonly Tier[],
  { onePort, portPlace }: { readonly onePort: number | undefined; readonly portPlace: Place },
  file: string | null,
): Record<Tier, TierRow> {
  if (onePort !== undefined && onePort !== 0 && tiers.length > 1) {
    throw conflict(
      portPlace,
      `--tier beside one port (or --port 0 for any free ones): ${tiers.length} tiers are open`,
      onePort,
    );
  }
  const row = (tier: Tier): TierRow => {
    const limits = values.limits?.[tier];
    const usual = TIER[tier];
    return {
      ...usual,
      port: onePort ?? values.ports?.[tier] ?? usual.port,
      pacingMs: pacing(values, tier, file),
      connections: limits?.connections ?? usual.connections,
      eventsPerSecond: limits?.events_per_second ?? usual.eventsPerSecond,
      apiCallsPerMinute: limits?.api_calls_per_minute ?? usual.apiCallsPerMinute,
    };
  };
  return { FREE: row("FREE"), BUSINESS: row("BUSINESS"), ENTERPRISE: row("ENTERPRISE") };
}

function pacing(values: FileValues, tier: Tier, file: string | null): TierRow["pacingMs"] {
  const written = values.pacing?.[tier];
  if (written === undefined) return TIER[tier].pacingMs;
  const min = written.min ?? TIER[tier].pacingMs?.min ?? 0;
  const max = written.max ?? TIER[tier].pacingMs?.max ?? min;
  if (min > max) {
    const place = { source: file ?? "", key: `pacing.${tier}` };
    throw conflict(place, "min up to max", `${formatDuration(min)} and ${formatDuration(max)}`);
  }
  return max === 0 ? null : { min, max };
}

function refusePortTwice(tiers: readonly Tier[], rows: Readonly<Record<Tier, TierRow>>, controlPort: number): void {
  const taken = new Map<number, string>([[controlPort, "the control API"]]);
  for (const tier of tiers) {
    const wanted = rows[tier].port;
    const other = wanted === 0 ? undefined : taken.get(wanted);
    if (other !== undefined) {
      throw conflict(
        { source: "ports", key: tier },
        "a port of its own for each listener",
        `${wanted}, which ${other} has`,
      );
    }
    taken.set(wanted, tier);
  }
}

// --- small things

function deepFreeze<T>(value: T): T {
  // Bytes cannot be frozen.
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  for (const field of Object.values(value)) deepFreeze(field);
  return Object.freeze(value);
}
