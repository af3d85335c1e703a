/** Control and subscriber client: what the companions and the `sprint` subcommands talk to a daemon with. Opens sockets. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import type { WebSocket } from "ws";
import {
  AcceptedBody,
  AuditBody,
  BreakerBody,
  BreakerConfigBody,
  BreakersBody,
  CONTROL_ROUTES,
  type ControlMessage,
  HistoryBody,
  PluginsBody,
  type PolicyPatch,
  RaceBody,
  ReloadBody,
  StatusBody,
  TopologyBody,
  UpstreamsBody,
} from "./api.ts";
import type { Chain } from "./chain.ts";
import { REQUEST_TIMEOUT_MS, openSocket, refusal, unreachable } from "./connect.ts";
import { type ErrorCode, SprintError } from "./errors.ts";
import type { Tier } from "./tier.ts";

export interface DaemonAddress {
  /** Origin of the control API. */
  readonly url: string;
  readonly token: string;
  /** Origins of the tier listeners, empty where no control.json was read. */
  readonly tiers: Readonly<Partial<Record<Tier, string>>>;
}

export interface FindOptions {
  /** `--daemon` */
  readonly daemon?: string | undefined;
  /** `--token` */
  readonly token?: string | undefined;
  /** `--data-dir` */
  readonly dataDir?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** `--data-dir`, SPRINT_DATA_DIR, else `$XDG_STATE_HOME/bitcoin-sprint`. */
export function dataDirectory(options: Pick<FindOptions, "dataDir" | "env"> = {}): string {
  const env = options.env ?? process.env;
  const stateHome = env["XDG_STATE_HOME"] || join(homedir(), ".local", "state");
  return options.dataDir ?? (env["SPRINT_DATA_DIR"] || join(stateHome, "bitcoin-sprint"));
}

/**
 * Where the daemon is: argument, SPRINT_CONTROL_URL, control.json of the data directory; its token: argument, SPRINT_TOKEN,
 * .cookie. Throws SPRINT_CLIENT_NO_DAEMON, SPRINT_CLIENT_NO_TOKEN, SPRINT_CLIENT_BAD_URL.
 */
export async function findDaemon(options: FindOptions = {}): Promise<DaemonAddress> {
  const env = options.env ?? process.env;
  const dataDir = dataDirectory(options);
  const given = options.daemon ?? env["SPRINT_CONTROL_URL"];
  const file = await readControlFile(join(dataDir, "control.json"));
  const url = given || file?.url;
  if (url === undefined) {
    throw new SprintError(
      "SPRINT_CLIENT_NO_DAEMON",
      `no daemon found: ${join(dataDir, "control.json")} is not there. Start one with \`sprint start\`, or name it with --daemon URL`,
      { dataDir },
    );
  }
  const cookie = join(dataDir, ".cookie");
  const token = options.token ?? (env["SPRINT_TOKEN"] || (await readFile(cookie, "utf8").catch(() => ""))).trim();
  if (token === "") {
    throw new SprintError(
      "SPRINT_CLIENT_NO_TOKEN",
      `no token for ${url}: ${cookie} cannot be read. Give --token or SPRINT_TOKEN, or run as the user that runs the daemon`,
      { cookie },
    );
  }
  return { url: originOf(url), token, tiers: file?.tiers ?? {} };
}

/** Why, and for how long; until it is taken back where `forMs` is absent. */
export interface Order {
  readonly reason?: string;
  readonly forMs?: number;
}

/** Asks the control API. Every call throws SPRINT_CLIENT_* when the daemon cannot be reached, refuses, or answers nonsense. */
export class ControlClient {
  readonly #address: DaemonAddress;
  readonly #timeoutMs: number;

  constructor(options: { readonly timeoutMs?: number }, modules: { readonly address: DaemonAddress }) {
    this.#timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#address = modules.address;
  }

  status(): Promise<StatusBody> {
    return this.#ask(StatusBody, "GET", CONTROL_ROUTES.status);
  }

  topology(): Promise<TopologyBody> {
    return this.#ask(TopologyBody, "GET", CONTROL_ROUTES.topology);
  }

  plugins(): Promise<PluginsBody> {
    return this.#ask(PluginsBody, "GET", CONTROL_ROUTES.plugins);
  }

  /** Reads the configuration's plug-ins again and loads each anew. */
  reloadPlugins(): Promise<PluginsBody> {
    return this.#ask(PluginsBody, "POST", CONTROL_ROUTES.reloadPlugins);
  }

  upstreams(): Promise<UpstreamsBody> {
    return this.#ask(UpstreamsBody, "GET", CONTROL_ROUTES.upstreams);
  }

