/** One slot's block and what came of it. Entries are not kept: they follow from the parent's hash and the transactions. */
import { hash } from "node:crypto";
import { decodeTransaction, encodeBase58, signatureRoot } from "../chain/index.ts";
import type { ExecutedTransaction, SvmAccount } from "./svm-execute.ts";
import type { SvmTransaction } from "./svm-transactions.ts";

export type SvmCommitment = "processed" | "confirmed" | "finalized";

export interface SvmBank {
  readonly slot: number;
  /** Null below the first one that is kept. */
  parent: SvmBank | null;
  readonly parentSlot: number;
  readonly parentHash: Uint8Array;
  /** Blocks below: skipped slots are not counted. */
  readonly height: number;
  /** The end of its proof of history. */
  readonly hash: Uint8Array;
  readonly blockhash: string;
  /** What validators vote for. */
  readonly bankHash: Uint8Array;
  /** Unix seconds. */
  readonly time: number;
  readonly leader: string;
  /** Lamports that the leader took of the fees, and what it has with them. */
  readonly reward: { readonly lamports: number; readonly postBalance: number };
  readonly transactions: readonly ExecutedTransaction[];
  /** Accounts that its transactions changed, as they are after it. */
  readonly changes: ReadonlyMap<string, SvmAccount>;
  /** Of the whole chain up to it. */
  readonly transactionCount: number;
  commitment: SvmCommitment;
}

export interface SvmEntry {
  readonly numHashes: number;
  /** base58 */
  readonly hash: string;
  readonly transactions: number;
}

export interface ProofOfHistory {
  readonly end: Uint8Array;
  /** Made where they were asked for. */
  readonly entries: readonly SvmEntry[];
}

export const TICKS_PER_SLOT = 64;
/** Mainnet has 62,500. */
const HASHES_PER_TICK = 4;

/** Transactions as entries hold them: those that write to the same accounts are never in one. Votes do not, transfers may. */
export function groupTransactions<T extends Pick<SvmTransaction, "vote">>(transactions: readonly T[]): T[][] {
  const votes = transactions.filter(({ vote }) => vote);
  return [...(votes.length > 0 ? [votes] : []), ...transactions.filter(({ vote }) => !vote).map((each) => [each])];
}

/**
 * The chain of hashes from `start` over `slots` slots, skipped ones included; each group of transactions is mixed in within a tick
 * of its own. There must not be more groups than ticks.
 */
export function proofOfHistory(
  start: Uint8Array,
  slots: number,
  groups: readonly (readonly Pick<SvmTransaction, "signatures">[])[],
  withEntries = false,
): ProofOfHistory {
  const entries: SvmEntry[] = [];
  let at = start;
  const push = (numHashes: number, group: readonly Pick<SvmTransaction, "signatures">[]): void => {
    for (let i = group.length > 0 ? 1 : 0; i < numHashes; i++) at = hash("sha256", at, "buffer");
    if (group.length > 0) {
      const root = signatureRoot(group.flatMap(({ signatures }) => signatures));
      at = hash("sha256", Buffer.concat([at, root]), "buffer");
    }
    if (withEntries) entries.push({ numHashes, hash: encodeBase58(at), transactions: group.length });
  };
  const skippedTicks = (slots - 1) * TICKS_PER_SLOT;
  for (let tick = 0; tick < slots * TICKS_PER_SLOT; tick++) {
    const group = groups[tick - skippedTicks] ?? [];
    if (group.length > 0) push(1, group);
    push(group.length > 0 ? HASHES_PER_TICK - 1 : HASHES_PER_TICK, []);
  }
  return { end: at, entries };
}

/** The entries of a block, hashed again. */
export function entriesOf(bank: SvmBank): readonly SvmEntry[] {
  const groups = groupTransactions(bank.transactions);
  const signed = groups.map((group) => group.map(({ bytes }) => decodeTransaction(bytes)));
  return proofOfHistory(bank.parentHash, slotsOf(bank), signed, true).entries;
}

/** From the parent's slot to its own; the first block of a network has one. */
function slotsOf({ slot, parentSlot }: SvmBank): number {
  return Math.max(1, slot - parentSlot);
}

/** The bank `blocks` below `bank`, or the lowest that is kept. */
export function ancestor(bank: SvmBank, blocks: number): SvmBank {
  let at = bank;
  for (let left = blocks; left > 0 && at.parent !== null; left--) at = at.parent;
  return at;
}

/** Whether `bank` is `tip` or below it on the same branch. */
export function isOnBranch(bank: SvmBank, tip: SvmBank): boolean {
  let at: SvmBank | null = tip;
  while (at !== null && at.slot > bank.slot) at = at.parent;
  return at === bank;
}
