/**
 * Whole blocks: read from JSON-RPC or RLP, and everything in them rebuilt that their header commits to. What is missing (receipts
 * that nobody gave, transactions of which only hashes came) is named, not guessed.
 */
import { isSprintError, SprintError } from "../../../shared/errors.ts";
import { refuse } from "../refusal.ts";
import type { BodyFacts, BodyVerdict, Refusal } from "../types.ts";
import { BloomBits } from "./bloom.ts";
import { decodeEvmHeader, type EvmHeader, evmHeaderFromJson } from "./header.ts";
import { countOf, dataOf, fieldOf, hexOf, listOf, objectOf, quantityBytes } from "./json.ts";
import { keccak256 } from "./keccak.ts";
import { evmRulesAt } from "./params.ts";
import { type EvmReceipt, receiptFromJson, receiptFromRlp } from "./receipt.ts";
import { checkEvmReceipts } from "./receipts.ts";
import { bytesInteger, decodeRlp, encodeRlp, isRlpList, joinRlpList, splitRlpList } from "./rlp.ts";
import { checkEvmHeader, GAS_PER_BLOB, NO_OMMERS } from "./rules.ts";
import { type EvmTransaction, transactionFromJson, transactionFromRlp } from "./transaction.ts";
import { orderedTrieRoot } from "./trie.ts";
import type { EvmParams, EvmRules } from "./types.ts";

export interface EvmBlock {
  readonly header: EvmHeader;
  /** Null where only their hashes came. */
  readonly transactions: readonly EvmTransaction[] | null;
  /** In order; without Polygon's state-sync transaction, which no root is over. */
  readonly transactionHashes: readonly string[];
  /** Polygon's transaction of state from Ethereum, made up by the node; since Madhugiri it is one of the others. */
  readonly stateSync: string | null;
  /** `list` is null where JSON-RPC gave hashes of ommers and not their headers. */
  readonly ommers: { readonly count: number; readonly hash: string | null };
  /** RLP of each; null before Shanghai. */
  readonly withdrawals: readonly Uint8Array[] | null;
  /** RLP of the whole block; null where a part of it is not here. */
  readonly sizeBytes: number | null;
}

/** `level` is `header` where the root of transactions could not be rebuilt: then they are only said to be the block's. */
export interface EvmFacts extends BodyFacts {
  readonly gasUsed: bigint;
  readonly logs: number | null;
  readonly skipped: readonly string[];
}

export type EvmVerdict = BodyVerdict<EvmFacts>;

const MAX_OMMERS = 2;

/** A block of eth_getBlockBy…. Throws SPRINT_EVM_JSON_*, SPRINT_EVM_HEADER_*, SPRINT_EVM_TX_*. */
export function evmBlockFromJson(value: unknown, params: EvmParams): EvmBlock {
  const header = evmHeaderFromJson(value);
  const object = objectOf(value, "block");
  const given = listOf(object["transactions"], "transactions");
  const onlyHashes = given.length > 0 && given.every((each) => typeof each === "string");
  const hashes: string[] = [];
  const transactions: EvmTransaction[] = [];
  let stateSync: string | null = null;
  for (const [index, each] of given.entries()) {
    const what = `transaction ${index}`;
    const hash = hexOf(dataOf(onlyHashes ? each : objectOf(each, what)["hash"], `${what} hash`, 32));
    if (params.chain === "polygon" && index === given.length - 1 && hash === stateSyncHash(header)) {
      stateSync = hash;
      continue;
    }
    hashes.push(hash);
    if (onlyHashes) continue;
    checkPlace(objectOf(each, what), header, index, what);
    transactions.push(transactionFromJson(each, what));
  }
  const uncles = listOf(object["uncles"] ?? [], "uncles").map((hash) => dataOf(hash, "uncle", 32));
  const withdrawals = fieldOf(object, ["withdrawals"]);
  const block = {
    header,
    transactions: onlyHashes ? null : transactions,
    transactionHashes: hashes,
    stateSync,
    ommers: { count: uncles.length, hash: uncles.length === 0 ? NO_OMMERS : null },
    withdrawals: withdrawals === undefined ? null : listOf(withdrawals, "withdrawals").map(withdrawalFromJson),
  };
  return {
    ...block,
    sizeBytes: onlyHashes || uncles.length > 0 ? null : sizeOf(block.withdrawals, header, transactions),
  };
}

