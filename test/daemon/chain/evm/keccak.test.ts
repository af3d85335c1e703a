import assert from "node:assert/strict";
import { test } from "node:test";
import { keccak_256, keccak_512 } from "@noble/hashes/sha3.js";
import { keccak256, keccak512 } from "../../../../src/daemon/chain/evm/keccak.ts";

test("Keccak-256 and Keccak-512 agree with @noble/hashes for every length around their blocks", () => {
  for (let length = 0; length <= 700; length++) {
    const message = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff);
    assert.deepEqual(keccak256(message), Buffer.from(keccak_256(message)), `256, ${length} bytes`);
    const long = Buffer.alloc(64);
    keccak512(message, long);
    assert.deepEqual(long, Buffer.from(keccak_512(message)), `512, ${length} bytes`);
  }
});

test("the hash of nothing is the one that accounts without code have", () => {
  assert.equal(
    keccak256(new Uint8Array(0)).toString("hex"),
    "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
  );
});

test("a message longer than all before it leaves the next one right", () => {
  const long = new Uint8Array(40 * 1024 * 1024).fill(3);
  const before = keccak256(long);
  assert.deepEqual(keccak256(Buffer.from("abc")), Buffer.from(keccak_256(Buffer.from("abc"))));
  assert.deepEqual(keccak256(long), before);
});
