/** A cursor over one payload that never reads past its end, and the growing buffer that payloads are written to. */
import { SprintError } from "../../shared/errors.ts";

/** Length of a block or transaction hash on the wire. */
export const HASH_BYTES = 32;

/** A payload that is not what its command says. The peer's fault, always. */
export function malformed(what: string, expected: string, got: unknown): SprintError {
  return new SprintError(
    "SPRINT_P2P_MALFORMED",
    `The peer sent a malformed ${what}: expected ${expected}, got ${String(got)}. Disconnect it; a healthy node never sends this.`,
    { what, expected, got: typeof got === "bigint" ? got.toString() : got },
  );
}

/** Display order (reversed hex) of a hash that stands at `offset`. */
function hashAt(bytes: Uint8Array, offset: number): string {
  return Buffer.from(bytes.subarray(offset, offset + HASH_BYTES))
    .reverse()
    .toString("hex");
}

/** Wire order of a hash in display order. Throws SPRINT_P2P_MALFORMED on text that is not 64 hex digits. */
export function hashBytes(hash: string): Uint8Array {
  const bytes = Buffer.from(hash, "hex");
  if (bytes.length !== HASH_BYTES || hash.length !== 2 * HASH_BYTES) throw malformed("hash", "64 hex digits", hash);
  return bytes.reverse();
}

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  offset: number;

  /** `what` names the message in errors. */
  constructor(bytes: Uint8Array, what: string, offset = 0) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.offset = offset;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** Moves on by `length` bytes and returns where they start. */
  #take(length: number): number {
    const at = this.offset;
    if (length > this.bytes.length - at) {
      throw malformed(this.#what, `${length} more bytes at offset ${at}`, `${this.bytes.length - at}`);
    }
    this.offset = at + length;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  /** Ports stand in network byte order. */
  u16be(): number {
    return this.#view.getUint16(this.#take(2), false);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** A view, not a copy. */
  take(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  hash(): string {
    return hashAt(this.bytes, this.#take(HASH_BYTES));
  }

  /** Any CompactSize, in its shortest form only, as Core's ReadCompactSize demands. */
  compactSize(): bigint {
    const first = this.u8();
    if (first < 0xfd) return BigInt(first);
    const value = first === 0xfd ? BigInt(this.u16()) : first === 0xfe ? BigInt(this.u32()) : this.u64();
    const least = first === 0xfd ? 0xfdn : first === 0xfe ? 0x1_0000n : 0x1_0000_0000n;
    if (value < least) throw malformed(this.#what, "a CompactSize in its shortest form", value);
    return value;
  }

  /** A CompactSize that counts things, `max` at most: checked before anything is allocated for them. */
  count(max: number, of: string): number {
    const value = this.compactSize();
    if (value > BigInt(max)) throw malformed(this.#what, `at most ${max} ${of}`, value);
    return Number(value);
  }

  /** The payload must end here. */
  finish(): void {
    if (this.remaining !== 0) throw malformed(this.#what, "the end of the payload", `${this.remaining} more bytes`);
  }
}

export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  /** `sizeBytes`: a guess; the buffer grows when it was too small. */
  constructor(sizeBytes = 256) {
    this.#bytes = Buffer.allocUnsafe(sizeBytes);
  }

  #room(length: number): number {
    const at = this.#length;
    if (at + length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, at + length));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#length = at + length;
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }

  u16be(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeUInt32LE(value, at);
    return this;
  }

  i32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeInt32LE(value, at);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64LE(value, at);
    return this;
  }

  put(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  hash(hash: string): this {
    return this.put(hashBytes(hash));
  }

  compactSize(value: number | bigint): this {
    if (value < 0xfd) return this.u8(Number(value));
    if (value <= 0xffff) return this.u8(0xfd).u16(Number(value));
    if (value <= 0xffff_ffff) return this.u8(0xfe).u32(Number(value));
    return this.u8(0xff).u64(BigInt(value));
  }

  /** What was written so far, without a copy: write nothing more afterwards. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
