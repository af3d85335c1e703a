/** P2P messages: the reader under any splits, and every payload decoder, on changed copies of real and of encoded messages. */
import assert from "node:assert/strict";
import { codecFor, encodeHeader, filterMatches, paramsFor } from "../../src/daemon/chain/index.ts";
import { assemble, EMPTY_POOL } from "../../src/daemon/upstream/compact.ts";
import {
  type Decode,
  INV,
  MessageReader,
  decodeAddresses,
  decodeAddressesV2,
  decodeBlockTransactions,
  decodeCompactBlock,
  decodeFilter,
  decodeFilterHeaders,
  decodeGetBlockTransactions,
  decodeGetFilters,
  decodeGetHeaders,
  decodeHeaders,
  decodeInventory,
  decodePing,
  decodeSendCompact,
  decodeVersion,
  encodeAddresses,
  encodeAddressesV2,
  encodeBlockTransactions,
  encodeCompactBlock,
  encodeFilter,
  encodeFilterHeaders,
  encodeGetBlockTransactions,
  encodeGetFilters,
  encodeGetHeaders,
  encodeHeaders,
  encodeInventory,
  encodeMessage,
  encodePing,
  encodeSendCompact,
  encodeVersion,
  transactionEnd,
  transactionIdOf,
} from "../../src/daemon/wire/index.ts";
import { type Random, seededRandom } from "../../src/shared/clock.ts";
import { isSprintError } from "../../src/shared/errors.ts";
import { forgeAuxPow } from "../fakes/auxpow.ts";
import { hasData, readData } from "../fakes/data.ts";
import { fuzzParser } from "./harness.ts";
import type { FuzzResult } from "./mutate.ts";

const MAX_PAYLOAD_BYTES = 100_000;
const codec = codecFor(paramsFor("dogecoin", "mainnet"));
const { magic } = codec.params;

/** The header's own bytes: decoding keeps no field of an AuxPoW that proves nothing. */
const decodeHeader: Decode<Uint8Array> = (bytes, offset) => {
  const { end } = codec.decodeHeader(bytes, offset);
  return { value: bytes.subarray(offset, end), end };
};

/** Command -> decoder. Where there is an encoder, what was taken must encode back to the same bytes. */
const DECODERS: Readonly<Record<string, (payload: Uint8Array) => Uint8Array | null>> = {
  version: (payload) => (decodeVersion(payload), null),
  sendcmpct: (payload) => encodeSendCompact(decodeSendCompact(payload)),
  ping: (payload) => encodePing(decodePing(payload)),
  getheaders: (payload) => encodeGetHeaders(decodeGetHeaders(payload)),
  headers: (payload) => encodeHeaders(decodeHeaders(payload, decodeHeader)),
  inv: (payload) => encodeInventory(decodeInventory(payload)),
  addr: (payload) => (decodeAddresses(payload), null),
  addrv2: (payload) => (decodeAddressesV2(payload), null),
  cmpctblock(payload) {
    const block = decodeCompactBlock(payload, decodeHeader);
    const assembly = assemble(block, EMPTY_POOL);
    if (assembly !== null) {
      assert.ok(assembly.missing.length <= block.txCount);
      if (assembly.missing.length > 0) assert.equal(assembly.complete([]), null);
    }
    return encodeCompactBlock(block);
  },
  getblocktxn: (payload) => encodeGetBlockTransactions(decodeGetBlockTransactions(payload)),
  blocktxn: (payload) => encodeBlockTransactions(decodeBlockTransactions(payload)),
  getcfilters: (payload) => encodeGetFilters(decodeGetFilters(payload)),
  cfheaders: (payload) => encodeFilterHeaders(decodeFilterHeaders(payload)),
  cfilter(payload) {
    const message = decodeFilter(payload);
    try {
      filterMatches(message.filter, message.blockHash, ["51"]);
    } catch (error) {
      assert.ok(isSprintError(error) && error.code === "SPRINT_FILTER_MALFORMED", String(error));
    }
    return encodeFilter(message);
  },
  tx(payload) {
    const end = transactionEnd(payload, 0);
    assert.ok(end <= payload.length && transactionIdOf(payload).length === 32);
    return null;
  },
};

/** A whole stream is changed, frames and all. */
const STREAM = "stream";

