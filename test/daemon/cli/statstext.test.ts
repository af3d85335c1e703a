import test from "node:test";
import assert from "node:assert/strict";
import { bar, coins, gauge, gwei, percent, scaled, span, threeFigures } from "../../../src/daemon/cli/figurestext.ts";
import { statsText } from "../../../src/daemon/cli/statstext.ts";
import type { EvmStatsBody, SvmStatsBody, UtxoStatsBody } from "../../../src/shared/api.ts";
import { painter } from "../../../src/shared/cli.ts";

const NOW = Date.parse("2026-01-02T03:04:05Z");
const TIP = { hash: "00000000000000000001a2b3", height: 930_123, timestamp: "2026-01-02T03:02:00Z" };
const PLAIN = painter(false);

const INTERVAL = { target_seconds: 600, blocks: 144, mean_seconds: 581, median_seconds: 422 };

const BITCOIN: UtxoStatsBody = {
  family: "utxo",
  chain: "bitcoin",
  network: "mainnet",
  at: "2026-01-02T03:04:05Z",
  tip: TIP,
  reorgs: 1,
  hash_rate_per_second: "1123456789012345678901",
  hash_rate_blocks: 144,
  difficulty: 148_258_434_855_481.9,
  bits: "1701e2a0",
  next_retarget: {
    height: 931_392,
    blocks_left: 1_269,
    change_percent: -3.27,
    difficulty: 1.4e14,
    measured_intervals: 700,
    exact: false,
    expected_at: "2026-01-11T01:30:00Z",
  },
  block_interval: INTERVAL,
  mempool: {
    transactions: 41_234,
    bytes: 34_500_000,
    min_fee_rate: 0.1,
    histogram: [
      { fee_rate: 50, vsize: 120_000, count: 400 },
      { fee_rate: 10, vsize: 0, count: 0 },
      { fee_rate: 1.5, vsize: 2_400_000, count: 12_345 },
    ],
    template: { transactions: 3_021, weight: 3_993_000, fees_units: "12345678", min_fee_rate: 4.02 },
  },
  pending_per_second: 6.13,
  blocks_read: 144,
  pools: {
    blocks: 144,
    unknown: 4,
    pools: [{ pool: "Foundry\u001b[31m USA", blocks: 45, share: 0.3125, last_height: 930_120 }],
  },
  segwit_share: 0.875,
  mweb: null,
  auxpow: null,
  reward_units: { last: "315234567", mean: "314000000" },
  fullness: { last: 0.9985, mean: 0.961 },
};

function lineOf(text: string, name: string): string {
  return text.split("\n").find((line) => line.startsWith(`  ${name} `)) ?? "";
}

test("figures have the unit and the length that people read", () => {
  assert.deepEqual(
    [scaled(712e18, "H/s"), scaled(999.7), scaled(0), scaled(6_372_228, "B")],
    ["712 EH/s", "1 k", "0", "6.37 MB"],
  );
  assert.deepEqual([0.605, 17.449, 312.6, 0.0000004].map(threeFigures), ["0.605", "17.4", "313", "4.0e-7"]);
  assert.deepEqual([0, 0.031, 0.9994, 1].map(percent), ["0 %", "3.1 %", "99.9 %", "100 %"]);
  assert.deepEqual(
    [coins("315234567", 8), coins("5", 9), coins("1000000000000", 8)],
    ["3.15234567", "0.000000005", "10,000"],
  );
  assert.deepEqual([gwei("605321547"), gwei("1"), gwei("23000000000")], ["0.605 gwei", "1 wei", "23 gwei"]);
  assert.deepEqual([0.4, 581, 3_600, 187_200].map(span), ["0.4s", "9m41s", "1h", "2d4h"]);
});

