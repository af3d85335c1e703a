/** A real anvil on a free port of 127.0.0.1, for tests that want the real thing. It mines on orders only, unless `blockTimeSeconds` is given. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type AnvilProcess, findAnvil, startAnvilProcess } from "../../src/daemon/devnet/evm-process.ts";

const BINARY = findAnvil();

/** Use as `{ skip: !hasAnvil && "no anvil" }`. */
export const hasAnvil: boolean = BINARY !== null;

export interface AnvilOptions {
  /** Null, the default: it mines on orders only. */
  readonly blockTimeSeconds?: number | null;
  /** "prague", "cancun", "shanghai", "paris", "london", …; default: anvil's newest. */
  readonly hardfork?: string;
  readonly chainId?: number;
  readonly port?: number;
  readonly args?: readonly string[];
}

export interface Anvil {
  readonly port: number;
  /** ws://127.0.0.1:PORT */
  readonly url: string;
  /** http://127.0.0.1:PORT */
  readonly httpUrl: string;
  readonly pid: number;
  /** One JSON-RPC call over HTTP; rejects with the node's message. */
  rpc<T = unknown>(method: string, params?: readonly unknown[]): Promise<T>;
  /** Mines `count` blocks; their hashes, oldest first. */
  mine(count?: number): Promise<string[]>;
  /** Replaces the newest `depth` blocks by as many others, and mines `blocks` more on them; hashes of all that are new, oldest first. */
  reorg(depth: number, blocks?: number): Promise<string[]>;
  /** Forgets the newest `depth` blocks, and tells nobody; the hash of the block that is the tip then. */
  rollback(depth: number): Promise<string>;
  /** Hashes of the chain by height, `from` to the tip. */
  hashes(from?: number): Promise<string[]>;
  /** SIGSTOP: its sockets stay open and nothing is answered; `thaw` lets it go on. */
  freeze(): void;
  thaw(): void;
  /** Ends it and starts it again on the same port with the blocks that it had. */
  restart(): Promise<void>;
  /** SIGKILL, as a crash; `restart` brings it back with the blocks of the last `restart`, or none. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

const GRACE_MS = 5_000;

export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  if (BINARY === null) throw new Error("anvil is not installed here: skip this test by hasAnvil");
  const binary = BINARY;
  const dataDir = await mkdtemp(path.join(tmpdir(), "sprint-anvil-"));
  const { blockTimeSeconds = null, hardfork, chainId } = options;
  const args = [
    "--state",
    path.join(dataDir, "state.json"),
    "--preserve-historical-states",
    "--cache-path",
    dataDir,
    "--slots-in-an-epoch",
    "4",
    ...(blockTimeSeconds === null ? ["--no-mining"] : ["--block-time", String(blockTimeSeconds)]),
    ...(hardfork === undefined ? [] : ["--hardfork", hardfork]),
    ...(chainId === undefined ? [] : ["--chain-id", String(chainId)]),
    ...(options.args ?? []),
  ];
  const launch = (port: number): Promise<AnvilProcess> =>
    startAnvilProcess({ binary, host: "127.0.0.1", port, args, startTimeoutMs: 20_000, callTimeoutMs: 20_000 });
  let running = await launch(options.port ?? 0);
  const { port } = running;

  const rpc = <T>(method: string, params: readonly unknown[] = []): Promise<T> => running.call<T>(method, params);

  async function hashes(from = 0): Promise<string[]> {
    const tip = Number(await rpc<string>("eth_blockNumber"));
    const found: string[] = [];
    for (let height = from; height <= tip; height++) {
      const { hash } = await rpc<{ hash: string }>("eth_getBlockByNumber", [`0x${height.toString(16)}`, false]);
      found.push(hash);
    }
    return found;
  }

  async function mine(count = 1): Promise<string[]> {
    const before = Number(await rpc<string>("eth_blockNumber"));
    await rpc("anvil_mine", [`0x${count.toString(16)}`]);
    return hashes(before + 1);
  }

  return {
    port,
    url: `ws://127.0.0.1:${port}`,
    httpUrl: `http://127.0.0.1:${port}`,
    get pid() {
      return running.pid;
    },
    rpc,
    mine,
    hashes,
    async reorg(depth, blocks = 0) {
      const tip = Number(await rpc<string>("eth_blockNumber"));
      await rpc("anvil_reorg", [depth, []]);
      if (blocks > 0) await mine(blocks);
      return hashes(tip - depth + 1);
    },
    async rollback(depth) {
      await rpc("anvil_rollback", [depth]);
      const { hash } = await rpc<{ hash: string }>("eth_getBlockByNumber", ["latest", false]);
      return hash;
    },
    freeze() {
      running.signal("SIGSTOP");
      waitUntilStopped(running.pid);
    },
    thaw: () => running.signal("SIGCONT"),
    async restart() {
      await running.stop(GRACE_MS);
      running = await launch(port);
    },
    kill: () => running.stop(0),
    async close() {
      await running.stop(0);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A signal takes its time, the more so on a busy machine. Where there is no /proc nobody can tell. */
export function waitUntilStopped(pid: number): void {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return;
  const isStopped = (task: string): boolean => / T /.test(readFileSync(`${tasks}/${task}/stat`, "utf8"));
  const deadline = Date.now() + 1_000;
  while (!readdirSync(tasks).every(isStopped) && Date.now() < deadline);
}
