import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import {
  bytes32,
  bytesOf,
  container,
  count,
  decodeSsz,
  hashTreeRoot,
  hexOf,
  isUnder,
  sszFromJson,
  uint256,
  uint64,
  vector,
} from "../../../../src/daemon/chain/beacon/ssz.ts";

const pair = (a: Uint8Array, b: Uint8Array): Uint8Array => hash("sha256", Buffer.concat([a, b]), "buffer");
const leaf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const Extra = { kind: "byteList", max: 40 } as const;
const Mixed = container({ number: uint64, extra: Extra, root: bytes32, more: Extra });

test("roots, made by hand", () => {
  const one = new Uint8Array(32);
  one[0] = 1;
  assert.deepEqual(hashTreeRoot(uint64, 1n), one);
  assert.deepEqual(
    hashTreeRoot(count, 256),
    Uint8Array.from({ length: 32 }, (_, i) => (i === 1 ? 1 : 0)),
  );
  assert.deepEqual(
    hashTreeRoot(bytesOf(48), new Uint8Array(48).fill(7)),
    pair(leaf(7), new Uint8Array([...leaf(7).subarray(16), ...new Uint8Array(16)])),
  );
  // Three leaves are four, the last is zero; five are eight.
  const [a, b, c] = [leaf(1), leaf(2), leaf(3)];
  assert.deepEqual(hashTreeRoot(vector(bytes32, 3), [a, b, c]), pair(pair(a, b), pair(c, leaf(0))));
  const zeros = pair(leaf(0), leaf(0));
  assert.deepEqual(
    hashTreeRoot(vector(bytes32, 5), [a, b, c, a, b]),
    pair(pair(pair(a, b), pair(c, a)), pair(pair(b, leaf(0)), zeros)),
  );
  const length = (size: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? size : 0));
  assert.deepEqual(hashTreeRoot(Extra, new Uint8Array()), pair(zeros, length(0)));
  assert.deepEqual(hashTreeRoot(Extra, leaf(9)), pair(pair(leaf(9), leaf(0)), length(32)));
  assert.equal(hexOf(hashTreeRoot(uint256, 2n ** 256n - 1n)), `0x${"ff".repeat(32)}`);
});

test("parts behind offsets", () => {
  const head = Buffer.concat([Buffer.alloc(8, 1), Buffer.from([48, 0, 0, 0]), leaf(5), Buffer.from([50, 0, 0, 0])]);
  const bytes = Buffer.concat([head, Buffer.from("hiyou")]);
  const value = decodeSsz(Mixed, bytes, "mixed");
  assert.deepEqual(
    [value.number, Buffer.from(value.extra).toString(), Buffer.from(value.more).toString()],
    [0x0101010101010101n, "hi", "you"],
  );
  const wrong = (at: number, byte: number): Buffer => Buffer.from(bytes.map((each, i) => (i === at ? byte : each)));
  for (const bad of [bytes.subarray(0, 47), wrong(8, 47), wrong(8, 49), wrong(44, 47), wrong(44, 54), wrong(47, 255)]) {
    assert.throws(() => decodeSsz(Mixed, bad, "mixed"), { code: "SPRINT_BEACON_SSZ" });
  }
  assert.throws(() => decodeSsz(Mixed, Buffer.concat([bytes, Buffer.alloc(41)]), "mixed"), {
    code: "SPRINT_BEACON_SSZ",
  });
  assert.throws(() => decodeSsz(container({ root: bytes32 }), Buffer.alloc(33), "root"), { code: "SPRINT_BEACON_SSZ" });
  assert.throws(() => decodeSsz(count, Buffer.alloc(8, 255), "slot"), { code: "SPRINT_BEACON_NUMBER" });
});

test("JSON of the wrong shape", () => {
  const good = { number: "7", extra: "0x", root: `0x${"05".repeat(32)}`, more: "0xAB" };
  assert.deepEqual(sszFromJson(Mixed, good, "mixed").more, Uint8Array.of(0xab));
  for (const bad of [
    null,
    "x",
    [],
    { ...good, number: 7 },
    { ...good, number: "0x7" },
    { ...good, number: "9".repeat(79) },
  ]) {
    assert.throws(() => sszFromJson(Mixed, bad, "mixed"), { code: "SPRINT_BEACON_JSON" });
  }
  for (const root of ["", "05", "0x05", `0x${"0g".repeat(32)}`, `0x${"05".repeat(33)}`, 5, null]) {
    assert.throws(() => sszFromJson(Mixed, { ...good, root }, "mixed"), { code: "SPRINT_BEACON_JSON" });
  }
  assert.throws(() => sszFromJson(Mixed, { ...good, more: `0x${"05".repeat(41)}` }, "m"), {
    code: "SPRINT_BEACON_JSON",
  });
  assert.throws(() => sszFromJson(vector(uint64, 2), ["1"], "list"), { code: "SPRINT_BEACON_JSON" });
});

test("a leaf under a root, and branches that are too short, too long or crooked", () => {
  const [a, b, c, d] = [leaf(1), leaf(2), leaf(3), leaf(4)];
  const root = pair(pair(a, b), pair(c, d));
  const branch = [d, pair(a, b)];
  assert.ok(isUnder(root, c, branch, 6));
  assert.ok(isUnder(root, c, [leaf(0), ...branch], 6), "zeros of a deeper tree");
  assert.ok(!isUnder(root, c, [leaf(1), ...branch], 6));
  assert.ok(!isUnder(root, c, branch, 7) && !isUnder(root, d, branch, 6) && !isUnder(root, c, [d], 6));
});
