/** What the schemas take fits into a request. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { post } from "./ask.ts";
import { startFake } from "./daemon.ts";

function hex(index: number, digits: number): string {
  return index.toString(16).padStart(digits, "0");
}

test("a subscription names a thousand addresses", async () => {
  await using daemon = await startFake();
  const addresses = Array.from({ length: 1_000 }, (_, index) => `0x${hex(index, 40)}`);
  const { status, body } = await post(`${daemon.tier}/api/v1/subscribe`, { types: ["log"], logs: { addresses } });
  assert.deepEqual([status, body.logs?.addresses.length], [201, 1_000], JSON.stringify(body).slice(0, 300));
});

test("a watch list holds a thousand scripts", async () => {
  await using daemon = await startFake();
  const scripts = Array.from({ length: 1_000 }, (_, index) => `0020${hex(index, 64)}`);
  const { status, body } = await post(`${daemon.tier}/api/v1/chains/bitcoin/watch`, { scripts });
  assert.deepEqual([status, body.items], [201, 1_000], JSON.stringify(body).slice(0, 300));
});
