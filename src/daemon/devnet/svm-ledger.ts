/**
 * The Solana devnet's chain: banks by slot on whatever branches, which of them is the newest, and how far they are confirmed and
 * rooted. Pure state with seeded keys; nodes serve it, several the same one where they shall race.
 */
import { hash } from "node:crypto";
import type { Cancel, Random } from "../../shared/clock.ts";
import { encodeBase58 } from "../chain/index.ts";
import {
  type SvmBank,
  type SvmCommitment,
  ancestor,
  groupTransactions,
  isOnBranch,
  proofOfHistory,
} from "./svm-bank.ts";
import { type ExecutedTransaction, type SvmAccount, execute } from "./svm-execute.ts";
import { SVM_PROGRAM, type SvmSigner, type SvmValidator, svmSigner } from "./svm-keys.ts";
import { MAX_BLOCKHASH_AGE, SvmPool } from "./svm-pool.ts";
import { SvmState } from "./svm-state.ts";
import { type SvmTransaction, keyOf, transferTransaction, voteTransaction } from "./svm-transactions.ts";

export interface SvmLedgerOptions {
  /** Blocks from the newest one down to the confirmed one. */
  readonly confirmedBehind: number;
  /** And to the root. */
  readonly rootBehind: number;
  /** Banks kept, of all branches; more than `rootBehind`. */
  readonly keepBanks: number;
  readonly slotsPerEpoch: number;
  readonly validators: number;
  /** Transfers in a block, at most, beside votes and what was sent in. */
  readonly maxTransfers: number;
}

export const SVM_LEDGER_DEFAULTS: SvmLedgerOptions = {
  confirmedBehind: 2,
  rootBehind: 32,
  keepBanks: 2_000,
  // Three minutes at 400 ms; mainnet has 432,000.
  slotsPerEpoch: 432,
  validators: 4,
  maxTransfers: 4,
};

/** In the order in which a validator tells them (`SlotUpdate`), one for each. */
export type SvmSlotEvent =
  | { readonly type: "firstShredReceived" | "completed"; readonly slot: number }
  | { readonly type: "createdBank"; readonly slot: number; readonly parent: number }
  | { readonly type: "frozen" | "optimisticConfirmation" | "root"; readonly slot: number; readonly bank: SvmBank }
  | { readonly type: "dead"; readonly slot: number; readonly err: string };

/** A tick mixes in one group of transactions, and the last is one of its own. */
const MAX_GROUPS = 60;
const LEADER_SLOTS = 4;
const PAYERS = 4;
const RECIPIENTS = 64;
const SOL = 1_000_000_000;
/** Of the fees, what the leader gets; the rest is burnt. */
const LEADER_SHARE = 0.5;

export class SvmLedger {
  readonly options: SvmLedgerOptions;
  readonly genesisHash: string;
  readonly validators: readonly SvmValidator[];
  readonly state: SvmState;
  readonly #random: Random;
  readonly #payers: readonly SvmSigner[];
  readonly #recipients: readonly Uint8Array[];
  readonly #pool = new SvmPool();
  /** In the order of slots. */
  readonly #banks = new Map<number, SvmBank>();
  readonly #bySignature = new Map<string, SvmBank[]>();
  readonly #listeners = new Set<(event: SvmSlotEvent) => void>();
  #tip: SvmBank;
  #confirmed: SvmBank;
  #root: SvmBank;
  #nextSlot = 1;

