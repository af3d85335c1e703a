/**
 * SSZ of the consensus layer: a container is declared as data, and read from its bytes, read from a node's JSON and hashed by that declaration.
 * https://github.com/ethereum/consensus-specs/blob/master/ssz/simple-serialize.md
 */
import { hash } from "node:crypto";
import { SprintError } from "../../../shared/errors.ts";

export type Ssz =
  /** A uint of so many bytes, little-endian; `safe` ones are JavaScript numbers and at most 2^53 - 1. */
  | { readonly kind: "uint"; readonly bytes: number }
  | { readonly kind: "safe" }
  /** So many bytes; also a bit vector of a whole number of bytes, which has the same form and root. */
  | { readonly kind: "bytes"; readonly length: number }
  | { readonly kind: "byteList"; readonly max: number }
  | { readonly kind: "vector"; readonly of: Ssz; readonly length: number }
  | { readonly kind: "container"; readonly fields: Fields };

interface Fields {
  readonly [name: string]: Ssz;
}

/** What a declaration is read as. */
export type SszValue<S extends Ssz> = S extends { readonly kind: "uint" }
  ? bigint
  : S extends { readonly kind: "safe" }
    ? number
    : S extends { readonly kind: "bytes" | "byteList" }
      ? Uint8Array
      : S extends { readonly kind: "vector"; readonly of: infer Item extends Ssz }
        ? readonly SszValue<Item>[]
        : S extends { readonly kind: "container"; readonly fields: infer F extends Fields }
          ? { readonly [Name in keyof F]: SszValue<F[Name]> }
          : never;

const OFFSET_BYTES = 4;
const CHUNK_BYTES = 32;
const UINT64: Ssz = { kind: "uint", bytes: 8 };

export const uint64 = { kind: "uint", bytes: 8 } as const;
export const uint256 = { kind: "uint", bytes: 32 } as const;
/** A uint64 that counts slots, blocks or validators. */
export const count = { kind: "safe" } as const;
export const bytes32 = { kind: "bytes", length: 32 } as const;

export function bytesOf<N extends number>(length: N): { readonly kind: "bytes"; readonly length: N } {
  return { kind: "bytes", length };
}

export function vector<S extends Ssz>(of: S, length: number) {
  return { kind: "vector", of, length } as const;
}

export function container<F extends Fields>(fields: F) {
  return { kind: "container", fields } as const;
}

// --- from bytes

/** All of `bytes`. Throws SPRINT_BEACON_SSZ on bytes that are none of this. */
export function decodeSsz<S extends Ssz>(type: S, bytes: Uint8Array, what: string): SszValue<S> {
  return decode(type, bytes, what) as SszValue<S>;
}

function decode(type: Ssz, bytes: Uint8Array, what: string): unknown {
  const size = fixedBytes(type);
  if (size !== null && bytes.length !== size) throw problem("SSZ", what, `${size} bytes`, bytes.length);
  switch (type.kind) {
    case "uint":
      return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
    case "safe":
      return safe(decode(UINT64, bytes, what) as bigint, what);
    case "bytes":
      return Uint8Array.from(bytes);
    case "byteList":
      if (bytes.length > type.max) throw problem("SSZ", what, `at most ${type.max} bytes`, bytes.length);
      return Uint8Array.from(bytes);
    case "vector": {
      const each = fixedPart(type.of);
      return Array.from({ length: type.length }, (_, i) =>
        decode(type.of, bytes.subarray(i * each, (i + 1) * each), what),
      );
    }
    case "container":
      return decodeContainer(type.fields, bytes, what);
  }
}

