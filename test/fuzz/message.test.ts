import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./message.fuzz.ts";

test("fuzzed P2P messages: each is taken or refused, and none crashes", () => {
  const result = fuzz(11, 4_000);
  assert.deepEqual(result.crashes, []);
  assert.equal(result.accepted + result.refused, 4_000);
  assert.ok(result.refused > 400, "the changes do break messages");
  assert.ok(result.accepted > 400, "some messages get through");
});
