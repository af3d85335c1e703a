/** The chain of the embedded Ethereum node: blocks by name and by height, the states of the newest, and what changed. */
import { SprintError } from "../../shared/errors.ts";
import type { SignedTransaction } from "./evm-accounts.ts";
import type { EvmMinedBlock } from "./evm-miner.ts";
import type { EvmState } from "./evm-state.ts";

export interface EvmChainOptions {
  /** Blocks below the tip that can be asked for. */
  readonly keepBlocks: number;
}

export interface EvmChange {
  /** Newest first. */
  readonly reverted: readonly EvmMinedBlock[];
  /** Oldest first. */
  readonly applied: readonly EvmMinedBlock[];
}

export interface FoundTransaction {
  readonly block: EvmMinedBlock;
  readonly index: number;
}

/** As many states as a pruned node keeps; a branch cannot begin below. */
export const KEEP_STATES = 128;

export class EvmChain {
  readonly #options: EvmChainOptions;
  readonly #blocks = new Map<string, EvmMinedBlock>();
  readonly #states = new Map<string, EvmState>();
  /** Of the best chain. */
  readonly #byNumber = new Map<number, EvmMinedBlock>();
  readonly #byTransaction = new Map<string, FoundTransaction>();
  #tip: EvmMinedBlock;

  constructor(options: EvmChainOptions, genesis: EvmMinedBlock, state: EvmState) {
    this.#options = options;
    this.#tip = genesis;
    this.#blocks.set(genesis.header.hash, genesis);
    this.#states.set(genesis.header.hash, state);
    this.#byNumber.set(0, genesis);
  }

  get tip(): EvmMinedBlock {
    return this.#tip;
  }

  /** The number from which on all blocks are kept. */
  get oldest(): number {
    return Math.max(0, this.#tip.header.number - this.#options.keepBlocks + 1);
  }

  /** Of the best chain. */
  at(number: number): EvmMinedBlock | undefined {
    return this.#byNumber.get(number);
  }

  /** Of any branch. */
  get(hash: string): EvmMinedBlock | undefined {
    return this.#blocks.get(hash);
  }

  isBest(block: EvmMinedBlock): boolean {
    return this.#byNumber.get(block.header.number) === block;
  }

  /** After the block; undefined where it is too old. */
  stateOf(block: EvmMinedBlock): EvmState | undefined {
    return this.#states.get(block.header.hash);
  }

  transaction(hash: string): FoundTransaction | undefined {
    return this.#byTransaction.get(hash);
  }

  /** Hashes of the best chain from the oldest block that is kept. */
  hashes(from = 0): string[] {
    return [...this.#byNumber.values()]
      .filter(({ header }) => header.number >= from)
      .toSorted((a, b) => a.header.number - b.header.number)
      .map(({ header }) => header.hash);
  }

  /** Keeps a block without making it part of the best chain. */
  add(block: EvmMinedBlock, state: EvmState): void {
    this.#blocks.set(block.header.hash, block);
    this.#states.set(block.header.hash, state);
  }

  /** Makes the best chain end with `tip`, which was added before. */
  moveTo(tip: EvmMinedBlock): EvmChange {
    const applied: EvmMinedBlock[] = [];
    let fork = tip;
    while (!this.isBest(fork)) {
      applied.unshift(fork);
      fork = this.#parentOf(fork);
    }
    const reverted: EvmMinedBlock[] = [];
    for (let number = this.#tip.header.number; number > fork.header.number; number--) {
      const block = this.#byNumber.get(number) as EvmMinedBlock;
      reverted.push(block);
      this.#byNumber.delete(number);
      for (const { hash } of block.transactions) this.#byTransaction.delete(hash);
    }
    for (const block of applied) {
      this.#byNumber.set(block.header.number, block);
      for (const [index, { hash }] of block.transactions.entries()) this.#byTransaction.set(hash, { block, index });
    }
    this.#tip = tip;
    this.#forgetOld();
    return { reverted, applied };
  }

  /** The block `depth` below the tip. Throws SPRINT_DEVNET_FORK where there is none whose state is kept. */
  below(depth: number): EvmMinedBlock {
    const block = this.#byNumber.get(this.#tip.header.number - depth);
    if (depth < 1 || block === undefined || !this.#states.has(block.header.hash)) throw tooDeep(depth);
    return block;
  }

  #parentOf({ header }: EvmMinedBlock): EvmMinedBlock {
    const parent = this.#blocks.get(header.parentHash);
    if (parent === undefined) throw tooDeep(this.#tip.header.number - header.number);
    return parent;
  }

  /** In the order in which they were added, which is that of their numbers but for branches that are short. */
  #forgetOld(): void {
    const tip = this.#tip.header.number;
    for (const hash of this.#states.keys()) {
      const number = this.#blocks.get(hash)?.header.number ?? 0;
      if (number > tip - KEEP_STATES) break;
      this.#states.delete(hash);
    }
    for (const [hash, block] of this.#blocks) {
      const { number } = block.header;
      if (number === 0) continue;
      if (number >= this.oldest) break;
      this.#blocks.delete(hash);
      if (!this.isBest(block)) continue;
      this.#byNumber.delete(number);
      for (const transaction of block.transactions) this.#byTransaction.delete(transaction.hash);
    }
  }
}

export function transactionsOf(blocks: readonly EvmMinedBlock[]): SignedTransaction[] {
  return blocks.flatMap(({ transactions }) => transactions);
}

function tooDeep(depth: number): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_FORK",
    `Expected a depth from 1 to ${KEEP_STATES - 1} above genesis, got ${depth}.`,
    { depth, maxDepth: KEEP_STATES - 1 },
  );
}
