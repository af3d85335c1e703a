/**
 * Which chain counts where no work says so: each upstream's head is a vote for that block and all before it. An upstream that is lost keeps its
 * vote, for a lost connection unmakes no block; but where chains part it only decides what is even among those that are here, who would else be
 * held up by what nobody can give. One that was taken out for a fault loses it.
 */
import type { TreeNode } from "../relay/index.ts";

/** What is needed of the fork tree. */
export interface HeadsTree {
  readonly tip: TreeNode;
  get(hash: string): TreeNode | undefined;
  isMain(node: TreeNode): boolean;
}

/** More than there are lost ones. */
const PRESENT = 1_000_000;
const LOST = 1;

interface Vote {
  readonly hash: string;
  readonly weight: number;
}

interface Head {
  readonly node: TreeNode;
  readonly weight: number;
}

export class Heads<Voter> {
  readonly #heads = new Map<Voter, Vote>();

  put(voter: Voter, hash: string): void {
    this.#heads.set(voter, { hash, weight: PRESENT });
  }

  /** Its connection is gone. */
  lost(voter: Voter): void {
    const vote = this.#heads.get(voter);
    if (vote !== undefined) this.#heads.set(voter, { ...vote, weight: LOST });
  }

  /** It has told, since it is here, that its head is that block or one on top of it. */
  isPast(voter: Voter, block: TreeNode, tree: HeadsTree): boolean {
    const vote = this.#heads.get(voter);
    if (vote?.weight !== PRESENT) return false;
    let at: TreeNode | null = tree.get(vote.hash) ?? null;
    while (at !== null && at.block.height > block.block.height) at = at.parent;
    return at === block;
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
    const heads = [...this.#heads.values()].flatMap(({ hash, weight }): Head | [] => {
      const node = tree.get(hash);
      return node === undefined ? [] : { node, weight };
    });
    if (heads.length === 0) return tree.tip;
    const forks = heads.filter(({ node }) => !tree.isMain(node)).map(({ node }) => mainAncestor(node, tree));
    // All on one chain: nobody holds what is above the highest of them any more.
    if (forks.length === 0) return heads.map(({ node }) => node).reduce(higher);
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

function countAbove(lowest: TreeNode, heads: readonly Head[]): Count {
  const votes = new Map<TreeNode, number>();
  const tops = new Map<TreeNode, number>();
  const children = new Map<TreeNode, TreeNode[]>();
  for (const { node: head, weight } of heads) {
    for (let at: TreeNode | null = head; at !== null && at.block.height > lowest.block.height; at = at.parent) {
      const before = votes.get(at);
      votes.set(at, (before ?? 0) + weight);
      tops.set(at, Math.max(tops.get(at) ?? 0, head.block.height));
      if (before !== undefined || at.parent === null) continue;
      const siblings = children.get(at.parent);
      if (siblings === undefined) children.set(at.parent, [at]);
      else siblings.push(at);
    }
  }
  return { votes, tops, children };
}
