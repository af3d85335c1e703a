/** One chain's blocks in, its part of the stream out: what is new, what was undone, what is proved, what is final. */
import type { Block } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { BlockData, Phase, RefData, Validation } from "../../shared/events.ts";
import { GAP } from "./gap.ts";
import { type AddOutcome, ForkTree, type Path, TREE_DEFAULTS, type TreeOptions, type TreeRoot } from "./tree.ts";
import type { StreamDraft, StreamFact, TreeNode } from "./types.ts";

export interface IngestOptions extends Partial<TreeOptions> {
  readonly chain: Chain;
  readonly network: string;
  /** A block with this many blocks on it is final. */
  readonly finalityDepth: number;
  /** "full": bodies are proved, and a block is final only when its own was. "header": no bodies come. Default "full". */
  readonly validation?: Validation;
  /** How many blocks may wait for the proof of an older one's body before that is given up with a gap. Default 2000. */
  readonly maxUnproved?: number;
}

export interface IngestModules {
  /** Takes the next event of the chain, synchronously. */
  readonly publish: (draft: StreamDraft) => void;
}

export interface Arrival {
  /** A block whose header holds, work and context checked. One that has its size counts as proved already. */
  readonly block: Block;
  /** The block's own expected hashes. */
  readonly work: bigint;
  readonly upstream: string;
  /** Monotonic ms of the socket read that completed the announcement. */
  readonly receivedAt: number;
}

/** What a proved body adds. */
export interface ProvedFacts {
  readonly txCount: number;
  readonly sizeBytes: number;
  readonly weight: number;
}

/** `final`: too late, the block counts as final and stays. */
export type InvalidOutcome = "unknown" | "final" | "removed" | "reorged";

interface Origin {
  readonly upstream: string;
  readonly receivedAt: number;
  /** The body cannot be had: nobody waits for it. */
  skipped: boolean;
}

export class ChainIngest {
  readonly chain: Chain;
  readonly network: string;
  readonly tree: ForkTree;
  readonly #options: Required<IngestOptions>;
  readonly #publish: (draft: StreamDraft) => void;
  readonly #origins = new WeakMap<TreeNode, Origin>();
  #live = false;
  #liveAt = 0;
  /** Highest height told as final; at first the last one before the stream. */
  #toldFinal = 0;
  /** On the best chain, everything up to here is told as validated, is given up, or was there before the stream. */
  #provedHeight: number;

