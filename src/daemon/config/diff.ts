/** What changes from one configuration to the next, key by key, and which keys a running daemon can take over. */
import { isDeepStrictEqual } from "node:util";
import type { ChangeBody } from "../../shared/api.ts";
import { redactValue } from "../../shared/redact.ts";
import { type Config, documentOf } from "./load.ts";

/** The keys that change while the daemon runs; `*` is one name. Every other key waits for the next start. */
const CHANGES_WHILE_RUNNING = [
  "log.level",
  "shutdown_timeout",
  "limits.*.connections",
  "limits.*.api_calls_per_minute",
  "limits.*.events_per_second",
  "pacing.*.min",
  "pacing.*.max",
  "breakers.*.*",
  "chains.*.upstreams",
  "control_tokens.*",
];

const PATTERNS = CHANGES_WHILE_RUNNING.map(
  (key) => new RegExp(`^${key.replaceAll(".", "\\.").replaceAll("*", "[^.]+")}$`),
);

/** True where a running daemon takes a new value of `key` over. */
export function changesWhileRunning(key: string): boolean {
  return PATTERNS.some((pattern) => pattern.test(key));
}

/** In the order of the file; empty where nothing differs. Secrets are compared, and shown only as changed. */
export function diffConfig(from: Config, to: Config): readonly ChangeBody[] {
  return diffDocuments(documentOf(from), documentOf(to));
}

/** The same of two documents as `sprint config dump` prints them; what they leave out is not compared. */
export function diffDocuments(from: object, to: object): readonly ChangeBody[] {
  const before = leavesOf(from);
  const after = leavesOf(to);
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const [was, is] = [before.get(key), after.get(key)];
    if (isDeepStrictEqual(was, is)) return [];
    const shown = { from: redactValue(was ?? null), to: shownBeside(was ?? null, is ?? null) };
    return [{ key, ...shown, restart: needsRestart(key, was, is) }];
  });
}

/**
 * The values of a document by their whole keys: lists are one value, sections are not, and an entry of `control_tokens` goes by its
 * name.
 */
export function leavesOf(document: object, prefix = ""): ReadonlyMap<string, unknown> {
  const leaves = new Map<string, unknown>();
  for (const [name, value] of Object.entries(document)) {
    const key = `${prefix}${name}`;
    if (key === "control_tokens" && Array.isArray(value)) {
      for (const { name: token, ...entry } of value) leaves.set(`${key}.${String(token)}`, entry);
    } else if (isSection(value)) {
      for (const [below, leaf] of leavesOf(value, `${key}.`)) leaves.set(below, leaf);
    } else {
      leaves.set(key, value);
    }
  }
  return leaves;
}

function needsRestart(key: string, from: unknown, to: unknown): boolean {
  if (key.startsWith("control_tokens.")) return false;
  // A whole chain or tier comes or goes.
  if (from === undefined || to === undefined || !changesWhileRunning(key)) return true;
  // Without upstreams of its own a chain has embedded nodes or public peers, which are found and looked after in another way.
  return key.startsWith("chains.") && (isEmptyList(from) || isEmptyList(to));
}

/** `to` fit to be shown; what differs from `from` in nothing that may be shown says so. */
function shownBeside(from: unknown, to: unknown): unknown {
  if (Array.isArray(from) && Array.isArray(to)) return to.map((item, i) => shownBeside(from[i], item));
  const shown = redactValue(to);
  if (isDeepStrictEqual(from, to) || !isDeepStrictEqual(redactValue(from), shown)) return shown;
  return isSection(shown)
    ? { ...shown, changed: "what is not shown" }
    : `${String(shown)} (changed in what is not shown)`;
}

function isSection(value: unknown): value is object {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
