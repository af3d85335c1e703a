import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../src/shared/clock.ts";
import { isSprintError } from "../../../src/shared/errors.ts";
import {
  MAX_PAYLOAD_BYTES,
  MessageReader,
  decodeAddresses,
  decodeGetHeaders,
  decodeInventory,
  decodePing,
  decodeVersion,
  encodeMessage,
} from "../../../src/daemon/wire/index.ts";
import { hasData, readData } from "../../fakes/data.ts";

const MAINNET = Buffer.from("f9beb4d9", "hex");
const skip = hasData ? false : "no recorded chain data on this machine";

type Seen = [command: string, payload: string];

function read(chunks: Iterable<Uint8Array>, maxPayloadBytes = MAX_PAYLOAD_BYTES): Seen[] {
  const seen: Seen[] = [];
  const onMessage = (command: string, payload: Uint8Array) =>
    seen.push([command, Buffer.from(payload).toString("hex")]);
  const reader = new MessageReader({ magic: MAINNET, maxPayloadBytes }, { onMessage });
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

function* pieces(bytes: Uint8Array, size: () => number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const length = size();
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

function refuses(code: string, fn: () => unknown): void {
  assert.throws(fn, (error) => isSprintError(error) && error.code === code);
}

test("a verack is these bytes", () => {
  assert.equal(
    Buffer.from(encodeMessage(MAINNET, "verack")).toString("hex"),
    "f9beb4d976657261636b000000000000000000005df6e0e2",
  );
});

test("messages come out whole however the stream is split", () => {
  const big = Buffer.alloc(200_000, 7);
  const stream = Buffer.concat([
    encodeMessage(MAINNET, "verack"),
    encodeMessage(MAINNET, "ping", Buffer.from("0102030405060708", "hex")),
    encodeMessage(MAINNET, "block", big),
    encodeMessage(MAINNET, "exactly12abc"),
  ]);
  const whole = read([stream]);
  assert.deepEqual(
    whole.map(([command, payload]) => [command, payload.length / 2]),
    [
      ["verack", 0],
      ["ping", 8],
      ["block", 200_000],
      ["exactly12abc", 0],
    ],
  );
  assert.deepEqual(read(pieces(stream, () => 1)), whole, "byte by byte");
  const random = seededRandom(1);
  for (let round = 0; round < 20; round++) {
    assert.deepEqual(read(pieces(stream, () => 1 + Math.floor(random() * 5_000))), whole);
  }
});

test("wrong magic is noticed at its first wrong byte", () => {
  refuses("SPRINT_P2P_BAD_MAGIC", () => read([Buffer.from("H")]));
  refuses("SPRINT_P2P_BAD_MAGIC", () => read([Buffer.from("f9beb4da", "hex")]));
});

test("a declared length above the limit is refused before a byte of it is kept", () => {
  const message = encodeMessage(MAINNET, "block", Buffer.alloc(101));
  refuses("SPRINT_P2P_OVERSIZED", () => read([message.subarray(0, 24)], 100));
  assert.equal(read([message], 101).length, 1);
});

test("memory follows what arrived, not what was declared", () => {
  const reader = new MessageReader({ magic: MAINNET, maxPayloadBytes: MAX_PAYLOAD_BYTES }, { onMessage() {} });
  reader.push(encodeMessage(MAINNET, "block", Buffer.alloc(3_000_000)).subarray(0, 25));
  assert.equal(reader.pendingBytes, 25);
});

test("a flipped bit in the payload breaks the checksum", () => {
  const message = Buffer.from(encodeMessage(MAINNET, "ping", Buffer.alloc(8)));
  message.writeUInt8(1, 30);
  refuses("SPRINT_P2P_BAD_CHECKSUM", () => read([message]));
});

test("a command must be ASCII, padded with zeros, and not empty", () => {
  for (const command of ["\xff", "ping\0x", ""]) {
    const message = Buffer.from(encodeMessage(MAINNET, "x"));
    message.fill(0, 4, 16);
    message.write(command, 4, "latin1");
    refuses("SPRINT_P2P_BAD_COMMAND", () => read([message]));
  }
});

test("a recorded mainnet connection reads to its end, in pieces of any size", { skip }, () => {
  const stream = readData("bitcoin/p2p/connection-2015-mainnet.bin");
  const whole = read([stream]);
  assert.equal(whole.length, 24);
  const random = seededRandom(2);
  assert.deepEqual(read(pieces(stream, () => 1 + Math.floor(random() * 700))), whole);
  const version = decodeVersion(Buffer.from(whole[0]?.[1] ?? "", "hex"));
  assert.deepEqual([version.version, version.agent, version.height], [70_002, "/Satoshi:0.9.1/", 339_778]);
  let [transactions, addresses] = [0, 0];
  for (const [command, hex] of whole) {
    const payload = Buffer.from(hex, "hex");
    if (command === "inv") transactions += decodeInventory(payload).length;
    if (command === "addr") {
      const list = decodeAddresses(payload);
      addresses += list.length;
      assert.ok(list.every((address) => address.network === "other" || address.host !== ""));
    }
  }
  assert.deepEqual([transactions, addresses], [43, 2_501]);
});

test("recorded messages of each kind decode, and the damaged one is refused", { skip }, () => {
  type Recorded = Record<string, Record<string, string>>;
  const recorded = JSON.parse(readData("bitcoin/p2p/messages.json").toString()) as Recorded;
  const bytesOf = (command: string, variant = "message") => Buffer.from(recorded[command]?.[variant] ?? "", "hex");
  const payload = (command: string) => {
    const [seen] = read([bytesOf(command)]);
    assert.equal(seen?.[0], command);
    return Buffer.from(seen?.[1] ?? "", "hex");
  };
  assert.equal(decodeVersion(payload("version")).agent, "/Satoshi:0.9.1/");
  assert.equal(decodeInventory(payload("inv")).length > 0, true);
  assert.equal(decodeInventory(payload("notfound")).length > 0, true);
  assert.equal(decodeGetHeaders(payload("getheaders")).locator.length > 0, true);
  assert.equal(decodeAddresses(payload("addr")).length > 0, true);
  assert.equal(typeof decodePing(payload("ping")), "bigint");
  assert.equal(payload("block").length > 80, true);
  assert.equal(read([bytesOf("version", "messagenofrelay")]).length, 0, "one byte short");
});
