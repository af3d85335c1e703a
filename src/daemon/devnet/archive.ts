/**
 * Headers of the best chain that no reorg reaches any more, end to end in slabs: a node that mines for days keeps about 100 bytes a
 * block. Their hashes are not kept: each stands in the next header as its parent.
 */
import { displayHash, internalHash } from "./serialize.ts";

const SLAB_BYTES = 64 * 1024;
const PARENT_AT = 4;

export class HeaderArchive {
  readonly #slabs: Buffer[] = [];
  /** Start of each header, counted over all slabs. */
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  #end = 0;
  #tipHash = "";

  /** Heights 0 … length - 1 are here. */
  get length(): number {
    return this.#starts.length;
  }

  /** `header` is the 80 bytes and their AuxPoW, `hash` its display hash. */
  append(header: Buffer, hash: string): void {
    const room = this.#slabs.length * SLAB_BYTES - this.#end;
    if (header.length > room) {
      this.#end = this.#slabs.length * SLAB_BYTES;
      this.#slabs.push(Buffer.alloc(SLAB_BYTES));
    }
    header.copy(this.#slabs.at(-1) as Buffer, this.#end % SLAB_BYTES);
    this.#starts.push(this.#end);
    this.#lengths.push(header.length);
    this.#end += header.length;
    this.#tipHash = hash;
  }

  header(height: number): Buffer | undefined {
    const start = this.#starts[height];
    const length = this.#lengths[height];
    if (start === undefined || length === undefined) return undefined;
    const inSlab = start % SLAB_BYTES;
    return this.#slabs[Math.floor(start / SLAB_BYTES)]?.subarray(inSlab, inSlab + length);
  }

  hash(height: number): string | undefined {
    if (height >= 0 && height === this.length - 1) return this.#tipHash;
    const child = this.header(height + 1);
    return child === undefined ? undefined : displayHash(child.subarray(PARENT_AT, PARENT_AT + 32));
  }

  /** Height of the highest archived header among `hashes` (display hex); -1 where none is here. Reads over the whole archive once. */
  highestOf(hashes: readonly string[]): number {
    const prefixes = new Set(hashes.map((hash) => internalHash(hash).readUInt32LE(0)));
    for (let height = this.length - 1; height >= 0; height--) {
      const prefix = this.header(height + 1)?.readUInt32LE(PARENT_AT);
      if (prefix !== undefined && !prefixes.has(prefix)) continue;
      if (hashes.includes(this.hash(height) as string)) return height;
    }
    return -1;
  }
}