  constructor(options: IngestOptions, modules: IngestModules, root: TreeRoot) {
    this.#options = { ...TREE_DEFAULTS, validation: "full", maxUnproved: 2_000, ...options };
    this.chain = options.chain;
    this.network = options.network;
    this.#publish = modules.publish;
    this.tree = new ForkTree(this.#options, root);
    this.#provedHeight = root.block.height;
  }

  /** False while the chain's headers are first fetched: nothing is published then. */
  get isLive(): boolean {
    return this.#live;
  }

  get tip(): Block {
    return this.tree.tip.block;
  }

  /** Height of the highest final block. */
  get finalized(): number {
    return this.tree.final.block.height;
  }

  /** Highest height up to which no `validated` event is awaited. */
  get provedHeight(): number {
    return this.#provedHeight;
  }

  /** False where only headers are checked: no `validated` event ever comes. */
  get provesBodies(): boolean {
    return this.#options.validation === "full";
  }

  /** The first catch-up is done: the tip is the stream's first block, and everything from now on follows. `at`: monotonic ms. */
  live(at: number): void {
    if (this.#live) return;
    this.#live = true;
    this.#liveAt = at;
    const tip = this.tree.tip;
    this.#provedHeight = this.#toldFinal = tip.block.height - 1;
    this.#send(this.announcedFact(tip), this.#originOf(tip).receivedAt);
    this.#settle();
  }

  /** Takes a block whose header holds. Publishes before it returns. */
  accept({ block, work, upstream, receivedAt }: Arrival): AddOutcome {
    const before = this.tree.tip;
    const outcome = this.tree.add(block, work);
    const node = this.tree.get(block.hash);
    if (node === undefined || outcome === "known") return outcome;
    this.#origins.set(node, { upstream, receivedAt, skipped: false });
    if (outcome === "extended") this.#announce(node, receivedAt);
    if (outcome === "reorged") this.#reorg(before, receivedAt);
    if (outcome !== "side") this.#settle();
    return outcome;
  }

  /** A body was proved. Its event goes out once those of all blocks before it are out. */
  validated(hash: string, facts: ProvedFacts): void {
    const node = this.tree.get(hash);
    if (node === undefined || isProved(node)) return;
    const { block } = node;
    this.tree.update(
      Object.freeze({
        ...block,
        txCount: facts.txCount,
        sizeBytes: facts.sizeBytes,
        detail: Object.freeze({ ...block.detail, weight: facts.weight }),
      }),
    );
    this.#settle();
  }

  /** No upstream has the body, or none in time: the blocks after it go on behind a gap (`body_unavailable`). */
  withoutBody(hash: string): void {
    const node = this.tree.get(hash);
    if (node === undefined || isProved(node)) return;
    this.#origins.set(node, { ...this.#originOf(node), skipped: true });
    this.#settle();
  }

  /** A body was refused, or cannot belong to its header: the block and all that builds on it go, and the best chain of what
   *  remains counts. Not remembered: a caller that knows the block to be wrong must not hand it in again. */
  invalid(hash: string): InvalidOutcome {
    const node = this.tree.get(hash);
    if (node === undefined) return "unknown";
    const before = this.tree.tip;
    if (this.tree.remove(hash).length === 0) return "final";
    if (this.tree.tip === before) return "removed";
    this.#reorg(before, this.#originOf(node).receivedAt);
    this.#settle();
    return "reorged";
  }

  /** The oldest block of the best chain that waits for the proof of its body; null where none does. */
  nextUnvalidated(): TreeNode | null {
    return this.#live && this.provesBodies ? this.tree.at(this.#provedHeight + 1) : null;
  }

  /** The body is not proved yet, and nobody has given it up: a block from before the stream may be such. */
  mayBeProved(node: TreeNode): boolean {
    return this.provesBodies && !isProved(node) && !this.#originOf(node).skipped;
  }

  /** The upstream that announced the block first; null where it is not known. */
  announcedBy(hash: string): string | null {
    const node = this.tree.get(hash);
    return node === undefined ? null : this.#originOf(node).upstream;
  }

  /** Who announced the block first, and when. */
  originOf(node: TreeNode): { readonly upstream: string; readonly receivedAt: number } {
    return this.#originOf(node);
  }

  announcedFact(node: TreeNode): StreamFact {
    return this.#blockFact(node, "announced");
  }

  /** Null while the block's body is not proved. */
  validatedFact(node: TreeNode): StreamFact | null {
    return isProved(node) ? this.#blockFact(node, "validated") : null;
  }

  #announce(node: TreeNode, receivedAt: number): void {
    if (this.#live) this.#send(this.announcedFact(node), receivedAt);
  }

  /** Tells how the best chain went from `before` to the tip it has now. */
  #reorg(before: TreeNode, receivedAt: number): void {
    const path = this.tree.pathBetween(before, this.tree.tip);
    if (path === null) throw new Error(`the tips ${before.block.hash} and ${this.tip.hash} have no common block`);
    const height = path.ancestor.block.height;
    this.#provedHeight = Math.min(this.#provedHeight, height);
    if (!this.#live) return;
    this.#toldFinal = Math.min(this.#toldFinal, height);
    this.#send(reorgFact(path), receivedAt);
    for (const node of path.applied) this.#announce(node, this.#originOf(node).receivedAt);
  }

  /** Sends what has become due: proofs in the chain's order, then finality. */
  #settle(): void {
    if (this.#live && this.provesBodies) this.#settleProofs();
    else this.#provedHeight = this.tip.height;
    this.tree.finalize(Math.min(this.tip.height - this.#options.finalityDepth, this.#provedHeight));
    while (this.#live && this.#toldFinal < this.finalized) {
      this.#toldFinal++;
      const node = this.tree.at(this.#toldFinal);
      if (node !== null) this.#send({ type: "finalized", data: refOf(node) }, this.#originOf(node).receivedAt);
    }
  }

  #settleProofs(): void {
    for (let node = this.tree.at(this.#provedHeight + 1); node !== null; node = this.tree.at(this.#provedHeight + 1)) {
      const origin = this.#originOf(node);
      const fact = this.validatedFact(node);
      if (fact !== null) this.#send(fact, origin.receivedAt);
      else if (origin.skipped || this.tip.height - node.block.height >= this.#options.maxUnproved) {
        const from = node.parent === null ? null : refOf(node.parent);
        this.#send({ type: "gap", data: { from, to: refOf(node), reason: GAP.BODY_UNAVAILABLE } }, origin.receivedAt);
      } else return;
      this.#provedHeight++;
    }
  }

  #blockFact(node: TreeNode, phase: Phase): StreamFact {
    const { block } = node;
    const data: Omit<BlockData, "relay_time_ms"> = {
      hash: block.hash,
      height: block.height,
      parent_hash: block.parentHash,
      timestamp: new Date(block.timestamp * 1_000).toISOString().replace(".000Z", "Z"),
      tx_count: block.txCount,
      size_bytes: block.sizeBytes,
      upstream: this.#originOf(node).upstream,
      validation: phase === "validated" ? "full" : "header",
    };
    return { type: "block", phase, data };
  }

  #send(fact: StreamFact, receivedAt: number): void {
    this.#publish({ chain: this.chain, network: this.network, receivedAt, ...fact });
  }

  #originOf(node: TreeNode): Origin {
    return this.#origins.get(node) ?? { upstream: "checkpoint", receivedAt: this.#liveAt, skipped: false };
  }
}

function isProved(node: TreeNode): boolean {
  return node.block.sizeBytes !== null;
}

export function refOf(node: TreeNode): RefData {
  return { hash: node.block.hash, height: node.block.height };
}

export function reorgFact(path: Path): StreamFact {
  return {
    type: "reorg",
    data: {
      depth: path.reverted.length,
      common_ancestor: refOf(path.ancestor),
      reverted: path.reverted.map(refOf),
      applied: path.applied.map(refOf),
    },
  };
}
