/** Every block of one chain that may still matter: the best chain down to where retargets look, and each fork until it is final. */
import type { Block } from "../../shared/block.ts";
import type { TreeNode } from "./types.ts";

export interface TreeOptions {
  /** How many best-chain headers are kept below the tip. A 2016-block retarget from a fork needs a little over 2016 + finality depth. */
  readonly keepHeaders: number;
  /** Bound on blocks off the best chain; at the bound the weakest fork's tip makes room. */
  readonly maxSideNodes: number;
  /** The branch with most work is the best chain. False: it only grows at its tip, and `prefer` says where that is. */
  readonly followsWork: boolean;
}

export const TREE_DEFAULTS: TreeOptions = { keepHeaders: 4_100, maxSideNodes: 10_000, followsWork: true };

/** Where a tree begins: a checkpoint or genesis. */
export interface TreeRoot {
  readonly block: Block;
  /** Total work up to and with this block. */
  readonly work: bigint;
  /** Older blocks down from the root's parent, newest first, so that context rules have what they look at. */
  readonly ancestors?: readonly Block[];
}

export type AddOutcome =
  | "known"
  /** Parent not in the tree; the block is not kept. */
  | "orphan"
  /** It forks off below the final block; not kept. */
  | "past_finality"
  /** No room among the forks, and nothing weaker to give up; not kept. */
  | "full"
  | "side"
  | "extended"
  | "reorged";

export interface Path {
  readonly ancestor: TreeNode;
  /** Newest first. */
  readonly reverted: readonly TreeNode[];
  /** Oldest first. */
  readonly applied: readonly TreeNode[];
}

interface Node extends TreeNode {
  block: Block;
  parent: Node | null;
  readonly work: bigint;
  readonly children: Node[];
  /** Counts up; the first seen wins a tie in work. */
  readonly order: number;
}

export class ForkTree {
  readonly #options: TreeOptions;
  readonly #nodes = new Map<string, Node>();
  /** The best chain, oldest first, without holes. */
  readonly #main: Node[] = [];
  #finalHeight: number;
  #order = 0;

  constructor(options: Partial<TreeOptions>, root: TreeRoot) {
    this.#options = { ...TREE_DEFAULTS, ...options };
    this.#finalHeight = root.block.height;
    this.#plant(root);
  }

  /** Begins again from another root: everything before is forgotten. */
  replant(root: TreeRoot): void {
    this.#nodes.clear();
    this.#main.length = 0;
    this.#plant(root);
  }

