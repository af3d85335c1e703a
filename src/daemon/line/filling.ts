/** The gap behind a new or returning upstream: what it has after our tip is asked for, in order; what it pushed meanwhile waits. */
import type { Clock } from "../../shared/clock.ts";
import type { ChainCodec, Header, Refusal } from "../chain/index.ts";
import type { FeedRecord, Item } from "./feedrecord.ts";
import type { ChainIngest } from "../relay/index.ts";
import type { Rooting } from "./rooting.ts";
import type { Feed } from "../upstream/index.ts";

export interface FillingOptions {
  /** One answer to `headersAfter`. */
  readonly fillTimeoutMs: number;
}

export interface FillingModules {
  readonly codec: ChainCodec;
  readonly ingest: ChainIngest;
  readonly clock: Clock;
  /** The upstream is neither lost nor taken out. */
  readonly isUp: (record: FeedRecord) => boolean;
  /** Where the chain begins, while that is not known. */
  readonly rooting: Rooting;
  /** Resolves when these headers, which the upstream was asked for, are admitted or refused. */
  readonly take: (record: FeedRecord, headers: readonly Header[], receivedAt: number) => Promise<void>;
  /** What was held goes on. */
  readonly release: (held: readonly Item[]) => void;
  /** The upstream's chain ends with this block. */
  readonly onReached: (record: FeedRecord, hash: string, height: number, receivedAt: number) => void;
  readonly onFault: (feed: Feed, refusal: Refusal) => void;
  readonly onTrouble: (feed: Feed, doing: string, error: unknown) => void;
}

const MAX_HELD = 64;
const RETRY_FILL_MS = 1_000;
/** Of the P2P protocol, when there are more. */
const HEADERS_PER_ANSWER = 2_000;
const MAX_UNLINKED = 3;

export class Filling {
  readonly #options: FillingOptions;
  readonly #modules: FillingModules;

  constructor(options: FillingOptions, modules: FillingModules) {
    this.#options = options;
    this.#modules = modules;
  }

  hold(record: FeedRecord, item: Item): void {
    record.held.push({ ...item, waited: true, proof: undefined });
    // The fill brings everything that the node has: what is dropped here comes again with it.
    if (record.held.length > MAX_HELD) record.held.shift();
  }

  /** Asks until the upstream has nothing newer; called again while at it, does nothing. One that fails is tried again a little later. */
  async fill(record: FeedRecord): Promise<void> {
    const { ingest, clock, isUp, onTrouble } = this.#modules;
    if (record.filling || !isUp(record)) return;
    record.filling = true;
    record.cancelRefill();
    try {
      for (let more = true; more && isUp(record);) more = await this.#fillOnce(record);
      record.filling = false;
      if (!isUp(record)) return;
      if (ingest.isRooted) ingest.live(clock.now());
      this.#releaseHeld(record);
    } catch (error) {
      record.filling = false;
      if (!isUp(record)) return;
      onTrouble(record.feed, "filling the gap", error);
      record.cancelRefill = clock.after(RETRY_FILL_MS, () => void this.fill(record));
    }
  }

  /** One question and its answer; true when the node may have more. */
  async #fillOnce(record: FeedRecord): Promise<boolean> {
    const { ingest, clock, isUp, rooting, take, onReached } = this.#modules;
    const wasRooted = ingest.isRooted;
    const tipBefore = ingest.tree.tip;
    const signal = AbortSignal.any([record.abort.signal, AbortSignal.timeout(this.#options.fillTimeoutMs)]);
    const headers = await record.feed.headersAfter(wasRooted ? this.#locatorFor(record) : [], signal);
    const first = headers[0];
    const last = headers.at(-1);
    if (first === undefined || last === undefined || !isUp(record)) return false;
    if (!ingest.isRooted && !(await rooting.take(record, headers))) return false;
    const linked = headers.findIndex(({ hash, parentHash }) => ingest.tree.has(hash) || ingest.tree.has(parentHash));
    // Other upstreams gave the root meanwhile: asked again, this one answers from there.
    if (linked < 0 && !wasRooted) return true;
    if (linked < 0) {
      this.#blameUnlinked(record, first);
      return false;
    }
    const receivedAt = clock.now();
    const news = headers.slice(linked).filter((header) => !ingest.tree.has(header.hash));
    await take(record, news, receivedAt);
    const reached = ingest.tree.get(last.hash);
    if (reached !== undefined) onReached(record, last.hash, Math.max(record.height, reached.block.height), receivedAt);
    // A short answer ends a P2P node's chain, and some nodes never answer a question about nothing. Over RPC it is no end: a slow
    // node gives what it has in time, a reorg cuts one off.
    const isEnd = record.feed.kind === "p2p" && headers.length < HEADERS_PER_ANSWER;
    // Without news another upstream was faster: what comes after that is asked for.
    const hasMoved = news.length > 0 || ingest.tree.tip !== tipBefore;
    return !isEnd && hasMoved && ingest.tree.has(last.hash);
  }

  #locatorFor(record: FeedRecord): readonly string[] {
    const { codec, ingest } = this.#modules;
    const genesis = codec.forkChoice === "heads" || codec.genesisHash === null ? [] : [codec.genesisHash];
    return [...this.#standOf(record), ...ingest.tree.locator(), ...genesis];
  }

  /** Of an upstream that seems behind: the block that it was at. After our own tip it would have nothing, whether behind or not. */
  #standOf(record: FeedRecord): readonly string[] {
    const { tree } = this.#modules.ingest;
    const node = record.behindSince === null ? null : tree.at(Math.max(record.height, tree.oldest.block.height));
    return node === null ? [] : [node.block.locator];
  }

  #blameUnlinked(record: FeedRecord, { parentHash }: Header): void {
    const { codec, onFault } = this.#modules;
    onFault(record.feed, {
      code: "SPRINT_UPSTREAM_UNLINKED",
      message: `expected headers that follow our chain, the first one builds on ${parentHash}; is this node still syncing, or not on ${codec.chain} ${codec.network}?`,
      data: { parent: parentHash },
    });
  }

  /** After a fill: what waited goes on. What still has no parent waits for one more fill, then was never part of the node's chain. */
  #releaseHeld(record: FeedRecord): void {
    const { ingest, release, onFault } = this.#modules;
    const held = record.held;
    record.held = [];
    const coming = new Set(held.map((item) => item.announcement.header.hash));
    const unlinked = held.find(
      ({ announcement: { header } }) => !ingest.tree.has(header.parentHash) && !coming.has(header.parentHash),
    );
    record.unlinked = unlinked === undefined ? 0 : record.unlinked + 1;
    if (unlinked !== undefined && record.unlinked >= MAX_UNLINKED) {
      const { hash, parentHash } = unlinked.announcement.header;
      onFault(record.feed, {
        code: "SPRINT_UPSTREAM_UNLINKED",
        message: `expected the parent of ${hash} in the answer to getheaders, it was not there`,
        data: { hash, parent: parentHash },
      });
      return;
    }
    release(held);
  }
}

/** A refusal that says which block it is about. */
export function withHash(refusal: Refusal, hash: string): Refusal {
  return { ...refusal, data: { ...refusal.data, hash } };
}
