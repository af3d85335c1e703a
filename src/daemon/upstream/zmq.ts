/**
 * A node's ZMQ publisher. Each message has three frames: topic, body, and a number of 4 bytes (little-endian) that counts
 * the topic's messages.
 *
 *   hashblock  the new tip's hash, 32 bytes, in display order
 *   rawblock   the new tip, serialised
 *   sequence   hash, 32 bytes in display order, then `C` connected, `D` disconnected, `A` and `R` mempool, then more
 *
 * ZMQ drops without a word: a publisher at its high-water mark, a subscription that is not there yet, a broken connection.
 * A reorg is told by its last block only. So whatever does not fit behind what was told before is repaired over the node's
 * RPC, in order. Without an RPC there is nobody to ask: blocks are passed on as they come.
 */
import type * as zeromq from "zeromq";
import type { Cancel } from "../../shared/clock.ts";
import { messageOf, SprintError } from "../../shared/errors.ts";
import type { UtxoHeader } from "../chain/index.ts";
import { type FeedModules, type FeedOptions, type Link, type LinkEvents, LinkFeed } from "./feed.ts";
import { TipFollower } from "./follow.ts";
import type { RpcClient } from "./jsonrpc.ts";
import { asLost, openRpcNode } from "./rpc.ts";
import type { HeaderCodec, RpcNode } from "./rpc-node.ts";
import type { Feed, MempoolFigures } from "./types.ts";
import type { ZmqAddress } from "./url.ts";
import { type SequenceGap, SequenceTracker } from "./zmq-sequence.ts";
import { TRANSACTION_TOPICS, ZmqTransactions } from "./zmq-transactions.ts";

export interface ZmqFeedOptions extends Pick<
  FeedOptions,
  "name" | "stallMs" | "openTimeoutMs" | "requestTimeoutMs" | "backoff"
> {
  readonly address: ZmqAddress;
  /** Whether loose transactions are heard too. Off by default. */
  readonly transactions?: boolean;
}

export interface ZmqFeedModules extends Omit<FeedModules, "connect"> {
  readonly codec: HeaderCodec;
  /** Messages were lost; what they said is being repaired, where there is an RPC. */
  readonly onGap?: (gap: SequenceGap) => void;
  /** For tests: how the optional package is loaded. */
  readonly load?: () => Promise<Zmq>;
}

type Zmq = typeof zeromq;

const TOPICS = ["hashblock", "rawblock", "sequence"] as const;
/** Messages waiting for us in memory; beyond that they wait, or are dropped, at the publisher. */
const RECEIVE_HIGH_WATER_MARK = 100;
/** The heaviest that a node relays has 400 kB; a miner's own may have a megabyte, and is not told. */
const MAX_TRANSACTION_BYTES = 1_000_000;
/** What may stand around a block. */
const MESSAGE_SLACK_BYTES = 65_536;
/** ZMQ pings at this interval and gives a connection up that did not answer as long. */
const HEARTBEAT_MS = 10_000;
/** A publisher does not say when a subscription has taken effect; what it published before then is asked for after this. */
const SUBSCRIPTION_SETTLES_MS = 1000;

export function createZmqFeed(options: ZmqFeedOptions, modules: ZmqFeedModules): Feed {
  const { address } = options;
  const { chain, params } = modules.codec;
  const connect = (events: LinkEvents): Link => new ZmqLink(options, modules, events);
  const { blockTimeSeconds } = params;
  return new LinkFeed(
    { ...options, chain, kind: "zmq", url: address.display, blockTimeSeconds },
    { ...modules, connect },
  );
}

class ZmqLink implements Link {
  readonly #address: ZmqAddress;
  /** Null where loose transactions are not wanted. */
  readonly #transactions: ZmqTransactions | null;
  readonly #modules: ZmqFeedModules;
  readonly #events: LinkEvents;
  readonly #client: RpcClient | null;
  readonly #node: RpcNode | null;
  readonly #follower: TipFollower;
  readonly #sequences = new SequenceTracker();
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #socket: zeromq.Subscriber | null = null;
  #transactionSocket: zeromq.Subscriber | null = null;
  #cancelSecondLook: Cancel = () => {};
  /** The tip to repair up to: a hash, or "best" for whatever the node has. */
  #wanted: string | null = null;
  #repairing: Promise<void> | null = null;

