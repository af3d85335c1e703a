/** Stats of EVM chains. The rules of fees come in: they differ by chain and fork. */
import type { Block, EvmDetail } from "../../shared/block.ts";
import type { BlockDigest, EvmDigest, PendingTransaction } from "../../shared/body.ts";
import type { EvmStatsBody } from "../../shared/stats-api.ts";
import { busiestContracts, congestionOf, medianTips, percentilesOf } from "./evm-market.ts";
import { intervals, mean, Rate, ratio, rfc3339 } from "./figures.ts";
import type { ChainStats, EvmStatsModules, EvmStatsOptions, FeeParent } from "./types.ts";
import { BlockWindow } from "./window.ts";

const DEFAULTS = { feeBlocks: 20, windowBlocks: 100, pendingSample: 4_096 };
const BLOCKS_AHEAD = 5;

type Bid = { readonly maxFeeWei: string; readonly maxTipWei: string };
type Bounds = NonNullable<EvmStatsBody["base_fee"]>["bounds"];

export class EvmStats implements ChainStats {
  readonly family = "evm";
  readonly #options: Required<EvmStatsOptions>;
  readonly #modules: EvmStatsModules;
  readonly #window: BlockWindow<EvmDigest>;
  readonly #heard = new Rate();
  /** Newest pending transactions that said what they pay, a ring. */
  readonly #bids: Bid[] = [];
  #nextBid = 0;
  #nowMs: number | null = null;

  constructor(options: EvmStatsOptions, modules: EvmStatsModules) {
    this.#options = { ...DEFAULTS, ...options };
    this.#modules = modules;
    this.#window = new BlockWindow(Math.max(this.#options.feeBlocks, this.#options.windowBlocks) + 1);
  }

  block(block: Block, digest: BlockDigest | null): void {
    if (block.detail.family !== "evm") return;
    this.#window.put(block, digest?.family === "evm" ? digest : null);
  }

  reverted(count: number): void {
    this.#window.drop(count);
  }

  pending(batch: readonly PendingTransaction[]): void {
    this.#heard.add(batch.length);
    for (const { evm } of batch) {
      if (evm === null) continue;
      this.#bids[this.#nextBid] = { maxFeeWei: evm.maxFeeWei, maxTipWei: evm.maxTipWei };
      this.#nextBid = (this.#nextBid + 1) % this.#options.pendingSample;
    }
  }

  mempool(): void {}

  votes(): void {}

