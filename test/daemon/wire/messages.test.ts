import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSprintError } from "../../../src/shared/errors.ts";
import {
  ByteReader,
  ByteWriter,
  type Decode,
  INV,
  NO_STOP,
  decodeAddressesV2,
  decodeAddresses,
  decodeFilter,
  decodeFilterHeaders,
  decodeGetFilters,
  decodeGetHeaders,
  decodeHeaders,
  decodeInventory,
  decodePing,
  decodeSendCompact,
  decodeVersion,
  encodeAddresses,
  encodeAddressesV2,
  encodeFilter,
  encodeFilterHeaders,
  encodeGetFilters,
  encodeGetHeaders,
  encodeHeaders,
  encodeInventory,
  encodePing,
  encodeSendCompact,
  encodeVersion,
  hashBytes,
} from "../../../src/daemon/wire/index.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const malformed = (fn: () => unknown) =>
  assert.throws(fn, (error) => isSprintError(error) && error.code === "SPRINT_P2P_MALFORMED");
const decode80: Decode<string> = (bytes, offset) => ({
  value: hex(new ByteReader(bytes, "header", offset).take(80)),
  end: offset + 80,
});
/** Records with the usual prototype, as decoders make them. */
const plain = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { noNullPrototype: true });
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hex);

test("CompactSize: the boundaries, and only the shortest form", () => {
  const forms: readonly (readonly [bigint, string])[] = [
    [0n, "00"],
    [0xfcn, "fc"],
    [0xfdn, "fdfd00"],
    [0xffffn, "fdffff"],
    [0x1_0000n, "fe00000100"],
    [0xffff_ffffn, "feffffffff"],
    [0x1_0000_0000n, "ff0000000001000000"],
    [0xffff_ffff_ffff_ffffn, "ffffffffffffffffff"],
  ];
  for (const [value, text] of forms) {
    assert.equal(hex(new ByteWriter().compactSize(value).done()), text);
    assert.equal(new ByteReader(bytesOf(text), "x").compactSize(), value);
  }
  for (const text of ["fdfc00", "fe ffff0000", "ff ffffffff00000000", "fd", "fe0000", ""]) {
    malformed(() => new ByteReader(bytesOf(text), "x").compactSize());
  }
});

test("a hash is 64 hex digits", () => {
  assert.equal(hex(hashBytes(`01${"00".repeat(31)}`)), `${"00".repeat(31)}01`);
  for (const text of ["", "00", "zz".repeat(32), `${"00".repeat(32)}0`]) malformed(() => hashBytes(text));
});

test("what is encoded decodes to itself", () => {
  const uint64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
  const agent = fc.stringMatching(/^[ -~]{0,40}$/);
  const version = plain({
    version: fc.integer(),
    services: uint64,
    time: uint64,
    nonce: uint64,
    agent,
    height: fc.integer(),
    relay: fc.boolean(),
  });
  fc.assert(fc.property(version, (message) => assert.deepEqual(decodeVersion(encodeVersion(message)), message)));
  fc.assert(fc.property(uint64, (nonce) => assert.equal(decodePing(encodePing(nonce)), nonce)));
  const compact = plain({ highBandwidth: fc.boolean(), version: uint64 });
  fc.assert(
    fc.property(compact, (message) => assert.deepEqual(decodeSendCompact(encodeSendCompact(message)), message)),
  );
  const asked = plain({ version: fc.nat(), locator: fc.array(hash, { maxLength: 101 }), stop: hash });
  fc.assert(fc.property(asked, (message) => assert.deepEqual(decodeGetHeaders(encodeGetHeaders(message)), message)));
  const entries = fc.array(plain({ type: fc.nat(), hash }), { maxLength: 300 });
  fc.assert(fc.property(entries, (list) => assert.deepEqual(decodeInventory(encodeInventory(list)), list)));
  const address = plain({
    time: fc.nat(),
    services: uint64,
    network: fc.constant("ipv4" as const),
    host: fc.ipV4(),
    port: fc.nat({ max: 65_535 }),
  });
  fc.assert(
    fc.property(fc.array(address, { maxLength: 20 }), (list) => {
      assert.deepEqual(decodeAddresses(encodeAddresses(list)), list);
      assert.deepEqual(decodeAddressesV2(encodeAddressesV2(list)), list);
    }),
  );
});

