import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EvmHeader, decodeEvmHeader, evmHeaderFromJson } from "../../../../src/daemon/chain/evm/header.ts";
import { evmBlockFromRlp } from "../../../../src/daemon/chain/evm/block.ts";
import { evmParamsFor, evmRulesAt } from "../../../../src/daemon/chain/evm/params.ts";
import { readRlp } from "../../../../src/daemon/chain/evm/rlp.ts";
import {
  baseFeeAfter,
  blobBaseFee,
  checkEvmContext,
  checkEvmFuture,
  checkEvmHeader,
  excessBlobGasAfter,
} from "../../../../src/daemon/chain/evm/rules.ts";
import type { EvmParams } from "../../../../src/daemon/chain/evm/types.ts";
import { EVM_CHAINS, type EvmChain } from "../../../../src/shared/chain.ts";
import { hasData, readData } from "../../../fakes/data.ts";

const ethereum = evmParamsFor("ethereum", "mainnet");

function json(name: string): EvmHeader {
  return evmHeaderFromJson(JSON.parse(readData(`${name}.block.json`).toString()));
}

function rlp(number: number): EvmHeader {
  return evmBlockFromRlp(readData(`ethereum/rlp/${number}.block.rlp`)).block.header;
}

describe("the schedule of forks", () => {
  it("names the fork of a moment", () => {
    const fork = (chain: EvmChain, number: number, time = 0): string =>
      evmRulesAt(evmParamsFor(chain, "mainnet"), number, time).fork;
    assert.equal(fork("ethereum", 1), "Frontier");
    assert.equal(fork("ethereum", 12_964_999), "Berlin");
    assert.equal(fork("ethereum", 12_965_000), "London");
    assert.equal(fork("ethereum", 15_537_394, 1_663_224_179), "Paris");
    assert.equal(fork("ethereum", 17_034_869, 1_681_338_443), "Paris");
    assert.equal(fork("ethereum", 17_034_870, 1_681_338_455), "Shanghai");
    assert.equal(fork("ethereum", 24_000_000, 1_800_000_000), "BPO2");
    assert.equal(fork("optimism", 105_235_062), "OVM 2.0");
    assert.equal(fork("optimism", 105_235_063), "Bedrock");
    assert.equal(fork("base", 1), "Bedrock");
    assert.equal(fork("base", 40_000_000, 1_764_691_201), "Jovian");
    assert.equal(fork("bsc", 31_302_048, 1_693_369_800), "Hertz");
  });

  it("knows the genesis of each mainnet by its hash, and says what it does not know", () => {
    assert.throws(() => evmParamsFor("ethereum", "ropsten"), { code: "SPRINT_CHAIN_UNKNOWN_NETWORK" });
    assert.throws(() => evmParamsFor("bitcoin", "mainnet"), { code: "SPRINT_CHAIN_UNKNOWN" });
    assert.equal(
      new Set(EVM_CHAINS.map((chain) => evmParamsFor(chain, "mainnet").genesisHash)).size,
      EVM_CHAINS.length,
    );
  });
});

