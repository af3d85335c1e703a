/** The journey of a block: from an upstream's announcement to the subscribers. One Pipeline per chain.
 *
 *    announce ─▶ line ─▶ work proved ─▶ parent known ─▶ context holds ─▶ ingest ─▶ hub   (one tick where the proof is synchronous)
 *                            │               │ no: held, the gap is filled in order from the same upstream
 *                            └─ refused: that upstream's fault, recorded and cordoned
 *    ingest ─▶ next block without a proved body ─▶ fetched ─▶ proved in a worker ─▶ ingest (validated)
 */
import type { WatchSet } from "../../shared/body.ts";
import type { Clock } from "../../shared/clock.ts";
import { isSprintError, messageOf, type SprintError } from "../../shared/errors.ts";
import { Bodies } from "./bodies.ts";
import { bounded } from "./bounded.ts";
import type { ChainCodec, Header, Refusal } from "../chain/index.ts";
import { type FeedRecord, type Item, type Proof, recordOf } from "./feedrecord.ts";
import { Filling, withHash } from "./filling.ts";
import { Heads } from "./heads.ts";
import type { ProofSubject, Prover } from "../prove/index.ts";
import { Finality } from "./finality.ts";
import { Rooting } from "./rooting.ts";
import type { ChainIngest, RaceLedger } from "../relay/index.ts";
import type { Announcement, ChainPoint, Feed, FeedSink } from "../upstream/index.ts";

export interface PipelineOptions {
  /** One answer to `headersAfter`. */
  readonly fillTimeoutMs: number;
  /** One body from one upstream. */
  readonly bodyTimeoutMs: number;
  /** How long an upstream stays out after a fault. */
  readonly cordonMs: number;
  /** Headers waiting for their proof, of one upstream; more is a flood. */
  readonly maxLinePerFeed: number;
  /** A body that no upstream gave for this long is given up with a gap. */
  readonly bodyGiveUpMs: number;
  /** An upstream this many blocks behind the served tip for `behindMs` is taken out. */
  readonly behindBlocks: number;
  readonly behindMs: number;
}

export const PIPELINE_DEFAULTS: PipelineOptions = {
  fillTimeoutMs: 20_000,
  bodyTimeoutMs: 20_000,
  bodyGiveUpMs: 120_000,
  cordonMs: 600_000,
  maxLinePerFeed: 6_000,
  behindBlocks: 3,
  behindMs: 120_000,
};

/** Some nodes are asked every second or two, and some are a few seconds away: where blocks come faster than that, that is many blocks. */
const BEHIND_SECONDS = 60;

export function behindBlocksOf(blockTimeSeconds: number): number {
  return Math.max(PIPELINE_DEFAULTS.behindBlocks, Math.ceil(BEHIND_SECONDS / blockTimeSeconds));
}

export interface PipelineModules {
  readonly codec: ChainCodec;
  readonly ingest: ChainIngest;
  readonly race: RaceLedger;
  readonly prover: Pick<Prover, "check">;
  /** The codec's name in a worker. */
  readonly subject: ProofSubject;
  /** What bodies are read for; null: they are proved only. */
  readonly watch: () => WatchSet | null;
  readonly clock: Clock;
  readonly onFault: (feed: Feed, refusal: Refusal) => void;
  /** A recoverable failure while filling or fetching; the upstream keeps its place. */
  readonly onTrouble: (feed: Feed | null, doing: string, error: unknown) => void;
  readonly onBodyProved: (milliseconds: number) => void;
  /** The upstream pushed a valid block before all others. */
  readonly onFirst: (feed: Feed) => void;
  /** How many upstreams there are that may tell where the chain begins, up or not. Default: one. */
  readonly sources?: () => number;
  /** What was published goes out now: the rest of this turn can wait. */
  readonly flush?: () => void;
}

/** Proofs that may run ahead of the head of the line (scrypt runs in the thread pool). */
const LOOKAHEAD = 8;
const MAX_REFUSED = 1_000;