  /** The running configuration, secrets redacted. */
  async config(): Promise<unknown> {
    return (await this.#request("GET", CONTROL_ROUTES.config)).json();
  }

  breakers(): Promise<BreakersBody> {
    return this.#ask(BreakersBody, "GET", CONTROL_ROUTES.breakers);
  }

  breaker(name: string): Promise<BreakerBody> {
    return this.#ask(BreakerBody, "GET", named(CONTROL_ROUTES.breaker, name));
  }

  /** Its transitions, newest first. */
  breakerHistory(name: string, last = 50): Promise<HistoryBody> {
    return this.#ask(HistoryBody, "GET", `${named(CONTROL_ROUTES.breakerHistory, name)}?last=${last}`);
  }

  /** Nothing passes until the time is over, or `resetBreaker`. */
  forceOpen(name: string, order: Order = {}): Promise<BreakerBody> {
    return this.#ask(BreakerBody, "POST", named(CONTROL_ROUTES.forceOpen, name), orderBody(order));
  }

  /** Everything passes until the time is over, or `resetBreaker`. */
  forceClose(name: string, order: Order = {}): Promise<BreakerBody> {
    return this.#ask(BreakerBody, "POST", named(CONTROL_ROUTES.forceClose, name), orderBody(order));
  }

  /** Closed, unforced, without evidence. */
  resetBreaker(name: string): Promise<BreakerBody> {
    return this.#ask(BreakerBody, "POST", named(CONTROL_ROUTES.reset, name), {});
  }

  /** Applied whole or not at all. */
  configureBreaker(name: string, patch: PolicyPatch): Promise<BreakerConfigBody> {
    return this.#ask(BreakerConfigBody, "PATCH", named(CONTROL_ROUTES.breakerConfig, name), patch);
  }

  /** The daemon reads its configuration again; applied whole or not at all, and not at all where `dryRun`. */
  reload(options: { readonly dryRun?: boolean } = {}): Promise<ReloadBody> {
    const path = `${CONTROL_ROUTES.reload}?dry_run=${options.dryRun ?? false}`;
    return this.#ask(ReloadBody, "POST", path, {});
  }

  /** Who ordered what, newest first. */
  audit(last = 50): Promise<AuditBody> {
    return this.#ask(AuditBody, "GET", `${CONTROL_ROUTES.audit}?last=${last}`);
  }

  cordon(name: string, order: Order = {}): Promise<AcceptedBody> {
    return this.#ask(AcceptedBody, "POST", named(CONTROL_ROUTES.cordon, name), orderBody(order));
  }

  uncordon(name: string): Promise<AcceptedBody> {
    return this.#ask(AcceptedBody, "POST", named(CONTROL_ROUTES.uncordon, name), {});
  }

  race(chain: Chain, last = 20): Promise<RaceBody> {
    return this.#ask(RaceBody, "GET", `${CONTROL_ROUTES.race}?${new URLSearchParams({ chain, last: String(last) })}`);
  }

  /** Asks for a graceful shutdown; resolves when the daemon took the order, not when it ended. */
  stop(): Promise<AcceptedBody> {
    return this.#ask(AcceptedBody, "POST", CONTROL_ROUTES.stop, {});
  }

  /** Prometheus text. */
  async metrics(): Promise<string> {
    return (await this.#request("GET", CONTROL_ROUTES.metrics)).text();
  }

  /** Transitions, events and upstream changes as they happen. Resolves once open; `onEnd` is called when it is over. */
  async stream(
    onMessage: (message: ControlMessage) => void,
    onEnd: (reason: string) => void,
  ): Promise<{ close(): void }> {
    const url = new URL(CONTROL_ROUTES.stream, this.#address.url);
    url.protocol = url.protocol.replace("http", "ws");
    let socket: WebSocket | null = null;
    const take = (text: string): void => {
      let message: ControlMessage;
      try {
        message = JSON.parse(text) as ControlMessage;
      } catch {
        socket?.close(1008, "expected JSON");
        return;
      }
      onMessage(message);
    };
    socket = await openSocket(url, take, { authorization: `Bearer ${this.#address.token}` });
    socket.on("close", (code, reason) => onEnd(`${code} ${String(reason)}`.trim()));
    return { close: () => socket.close(1000) };
  }

  async #ask<T extends TSchema>(schema: T, method: string, path: string, body?: object): Promise<Static<T>> {
    const response = await this.#request(method, path, body);
    const answer: unknown = await response.json().catch(() => undefined);
    if (Value.Check(schema, answer)) return answer as Static<T>;
    throw new SprintError(
      "SPRINT_CLIENT_BAD_ANSWER",
      `${this.#address.url}${path} answered something else than expected; is it a sprint daemon of this version?`,
      { url: this.#address.url, path },
    );
  }

  async #request(method: string, path: string, body?: object): Promise<Response> {
    const { url, token } = this.#address;
    let response: Response;
    try {
      response = await fetch(new URL(path, url), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        signal: AbortSignal.timeout(this.#timeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw unreachable(url, error);
    }
    if (response.ok) return response;
    throw refusal(url, response.status, await response.text().catch(() => ""));
  }
}

async function readControlFile(path: string): Promise<Pick<DaemonAddress, "url" | "tiers"> | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return null;
  }
  try {
    const { url, tiers } = JSON.parse(text) as { url?: unknown; tiers?: Partial<Record<Tier, string>> };
    if (typeof url === "string") return { url, tiers: tiers ?? {} };
  } catch {
    // Falls through to the sentence below: half a file is as bad as a wrong one.
  }
  const code: ErrorCode = "SPRINT_CLIENT_CONTROL_FILE";
  throw new SprintError(code, `${path} is not a control file; remove it, or start the daemon again`, { path });
}

function originOf(url: string): string {
  const parsed = URL.parse(url);
  if (parsed !== null && (parsed.protocol === "http:" || parsed.protocol === "https:")) return parsed.origin;
  throw new SprintError(
    "SPRINT_CLIENT_BAD_URL",
    `expected http://HOST:PORT for the daemon, got ${JSON.stringify(url)}`,
    { url },
  );
}

function orderBody({ reason, forMs }: Order): object {
  return { ...(reason === undefined ? {} : { reason }), ...(forMs === undefined ? {} : { for_ms: forMs }) };
}

function named(route: string, name: string): string {
  return route.replace(":name", encodeURIComponent(name));
}
