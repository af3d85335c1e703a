import assert from "node:assert/strict";
import { test } from "node:test";
import { createDecoders } from "../../src/daemon/decoders.ts";

const TRANSFER = "event Transfer(address indexed from, address indexed to, uint256 value)";
const LOG = {
  address: `0x${"11".repeat(20)}`,
  topics: [`0x${"ab".repeat(32)}`],
  data: "0x",
  transaction_hash: "",
  transaction_index: 0,
  log_index: 0,
};

test("ABIs together are bounded by their length; what is used stays", async () => {
  const decoders = createDecoders();
  const large = (index: number): string[] =>
    Array.from({ length: 100 }, (_, each) => `event E${index}x${each}(uint256 ${"a".repeat(1_900)})`);
  await decoders.prepare([TRANSFER]);
  const first = decoders.of([TRANSFER]);
  await decoders.prepare(large(0));
  const forgotten = decoders.of(large(0));
  for (let index = 1; index < 25; index++) {
    await decoders.prepare(large(index));
    await decoders.prepare([TRANSFER]);
  }
  assert.equal(decoders.of([TRANSFER]), first);
  assert.notEqual(decoders.of(large(0)), forgotten);
  assert.equal(decoders.of(large(0))(LOG), null);
});
