/**
 * A Merkle-Patricia trie that keys are put into one by one, with the nodes on the way to a key: slow, and made another way than the
 * roots and proofs that it is there to check.
 */
import { keccak_256 } from "@noble/hashes/sha3.js";

type Node = Leaf | Branch | null;
interface Leaf {
  readonly path: string;
  readonly value: Uint8Array;
}
interface Branch {
  readonly children: Node[];
  value: Uint8Array | null;
}

const isLeaf = (node: Node): node is Leaf => node !== null && "path" in node;

export class PatientTrie {
  #root: Node = null;

  put(key: Uint8Array, value: Uint8Array): void {
    this.#root = put(this.#root, Buffer.from(key).toString("hex"), value);
  }

  root(): Buffer {
    return hash(this.#root === null ? Buffer.of(0x80) : encode(this.#root, "", []));
  }

  /** The encoded nodes from the root to the key, or to where the key is not. */
  prove(key: Uint8Array): Buffer[] {
    const nodes: Buffer[] = [];
    if (this.#root !== null) encode(this.#root, Buffer.from(key).toString("hex"), nodes);
    return nodes;
  }
}

function put(node: Node, path: string, value: Uint8Array): Node {
  if (node === null || (isLeaf(node) && node.path === path)) return { path, value };
  const branch = isLeaf(node) ? (put(emptyBranch(), node.path, node.value) as Branch) : node;
  if (path === "") branch.value = value;
  else {
    const slot = Number.parseInt(path[0] as string, 16);
    branch.children[slot] = put(branch.children[slot] ?? null, path.slice(1), value);
  }
  return branch;
}

function emptyBranch(): Branch {
  return { children: Array<Node>(16).fill(null), value: null };
}

/** A node's RLP; `into` receives it, and what follows on the way along `path`, as far as a proof lists them. */
function encode(node: Leaf | Branch, path: string | null, into: Buffer[]): Buffer {
  const own: Buffer[] = [];
  const encoded = encodeNode(node, path, own);
  into.push(encoded, ...own);
  return encoded;
}

function encodeNode(node: Leaf | Branch, path: string | null, own: Buffer[]): Buffer {
  if (isLeaf(node)) return list([bytes(compact(node.path, true)), bytes(node.value)]);
  // a branch with one child and nothing else is an extension
  let shared = "";
  let end: Branch = node;
  for (;;) {
    const used = end.children.flatMap((child, slot) => (child === null ? [] : [slot]));
    const [only] = used;
    const child = only === undefined ? null : (end.children[only] ?? null);
    if (used.length !== 1 || end.value !== null || child === null || isLeaf(child)) break;
    shared += (only as number).toString(16);
    end = child;
  }
  if (shared !== "") {
    const rest = path?.startsWith(shared) === true ? path.slice(shared.length) : null;
    return list([bytes(compact(shared, false)), reference(end, rest, own)]);
  }
  const slots = node.children.map((child, slot) => {
    const follows = path !== null && path !== "" && Number.parseInt(path[0] as string, 16) === slot;
    return child === null ? Buffer.of(0x80) : reference(child, follows ? path.slice(1) : null, own);
  });
  return list([...slots, node.value === null ? Buffer.of(0x80) : bytes(node.value)]);
}

function reference(node: Leaf | Branch, path: string | null, own: Buffer[]): Buffer {
  const below: Buffer[] = [];
  const encoded = encodeNode(node, path, below);
  const inline = encoded.length < 32;
  if (path !== null) own.push(...(inline ? [] : [encoded]), ...below);
  return inline ? encoded : bytes(hash(encoded));
}

function compact(path: string, leaf: boolean): Buffer {
  const odd = path.length % 2 === 1;
  const flag = (leaf ? 2 : 0) + (odd ? 1 : 0);
  return Buffer.from(`${flag}${odd ? "" : "0"}${path}`, "hex");
}

function bytes(value: Uint8Array): Buffer {
  if (value.length === 1 && (value[0] as number) < 0x80) return Buffer.from(value);
  return Buffer.concat([prefix(0x80, value.length), value]);
}

function list(items: readonly Buffer[]): Buffer {
  const payload = Buffer.concat(items);
  return Buffer.concat([prefix(0xc0, payload.length), payload]);
}

function prefix(base: number, length: number): Buffer {
  if (length < 56) return Buffer.of(base + length);
  const digits = length.toString(16);
  const size = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  return Buffer.concat([Buffer.of(base + 55 + size.length), size]);
}

function hash(value: Uint8Array): Buffer {
  return Buffer.from(keccak_256(value));
}
