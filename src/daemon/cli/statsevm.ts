/** What users of Ethereum and the networks like it watch, as rows. */
import type { EvmStatsBody } from "../../shared/api.ts";
import { bar, counted, gauge, grouped, gwei, inGwei, percent, scaled, signed, threeFigures } from "./figurestext.ts";
import { type Group, type Row, interval } from "./statsrows.ts";

const BAR = 24;
const MAX_CONTRACTS = 8;

type Tips = NonNullable<EvmStatsBody["tips"]>["percentiles"];

export function evmGroups(body: EvmStatsBody): readonly Group[] {
  return [
    { head: "Gas", rows: gasRows(body) },
    { head: "Fees, in gwei", rows: feeRows(body) },
    { head: "Base fee ahead, in gwei: if all blocks are empty, if all are full", rows: aheadRows(body) },
    { head: "Blobs", rows: blobRows(body) },
    { head: "Pending transactions", rows: pendingRows(body) },
    { head: `Busiest contracts, of ${counted(body.busiest.blocks, "block")}`, rows: contractRows(body) },
  ];
}

function gasRows({ gas, congestion, block_interval: between }: EvmStatsBody): Row[] {
  const last =
    gas === null
      ? null
      : `${gauge(gas.used_share, BAR)}  ${percent(gas.used_share)} of ${scaled(Number(gas.limit))}, mean ${percent(gas.mean_used_share)}`;
  const trend =
    congestion === null || congestion.trend === null
      ? ""
      : `, ${Math.abs(congestion.trend) < 0.05 ? "steady" : congestion.trend > 0 ? "rising" : "falling"}`;
  return [
    ["last block", last],
    [
      "congestion",
      congestion === null
        ? null
        : `${threeFigures(congestion.target_share)} of the target over ${counted(congestion.blocks, "block")}${trend}`,
    ],
    ["interval", interval(between)],
  ];
}

function feeRows({ base_fee: base, tips, suggestion }: EvmStatsBody): Row[] {
  const change =
    base === null || base.next_change_percent === null ? "" : ` (${signed(base.next_change_percent, " %")})`;
  const next = base === null || base.next_wei === null ? "" : `, next block ${inGwei(base.next_wei)}${change}`;
  const offer = (name: "slow" | "normal" | "fast"): Row => {
    const fee = suggestion?.[name];
    if (fee === undefined) return [name, null];
    const tip = `tip ${inGwei(fee.max_priority_fee_wei)}`;
    return [name, fee.max_fee_wei === null ? tip : `${tip}, at most ${inGwei(fee.max_fee_wei)}`];
  };
  return [
    ["base fee", base === null ? null : `${inGwei(base.now_wei)}${next}`],
    ["tips paid", tips === null ? null : `${percentiles(tips.percentiles)}, of ${counted(tips.blocks, "block")}`],
    offer("slow"),
    offer("normal"),
    offer("fast"),
  ];
}

/** "p10 1, p25 1, …" */
function percentiles(of: Tips): string {
  return (["p10", "p25", "p50", "p75", "p90"] as const).map((name) => `${name} ${inGwei(of[name])}`).join(", ");
}

function aheadRows({ base_fee: base }: EvmStatsBody): Row[] {
  // The next block's is known, and told above.
  const cells = (base?.bounds ?? [])
    .filter(({ blocks_ahead: ahead }) => ahead > 1)
    .map((bound) => ({
      ahead: `in ${counted(bound.blocks_ahead, "block")}`,
      low: inGwei(bound.low_wei),
      high: inGwei(bound.high_wei),
    }));
  const width = Math.max(0, ...cells.map(({ low }) => low.length));
  return cells.map(({ ahead, low, high }) => [ahead, `${low.padEnd(width)} to ${high}`]);
}

function blobRows({ blobs }: EvmStatsBody): Row[] {
  if (blobs === null) return [];
  const last =
    blobs.last === null ? null : `${gauge(blobs.last / Math.max(1, blobs.max), BAR)}  ${blobs.last} of ${blobs.max}`;
  const mean = blobs.mean === null ? "" : `mean ${threeFigures(blobs.mean)}, `;
  return [
    ["last block", last],
    ["a block", `${mean}target ${blobs.target}`],
    ["fee of blob gas", `${gwei(blobs.base_fee_wei)}, next block ${gwei(blobs.next_base_fee_wei)}`],
  ];
}

function pendingRows({ pending }: EvmStatsBody): Row[] {
  const { per_second: perSecond, sample, underpriced, tips } = pending;
  if (perSecond === null && sample === 0) return [["not known", "no upstream tells them, or mempool is off"]];
  return [
    ["heard", perSecond === null ? null : `${threeFigures(perSecond)} a second`],
    ["looked at", `the newest ${grouped(sample)}, ${grouped(underpriced)} of them below the next base fee`],
    ["tips, gwei", tips === null ? null : percentiles(tips)],
  ];
}

function contractRows({ busiest }: EvmStatsBody): Row[] {
  const shown = busiest.contracts.slice(0, MAX_CONTRACTS);
  const most = Math.max(1, ...shown.map((contract) => Number(contract.gas_used)));
  return shown.map(({ address, calls, gas_used: gas }) => [
    address,
    `${bar(Number(gas) / most, 10).padEnd(10)}  ${scaled(Number(gas))} gas, ${counted(calls, "call")}`,
  ]);
}
