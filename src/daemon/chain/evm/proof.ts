/** Proofs of single keys against a trie's root, and what eth_getProof answers (EIP-1186) against a header's state root. */
import { isSprintError } from "../../../shared/errors.ts";
import { refuse } from "../refusal.ts";
import type { Refusal } from "../types.ts";
import { dataOf, hexOf, listOf, objectOf, quantityBytes, quantityOf } from "./json.ts";
import { keccak256 } from "./keccak.ts";
import { decodeRlp, encodeRlp, encodeRlpBytes, type RlpItem } from "./rlp.ts";
import { agreement, EMPTY_TRIE_ROOT, nibbles } from "./trie.ts";

const HASH_BYTES = 32;
/** A path has 64 nibbles, and so at most as many nodes and the leaf. */
const MAX_NODES = 65;
const MAX_STORAGE_KEYS = 1024;
/** Keccak-256 of no code. */
export const EMPTY_CODE_HASH = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
const ZERO_HASH = `0x${"00".repeat(HASH_BYTES)}`;

/** `value` is null where the proof shows that the key is not there. */
export type ProofVerdict =
  | { readonly ok: true; readonly value: Uint8Array | null }
  | { readonly ok: false; readonly refusal: Refusal };

/**
 * What the trie with `root` holds at `key`, by the nodes on the way there. All of `proof` must be needed.
 * Refuses with SPRINT_EVM_PROOF_HASH, SPRINT_EVM_PROOF_NODE or SPRINT_EVM_PROOF_LENGTH.
 */
export function verifyProof(root: Uint8Array, key: Uint8Array, proof: readonly Uint8Array[]): ProofVerdict {
  try {
    return follow(root, nibbles(key), proof);
  } catch (error) {
    if (!isSprintError(error)) throw error;
    return { ok: false, refusal: { code: "SPRINT_EVM_PROOF_NODE", message: error.message, data: error.data } };
  }
}

function follow(root: Uint8Array, path: Uint8Array, proof: readonly Uint8Array[]): ProofVerdict {
  let used = 0;
  let depth = 0;
  let node: RlpItem = root;
  // an empty trie has no nodes, so its proof may have none
  if (hexOf(root) === EMPTY_TRIE_ROOT && proof.length === 0) return { ok: true, value: null };
  const done = (value: Uint8Array | null): ProofVerdict =>
    used === proof.length
      ? { ok: true, value }
      : { ok: false, refusal: refuse("SPRINT_EVM_PROOF_LENGTH", "proof", `${used} nodes`, proof.length) };
  for (;;) {
    if (node instanceof Uint8Array) {
      if (node.length === 0) return done(null);
      const encoded: Uint8Array | undefined = proof[used];
      if (encoded === undefined) {
        return { ok: false, refusal: refuse("SPRINT_EVM_PROOF_LENGTH", "proof", "one node more", `${used} nodes`) };
      }
      const hash = keccak256(encoded);
      if (node.length !== HASH_BYTES || !hash.equals(node)) {
        const wanted = Buffer.from(node).toString("hex");
        return { ok: false, refusal: refuse("SPRINT_EVM_PROOF_HASH", `node ${used}`, wanted, hash.toString("hex")) };
      }
      used++;
      node = decodeRlp(encoded);
      if (node instanceof Uint8Array) return node.length === 0 ? done(null) : badNode("a list", "bytes");
      continue;
    }
    if (node.length === 17) {
      const nibble = path[depth];
      const child: RlpItem = node[nibble ?? 16] as RlpItem;
      if (nibble === undefined) {
        if (!(child instanceof Uint8Array)) return badNode("bytes as value", "a list");
        return done(child.length === 0 ? null : child);
      }
      node = child;
      depth++;
      continue;
    }
    const [encodedPath, child]: readonly (RlpItem | undefined)[] = node;
    if (node.length !== 2 || !(encodedPath instanceof Uint8Array) || child === undefined) {
      return badNode("2 or 17 items", `${node.length}`);
    }
    const part = expand(encodedPath);
    if (part === null)
      return badNode("a hex prefix of 0 to 3", encodedPath.length === 0 ? "none" : `${encodedPath[0]}`);
    const rest = path.subarray(depth);
    if (part.isLeaf) {
      if (!(child instanceof Uint8Array)) return badNode("bytes as value", "a list");
      return done(Buffer.compare(part.path, rest) === 0 ? child : null);
    }
    if (part.path.length === 0) return badNode("a path in an extension", "none");
    if (agreement(part.path, rest, 0) < part.path.length) return done(null);
    depth += part.path.length;
    node = child;
  }
}

function badNode(expected: string, actual: string): ProofVerdict {
  return { ok: false, refusal: refuse("SPRINT_EVM_PROOF_NODE", "trie node", expected, actual) };
}

function expand(encoded: Uint8Array): { readonly path: Uint8Array; readonly isLeaf: boolean } | null {
  const all = nibbles(encoded);
  const flag = all[0];
  if (flag === undefined || flag > 3 || (flag % 2 === 0 && all[1] !== 0)) return null;
  return { path: all.subarray(flag % 2 === 1 ? 1 : 2), isLeaf: flag >= 2 };
}

export interface ProvedAccount {
  readonly address: string;
  /** False where the proof shows that there is no such account; then all the rest is empty. */
  readonly exists: boolean;
  readonly nonce: bigint;
  readonly balance: bigint;
  readonly storageRoot: string;
  readonly codeHash: string;
  /** Values by key, both as they were asked for: 32 bytes in hex, and a number. */
  readonly storage: ReadonlyMap<string, bigint>;
}

