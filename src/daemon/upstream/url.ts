/**
 * Upstream URLs, as `--chain NAME=URL` takes them:
 *
 *   p2p://HOST[:PORT][?network=NET&rpc=URL&cookie=FILE]
 *   http(s)://[USER:PASS@]HOST[:PORT][/PATH][?network=NET&cookie=FILE&…]
 *   ws(s)://[USER:PASS@]HOST[:PORT][/PATH][?network=NET&rpc=URL&cookie=FILE&…]
 *   zmq+tcp://HOST:PORT[?network=NET&rpc=URL&cookie=FILE]
 *   beacon+http(s)://HOST[:PORT][/PATH][?network=NET&trusted=0xBLOCKROOT]
 *
 * The URL in rpc= is an http(s) one, of the same node; its own `?cookie=` is good too. What else stands in the query of an
 * http(s) or ws(s) URL is the node's own (hosted ones have their keys there) and stays with the path.
 * A port that is not written is the network's usual one (443 for https and wss), which the parser does not know: it says null.
 */
import { SprintError } from "../../shared/errors.ts";
import { redactText } from "../../shared/redact.ts";

export type UpstreamAddress = P2pAddress | RpcUpstreamAddress | WsAddress | ZmqAddress | BeaconAddress;

export interface P2pAddress {
  readonly kind: "p2p";
  readonly host: string;
  /** Null: the network's P2P port. */
  readonly port: number | null;
  /** Where the node answers questions: the feed does not ask there, the JSON-RPC proxy does. Null: nowhere. */
  readonly rpc: RpcAddress | null;
  /** Null: not said, the daemon's network counts. */
  readonly network: string | null;
  /** The URL to show, without credentials. */
  readonly display: string;
}

export interface RpcUpstreamAddress {
  readonly kind: "rpc";
  readonly rpc: RpcAddress;
  readonly network: string | null;
  readonly display: string;
}

export interface WsAddress {
  readonly kind: "ws";
  readonly secure: boolean;
  readonly host: string;
  /** Null: the network's WebSocket port. */
  readonly port: number | null;
  /** As in `RpcAddress`. */
  readonly path: string;
  readonly auth: RpcAuth;
  /** Where questions go; null: over the socket too. */
  readonly rpc: RpcAddress | null;
  readonly network: string | null;
  readonly display: string;
}

export interface ZmqAddress {
  readonly kind: "zmq";
  readonly host: string;
  readonly port: number;
  /** Where genesis, gaps and bodies come from; null: pushed blocks are all there is. */
  readonly rpc: RpcAddress | null;
  readonly network: string | null;
  readonly display: string;
}

export interface BeaconAddress {
  readonly kind: "beacon";
  readonly secure: boolean;
  readonly host: string;
  /** Null: 443 or 80. */
  readonly port: number | null;
  /** What stands before `/eth`; begins with a slash. */
  readonly path: string;
  /** Root of a finalized beacon block, 0x-hex in lower case: what is final is proved from there on. Null: the node is believed. */
  readonly trusted: string | null;
  /** It answers no JSON-RPC. */
  readonly rpc: null;
  readonly network: string | null;
  readonly display: string;
}

export interface RpcAddress {
  readonly secure: boolean;
  readonly host: string;
  /** Null: the network's RPC port. */
  readonly port: number | null;
  /** Begins with a slash; a query of the node's own stands behind it. */
  readonly path: string;
  readonly auth: RpcAuth;
}

export type RpcAuth =
  | { readonly kind: "none" }
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  | { readonly kind: "cookie"; readonly file: string };

const MAX_URL_CHARS = 2048;
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/i;
const NETWORK = /^[a-z0-9-]{1,32}$/;

const BLOCK_ROOT = /^0x[0-9a-f]{64}$/i;

const SCHEMES = "p2p, http, https, ws, wss, zmq+tcp, beacon+http or beacon+https";

const HINTS: Readonly<Record<string, string>> = {
  tcp: "write zmq+tcp:// for a ZMQ publisher or p2p:// for a peer",
  zmq: "write zmq+tcp://",
  beacon: "write beacon+http:// or beacon+https://",
};

