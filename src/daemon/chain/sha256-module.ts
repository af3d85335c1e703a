/**
 * Assembles a WebAssembly module that takes SHA-256d of many messages in one call, four at a time in the lanes of 128-bit
 * vectors (FIPS 180-4). The cost of hashing a block of small transactions one by one is the call, not the hash.
 *
 * Exports: `memory`; `messages(jobs, count)`, a job is three u32: offset, length, offset of the 32-byte result;
 * `pairs(from, to, count)`, `count` nodes of 64 bytes to as many of 32, `to` may be `from`; `repeat(times)`, SHA-256 (once) of
 * the 32 bytes in the first half of each lane of WORDS, over its own result, `times` times (at least once).
 */
import {
  ADD,
  branchIf,
  type Code,
  END,
  EQZ,
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
  when,
} from "./wasm.ts";

/** Message bytes, jobs and results start here; below lie the module's own tables and lanes. */
export const HEAP = 8192;

const ROUND_KEYS = 0; // 64 × 16 bytes, each word in all four lanes
const PADDING_KEYS = 1024; // round keys plus the schedule of the block that pads a 64-byte message
const STATE = 2048; // 8 × 16 bytes
export const WORDS = 2304; // 16 × 16 bytes: message words, one message a lane
const LANES = 3072; // 4 × 32 bytes: see LANE
const TAILS = 4096; // 4 × 128 bytes: the padded end of each lane's message
const NEXT_JOB = 3200;
const LAST_JOB = 3204;
const LANE = { from: 0, blocks: 4, stage: 8, tailBlocks: 12, to: 16 } as const;
const STAGE = { idle: 0, body: 1, tail: 2, second: 3 } as const;

const PRIMES = primes(64);
const ROUND = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const INITIAL = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

// Instructions used, https://webassembly.github.io/spec/core/appendix/index-instructions.html
const load32 = (offset: number): Code => [0x28, 2, unsigned(offset)];
const store32 = (offset: number): Code => [0x36, 2, unsigned(offset)];
const store8 = (offset: number): Code => [0x3a, 0, unsigned(offset)];
const branch = (depth: number): Code => [0x0c, depth];
const call = (index: number): Code => [0x10, index];
const RETURN = 0x0f;
const SELECT = 0x1b;
const EQ = 0x46;
const SUB = 0x6b;
const MUL = 0x6c;
const AND = 0x71;
const OR = 0x72;
const SHL = 0x74;
const SHR_U = 0x76;
const ROTL = 0x77;
const COPY: Code = [0xfc, 10, 0, 0];
const FILL: Code = [0xfc, 11, 0];

const vector = (op: number, ...immediate: Code): Code => [0xfd, unsigned(op), immediate];
const vload = (offset: number): Code => vector(0, 4, unsigned(offset));
const vstore = (offset: number): Code => vector(11, 4, unsigned(offset));
const shuffle = (...lanes: number[]): Code => vector(13, ...lanes);
const vshl = (bits: number): Code => [i32(bits), vector(171)];
const vshr = (bits: number): Code => [i32(bits), vector(173)];
const V_AND = vector(78);
const V_OR = vector(80);
const V_XOR = vector(81);
const V_ADD = vector(174);

/** Function indexes, in the order of the code section. */
const FUNCTION = {
  transpose: 0,
  compress: 1,
  compressPadding: 2,
  reset: 3,
  digest: 4,
  advance: 5,
  messages: 6,
  pairs: 7,
  repeat: 8,
} as const;

/** The module's bytes. */
export function sha256Module(): Uint8Array<ArrayBuffer> {
  const I32 = 0x7f;
  const V128 = 0x7b;
  const type = (parameters: number): Code => [0x60, sized(Array<number>(parameters).fill(I32)), 0];
  const body = (i32s: number, v128s: number, ...code: Code): Code => {
    const bytes = flatten([2, unsigned(i32s), I32, unsigned(v128s), V128, code, END]);
    return [unsigned(bytes.length), bytes];
  };
  const name = (text: string): Code => sized([...Buffer.from(text)]);
  return Uint8Array.from(
    flatten([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section("types", [0, 1, 2, 3, 4].map(type)),
      section("functions", [4, 0, 0, 1, 2, 1, 2, 3, 1]),
      section("memory", [[0x00, 1]]),
      section("exports", [
        [name("memory"), 2, 0],
        [name("messages"), 0, FUNCTION.messages],
        [name("pairs"), 0, FUNCTION.pairs],
        [name("repeat"), 0, FUNCTION.repeat],
      ]),
      section("code", [
        body(0, 8, transpose()),
        body(0, 27, compress()),
        body(0, 27, compressPadding()),
        body(1, 0, reset()),
        body(1, 0, digest()),
        body(4, 0, advance()),
        body(2, 0, messages()),
        body(2, 0, pairs()),
        body(0, 0, repeat()),
      ]),
      section("data", [segment(ROUND_KEYS, fourfold(ROUND)), segment(PADDING_KEYS, fourfold(paddingKeys()))]),
    ]),
  );
}

