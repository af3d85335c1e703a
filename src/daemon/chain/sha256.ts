/**
 * SHA-256d of a whole block's messages with few calls. One `BatchHasher` a thread; a block's bytes are copied once into its
 * memory, hashed where they lie, and the results stay there for the merkle tree.
 */
import { hash } from "node:crypto";
import { HEAP, sha256Module, WORDS } from "./sha256-module.ts";

/** From about this length on one call of OpenSSL, with the processor's SHA instructions, beats a lane of the module. */
const LONG_MESSAGE_BYTES = 3072;
const PAGE_BYTES = 65_536;
const JOB_BYTES = 12;
/** Calls of the module take at most this many jobs, so that the job list stays small. */
const JOBS = 4096;

/** What is used of the WebAssembly interface; its types come with the DOM library only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: object };
};

interface Sha256Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  messages(jobs: number, count: number): void;
  pairs(from: number, to: number, count: number): void;
  repeat(times: number): void;
}

export class BatchHasher {
  readonly #exports: Sha256Exports;
  readonly #jobs = HEAP;
  readonly #heap = HEAP + JOBS * JOB_BYTES;
  #queued = 0;
  #jobWords: Int32Array;
  /** The module's memory. Valid until the next `open`. */
  bytes: Uint8Array;

  constructor() {
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(sha256Module())).exports as Sha256Exports;
    this.bytes = new Uint8Array(this.#exports.memory.buffer);
    this.#jobWords = new Int32Array(this.#exports.memory.buffer);
  }

  /** Copies `raw` in and makes room for `hashes` results of 32 bytes; returns where both begin. Drops what was there. */
  open(raw: Uint8Array, hashes: number): { readonly rawAt: number; readonly hashesAt: number } {
    const rawAt = this.#heap;
    const hashesAt = (rawAt + raw.length + 63) & ~63;
    const missing = hashesAt + hashes * 32 - this.bytes.length;
    if (missing > 0) {
      this.#exports.memory.grow(Math.ceil(missing / PAGE_BYTES));
      this.bytes = new Uint8Array(this.#exports.memory.buffer);
      this.#jobWords = new Int32Array(this.#exports.memory.buffer);
    }
    this.#queued = 0;
    this.bytes.set(raw, rawAt);
    return { rawAt, hashesAt };
  }

  /** SHA-256d of `length` bytes at `from`, 32 bytes to `to`; there by the next `flush`. */
  add(from: number, length: number, to: number): void {
    if (length >= LONG_MESSAGE_BYTES) {
      const once = hash("sha256", this.bytes.subarray(from, from + length), "buffer");
      this.bytes.set(hash("sha256", once, "buffer"), to);
      return;
    }
    if (this.#queued === JOBS) this.flush();
    const job = (this.#jobs + this.#queued * JOB_BYTES) >> 2;
    this.#jobWords[job] = from;
    this.#jobWords[job + 1] = length;
    this.#jobWords[job + 2] = to;
    this.#queued++;
  }

  flush(): void {
    this.#exports.messages(this.#jobs, this.#queued);
    this.#queued = 0;
  }

  /** SHA-256d of `count` nodes of 64 bytes each, results side by side; `to` may be `from`. */
  pairs(from: number, to: number, count: number): void {
    this.#exports.pairs(from, to, count);
  }

  /** Puts 32 bytes into one of the four lanes of `repeat`. They stay until another method than `laneHash` is called. */
  setLane(lane: number, hash: Uint8Array): void {
    const [from, to] = [this.#words(hash, 0), this.#words(this.bytes, WORDS + lane * 4)];
    for (let word = 0; word < 8; word++) to.setUint32(word * 16, from.getUint32(word * 4), true);
  }

  /** SHA-256 of each lane's 32 bytes, over its own result, `times` times. */
  repeat(times: number): void {
    if (times > 0) this.#exports.repeat(times);
  }

  laneHash(lane: number): Uint8Array {
    const hash = new Uint8Array(32);
    const [from, to] = [this.#words(this.bytes, WORDS + lane * 4), this.#words(hash, 0)];
    for (let word = 0; word < 8; word++) to.setUint32(word * 4, from.getUint32(word * 16, true));
    return hash;
  }

  #words(bytes: Uint8Array, offset: number): DataView {
    return new DataView(bytes.buffer, bytes.byteOffset + offset);
  }
}

let shared: BatchHasher | undefined;

/** The thread's hasher; made at first use. */
export function batchHasher(): BatchHasher {
  return (shared ??= new BatchHasher());
}
