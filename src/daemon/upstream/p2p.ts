/**
 * A feed over the peer-to-peer protocol: header first, the earliest signal that there is. The node pushes each block as
 * `cmpctblock` before it validated it itself, or as `headers`; what it only hints at by `inv` is asked for.
 *
 *   bytes ─▶ MessageReader ─▶ handshake ─▶ headers, cmpctblock, inv, block ─▶ announce
 *                                    └──▶ answers to what we asked (p2p-headers.ts, p2p-bodies.ts)
 *
 * Whatever is wrong with the bytes ends the connection, with a code: a healthy node never sends such.
 */
import { type Socket, connect as connectSocket, isIP } from "node:net";
import type { PendingTransaction } from "../../shared/body.ts";
import type { Clock } from "../../shared/clock.ts";
import { SprintError, isSprintError, messageOf } from "../../shared/errors.ts";
import type { UtxoCodec, UtxoHeader } from "../chain/index.ts";
import {
  type Decode,
  INV,
  MAX_PAYLOAD_BYTES,
  MessageReader,
  type NodeAddress,
  SERVICE,
  type Version,
  decodeAddresses,
  decodeAddressesV2,
  decodeBlockTransactions,
  decodeCompactBlock,
  decodeHeaders,
  decodeInventory,
  decodePing,
  encodeHeaders,
  encodeInventory,
  encodeMessage,
  encodePing,
  peekCompactBlock,
} from "../wire/index.ts";
import { EMPTY_POOL, type TransactionPool } from "./compact.ts";
import { type FeedModules, type FeedOptions, type Link, type LinkEvents, LinkFeed, FEED_DEFAULTS } from "./feed.ts";
import { BodyAsks, notFound } from "./p2p-bodies.ts";
import { FilterAsks } from "./p2p-filters.ts";
import { Handshake, compactVersionFor } from "./p2p-handshake.ts";
import { HeaderAsks } from "./p2p-headers.ts";
import { InboundMeter, METER_DEFAULTS } from "./p2p-meter.ts";
import { Pinger } from "./p2p-ping.ts";
import { TransactionAsks } from "./p2p-transactions.ts";
import type { Announcement, AnnounceVia, Feed, FilterRange, FilterRun } from "./types.ts";

export interface P2pOptions extends Pick<
  FeedOptions,
  "name" | "stallMs" | "openTimeoutMs" | "requestTimeoutMs" | "backoff"
> {
  /** Name or address; brackets around IPv6 are taken off. */
  readonly host: string;
  readonly port: number;
  /** Our user agent (BIP 14). */
  readonly agent?: string;
  readonly pingEveryMs?: number;
  /** Without a pong, and without any other byte, for this long, the connection is a black hole. */
  readonly pongTimeoutMs?: number;
  /** How long `blocktxn` is waited for before the whole block is asked for. */
  readonly compactTimeoutMs?: number;
  /** Whether loose transactions are heard too. Off by default. */
  readonly transactions?: boolean;
}

export interface P2pModules extends Omit<FeedModules, "connect"> {
  readonly codec: UtxoCodec;
  readonly pool?: TransactionPool;
  /** Where it is given, the peer is asked for addresses after the handshake; called with each list that it tells. */
  readonly onAddresses?: (addresses: readonly NodeAddress[]) => void;
}

export const P2P_DEFAULTS = {
  agent: "/bitcoin-sprint/",
  pingEveryMs: 30_000,
  pongTimeoutMs: 10_000,
  compactTimeoutMs: 5_000,
  transactions: false,
} as const;

/** Blocks of one `inv` that are worth a question; an `inv` of a block names one, of a long reorg a few. */
const MAX_INV_BLOCKS = 16;

export function createP2pFeed(options: P2pOptions, modules: P2pModules): Feed {
  const settings = { ...P2P_DEFAULTS, ...options, host: options.host.replace(/^\[|\]$/g, "") };
  const { chain, params } = modules.codec;
  const host = isIP(settings.host) === 6 ? `[${settings.host}]` : settings.host;
  const url = `p2p://${host}:${settings.port}`;
  const { blockTimeSeconds } = params;
  const connect = (events: LinkEvents): Link => new P2pLink({ ...settings, url }, modules, events);
  return new LinkFeed({ ...options, chain, kind: "p2p", url, blockTimeSeconds }, { ...modules, connect });
}

