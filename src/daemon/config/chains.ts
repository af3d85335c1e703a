/** Which chains run, on which network, from whom: the part of the configuration that has the most ways of being said. */
import { CHAINS, type Chain, isChain } from "../../shared/chain.ts";
import { type Environment, nearest } from "../../shared/cli.ts";
import { SprintError, isSprintError } from "../../shared/errors.ts";
import { redactText } from "../../shared/redact.ts";
import { networksOf } from "../chain/index.ts";
import { type FileChain, type FileCheckpoint, type FileValues, LATER_CHAINS } from "./file.ts";
import { COMMAND_LINE, ENVIRONMENT, type Place, conflict, oneOf, wrongValue } from "./values.ts";
import { type UpstreamAddress, parseUpstreamUrl } from "../upstream/index.ts";

export interface ChainConfig {
  readonly chain: Chain;
  readonly network: string;
  /** As written, and readable. Empty: embedded nodes on devnet, else public peers. */
  readonly upstreams: readonly string[];
  readonly validation: "header" | "full";
  /** Null: the chain's own default. */
  readonly finalityDepth: number | null;
  /** Null: the built-in one. */
  readonly checkpoint: FileCheckpoint | null;
}

/** Networks whose blocks come from public peers found by DNS; a regtest network has none. */
const NO_PUBLIC_PEERS: ReadonlySet<string> = new Set(["regtest"]);

export interface WrittenChain {
  readonly chain: Chain;
  readonly url: string;
  readonly place: Place;
}

/** `NAME=URL`, from --chain or else SPRINT_CHAIN. */
export function readWrittenChains(flags: readonly string[] | undefined, env: Environment): readonly WrittenChain[] {
  const fromFlags = flags !== undefined && flags.length > 0;
  const place = fromFlags ? { source: COMMAND_LINE, key: "--chain" } : { source: ENVIRONMENT, key: "SPRINT_CHAIN" };
  const pairs = fromFlags ? flags : (env["SPRINT_CHAIN"] ?? "").split(/\s+/).filter((pair) => pair !== "");
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    const url = equals < 0 ? "" : pair.slice(equals + 1);
    if (!isChain(name)) throw wrongValue(place, `NAME=URL with a NAME of ${CHAINS.join(", ")}`, pair, nearChain(name));
    if (url === "") throw wrongValue(place, `NAME=URL, for instance ${name}=p2p://127.0.0.1:PORT`, pair);
    return { chain: name, url, place };
  });
}

function nearChain(name: string): string | null {
  return LATER_CHAINS.some((later) => later === name) ? null : nearest(name, CHAINS);
}

export interface ChainSources {
  readonly network: string | null;
  readonly values: FileValues;
  readonly written: readonly WrittenChain[];
  readonly file: string | null;
}

/**
 * Which chains run: those named by --chain or switched on in the file; where none is named, all that are not switched off.
 * From whom: the upstreams written; where none is, embedded nodes on devnet, else the network's public peers. devnet is the
 * network where neither a network nor a chain is named.
 */
export function resolveChains({ network, values, written, file }: ChainSources): {
  readonly chains: readonly ChainConfig[];
  /** Sentences about what was written and has no effect. */
  readonly unused: readonly string[];
} {
  const relayed = values.chains?.relayed ?? {};
  const isOn = (chain: Chain): boolean => relayed[chain] !== undefined && relayed[chain].enabled !== false;
  const named = CHAINS.filter((chain) => isOn(chain) || written.some((entry) => entry.chain === chain));
  const running = named.length > 0 ? named : CHAINS.filter((chain) => relayed[chain]?.enabled !== false);
  if (running.length === 0)
    throw conflict({ source: file ?? "", key: "chains" }, "at least one that is enabled", "none");

  const onDevnet = network === "devnet" || (network === null && named.length === 0);
  if (onDevnet && written[0] !== undefined) {
    throw conflict(written[0].place, "another network than devnet, which brings its own nodes", written[0].chain);
  }
  const unused: string[] = [];
  const chains = running.map((chain) => {
    const section = relayed[chain] ?? {};
    const place: Place = { source: file ?? COMMAND_LINE, key: `chains.${chain}` };
    const urls = written.filter((entry) => entry.chain === chain).map((entry) => entry.url);
    let upstreams = urls.length > 0 ? urls : upstreamsOf(section, place);
    if (onDevnet && upstreams.length > 0) {
      unused.push(`the upstreams of chains.${chain} are not used: devnet brings its own nodes`);
      upstreams = [];
    }
    const other = { ...section, network: section.network === "regtest" ? undefined : section.network };
    for (const key of ["network", "checkpoint"] as const) {
      if (onDevnet && other[key] !== undefined)
        unused.push(`chains.${chain}.${key} is not used: devnet brings its own nodes`);
    }
    const chainNetwork = onDevnet ? "regtest" : networkOf(chain, section.network ?? network, upstreams, place);
    if (!onDevnet && upstreams.length === 0 && NO_PUBLIC_PEERS.has(chainNetwork)) {
      throw conflict(place, `an upstream: a ${chainNetwork} network has no public peers`, "none");
    }
    return {
      chain,
      network: chainNetwork,
      upstreams,
      validation: section.validation_level ?? "full",
      finalityDepth: section.finality_depth ?? null,
      checkpoint: (onDevnet ? undefined : section.checkpoint) ?? null,
    };
  });
  return { chains, unused };
}

