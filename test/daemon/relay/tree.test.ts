import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Block } from "../../../src/shared/block.ts";
import { ForkTree, type TreeNode } from "../../../src/daemon/relay/index.ts";
import { chainOn, childOf, genesis } from "./blocks.ts";

function grown(count: number, options = {}): { tree: ForkTree; root: Block; blocks: Block[] } {
  const root = genesis();
  const tree = new ForkTree(options, { block: root, work: 1n });
  const blocks = chainOn(root, count);
  for (const block of blocks) assert.equal(tree.add(block, 1n), "extended");
  return { tree, root, blocks };
}

describe("ForkTree", () => {
  it("follows the most work, and the first seen where work is equal", () => {
    const { tree, root, blocks } = grown(3);
    const fork = chainOn(root, 4);
    assert.deepEqual(
      fork.slice(0, 3).map((block) => tree.add(block, 1n)),
      ["side", "side", "side"],
    );
    assert.equal(tree.tip.block.hash, (blocks[2] as Block).hash);
    assert.equal(tree.add(fork[3] as Block, 1n), "reorged");
    assert.equal(tree.tip.block.hash, (fork[3] as Block).hash);
    assert.equal(tree.at(101)?.block.hash, (fork[0] as Block).hash);
    assert.equal(tree.sideNodes, 3);
    const heavy = childOf(root);
    assert.equal(tree.add(heavy, 10n), "reorged");
    assert.equal(tree.tip.block.height, 101);
    assert.equal(tree.at(102), null);
  });

  it("keeps neither a known block twice nor one without its parent", () => {
    const { tree, blocks } = grown(2);
    assert.equal(tree.add(blocks[1] as Block, 1n), "known");
    assert.equal(tree.add(childOf(childOf(blocks[1] as Block)), 1n), "orphan");
    assert.equal(tree.size, 3);
  });

  it("forgets forks from below the final block and takes no new ones there", () => {
    const { tree, root, blocks } = grown(5);
    const low = chainOn(root, 2);
    const high = childOf(blocks[2] as Block);
    for (const block of [...low, high]) tree.add(block, 1n);
    tree.finalize(102);
    assert.equal(tree.has((low[1] as Block).hash), false);
    assert.ok(tree.get(high.hash));
    assert.equal(tree.add(childOf(blocks[0] as Block), 9n), "past_finality");
    assert.equal(tree.add(childOf(blocks[1] as Block), 1n), "side");
    tree.finalize(101);
    assert.equal(tree.final.block.height, 102);
  });

  it("takes out a branch and falls back to the best that remains", () => {
    const { tree, blocks } = grown(5);
    const fork = chainOn(blocks[1] as Block, 2);
    for (const block of fork) tree.add(block, 1n);
    const removed = tree.remove((blocks[2] as Block).hash);
    assert.deepEqual(
      removed.toSorted(),
      blocks
        .slice(2)
        .map((block) => block.hash)
        .toSorted(),
    );
    assert.equal(tree.tip.block.hash, (fork[1] as Block).hash);
    tree.finalize(103);
    assert.deepEqual(tree.remove((fork[0] as Block).hash), []);
  });

  it("falls back to the branch seen first where two are equal", () => {
    const { tree, root, blocks } = grown(3);
    const [first, second] = [childOf(root), childOf(root)];
    tree.add(first, 1n);
    tree.add(second, 1n);
    tree.remove((blocks[0] as Block).hash);
    assert.equal(tree.tip.block.hash, first.hash);
  });

  it("drops old headers, never those above the final one", () => {
    const { tree } = grown(50, { keepHeaders: 10 });
    assert.equal(tree.size, 51);
    tree.finalize(130);
    assert.equal(tree.oldest.block.height, 130);
    tree.finalize(150);
    assert.equal(tree.oldest.block.height, 140);
    assert.equal(tree.oldest.parent, null);
    assert.equal(tree.size, 11);
  });

  it("gives up the weakest fork at its bound", () => {
    const { tree, root, blocks } = grown(6, { maxSideNodes: 2 });
    const weak = childOf(root);
    const strong = childOf(blocks[3] as Block);
    assert.equal(tree.add(weak, 1n), "side");
    assert.equal(tree.add(strong, 1n), "side");
    assert.equal(tree.add(childOf(root), 1n), "side");
    assert.equal(tree.has(weak.hash), false);
    assert.equal(tree.add(childOf(strong), 2n), "reorged");
    assert.ok(tree.sideNodes <= 4);
  });

  it("refuses a fork where nothing weaker is there", () => {
    const { tree, root, blocks } = grown(6, { maxSideNodes: 1 });
    assert.equal(tree.add(childOf(blocks[3] as Block), 1n), "side");
    assert.equal(tree.add(childOf(root), 1n), "full");
  });

  it("takes a new best block whatever the forks weigh", () => {
    const { tree, root, blocks } = grown(2, { maxSideNodes: 1 });
    const fork = childOf(root);
    assert.equal(tree.add(fork, 1n), "side");
    const best = childOf(fork);
    assert.equal(tree.add(best, 9n), "reorged");
    assert.equal(tree.tip.block.hash, best.hash);
    assert.ok(tree.has((blocks[1] as Block).hash), "the way back is kept");
  });

  it("makes a locator: ten in a row, then ever farther, the oldest last", () => {
    const { tree, root, blocks } = grown(100);
    const locator = tree.locator();
    assert.deepEqual(
      locator.slice(0, 10),
      blocks
        .slice(-10)
        .reverse()
        .map((block) => block.hash),
    );
    assert.equal(locator.at(-1), root.hash);
    assert.ok(locator.length < 20);
    const heights = locator.map((hash) => tree.get(hash)?.block.height ?? 0);
    assert.deepEqual(
      heights,
      heights.toSorted((a, b) => b - a),
    );
  });

  it("serves context rules with the ancestors it was given", () => {
    const older = chainOn(genesis(), 20);
    const tree = new ForkTree({}, { block: older.at(-1) as Block, work: 77n, ancestors: older.slice(0, -1).reverse() });
    let node = tree.tip;
    assert.equal(node.work, 77n);
    for (const block of older.toReversed()) {
      assert.equal(node.block.hash, block.hash);
      node = node.parent ?? node;
    }
  });

  it("finds the way between any two blocks", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1_000), { minLength: 2, maxLength: 60 }),
        fc.nat(),
        fc.nat(),
        (parents, left, right) => {
          const root = genesis();
          const tree = new ForkTree({}, { block: root, work: 1n });
          const all = [root];
          for (const pick of parents) {
            const block = childOf(all[pick % all.length] as Block);
            tree.add(block, 1n);
            all.push(block);
          }
          const from = tree.get((all[left % all.length] as Block).hash) as TreeNode;
          const to = tree.get((all[right % all.length] as Block).hash) as TreeNode;
          const path = tree.pathBetween(from, to) as NonNullable<ReturnType<typeof tree.pathBetween>>;
          let at = from;
          for (const node of path.reverted) {
            assert.equal(node, at);
            at = node.parent as TreeNode;
          }
          assert.equal(at, path.ancestor);
          for (const node of path.applied) {
            assert.equal(node.parent, at);
            at = node;
          }
          assert.equal(at, to);
          const longest = Math.max(...all.map((block) => block.height));
          assert.equal(
            tree.tip.block.hash,
            all.find((block) => block.height === longest)?.hash,
            "first seen of the longest",
          );
        },
      ),
    );
  });
});

