/** One chain's blocks in, its part of the stream out: what is new, what was undone, what is proved, what is final. */
import type { Block } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { BodyReading } from "../../shared/body.ts";
import type {
  BlockData,
  EvmBlockData,
  LogData,
  Phase,
  RefData,
  SvmBlockData,
  Validation,
} from "../../shared/events.ts";
import { GAP } from "./gap.ts";
import { type AddOutcome, ForkTree, type Path, TREE_DEFAULTS, type TreeOptions, type TreeRoot } from "./tree.ts";
import type { StreamDraft, StreamFact, TreeNode } from "./types.ts";

export interface IngestOptions extends Partial<TreeOptions> {
  readonly chain: Chain;
  readonly network: string;
  /** A block with this many blocks on it is final; where finality is told, only until it is. */
  readonly finalityDepth: number;
  /** "told": blocks are final when `finalizedUpTo` says so. Default "depth". */
  readonly finality?: "depth" | "told";
  /** "full": bodies are proved, and a block is final only when its own was. "header": no bodies come. Default "full". */
  readonly validation?: Validation;
  /** How many blocks may wait for the proof of an older one's body before that is given up with a gap. Default 2000. */
  readonly maxUnproved?: number;
  /** How many blocks may wait for their finality to be told before they count as final all the same. Default 20000. */
  readonly maxUnfinal?: number;
  /** Bodies are read for logs: each block's are told before its proof. Default false. */
  readonly tellsLogs?: boolean;
}

export interface IngestModules {
  /** Takes the next event of the chain, synchronously. */
  readonly publish: (draft: StreamDraft) => void;
  /** A block with a proved body, given back with what the body adds. */
  readonly withFacts: (block: Block, facts: ProvedFacts) => Block;
  /** A block of the best chain was told as proved, in the chain's order; null where its body was not read. */
  readonly onProved?: (node: TreeNode, reading: BodyReading | null) => void;
  /** Blocks that were told are on the best chain no more; newest first. */
  readonly onReverted?: (nodes: readonly TreeNode[]) => void;
  /** The best chain has a new tip. */
  readonly onTip?: (node: TreeNode) => void;
  readonly onFinal?: (node: TreeNode) => void;
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
  readonly sizeBytes: number | null;
  readonly level: Validation;
  readonly weight?: number;
  readonly signatures?: { readonly checked: number; readonly total: number };
  readonly reading?: BodyReading;
}

/** `final`: too late, the block counts as final and stays. */
export type InvalidOutcome = "unknown" | "final" | "removed" | "reorged";

/** What a proved body told. */
interface Proof {
  readonly level: Validation;
  /** Null once it is not kept any more, or was not made. */
  reading: BodyReading | null;
}

