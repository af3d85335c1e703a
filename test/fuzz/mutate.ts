/** Seeded changes to real inputs, for the fuzzers. */
import type { Random } from "../../src/shared/clock.ts";

/** What a fuzzer found. A crash is anything thrown that is no SprintError, or a broken promise of the parser. */
export interface FuzzResult {
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: number;
  readonly crashes: readonly Crash[];
  /** The slowest single input. */
  readonly slowestMs: number;
}

export interface Crash {
  readonly iteration: number;
  readonly inputHex: string;
  readonly error: string;
}

const INTERESTING = [0x00, 0x01, 0x1e, 0x1f, 0x7f, 0x80, 0xfc, 0xfd, 0xfe, 0xff];

/** One to four changes of `input`, or now and then plain noise. Never changes `input` itself. */
export function mutate(input: Uint8Array, random: Random): Buffer {
  if (random() < 0.02) return noise(below(random, 400), random);
  let bytes: Buffer = Buffer.from(input);
  for (let left = 1 + below(random, 4); left > 0; left--) bytes = change(bytes, random);
  return bytes;
}

function change(bytes: Buffer, random: Random): Buffer {
  const at = below(random, bytes.length + 1);
  switch (below(random, 7)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << below(random, 8));
      return bytes;
    case 2:
      if (at < bytes.length) bytes[at] = INTERESTING[below(random, INTERESTING.length)] as number;
      return bytes;
    case 3:
      return Buffer.concat([bytes.subarray(0, at), noise(1 + below(random, 40), random), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + below(random, 40)))]);
    case 5: {
      // A part of itself somewhere else: shifts counts over data and data over counts.
      const from = below(random, bytes.length + 1);
      const part = bytes.subarray(from, from + below(random, 64));
      return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
    }
    default: {
      // A huge count.
      const count = Buffer.from("ffffffffffffffffff".slice(0, 2 + 2 * (1 << (1 + below(random, 3)))), "hex");
      count[0] = [0xfd, 0xfe, 0xff][count.length === 3 ? 0 : count.length === 5 ? 1 : 2] as number;
      return Buffer.concat([bytes.subarray(0, at), count, bytes.subarray(at + 1)]);
    }
  }
}

function noise(length: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length }, () => below(random, 256)));
}

export function below(random: Random, bound: number): number {
  return Math.floor(random() * bound);
}
