import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeEvmHeader, evmHeaderFromJson } from "../../../../src/daemon/chain/evm/header.ts";
import { decodeRlp, encodeRlp, type RlpItem } from "../../../../src/daemon/chain/evm/rlp.ts";
import { hasData, readData } from "../../../fakes/data.ts";

const bytes = (...values: number[]): Buffer => Buffer.of(...values);
const FIXED = [32, 32, 20, 32, 32, 32, 256].map((size, i) => Buffer.alloc(size, i + 1));
const NUMBERS = [bytes(2), bytes(9), bytes(1, 0), bytes(5), bytes(7)];
const SEAL = [Buffer.alloc(32, 8), Buffer.alloc(8, 9)];
const FIELDS: readonly RlpItem[] = [...FIXED, ...NUMBERS, Buffer.from("extra"), ...SEAL];
const BLOB_GAS = [bytes(), bytes(4)];
const LATER: readonly RlpItem[] = [
  bytes(3),
  Buffer.alloc(32, 10),
  ...BLOB_GAS,
  Buffer.alloc(32, 11),
  Buffer.alloc(32, 12),
];

describe("headers", () => {
  it("have 15 fields in Frontier and up to six more since London", () => {
    for (let more = 0; more <= LATER.length; more++) {
      const raw = encodeRlp([...FIELDS, ...LATER.slice(0, more)]);
      const header = decodeEvmHeader(raw);
      assert.deepEqual(Buffer.from(header.raw), raw);
      assert.equal(header.fields, 15 + more);
      assert.equal(header.baseFeePerGas, more > 0 ? 3n : null);
      assert.equal(header.requestsHash, more > 5 ? `0x${"0c".repeat(32)}` : null);
      assert.equal(header.gasLimit, 256n);
    }
    for (const fields of [FIELDS.slice(1), [...FIELDS, ...LATER, Buffer.alloc(32)], []]) {
      assert.throws(() => decodeEvmHeader(encodeRlp(fields)), { code: "SPRINT_EVM_HEADER_FIELDS" });
    }
  });

  it("keep what they were read from to themselves", () => {
    const raw = encodeRlp(FIELDS);
    const header = decodeEvmHeader(raw);
    raw.fill(0);
    assert.notEqual(header.raw[0], 0);
  });

  it("are refused where a field has another length, leading zeros, or a list", () => {
    const all = [...FIELDS, ...LATER];
    all.forEach((item, i) => {
      const longer = Buffer.concat([Buffer.of(0), item as Uint8Array]);
      if (i !== 12) {
        const code = /^SPRINT_EVM_(HEADER_FIELDS|RLP_INTEGER)$/;
        assert.throws(() => decodeEvmHeader(encodeRlp(all.with(i, longer))), { code }, `field ${i}`);
      }
      const code = /^SPRINT_EVM_(HEADER_FIELDS|RLP_TYPE)$/;
      assert.throws(() => decodeEvmHeader(encodeRlp(all.with(i, [item]))), { code }, `field ${i}`);
    });
    const far = FIELDS.with(8, Buffer.from("20000000000000", "hex"));
    assert.throws(() => decodeEvmHeader(encodeRlp(far)), { code: "SPRINT_EVM_NUMBER_RANGE" });
    assert.throws(() => decodeEvmHeader(Buffer.from("83646f67", "hex")), { code: "SPRINT_EVM_HEADER_FIELDS" });
  });

  it("of JSON are the RLP that their hash is over", { skip: !hasData && "no chain data" }, () => {
    const files = ["ethereum/rpc/1000000", "ethereum/rpc/18000000", "ethereum/rpc/22119617", "optimism/rpc/154497277"];
    for (const name of [...files, "arbitrum/rpc/150000000", "polygon/rpc/40000000"]) {
      const header = evmHeaderFromJson(JSON.parse(readData(`${name}.block.json`).toString()));
      assert.deepEqual(decodeEvmHeader(header.raw), header);
      assert.deepEqual(encodeRlp(decodeRlp(header.raw)), Buffer.from(header.raw));
    }
  });

  it("of Nitro repeat what extraData and mixHash hold", { skip: !hasData && "no chain data" }, () => {
    const block = JSON.parse(readData("arbitrum/rpc/150000000.block.json").toString()) as Record<string, string>;
    assert.doesNotThrow(() => evmHeaderFromJson(block));
    for (const [name, value] of [
      ["sendRoot", `0x${"11".repeat(32)}`],
      ["sendCount", "0x1"],
      ["l1BlockNumber", "0x1"],
    ] as const) {
      assert.throws(() => evmHeaderFromJson({ ...block, [name]: value }), { code: "SPRINT_EVM_HEADER_FIELDS" }, name);
    }
  });
});
