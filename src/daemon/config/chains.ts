/** Which chains run, on which network, from whom: the part of the configuration that has the most ways of being said. */
import {
  CHAIN_NAME,
  CHAINS,
  type BuiltInChain,
  type Chain,
  type ChainFamily,
  isBuiltIn,
  UTXO_CHAINS,
} from "../../shared/chain.ts";
import { type Environment, nearest } from "../../shared/cli.ts";
import { type ErrorCode, SprintError, isSprintError } from "../../shared/errors.ts";
import { redactText } from "../../shared/redact.ts";
import { networkNamesOf } from "../chain/index.ts";
import type { FileChain, FileChains, FileCheckpoint, FileValues } from "./file.ts";
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
  /** Transactions that are in no block yet are listened to. */
  readonly mempool: boolean;
  /** Of Solana: the share of a block's transactions whose signatures are verified, below 1; null for all. */
  readonly signatures: number | null;
}

/** The networks whose rules the embedded nodes of devnet follow; a chain that is not here has none. */
const DEVNET_NETWORK: Partial<Readonly<Record<Chain, string>>> = {
  bitcoin: "regtest",
  litecoin: "regtest",
  dogecoin: "regtest",
  ethereum: "devnet",
  solana: "localnet",
} satisfies Partial<Record<BuiltInChain, string>>;

/** Whether blocks come from public peers where no upstream is written. */
function hasPublicPeers(chain: Chain, network: string): boolean {
  return familyOf(chain) === "utxo" && network !== "regtest";
}

/** Which upstreams a family's chains are listened to through. What a plug-in's family is shows when it is loaded. */
const KINDS: Readonly<Record<ChainFamily | "any", readonly UpstreamAddress["kind"][]>> = {
  utxo: ["p2p", "rpc", "zmq"],
  evm: ["ws", "rpc", "beacon"],
  svm: ["ws", "rpc"],
  any: ["p2p", "rpc", "zmq", "ws", "beacon"],
};

const SCHEMES: Readonly<Record<UpstreamAddress["kind"], string>> = {
  p2p: "p2p://",
  rpc: "http(s)://",
  zmq: "zmq+tcp://",
  ws: "ws(s)://",
  beacon: "beacon+http(s)://",
};

/** Null where a plug-in brings it. */
function familyOf(chain: Chain): ChainFamily | null {
  if (!isBuiltIn(chain)) return null;
  if ((UTXO_CHAINS as readonly string[]).includes(chain)) return "utxo";
  return chain === "solana" ? "svm" : "evm";
}

/** Of an upstream, for an error that asks for one. */
function exampleUrl(chain: Chain): string {
  const family = familyOf(chain);
  if (family === "utxo") return "p2p://127.0.0.1:8333";
  return family === "svm"
    ? "ws://127.0.0.1:8900?rpc=http://127.0.0.1:8899"
    : "ws://127.0.0.1:8546?rpc=http://127.0.0.1:8545";
}

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
    if (!CHAIN_NAME.test(name))
      throw wrongValue(place, `NAME=URL with a NAME of ${CHAINS.join(", ")}`, pair, nearest(name, CHAINS));
    if (url === "") throw wrongValue(place, `NAME=URL, for instance ${name}=${exampleUrl(name)}`, pair);
    return { chain: name, url, place };
  });
}

export interface ChainSources {
  readonly network: string | null;
  /** Where that was said. */
  readonly networkPlace: Place;
  readonly values: FileValues;
  readonly written: readonly WrittenChain[];
  readonly file: string | null;
}

/**
 * Which chains run: those named by --chain or switched on in the file; where none is named, all that are not switched off.
 * From whom: the upstreams written; where none is, embedded nodes on devnet, else the network's public peers. devnet is the
 * network where neither a network nor a chain is named.
 */
