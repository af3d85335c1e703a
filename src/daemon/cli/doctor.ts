/** `sprint doctor`: what a start needs, checked one by one before it is needed. Changes nothing. */
import { accessSync, constants, existsSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname } from "node:path";
import { EXIT, table } from "../../shared/cli.ts";
import { messageOf } from "../../shared/errors.ts";
import { type Chain, UTXO_CHAINS } from "../../shared/chain.ts";
import { paramsFor } from "../chain/index.ts";
import { BUILT_IN_ROWS } from "../line/index.ts";
import { type ChainConfig, type Config, type ConfigFlags, loadConfig } from "../config/index.ts";
import { findAnvil } from "../devnet/index.ts";
import { loadPlugin } from "../plugins/index.ts";
import { type RpcAddress, parseUpstreamUrl } from "../upstream/index.ts";
import { type CommonOptions, type Io, paintFor, printResult } from "./io.ts";

const WANTED_NODE = 26;
const DIAL_TIMEOUT_MS = 3_000;
/** The first commit of this project is younger: a clock before it makes every header look as if it came from the future. */
const EARLIEST_SANE_YEAR = 2025;

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly found: string;
}

export async function doctor(options: CommonOptions & ConfigFlags, io: Io): Promise<number> {
  const findings: Finding[] = [checkNode(), checkClock()];
  const { config, finding } = checkConfig(options, io);
  findings.push(finding);
  if (config !== null) {
    findings.push(checkDataDir(config), ...(await Promise.all(portsOf(config).map(checkPort))));
    findings.push(...(await Promise.all(config.plugins.map(checkPlugin))));
    findings.push(...(await Promise.all(config.chains.flatMap(upstreamChecks))));
  }
  const ok = findings.every((each) => each.ok);
  printResult(io, options, { ok, checks: findings }, () => {
    const paint = paintFor(io.stdout, io, options);
    const rows = findings.map((each) => [each.ok ? "ok" : "FAILED", each.check, each.found]);
    const [head = "", ...lines] = table(["RESULT", "CHECK", "FOUND"], rows).split("\n");
    const painted = lines.map(
      (line, i) => paint(findings[i]?.ok === true ? "green" : "red", line.slice(0, 6)) + line.slice(6),
    );
    return [paint("dim", head), ...painted].join("\n");
  });
  return ok ? EXIT.DONE : EXIT.FAILED;
}

function checkNode(): Finding {
  const { node } = process.versions;
  const ok = Number(node.split(".")[0]) >= WANTED_NODE;
  return { check: "runtime", ok, found: ok ? `Node ${node}` : `Node ${node}; expected ${WANTED_NODE} or newer` };
}

function checkClock(): Finding {
  const now = new Date();
  const ok = now.getUTCFullYear() >= EARLIEST_SANE_YEAR;
  return { check: "clock", ok, found: `${now.toISOString()}${ok ? "" : "; set the system clock"}` };
}

function checkConfig(options: ConfigFlags, io: Io): { config: Config | null; finding: Finding } {
  try {
    const config = loadConfig({ flags: options, env: io.env, cwd: io.cwd });
    const where = config.file ?? "no file, defaults";
    const warned = config.warnings.length === 0 ? "" : `; ${config.warnings.join("; ")}`;
    return { config, finding: { check: "configuration", ok: true, found: `${where}: ${config.network}${warned}` } };
  } catch (error) {
    return { config: null, finding: { check: "configuration", ok: false, found: messageOf(error) } };
  }
}

function checkDataDir(config: Config): Finding {
  const check = "data directory";
  let nearest = config.dataDir;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.R_OK | constants.W_OK | constants.X_OK);
    const missing = nearest === config.dataDir ? "" : " (made at the first start)";
    return { check, ok: true, found: `${config.dataDir}${missing}` };
  } catch (error) {
    return { check, ok: false, found: `${config.dataDir}: ${messageOf(error)}` };
  }
}

/** Loaded as a start would; `sprint plugins check` holds it against more. */
async function checkPlugin(path: string): Promise<Finding> {
  const check = "plug-in";
  try {
    const { chain, networks } = await loadPlugin(path, Date.now());
    return { check, ok: true, found: `${path}: ${chain}, ${networks.join(", ")}` };
  } catch (error) {
    return { check, ok: false, found: messageOf(error).replace(/^plug-in /, "") };
  }
}