type Settings = P2pOptions & Required<Pick<P2pOptions, keyof typeof P2P_DEFAULTS>> & { readonly url: string };

class P2pLink implements Link {
  readonly #settings: Settings;
  readonly #modules: P2pModules;
  readonly #events: LinkEvents;
  readonly #clock: Clock;
  readonly #codec: UtxoCodec;
  readonly #socket: Socket;
  readonly #reader: MessageReader;
  readonly #meter: InboundMeter;
  readonly #headers: HeaderAsks;
  readonly #pinger: Pinger;
  readonly #closed: Promise<void>;
  #handshake: Handshake | null = null;
  /** Set when the handshake is done. */
  #bodies: BodyAsks | null = null;
  #filters: FilterAsks | null = null;
  /** Null where loose transactions are not wanted. */
  #transactions: TransactionAsks | null = null;
  #over = false;
  /** Ends the questions that this link asks on its own. */
  readonly #end = new AbortController();
  #receivedAt = 0;
  /** What the pipeline asked with last: good for questions of our own. */
  #locator: readonly string[] = [];
  /** The last header that the peer told. */
  #newest: string | null = null;
  /** Whether a question of our own is out, after an `inv`. */
  #asking: "no" | "yes" | "again" = "no";
  readonly #decodeHeader: Decode<UtxoHeader>;

