/** What `GET /api/v1/chains/{chain}/stats` and `stats` events tell, by family. Null: not known, and not guessed. Shares are 0-1. */
import { type Static, type TSchema, Type } from "typebox";
import { Height, orNull, Time } from "./schema.ts";

const Count = Type.Integer({ minimum: 0 });
const Share = Type.Number({ description: "0-1" });
const Seconds = Type.Number();
/** Integers that a double may not hold: decimal. */
const Units = Type.String({ description: "base units, decimal" });
const Gas = Type.String({ description: "gas, decimal" });
const Wei = Type.String({ description: "wei, decimal" });
const Lamports = Type.String({ description: "lamports, decimal" });

const Tip = Type.Object({ hash: Type.String(), height: Height, timestamp: Time });

function common<const F extends string>(family: F) {
  return {
    family: Type.Literal(family),
    chain: Type.String(),
    network: Type.String(),
    at: orNull(Time),
    tip: orNull(Tip),
    reorgs: Type.Integer({ minimum: 0, description: "since the start" }),
  };
}

const Interval = Type.Object({
  target_seconds: Seconds,
  blocks: Type.Integer({ description: "intervals measured" }),
  mean_seconds: orNull(Seconds),
  median_seconds: orNull(Seconds),
});
export type IntervalStats = Static<typeof Interval>;

const PendingRate = orNull(
  Type.Number({ description: "heard a second, over the last minute; null before anything was" }),
);

// --- Bitcoin family

const MempoolStats = Type.Object({
  transactions: Count,
  bytes: Count,
  min_fee_rate: orNull(Type.Number({ description: "base units a virtual byte" })),
  histogram: Type.Array(
    Type.Object({
      fee_rate: Type.Number({ description: "from here on, base units a virtual byte" }),
      vsize: Count,
      count: Count,
    }),
    { description: "highest fee first" },
  ),
  template: orNull(
    Type.Object(
      {
        transactions: Count,
        weight: Count,
        fees_units: Units,
        min_fee_rate: orNull(Type.Number({ description: "of the cheapest transaction in it" })),
      },
      { description: "what the next block would take" },
    ),
  ),
});
export type MempoolStats = Static<typeof MempoolStats>;

const Pools = Type.Object({
  blocks: Type.Integer({ minimum: 0, description: "blocks looked at" }),
  unknown: Type.Integer({ minimum: 0, description: "of them, those whose coinbase names nobody that is known" }),
  pools: Type.Array(Type.Object({ pool: Type.String(), blocks: Count, share: Share, last_height: Height }), {
    description: "most blocks first",
  }),
});
export type PoolStats = Static<typeof Pools>;

const Retarget = Type.Object({
  height: Height,
  blocks_left: Type.Integer({ minimum: 1, description: "1: the next block" }),
  change_percent: orNull(Type.Number({ description: "of the difficulty, if blocks go on coming as in this period" })),
  difficulty: orNull(Type.Number({ description: "after that change" })),
  measured_intervals: Type.Integer({ minimum: 0, description: "what the estimate rests on" }),
  exact: Type.Boolean({ description: "true: the next block's, by the rule" }),
  expected_at: orNull(Type.String({ format: "date-time", description: "at the pace of this period" })),
});
export type RetargetStats = Static<typeof Retarget>;

export const UtxoStatsBody = Type.Object({
  ...common("utxo"),
  hash_rate_per_second: orNull(
    Type.String({ description: "hashes, decimal; work of the last blocks over their time" }),
  ),
  hash_rate_blocks: Count,
  difficulty: orNull(Type.Number()),
  bits: orNull(Type.String({ description: "compact target, 8 hex digits" })),
  next_retarget: orNull(Retarget),
  block_interval: Interval,
  mempool: orNull(MempoolStats),
  pending_per_second: PendingRate,
  blocks_read: Type.Integer({ minimum: 0, description: "newest blocks whose proved bodies the rest is of" }),
  pools: Pools,
  segwit_share: orNull(Type.Number({ description: "of transactions, 0-1" })),
  mweb: orNull(
    Type.Object(
      { blocks: Count, blocks_with_kernels: Count, kernels: Count },
      { description: "blocks: those with an extension block; null where none has one" },
    ),
  ),
  auxpow: orNull(
    Type.Object(
      { blocks: Count, merged_share: Share, parents: Pools },
      {
        description:
          "blocks: headers looked at; parents: pools of the parent chain's blocks. Null where no work is merged",
      },
    ),
  ),
  reward_units: orNull(Type.Object({ last: Units, mean: Units })),
  fullness: orNull(Type.Object({ last: Share, mean: Share }, { description: "weight over the most allowed" })),
});
export type UtxoStatsBody = Static<typeof UtxoStatsBody>;

// --- EVM

const TipPercentiles = Type.Object({ p10: Wei, p25: Wei, p50: Wei, p75: Wei, p90: Wei });
export type TipPercentiles = Static<typeof TipPercentiles>;

const Suggestion = Type.Object({ max_priority_fee_wei: Wei, max_fee_wei: orNull(Wei) });

