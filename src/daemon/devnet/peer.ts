/** One connection to a node, as the node sees it: handshake, questions and answers, announcements the way Bitcoin Core makes them. */
import type { Socket } from "node:net";
import type { Cancel, Clock, Random } from "../../shared/clock.ts";
import { SprintError, isSprintError, messageOf } from "../../shared/errors.ts";
import type { NetworkParams } from "../chain/index.ts";
import {
  INV,
  MAX_HEADERS,
  MessageReader,
  PROTOCOL,
  SERVICE,
  type InventoryEntry,
  decodeGetBlockTransactions,
  decodeGetHeaders,
  decodeInventory,
  decodePing,
  decodeSendCompact,
  decodeVersion,
  encodeAddresses,
  encodeBlockTransactions,
  encodeCompactBlock,
  encodeHeaders,
  encodeInventory,
  encodeMessage,
  encodePing,
  encodeSendCompact,
  encodeVersion,
  shortIdKey,
  shortIdOf,
} from "../wire/index.ts";
import type { BlockStore, MinedBlock } from "./blocks.ts";
import { compactSize } from "./serialize.ts";

/** A full inventory of 50,000 entries is the longest message that anybody may send us. */
const MAX_PAYLOAD_BYTES = 1_800_009;
/** A peer that asks and does not read is let go. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;
/** Pieces that wait where messages are split. */
const MAX_UNSENT_PIECES = 1_000_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const PING_INTERVAL_MS = 60_000;
/** Core's MAX_BLOCKS_TO_ANNOUNCE, MAX_CMPCTBLOCK_DEPTH and MAX_BLOCKTXN_DEPTH. */
const MAX_HEADERS_TO_ANNOUNCE = 8;
const MAX_COMPACT_DEPTH = 5;
const MAX_BLOCKTXN_DEPTH = 10;

export const AGENT = "/SprintDevnet:0.1.0/";

export interface PeerOptions {
  readonly params: NetworkParams;
  readonly segwit: boolean;
}

export interface PeerModules {
  readonly socket: Socket;
  readonly store: BlockStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Blocks outside the chain that are served all the same: the node's lies. */
  readonly offChain: (hash: string) => MinedBlock | undefined;
  readonly onMessage: (command: string) => void;
  readonly onReady: () => void;
  readonly onClose: (reason: SprintError | null) => void;
}

export class Peer {
  readonly #params: NetworkParams;
  readonly #segwit: boolean;
  readonly #socket: Socket;
  readonly #store: BlockStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #modules: PeerModules;
  readonly #reader: MessageReader;
  #phase: "version" | "verack" | "ready" | "closed" = "version";
  #cancelTimer: Cancel;
  #unansweredPing: bigint | null = null;
  #wantsHeaders = false;
  #wantsCompact = false;
  /** The newest block that we told this peer of: it has that one and its ancestors. */
  #told: MinedBlock | null = null;
  #splitBytes = Number.POSITIVE_INFINITY;
  #unsent: Buffer[] = [];

  constructor(options: PeerOptions, modules: PeerModules) {
    this.#params = options.params;
    this.#segwit = options.segwit;
    this.#modules = modules;
    this.#socket = modules.socket;
    this.#store = modules.store;
    this.#clock = modules.clock;
    this.#random = modules.random;
    this.#reader = new MessageReader(
      { magic: options.params.magic, maxPayloadBytes: MAX_PAYLOAD_BYTES },
      { onMessage: (command, payload) => this.#message(command, payload) },
    );
    this.#cancelTimer = this.#armTimer();
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", () => this.close(null));
    this.#socket.on("close", () => this.close(null));
  }

  get ready(): boolean {
    return this.#phase === "ready";
  }

