/**
 * How a value of the configuration is read, wherever it stands: checked, converted, and where it is wrong told with its place.
 * The kinds of values are here; which key takes which is in file.ts.
 */
import { nearest, parseDuration } from "../../shared/cli.ts";
import { SprintError } from "../../shared/errors.ts";
import { redactText } from "../../shared/redact.ts";
import { TIERS, type Tier } from "../../shared/tier.ts";
import { LOG_LEVELS, type LogLevel } from "../observe/index.ts";

export const LOG_FORMATS = ["pretty", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

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

export type Fields = Readonly<Record<string, Read<unknown>>>;
export type ReadFields<F extends Fields> = { readonly [K in keyof F]?: ReturnType<F[K]> };

// --- values

export const text: Read<string> = (value, place) => {
  if (typeof value !== "string" || value === "") throw wrongValue(place, "a text that is not empty", value);
  return value;
};

export const flag: Read<boolean> = (value, place) => {
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw wrongValue(place, "true or false", value);
};

/** Texts of digits count, because a filled-in variable and the environment have no other type. */
export function integer(min: number, max: number): Read<number> {
  return (value, place) => {
    const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
    if (typeof number !== "number" || !Number.isInteger(number) || number < min || number > max) {
      throw wrongValue(place, `a whole number from ${min} to ${max}`, value);
    }
    return number;
  };
}

export const port: Read<number> = integer(0, 65_535);

export const count = integer(1, 1_000_000_000);

export const countOrUnlimited: Read<number> = (value, place) =>
  value === "unlimited" || value === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : count(value, place);

export const duration: Read<number> = (value, place) => {
  const milliseconds = typeof value === "string" ? parseDuration(value) : null;
  if (milliseconds === null || milliseconds > 86_400_000) {
    throw wrongValue(place, 'a duration with its unit, up to a day: "250ms", "5s", "1m30s"', value);
  }
  // What is shown is what is in effect.
  return Math.round(milliseconds);
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

export function listOf<T>(item: Read<T>, max: number): Read<readonly T[]> {
  return (value, place) => {
    if (!Array.isArray(value) || value.length > max) throw wrongValue(place, `a list of at most ${max}`, value);
    return value.map((entry, i) => item(entry, { ...place, key: `${place.key}[${i}]` }));
  };
}

/** A section: its own keys and no others. */
export function section<F extends Fields>(fields: F): Read<ReadFields<F>> {
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

export function entriesOf(value: unknown, place: Place): [string, unknown][] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw wrongValue(place, "a section of keys", value);
  }
  return Object.entries(value);
}

export function perTier<T>(reader: Read<T>): Read<Partial<Record<Tier, T>>> {
  return section(Object.fromEntries(TIERS.map((tier) => [tier, reader]))) as Read<Partial<Record<Tier, T>>>;
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

export function unknownKey(
  place: Place,
  key: string,
  known: readonly string[],
  near: string | null = nearest(key, known),
): SprintError {
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
  if (/password|secret|token/i.test(place.key.slice(place.key.lastIndexOf(".") + 1)))
    return `a ${typeof value} (not shown)`;
  if (typeof value === "string") return JSON.stringify(redactText(value).slice(0, 80));
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" && value !== null ? "a section" : String(value);
}
