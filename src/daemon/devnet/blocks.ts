/** The blocks of one chain, shared by the nodes that mine and serve it. All blocks weigh the same at regtest difficulty: longest is best. */
import { HeaderArchive } from "./archive.ts";
import type { Transaction } from "./transactions.ts";

export interface MinedBlock {
  /** Display order, as users see it. */
  readonly hash: string;
  readonly height: number;
  /** Unix seconds. */
  readonly time: number;
  /** 80 bytes, and the AuxPoW after them where there is one. */
  readonly header: Buffer;
  readonly transactions: readonly Transaction[];
  /** Null at genesis, and where the ancestors are in the archive. */
  parent: MinedBlock | null;
}

/** What became best with one block: one block, or a whole branch, oldest first. */
export interface TipChange {
  readonly reverted: readonly MinedBlock[];
  readonly applied: readonly MinedBlock[];
}

export interface BlockStoreOptions {
  /** Bodies, forks and quick look-ups are kept this deep below the tip; deeper there are only headers. */
  readonly keepBlocks: number;
}

export class BlockStore {
  readonly #keepBlocks: number;
  readonly #archive = new HeaderArchive();
  /** Best chain above the archive: index 0 is height `archive.length`. */
  readonly #recent: MinedBlock[] = [];
  readonly #byHash = new Map<string, MinedBlock>();
  readonly #listeners = new Set<(change: TipChange) => void>();

  constructor(options: BlockStoreOptions, genesis: MinedBlock) {
    this.#keepBlocks = options.keepBlocks;
    this.#recent.push(genesis);
    this.#byHash.set(genesis.hash, genesis);
  }

  get tip(): MinedBlock {
    return this.#recent.at(-1) as MinedBlock;
  }

  get(hash: string): MinedBlock | undefined {
    return this.#byHash.get(hash);
  }

  /** The best chain's block at `height`, undefined where it is too old or not there yet. */
  at(height: number): MinedBlock | undefined {
    return this.#recent[height - this.#archive.length];
  }

  /** The best chain's serialised header at `height`, however old; undefined above the tip. */
  headerAt(height: number): Buffer | undefined {
    return this.at(height)?.header ?? this.#archive.header(height);
  }

  /** The best chain's hash at `height`, however old; undefined above the tip. */
  hashAt(height: number): string | undefined {
    return this.at(height)?.hash ?? this.#archive.hash(height);
  }

  /** Height of the best chain's block of that hash, however old; null where the best chain has none. Reads the archive where it is old. */
  heightOf(hash: string): number | null {
    const block = this.#byHash.get(hash);
    if (block !== undefined) return this.at(block.height) === block ? block.height : null;
    const height = this.#archive.highestOf([hash]);
    return height < 0 ? null : height;
  }

  /** The lowest height whose body is kept: genesis has none. */
  get firstBody(): number {
    return Math.max(1, this.#archive.length);
  }

  /** Calls `listener` after each change of the tip; the returned function ends it. */
  onTip(listener: (change: TipChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Adds a block whose parent is here; where it makes its branch the longest, the listeners hear of it. */
  add(block: MinedBlock): void {
    this.#byHash.set(block.hash, block);
    if (block.height <= this.tip.height) return;
    const applied: MinedBlock[] = [];
    let at: MinedBlock = block;
    while (this.at(at.height) !== at) {
      applied.unshift(at);
      at = at.parent as MinedBlock;
    }
    const reverted = this.#recent.splice(at.height + 1 - this.#archive.length).reverse();
    this.#recent.push(...applied);
    for (const listener of this.#listeners) listener({ reverted, applied });
    this.#forget();
  }

  /** Serialised headers after the first hash of `locator` that is on the best chain (after genesis where none is), up to `stop`. */
  headersAfter(
    locator: readonly string[],
    stop: string,
    limit: number,
  ): { headers: Buffer[]; last: MinedBlock | null } {
    const from = this.#heightOf(locator) + 1;
    const headers: Buffer[] = [];
    let height = from;
    for (; height <= this.tip.height && headers.length < limit; height++) {
      headers.push(this.headerAt(height) as Buffer);
      if (this.at(height)?.hash === stop) break;
    }
    return { headers, last: headers.length === 0 ? this.tip : (this.at(from + headers.length - 1) ?? null) };
  }

  /** Hashes of the best chain by height, from genesis. */
  hashes(): string[] {
    return Array.from({ length: this.tip.height + 1 }, (_, height) => this.hashAt(height) as string);
  }

  #heightOf(locator: readonly string[]): number {
    for (const hash of locator) {
      const block = this.#byHash.get(hash);
      if (block !== undefined && this.at(block.height) === block) return block.height;
    }
    return Math.max(0, this.#archive.highestOf(locator));
  }

  /** Moves what is deeper than `keepBlocks` into the archive and drops the forks beside it. */
  #forget(): void {
    while (this.#recent.length > this.#keepBlocks) {
      const old = this.#recent.shift() as MinedBlock;
      this.#archive.append(old.header, old.hash);
      this.#byHash.delete(old.hash);
      (this.#recent[0] as MinedBlock).parent = null;
      for (const [hash, block] of this.#byHash) {
        if (block.height > old.height) break;
        this.#byHash.delete(hash);
      }
    }
  }
}
