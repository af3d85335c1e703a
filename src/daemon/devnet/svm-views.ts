/** Blocks, transactions and accounts as validators write them in JSON. */
import { zstdCompressSync } from "node:zlib";
import { type SvmMessage, decodeTransaction, encodeBase58 } from "../chain/index.ts";
import { type SvmConfig, booleanIn, choiceIn, configIn, numberIn, optionalNumberIn } from "./svm-arguments.ts";
import type { SvmBank } from "./svm-bank.ts";
import type { ExecutedTransaction, SvmAccount } from "./svm-execute.ts";
import { SVM_RPC_CODE, SvmRefusal } from "./svm-request.ts";
import { isWritable, keyOf } from "./svm-transactions.ts";

const ENCODINGS = ["json", "base64", "base58", "jsonParsed", "binary"] as const;
const DETAILS = ["full", "accounts", "signatures", "none"] as const;

export interface BlockForm {
  readonly encoding: (typeof ENCODINGS)[number];
  readonly details: (typeof DETAILS)[number];
  readonly rewards: boolean;
  /** Null: the caller knows legacy transactions only. */
  readonly maxVersion: number | null;
}

/** `otherwise`: what is taken where nothing was asked for, which getBlock and blockSubscribe do not have in common. */
export function blockFormIn(config: SvmConfig, otherwise: Pick<BlockForm, "encoding" | "rewards">): BlockForm {
  return {
    encoding: choiceIn(config["encoding"], ENCODINGS, otherwise.encoding),
    details: choiceIn(config["transactionDetails"], DETAILS, "full"),
    rewards: booleanIn(config["rewards"] ?? config["showRewards"], otherwise.rewards),
    maxVersion: optionalNumberIn(config["maxSupportedTransactionVersion"]),
  };
}

/** As getBlock answers. Throws SvmRefusal -32015 where a version is not supported. */
export function blockView(bank: SvmBank, form: BlockForm, transactions = bank.transactions): object {
  const { details } = form;
  return {
    blockHeight: bank.height,
    blockTime: bank.time,
    blockhash: bank.blockhash,
    parentSlot: bank.parentSlot,
    // The first block of a network builds on its configuration, and nodes do not name that.
    previousBlockhash: bank.slot === 0 ? NO_HASH : encodeBase58(bank.parentHash),
    ...(form.rewards ? { rewards: rewardsOf(bank) } : {}),
    ...(details === "signatures" ? { signatures: transactions.map(({ signature }) => signature) } : {}),
    ...(details === "full" || details === "accounts"
      ? { transactions: transactions.map((each) => transactionView(each, form)) }
      : {}),
  };
}

const NO_HASH = "1".repeat(32);

function rewardsOf({ slot, leader, reward }: SvmBank): object[] {
  return slot === 0 ? [] : [{ commission: null, pubkey: leader, rewardType: "Fee", ...reward }];
}

/** As an item of `transactions`. */
export function transactionView(transaction: ExecutedTransaction, form: Omit<BlockForm, "rewards">): object {
  const decoded = decodeTransaction(transaction.bytes);
  const { version } = decoded.message;
  if (version !== "legacy" && version > (form.maxVersion ?? -1)) {
    throw new SvmRefusal(
      SVM_RPC_CODE.UNSUPPORTED_TRANSACTION_VERSION,
      `Transaction version (${version}) is not supported by the requesting client. Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": ${version}`,
    );
  }
  const isBrief = form.details === "accounts";
  return {
    meta: isBrief ? briefMeta(transaction) : fullMeta(transaction),
    transaction: isBrief ? accountsForm(transaction.keys, decoded) : encoded(transaction, decoded, form.encoding),
    ...(form.maxVersion === null ? {} : { version }),
  };
}

function briefMeta({ outcome }: ExecutedTransaction): object {
  const { err, fee, preBalances, postBalances } = outcome;
  const status = err === null ? { Ok: null } : { Err: err };
  return { err, fee, postBalances, postTokenBalances: [], preBalances, preTokenBalances: [], status };
}

function fullMeta(transaction: ExecutedTransaction): object {
  return {
    ...briefMeta(transaction),
    computeUnitsConsumed: transaction.outcome.computeUnits,
    innerInstructions: [],
    loadedAddresses: { readonly: [], writable: [] },
    logMessages: transaction.outcome.logs,
    rewards: [],
  };
}

type Decoded = ReturnType<typeof decodeTransaction>;

