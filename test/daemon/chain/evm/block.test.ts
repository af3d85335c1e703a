import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  checkEvmBlock,
  type EvmBlock,
  evmBlockFromJson,
  evmBlockFromRlp,
  evmReceiptsFromJson,
  evmReceiptsFromRlp,
} from "../../../../src/daemon/chain/evm/block.ts";
import { evmParamsFor } from "../../../../src/daemon/chain/evm/params.ts";
import type { EvmChain } from "../../../../src/shared/chain.ts";
import { isSprintError } from "../../../../src/shared/errors.ts";
import { hasData, readData } from "../../../fakes/data.ts";

type Json = { [field: string]: Json } | Json[] | string | null;

const ethereum = evmParamsFor("ethereum", "mainnet");

function read(name: string): Json {
  return JSON.parse(readData(name).toString()) as Json;
}

/** The code with which a block and its receipts are refused, "holds" where they are not. */
function judge(chain: EvmChain, block: unknown, receipts: unknown): string {
  const params = evmParamsFor(chain, "mainnet");
  try {
    const proved = receipts === null ? null : evmReceiptsFromJson(receipts);
    const verdict = checkEvmBlock(evmBlockFromJson(block, params), proved, params);
    return verdict.ok ? "holds" : verdict.refusal.code;
  } catch (error) {
    if (!isSprintError(error)) throw error;
    return error.code;
  }
}

/** Fields of a block that nothing commits to. */
const LOOSE = new Set(["size", "totalDifficulty"]);
const PLACE = ["hash", "blockHash", "blockNumber", "transactionIndex"];
/** What a transaction's hash or its place proves, by type; of others the sender and the price paid follow from more than the block. */
const SIGNED = [...PLACE, "type", "chainId", "nonce", "gas", "to", "value", "input", "v", "r", "s", "yParity"];
const PRICED = ["maxFeePerGas", "maxPriorityFeePerGas", "accessList", "maxFeePerBlobGas", "blobVersionedHashes"];
const PROVED: Readonly<Record<string, readonly string[]>> = {
  "0x0": [...SIGNED, "gasPrice"],
  "0x1": [...SIGNED, "gasPrice", "accessList"],
  "0x2": [...SIGNED, ...PRICED],
  "0x3": [...SIGNED, ...PRICED],
  "0x6a": [...PLACE, "type", "chainId", "input"],
  "0x7e": [...PLACE, "type", "sourceHash", "from", "to", "mint", "value", "gas", "input"],
};
const RECEIPT = ["status", "root", "cumulativeGasUsed", "gasUsed", "logsBloom", "type", "transactionHash", ...PLACE];
const LOG = ["address", "topics", "data", "logIndex", "transactionHash", ...PLACE];

/** Whether a change of this leaf of a block must be found. Polygon's made-up transaction has its hash only. */
function isProved(block: Json, path: readonly (string | number)[], madeUp: number): boolean {
  const [top, index, name] = path;
  if (top !== "transactions") return !LOOSE.has(String(top));
  if (index === madeUp) return name === "hash";
  const transaction = field(listOf(block, "transactions")[Number(index)] as Json);
  return (PROVED[String(transaction["type"])] ?? []).includes(String(name));
}

function isProvedReceipt(path: readonly (string | number)[], madeUp: number): boolean {
  const [index, name, , inLog] = path;
  if (index === madeUp) return name === "transactionHash";
  return name === "logs" ? LOG.includes(String(inLog)) : RECEIPT.includes(String(name));
}

interface Leaf {
  readonly path: readonly (string | number)[];
  readonly value: string;
}

function leaves(json: Json, path: readonly (string | number)[] = []): Leaf[] {
  if (typeof json === "string") return [{ path, value: json }];
  if (json === null) return [];
  return Object.entries(json).flatMap(([name, value]) =>
    leaves(value as Json, [...path, Array.isArray(json) ? Number(name) : name]),
  );
}

function changed(json: Json, path: readonly (string | number)[], value: Json): Json {
  const copy = structuredClone(json);
  let at = copy as Record<string | number, Json>;
  for (const name of path.slice(0, -1)) at = at[name] as Record<string | number, Json>;
  at[path.at(-1) as string] = value;
  return copy;
}

