/** Control and subscriber client: what the companions and the `sprint` subcommands talk to a daemon with. Opens sockets. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { WebSocket } from "ws";
import {
  AcceptedBody,
  AuditBody,
  BreakerBody,
  BreakerConfigBody,
  BreakersBody,
  CONTROL_ROUTES,
  type ControlMessage,
  ErrorBody,
  HistoryBody,
  type PolicyPatch,
  RaceBody,
  ReloadBody,
  StatusBody,
  TIER_ROUTES,
  TopologyBody,
  UpstreamsBody,
} from "./api.ts";
import type { Chain } from "./chain.ts";
import { type Clock, type Random, systemClock } from "./clock.ts";
import { type ErrorCode, SprintError, messageOf } from "./errors.ts";
import { CLOSE, type EventType, type Phase, type SprintEvent } from "./events.ts";
import type { Tier } from "./tier.ts";

const REQUEST_TIMEOUT_MS = 10_000;
/** Well above one event; a server that sends more is none of ours. */
const MAX_MESSAGE_BYTES = 1 << 20;

/** A pause before a reconnect keeps the program alive: it is what the program is there for. */
const waitingClock: Clock = {
  ...systemClock,
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

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

export interface SubscribeOptions {
  /** Origin of a tier's listener, or the whole WebSocket address. */
  readonly url: string;
  readonly chains?: readonly Chain[];
  readonly types?: readonly EventType[];
  readonly phase?: Phase;
  /** Resume after this cursor. */
  readonly cursor?: string;
  /** First pause before a reconnect; doubles up to `maxBackoffMs`. */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

export interface SubscribeModules {
  readonly onEvent: (event: SprintEvent) => void;
  /** The connection was lost and comes back after `inMs`. */
  readonly onReconnect?: (reason: string, inMs: number) => void;
  /** Over for good: closed by us (`null`), or the server said not to come back. */
  readonly onEnd?: (error: SprintError | null) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Listens to `/ws/v1/events` and resumes by the last cursor whenever the connection is lost or closed with 4000-4499.
 * Ends at close codes 4500-4999 and at handshakes refused with 4xx other than 408 and 429.
 */
export class EventSubscription {
  readonly #options: Required<Pick<SubscribeOptions, "minBackoffMs" | "maxBackoffMs">> & SubscribeOptions;
  readonly #modules: SubscribeModules;
  readonly #clock: Clock;
  readonly #random: Random;
  #cursor: string | null;
  #socket: WebSocket | null = null;
  #cancelPause: () => void = () => {};
  #failures = 0;
  #ended = false;

  constructor(options: SubscribeOptions, modules: SubscribeModules) {
    this.#options = { minBackoffMs: 250, maxBackoffMs: 15_000, ...options };
    this.#modules = modules;
    this.#clock = modules.clock ?? waitingClock;
    this.#random = modules.random ?? Math.random;
    this.#cursor = options.cursor ?? null;
    void this.#connect();
  }

  /** The last cursor received. */
  get cursor(): string | null {
    return this.#cursor;
  }

  close(): void {
    this.#end(null);
  }

  async #connect(): Promise<void> {
    let socket: WebSocket;
    try {
      socket = await openSocket(this.#url(), (text) => this.#take(text));
    } catch (error) {
      const failure = error as SprintError;
      if (failure.data["retry"] === false) this.#end(failure);
      else this.#pause(messageOf(error));
      return;
    }
    if (this.#ended) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    socket.on("close", (code, reason) => {
      this.#socket = null;
      if (code >= 4500 && code <= 4999) {
        const text = String(reason);
        this.#end(
          new SprintError("SPRINT_CLIENT_CLOSED", `the daemon closed the stream for good: ${text}`, {
            code,
            reason: text,
          }),
        );
      } else this.#pause(`closed with ${code}${code === CLOSE.SHUTDOWN ? " (shutdown)" : ""}`);
    });
  }

  #take(text: string): void {
    if (this.#ended) return;
    let event: SprintEvent;
    try {
      event = JSON.parse(text) as SprintEvent;
    } catch {
      this.#socket?.terminate();
      return;
    }
    this.#failures = 0;
    // A cursor names the position after its event, so it is ours only once the event was taken.
    this.#modules.onEvent(event);
    this.#cursor = event.cursor;
  }

  #url(): URL {
    const { url, chains, types, phase } = this.#options;
    const target = new URL(url.replace(/^http/, "ws"));
    if (target.pathname === "/") target.pathname = TIER_ROUTES.events;
    if (chains !== undefined) target.searchParams.set("chains", chains.join(","));
    if (types !== undefined) target.searchParams.set("types", types.join(","));
    if (phase !== undefined) target.searchParams.set("phase", phase);
    if (this.#cursor !== null) target.searchParams.set("cursor", this.#cursor);
    return target;
  }

  #pause(reason: string): void {
    if (this.#ended) return;
    const { minBackoffMs, maxBackoffMs } = this.#options;
    const ceiling = Math.min(maxBackoffMs, minBackoffMs * 2 ** this.#failures++);
    const inMs = ceiling * (0.5 + this.#random() / 2);
    this.#modules.onReconnect?.(reason, inMs);
    this.#cancelPause = this.#clock.after(inMs, () => void this.#connect());
  }

  #end(error: SprintError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelPause();
    this.#socket?.close(1000);
    this.#modules.onEnd?.(error);
  }
}

/** Resolves when the handshake is done. Throws SPRINT_CLIENT_*; `data.retry` says whether coming back makes sense. */
function openSocket(
  url: URL,
  onMessage: (text: string) => void,
  headers: Record<string, string> = {},
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, {
      headers,
      perMessageDeflate: false,
      handshakeTimeout: REQUEST_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    // Before the handshake is done: the first message may come in the same read as the answer to it.
    socket.on("message", (data) => onMessage(String(data)));
    socket.once("open", () => resolve(socket));
    const onError = (error: Error): void => reject(unreachable(url.origin, error));
    socket.on("error", onError);
    socket.once("unexpected-response", (_request, response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (text.length < MAX_MESSAGE_BYTES) text += chunk;
      });
      response.on("end", () => reject(refusal(url.origin, response.statusCode ?? 0, text)));
      response.on("error", onError);
    });
  });
}

