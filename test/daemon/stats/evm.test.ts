import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Value } from "typebox/value";
import { EvmStatsBody } from "../../../src/shared/stats-api.ts";
import type { PendingTransaction } from "../../../src/shared/body.ts";
import { evmBlockFromRlp } from "../../../src/daemon/chain/evm/block.ts";
import { evmCodecFor } from "../../../src/daemon/chain/evm/codec.ts";
import { evmParamsFor, evmRulesAt } from "../../../src/daemon/chain/evm/params.ts";
import { baseFeeAfter } from "../../../src/daemon/chain/evm/rules.ts";
import {
  EvmStats,
  type EvmStatsModules,
  type EvmStatsOptions,
  type FeeParent,
} from "../../../src/daemon/stats/index.ts";
import { hasData, readData } from "../../fakes/data.ts";
import { evmBlock, evmDigest } from "./blocks.ts";

const GWEI = 1_000_000_000n;
const ethereum = evmParamsFor("ethereum", "mainnet");

const rules: EvmStatsModules = {
  nextBaseFee: (parent) =>
    baseFeeAfter(
      { ...parent, hash: "", number: parent.height },
      evmRulesAt(ethereum, Math.max(parent.height + 1, 13_000_000), parent.timestamp + 12),
    ),
  gasTarget: ({ gasLimit }) => gasLimit / 2n,
  blobMarket: () => null,
};

function statsOf(modules: Partial<EvmStatsModules> = {}, options: Partial<EvmStatsOptions> = {}): EvmStats {
  return new EvmStats(
    { chain: "ethereum", network: "mainnet", blockTimeSeconds: 12, ...options },
    { ...rules, ...modules },
  );
}

function report(stats: EvmStats): EvmStatsBody {
  const body = stats.report();
  Value.Assert(EvmStatsBody, body);
  return body;
}

function bid(maxFeeWei: bigint, maxTipWei: bigint): PendingTransaction {
  const rest = { from: "0x", to: null, valueWei: "0", nonce: 0, gasLimit: 21_000, selector: null, blobs: 0 };
  return { txid: "0x", raw: null, evm: { ...rest, maxFeeWei: `${maxFeeWei}`, maxTipWei: `${maxTipWei}` } };
}

test("without blocks nothing is guessed", () => {
  const { gas, base_fee, tips, suggestion, congestion, blobs, busiest, pending } = report(statsOf());
  assert.deepEqual(
    [gas, base_fee, tips, suggestion, congestion, blobs],
    Array.from({ length: 6 }, () => null),
  );
  assert.deepEqual(busiest, { blocks: 0, contracts: [] });
  assert.deepEqual(pending, { per_second: null, sample: 0, underpriced: 0, tips: null });
});

test("the next block's base fee is what it was", { skip: !hasData && "no chain data" }, () => {
  const codec = evmCodecFor(ethereum);
  for (const number of [15_537_393, 17_034_869]) {
    const [parent, child] = [number, number + 1].map(
      (each) => evmBlockFromRlp(readData(`ethereum/rlp/${each}.block.rlp`)).block.header,
    );
    assert.ok(parent !== undefined && child !== undefined);
    const stats = statsOf();
    stats.block(codec.toBlock(parent, number, null), null);
    const fee = report(stats).base_fee;
    assert.equal(fee?.next_wei, `${child.baseFeePerGas}`);
    assert.deepEqual(fee.bounds[0], { blocks_ahead: 1, low_wei: fee.next_wei, high_wei: fee.next_wei });
    stats.block(codec.toBlock(child, number + 1, null), null);
    assert.equal(report(stats).base_fee?.now_wei, `${child.baseFeePerGas}`);
    assert.equal(report(stats).tip?.height, number + 1);
  }
});