/** RLP [header, transactions, ommers, withdrawals?] at `offset`, and where it ends. Throws SPRINT_EVM_RLP_*, SPRINT_EVM_BLOCK_FIELDS, … */
export function evmBlockFromRlp(bytes: Uint8Array, offset = 0): { readonly block: EvmBlock; readonly end: number } {
  const { items, end } = splitRlpList(bytes, offset);
  const [header, transactions, ommers, withdrawals] = items;
  if (header === undefined || transactions === undefined || ommers === undefined || items.length > 4) {
    throw badBlock("block", "3 or 4 lists", items.length);
  }
  const list = splitRlpList(transactions).items.map((each, i) => transactionFromRlp(each, `transaction ${i}`));
  const uncles = splitRlpList(ommers).items;
  for (const each of uncles) decodeEvmHeader(each);
  const block = {
    header: decodeEvmHeader(header),
    transactions: list,
    transactionHashes: list.map(({ hash }) => hash),
    stateSync: null,
    ommers: { count: uncles.length, hash: hexOf(keccak256(ommers)) },
    withdrawals: withdrawals === undefined ? null : splitRlpList(withdrawals).items.map(withdrawalFromRlp),
    sizeBytes: end - offset,
  };
  return { block, end };
}

/** The receipts of eth_getBlockReceipts. Throws SPRINT_EVM_JSON_*, SPRINT_EVM_RECEIPT_*. */
export function evmReceiptsFromJson(value: unknown): readonly EvmReceipt[] {
  const bits = new BloomBits();
  return listOf(value, "receipts").map((each, i) => receiptFromJson(each, `receipt ${i}`, bits));
}

/** An RLP list of receipts. Throws SPRINT_EVM_RLP_*, SPRINT_EVM_RECEIPT_*. */
export function evmReceiptsFromRlp(bytes: Uint8Array): readonly EvmReceipt[] {
  const bits = new BloomBits();
  const { items, end } = splitRlpList(bytes);
  if (end < bytes.length) throw badBlock("receipts", "the end", `${bytes.length - end} bytes more`);
  return items.map((each, i) => receiptFromRlp(each, `receipt ${i}`, bits));
}

/** Whether RLP at `offset` is a block, not a header: a block begins with a list. */
export function isRlpBlock(bytes: Uint8Array, offset: number): boolean {
  const [first] = splitRlpList(bytes, offset).items;
  return first !== undefined && isRlpList(first);
}

/**
 * Everything about a block that can be proved without its state and its parent; `receipts` is null where there are none. Of a receipt
 * in JSON, places and gas are held against the block. Not proved: signatures and senders, what a transaction did, seals, and the storage
 * root that withdrawalsRoot is on the OP stack since Isthmus. A refusal says `mutated` where the header may still be right, and what came
 * beside it is not what it commits to.
 */
export function checkEvmBlock(block: EvmBlock, receipts: readonly EvmReceipt[] | null, params: EvmParams): EvmVerdict {
  try {
    const skipped: string[] = [];
    const { header } = block;
    const rules = evmRulesAt(params, header.number, header.timestamp, header.fields);
    const refusal =
      checkEvmHeader(header, params) ??
      mutated(checkTransactionsRoot(block, rules, skipped)) ??
      checkTransactions(block, params, rules) ??
      mutated(
        checkOmmers(block, skipped) ?? checkWithdrawals(block, rules) ?? checkEvmReceipts(block, receipts, skipped),
      );
    if (refusal !== null) return { ok: false, refusal };
    const logs = receipts?.reduce((sum, receipt) => sum + receipt.logs.length, 0) ?? null;
    const txCount = block.transactionHashes.length + (block.stateSync === null ? 0 : 1);
    const level = isWhole(block, rules) ? "full" : "header";
    return { ok: true, facts: { level, txCount, sizeBytes: block.sizeBytes, gasUsed: header.gasUsed, logs, skipped } };
  } catch (error) {
    if (!isSprintError(error)) throw error;
    return { ok: false, refusal: { code: error.code, message: error.message, data: error.data } };
  }
}

