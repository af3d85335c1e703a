/** Proofs of single keys with changed nodes: none may show another value than the one that is there. */
import assert from "node:assert/strict";
import { keccak256 } from "../../src/daemon/chain/evm/keccak.ts";
import { verifyProof } from "../../src/daemon/chain/evm/proof.ts";
import { encodeRlp, splitRlpList } from "../../src/daemon/chain/evm/rlp.ts";
import { PatientTrie } from "../fakes/trie.ts";
import { fuzzParser } from "./harness.ts";
import type { FuzzResult } from "./mutate.ts";

const KEYS = 40;
const key = (index: number): Buffer => keccak256(Buffer.from(`key ${index}`));

export function fuzz(seed: number, iterations: number): FuzzResult {
  const trie = new PatientTrie();
  for (let i = 0; i < KEYS; i++) trie.put(key(i), Buffer.from(`value ${i}`.repeat(1 + (i % 5))));
  const root = trie.root();
  // some keys are there, some are not
  const proofs = Array.from({ length: KEYS + 10 }, (_, i) => encodeRlp(trie.prove(key(i))));
  const judge = (input: Uint8Array, source: number): boolean => {
    const nodes = splitRlpList(input).items.map((item) => item.subarray(prefixOf(item)));
    // a lone node under a root of its own gets past the hash, and what it holds is anybody's
    const last = nodes.at(-1) ?? new Uint8Array(0);
    const alone = verifyProof(keccak256(last), key(source), [last]);
    const verdict = verifyProof(root, key(source), nodes);
    if (!verdict.ok) return alone.ok;
    const expected = source < KEYS ? `value ${source}`.repeat(1 + (source % 5)) : null;
    assert.equal(verdict.value === null ? null : Buffer.from(verdict.value).toString(), expected);
    return true;
  };
  return fuzzParser(proofs, judge, seed, iterations);
}

/** Where the payload of an encoded string begins. */
function prefixOf(item: Uint8Array): number {
  const first = item[0] as number;
  return first < 0x80 ? 0 : first < 0xb8 ? 1 : first - 0xb6;
}
