/** What is final where upstreams tell it: a block that more than half of those who tell count as final, for one alone may be on a branch of its own. */
import type { HeadsTree } from "./heads.ts";
import type { ChainPoint } from "../upstream/index.ts";

export class Finality<Teller> {
  readonly #points = new Map<Teller, ChainPoint>();

  put(teller: Teller, point: ChainPoint): void {
    this.#points.set(teller, point);
  }

  withdraw(teller: Teller): void {
    this.#points.delete(teller);
  }

  /** Height up to which the best chain is final; null where nobody whose point is on it has told. What is not on it (yet) does not count. */
  height(tree: HeadsTree): number | null {
    const heights: number[] = [];
    for (const { hash } of this.#points.values()) {
      const node = tree.get(hash);
      // The height that it has, not the one that is said of it.
      if (node !== undefined && tree.isMain(node)) heights.push(node.block.height);
    }
    if (heights.length === 0) return null;
    return heights.sort((a, b) => b - a)[Math.floor(heights.length / 2)] ?? null;
  }
}