  epoch(): void {}

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#heard.advance(nowMs / 1_000);
  }

  report(): EvmStatsBody {
    const { chain, network, blockTimeSeconds, feeBlocks, windowBlocks } = this.#options;
    const { tip } = this.#window;
    const parent = tip === null ? null : feeParentOf(tip);
    const headers = this.#window.newest(feeBlocks).map(({ block }) => feeParentOf(block));
    const read = this.#window.read(windowBlocks);
    const tips = medianTips(this.#window.read(feeBlocks).map(({ digest }) => digest.tipsWei));
    const bounds = parent === null ? [] : this.#bounds(parent);
    const next = parent === null ? null : this.#modules.nextBaseFee(parent);
    return {
      family: "evm",
      chain,
      network,
      at: this.#nowMs === null ? null : rfc3339(this.#nowMs / 1_000),
      tip: tip === null ? null : { hash: tip.hash, height: tip.height, timestamp: rfc3339(tip.timestamp) },
      reorgs: this.#window.reorgs,
      gas: parent === null ? null : this.#gas(parent, headers),
      base_fee: parent === null ? null : baseFee(parent, next, bounds),
      tips,
      suggestion: tips === null ? null : suggest(tips.percentiles, bounds),
      congestion: congestionOf(headers, this.#modules.gasTarget),
      blobs: parent === null ? null : this.#blobs(parent),
      busiest: busiestContracts(read.map(({ digest }) => digest)),
      pending: { per_second: this.#heard.perSecond(), ...this.#pendingTips(next) },
      block_interval: intervals(
        this.#window.newest(windowBlocks + 1).map(({ block }) => block.timestamp),
        blockTimeSeconds,
      ),
    };
  }

  #gas(tip: FeeParent, headers: readonly FeeParent[]): EvmStatsBody["gas"] {
    const shares = headers.map(({ gasUsed, gasLimit }) => ratio(gasUsed, gasLimit));
    return {
      used: `${tip.gasUsed}`,
      limit: `${tip.gasLimit}`,
      target: this.#modules.gasTarget(tip)?.toString() ?? null,
      used_share: ratio(tip.gasUsed, tip.gasLimit),
      mean_used_share: mean(shares) ?? 0,
    };
  }

  /** Base fees of the next blocks if all before them from now on are empty, and if all are full. The next one's is known. */
  #bounds(tip: FeeParent): Bounds {
    const bounds: Bounds = [];
    let low = this.#modules.nextBaseFee(tip);
    let high = low;
    for (let ahead = 1; ahead <= BLOCKS_AHEAD && low !== null && high !== null; ahead++) {
      bounds.push({ blocks_ahead: ahead, low_wei: `${low}`, high_wei: `${high}` });
      low = this.#modules.nextBaseFee(later(tip, ahead, low, 0n, this.#options.blockTimeSeconds));
      high = this.#modules.nextBaseFee(later(tip, ahead, high, tip.gasLimit, this.#options.blockTimeSeconds));
    }
    return bounds;
  }

  #blobs(tip: FeeParent): EvmStatsBody["blobs"] {
    const market = this.#modules.blobMarket(tip);
    if (market === null || tip.excessBlobGas === null) return null;
    const blobs = this.#window.read(this.#options.feeBlocks).map(({ digest }) => digest.blobs);
    return {
      last: this.#window.read(1)[0]?.digest.blobs ?? null,
      mean: mean(blobs),
      target: market.targetBlobs,
      max: market.maxBlobs,
      excess_gas: `${tip.excessBlobGas}`,
      base_fee_wei: `${market.feeWei}`,
      next_base_fee_wei: `${market.nextFeeWei}`,
    };
  }

  #pendingTips(next: bigint | null): Omit<EvmStatsBody["pending"], "per_second"> {
    const baseFee = next ?? 0n;
    const tips: bigint[] = [];
    for (const { maxFeeWei, maxTipWei } of this.#bids) {
      const [room, tip] = [BigInt(maxFeeWei) - baseFee, BigInt(maxTipWei)];
      if (room >= 0n) tips.push(tip < room ? tip : room);
    }
    return { sample: this.#bids.length, underpriced: this.#bids.length - tips.length, tips: percentilesOf(tips) };
  }
}

function feeParentOf({ detail, height, timestamp }: Block): FeeParent {
  // `block` lets no other family in
  return { ...(detail as EvmDetail), height, timestamp };
}

function later(tip: FeeParent, ahead: number, baseFee: bigint, gasUsed: bigint, blockTimeSeconds: number): FeeParent {
  const timestamp = tip.timestamp + Math.round(ahead * blockTimeSeconds);
  // the OP stack meters whichever is more, gas or this
  const blobGasUsed = tip.blobGasUsed === null ? null : 0n;
  return { ...tip, height: tip.height + ahead, timestamp, baseFeePerGas: baseFee, gasUsed, blobGasUsed };
}

function baseFee(tip: FeeParent, next: bigint | null, bounds: Bounds): EvmStatsBody["base_fee"] {
  const now = tip.baseFeePerGas;
  if (now === null) return null;
  const change = next === null || now === 0n ? null : ratio((next - now) * 100n, now);
  return { now_wei: `${now}`, next_wei: next?.toString() ?? null, next_change_percent: change, bounds };
}

function suggest(
  { p10, p50, p90 }: NonNullable<EvmStatsBody["tips"]>["percentiles"],
  bounds: Bounds,
): EvmStatsBody["suggestion"] {
  const at = (tip: string, blocks: number) => {
    const high = bounds[blocks - 1]?.high_wei;
    const fee = high === undefined ? null : `${BigInt(high) + BigInt(tip)}`;
    return { max_priority_fee_wei: tip, max_fee_wei: fee };
  };
  return { slow: at(p10, 1), normal: at(p50, 3), fast: at(p90, 5) };
}