function encoded({ bytes, keys }: ExecutedTransaction, decoded: Decoded, encoding: BlockForm["encoding"]): unknown {
  switch (encoding) {
    case "base64":
      return [Buffer.from(bytes).toString("base64"), encoding];
    case "base58":
      return [encodeBase58(bytes), encoding];
    // The oldest form of it.
    case "binary":
      return encodeBase58(bytes);
    case "json":
      return { message: messageForm(keys, decoded.message), signatures: decoded.signatures.map(encodeBase58) };
    case "jsonParsed":
      return { message: parsedMessageForm(keys, decoded.message), signatures: decoded.signatures.map(encodeBase58) };
  }
}

function messageForm(keys: readonly string[], message: SvmMessage): object {
  return {
    accountKeys: keys,
    header: {
      numReadonlySignedAccounts: message.readonlySigned,
      numReadonlyUnsignedAccounts: message.readonlyUnsigned,
      numRequiredSignatures: message.requiredSignatures,
    },
    instructions: message.instructions.map(({ program, accounts, data }) => ({
      accounts: [...accounts],
      data: encodeBase58(data),
      programIdIndex: program,
      stackHeight: 1,
    })),
    recentBlockhash: encodeBase58(message.recentBlockhash),
    ...(message.version === "legacy" ? {} : { addressTableLookups: [] }),
  };
}

/** With instructions as they are of programs that nobody has written a parser for. */
function parsedMessageForm(keys: readonly string[], message: SvmMessage): object {
  return {
    accountKeys: keyForms(keys, message),
    instructions: message.instructions.map(({ program, accounts, data }) => ({
      accounts: [...accounts].map((account) => keys[account]),
      data: encodeBase58(data),
      programId: keys[program],
      stackHeight: 1,
    })),
    recentBlockhash: encodeBase58(message.recentBlockhash),
    ...(message.version === "legacy" ? {} : { addressTableLookups: [] }),
  };
}

function accountsForm(keys: readonly string[], { message, signatures }: Decoded): object {
  return { accountKeys: keyForms(keys, message), signatures: signatures.map(encodeBase58) };
}

function keyForms(keys: readonly string[], message: SvmMessage): object[] {
  return keys.map((pubkey, index) => ({
    pubkey,
    signer: index < message.requiredSignatures,
    source: "transaction",
    writable: isWritable(message, index),
  }));
}

// --- accounts

const ACCOUNT_ENCODINGS = ["binary", "base58", "base64", "base64+zstd", "jsonParsed"] as const;

export interface AccountForm {
  readonly encoding: (typeof ACCOUNT_ENCODINGS)[number];
  readonly slice: { readonly offset: number; readonly length: number } | null;
}

export function accountFormIn(config: SvmConfig): AccountForm {
  const given = config["dataSlice"] ?? null;
  const { offset, length } = configIn(given);
  return {
    encoding: choiceIn(config["encoding"], ACCOUNT_ENCODINGS, "binary"),
    slice: given === null ? null : { offset: numberIn(offset), length: numberIn(length) },
  };
}

/** `VoteState::size_of` */
const VOTE_ACCOUNT_BYTES = 3_762;
/** Of account data: others must be asked for in base64. */
export const BASE58_LIMIT_BYTES = 128;
/** u64::MAX, beyond what a double holds: an account that pays no rent. */
const RENT_EXEMPT_EPOCH = rawJson("18446744073709551615");

export function accountView(account: SvmAccount, { encoding, slice }: AccountForm): object {
  const whole = accountData(account);
  const data = slice === null ? whole : whole.subarray(slice.offset, slice.offset + slice.length);
  return {
    data: encodedData(data, encoding),
    executable: account.executable,
    lamports: account.lamports,
    owner: account.owner,
    rentEpoch: RENT_EXEMPT_EPOCH,
    space: whole.length,
  };
}

/** Of a vote account: version 2, who votes and withdraws, commission, and its last vote; the rest is empty. */
export function accountData({ vote }: SvmAccount): Uint8Array {
  if (vote === null) return new Uint8Array();
  const data = Buffer.alloc(VOTE_ACCOUNT_BYTES);
  const identity = keyOf(vote.identity);
  data.writeUInt32LE(2, 0);
  data.set(identity, 4);
  data.set(identity, 36);
  data.writeBigUInt64LE(1n, 69);
  data.writeBigUInt64LE(BigInt(vote.lastSlot), 78);
  data.writeUInt32LE(1, 86);
  return data;
}

function encodedData(data: Uint8Array, encoding: AccountForm["encoding"]): unknown {
  if (encoding === "base64+zstd") return [zstdCompressSync(data).toString("base64"), encoding];
  // What nobody has written a parser for comes in base64.
  if (encoding === "base64" || encoding === "jsonParsed") return [Buffer.from(data).toString("base64"), "base64"];
  if (data.length > BASE58_LIMIT_BYTES) return "error: data too large for bs58 encoding";
  return encoding === "binary" ? encodeBase58(data) : [encodeBase58(data), encoding];
}

function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}