export function resolveChains({ network, networkPlace, values, written, file }: ChainSources): {
  readonly chains: readonly ChainConfig[];
  /** Sentences about what was written and has no effect. */
  readonly unused: readonly string[];
} {
  const sections: FileChains = values.chains ?? {};
  refuseUnknown(sections, written, file, values.plugins ?? []);
  const isOn = (chain: Chain): boolean => sections[chain] !== undefined && sections[chain].enabled !== false;
  const known = [...CHAINS, ...Object.keys(sections), ...written.map(({ chain }) => chain)];
  const named = [...new Set(known)].filter((chain) => isOn(chain) || written.some((entry) => entry.chain === chain));
  const onDevnet = network === "devnet" || (network === null && named.length === 0);
  const usual = onDevnet ? CHAINS.filter((chain) => DEVNET_NETWORK[chain] !== undefined) : UTXO_CHAINS;
  const running = named.length > 0 ? named : usual.filter((chain) => sections[chain]?.enabled !== false);
  if (running.length === 0)
    throw conflict({ source: file ?? "", key: "chains" }, "at least one that is enabled", "none");

  if (network !== null && network !== "devnet") refuseNetwork(network, running, networkPlace);

  const embedded = written.find(({ chain }) => onDevnet && DEVNET_NETWORK[chain] !== undefined);
  if (embedded !== undefined) {
    throw conflict(embedded.place, "another network than devnet, which brings its own nodes", embedded.chain);
  }
  const unused: string[] = [];
  const chains = running.map((chain) => {
    const section = sections[chain] ?? {};
    const place: Place = { source: file ?? COMMAND_LINE, key: `chains.${chain}` };
    const urls = written.filter((entry) => entry.chain === chain).map((entry) => entry.url);
    let upstreams = urls.length > 0 ? urls : upstreamsOf(section, place);
    const devnetNetwork = onDevnet ? DEVNET_NETWORK[chain] : undefined;
    const isEmbedded = devnetNetwork !== undefined;
    const validation = section.validation_level ?? "full";
    const signatures = section.signatures ?? null;
    if (section.signatures !== undefined) {
      const key = `chains.${chain}.signatures`;
      if (familyOf(chain) !== "svm") throw conflict({ ...place, key }, "it below chains.solana", signatures ?? "all");
      if (validation === "header") unused.push(`${key} is not used: validation_level is header, so no body is proved`);
    }
    if (isEmbedded && upstreams.length > 0) {
      unused.push(`the upstreams of chains.${chain} are not used: devnet brings its own nodes`);
      upstreams = [];
    }
    const other = { ...section, network: section.network === devnetNetwork ? undefined : section.network };
    for (const key of ["network", "checkpoint"] as const) {
      if (isEmbedded && other[key] !== undefined)
        unused.push(`chains.${chain}.${key} is not used: devnet brings its own nodes`);
    }
    const said = section.network ?? (network === "devnet" ? null : network);
    const chainNetwork = devnetNetwork ?? networkOf(chain, said, upstreams, place);
    if (!isEmbedded && upstreams.length === 0 && !hasPublicPeers(chain, chainNetwork)) {
      throw conflict(
        place,
        `an upstream, for instance upstreams = ["${exampleUrl(chain)}"]: ${chain} ${chainNetwork} has no public peers that are found by themselves`,
        "none",
      );
    }
    return {
      chain,
      network: chainNetwork,
      upstreams,
      validation,
      finalityDepth: section.finality_depth ?? null,
      checkpoint: (isEmbedded ? undefined : section.checkpoint) ?? null,
      mempool: section.mempool ?? (isEmbedded || upstreams.length > 0),
      signatures,
    };
  });
  return { chains, unused };
}

/** A chain that is not built in needs a plug-in that brings it; which one does is known when they are loaded. */
function refuseUnknown(
  sections: FileChains,
  written: readonly WrittenChain[],
  file: string | null,
  plugins: readonly string[],
): void {
  if (plugins.length > 0) return;
  for (const name of Object.keys(sections)) {
    if (!isBuiltIn(name))
      throw unknownChain("SPRINT_CONFIG_UNKNOWN_KEY", { source: file ?? "", key: `chains.${name}` }, name);
  }
  const other = written.find(({ chain }) => !isBuiltIn(chain));
  if (other !== undefined) throw unknownChain("SPRINT_CONFIG_VALUE", other.place, other.chain);
}

