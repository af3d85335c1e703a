/** Stats of Solana. */
import type { Block, SvmDetail } from "../../shared/block.ts";
import type { BlockDigest, PendingTransaction, SvmDigest } from "../../shared/body.ts";
import type { SvmStatsBody } from "../../shared/stats-api.ts";
import { mean, Rate, rfc3339, sum } from "./figures.ts";
import type { ChainStats, EpochSnapshot, SvmStatsOptions, VoteSnapshot } from "./types.ts";
import { Validators } from "./validators.ts";
import { BlockWindow, type ReadRow } from "./window.ts";

const LEADERS = 20;

export class SvmStats implements ChainStats {
  readonly family = "svm";
  readonly #options: Required<SvmStatsOptions>;
  readonly #window: BlockWindow<SvmDigest>;
  readonly #heard = new Rate();
  readonly #validators = new Validators();
  #epoch: EpochSnapshot | null = null;
  #nowMs: number | null = null;

  constructor(options: SvmStatsOptions) {
    this.#options = { windowBlocks: 150, ...options };
    this.#window = new BlockWindow(this.#options.windowBlocks);
  }

  block(block: Block, digest: BlockDigest | null): void {
    if (block.detail.family !== "svm") return;
    this.#window.put(block, digest?.family === "svm" ? digest : null);
  }

  reverted(count: number): void {
    this.#window.drop(count);
  }

  pending(batch: readonly PendingTransaction[]): void {
    this.#heard.add(batch.length);
  }

  mempool(): void {}

  votes(snapshot: VoteSnapshot | null): void {
    this.#validators.take(snapshot, this.#nowMs);
  }

  epoch(snapshot: EpochSnapshot | null): void {
    this.#epoch = snapshot;
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#heard.advance(nowMs / 1_000);
  }

  report(): SvmStatsBody {
    const { chain, network, windowBlocks } = this.#options;
    const { tip } = this.#window;
    const read = this.#window.read(windowBlocks);
    const slotTimeMs = this.#slotTimeMs();
    const slot = tip === null ? null : detailOf(tip).slot;
    return {
      family: "svm",
      chain,
      network,
      at: this.#nowMs === null ? null : rfc3339(this.#nowMs / 1_000),
      tip: tip === null ? null : { hash: tip.hash, height: tip.height, timestamp: rfc3339(tip.timestamp) },
      reorgs: this.#window.reorgs,
      slot,
      epoch: epochAt(this.#epoch, slot, slotTimeMs),
      slot_time_ms: slotTimeMs,
      tps: this.#tps(),
      skipped: this.#skipped(),
      leaders: leadersOf(read),
      blocks_read: read.length,
      fees_lamports: feesOf(read),
      compute_units: unitsOf(read),
      validators: this.#validators.report(),
      pending_per_second: this.#heard.perSecond(),
    };
  }

  /** Over the slots between the oldest and the newest block; times are whole seconds, so the window should be a long one. */
  #slotTimeMs(): number | null {
    const blocks = this.#window.newest(this.#options.windowBlocks).map(({ block }) => block);
    const [first, last] = [blocks[0], blocks.at(-1)];
    if (first === undefined || last === undefined) return null;
    const slots = detailOf(last).slot - detailOf(first).slot;
    const seconds = last.timestamp - first.timestamp;
    return slots <= 0 || seconds <= 0 ? null : (seconds * 1_000) / slots;
  }

  /** Of the newest blocks that were read without a hole; the oldest only says when the others began. */
  #tps(): SvmStatsBody["tps"] {
    const rows = this.#window.newest(this.#options.windowBlocks);
    const until = rows.findLastIndex(({ digest }) => digest !== null) + 1;
    const from = rows.findLastIndex(({ digest }, i) => i < until && digest === null) + 1;
    const read = rows.slice(from, until);
    const [first, last] = [read[0]?.block, read.at(-1)?.block];
    const digests = read.slice(1).flatMap(({ digest }) => (digest === null ? [] : [digest]));
    const seconds = (last?.timestamp ?? 0) - (first?.timestamp ?? 0);
    if (digests.length === 0 || seconds <= 0) return null;
    const transactions = digests.reduce((total, digest) => total + digest.transactions, 0);
    const votes = totalOf(digests.map((digest) => digest.votes));
    const failed = totalOf(digests.map((digest) => digest.failed));
    return {
      blocks: digests.length,
      seconds,
      total: transactions / seconds,
      votes: votes === null ? null : votes / seconds,
      non_votes: votes === null ? null : (transactions - votes) / seconds,
      failed_share: failed === null || transactions === 0 ? null : failed / transactions,
    };
  }

  /** Slots without a block, from the oldest block to the newest. */
  #skipped(): SvmStatsBody["skipped"] {
    const blocks = this.#window.newest(this.#options.windowBlocks).map(({ block }) => detailOf(block));
    const [first, last] = [blocks[0], blocks.at(-1)];
    if (first === undefined || last === undefined) return null;
    const slots = last.slot - first.slot + 1;
    const skipped = slots - blocks.length;
    return { slots, skipped, rate: skipped / slots };
  }
}

/** `block` lets no other family in. */
function detailOf(block: Block): SvmDetail {
  return block.detail as SvmDetail;
}

/** The snapshot carried forward to `slot`, over the ends of epochs of the same length. */
function epochAt(
  snapshot: EpochSnapshot | null,
  slot: number | null,
  slotTimeMs: number | null,
): SvmStatsBody["epoch"] {
  if (snapshot === null || snapshot.slotsInEpoch <= 0) return null;
  const { slotsInEpoch } = snapshot;
  const index = snapshot.slotIndex + Math.max(0, (slot ?? snapshot.absoluteSlot) - snapshot.absoluteSlot);
  const slotIndex = index % slotsInEpoch;
  return {
    epoch: snapshot.epoch + Math.floor(index / slotsInEpoch),
    slot_index: slotIndex,
    slots_in_epoch: slotsInEpoch,
    progress: slotIndex / slotsInEpoch,
    seconds_left: slotTimeMs === null ? null : ((slotsInEpoch - slotIndex) * slotTimeMs) / 1_000,
  };
}

/** Null where one of them is not known. */
function totalOf(counts: readonly (number | null)[]): number | null {
  const known = counts.filter((count) => count !== null);
  return known.length < counts.length ? null : known.reduce((total, count) => total + count, 0);
}

function leadersOf(read: readonly ReadRow<SvmDigest>[]): SvmStatsBody["leaders"] {
  const byLeader = new Map<string, { leader: string; blocks: number; last_slot: number }>();
  for (const { digest } of read) {
    const { leader, slot } = digest;
    if (leader === null) continue;
    byLeader.set(leader, { leader, blocks: (byLeader.get(leader)?.blocks ?? 0) + 1, last_slot: slot });
  }
  return [...byLeader.values()].sort((a, b) => b.last_slot - a.last_slot).slice(0, LEADERS);
}

function feesOf(read: readonly ReadRow<SvmDigest>[]): SvmStatsBody["fees_lamports"] {
  const fees = read.flatMap(({ digest }) => (digest.feesLamports === null ? [] : [BigInt(digest.feesLamports)]));
  const last = fees.at(-1);
  return last === undefined ? null : { last: `${last}`, mean: `${sum(fees) / BigInt(fees.length)}` };
}

function unitsOf(read: readonly ReadRow<SvmDigest>[]): SvmStatsBody["compute_units"] {
  const units = read.map(({ digest }) => digest.computeUnits).filter((count) => count !== null);
  const last = units.at(-1);
  return last === undefined ? null : { last, mean: mean(units) ?? last };
}
