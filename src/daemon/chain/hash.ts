/** SHA-256d, and the display order in which people write its results. */
import { hash } from "node:crypto";

/** SHA-256 twice, 32 bytes in wire order. */
export function sha256d(bytes: Uint8Array): Buffer {
  return hash("sha256", hash("sha256", bytes, "buffer"), "buffer");
}

/** 32 bytes in wire order as reversed hex, the order of block explorers and RPC. */
export function displayHash(bytes: Uint8Array): string {
  return Buffer.from(bytes).reverse().toString("hex");
}

/** The reverse of `displayHash`. */
export function wireHash(display: string): Buffer {
  return Buffer.from(display, "hex").reverse();
}