test("a bar is as long as its share, seen however little it is, and never longer than its room", () => {
  assert.deepEqual(
    [bar(0, 8), bar(0.0001, 8), bar(0.5, 8), bar(1, 8), bar(7, 8)],
    ["", "▏", "████", "████████", "████████"],
  );
  assert.equal(gauge(0.5, 4), "██░░");
});

test("Bitcoin's users read hash rate, fees and pools", () => {
  const text = statsText(BITCOIN, NOW, PLAIN);
  assert.match(
    text,
    /^bitcoin mainnet at 930,123, stamped 2m5s ago, 1 reorg since the start\n00000000000000000001a2b3\n/,
  );
  assert.match(lineOf(text, "hash rate"), / 1\.12 ZH\/s over 144 blocks$/);
  assert.match(
    lineOf(text, "next retarget"),
    /in 1,269 blocks, at 931,392 about 2026-01-11 01:30 UTC, -3\.3 % as it looks now$/,
  );
  assert.match(lineOf(text, "interval"), / 9m41s mean, 7m2s median, of 144; 10m wanted$/);
  assert.match(lineOf(text, "transactions"), / 41,234, 34\.5 MB, from 0\.1 sat\/vB$/);
  assert.match(lineOf(text, "next block"), / 3,021 transactions, 3\.99 MWU, fees 0\.12345678 BTC, from 4\.02 sat\/vB$/);
  const fees = text.split("\n").filter((line) => /^ +[\d.]+ {2}[█▏]/.test(line));
  assert.deepEqual(fees, [`   50  ${"█▎".padEnd(24)}  120 kvB  400`, `  1.5  ${"█".repeat(24)}  2.4 MvB  12,345`]);
  assert.match(lineOf(text, "Foundry?[31m USA"), /31\.3 % {2}45$/);
  assert.match(lineOf(text, "unknown"), /2\.8 % {2}4$/);
  assert.ok(text.split("\n").every((line) => line.length <= 100));
});

const ETHEREUM: EvmStatsBody = {
  family: "evm",
  chain: "ethereum",
  network: "mainnet",
  at: null,
  tip: { ...TIP, hash: `0x${"ab".repeat(32)}` },
  reorgs: 0,
  gas: { used: "18600000", limit: "36000000", target: "18000000", used_share: 0.5167, mean_used_share: 0.49 },
  base_fee: {
    now_wei: "1605321547",
    next_wei: "1612000000",
    next_change_percent: 0.416,
    bounds: [
      { blocks_ahead: 1, low_wei: "1612000000", high_wei: "1612000000" },
      { blocks_ahead: 2, low_wei: "1410500000", high_wei: "11813500000" },
    ],
  },
  tips: {
    blocks: 20,
    percentiles: { p10: "1000000", p25: "20000000", p50: "100000000", p75: "1000000000", p90: "2000000000" },
  },
  suggestion: {
    slow: { max_priority_fee_wei: "1000000", max_fee_wei: "1613000000" },
    normal: { max_priority_fee_wei: "100000000", max_fee_wei: null },
    fast: { max_priority_fee_wei: "2000000000", max_fee_wei: "4300000000" },
  },
  congestion: { blocks: 20, target_share: 1.034, trend: -0.2 },
  blobs: { last: 6, mean: 5.25, target: 6, max: 9, excess_gas: "0", base_fee_wei: "1", next_base_fee_wei: "1" },
  busiest: { blocks: 20, contracts: [{ address: `0x${"5f".repeat(20)}`, calls: 964, gas_used: "31600000" }] },
  pending: { per_second: null, sample: 0, underpriced: 0, tips: null },
  block_interval: { target_seconds: 12, blocks: 0, mean_seconds: null, median_seconds: null },
};