describe("ForkTree that follows no work", () => {
  it("only grows at its tip; a branch counts when it is preferred, whatever it weighs", () => {
    const { tree, root, blocks } = grown(3, { followsWork: false });
    const fork = chainOn(root, 5);
    for (const block of fork) assert.equal(tree.add(block, 99n), "side");
    assert.equal(tree.tip.block.hash, (blocks[2] as Block).hash);
    assert.equal(tree.prefer(tree.get((fork[1] as Block).hash) as TreeNode), true);
    assert.deepEqual([tree.tip.block.hash, tree.at(103), tree.sideNodes], [(fork[1] as Block).hash, null, 6]);
    assert.equal(tree.add(childOf(fork[1] as Block), 1n), "extended");
    assert.equal(tree.prefer(tree.get(root.hash) as TreeNode), true, "back to the root");
    assert.deepEqual([tree.tip.block.hash, tree.sideNodes], [root.hash, 9]);
    assert.equal(tree.add(blocks[0] as Block, 1n), "known", "what was left is still there");
  });

  it("stays where it is when a branch is taken out, or falls back to what the branch grew on", () => {
    const { tree, blocks } = grown(3, { followsWork: false });
    const side = chainOn(blocks[0] as Block, 9);
    for (const block of side) tree.add(block, 1n);
    tree.remove((side[8] as Block).hash);
    assert.equal(tree.tip.block.hash, (blocks[2] as Block).hash);
    tree.remove((blocks[1] as Block).hash);
    assert.equal(tree.tip.block.hash, (blocks[0] as Block).hash, "the longer side branch is nobody's choice");
  });

  it("prefers nothing that is gone, of another tree, or off the final block", () => {
    const { tree, root, blocks } = grown(4, { followsWork: false });
    const fork = childOf(root);
    tree.add(fork, 1n);
    const node = tree.get(fork.hash) as TreeNode;
    tree.finalize(102);
    assert.equal(tree.prefer(node), false);
    assert.equal(tree.prefer(tree.at(101) as TreeNode), false);
    assert.equal(tree.prefer(grown(1).tree.tip), false);
    assert.equal(tree.prefer(tree.at(102) as TreeNode), true);
    assert.deepEqual([tree.tip.block.hash, tree.final.block.height], [(blocks[1] as Block).hash, 102]);
  });

  it("begins anew from another root", () => {
    const { tree, blocks } = grown(4);
    tree.finalize(103);
    const root = genesis("bitcoin", 900);
    tree.replant({ block: root, work: 5n });
    assert.deepEqual([tree.size, tree.tip.block.hash, tree.final.block.height], [1, root.hash, 900]);
    assert.equal(tree.has((blocks[0] as Block).hash), false);
    assert.equal(tree.add(childOf(root), 1n), "extended");
    assert.deepEqual(tree.locator().length, 2);
  });
});