describe("prices", () => {
  const parent = (fields: Partial<EvmHeader>): EvmHeader =>
    ({ gasLimit: 20_000_000n, extraData: "0x", ...fields }) as EvmHeader;
  const fee = (chain: EvmChain, time: number, fields: Partial<EvmHeader>, number = 15_537_394): bigint | null =>
    baseFeeAfter(parent(fields), evmRulesAt(evmParamsFor(chain, "mainnet"), number, time));
  const gwei = 1_000_000_000n;

  it("EIP-1559: an eighth up when full, an eighth down when empty, and at least one wei up", () => {
    const after = (baseFeePerGas: bigint, gasUsed: bigint): bigint | null =>
      fee("ethereum", 0, { baseFeePerGas, gasUsed });
    assert.equal(after(gwei, 10_000_000n), gwei);
    assert.equal(after(gwei, 20_000_000n), 1_125_000_000n);
    assert.equal(after(gwei, 0n), 875_000_000n);
    assert.equal(after(gwei, 9_000_000n), 987_500_000n);
    assert.equal(after(1n, 10_000_001n), 2n);
    assert.equal(fee("ethereum", 0, { baseFeePerGas: null, gasUsed: 0n }), gwei);
  });

  it("each network has its own denominator, or its own rule", () => {
    const full = { baseFeePerGas: gwei, gasUsed: 20_000_000n };
    assert.equal(fee("polygon", 0, full, 30_000_000), 1_125_000_000n);
    assert.equal(fee("polygon", 0, full, 40_000_000), 1_062_500_000n);
    assert.equal(fee("polygon", 0, full, 75_000_000), 1_015_625_000n);
    assert.equal(fee("polygon", 0, full, 90_000_000), null);
    // the target, a sixth of the limit, is rounded down
    assert.equal(fee("base", 0, full, 5), 1_100_000_012n);
    assert.equal(fee("base", 1_704_992_401, full, 5), 1_020_000_002n);
    assert.equal(fee("bsc", 0, full, 40_000_000), 0n);
    assert.equal(fee("arbitrum", 0, full, 40_000_000), null);
  });

  it("the OP stack reads them from the parent's extraData, and the least fee and the footprint since Jovian", () => {
    const full = { baseFeePerGas: gwei, gasUsed: 20_000_000n };
    const holocene = "0x00000000fa00000002";
    assert.equal(fee("base", 1_740_000_000, { ...full, extraData: holocene }, 5), 1_004_000_000n);
    assert.equal(fee("base", 1_740_000_000, { ...full, extraData: "0x000000000000000000" }, 5), 1_020_000_002n);
    const jovian = "0x01000000fa000000020000000100000000";
    const empty = { baseFeePerGas: gwei, gasUsed: 0n, extraData: jovian };
    assert.equal(fee("base", 1_765_000_000, { ...empty, blobGasUsed: 0n }, 5), 1n << 32n);
    const cheap = { ...empty, extraData: "0x01000000fa000000020000000000000001" };
    assert.equal(fee("base", 1_765_000_000, { ...cheap, blobGasUsed: 20_000_000n }, 5), 1_004_000_000n);
    assert.equal(fee("base", 1_765_000_000, { ...cheap, blobGasUsed: 0n }, 5), 996_000_000n);
  });

  it("EIP-4844: the price of blobs grows with e to the excess", () => {
    const published: readonly (readonly [excess: bigint, fraction: bigint, price: bigint])[] = [
      [0n, 1n, 1n],
      [2n, 1n, 6n],
      [4n, 2n, 6n],
      [3n, 1n, 16n],
      [6n, 2n, 18n],
      [4n, 1n, 49n],
      [8n, 2n, 50n],
      [5n, 1n, 136n],
      [5n, 2n, 11n],
      [50_000_000n, 2_225_652n, 5_709_098_764n],
    ];
    for (const [excess, fraction, price] of published) assert.equal(blobBaseFee(excess, fraction), price);
  });

  it("EIP-4844, 7691, 7918: what is above the target stays, and less of it while blobs cost less than their gas", () => {
    const excess = (time: number, used: bigint, before: bigint, baseFeePerGas = 1n): bigint | null =>
      excessBlobGasAfter(
        parent({ blobGasUsed: used * 131_072n, excessBlobGas: before, baseFeePerGas }),
        evmRulesAt(ethereum, 20_000_000, time).blobs,
      );
    assert.equal(excess(1_720_000_000, 6n, 0n), 3n * 131_072n);
    assert.equal(excess(1_720_000_000, 2n, 0n), 0n);
    assert.equal(excess(1_750_000_000, 9n, 100n), 3n * 131_072n + 100n);
    assert.equal(excess(1_764_900_000, 9n, 100n, 10n ** 9n), 3n * 131_072n + 100n);
    // a whole block's worth, of which the share above the target is kept although the target was not exceeded
    assert.equal(excess(1_764_900_000, 6n, 786_432n, 10n ** 9n), 786_432n + (6n * 131_072n * 3n) / 9n);
    assert.equal(excess(1_764_900_000, 6n, 786_432n, 1n), 786_432n);
    assert.equal(excess(1_700_000_000, 6n, 0n), null);
  });
});

