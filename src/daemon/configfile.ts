/**
 * The configuration file: found, read, parsed, its variables filled in, and held against the table of keys. What comes out
 * is plain data with known keys and checked types; what the values mean together is config.ts's work.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { extname, join } from "node:path";
import { TomlError, parse as parseToml } from "smol-toml";
import { parseDocument } from "yaml";
import { CHAINS, type Chain } from "../shared/chain.ts";
import { type Environment, nearest, parseDuration } from "../shared/cli.ts";
import { SprintError, messageOf } from "../shared/errors.ts";
import { redactText } from "../shared/redact.ts";
import { TIERS, type Tier } from "../shared/tier.ts";
import { LOG_LEVELS, type LogLevel } from "./observe/index.ts";

export const LOG_FORMATS = ["pretty", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
export const VALIDATION_LEVELS = ["header", "full"] as const;

/** Chains that the specification names and this build does not relay: their sections load, and are not used. */
export const LATER_CHAINS = ["ethereum", "solana", "polygon", "arbitrum", "optimism", "base", "bsc"] as const;

const MAX_FILE_BYTES = 1_048_576;
const MAX_UPSTREAMS = 64;

export const COMMAND_LINE = "the command line";
export const ENVIRONMENT = "the environment";

/** Where a value stands, for the error that names it. */
export interface Place {
  /** A file's path, ENVIRONMENT or COMMAND_LINE. */
  readonly source: string;
  /** `chains.bitcoin.rpc_url`, `SPRINT_PORT`, `--port`. */
  readonly key: string;
}

export type Read<T> = (value: unknown, place: Place) => T;

type Fields = Readonly<Record<string, Read<unknown>>>;
type ReadFields<F extends Fields> = { readonly [K in keyof F]?: ReturnType<F[K]> };

// --- values

export const text: Read<string> = (value, place) => {
  if (typeof value !== "string" || value === "") throw wrongValue(place, "a text that is not empty", value);
  return value;
};

const flag: Read<boolean> = (value, place) => {
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw wrongValue(place, "true or false", value);
};

/** Texts of digits count, because a filled-in variable and the environment have no other type. */
function integer(min: number, max: number): Read<number> {
  return (value, place) => {
    const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
    if (typeof number !== "number" || !Number.isInteger(number) || number < min || number > max) {
      throw wrongValue(place, `a whole number from ${min} to ${max}`, value);
    }
    return number;
  };
}

export const port: Read<number> = integer(0, 65_535);

const count = integer(1, 1_000_000_000);

const countOrUnlimited: Read<number> = (value, place) =>
  value === "unlimited" || value === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : count(value, place);

export const duration: Read<number> = (value, place) => {
  const milliseconds = typeof value === "string" ? parseDuration(value) : null;
  if (milliseconds === null || milliseconds > 86_400_000) {
    throw wrongValue(place, 'a duration with its unit, up to a day: "250ms", "5s", "1m30s"', value);
  }
  return milliseconds;
};

export function oneOf<const T extends readonly string[]>(names: T): Read<T[number]> {
  return (value, place) => {
    if (typeof value === "string" && names.includes(value)) return value;
    const near = typeof value === "string" ? nearest(value, names) : null;
    throw wrongValue(place, `one of ${names.join(", ")}`, value, near);
  };
}

export const tierName: Read<Tier> = (value, place) =>
  oneOf(TIERS)(typeof value === "string" ? value.toUpperCase() : value, place);
export const logLevel: Read<LogLevel> = oneOf(LOG_LEVELS);
export const logFormat: Read<LogFormat> = oneOf(LOG_FORMATS);

export const networkName: Read<string> = (value, place) => {
  if (typeof value !== "string" || !/^[a-z0-9-]{1,32}$/.test(value)) {
    throw wrongValue(place, "a network's name in small letters: devnet, mainnet, testnet4, regtest", value);
  }
  return value;
};

function listOf<T>(item: Read<T>, max: number): Read<readonly T[]> {
  return (value, place) => {
    if (!Array.isArray(value) || value.length > max) throw wrongValue(place, `a list of at most ${max}`, value);
    return value.map((entry, i) => item(entry, { ...place, key: `${place.key}[${i}]` }));
  };
}

function hex(bytes: number): Read<Uint8Array> {
  return (value, place) => {
    if (typeof value !== "string" || value.length !== bytes * 2 || !/^[0-9a-f]*$/i.test(value)) {
      throw wrongValue(place, `${bytes} bytes as ${bytes * 2} hex digits`, value);
    }
    return Uint8Array.from(Buffer.from(value, "hex"));
  };
}

const work: Read<bigint> = (value, place) => {
  if (typeof value !== "string" || !/^(0x[0-9a-f]{1,64}|\d{1,78})$/i.test(value)) {
    throw wrongValue(place, 'the chain work as text: "0x…" or digits', value);
  }
  return BigInt(value);
};

