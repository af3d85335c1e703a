import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fuzz as fuzzAuxPow } from "./auxpow.fuzz.ts";
import { fuzz as fuzzHeader } from "./header.fuzz.ts";

describe("fuzzed headers", () => {
  for (const [name, fuzz] of [
    ["header", fuzzHeader],
    ["auxpow", fuzzAuxPow],
  ] as const) {
    it(`${name}: refuses or takes every input, and crashes on none`, () => {
      const result = fuzz(7, 4_000);
      assert.deepEqual(result.crashes, []);
      assert.equal(result.accepted + result.refused, 4_000);
      assert.ok(result.refused > 400, "the changes do break inputs");
      assert.ok(result.accepted > 40, "some inputs get past the parser");
    });
  }
});
