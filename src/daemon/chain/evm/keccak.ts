/** Keccak-256, the hash of everything in this family, and Keccak-512, of its proof of work. */
import { HEAP, keccakModule, RATE_BYTES, RESULT } from "./keccak-module.ts";

const PAGE_BYTES = 65_536;
/** Memory given back after a message longer than this, by making a new instance. */
const KEPT_BYTES = 32 * 1024 * 1024;

/** What is used of the WebAssembly interface; its types come with the DOM library only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: object };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  keccak256(from: number, blocks: number): void;
  keccak512(from: number, blocks: number): void;
}

class Hasher {
  readonly #exports: Exports;
  #bytes: Uint8Array;

  constructor(module: object) {
    this.#exports = new WebAssembly.Instance(module).exports as Exports;
    this.#bytes = new Uint8Array(this.#exports.memory.buffer);
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  hash(message: Uint8Array, bits: 256 | 512, result: Uint8Array): void {
    const rate = RATE_BYTES[bits];
    const blocks = Math.floor(message.length / rate) + 1;
    const end = HEAP + blocks * rate;
    if (end > this.#bytes.length) {
      this.#exports.memory.grow(Math.ceil((end - this.#bytes.length) / PAGE_BYTES));
      this.#bytes = new Uint8Array(this.#exports.memory.buffer);
    }
    const bytes = this.#bytes;
    bytes.set(message, HEAP);
    bytes.fill(0, HEAP + message.length, end);
    bytes[HEAP + message.length] = 0x01;
    bytes[end - 1] = (bytes[end - 1] as number) | 0x80;
    if (bits === 256) this.#exports.keccak256(HEAP, blocks);
    else this.#exports.keccak512(HEAP, blocks);
    result.set(bytes.subarray(RESULT, RESULT + bits / 8));
  }
}

let module: object | undefined;
let hasher: Hasher | undefined;

function hash(message: Uint8Array, bits: 256 | 512, result: Uint8Array): void {
  module ??= new WebAssembly.Module(keccakModule());
  hasher ??= new Hasher(module);
  hasher.hash(message, bits, result);
  if (hasher.sizeBytes > KEPT_BYTES) hasher = undefined;
}

/** Keccak-256 of `message`, 32 bytes. */
export function keccak256(message: Uint8Array): Buffer {
  const result = Buffer.allocUnsafe(32);
  hash(message, 256, result);
  return result;
}

/** Keccak-512 of `message` into 64 bytes, which may be the message itself. */
export function keccak512(message: Uint8Array, result: Uint8Array): void {
  hash(message, 512, result);
}
