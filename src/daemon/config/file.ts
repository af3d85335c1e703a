/**
 * The configuration file: found, read, parsed, its variables filled in, and held against the table of keys. What comes out
 * is plain data with known keys and checked types; what the values mean together is config.ts's work.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { extname, join } from "node:path";
import { TomlError, parse as parseToml } from "smol-toml";
import { parseDocument } from "yaml";
import { CHAIN_NAME, CHAINS } from "../../shared/chain.ts";
import type { Environment } from "../../shared/cli.ts";
import { SprintError, messageOf } from "../../shared/errors.ts";
import { redactText } from "../../shared/redact.ts";
import { TIERS } from "../../shared/tier.ts";
import { readBreakers } from "./breakers.ts";
import { readTokens } from "./tokens.ts";
import {
  type Fields,
  type Place,
  type Read,
  type ReadFields,
  count,
  countOrUnlimited,
  duration,
  entriesOf,
  flag,
  integer,
  listOf,
  logFormat,
  logLevel,
  networkName,
  oneOf,
  perTier,
  port,
  section,
  text,
  tierName,
  unknownKey,
  wrongValue,
} from "./values.ts";

export const VALIDATION_LEVELS = ["header", "full"] as const;

const MAX_FILE_BYTES = 1_048_576;
const MAX_UPSTREAMS = 64;
const MAX_PLUGINS = 12;

// --- the table of keys

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

const readUpstream: Read<string> = (value, place) =>
  typeof value === "string" ? text(value, place) : readUpstreamTable(value, place);

const readUpstreamTable: Read<string> = (value, place) => {
  const { url } = section({ url: text })(value, place);
  if (url === undefined) throw wrongValue({ ...place, key: `${place.key}.url` }, "an upstream's URL", undefined);
  return url;
};

/** Null: all of them. Texts of digits count, as everywhere. */
const share: Read<number | null> = (value, place) => {
  if (value === "all") return null;
  const number = typeof value === "string" && /^(0?\.\d{1,9}|1)$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && number > 0 && number <= 1) return number === 1 ? null : number;
  throw wrongValue(place, '"all", or a share of them above 0 and up to 1', value);
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
  ws_endpoint: text,
  validation_level: oneOf(VALIDATION_LEVELS),
  finality_depth: integer(1, 100_000),
  mempool: flag,
  signatures: share,
  checkpoint: readCheckpoint,
} satisfies Fields;

export type FileChain = ReadFields<typeof CHAIN_FIELDS>;

const readChain = section(CHAIN_FIELDS);

/** By name; what is no built-in chain is a plug-in's. */
export interface FileChains {
  readonly [chain: string]: FileChain | undefined;
}

/** Whether a plug-in brings a chain that is not built in is known where the whole file is. */
const readChains: Read<FileChains> = (value, place) => {
  const chains: Record<string, FileChain> = {};
  for (const [name, entry] of entriesOf(value, place)) {
    const at = { ...place, key: `${place.key}.${name}` };
    if (!CHAIN_NAME.test(name)) throw unknownKey(at, name, CHAINS);
    chains[name] = readChain(entry ?? {}, at);
  }
  return chains;
};

const FILE_FIELDS = {
  network: networkName,
  tier: tierName,
  tiers: listOf(tierName, TIERS.length),
  host: text,
  control_host: text,
  control_port: port,
  control_tokens: readTokens,
  ports: perTier(port),
  data_dir: text,
  shutdown_timeout: duration,
  log: section({ level: logLevel, format: logFormat }),
  limits: perTier(
    section({ connections: countOrUnlimited, events_per_second: count, api_calls_per_minute: countOrUnlimited }),
  ),
  pacing: perTier(section({ min: duration, max: duration })),
  breakers: readBreakers,
  plugins: listOf(text, MAX_PLUGINS),
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