interface Port {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

function portsOf(config: Config): Port[] {
  const tiers = config.tiers.map((tier) => ({
    name: `port of ${tier}`,
    host: config.host,
    port: config.tier[tier].port,
  }));
  return [...tiers, { name: "port of control", ...config.control }];
}

function checkPort({ name, host, port }: Port): Promise<Finding> {
  const place = `${host}:${port}`;
  if (port === 0) return Promise.resolve({ check: name, ok: true, found: "any free one" });
  return new Promise((settle) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE" ? "in use, perhaps by a running sprint (sprint status)" : error.message;
      settle({ check: name, ok: false, found: `${place}: ${taken}` });
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => settle({ check: name, ok: true, found: `${place} is free` }));
    });
  });
}

function upstreamChecks(chain: ChainConfig): Promise<Finding>[] {
  if (chain.upstreams.length === 0) {
    const found = EMBEDDED.has(chain.network)
      ? embeddedNode(chain.chain)
      : `public peers of ${chain.network}, found by DNS`;
    return [Promise.resolve({ check: `upstreams of ${chain.chain}`, ok: true, found })];
  }
  return chain.upstreams.flatMap((url) => endpointsOf(url, chain).map((endpoint) => checkEndpoint(chain, endpoint)));
}

function embeddedNode(chain: Chain): string {
  if (chain !== "ethereum") return "an embedded node";
  return findAnvil() === null ? "an embedded producer, as anvil is missing" : "anvil, started by sprint";
}

interface Endpoint {
  readonly display: string;
  readonly host: string;
  readonly port: number;
}

/** Every place at a node that an upstream's feed, or the proxy beside it, would call. */
function endpointsOf(url: string, { chain, network }: ChainConfig): Endpoint[] {
  const address = parseUpstreamUrl(url);
  const { rpcPort, p2pPort } = nodePorts(chain, network);
  const { display } = address;
  const rpc = address.rpc === null ? [] : [rpcEndpoint(address.rpc, display, rpcPort)];
  switch (address.kind) {
    case "p2p":
      return [{ display, host: address.host, port: address.port ?? p2pPort }, ...rpc];
    case "rpc":
      return rpc;
    case "zmq":
      return [{ display, host: address.host, port: address.port }, ...rpc];
    case "ws":
    case "beacon":
      return [{ display, host: address.host, port: address.port ?? (address.secure ? 443 : 80) }, ...rpc];
  }
}

/** Networks that an embedded node follows where no upstream is written. */
const EMBEDDED: ReadonlySet<string> = new Set(["regtest", "devnet", "localnet"]);

/** The usual ones, where a URL says none. */
function nodePorts(chain: Chain, network: string): { readonly rpcPort: number; readonly p2pPort: number } {
  if ((UTXO_CHAINS as readonly string[]).includes(chain)) return paramsFor(chain, network);
  const rpcPort = BUILT_IN_ROWS.find((row) => row.chain === chain)?.open(network).rpcPort ?? 443;
  return { rpcPort, p2pPort: rpcPort };
}

function rpcEndpoint({ host, port, secure }: RpcAddress, display: string, rpcPort: number): Endpoint {
  return { display, host, port: port ?? (secure ? 443 : rpcPort) };
}

/** TCP only: a handshake would tell more, and count as a connection in the node's log. */
function checkEndpoint({ chain }: ChainConfig, { display, host, port }: Endpoint): Promise<Finding> {
  const check = `upstream of ${chain}`;
  return new Promise((settle) => {
    const socket = connect({ host: host.replace(/^\[|\]$/g, ""), port });
    const end = (ok: boolean, found: string): void => {
      socket.destroy();
      settle({ check, ok, found: `${display} at ${host}:${port}: ${found}` });
    };
    socket.setTimeout(DIAL_TIMEOUT_MS, () => end(false, `no answer within ${DIAL_TIMEOUT_MS / 1000} s`));
    socket.once("connect", () => end(true, "reachable"));
    socket.once("error", (error) => end(false, messageOf(error)));
  });
}
