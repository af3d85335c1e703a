/** RLP as blocks, receipts, transactions and headers of Ethereum come in it: what is taken encodes back to the same bytes. */
import assert from "node:assert/strict";
import {
  checkEvmBlock,
  evmBlockFromRlp,
  evmParamsFor,
  evmReceiptsFromRlp,
  decodeEvmHeader,
} from "../../src/daemon/chain/index.ts";
import { decodeRlp, encodeRlp, splitRlpList } from "../../src/daemon/chain/evm/rlp.ts";
import { transactionFromRlp } from "../../src/daemon/chain/evm/transaction.ts";
import { isSprintError } from "../../src/shared/errors.ts";
import { hasData, readData } from "../fakes/data.ts";
import { fuzzParser } from "./harness.ts";
import { below, type FuzzResult } from "./mutate.ts";
import { seededRandom } from "../../src/shared/clock.ts";

type Judge = (input: Uint8Array) => boolean;

const ethereum = evmParamsFor("ethereum", "mainnet");

export function fuzz(seed: number, iterations: number): FuzzResult {
  const random = seededRandom(seed);
  const noise = Array.from({ length: 8 }, () => Buffer.from(Array.from({ length: 60 }, () => below(random, 256))));
  const inputs: (readonly [Uint8Array, Judge])[] = noise.map((bytes) => [bytes, judgeItem]);
  inputs.push([encodeRlp([[], [[]], [Buffer.from("dog"), [Buffer.alloc(60)]]]), judgeItem]);
  if (hasData) {
    for (const number of [300_005, 15_537_393, 4_400_002]) {
      const block = readData(`ethereum/rlp/${number}.block.rlp`);
      const [header, transactions] = splitRlpList(block).items as [Uint8Array, Uint8Array];
      inputs.push([block, judgeBlock], [block, judgeItem], [header, decodesHeader]);
      for (const each of splitRlpList(transactions).items.slice(0, 3)) inputs.push([each, judgeTransaction]);
    }
    const receipts = readData("ethereum/rlp/15537393.receipts.rlp");
    inputs.push([receipts, judgeReceipts]);
  }
  return fuzzParser(
    inputs.map(([bytes]) => bytes),
    (input, source) => (inputs[source] as (typeof inputs)[0])[1](input),
    seed,
    iterations,
  );
}

function judgeItem(input: Uint8Array): boolean {
  assert.ok(encodeRlp(decodeRlp(input)).equals(input), "RLP has one form for each value");
  return true;
}

function decodesHeader(input: Uint8Array): boolean {
  const header = decodeEvmHeader(input);
  assert.ok(Buffer.from(header.raw).equals(input));
  return true;
}

function judgeTransaction(input: Uint8Array): boolean {
  transactionFromRlp(input, "transaction");
  // the root is over these bytes, so there may be no other form of them
  return judgeItem(input);
}

function judgeReceipts(input: Uint8Array): boolean {
  evmReceiptsFromRlp(input);
  return judgeItem(input);
}

function judgeBlock(input: Uint8Array): boolean {
  const { block, end } = evmBlockFromRlp(input);
  assert.ok(end <= input.length);
  try {
    return checkEvmBlock(block, null, ethereum).ok;
  } catch (error) {
    assert.ok(!isSprintError(error), "a check returns its refusal");
    throw error;
  }
}
