/** Compact targets ("nBits"), the work behind them, and the two proof-of-work functions. */
import { scrypt } from "node:crypto";
import { refuse } from "./refusal.ts";
import type { Refusal } from "./types.ts";

const TWO_256 = 1n << 256n;

/**
 * The target that compact `bits` stand for; null where they stand for none: zero, negative or above 256 bits
 * (the rules of `SetCompact` in Bitcoin Core).
 */
export function expandBits(bits: number): bigint | null {
  const size = bits >>> 24;
  const mantissa = bits & 0x7f_ffff;
  if ((bits & 0x80_0000) !== 0 || size > 34) return null;
  const target = size <= 3 ? BigInt(mantissa >>> (8 * (3 - size))) : BigInt(mantissa) << BigInt(8 * (size - 3));
  return target === 0n || target >= TWO_256 ? null : target;
}

/** The compact form of a target, rounded down to three bytes (`GetCompact`). */
export function compactBits(target: bigint): number {
  let size = Math.ceil(target.toString(16).length / 2);
  let mantissa = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)));
  if ((mantissa & 0x80_0000) !== 0) {
    // The top bit would read as a sign.
    mantissa >>>= 8;
    size += 1;
  }
  return ((size << 24) | mantissa) >>> 0;
}

/** Expected number of hashes to find a block of these bits, 2^256 / (target + 1); 0 for bits that no block can have. */
export function work(bits: number): bigint {
  const target = expandBits(bits);
  return target === null ? 0n : TWO_256 / (target + 1n);
}

/** A target in the form of a displayed hash. Equal lengths compare as the numbers do, so no hash becomes a BigInt. */
export function targetHex(target: bigint): string {
  return target.toString(16).padStart(64, "0");
}

/** Reads targets as `targetHex`, refusing those that are none or easier than `powLimit`. Remembers the last: bits rarely change. */
export function targetReader(powLimit: bigint): (bits: number) => string | Refusal {
  let lastBits = -1;
  let last: string | Refusal = "";
  return (bits) => {
    if (bits !== lastBits) {
      const target = expandBits(bits);
      last =
        target === null || target > powLimit
          ? refuse("SPRINT_WORK_BITS", "bits", `a target of at most ${targetHex(powLimit)}`, hexBits(bits))
          : targetHex(target);
      lastBits = bits;
    }
    return last;
  };
}

/** Bits as RPC and explorers write them. */
export function hexBits(bits: number): string {
  return bits.toString(16).padStart(8, "0");
}

/** Null where `displayedHash` is at or below the target. */
export function checkTarget(displayedHash: string, target: string): Refusal | null {
  return displayedHash <= target
    ? null
    : refuse("SPRINT_WORK_HIGH_HASH", "proof-of-work hash", `at most ${target}`, displayedHash);
}

/** scrypt(1024, 1, 1) of 80 header bytes, 32 bytes in wire order. Runs in the crypto thread pool. */
export function scryptHash(header: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(header, header, 32, { N: 1024, r: 1, p: 1 }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}