export const EvmStatsBody = Type.Object({
  ...common("evm"),
  gas: orNull(
    Type.Object({
      used: Gas,
      limit: Gas,
      target: orNull(Gas),
      used_share: Type.Number({ description: "of the limit, 0-1, last block" }),
      mean_used_share: Type.Number({ description: "of the limit, 0-1, over the blocks counted" }),
    }),
  ),
  base_fee: orNull(
    Type.Object({
      now_wei: Wei,
      next_wei: orNull(Type.String({ description: "of the next block, exact by the chain's rule" })),
      next_change_percent: orNull(Type.Number()),
      bounds: Type.Array(Type.Object({ blocks_ahead: Type.Integer(), low_wei: Wei, high_wei: Wei }), {
        description: "if all blocks until then are empty, and if all are full; empty where the chain has no such rule",
      }),
    }),
  ),
  tips: orNull(
    Type.Object(
      { blocks: Count, percentiles: TipPercentiles },
      { description: "medians over blocks of what each paid" },
    ),
  ),
  suggestion: orNull(
    Type.Object(
      { slow: Suggestion, normal: Suggestion, fast: Suggestion },
      { description: "10, 50 and 90 % of the tips; the fee holds though the next 1, 3 or 5 blocks are full" },
    ),
  ),
  congestion: orNull(
    Type.Object({
      blocks: Count,
      target_share: Type.Number({ description: "gas used over the target; above 1 the base fee rises" }),
      trend: orNull(Type.Number({ description: "of the newer half of the blocks, minus the older half's" })),
    }),
  ),
  blobs: orNull(
    Type.Object({
      last: orNull(Type.Integer({ description: "of the newest block, once it is read" })),
      mean: orNull(Type.Number({ description: "a block" })),
      target: Type.Integer(),
      max: Type.Integer(),
      excess_gas: Gas,
      base_fee_wei: Wei,
      next_base_fee_wei: Wei,
    }),
  ),
  busiest: Type.Object({
    blocks: Count,
    contracts: Type.Array(Type.Object({ address: Type.String(), calls: Count, gas_used: Gas }), {
      description: "most gas first",
    }),
  }),
  pending: Type.Object({
    per_second: PendingRate,
    sample: Type.Integer({ minimum: 0, description: "newest pending transactions looked at" }),
    underpriced: Type.Integer({ minimum: 0, description: "of them, those that the next base fee shuts out" }),
    tips: orNull(TipPercentiles),
  }),
  block_interval: Interval,
});
export type EvmStatsBody = Static<typeof EvmStatsBody>;

// --- Solana

const StakeChange = Type.Object({ vote: Type.String(), node: Type.String(), stake_lamports: Lamports });

const listed = <T extends TSchema>(entry: T) =>
  Type.Object({ count: Count, largest: Type.Array(entry, { maxItems: 20, description: "by stake" }) });

export const SvmStatsBody = Type.Object({
  ...common("svm"),
  slot: orNull(Count),
  epoch: orNull(
    Type.Object({
      epoch: Count,
      slot_index: Count,
      slots_in_epoch: Count,
      progress: Share,
      seconds_left: orNull(Type.Number({ description: "at the slot time measured" })),
    }),
  ),
  slot_time_ms: orNull(Type.Number({ description: "mean, over the slots counted" })),
  tps: orNull(
    Type.Object({
      blocks: Count,
      seconds: Seconds,
      total: Type.Number(),
      votes: orNull(Type.Number()),
      non_votes: orNull(Type.Number()),
      failed_share: orNull(Share),
    }),
  ),
  skipped: orNull(Type.Object({ slots: Count, skipped: Count, rate: Share })),
  leaders: Type.Array(Type.Object({ leader: Type.String(), blocks: Count, last_slot: Count }), {
    description: "of the blocks read, the last to lead first",
  }),
  blocks_read: Count,
  fees_lamports: orNull(Type.Object({ last: Lamports, mean: Lamports }, { description: "a block" })),
  compute_units: orNull(Type.Object({ last: Count, mean: Type.Number() }, { description: "a block" })),
  validators: orNull(
    Type.Object({
      count: Count,
      delinquent: Count,
      stake_lamports: Lamports,
      delinquent_stake_lamports: Lamports,
      delinquent_stake_share: Share,
      changes: orNull(
        Type.Object(
          {
            at: orNull(Time),
            joined: listed(StakeChange),
            left: listed(StakeChange),
            became_delinquent: listed(StakeChange),
            recovered: listed(StakeChange),
            moved: listed(
              Type.Object({
                vote: Type.String(),
                node: Type.String(),
                from_lamports: Lamports,
                to_lamports: Lamports,
              }),
            ),
          },
          { description: "between the last two snapshots that differ; null until two do" },
        ),
      ),
    }),
  ),
  pending_per_second: PendingRate,
});
export type SvmStatsBody = Static<typeof SvmStatsBody>;

export const StatsBody = Type.Union([UtxoStatsBody, EvmStatsBody, SvmStatsBody]);
export type StatsBody = Static<typeof StatsBody>;
