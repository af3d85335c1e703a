import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./rpc.fuzz.ts";

test("fuzzed JSON-RPC of nodes: each message is taken or refused, and none crashes", () => {
  const result = fuzz(13, 6_000);
  assert.deepEqual(result.crashes, []);
  assert.equal(result.accepted + result.refused, 6_000);
  assert.ok(result.refused > 600, "the changes do break messages");
  assert.ok(result.accepted > 200, `some messages get through: ${result.accepted}`);
});