/** A chain is on one network that it knows: what the configuration says, else what its URLs say, else mainnet. */
function networkOf(chain: Chain, said: string | null, upstreams: readonly string[], place: Place): string {
  let network = said;
  for (const url of upstreams) {
    const own = parseAt(url, place).network;
    if (own === null) continue;
    if (network !== null && own !== network) {
      throw conflict(place, `upstreams of one network, ${network}`, `${own} in ${redactText(url)}`);
    }
    network = own;
  }
  const known = networksOf(chain).map((params) => params.network);
  return oneOf(known)(network ?? "mainnet", { ...place, key: `${place.key}.network` });
}

/** The address behind a URL; one that is none is told with its place. Secrets are not in the message. */
function parseAt(url: string, place: Place): UpstreamAddress {
  try {
    return parseUpstreamUrl(url);
  } catch (error) {
    if (!isSprintError(error)) throw error;
    const message = `${place.source}: ${place.key}: ${error.message}`;
    throw new SprintError(error.code, message, { ...error.data, file: place.source, key: place.key });
  }
}

/** What the banner and the version route say. */
export function overallNetwork(said: string | null, chains: readonly ChainConfig[]): string {
  if (said !== null) return said;
  if (chains.every((chain) => chain.upstreams.length === 0 && chain.network === "regtest")) return "devnet";
  const names = new Set(chains.map((chain) => chain.network));
  return names.size === 1 ? (chains[0]?.network ?? "devnet") : "mixed";
}

/** `upstreams` as they stand; `rpc_url` and `zmq_endpoint` as URLs that hold their credentials. */
function upstreamsOf(section: FileChain, place: Place): readonly string[] {
  const upstreams = [...(section.upstreams ?? [])];
  const rpc = rpcUrl(section, place);
  if (section.zmq_endpoint !== undefined) {
    const endpoint = /^(?:zmq\+)?tcp:\/\/([^/?#]+)$/.exec(section.zmq_endpoint)?.[1];
    if (endpoint === undefined) {
      throw wrongValue({ ...place, key: `${place.key}.zmq_endpoint` }, "tcp://HOST:PORT", section.zmq_endpoint);
    }
    upstreams.push(`zmq+tcp://${endpoint}${rpc === null ? "" : `?rpc=${encodeURIComponent(rpc)}`}`);
  }
  // Beside its ZMQ publisher too: a node that was built without ZMQ takes the option silently and publishes nothing.
  if (rpc !== null) upstreams.push(rpc);
  return upstreams;
}

function rpcUrl(section: FileChain, place: Place): string | null {
  const { rpc_url: url, rpc_user: user, rpc_password: password, rpc_cookie: cookie } = section;
  if (url === undefined) {
    const lone = (["rpc_user", "rpc_password", "rpc_cookie"] as const).find((key) => section[key] !== undefined);
    if (lone !== undefined)
      throw conflict({ ...place, key: `${place.key}.${lone}` }, "rpc_url beside it", "no rpc_url");
    return null;
  }
  const match = /^(https?:\/\/)([^?#]*)(\?[^#]*)?$/.exec(url);
  const [, scheme = "", rest = "", query = ""] = match ?? [];
  if (match === null) throw wrongValue({ ...place, key: `${place.key}.rpc_url` }, "http://HOST:PORT or https://…", url);
  if (cookie !== undefined) {
    if (user !== undefined || password !== undefined) {
      throw conflict(
        { ...place, key: `${place.key}.rpc_cookie` },
        "either rpc_cookie or rpc_user and rpc_password",
        "both",
      );
    }
    return `${scheme}${rest}${query === "" ? "?" : `${query}&`}cookie=${encodeURIComponent(cookie)}`;
  }
  if (user === undefined && password === undefined) return url;
  if (rest.includes("@")) {
    throw conflict({ ...place, key: `${place.key}.rpc_user` }, "the credentials in one place", "also some in rpc_url");
  }
  return `${scheme}${encodeURIComponent(user ?? "")}:${encodeURIComponent(password ?? "")}@${rest}${query}`;
}
