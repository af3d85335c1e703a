import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeRlp, integerBytes } from "../../../../src/daemon/chain/evm/rlp.ts";
import { EMPTY_TRIE_ROOT, orderedTrieRoot, trieRoot } from "../../../../src/daemon/chain/evm/trie.ts";
import { PatientTrie } from "../../../fakes/trie.ts";

/** Published as `trieanyorder.json` of the Ethereum tests. */
const PUBLISHED: readonly (readonly [name: string, pairs: Readonly<Record<string, string>>, root: string])[] = [
  ["singleItem", { A: "a".repeat(50) }, "d23786fb4a010da3ce639d66d5e904a11dbc02746d1ce25029e53290cabf28ab"],
  [
    "dogs",
    { doe: "reindeer", dog: "puppy", dogglesworth: "cat" },
    "8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3",
  ],
  [
    "puppy",
    { do: "verb", horse: "stallion", doge: "coin", dog: "puppy" },
    "5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84",
  ],
  ["foo", { foo: "bar", food: "bass" }, "17beaa1648bafa633cda809c90c04af50fc8aed3cb40d16efbddee6fdf63c4c3"],
  [
    "smallValues",
    { be: "e", dog: "puppy", bed: "d" },
    "3f67c7a47520f79faa29255d2d3c084a7a6df0453116ed7232ff10277a8be68b",
  ],
];

describe("trie roots", () => {
  for (const [name, pairs, root] of PUBLISHED) {
    it(`published: ${name}`, () => {
      const entries = Object.entries(pairs).map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
      assert.equal(trieRoot(entries).toString("hex"), root);
      assert.equal(trieRoot(entries.toReversed()).toString("hex"), root);
    });
  }

  it("nothing has the empty root", () => {
    assert.equal(`0x${orderedTrieRoot([]).toString("hex")}`, EMPTY_TRIE_ROOT);
    assert.equal(`0x${trieRoot([]).toString("hex")}`, EMPTY_TRIE_ROOT);
  });

  it("of any keys is that of a trie which they are put into one by one", () => {
    // few different bytes, so that keys share their beginnings
    const key = fc.array(fc.constantFrom(0x00, 0x01, 0x10, 0xff), { minLength: 1, maxLength: 4 });
    const pair = fc.tuple(key, fc.uint8Array({ minLength: 1, maxLength: 40 }));
    const pairs = fc.uniqueArray(pair, { maxLength: 40, selector: ([bytes]) => String(bytes) });
    fc.assert(
      fc.property(pairs, (given) => {
        const entries = given.map(([bytes, value]) => [Buffer.from(bytes), value] as const);
        const patient = new PatientTrie();
        for (const [path, value] of entries) patient.put(path, value);
        assert.deepEqual(trieRoot(entries), patient.root());
      }),
      { numRuns: 100 },
    );
  });

  it("of a list is that of its indexes' RLP, whatever their number", () => {
    for (const count of [1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 600]) {
      const values = Array.from({ length: count }, (_, i) => Buffer.alloc(1 + (i % 60), i + 1));
      const pairs = values.map((value, i) => [encodeRlp(integerBytes(i)), value] as const);
      const patient = new PatientTrie();
      for (const [key, value] of pairs) patient.put(key, value);
      assert.deepEqual(orderedTrieRoot(values), patient.root(), `${count} items`);
      assert.deepEqual(trieRoot(pairs), patient.root(), `${count} items`);
    }
  });
});
