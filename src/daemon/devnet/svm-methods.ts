/** What the Solana node can be asked over HTTP, of blocks, transactions and accounts. */
import { verifyEd25519, accountKey, MAX_TRANSACTION_BYTES, decodeBase58Bounded } from "../chain/index.ts";
import {
  ADDRESS_BYTES,
  SIGNATURE_BYTES,
  type SvmConfig,
  base58In,
  booleanIn,
  choiceIn,
  commitmentIn,
  configIn,
  invalidParams,
  listIn,
  numberIn,
  optionalNumberIn,
  settledCommitmentIn,
  textIn,
} from "./svm-arguments.ts";
import { type SvmBank, isOnBranch } from "./svm-bank.ts";
import { CLUSTER_METHODS } from "./svm-cluster-methods.ts";
import { type ExecutedTransaction, type SvmAccount, execute } from "./svm-execute.ts";
import type { SvmView } from "./svm-lies.ts";
import { MAX_BLOCKHASH_AGE, recentBank } from "./svm-pool.ts";
import { SVM_RPC_CODE, SvmRefusal, methodNotFound } from "./svm-request.ts";
import { type SvmTransaction, readTransaction } from "./svm-transactions.ts";
import {
  BASE58_LIMIT_BYTES,
  accountData,
  accountFormIn,
  accountView,
  blockFormIn,
  blockView,
  transactionView,
} from "./svm-views.ts";

export interface SvmMethodModules {
  readonly view: SvmView;
  /** The node asks another store for what it no longer has, and did not find it there either. */
  readonly longTermStorage: boolean;
}

export type SvmMethod = (params: readonly unknown[], modules: SvmMethodModules) => unknown;

/** Throws SvmRefusal. */
export function callSvmMethod(method: string, params: readonly unknown[], modules: SvmMethodModules): unknown {
  const known = Object.hasOwn(METHODS, method) ? METHODS[method] : CLUSTER_METHODS.get(method);
  if (known === undefined) throw methodNotFound();
  return known(params, modules);
}

const MAX_RANGE = 500_000;
const MAX_STATUSES = 256;
export const API_VERSION = "3.0.0";

