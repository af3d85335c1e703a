/** Stats of the Bitcoin family. */
import type { Block, UtxoDetail } from "../../shared/block.ts";
import type { BlockDigest, PendingTransaction, UtxoDigest } from "../../shared/body.ts";
import type { PoolStats, UtxoStatsBody } from "../../shared/stats-api.ts";
import { intervals, mean, Rate, rfc3339, sum } from "./figures.ts";
import { difficultyOf, nextRetarget, workOf } from "./retarget.ts";
import type { ChainStats, MempoolSnapshot, UtxoStatsModules, UtxoStatsOptions } from "./types.ts";
import { BlockWindow, type ReadRow, type Row } from "./window.ts";

const DEFAULTS = { hashRateBlocks: 120, windowBlocks: 144, maxWeight: 4_000_000 };
const HISTOGRAM_STEPS = 100;

export class UtxoStats implements ChainStats {
  readonly family = "utxo";
  readonly #options: Required<UtxoStatsOptions>;
  readonly #modules: UtxoStatsModules;
  readonly #window: BlockWindow<UtxoDigest>;
  readonly #heard = new Rate();
  /** Names are looked for once a block. */
  readonly #pools = new WeakMap<UtxoDigest, { readonly own: string | null; readonly parent: string | null }>();
  #mempool: MempoolSnapshot | null = null;
  #nowMs: number | null = null;

  constructor(options: UtxoStatsOptions, modules: UtxoStatsModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#modules = modules;
    const { hashRateBlocks, windowBlocks, retarget } = this.#options;
    const period = retarget.kind === "window" ? retarget.intervalBlocks : 1;
    this.#window = new BlockWindow(Math.max(hashRateBlocks, windowBlocks, period) + 1);
  }

  block(block: Block, digest: BlockDigest | null): void {
    if (block.detail.family !== "utxo") return;
    this.#window.put(block, digest?.family === "utxo" ? digest : null);
  }

  reverted(count: number): void {
    this.#window.drop(count);
  }

  pending(batch: readonly PendingTransaction[]): void {
    this.#heard.add(batch.length);
  }

  mempool(snapshot: MempoolSnapshot | null): void {
    this.#mempool = snapshot;
  }

  votes(): void {}