test("whatever gas the next blocks use, their base fees stay within the bounds, and reach them", () => {
  const used = fc.array(fc.bigInt(0n, 30_000_000n), { minLength: 5, maxLength: 5 });
  const property = (now: bigint, gasUsed: readonly bigint[]): void => {
    const stats = statsOf();
    stats.block(evmBlock(13_000_000, { baseFeePerGas: now, gasUsed: gasUsed[0] ?? 0n }), null);
    const bounds = report(stats).base_fee?.bounds ?? [];
    assert.equal(bounds.length, 5);
    const pathOf = (gas: readonly bigint[]): bigint[] => {
      let fee = now;
      return gas.map((each, i) => {
        const { detail, ...place } = evmBlock(13_000_000 + i, { baseFeePerGas: fee, gasUsed: each });
        fee = rules.nextBaseFee({ ...(detail as FeeParent), ...place }) ?? 0n;
        return fee;
      });
    };
    const first = gasUsed[0] ?? 0n;
    assert.deepEqual(
      bounds.map(({ low_wei }) => low_wei),
      pathOf([first, 0n, 0n, 0n, 0n]).map(String),
    );
    assert.deepEqual(
      bounds.map(({ high_wei }) => high_wei),
      pathOf([first, ...Array.from({ length: 4 }, () => 30_000_000n)]).map(String),
    );
    pathOf(gasUsed).forEach((fee, i) => {
      assert.ok(fee >= BigInt(bounds[i]?.low_wei ?? -1) && fee <= BigInt(bounds[i]?.high_wei ?? -1));
    });
  };
  fc.assert(fc.property(fc.bigInt(7n, 500n * GWEI), used, property), { numRuns: 200 });
});

test("a chain whose base fee follows no rule gets tips, and no fee", () => {
  const stats = statsOf({ nextBaseFee: () => null, gasTarget: () => null });
  stats.block(evmBlock(1, {}), evmDigest());
  const { base_fee, suggestion, congestion, gas } = report(stats);
  assert.deepEqual(base_fee, { now_wei: `${GWEI}`, next_wei: null, next_change_percent: null, bounds: [] });
  assert.deepEqual(suggestion?.normal, { max_priority_fee_wei: "3", max_fee_wei: null });
  assert.deepEqual([congestion, gas?.target], [null, null]);
});

test("an empty block ahead has no data of blobs either, where that counts as gas", () => {
  const metered = ({ gasUsed, blobGasUsed }: FeeParent): bigint =>
    gasUsed > (blobGasUsed ?? 0n) ? gasUsed : (blobGasUsed ?? 0n);
  const stats = statsOf({ nextBaseFee: metered });
  stats.block(evmBlock(1, { gasUsed: 5n, blobGasUsed: 9n }), null);
  const lows = report(stats).base_fee?.bounds.map(({ low_wei }) => low_wei);
  assert.deepEqual(lows, ["9", "0", "0", "0", "0"]);
});

test("tips are medians over blocks, and the suggestion holds while blocks are full", () => {
  const stats = statsOf({}, { feeBlocks: 3 });
  const tips = [["9", "9", "9", "9", "9"], ["1", "2", "3", "4", "5"], [], ["10", "20", "30", "40", "50"]];
  const blocks = [...tips, ["7", "8", "9", "10", "9007199254740993000"]];
  blocks.forEach((tipsWei, i) =>
    stats.block(evmBlock(13_000_000 + i, { gasUsed: 30_000_000n }), evmDigest({ tipsWei })),
  );
  const body = report(stats);
  assert.deepEqual(body.tips, { blocks: 2, percentiles: { p10: "7", p25: "8", p50: "9", p75: "10", p90: "50" } });
  const full = [1_125_000_000n, 1_265_625_000n, 1_423_828_125n, 1_601_806_640n, 1_802_032_470n];
  assert.deepEqual(
    body.base_fee?.bounds.map(({ high_wei }) => high_wei),
    full.map(String),
  );
  assert.equal(body.base_fee?.next_change_percent, 12.5);
  assert.deepEqual(body.suggestion, {
    slow: { max_priority_fee_wei: "7", max_fee_wei: `${1_125_000_000n + 7n}` },
    normal: { max_priority_fee_wei: "9", max_fee_wei: `${1_423_828_125n + 9n}` },
    fast: { max_priority_fee_wei: "50", max_fee_wei: `${1_802_032_470n + 50n}` },
  });
});