  constructor(options: Partial<SvmLedgerOptions>, modules: { readonly random: Random; readonly time: number }) {
    this.options = { ...SVM_LEDGER_DEFAULTS, ...options };
    this.#random = modules.random;
    const seed = Buffer.from(Array.from({ length: 32 }, () => Math.floor(modules.random() * 256)));
    const bytes = (name: string): Uint8Array => hash("sha256", Buffer.concat([seed, Buffer.from(name)]), "buffer");
    this.validators = Array.from({ length: this.options.validators }, (_, i) => ({
      identity: svmSigner(bytes(`identity ${i}`)),
      voteKey: bytes(`vote ${i}`),
      voteAddress: encodeBase58(bytes(`vote ${i}`)),
      commission: 5 * i,
      stake: Math.max(1, 10 - i) * 100_000 * SOL,
      votes: true,
    }));
    this.#payers = Array.from({ length: PAYERS }, (_, i) => svmSigner(bytes(`payer ${i}`)));
    this.#recipients = Array.from({ length: RECIPIENTS }, (_, i) => svmSigner(bytes(`recipient ${i}`)).key);
    this.state = new SvmState(genesisAccounts(this.validators, this.#payers));
    const genesis = bytes("genesis");
    this.genesisHash = encodeBase58(genesis);
    this.#tip = this.#confirmed = this.#root = this.#firstBank(genesis, modules.time);
    this.#keep(this.#tip);
  }

  get(commitment: SvmCommitment): SvmBank {
    if (commitment === "processed") return this.#tip;
    return commitment === "confirmed" ? this.#confirmed : this.#root;
  }

  /** The bank of that slot, on whichever branch. */
  at(slot: number): SvmBank | undefined {
    return this.#banks.get(slot);
  }

  /** The oldest that is kept. */
  get first(): SvmBank {
    return this.#banks.values().next().value as SvmBank;
  }

  /** Of `tip`'s branch, the bank that holds this transaction. */
  holderOf(signature: string, tip: SvmBank): SvmBank | undefined {
    return this.#bySignature.get(signature)?.find((bank) => isOnBranch(bank, tip));
  }

  /** Calls `listener` with each event in order; the returned function ends it. */
  onEvent(listener: (event: SvmSlotEvent) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Base58 of the identity that leads `slot`: four in a row, as often as its stake is. */
  leaderOf(slot: number): string {
    const turn = Buffer.alloc(8);
    turn.writeBigUInt64LE(BigInt(Math.floor(slot / LEADER_SLOTS)));
    const draw = hash("sha256", Buffer.concat([turn, keyOf(this.genesisHash)]), "buffer").readUInt32LE(0) / 2 ** 32;
    let left = draw * this.validators.reduce((sum, { stake }) => sum + stake, 0);
    const leader = this.validators.find(({ stake }) => (left -= stake) < 0) ?? this.validators[0];
    return (leader as SvmValidator).identity.address;
  }

  /** Transactions that no final block holds yet. */
  get waiting(): number {
    return this.#pool.size;
  }

  /** Takes it into the next blocks. False where there is no room; `lastHeight` as of its blockhash. */
  send(transaction: SvmTransaction, lastHeight: number): boolean {
    return this.#pool.add(transaction, lastHeight);
  }

  /** A transfer of one that has money; its signature. It is in the next block. */
  pay(to: Uint8Array, lamports: number): string {
    const from = this.#payers[0] as SvmSigner;
    // Two of the same amount to the same address on the same blockhash would be one.
    const memo = `devnet ${Math.floor(this.#random() * 2 ** 32)}`;
    const transaction = transferTransaction({ from, to, lamports, memo }, this.#tip.hash);
    this.#pool.add(transaction, this.#tip.height + MAX_BLOCKHASH_AGE);
    return transaction.signature;
  }

  /** Slots without a block: their leaders never came. */
  skip(slots: number): void {
    this.#nextSlot += slots;
  }

  /** A block in the next slot on `parent`, which becomes the newest one where `becomesTip`. `time` in Unix seconds. */
  extend(parent: SvmBank, time: number, becomesTip = true): SvmBank {
    const slot = this.#nextSlot++;
    const bank = this.#makeBank(parent, slot, Math.max(time, parent.time));
    this.#keep(bank);
    this.#tell({ type: "firstShredReceived", slot });
    this.#tell({ type: "createdBank", slot, parent: parent.slot });
    this.#tell({ type: "completed", slot });
    if (becomesTip) this.#tip = bank;
    this.#tell({ type: "frozen", slot, bank });
    if (becomesTip) this.#advance();
    this.#forget();
    return bank;
  }

  /** A slot whose block breaks off: nobody builds on it. */
  kill(): number {
    const slot = this.#nextSlot++;
    this.#tell({ type: "firstShredReceived", slot });
    this.#tell({ type: "createdBank", slot, parent: this.#tip.slot });
    this.#tell({ type: "dead", slot, err: "invalid block error: incomplete block" });
    return slot;
  }

  #firstBank(genesis: Uint8Array, time: number): SvmBank {
    const { end } = proofOfHistory(genesis, 1, []);
    return {
      slot: 0,
      parent: null,
      parentSlot: 0,
      parentHash: genesis,
      height: 0,
      hash: end,
      blockhash: encodeBase58(end),
      bankHash: hash("sha256", end, "buffer"),
      time,
      leader: this.leaderOf(0),
      reward: { lamports: 0, postBalance: this.state.at(null, this.leaderOf(0))?.lamports ?? 0 },
      transactions: [],
      changes: new Map(),
      transactionCount: 0,
      commitment: "finalized",
    };
  }

  #makeBank(parent: SvmBank, slot: number, time: number): SvmBank {
    const changes = new Map<string, SvmAccount>();
    const accounts = this.state.on(parent, changes);
    const taken: SvmTransaction[] = [];
    const transactions: ExecutedTransaction[] = [];
    for (const transaction of this.#draft(parent, time)) {
      const executed = execute(transaction, accounts);
      if (executed === null) continue;
      taken.push(transaction);
      transactions.push(executed);
    }
    const leader = this.leaderOf(slot);
    const fees = transactions.reduce((sum, { outcome }) => sum + outcome.fee, 0);
    const lamports = Math.floor(fees * LEADER_SHARE);
    const account = accounts.get(leader) as SvmAccount;
    const postBalance = account.lamports + lamports;
    accounts.set(leader, { ...account, lamports: postBalance });
    const { end } = proofOfHistory(parent.hash, slot - parent.slot, groupTransactions(taken));
    return {
      slot,
      parent,
      parentSlot: parent.slot,
      parentHash: parent.hash,
      height: parent.height + 1,
      hash: end,
      blockhash: encodeBase58(end),
      bankHash: hash("sha256", Buffer.concat([parent.bankHash, end]), "buffer"),
      time,
      leader,
      reward: { lamports, postBalance },
      transactions,
      changes,
      transactionCount: parent.transactionCount + transactions.length,
      commitment: "processed",
    };
  }

  /** A vote for the parent of each validator, what was sent in, and transfers of our own. */
  #draft(parent: SvmBank, time: number): SvmTransaction[] {
    const ballot = { slots: [parent.slot], bankHash: parent.bankHash, timestamp: time };
    const votes = this.validators
      .filter((validator) => validator.votes)
      .map((validator) => voteTransaction(validator, ballot, parent.hash));
    const sent = this.#pool.candidates(parent, (signature) => this.holderOf(signature, parent) !== undefined);
    const transfers = Array.from({ length: Math.floor(this.#random() * (this.options.maxTransfers + 1)) }, (_, i) =>
      this.#transfer(parent, i),
    );
    return [...votes, ...sent.slice(0, MAX_GROUPS - transfers.length), ...transfers];
  }

  /** Half of them of version 0, a third with a memo, a tenth of more than there is: these fail, and pay their fee. */
  #transfer(parent: SvmBank, index: number): SvmTransaction {
    const random = this.#random;
    const from = this.#payers[index % PAYERS] as SvmSigner;
    const lamports = Math.floor((random() < 0.1 ? 1e9 : random() + 0.001) * SOL);
    const to = this.#recipients[Math.floor(random() * RECIPIENTS)] as Uint8Array;
    const memo = random() < 1 / 3 ? { memo: `devnet ${parent.slot}.${index}` } : {};
    return transferTransaction({ from, to, lamports, version: random() < 0.5 ? 0 : "legacy", ...memo }, parent.hash);
  }

  #keep(bank: SvmBank): void {
    this.#banks.set(bank.slot, bank);
    for (const { signature } of bank.transactions) {
      this.#bySignature.set(signature, [...(this.#bySignature.get(signature) ?? []), bank]);
    }
  }

  /** Confirmed and root follow the newest block, and go back only with a branch that leaves the chain below them. */
  #advance(): void {
    this.#confirmed = this.#follow(this.#confirmed, this.options.confirmedBehind, "confirmed");
    const before = this.#root;
    const root = this.#follow(before, this.options.rootBehind, "finalized");
    if (root === before) return;
    this.#root = root;
    this.#pool.settle(root, (signature) => this.holderOf(signature, root) !== undefined);
  }

