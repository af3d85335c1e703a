/**
 * Ethash, Ethereum's proof of work until Paris, verified with the cache alone: an item of the data set is made when it is needed.
 * https://ethereum.org/developers/docs/consensus-mechanisms/pow/mining/mining-algorithms/ethash/
 */
import { refuse } from "../refusal.ts";
import type { Refusal } from "../types.ts";
import type { EvmHeader } from "./header.ts";
import { hexOf } from "./json.ts";
import { keccak256, keccak512 } from "./keccak.ts";
import { evmRulesAt } from "./params.ts";
import { decodeRlp, encodeRlp, type RlpItem } from "./rlp.ts";
import type { EvmParams } from "./types.ts";

const EPOCH_BLOCKS = 30_000;
/** The last block of proof of work is in epoch 517. */
const MAX_EPOCH = 517;
const NODE_BYTES = 64;
const NODE_WORDS = 16;
const MIX_BYTES = 128;
const MIX_WORDS = 32;
const CACHE_ROUNDS = 3;
const PARENTS = 256;
const ACCESSES = 64;
const FNV_PRIME = 0x01000193;
/** Fields at the end that the seal is in. */
const SEAL_FIELDS = 2;

/** Whether a block's seal is of this kind. */
export function isEthash({ number, timestamp }: EvmHeader, params: EvmParams): boolean {
  return params.chain === "ethereum" && number > 0 && evmRulesAt(params, number, timestamp).difficulty.kind === "work";
}

/** The cache of one epoch of 30,000 blocks: 16 to 83 MB, and one to six seconds to make. */
export class EthashCache {
  readonly epoch: number;
  readonly #words: Uint32Array;
  readonly #nodes: number;
  readonly #pages: number;

  /** `number` is that of any block of the epoch. */
  constructor(number: number) {
    this.epoch = Math.min(Math.floor(number / EPOCH_BLOCKS), MAX_EPOCH);
    this.#words = makeCache(this.epoch);
    this.#nodes = this.#words.length / NODE_WORDS;
    this.#pages = primeSize(2 ** 30 + 2 ** 23 * this.epoch, MIX_BYTES) / MIX_BYTES;
  }

  holds(number: number): boolean {
    return Math.floor(number / EPOCH_BLOCKS) === this.epoch;
  }

  /** What a nonce makes of the hash of a header without its seal. */
  mix(sealed: Uint8Array, nonce: Uint8Array): { readonly mixHash: Buffer; readonly result: Buffer } {
    const seed = new Uint32Array(NODE_WORDS);
    const seedBytes = bytesOf(seed);
    keccak512(Buffer.concat([sealed, Buffer.from(nonce).reverse()]), seedBytes);
    const mix = new Uint32Array(MIX_WORDS);
    mix.set(seed);
    mix.set(seed, NODE_WORDS);
    const item = new Uint32Array(NODE_WORDS);
    for (let i = 0; i < ACCESSES; i++) {
      const page = fnv(i ^ (seed[0] as number), mix[i % MIX_WORDS] as number) % this.#pages;
      for (let half = 0; half < 2; half++) {
        this.#itemOf(page * 2 + half, item);
        for (let word = 0; word < NODE_WORDS; word++) {
          const at = half * NODE_WORDS + word;
          mix[at] = fnv(mix[at] as number, item[word] as number);
        }
      }
    }
    const short = new Uint32Array(MIX_WORDS / 4);
    for (let i = 0; i < short.length; i++) {
      const [a, b, c, d] = mix.subarray(i * 4, i * 4 + 4) as unknown as [number, number, number, number];
      short[i] = fnv(fnv(fnv(a, b), c), d);
    }
    const mixHash = Buffer.from(bytesOf(short));
    return { mixHash, result: keccak256(Buffer.concat([seedBytes, mixHash])) };
  }

  #itemOf(index: number, item: Uint32Array): void {
    const words = this.#words;
    const from = (index % this.#nodes) * NODE_WORDS;
    for (let word = 0; word < NODE_WORDS; word++) item[word] = words[from + word] as number;
    item[0] = (item[0] as number) ^ index;
    const bytes = bytesOf(item);
    keccak512(bytes, bytes);
    for (let j = 0; j < PARENTS; j++) {
      const parent = (fnv(index ^ j, item[j % NODE_WORDS] as number) % this.#nodes) * NODE_WORDS;
      for (let word = 0; word < NODE_WORDS; word++) {
        item[word] = Math.imul(item[word] as number, FNV_PRIME) ^ (words[parent + word] as number);
      }
    }
    keccak512(bytes, bytes);
  }
}

/** Whether the header's nonce pays for its difficulty; `cache` is that of its epoch. Refuses with SPRINT_EVM_WORK_MIX or SPRINT_EVM_WORK. */
export function checkEthash(header: EvmHeader, cache: EthashCache): Refusal | null {
  const fields = decodeRlp(header.raw) as readonly RlpItem[];
  const sealed = keccak256(encodeRlp([...fields.slice(0, 15 - SEAL_FIELDS), ...fields.slice(15)]));
  const { mixHash, result } = cache.mix(sealed, Buffer.from(header.nonce.slice(2), "hex"));
  if (hexOf(mixHash) !== header.mixHash)
    return refuse("SPRINT_EVM_WORK_MIX", "mixHash", hexOf(mixHash), header.mixHash);
  if (header.difficulty === 0n) return refuse("SPRINT_EVM_DIFFICULTY", "difficulty", "at least 1", 0);
  const target = (1n << 256n) / header.difficulty;
  if (BigInt(hexOf(result)) <= target) return null;
  return refuse("SPRINT_EVM_WORK", "proof of work", `at most 0x${target.toString(16)}`, hexOf(result));
}

function makeCache(epoch: number): Uint32Array {
  let seed: Uint8Array = Buffer.alloc(32);
  for (let i = 0; i < epoch; i++) seed = keccak256(seed);
  const size = primeSize(2 ** 24 + 2 ** 17 * epoch, NODE_BYTES);
  const words = new Uint32Array(size / 4);
  const bytes = bytesOf(words);
  const node = (index: number): Uint8Array => bytes.subarray(index * NODE_BYTES, (index + 1) * NODE_BYTES);
  const nodes = size / NODE_BYTES;
  keccak512(seed, node(0));
  for (let i = 1; i < nodes; i++) keccak512(node(i - 1), node(i));
  const mixed = new Uint32Array(NODE_WORDS);
  const mixedBytes = bytesOf(mixed);
  for (let turn = 0; turn < CACHE_ROUNDS; turn++) {
    for (let i = 0; i < nodes; i++) {
      const before = ((i - 1 + nodes) % nodes) * NODE_WORDS;
      const other = ((words[i * NODE_WORDS] as number) % nodes) * NODE_WORDS;
      for (let word = 0; word < NODE_WORDS; word++) {
        mixed[word] = (words[before + word] as number) ^ (words[other + word] as number);
      }
      keccak512(mixedBytes, node(i));
    }
  }
  return words;
}

/** The largest size below `limit` that is a prime number of units. */
function primeSize(limit: number, unit: number): number {
  let count = limit / unit - 1;
  while (!isPrime(count)) count -= 2;
  return count * unit;
}

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}

function fnv(a: number, b: number): number {
  return (Math.imul(a, FNV_PRIME) ^ b) >>> 0;
}

/** The words' memory; little-endian, as Ethash and every machine that Node runs on. */
function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
