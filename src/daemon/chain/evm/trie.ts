/**
 * Roots of Merkle-Patricia tries, as headers commit to transactions, receipts and withdrawals.
 * https://ethereum.org/developers/docs/data-structures-and-encoding/patricia-merkle-trie/
 */
import { keccak256 } from "./keccak.ts";
import { encodeRlpBytes, integerBytes, joinRlpList } from "./rlp.ts";

/** Keccak-256 of the empty string's RLP. */
export const EMPTY_TRIE_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

const HASH_BYTES = 32;
const NO_NODE = Uint8Array.of(0x80);

interface Entry {
  /** The key, a nibble a byte. */
  readonly path: Uint8Array;
  readonly value: Uint8Array;
}

/** The root of a trie whose keys are the RLP of 0, 1, 2, …; 32 bytes. */
export function orderedTrieRoot(values: readonly Uint8Array[]): Buffer {
  const entry = (index: number): Entry => ({
    path: nibbles(encodeRlpBytes(integerBytes(index))),
    value: values[index] as Uint8Array,
  });
  // the order of the keys' bytes: 01…7f, then 80 for zero, then 8180…
  const small = Math.min(values.length, 0x80);
  const entries: Entry[] = [];
  for (let index = 1; index < small; index++) entries.push(entry(index));
  if (values.length > 0) entries.push(entry(0));
  for (let index = small; index < values.length; index++) entries.push(entry(index));
  return rootOf(entries);
}

/** The root of a trie over keys in any order, each once; 32 bytes. */
export function trieRoot(pairs: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): Buffer {
  const sorted = [...pairs].sort(([a], [b]) => Buffer.compare(a, b));
  return rootOf(sorted.map(([key, value]) => ({ path: nibbles(key), value })));
}

/** The nodes on the way to `key`, from the root down, that `verifyProof` takes; none where the trie is empty. */
export function trieProof(pairs: Iterable<readonly [key: Uint8Array, value: Uint8Array]>, key: Uint8Array): Buffer[] {
  const path = nibbles(key);
  let entries: Entry[] = [...pairs]
    .sort(([a], [b]) => Buffer.compare(a, b))
    .map(([each, value]) => ({ path: nibbles(each), value }));
  const nodes: Buffer[] = [];
  let depth = 0;
  for (;;) {
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined) return nodes;
    const node = nodeOf(entries, 0, entries.length, depth);
    // what is shorter stands inside its parent
    if (depth === 0 || node.length >= HASH_BYTES) nodes.push(Buffer.from(node));
    if (entries.length === 1) return nodes;
    const shared = agreement(first.path, last.path, depth);
    if (agreement(path, first.path, depth) < shared) return nodes;
    // an extension is followed by the branch that it leads to
    if (shared > depth) depth = shared;
    else {
      entries = entries.filter((entry) => entry.path[depth] === path[depth]);
      depth++;
    }
  }
}

function rootOf(sorted: readonly Entry[]): Buffer {
  return keccak256(sorted.length === 0 ? NO_NODE : nodeOf(sorted, 0, sorted.length, 0));
}

/** The encoded node over `sorted[from, to)`, whose paths agree up to `depth`. */
function nodeOf(sorted: readonly Entry[], from: number, to: number, depth: number): Uint8Array {
  const first = sorted[from] as Entry;
  if (to - from === 1) {
    return joinRlpList([encodeRlpBytes(compact(first.path.subarray(depth), true)), encodeRlpBytes(first.value)]);
  }
  const shared = agreement(first.path, (sorted[to - 1] as Entry).path, depth);
  if (shared > depth) {
    const path = encodeRlpBytes(compact(first.path.subarray(depth, shared), false));
    return joinRlpList([path, reference(nodeOf(sorted, from, to, shared))]);
  }
  const slots: Uint8Array[] = Array<Uint8Array>(17).fill(NO_NODE);
  let next = from;
  if (first.path.length === depth) {
    slots[16] = encodeRlpBytes(first.value);
    next++;
  }
  while (next < to) {
    const nibble = (sorted[next] as Entry).path[depth] as number;
    let end = next + 1;
    while (end < to && sorted[end]?.path[depth] === nibble) end++;
    slots[nibble] = reference(nodeOf(sorted, next, end, depth + 1));
    next = end;
  }
  return joinRlpList(slots);
}

/** A node as its parent holds it: itself where it is shorter than a hash. */
function reference(node: Uint8Array): Uint8Array {
  return node.length < HASH_BYTES ? node : encodeRlpBytes(keccak256(node));
}

/** The index of the first difference at or after `from`. */
export function agreement(a: Uint8Array, b: Uint8Array, from: number): number {
  let at = from;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return at;
}

/** A byte of the key as two. */
export function nibbles(key: Uint8Array): Uint8Array {
  const path = new Uint8Array(key.length * 2);
  key.forEach((byte, i) => {
    path[2 * i] = byte >> 4;
    path[2 * i + 1] = byte & 0x0f;
  });
  return path;
}

/** Hex prefix encoding: a flag nibble says leaf or not, and odd or not. */
function compact(path: Uint8Array, isLeaf: boolean): Uint8Array {
  const odd = path.length % 2;
  const out = new Uint8Array((path.length >> 1) + 1);
  out[0] = ((isLeaf ? 2 : 0) + odd) * 16 + (odd === 1 ? (path[0] as number) : 0);
  for (let i = odd; i < path.length; i += 2) {
    out[(i >> 1) + 1] = (path[i] as number) * 16 + (path[i + 1] as number);
  }
  return out;
}
