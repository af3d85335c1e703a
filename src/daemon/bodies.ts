/** Block bodies, oldest first, behind the fan-out: fetched from one upstream after the other, proved in a worker, told to the ingest. */
import type { Cancel, Clock } from "../shared/clock.ts";
import { bounded } from "./bounded.ts";
import type { ChainCodec, Refusal } from "./chain/index.ts";
import type { Prover } from "./prove/index.ts";
import type { ChainIngest, TreeNode } from "./relay/index.ts";
import type { Feed } from "./upstream/index.ts";

export interface BodiesOptions {
  /** One body from one upstream. */
  readonly bodyTimeoutMs: number;
  /** A body that no upstream gave for this long is given up with a gap. */
  readonly bodyGiveUpMs: number;
}

export interface BodiesModules {
  readonly codec: ChainCodec;
  readonly ingest: ChainIngest;
  readonly prover: Pick<Prover, "check">;
  readonly clock: Clock;
  /** Who can be asked now; `signal` is aborted when that one is gone. */
  readonly sources: () => readonly { readonly feed: Feed; readonly signal: AbortSignal }[];
  /** The upstream sent a body that does not hold. */
  readonly onRefused: (feed: Feed, hash: string, refusal: Refusal) => void;
  /** The block itself breaks a rule: it is out, for good. Called before the ingest hears of it. */
  readonly onInvalid: (hash: string, refusal: Refusal) => void;
  /** A block was taken back although it may be right: an honest upstream may have it. */
  readonly onWithdrawn: () => void;
  readonly onTrouble: (feed: Feed | null, doing: string, error: unknown) => void;
  readonly onBodyProved: (milliseconds: number) => void;
}

/** A body, and who gave it. */
export interface GivenBody {
  readonly raw: Uint8Array;
  readonly feed: Feed;
}

/** Bodies that came along with their headers and wait for their turn. */
const MAX_KEPT = 4;
/** Blocks that were asked about and wait for their turn; more are not taken. */
const MAX_OLDER = 2_000;
const RETRY_MS = 1_000;

export class Bodies {
  readonly #options: BodiesOptions;
  readonly #modules: BodiesModules;
  readonly #kept = new Map<string, GivenBody>();
  readonly #older = new Set<string>();
  #proving = false;
  #closed = false;
  #cancelRetry: Cancel = () => {};

  constructor(options: BodiesOptions, modules: BodiesModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** A body that came along with its header need not be asked for. */
  keep(hash: string, body: GivenBody): void {
    bounded(this.#kept, hash, body, MAX_KEPT);
  }

  /** Blocks from before the stream that somebody asks about: proved once, after those of the stream. */
  proveOlder(hashes: readonly string[]): void {
    for (const hash of hashes) if (this.#older.size < MAX_OLDER) this.#older.add(hash);
    if (hashes.length > 0) void this.prove();
  }

  /** Goes on until no block of the best chain waits; called again while at it, does nothing. */
  async prove(): Promise<void> {
    const { ingest, clock, sources, onTrouble } = this.#modules;
    if (this.#proving || this.#closed || !ingest.provesBodies) return;
    this.#proving = true;
    const failed = (error: unknown): boolean => {
      if (!this.#closed) onTrouble(null, "proving a body", error);
      return false;
    };
    try {
      for (let node = ingest.nextUnvalidated(); node !== null; node = ingest.nextUnvalidated()) {
        const done = await this.#proveOne(node).catch(failed);
        if (this.#closed) return;
        if (done) continue;
        if (sources().length > 0 && clock.now() - ingest.originOf(node).receivedAt > this.#options.bodyGiveUpMs) {
          ingest.withoutBody(node.block.hash);
          continue;
        }
        this.#cancelRetry();
        this.#cancelRetry = clock.after(RETRY_MS, () => void this.prove());
        return;
      }
      for (const hash of this.#older) {
        const node = ingest.tree.get(hash);
        if (node !== undefined && ingest.mayBeProved(node)) await this.#proveOne(node).catch(failed);
        this.#older.delete(hash);
        if (this.#closed || ingest.nextUnvalidated() !== null) break;
      }
    } finally {
      this.#proving = false;
    }
    if (this.#older.size > 0) void this.prove();
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry();
    this.#kept.clear();
    this.#older.clear();
  }

  /** Asks one upstream after the other; false when none could give the body now. */
  async #proveOne(node: TreeNode): Promise<boolean> {
    const { hash, height } = node.block;
    const { ingest, codec, prover, clock, onBodyProved, onRefused, onInvalid, onWithdrawn } = this.#modules;
    let mutated = false;
    for await (const { raw, feed } of this.#given(hash)) {
      const startedAt = clock.now();
      const verdict = await prover.check(codec.chain, codec.network, raw, height);
      if (this.#closed) return false;
      onBodyProved(clock.now() - startedAt);
      if (verdict.ok) {
        ingest.validated(hash, verdict.facts);
        return true;
      }
      mutated = isMutation(verdict.refusal);
      if (!mutated) onInvalid(hash, verdict.refusal);
      onRefused(feed, hash, verdict.refusal);
      if (!mutated) {
        ingest.invalid(hash);
        return true;
      }
    }
    // Only bytes that do not belong to it were to be had: the block is withdrawn, and comes again where an honest node has it.
    if (!mutated || this.#closed) return false;
    ingest.invalid(hash);
    onWithdrawn();
    return true;
  }

  /** The body as it came along, then from the upstream that was first, then from the others. */
  async *#given(hash: string): AsyncGenerator<GivenBody> {
    const { ingest, sources, onTrouble } = this.#modules;
    const kept = this.#kept.get(hash);
    this.#kept.delete(hash);
    if (kept !== undefined) yield kept;
    const first = ingest.announcedBy(hash);
    const inOrder = sources().toSorted((a, b) => Number(b.feed.name === first) - Number(a.feed.name === first));
    for (const { feed, signal } of inOrder) {
      if (signal.aborted) continue;
      try {
        const either = AbortSignal.any([signal, AbortSignal.timeout(this.#options.bodyTimeoutMs)]);
        yield { raw: await feed.body(hash, either), feed };
      } catch (error) {
        if (!signal.aborted) onTrouble(feed, "fetching a body", error);
      }
    }
  }
}

/** The bytes do not belong to the header: whoever sent them is wrong, the block may be right (CVE-2012-2459 and kin). */
function isMutation(refusal: Refusal): boolean {
  return refusal.data["mutated"] === true;
}