  constructor(options: ZmqFeedOptions, modules: ZmqFeedModules, events: LinkEvents) {
    const { address, transactions = false } = options;
    this.#address = address;
    const { clock } = modules;
    const onGap = (gap: SequenceGap): void => modules.onGap?.(gap);
    this.#transactions = transactions
      ? new ZmqTransactions({ clock, onGap, onPending: (batch) => events.pending(batch) })
      : null;
    this.#modules = modules;
    this.#events = events;
    const opened = address.rpc === null ? null : openRpcNode(address.rpc, modules);
    this.#client = opened?.client ?? null;
    this.#node = opened?.node ?? null;
    this.#follower = new TipFollower(
      { via: "zmq" },
      {
        node: this.#node,
        clock: modules.clock,
        announce: (announcements, height) => {
          if (height !== null) events.told({ height });
          events.announce(announcements);
        },
      },
    );
    // Nothing is told before the feed has this link.
    this.#ended = Promise.resolve().then(() => this.#run());
  }

  /** Empty where there is no RPC to ask. */
  async headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly UtxoHeader[]> {
    return this.#node === null ? [] : this.#node.headersAfter(locator, signal);
  }

  async body(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#node !== null) return this.#node.body(hash, signal);
    throw new SprintError("SPRINT_UPSTREAM_NOT_FOUND", `no RPC to ask for block ${hash}: add rpc= to the URL`, {
      hash,
    });
  }

  async mempool(signal: AbortSignal): Promise<MempoolFigures> {
    if (this.#node !== null) return this.#node.mempool(signal);
    throw new SprintError("SPRINT_UPSTREAM_UNSUPPORTED", "no RPC to ask for the mempool: add rpc= to the URL");
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#cancelSecondLook();
    this.#transactions?.stop();
    this.#transactionSocket?.close();
    this.#socket?.close();
    await this.#client?.close();
    await this.#ended;
    await this.#repairing;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    try {
      await this.#identify(signal);
      const socket = await this.#open();
      // Closed while the package was loading: this socket is not known to `close`.
      if (signal.aborted) return socket.close();
      await this.#handshake(socket);
      this.#events.up();
      this.#followTransactions();
      // What came between the RPC's tip and now, and once more when the subscription is surely there.
      this.#repairTo("best");
      this.#cancelSecondLook = this.#modules.clock.after(SUBSCRIPTION_SETTLES_MS, () => this.#repairTo("best"));
      for await (const frames of socket) {
        if (signal.aborted) return;
        this.#onMessage(frames, this.#modules.clock.now());
      }
    } catch (error) {
      this.#lost(error);
    }
  }

  async #identify(signal: AbortSignal): Promise<void> {
    if (this.#node === null) {
      this.#events.told({ agent: "a ZMQ publisher without RPC: its gaps cannot be filled" });
      return;
    }
    const tip = await this.#node.identify(signal);
    const agent = await this.#node.agent(signal);
    this.#follower.startAt(tip);
    this.#events.told({ height: tip.height, ...(agent === null ? {} : { agent }) });
  }

  async #open(): Promise<zeromq.Subscriber> {
    const zmq = await this.#load();
    const shared = { linger: 0, ipv6: this.#address.host.startsWith("[") };
    if (this.#transactions !== null && !this.#abort.signal.aborted) {
      this.#transactionSocket = new zmq.Subscriber({ ...shared, maxMessageSize: MAX_TRANSACTION_BYTES });
    }
    return new zmq.Subscriber({
      ...shared,
      receiveHighWaterMark: RECEIVE_HIGH_WATER_MARK,
      maxMessageSize: this.#modules.codec.params.maxBlockBytes + MESSAGE_SLACK_BYTES,
      heartbeatInterval: HEARTBEAT_MS,
      heartbeatTimeout: HEARTBEAT_MS,
      // The feed dials again, behind its breaker.
      reconnectInterval: -1,
    });
  }

  async #load(): Promise<Zmq> {
    try {
      return await (this.#modules.load ?? loadZmq)();
    } catch (cause) {
      throw new SprintError(
        "SPRINT_UPSTREAM_ZMQ_MISSING",
        `zmq+tcp:// needs the optional package "zeromq", which is not installed or does not load here (${messageOf(cause)}); ` +
          "install it, or use p2p:// or http:// for this node",
        {},
        { cause },
      );
    }
  }

  /** Resolves when both sides speak ZMTP; from then on a broken connection is `lost`. */
  #handshake(socket: zeromq.Subscriber): Promise<void> {
    const { host, port } = this.#address;
    const { signal } = this.#abort;
    const address = `tcp://${host}:${port}`;
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      const unreachable = (): void =>
        reject(zmqProblem("UNREACHABLE", `expected a ZMQ publisher at ${address}, nobody takes the connection`));
      const noZmq = (): void =>
        reject(
          zmqProblem(
            "HANDSHAKE",
            `expected a ZMQ publisher at ${address}, it does not speak ZMQ; is this the zmqpub port?`,
          ),
        );
      socket.events.on("handshake", () => resolve());
      socket.events.on("handshake:error:protocol", noZmq);
      socket.events.on("handshake:error:auth", noZmq);
      socket.events.on("handshake:error:other", noZmq);
      socket.events.on("close", unreachable);
      socket.events.on("disconnect", () => {
        noZmq();
        this.#lost(zmqProblem("DISCONNECTED", `the ZMQ publisher at ${address} ended the connection`));
      });
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      for (const topic of TOPICS) socket.subscribe(topic);
      socket.connect(address);
    });
  }

  /** Broken, this socket connects again by itself: the one of the blocks says whether the publisher is there. */
  #followTransactions(): void {
    const socket = this.#transactionSocket;
    if (socket === null || this.#transactions === null) return;
    for (const topic of TRANSACTION_TOPICS) socket.subscribe(topic);
    socket.connect(`tcp://${this.#address.host}:${this.#address.port}`);
    this.#transactions.follow(socket, this.#abort.signal).catch((error: unknown) => this.#lost(error));
  }

  #onMessage(frames: readonly zeromq.Message[], receivedAt: number): void {
    const [topicFrame, body, counter] = frames;
    const topic = topicFrame?.toString("latin1") ?? "";
    if (body === undefined || counter?.length !== 4 || frames.length !== 3) throw malformed(topic, frames);
    const gap = this.#sequences.seen(topic, counter.readUInt32LE());
    if (gap !== null) {
      this.#modules.onGap?.(gap);
      this.#repairTo("best");
    }
    switch (topic) {
      case "hashblock":
        if (body.length !== 32) throw malformed(topic, frames);
        return this.#repairTo(body.toString("hex"));
      case "rawblock": {
        const { header } = this.#modules.codec.decodeHeader(body);
        if (!this.#follower.pushed(header, body, receivedAt)) this.#repairTo(header.hash);
        return;
      }
      case "sequence":
        if (body.length < 33) throw malformed(topic, frames);
        if (body[32] === CONNECTED) this.#repairTo(body.toString("hex", 0, 32));
        return;
      default:
        // Subscriptions go by prefix: a topic of a later version.
        return;
    }
  }

  /** One repair at a time; of several wishes the last counts, for it leads to the others. */
  #repairTo(tip: string): void {
    if (this.#node === null || this.#follower.knows(tip) || this.#abort.signal.aborted) return;
    this.#wanted = tip;
    this.#repairing ??= this.#repair(this.#node)
      .catch((error: unknown) => this.#lost(error))
      .finally(() => (this.#repairing = null));
  }

  async #repair(node: RpcNode): Promise<void> {
    const { signal } = this.#abort;
    while (this.#wanted !== null && !signal.aborted) {
      const tip = this.#wanted;
      this.#wanted = null;
      await this.#follower.advance(tip === "best" ? await node.bestHash(signal) : tip, signal);
    }
  }

  #lost(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#events.lost(asLost(error));
  }
}

/** `C` of a `sequence` message. */
const CONNECTED = 0x43;

/** A CommonJS package: bundled, only its default is to be relied on. */
async function loadZmq(): Promise<Zmq> {
  const loaded = await import("zeromq");
  return (loaded as Zmq & { readonly default?: Zmq }).default ?? loaded;
}

function malformed(topic: string, frames: readonly zeromq.Message[]): SprintError {
  const sizes = frames.map((frame) => frame.length).join(", ");
  const shown = JSON.stringify(topic.slice(0, 32));
  return zmqProblem(
    "MESSAGE",
    `expected topic, body and a counter of 4 bytes, got a message of topic ${shown} with frames of ${sizes} bytes`,
  );
}

function zmqProblem(what: "UNREACHABLE" | "HANDSHAKE" | "DISCONNECTED" | "MESSAGE", message: string): SprintError {
  return new SprintError(`SPRINT_UPSTREAM_ZMQ_${what}`, message);
}
