/** Transactions that wait for a block, and where they come from: development accounts that pay each other and move tokens. */
import type { Random } from "../../shared/clock.ts";
import { hexOf } from "../chain/index.ts";
import { type DevAccount, type SignedTransaction, signTransaction } from "./evm-accounts.ts";
import type { EvmState } from "./evm-state.ts";
import { transferCall } from "./evm-token.ts";

export interface EvmPoolOptions {
  readonly chainId: bigint;
  /** Of the contract whose tokens are moved. */
  readonly token: string;
}

export interface EvmPoolModules {
  readonly accounts: readonly DevAccount[];
  readonly random: Random;
  readonly onPending: (transactions: readonly SignedTransaction[]) => void;
}

const MAX_POOL = 1_024;
/** Receivers beside the accounts, so that not everybody knows everybody. */
const STRANGERS = 48;
const BLOB_CHANCE = 0.03;
const MAX_BLOBS = 6;
const GWEI = 10n ** 9n;
/** What a base fee of this little market never comes to. */
const MAX_FEE = 500n * GWEI;
export const TRANSFER_GAS = 21_000n;
/** Near what moving tokens costs: execution is not simulated. */
export const TOKEN_GAS = 51_482n;

export class EvmPool {
  readonly #options: EvmPoolOptions;
  readonly #modules: EvmPoolModules;
  readonly #strangers: readonly string[];
  #waiting: SignedTransaction[] = [];

  constructor(options: EvmPoolOptions, modules: EvmPoolModules) {
    this.#options = options;
    this.#modules = modules;
    this.#strangers = Array.from({ length: STRANGERS }, () => hexOf(this.#bytes(20)));
  }

  get transactions(): readonly SignedTransaction[] {
    return this.#waiting;
  }

  /** Makes `count` more, less where too many wait, and tells of them. `state` is that of the tip. */
  add(count: number, state: EvmState): void {
    const made: SignedTransaction[] = [];
    const nonces = new Map<string, number>();
    for (const { from } of this.#waiting) nonces.set(from, (nonces.get(from) ?? state.at(from).nonce) + 1);
    for (let left = Math.min(count, MAX_POOL - this.#waiting.length); left > 0; left--) {
      const account = this.#pick(this.#modules.accounts);
      const nonce = nonces.get(account.address) ?? state.at(account.address).nonce;
      nonces.set(account.address, nonce + 1);
      made.push(signTransaction(this.#draft(nonce), account, this.#options.chainId));
    }
    this.#waiting.push(...made);
    if (made.length > 0) this.#modules.onPending(made);
  }

  /** Blocks were taken back and others came: what is in none of them waits again, before the rest. */
  settle(reverted: readonly SignedTransaction[], applied: readonly SignedTransaction[]): void {
    const done = new Set(applied.map(({ hash }) => hash));
    const open = new Map([...reverted, ...this.#waiting].map((each) => [each.hash, each]));
    this.#waiting = [...open.values()].filter(({ hash }) => !done.has(hash));
  }

  #draft(nonce: number): Parameters<typeof signTransaction>[0] {
    const { random, accounts } = this.#modules;
    const maxPriorityFeePerGas = 1n + BigInt(Math.floor(random() * 3e9));
    const fees = { nonce, maxFeePerGas: MAX_FEE, maxPriorityFeePerGas, maxFeePerBlobGas: GWEI };
    const to = random() < 0.5 ? this.#pick(this.#strangers) : this.#pick(accounts.map(({ address }) => address));
    if (random() < 0.5) {
      const amount = 1n + BigInt(Math.floor(random() * 1e15));
      const call = { to: this.#options.token, value: 0n, input: transferCall(to, amount) };
      return { ...fees, ...call, gasLimit: TOKEN_GAS, blobVersionedHashes: [] };
    }
    const blobs = random() < BLOB_CHANCE ? 1 + Math.floor(random() * MAX_BLOBS) : 0;
    const blobVersionedHashes = Array.from({ length: blobs }, () => `0x01${this.#bytes(31).toString("hex")}`);
    const value = BigInt(Math.floor(random() * 1e15));
    return { ...fees, to, value, input: "0x", gasLimit: TRANSFER_GAS, blobVersionedHashes };
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#modules.random() * list.length)] as T;
  }

  #bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => Math.floor(this.#modules.random() * 256)));
  }
}
