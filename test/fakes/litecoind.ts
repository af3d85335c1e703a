/** A real litecoind on regtest, on free ports of 127.0.0.1, for tests that want the real thing. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const BINARY = process.env["SPRINT_LITECOIND"] ?? "/usr/lib/litecoin/litecoind";

export function hasLitecoind(): boolean {
  return existsSync(BINARY);
}

export interface Litecoind {
  readonly p2pPort: number;
  readonly rpcPort: number;
  readonly dataDir: string;
  /** The file that holds USER:PASSWORD of the running node; written anew at each start. */
  readonly cookiePath: string;
  /** One JSON-RPC call; rejects with the node's message. `wallet` names the wallet that the call is for. */
  rpc<T = unknown>(method: string, params?: readonly unknown[], wallet?: string): Promise<T>;
  /** Mines `count` blocks to an output that anyone can spend; their hashes, oldest first. */
  mine(count: number): Promise<readonly string[]>;
  /** Asks it to stop and waits; removes the data directory unless it was given. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash; `restart` brings it back on the same ports and data. It forgets every block since it last wrote
   *  its state to disk: call `rpc("gettxoutsetinfo")` first, which does that, where it should remember. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** SIGSTOP: its sockets stay open and nothing is answered; `thaw` lets it go on. */
  freeze(): void;
  thaw(): void;
}

export interface LitecoindOptions {
  /** Kept at stop; else a fresh one, removed at stop. */
  readonly dataDir?: string;
  readonly args?: readonly string[];
  /** False, the default: no wallet code, which starts faster. */
  readonly wallet?: boolean;
  readonly p2pPort?: number;
  readonly rpcPort?: number;
}

/** Resolves when RPC answers. `-vbparams=mweb:0:0` is not set by itself: see `args`. */
export async function startLitecoind(options: LitecoindOptions = {}): Promise<Litecoind> {
  const dataDir = options.dataDir ?? (await mkdtemp(path.join(tmpdir(), "sprint-litecoind-")));
  const p2pPort = options.p2pPort ?? (await freePort());
  const rpcPort = options.rpcPort ?? (await freePort());
  const cookiePath = path.join(dataDir, "regtest", ".cookie");
  let child = await launch();

  async function launch(): Promise<ChildProcess> {
    const started = spawn(
      BINARY,
      [
        `-datadir=${dataDir}`,
        "-regtest",
        "-server",
        "-printtoconsole=0",
        `-bind=127.0.0.1:${p2pPort}`,
        `-rpcport=${rpcPort}`,
        "-rpcbind=127.0.0.1",
        "-rpcallowip=127.0.0.1",
        "-dnsseed=0",
        "-listenonion=0",
        "-upnp=0",
        "-fallbackfee=0.0002",
        "-rpcservertimeout=2",
        "-whitelist=noban@127.0.0.1",
        ...(options.wallet === true ? [] : ["-disablewallet"]),
        ...(options.args ?? []),
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let errors = "";
    started.stderr?.on("data", (text) => (errors += String(text)));
    const deadline = Date.now() + 30_000;
    for (;;) {
      if (started.exitCode !== null || started.signalCode !== null)
        throw new Error(`litecoind ended at once: ${errors}`);
      try {
        await rpc("getblockchaininfo");
        return started;
      } catch (error) {
        if (Date.now() > deadline) {
          started.kill("SIGKILL");
          throw new Error(`litecoind did not answer RPC within 30 s: ${errors}`, { cause: error });
        }
        await sleep(50);
      }
    }
  }

  async function rpc<T>(method: string, params: readonly unknown[] = [], wallet?: string): Promise<T> {
    const cookie = (await readFile(cookiePath, "utf8")).trim();
    const body = JSON.stringify({ jsonrpc: "1.0", id: 1, method, params });
    const answer = await post(rpcPort, wallet === undefined ? "/" : `/wallet/${wallet}`, cookie, body);
    const { result, error } = JSON.parse(answer) as { result: T; error: { message: string } | null };
    if (error !== null) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  async function mine(count: number): Promise<readonly string[]> {
    const { descriptor } = await rpc<{ descriptor: string }>("getdescriptorinfo", ["raw(51)"]);
    return rpc("generatetodescriptor", [count, descriptor]);
  }

  async function ended(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    // A frozen one would not notice.
    child.kill("SIGCONT");
    const patience = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await exit;
    clearTimeout(patience);
  }

  return {
    p2pPort,
    rpcPort,
    dataDir,
    cookiePath,
    rpc,
    mine,
    async stop() {
      await ended("SIGTERM");
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
    kill: () => ended("SIGKILL"),
    async restart() {
      await ended("SIGTERM");
      child = await launch();
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
  };
}

/** One request on a connection of its own: a kept-alive one would hold the node back when it stops. */
function post(port: number, url: string, auth: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const outgoing = request(
      { host: "127.0.0.1", port, path: url, method: "POST", auth, headers, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => resolve(Buffer.concat(chunks).toString()));
        incoming.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Mines to another output than `mine`: in the same second two nodes would make the very same blocks. */
export async function mineOther(node: Litecoind, count: number): Promise<void> {
  const { descriptor } = await node.rpc<{ descriptor: string }>("getdescriptorinfo", ["raw(52)"]);
  await node.rpc("generatetodescriptor", [count, descriptor]);
}

/** Ends every connection between the two; the relay's own stays. True once there is none. */
export async function partNodes(a: Litecoind, b: Litecoind): Promise<boolean> {
  // Nodes call themselves LitecoinCore; the relay does not.
  const peers = await a.rpc<{ id: number; subver: string }[]>("getpeerinfo");
  const nodes = peers.filter(({ subver }) => subver.includes("LitecoinCore"));
  // One that hung up by itself meanwhile is not found, which is as good.
  for (const { id } of nodes) await a.rpc("disconnectnode", ["", id]).catch(() => {});
  return nodes.length === 0 && (await b.rpc<unknown[]>("getpeerinfo")).length === 0;
}

export async function joinNodes(a: Litecoind, b: Litecoind): Promise<void> {
  await a.rpc("addnode", [`127.0.0.1:${b.p2pPort}`, "onetry"]);
}

export async function atSameBlock(a: Litecoind, b: Litecoind): Promise<boolean> {
  return (await a.rpc("getbestblockhash")) === (await b.rpc("getbestblockhash"));
}