const METHODS: Readonly<Record<string, SvmMethod>> = {
  getSlot: ([config], { view }) => bankFor(view, config).slot + view.phantomSlots,
  getBlockHeight: ([config], { view }) => bankFor(view, config).height,
  getTransactionCount: ([config], { view }) => bankFor(view, config).transactionCount,

  getLatestBlockhash([config], { view }) {
    const bank = bankFor(view, config);
    return inContext(bank, { blockhash: bank.blockhash, lastValidBlockHeight: bank.height + MAX_BLOCKHASH_AGE });
  },

  getBlock([slot, given], modules) {
    const config = typeof given === "string" ? { encoding: given } : configIn(given);
    const form = blockFormIn(config, { encoding: "json", rewards: true });
    const bank = modules.view.block(findBlock(numberIn(slot), config, modules));
    return bank === null ? null : blockView(bank, form);
  },

  getBlocks([from, to, given], { view }) {
    const isConfig = typeof to === "object" && to !== null;
    const config = configIn(isConfig ? to : given);
    const start = numberIn(from);
    const end = isConfig ? null : optionalNumberIn(to);
    const tip = view.get(settledCommitmentIn(config));
    if ((end ?? tip.slot) - start > MAX_RANGE) throw invalidParams(`Slot range too large; max ${MAX_RANGE}`);
    return slotsOf(tip, start, end ?? tip.slot);
  },

  getBlocksWithLimit([from, count, given], { view }) {
    const start = numberIn(from);
    const limit = numberIn(count);
    if (limit > MAX_RANGE) throw invalidParams(`Limit too large; max ${MAX_RANGE}`);
    const tip = view.get(settledCommitmentIn(configIn(given)));
    return slotsOf(tip, start, tip.slot).slice(0, limit);
  },

  getFirstAvailableBlock: (_params, { view }) => view.ledger.first.slot,
  minimumLedgerSlot: (_params, { view }) => view.ledger.first.slot,

  getBlockTime([given], modules) {
    const slot = numberIn(given);
    if (slot > modules.view.get("finalized").slot) return modules.view.ledger.at(slot)?.time ?? null;
    return findBlock(slot, {}, modules).time;
  },

  getSignatureStatuses([signatures, given], { view }) {
    configIn(given);
    const tip = view.get("processed");
    const statuses = listIn(signatures, MAX_STATUSES).map((each) =>
      statusOf(base58In(each, SIGNATURE_BYTES), tip, view),
    );
    return inContext(tip, statuses);
  },

  getTransaction([name, given], { view }) {
    const signature = base58In(name, SIGNATURE_BYTES);
    const config = typeof given === "string" ? { encoding: given } : configIn(given);
    const form = { ...blockFormIn(config, { encoding: "json", rewards: false }), details: "full" as const };
    const found = view.ledger.holderOf(signature, view.get(settledCommitmentIn(config)));
    const bank = found === undefined ? null : view.block(found);
    const transaction = bank?.transactions.find((each) => each.signature === signature);
    if (bank === null || transaction === undefined) return null;
    return { blockTime: bank.time, ...transactionView(transaction, form), slot: bank.slot };
  },

  getAccountInfo([address, given], { view }) {
    const config = configIn(given);
    const bank = bankFor(view, config);
    const form = accountFormIn(config);
    const account = view.ledger.state.at(bank, base58In(address, ADDRESS_BYTES));
    if (account === undefined || account.lamports === 0) return inContext(bank, null);
    const isBase58 = form.encoding === "binary" || form.encoding === "base58";
    const length = Math.min(accountData(account).length, form.slice?.length ?? Number.POSITIVE_INFINITY);
    if (isBase58 && length > BASE58_LIMIT_BYTES) {
      const message = "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.";
      throw new SvmRefusal(SVM_RPC_CODE.INVALID_REQUEST, message);
    }
    return inContext(bank, accountView(account, form));
  },

  getBalance([address, config], { view }) {
    const bank = bankFor(view, config);
    return inContext(bank, view.ledger.state.at(bank, base58In(address, ADDRESS_BYTES))?.lamports ?? 0);
  },

  sendTransaction([text, given], { view }) {
    const config = configIn(given);
    const encoding = choiceIn(config["encoding"], ["base58", "base64"] as const, "base58");
    const transaction = transactionIn(textIn(text), encoding);
    const bank = view.get(commitmentIn({ commitment: config["preflightCommitment"] }));
    if (!booleanIn(config["skipPreflight"], false)) preflight(transaction, bank, view);
    const recent = recentBank(view.get("processed"), transaction.message.recentBlockhash);
    const lastHeight = recent === null ? 0 : recent.height + MAX_BLOCKHASH_AGE;
    // One whose blockhash nobody knows is taken and never seen again, as by a real one.
    if (recent !== null && !view.ledger.send(transaction, lastHeight)) {
      throw new SvmRefusal(SVM_RPC_CODE.INTERNAL_ERROR, "Internal error: too many transactions wait for a block");
    }
    return transaction.signature;
  },
};

/** The bank of the commitment that was asked for, above the slot that the caller has seen. */
export function bankFor(view: SvmView, given: unknown): SvmBank {
  const config = configIn(given);
  const bank = view.get(commitmentIn(config));
  const least = optionalNumberIn(config["minContextSlot"]);
  if (least !== null && bank.slot < least) {
    const message = "Minimum context slot has not been reached";
    throw new SvmRefusal(SVM_RPC_CODE.MIN_CONTEXT_SLOT_NOT_REACHED, message, { contextSlot: bank.slot });
  }
  return bank;
}

export function inContext(bank: SvmBank, value: unknown): object {
  return { context: { apiVersion: API_VERSION, slot: bank.slot }, value };
}