/** Throws SPRINT_CONFIG_UPSTREAM_URL; its message never holds a credential. */
export function parseUpstreamUrl(text: string): UpstreamAddress {
  const parts = split(text, text);
  switch (parts.scheme) {
    case "p2p": {
      refuseCredentials(parts, text);
      refusePath(parts, text);
      const query = takeQuery(parts, ["network", "rpc", "cookie"], text);
      return {
        kind: "p2p",
        host: parts.host,
        port: parts.port,
        rpc: rpcBeside(query, text),
        network: network(query, text),
        display: redactText(text),
      };
    }
    case "http":
    case "https": {
      const { query, path } = shareQuery(parts, ["network", "cookie"], text);
      const rpc = rpcAddress({ ...parts, path }, query.get("cookie") ?? null, text);
      return { kind: "rpc", rpc, network: network(query, text), display: redactText(text) };
    }
    case "ws":
    case "wss": {
      const { query, path } = shareQuery(parts, ["network", "rpc", "cookie"], text);
      return {
        kind: "ws",
        secure: parts.scheme === "wss",
        host: parts.host,
        port: parts.port,
        path,
        auth: authOf(parts, null, text),
        rpc: rpcBeside(query, text),
        network: network(query, text),
        display: redactText(text),
      };
    }
    case "zmq+tcp": {
      refuseCredentials(parts, text);
      refusePath(parts, text);
      if (parts.port === null) throw wrong(text, "a port: ZMQ has no usual one", "none");
      const query = takeQuery(parts, ["network", "rpc", "cookie"], text);
      return {
        kind: "zmq",
        host: parts.host,
        port: parts.port,
        rpc: rpcBeside(query, text),
        network: network(query, text),
        display: redactText(text),
      };
    }
    case "beacon+http":
    case "beacon+https": {
      refuseCredentials(parts, text);
      const query = takeQuery(parts, ["network", "trusted"], text);
      return {
        kind: "beacon",
        secure: parts.scheme === "beacon+https",
        host: parts.host,
        port: parts.port,
        path: parts.path,
        trusted: trustedRoot(query, text),
        rpc: null,
        network: network(query, text),
        display: redactText(text),
      };
    }
    default:
      throw wrong(text, HINTS[parts.scheme] ?? `a scheme of ${SCHEMES}`, `${parts.scheme}://`);
  }
}

/** `http://host:port`, as an HTTP client takes it. `rpcPort` is the network's usual one. */
export function rpcOrigin(address: RpcAddress, rpcPort: number): string {
  const port = address.port ?? (address.secure ? 443 : rpcPort);
  return `${address.secure ? "https" : "http"}://${address.host}:${port}`;
}

/** As a WebSocket client takes it, without credentials but with what path and query hold. `wsPort` is the network's usual one. */
export function wsUrl(address: WsAddress, wsPort: number): string {
  const port = address.port ?? (address.secure ? 443 : wsPort);
  return `${address.secure ? "wss" : "ws"}://${address.host}:${port}${address.path}`;
}

interface Parts {
  readonly scheme: string;
  readonly user: string;
  readonly password: string;
  readonly host: string;
  readonly port: number | null;
  readonly path: string;
  /** As written, without the question mark. */
  readonly query: string;
}

