/** Starts the real daemon as a user does, on free ports, and stops it by pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Tier } from "../../src/shared/tier.ts";

const MAIN = fileURLToPath(new URL("../../src/daemon/main.ts", import.meta.url));

export interface SprintProcess {
  readonly pid: number;
  readonly dataDir: string;
  readonly control: string;
  readonly token: string;
  readonly tiers: Readonly<Partial<Record<Tier, string>>>;
  /** Everything it printed, for messages of failed assertions. */
  output(): string;
  /** Settles with the exit code when it ends, by whom ever; null where a signal ended it. */
  readonly exited: Promise<number | null>;
  /** SIGTERM, then the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
}

export interface SprintOptions {
  /** Arguments after `start`. */
  readonly args: readonly string[];
  /** Reused after a kill, to start again where it was; else a fresh one, removed at stop. */
  readonly dataDir?: string;
  /** Fixed ports instead of free ones, to come back at the same address. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Resolves once control.json names the listeners; rejects with all output when the daemon ends before that. */
export async function startSprint(options: SprintOptions): Promise<SprintProcess> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "sprint-test-")));
  const child = spawn(
    process.execPath,
    [MAIN, "start", ...options.args, "--port", String(options.port ?? 0), "--control-port", "0", "--data-dir", dataDir],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1", ...options.env } },
  );
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-64_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const exited = once(child, "exit");
  const control = await waitForControl(child, dataDir, () => output);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  };
  return {
    pid: child.pid ?? 0,
    dataDir,
    control: control.url,
    token: await readFile(join(dataDir, ".cookie"), "utf8"),
    tiers: control.tiers,
    output: () => output,
    exited: exited.then(() => child.exitCode),
    stop: async () => {
      const code = await end("SIGTERM");
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
      return code;
    },
    kill: async () => {
      await end("SIGKILL");
    },
  };
}

interface ControlFile {
  readonly url: string;
  readonly pid: number;
  readonly tiers: Readonly<Partial<Record<Tier, string>>>;
}

async function waitForControl(child: ChildProcess, dataDir: string, output: () => string): Promise<ControlFile> {
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 50) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`sprint ended (${child.exitCode ?? child.signalCode}) before it listened:\n${output()}`);
    }
    try {
      const file = JSON.parse(await readFile(join(dataDir, "control.json"), "utf8")) as ControlFile;
      if (file.pid === child.pid) return file;
    } catch {
      // Not written yet.
    }
    await sleep(50);
  }
  child.kill("SIGKILL");
  throw new Error(`sprint did not listen within 30 s:\n${output()}`);
}
