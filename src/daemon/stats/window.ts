/** The newest blocks of the best chain with what was read out of their bodies. */
import type { Block } from "../../shared/block.ts";
import type { BlockDigest } from "../../shared/body.ts";

export interface Row<D extends BlockDigest> {
  readonly block: Block;
  /** Null until the body is proved. */
  readonly digest: D | null;
}

export interface ReadRow<D extends BlockDigest> extends Row<D> {
  readonly digest: D;
}

export class BlockWindow<D extends BlockDigest> {
  readonly #max: number;
  /** Consecutive, oldest first. */
  readonly #rows: Row<D>[] = [];
  reorgs = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get tip(): Block | null {
    return this.#rows.at(-1)?.block ?? null;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Takes a block, or what its proof adds to it. A block older than the window, and a proof of one that is not in it, say nothing. */
  put(block: Block, digest: D | null): void {
    const index = block.height - (this.#rows[0]?.block.height ?? block.height);
    const known = this.#rows[index];
    if (known?.block.hash === block.hash) {
      if (digest !== null || known.digest === null) this.#rows[index] = { block, digest };
      return;
    }
    if (index < 0 || (digest !== null && known !== undefined)) return;
    const parent = this.#rows[index - 1];
    const follows = parent === undefined ? index === 0 : parent.block.hash === block.parentHash;
    this.#rows.length = follows ? index : 0;
    this.#rows.push({ block, digest });
    if (this.#rows.length > this.#max) this.#rows.shift();
  }

  /** The newest `count` are gone. */
  drop(count: number): void {
    if (count <= 0) return;
    this.#rows.length = Math.max(0, this.#rows.length - count);
    this.reorgs++;
  }

  /** The newest `count`, oldest first. */
  newest(count: number): readonly Row<D>[] {
    return this.#rows.slice(-count);
  }

  /** Those of the newest `count` whose bodies are proved. */
  read(count: number): readonly ReadRow<D>[] {
    return this.newest(count).filter((row): row is ReadRow<D> => row.digest !== null);
  }

  /** The block at a height, null outside the window. */
  at(height: number): Block | null {
    return this.#rows[height - (this.#rows[0]?.block.height ?? 0)]?.block ?? null;
  }
}
