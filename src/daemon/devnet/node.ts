/**
 * A node of a regtest network of its own: it mines, and serves what it mined over the P2P protocol of the Bitcoin family and over
 * bitcoind's JSON-RPC. The relay meets it as it meets any node. Tests give it orders; nothing else tells it from the one that a bare `sprint start` runs.
 */
import { once } from "node:events";
import { type AddressInfo, type Server, type Socket, createServer } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { UtxoChain } from "../../shared/chain.ts";
import type { Cancel, Clock, Random } from "../../shared/clock.ts";
import { SprintError, messageOf } from "../../shared/errors.ts";
import type { UtxoCodec } from "../chain/index.ts";
import { BlockStore, type MinedBlock, type TipChange } from "./blocks.ts";
import { type Lie, lyingBlock } from "./lies.ts";
import { draftOn, hasSegwit, mineBlock } from "./miner.ts";
import { Peer } from "./peer.ts";
import { type RpcNodeFacts, callMethod } from "./rpc-methods.ts";
import { answerRequest } from "./rpc-request.ts";
import { RpcServer } from "./rpc.ts";

export interface DevnetNodeOptions {
  readonly chain: UtxoChain;
  /** Mean time between blocks, each between half and one and a half of it; null: it mines on orders only. */
  readonly blockIntervalMs: number | null;
  /** Chance, 0 to 1, that a turn of the miner is a fork of depth 1 or 2 instead of one block. */
  readonly forkChance: number;
  /** Every so many blocks one is merged-mined, where the chain has that. */
  readonly auxpowEvery: number;
  /** At most so many in a block beside the coinbase. They spend nothing: a node that keeps the coins takes only blocks without. */
  readonly maxTransactions: number;
  /** Blocks mined before the node listens, dated back. */
  readonly historyBlocks: number;
  readonly host: string;
  /** 0: any free port; after a close the node comes back on the one that it had. The RPC port is always such a one. */
  readonly port: number;
  readonly maxPeers: number;
}

export const DEVNET_NODE_DEFAULTS = {
  blockIntervalMs: null,
  forkChance: 0,
  auxpowEvery: 4,
  maxTransactions: 8,
  historyBlocks: 12,
  host: "127.0.0.1",
  port: 0,
  maxPeers: 32,
} as const;

export interface DevnetNodeModules {
  /** Of the chain's regtest. */
  readonly codec: Pick<UtxoCodec, "params">;
  readonly clock: Clock;
  readonly random: Random;
  /** Another node's `store`: both serve one chain, so that they race. */
  readonly store?: BlockStore;
  readonly onBlock?: (block: { readonly hash: string; readonly height: number }) => void;
  /** A peer was cut off, and why. */
  readonly onRefused?: (error: SprintError) => void;
}

export interface DevnetSeen {
  readonly connections: number;
  readonly handshakes: number;
  /** Messages by command, since the node was made. */
  readonly messages: Readonly<Record<string, number>>;
}

/** Deeper forks than this would meet the archive. */
const MAX_FORK_DEPTH = 100;
const KEEP_BLOCKS = 1_000;
const MAX_LIES = 64;
const MAX_COMMANDS_COUNTED = 64;
const MAX_HELD_CHANGES = 8;