function unknownChain(code: ErrorCode, place: Place, name: string): SprintError {
  const near = nearest(name, CHAINS);
  const hint =
    near === null
      ? `known here: ${CHAINS.join(", ")}; another one needs the plug-in that brings it: plugins = ["./${name}.ts"]`
      : `did you mean ${near}?`;
  const message = `${place.source}: ${place.key}: there is no chain ${name}; ${hint}`;
  const data = { file: place.source, key: place.key, expected: CHAINS, actual: name, nearest: near };
  return new SprintError(code, message, data);
}

/** A network that was said for all chains, and that none of those which run is on: told with the chains that have it. */
function refuseNetwork(network: string, running: readonly Chain[], place: Place): void {
  const networks = running.map((chain) => networkNamesOf(chain));
  if (networks.some((known) => known === null || known.includes(network))) return;
  const owners = CHAINS.filter((chain) => networkNamesOf(chain)?.includes(network) === true);
  const all = [...new Set(CHAINS.flatMap((chain) => networkNamesOf(chain) ?? []))];
  if (owners.length === 0) throw wrongValue(place, `one of ${all.join(", ")}`, network, nearest(network, all));
  const [first = ""] = owners;
  const expected = `a network of ${running.join(", ")}; ${owners.join(", ")} ${owners.length === 1 ? "has" : "have"} it, and then must be named: --chain ${first}=${exampleUrl(first)}`;
  throw conflict(place, expected, network);
}

/** A chain is on one network that it knows: what the configuration says, else what its URLs say, else mainnet. */
function networkOf(chain: Chain, said: string | null, upstreams: readonly string[], place: Place): string {
  let network = said;
  for (const url of upstreams) {
    const { kind, network: own, display } = parseAt(url, place);
    const kinds = KINDS[familyOf(chain) ?? "any"];
    if (!kinds.includes(kind)) {
      const message = `${place.source}: ${place.key}: upstream URL ${display}: expected one of ${chain}: ${kinds.map((each) => SCHEMES[each]).join(", ")}`;
      const data = { file: place.source, key: place.key, url: display, expected: kinds };
      throw new SprintError("SPRINT_CONFIG_UPSTREAM_URL", message, data);
    }
    if (own === null) continue;
    if (network !== null && own !== network) {
      throw conflict(place, `upstreams of one network, ${network}`, `${own} in ${redactText(url)}`);
    }
    network = own;
  }
  const known = networkNamesOf(chain);
  if (known === null) return network ?? "mainnet";
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

/** What the banner and the version route say. "devnet" is said of embedded nodes only: Solana has a network of that name as well. */
export function overallNetwork(said: string | null, chains: readonly ChainConfig[]): string {
  if (said !== null) return said;
  const isEmbedded = ({ chain, network, upstreams }: ChainConfig): boolean =>
    upstreams.length === 0 && network === DEVNET_NETWORK[chain];
  if (chains.every(isEmbedded)) return "devnet";
  const names = new Set(chains.map(({ chain, network }) => (network === "devnet" ? `${chain}-devnet` : network)));
  const [name = "devnet"] = names;
  return names.size === 1 ? name : "mixed";
}

/** `upstreams` as they stand; `rpc_url`, `zmq_endpoint` and `ws_endpoint` as URLs that hold their credentials. */
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
  const { ws_endpoint: socket } = section;
  if (socket !== undefined) {
    if (!/^wss?:\/\//.test(socket))
      throw wrongValue({ ...place, key: `${place.key}.ws_endpoint` }, "ws://HOST:PORT or wss://…", socket);
    const beside = rpc === null ? "" : `${socket.includes("?") ? "&" : "?"}rpc=${encodeURIComponent(rpc)}`;
    upstreams.push(`${socket}${beside}`);
    return upstreams;
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
