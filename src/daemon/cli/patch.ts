/** `key=value` of `sprint breakers set` → the body of a PATCH. */
import { PolicyBody, type PolicyPatch } from "../../shared/api.ts";
import { nearest, parseDuration } from "../../shared/cli.ts";
import { SprintError } from "../../shared/errors.ts";

/** What the contract says of a field. */
interface Field {
  readonly type?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

const FIELDS: Readonly<Record<string, Field>> = PolicyBody.properties;

/** What takes an earlier setting back. */
const DEFAULT = "default";

/** Durations, too, where the key ends in _ms: `reset_timeout_ms=5s`; `default` takes back what was set. Throws SPRINT_CLI_SET. */
export function patchOf(changes: readonly string[]): PolicyPatch {
  const patch: Record<string, number | boolean | null> = {};
  for (const change of changes) {
    const [, key, text] = /^([^=]+)=(.+)$/.exec(change) ?? [];
    if (key === undefined || text === undefined) throw wrong(`expected key=value, got "${change}"`, { change });
    const field = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
    if (field === undefined) throw unknownKey(key);
    if (Object.hasOwn(patch, key)) throw wrong(`${key} is given twice; give it once`, { key });
    patch[key] = text === DEFAULT ? null : field.type === "boolean" ? truth(key, text) : amount(key, field, text);
  }
  return patch;
}

function truth(key: string, text: string): boolean {
  if (text !== "true" && text !== "false") throw wrong(`${key} takes true or false, got "${text}"`, { key, got: text });
  return text === "true";
}

function amount(key: string, { type, minimum = 0, maximum = Number.MAX_VALUE }: Field, text: string): number {
  const isTime = key.endsWith("_ms");
  const value = (isTime ? parseDuration(text) : null) ?? (/^[\d.]+(?:e\d+)?$/.test(text) ? Number(text) : Number.NaN);
  if (value >= minimum && value <= maximum && (type !== "integer" || Number.isInteger(value))) return value;
  const kind = isTime ? 'a duration such as "5s", or milliseconds,' : `a ${type === "integer" ? "whole " : ""}number`;
  throw wrong(`${key} takes ${kind} from ${minimum} to ${maximum}, got "${text}"`, { key, got: text });
}

function unknownKey(key: string): SprintError {
  const keys = Object.keys(FIELDS);
  const near = nearest(key, keys);
  const hint = near === null ? `; there are ${keys.join(", ")}` : `, did you mean ${near}?`;
  return wrong(`a breaker has no setting "${key}"${hint}`, { key, nearest: near });
}

function wrong(message: string, data: Readonly<Record<string, unknown>>): SprintError {
  return new SprintError("SPRINT_CLI_SET", message, data);
}
