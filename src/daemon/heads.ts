/**
 * Which chain counts where no work says so: each upstream's head is a vote for that block and all before it. An upstream that is lost keeps its
 * vote, for a lost connection unmakes no block; one that was taken out for a fault loses it.
 */
import type { TreeNode } from "./relay/index.ts";

/** What is needed of the fork tree. */
export interface HeadsTree {
  readonly tip: TreeNode;
  get(hash: string): TreeNode | undefined;
  isMain(node: TreeNode): boolean;
}

export class Heads<Voter> {
  /** Hashes. */
  readonly #heads = new Map<Voter, string>();

  put(voter: Voter, hash: string): void {
    this.#heads.set(voter, hash);
  }

  has(voter: Voter): boolean {
    return this.#heads.has(voter);
  }

  withdraw(voter: Voter): void {
    this.#heads.delete(voter);
  }

  /**
   * The head that has most votes at every fork on the way to it; where they are even the higher branch, then the one that counts now. The tip
   * where nobody has voted.
   */
  elect(tree: HeadsTree): TreeNode {
    const heads = [...this.#heads.values()].flatMap((hash) => tree.get(hash) ?? []);
    if (heads.length === 0) return tree.tip;
    const forks = heads.filter((head) => !tree.isMain(head)).map((head) => mainAncestor(head, tree));
    // All on one chain: nobody holds what is above the highest of them any more.
    if (forks.length === 0) return heads.reduce(higher);
    const lowest = forks.reduce((low, node) => (node.block.height < low.block.height ? node : low));
    const { votes, tops, children } = countAbove(lowest, heads);
    let at = lowest;
    for (let next = children.get(at); next !== undefined; next = children.get(at)) {
      at = next.reduce((best, node) => {
        const ahead = (votes.get(node) ?? 0) - (votes.get(best) ?? 0) || (tops.get(node) ?? 0) - (tops.get(best) ?? 0);
        return ahead > 0 || (ahead === 0 && tree.isMain(node)) ? node : best;
      });
    }
    return at;
  }
}

function higher(a: TreeNode, b: TreeNode): TreeNode {
  return b.block.height > a.block.height ? b : a;
}

function mainAncestor(head: TreeNode, tree: HeadsTree): TreeNode {
  let at = head;
  while (!tree.isMain(at) && at.parent !== null) at = at.parent;
  return at;
}

interface Count {
  readonly votes: ReadonlyMap<TreeNode, number>;
  /** Height of the highest head in each branch. */
  readonly tops: ReadonlyMap<TreeNode, number>;
  /** Those with votes. */
  readonly children: ReadonlyMap<TreeNode, readonly TreeNode[]>;
}

function countAbove(lowest: TreeNode, heads: readonly TreeNode[]): Count {
  const votes = new Map<TreeNode, number>();
  const tops = new Map<TreeNode, number>();
  const children = new Map<TreeNode, TreeNode[]>();
  for (const head of heads) {
    for (let at: TreeNode | null = head; at !== null && at.block.height > lowest.block.height; at = at.parent) {
      const before = votes.get(at);
      votes.set(at, (before ?? 0) + 1);
      tops.set(at, Math.max(tops.get(at) ?? 0, head.block.height));
      if (before !== undefined || at.parent === null) continue;
      const siblings = children.get(at.parent);
      if (siblings === undefined) children.set(at.parent, [at]);
      else siblings.push(at);
    }
  }
  return { votes, tops, children };
}
