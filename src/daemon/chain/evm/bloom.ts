/** The logs bloom of headers and receipts: 2048 bits, three for each address and topic (Yellow Paper, 4.3.1). */
import { keccak256 } from "./keccak.ts";

export const BLOOM_BYTES = 256;

/** Remembers where each address and topic goes: most of a block's logs repeat a few of them. One for each block. */
export class BloomBits {
  readonly #known = new Map<string, Uint16Array>();

  /** Sets the bits of `value` in `bloom`. */
  add(bloom: Uint8Array, value: Uint8Array): void {
    for (const bit of this.#bitsOf(value)) {
      const at = BLOOM_BYTES - 1 - (bit >> 3);
      bloom[at] = (bloom[at] as number) | (1 << (bit & 7));
    }
  }

  #bitsOf(value: Uint8Array): Uint16Array {
    const key = Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
    let bits = this.#known.get(key);
    if (bits === undefined) this.#known.set(key, (bits = bitsOf(value)));
    return bits;
  }
}

/** Adds all bits of `bloom` to `into`. */
export function mergeBloom(into: Uint8Array, bloom: Uint8Array): void {
  for (let i = 0; i < BLOOM_BYTES; i++) into[i] = (into[i] as number) | (bloom[i] as number);
}

/** A filter as eth_getLogs takes it: any of the addresses, and at each position any of the topics; empty stands for all. */
export interface LogFilter {
  readonly addresses: readonly Uint8Array[];
  readonly topics: readonly (readonly Uint8Array[])[];
}

/**
 * False where no log of the block can match: then an empty answer needs no proof. True proves nothing, as bits are shared, but an
 * empty answer is not to be believed without the receipts.
 */
export function bloomMayMatch(bloom: Uint8Array, filter: LogFilter): boolean {
  const anyOf = (values: readonly Uint8Array[]): boolean =>
    values.length === 0 || values.some((value) => bloomMayHold(bloom, value));
  // each log sets the bits of its address
  const some = bloom.some((byte) => byte !== 0);
  return some && anyOf(filter.addresses) && filter.topics.every(anyOf);
}

export function bloomMayHold(bloom: Uint8Array, value: Uint8Array): boolean {
  return bitsOf(value).every((bit) => ((bloom[BLOOM_BYTES - 1 - (bit >> 3)] as number) & (1 << (bit & 7))) !== 0);
}

function bitsOf(value: Uint8Array): Uint16Array {
  const hash = keccak256(value);
  return Uint16Array.of(hash.readUInt16BE(0) & 2047, hash.readUInt16BE(2) & 2047, hash.readUInt16BE(4) & 2047);
}
