import assert from "node:assert/strict";
import { it } from "node:test";
import { fuzz } from "./block.fuzz.ts";

it("fuzzed blocks: a verdict for every input, and a crash for none", () => {
  const result = fuzz(11, 6_000);
  assert.deepEqual(result.crashes, []);
  assert.equal(result.accepted + result.refused, 6_000);
  assert.ok(result.refused > 3_000, "the changes do break inputs");
  assert.ok(result.accepted > 150, "some inputs get past every rule");
});
