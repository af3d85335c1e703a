import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AbiCoder, Interface } from "ethers";
import fc from "fast-check";
import { createLogDecoder } from "../../src/daemon/abi.ts";
import { evmBlockFromJson, evmReceiptsFromJson } from "../../src/daemon/chain/evm/block.ts";
import { evmParamsFor } from "../../src/daemon/chain/evm/params.ts";
import { readEvmBody } from "../../src/daemon/chain/evm/reading.ts";
import type { BlockLog } from "../../src/shared/body.ts";
import type { DecodedLog } from "../../src/shared/events.ts";
import { hasData, readData } from "../fakes/data.ts";

const ERC20 = "event Transfer(address indexed from, address indexed to, uint256 value)";
const ERC721 = "event Transfer(address indexed from, address indexed to, uint256 indexed id)";

function logOf(abi: string, values: readonly unknown[]): BlockLog {
  const { data, topics } = new Interface([abi]).encodeEventLog(/event (\w+)/.exec(abi)?.[1] ?? "", [...values]);
  const place = { transaction_hash: "0x", transaction_index: 0, log_index: 0 };
  return { address: `0x${"11".repeat(20)}`, topics, data, ...place };
}

async function decoded(abi: readonly string[], log: BlockLog): Promise<DecodedLog | null> {
  const decode = await createLogDecoder(abi);
  return decode(log);
}

const A = `0x${"Ab".repeat(20)}`.toLowerCase();
const B = `0x${"cd".repeat(20)}`;