test("counts are bounded as Core bounds them", () => {
  const many = (count: number) => Array.from({ length: count }, () => "00".repeat(32));
  const asked = (count: number) => encodeGetHeaders({ version: 1, locator: many(count), stop: NO_STOP });
  assert.equal(decodeGetHeaders(asked(101)).locator.length, 101);
  malformed(() => decodeGetHeaders(asked(102)));
  const listed = (count: number) => encodeInventory(many(count).map((hash) => ({ type: INV.TX, hash })));
  assert.equal(decodeInventory(listed(50_000)).length, 50_000);
  malformed(() => decodeInventory(listed(50_001)));
  const headers = (count: number) => encodeHeaders(Array.from({ length: count }, () => new Uint8Array(80)));
  assert.equal(decodeHeaders(headers(2_000), decode80).length, 2_000);
  malformed(() => decodeHeaders(headers(2_001), decode80));
  malformed(() => decodeAddresses(bytesOf("fde903")));
  malformed(() => decodeAddressesV2(bytesOf("fde903")));
});

test("headers carry no transactions, and nothing follows the last", () => {
  const one = Buffer.from(encodeHeaders([new Uint8Array(80)]));
  malformed(() => decodeHeaders(Buffer.concat([one, Buffer.from([0])]), decode80));
  one.writeUInt8(1, 81);
  malformed(() => decodeHeaders(one, decode80));
});

test("a declared count without its bytes is refused before anything is made of it", () => {
  malformed(() => decodeInventory(bytesOf("fd50c3")));
  malformed(() => decodeHeaders(bytesOf("fdd007"), decode80));
});

test("an old version message ends early, a newer one has more", () => {
  const whole = encodeVersion({
    version: 106,
    services: 1n,
    time: 2n,
    nonce: 3n,
    agent: "/x/",
    height: 4,
    relay: false,
  });
  assert.equal(decodeVersion(whole.subarray(0, 46)).agent, "");
  assert.equal(decodeVersion(whole.subarray(0, whole.length - 1)).relay, true, "relay is wanted where nothing is said");
  assert.equal(decodeVersion(Buffer.concat([whole, Buffer.alloc(9)])).height, 4);
  for (const length of [0, 19, 45, 60, whole.length - 3]) malformed(() => decodeVersion(whole.subarray(0, length)));
});

test("the agent cannot steer a terminal, and is bounded", () => {
  const version = { version: 1, services: 1n, time: 2n, nonce: 3n, height: 4, relay: false };
  assert.equal(decodeVersion(encodeVersion({ ...version, agent: "/\u001b[31mred\n/" })).agent, "/?[31mred?/");
  malformed(() => decodeVersion(encodeVersion({ ...version, agent: "a".repeat(257) })));
});

test("addrv2: networks, lengths, and what is passed over", () => {
  const entry = (network: string, length: string, address: string) =>
    `01000000 09 ${network} ${length} ${address} 208d`;
  const list = [
    entry("01", "04", "5db80102"),
    entry("02", "10", "2a0104f8000000000000000000000001"),
    entry("02", "10", "00000000000000000000ffff5db80102"),
    entry("04", "20", "aa".repeat(32)),
    entry("77", "03", "010203"),
  ];
  assert.deepEqual(
    decodeAddressesV2(bytesOf(`05 ${list.join(" ")}`)).map(({ network, host, port }) => [network, host, port]),
    [
      ["ipv4", "93.184.1.2", 8_333],
      ["ipv6", "2a01:4f8:0:0:0:0:0:1", 8_333],
      ["other", "", 8_333],
    ],
  );
  malformed(() => decodeAddressesV2(bytesOf(`01 ${entry("01", "05", "5db8010203")}`)));
  malformed(() => decodeAddressesV2(bytesOf(`01 ${entry("77", "fd0102", "00".repeat(513))}`)));
});

test("block filters: read as they were written, and bounded", () => {
  const question = plain({ type: fc.nat(255), startHeight: fc.nat(0xffff_ffff), stopHash: hash });
  const filter = plain({ type: fc.nat(255), blockHash: hash, filter: fc.uint8Array({ maxLength: 300 }) });
  const headers = plain({ type: fc.nat(255), stopHash: hash, previousHeader: hash, filterHashes: fc.array(hash) });
  fc.assert(
    fc.property(question, filter, headers, (asked, given, linked) => {
      assert.deepEqual(decodeGetFilters(encodeGetFilters(asked)), asked);
      const read = decodeFilter(encodeFilter(given));
      assert.deepEqual(
        { ...read, filter: Uint8Array.from(read.filter) },
        { ...given, filter: Uint8Array.from(given.filter) },
      );
      assert.deepEqual(decodeFilterHeaders(encodeFilterHeaders(linked)), linked);
    }),
    { seed: 3 },
  );
  const one = encodeGetFilters({ type: 0, startHeight: 1, stopHash: NO_STOP });
  malformed(() => decodeGetFilters(Buffer.concat([one, Buffer.alloc(1)])));
  malformed(() => decodeFilter(bytesOf(`00 ${"00".repeat(32)} 05 0102`)));
  malformed(() => decodeFilterHeaders(bytesOf(`00 ${"00".repeat(64)} fdd107`)));
});
