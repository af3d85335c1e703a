/** What nodes of EVM chains and of Solana say over JSON-RPC: messages of a socket, answers over HTTP, what is read out of both. */
import assert from "node:assert/strict";
import { evmHeaderFromJson } from "../../src/daemon/chain/index.ts";
import { pendingOf } from "../../src/daemon/upstream/evm-pending.ts";
import { readAnswer, readBatch, readPassed } from "../../src/daemon/upstream/jsonrpc-answer.ts";
import { readMessage } from "../../src/daemon/upstream/rpc-socket-message.ts";
import { isSprintError } from "../../src/shared/errors.ts";
import { fakeBlock } from "../daemon/upstream/evm-fake.ts";
import { fuzzParser } from "./harness.ts";
import type { FuzzResult } from "./mutate.ts";

const ORIGIN = "http://node";
const ID = 7;
const WORD = `0x${"ab".repeat(32)}`;
const TRANSACTION = {
  hash: WORD,
  from: `0x${"11".repeat(20)}`,
  to: null,
  value: "0x1",
  nonce: "0x5",
  gas: "0x5208",
  gasPrice: "0x3b9aca00",
  input: "0xa9059cbb",
};
const LAMPORTS = '{"lamports":18446744073709551615,"parent":null,"text":"a \\"}},\\" b"}';

export function fuzz(seed: number, iterations: number): FuzzResult {
  const block = JSON.stringify(fakeBlock(9, WORD));
  const corpus = [
    ...[block, JSON.stringify(TRANSACTION), JSON.stringify(WORD), LAMPORTS].flatMap((json) => [
      `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1f","result":${json}}}`,
      `{"jsonrpc":"2.0","method":"slotNotification","params":{"result":${json},"subscription":31}}`,
    ]),
    ...[block, LAMPORTS, "null"].flatMap((json) => [
      `{"jsonrpc":"2.0","id":${ID},"result":${json}}`,
      `{"id":${ID},"jsonrpc":"2.0","result":${json}}`,
      `{"jsonrpc":"2.0","result":${json},"id":${ID}}`,
      `{"result":${json},"error":null,"id":${ID}}`,
      `[{"jsonrpc":"2.0","id":${ID},"result":${json}}]`,
    ]),
    `{"jsonrpc":"2.0","id":${ID},"error":{"code":-32601,"message":"no such method"}}`,
  ];
  return fuzzParser(
    corpus.map((text) => Buffer.from(text)),
    (input) => judge(Buffer.from(input).toString("utf8")),
    seed,
    iterations,
  );
}

function judge(text: string): boolean {
  const message = readMessage(text, 1);
  if (message.kind === "notification") {
    const value = message.value();
    assert.deepEqual(JSON.parse(message.json()), value ?? null, "its text says the same");
    pendingOf(value);
    return holds(() => evmHeaderFromJson(value));
  }
  const answer = { status: 200, body: text };
  holds(() => readBatch(ORIGIN, "m", [{ id: ID }], answer));
  const passed = readPassed(ORIGIN, "m", ID, answer);
  if (!passed.ok) return false;
  const parsed = JSON.parse(passed.json) as unknown;
  // The same member read the other way; what names an id twice may be read both ways.
  holds(() => assert.deepEqual(readAnswer(ORIGIN, "m", ID, answer), parsed));
  return true;
}

/** Whether it was taken. Refusing is ordinary work. */
function holds(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (isSprintError(error)) return false;
    throw error;
  }
}
