/** Blocks and receipts of JSON-RPC, broken by bytes and by values. */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import {
  checkEvmBlock,
  evmBlockFromJson,
  evmCodecFor,
  evmParamsFor,
  evmReceiptsFromJson,
  parseJson,
} from "../../src/daemon/chain/index.ts";
import type { WatchSet } from "../../src/shared/body.ts";
import type { EvmChain } from "../../src/shared/chain.ts";
import { type Random, seededRandom } from "../../src/shared/clock.ts";
import { hasData, readData } from "../fakes/data.ts";
import { fuzzParser } from "./harness.ts";
import { below, type FuzzResult } from "./mutate.ts";

type Judge = (input: Uint8Array) => boolean;

/** What nodes, proxies and liars put in the place of a value. */
const STRANGE: readonly unknown[] = [
  null,
  true,
  0,
  2 ** 53,
  -1,
  "",
  "0x",
  "0x0",
  "0x00",
  "0xzz",
  "0x123",
  "latest",
  [],
  {},
  [null],
  [[]],
  `0x${"f".repeat(64)}`,
  `0x${"f".repeat(65)}`,
  `0x${"0".repeat(40)}`,
  `0x${"ab".repeat(300)}`,
  "0xffffffffffffffffff",
];

const NAMES: readonly (readonly [chain: EvmChain, name: string])[] = [
  ["ethereum", "ethereum/rpc/13998626"],
  ["ethereum", "ethereum/rpc/1755635"],
  ["optimism", "optimism/rpc/105237730"],
  ["base", "base/rpc/81636"],
  ["arbitrum", "arbitrum/rpc/150000000"],
  ["polygon", "polygon/rpc/1000000"],
];

export function fuzz(seed: number, iterations: number): FuzzResult {
  const inputs: (readonly [Uint8Array, Judge])[] = [];
  for (const [chain, name] of hasData ? NAMES : []) {
    const text = readData(`${name}.block.json`);
    const block = JSON.parse(text.toString()) as object;
    const receipts = JSON.parse(readData(`${name}.receipts.json`).toString()) as object;
    inputs.push([text, (input) => judge(chain, parseJson(input), receipts)]);
    // these bytes are no JSON: they choose which values of the block are replaced
    for (let i = 0; i < 4; i++) inputs.push([hash("sha256", text, "buffer"), judgeValues(chain, block, receipts)]);
  }
  if (inputs.length === 0) inputs.push([Buffer.from("{}"), (input) => judge("ethereum", parseJson(input), [])]);
  return fuzzParser(
    inputs.map(([bytes]) => bytes),
    (input, source) => (inputs[source] as (typeof inputs)[0])[1](input),
    seed,
    iterations,
  );
}

function judge(chain: EvmChain, block: unknown, receipts: unknown): boolean {
  const params = evmParamsFor(chain, "mainnet");
  return checkEvmBlock(evmBlockFromJson(block, params), evmReceiptsFromJson(receipts), params).ok;
}

function judgeValues(chain: EvmChain, block: object, receipts: object): Judge {
  return (input) => {
    const random = seededRandom(hash("sha256", input, "buffer").readUInt32LE(0));
    const pair = structuredClone({ block, receipts }) as Record<string, unknown>;
    for (let left = below(random, 3); left > 0; left--) replace(pair, random);
    const { hash: name } = block as { hash: string };
    const place = { height: null, hash: name };
    const codec = evmCodecFor(evmParamsFor(chain, "mainnet"));
    const verdict = codec.checkBody(Buffer.from(JSON.stringify(pair)), place, watch(block));
    // the block is a real one: whatever is wrong, somebody else has it right
    if (!verdict.ok) assert.equal(verdict.refusal.data["mutated"], true, verdict.refusal.message);
    return verdict.ok;
  };
}

/** Everybody who is in the first transactions, so that senders are recovered too. */
function watch(block: object): WatchSet {
  const { transactions } = block as { transactions: readonly { readonly from: string; readonly to: string }[] };
  const items = new Set(transactions.slice(0, 2).flatMap(({ from, to }) => [from, to]));
  return { items, topics: new Set(), outpoints: new Map() };
}

/** Walks down a few steps and puts something strange there. */
function replace(root: Record<string, unknown>, random: Random): void {
  let at = root[random() < 0.6 ? "block" : "receipts"] as Record<string, unknown>;
  for (;;) {
    const names = Object.keys(at);
    const name = names[below(random, names.length)];
    if (name === undefined) return;
    const value = at[name];
    if (typeof value !== "object" || value === null || random() < 0.1) {
      at[name] = structuredClone(STRANGE[below(random, STRANGE.length)]);
      return;
    }
    at = value as Record<string, unknown>;
  }
}