describe("headers of the chain data", { skip: !hasData && "no chain data" }, () => {
  it("follow their parents by every rule, over forks too", () => {
    const pairs: readonly (readonly [EvmHeader, EvmHeader])[] = [
      [json("ethereum/rpc/1755634"), json("ethereum/rpc/1755635")],
      [rlp(300_005), rlp(300_006)],
      [rlp(4_400_000), rlp(4_400_001)],
      [rlp(4_400_001), rlp(4_400_002)],
      [rlp(15_537_393), rlp(15_537_394)],
      [rlp(17_034_869), rlp(17_034_870)],
    ];
    for (const [parent, header] of pairs) assert.equal(checkEvmContext(header, parent, ethereum), null);
    const run = readData("ethereum/rlp/1000001-1000010.headers.rlp");
    for (let at = 0, parent: EvmHeader | null = null; at < run.length;) {
      const { end } = readRlp(run, at);
      const header = decodeEvmHeader(run.subarray(at, end));
      if (parent !== null) assert.equal(checkEvmContext(header, parent, ethereum), null);
      [at, parent] = [end, header];
    }
  });

  it("of BSC too, whose gas limit moves four times as fast", () => {
    const bsc = evmParamsFor("bsc", "mainnet");
    const headers = (JSON.parse(readData("bsc/headers-25428800-25428812.json").toString()) as unknown[]).map(
      evmHeaderFromJson,
    );
    headers.forEach((header, i) => {
      assert.equal(checkEvmHeader(header, bsc), null);
      if (i > 0) assert.equal(checkEvmContext(header, headers[i - 1] as EvmHeader, bsc), null);
    });
    const codes = headers.slice(1).map((header, i) => checkEvmContext(header, headers[i] as EvmHeader, ethereum)?.code);
    assert.ok(codes.includes("SPRINT_EVM_GAS_LIMIT"));
  });

  const alone: readonly (readonly [chain: EvmChain, name: string, change: Partial<EvmHeader>, code: string])[] = [
    ["ethereum", "ethereum/rpc/18000000", { fields: 16 }, "SPRINT_EVM_FORK_FIELDS"],
    ["ethereum", "ethereum/rpc/18000000", { extraData: `0x${"00".repeat(33)}` }, "SPRINT_EVM_EXTRA_DATA"],
    ["ethereum", "ethereum/rpc/18000000", { gasLimit: 4999n }, "SPRINT_EVM_GAS_LIMIT"],
    ["ethereum", "ethereum/rpc/18000000", { gasLimit: 1n << 63n }, "SPRINT_EVM_GAS_LIMIT"],
    ["ethereum", "ethereum/rpc/18000000", { gasUsed: 30_000_001n }, "SPRINT_EVM_GAS_USED"],
    ["ethereum", "ethereum/rpc/18000000", { difficulty: 1n }, "SPRINT_EVM_DIFFICULTY"],
    ["ethereum", "ethereum/rpc/18000000", { nonce: "0x0000000000000001" }, "SPRINT_EVM_NONCE"],
    ["ethereum", "ethereum/rpc/18000000", { ommersHash: `0x${"00".repeat(32)}` }, "SPRINT_EVM_OMMERS_HASH"],
    ["ethereum", "ethereum/rpc/18000000", { timestamp: 1_693_066_896 }, "SPRINT_EVM_TIME"],
    ["ethereum", "ethereum/rpc/22119617", { blobGasUsed: 1n }, "SPRINT_EVM_BLOB_GAS"],
    ["ethereum", "ethereum/rpc/22119617", { blobGasUsed: 7n * 131_072n }, "SPRINT_EVM_BLOB_GAS"],
    ["ethereum", "ethereum/rpc/22119617", { excessBlobGas: 1n << 60n }, "SPRINT_EVM_EXCESS_BLOB_GAS"],
    ["ethereum", "ethereum/rpc/1000000", { difficulty: 1n }, "SPRINT_EVM_DIFFICULTY"],
    ["ethereum", "ethereum/rpc/1000000", { number: 0 }, "SPRINT_EVM_GENESIS"],
    ["optimism", "optimism/rpc/154497277", { excessBlobGas: 1n }, "SPRINT_EVM_EXCESS_BLOB_GAS"],
    ["optimism", "optimism/rpc/154497277", { extraData: "0x" }, "SPRINT_EVM_EXTRA_DATA"],
    ["polygon", "polygon/rpc/40000000", { extraData: "0x" }, "SPRINT_EVM_EXTRA_DATA"],
    ["polygon", "polygon/rpc/40000000", { difficulty: 0n }, "SPRINT_EVM_DIFFICULTY"],
    ["arbitrum", "arbitrum/rpc/150000000", { difficulty: 2n }, "SPRINT_EVM_DIFFICULTY"],
  ];
  for (const [chain, name, change, code] of alone) {
    it(`${name} with ${Object.keys(change).join()} changed: ${code}`, () => {
      const params = evmParamsFor(chain, "mainnet");
      const header = json(name);
      assert.equal(checkEvmHeader(header, params), null);
      assert.equal(checkEvmHeader({ ...header, ...change }, params)?.code, code);
    });
  }

  it("that do not follow their parent are refused, each by its rule", () => {
    const parent = rlp(17_034_869);
    const header = rlp(17_034_870);
    const code = (change: Partial<EvmHeader>, of: EvmParams = ethereum, above = parent): string | undefined =>
      checkEvmContext({ ...header, ...change }, above, of)?.code;
    assert.equal(code({ parentHash: header.hash }), "SPRINT_EVM_PARENT");
    assert.equal(code({ number: 17_034_871 }), "SPRINT_EVM_NUMBER");
    assert.equal(code({ timestamp: parent.timestamp }), "SPRINT_EVM_TIME");
    assert.equal(code({ gasLimit: parent.gasLimit + parent.gasLimit / 1024n }), "SPRINT_EVM_GAS_LIMIT");
    assert.equal(code({ gasLimit: parent.gasLimit - parent.gasLimit / 1024n }), "SPRINT_EVM_GAS_LIMIT");
    assert.equal(code({ baseFeePerGas: 1n }), "SPRINT_EVM_BASE_FEE");
    const worked = rlp(300_006);
    assert.equal(
      checkEvmContext({ ...worked, difficulty: worked.difficulty + 1n }, rlp(300_005), ethereum)?.code,
      "SPRINT_EVM_DIFFICULTY",
    );
    const op = json("optimism/rpc/107353722");
    const next = { ...op, number: op.number + 1, parentHash: op.hash };
    const optimism = evmParamsFor("optimism", "mainnet");
    assert.equal(checkEvmContext({ ...next, timestamp: op.timestamp + 3 }, op, optimism)?.code, "SPRINT_EVM_TIME");
    const fee = baseFeeAfter(op, evmRulesAt(optimism, next.number, op.timestamp + 2));
    assert.equal(checkEvmContext({ ...next, timestamp: op.timestamp + 2, baseFeePerGas: fee }, op, optimism), null);
  });

  it("from the future are refused by the clock that is given", () => {
    const header = json("ethereum/rpc/18000000");
    assert.equal(checkEvmFuture(header, header.timestamp - 15, ethereum), null);
    assert.equal(checkEvmFuture(header, header.timestamp - 16, ethereum)?.code, "SPRINT_EVM_TIME_TOO_NEW");
  });
});