export class DevnetNode {
  readonly chain: UtxoChain;
  readonly store: BlockStore;
  readonly #options: DevnetNodeOptions;
  readonly #modules: DevnetNodeModules;
  readonly #peers = new Set<Peer>();
  readonly #lies = new Map<string, MinedBlock>();
  readonly #messages = new Map<string, number>();
  readonly #rpc: RpcServer;
  #server: Server | null = null;
  #port: number;
  #rpcPort = 0;
  #startedAt = 0;
  #connections = 0;
  #handshakes = 0;
  #stopListening: Cancel = () => {};
  #cancelMining: Cancel = () => {};
  /** Blocks are made one after the other, whoever orders them. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  #stalled = false;
  #heldChanges: TipChange[] = [];
  #lagMs = 0;
  #splitBytes = Number.POSITIVE_INFINITY;

  constructor(options: Partial<DevnetNodeOptions> & Pick<DevnetNodeOptions, "chain">, modules: DevnetNodeModules) {
    this.#options = { ...DEVNET_NODE_DEFAULTS, ...options };
    this.#modules = modules;
    this.chain = this.#options.chain;
    this.#port = this.#options.port;
    this.store = modules.store ?? new BlockStore({ keepBlocks: KEEP_BLOCKS }, genesis(modules.codec));
    this.#rpc = new RpcServer({
      answer: (body, signal) =>
        answerRequest(body, (method, params) => callMethod(method, params, this.#facts(), signal)),
    });
  }

  /** Mines the history where there is none, and listens. */
  async start(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    server.maxConnections = this.#options.maxPeers;
    this.#server = server;
    if (this.store.tip.height === 0) await this.#inTurn(() => this.#mineHistory());
    if (this.#server !== server) return;
    try {
      this.#rpcPort = await this.#rpc.listen(this.#options.host, this.#rpcPort);
      if (this.#server !== server) return;
      server.listen(this.#port, this.#options.host);
      await once(server, "listening");
    } catch (error) {
      this.#server = null;
      await this.#rpc.close();
      throw cannotListen(this.chain, this.address, error);
    }
    // Closed in the meantime.
    if (this.#server !== server) return void server.close();
    this.#port = (server.address() as AddressInfo).port;
    this.#startedAt = this.#modules.clock.now();
    this.#stopListening = this.store.onTip((change) => this.#tipChanged(change));
    this.#scheduleMining();
  }

  /** Hangs up on everybody and frees the port. The chain stays: `start` goes on with it, at the same address. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    this.#cancelMining();
    this.#stopListening();
    this.#heldChanges = [];
    const closed = server.listening ? new Promise((resolve) => server.close(resolve)) : null;
    this.disconnect();
    await Promise.all([this.#rpc.close(), this.#lastTurn, closed]);
  }

  /** 0 before the first start where any port was asked for. */
  get port(): number {
    return this.#port;
  }

  get address(): { readonly host: string; readonly port: number } {
    return { host: this.#options.host, port: this.#port };
  }

  /** Where it answers JSON-RPC, without a password. Port 0 before the first start. */
  get rpcAddress(): { readonly host: string; readonly port: number } {
    return { host: this.#options.host, port: this.#rpcPort };
  }

  /** As `--chain NAME=URL` takes it. */
  get url(): string {
    const { host } = this.#options;
    return `p2p://${host}:${this.#port}?network=regtest&rpc=http://${host}:${this.#rpcPort}`;
  }

  /** The truth to compare a stream with: hashes of the best chain by height, from genesis. */
  get blocks(): string[] {
    return this.store.hashes();
  }

  get tip(): { readonly hash: string; readonly height: number } {
    return { hash: this.store.tip.hash, height: this.store.tip.height };
  }

  get seen(): DevnetSeen {
    return {
      connections: this.#connections,
      handshakes: this.#handshakes,
      messages: Object.fromEntries(this.#messages),
    };
  }

  /** Peers whose handshake is done. */
  get peers(): number {
    return [...this.#peers].filter((peer) => peer.ready).length;
  }

  /** Extends the best chain by `count` blocks; their hashes, oldest first. */
  mine(count = 1): Promise<string[]> {
    return this.#inTurn(async () => {
      const hashes: string[] = [];
      for (let i = 0; i < count; i++) hashes.push((await this.#extend(this.store.tip)).hash);
      return hashes;
    });
  }

  /** Builds `length` blocks on the ancestor `depth` below the tip; `length` > `depth`, so that the branch becomes best. */
  fork(depth: number, length = depth + 1): Promise<{ reverted: string[]; applied: string[] }> {
    return this.#inTurn(async () => {
      const base = this.store.at(this.store.tip.height - depth);
      if (base === undefined || depth < 1 || depth > MAX_FORK_DEPTH || length <= depth) throw badFork(depth, length);
      const reverted = Array.from(
        { length: depth },
        (_, i) => (this.store.at(base.height + depth - i) as MinedBlock).hash,
      );
      const applied: string[] = [];
      for (let parent = base, i = 0; i < length; i++) {
        parent = await this.#extend(parent);
        applied.push(parent.hash);
      }
      return { reverted, applied };
    });
  }

  /** Announces to everybody a block that is wrong in the way of `lie`, and serves it to who asks; its hash. */
  lie(lie: Lie): Promise<string> {
    return this.#inTurn(async () => {
      const block = await lyingBlock(this.chain, lie, this.store.tip, this.#nowSeconds(), this.#modules.random);
      this.#lies.set(block.hash, block);
      for (const oldest of this.#lies.keys()) if (this.#lies.size > MAX_LIES) this.#lies.delete(oldest);
      for (const peer of this.#peers) if (peer.ready) peer.push(block);
      return block.hash;
    });
  }

  /** Keeps every socket open and says and reads nothing, to new peers neither, until `resume`. Over RPC it answers nothing. */
  stall(): void {
    this.#stalled = true;
    this.#rpc.pause();
    for (const peer of this.#peers) peer.pause();
  }

  /** Answers what was asked and announces what was mined in the meantime. */
  resume(): void {
    this.#stalled = false;
    this.#rpc.resume();
    for (const peer of this.#peers) peer.resume();
    for (const change of this.#heldChanges.splice(0)) this.#announce(change);
  }

  /** Announces each block `ms` late. */
  lag(ms: number): void {
    this.#lagMs = ms;
  }

  /** No write to a socket is longer than `bytes` from now on; Infinity ends it. */
  splitMessages(bytes: number): void {
    this.#splitBytes = Math.max(1, bytes);
    for (const peer of this.#peers) peer.split(this.#splitBytes);
  }

  /** Writes `bytes` as they are to everybody. */
  sendRaw(bytes: Uint8Array): void {
    for (const peer of this.#peers) peer.write(bytes);
  }

  /** Hangs up on everybody; they may call again. */
  disconnect(): void {
    for (const peer of this.#peers) peer.close(null);
  }

  #facts(): RpcNodeFacts {
    const { codec, clock } = this.#modules;
    const segwit = hasSegwit(this.chain);
    const { params } = codec;
    return { params, segwit, store: this.store, clock, peers: () => this.peers, startedAt: this.#startedAt };
  }

  #accept(socket: Socket): void {
    this.#connections++;
    const peer = new Peer(
      { params: this.#modules.codec.params, segwit: hasSegwit(this.chain) },
      {
        socket,
        store: this.store,
        clock: this.#modules.clock,
        random: this.#modules.random,
        offChain: (hash) => this.#lies.get(hash),
        onMessage: (command) => this.#count(command),
        onReady: () => {
          this.#handshakes++;
        },
        onClose: (reason) => {
          this.#peers.delete(peer);
          if (reason !== null) this.#modules.onRefused?.(reason);
        },
      },
    );
    peer.split(this.#splitBytes);
    if (this.#stalled) peer.pause();
    this.#peers.add(peer);
  }

  /** A stranger can invent commands without end: only so many are told apart. */
  #count(command: string): void {
    const known = this.#messages.has(command) || this.#messages.size < MAX_COMMANDS_COUNTED;
    const name = known ? command : "other";
    this.#messages.set(name, (this.#messages.get(name) ?? 0) + 1);
  }

  #tipChanged(change: TipChange): void {
    for (const { hash, height } of change.applied) this.#modules.onBlock?.({ hash, height });
    if (this.#stalled) this.#heldChanges = [...this.#heldChanges, change].slice(-MAX_HELD_CHANGES);
    else if (this.#lagMs > 0) this.#modules.clock.after(this.#lagMs, () => this.#announce(change));
    else this.#announce(change);
  }

  #announce(change: TipChange): void {
    for (const peer of this.#peers) if (peer.ready) peer.announce(change.applied);
  }

  #scheduleMining(): void {
    const { blockIntervalMs, forkChance } = this.#options;
    if (blockIntervalMs === null || this.#server === null) return;
    const { clock, random } = this.#modules;
    this.#cancelMining = clock.after(blockIntervalMs * (0.5 + random()), () => {
      const depth = 1 + Math.floor(random() * 2);
      const turn = random() < forkChance && this.store.tip.height > depth ? this.fork(depth) : this.mine();
      turn.then(
        () => this.#scheduleMining(),
        () => this.#scheduleMining(),
      );
    });
  }

  async #mineHistory(): Promise<void> {
    const stepSeconds = Math.max(1, Math.round((this.#options.blockIntervalMs ?? 1000) / 1000));
    const now = this.#nowSeconds();
    for (let left = this.#options.historyBlocks; left > 0; left--)
      await this.#extend(this.store.tip, now - left * stepSeconds);
  }

  async #extend(parent: MinedBlock, time = this.#nowSeconds()): Promise<MinedBlock> {
    const { auxpowEvery, maxTransactions } = this.#options;
    const draft = draftOn(parent, time, (parent.height + 1) % auxpowEvery === 0, maxTransactions);
    const block = await mineBlock(this.chain, draft, parent, this.#modules.random);
    this.store.add(block);
    // Each announcement is a turn of its own, and sockets are served between blocks.
    await nextTurn();
    return block;
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(() => {
      if (this.#server === null) throw notStarted(this.chain);
      return task();
    });
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  #nowSeconds(): number {
    return Math.floor(this.#modules.clock.wall() / 1000);
  }
}

function genesis(codec: Pick<UtxoCodec, "params">): MinedBlock {
  const header = Buffer.from(codec.params.genesisHeader);
  return {
    hash: codec.params.genesisHash,
    height: 0,
    time: header.readUInt32LE(68),
    header,
    transactions: [],
    parent: null,
  };
}

function cannotListen(chain: UtxoChain, address: { host: string; port: number }, cause: unknown): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_LISTEN",
    `The ${chain} devnet node expected to listen on ${address.host}:${address.port}, got: ${messageOf(cause)}. Free that port, or use port 0.`,
    { chain, ...address },
    { cause },
  );
}

function badFork(depth: number, length: number): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_FORK",
    `Expected a depth from 1 to ${MAX_FORK_DEPTH} above genesis and a length greater than it, got depth ${depth} and length ${length}.`,
    { depth, length, maxDepth: MAX_FORK_DEPTH },
  );
}

function notStarted(chain: UtxoChain): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_CLOSED",
    `The ${chain} devnet node is not running: expected start() before an order.`,
    { chain },
  );
}