/** A section: its own keys and no others. */
function section<F extends Fields>(fields: F): Read<ReadFields<F>> {
  const known = Object.keys(fields);
  return (value, place) => {
    const read: Record<string, unknown> = {};
    for (const [key, entry] of entriesOf(value, place)) {
      const at = { ...place, key: place.key === "" ? key : `${place.key}.${key}` };
      const reader = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (reader === undefined) throw unknownKey(at, key, known);
      // An empty YAML value is a key that says nothing.
      if (entry !== null && entry !== undefined) read[key] = reader(entry, at);
    }
    return read as ReadFields<F>;
  };
}

function entriesOf(value: unknown, place: Place): [string, unknown][] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw wrongValue(place, "a section of keys", value);
  }
  return Object.entries(value);
}

function perTier<T>(reader: Read<T>): Read<Partial<Record<Tier, T>>> {
  return section(Object.fromEntries(TIERS.map((tier) => [tier, reader]))) as Read<Partial<Record<Tier, T>>>;
}

// --- the table of keys

const readUpstream: Read<string> = (value, place) =>
  typeof value === "string" ? text(value, place) : readUpstreamTable(value, place);

const readUpstreamTable: Read<string> = (value, place) => {
  const { url } = section({ url: text })(value, place);
  if (url === undefined) throw wrongValue({ ...place, key: `${place.key}.url` }, "an upstream's URL", undefined);
  return url;
};

const readCheckpoint: Read<FileCheckpoint> = (value, place) => {
  const fields = { height: integer(0, 0xffff_ffff), header: hex(80), work };
  const { height, header, work: total } = section(fields)(value, place);
  if (height === undefined || header === undefined || total === undefined) {
    throw wrongValue(place, "height, header and work together", Object.keys(value as object).join(", "));
  }
  return { height, header, work: total };
};

export interface FileCheckpoint {
  readonly height: number;
  readonly header: Uint8Array;
  readonly work: bigint;
}

const CHAIN_FIELDS = {
  enabled: flag,
  network: networkName,
  upstreams: listOf(readUpstream, MAX_UPSTREAMS),
  rpc_url: text,
  rpc_user: text,
  rpc_password: text,
  rpc_cookie: text,
  zmq_endpoint: text,
  validation_level: oneOf(VALIDATION_LEVELS),
  finality_depth: integer(1, 100_000),
  checkpoint: readCheckpoint,
} satisfies Fields;

export type FileChain = ReadFields<typeof CHAIN_FIELDS>;

const readChain = section(CHAIN_FIELDS);

export interface FileChains {
  readonly relayed: Partial<Record<Chain, FileChain>>;
  /** Sections of chains that this build knows by name only, and that are switched on. */
  readonly later: readonly string[];
}

const readChains: Read<FileChains> = (value, place) => {
  const relayed: Partial<Record<Chain, FileChain>> = {};
  const later: string[] = [];
  const known: readonly string[] = [...CHAINS, ...LATER_CHAINS];
  for (const [name, entry] of entriesOf(value, place)) {
    const at = { ...place, key: `${place.key}.${name}` };
    const chain = CHAINS.find((candidate) => candidate === name);
    if (chain !== undefined) relayed[chain] = readChain(entry ?? {}, at);
    else if (!known.includes(name)) throw unknownKey(at, name, known);
    else if (isSwitchedOn(entry ?? {}, at)) later.push(name);
  }
  return { relayed, later };
};

/** The keys of a chain that comes later are not known yet, but for this one. */
function isSwitchedOn(value: unknown, place: Place): boolean {
  const enabled = entriesOf(value, place).find(([key]) => key === "enabled");
  return enabled === undefined || flag(enabled[1], { ...place, key: `${place.key}.enabled` });
}

const FILE_FIELDS = {
  network: networkName,
  tier: tierName,
  tiers: listOf(tierName, TIERS.length),
  host: text,
  control_host: text,
  control_port: port,
  ports: perTier(port),
  data_dir: text,
  shutdown_timeout: duration,
  log: section({ level: logLevel, format: logFormat }),
  limits: perTier(
    section({ connections: countOrUnlimited, events_per_second: count, api_calls_per_minute: countOrUnlimited }),
  ),
  pacing: perTier(section({ min: duration, max: duration })),
  chains: readChains,
} satisfies Fields;

export type FileValues = ReadFields<typeof FILE_FIELDS>;

// --- the file

/** The paths looked at, in order; the first that exists is read. */
export function searchPaths(cwd: string, env: Environment): readonly string[] {
  const home = env["XDG_CONFIG_HOME"] || join(homedir(), ".config");
  const names = ["sprint.toml", "sprint.yaml", "sprint.yml"];
  const directories = [cwd, join(home, "bitcoin-sprint"), "/etc/bitcoin-sprint"];
  return directories.flatMap((directory) => names.map((name) => join(directory, name)));
}

/**
 * Throws SprintError: SPRINT_CONFIG_FILE (cannot be read), SPRINT_CONFIG_SYNTAX, SPRINT_CONFIG_VARIABLE (`${VAR}` unset),
 * SPRINT_CONFIG_UNKNOWN_KEY, SPRINT_CONFIG_VALUE; each names file and key.
 */