describe("decoding logs", () => {
  it("integers are text, addresses lower case, and the number of topics tells two events of one signature apart", async () => {
    const event = "Transfer(address,address,uint256)";
    const most = 2n ** 256n - 1n;
    const tokens = await decoded([ERC721, ERC20], logOf(ERC20, [A, B, most]));
    assert.deepEqual(tokens, { event, args: { from: A, to: B, value: `${most}` } });
    assert.deepEqual((await decoded([ERC20, ERC721], logOf(ERC721, [A, B, 7n])))?.args, { from: A, to: B, id: "7" });
    assert.equal(await decoded([ERC20], logOf(ERC721, [A, B, 7n])), null);
  });

  it("tuples by name, arrays in order, what is indexed and has no fixed size by its hash, what has no name by position", async () => {
    const abi = "event Made(string indexed name, tuple(uint8 kind, bytes data, address[] who)[] parts, bool, int16)";
    const log = logOf(abi, ["a name", [[1, "0xbeef", [A, B]]], true, -5]);
    const { event, args } = (await decoded([abi], log)) as DecodedLog;
    assert.equal(event, "Made(string,(uint8,bytes,address[])[],bool,int16)");
    assert.deepEqual(args, {
      name: log.topics[1],
      parts: [{ kind: "1", data: "0xbeef", who: [A, B] }],
      "2": true,
      "3": "-5",
    });
    assert.doesNotThrow(() => JSON.stringify(args));
  });

  it("JSON: one fragment, or a whole ABI of which the events are taken", async () => {
    const whole = new Interface([ERC20, "function balanceOf(address) view returns (uint256)"]).formatJson();
    const [fragment] = (JSON.parse(whole) as { type: string }[]).filter(({ type }) => type === "event");
    for (const abi of [whole, JSON.stringify(fragment)]) {
      assert.deepEqual((await decoded([abi], logOf(ERC20, [A, B, 1n])))?.args, { from: A, to: B, value: "1" });
    }
  });

  it("what does not fit is null: no topic, another event, data that is cut or no text", async () => {
    const log = logOf(ERC20, [A, B, 1n]);
    assert.equal(await decoded([ERC20], { ...log, topics: [] }), null);
    assert.equal(await decoded([ERC20], { ...log, data: "0x00" }), null);
    assert.equal(await decoded(["event Other(uint256)"], log), null);
    const text = "event Said(string words)";
    const broken = AbiCoder.defaultAbiCoder().encode(["bytes"], ["0xff"]);
    assert.equal(await decoded([text], { ...logOf(text, ["x"]), data: broken }), null);
  });

  it("fragments that are none, or that would cost too much, are refused", async () => {
    const refused = async (...abi: string[]): Promise<string> =>
      createLogDecoder(abi).then(
        () => "taken",
        (error: { code: string }) => error.code,
      );
    for (const bad of [
      "Transfer(address,address,uint256)",
      "event Transfer(adress)",
      "function name() view returns (string)",
      "event Hidden(uint256) anonymous",
      "event Huge(uint256[4000000000])",
      "event Wide(uint256[1000][1000] a)",
      `event Deep(uint256${"[]".repeat(50)})`,
      "{",
      "[]",
      "null",
      "",
    ]) {
      assert.equal(await refused(bad), "SPRINT_ABI_FRAGMENT", bad);
    }
    assert.equal(await refused(...Array<string>(101).fill(ERC20)), "SPRINT_ABI_SIZE");
    assert.equal(await refused(`event A(${"uint256,".repeat(3_000)}uint256)`), "SPRINT_ABI_SIZE");
  });

  it("data whose parts all point to one another is not followed", async () => {
    const abi = "event Bomb(uint256[][][][][] a)";
    const decode = await createLogDecoder([abi]);
    // each word is a length of 32 and an offset to the same: four levels of 32 each are a million lists
    const log = { ...logOf(abi, [[]]), data: `0x${"20".padStart(64, "0").repeat(200)}` };
    assert.equal(decode(log), null);
    assert.equal(decode({ ...log, data: `0x${"00".repeat(20_000)}` }), null);
  });

  it("events of words are read as ethers reads them", async () => {
    const type = fc.oneof(
      fc.constantFrom("address", "bool", "bytes32", "bytes4", "bytes1", "uint256", "int256"),
      fc.integer({ min: 1, max: 32 }).map((bytes) => `uint${bytes * 8}`),
      fc.integer({ min: 1, max: 32 }).map((bytes) => `int${bytes * 8}`),
    );
    const edge = fc.constantFrom("00", "ff", "80", "01").map((byte) => byte.repeat(32));
    const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
    const low = hex.map((text) => text.slice(24).padStart(64, "0"));
    const input = fc.record({ type, indexed: fc.boolean(), word: fc.oneof(edge, hex, low) });
    await fc.assert(
      fc.asyncProperty(fc.array(input, { minLength: 1, maxLength: 6 }), async (inputs) => {
        fc.pre(inputs.filter(({ indexed }) => indexed).length <= 3);
        const abi = `event E(${inputs.map(({ type: name, indexed }) => `${name}${indexed ? " indexed" : ""}`).join(", ")})`;
        const reader = new Interface([abi]);
        const topics = inputs.flatMap(({ indexed, word }) => (indexed ? `0x${word}` : []));
        const data = `0x${inputs.flatMap(({ indexed, word }) => (indexed ? [] : word)).join("")}`;
        const log = { ...logOf(ERC20, [A, B, 0n]), topics: [reader.getEvent("E")?.topicHash ?? "", ...topics], data };
        const theirs = ((): unknown => {
          try {
            const result = reader.decodeEventLog("E", data, log.topics).toArray();
            const plain = result.map((each) => (typeof each === "bigint" ? `${each}` : each) as unknown);
            return plain.map((each, i) => (inputs[i]?.type === "address" ? String(each).toLowerCase() : each));
          } catch {
            return null;
          }
        })();
        const ours = await decoded([abi], log);
        assert.deepEqual(ours === null ? null : Object.values(ours.args), theirs);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it("every transfer of a real block", { skip: !hasData && "no chain data" }, async () => {
    const read = (name: string): unknown => JSON.parse(readData(`ethereum/rpc/17300000.${name}.json`).toString());
    const block = evmBlockFromJson(read("block"), evmParamsFor("ethereum", "mainnet"));
    const nothing = { items: new Set<string>(), topics: new Set<string>(), outpoints: new Map<string, string>() };
    const { logs } = readEvmBody(block, evmReceiptsFromJson(read("receipts")), nothing);
    const decode = await createLogDecoder([ERC20]);
    const found = (logs ?? []).filter((log) => log.topics.length === 3).map((log) => [log, decode(log)] as const);
    const transfers = found.filter(([, each]) => each !== null);
    assert.ok(transfers.length > 50);
    for (const [log, each] of transfers) {
      assert.equal(each?.args["value"], `${BigInt(log.data)}`);
      assert.equal(each.args["to"], `0x${log.topics[2]?.slice(26)}`);
    }
  });
});
