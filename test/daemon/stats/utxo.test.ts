import test from "node:test";
import assert from "node:assert/strict";
import { Value } from "typebox/value";
import type { Block } from "../../../src/shared/block.ts";
import { UtxoStatsBody } from "../../../src/shared/stats-api.ts";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import { nextBits } from "../../../src/daemon/chain/context.ts";
import { expandBits } from "../../../src/daemon/chain/work.ts";
import { UtxoStats, type UtxoStatsOptions } from "../../../src/daemon/stats/index.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { madeUpChain } from "../../fakes/ancestry.ts";
import { hasData, readData } from "../../fakes/data.ts";
import { headerRun, utxoBlock, utxoDigest } from "./blocks.ts";

const BITS = 0x171f3a08;
const TIME = 1_700_000_000;

function statsOf(chain: "bitcoin" | "litecoin" | "dogecoin", options: Partial<UtxoStatsOptions> = {}): UtxoStats {
  const { network, blockTimeSeconds, headerRules } = paramsFor(chain, "mainnet");
  const { retarget, powLimit } = headerRules;
  const poolOf = (script: string): string | null => ({ aa: "Alpha", bb: "Beta" })[script] ?? null;
  return new UtxoStats(
    { chain, network, blockTimeSeconds, retarget, powLimit, ...options },
    { targetOf: expandBits, poolOf },
  );
}

function report(stats: UtxoStats): UtxoStatsBody {
  const body = stats.report();
  Value.Assert(UtxoStatsBody, body);
  return body;
}

function difficulty(bits: number): number {
  return Number(0xffffn << 208n) / Number(expandBits(bits));
}

function closeTo(actual: number | null | undefined, expected: number, share: number): void {
  assert.ok(typeof actual === "number" && Math.abs(actual / expected - 1) <= share, `${actual}, expected ${expected}`);
}

/** Height, chain work and header of a line of the checkpoints file. */
function checkpoint(height: number): { readonly work: bigint; readonly block: Block } {
  const lines = readData("bitcoin/headers/checkpoints-every-2016.txt").toString().trim().split("\n").slice(3);
  const record = Buffer.from(lines[height / 2016 - 1] ?? "", "base64");
  const [block] = headerRun(record.subarray(-80), height);
  assert.ok(block !== undefined && record.readUInt32BE(record.length - 84) === height);
  return { work: BigInt(`0x${record.subarray(0, -84).toString("hex")}`), block };
}

test("without blocks nothing is guessed", () => {
  const body = report(statsOf("bitcoin"));
  assert.deepEqual(
    [body.tip, body.hash_rate_per_second, body.difficulty, body.next_retarget, body.mempool, body.pending_per_second],
    Array.from({ length: 6 }, () => null),
  );
  assert.deepEqual(body.block_interval, { target_seconds: 600, blocks: 0, mean_seconds: null, median_seconds: null });
});

test("the retarget forecast comes to what happened in 2019", { skip: !hasData && "no chain data" }, () => {
  const run = [checkpoint(586_656).block, ...headerRun(readData("bitcoin/headers/586657-589289.bin"), 586_657)];
  const real = difficulty(0x171c3039);
  const stats = statsOf("bitcoin");
  const forecasts = new Map<number, number | null>();
  for (const block of run) {
    stats.block(block, null);
    const next = report(stats).next_retarget;
    if (block.height < 588_672) {
      assert.equal(next?.height, 588_672);
      assert.equal(next.blocks_left, 588_672 - block.height);
      assert.equal(next.exact, block.height === 588_671);
      forecasts.set(next.blocks_left, next.difficulty);
    } else assert.equal(next?.height, 590_688);
  }
  // bits are rounded to three bytes
  closeTo(forecasts.get(1), real, 4e-5);
  closeTo(forecasts.get(200), real, 0.01);
  closeTo(forecasts.get(1_008), real, 0.05);
  assert.equal(forecasts.get(2_016), null);
});