/** (p0, p1, p2, p3): reads 64 bytes at each, big-endian words, into WORDS. */
function transpose(): Code {
  const bigEndian = shuffle(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
  const low = shuffle(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const high = shuffle(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  const lowHalf = shuffle(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  const highHalf = shuffle(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const row = (lane: number): number => 4 + lane;
  const mixed = (index: number): number => 8 + index;
  return [0, 1, 2, 3].map((group) => [
    [0, 1, 2, 3].map((lane) => [
      get(lane),
      vload(group * 16),
      tee(row(lane)),
      get(row(lane)),
      bigEndian,
      set(row(lane)),
    ]),
    [get(row(0)), get(row(1)), low, set(mixed(0)), get(row(2)), get(row(3)), low, set(mixed(1))],
    [get(row(0)), get(row(1)), high, set(mixed(2)), get(row(2)), get(row(3)), high, set(mixed(3))],
    [lowHalf, highHalf, lowHalf, highHalf].map((half, word) => {
      const pair = word < 2 ? 0 : 2;
      return [i32(0), get(mixed(pair)), get(mixed(pair + 1)), half, vstore(WORDS + (group * 4 + word) * 16)];
    }),
  ]);
}

/** One block of each lane: STATE += rounds over WORDS. */
function compress(): Code {
  const word = (index: number): number => 8 + (index % 16);
  return [
    Array.from({ length: 16 }, (_, i) => [i32(0), vload(WORDS + i * 16), set(word(i))]),
    rounds((t) => [
      t < 16
        ? []
        : [
            get(word(t)),
            smallSigma(word(t + 1), 7, 18, 3),
            V_ADD,
            get(word(t + 9)),
            V_ADD,
            smallSigma(word(t + 14), 17, 19, 10),
            V_ADD,
            set(word(t)),
          ],
      [get(word(t)), i32(0), vload(ROUND_KEYS + t * 16), V_ADD],
    ]),
  ];
}

/** The block that pads a 64-byte message is the same for all, so its schedule is a table. */
function compressPadding(): Code {
  return rounds((t) => [i32(0), vload(PADDING_KEYS + t * 16)]);
}

/** 64 rounds, unrolled; `keyed(t)` leaves K[t] + W[t] on the stack. Locals 0-7 are a…h, 24-26 are scratch. */
function rounds(keyed: (t: number) => Code): Code {
  const SUM = 24;
  let differs = 25; // a ^ b of this round is b ^ c of the next
  let differed = 26;
  const state = [0, 1, 2, 3, 4, 5, 6, 7];
  const code: (number | Code)[] = [
    state.map((local) => [i32(0), vload(STATE + local * 16), set(local)]),
    [get(1), get(2), V_XOR, set(differed)],
  ];
  for (let t = 0; t < 64; t++) {
    const [a, b, , d, e, f, g, h] = state as [number, number, number, number, number, number, number, number];
    const choice = [get(f), get(g), V_XOR, get(e), V_AND, get(g), V_XOR];
    const majority = [get(a), get(b), V_XOR, tee(differs), get(differed), V_AND, get(b), V_XOR];
    code.push(
      [keyed(t), get(h), V_ADD, choice, V_ADD, bigSigma(e, 6, 11, 25), V_ADD, set(SUM)],
      [get(d), get(SUM), V_ADD, set(d)],
      [get(SUM), majority, V_ADD, bigSigma(a, 2, 13, 22), V_ADD, set(h)],
    );
    state.unshift(state.pop() as number);
    [differs, differed] = [differed, differs];
  }
  // the locals have come round to their first order after 64 rounds
  code.push(
    state.map((local, i) => [i32(0), i32(0), vload(STATE + i * 16), get(local), V_ADD, vstore(STATE + i * 16)]),
  );
  return code;
}

function bigSigma(x: number, first: number, second: number, third: number): Code {
  return [rotated(x, first), rotated(x, second), V_XOR, rotated(x, third), V_XOR];
}

function smallSigma(x: number, first: number, second: number, shift: number): Code {
  return [rotated(x, first), rotated(x, second), V_XOR, get(x), vshr(shift), V_XOR];
}

function rotated(x: number, bits: number): Code {
  return [get(x), vshr(bits), get(x), vshl(32 - bits), V_OR];
}

/** (lane): the lane's state to the initial value. */
function reset(): Code {
  return [[get(0), i32(2), SHL, set(1)], INITIAL.map((word, i) => [get(1), i32(word | 0), store32(STATE + i * 16)])];
}

/** (lane, to): writes the lane's state as 32 bytes. */
function digest(): Code {
  return INITIAL.map((_, i) => [
    [get(1), get(0), i32(2), SHL, load32(STATE + i * 16), tee(2)],
    [swapped(2), store32(i * 4)],
  ]);
}

/** A local's value with its bytes in reverse; the local's value is on the stack already. */
function swapped(x: number): Code {
  return [i32(8), ROTL, i32(0x00ff00ff), AND, get(x), i32(24), ROTL, i32(0xff00ff00 | 0), AND, OR];
}

/** (lane): called when the lane has no blocks left; leaves it with blocks, or with none when there are no jobs left. */
function advance(): Code {
  const [lane, at, tail, job, rest] = [0, 1, 2, 3, 4];
  const field = (name: keyof typeof LANE): Code => load32(LANES + LANE[name]);
  const assign = (name: keyof typeof LANE): Code => store32(LANES + LANE[name]);
  const stageIs = (name: keyof typeof STAGE): Code => [get(at), field("stage"), i32(STAGE[name]), EQ];
  const enter = (name: keyof typeof STAGE): Code => [get(at), i32(STAGE[name]), assign("stage")];
  return [
    [get(lane), i32(5), SHL, set(at), i32(TAILS), get(lane), i32(7), SHL, ADD, set(tail)],
    [stageIs("second"), when(get(lane), get(at), field("to"), call(FUNCTION.digest), enter("idle"))],
    stageIs("idle"),
    when(
      [i32(0), load32(NEXT_JOB), tee(job), i32(0), load32(LAST_JOB), EQ, when(RETURN)],
      [i32(0), get(job), i32(12), ADD, store32(NEXT_JOB)],
      [get(lane), call(FUNCTION.reset), enter("body")],
      [get(at), get(job), load32(0), assign("from"), get(at), get(job), load32(8), assign("to")],
      [get(at), get(job), load32(4), i32(6), SHR_U, assign("blocks")],
      [get(job), load32(4), i32(63), AND, set(rest)],
      [get(tail), i32(0), i32(128), FILL],
      [get(tail), get(job), load32(0), get(job), load32(4), ADD, get(rest), SUB, get(rest), COPY],
      [get(tail), get(rest), ADD, i32(0x80), store8(0)],
      [get(at), i32(2), i32(1), i32(55), get(rest), LT_U, SELECT, assign("tailBlocks")],
      // length in bits, big-endian, closes the last block
      [get(tail), get(at), field("tailBlocks"), i32(6), SHL, ADD, i32(4), SUB],
      [get(job), load32(4), i32(3), SHL, tee(rest), swapped(rest), store32(0)],
      [get(at), field("blocks"), when(RETURN)],
    ),
    stageIs("body"),
    when(
      [get(at), get(tail), assign("from"), get(at), get(at), field("tailBlocks"), assign("blocks")],
      [enter("tail"), RETURN],
    ),
    [get(lane), get(tail), call(FUNCTION.digest), get(lane), call(FUNCTION.reset)],
    [get(tail), i32(32), ADD, i32(0), i32(32), FILL],
    [get(tail), i32(0x80), store8(32), get(tail), i32(0x0001_0000), store32(60)],
    [get(at), get(tail), assign("from"), get(at), i32(1), assign("blocks"), enter("second")],
  ];
}

/** (jobs, count) */
function messages(): Code {
  const [jobs, count, lane, active] = [0, 1, 2, 3];
  const each = [0, 1, 2, 3].map((index) => LANES + index * 32);
  return [
    [i32(0), get(jobs), store32(NEXT_JOB), i32(0), get(jobs), get(count), i32(12), MUL, ADD, store32(LAST_JOB)],
    each.map((at) => [i32(0), i32(0), store32(at + LANE.blocks), i32(0), i32(STAGE.idle), store32(at + LANE.stage)]),
    loop(
      [i32(0), tee(lane), set(active)],
      loop(
        [get(lane), i32(5), SHL, load32(LANES + LANE.blocks), EQZ, when(get(lane), call(FUNCTION.advance))],
        [get(active), get(lane), i32(5), SHL, load32(LANES + LANE.blocks), OR, set(active)],
        [get(lane), i32(1), ADD, tee(lane), i32(4), LT_U, branchIf(0)],
      ),
      [get(active), EQZ, when(RETURN)],
      [each.map((at) => [i32(0), load32(at + LANE.from)]), call(FUNCTION.transpose), call(FUNCTION.compress)],
      each.map((at) => [
        [
          i32(0),
          load32(at + LANE.blocks),
          when(
            [i32(0), i32(0), load32(at + LANE.blocks), i32(1), SUB, store32(at + LANE.blocks)],
            [i32(0), i32(0), load32(at + LANE.from), i32(64), ADD, store32(at + LANE.from)],
          ),
        ],
      ]),
      branch(0),
    ),
  ];
}

/** (from, to, count); a last group of less than four repeats its last node. */
function pairs(): Code {
  const [from, to, count, first, index] = [0, 1, 2, 3, 4];
  const node = (lane: number): Code => [
    [get(first), i32(lane), ADD, tee(index), get(count), i32(1), SUB, get(index), get(count), LT_U, SELECT],
  ];
  const lanes = [0, 1, 2, 3];
  return [
    [get(count), EQZ, when(RETURN)],
    loop(
      [lanes.map((lane) => [get(from), node(lane), i32(6), SHL, ADD]), call(FUNCTION.transpose)],
      [resetAll(), call(FUNCTION.compress), call(FUNCTION.compressPadding)],
      // the second hash is over the 32 bytes of the first, which are in place but for their padding
      [resultToWords(), padWords(), resetAll(), call(FUNCTION.compress)],
      lanes.map((lane) => [i32(lane), get(to), node(lane), i32(5), SHL, ADD, call(FUNCTION.digest)]),
      [get(first), i32(4), ADD, tee(first), get(count), LT_U, branchIf(0)],
    ),
  ];
}

/** (times) */
function repeat(): Code {
  return [
    padWords(),
    loop([resetAll(), call(FUNCTION.compress), resultToWords()], [get(0), i32(1), SUB, tee(0), branchIf(0)]),
  ];
}

function resetAll(): Code {
  return INITIAL.map((word, i) => [i32(0), i32(word | 0), vector(17), vstore(STATE + i * 16)]);
}

function resultToWords(): Code {
  return INITIAL.map((_, i) => [i32(0), i32(0), vload(STATE + i * 16), vstore(WORDS + i * 16)]);
}

/** What follows 32 bytes in their block. */
function padWords(): Code {
  return [0x80000000 | 0, 0, 0, 0, 0, 0, 0, 256].map((word, i) => [
    i32(0),
    i32(word),
    vector(17),
    vstore(WORDS + (8 + i) * 16),
  ]);
}

/** Round keys plus the message schedule of the block that pads a 64-byte message. */
function paddingKeys(): number[] {
  const words = [0x80000000, ...Array<number>(14).fill(0), 512];
  const rotate = (x: number, bits: number): number => (x >>> bits) | (x << (32 - bits));
  for (let t = 16; t < 64; t++) {
    const near = words[t - 2] as number;
    const far = words[t - 15] as number;
    const sigma1 = rotate(near, 17) ^ rotate(near, 19) ^ (near >>> 10);
    const sigma0 = rotate(far, 7) ^ rotate(far, 18) ^ (far >>> 3);
    words.push(((words[t - 16] as number) + sigma0 + (words[t - 7] as number) + sigma1) >>> 0);
  }
  return words.map((word, t) => (word + (ROUND[t] as number)) >>> 0);
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** The first 32 bits of the fractional part. */
function fraction(x: number): number {
  return Math.floor((x % 1) * 0x1_0000_0000);
}

/** Each word in all four lanes. */
function fourfold(words: readonly number[]): number[] {
  const bytes = Buffer.alloc(words.length * 16);
  words.forEach((word, i) => [0, 4, 8, 12].forEach((lane) => bytes.writeUInt32LE(word, i * 16 + lane)));
  return [...bytes];
}
