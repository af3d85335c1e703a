/**
 * Who did what to the daemon, and what came of it: one JSON line for each, appended to `audit.jsonl` of the data directory before the caller is
 * answered, so that no kill loses it. The newest are in memory; the file begins anew, with one before it kept, at 8 MiB.
 */
import { appendFileSync, closeSync, fstatSync, openSync, readSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { Value } from "typebox/value";
import { AuditEntryBody } from "../shared/api.ts";

export interface AuditOptions {
  /** Directory; it exists. */
  readonly directory: string;
  readonly maxFileBytes?: number;
}

export interface AuditModules {
  readonly onEntry: (entry: AuditEntryBody) => void;
  /** The file could not be written; the entry is in memory and was told all the same. */
  readonly onFault: (error: unknown) => void;
}

export interface Audit {
  add(entry: AuditEntryBody): void;
  /** Newest first. */
  last(count: number): readonly AuditEntryBody[];
}

const REMEMBERED = 1_000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;
/** Of the file's end, read at the start. */
const TAIL_BYTES = 256 * 1024;

export function openAudit(options: AuditOptions, modules: AuditModules): Audit {
  const { onEntry, onFault } = modules;
  const file = join(options.directory, "audit.jsonl");
  const maxBytes = options.maxFileBytes ?? MAX_FILE_BYTES;
  const tail = readTail(file);
  const entries = parseTail(tail);
  // A kill may have cut the last line short; the next one is a line of its own all the same.
  let start = tail === "" || tail.endsWith("\n") ? "" : "\n";
  return {
    add(entry) {
      entries.push(entry);
      if (entries.length > REMEMBERED) entries.shift();
      try {
        if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) >= maxBytes) renameSync(file, `${file}.1`);
        appendFileSync(file, `${start}${JSON.stringify(entry)}\n`, { mode: 0o600 });
        start = "";
      } catch (error) {
        onFault(error);
      }
      onEntry(entry);
    },
    last: (count) => entries.slice(-count).reverse(),
  };
}

function readTail(file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(descriptor);
    const from = Math.max(0, size - TAIL_BYTES);
    const tail = Buffer.alloc(size - from);
    return tail.toString("utf8", 0, readSync(descriptor, tail, 0, tail.length, from));
  } finally {
    closeSync(descriptor);
  }
}

/** A line that was cut short, or is none of ours, is passed over. */
function parseTail(tail: string): AuditEntryBody[] {
  return tail.split("\n").flatMap(parseEntry).slice(-REMEMBERED);
}

function parseEntry(line: string): AuditEntryBody[] {
  try {
    const entry: unknown = JSON.parse(line);
    return Value.Check(AuditEntryBody, entry) ? [entry] : [];
  } catch {
    return [];
  }
}