/** `whole` is what the user wrote, for the message; `url` may be a part of it. */
function split(url: string, whole: string): Parts {
  if (url.length > MAX_URL_CHARS)
    throw wrong(whole.slice(0, 64), `at most ${MAX_URL_CHARS} characters`, `${url.length}`);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) throw wrong(whole, `SCHEME://HOST:PORT with a scheme of ${SCHEMES}`, "no scheme");
  if (/[\s\\#]/.test(url)) throw wrong(whole, "no space, backslash or # (write %23)", "one of them");
  let parsed: URL;
  try {
    // Every scheme is read by the rules of the unspecial ones, so that port 80 is not taken for "no port".
    parsed = new URL(url.replace(/^[^:]+/, "x"));
  } catch {
    throw wrong(
      whole,
      "HOST or HOST:PORT after ://, with a port of 1 to 65535 and / ? # in a password percent-encoded",
      "something else",
    );
  }
  if (!HOST.test(parsed.hostname))
    throw wrong(whole, "a host name or an address", parsed.hostname === "" ? "none" : "something else");
  if (parsed.port === "0") throw wrong(whole, "a port of 1 to 65535", "0");
  return {
    scheme,
    user: decode(parsed.username, whole),
    password: decode(parsed.password, whole),
    host: parsed.hostname,
    port: parsed.port === "" ? null : Number(parsed.port),
    path: parsed.pathname === "" ? "/" : parsed.pathname,
    query: parsed.search.slice(1),
  };
}

/** Not URLSearchParams: that turns a plus in a password into a space. */
function takeQuery(parts: Parts, known: readonly string[], whole: string): ReadonlyMap<string, string> {
  const taken = new Map<string, string>();
  if (parts.query === "") return taken;
  for (const pair of parts.query.split("&")) {
    const equals = pair.indexOf("=");
    const key = equals < 0 ? pair : pair.slice(0, equals);
    const raw = equals < 0 ? "" : pair.slice(equals + 1);
    if (!known.includes(key)) throw wrong(whole, `parameters of ${known.join(", ")}`, quoted(key, whole));
    if (taken.has(key)) throw wrong(whole, `${key}= once`, "twice");
    if (raw === "") throw wrong(whole, `a value for ${key}=`, "none");
    // A URL that is written plainly keeps its own percent-encoding.
    taken.set(key, raw.includes("://") ? raw : decode(raw, whole));
  }
  return taken;
}

/** What is ours of the query, and the path with all the rest of it. */
function shareQuery(
  parts: Parts,
  ours: readonly string[],
  whole: string,
): { readonly query: ReadonlyMap<string, string>; readonly path: string } {
  const isOurs = (pair: string): boolean => ours.includes(pair.replace(/=.*/s, ""));
  const pairs = parts.query.split("&").filter((pair) => pair !== "");
  const rest = pairs.filter((pair) => !isOurs(pair)).join("&");
  const query = takeQuery({ ...parts, query: pairs.filter(isOurs).join("&") }, ours, whole);
  return { query, path: rest === "" ? parts.path : `${parts.path}?${rest}` };
}

function rpcAddress(parts: Parts, cookie: string | null, whole: string): RpcAddress {
  const auth = authOf(parts, cookie, whole);
  return { secure: parts.scheme === "https", host: parts.host, port: parts.port, path: parts.path, auth };
}

function authOf(parts: Parts, cookie: string | null, whole: string): RpcAuth {
  const named = parts.user !== "" || parts.password !== "";
  if (named && cookie !== null) throw wrong(whole, "either USER:PASS@ or cookie=", "both");
  if (named) return { kind: "password", user: parts.user, password: parts.password };
  return cookie === null ? { kind: "none" } : { kind: "cookie", file: cookie };
}

/** What rpc= and cookie= say in a URL of another protocol. */
function rpcBeside(query: ReadonlyMap<string, string>, whole: string): RpcAddress | null {
  const url = query.get("rpc");
  const cookie = query.get("cookie") ?? null;
  if (url === undefined) {
    if (cookie !== null) throw wrong(whole, "rpc= beside cookie=", "cookie= alone");
    return null;
  }
  const parts = split(url, whole);
  if (parts.scheme !== "http" && parts.scheme !== "https")
    throw wrong(whole, "http:// or https:// in rpc=", `${parts.scheme}://`);
  const own = shareQuery(parts, ["cookie"], whole);
  return rpcAddress({ ...parts, path: own.path }, own.query.get("cookie") ?? cookie, whole);
}

function network(query: ReadonlyMap<string, string>, whole: string): string | null {
  const name = query.get("network");
  if (name === undefined) return null;
  if (!NETWORK.test(name))
    throw wrong(whole, "network=mainnet, regtest or another network's name", quoted(name, whole));
  return name;
}

function trustedRoot(query: ReadonlyMap<string, string>, whole: string): string | null {
  const root = query.get("trusted");
  if (root === undefined) return null;
  if (!BLOCK_ROOT.test(root)) throw wrong(whole, "trusted=0x and the 64 hex digits of a block root", "something else");
  return root.toLowerCase();
}

function refuseCredentials(parts: Parts, whole: string): void {
  if (parts.user !== "" || parts.password !== "")
    throw wrong(whole, `no user or password in ${parts.scheme}://`, "some");
}

function refusePath(parts: Parts, whole: string): void {
  if (parts.path !== "/") throw wrong(whole, `no path in ${parts.scheme}://`, "one");
}

function decode(text: string, whole: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(whole, "percent signs written as %25", "a percent sign that encodes nothing");
  }
}

/** A part of the URL for the message; not where there are credentials, for a password may have been cut in two. */
function quoted(part: string, whole: string): string {
  return /@|%40/i.test(whole) ? "something else" : part.slice(0, 32);
}

/** Without a cause: what the URL parser throws holds the URL as written, password and all. */
function wrong(url: string, expected: string, got: string): SprintError {
  const shown = redactText(url);
  return new SprintError("SPRINT_CONFIG_UPSTREAM_URL", `upstream URL ${shown}: expected ${expected}, got ${got}`, {
    url: shown,
    expected,
    got,
  });
}
