import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fuzz as fuzzJson } from "./evmjson.fuzz.ts";
import { fuzz as fuzzRlp } from "./rlp.fuzz.ts";
import { fuzz as fuzzTrie } from "./trie.fuzz.ts";
import { hasData } from "../fakes/data.ts";

describe("fuzzed blocks and proofs of Ethereum", () => {
  for (const [name, fuzz, iterations] of [
    ["rlp", fuzzRlp, 4_000],
    ["trie", fuzzTrie, 4_000],
    ["evmjson", fuzzJson, 1_500],
  ] as const) {
    it(`${name}: refuses or takes every input, and crashes on none`, () => {
      const result = fuzz(5, iterations);
      assert.deepEqual(result.crashes, []);
      assert.equal(result.accepted + result.refused, iterations);
      assert.ok(result.refused > iterations / 10, "the changes do break inputs");
      if (hasData) assert.ok(result.accepted > iterations / 100, `some inputs get past the parser: ${result.accepted}`);
    });
  }
});
