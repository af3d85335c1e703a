/**
 * An Ethereum node of a chain of its own: genesis is made at the start, blocks by the clock or on orders, and served as nodes serve
 * them. Headers, roots, signatures and proofs are real; what a contract does is not executed but known.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Cancel, Clock, Random } from "../../shared/clock.ts";
import { SprintError, messageOf } from "../../shared/errors.ts";
import { hexOf, keccak256 } from "../chain/index.ts";
import { type DevAccount, devAccounts } from "./evm-accounts.ts";
import { EvmChain, transactionsOf } from "./evm-chain.ts";
import type { EvmLie } from "./evm-lies.ts";
import { type EvmMinedBlock, genesisBlock, mineEvmBlock, nextBaseFee } from "./evm-miner.ts";
import {
  EVM_DEVNET_CHAIN_ID,
  EVM_DEVNET_DEFAULTS,
  type EvmDevnetNode,
  type EvmDevnetOptions,
  demand,
  notStarted,
} from "./evm-node.ts";
import { EvmPool } from "./evm-pool.ts";
import { EvmServer } from "./evm-server.ts";
import { EvmState } from "./evm-state.ts";
import { TOKEN_CODE, TOKEN_SUPPLY, word } from "./evm-token.ts";

export interface EvmEmbeddedModules {
  readonly clock: Clock;
  readonly random: Random;
}

const ACCOUNTS = 10;
const BALANCE = 10_000n * 10n ** 18n;
const CHAIN_ID = BigInt(EVM_DEVNET_CHAIN_ID);
/** Between two blocks transactions come in so many parts. */
const PARTS = 4;
const MAX_FORK = 2;

export class EvmEmbeddedNode implements EvmDevnetNode {
  readonly kind = "embedded";
  /** Of the contract whose transfers are logged. */
  readonly token = hexOf(keccak256(Buffer.from("sprint devnet token")).subarray(12));
  readonly #options: EvmDevnetOptions;
  readonly #modules: EvmEmbeddedModules;
  readonly #accounts: readonly DevAccount[] = devAccounts(ACCOUNTS);
  readonly #chain: EvmChain;
  readonly #pool: EvmPool;
  readonly #server: EvmServer;
  readonly #lies = new Set<EvmLie>();
  #running = false;
  #port: number;
  #cancelTimer: Cancel = () => {};
  /** Blocks are made one after the other, whoever orders them. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  #withdrawals = 0;

  constructor(options: Partial<EvmDevnetOptions>, modules: EvmEmbeddedModules) {
    this.#options = { ...EVM_DEVNET_DEFAULTS, ...options };
    this.#modules = modules;
    this.#port = this.#options.port;
    const state = this.#genesisState();
    const { historyBlocks, keepBlocks } = this.#options;
    const genesis = genesisBlock(this.#nowSeconds() - historyBlocks * this.#stepSeconds(), state, modules.random);
    this.#chain = new EvmChain({ keepBlocks }, genesis, state);
    this.#pool = new EvmPool(
      { chainId: CHAIN_ID, token: this.token },
      {
        accounts: this.#accounts,
        random: modules.random,
        onPending: (transactions) => this.#server.tellPending(transactions),
      },
    );
    this.#server = new EvmServer({ chainId: CHAIN_ID, chain: this.#chain, pool: this.#pool, lies: this.#lies });
  }

  /** Mines the history where there is none, and listens. Rejects with SPRINT_DEVNET_LISTEN where it cannot. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const { host, historyBlocks } = this.#options;
    const missing = historyBlocks - this.#chain.tip.header.number;
    const now = this.#nowSeconds();
    await this.#inTurn(async () => {
      for (let left = missing; left > 0; left--) await this.#extend(now - left * this.#stepSeconds());
    });
    try {
      this.#port = await this.#server.listen(host, this.#port);
    } catch (error) {
      this.#running = false;
      throw cannotListen(host, this.#port, error);
    }
    this.#schedule(0);
  }

  async close(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#cancelTimer();
    await this.#lastTurn;
    await this.#server.close();
  }

  get url(): string {
    return `ws://${this.#options.host}:${this.#port}`;
  }

  get tip(): { readonly hash: string; readonly height: number } {
    const { hash, number } = this.#chain.tip.header;
    return { hash, height: number };
  }

  /** Addresses of those who send transactions. */
  get accounts(): string[] {
    return this.#accounts.map(({ address }) => address);
  }

  mine(count = 1): Promise<string[]> {
    return this.#inTurn(async () => {
      const hashes: string[] = [];
      for (let i = 0; i < count; i++) hashes.push((await this.#extend(this.#nowSeconds())).header.hash);
      return hashes;
    });
  }

  reorg(depth: number, length = depth): Promise<string[]> {
    return this.#inTurn(async () => {
      let parent = this.#chain.below(depth);
      const branch: EvmMinedBlock[] = [];
      // What was taken back is mined again, in blocks of other times and shapes.
      const reverted = Array.from({ length: depth }, (_, i) => this.#chain.at(parent.header.number + 1 + i));
      const open = [...transactionsOf(reverted.filter((block) => block !== undefined)), ...this.#pool.transactions];
      for (let i = 0; i < length; i++) {
        parent = this.#block(parent, open, this.#nowSeconds());
        branch.push(parent);
        await nextTurn();
      }
      this.#moveTo(parent, true);
      return branch.map(({ header }) => header.hash);
    });
  }

