/** Proof of work, seen from the miner. At regtest difficulty every second nonce does. */
import { scrypt } from "node:crypto";
import { promisify } from "node:util";
import { sha256d } from "./serialize.ts";

/** The hash that must meet the target, internal byte order. */
export type WorkHash = (header: Buffer) => Promise<Buffer> | Buffer;

const scryptAsync = promisify<Buffer, Buffer, number, { N: number; r: number; p: number }, Buffer>(scrypt);

/** scrypt(1024, 1, 1) of the header with itself as salt, in the crypto thread pool: 1-2 ms that the event loop does not feel. */
export const scryptWork: WorkHash = (header) => scryptAsync(header, header, 32, { N: 1024, r: 1, p: 1 });
export const sha256dWork: WorkHash = sha256d;

const BITS_AT = 72;
const NONCE_AT = 76;

/** Sets the nonce of an 80-byte header, in place, to the first that meets (or, for `wanted: false`, misses) the header's own target. */
export async function solve(header: Buffer, workHash: WorkHash, wanted = true): Promise<void> {
  const target = targetOf(header.readUInt32LE(BITS_AT));
  for (let nonce = 0; nonce < 2 ** 32; nonce++) {
    header.writeUInt32LE(nonce, NONCE_AT);
    if (meets(await workHash(header), target) === wanted) return;
  }
}

/** The number that a hash must not exceed. Compact form: one byte of length, three of mantissa. */
function targetOf(bits: number): bigint {
  const exponent = bits >>> 24;
  const mantissa = BigInt(bits & 0x007fffff);
  return exponent >= 3 ? mantissa << BigInt(8 * (exponent - 3)) : mantissa >> BigInt(8 * (3 - exponent));
}

function meets(hash: Buffer, target: bigint): boolean {
  return BigInt(`0x${Buffer.from(hash).reverse().toString("hex")}`) <= target;
}