  close(reason: SprintError | null): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#cancelTimer();
    this.#unsent = [];
    this.#socket.destroy();
    this.#modules.onClose(reason);
  }

  /** Reads nothing more until `resume` and lets no time-out close the socket. */
  pause(): void {
    this.#cancelTimer();
    this.#socket.pause();
  }

  resume(): void {
    this.#unansweredPing = null;
    this.#cancelTimer = this.#armTimer();
    this.#socket.resume();
  }

  /** From now on no single write is longer than `bytes`. */
  split(bytes: number): void {
    this.#splitBytes = bytes;
  }

  /** Tells of `blocks` that became best, oldest first, each the child of the one before (SendMessages of Core's net_processing). */
  announce(blocks: readonly MinedBlock[]): void {
    const news = blocks.filter((block) => !this.#has(block));
    const [first] = news;
    const newest = news.at(-1);
    if (first === undefined || newest === undefined) return;
    const connects = first.parent !== null && this.#has(first.parent);
    if (connects && news.length === 1 && this.#wantsCompact) {
      this.#told = newest;
      this.#send("cmpctblock", this.#compactBlock(newest));
    } else if (connects && news.length <= MAX_HEADERS_TO_ANNOUNCE && this.#wantsHeaders) {
      this.#told = newest;
      this.#send("headers", encodeHeaders(news.map((block) => block.header)));
    } else {
      this.#send("inv", encodeInventory([{ type: INV.BLOCK, hash: newest.hash }]));
    }
  }

  /** Pushes a block whether or not it fits what the peer has. */
  push(block: MinedBlock): void {
    if (this.#wantsCompact) this.#send("cmpctblock", this.#compactBlock(block));
    else this.#send("headers", encodeHeaders([block.header]));
  }

  /** Bytes as they are, framed or not. */
  write(bytes: Uint8Array): void {
    if (this.#phase === "closed") return;
    if (this.#socket.writableLength > MAX_UNSENT_BYTES || this.#unsent.length > MAX_UNSENT_PIECES) {
      this.close(
        refused(`a peer that reads what it asked for, at most ${MAX_UNSENT_BYTES} bytes late`, "one that does not"),
      );
    } else if (this.#unsent.length === 0 && bytes.length <= this.#splitBytes) {
      this.#socket.write(bytes);
    } else {
      const idle = this.#unsent.length === 0;
      const step = Math.min(bytes.length, this.#splitBytes);
      for (let at = 0; at < bytes.length; at += step) this.#unsent.push(Buffer.from(bytes.subarray(at, at + step)));
      if (idle) this.#writePiece();
    }
  }

  /** One piece a turn, so that pieces leave as segments of their own. */
  #writePiece(): void {
    const piece = this.#unsent[0];
    if (piece === undefined) return;
    this.#socket.write(piece);
    setImmediate(() => {
      this.#unsent.shift();
      this.#writePiece();
    });
  }

  #send(command: string, payload?: Uint8Array): void {
    this.write(encodeMessage(this.#params.magic, command, payload));
  }

  #read(chunk: Buffer): void {
    if (this.#phase === "closed") return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.close(isSprintError(error) ? error : refused("a message that can be handled", messageOf(error)));
    }
  }

  #message(command: string, payload: Uint8Array): void {
    if (this.#phase === "closed") return;
    this.#modules.onMessage(command);
    if (this.#phase === "version") {
      if (command !== "version") throw refused("version first", command);
      this.#greet(decodeVersion(payload).version);
      return;
    }
    switch (command) {
      case "version":
        throw refused("one version", "another");
      case "wtxidrelay":
      case "sendaddrv2":
        if (this.#phase === "ready") throw refused(`${command} before verack`, "it after verack");
        return;
      case "verack":
        this.#becomeReady();
        return;
      case "ping":
        this.#send("pong", encodePing(decodePing(payload)));
        return;
      case "pong":
        if (decodePing(payload) === this.#unansweredPing) this.#unansweredPing = null;
        return;
      case "sendheaders":
        this.#wantsHeaders = true;
        return;
      case "sendcmpct":
        this.#sendCompact(payload);
        return;
      case "getheaders":
        this.#getHeaders(payload);
        return;
      case "getdata":
        this.#getData(decodeInventory(payload));
        return;
      case "getblocktxn":
        this.#getBlockTransactions(payload);
        return;
      case "getaddr":
        this.#send("addr", encodeAddresses([]));
        return;
      default:
      // Whatever a node does not know, it ignores.
    }
  }

  #greet(theirVersion: number): void {
    this.#phase = "verack";
    const version = this.#params.protocolVersion;
    const services = servicesOf(this.#segwit);
    const time = BigInt(Math.floor(this.#clock.wall() / 1000));
    const height = this.#store.tip.height;
    this.#send(
      "version",
      encodeVersion({ version, services, time, nonce: this.#nonce(), agent: AGENT, height, relay: true }),
    );
    if (Math.min(version, theirVersion) >= PROTOCOL.WTXID_RELAY) {
      this.#send("wtxidrelay");
      this.#send("sendaddrv2");
    }
    this.#send("verack");
  }

  #becomeReady(): void {
    if (this.#phase !== "verack") return;
    this.#phase = "ready";
    this.#send("sendheaders");
    this.#send("sendcmpct", encodeSendCompact({ highBandwidth: false, version: this.#compactVersion }));
    this.#cancelTimer();
    this.#ping();
    this.#modules.onReady();
  }

  #ping(): void {
    if (this.#unansweredPing !== null) {
      this.close(refused(`a pong within ${PING_INTERVAL_MS} ms`, "none"));
      return;
    }
    this.#unansweredPing = this.#nonce();
    this.#send("ping", encodePing(this.#unansweredPing));
    this.#cancelTimer = this.#armTimer();
  }

  /** One timer at a time: for the handshake, then for the next ping. */
  #armTimer(): Cancel {
    if (this.ready) return this.#clock.after(PING_INTERVAL_MS, () => this.#ping());
    const expected = `a finished handshake within ${HANDSHAKE_TIMEOUT_MS} ms`;
    return this.#clock.after(HANDSHAKE_TIMEOUT_MS, () => this.close(refused(expected, "none")));
  }

  #sendCompact(payload: Uint8Array): void {
    const { highBandwidth, version } = decodeSendCompact(payload);
    if (version === this.#compactVersion) this.#wantsCompact = highBandwidth;
  }

  #getHeaders(payload: Uint8Array): void {
    const { locator, stop } = decodeGetHeaders(payload);
    const { headers, last } = this.#store.headersAfter(locator, stop, MAX_HEADERS);
    if (last !== null) this.#told = last;
    this.#send("headers", encodeHeaders(headers));
  }

  #getData(entries: readonly InventoryEntry[]): void {
    const missing: InventoryEntry[] = [];
    for (const entry of entries) {
      if (this.#phase === "closed") return;
      const block = this.#find(entry.hash);
      if (block === undefined) missing.push(entry);
      else if (entry.type === INV.COMPACT_BLOCK && this.#depth(block) <= MAX_COMPACT_DEPTH) {
        this.#send("cmpctblock", this.#compactBlock(block));
      } else if (entry.type === INV.BLOCK) this.#send("block", blockBytes(block, false));
      else if (BLOCK_TYPES.has(entry.type)) this.#send("block", blockBytes(block, true));
      else missing.push(entry);
    }
    if (missing.length > 0) this.#send("notfound", encodeInventory(missing));
  }

  #getBlockTransactions(payload: Uint8Array): void {
    const { blockHash, indexes } = decodeGetBlockTransactions(payload);
    const block = this.#find(blockHash);
    if (block === undefined) return;
    if (this.#depth(block) > MAX_BLOCKTXN_DEPTH) {
      this.#send("block", blockBytes(block, true));
      return;
    }
    const transactions = indexes.map((index) => {
      const transaction = block.transactions[index];
      if (transaction === undefined) throw refused(`an index below ${block.transactions.length}`, index);
      return transaction.bytes;
    });
    this.#send("blocktxn", encodeBlockTransactions({ blockHash, transactions }));
  }

  /** Coinbase prefilled, as Core does: nobody can have it in a mempool. */
  #compactBlock(block: MinedBlock): Uint8Array {
    const nonce = this.#nonce();
    const key = shortIdKey(block.header, nonce);
    const [coinbase, ...others] = block.transactions;
    const shortIds = others.map((tx) => shortIdOf(key, this.#segwit ? tx.wtxid : tx.txid));
    const prefilled = coinbase === undefined ? [] : [{ index: 0, transaction: coinbase.bytes }];
    return encodeCompactBlock({ headerBytes: block.header, nonce, shortIds, prefilled });
  }

  /** Undefined where the body is not kept any more, and for genesis, whose body nobody here needs. */
  #find(hash: string): MinedBlock | undefined {
    const block = this.#store.get(hash) ?? this.#modules.offChain(hash);
    return block?.transactions.length === 0 ? undefined : block;
  }

  #depth(block: MinedBlock): number {
    return this.#store.tip.height - block.height;
  }

  #has(block: MinedBlock): boolean {
    let at = this.#told;
    while (at !== null && at.height > block.height) at = at.parent;
    return at === block;
  }

  /** BIP-152: 2 where transactions have witnesses, else 1. */
  get #compactVersion(): bigint {
    return this.#segwit ? 2n : 1n;
  }

  #nonce(): bigint {
    return (BigInt(Math.floor(this.#random() * 2 ** 32)) << 32n) | BigInt(Math.floor(this.#random() * 2 ** 32));
  }
}

/** What a node of ours says that it serves, as a BIP-144 and BIP-159 bit field. */
export function servicesOf(segwit: boolean): bigint {
  return SERVICE.NETWORK | SERVICE.NETWORK_LIMITED | (segwit ? SERVICE.WITNESS : 0n);
}

const BLOCK_TYPES: ReadonlySet<number> = new Set([INV.WITNESS_BLOCK, INV.MWEB_BLOCK, INV.COMPACT_BLOCK]);

/** The block as it stands on the wire. */
export function blockBytes(block: MinedBlock, witness: boolean): Buffer {
  const transactions = block.transactions.map((tx) => (witness ? tx.bytes : tx.stripped));
  return Buffer.concat([block.header, compactSize(transactions.length), ...transactions]);
}

function refused(expected: string, got: unknown): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_PEER",
    `A devnet node expected ${expected} from its peer, got ${String(got)}; it hung up.`,
    {
      expected,
      got,
    },
  );
}
