/**
 * A real Bitcoin node in JavaScript (bcoin), on regtest, in a process of its own. It is no part of this project's dependency
 * tree: the first start installs it, with its scripts off, into a cache folder. Where that is not possible the reason is
 * kept, so that a test can skip by name.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface Bcoin {
  readonly p2pPort: number;
  readonly rpcPort: number;
  readonly apiKey: string;
  /** `http://x:KEY@127.0.0.1:PORT` */
  readonly rpcUrl: string;
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Mines n blocks on the tip; their hashes, oldest first. */
  mine(n: number): Promise<string[]>;
  /** Kills it and starts it again at the same addresses; it keeps nothing on disk, so it is handed its best chain again. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const VERSION = "1.0.2";
const PACKAGE = {
  private: true,
  description: "A node for tests, apart from the dependencies of the project.",
  devDependencies: { bcoin: VERSION },
  overrides: { leveldown: "6.1.1" },
};
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const FOLDER = join(ROOT, "node_modules", ".cache", `bcoin-${VERSION}`);
const INSTALL_TIMEOUT_MS = 180_000;
const START_TIMEOUT_MS = 60_000;

let reason: string | null = null;

/** Why the last `startBcoin` gave null. */
export function bcoinMissing(): string {
  return reason ?? "not tried";
}

/** Null, with the reason in `bcoinMissing()`, where it cannot be installed or started. */
export async function startBcoin(): Promise<Bcoin | null> {
  try {
    await install();
    return await start();
  } catch (error) {
    reason = `bcoin: ${error instanceof Error ? error.message : String(error)}`;
    return null;
  }
}

/** Builds beside and renames, so that a broken installation is never taken for a whole one. */
async function install(): Promise<void> {
  if (await exists(join(FOLDER, "node_modules", "bcoin", "package.json"))) return;
  const beside = `${FOLDER}.${process.pid}`;
  await mkdir(beside, { recursive: true });
  try {
    await writeFile(join(beside, "package.json"), JSON.stringify(PACKAGE, null, 2));
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await promisify(execFile)("npm", args, {
      cwd: beside,
      timeout: INSTALL_TIMEOUT_MS,
      env: { ...process.env, NODE_ENV: "" },
    });
    // Another test file may have been first; its installation is as good.
    await rename(beside, FOLDER).catch(() => undefined);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

/** Runs in the child: CommonJS, in the cache folder. Says one JSON line once it listens; ends when its stdin does. */
const PROGRAM = `
const { FullNode, Address } = require("bcoin");
const node = new FullNode({
  network: "regtest", memory: true, apiKey: process.env.SPRINT_TEST_KEY, logLevel: "none", workers: false,
  listen: true, discover: false, host: "127.0.0.1", port: Number(process.env.SPRINT_TEST_P2P_PORT), publicHost: "127.0.0.1",
  httpHost: "127.0.0.1", httpPort: Number(process.env.SPRINT_TEST_RPC_PORT), bip37: false, persistent: false,
});
process.stdin.on("close", () => process.exit(0)).resume();
(async () => {
  await node.open();
  await node.connect();
  console.log(JSON.stringify({ address: Address.fromHash(Buffer.alloc(20, 1)).toString("regtest") }));
})().catch((error) => { console.error(error); process.exit(1); });
`;

async function start(): Promise<Bcoin> {
  const apiKey = randomBytes(16).toString("hex");
  // It takes no port 0.
  const [p2pPort, rpcPort] = await freePorts();
  const spawnNode = (): ChildProcess =>
    spawn(process.execPath, ["-e", PROGRAM], {
      cwd: FOLDER,
      env: {
        ...process.env,
        NODE_BACKEND: "js",
        NODE_OPTIONS: "",
        SPRINT_TEST_KEY: apiKey,
        SPRINT_TEST_P2P_PORT: String(p2pPort),
        SPRINT_TEST_RPC_PORT: String(rpcPort),
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
  let child = spawnNode();
  const { address } = await firstLine(child);
  const rpc = async (method: string, params: readonly unknown[] = []): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${rpcPort}/`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`x:${apiKey}`).toString("base64")}`, connection: "close" },
      body: JSON.stringify({ id: 1, method, params }),
    });
    const { result, error } = (await response.json()) as { result: unknown; error: { message: string } | null };
    if (error !== null && error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return {
    p2pPort,
    rpcPort,
    apiKey,
    rpcUrl: `http://x:${apiKey}@127.0.0.1:${rpcPort}`,
    rpc,
    mine: async (n) => (await rpc("generatetoaddress", [n, address])) as string[],
    async restart() {
      const height = (await rpc("getblockcount")) as number;
      const blocks: unknown[] = [];
      for (let at = 1; at <= height; at++) blocks.push(await rpc("getblock", [await rpc("getblockhash", [at]), 0]));
      await stop();
      child = spawnNode();
      await firstLine(child);
      for (const block of blocks) await rpc("submitblock", [block]);
    },
    stop,
  };
}

async function firstLine(child: ChildProcess): Promise<{ address: string }> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("no pipes to the child");
  let said = "";
  stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const lines = createInterface({ input: stdout });
  const timer = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
  try {
    for await (const line of lines) {
      stdout.resume();
      return JSON.parse(line) as { address: string };
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`ended before it listened: ${said.trim() || "no words"}`);
}

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer().listen(0, "127.0.0.1"), createServer().listen(0, "127.0.0.1")];
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports as [number, number];
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
