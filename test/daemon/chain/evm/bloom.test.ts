import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BloomBits, bloomMayHold, bloomMayMatch } from "../../../../src/daemon/chain/evm/bloom.ts";
import { keccak256 } from "../../../../src/daemon/chain/evm/keccak.ts";
import { hasData, readData } from "../../../fakes/data.ts";

const bytes = (value: string): Buffer => Buffer.from(value.slice(2), "hex");
const topic = (index: number): Buffer => keccak256(Buffer.from(`topic ${index}`));

describe("logs blooms", () => {
  it("hold what was added, by three bits each", () => {
    const bloom = new Uint8Array(256);
    const bits = new BloomBits();
    bits.add(bloom, topic(1));
    bits.add(bloom, topic(1));
    const set = bloom.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
    assert.ok(set > 0 && set <= 3);
    assert.ok(bloomMayHold(bloom, topic(1)));
    assert.ok(!bloomMayHold(bloom, topic(2)));
  });

  it("say where an empty answer may be believed: any of the addresses, and at each place any of the topics", () => {
    const bloom = new Uint8Array(256);
    const bits = new BloomBits();
    for (const value of [topic(0), topic(1), topic(2)]) bits.add(bloom, value);
    const match = (addresses: Buffer[], topics: Buffer[][]): boolean => bloomMayMatch(bloom, { addresses, topics });
    assert.ok(match([], []));
    assert.ok(!bloomMayMatch(new Uint8Array(256), { addresses: [], topics: [] }));
    assert.ok(match([topic(0)], [[topic(1)], [], [topic(9), topic(2)]]));
    assert.ok(match([topic(8), topic(0)], []));
    assert.ok(!match([topic(8)], []));
    assert.ok(!match([topic(0)], [[topic(1)], [topic(9)]]));
  });

  it("of a real block hold every log of its eth_getLogs", { skip: !hasData && "no chain data" }, () => {
    const block = JSON.parse(readData("ethereum/rpc/21925176.block.json").toString()) as { logsBloom: string };
    const name = "ethereum/rpc/21925176.getLogs.json";
    const logs = JSON.parse(readData(name).toString()) as { address: string; topics: string[] }[];
    const bloom = bytes(block.logsBloom);
    assert.ok(logs.length > 0);
    for (const { address, topics } of logs) {
      assert.ok(bloomMayMatch(bloom, { addresses: [bytes(address)], topics: topics.map((each) => [bytes(each)]) }));
    }
    const strangers = Array.from({ length: 1000 }, (_, i) => topic(i)).filter((value) => bloomMayHold(bloom, value));
    assert.ok(strangers.length < 500, `${strangers.length} of 1000 that are not there`);
  });
});