/** Another upstream may have what this one changed, or left out. */
export function mutated(refusal: Refusal | null): Refusal | null {
  return refusal === null ? null : { ...refusal, data: { ...refusal.data, mutated: true } };
}

/** Whether the root of transactions can be rebuilt. */
function isWhole({ transactions }: EvmBlock, { blobsInRoot }: EvmRules): boolean {
  return transactions?.every(({ raw, blobs }) => raw !== null && !(blobsInRoot && blobs > 0)) === true;
}

function checkTransactionsRoot(
  { header, transactions }: EvmBlock,
  { blobsInRoot }: EvmRules,
  skipped: string[],
): Refusal | null {
  if (transactions === null) {
    skipped.push("transactions, as only their hashes are here");
    return null;
  }
  const leaves = transactions.map(({ raw }) => raw).filter((raw) => raw !== null);
  if (leaves.length < transactions.length) {
    skipped.push("transactions root, as JSON leaves out a state-sync transaction's content");
    return null;
  }
  if (blobsInRoot && transactions.some(({ blobs }) => blobs > 0)) {
    skipped.push("transactions root, as this node's is over the blobs too");
    return null;
  }
  const root = hexOf(orderedTrieRoot(leaves));
  return root === header.transactionsRoot
    ? null
    : refuse("SPRINT_EVM_TRANSACTIONS_ROOT", "transactionsRoot", header.transactionsRoot, root);
}

/** What transactions may be; where their root holds, it is the block that breaks this. */
function checkTransactions(block: EvmBlock, params: EvmParams, rules: EvmRules): Refusal | null {
  const refusal = checkSize(block, rules) ?? checkTransactionRules(block, params, rules);
  return isWhole(block, rules) ? refusal : mutated(refusal);
}

function checkSize({ sizeBytes }: EvmBlock, { maxBlockBytes: most }: EvmRules): Refusal | null {
  return most === null || sizeBytes === null || sizeBytes <= most
    ? null
    : refuse("SPRINT_EVM_BLOCK_SIZE", "block", `at most ${most} bytes`, sizeBytes);
}

function checkTransactionRules(block: EvmBlock, params: EvmParams, rules: EvmRules): Refusal | null {
  if (block.transactions === null) return null;
  let blobs = 0;
  for (const [index, { type, chainId, gasLimit, ...transaction }] of block.transactions.entries()) {
    const what = `transaction ${index}`;
    if (!rules.transactionTypes.includes(type)) {
      const known = rules.transactionTypes.map((each) => `0x${each.toString(16)}`).join(", ");
      return refuse("SPRINT_EVM_TX_TYPE", `${what} type under ${rules.fork}`, known, `0x${type.toString(16)}`);
    }
    if (chainId !== null && chainId !== params.chainId) {
      return refuse("SPRINT_EVM_TX_CHAIN_ID", `${what} chain id`, `${params.chainId}`, `${chainId}`);
    }
    if (rules.maxTransactionGas !== null && gasLimit > rules.maxTransactionGas) {
      return refuse("SPRINT_EVM_TX_GAS", `${what} gas`, `at most ${rules.maxTransactionGas}`, `${gasLimit}`);
    }
    blobs += transaction.blobs;
  }
  const blobGas = BigInt(blobs) * GAS_PER_BLOB;
  const counted = rules.blobs?.kind === "market" || rules.blobs?.kind === "own";
  if (!counted || blobGas === block.header.blobGasUsed) return null;
  return refuse("SPRINT_EVM_BLOB_GAS", "blobGasUsed", `${blobGas}, of ${blobs} blobs`, `${block.header.blobGasUsed}`);
}