  constructor(settings: Settings, modules: P2pModules, events: LinkEvents) {
    this.#settings = settings;
    this.#modules = modules;
    this.#events = events;
    this.#clock = modules.clock;
    this.#codec = modules.codec;
    const { params } = modules.codec;
    this.#decodeHeader = (bytes, offset) => {
      const { header, end } = modules.codec.decodeHeader(bytes, offset);
      return { value: header, end };
    };
    this.#reader = new MessageReader(
      { magic: params.magic, maxPayloadBytes: Math.max(MAX_PAYLOAD_BYTES, params.maxBlockBytes) },
      { onMessage: (command, payload) => this.#receive(command, payload) },
    );
    this.#meter = new InboundMeter(METER_DEFAULTS, this.#clock.now());
    this.#headers = new HeaderAsks({ url: settings.url, protocolVersion: params.protocolVersion }, this.#send);
    this.#pinger = new Pinger(settings, {
      clock: this.#clock,
      send: this.#send,
      isArriving: (since) => this.#reader.pendingBytes > 0 && this.#receivedAt > since,
      onTimeout: () => this.#lose(blackHole(settings.url, settings.pongTimeoutMs)),
    });
    this.#socket = connectSocket({ host: settings.host, port: settings.port, noDelay: true });
    this.#closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.once("connect", () => this.#greet());
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.once("error", (error) => this.#lose(socketError(settings.url, error)));
    this.#socket.once("close", () => this.#lose(hungUp(settings.url, this.#bodies === null)));
  }

  headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly UtxoHeader[]> {
    this.#locator = locator;
    return this.#headers.ask(locator, signal);
  }

  body(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#bodies === null) return Promise.reject(hungUp(this.#settings.url, true));
    return this.#bodies.ask(hash, signal);
  }

  /** Only of blocks that the node has on its best chain, which its headers show: it hangs up on who asks for others. */
  async filters(range: FilterRange, signal: AbortSignal): Promise<FilterRun> {
    if (this.#filters === null) throw hungUp(this.#settings.url, true);
    const { stopHash } = range;
    if (stopHash !== this.#newest) {
      const [next] = await this.#headers.ask([stopHash, this.#codec.params.genesisHash], signal);
      if (next !== undefined && next.parentHash !== stopHash) throw notFound(this.#settings.url, stopHash);
    }
    return this.#filters.ask(range, signal);
  }

  close(): Promise<void> {
    this.#over = true;
    this.#pinger.stop();
    this.#transactions?.stop();
    this.#end.abort();
    this.#socket.destroy();
    return this.#closed;
  }

  #lose(error: SprintError): void {
    if (this.#over) return;
    void this.close();
    this.#events.lost(error);
  }

  /** A peer that sends and does not read cannot pile up much here: what it may ask is metered, and it owes us a pong. */
  readonly #send = (command: string, payload?: Uint8Array): void => {
    if (this.#over) return;
    this.#socket.write(encodeMessage(this.#codec.params.magic, command, payload));
  };

  #greet(): void {
    const { protocolVersion, blockInvType } = this.#codec.params;
    const { url, agent, transactions } = this.#settings;
    const time = Math.floor(this.#clock.wall() / 1_000);
    this.#handshake = new Handshake({ url, agent, protocolVersion, blockInvType, time, transactions }, this.#send);
  }

  #read(chunk: Buffer): void {
    this.#receivedAt = this.#clock.now();
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#lose(blamed(this.#settings.url, error));
    }
  }

  /** One whole message. Throws on a bad one: `#read` ends the connection. */
  #receive(command: string, payload: Uint8Array): void {
    if (this.#over) return;
    if (this.#bodies === null) {
      this.#meter.count(command, payload.length, this.#receivedAt);
      const peer = this.#handshake?.receive(command, payload) ?? null;
      if (peer !== null) this.#becomeUp(peer);
      return;
    }
    if (!this.#receiveAnswer(this.#bodies, command, payload)) {
      this.#meter.count(command, payload.length, this.#receivedAt);
      this.#receiveUnasked(this.#bodies, command, payload);
    }
  }

  #becomeUp(peer: Version): void {
    const { url, compactTimeoutMs, transactions } = this.#settings;
    const { blockInvType } = this.#codec.params;
    // A peer that knows nothing of extension blocks does not know how to be asked for them either.
    const plain = blockInvType === INV.MWEB_BLOCK && (peer.services & SERVICE.MWEB) === 0n;
    this.#bodies = new BodyAsks(
      { url, blockInvType: plain ? INV.WITNESS_BLOCK : blockInvType, compactTimeoutMs },
      { send: this.#send, clock: this.#clock, pool: this.#modules.pool ?? EMPTY_POOL },
    );
    this.#filters = new FilterAsks({ url, served: (peer.services & SERVICE.COMPACT_FILTERS) !== 0n }, this.#send);
    if (transactions) {
      const onPending = (batch: readonly PendingTransaction[]): void => this.#events.pending(batch);
      const witness = compactVersionFor(blockInvType) === 2;
      this.#transactions = new TransactionAsks({ witness }, { send: this.#send, clock: this.#clock, onPending });
    }
    if (this.#modules.onAddresses) this.#send("getaddr");
    this.#pinger.start();
    this.#events.told({ agent: peer.agent, height: peer.height });
    this.#events.up();
  }

  /** True where the message is dealt with: it answers something that we asked. Such are not metered. */
  #receiveAnswer(bodies: BodyAsks, command: string, payload: Uint8Array): boolean {
    switch (command) {
      case "headers": {
        const headers = decodeHeaders(payload, this.#decodeHeader);
        this.#newest = headers.at(-1)?.hash ?? this.#newest;
        if (this.#headers.receive(headers)) return true;
        this.#meter.count(command, payload.length, this.#receivedAt);
        this.#announceHeaders(headers, "headers");
        return true;
      }
      case "block": {
        const { header } = this.#codec.decodeHeader(payload);
        if (!bodies.isAwaited(header.hash)) return false;
        bodies.receiveBlock(header.hash, payload);
        return true;
      }
      case "blocktxn":
        return bodies.receiveTransactions(decodeBlockTransactions(payload));
      case "tx":
        return this.#transactions?.receive(payload) ?? false;
      case "cfheaders":
      case "cfilter":
        return this.#filters?.receive(command, payload) ?? false;
      case "pong":
        return this.#pinger.receive(decodePing(payload));
      default:
        return false;
    }
  }

  #receiveUnasked(bodies: BodyAsks, command: string, payload: Uint8Array): void {
    switch (command) {
      case "cmpctblock": {
        const head = peekCompactBlock(payload, this.#decodeHeader);
        const { header, txCount } = head;
        this.#newest = header.hash;
        this.#announce([{ ...this.#announcement(header, "cmpctblock"), txCount }]);
        if (!this.#over)
          bodies.keep(header.hash, decodeCompactBlock(payload, this.#decodeHeader, head), payload.length);
        return;
      }
      case "block": {
        const { header } = this.#codec.decodeHeader(payload);
        return this.#announce([{ ...this.#announcement(header, "block"), body: payload }]);
      }
      case "inv":
        return this.#receiveInventory(payload);
      case "notfound": {
        const entries = decodeInventory(payload);
        bodies.receiveNotFound(entries);
        return this.#transactions?.receiveNotFound(entries);
      }
      case "ping":
        return this.#send("pong", encodePing(decodePing(payload)));
      case "getheaders":
        // We have nothing to serve, and say so: a node that hears nothing takes us for stalled.
        return this.#send("headers", encodeHeaders([]));
      case "addr":
        return this.#modules.onAddresses?.(decodeAddresses(payload));
      case "addrv2":
        return this.#modules.onAddresses?.(decodeAddressesV2(payload));
      default:
        // Transactions that nobody asked for, fee filters, rejects and whatever the protocol grows: not for us.
        return;
    }
  }

  /** The node has a block that it does not think we could connect; its headers, from our tip on, can. */
  #receiveInventory(payload: Uint8Array): void {
    const isBlock = ({ type }: { readonly type: number }) => (type & ~(INV.MWEB_BLOCK & ~INV.BLOCK)) === INV.BLOCK;
    const entries = decodeInventory(payload);
    this.#transactions?.heard(entries);
    const blocks = entries.filter(isBlock).slice(-MAX_INV_BLOCKS);
    if (blocks.every(({ hash }) => hash === this.#newest)) return;
    if (this.#locator.length === 0) {
      const type = this.#codec.params.blockInvType;
      return this.#send("getdata", encodeInventory(blocks.map(({ hash }) => ({ type, hash }))));
    }
    this.#askForHeaders();
  }

  /** One question of our own at a time; what was hinted at after it went out is asked for once more. */
  #askForHeaders(): void {
    if (this.#asking !== "no") {
      this.#asking = "again";
      return;
    }
    this.#asking = "yes";
    const patience = new AbortController();
    const timeoutMs = this.#settings.requestTimeoutMs ?? FEED_DEFAULTS.requestTimeoutMs;
    const cancel = this.#clock.after(timeoutMs, () => patience.abort());
    const locator = this.#newest === null ? this.#locator : [this.#newest, ...this.#locator];
    this.#headers
      .ask(locator, AbortSignal.any([patience.signal, this.#end.signal]))
      .then((headers) => this.#announceHeaders(headers, "inv"))
      .catch(() => {})
      .finally(() => {
        cancel();
        const again = this.#asking === "again" && !this.#over;
        this.#asking = "no";
        if (again) this.#askForHeaders();
      });
  }

  #announceHeaders(headers: readonly UtxoHeader[], via: AnnounceVia): void {
    this.#announce(headers.map((header) => this.#announcement(header, via)));
  }

  #announcement(header: UtxoHeader, via: AnnounceVia): Announcement {
    return { header, via, receivedAt: this.#receivedAt, txCount: null, body: null };
  }

  #announce(announcements: readonly Announcement[]): void {
    if (!this.#over && announcements.length > 0) this.#events.announce(announcements);
  }
}

function blamed(url: string, error: unknown): SprintError {
  if (!isSprintError(error)) {
    return new SprintError(
      "SPRINT_P2P_MALFORMED",
      `${url} sent what cannot be read: ${messageOf(error)}`,
      { url },
      { cause: error },
    );
  }
  if ("url" in error.data) return error;
  const code = error.code === "SPRINT_P2P_BAD_MAGIC" ? "SPRINT_UPSTREAM_WRONG_NETWORK" : error.code;
  return new SprintError(code, `${url}: ${error.message}`, { ...error.data, url }, { cause: error });
}

function socketError(url: string, error: NodeJS.ErrnoException): SprintError {
  const code = error.code ?? "";
  const refused =
    code === "ECONNREFUSED"
      ? "Nothing listens there: is the node running, and is this its P2P port?"
      : "Dialling again later.";
  return new SprintError(
    "SPRINT_UPSTREAM_UNREACHABLE",
    `${url}: ${error.message}. ${refused}`,
    { url, errno: code },
    { cause: error },
  );
}

function hungUp(url: string, shakingHands: boolean): SprintError {
  const hint = shakingHands
    ? "while shaking hands: it may be on another network, full, or have banned this address"
    : "and is dialled again later";
  return new SprintError("SPRINT_UPSTREAM_DISCONNECTED", `${url} closed the connection ${hint}.`, {
    url,
    shakingHands,
  });
}

function blackHole(url: string, pongTimeoutMs: number): SprintError {
  return new SprintError(
    "SPRINT_P2P_PING_TIMEOUT",
    `${url} did not answer a ping within ${pongTimeoutMs} ms: the line is dead.`,
    {
      url,
      pongTimeoutMs,
    },
  );
}