export function readConfigFile(file: string, env: Environment): FileValues {
  const parsed = parseFile(file);
  // An empty YAML file is an empty section.
  return section(FILE_FIELDS)(fillIn(parsed ?? {}, { source: file, key: "" }, env), { source: file, key: "" });
}

function parseFile(file: string): unknown {
  const kind = extname(file).toLowerCase();
  if (![".toml", ".yaml", ".yml"].includes(kind)) {
    throw new SprintError(
      "SPRINT_CONFIG_FILE",
      `expected a configuration file that ends in .toml, .yaml or .yml, got ${file}`,
      { file, expected: ".toml, .yaml or .yml", actual: kind },
    );
  }
  const source = readBounded(file);
  try {
    return kind === ".toml" ? parseToml(source) : parseYaml(source);
  } catch (error) {
    throw syntaxError(file, error);
  }
}

function readBounded(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_FILE_BYTES) {
      throw new SprintError("SPRINT_CONFIG_FILE", `expected ${file} to hold at most 1 MiB, it has ${size} bytes`, {
        file,
        expected: MAX_FILE_BYTES,
        actual: size,
      });
    }
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof SprintError) throw error;
    const reason = messageOf(error);
    const message = `expected to read the configuration ${file}: ${reason}; check the path and its permissions`;
    throw new SprintError("SPRINT_CONFIG_FILE", message, { file, actual: reason }, { cause: error });
  }
}

function parseYaml(source: string): unknown {
  const document = parseDocument(source, { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  return document.toJS({ maxAliasCount: 100 });
}

function syntaxError(file: string, error: unknown): SprintError {
  const line = error instanceof TomlError ? error.line : lineOfYamlError(error);
  const reason = redactText(messageOf(error).split("\n")[0] ?? "");
  const where = line === null ? file : `${file}, line ${line}`;
  return new SprintError("SPRINT_CONFIG_SYNTAX", `${where}: ${reason}`, { file, line, actual: reason });
}

function lineOfYamlError(error: unknown): number | null {
  if (typeof error !== "object" || error === null || !("linePos" in error)) return null;
  const positions = error.linePos as readonly { readonly line: number }[] | undefined;
  return positions?.[0]?.line ?? null;
}

/** `${VAR}` in any text; `$${VAR}` stays as `${VAR}`. */
function fillIn(value: unknown, place: Place, env: Environment): unknown {
  if (typeof value === "string") {
    return value.replace(/\$?\$\{([^}]*)\}/g, (whole, name: string) => {
      if (whole.startsWith("$$")) return whole.slice(1);
      const filled = env[name];
      if (filled !== undefined) return filled;
      throw new SprintError(
        "SPRINT_CONFIG_VARIABLE",
        `${place.source}: ${place.key} uses \${${name}}, which is not set; set it, or write $\${${name}} for the text itself`,
        { file: place.source, key: place.key, expected: `environment variable ${name}`, actual: "unset" },
      );
    });
  }
  if (Array.isArray(value)) {
    return value.map((entry, i) => fillIn(entry, { ...place, key: `${place.key}[${i}]` }, env));
  }
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => {
      const at = { ...place, key: place.key === "" ? key : `${place.key}.${key}` };
      return [key, fillIn(entry, at, env)];
    }),
  );
}

// --- errors

export function wrongValue(place: Place, expected: string, actual: unknown, near: string | null = null): SprintError {
  const shown = show(place, actual);
  const hint = near === null ? "" : `; did you mean ${near}?`;
  return new SprintError(
    "SPRINT_CONFIG_VALUE",
    `${place.source}: ${place.key === "" ? "the file" : place.key} takes ${expected}, got ${shown}${hint}`,
    { file: place.source, key: place.key, expected, actual: shown, nearest: near },
  );
}

/** Values that are right alone and wrong together. */
export function conflict(place: Place, expected: string, actual: unknown): SprintError {
  return new SprintError(
    "SPRINT_CONFIG_CONFLICT",
    `${place.source}: ${place.key}: expected ${expected}, got ${String(actual)}`,
    {
      file: place.source,
      key: place.key,
      expected,
      actual,
    },
  );
}

function unknownKey(place: Place, key: string, known: readonly string[]): SprintError {
  const near = nearest(key, known);
  const hint = near === null ? `known here: ${known.join(", ")}` : `did you mean ${near}?`;
  return new SprintError("SPRINT_CONFIG_UNKNOWN_KEY", `${place.source}: there is no key ${place.key}; ${hint}`, {
    file: place.source,
    key: place.key,
    expected: known,
    actual: key,
    nearest: near,
  });
}

/** Short, and never a secret. */
function show(place: Place, value: unknown): string {
  if (value === undefined) return "nothing";
  if (/password|secret|token/i.test(place.key)) return `a ${typeof value} (not shown)`;
  if (typeof value === "string") return JSON.stringify(redactText(value).slice(0, 80));
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "a section" : String(value);
}