test("Ethereum's users read gas, fees in gwei and blobs; what is not known has no row", () => {
  const text = statsText(ETHEREUM, NOW, PLAIN);
  assert.match(lineOf(text, "last block"), /█{12}▍░{11} {2}51\.7 % of 36 M, mean 49\.0 %$/);
  assert.match(lineOf(text, "congestion"), / 1\.03 of the target over 20 blocks, falling$/);
  assert.match(lineOf(text, "base fee"), / 1\.61, next block 1\.61 \(\+0\.4 %\)$/);
  assert.match(lineOf(text, "slow"), / tip 0\.001, at most 1\.61$/);
  assert.match(lineOf(text, "normal"), / tip 0\.1$/);
  assert.equal(lineOf(text, "in 1 block"), "");
  assert.match(lineOf(text, "in 2 blocks"), / 1\.41 to 11\.8$/);
  assert.match(lineOf(text, "fee of blob gas"), / 1 wei, next block 1 wei$/);
  assert.match(text, /0x(5f){20} {2}█{10} {2}31\.6 M gas, 964 calls$/m);
  assert.match(text, /Pending transactions\n {2}not known/);
  assert.equal(lineOf(text, "interval"), "");
  assert.ok(text.split("\n").every((line) => line.length <= 80));
});

const SOLANA: SvmStatsBody = {
  family: "svm",
  chain: "solana",
  network: "mainnet",
  at: null,
  tip: null,
  reorgs: 0,
  slot: 390_123_456,
  epoch: { epoch: 903, slot_index: 27_456, slots_in_epoch: 432_000, progress: 0.0636, seconds_left: 161_818 },
  slot_time_ms: 398.4,
  tps: { blocks: 150, seconds: 60, total: 4_012.4, votes: 2_800, non_votes: 1_212.4, failed_share: 0.31 },
  skipped: { slots: 1_000, skipped: 21, rate: 0.021 },
  leaders: [{ leader: "ATHE5PCsfQimobPjozwuB5NMpBwyDm9s4QmCNLMnEVFG", blocks: 4, last_slot: 390_123_455 }],
  blocks_read: 150,
  fees_lamports: { last: "43120000", mean: "51200000" },
  compute_units: { last: 41_234_567, mean: 39_000_000.4 },
  validators: {
    count: 973,
    delinquent: 12,
    stake_lamports: "412345678000000000",
    delinquent_stake_lamports: "1",
    delinquent_stake_share: 0.0004,
    changes: {
      at: null,
      joined: { count: 1, largest: [] },
      left: { count: 0, largest: [] },
      became_delinquent: { count: 2, largest: [] },
      recovered: { count: 0, largest: [] },
      moved: { count: 0, largest: [] },
    },
  },
  pending_per_second: null,
};

test("Solana's users read slots, transactions and validators, also before the first block", () => {
  const text = statsText(SOLANA, NOW, PLAIN);
  assert.match(text, /^solana mainnet: no block yet\n/);
  assert.match(lineOf(text, "slot"), / 390,123,456, one in 398 ms$/);
  assert.match(lineOf(text, "epoch"), /6\.4 % of epoch 903, 1d20h left$/);
  assert.match(lineOf(text, "skipped"), /2\.1 %, 21 of 1,000 slots$/);
  assert.match(lineOf(text, "transactions"), /4012 a second over 1m: 2800 votes, 1212 others; 31\.0 % failed$/);
  assert.match(lineOf(text, "fees"), / last 0\.04312, mean 0\.0512 SOL$/);
  assert.match(lineOf(text, "voting"), / 973, stake 412,345,678 SOL$/);
  assert.match(lineOf(text, "last changes"), / 1 joined, 2 became delinquent$/);
  assert.match(text, /ATHE5PCsfQimobPjozwuB5NMpBwyDm9s4QmCNLMnEVFG {2}█{10} {2}4 blocks, last in slot 390,123,455$/m);
});

test("colour is for the headings only, and only where it is wanted", () => {
  assert.ok(!statsText(BITCOIN, NOW, PLAIN).includes("\u001b"));
  assert.ok(statsText(BITCOIN, NOW, painter(true)).includes("\u001b[2mPools, of 144 blocks"));
});