/** Fixed parts in order; a variable one leaves an offset there and stands behind them, the next begins where it ends. */
function decodeContainer(fields: Fields, bytes: Uint8Array, what: string): unknown {
  const entries = Object.entries(fields);
  const head = entries.reduce((sum, [, type]) => sum + fixedPart(type), 0);
  if (bytes.length < head) throw problem("SSZ", what, `at least ${head} bytes`, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const value: Record<string, unknown> = {};
  const behind: { readonly name: string; readonly type: Ssz; readonly from: number }[] = [];
  let at = 0;
  for (const [name, type] of entries) {
    const size = fixedPart(type);
    if (fixedBytes(type) === null) behind.push({ name, type, from: view.getUint32(at, true) });
    else value[name] = decode(type, bytes.subarray(at, at + size), `${what}.${name}`);
    at += size;
  }
  if (behind.length === 0 && bytes.length !== head) throw problem("SSZ", what, `${head} bytes`, bytes.length);
  behind.forEach(({ name, type, from }, i) => {
    const end = behind[i + 1]?.from ?? bytes.length;
    if (from < head || end < from || end > bytes.length || (i === 0 && from !== head)) {
      throw problem("SSZ", `${what}.${name}`, `an offset from ${i === 0 ? head : "the part before"} on`, from);
    }
    value[name] = decode(type, bytes.subarray(from, end), `${what}.${name}`);
  });
  return value;
}

/** Null where the length varies. */
function fixedBytes(type: Ssz): number | null {
  switch (type.kind) {
    case "uint":
      return type.bytes;
    case "safe":
      return 8;
    case "bytes":
      return type.length;
    case "byteList":
      return null;
    case "vector":
      return type.length * fixedPart(type.of);
    case "container": {
      let sum = 0;
      for (const field of Object.values(type.fields)) {
        const size = fixedBytes(field);
        if (size === null) return null;
        sum += size;
      }
      return sum;
    }
  }
}

/** What a field takes among the fixed parts. */
function fixedPart(type: Ssz): number {
  return fixedBytes(type) ?? OFFSET_BYTES;
}

// --- from JSON

/** As the beacon API writes it: numbers in decimal strings, bytes and bits in hex. Throws SPRINT_BEACON_JSON. */
export function sszFromJson<S extends Ssz>(type: S, json: unknown, what: string): SszValue<S> {
  return fromJson(type, json, what) as SszValue<S>;
}

function fromJson(type: Ssz, json: unknown, what: string): unknown {
  switch (type.kind) {
    case "uint":
      return uintFromJson(json, type.bytes, what);
    case "safe":
      return safe(uintFromJson(json, 8, what), what);
    case "bytes":
    case "byteList":
      return bytesFromJson(type, json, what);
    case "vector":
      if (!Array.isArray(json) || json.length !== type.length) {
        throw problem("JSON", what, `a list of ${type.length}`, Array.isArray(json) ? json.length : typeof json);
      }
      return json.map((item) => fromJson(type.of, item, what));
    case "container": {
      if (typeof json !== "object" || json === null) throw problem("JSON", what, "an object", typeof json);
      const fields = Object.entries(type.fields);
      return Object.fromEntries(
        fields.map(([name, field]) => {
          const value: unknown = Object.hasOwn(json, name) ? (json as Record<string, unknown>)[name] : undefined;
          return [name, fromJson(field, value, `${what}.${name}`)];
        }),
      );
    }
  }
}

function uintFromJson(json: unknown, bytes: number, what: string): bigint {
  // 78 digits hold 256 bits; longer ones are not even read.
  const value = typeof json === "string" && /^\d{1,78}$/.test(json) ? BigInt(json) : null;
  if (value === null || value >> BigInt(bytes * 8) !== 0n) {
    throw problem("JSON", what, `a decimal string of ${bytes * 8} bits`, typeof json);
  }
  return value;
}

function bytesFromJson(type: Extract<Ssz, { kind: "bytes" | "byteList" }>, json: unknown, what: string): Uint8Array {
  const max = type.kind === "bytes" ? type.length : type.max;
  const bytes =
    typeof json === "string" && json.length <= 2 + 2 * max && /^0x(?:[0-9a-f]{2})*$/i.test(json)
      ? new Uint8Array(Buffer.from(json.slice(2), "hex"))
      : null;
  if (bytes === null || (type.kind === "bytes" && bytes.length !== max)) {
    throw problem("JSON", what, `${type.kind === "bytes" ? "" : "at most "}${max} bytes as hex with 0x`, typeof json);
  }
  return bytes;
}

function safe(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw problem("NUMBER", what, "at most 2^53 - 1", `${value}`);
  return Number(value);
}

// --- roots

/** hash_tree_root, 32 bytes. A container takes the fields of its own declaration, whatever else the value has. */
export function hashTreeRoot<S extends Ssz>(type: S, value: SszValue<S>): Uint8Array {
  return rootOf(type, value);
}

function rootOf(type: Ssz, value: unknown): Uint8Array {
  switch (type.kind) {
    case "uint":
      return littleEndian(value as bigint);
    case "safe":
      return littleEndian(BigInt(value as number));
    case "bytes":
      return merkleRoot(chunksOf(value as Uint8Array));
    case "byteList": {
      const bytes = value as Uint8Array;
      const limit = Math.ceil(type.max / CHUNK_BYTES);
      const padded = [...chunksOf(bytes), ...Array.from({ length: limit }, () => ZERO)].slice(0, limit);
      return hashPair(merkleRoot(padded), littleEndian(BigInt(bytes.length)));
    }
    case "vector":
      return merkleRoot((value as readonly unknown[]).map((item) => rootOf(type.of, item)));
    case "container": {
      const of = value as Record<string, unknown>;
      return merkleRoot(Object.entries(type.fields).map(([name, field]) => rootOf(field, of[name])));
    }
  }
}

const ZERO = new Uint8Array(CHUNK_BYTES);

function chunksOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES) }, (_, i) => {
    const chunk = new Uint8Array(CHUNK_BYTES);
    chunk.set(bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
    return chunk;
  });
}

function littleEndian(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
}

/** Of 32-byte leaves, filled up with zeros to a power of two. */
function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  let level = leaves;
  let zero: Uint8Array = ZERO;
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(hashPair(level[i] ?? zero, level[i + 1] ?? zero));
    zero = hashPair(zero, zero);
    level = above;
  }
  return level[0] ?? ZERO;
}

export function hashPair(left: Uint8Array, right: Uint8Array): Uint8Array {
  return hash("sha256", Buffer.concat([left, right], 64), "buffer");
}

/**
 * Whether `leaf` stands at generalized index `gindex` under `root`. A branch that is longer than the tree is deep, as containers of a later fork have
 * it for states of an earlier one, begins with zeros (is_valid_normalized_merkle_branch).
 */
export function isUnder(root: Uint8Array, leaf: Uint8Array, branch: readonly Uint8Array[], gindex: number): boolean {
  const depth = 31 - Math.clz32(gindex);
  const extra = branch.length - depth;
  if (extra < 0 || branch.slice(0, extra).some((node) => !sameBytes(node, ZERO))) return false;
  let node = leaf;
  branch.slice(extra).forEach((sibling, i) => {
    node = (gindex >> i) % 2 === 1 ? hashPair(sibling, node) : hashPair(node, sibling);
  });
  return sameBytes(node, root);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.length).equals(b);
}

export function hexOf(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")}`;
}

function problem(
  fault: "SSZ" | "JSON" | "NUMBER",
  what: string,
  expected: string,
  actual: string | number,
): SprintError {
  return new SprintError(`SPRINT_BEACON_${fault}`, `${what}: expected ${expected}, got ${actual}`, {
    field: what,
    expected,
    actual,
  });
}
