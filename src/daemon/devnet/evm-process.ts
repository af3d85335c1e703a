/**
 * A real `anvil` as a child: found in the platform package of the optional dependency, started on loopback, and gone when this process
 * is, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SprintError, messageOf } from "../../shared/errors.ts";

export interface AnvilProcessOptions {
  /** As `findAnvil` tells. */
  readonly binary: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly args: readonly string[];
  /** For the first answer after the start. */
  readonly startTimeoutMs: number;
  readonly callTimeoutMs: number;
}

export interface AnvilProcess {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the process has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** One JSON-RPC call over HTTP. Rejects with SPRINT_DEVNET_ANVIL where it fails or takes longer than `callTimeoutMs`. */
  call<T = unknown>(method: string, params?: readonly unknown[]): Promise<T>;
  /** `SIGSTOP` and `SIGCONT` freeze it and let it go on. */
  signal(signal: NodeJS.Signals): void;
  /** SIGINT, on which it writes its state where it was told to, and after `graceMs` SIGKILL. Resolves when it has ended. */
  stop(graceMs: number): Promise<void>;
}

/** As @foundry-rs calls its platforms. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
const PORT_ATTEMPTS = 3;
const POLL_MS = 20;
const MAX_STDERR_CHARS = 4_096;
const MAX_ANSWER_BYTES = 67_108_864;

/**
 * Becomes anvil (`exec`, so that its id is the child's) and leaves a watch behind that reads our end of a pipe. When we die the pipe
 * ends, whatever we died of, and the watch kills anvil; a line says that anvil has ended already, and its id may be another's.
 */
const WATCHED = 'exec 3<&0; { read -r _ <&3 || kill -9 $$; } >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/** The path of anvil's binary; null where its package was not installed, or where there is no `sh` to watch it. */
export function findAnvil(): string | null {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined || process.platform === "win32") return null;
  try {
    const platform = `@foundry-rs/anvil-${process.platform}-${architecture}`;
    const binary = createRequire(import.meta.url).resolve(`${platform}/bin/anvil`);
    return existsSync(binary) ? binary : null;
  } catch {
    return null;
  }
}

/** Resolves when it answers. Rejects with SPRINT_DEVNET_ANVIL where it ends before, or does not answer in time. */
export async function startAnvilProcess(options: AnvilProcessOptions): Promise<AnvilProcess> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port === 0 ? await freePort(options.host) : options.port;
    try {
      return await launch({ ...options, port });
    } catch (error) {
      // Somebody else may have taken the port that was free a moment ago.
      const taken = messageOf(error).includes("in use");
      if (!taken || options.port !== 0 || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function launch(options: AnvilProcessOptions): Promise<AnvilProcess> {
  const { binary, host, port, args, startTimeoutMs, callTimeoutMs } = options;
  const anvil = [binary, "--host", host, "--port", String(port), "-q", ...args];
  // A session of its own: Ctrl-C in our terminal is for us, and we end it in our order.
  const child = spawn("sh", ["-c", WATCHED, "sh", ...anvil], { stdio: ["pipe", "ignore", "pipe"], detached: true });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-MAX_STDERR_CHARS);
  });
  // The pipe breaks where anvil could not be started.
  child.stdin.on("error", () => {});
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      child.stdin.end("\n");
      resolve();
    };
    child.once("exit", end).once("error", end);
  });
  const started: AnvilProcess = {
    host,
    port,
    pid: child.pid ?? 0,
    ended,
    call: (method, params = []) => call(host, port, method, params, AbortSignal.timeout(callTimeoutMs)),
    signal: (signal) => void child.kill(signal),
    stop: (graceMs) => stop(child, ended, graceMs),
  };
  const deadline = AbortSignal.timeout(startTimeoutMs);
  for (;;) {
    // Somebody else may hold the port, and may never answer.
    const gone = new AbortController();
    const first = call(host, port, "eth_chainId", [], AbortSignal.any([deadline, gone.signal])).then(
      () => true,
      () => false,
    );
    const answered = await Promise.race([first, ended]);
    gone.abort();
    if (hasEnded(child)) throw failed(`to answer on ${host}:${port}`, `an end at once: ${errors.trim()}`);
    if (answered === true) return started;
    if (deadline.aborted) {
      await stop(child, ended, 0);
      throw failed(`to answer on ${host}:${port} within ${startTimeoutMs} ms`, `nothing: ${errors.trim()}`);
    }
    await sleep(POLL_MS);
  }
}

async function stop(child: ChildProcess, ended: Promise<void>, graceMs: number): Promise<void> {
  if (!hasEnded(child)) {
    if (graceMs > 0) {
      child.kill("SIGINT");
      // A frozen one would not notice.
      child.kill("SIGCONT");
      const patience = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(patience);
    } else child.kill("SIGKILL");
  }
  await ended;
}

/** Where it could not be started it has no id. */
function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

/** One request on a connection of its own. */
function call<T>(
  host: string,
  port: number,
  method: string,
  params: readonly unknown[],
  signal: AbortSignal,
): Promise<T> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  return new Promise<string>((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const outgoing = request({ host, port, path: "/", method: "POST", headers, agent: false, signal }, (incoming) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes > MAX_ANSWER_BYTES) outgoing.destroy(new Error(`more than ${MAX_ANSWER_BYTES} bytes`));
        chunks.push(chunk);
      });
      incoming.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
      incoming.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  }).then(
    (text) => {
      const answer = JSON.parse(text) as { readonly result: T; readonly error?: { readonly message: string } };
      if (answer.error !== undefined) throw failed(`an answer to ${method}`, answer.error.message);
      return answer.result;
    },
    (cause: unknown) => {
      throw failed(`an answer to ${method}`, messageOf(cause), cause);
    },
  );
}

export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function failed(expected: string, actual: string, cause?: unknown): SprintError {
  return new SprintError("SPRINT_DEVNET_ANVIL", `Expected anvil ${expected}, got ${actual}.`, { expected }, { cause });
}
