import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkBody } from "../../../src/daemon/chain/body.ts";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import { poolOf, POOLS } from "../../../src/daemon/chain/pools.ts";
import type { WatchSet } from "../../../src/shared/body.ts";
import { hasData, readData } from "../../fakes/data.ts";

const hex = (text: string): string => Buffer.from(text).toString("hex");
const NOTHING: WatchSet = { items: new Set(), topics: new Set(), outpoints: new Map() };

function poolOfBlock(chain: string, network: string, file: string): string | null {
  const verdict = checkBody(readData(file), null, paramsFor(chain, network), NOTHING);
  assert.ok(verdict.ok, file);
  const digest = verdict.facts.reading?.digest;
  assert.ok(digest?.family === "utxo");
  return poolOf(digest.parentCoinbaseScript ?? "") ?? poolOf(digest.coinbaseScript);
}

describe("pools", () => {
  it("are named by their tags, the longest first", () => {
    assert.equal(poolOf(hex("\u0003abc/ViaBTC/Mined by someone/")), "ViaBTC");
    assert.equal(poolOf(hex("/ViaBTC/TATMAS Pool/")), "TATMAS Pool");
    assert.equal(poolOf(hex("/P2SH/nodeStratum/")), null);
    assert.equal(poolOf(""), null);
    assert.equal(poolOf(hex("/Mined by somebody🐟/")), "F2Pool");
  });

  it("have tags that are theirs alone, and a place where they can be checked", () => {
    const tags = POOLS.flatMap((row) => row.tags);
    assert.equal(new Set(tags).size, tags.length);
    assert.equal(new Set(POOLS.map(({ name }) => name)).size, POOLS.length);
    for (const { name, tags: own, source } of POOLS) {
      assert.ok(source.length > 5 && own.length > 0, name);
      // A short one would be found in the random bytes of a coinbase.
      for (const tag of own) assert.ok(Buffer.from(tag).length >= 4, `${name} ${tag}`);
      assert.ok(
        own.every((tag) => poolOf(hex(tag)) === name),
        name,
      );
    }
  });

  it("stand in real blocks", { skip: !hasData && "no chain data" }, () => {
    for (const [chain, network, file, expected] of [
      ["bitcoin", "mainnet", "bitcoin/blocks/227836.raw", "Braiins Pool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/300025.raw", "F2Pool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/363703.raw", "AntPool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/370661.raw", "Braiins Pool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/413567.raw", "F2Pool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/426884.raw", "Bixin"],
      ["bitcoin", "mainnet", "bitcoin/blocks/481824.raw", "BTCC"],
      ["bitcoin", "mainnet", "bitcoin/blocks/482683.raw", "AntPool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/540107.raw.gz", "BTC.com"],
      ["bitcoin", "mainnet", "bitcoin/blocks/702861.raw.gz", "Binance Pool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/766390.raw", "Foundry USA"],
      ["bitcoin", "mainnet", "bitcoin/blocks/766391.raw", "Braiins Pool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/866342.raw.gz", "MARA Pool"],
      ["bitcoin", "testnet3", "bitcoin/testnet3/0928848.raw.gz", "NinjaPool"],
      ["bitcoin", "testnet4", "bitcoin/testnet4/0040000.raw", "Portland.HODL"],
      ["litecoin", "mainnet", "litecoin/blocks/2265985.raw", "Poolin"],
      ["litecoin", "mainnet", "litecoin/blocks/2383206.raw", "Binance Pool"],
      ["dogecoin", "mainnet", "dogecoin/blocks/2264125.raw", "F2Pool"],
      ["bitcoin", "mainnet", "bitcoin/blocks/200000.raw", null],
      ["dogecoin", "mainnet", "dogecoin/blocks/0250000.raw", null],
    ] as const) {
      assert.equal(poolOfBlock(chain, network, file), expected, file);
    }
  });
});