/** The node's clock and ours may differ by honest minutes: such a header is asked for again later, its upstream stays. */
const NOT_A_FAULT: ReadonlySet<string> = new Set(["SPRINT_HEADER_TIME_TOO_NEW", "SPRINT_EVM_TIME_TOO_NEW"]);

export class Pipeline implements FeedSink {
  readonly #options: PipelineOptions;
  readonly #modules: PipelineModules;
  readonly #feeds = new Map<Feed, FeedRecord>();
  readonly #line: Item[] = [];
  readonly #lineEmpty: (() => void)[] = [];
  readonly #refused = new Map<string, Refusal>();
  /** Not taken yet by no fault of anybody; what builds on them is not held against who sends it. */
  readonly #early = new Map<string, true>();
  readonly #bodies: Bodies;
  readonly #rooting: Rooting;
  readonly #filling: Filling;
  /** Null where the best chain is chosen by work. */
  readonly #heads: Heads<Feed> | null;
  /** What each upstream counts as final. */
  readonly #finality = new Finality<Feed>();
  #waiting = false;
  #draining = false;
  #closed = false;

  constructor(options: PipelineOptions, modules: PipelineModules) {
    this.#options = options;
    this.#modules = modules;
    this.#heads = modules.codec.forkChoice === "heads" ? new Heads() : null;
    const { codec, subject, ingest, prover, clock, watch, onTrouble, onBodyProved } = modules;
    this.#bodies = new Bodies(options, {
      codec,
      subject,
      ingest,
      prover,
      clock,
      watch,
      onTrouble,
      onBodyProved,
      sources: () => [...this.#feeds.values()].map(({ feed, abort }) => ({ feed, signal: abort.signal })),
      onRefused: (feed, hash, refusal) => this.#fault(feed, withHash(refusal, hash)),
      onInvalid: (hash, refusal) => bounded(this.#refused, hash, refusal, MAX_REFUSED),
      onRemoved: () => this.#elect(clock.now()),
      onWithdrawn: () => {
        for (const record of this.#feeds.values()) void this.#filling.fill(record);
      },
    });
    this.#rooting = new Rooting({
      codec,
      ingest,
      clock,
      isUp: (record) => this.#isUp(record),
      sources: modules.sources ?? (() => 1),
      onFault: (feed, refusal) => this.#fault(feed, refusal),
    });
    this.#filling = new Filling(options, {
      codec,
      ingest,
      clock,
      isUp: (record) => this.#isUp(record),
      rooting: this.#rooting,
      take: (record, headers, receivedAt) => this.#takeAsked(record, headers, receivedAt),
      release: (held) => this.#release(held),
      onReached: (record, hash, height, receivedAt) => {
        this.#reached(record, hash, height, false);
        this.#elect(receivedAt);
      },
      onFault: (feed, refusal) => this.#fault(feed, refusal),
      onTrouble,
    });
  }

  up(feed: Feed): void {
    if (this.#closed) return;
    const record = recordOf(feed);
    this.#feeds.set(feed, record);
    void this.#filling.fill(record);
  }

  /** The highest block that this upstream is known to have, null while it is not up. */
  heightOf(feed: Feed): number | null {
    return this.#feeds.get(feed)?.height ?? null;
  }

  down(feed: Feed): void {
    this.#finality.withdraw(feed);
    const record = this.#feeds.get(feed);
    if (record === undefined) return;
    this.#feeds.delete(feed);
    this.#heads?.lost(feed);
    record.cancelRefill();
    record.abort.abort();
  }

  /** The upstream counts a block as final. Where that is not here yet, it counts when it comes. */
  finalized(feed: Feed, point: ChainPoint): void {
    this.#finality.put(feed, point);
    this.#settleFinality();
  }

  /** No vote is needed to know that one of its words is wrong. */
  contradicted(feed: Feed, { code, message, data }: SprintError): void {
    this.#fault(feed, { code, message, data });
  }

  #settleFinality(): void {
    const { ingest } = this.#modules;
    const height = this.#finality.height(ingest.tree);
    if (height !== null) ingest.finalizedUpTo(height);
  }

  /** The upstream will not come back: its votes count no more. */
  forget(feed: Feed): void {
    this.#heads?.withdraw(feed);
    this.#elect(this.#modules.clock.now());
  }

  announce(feed: Feed, announcements: readonly Announcement[]): void {
    const record = this.#feeds.get(feed);
    if (record === undefined) return;
    for (const announcement of announcements) {
      const item: Item = { record, announcement, pushed: true, waited: false, proof: undefined };
      // While its gap is being filled nothing newer of that upstream goes ahead.
      if (record.filling && !this.#modules.ingest.tree.has(announcement.header.parentHash))
        this.#filling.hold(record, item);
      else this.#enqueue(record, item);
    }
    this.#drain();
  }

  /** Asks every upstream for what it has after our tip, and takes out those that stay behind. A row of the periodic tasks. */
  checkFeeds(): void {
    const tip = this.#modules.ingest.tree.tip.block.height;
    const now = this.#modules.clock.now();
    for (const record of this.#feeds.values()) {
      if (record.height >= tip - this.#options.behindBlocks) record.behindSince = null;
      else record.behindSince ??= now;
      if (record.behindSince !== null && now - record.behindSince >= this.#options.behindMs) {
        this.#fault(record.feed, {
          code: "SPRINT_UPSTREAM_BEHIND",
          message: `expected blocks up to ${tip}, this upstream stayed at ${record.height}; is it still syncing?`,
          data: { expected: tip, actual: record.height },
        });
      } else {
        void this.#filling.fill(record);
      }
    }
  }

  /** Proves the bodies of blocks that came before the stream began: a returning subscriber asks about them. */
  prove(blocks: readonly { readonly hash: string }[]): void {
    this.#bodies.proveOlder(blocks.map(({ hash }) => hash));
  }

  close(): void {
    this.#closed = true;
    this.#bodies.close();
    this.#rooting.close();
    for (const feed of this.#feeds.keys()) this.down(feed);
    this.#line.length = 0;
    this.#settleLine();
  }

  // --- the line: headers in the order in which they came, proved one after the other ---

  #isUp(record: FeedRecord): boolean {
    return this.#feeds.get(record.feed) === record;
  }

  #enqueue(record: FeedRecord, item: Item): void {
    // A fault of what stood before it in the same message has taken the upstream out.
    if (!this.#isUp(record)) return;
    if (record.inLine >= this.#options.maxLinePerFeed) {
      this.#fault(record.feed, {
        code: "SPRINT_UPSTREAM_FLOOD",
        message: `expected at most ${this.#options.maxLinePerFeed} headers waiting for their proof, this upstream sent more`,
        data: { expected: this.#options.maxLinePerFeed },
      });
      return;
    }
    record.inLine++;
    this.#line.push(item);
  }

  /** Headers that an upstream was asked for. */
  async #takeAsked(record: FeedRecord, headers: readonly Header[], receivedAt: number): Promise<void> {
    for (const header of headers) {
      const announcement: Announcement = { header, via: "headers", receivedAt, txCount: null, body: null };
      this.#enqueue(record, { record, announcement, pushed: false, waited: false, proof: undefined });
    }
    this.#drain();
    await this.#lineSettled();
  }

  #release(held: readonly Item[]): void {
    for (const item of held) this.#enqueue(item.record, item);
    this.#drain();
  }

  #drain(): void {
    if (this.#waiting) this.#proveAhead();
    if (this.#waiting || this.#draining) return;
    this.#draining = true;
    let takenAt: number | null = null;
    for (let item = this.#line[0]; item !== undefined && !this.#waiting; item = this.#line[0]) {
      if (item.proof === undefined) this.#proveAhead();
      const proof = item.proof ?? null;
      if (proof instanceof Promise) {
        this.#waiting = true;
        const settled = item;
        void proof.then((proved) => {
          settled.proof = proved;
          this.#waiting = false;
          this.#drain();
        });
      } else {
        this.#line.shift();
        if (!this.#isUp(item.record)) continue;
        item.record.inLine--;
        if (proof !== "unproved") this.#take(item, proof);
        takenAt = item.announcement.receivedAt;
      }
    }
    this.#draining = false;
    if (takenAt !== null && this.#line.length === 0) this.#elect(takenAt);
    if (this.#line.length === 0) this.#settleLine();
    // After the fan-out, which the hub has put at the end of this turn.
    queueMicrotask(() => void this.#bodies.prove());
  }

  /** Begins the proofs at the head of the line; of those that need no thread only the first, so that its block goes out at once. */
  #proveAhead(): void {
    for (let ahead = 0; ahead < LOOKAHEAD; ahead++) {
      const item = this.#line[ahead];
      if (item === undefined) return;
      item.proof ??= this.#proofOf(item);
      if (!(item.proof instanceof Promise)) return;
    }
  }

  /** Null where nothing has to be proved: the block is known already, or its upstream is gone. */
  #proofOf({ record, announcement: { header } }: Item): Proof | Promise<Proof> {
    const { codec, ingest, onTrouble } = this.#modules;
    if (!this.#isUp(record) || ingest.tree.has(header.hash)) return null;
    const failed = (error: unknown): "unproved" => {
      onTrouble(record.feed, "proving a header", error);
      return "unproved";
    };
    try {
      const proof = codec.checkHeader(header);
      return proof instanceof Promise ? proof.catch(failed) : proof;
    } catch (error) {
      return failed(error);
    }
  }

  #settleLine(): void {
    for (const resolve of this.#lineEmpty.splice(0)) resolve();
  }

  /** Resolves when all that stands in line now has been admitted or refused. */
  #lineSettled(): Promise<void> {
    if (this.#line.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#lineEmpty.push(resolve));
  }

  // --- one header ---

  /** What a codec throws is its own fault, and nobody else's: the header is left, and comes again with the next fill. */
  #take(item: Item, refusal: Refusal | null): void {
    try {
      this.#admit(item.record, item, refusal);
    } catch (error) {
      this.#modules.onTrouble(item.record.feed, "taking a header", error);
    }
  }

  #admit(record: FeedRecord, item: Item, workRefusal: Refusal | null): void {
    const { ingest, codec, clock, onFirst } = this.#modules;
    const { header, body, receivedAt } = item.announcement;
    const known = ingest.tree.get(header.hash);
    if (known !== undefined) {
      this.#reached(record, known.block.hash, known.block.height, isNews(item));
      this.#recordArrival(item, known.block.height);
      return;
    }
    // Not remembered by hash: that does not cover an AuxPoW, and one bad proof must not stain the block.
    const refusal = workRefusal ?? this.#refused.get(header.hash) ?? this.#refused.get(header.parentHash);
    if (refusal !== null && refusal !== undefined) {
      this.#fault(record.feed, withHash(refusal, header.hash));
      return;
    }
    const parent = ingest.tree.get(header.parentHash);
    if (parent === undefined && this.#early.has(header.parentHash)) {
      bounded(this.#early, header.hash, true, MAX_REFUSED);
      return;
    }
    if (parent === undefined) {
      this.#filling.hold(record, item);
      void this.#filling.fill(record);
      return;
    }
    const contextRefusal = codec.checkContext(header, parent, Math.floor(clock.wall() / 1000));
    if (contextRefusal !== null) {
      this.#refuse(record, header, contextRefusal);
      return;
    }
    const block = codec.toBlock(header, parent.block.height + 1, null);
    const { txCount } = item.announcement;
    const outcome = ingest.accept({
      block: txCount === null ? block : Object.freeze({ ...block, txCount }),
      work: codec.weight(header),
      upstream: record.feed.name,
      receivedAt,
    });
    if (outcome === "past_finality") {
      this.#fault(record.feed, pastFinality(ingest.finalized, block));
      return;
    }
    // The last of those that came together: the books can wait.
    if (this.#line.length === 0) this.#modules.flush?.();
    // No room among the forks: what builds on it is no fault of who sends it.
    if (outcome === "full") return void bounded(this.#early, header.hash, true, MAX_REFUSED);
    this.#reached(record, block.hash, block.height, isNews(item));
    this.#recordArrival(item, block.height);
    if (item.pushed) onFirst(record.feed);
    if (body !== null && ingest.provesBodies) this.#bodies.keep(header.hash, { raw: body, feed: record.feed });
  }

  /** The upstream has this block; under `heads` it is where its chain ends now, unless something newer said that it goes on. */
  #reached(record: FeedRecord, hash: string, height: number, isNews: boolean): void {
    const { tree } = this.#modules.ingest;
    const node = tree.get(hash);
    if (!isNews && node !== undefined && this.#heads?.isPast(record.feed, node, tree) === true) return;
    record.height = this.#heads === null ? Math.max(record.height, height) : height;
    this.#heads?.put(record.feed, hash);
  }

  /** The votes are in: the chain they are for. */
  #elect(receivedAt: number): void {
    const { ingest } = this.#modules;
    if (this.#heads === null || !ingest.isRooted) return;
    const elected = this.#heads.elect(ingest.tree);
    if (ingest.prefer(elected, receivedAt)) return this.#settleFinality();
    // Whoever holds on to what leaves the chain before its final block is wrong, or we all are: it is taken out either way.
    for (const { feed, height } of this.#feeds.values()) {
      if (this.#heads.has(feed) && height < ingest.finalized)
        this.#fault(feed, pastFinality(ingest.finalized, elected.block));
    }
  }

  #recordArrival(item: Item, height: number): void {
    if (!item.pushed) return;
    const { header, via, receivedAt } = item.announcement;
    const { name } = item.record.feed;
    const { race, clock } = this.#modules;
    const wall = clock.wall() - (clock.now() - receivedAt);
    race.arrived({ hash: header.hash, height, upstream: name, via, at: receivedAt, wall });
  }

  #refuse(record: FeedRecord, header: Header, refusal: Refusal): void {
    if (NOT_A_FAULT.has(refusal.code)) {
      bounded(this.#early, header.hash, true, MAX_REFUSED);
      this.#modules.onTrouble(record.feed, "taking a header", refusal);
      return;
    }
    bounded(this.#refused, header.hash, refusal, MAX_REFUSED);
    this.#fault(record.feed, withHash(refusal, header.hash));
  }

  #fault(feed: Feed, refusal: Refusal): void {
    const { race, onFault, clock } = this.#modules;
    race.wrong({ upstream: feed.name, code: refusal.code, message: refusal.message, wall: clock.wall() });
    onFault(feed, refusal);
    this.down(feed);
    this.forget(feed);
    feed.cordon(`${refusal.code}: ${refusal.message}`, this.#options.cordonMs);
  }
}

/** A push overtakes an answer, and the answer that a push waited for overtakes that. */
function isNews({ pushed, waited }: Item): boolean {
  return pushed && !waited;
}

function pastFinality(final: number, block: { readonly hash: string; readonly height: number }): Refusal {
  return {
    code: "SPRINT_UPSTREAM_PAST_FINALITY",
    message: `expected a branch from block ${final} or later, this one leaves the chain before that`,
    data: { hash: block.hash, height: block.height },
  };
}

/** For logs: the code where there is one, and the sentence. */
export function describeTrouble(error: unknown): { code: string | null; message: string } {
  if (isSprintError(error)) return { code: error.code, message: error.message };
  if (typeof error === "object" && error !== null && "code" in error && "message" in error) {
    return { code: String(error.code), message: String(error.message) };
  }
  return { code: null, message: messageOf(error) };
}
