/** Block bodies, oldest first, behind the fan-out: fetched from one upstream after the other, proved in a worker, told to the ingest. */
import type { WatchSet } from "../../shared/body.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { isSprintError } from "../../shared/errors.ts";
import { bounded } from "./bounded.ts";
import type { BodyVerdict, ChainCodec, Refusal } from "../chain/index.ts";
import type { ProofSubject, Prover } from "../prove/index.ts";
import type { ChainIngest, TreeNode } from "../relay/index.ts";
import type { Feed } from "../upstream/index.ts";

export interface BodiesOptions {
  /** One body from one upstream. */
  readonly bodyTimeoutMs: number;
  /** A body that no upstream gave for this long is given up with a gap. */
  readonly bodyGiveUpMs: number;
}

export interface BodiesModules {
  readonly codec: Pick<ChainCodec, "family">;
  readonly subject: ProofSubject;
  readonly ingest: ChainIngest;
  readonly prover: Pick<Prover, "check">;
  /** What bodies are read for; null: they are proved only. */
  readonly watch: () => WatchSet | null;
  readonly clock: Clock;
  /** Who can be asked now; `signal` is aborted when that one is gone. */
  readonly sources: () => readonly { readonly feed: Feed; readonly signal: AbortSignal }[];
  /** The upstream sent a body that does not hold. */
  readonly onRefused: (feed: Feed, hash: string, refusal: Refusal) => void;
  /** The block itself breaks a rule: it is out, for good. Called before the ingest hears of it. */
  readonly onInvalid: (hash: string, refusal: Refusal) => void;
  /** The ingest has taken a block out. */
  readonly onRemoved: () => void;
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
/** Bodies fetched and proved at a time where blocks come faster than a body is fetched. */
const AHEAD = 4;
/** What becomes of a thread that a body was too much for. */
const DEADLY: ReadonlySet<string> = new Set(["SPRINT_PROVE_CRASHED", "SPRINT_PROVE_TIMEOUT"]);

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
    const { ingest } = this.#modules;
    if (this.#proving || this.#closed || !ingest.provesBodies) return;
    this.#proving = true;
    try {
      for (let next = this.#next(); next !== null; next = this.#next()) {
        if (!(await this.#proveAll(next))) return;
        if (this.#closed) return;
      }
      for (const hash of this.#older) {
        const node = ingest.tree.get(hash);
        if (node !== undefined && ingest.mayBeProved(node)) await this.#tryOne(node);
        this.#older.delete(hash);
        if (this.#closed || ingest.nextUnvalidated() !== null) break;
      }
    } finally {
      this.#proving = false;
    }
    if (this.#older.size > 0) void this.prove();
  }

  /** The oldest blocks without a proof; null where none waits. Of the Bitcoin family one at a time: what it creates, the next may spend. */
  #next(): readonly TreeNode[] | null {
    const { ingest, codec } = this.#modules;
    const nodes = ingest.unvalidated(codec.family === "utxo" ? 1 : AHEAD);
    return nodes.length === 0 ? null : nodes;
  }

  /** False: the oldest cannot be had now, and is tried again later. */
  async #proveAll(nodes: readonly TreeNode[]): Promise<boolean> {
    const { ingest, clock, sources } = this.#modules;
    const [oldest] = nodes;
    const [isDone] = await Promise.all(nodes.map((node) => this.#tryOne(node)));
    if (this.#closed || oldest === undefined || isDone === true) return true;
    if (sources().length > 0 && clock.now() - ingest.originOf(oldest).receivedAt > this.#options.bodyGiveUpMs) {
      ingest.withoutBody(oldest.block.hash);
      return true;
    }
    this.#cancelRetry();
    this.#cancelRetry = clock.after(RETRY_MS, () => void this.prove());
    return false;
  }

  #tryOne(node: TreeNode): Promise<boolean> {
    return this.#proveOne(node).catch((error: unknown) => {
      if (!this.#closed) this.#modules.onTrouble(null, "proving a body", error);
      return false;
    });
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
    const { ingest, subject, prover, clock, onBodyProved, onRefused, onInvalid, onRemoved, onWithdrawn, onTrouble } =
      this.#modules;
    let mutated = false;
    /** Whose bodies took a thread down with them, or all of its time: a block that another one's body proves is not to blame for that. */
    const deadly: Feed[] = [];
    for await (const { raw, feed } of this.#given(node)) {
      const startedAt = clock.now();
      let verdict: BodyVerdict;
      try {
        verdict = await prover.check(subject, raw, { height, hash }, this.#modules.watch());
      } catch (error) {
        if (this.#closed) return false;
        if (!isSprintError(error) || !DEADLY.has(error.code)) throw error;
        onTrouble(feed, "proving a body", error);
        deadly.push(feed);
        continue;
      }
      if (this.#closed) return false;
      onBodyProved(clock.now() - startedAt);
      if (verdict.ok) {
        for (const each of deadly) onRefused(each, hash, deadlyBody());
        ingest.validated(hash, verdict.facts);
        return true;
      }
      mutated = isMutation(verdict.refusal);
      if (!mutated) onInvalid(hash, verdict.refusal);
      onRefused(feed, hash, verdict.refusal);
      if (!mutated) {
        ingest.invalid(hash);
        onRemoved();
        return true;
      }
    }
    // Only bytes that do not belong to it were to be had: the block is withdrawn, and comes again where an honest node has it.
    if (!mutated || this.#closed) return false;
    ingest.invalid(hash);
    onRemoved();
    onWithdrawn();
    return true;
  }

  /** The body as it came along, then from the upstream that was first, then from the others. */
  async *#given({ block: { hash, locator } }: TreeNode): AsyncGenerator<GivenBody> {
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
        yield { raw: await feed.body(locator, either), feed };
      } catch (error) {
        if (!signal.aborted) onTrouble(feed, "fetching a body", error);
      }
    }
  }
}

function deadlyBody(): Refusal {
  return {
    code: "SPRINT_UPSTREAM_DEADLY_BODY",
    message:
      "expected a body that a thread can prove, as another upstream's was, got one that took the thread down or all of its time",
    data: {},
  };
}

/** The bytes do not belong to the header: whoever sent them is wrong, the block may be right (CVE-2012-2459 and kin). */
function isMutation(refusal: Refusal): boolean {
  return refusal.data["mutated"] === true;
}
