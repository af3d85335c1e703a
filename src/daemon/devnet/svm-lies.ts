/** The ledger as one node shows it: the truth, or wrong in exactly the way that a test asks for. */
import { hash } from "node:crypto";
import { encodeBase58 } from "../chain/index.ts";
import { type SvmBank, type SvmCommitment, ancestor } from "./svm-bank.ts";
import type { SvmLedger, SvmSlotEvent } from "./svm-ledger.ts";
import { readTransaction } from "./svm-transactions.ts";

export const SVM_LIES = [
  /** Blocks from now on have another blockhash than their entries end with and the next block builds on. */
  "wrong-blockhash",
  /** Their `previousBlockhash` is nobody's. */
  "wrong-parent",
  /** A bit of the first signature of each is another. */
  "bad-signature",
  /** `getBlock` answers null for them. */
  "null-block",
  /** Subscriptions are taken, and nothing comes. */
  "silent",
  /** Slots are told of and named as the newest one that never get a block. */
  "phantom-slots",
  /** All is told as it was eight blocks before. */
  "backwards",
  "wrong-genesis",
] as const;
export type SvmLie = (typeof SVM_LIES)[number];

/** How far a node is back that goes backwards, and ahead that tells of slots which never come. */
const LIE_DISTANCE = 8;
const SIGNATURE_OFFSET = 1;

export class SvmView {
  readonly ledger: SvmLedger;
  /** The first slot that a lie is told of. */
  readonly #lies = new Map<SvmLie, number>();

  constructor(ledger: SvmLedger) {
    this.ledger = ledger;
  }

  tell(lie: SvmLie, on: boolean): void {
    if (on) this.#lies.set(lie, this.ledger.get("processed").slot + 1);
    else this.#lies.delete(lie);
  }

  get silent(): boolean {
    return this.#lies.has("silent");
  }

  /** Slots told of beyond the true one. */
  get phantomSlots(): number {
    return this.#lies.has("phantom-slots") ? LIE_DISTANCE : 0;
  }

  get genesisHash(): string {
    return this.#lies.has("wrong-genesis") ? nobodys(this.ledger.genesisHash) : this.ledger.genesisHash;
  }

  get(commitment: SvmCommitment): SvmBank {
    return this.shown(this.ledger.get(commitment));
  }

  /** The bank that is told of in place of `bank`. */
  shown(bank: SvmBank): SvmBank {
    return this.#lies.has("backwards") ? ancestor(bank, LIE_DISTANCE) : bank;
  }

  /** What is told in place of `event`. */
  event(event: SvmSlotEvent): SvmSlotEvent {
    if (!this.#lies.has("backwards")) return event;
    const bank = this.shown("bank" in event ? event.bank : this.ledger.get("processed"));
    if ("bank" in event) return { ...event, slot: bank.slot, bank };
    return event.type === "createdBank"
      ? { ...event, slot: bank.slot, parent: bank.parentSlot }
      : { ...event, slot: bank.slot };
  }

  /** What is handed out as that bank's block. */
  block(bank: SvmBank): SvmBank | null {
    const told = (lie: SvmLie): boolean => bank.slot >= (this.#lies.get(lie) ?? Number.POSITIVE_INFINITY);
    if (told("null-block")) return null;
    let block = bank;
    if (told("wrong-blockhash")) block = { ...block, blockhash: nobodys(block.blockhash) };
    if (told("wrong-parent")) block = { ...block, parentHash: hash("sha256", block.parentHash, "buffer") };
    return told("bad-signature") ? withBadSignature(block) : block;
  }
}

function nobodys(name: string): string {
  return encodeBase58(hash("sha256", Buffer.from(name), "buffer"));
}

function withBadSignature(bank: SvmBank): SvmBank {
  const [first, ...others] = bank.transactions;
  if (first === undefined) return bank;
  const bytes = Uint8Array.from(first.bytes);
  bytes[SIGNATURE_OFFSET] = (bytes[SIGNATURE_OFFSET] as number) ^ 1;
  const { signature } = readTransaction(bytes);
  return { ...bank, transactions: [{ ...first, bytes, signature }, ...others] };
}
