/** Accounts and their storage, as the state root of a block stands over them. */
import {
  EMPTY_CODE_HASH,
  EMPTY_TRIE_ROOT,
  encodeRlp,
  encodeRlpBytes,
  hexOf,
  integerBytes,
  keccak256,
  trieProof,
  trieRoot,
} from "../chain/index.ts";
import { bytesOf } from "./evm-accounts.ts";

export interface EvmAccount {
  readonly nonce: number;
  /** Wei. */
  readonly balance: bigint;
  /** Hex, "0x" for none. */
  readonly code: string;
  /** By slot, 32 bytes in hex without 0x; zeros are not there. */
  readonly storage: ReadonlyMap<string, bigint>;
}

const NOBODY: EvmAccount = { nonce: 0, balance: 0n, code: "0x", storage: new Map() };

type Pair = readonly [key: Uint8Array, value: Uint8Array];

export class EvmState {
  readonly #accounts: Map<string, EvmAccount>;

  constructor(accounts: Iterable<readonly [address: string, account: EvmAccount]> = []) {
    this.#accounts = new Map(accounts);
  }

  /** Another one that may be changed; accounts are shared, as they never change. */
  copy(): EvmState {
    return new EvmState(this.#accounts);
  }

  at(address: string): EvmAccount {
    return this.#accounts.get(address) ?? NOBODY;
  }

  change(address: string, changes: Partial<EvmAccount>): void {
    this.#accounts.set(address, { ...this.at(address), ...changes });
  }

  credit(address: string, wei: bigint): void {
    this.change(address, { balance: this.at(address).balance + wei });
  }

  /** 32 bytes. */
  root(): Buffer {
    return trieRoot(this.#pairs());
  }

  /** What eth_getProof answers (EIP-1186); `slots` as they were asked for. */
  proof(address: string, slots: readonly string[]): object {
    const account = this.at(address);
    const storage = storagePairs(account);
    return {
      address,
      accountProof: trieProof(this.#pairs(), keccak256(bytesOf(address))).map(hexOf),
      balance: `0x${account.balance.toString(16)}`,
      codeHash: codeHash(account),
      nonce: `0x${account.nonce.toString(16)}`,
      storageHash: storageRoot(account),
      storageProof: slots.map((slot) => ({
        key: slot,
        value: `0x${(account.storage.get(slotOf(slot)) ?? 0n).toString(16)}`,
        proof: trieProof(storage, keccak256(Buffer.from(slotOf(slot), "hex"))).map(hexOf),
      })),
    };
  }

  #pairs(): Pair[] {
    return [...this.#accounts].map(([address, account]) => [
      keccak256(bytesOf(address)),
      encodeRlp([
        integerBytes(account.nonce),
        integerBytes(account.balance),
        bytesOf(storageRoot(account)),
        bytesOf(codeHash(account)),
      ]),
    ]);
  }
}

/** A key as it was asked for, a quantity or 32 bytes, as `EvmAccount.storage` has it. */
function slotOf(key: string): string {
  return key.slice(2).toLowerCase().padStart(64, "0");
}

function codeHash({ code }: EvmAccount): string {
  return code === "0x" ? EMPTY_CODE_HASH : hexOf(keccak256(bytesOf(code)));
}

function storageRoot(account: EvmAccount): string {
  return account.storage.size === 0 ? EMPTY_TRIE_ROOT : hexOf(trieRoot(storagePairs(account)));
}

function storagePairs({ storage }: EvmAccount): Pair[] {
  return [...storage].map(([slot, value]) => [
    keccak256(Buffer.from(slot, "hex")),
    encodeRlpBytes(integerBytes(value)),
  ]);
}
