/**
 * A node of an EVM chain, over a WebSocket that pushes new heads, or polled over HTTP.
 *
 * What is pushed is a hint: `newHeads` skips blocks by design, a rewind is pushed by no node, and a subscription may die while
 * its socket lives. So each head is led back by parent hash to what was told before, and beside the push the node is asked now
 * and then for its head: it finds rewinds, and pushes that do not come.
 */
import type { Clock } from "../../shared/clock.ts";
import { isSprintError, SprintError } from "../../shared/errors.ts";
import { type EvmHeader, evmHeaderFromJson } from "../chain/index.ts";
import { type EvmNetwork, EvmNode } from "./evm-node.ts";
import { PendingGatherer } from "./evm-pending.ts";
import { type FeedModules, type FeedOptions, type Link, type LinkEvents, LinkFeed } from "./feed.ts";
import { TipFollower } from "./follow.ts";
import { RpcClient } from "./jsonrpc.ts";
import { asLost, pause } from "./rpc.ts";
import { RpcSocket } from "./rpc-socket.ts";
import type { Notification } from "./rpc-socket-message.ts";
import type { AnnounceVia, Feed } from "./types.ts";
import { type RpcAddress, rpcOrigin, type RpcUpstreamAddress, type WsAddress, wsUrl } from "./url.ts";

export interface EvmFeedOptions extends Pick<
  FeedOptions,
  "name" | "stallMs" | "openTimeoutMs" | "requestTimeoutMs" | "backoff"
> {
  readonly address: WsAddress | RpcUpstreamAddress;
  /** Between two questions for the node's head; each is up to a quarter shorter or longer. Default: by block time and kind. */
  readonly pollMs?: number;
  /** Between two questions for what is safe and final. */
  readonly finalityMs?: number;
  /** Where an empty locator takes the chain up: so far below its head. */
  readonly historyBlocks?: number;
  /** Listen to transactions that are in no block yet. Over a WebSocket only. */
  readonly pending?: boolean;
}

export interface EvmFeedModules extends Omit<FeedModules, "connect"> {
  readonly codec: EvmNetwork;
}

/** The ports of go-ethereum. */
const HTTP_PORT = 8545;
const WS_PORT = 8546;
const TIMEOUT_MS = 15_000;
/** A block's text, as the codec takes it, and what stands around it. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024 + 65_536;
/** Heads that wait while what leads to another one is fetched; a later one leads back to one that was dropped. */
const MAX_WAITING = 256;
/** Looks that must agree before a node is believed to have gone back: behind one address there may be several, one of them late. */
const REWIND_LOOKS = 3;
/** Looks in a row that may find what should have been pushed. */
const MAX_UNPUSHED = 3;
/** Looks in a row that a node may refuse, as one does that counts calls. */
const MAX_REFUSED = 3;
/** A node may push a block before it, or its neighbour behind the same address, can be asked for it. */
const RETRIES = 8;
const RETRY_MS = 250;

export function createEvmFeed(options: EvmFeedOptions, modules: EvmFeedModules): Feed {
  const { address } = options;
  const { chain, blockTimeSeconds } = modules.codec;
  const settings = { ...evmDefaults(address.kind, blockTimeSeconds), ...options };
  const connect = (events: LinkEvents): Link => new EvmLink(settings, modules, events);
  return new LinkFeed(
    { ...options, chain, kind: address.kind, url: address.display, blockTimeSeconds },
    { ...modules, connect },
  );
}

/** With a push a block time, else a quarter of one. What is final changes by the minute. */
export function evmDefaults(
  kind: "ws" | "rpc",
  blockTimeSeconds: number,
): { readonly pollMs: number; readonly doubtMs: number; readonly finalityMs: number; readonly pending: boolean } {
  const blockMs = blockTimeSeconds * 1000;
  const pollMs = kind === "ws" ? clamp(blockMs, 2000, 15_000) : clamp(blockMs / 4, 500, 3000);
  return { pollMs, doubtMs: clamp(blockMs / 4, 250, 2000), finalityMs: clamp(blockMs, 4000, 30_000), pending: false };
}

type Settings = EvmFeedOptions & ReturnType<typeof evmDefaults>;

/** A head that was pushed or found; of some nodes' pushes only the hash is of use. */
interface Head {
  readonly hash: string;
  readonly header: EvmHeader | null;
  readonly receivedAt: number;
  readonly via: AnnounceVia;
}

class EvmLink implements Link {
  readonly #settings: Settings;
  readonly #modules: EvmFeedModules;
  readonly #events: LinkEvents;
  readonly #socket: RpcSocket | null;
  readonly #client: RpcClient | null;
  readonly #node: EvmNode;
  readonly #follower: TipFollower;
  readonly #pending: PendingGatherer;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  readonly #heads: Head[] = [];
  #isUp = false;
  #isDraining = false;
  #pushes = 0;
  #unpushed = 0;
  #doubt: { readonly hash: string; readonly looks: number } | null = null;

