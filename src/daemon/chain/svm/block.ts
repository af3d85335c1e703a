/**
 * Blocks as `getBlock` gives them. Solana has no header whose hash is the block's name: the blockhash is the end of its proof of
 * history, so it can be proved where the entries are given, and else only that the next block builds on it.
 */
import type { Refusal } from "../types.ts";
import { encodeBase58 } from "./base58.ts";
import { attempt, failure, failureIn } from "./failure.ts";
import { base58Of, type Json, listOf, objectOf, wholeNumberOf } from "./json.ts";
import type { SvmParams } from "./params.ts";
import { entriesFromJson, type Entry, type EntryFacts, verifyEntries } from "./poh.ts";
import { type GivenTransaction, transactionFromJson } from "./rpc.ts";
import {
  isVote,
  type Sample,
  type SignatureFacts,
  signatureOf,
  type Transaction,
  verifySignatures,
} from "./transaction.ts";

/** A block's place in the chain. */
export interface SvmHeader {
  /** Null where nobody said which: getBlock is asked by slot, and does not repeat it. */
  readonly slot: number | null;
  /** Less than `slot` - 1 where slots were skipped: these have no block, and none is missing. */
  readonly parentSlot: number;
  readonly hash: string;
  /** Null where the node no longer has the parent. */
  readonly parentHash: string | null;
  /** Blocks below this one, skipped slots not counted; null where the node does not tell. */
  readonly height: number | null;
  /** Unix seconds, as the validators voted; null in old blocks. */
  readonly timestamp: number | null;
}

export interface SvmFacts {
  /** Null where the node was asked for none of them. */
  readonly txCount: number | null;
  /** Null where not all messages were given. */
  readonly voteCount: number | null;
  /** Transactions whose message was not given, so that neither it nor its signatures were checked. */
  readonly opaque: number;
  readonly signatures: SignatureFacts;
  /** Null where no entries were given, or not where they begin. */
  readonly entries: EntryFacts | null;
  /** What could not be proved, a phrase each. */
  readonly skipped: readonly string[];
}

/** A block whose body holds, and what it holds. */
export interface SvmProof {
  readonly facts: SvmFacts;
  /** Null where none were given. */
  readonly transactions: readonly GivenTransaction[] | null;
}

export type SvmVerdict =
  | { readonly ok: true; readonly header: SvmHeader; readonly facts: SvmFacts }
  | { readonly ok: false; readonly header: SvmHeader | null; readonly refusal: Refusal };

export interface SvmBlockOptions {
  readonly params: SvmParams;
  /** As asked for; null takes what the block says, if it does. */
  readonly slot?: number | null;
  /** Which signatures are verified; null for all. */
  readonly sample?: Sample | null;
}

const HASH_BYTES = 32;
/** More than the compute units of a block pay for. */
const MAX_TRANSACTIONS = 2 ** 17;
/** What a node writes for a parent that it no longer has: 32 zero bytes. */
const NO_HASH = "1".repeat(HASH_BYTES);

/** The place of `result`, a parsed `getBlock` result. Throws SPRINT_SVM_*. */
export function decodeSvmHeader(result: unknown, { params, slot = null }: SvmBlockOptions): SvmHeader {
  const block = blockOf(result);
  const header = {
    slot: slotOf(block, slot),
    parentSlot: wholeNumberOf(block["parentSlot"], "parentSlot"),
    hash: hashOf(block["blockhash"], "blockhash"),
    parentHash: hashOf(block["previousBlockhash"], "previousBlockhash"),
    height: optionalNumber(block["blockHeight"], "blockHeight"),
    timestamp: optionalNumber(block["blockTime"], "blockTime"),
  };
  checkPlace(header);
  return isFirst(header) ? firstOf(header, params) : { ...header, parentHash: known(header.parentHash) };
}

/** Everything about `result`, a parsed `getBlock` result, that can be proved of it alone. CPU-heavy: a signature is some 0.1 ms. */
export function checkSvmBlock(result: unknown, options: SvmBlockOptions): SvmVerdict {
  const placed = attempt(() => decodeSvmHeader(result, options));
  if (!placed.ok) return { ok: false, header: null, refusal: placed.refusal };
  const header = placed.value;
  const proved = attempt(() => proveSvmBody(result, header, options));
  return proved.ok ? { ok: true, header, facts: proved.value.facts } : { ok: false, header, refusal: proved.refusal };
}

/** Whether `child` is the block after `parent`. Nothing is wrong with slots between them. Null where the parent is not known. */
export function checkSvmLink(parent: SvmHeader, child: SvmHeader): Refusal | null {
  const checked = attempt(() => {
    if (child.parentHash !== null && child.parentHash !== parent.hash) {
      throw failure("SPRINT_SVM_PARENT_HASH", "previousBlockhash", parent.hash, child.parentHash);
    }
    if (parent.slot !== null && child.parentSlot !== parent.slot) {
      throw failure("SPRINT_SVM_PARENT_SLOT", "parentSlot", parent.slot, child.parentSlot);
    }
    if (parent.height !== null && child.height !== null && child.height !== parent.height + 1) {
      throw failure("SPRINT_SVM_HEIGHT", "blockHeight", parent.height + 1, child.height);
    }
  });
  return checked.ok ? null : checked.refusal;
}

// --- the place

function blockOf(result: unknown): Json {
  if (result === null) {
    const actual = "null: the slot was skipped, or the node does not have it (any more)";
    throw failure("SPRINT_SVM_NULL_BLOCK", "block", "an object", actual);
  }
  return objectOf(result, "block");
}

