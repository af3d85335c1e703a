/** What the end-to-end tests look through: the control API, a command of `sprint` run as a user runs it, and conditions that come true. */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { UpstreamBody, UpstreamsBody } from "../../src/shared/api.ts";
import type { SprintProcess } from "../fakes/sprint.ts";

const MAIN = fileURLToPath(new URL("../../src/daemon/main.ts", import.meta.url));
const PATIENCE_MS = 40_000;
const COMMAND_TIMEOUT_MS = 40_000;

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `sprint ARGS` in a process of its own. `code` is null where it had to be killed. */
export function runSprint(args: readonly string[], cwd?: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: "1" };
    const options = { env, timeout: COMMAND_TIMEOUT_MS, ...(cwd === undefined ? {} : { cwd }) };
    const child = execFile(process.execPath, [MAIN, ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

/** An answer of the control API. */
export async function ask<T>(sprint: SprintProcess, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${sprint.control}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${sprint.token}`, "content-type": "application/json", connection: "close" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

export async function upstream(sprint: SprintProcess, name: string): Promise<UpstreamBody> {
  const { upstreams } = await ask<UpstreamsBody>(sprint, "/control/v1/upstreams");
  const found = upstreams.find((candidate) => candidate.name === name);
  if (found === undefined)
    throw new Error(`no upstream ${name} among ${upstreams.map((each) => each.name).join(", ")}`);
  return found;
}

/** The upstream, once it is as wanted. */
export async function upstreamOnce(
  sprint: SprintProcess,
  name: string,
  wanted: (upstream: UpstreamBody) => boolean,
): Promise<UpstreamBody> {
  let seen: UpstreamBody | null = null;
  await until(
    async () => wanted((seen = await upstream(sprint, name))),
    () => `${name} stayed ${JSON.stringify(seen)}\n${sprint.output().slice(-2_000)}`,
  );
  return seen as unknown as UpstreamBody;
}

export async function until(holds: () => boolean | Promise<boolean>, otherwise: () => string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(otherwise());
    await sleep(20);
  }
}