/** As `get_block` of the reference validator: what is rooted is there, was skipped or is gone; above that only what is confirmed is. */
function findBlock(slot: number, config: SvmConfig, { view, longTermStorage }: SvmMethodModules): SvmBank {
  const { ledger } = view;
  const commitment = settledCommitmentIn(config);
  const bank = ledger.at(slot);
  const root = view.get("finalized");
  if (slot > root.slot) {
    if (commitment === "confirmed" && bank !== undefined && isOnBranch(bank, view.get("confirmed"))) return bank;
    throw new SvmRefusal(SVM_RPC_CODE.BLOCK_NOT_AVAILABLE, `Block not available for slot ${slot}`);
  }
  if (bank !== undefined && isOnBranch(bank, root)) return bank;
  if (slot > ledger.first.slot) {
    const message = `Slot ${slot} was skipped, or missing due to ledger jump to recent snapshot`;
    throw new SvmRefusal(SVM_RPC_CODE.SLOT_SKIPPED, message);
  }
  if (longTermStorage) {
    const message = `Slot ${slot} was skipped, or missing in long-term storage`;
    throw new SvmRefusal(SVM_RPC_CODE.LONG_TERM_STORAGE_SLOT_SKIPPED, message);
  }
  const message = `Block ${slot} cleaned up, does not exist on node. First available block: ${ledger.first.slot}`;
  throw new SvmRefusal(SVM_RPC_CODE.BLOCK_CLEANED_UP, message);
}

/** Of `tip`'s branch, ascending. */
function slotsOf(tip: SvmBank, from: number, to: number): number[] {
  const slots: number[] = [];
  for (let at: SvmBank | null = tip; at !== null && at.slot >= from; at = at.parent) {
    if (at.slot <= to) slots.unshift(at.slot);
  }
  return slots;
}

function statusOf(signature: string, tip: SvmBank, view: SvmView): object | null {
  const bank = view.ledger.holderOf(signature, tip);
  const transaction = bank?.transactions.find((each) => each.signature === signature);
  if (bank === undefined || transaction === undefined) return null;
  const { err } = transaction.outcome;
  return {
    confirmationStatus: bank.commitment,
    confirmations: bank.commitment === "finalized" ? null : tip.height - bank.height,
    err,
    slot: bank.slot,
    status: err === null ? { Ok: null } : { Err: err },
  };
}

// --- sendTransaction

function transactionIn(text: string, encoding: "base58" | "base64"): SvmTransaction {
  const bytes = encoding === "base58" ? decodeBase58Bounded(text, MAX_TRANSACTION_BYTES) : Buffer.from(text, "base64");
  if (bytes === null) throw invalidParams("invalid base58 encoding");
  let transaction: SvmTransaction;
  try {
    transaction = readTransaction(bytes);
  } catch (error) {
    throw invalidParams(`failed to deserialize solana_transaction::versioned::VersionedTransaction: ${String(error)}`);
  }
  const { message, signatures } = transaction;
  if (!signatures.every((signature, i) => verifyEd25519(signature, message.bytes, accountKey(message, i)))) {
    const text = "Transaction signature verification failure";
    throw new SvmRefusal(SVM_RPC_CODE.SIGNATURE_VERIFICATION_FAILURE, text);
  }
  return transaction;
}

/** Throws -32002 where it would not come through in a block on `bank`. */
function preflight(transaction: SvmTransaction, bank: SvmBank, view: SvmView): void {
  if (recentBank(bank, transaction.message.recentBlockhash) === null) {
    throw preflightFailure("Blockhash not found", "BlockhashNotFound", null);
  }
  if (view.ledger.holderOf(transaction.signature, bank) !== undefined) {
    throw preflightFailure("This transaction has already been processed", "AlreadyProcessed", null);
  }
  const run = execute(transaction, view.ledger.state.on(bank, new Map<string, SvmAccount>()));
  if (run === null) {
    const text = "Attempt to debit an account but found no record of a prior credit.";
    throw preflightFailure(text, "AccountNotFound", null);
  }
  if (run.outcome.err !== null) throw preflightFailure(JSON.stringify(run.outcome.err), run.outcome.err, run);
}

function preflightFailure(text: string, err: unknown, run: ExecutedTransaction | null): SvmRefusal {
  return new SvmRefusal(SVM_RPC_CODE.PREFLIGHT_FAILURE, `Transaction simulation failed: ${text}`, {
    accounts: null,
    err,
    innerInstructions: null,
    logs: run?.outcome.logs ?? [],
    returnData: null,
    unitsConsumed: run?.outcome.computeUnits ?? 0,
  });
}
