import assert from "node:assert/strict";
import { test } from "node:test";
import { isSprintError } from "../../../src/shared/errors.ts";
import {
  ByteReader,
  type Decode,
  decodeBlockTransactions,
  decodeCompactBlock,
  decodeGetBlockTransactions,
  encodeBlockTransactions,
  encodeCompactBlock,
  encodeGetBlockTransactions,
  shortIdKey,
  shortIdOf,
  transactionEnd,
  transactionIdOf,
  witnessIdOf,
} from "../../../src/daemon/wire/index.ts";
import { sipHash24 } from "../../../src/shared/siphash.ts";
import { hasData, readData } from "../../fakes/data.ts";

const skip = hasData ? false : "no recorded chain data on this machine";
const decodeHeader: Decode<string> = (bytes, offset) => ({
  value: Buffer.from(new ByteReader(bytes, "header", offset).take(80)).toString("hex"),
  end: offset + 80,
});

function transactionsOf(block: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(block, "block", 80);
  const count = reader.count(65_535, "transactions");
  const transactions: Uint8Array[] = [];
  for (let i = 0; i < count; i++) transactions.push(reader.take(transactionEnd(block, reader.offset) - reader.offset));
  reader.finish();
  return transactions;
}

function malformed(fn: () => unknown): void {
  assert.throws(fn, (error) => isSprintError(error) && error.code === "SPRINT_P2P_MALFORMED");
}

test("SipHash-2-4 gives the published values", { skip }, () => {
  type Vector = { key: [string, string]; input: string[]; expected: { siphash24: string } };
  const vectors = JSON.parse(readData("bitcoin/vectors/siphash.json").toString()) as Vector[];
  const word = (hex: string) => Buffer.from(hex, "hex").reverse();
  for (const { key, input, expected } of vectors) {
    const bytes = Buffer.concat(input.map((part) => Buffer.from(part, "hex")));
    const got = sipHash24(Buffer.concat(key.map(word)), bytes);
    assert.equal(got.toString(16).padStart(16, "0"), expected.siphash24, JSON.stringify({ key, input }));
  }
});

for (const [name, compactFile, blockFile] of [
  ["mainnet 426884, before SegWit", "bitcoin/p2p/cmpctblock-426884.bin", "bitcoin/blocks/426884.raw"],
  ["testnet 898352", "bitcoin/testnet3/cmpctblock-0898352.bin", "bitcoin/testnet3/0898352.raw"],
] as const) {
  test(`short ids of a recorded compact block are those of its transactions: ${name}`, { skip }, () => {
    const payload = readData(compactFile);
    const compact = decodeCompactBlock(payload, decodeHeader);
    const transactions = transactionsOf(readData(blockFile));
    assert.equal(compact.txCount, transactions.length);
    const key = shortIdKey(compact.headerBytes, compact.nonce);
    const taken = new Set(compact.prefilled.map(({ index }) => index));
    const others = transactions.filter((_, index) => !taken.has(index));
    const byId = (idOf: (transaction: Uint8Array) => Uint8Array) => others.map((tx) => shortIdOf(key, idOf(tx)));
    const version1 = byId(transactionIdOf);
    const matches = version1[0] === compact.shortIds[0] ? version1 : byId(witnessIdOf);
    assert.deepEqual(matches, compact.shortIds);
    for (const { index, transaction } of compact.prefilled)
      assert.deepEqual(Buffer.from(transaction), Buffer.from(transactions[index] ?? []));
    assert.deepEqual(Buffer.from(encodeCompactBlock(compact)), payload, "encodes back to the same bytes");
  });
}

const TX = Buffer.from(`01000000${"01"}${"00".repeat(36)}0151ffffffff0100000000000000000151${"00000000"}`, "hex");

test("transactions of blocktxn and indexes of getblocktxn survive the round trip", () => {
  const blockHash = "ab".repeat(32);
  const indexes = [0, 1, 5, 300, 65_535];
  assert.deepEqual(decodeGetBlockTransactions(encodeGetBlockTransactions({ blockHash, indexes })), {
    blockHash,
    indexes,
  });
  const back = decodeBlockTransactions(encodeBlockTransactions({ blockHash, transactions: [TX, TX] }));
  assert.equal(back.blockHash, blockHash);
  assert.deepEqual(
    back.transactions.map((tx) => Buffer.from(tx)),
    [TX, TX],
  );
});

test("indexes beyond the block, overflowing or cut are refused", () => {
  const header = Buffer.alloc(80);
  const good = encodeCompactBlock({
    headerBytes: header,
    nonce: 1n,
    shortIds: [1, 2],
    prefilled: [{ index: 2, transaction: TX }],
  });
  assert.equal(decodeCompactBlock(good, decodeHeader).txCount, 3);
  malformed(() =>
    decodeCompactBlock(
      encodeCompactBlock({ headerBytes: header, nonce: 1n, shortIds: [1], prefilled: [{ index: 2, transaction: TX }] }),
      decodeHeader,
    ),
  );
  malformed(() =>
    decodeCompactBlock(
      encodeCompactBlock({ headerBytes: header, nonce: 1n, shortIds: [], prefilled: [] }),
      decodeHeader,
    ),
  );
  for (let length = 80; length < good.length; length++)
    malformed(() => decodeCompactBlock(good.subarray(0, length), decodeHeader));
  malformed(() =>
    decodeGetBlockTransactions(encodeGetBlockTransactions({ blockHash: "00".repeat(32), indexes: [65_535, 65_536] })),
  );
});
