/**
 * What is known of a method that is let through. Which ones these are is a table of each family (`dialect-….ts`).
 *
 * A class has a breaker of its own at each upstream, because its calls cost alike: a block of 2 MB takes a thousand times as long as a height, and
 * would look like a hang beside it.
 */
export type MethodClass = "tip" | "lookup" | "bulk" | "send";

export interface ClassRow {
  /** Of one attempt. */
  readonly timeoutMs: number;
  /** No call of this class is slow below this. */
  readonly slowFloorMs: number;
  /** Reads: a second upstream may be asked meanwhile, and equal calls may share one answer. */
  readonly reads: boolean;
}

/**
 * `send` is not hedged and not shared. It is repeated at another upstream when the first failed, even if nobody knows whether that one had taken the
 * transaction: it is the same transaction everywhere, known by its id, and a node that has it already says so or relays it again.
 */
export const CLASSES: Readonly<Record<MethodClass, ClassRow>> = {
  tip: { timeoutMs: 3_000, slowFloorMs: 50, reads: true },
  lookup: { timeoutMs: 3_000, slowFloorMs: 50, reads: true },
  bulk: { timeoutMs: 8_000, slowFloorMs: 1_000, reads: true },
  send: { timeoutMs: 5_000, slowFloorMs: 1_000, reads: false },
};

export interface MethodRow {
  readonly method: string;
  readonly class: MethodClass;
  /** The answer is of the node's tip or mempool: one that is behind the served tip is not asked. */
  readonly fresh: boolean;
  /** What one node does not have, another may: pruned, without an index, or with another mempool. */
  readonly elsewhere: boolean;
  /** The argument that names a block, and its position. */
  readonly block: readonly [position: number, name: string] | null;
}
