/** What a cursor holds of each family's chains, and of chains that plug-ins bring. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ChainPosition, advance, isAt, pointOf } from "../../../src/daemon/relay/cursor.ts";
import { decodeCursor, encodeCursor } from "../../../src/daemon/relay/index.ts";
import { GAP } from "../../../src/daemon/relay/index.ts";
import { CHAINS } from "../../../src/shared/chain.ts";

const RUN = "0102030405060708";
const HEX = "000000000000000000015d1e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c";
const BASE58 = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi";

function positionAt(hash: string, height: number, logsAhead = false): ChainPosition {
  const announced = pointOf({ hash, height });
  const validated = pointOf({ hash: hash.split("").reverse().join(""), height: height - 2 });
  return { announced, validated, final: height - 9, logsAhead };
}

describe("the cursor's points", () => {
  it("know a block by the end of its hash, in hex, in hex with 0x and in base58", () => {
    assert.equal(pointOf({ hash: HEX, height: 1 }).tail, "e5f60718293a4b5c");
    assert.equal(pointOf({ hash: `0x${HEX}`, height: 1 }).tail, "e5f60718293a4b5c");
    assert.equal(pointOf({ hash: BASE58, height: 1 }).tail, Buffer.from(BASE58.slice(-8)).toString("hex"));
    for (const hash of [HEX, `0x${HEX}`, BASE58, "1".repeat(32), "1"]) {
      const point = pointOf({ hash, height: 7 });
      assert.match(point.tail, /^[0-9a-f]{16}$/);
      assert.ok(isAt(point, { hash, height: 7 }));
      assert.ok(!isAt(point, { hash, height: 8 }));
      assert.ok(!isAt(point, { hash: `${hash.slice(0, -1)}2`, height: 7 }) || hash.endsWith("2"));
    }
  });

  it("come back for every built-in chain and for chains of plug-ins, with logs ahead or not", () => {
    const names = [...CHAINS, "tiny", "a", "a-chain-of-thirty-two-characters"];
    const positions = new Map(
      names.map((chain, at) => [chain, positionAt(at % 2 === 0 ? `0x${HEX}` : BASE58, 900 + at, at % 3 === 0)]),
    );
    const text = encodeCursor({ run: RUN, seq: 12, positions });
    assert.deepEqual(decodeCursor(text), { run: RUN, seq: 12, positions });
    assert.ok(text.length < 700, `${text.length}`);
  });

  it("of 24 chains with the longest names are read, and fit a query string", () => {
    const names = Array.from(
      { length: 24 },
      (_, at) => `plug-in-chain-${String(at).padStart(2, "0")}-${"x".repeat(15)}`,
    );
    const positions = new Map(names.map((chain) => [chain, positionAt(`0x${HEX}`, 4_000_000_000, true)]));
    const text = encodeCursor({ run: RUN, seq: 2 ** 47, positions });
    assert.ok(text.length <= 2_600, `${text.length}`);
    assert.deepEqual(decodeCursor(text)?.positions, positions);
  });

  it("of a daemon of before are read as they were meant", () => {
    // Written by version 0.1: bitcoin at 812,345, proved two blocks below, final six below.
    const bytes = Buffer.concat([
      Buffer.from(`010000${RUN}00000000004d`, "hex"),
      Buffer.from("00000c6539e5f60718293a4b5c0002aabbccddeeff00110006", "hex"),
    ]);
    bytes.writeUInt16BE(checksum(bytes), 1);
    const position = decodeCursor(bytes.toString("base64url"))?.positions.get("bitcoin");
    assert.deepEqual(position, {
      announced: { height: 812_345, tail: "e5f60718293a4b5c" },
      validated: { height: 812_343, tail: "aabbccddeeff0011" },
      final: 812_339,
      logsAhead: false,
    });
  });

  it("of a chain that a later version knows are skipped, names that are none are refused", () => {
    const known = Buffer.from("00000c6539e5f60718293a4b5c00000006", "hex");
    const read = (...parts: Buffer[]): unknown => {
      const bytes = Buffer.concat([Buffer.from(`010000${RUN}00000000004d`, "hex"), ...parts]);
      bytes.writeUInt16BE(checksum(bytes), 1);
      const cursor = decodeCursor(bytes.toString("base64url"));
      return cursor === null ? null : [...cursor.positions.keys()];
    };
    const named = (name: string): Buffer =>
      Buffer.concat([Buffer.from([255, name.length]), Buffer.from(name), known.subarray(1)]);
    assert.deepEqual(read(Buffer.concat([Buffer.from([200]), known.subarray(1)]), known), ["bitcoin"]);
    assert.deepEqual(read(named("tiny"), known), ["tiny", "bitcoin"]);
    for (const name of ["", "Tiny", "../x", "a".repeat(33)]) assert.equal(read(named(name)), null, name);
    assert.equal(read(Buffer.from([255, 250, 97])), null);
    assert.equal(read(known.subarray(0, 16)), null);
  });

  it("are never read from bytes that are none, and reading never throws", () => {
    const body = fc.uint8Array({ maxLength: 160 });
    fc.assert(
      fc.property(body, (rest) => {
        const bytes = Buffer.concat([Buffer.from(`010000${RUN}00000000004d`, "hex"), rest]);
        bytes.writeUInt16BE(checksum(bytes), 1);
        const cursor = decodeCursor(bytes.toString("base64url"));
        for (const [chain, { announced, validated, final }] of cursor?.positions ?? []) {
          assert.match(chain, /^[a-z][a-z0-9-]{0,31}$/);
          assert.ok(validated.height <= announced.height && final <= announced.height);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("the cursor's way", () => {
  const data = { hash: `0x${HEX}`, height: 50 };
  const ref = { hash: `0x${"1".repeat(64)}`, height: 48 };
  const of = { chain: "ethereum", network: "devnet", receivedAt: 0 } as const;
  const log = { block_hash: data.hash, height: 49, logs: [] };
  const position: ChainPosition = { announced: pointOf(data), validated: pointOf(ref), final: 40, logsAhead: false };

  it("goes ahead with logs, and back with those that are taken back", () => {
    const ahead = advance(position, { ...of, type: "log", parentHash: "", data: { ...log, removed: false } });
    assert.deepEqual(ahead, { ...position, logsAhead: true });
    const parentHash = `0x${"2".repeat(64)}`;
    const back = advance(position, { ...of, type: "log", parentHash, data: { ...log, height: 48, removed: true } });
    assert.deepEqual(back, { ...position, validated: pointOf({ hash: parentHash, height: 47 }) });
  });

  it("keeps logs ahead over a reorg above their block, not over one that takes it", () => {
    const ahead = { ...position, logsAhead: true };
    const reorgTo = (height: number): ChainPosition | null =>
      advance(ahead, {
        ...of,
        type: "reorg",
        data: { depth: 1, common_ancestor: { hash: data.hash, height }, reverted: [], applied: [] },
      });
    assert.deepEqual([reorgTo(49)?.logsAhead, reorgTo(48)?.logsAhead], [true, false]);
    assert.deepEqual([reorgTo(49)?.validated.height, reorgTo(47)?.validated.height], [48, 47]);
  });

  it("does not move with logs that cannot be had, nor with watch lists", () => {
    const gap = { from: null, to: data, reason: GAP.LOGS_UNAVAILABLE };
    assert.equal(advance(position, { ...of, type: "gap", data: gap }), position);
    const watch = { list: "a", item: "", txid: "", output: null, kind: "log", state: "mined" } as const;
    const seen = { ...watch, confirmations: 1, value: null, outpoint: null, block: data, sequence: 2 };
    assert.equal(advance(position, { ...of, type: "watch", data: seen }), position);
  });
});

/** As cursor.ts takes it: FNV-1a, folded. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const [index, byte] of bytes.entries())
    if (index !== 1 && index !== 2) hash = Math.imul(hash ^ byte, 0x01000193);
  return ((hash >>> 16) ^ hash) & 0xffff;
}