/** Another digit somewhere behind the 0x. */
function flipped(value: string, at: number, by: number): string {
  const index = 2 + (at % (value.length - 2));
  const digit = (Number.parseInt(value[index] as string, 16) + by) % 16;
  return value.slice(0, index) + digit.toString(16) + value.slice(index + 1);
}

describe("blocks of the chain data", { skip: !hasData && "no chain data" }, () => {
  const samples: readonly (readonly [chain: EvmChain, name: string])[] = [
    ["ethereum", "ethereum/rpc/1755635"],
    ["ethereum", "ethereum/rpc/13998626"],
    ["ethereum", "ethereum/rpc/22119617"],
    ["polygon", "polygon/rpc/10000000"],
    ["optimism", "optimism/rpc/107353722"],
    ["optimism", "optimism/rpc/154497277"],
    ["base", "base/rpc/77976"],
    ["arbitrum", "arbitrum/rpc/150000000"],
  ];
  for (const [chain, name] of samples) {
    it(`${name}: one digit changed in any field that something commits to is found`, () => {
      const block = read(`${name}.block.json`);
      const receipts = read(`${name}.receipts.json`);
      assert.equal(judge(chain, block, receipts), "holds");
      const madeUp = chain === "polygon" ? listOf(block, "transactions").length - 1 : -1;
      const hex = ({ value }: Leaf): boolean => /^0x[0-9a-f]/.test(value);
      const inBlock = leaves(block).filter((leaf) => hex(leaf) && isProved(block, leaf.path, madeUp));
      const inReceipts = leaves(receipts).filter((leaf) => hex(leaf) && isProvedReceipt(leaf.path, madeUp));
      fc.assert(
        fc.property(fc.boolean(), fc.nat(), fc.nat(), fc.integer({ min: 1, max: 15 }), (first, which, at, by) => {
          const from = first ? inBlock : inReceipts;
          const { path, value } = from[which % from.length] as Leaf;
          const other = flipped(value, at, by);
          const code = first
            ? judge(chain, changed(block, path, other), receipts)
            : judge(chain, block, changed(receipts, path, other));
          assert.match(code, /^SPRINT_EVM_/, `${path.join(".")}: ${value.slice(0, 80)} → ${other.slice(0, 80)}`);
        }),
        { numRuns: 150, seed: 1 },
      );
    });
  }

  it("RLP: one byte changed in the body, or in a receipt, is found", () => {
    const bytes = readData("ethereum/rlp/19463337.block.rlp");
    const receipts = readData("ethereum/rlp/19463337.receipts.rlp");
    const body = evmBlockFromRlp(bytes).block.header.raw.length + 3;
    const verdict = (block: Buffer, beside: Buffer): string => {
      try {
        const read = evmBlockFromRlp(block);
        if (read.end < block.length) return "SPRINT_EVM_RLP_TRAILING";
        const checked = checkEvmBlock(read.block, evmReceiptsFromRlp(beside), ethereum);
        return checked.ok ? "holds" : checked.refusal.code;
      } catch (error) {
        if (!isSprintError(error)) throw error;
        return error.code;
      }
    };
    assert.equal(verdict(bytes, receipts), "holds");
    fc.assert(
      fc.property(fc.boolean(), fc.nat(), fc.integer({ min: 1, max: 255 }), (first, at, by) => {
        const [block, beside] = [Buffer.from(bytes), Buffer.from(receipts)];
        const target = first ? block.subarray(body) : beside;
        target[at % target.length] = (target[at % target.length] as number) ^ by;
        assert.match(verdict(block, beside), /^SPRINT_EVM_/);
      }),
      { numRuns: 400, seed: 2 },
    );
  });

  const whole = (): { block: Json; receipts: Json } => ({
    block: read("ethereum/rpc/22119617.block.json"),
    receipts: read("ethereum/rpc/22119617.receipts.json"),
  });
  const refusals: readonly (readonly [
    what: string,
    code: string,
    change: (given: ReturnType<typeof whole>) => void,
  ])[] = [
    ["a transaction left out", "SPRINT_EVM_TRANSACTIONS_ROOT", ({ block }) => void listOf(block, "transactions").pop()],
    ["a receipt left out", "SPRINT_EVM_RECEIPT_COUNT", ({ receipts }) => void (receipts as Json[]).pop()],
    ["receipts in another order", "SPRINT_EVM_RECEIPT_PLACE", ({ receipts }) => void swap(receipts as Json[], "0x2")],
    [
      "transactions in another order",
      "SPRINT_EVM_TX_PLACE",
      ({ block }) => void listOf(block, "transactions").reverse(),
    ],
    ["a withdrawal left out", "SPRINT_EVM_WITHDRAWALS_ROOT", ({ block }) => void listOf(block, "withdrawals").pop()],
    [
      "an ommer where none may be",
      "SPRINT_EVM_OMMERS_HASH",
      ({ block }) => void listOf(block, "uncles").push(`0x${"11".repeat(32)}`),
    ],
    ["a log left out", "SPRINT_EVM_RECEIPT_BLOOM", ({ receipts }) => void dropLog(receipts, false)],
    ["a log left out with its bloom", "SPRINT_EVM_RECEIPT_PLACE", ({ receipts }) => void dropLog(receipts, true)],
    [
      "a log taken back",
      "SPRINT_EVM_RECEIPT_REMOVED",
      ({ receipts }) => void (firstLog(receipts)["removed"] = true as never),
    ],
    ["a pending transaction", "SPRINT_EVM_JSON_FIELD", ({ block }) => void (transaction(block, 0)["blockHash"] = null)],
    [
      "a hash of another kind",
      "SPRINT_EVM_TX_HASH",
      ({ block }) => void (transaction(block, 0)["hash"] = `0x${"11".repeat(32)}`),
    ],
    ["a type from the future", "SPRINT_EVM_TX_TYPE", ({ block }) => void (transaction(block, 0)["type"] = "0x5")],
    [
      "a header field too many",
      "SPRINT_EVM_HEADER_HASH",
      ({ block }) => void (field(block)["requestsHash"] = `0x${"11".repeat(32)}`),
    ],
    [
      "a header field too few",
      "SPRINT_EVM_HEADER_FIELDS",
      ({ block }) => void (field(block)["withdrawalsRoot"] = null),
    ],
    ["no hash", "SPRINT_EVM_JSON_FIELD", ({ block }) => void (field(block)["hash"] = null)],
    ["no transactions", "SPRINT_EVM_JSON_NULL", ({ block }) => void (field(block)["transactions"] = null)],
    ["a number of JSON", "SPRINT_EVM_JSON_TYPE", ({ block }) => void (field(block)["gasUsed"] = 5811985 as never)],
    [
      "hex that is none",
      "SPRINT_EVM_JSON_DATA",
      ({ block }) => void (field(block)["stateRoot"] = `0x${"zz".repeat(32)}`),
    ],
    ["a quantity that is none", "SPRINT_EVM_JSON_QUANTITY", ({ block }) => void (field(block)["gasUsed"] = "0x")],
    [
      "a quantity of 300 bits",
      "SPRINT_EVM_JSON_QUANTITY",
      ({ block }) => void (field(block)["difficulty"] = `0x1${"0".repeat(75)}`),
    ],
    [
      "a hash of 31 bytes",
      "SPRINT_EVM_JSON_LENGTH",
      ({ block }) => void (field(block)["stateRoot"] = `0x${"11".repeat(31)}`),
    ],
    [
      "a height beyond 2^53",
      "SPRINT_EVM_NUMBER_RANGE",
      ({ block }) => void (field(block)["number"] = "0x20000000000001"),
    ],
    [
      "a gas limit of nine bytes",
      "SPRINT_EVM_RLP_INTEGER",
      ({ block }) => void (field(block)["gasLimit"] = `0x1${"00".repeat(8)}`),
    ],
  ];
  for (const [what, code, change] of refusals) {
    it(`${what}: ${code}`, () => {
      const given = whole();
      change(given);
      assert.equal(judge("ethereum", given.block, given.receipts), code);
    });
  }

  it("a block of another network is refused by the chain ids of its transactions, or by its form", () => {
    const block = read("polygon/rpc/40000000.block.json");
    assert.match(judge("ethereum", block, null), /^SPRINT_EVM_/);
    const base = read("base/rpc/81636.block.json");
    assert.equal(judge("optimism", base, null), "SPRINT_EVM_FORK_FIELDS");
    const { block: own } = whole();
    assert.match(judge("bsc", own, null), /^SPRINT_EVM_/);
  });

  it("says what it could not prove", () => {
    const verdict = (block: EvmBlock, receipts: Json): readonly string[] => {
      const checked = checkEvmBlock(block, receipts === null ? null : evmReceiptsFromJson(receipts), ethereum);
      return checked.ok ? checked.facts.skipped : [checked.refusal.code];
    };
    const hashes = evmBlockFromJson(read("ethereum/rpc/21925176.block.json"), ethereum);
    assert.match(verdict(hashes, null).join(), /transactions.*receipts/);
    const ommers = evmBlockFromJson(read("ethereum/rpc/4370006.block.json"), ethereum);
    assert.match(verdict(ommers, read("ethereum/rpc/4370006.receipts.json")).join(), /^ommers/);
  });

  it("is header only where a node may add a state-sync transaction that no root can be rebuilt over", () => {
    const block = read("polygon/rpc/40000000.block.json");
    const params = evmParamsFor("polygon", "mainnet");
    const transactions = listOf(block, "transactions");
    const place = { blockHash: String(field(block)["hash"]), blockNumber: String(field(block)["number"]) };
    const added = {
      ...place,
      type: "0x7f",
      transactionIndex: `0x${transactions.length.toString(16)}`,
      hash: `0x${"11".repeat(32)}`,
    };
    transactions.push(added);
    // before its time
    assert.equal(judge("polygon", block, null), "SPRINT_EVM_TX_TYPE");
    const early = {
      ...params,
      forks: [...params.forks, { name: "test", from: { block: 0 }, rules: { transactionTypes: [0, 2, 0x7f] } }],
    };
    const verdict = checkEvmBlock(evmBlockFromJson(block, early), null, early);
    assert.ok(verdict.ok);
    assert.equal(verdict.facts.level, "header");
    assert.equal(verdict.facts.sizeBytes, null);
    assert.match(verdict.facts.skipped.join(), /transactions root/);
  });

  it("measures the block as its RLP is", () => {
    const bytes = readData("ethereum/rlp/22869878.block.rlp");
    const { block, end } = evmBlockFromRlp(bytes);
    assert.equal(end, bytes.length);
    assert.equal(block.sizeBytes, bytes.length);
    const json = evmBlockFromJson(read("ethereum/rpc/18000000.block.json"), ethereum);
    assert.equal(json.sizeBytes, Number.parseInt(String(field(read("ethereum/rpc/18000000.block.json"))["size"]), 16));
  });
});

function field(json: Json): Record<string, Json> {
  return json as Record<string, Json>;
}

function listOf(json: Json, name: string): Json[] {
  return field(json)[name] as Json[];
}

function transaction(block: Json, index: number): Record<string, Json> {
  return field(listOf(block, "transactions")[index] as Json);
}

function firstLog(receipts: Json): Record<string, Json> {
  const logged = (receipts as Json[]).find((receipt) => listOf(receipt, "logs").length > 0) as Json;
  return field(listOf(logged, "logs")[0] as Json);
}

/** The first two of a type change places. */
function swap(items: Json[], type: string): void {
  const [a, b] = items.flatMap((item, i) => (field(item)["type"] === type ? [i] : [])) as [number, number];
  [items[a], items[b]] = [items[b] as Json, items[a] as Json];
}

/** The only log of a receipt, or one of them; `bloom` is left to say nothing of it. */
function dropLog(receipts: Json, bloom: boolean): void {
  const single = (receipts as Json[]).find((receipt) => listOf(receipt, "logs").length === 1) as Json;
  field(single)["logs"] = [];
  if (bloom) field(single)["logsBloom"] = `0x${"00".repeat(256)}`;
}