export type AccountVerdict =
  | { readonly ok: true; readonly account: ProvedAccount }
  | { readonly ok: false; readonly refusal: Refusal };

/**
 * The answer of eth_getProof, proved against `stateRoot` (hex with 0x). Which account and keys it is about must be compared with the
 * question by who asked. Refuses with SPRINT_EVM_PROOF_*, throws SPRINT_EVM_JSON_* for an answer that is none.
 */
export function verifyAccountProof(stateRoot: string, answer: unknown): AccountVerdict {
  const object = objectOf(answer, "proof");
  const address = dataOf(object["address"], "address", 20);
  const nonce = quantityBytes(object["nonce"], "nonce");
  const balance = quantityBytes(object["balance"], "balance");
  const storageHash = dataOf(object["storageHash"], "storageHash", HASH_BYTES);
  const codeHash = dataOf(object["codeHash"], "codeHash", HASH_BYTES);

  const found = verifyProof(
    Buffer.from(stateRoot.slice(2), "hex"),
    keccak256(address),
    nodesOf(object["accountProof"], "accountProof"),
  );
  if (!found.ok) return found;
  const claimed = encodeRlp([nonce, balance, storageHash, codeHash]);
  const exists = found.value !== null;
  if (exists ? !claimed.equals(found.value) : !isEmptyAccount(nonce, balance, storageHash, codeHash)) {
    const expected = found.value === null ? "an empty account" : hexOf(found.value);
    return { ok: false, refusal: refuse("SPRINT_EVM_PROOF_VALUE", "account", expected, hexOf(claimed)) };
  }
  const storageRoot = exists ? hexOf(storageHash) : EMPTY_TRIE_ROOT;
  const storage = new Map<string, bigint>();
  const slots = listOf(object["storageProof"] ?? [], "storageProof");
  if (slots.length > MAX_STORAGE_KEYS) {
    return {
      ok: false,
      refusal: refuse("SPRINT_EVM_PROOF_LENGTH", "storageProof", `at most ${MAX_STORAGE_KEYS}`, slots.length),
    };
  }
  for (const slot of slots) {
    const refusal = verifySlot(storageRoot, slot, storage);
    if (refusal !== null) return { ok: false, refusal };
  }
  const account = {
    address: hexOf(address),
    exists,
    nonce: quantityOf(object["nonce"], "nonce"),
    balance: quantityOf(object["balance"], "balance"),
    storageRoot,
    codeHash: exists ? hexOf(codeHash) : EMPTY_CODE_HASH,
    storage,
  };
  return { ok: true, account };
}

/**
 * The answer to eth_getProof of one account and its keys, proved against `stateRoot` and held against what was asked. Refuses with SPRINT_EVM_PROOF_*,
 * throws SPRINT_EVM_JSON_* for a question or an answer that is none.
 */
export function checkAccountAnswer(
  stateRoot: string,
  asked: { readonly address: unknown; readonly keys: unknown },
  answer: unknown,
): Refusal | null {
  const verdict = verifyAccountProof(stateRoot, answer);
  if (!verdict.ok) return verdict.refusal;
  const { address, storage } = verdict.account;
  const wanted = hexOf(dataOf(asked.address, "address", 20));
  if (address !== wanted) return refuse("SPRINT_EVM_PROOF_VALUE", "address", wanted, address);
  const keys = listOf(asked.keys ?? [], "keys").map((key) => hexOf(storageKey(key)));
  const left = keys.find((key) => !storage.has(key));
  return left === undefined ? null : refuse("SPRINT_EVM_PROOF_VALUE", "storageProof", left, "no proof of it");
}

/** A key is a quantity or 32 bytes, as it was asked for. */
function storageKey(value: unknown): Buffer {
  const short = quantityBytes(value, "key");
  return Buffer.concat([Buffer.alloc(HASH_BYTES - short.length), short]);
}

/** Nodes write the hashes of an account that is not there as zeros, or as those of nothing. */
function isEmptyAccount(nonce: Uint8Array, balance: Uint8Array, storage: Uint8Array, code: Uint8Array): boolean {
  const none = (hash: Uint8Array, empty: string): boolean => [empty, ZERO_HASH].includes(hexOf(hash));
  return nonce.length + balance.length === 0 && none(storage, EMPTY_TRIE_ROOT) && none(code, EMPTY_CODE_HASH);
}

function verifySlot(storageRoot: string, given: unknown, storage: Map<string, bigint>): Refusal | null {
  const slot = objectOf(given, "storageProof");
  const key = storageKey(slot["key"]);
  const value = quantityBytes(slot["value"], "value");
  const found = verifyProof(Buffer.from(storageRoot.slice(2), "hex"), keccak256(key), nodesOf(slot["proof"], "proof"));
  if (!found.ok) return found.refusal;
  const held = found.value ?? encodeRlpBytes(new Uint8Array(0));
  if (Buffer.compare(held, encodeRlpBytes(value)) !== 0) {
    return refuse("SPRINT_EVM_PROOF_VALUE", `storage ${hexOf(key)}`, hexOf(held), hexOf(value));
  }
  storage.set(hexOf(key), quantityOf(slot["value"], "value"));
  return null;
}

function nodesOf(value: unknown, what: string): Uint8Array[] {
  const nodes = listOf(value, what);
  return nodes.slice(0, MAX_NODES + 1).map((node) => dataOf(node, what));
}
