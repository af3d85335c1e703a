/** Reads the serialised forms of the Bitcoin family. Everything is bounded by the bytes that are there. */
import { SprintError } from "../../shared/errors.ts";

/**
 * A cursor over bytes from outside. Integers are little-endian. Every read that would leave the buffer throws
 * SPRINT_DECODE_TRUNCATED with `expected` and `actual` bytes and the `offset`.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** A view of the next `length` bytes; copy it to keep it. */
  take(length: number, what: string): Uint8Array {
    const start = this.#advance(length, what);
    return this.bytes.subarray(start, start + length);
  }

  skip(length: number, what: string): void {
    this.#advance(length, what);
  }

  u8(what: string): number {
    return this.bytes[this.#advance(1, what)] as number;
  }

  u32(what: string): number {
    return readU32(this.bytes, this.#advance(4, what));
  }

  i32(what: string): number {
    return this.u32(what) | 0;
  }

  /** CompactSize; the longest form in which the value would fit shorter is refused (as nodes do), and so is more than `limit`. */
  varint(what: string, limit: number): number {
    const start = this.offset;
    const first = this.u8(what);
    let value = first;
    let floor = 0;
    if (first === 0xfd) {
      value = this.u8(what) + this.u8(what) * 0x100;
      floor = 0xfd;
    } else if (first === 0xfe) {
      value = this.u32(what);
      floor = 0x1_0000;
    } else if (first === 0xff) {
      value = this.u32(what) + this.u32(what) * 0x1_0000_0000;
      floor = 0x1_0000_0000;
    }
    if (value < floor) {
      throw new SprintError(
        "SPRINT_DECODE_VARINT",
        `${what}: expected the shortest form of ${value}, got a longer one at offset ${start}`,
        {
          expected: `below ${floor} in a shorter form`,
          actual: value,
          offset: start,
        },
      );
    }
    if (value > limit) {
      throw new SprintError(
        "SPRINT_DECODE_LIMIT",
        `${what}: expected at most ${limit}, got ${value} at offset ${start}`,
        {
          expected: limit,
          actual: value,
          offset: start,
        },
      );
    }
    return value;
  }

  #advance(length: number, what: string): number {
    const start = this.offset;
    if (start + length > this.bytes.length) {
      throw new SprintError(
        "SPRINT_DECODE_TRUNCATED",
        `${what}: expected ${length} bytes at offset ${start}, got ${Math.max(0, this.bytes.length - start)}`,
        { expected: length, actual: Math.max(0, this.bytes.length - start), offset: start },
      );
    }
    this.offset = start + length;
    return start;
  }
}

/** Little-endian unsigned 32-bit number; the caller knows that the bytes are there. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] as number) |
      ((bytes[offset + 1] as number) << 8) |
      ((bytes[offset + 2] as number) << 16) |
      ((bytes[offset + 3] as number) << 24)) >>>
    0
  );
}