function corpus(): readonly (readonly [kind: string, bytes: Uint8Array])[] {
  const hash = "ab".repeat(32);
  const plain = Buffer.from(`0100000001${"00".repeat(36)}0151ffffffff0100000000000000000151${"00000000"}`, "hex");
  const segwit = Buffer.concat([
    plain.subarray(0, 4),
    Buffer.from([0, 1]),
    plain.subarray(4, -4),
    Buffer.from("0202aabb00", "hex"),
    plain.subarray(-4),
  ]);
  const genesis = Buffer.from(codec.params.genesisHeader);
  const merged = Buffer.from(genesis);
  merged.writeInt32LE(0x0062_0104, 0);
  const mergedHeader = encodeHeader({ raw: merged, auxpow: forgeAuxPow(hash) });
  const address = { time: 1_700_000_000, services: 1_033n, network: "ipv4" as const, host: "93.184.1.2", port: 22_556 };
  const prefilled = [
    { index: 0, transaction: plain },
    { index: 2, transaction: segwit },
  ];
  const payloads: [string, Uint8Array][] = [
    [
      "version",
      encodeVersion({
        version: 70_015,
        services: 1n,
        time: 1n,
        nonce: 2n,
        agent: "/Shibetoshi:1.14.9/",
        height: 5,
        relay: true,
      }),
    ],
    ["sendcmpct", encodeSendCompact({ highBandwidth: true, version: 2n })],
    ["ping", encodePing(1n)],
    ["getheaders", encodeGetHeaders({ version: 70_015, locator: [hash, hash, codec.params.genesisHash], stop: hash })],
    ["headers", encodeHeaders([genesis, mergedHeader, genesis])],
    ["inv", encodeInventory([INV.TX, INV.BLOCK, INV.WITNESS_BLOCK].map((type) => ({ type, hash })))],
    ["addr", encodeAddresses([address, address])],
    ["addrv2", encodeAddressesV2([address, address, address])],
    [
      "cmpctblock",
      encodeCompactBlock({ headerBytes: mergedHeader, nonce: 3n, shortIds: [1, 0xffff_ffff_ffff, 9], prefilled }),
    ],
    ["getblocktxn", encodeGetBlockTransactions({ blockHash: hash, indexes: [0, 3, 300, 65_535] })],
    ["blocktxn", encodeBlockTransactions({ blockHash: hash, transactions: [plain, segwit] })],
    ["getcfilters", encodeGetFilters({ type: 0, startHeight: 9, stopHash: hash })],
    ["cfheaders", encodeFilterHeaders({ type: 0, stopHash: hash, previousHeader: hash, filterHashes: [hash, hash] })],
    ["cfilter", encodeFilter({ type: 0, blockHash: hash, filter: Buffer.from("0385acb4f0fe889ef0", "hex") })],
    ["tx", plain],
    ["tx", segwit],
  ];
  if (hasData) {
    type Recorded = Record<string, Record<string, string>>;
    const recorded = JSON.parse(readData("bitcoin/p2p/messages.json").toString()) as Recorded;
    for (const command of ["addr", "getheaders", "inv", "ping", "version"]) {
      payloads.push([command, Buffer.from(recorded[command]?.["message"] ?? "", "hex").subarray(24)]);
    }
    payloads.push(["cmpctblock", readData("bitcoin/p2p/cmpctblock-426884.bin")]);
    payloads.push(["cmpctblock", readData("bitcoin/testnet3/cmpctblock-0898352.bin")]);
  }
  const streams = [payloads.slice(0, 4), payloads.slice(4, 8), payloads.slice(8)].map(
    (some) =>
      [STREAM, Buffer.concat(some.map(([command, payload]) => encodeMessage(magic, command, payload)))] as const,
  );
  return [...payloads, ...streams];
}

export function fuzz(seed: number, iterations: number): FuzzResult {
  const inputs = corpus();
  const splits = seededRandom(seed ^ 0x5eed);
  return fuzzParser(
    inputs.map(([, bytes]) => bytes),
    (input, source) => {
      const kind = inputs[source]?.[0] ?? STREAM;
      const stream = kind === STREAM ? input : encodeMessage(magic, kind, input);
      const messages = read(stream, splits);
      if (kind !== STREAM) {
        assert.equal(messages.length, 1);
        assert.deepEqual(
          Buffer.from(messages[0]?.payload ?? []),
          Buffer.from(input),
          "the reader hands out what was sent",
        );
      }
      for (const { command, payload } of messages) check(command, payload);
      return messages.length > 0;
    },
    seed,
    iterations,
  );
}

function check(command: string, payload: Uint8Array): void {
  const again = DECODERS[command]?.(payload) ?? null;
  if (again !== null) assert.ok(Buffer.from(again).equals(payload), `${command} does not encode back to itself`);
}

function read(stream: Uint8Array, random: Random): { readonly command: string; readonly payload: Uint8Array }[] {
  const messages: { command: string; payload: Uint8Array }[] = [];
  const onMessage = (command: string, payload: Uint8Array) => messages.push({ command, payload });
  const reader = new MessageReader({ magic, maxPayloadBytes: MAX_PAYLOAD_BYTES }, { onMessage });
  const longest = 1 + Math.floor(random() ** 3 * (stream.length + 1));
  for (let at = 0; at < stream.length;) {
    const length = 1 + Math.floor(random() * longest);
    reader.push(stream.subarray(at, at + length));
    at += length;
    assert.ok(reader.pendingBytes <= Math.min(at, stream.length), "it holds back no more than it was given");
  }
  return messages;
}
