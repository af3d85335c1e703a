/**
 * How the Bitcoin family writes numbers and hashes. The node does not share this with the code that checks its blocks: what it
 * says must be proved by somebody who worked it out for himself.
 */
import { hash } from "node:crypto";

export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** A count in 1, 3 or 5 bytes; counts above 2^32 do not occur here. */
export function compactSize(value: number): Buffer {
  if (value < 0xfd) return Buffer.from([value]);
  if (value <= 0xffff) return Buffer.from([0xfd, value & 0xff, value >> 8]);
  return Buffer.concat([Buffer.from([0xfe]), u32(value)]);
}

/** A script push of at most 75 bytes. */
export function pushBytes(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

export function sha256d(bytes: Uint8Array): Buffer {
  return hash("sha256", hash("sha256", bytes, "buffer"), "buffer");
}

/** Internal byte order to the reversed hex that users see. */
export function displayHash(internal: Uint8Array): string {
  return Buffer.from(internal).reverse().toString("hex");
}

/** The reversed hex that users see to internal byte order. */
export function internalHash(display: string): Buffer {
  return Buffer.from(display, "hex").reverse();
}