function slotOf(block: Json, asked: number | null): number | null {
  const told = optionalNumber(block["slot"], "slot");
  if (asked !== null && told !== null && told !== asked) throw failure("SPRINT_SVM_SLOT", "slot", asked, told);
  return asked ?? told;
}

function optionalNumber(value: unknown, what: string): number | null {
  return value === undefined || value === null ? null : wholeNumberOf(value, what);
}

/** Each hash has one spelling, so what was read is what would be written. */
function hashOf(value: unknown, what: string): string {
  return encodeBase58(base58Of(value, what, HASH_BYTES));
}

function known(hash: string): string | null {
  return hash === NO_HASH ? null : hash;
}

function checkPlace(header: SvmHeader & { readonly parentHash: string }): void {
  const { slot, parentSlot, hash, parentHash, height } = header;
  if (hash === NO_HASH || hash === parentHash) {
    throw failure("SPRINT_SVM_BLOCKHASH", "blockhash", "one that is neither zero nor the parent's", hash);
  }
  if (slot !== null && slot > 0 && parentSlot >= slot) {
    throw failure("SPRINT_SVM_PARENT_SLOT", "parentSlot", `less than ${slot}, the slot`, parentSlot);
  }
  if (slot === 0 && parentSlot !== 0) throw failure("SPRINT_SVM_PARENT_SLOT", "parentSlot of slot 0", 0, parentSlot);
  if (height !== null && height > parentSlot + 1) {
    const expected = `at most ${parentSlot + 1}, as there are no more slots below`;
    throw failure("SPRINT_SVM_HEIGHT", "blockHeight", expected, height);
  }
}

function isFirst({ slot, height, parentSlot }: SvmHeader): boolean {
  return slot === 0 || (slot === null && height === 0 && parentSlot === 0);
}

/** The block of slot 0 builds on the genesis configuration; nodes leave that out. */
function firstOf(header: SvmHeader & { readonly parentHash: string }, { genesisHash }: SvmParams): SvmHeader {
  const parentHash = known(header.parentHash) ?? genesisHash;
  if (genesisHash !== null && parentHash !== genesisHash) {
    throw failure("SPRINT_SVM_GENESIS", "previousBlockhash of slot 0", genesisHash, header.parentHash);
  }
  return { ...header, parentHash, height: header.height ?? 0 };
}

// --- the body

/** What `checkSvmBlock` proves of a body; `header` is that of the same result. Throws SPRINT_SVM_*. */
export function proveSvmBody(result: unknown, header: SvmHeader, { params, sample = null }: SvmBlockOptions): SvmProof {
  const { transactions: given, signatures: names, entries: rows } = blockOf(result);
  const transactions = given === undefined ? null : readTransactions(given);
  const entries = rows === undefined || rows === null ? null : entriesFromJson(rows);
  const whole = (transactions ?? []).filter(hasMessage);
  // what is cheap to find out comes before what is not
  const proof = entries === null || transactions === null ? null : prove(entries, header, transactions, params);
  const signatures = verifySignatures(whole, sample);
  const opaque = (transactions?.length ?? 0) - whole.length;
  const txCount =
    transactions?.length ?? (names === undefined ? null : listOf(names, "signatures", MAX_TRANSACTIONS).length);
  const facts = {
    txCount,
    voteCount: transactions === null || opaque > 0 ? null : whole.filter(isVote).length,
    opaque,
    signatures,
    entries: proof,
    skipped: [
      ...(transactions === null ? ["transactions: not given"] : []),
      ...(opaque > 0 ? [`messages and signatures of ${opaque} transactions: not in a form that was signed`] : []),
      ...(signatures.sample === null ? [] : [partOf(signatures)]),
      ...(proof === null ? ["blockhash: needs the entries and where they begin"] : []),
    ],
  };
  return { facts, transactions };
}

function partOf({ signatures, verified, sample }: SignatureFacts): string {
  return `${signatures - verified} of ${signatures} signatures: not in the sample of seed ${sample?.seed}`;
}

/** Null where the parent's blockhash, from which the first entry starts, is not known. */
function prove(
  entries: readonly Entry[],
  header: SvmHeader,
  transactions: readonly GivenTransaction[],
  params: SvmParams,
): EntryFacts | null {
  const { slot, parentSlot, hash, parentHash } = header;
  if (parentHash === null) return null;
  return verifyEntries(entries, {
    start: base58Of(parentHash, "previousBlockhash", HASH_BYTES),
    blockhash: base58Of(hash, "blockhash", HASH_BYTES),
    slots: slot === null ? null : Math.max(1, slot - parentSlot),
    signatures: transactions.map(({ signatures }) => signatures),
    params,
  });
}

function readTransactions(value: unknown): readonly GivenTransaction[] {
  const names = new Map<string, number>();
  return listOf(value, "transactions", MAX_TRANSACTIONS).map((item, index) => {
    const read = attempt(() => transactionFromJson(item));
    if (!read.ok) throw failureIn(`transaction ${index}`, read.refusal, { index });
    const name = Buffer.from(read.value.signatures[0] ?? []).toString("latin1");
    const before = names.get(name);
    if (before !== undefined) {
      throw failure("SPRINT_SVM_DUPLICATE_TRANSACTION", `transaction ${index}`, "one of its own", `that of ${before}`, {
        transaction: signatureOf(read.value),
      });
    }
    names.set(name, index);
    return read.value;
  });
}

function hasMessage(transaction: GivenTransaction): transaction is Transaction {
  return transaction.message !== null;
}
