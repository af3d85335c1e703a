/** What EVM blocks say of demand: tips paid, gas against its target, who is called. */
import type { EvmDigest } from "../../shared/body.ts";
import type { EvmStatsBody, TipPercentiles } from "../../shared/stats-api.ts";
import { ascending, mean, quantile, ratio } from "./figures.ts";
import type { EvmStatsModules, FeeParent } from "./types.ts";

const BUSIEST = 20;

/** Of values in any order; null of none. */
export function percentilesOf(values: readonly bigint[]): TipPercentiles | null {
  const sorted = values.toSorted(ascending);
  const at = (share: number): string => `${quantile(sorted, share)}`;
  return sorted.length === 0 ? null : { p10: at(0.1), p25: at(0.25), p50: at(0.5), p75: at(0.75), p90: at(0.9) };
}

/** The median over blocks of each percentile; blocks without transactions say nothing. Null of none. */
export function medianTips(blocks: readonly (readonly string[])[]): EvmStatsBody["tips"] {
  const paid = blocks.filter((tips) => tips.length === 5);
  const at = (index: number): string => {
    const ofBlocks = paid.map((tips) => BigInt(tips[index] ?? 0)).toSorted(ascending);
    return `${quantile(ofBlocks, 0.5)}`;
  };
  if (paid.length === 0) return null;
  return { blocks: paid.length, percentiles: { p10: at(0), p25: at(1), p50: at(2), p75: at(3), p90: at(4) } };
}

/** Gas used over its target, and where that goes. Null where the chain has no target. */
export function congestionOf(
  headers: readonly FeeParent[],
  gasTarget: EvmStatsModules["gasTarget"],
): EvmStatsBody["congestion"] {
  const shares = headers.flatMap((header) => {
    const target = gasTarget(header);
    return target === null ? [] : [ratio(header.gasUsed, target)];
  });
  const whole = mean(shares);
  if (whole === null) return null;
  const half = shares.length >> 1;
  const [older, newer] = [mean(shares.slice(0, half)), mean(shares.slice(-half))];
  const trend = half === 0 || older === null || newer === null ? null : newer - older;
  return { blocks: shares.length, target_share: whole, trend };
}

/** Sums of what each block's digest names as most called. */
export function busiestContracts(digests: readonly EvmDigest[]): EvmStatsBody["busiest"] {
  const byAddress = new Map<string, { calls: number; gas: number }>();
  for (const { contracts } of digests) {
    for (const { address, calls, gasUsed } of contracts) {
      const before = byAddress.get(address) ?? { calls: 0, gas: 0 };
      byAddress.set(address, { calls: before.calls + calls, gas: before.gas + gasUsed });
    }
  }
  const contracts = [...byAddress]
    .sort(([, a], [, b]) => b.gas - a.gas || b.calls - a.calls)
    .slice(0, BUSIEST)
    .map(([address, { calls, gas }]) => ({ address, calls, gas_used: `${gas}` }));
  return { blocks: digests.length, contracts };
}