test("congestion and its trend are of gas over its target", () => {
  const stats = statsOf({}, { feeBlocks: 4 });
  const gasUsed = [1n, 7_500_000n, 7_500_000n, 15_000_000n, 30_000_000n];
  gasUsed.forEach((gas, i) => stats.block(evmBlock(13_000_000 + i, { gasUsed: gas }), null));
  const body = report(stats);
  assert.deepEqual(body.congestion, { blocks: 4, target_share: 1, trend: 1 });
  assert.deepEqual(body.gas, {
    used: "30000000",
    limit: "30000000",
    target: "15000000",
    used_share: 1,
    mean_used_share: 0.5,
  });
});

test("blobs are told against the market of the tip", () => {
  const market = { targetBlobs: 6, maxBlobs: 9, feeWei: 3n, nextFeeWei: 4n };
  const stats = statsOf({ blobMarket: ({ excessBlobGas }) => (excessBlobGas === null ? null : market) });
  stats.block(evmBlock(1, {}), evmDigest());
  assert.equal(report(stats).blobs, null);
  stats.block(evmBlock(2, { excessBlobGas: 131_072n }), evmDigest({ blobs: 9 }));
  stats.block(evmBlock(3, { excessBlobGas: 262_144n }), null);
  const fields = { target: 6, max: 9, excess_gas: "262144", base_fee_wei: "3", next_base_fee_wei: "4" };
  assert.deepEqual(report(stats).blobs, { last: null, mean: 4.5, ...fields });
});

test("the busiest contracts are summed over the blocks read, and undone with them", () => {
  const stats = statsOf({}, { windowBlocks: 3 });
  const of = (...contracts: readonly [string, number, number][]) =>
    evmDigest({ contracts: contracts.map(([address, calls, gasUsed]) => ({ address, calls, gasUsed })) });
  stats.block(evmBlock(1, {}), of(["0xold", 1, 9_000]));
  stats.block(evmBlock(2, {}), of(["0xa", 1, 100], ["0xb", 5, 90]));
  stats.block(evmBlock(3, {}), of(["0xb", 1, 20]));
  stats.block(evmBlock(4, {}), of(["0xc", 1, 500]));
  const contracts = () =>
    report(stats).busiest.contracts.map(({ address, calls, gas_used }) => [address, calls, gas_used]);
  assert.deepEqual(contracts(), [
    ["0xc", 1, "500"],
    ["0xb", 6, "110"],
    ["0xa", 1, "100"],
  ]);
  stats.reverted(1);
  assert.equal(contracts()[0]?.[0], "0xold");
  assert.deepEqual([report(stats).reorgs, report(stats).block_interval.mean_seconds], [1, 12]);
  stats.block(
    evmBlock(4, {}, 48),
    of(...Array.from({ length: 30 }, (_, i): [string, number, number] => [`${i}`, 1, i])),
  );
  assert.equal(contracts().length, 20);
});

test("of what is pending, tips are what the next base fee leaves of them", () => {
  const stats = statsOf({}, { pendingSample: 4 });
  stats.block(evmBlock(13_000_000, { gasUsed: 15_000_000n }), null);
  stats.pending([bid(9n * GWEI, GWEI), { txid: "0x", raw: null, evm: null }]);
  stats.pending([bid(GWEI - 1n, 5n), bid(GWEI + 3n, 5n), bid(2n * GWEI, 7n), bid(GWEI, 9n)]);
  const { sample, underpriced, tips } = report(stats).pending;
  assert.deepEqual([sample, underpriced], [4, 1]);
  assert.deepEqual(tips, { p10: "0", p25: "0", p50: "3", p75: "7", p90: "7" });
});