function unreachable(url: string, cause: unknown): SprintError {
  const { name, cause: inner } = cause as { name?: string; cause?: unknown };
  if (name === "TimeoutError") {
    return new SprintError(
      "SPRINT_CLIENT_TIMEOUT",
      `${url} did not answer within ${REQUEST_TIMEOUT_MS / 1000} s`,
      { url },
      { cause },
    );
  }
  const why = messageOf(inner ?? cause);
  return new SprintError(
    "SPRINT_CLIENT_UNREACHABLE",
    `${url} cannot be reached (${why}); is the daemon running?`,
    { url },
    { cause },
  );
}

function refusal(url: string, status: number, text: string): SprintError {
  const told = parseError(text);
  const reason = told?.message ?? `HTTP ${status}`;
  const retry = status === 408 || status === 429 || status >= 500 || status === 0;
  const data = { url, status, retry, ...(told === null ? {} : { reason: told.code, details: told.details }) };
  if (status === 401 || status === 403) {
    const what = status === 401 ? "did not let us in" : "does not allow that";
    return new SprintError("SPRINT_CLIENT_NOT_ALLOWED", `${url} ${what}: ${reason}`, data);
  }
  return new SprintError("SPRINT_CLIENT_REFUSED", `${url} refused: ${reason}`, data);
}

function parseError(text: string): ErrorBody["error"] | null {
  try {
    const body: unknown = JSON.parse(text);
    return Value.Check(ErrorBody, body) ? body.error : null;
  } catch {
    return null;
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