  #plant(root: TreeRoot): void {
    let parent: Node | null = null;
    for (const block of (root.ancestors ?? []).toReversed()) parent = this.#grow(block, parent, 0n);
    this.#grow(root.block, parent, root.work);
    this.#main.push(...this.#nodes.values());
    this.#finalHeight = root.block.height;
  }

  /** Best block by total work. */
  get tip(): TreeNode {
    return this.#tip;
  }

  /** Oldest block that is kept. */
  get oldest(): TreeNode {
    return this.#oldest;
  }

  /** Highest block that no fork can undo any more. */
  get final(): TreeNode {
    return this.at(this.#finalHeight) ?? this.#oldest;
  }

  /** Blocks off the best chain. */
  get sideNodes(): number {
    return this.#nodes.size - this.#main.length;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(hash: string): TreeNode | undefined {
    return this.#nodes.get(hash);
  }

  has(hash: string): boolean {
    return this.#nodes.has(hash);
  }

  /** The best chain's block at `height`, null outside what is kept. */
  at(height: number): TreeNode | null {
    return this.#main[height - this.#oldest.block.height] ?? null;
  }

  isMain(node: TreeNode): boolean {
    return this.at(node.block.height) === node;
  }

  /** The first block off the best chain that `wanted` holds for. */
  findSide(wanted: (block: Block) => boolean): TreeNode | null {
    if (this.sideNodes === 0) return null;
    for (const node of this.#nodes.values()) if (wanted(node.block) && !this.isMain(node)) return node;
    return null;
  }

  /** Adds a block whose header holds. `work` is the block's own, not the total. */
  add(block: Block, work: bigint): AddOutcome {
    if (this.#nodes.has(block.hash)) return "known";
    const parent = this.#nodes.get(block.parentHash);
    if (parent === undefined) return "orphan";
    if (parent.block.height < this.#finalHeight) return "past_finality";
    const total = parent.work + work;
    const tip = this.#tip;
    const isHeavier = this.#options.followsWork && total > tip.work;
    if (!isHeavier && parent !== tip && this.sideNodes >= this.#options.maxSideNodes && !this.#makeRoom(parent, total))
      return "full";
    const node = this.#grow(block, parent, total);
    if (parent === tip) {
      this.#main.push(node);
      this.#forget();
      return "extended";
    }
    if (!isHeavier) return "side";
    this.#follow(node);
    return "reorged";
  }

  /** Makes a block the tip whatever its work, where that leaves what is final in place; false where it does not. */
  prefer(node: TreeNode): boolean {
    if (!this.#descendsFromFinal(node)) return false;
    this.#follow(node as Node);
    return true;
  }

  #descendsFromFinal(node: TreeNode): boolean {
    if (this.#nodes.get(node.block.hash) !== node) return false;
    let at: TreeNode | null = node;
    while (at !== null && !this.isMain(at)) at = at.parent;
    return at !== null && at.block.height >= this.#finalHeight;
  }

  /** Replaces what is known of a block, its hash and place unchanged (a proved body adds its facts). */
  update(block: Block): void {
    const node = this.#nodes.get(block.hash);
    if (node !== undefined) node.block = block;
  }

  /** Takes out a block and everything built on it, and falls back to the best chain that remains.
   *  Returns the hashes taken out; none where the block is not known or final. */
  remove(hash: string): readonly string[] {
    const node = this.#nodes.get(hash);
    if (node === undefined || node.parent === null || node.block.height <= this.#finalHeight) return [];
    const wasMain = this.isMain(node);
    const removed = this.#cut(node);
    if (wasMain) {
      this.#main.length = node.block.height - this.#oldest.block.height;
      this.#follow(this.#best());
    }
    return removed;
  }

  /** Makes the best chain final up to `height`: forks from below it are forgotten. Never goes back. */
  finalize(height: number): void {
    for (let next = this.#finalHeight + 1; next <= Math.min(height, this.#tip.block.height); next++) {
      const node = this.at(next) as Node | null;
      for (const sibling of node?.parent?.children.toReversed() ?? []) if (sibling !== node) this.#cut(sibling);
      this.#finalHeight = next;
    }
    this.#forget();
  }

  /** Locators of the best chain, newest first, one by one and then ever farther apart, down to the oldest kept (as Bitcoin's getheaders takes them). */
  locator(): string[] {
    const locators: string[] = [];
    let step = 1;
    for (let index = this.#main.length - 1; index > 0; index -= step) {
      locators.push(this.#mainAt(index).block.locator);
      if (locators.length >= 10) step *= 2;
    }
    locators.push(this.#oldest.block.locator);
    return locators;
  }

  /** The way from `from` to `to` over their last common block; null where that is not kept any more. */
  pathBetween(from: TreeNode, to: TreeNode): Path | null {
    const reverted: TreeNode[] = [];
    const applied: TreeNode[] = [];
    let left: TreeNode | null = from;
    let right: TreeNode | null = to;
    while (left !== right) {
      if (left === null || right === null) return null;
      if (left.block.height >= right.block.height) {
        reverted.push(left);
        left = left.parent;
      } else {
        applied.push(right);
        right = right.parent;
      }
    }
    return left === null ? null : { ancestor: left, reverted, applied: applied.reverse() };
  }

  get #tip(): Node {
    return this.#mainAt(this.#main.length - 1);
  }

  get #oldest(): Node {
    return this.#mainAt(0);
  }

  /** The best chain is never empty, and indexes come from its own length. */
  #mainAt(index: number): Node {
    return this.#main[index] as Node;
  }

  #grow(block: Block, parent: Node | null, work: bigint): Node {
    const node: Node = { block, parent, work, children: [], order: this.#order++ };
    parent?.children.push(node);
    this.#nodes.set(block.hash, node);
    return node;
  }

  /** Makes `node` the tip. */
  #follow(node: Node): void {
    const branch: Node[] = [];
    let fork: Node = node;
    while (this.at(fork.block.height) !== fork) {
      branch.push(fork);
      fork = fork.parent as Node;
    }
    this.#main.length = fork.block.height - this.#oldest.block.height + 1;
    this.#main.push(...branch.reverse());
    this.#forget();
  }

  #best(): Node {
    let best = this.#tip;
    if (!this.#options.followsWork) return best;
    for (const node of this.#nodes.values()) {
      if (node.work > best.work || (node.work === best.work && node.order < best.order)) best = node;
    }
    return best;
  }

  /** Takes a whole branch out of the index. */
  #cut(top: Node): string[] {
    const siblings = top.parent?.children;
    siblings?.splice(siblings.indexOf(top), 1);
    const removed: string[] = [];
    const stack = [top];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      this.#nodes.delete(node.block.hash);
      removed.push(node.block.hash);
      stack.push(...node.children);
    }
    return removed;
  }

  /** Gives up the weakest fork's tip for a block of `work` on `parent`; false where none is weaker. */
  #makeRoom(parent: Node, work: bigint): boolean {
    let weakest: Node | null = null;
    for (const node of this.#nodes.values()) {
      if (node.children.length > 0 || node === parent || this.isMain(node)) continue;
      if (weakest === null || node.work <= weakest.work) weakest = node;
    }
    if (weakest === null || weakest.work > work) return false;
    this.#cut(weakest);
    return true;
  }

  /** Drops final headers that no rule looks at any more. */
  #forget(): void {
    const keepFrom = Math.min(this.#tip.block.height - this.#options.keepHeaders, this.#finalHeight);
    while (this.#oldest.block.height < keepFrom) {
      this.#nodes.delete(this.#oldest.block.hash);
      this.#main.shift();
      this.#oldest.parent = null;
    }
  }
}