  epoch(): void {}

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#heard.advance(nowMs / 1_000);
  }

  report(): UtxoStatsBody {
    const { chain, network, blockTimeSeconds, windowBlocks, maxWeight } = this.#options;
    const { tip } = this.#window;
    const bits = tip === null ? null : detailOf(tip).bits;
    const target = bits === null ? null : this.#modules.targetOf(bits);
    const rows = this.#window.newest(windowBlocks);
    const read = this.#window.read(windowBlocks);
    const weights = read.map(({ digest }) => digest.weight / maxWeight);
    return {
      family: "utxo",
      chain,
      network,
      at: this.#nowMs === null ? null : rfc3339(this.#nowMs / 1_000),
      tip: tip === null ? null : { hash: tip.hash, height: tip.height, timestamp: rfc3339(tip.timestamp) },
      reorgs: this.#window.reorgs,
      ...this.#hashRate(),
      difficulty: target === null ? null : difficultyOf(target),
      bits: bits?.toString(16).padStart(8, "0") ?? null,
      next_retarget:
        tip === null || target === null
          ? null
          : nextRetarget(tip, target, this.#options, (height) => this.#window.at(height)),
      block_interval: intervals(
        this.#window.newest(windowBlocks + 1).map(({ block }) => block.timestamp),
        blockTimeSeconds,
      ),
      mempool: this.#mempoolStats(),
      pending_per_second: this.#heard.perSecond(),
      blocks_read: read.length,
      pools: tally(read.map(({ block, digest }) => [block.height, this.#poolsOf(digest).own])),
      segwit_share: segwitShare(read),
      mweb: mwebOf(read),
      auxpow: this.#auxpow(rows, read),
      reward_units: rewardOf(read),
      fullness: whereAny(weights, (last) => ({ last, mean: mean(weights) ?? last })),
    };
  }

  /** As `getnetworkhashps`: the work of the newest blocks over the time from their earliest to their latest. */
  #hashRate(): Pick<UtxoStatsBody, "hash_rate_per_second" | "hash_rate_blocks"> {
    const blocks = this.#window.newest(this.#options.hashRateBlocks + 1).map(({ block }) => block);
    const times = blocks.map(({ timestamp }) => timestamp);
    const seconds = Math.max(...times) - Math.min(...times);
    const targets = blocks.slice(1).map((block) => this.#modules.targetOf(detailOf(block).bits));
    if (targets.length === 0 || seconds <= 0) return { hash_rate_per_second: null, hash_rate_blocks: 0 };
    const work = sum(targets.map((target) => (target === null ? 0n : workOf(target))));
    return { hash_rate_per_second: `${work / BigInt(seconds)}`, hash_rate_blocks: targets.length };
  }

  #mempoolStats(): UtxoStatsBody["mempool"] {
    if (this.#mempool === null) return null;
    const { transactions, bytes, minFeeRate, histogram, template } = this.#mempool;
    const steps = histogram.slice(0, HISTOGRAM_STEPS).map((step) => ({ ...step }));
    return { transactions, bytes, min_fee_rate: minFeeRate, histogram: steps, template };
  }

  #auxpow(rows: readonly Row<UtxoDigest>[], read: readonly ReadRow<UtxoDigest>[]): UtxoStatsBody["auxpow"] {
    const merged = rows.filter(({ block }) => detailOf(block).auxpow).length;
    if (merged === 0) return null;
    const parents = read.filter(({ digest }) => digest.parentCoinbaseScript !== null);
    return {
      blocks: rows.length,
      merged_share: merged / rows.length,
      parents: tally(parents.map(({ block, digest }) => [block.height, this.#poolsOf(digest).parent])),
    };
  }

  #poolsOf(digest: UtxoDigest): { readonly own: string | null; readonly parent: string | null } {
    const known = this.#pools.get(digest);
    if (known !== undefined) return known;
    const { coinbaseScript, parentCoinbaseScript } = digest;
    const { poolOf } = this.#modules;
    const parent = parentCoinbaseScript === null ? null : poolOf(parentCoinbaseScript);
    const pools = { own: poolOf(coinbaseScript), parent };
    this.#pools.set(digest, pools);
    return pools;
  }
}

/** `block` lets no other family in. */
function detailOf(block: Block): UtxoDetail {
  return block.detail as UtxoDetail;
}

/** Pools by (height, name), heights ascending. */
function tally(named: readonly (readonly [number, string | null])[]): PoolStats {
  const byPool = new Map<string, { pool: string; blocks: number; share: number; last_height: number }>();
  for (const [height, pool] of named) {
    if (pool === null) continue;
    const blocks = (byPool.get(pool)?.blocks ?? 0) + 1;
    byPool.set(pool, { pool, blocks, share: blocks / named.length, last_height: height });
  }
  const pools = [...byPool.values()].sort((a, b) => b.blocks - a.blocks || b.last_height - a.last_height);
  return { blocks: named.length, unknown: named.filter(([, pool]) => pool === null).length, pools };
}

function segwitShare(read: readonly ReadRow<UtxoDigest>[]): number | null {
  const transactions = read.reduce((total, { block }) => total + (block.txCount ?? 0), 0);
  const segwit = read.reduce((total, { digest }) => total + digest.segwitTransactions, 0);
  return transactions === 0 ? null : segwit / transactions;
}

function mwebOf(read: readonly ReadRow<UtxoDigest>[]): UtxoStatsBody["mweb"] {
  const kernels = read.map(({ digest }) => digest.mwebKernels).filter((count) => count !== null);
  return whereAny(kernels, () => ({
    blocks: kernels.length,
    blocks_with_kernels: kernels.filter((count) => count > 0).length,
    kernels: kernels.reduce((total, count) => total + count, 0),
  }));
}

function rewardOf(read: readonly ReadRow<UtxoDigest>[]): UtxoStatsBody["reward_units"] {
  const rewards = read.map(({ digest }) => BigInt(digest.rewardUnits));
  return whereAny(rewards, (last) => ({ last: `${last}`, mean: `${sum(rewards) / BigInt(rewards.length)}` }));
}

/** Null of none; `last` is the newest. */
function whereAny<T, R>(values: readonly T[], tell: (last: T) => R): R | null {
  const last = values.at(-1);
  return last === undefined ? null : tell(last);
}
