/** What users of the Bitcoin family watch, as rows. */
import type { MempoolStats, PoolStats, RetargetStats, UtxoStatsBody } from "../../shared/api.ts";
import { bar, coins, counted, gauge, grouped, percent, scaled, signed, threeFigures } from "./figurestext.ts";
import { type Group, type Row, interval } from "./statsrows.ts";

const BAR = 24;
const DECIMALS = 8;
/** Rows of a histogram, and pools: the rest is told in one row. */
const MAX_FEES = 12;
const MAX_POOLS = 10;

const COIN: Readonly<Record<string, { readonly symbol: string; readonly unit: string }>> = {
  bitcoin: { symbol: "BTC", unit: "sat" },
  litecoin: { symbol: "LTC", unit: "litoshi" },
  dogecoin: { symbol: "DOGE", unit: "koinu" },
};

export function utxoGroups(body: UtxoStatsBody): readonly Group[] {
  const { symbol, unit } = COIN[body.chain] ?? { symbol: "coins", unit: "units" };
  return [
    { head: "Work", rows: workRows(body) },
    ...(body.mempool === null
      ? [{ head: "Mempool", rows: [["not known", "no upstream tells it, or mempool is off"]] as const }]
      : mempoolGroups(body.mempool, body.pending_per_second, symbol, unit)),
    { head: `Blocks, of the last ${body.blocks_read} read`, rows: blockRows(body, symbol) },
    poolGroup("Pools", body.pools),
    ...(body.auxpow === null ? [] : [poolGroup("The parent chain's pools", body.auxpow.parents)]),
  ];
}

function workRows(body: UtxoStatsBody): Row[] {
  const rate = body.hash_rate_per_second === null ? null : Number(body.hash_rate_per_second);
  const over = ` over ${counted(body.hash_rate_blocks, "block")}`;
  return [
    ["hash rate", rate === null ? null : `${rate < 1 ? "below 1 H/s" : scaled(rate, "H/s")}${over}`],
    [
      "difficulty",
      body.difficulty === null ? null : `${scaled(body.difficulty)}${body.bits === null ? "" : `, bits ${body.bits}`}`,
    ],
    ["next retarget", body.next_retarget === null ? null : retarget(body.next_retarget)],
    ["interval", interval(body.block_interval)],
  ];
}

function retarget(next: RetargetStats): string {
  const change =
    next.change_percent === null ? "" : `, ${signed(next.change_percent, " %")}${next.exact ? "" : " as it looks now"}`;
  const at = next.expected_at === null ? "" : ` about ${next.expected_at.slice(0, 16).replace("T", " ")} UTC`;
  if (next.blocks_left === 1) return `with the next block${change}`;
  return `in ${counted(next.blocks_left, "block")}, at ${grouped(next.height)}${at}${change}`;
}

function mempoolGroups(pool: MempoolStats, perSecond: number | null, symbol: string, unit: string): Group[] {
  const { template } = pool;
  const perVbyte = `${unit}/vB`;
  const from = pool.min_fee_rate === null ? "" : `, from ${threeFigures(pool.min_fee_rate)} ${perVbyte}`;
  const summary: Row[] = [
    ["transactions", `${grouped(pool.transactions)}, ${scaled(pool.bytes, "B")}${from}`],
    ["heard", perSecond === null ? null : `${threeFigures(perSecond)} a second`],
    ["next block", template === null ? null : nextBlock(template, symbol, perVbyte)],
  ];
  const shown = pool.histogram.filter(({ count }) => count > 0).slice(0, MAX_FEES);
  const largest = Math.max(1, ...shown.map(({ vsize }) => vsize));
  const sizes = shown.map(({ vsize }) => scaled(vsize, "vB"));
  const widest = Math.max(0, ...sizes.map((size) => size.length));
  const rates = shown.map((entry) => threeFigures(entry.fee_rate));
  const rateWidth = Math.max(0, ...rates.map((rate) => rate.length));
  const rows = shown.map(({ vsize, count }, i): Row => [
    (rates[i] ?? "").padStart(rateWidth),
    `${bar(vsize / largest, BAR).padEnd(BAR)}  ${(sizes[i] ?? "").padStart(widest)}  ${grouped(count)}`,
  ]);
  return [
    { head: "Mempool", rows: summary },
    { head: `Mempool by fee: ${perVbyte} and more, size, transactions`, rows },
  ];
}

function nextBlock(template: NonNullable<MempoolStats["template"]>, symbol: string, perVbyte: string): string {
  const from = template.min_fee_rate === null ? "" : `, from ${threeFigures(template.min_fee_rate)} ${perVbyte}`;
  const fees = `fees ${coins(template.fees_units, DECIMALS)} ${symbol}`;
  return `${counted(template.transactions, "transaction")}, ${scaled(template.weight, "WU")}, ${fees}${from}`;
}

function blockRows(body: UtxoStatsBody, symbol: string): Row[] {
  const { fullness, reward_units: reward, mweb, auxpow } = body;
  const inCoins = (units: string): string => `${coins(units, DECIMALS)} ${symbol}`;
  return [
    [
      "fullness",
      fullness === null
        ? null
        : `${gauge(fullness.last, BAR)}  last ${percent(fullness.last)}, mean ${percent(fullness.mean)}`,
    ],
    [
      "SegWit",
      body.segwit_share === null || body.segwit_share === 0
        ? null
        : `${gauge(body.segwit_share, BAR)}  ${percent(body.segwit_share)} of transactions`,
    ],
    ["reward", reward === null ? null : `last ${inCoins(reward.last)}, mean ${inCoins(reward.mean)}`],
    [
      "MWEB",
      mweb === null
        ? null
        : `${counted(mweb.kernels, "kernel")} in ${mweb.blocks_with_kernels} of ${counted(mweb.blocks, "block")}`,
    ],
    [
      "merged",
      auxpow === null
        ? null
        : `${gauge(auxpow.merged_share, BAR)}  ${percent(auxpow.merged_share)} of ${counted(auxpow.blocks, "block")}`,
    ],
  ];
}

function poolGroup(head: string, { blocks, unknown, pools }: PoolStats): Group {
  const shown = pools.slice(0, MAX_POOLS);
  const others = pools.slice(MAX_POOLS).reduce((sum, pool) => sum + pool.blocks, 0);
  const row = (name: string, count: number): Row => [
    name,
    `${bar(count / Math.max(1, blocks), BAR).padEnd(BAR)}  ${percent(count / Math.max(1, blocks)).padStart(6)}  ${grouped(count)}`,
  ];
  const rows = shown.map(({ pool, blocks: count }) => row(pool, count));
  if (others > 0) rows.push(row(`${pools.length - MAX_POOLS} others`, others));
  if (unknown > 0) rows.push(row("unknown", unknown));
  return { head: `${head}, of ${counted(blocks, "block")}`, rows };
}