  #follow(from: SvmBank, behind: number, commitment: "confirmed" | "finalized"): SvmBank {
    let start = from;
    while (!isOnBranch(start, this.#tip)) {
      start.commitment = "processed";
      start = start.parent as SvmBank;
    }
    const target = ancestor(this.#tip, behind);
    if (target.height <= start.height) return start;
    const raised: SvmBank[] = [];
    for (let at = target; at !== start; at = at.parent as SvmBank) raised.unshift(at);
    for (const bank of raised) {
      bank.commitment = commitment;
      if (commitment === "confirmed") this.#confirmed = bank;
      else this.#root = bank;
      this.#tell({ type: commitment === "confirmed" ? "optimisticConfirmation" : "root", slot: bank.slot, bank });
    }
    return target;
  }

  #forget(): void {
    for (const bank of this.#banks.values()) {
      if (this.#banks.size <= this.options.keepBanks || bank.slot >= this.#root.slot) return;
      this.#banks.delete(bank.slot);
      if (bank.commitment === "finalized") this.state.settle(bank);
      for (const other of this.#banks.values()) {
        if (other.parent === bank) other.parent = null;
        if (other.height > bank.height + 1 && other.commitment === "finalized") break;
      }
      this.#forgetTransactions(bank);
    }
  }

  #forgetTransactions(bank: SvmBank): void {
    for (const { signature } of bank.transactions) {
      const others = (this.#bySignature.get(signature) ?? []).filter((other) => other !== bank);
      if (others.length === 0) this.#bySignature.delete(signature);
      else this.#bySignature.set(signature, others);
    }
  }

  #tell(event: SvmSlotEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function genesisAccounts(validators: readonly SvmValidator[], payers: readonly SvmSigner[]): Map<string, SvmAccount> {
  const wallet = (lamports: number): SvmAccount => ({
    lamports,
    owner: SVM_PROGRAM.SYSTEM,
    executable: false,
    vote: null,
  });
  const program: SvmAccount = { lamports: 1, owner: SVM_PROGRAM.LOADER, executable: true, vote: null };
  return new Map([
    ...payers.map(({ address }): [string, SvmAccount] => [address, wallet(5_000_000 * SOL)]),
    ...validators.flatMap(({ identity, voteAddress }): [string, SvmAccount][] => [
      [identity.address, wallet(1_000_000 * SOL)],
      [
        voteAddress,
        {
          lamports: 27_074_400,
          owner: SVM_PROGRAM.VOTE,
          executable: false,
          vote: { identity: identity.address, lastSlot: 0 },
        },
      ],
    ]),
    ...[SVM_PROGRAM.SYSTEM, SVM_PROGRAM.VOTE, SVM_PROGRAM.MEMO].map((address): [string, SvmAccount] => [
      address,
      program,
    ]),
  ]);
}
