/** Which chain counts where upstreams' heads are votes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Heads } from "../../../src/daemon/line/heads.ts";
import { ForkTree, type TreeNode } from "../../../src/daemon/relay/index.ts";
import type { Block } from "../../../src/shared/block.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { chainOn, childOf, genesis } from "../relay/blocks.ts";

function scene(count: number) {
  const root = genesis("ethereum");
  const tree = new ForkTree({ followsWork: false }, { block: root, work: 1n });
  const heads = new Heads<string>();
  const blocks = chainOn(root, count);
  const add = (...added: readonly Block[]): void => added.forEach((block) => void tree.add(block, 1n));
  add(...blocks);
  const vote = (votes: Readonly<Record<string, Block>>): string => {
    for (const [voter, { hash }] of Object.entries(votes)) heads.put(voter, hash);
    return heads.elect(tree).block.hash;
  };
  const at = (height: number): Block => blocks[height - 101] ?? root;
  return { root, tree, heads, blocks, add, vote, at };
}

describe("Heads", () => {
  it("leave the tip where it is while nobody has voted, or only for what is not here", () => {
    const { heads, tree, at, vote } = scene(3);
    assert.equal(heads.elect(tree).block.hash, at(103).hash);
    assert.equal(vote({ a: childOf(at(103)) }), at(103).hash);
  });

  it("follow the majority at a fork, whatever its height", () => {
    const { at, add, vote } = scene(5);
    const fork = childOf(at(101));
    add(fork);
    assert.equal(vote({ a: at(105), b: fork, c: fork }), fork.hash);
    assert.equal(vote({ b: at(105) }), at(105).hash);
  });

  it("follow the higher branch where votes are even, and stay where heights are too", () => {
    const { at, add, vote, tree } = scene(3);
    const branch = chainOn(at(101), 3);
    add(...branch);
    assert.equal(vote({ a: at(103), b: branch[1] as Block }), at(103).hash, "even in all: the one that counts");
    assert.equal(vote({ b: branch[2] as Block }), branch[2]?.hash);
    assert.ok(tree.prefer(tree.get(branch[2]?.hash ?? "") as TreeNode));
    add(childOf(at(103)));
    assert.equal(vote({ a: at(103), b: branch[1] as Block }), branch[1]?.hash, "now that one counts");
  });

  it("are no reason to go back where some are behind", () => {
    const { root, at, vote } = scene(5);
    assert.equal(vote({ a: at(105), b: at(102), c: at(101), d: root }), at(105).hash);
  });

  it("are one where all went back", () => {
    const { at, vote } = scene(5);
    vote({ a: at(105), b: at(105) });
    assert.equal(vote({ a: at(103) }), at(105).hash);
    assert.equal(vote({ b: at(102) }), at(103).hash);
  });

  it("of one that is withdrawn count no more", () => {
    const { at, add, heads, tree, vote } = scene(3);
    const fork = childOf(at(102));
    add(fork);
    assert.equal(vote({ a: at(103), b: fork, c: fork }), fork.hash);
    heads.withdraw("b");
    heads.withdraw("c");
    assert.deepEqual([heads.has("a"), heads.has("b"), heads.elect(tree).block.hash], [true, false, at(103).hash]);
  });

  it("are settled fork by fork: a majority that is split further up still counts below", () => {
    const { at, add, vote } = scene(4);
    const other = childOf(at(101));
    const [left, right] = [childOf(other), childOf(other)];
    add(other, left, right, childOf(right));
    const elected = vote({ a: at(104), b: at(104), c: left, d: right, e: left });
    assert.equal(elected, left.hash);
  });

  it("elect what a count from the root elects", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = seededRandom(seed);
      const { root, tree, heads } = scene(0);
      const all: Block[] = [root];
      const voted = new Map<string, string>();
      for (let step = 0; step < 40; step++) {
        const parent = all.at(-1 - Math.floor(random() * Math.min(5, all.length))) as Block;
        if (random() < 0.6) {
          const block = childOf(parent);
          tree.add(block, 1n);
          all.push(block);
        } else {
          const voter = `v${Math.floor(random() * 5)}`;
          voted.set(voter, parent.hash);
          heads.put(voter, parent.hash);
        }
        const elected = heads.elect(tree);
        isRightfully(elected, tree, [...voted.values()], root, `seed ${seed}, step ${step}`);
        tree.prefer(elected);
        if (random() < 0.05) tree.finalize(tree.tip.block.height - 3);
      }
    }
  });
});

/** Walks from the elected block down: at each fork no sibling has more votes, or as many and a higher head, or is even in both and counts now. */
function isRightfully(elected: TreeNode, tree: ForkTree, votes: readonly string[], root: Block, what: string): void {
  const heads = votes.flatMap((hash) => tree.get(hash) ?? []);
  if (heads.length === 0) return assert.equal(elected, tree.tip, what);
  const above = new Map<TreeNode, TreeNode[]>();
  for (const head of heads)
    for (let at: TreeNode | null = head; at !== null; at = at.parent) above.set(at, [...(above.get(at) ?? []), head]);
  const top = (node: TreeNode): number => Math.max(...(above.get(node) ?? []).map(({ block }) => block.height));
  assert.ok(above.has(elected), `${what}: somebody votes for it`);
  const onIt = (above.get(elected) ?? []).filter((head) => head !== elected);
  assert.deepEqual(onIt, [], `${what}: nobody is further on that branch`);
  for (let at = elected; at.block.hash !== root.hash && at.parent !== null; at = at.parent) {
    for (const sibling of above.keys()) {
      if (sibling === at || sibling.parent !== at.parent) continue;
      const ahead = (above.get(sibling)?.length ?? 0) - (above.get(at)?.length ?? 0) || top(sibling) - top(at);
      assert.ok(ahead < 0 || (ahead === 0 && !tree.isMain(sibling)), `${what}: a sibling at ${at.block.height}`);
    }
  }
}
