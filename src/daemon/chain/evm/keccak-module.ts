/**
 * Assembles a WebAssembly module that takes Keccak as Ethereum uses it: Keccak-f[1600] with 64-bit lanes in locals, which
 * JavaScript has no numbers for (FIPS 202, section 3; padding 0x01 instead of SHA-3's 0x06).
 *
 * Exports: `memory`; `keccak256(from, blocks)`: absorbs `blocks` padded blocks of 136 bytes at `from`, writes 32 bytes at RESULT;
 * `keccak512(from, blocks)`: the same with blocks of 72 bytes and a result of 64.
 */
import {
  ADD,
  branchIf,
  type Code,
  END,
  flatten,
  get,
  i32,
  loop,
  LT_U,
  section,
  segment,
  set,
  sized,
  tee,
  unsigned,
} from "../wasm.ts";

/** The result of the last call. */
export const RESULT = 0;
/** Message bytes start here. */
export const HEAP = 512;
/** Bytes of a padded block, by bits of the result. */
export const RATE_BYTES = { 256: 136, 512: 72 } as const;

const ROUND_CONSTANTS = 64;
const ROUNDS = 24;

const load = (offset: number): Code => [0x29, 3, unsigned(offset)];
const store = (offset: number): Code => [0x37, 3, unsigned(offset)];
const MINUS_ONE: Code = [0x42, 0x7f];
const SUB = 0x6b;
const AND = 0x83;
const XOR = 0x85;
/** A constant of up to 63 is one byte of signed LEB128. */
const rotl = (bits: number): Code => (bits === 0 ? [] : [0x42, bits, 0x89]);

/** Locals: two parameters, the round's offset, and the lanes before and after rho and pi. */
const FROM = 0;
const BLOCKS = 1;
const ROUND = 2;
const lane = (x: number, y: number): number => 3 + (x % 5) + 5 * (y % 5);
const moved = (x: number, y: number): number => 28 + (x % 5) + 5 * (y % 5);
const parity = (x: number): number => 53 + (x % 5);
const FIVE = [0, 1, 2, 3, 4] as const;

/** The module's bytes. */
export function keccakModule(): Uint8Array<ArrayBuffer> {
  const I32 = 0x7f;
  const I64 = 0x7e;
  const body = (bits: 256 | 512): Code => {
    const bytes = flatten([2, 1, I32, 55, I64, keccak(bits), END]);
    return [unsigned(bytes.length), bytes];
  };
  const name = (text: string): Code => sized([...Buffer.from(text)]);
  return Uint8Array.from(
    flatten([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section("types", [[0x60, sized([I32, I32]), 0]]),
      section("functions", [0, 0]),
      section("memory", [[0x00, 1]]),
      section("exports", [
        [name("memory"), 2, 0],
        [name("keccak256"), 0, 0],
        [name("keccak512"), 0, 1],
      ]),
      section("code", [body(256), body(512)]),
      section("data", [segment(ROUND_CONSTANTS, roundConstants())]),
    ]),
  );
}

/** Locals begin as zeros, which is the empty sponge. */
function keccak(bits: 256 | 512): Code {
  const rate = RATE_BYTES[bits];
  const absorb = Array.from({ length: rate / 8 }, (_, i) => [
    [get(lane(i, Math.floor(i / 5))), get(FROM), load(i * 8), XOR, set(lane(i, Math.floor(i / 5)))],
  ]);
  return [
    loop(
      absorb,
      [i32(0), set(ROUND)],
      loop(round(), [get(ROUND), i32(8), ADD, tee(ROUND), i32(ROUNDS * 8), LT_U, branchIf(0)]),
      [get(FROM), i32(rate), ADD, set(FROM)],
      [get(BLOCKS), i32(1), SUB, tee(BLOCKS), branchIf(0)],
    ),
    Array.from({ length: bits / 64 }, (_, i) => [i32(0), get(lane(i, Math.floor(i / 5))), store(RESULT + i * 8)]),
  ];
}

function round(): Code {
  const offsets = rotations();
  return [
    // theta
    FIVE.map((x) => [
      [get(lane(x, 0)), get(lane(x, 1)), XOR, get(lane(x, 2)), XOR, get(lane(x, 3)), XOR, get(lane(x, 4)), XOR],
      set(parity(x)),
    ]),
    FIVE.map((x) => [
      // the column's change stays where nobody reads any more: moved lanes are written after this
      [get(parity(x + 4)), get(parity(x + 1)), rotl(1), XOR, set(moved(x, 0))],
    ]),
    FIVE.map((x) =>
      FIVE.map((y) => [get(lane(x, y)), get(moved(x, 0)), XOR, rotl(offsets[x + 5 * y] as number), set(lane(x, y))]),
    ),
    // pi, as a renaming of what chi reads; then chi, row by row
    FIVE.map((x) => FIVE.map((y) => [get(lane(x, y)), set(moved(y, 2 * x + 3 * y))])),
    FIVE.map((y) =>
      FIVE.map((x) => [
        [get(moved(x + 1, y)), MINUS_ONE, XOR, get(moved(x + 2, y)), AND, get(moved(x, y)), XOR],
        set(lane(x, y)),
      ]),
    ),
    // iota
    [get(lane(0, 0)), get(ROUND), load(ROUND_CONSTANTS), XOR, set(lane(0, 0))],
  ];
}

/** rho: by how much each lane turns, from the walk of the specification. */
function rotations(): number[] {
  const offsets = Array<number>(25).fill(0);
  for (let t = 0, x = 1, y = 0; t < 24; t++) {
    offsets[x + 5 * y] = (((t + 1) * (t + 2)) / 2) % 64;
    [x, y] = [y, (2 * x + 3 * y) % 5];
  }
  return offsets;
}

/** iota: a linear feedback shift register gives bit 2^j - 1 of each round's constant. */
function roundConstants(): number[] {
  const bytes = Buffer.alloc(ROUNDS * 8);
  let register = 1;
  for (let index = 0; index < ROUNDS; index++) {
    let constant = 0n;
    for (let j = 0; j < 7; j++) {
      if ((register & 1) === 1) constant |= 1n << BigInt(2 ** j - 1);
      register = (register << 1) ^ ((register >> 7) * 0x171);
    }
    bytes.writeBigUInt64LE(constant, index * 8);
  }
  return [...bytes];
}
