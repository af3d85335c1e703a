import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { it } from "node:test";
import { BatchHasher } from "../../../src/daemon/chain/sha256.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { sha256d } from "../../fakes/blocks.ts";

const hasher = new BatchHasher();

function noise(length: number, seed: number): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

it("hashes messages of every length around the block and OpenSSL bounds, in any order, as OpenSSL does", () => {
  const lengths = [...Array(260).keys(), 1000, 3071, 3072, 3073, 5000];
  const random = seededRandom(2);
  lengths.sort(() => random() - 0.5);
  const raw = noise(
    lengths.reduce((sum, length) => sum + length, 0),
    1,
  );
  const { rawAt, hashesAt } = hasher.open(raw, lengths.length);
  let from = 0;
  const expected = lengths.map((length, i) => {
    hasher.add(rawAt + from, length, hashesAt + i * 32);
    from += length;
    return sha256d(raw.subarray(from - length, from));
  });
  hasher.flush();
  lengths.forEach((length, i) => {
    const actual = Buffer.from(hasher.bytes.subarray(hashesAt + i * 32, hashesAt + (i + 1) * 32));
    assert.deepEqual(actual, expected[i], `${length} bytes`);
  });
});

it("hashes more messages than one call takes, and a memory that grew", () => {
  const count = 5000;
  const raw = noise(count * 41, 3);
  const { rawAt, hashesAt } = hasher.open(raw, count);
  for (let i = 0; i < count; i++) hasher.add(rawAt + i * 41, 41, hashesAt + i * 32);
  hasher.flush();
  for (const i of [0, 4095, 4096, 4999]) {
    const actual = Buffer.from(hasher.bytes.subarray(hashesAt + i * 32, hashesAt + (i + 1) * 32));
    assert.deepEqual(actual, sha256d(raw.subarray(i * 41, (i + 1) * 41)), `message ${i}`);
  }
});

it("hashes nodes in place, also where the last group is not full", () => {
  for (const count of [0, 1, 2, 3, 4, 5, 6, 7, 9, 64]) {
    const raw = noise(count * 64, count);
    const { rawAt } = hasher.open(raw, 1);
    hasher.pairs(rawAt, rawAt, count);
    const actual = Buffer.from(hasher.bytes.subarray(rawAt, rawAt + count * 32));
    const expected = Array.from({ length: count }, (_, i) => sha256d(raw.subarray(i * 64, (i + 1) * 64)));
    assert.deepEqual(actual, Buffer.concat(expected), `${count} nodes`);
  }
});

it("forgets messages of a block that was given up", () => {
  const first = hasher.open(noise(100, 1), 1);
  hasher.add(first.rawAt, 100, first.hashesAt);
  const raw = Buffer.alloc(200, 5);
  const { rawAt } = hasher.open(raw, 1);
  hasher.flush();
  assert.deepEqual(Buffer.from(hasher.bytes.subarray(rawAt, rawAt + 200)), raw);
});

it("hashes each lane over its own result as often as it is told", () => {
  const starts = [4, 5, 6, 7].map((seed) => noise(32, seed));
  starts.forEach((start, lane) => hasher.setLane(lane, start));
  const once = (bytes: Uint8Array): Buffer => hash("sha256", bytes, "buffer");
  hasher.repeat(0);
  assert.deepEqual(Buffer.from(hasher.laneHash(0)), starts[0]);
  hasher.repeat(1);
  assert.deepEqual(Buffer.from(hasher.laneHash(3)), once(starts[3] as Buffer));
  hasher.setLane(3, starts[0] as Buffer);
  hasher.repeat(1000);
  const expected = starts.map((start, lane) => {
    let value = lane === 3 ? (starts[0] as Buffer) : once(start);
    for (let i = 0; i < 1000; i++) value = once(value);
    return value;
  });
  assert.deepEqual(
    [0, 1, 2, 3].map((lane) => Buffer.from(hasher.laneHash(lane))),
    expected,
  );
});