function checkOmmers({ header, ommers }: EvmBlock, skipped: string[]): Refusal | null {
  if (ommers.count > MAX_OMMERS) return refuse("SPRINT_EVM_OMMERS", "ommers", `at most ${MAX_OMMERS}`, ommers.count);
  if (ommers.hash === null) {
    if (header.ommersHash === NO_OMMERS) return refuse("SPRINT_EVM_OMMERS_HASH", "ommers", 0, ommers.count);
    skipped.push("ommers, as only their hashes are here");
    return null;
  }
  return ommers.hash === header.ommersHash
    ? null
    : refuse("SPRINT_EVM_OMMERS_HASH", "ommersHash", header.ommersHash, ommers.hash);
}

function checkWithdrawals({ header, withdrawals }: EvmBlock, rules: EvmRules): Refusal | null {
  const count = withdrawals?.length ?? 0;
  if (rules.withdrawals === "list") {
    if (withdrawals === null) return refuse("SPRINT_EVM_WITHDRAWALS_ROOT", "withdrawals", "a list", "none");
    const root = hexOf(orderedTrieRoot(withdrawals));
    if (root === header.withdrawalsRoot) return null;
    return refuse("SPRINT_EVM_WITHDRAWALS_ROOT", "withdrawalsRoot", `${header.withdrawalsRoot}`, root);
  }
  return count === 0 ? null : refuse("SPRINT_EVM_WITHDRAWALS_ROOT", `withdrawals under ${rules.fork}`, 0, count);
}

/** What a transaction says of where it is. Not there while it is pending. */
function checkPlace(object: ReturnType<typeof objectOf>, header: EvmHeader, index: number, what: string): void {
  const hash = hexOf(dataOf(object["blockHash"], `${what} blockHash`, 32));
  const number = countOf(object["blockNumber"], `${what} blockNumber`);
  const position = countOf(object["transactionIndex"], `${what} transactionIndex`);
  if (hash === header.hash && number === header.number && position === index) return;
  const expected = `index ${index} of block ${header.number} ${header.hash}`;
  const actual = `index ${position} of block ${number} ${hash}`;
  throw new SprintError("SPRINT_EVM_TX_PLACE", `${what}: expected ${expected}, got ${actual}`, { expected, actual });
}

/** bor, `GetDerivedBorTxHash`: a name for what no signature stands behind. */
function stateSyncHash({ number, hash }: EvmHeader): string {
  const height = Buffer.alloc(8);
  height.writeBigUInt64BE(BigInt(number));
  return hexOf(
    keccak256(Buffer.concat([Buffer.from("matic-bor-receipt-"), height, Buffer.from(hash.slice(2), "hex")])),
  );
}

/** EIP-4895 */
function withdrawalFromJson(value: unknown, position: number): Uint8Array {
  const what = `withdrawal ${position}`;
  const object = objectOf(value, what);
  const integer = (name: string): Uint8Array => quantityBytes(object[name], `${what} ${name}`);
  const address = dataOf(object["address"], `${what} address`, 20);
  return encodeRlp([integer("index"), integer("validatorIndex"), address, integer("amount")]);
}

function withdrawalFromRlp(raw: Uint8Array, position: number): Uint8Array {
  const what = `withdrawal ${position}`;
  const items = decodeRlp(raw);
  if (items instanceof Uint8Array || items.length !== 4) throw badBlock(what, "4 fields", items.length);
  const [index, validator, address, amount] = items as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  for (const integer of [index, validator, amount]) bytesInteger(integer, what, 8);
  if (!(address instanceof Uint8Array) || address.length !== 20)
    throw badBlock(`${what} address`, "20 bytes", address.length);
  return raw;
}

function sizeOf(
  withdrawals: readonly Uint8Array[] | null,
  header: EvmHeader,
  transactions: readonly EvmTransaction[],
): number | null {
  const items: Uint8Array[] = [];
  for (const { type, raw } of transactions) {
    if (raw === null) return null;
    items.push(type === 0 ? raw : encodeRlp(raw));
  }
  const rest = withdrawals === null ? [] : [joinRlpList(withdrawals)];
  return joinRlpList([header.raw, joinRlpList(items), encodeRlp([]), ...rest]).length;
}

function badBlock(what: string, expected: string, actual: string | number): SprintError {
  const message = `${what}: expected ${expected}, got ${actual}`;
  return new SprintError("SPRINT_EVM_BLOCK_FIELDS", message, { field: what, expected, actual });
}