/** Readings of final blocks that are kept for those who come back, by number and by the bytes of their logs. */
const MAX_KEPT_READINGS = 64;
const MAX_KEPT_LOGS = 20_000;
/** Of blocks that may still be taken back, 650 bytes a log: finality may be told late, or no more. More than blocks that wait for it. */
const MAX_HELD_READINGS = 25_000;
const MAX_HELD_LOGS = 150_000;

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
  readonly #modules: IngestModules;
  readonly #origins = new WeakMap<TreeNode, Origin>();
  readonly #proofs = new WeakMap<TreeNode, Proof>();
  /** Proofs that were told, of blocks that are not final, oldest first. */
  readonly #held = new Set<Proof>();
  #heldLogs = 0;
  /** Proofs of final blocks whose readings are kept, oldest first. */
  readonly #kept: Proof[] = [];
  #keptLogs = 0;
  #isRooted = true;
  /** Highest height told as final by upstreams; null where none told. */
  #finalizedUpTo: number | null = null;
  #live = false;
  #liveAt = 0;
  /** Highest height told as final; at first the last one before the stream. */
  #toldFinal = 0;
  /** On the best chain, everything up to here is told as validated, is given up, or was there before the stream. */
  #provedHeight: number;

  constructor(options: IngestOptions, modules: IngestModules, root: TreeRoot) {
    this.#options = {
      ...TREE_DEFAULTS,
      validation: "full",
      finality: "depth",
      maxUnproved: 2_000,
      maxUnfinal: 20_000,
      tellsLogs: false,
      ...options,
    };
    this.chain = options.chain;
    this.network = options.network;
    this.#modules = modules;
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

  /** False until `root`, where the chain's begin is taken from an upstream. */
  get isRooted(): boolean {
    return this.#isRooted;
  }

  /** The chain's begin is not known yet: the root given is in its place only. */
  unroot(): void {
    this.#isRooted = false;
  }

  /** The chain begins here. Once, before the first block is taken. */
  root(root: TreeRoot): void {
    if (this.#isRooted) throw new Error(`${this.chain} has its root already`);
    this.#isRooted = true;
    this.tree.replant(root);
    this.#provedHeight = root.block.height;
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

  /** Upstreams count everything up to this height as final. Never goes back. */
  finalizedUpTo(height: number): void {
    if (height <= (this.#finalizedUpTo ?? -1)) return;
    this.#finalizedUpTo = height;
    this.#settle();
  }

  /** Follows another head, whatever its weight: the chain went over to another branch, or back. False where that would undo what is final. */
  prefer(node: TreeNode, receivedAt: number): boolean {
    const before = this.tree.tip;
    if (before === node) return true;
    if (!this.tree.prefer(node)) return false;
    this.#reorg(before, receivedAt);
    this.#settle();
    return true;
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
    if (node === undefined || this.#isProved(node)) return;
    this.tree.update(this.#modules.withFacts(node.block, facts));
    this.#proofs.set(node, { level: facts.level, reading: facts.reading ?? null });
    this.#settle();
  }

  /** No upstream has the body, or none in time: the blocks after it go on behind a gap (`body_unavailable`). */
  withoutBody(hash: string): void {
    const node = this.tree.get(hash);
    if (node === undefined || this.#isProved(node)) return;
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

  /** The same, and those after it, `most` at most, without the ones whose proof is at hand and waits for an older one's. */
  unvalidated(most: number): readonly TreeNode[] {
    const nodes: TreeNode[] = [];
    let node = this.nextUnvalidated();
    for (let seen = 0; node !== null && seen < most; seen++) {
      if (!this.#isProved(node) && !this.#originOf(node).skipped) nodes.push(node);
      node = this.tree.at(node.block.height + 1);
    }
    return nodes;
  }

  /** The body is not proved yet, and nobody has given it up: a block from before the stream may be such. */
  mayBeProved(node: TreeNode): boolean {
    return this.provesBodies && !this.#isProved(node) && !this.#originOf(node).skipped;
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
    return this.#isProved(node) ? this.#blockFact(node, "validated") : null;
  }

  /** What the block's logs are told with: null where it has none, or none are told; "gone" where they are not kept any more. */
  logFact(node: TreeNode, removed: boolean): StreamFact | "gone" | null {
    if (!this.#options.tellsLogs) return null;
    const proof = this.#proofs.get(node);
    const logs = proof?.reading?.logs;
    if (proof === undefined || logs === undefined) return "gone";
    if (logs === null || logs.length === 0) return null;
    const data: LogData = { block_hash: node.block.hash, height: node.block.height, removed, logs };
    return { type: "log", data, parentHash: node.block.parentHash };
  }

  #announce(node: TreeNode, receivedAt: number): void {
    if (!this.#live) return;
    this.#send(this.announcedFact(node), receivedAt);
    this.#modules.onTip?.(node);
  }

  /** Tells how the best chain went from `before` to the tip it has now. */
  #reorg(before: TreeNode, receivedAt: number): void {
    const path = this.tree.pathBetween(before, this.tree.tip);
    if (path === null) throw new Error(`the tips ${before.block.hash} and ${this.tip.hash} have no common block`);
    const height = path.ancestor.block.height;
    const provedBefore = this.#provedHeight;
    this.#provedHeight = Math.min(this.#provedHeight, height);
    if (!this.#live) return;
    this.#toldFinal = Math.min(this.#toldFinal, height);
    if (path.reverted.length > 0) {
      const told = path.reverted.filter((node) => node.block.height <= provedBefore);
      for (const node of told) {
        const logs = this.logFact(node, true);
        // Of one that was given up none were told.
        if (logs === "gone" && this.#proofs.has(node)) this.#send(logsGap(node), receivedAt);
        if (logs !== null && logs !== "gone") this.#send(logs, receivedAt);
      }
      this.#send(reorgFact(path), receivedAt);
      this.#modules.onReverted?.(path.reverted);
      if (path.applied.length === 0) this.#modules.onTip?.(this.tree.tip);
    }
    for (const node of path.applied) this.#announce(node, this.#originOf(node).receivedAt);
  }

  /** Sends what has become due: proofs in the chain's order, then finality. */
  #settle(): void {
    if (this.#live && this.provesBodies) this.#settleProofs();
    else this.#provedHeight = this.tip.height;
    this.tree.finalize(Math.min(this.#finalHeight(), this.#provedHeight));
    while (this.#live && this.#toldFinal < this.finalized) {
      this.#toldFinal++;
      const node = this.tree.at(this.#toldFinal);
      if (node === null) continue;
      this.#send({ type: "finalized", data: refOf(node) }, this.#originOf(node).receivedAt);
      this.#modules.onFinal?.(node);
      this.#keep(node);
    }
  }

  #finalHeight(): number {
    const { finality, finalityDepth, maxUnfinal } = this.#options;
    const { height } = this.tip;
    if (finality === "depth" || this.#finalizedUpTo === null) return height - finalityDepth;
    return Math.max(this.#finalizedUpTo, height - maxUnfinal);
  }

  /** Of what is final only the newest readings stay: nothing can take their logs back any more. */
  #keep(node: TreeNode): void {
    const proof = this.#proofs.get(node);
    if (proof === undefined || proof.reading === null) return;
    this.#letGo(proof);
    this.#kept.push(proof);
    this.#keptLogs += logsOf(proof);
    while (this.#kept.length > MAX_KEPT_READINGS || (this.#keptLogs > MAX_KEPT_LOGS && this.#kept.length > 1)) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) return;
      this.#keptLogs -= logsOf(oldest);
      oldest.reading = null;
    }
  }

  #settleProofs(): void {
    for (let node = this.tree.at(this.#provedHeight + 1); node !== null; node = this.tree.at(this.#provedHeight + 1)) {
      const origin = this.#originOf(node);
      const fact = this.validatedFact(node);
      if (fact !== null) {
        // First: whatever a listener throws, nothing is told twice.
        this.#provedHeight++;
        this.#tellProof(node, fact, origin.receivedAt);
      } else if (origin.skipped || this.tip.height - node.block.height >= this.#options.maxUnproved) {
        const from = node.parent === null ? null : refOf(node.parent);
        this.#send({ type: "gap", data: { from, to: refOf(node), reason: GAP.BODY_UNAVAILABLE } }, origin.receivedAt);
        this.#provedHeight++;
      } else return;
    }
  }

  /** Logs first: who comes back with the cursor of the proof has them. */
  #tellProof(node: TreeNode, fact: StreamFact, receivedAt: number): void {
    const logs = this.logFact(node, false);
    if (logs === "gone") this.#send(logsGap(node), receivedAt);
    else if (logs !== null) this.#send(logs, receivedAt);
    this.#send(fact, receivedAt);
    this.#modules.onProved?.(node, this.#proofs.get(node)?.reading ?? null);
    this.#hold(node);
  }

  /** What is told may have to be taken back; beyond the bounds that is a gap. */
  #hold(node: TreeNode): void {
    const proof = this.#proofs.get(node);
    if (proof === undefined) return;
    this.#letGo(proof);
    this.#held.add(proof);
    this.#heldLogs += logsOf(proof);
    for (const oldest of this.#held) {
      if (this.#held.size <= MAX_HELD_READINGS && this.#heldLogs <= MAX_HELD_LOGS) return;
      this.#letGo(oldest);
      oldest.reading = null;
    }
  }

  #letGo(proof: Proof): void {
    if (this.#held.delete(proof)) this.#heldLogs -= logsOf(proof);
  }

  #isProved(node: TreeNode): boolean {
    return this.#proofs.has(node) || node.block.sizeBytes !== null;
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
      validation: phase === "validated" ? (this.#proofs.get(node)?.level ?? "full") : "header",
      ...familyData(block),
    };
    return { type: "block", phase, data };
  }

  #send(fact: StreamFact, receivedAt: number): void {
    this.#modules.publish({ chain: this.chain, network: this.network, receivedAt, ...fact });
  }

  #originOf(node: TreeNode): Origin {
    return this.#origins.get(node) ?? { upstream: "checkpoint", receivedAt: this.#liveAt, skipped: false };
  }
}

/** What of a block only its family has, as events tell it. */
export function familyData({ detail }: Block): { readonly evm?: EvmBlockData; readonly svm?: SvmBlockData } {
  switch (detail.family) {
    case "utxo":
      return {};
    case "evm": {
      const { gasUsed, gasLimit, baseFeePerGas } = detail;
      const base_fee_wei = baseFeePerGas?.toString() ?? null;
      return { evm: { gas_used: Number(gasUsed), gas_limit: Number(gasLimit), base_fee_wei } };
    }
    case "svm": {
      const { slot, parentSlot, signatures } = detail;
      return {
        svm: {
          slot,
          parent_slot: parentSlot,
          skipped_slots: Math.max(0, slot - parentSlot - 1),
          signatures_checked: signatures?.checked ?? null,
          signatures: signatures?.total ?? null,
        },
      };
    }
  }
}

function logsOf({ reading }: Proof): number {
  return reading?.logs?.length ?? 0;
}

function logsGap(node: TreeNode): StreamFact {
  const from = node.parent === null ? null : refOf(node.parent);
  return { type: "gap", data: { from, to: refOf(node), reason: GAP.LOGS_UNAVAILABLE } };
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
