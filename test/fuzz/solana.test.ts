import assert from "node:assert/strict";
import { it } from "node:test";
import { fuzz } from "./solana.fuzz.ts";

it("fuzzed Solana transactions and blocks: each is taken or refused, and none crashes", () => {
  const result = fuzz(11, 5_000);
  assert.deepEqual(result.crashes, []);
  assert.equal(result.accepted + result.refused, 5_000);
  assert.ok(result.refused > 2_000, "the changes do break inputs");
  assert.ok(result.accepted > 200, "some inputs hold all the same");
});
