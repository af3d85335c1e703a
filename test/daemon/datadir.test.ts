import test from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDataDir } from "../../src/daemon/datadir.ts";
import type { SprintError } from "../../src/shared/errors.ts";

const root = mkdtempSync(join(tmpdir(), "sprint-datadir-"));
test.after(() => rmSync(root, { recursive: true, force: true }));

let directories = 0;
const fresh = (): string => join(root, String(++directories), "state");

const CONTROL = { url: "http://127.0.0.1:1", pid: process.pid, version: "1", started_at: "", tiers: {} };

test("a missing directory is made for its owner alone, with a token only the owner reads", () => {
  const path = fresh();
  const dir = openDataDir(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(statSync(join(path, ".cookie")).mode & 0o777, 0o600);
  assert.equal(readFileSync(join(path, ".cookie"), "utf8"), dir.token);
  assert.match(dir.token, /^[0-9a-f]{64}$/);
  assert.equal(existsSync(join(path, "control.json")), false);
  dir.announce(CONTROL);
  assert.deepEqual(JSON.parse(readFileSync(join(path, "control.json"), "utf8")), CONTROL);
  dir.release();
  assert.deepEqual(readdirSync(path), []);
});

test("each start has its own token, also where an old one could be read by all", () => {
  const path = fresh();
  const first = openDataDir(path);
  first.release();
  writeFileSync(join(path, ".cookie"), "old");
  chmodSync(join(path, ".cookie"), 0o644);
  const second = openDataDir(path);
  assert.notEqual(second.token, first.token);
  assert.equal(statSync(join(path, ".cookie")).mode & 0o777, 0o600);
  second.release();
});

test("a directory that a living sprint holds is refused, with its pid, and left alone", async () => {
  const path = fresh();
  openDataDir(path).release();
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  try {
    const startTime = startTimeOf(other.pid ?? 0);
    writeFileSync(join(path, "lock"), `${other.pid} ${startTime}`);
    assert.throws(
      () => openDataDir(path),
      (error: SprintError) => error.code === "SPRINT_DATA_DIR_LOCKED" && error.data["pid"] === other.pid,
    );
    assert.deepEqual(readdirSync(path), ["lock"]);
    other.kill("SIGKILL");
    await once(other, "exit");
    // The same lock, its holder dead now.
    openDataDir(path).release();
  } finally {
    other.kill("SIGKILL");
  }
});

test("a lock whose pid was given to another process since is stale", { skip: !existsSync("/proc/self/stat") }, () => {
  const path = fresh();
  openDataDir(path).release();
  writeFileSync(join(path, "lock"), `${process.ppid} 1`);
  writeFileSync(join(path, "control.json"), "{}");
  const dir = openDataDir(path);
  assert.equal(existsSync(join(path, "control.json")), false);
  dir.release();
});

test("a place that cannot be written is told with its path", () => {
  const path = fresh();
  openDataDir(path).release();
  writeFileSync(join(path, "file"), "");
  assert.throws(
    () => openDataDir(join(path, "file", "below")),
    (error: SprintError) => error.code === "SPRINT_DATA_DIR_UNUSABLE" && /file\/below/.test(error.message),
  );
});

function startTimeOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
