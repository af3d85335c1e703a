/**
 * Loose transactions of a ZMQ publisher, over a socket of its own: a node publishes each transaction of a block once more as `rawtx` before it
 * tells the block, and that flood must not stand in a queue before a block.
 *
 *   rawtx     a transaction that came into the mempool, or into the chain with a block
 *   sequence  txid, 32 bytes in display order, `A` accepted to or `R` removed from the mempool, its sequence number (8 bytes, little-endian)
 *
 * Where the node publishes `sequence`, only what was accepted is told, so that blocks tell nothing here; else whatever was not told before.
 * Reading is paced, and what does not fit is dropped by the publisher, which `onGap` hears of.
 */
import type * as zeromq from "zeromq";
import type { PendingTransaction } from "../../shared/body.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { RecentSet, idsOf } from "./p2p-transactions.ts";
import { type SequenceGap, SequenceTracker } from "./zmq-sequence.ts";

export const TRANSACTION_TOPICS = ["rawtx", "sequence"] as const;

export interface ZmqTransactionsModules {
  readonly clock: Clock;
  readonly onPending: (transactions: readonly PendingTransaction[]) => void;
  readonly onGap: (gap: SequenceGap) => void;
}

const BATCH_MS = 50;
/** Messages that are read in this time: about 2 ms of work. */
const PER_BATCH = 200;
const REMEMBERED = 50_000;
const MAX_HELD = 2_000;
const MAX_HELD_BYTES = 16_000_000;
const ACCEPTED = 0x41;
const REMOVED = 0x52;

interface Held {
  raw: Uint8Array | null;
  accepted: boolean;
  /** Its other half may still be on its way: looked at once more. */
  waited: boolean;
}

export class ZmqTransactions {
  readonly #modules: ZmqTransactionsModules;
  readonly #told = new RecentSet(REMEMBERED);
  readonly #held = new Map<string, Held>();
  readonly #counters = new SequenceTracker();
  #heldBytes = 0;
  /** The node publishes what comes into its mempool. */
  #sequenced = false;
  /** The last number of the mempool. */
  #mempoolAt: number | null = null;
  #cancel: Cancel | null = null;

  constructor(modules: ZmqTransactionsModules) {
    this.#modules = modules;
  }

  /** Reads until the socket is closed. */
  async follow(socket: AsyncIterable<readonly zeromq.Message[]>, signal: AbortSignal): Promise<void> {
    let count = 0;
    for await (const [topic, body, counter] of socket) {
      if (signal.aborted) return;
      if (topic !== undefined && body !== undefined && counter?.length === 4) {
        this.receive(topic.toString("latin1"), body, counter.readUInt32LE());
      }
      if (++count % PER_BATCH === 0) await new Promise<void>((resolve) => this.#modules.clock.after(BATCH_MS, resolve));
    }
  }

  receive(topic: string, body: Buffer, counter: number): void {
    const gap = this.#counters.seen(topic, counter);
    // Of the topic that the blocks' socket hears too, it tells.
    if (gap !== null && topic === "rawtx") this.#modules.onGap(gap);
    if (topic === "rawtx") return this.#receiveRaw(body);
    if (topic === "sequence" && body.length === 41) this.#receiveSequence(body);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#held.clear();
  }

  #receiveRaw(raw: Buffer): void {
    if (this.#heldBytes + raw.length > MAX_HELD_BYTES || isCoinbase(raw)) return;
    const txid = idsOf(raw)?.txid;
    const held = txid === undefined ? null : this.#hold(txid);
    if (held === null || held.raw !== null) return;
    held.raw = Uint8Array.from(raw);
    this.#heldBytes += raw.length;
  }

  #receiveSequence(body: Buffer): void {
    const label = body[32];
    if (label !== ACCEPTED && label !== REMOVED) return;
    this.#sequenced = true;
    const at = Number(body.readBigUInt64LE(33));
    const expected = this.#mempoolAt === null ? at : this.#mempoolAt + 1;
    this.#mempoolAt = at;
    if (at !== expected) {
      this.#modules.onGap({ topic: "mempool", cause: at < expected ? "restarted" : "lost", expected, got: at });
    }
    const held = label === ACCEPTED ? this.#hold(body.toString("hex", 0, 32)) : null;
    if (held !== null) held.accepted = true;
  }

  /** Null for what was told, and where there is no room. */
  #hold(txid: string): Held | null {
    const present = this.#held.get(txid);
    if (present !== undefined) return present;
    if (this.#told.has(txid) || this.#held.size >= MAX_HELD) return null;
    const held: Held = { raw: null, accepted: false, waited: false };
    this.#held.set(txid, held);
    this.#cancel ??= this.#modules.clock.after(BATCH_MS, () => this.#flush());
    return held;
  }

  #flush(): void {
    this.#cancel = null;
    const batch: PendingTransaction[] = [];
    for (const [txid, held] of this.#held) {
      const whole = held.raw !== null && (held.accepted || !this.#sequenced);
      if (!whole && !held.waited) {
        held.waited = true;
        continue;
      }
      this.#held.delete(txid);
      this.#heldBytes -= held.raw?.length ?? 0;
      // Bytes that nobody accepted came with a block.
      this.#told.add(txid);
      if (whole || held.accepted) batch.push({ txid, raw: held.raw, evm: null });
    }
    if (this.#held.size > 0) this.#cancel = this.#modules.clock.after(BATCH_MS, () => this.#flush());
    if (batch.length > 0) this.#modules.onPending(batch);
  }
}

/** One input, and that one names no output. */
function isCoinbase(raw: Buffer): boolean {
  const at = raw[4] === 0 ? 6 : 4;
  return raw[at] === 1 && raw.length > at + 33 && raw.subarray(at + 1, at + 33).every((byte) => byte === 0);
}