  constructor(settings: Settings, modules: EvmFeedModules, events: LinkEvents) {
    this.#settings = settings;
    this.#modules = modules;
    this.#events = events;
    const { address } = settings;
    const { clock, codec } = modules;
    const http = address.rpc;
    this.#client = http === null ? null : openClient(http, clock);
    this.#socket = address.kind === "ws" ? this.#openSocket(address) : null;
    const caller = this.#client ?? (this.#socket as RpcSocket);
    const { historyBlocks } = settings;
    this.#node = new EvmNode(historyBlocks === undefined ? {} : { historyBlocks }, { caller, network: codec, clock });
    this.#follower = new TipFollower(
      { via: "rpc", heads: true, maxHeld: MAX_WAITING },
      {
        node: this.#node,
        clock,
        announce: (announcements, height) => {
          events.announce(announcements);
          if (height !== null) events.told({ height });
        },
      },
    );
    this.#pending = new PendingGatherer({ clock, tell: (transactions) => events.pending(transactions) });
    this.#ended = this.#run();
  }

  async headersAfter(...[locator, signal]: Parameters<Link["headersAfter"]>): ReturnType<Link["headersAfter"]> {
    const headers = await this.#node.headersAfter(locator, signal);
    if (!signal.aborted) this.#follower.learn(headers);
    return headers;
  }

  body(locator: string, signal: AbortSignal): Promise<Uint8Array> {
    return this.#node.body(locator, signal);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#pending.close();
    await Promise.all([this.#socket?.close(), this.#client?.close()]);
    await this.#ended;
  }

  #openSocket(address: WsAddress): RpcSocket {
    return new RpcSocket(
      { url: wsUrl(address, WS_PORT), auth: address.auth, timeoutMs: TIMEOUT_MS, maxMessageBytes: MAX_MESSAGE_BYTES },
      { clock: this.#modules.clock, onLost: (error) => this.#events.lost(error) },
    );
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    try {
      await this.#begin(signal);
      await Promise.all([this.#watchHead(signal), this.#watchFinality(signal)]);
    } catch (error) {
      if (!signal.aborted) this.#events.lost(asLost(error));
    }
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const socket = this.#socket;
    if (socket !== null) {
      await socket.opened();
      // Before the head is asked for, so that none is missed between the two.
      await socket.subscribe("eth_subscribe", ["newHeads"], (head) => this.#onHead(head), { signal });
    }
    const tip = await this.#node.identify(signal);
    if (socket !== null && this.#client !== null) await this.#identifySocket(socket, signal);
    const agent = await this.#node.agent(signal);
    this.#follower.startAt({ hash: tip.hash, height: tip.number });
    this.#events.told({ height: tip.number, ...(agent === null ? {} : { agent }) });
    this.#events.up();
    this.#isUp = true;
    const early = this.#heads.splice(0);
    for (const head of early) if (head.header === null || head.header.number > tip.number) this.#take(head);
    if (socket !== null && this.#settings.pending) await this.#listenToPending(socket, signal);
  }

  /** Two addresses may be two nodes. */
  async #identifySocket(socket: RpcSocket, signal: AbortSignal): Promise<void> {
    const { clock, codec } = this.#modules;
    await new EvmNode({}, { caller: socket, network: codec, clock }).identify(signal);
  }

  // --- heads ---

  #onHead(notification: Notification): void {
    this.#pushes++;
    this.#unpushed = 0;
    this.#doubt = null;
    const value = notification.value();
    this.#take({ ...headIn(value), receivedAt: notification.receivedAt, via: "newHeads" });
  }

  /** Told in this turn where nothing is before it. */
  #take(head: Head): void {
    if (this.#isUp && !this.#isDraining && this.#tellAtOnce(head)) return;
    this.#heads.push(head);
    if (this.#heads.length > MAX_WAITING) this.#heads.shift();
    if (this.#isUp && !this.#isDraining) void this.#drain();
  }

  #tellAtOnce({ header, receivedAt, via }: Head): boolean {
    if (header === null) return false;
    return this.#isLate(header, via) || this.#follower.pushed(header, null, receivedAt, via);
  }

  /** Pushed by another node behind the same address, most likely. If this one went back, looks find it. */
  #isLate({ hash, number }: EvmHeader, via: AnnounceVia): boolean {
    const tip = this.#follower.tip;
    return via === "newHeads" && tip !== null && number < tip.height && this.#follower.knows(hash);
  }

  /** One after the other: the head that came last is where the node's chain ends. */
  async #drain(): Promise<void> {
    const { signal } = this.#abort;
    this.#isDraining = true;
    try {
      for (let head = this.#heads.shift(); head !== undefined; head = this.#heads.shift())
        if (!this.#tellAtOnce(head)) await this.#lead(head, signal);
    } catch (error) {
      if (!signal.aborted) this.#events.lost(asLost(error));
    } finally {
      this.#isDraining = false;
    }
  }

  async #lead({ hash, via, receivedAt }: Head, signal: AbortSignal): Promise<void> {
    for (let tries = 0; tries < RETRIES; tries++) {
      try {
        if (!this.#follower.knows(hash)) return await this.#follower.advance(hash, signal);
        // Only its hash was pushed.
        this.#tellAtOnce({ hash, via, receivedAt, header: await this.#node.header(hash, signal) });
        return;
      } catch (error) {
        if (!isSprintError(error) || error.code !== "SPRINT_UPSTREAM_NOT_FOUND") throw error;
        await pause(RETRY_MS, this.#modules.clock, signal);
      }
    }
    // It is gone: the node has another head by now, which the next look finds.
  }

  // --- beside the push ---

  async #watchHead(signal: AbortSignal): Promise<never> {
    const { clock, random } = this.#modules;
    const { pollMs, doubtMs } = this.#settings;
    for (let refused = 0; ;) {
      try {
        await this.#look(signal);
        refused = 0;
      } catch (error) {
        if (!isSprintError(error) || !REFUSED.has(error.code) || ++refused >= MAX_REFUSED) throw error;
      }
      const waitMs = this.#doubt === null ? pollMs : Math.min(pollMs, doubtMs);
      await pause(waitMs * (0.75 + random() / 2), clock, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const pushes = this.#pushes;
    const header = await this.#node.latest(signal);
    const tip = this.#follower.tip;
    // What was pushed meanwhile is newer.
    if (this.#pushes !== pushes || this.#isDraining) return;
    if (header.hash === tip?.hash) {
      this.#doubt = null;
      return;
    }
    const goesOn = this.#follower.knows(header.parentHash) && !this.#follower.knows(header.hash);
    const isBehind = tip !== null && header.number <= tip.height && !goesOn;
    if (isBehind && this.#looksAt(header.hash) < REWIND_LOOKS) return;
    this.#doubt = null;
    if (this.#socket !== null && !isBehind && ++this.#unpushed >= MAX_UNPUSHED) throw silent(this.#settings);
    this.#take({ hash: header.hash, header, receivedAt: this.#modules.clock.now(), via: "rpc" });
  }

  /** How often in a row it was seen there. */
  #looksAt(hash: string): number {
    const looks = this.#doubt?.hash === hash ? this.#doubt.looks + 1 : 1;
    this.#doubt = { hash, looks };
    return looks;
  }

  async #watchFinality(signal: AbortSignal): Promise<never> {
    const { clock, random } = this.#modules;
    let last: { readonly safe: string | null; readonly finalized: string | null } = { safe: null, finalized: null };
    for (;;) {
      const { safe, finalized } = await this.#node.finality(signal);
      if (safe !== null && safe.hash !== last.safe) this.#events.told({ safe });
      if (finalized !== null && finalized.hash !== last.finalized) this.#events.told({ finalized });
      last = { safe: safe?.hash ?? null, finalized: finalized?.hash ?? null };
      const rarely = safe === null && finalized === null ? 10 : 1;
      await pause(this.#settings.finalityMs * rarely * (0.75 + random() / 2), clock, signal);
    }
  }

  /** Whole transactions where the node gives them, else their hashes. */
  async #listenToPending(socket: RpcSocket, signal: AbortSignal): Promise<void> {
    const take = (notification: Notification): void => this.#pending.take(notification.value());
    for (const params of [["newPendingTransactions", true], ["newPendingTransactions"]]) {
      try {
        await socket.subscribe("eth_subscribe", params, take, { signal });
        return;
      } catch (error) {
        if (!isSprintError(error) || !REFUSED.has(error.code)) throw error;
      }
    }
  }
}

/** What says that the node does not want to, not that it is gone. */
const REFUSED: ReadonlySet<string> = new Set([
  "SPRINT_RPC_ERROR",
  "SPRINT_RPC_METHOD_MISSING",
  "SPRINT_RPC_FORBIDDEN",
  "SPRINT_RPC_STATUS",
  "SPRINT_RPC_UNAVAILABLE",
  "SPRINT_UPSTREAM_NOT_FOUND",
]);

function openClient(address: RpcAddress, clock: Clock): RpcClient {
  const { path, auth } = address;
  return new RpcClient({ origin: rpcOrigin(address, HTTP_PORT), path, auth, timeoutMs: TIMEOUT_MS }, { clock });
}

/** Some nodes push less than the header; then it is fetched by the hash that they name, and must have that. */
function headIn(value: unknown): Pick<Head, "hash" | "header"> {
  try {
    const header = evmHeaderFromJson(value);
    return { hash: header.hash, header };
  } catch (error) {
    const hash = (value as { readonly hash?: unknown } | null)?.hash;
    if (typeof hash === "string" && /^0x[0-9a-f]{64}$/i.test(hash)) return { hash: hash.toLowerCase(), header: null };
    throw error;
  }
}

function silent({ name, address }: Settings): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_STALLED",
    `${address.display} has new blocks that its subscription did not push, ${MAX_UNPUSHED} times in a row. Connecting again.`,
    { upstream: name, unpushed: MAX_UNPUSHED },
  );
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
