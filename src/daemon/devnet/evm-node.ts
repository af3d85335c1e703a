/** The Ethereum node of a devnet, whichever of two it is. The relay meets it by its address like any node; tests give it orders. */

import { SprintError } from "../../shared/errors.ts";

export interface EvmDevnetNode {
  /** The real `anvil`, or the one that is embedded here. */
  readonly kind: "anvil" | "embedded";
  /** ws://HOST:PORT, where HTTP is answered too; port 0 before the first start. */
  readonly url: string;
  /** Resolves when it answers. Again after a close: `embedded` goes on with its chain at the same address, `anvil` begins another one. */
  start(): Promise<void>;
  close(): Promise<void>;
  /** Extends the chain; hashes of the new blocks, oldest first. */
  mine(count?: number): Promise<string[]>;
  /** Replaces the newest `depth` blocks by `length` others (`depth` of them where it is not given); their hashes, oldest first. */
  reorg(depth: number, length?: number): Promise<string[]>;
  /** Takes the newest `depth` blocks back and tells no subscriber. */
  rollback(depth: number): Promise<void>;
  /** Keeps sockets open and answers nothing, until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** The truth to compare a stream with: hashes of the chain from height `from`, or the oldest block that is kept, to the tip. */
  hashes(from?: number): Promise<string[]>;
}

export interface EvmDevnetOptions {
  /** Mean time between blocks; null: it mines on orders only, and makes no transactions of its own but for those blocks. `anvil` takes whole seconds. */
  readonly blockIntervalMs: number | null;
  /** Chance, 0 to 1, that a block comes with a reorg of depth 1 or 2. */
  readonly forkChance: number;
  /** Mean number of transactions a block at a price that is neither high nor low. */
  readonly transactionsPerBlock: number;
  /** Blocks mined before it listens. */
  readonly historyBlocks: number;
  /** Blocks that can be asked for. */
  readonly keepBlocks: number;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

export const EVM_DEVNET_DEFAULTS: EvmDevnetOptions = {
  blockIntervalMs: 2_000,
  forkChance: 0.05,
  transactionsPerBlock: 12,
  // Enough for the first block to be final.
  historyBlocks: 12,
  keepBlocks: 1_024,
  host: "127.0.0.1",
  port: 0,
};

/** As anvil's. */
export const EVM_DEVNET_CHAIN_ID = 31_337;

const GWEI = 1e9;

/** How many transactions come until the next block: fewer while gas is dear, so that its price goes up and down and does not run away. */
export function demand(mean: number, baseFeeWei: bigint, chance: number): number {
  const price = Number(baseFeeWei) / GWEI;
  const pull = price < 0.5 ? 2.4 : price > 20 ? 0.3 : 1.3;
  return Math.round(mean * pull * (0.3 + 1.4 * chance));
}

export function notStarted(): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_CLOSED",
    "The ethereum devnet node is not running: expected start() before an order.",
    { chain: "ethereum" },
  );
}
