/** Reads and writes Solana's wire format. Lengths are compact-u16 ("short vec"): 7 bits a byte, least significant first. */
import { failure } from "./failure.ts";

/** A cursor over bytes from outside. Every read that would leave them throws SPRINT_SVM_TRUNCATED. */
export class WireReader {
  readonly bytes: Uint8Array;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A view of the next `length` bytes. */
  take(length: number, what: string): Uint8Array {
    const start = this.offset;
    const end = start + length;
    if (end > this.bytes.length) {
      throw failure("SPRINT_SVM_TRUNCATED", what, `${length} bytes at offset ${start}`, this.bytes.length - start);
    }
    this.offset = end;
    return this.bytes.subarray(start, end);
  }

  u8(what: string): number {
    const value = this.bytes[this.offset];
    if (value === undefined) throw failure("SPRINT_SVM_TRUNCATED", what, `1 byte at offset ${this.offset}`, 0);
    this.offset++;
    return value;
  }

  /** At most 3 bytes, at most 65,535, in the shortest form; nodes refuse others as well. Throws SPRINT_SVM_COMPACT_U16. */
  compactU16(what: string): number {
    const first = this.u8(what);
    if (first < 0x80) return first;
    const second = this.u8(what);
    if (second === 0) throw failure("SPRINT_SVM_COMPACT_U16", what, "the shortest form", "a last byte of 0");
    if (second < 0x80) return (first & 0x7f) | (second << 7);
    const third = this.u8(what);
    if (third === 0 || third > 3) throw failure("SPRINT_SVM_COMPACT_U16", what, "a third byte of 1 to 3", third);
    return (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
  }

  /** Throws SPRINT_SVM_TRAILING where bytes are left. */
  end(what: string): void {
    const left = this.bytes.length - this.offset;
    if (left > 0) throw failure("SPRINT_SVM_TRAILING", `bytes after the ${what}`, 0, left);
  }
}

/** `value` must be 0 to 65,535. */
export function compactU16(value: number): Uint8Array {
  if (value < 0x80) return Uint8Array.of(value);
  if (value < 0x4000) return Uint8Array.of((value & 0x7f) | 0x80, value >> 7);
  return Uint8Array.of((value & 0x7f) | 0x80, ((value >> 7) & 0x7f) | 0x80, value >> 14);
}
