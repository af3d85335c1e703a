import assert from "node:assert/strict";
import { it } from "node:test";
import { fuzz } from "./beacon.fuzz.ts";

it("fuzzed answers of beacon nodes: refuses or takes every input, and crashes on none", () => {
  const iterations = 3_000;
  const result = fuzz(5, iterations);
  assert.deepEqual(result.crashes, []);
  assert.equal(result.accepted + result.refused, iterations);
  assert.ok(result.refused > iterations / 10, "the changes do break inputs");
  assert.ok(result.accepted > iterations / 20, `some inputs get past the parser: ${result.accepted}`);
});
