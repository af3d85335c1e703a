/**
 * The data directory: one sprint at a time, its token, and where it listens.
 *
 *   lock           "PID STARTTIME" of the sprint that holds it
 *   .cookie        the control API's token, mode 0600, new at each start
 *   control.json   written once all listeners are open, removed at stop
 *   audit.jsonl    who ordered what (`audit.ts`); orders.json: what of it still holds (`orders.ts`)
 */
import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SprintError, messageOf } from "../shared/errors.ts";
import type { Tier } from "../shared/tier.ts";

/** control.json, which companions and scripts read. */
export interface ControlFile {
  /** Origin of the control API. */
  readonly url: string;
  readonly pid: number;
  readonly version: string;
  /** RFC 3339. */
  readonly started_at: string;
  readonly tiers: Readonly<Partial<Record<Tier, string>>>;
}

export interface DataDir {
  readonly path: string;
  readonly token: string;
  /** Tells the world where this sprint listens. Throws SPRINT_DATA_DIR_UNUSABLE. */
  announce(control: ControlFile): void;
  /** Removes control.json, token and lock; a second call does nothing. */
  release(): void;
}

const TOKEN_BYTES = 32;

/**
 * Creates the directory (mode 0700) where it is missing, and takes it. Throws SPRINT_DATA_DIR_LOCKED where another sprint
 * that is alive holds it, SPRINT_DATA_DIR_UNUSABLE where it cannot be written.
 */
export function openDataDir(path: string): DataDir {
  const lock = join(path, "lock");
  const cookie = join(path, ".cookie");
  const control = join(path, "control.json");
  const token = randomBytes(TOKEN_BYTES).toString("hex");
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    takeLock(path, lock);
    // What a killed predecessor left would send clients to a port that may be somebody else's now.
    rmSync(control, { force: true });
    replaceFile(cookie, token, 0o600);
  } catch (error) {
    throw error instanceof SprintError ? error : unusable(path, error);
  }
  let released = false;
  return {
    path,
    token,
    announce(content) {
      try {
        replaceFile(control, `${JSON.stringify(content)}\n`, 0o644);
      } catch (error) {
        throw unusable(path, error);
      }
    },
    release() {
      if (released) return;
      released = true;
      for (const file of [control, cookie, lock]) rmSync(file, { force: true });
    },
  };
}

/** The lock appears with its content or not at all, so that nobody reads half of it. */
function takeLock(path: string, lock: string): void {
  const own = join(path, `lock.${process.pid}`);
  writeFileSync(own, holderOf(process.pid), { mode: 0o600 });
  try {
    if (tryLink(own, lock)) return;
    const holder = readOr(lock, "");
    if (isAlive(holder)) throw locked(path, holder);
    // Taken away by rename: of two that find the same stale lock, one gets it.
    const stale = join(path, `lock.${process.pid}.stale`);
    renameSync(lock, stale);
    const taken = readOr(stale, "");
    if (taken !== holder) tryLink(stale, lock);
    rmSync(stale, { force: true });
    if (taken !== holder || !tryLink(own, lock)) throw locked(path, readOr(lock, taken));
  } finally {
    rmSync(own, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** A pid alone is not enough: in a container every start may have the same one. */
function holderOf(pid: number): string {
  return `${pid} ${startTimeOf(pid)}`;
}

/** Clock ticks since boot, from Linux's process table; empty where there is none. */
function startTimeOf(pid: number): string {
  const stat = readOr(`/proc/${pid}/stat`, "");
  // The name in brackets may hold spaces and brackets itself; the 20th field after it is the start time.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function isAlive(holder: string): boolean {
  const [pidText = "", startTime = ""] = holder.split(" ");
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: alive, and somebody else's.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const now = startTimeOf(pid);
  return now === "" || startTime === "" || now === startTime;
}

function replaceFile(path: string, content: string, mode: number): void {
  const fresh = `${path}.${process.pid}.new`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, content, { mode });
  renameSync(fresh, path);
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

function locked(path: string, holder: string): SprintError {
  const pid = Number(holder.split(" ")[0]);
  return new SprintError(
    "SPRINT_DATA_DIR_LOCKED",
    `the data directory ${path} is in use by another sprint, process ${pid}; stop it, or give this one its own --data-dir`,
    { path, pid },
  );
}

function unusable(path: string, cause: unknown): SprintError {
  const reason = messageOf(cause);
  return new SprintError(
    "SPRINT_DATA_DIR_UNUSABLE",
    `expected a data directory to write to at ${path}: ${reason}; check its owner and permissions, or name another with --data-dir`,
    { path, reason },
    { cause },
  );
}