test("the hash rate is the chain's work over its time", { skip: !hasData && "no chain data" }, () => {
  const [first, last] = [checkpoint(586_656), checkpoint(588_672)];
  const run = headerRun(readData("bitcoin/headers/586657-589289.bin").subarray(0, 2_016 * 80), 586_657);
  const stats = statsOf("bitcoin", { hashRateBlocks: 2_016 });
  for (const block of [first.block, ...run]) stats.block(block, null);
  const times = [first.block, ...run].map(({ timestamp }) => timestamp);
  const expected = (last.work - first.work) / BigInt(Math.max(...times) - Math.min(...times));
  assert.deepEqual([report(stats).hash_rate_per_second, report(stats).hash_rate_blocks], [`${expected}`, 2_016]);
});

for (const chain of ["bitcoin", "litecoin", "dogecoin"] as const) {
  test(`the forecast for the next block is the rule's: ${chain}`, () => {
    const { headerRules, blockTimeSeconds } = paramsFor(chain, "mainnet");
    const start = 2016 * 300 - 2_050;
    for (let seed = 0; seed < 20; seed++) {
      const random = seededRandom(seed);
      const pace = blockTimeSeconds * (0.1 + 6 * random() ** 2);
      const times: number[] = [];
      for (let i = 0, time = TIME; i <= 2_049; i++, time += Math.floor(2 * pace * random())) times.push(time);
      const bits = seed === 0 ? 0x1e0fffff : 0x1a025906;
      const at = (height: number) => ({ time: times[height - start] ?? 0, bits });
      const tip = madeUpChain(paramsFor(chain, "mainnet"), start, start + 2_049, at);
      const rules = nextBits(tip, tip.block.timestamp + 60, headerRules);
      const stats = statsOf(chain);
      times.forEach((timestamp, i) => stats.block(utxoBlock(start + i, { timestamp, bits }), null));
      const next = report(stats).next_retarget;
      assert.equal(next?.exact, true);
      assert.equal(typeof rules, "number");
      closeTo(next.difficulty, difficulty(rules as number), 4e-5);
      closeTo(1 + (next.change_percent ?? 0) / 100, difficulty(rules as number) / difficulty(bits), 4e-5);
    }
  });
}

test("where bits never change there is no retarget, and test networks' easy blocks spoil the forecast", () => {
  const none = statsOf("bitcoin", { retarget: { kind: "none" } });
  none.block(utxoBlock(1, { timestamp: TIME, bits: 0x207fffff }), null);
  assert.equal(report(none).next_retarget, null);
  const rule = { kind: "window", intervalBlocks: 10, timespanSeconds: 6_000, fullWindow: false } as const;
  const easy = statsOf("bitcoin", { retarget: { ...rule, minDifficultyAfterSeconds: 1_200 } });
  for (let i = 10; i < 20; i++) easy.block(utxoBlock(i, { timestamp: TIME + i, bits: BITS }), null);
  const { height, blocks_left, change_percent, exact } = report(easy).next_retarget ?? {};
  assert.deepEqual([height, blocks_left, change_percent, exact], [20, 1, null, false]);
});

test("pools, shares and rewards are of the bodies read, whenever their proofs come", () => {
  const stats = statsOf("litecoin");
  const bodies = [
    utxoDigest({ coinbaseScript: "aa", segwitTransactions: 9, mwebKernels: 3, rewardUnits: "100", weight: 4_000_000 }),
    utxoDigest({ coinbaseScript: "cc", segwitTransactions: 1, mwebKernels: 0, rewardUnits: "200", weight: 1_000_000 }),
    utxoDigest({ coinbaseScript: "bb", segwitTransactions: 0, rewardUnits: "9007199254740993000" }),
    utxoDigest({ coinbaseScript: "aa", segwitTransactions: 5, mwebKernels: 2, rewardUnits: "400", weight: 2_000_000 }),
  ];
  const blocks = bodies.map((_, i) => utxoBlock(100 + i, { timestamp: TIME + 150 * i, bits: BITS }));
  for (const block of blocks) stats.block(block, null);
  for (const i of [3, 0, 1]) {
    const block = blocks[i];
    if (block !== undefined) stats.block({ ...block, txCount: 10 }, bodies[i] ?? null);
  }
  const body = report(stats);
  assert.equal(body.blocks_read, 3);
  assert.deepEqual(body.pools, {
    blocks: 3,
    unknown: 1,
    pools: [{ pool: "Alpha", blocks: 2, share: 2 / 3, last_height: 103 }],
  });
  assert.equal(body.segwit_share, 15 / 30);
  assert.deepEqual(body.mweb, { blocks: 3, blocks_with_kernels: 2, kernels: 5 });
  assert.deepEqual(body.reward_units, { last: "400", mean: "233" });
  assert.deepEqual(body.fullness, { last: 0.5, mean: (1 + 0.25 + 0.5) / 3 });
  assert.equal(body.auxpow, null);

  const third = blocks[2];
  if (third !== undefined) stats.block(third, bodies[2] ?? null);
  assert.equal(report(stats).reward_units?.mean, `${(9007199254740993000n + 700n) / 4n}`);
});

