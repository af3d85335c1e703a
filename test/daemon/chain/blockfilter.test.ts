import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  buildFilter,
  checkFilterHeaders,
  filterHash,
  filterHeader,
  filterHeaders,
  filterMatches,
  NO_FILTER_HEADER,
} from "../../../src/daemon/chain/blockfilter.ts";
import { decodeHeader, paramsFor } from "../../../src/daemon/chain/index.ts";
import { blockBytes, coinbase, spend } from "../../fakes/blocks.ts";
import { hasData, readData } from "../../fakes/data.ts";

const TESTNET = paramsFor("bitcoin", "testnet3");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const script = (tag: number): Buffer => Buffer.concat([Buffer.from("0014", "hex"), Buffer.alloc(20, tag)]);

/** Three of BIP 158's own vectors: block hash, script of its only output, filter before, filter, header. */
const GENESIS = {
  hash: TESTNET.genesisHash,
  script: `4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac`,
  filter: "019dfca8",
  header: "21584579b7eb08997773e5aeff3a7f932700042d0ed2a6129012b7d7ae81b750",
};

/** Blocks whose outputs have these scripts, nothing spent; the filter of each. */
function built(scripts: readonly Buffer[]): { readonly hash: string; readonly filter: Uint8Array } {
  const outputs = scripts.map((bytes) => ({ value: 1n, script: bytes }));
  const raw = blockBytes({
    transactions: [coinbase(100, { outputs: [{ script: Buffer.of(0x6a) }] }), spend(1, { outputs })],
  });
  return { hash: decodeHeader(raw, 0, TESTNET).header.hash, filter: buildFilter(raw, [], TESTNET) };
}

describe("block filters", () => {
  it("match what is in them, by BIP 158's first vector", () => {
    const filter = Buffer.from(GENESIS.filter, "hex");
    assert.deepEqual(filterMatches(filter, GENESIS.hash, [GENESIS.script, "51"]), [GENESIS.script]);
    assert.deepEqual(filterMatches(filter, "11".repeat(32), [GENESIS.script]), [], "the key is the block's");
    assert.equal(filterHeader(filterHash(filter), NO_FILTER_HEADER), GENESIS.header);
  });

  it(
    "are built to the byte as BIP 158's vectors, with the scripts spent given",
    { skip: !hasData && "no chain data" },
    () => {
      const rows = JSON.parse(readData("bitcoin/vectors/blockfilters.json").toString()) as [
        ...[number, string, string, string[], string, string, string],
      ][];
      assert.equal(rows.length, 11);
      for (const [height, hash, block, spent, previous, filter, header] of rows.slice(1)) {
        const made = buildFilter(
          Buffer.from(block, "hex"),
          spent.map((text) => Buffer.from(text, "hex")),
          TESTNET,
        );
        assert.equal(hex(made), filter, `block ${height}`);
        assert.equal(filterHeader(filterHash(made), previous), header);
        const present = spent.filter((text) => text !== "");
        assert.deepEqual(filterMatches(made, hash, present), present);
      }
    },
  );

  it("tell thousands of scripts that are there from those that are not", () => {
    const scripts = Array.from({ length: 400 }, (_, tag) =>
      Buffer.concat([script(tag & 0xff), Buffer.from([tag >> 8, tag & 0xff])]),
    );
    const { hash, filter } = built(scripts);
    const present = scripts.map(hex);
    const absent = Array.from({ length: 4_000 }, (_, tag) => `0020${(tag + 1).toString(16).padStart(64, "0")}`);
    assert.deepEqual(filterMatches(filter, hash, [...absent, ...present]), present);
    assert.ok(filter.length < 400 * 3, "about 21 bits each");
  });

  it("leave out data and empty scripts, and count equal ones once", () => {
    const { filter } = built([Buffer.alloc(0), Buffer.of(0x6a, 1, 1)]);
    assert.equal(hex(filter), "00");
    assert.equal(built([script(1), script(1), script(2)]).filter[0], 2);
    assert.deepEqual(filterMatches(filter, GENESIS.hash, ["", "51"]), []);
  });

  it("are refused where they are cut, lengthened, or claim more than they hold", () => {
    const { hash, filter } = built([script(1), script(2), script(3)]);
    const code = (bytes: Uint8Array) => {
      try {
        return filterMatches(bytes, hash, ["51"]).length;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    for (let cut = 0; cut < filter.length; cut++)
      assert.equal(code(filter.subarray(0, cut)), "SPRINT_FILTER_MALFORMED", `${cut}`);
    assert.equal(code(Buffer.concat([filter, Buffer.alloc(1)])), "SPRINT_FILTER_MALFORMED");
    assert.equal(code(Buffer.from("feffffffff00", "hex")), "SPRINT_FILTER_MALFORMED");
    assert.equal(code(Buffer.alloc(8, 0xff)), "SPRINT_FILTER_MALFORMED");
  });

  it("stand in a chain of headers that cannot be told otherwise", () => {
    const hashes = ["11", "22", "33"].map((byte) => byte.repeat(32));
    const headers = filterHeaders(NO_FILTER_HEADER, hashes);
    assert.equal(headers[1], filterHeader(hashes[1] as string, headers[0] as string));
    assert.equal(checkFilterHeaders(NO_FILTER_HEADER, hashes, headers[2] as string), null);
    assert.equal(
      checkFilterHeaders(NO_FILTER_HEADER, hashes.toReversed(), headers[2] as string)?.code,
      "SPRINT_FILTER_HEADERS",
    );
    assert.equal(checkFilterHeaders(GENESIS.header, [], GENESIS.header), null);
  });
});