  rollback(depth: number): Promise<void> {
    return this.#inTurn(() => this.#moveTo(this.#chain.below(depth), false));
  }

  freeze(): void {
    this.#server.freeze();
  }

  thaw(): void {
    this.#server.thaw();
  }

  async hashes(from = 0): Promise<string[]> {
    return this.#chain.hashes(from);
  }

  /** Answers with what is wrong in the way of `lie` from now on, until `on` is false. */
  lie(lie: EvmLie, on = true): void {
    if (on) this.#lies.add(lie);
    else this.#lies.delete(lie);
  }

  /** Mines a block whose base fee is one wei more than its parent says, and goes on from it. */
  mineWrongBaseFee(): Promise<string> {
    return this.#inTurn(async () => (await this.#extend(this.#nowSeconds(), 1n)).header.hash);
  }

  /** Hangs up on every WebSocket; they may call again. */
  disconnect(): void {
    this.#server.disconnect();
  }

  async #extend(time: number, baseFeeOff = 0n): Promise<EvmMinedBlock> {
    this.#fillPool(1);
    const block = this.#block(this.#chain.tip, this.#pool.transactions, time, baseFeeOff);
    this.#moveTo(block, true);
    // Each announcement is a turn of its own, and sockets are served between blocks.
    await nextTurn();
    return block;
  }

  #block(
    parent: EvmMinedBlock,
    waiting: Parameters<typeof mineEvmBlock>[2],
    time: number,
    baseFeeOff = 0n,
  ): EvmMinedBlock {
    const state = (this.#chain.stateOf(parent) as EvmState).copy();
    const { random } = this.#modules;
    const beneficiary = this.#accounts[Math.floor(random() * ACCOUNTS)]?.address as string;
    const options = { time, beneficiary, token: this.token, withdrawalIndex: this.#withdrawals, baseFeeOff };
    const block = mineEvmBlock(parent.header, state, waiting, options, random);
    this.#withdrawals += block.withdrawals.length;
    this.#chain.add(block, state);
    return block;
  }

  #moveTo(tip: EvmMinedBlock, told: boolean): void {
    const change = this.#chain.moveTo(tip);
    this.#pool.settle(transactionsOf(change.reverted.toReversed()), transactionsOf(change.applied));
    if (told) this.#server.tellChange(change);
  }

  /** `share` of what comes between two blocks. */
  #fillPool(share: number): void {
    const { tip } = this.#chain;
    const count = demand(this.#options.transactionsPerBlock, nextBaseFee(tip.header), this.#modules.random());
    const missing = Math.round(count * share) - (share === 1 ? this.#pool.transactions.length : 0);
    this.#pool.add(missing, this.#chain.stateOf(tip) as EvmState);
  }

  /** Parts of the interval: in the last one a block is mined. */
  #schedule(part: number): void {
    const { blockIntervalMs, forkChance } = this.#options;
    if (blockIntervalMs === null || !this.#running) return;
    const { clock, random } = this.#modules;
    this.#cancelTimer = clock.after((blockIntervalMs / PARTS) * (0.5 + random()), () => {
      if (part < PARTS - 1) {
        this.#fillPool(1 / PARTS);
        return this.#schedule(part + 1);
      }
      const depth = 1 + Math.floor(random() * MAX_FORK);
      const forks = random() < forkChance && this.#chain.tip.header.number > depth;
      const turn = forks ? this.reorg(depth, depth + Math.round(random())) : this.mine();
      turn.then(
        () => this.#schedule(0),
        () => this.#schedule(0),
      );
    });
  }

  #genesisState(): EvmState {
    const share = TOKEN_SUPPLY / BigInt(ACCOUNTS);
    const state = new EvmState();
    for (const { address } of this.#accounts) state.credit(address, BALANCE);
    const storage = new Map(this.#accounts.map(({ address }) => [word(address), share]));
    state.change(this.token, { nonce: 1, code: TOKEN_CODE, storage });
    return state;
  }

  #stepSeconds(): number {
    return Math.max(1, Math.round((this.#options.blockIntervalMs ?? 1_000) / 1_000));
  }

  #nowSeconds(): number {
    return Math.floor(this.#modules.clock.wall() / 1_000);
  }

  #inTurn<T>(task: () => Promise<T> | T): Promise<T> {
    const turn = this.#lastTurn.then(() => {
      if (!this.#running) throw notStarted();
      return task();
    });
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }
}

function cannotListen(host: string, port: number, cause: unknown): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_LISTEN",
    `The ethereum devnet node expected to listen on ${host}:${port}, got: ${messageOf(cause)}. Free that port, or use port 0.`,
    { chain: "ethereum", host, port },
    { cause },
  );
}
