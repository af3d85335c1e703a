/**
 * Ed25519 as Solana verifies it (`verify_strict` of ed25519-dalek): OpenSSL's check, and neither the key nor R of small order.
 * OpenSSL refuses these by itself in some versions only; where it does not, anybody could sign for the system program's address, 32
 * zero bytes, which is a point of order 4. OpenSSL compares R by its bytes, dalek by its point: they part only where R has a second
 * spelling, for which one would have to find the discrete logarithm of one of 19 points.
 */
import { createPublicKey, verify } from "node:crypto";

export const SIGNATURE_BYTES = 64;

/** Every spelling of a point whose order divides 8, without the sign bit (RFC 8032 and its numbers modulo 2^255 - 19). */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((hex) => Buffer.from(hex, "hex"));
/** First bytes of the above: most points are told apart by these. */
const FIRST_BYTES = new Set(SMALL_ORDER.map((point) => point[0] as number));

/** Whether `signature` (64 bytes) over `message` is that of `publicKey` (32 bytes). */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (isSmallOrder(publicKey) || isSmallOrder(signature)) return false;
  const key = createPublicKey({ key: publicKey, format: "raw-public", asymmetricKeyType: "ed25519" });
  return verify(null, message, key, signature);
}

/** Looks at the first 32 bytes only. */
export function isSmallOrder(point: Uint8Array): boolean {
  if (!FIRST_BYTES.has(point[0] as number)) return false;
  return SMALL_ORDER.some((small) =>
    small.every((byte, i) => byte === (i === 31 ? (point[i] as number) & 0x7f : point[i])),
  );
}