test("the parents of merged work are named from their own coinbases", () => {
  const stats = statsOf("dogecoin");
  const parents = ["bb", "bb", null, "cc"];
  parents.forEach((parent, i) => {
    const block = utxoBlock(9 + i, { timestamp: TIME + i, bits: BITS, auxpow: parent !== null });
    stats.block(block, utxoDigest({ coinbaseScript: "aa", parentCoinbaseScript: parent }));
  });
  const { auxpow, pools } = report(stats);
  assert.equal(pools.pools[0]?.pool, "Alpha");
  assert.deepEqual(auxpow, {
    blocks: 4,
    merged_share: 0.75,
    parents: { blocks: 3, unknown: 1, pools: [{ pool: "Beta", blocks: 2, share: 2 / 3, last_height: 10 }] },
  });
});

test("windows are bounded, and follow the best chain", () => {
  const stats = statsOf("bitcoin", { windowBlocks: 4, hashRateBlocks: 4, retarget: { kind: "none" } });
  const at = (height: number, seconds: number, branch = "") =>
    utxoBlock(height, { timestamp: TIME + seconds, bits: BITS }, branch);
  for (let i = 0; i < 50; i++) stats.block(at(i, 600 * i), utxoDigest({ coinbaseScript: i < 46 ? "aa" : "bb" }));
  assert.deepEqual(report(stats).block_interval, {
    target_seconds: 600,
    blocks: 4,
    mean_seconds: 600,
    median_seconds: 600,
  });
  assert.deepEqual([report(stats).pools.blocks, report(stats).pools.pools.length], [4, 1]);

  stats.block(at(40, 0), null);
  stats.block(at(40, 0), utxoDigest());
  stats.block(at(48, 0, "x"), utxoDigest());
  assert.equal(report(stats).tip?.hash, "49", "what is not in the window says nothing");
  stats.reverted(2);
  assert.deepEqual([report(stats).tip?.height, report(stats).reorgs], [47, 1]);
  stats.block({ ...at(48, 48 * 600 - 300, "x"), parentHash: "47" }, null);
  assert.deepEqual(
    [report(stats).tip?.hash, report(stats).block_interval.median_seconds, report(stats).block_interval.blocks],
    ["48x", 600, 3],
  );
  stats.block(at(60, 60 * 600), null);
  assert.deepEqual([report(stats).tip?.height, report(stats).block_interval.blocks], [60, 0]);
  stats.block(at(61, 61 * 600), null);
  stats.block(at(62, 62 * 600, "x"), null);
  assert.deepEqual([report(stats).tip?.hash, report(stats).block_interval.blocks], ["62x", 0]);
});

test("the mempool is told as it came, and transactions heard as a rate", () => {
  const stats = statsOf("bitcoin");
  const template = { transactions: 2, weight: 800, fees_units: "123", min_fee_rate: 1.5 };
  const steps = Array.from({ length: 300 }, (_, i) => ({ fee_rate: 300 - i, vsize: 10, count: 1 }));
  stats.mempool({ transactions: 300, bytes: 3_000, minFeeRate: 1, histogram: steps, template });
  for (let second = 0; second < 200; second++) {
    stats.tick((TIME + second) * 1_000);
    stats.pending(Array.from({ length: 7 }, (_, i) => ({ txid: `${i}`, raw: null, evm: null })));
  }
  const body = report(stats);
  assert.equal(body.at, "2023-11-14T22:16:39Z");
  assert.deepEqual([body.mempool?.histogram.length, body.mempool?.min_fee_rate], [100, 1]);
  assert.deepEqual(body.mempool?.template, template);
  assert.equal(body.pending_per_second, 7);
  stats.mempool(null);
  stats.tick((TIME + 500) * 1_000);
  assert.deepEqual([report(stats).mempool, report(stats).pending_per_second], [null, 0]);
});
