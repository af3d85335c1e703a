/** Makes the blocks of the embedded Ethereum node: takes transactions, moves balances, and seals what came of it under a header. */
import type { Random } from "../../shared/clock.ts";
import {
  BLOOM_BYTES,
  BloomBits,
  type EvmHeader,
  GAS_PER_BLOB,
  NO_OMMERS,
  type RlpItem,
  baseFeeAfter,
  blobBaseFee,
  decodeEvmHeader,
  encodeRlp,
  evmParamsFor,
  evmRulesAt,
  excessBlobGasAfter,
  hexOf,
  integerBytes,
  joinRlpList,
  mergeBloom,
  orderedTrieRoot,
} from "../chain/index.ts";
import { type SignedTransaction, bytesOf } from "./evm-accounts.ts";
import { TOKEN_GAS, TRANSFER_GAS } from "./evm-pool.ts";
import type { EvmState } from "./evm-state.ts";
import { TRANSFER_TOPIC, word } from "./evm-token.ts";

export interface EvmMinedBlock {
  readonly header: EvmHeader;
  readonly transactions: readonly SignedTransaction[];
  readonly receipts: readonly EvmMinedReceipt[];
  readonly withdrawals: readonly Withdrawal[];
  /** RLP of all of it. */
  readonly sizeBytes: number;
}

export interface EvmMinedReceipt {
  readonly succeeded: boolean;
  readonly gasUsed: bigint;
  readonly cumulativeGasUsed: bigint;
  readonly effectiveGasPrice: bigint;
  readonly blobGasPrice: bigint;
  readonly logsBloom: string;
  readonly logs: readonly EvmMinedLog[];
}

export interface EvmMinedLog {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
}

/** EIP-4895; `amount` is in Gwei. */
export interface Withdrawal {
  readonly index: number;
  readonly validatorIndex: number;
  readonly address: string;
  readonly amount: bigint;
}

export interface EvmMinerOptions {
  /** Unix seconds; a later one where the parent's is not before it. */
  readonly time: number;
  /** For the fees, and withdrawals. */
  readonly beneficiary: string;
  readonly token: string;
  /** Of the first withdrawal. */
  readonly withdrawalIndex: number;
  /** Wei added to what the base fee must be: a lie. */
  readonly baseFeeOff: bigint;
}

/** As on mainnet from Prague's first block on. */
const PRAGUE = evmRulesAt(evmParamsFor("ethereum", "mainnet"), 22_431_084, 1_746_612_311);
const MARKET = PRAGUE.blobs?.kind === "market" ? PRAGUE.blobs : null;
export const MAX_BLOB_GAS = MARKET?.maxGas ?? 0n;
const EXTRA_DATA = Buffer.from("sprint devnet");
const NONCE = Buffer.alloc(8);
/** SHA-256 of nothing: EIP-7685 of a block without requests. */
const NO_REQUESTS = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
export const GENESIS_GAS_LIMIT = 1_000_000n;
const GENESIS_BASE_FEE = 10n ** 9n;
const MAX_WITHDRAWALS = 2;

/** Nobody's parent: it makes the accounts of `state`. */
export function genesisBlock(time: number, state: EvmState, random: Random): EvmMinedBlock {
  const header = sealed({
    parentHash: `0x${"00".repeat(32)}`,
    beneficiary: `0x${"00".repeat(20)}`,
    stateRoot: state.root(),
    leaves: { transactions: [], receipts: [], withdrawals: [] },
    bloom: new Uint8Array(BLOOM_BYTES),
    number: 0,
    gasLimit: GENESIS_GAS_LIMIT,
    gasUsed: 0n,
    time,
    baseFee: GENESIS_BASE_FEE,
    blobGas: 0n,
    excessBlobGas: 0n,
    random,
  });
  return { header, transactions: [], receipts: [], withdrawals: [], sizeBytes: sizeOf(header, [], []) };
}

/** A block on `parent`, of those of `waiting` that it can hold in their order. Changes `state`, the parent's, to that after it. */
export function mineEvmBlock(
  parent: EvmHeader,
  state: EvmState,
  waiting: readonly SignedTransaction[],
  { time, beneficiary, token, withdrawalIndex, baseFeeOff }: EvmMinerOptions,
  random: Random,
): EvmMinedBlock {
  const number = parent.number + 1;
  const at = Math.max(time, parent.timestamp + 1);
  const baseFee = nextBaseFee(parent) + baseFeeOff;
  const excessBlobGas = excessBlobGasAfter(parent, PRAGUE.blobs) ?? 0n;
  const blobGasPrice = blobGasPriceOf({ excessBlobGas });
  const fees = { baseFee, blobGasPrice, beneficiary, token };
  const bits = new BloomBits();
  const bloom = new Uint8Array(BLOOM_BYTES);
  const transactions: SignedTransaction[] = [];
  const receipts: EvmMinedReceipt[] = [];
  let [gasUsed, blobGas] = [0n, 0n];
  for (const transaction of waiting) {
    const blobGasOf = BigInt(transaction.blobVersionedHashes.length) * GAS_PER_BLOB;
    const fits = gasUsed + transaction.gasLimit <= parent.gasLimit && blobGas + blobGasOf <= MAX_BLOB_GAS;
    if (!fits || !isDue(transaction, state, fees)) continue;
    const { logs, ...executed } = execute(transaction, state, fees);
    gasUsed += executed.gasUsed;
    blobGas += blobGasOf;
    const own = bloomOf(logs, bits);
    mergeBloom(bloom, own);
    transactions.push(transaction);
    receipts.push({ ...executed, logs, cumulativeGasUsed: gasUsed, blobGasPrice, logsBloom: hexOf(own) });
  }
  const withdrawals = Array.from({ length: Math.floor(random() * (MAX_WITHDRAWALS + 1)) }, (_, i) => ({
    index: withdrawalIndex + i,
    validatorIndex: Math.floor(random() * 1_000),
    address: beneficiary,
    amount: 1n + BigInt(Math.floor(random() * 1e7)),
  }));
  for (const { address, amount } of withdrawals) state.credit(address, amount * 10n ** 9n);
  const withdrawalLeaves = withdrawals.map(encodeWithdrawal);
  const header = sealed({
    parentHash: parent.hash,
    beneficiary,
    stateRoot: state.root(),
    leaves: {
      transactions: transactions.map(({ raw }) => raw),
      receipts: receipts.map((receipt, i) => encodeReceipt(receipt, transactions[i]?.type ?? 2)),
      withdrawals: withdrawalLeaves,
    },
    bloom,
    number,
    gasLimit: parent.gasLimit,
    gasUsed,
    time: at,
    baseFee,
    blobGas,
    excessBlobGas,
    random,
  });
  return { header, transactions, receipts, withdrawals, sizeBytes: sizeOf(header, transactions, withdrawalLeaves) };
}

/** What the next block's gas costs at least. */
export function nextBaseFee(parent: EvmHeader): bigint {
  return baseFeeAfter(parent, PRAGUE) ?? 0n;
}

export function blobGasPriceOf({ excessBlobGas }: Pick<EvmHeader, "excessBlobGas">): bigint {
  return MARKET === null ? 0n : blobBaseFee(excessBlobGas ?? 0n, MARKET.updateFraction);
}

export function nextBlobGasPrice(parent: EvmHeader): bigint {
  return blobGasPriceOf({ excessBlobGas: excessBlobGasAfter(parent, PRAGUE.blobs) });
}

interface Fees {
  readonly baseFee: bigint;
  readonly blobGasPrice: bigint;
  readonly beneficiary: string;
  readonly token: string;
}

function isDue(transaction: SignedTransaction, state: EvmState, fees: Fees): boolean {
  const { nonce, balance } = state.at(transaction.from);
  const pays = transaction.maxFeePerGas >= fees.baseFee && transaction.maxFeePerBlobGas >= fees.blobGasPrice;
  const gas = transaction.gasLimit * transaction.maxFeePerGas;
  return nonce === transaction.nonce && pays && balance >= gas + transaction.value;
}

type Executed = Omit<EvmMinedReceipt, "cumulativeGasUsed" | "logsBloom" | "blobGasPrice">;

/** What the transaction does to `state`: a payment, or a call of the token. */
function execute(transaction: SignedTransaction, state: EvmState, fees: Fees): Executed {
  const { from, to, value, input, maxFeePerGas, maxPriorityFeePerGas, blobVersionedHashes } = transaction;
  const isCall = to === fees.token;
  const gasUsed = isCall ? TOKEN_GAS : TRANSFER_GAS;
  const room = maxFeePerGas - fees.baseFee;
  const tip = room < maxPriorityFeePerGas ? room : maxPriorityFeePerGas;
  const effectiveGasPrice = fees.baseFee + tip;
  const blobFee = BigInt(blobVersionedHashes.length) * GAS_PER_BLOB * fees.blobGasPrice;
  const { nonce, balance } = state.at(from);
  state.change(from, { nonce: nonce + 1, balance: balance - value - gasUsed * effectiveGasPrice - blobFee });
  state.credit(to, value);
  // The base fee is burnt.
  state.credit(fees.beneficiary, gasUsed * tip);
  const logs = isCall ? moveTokens(state, fees.token, from, input) : [];
  return { succeeded: logs !== null, gasUsed, effectiveGasPrice, logs: logs ?? [] };
}

/** Null where the caller has less. */
function moveTokens(state: EvmState, token: string, from: string, input: string): EvmMinedLog[] | null {
  const [to, amount] = [input.slice(10, 74), BigInt(`0x${input.slice(74, 138)}`)];
  const storage = new Map(state.at(token).storage);
  const held = storage.get(word(from)) ?? 0n;
  if (held < amount) return null;
  storage.set(word(from), held - amount);
  if (held === amount) storage.delete(word(from));
  storage.set(to, (storage.get(to) ?? 0n) + amount);
  state.change(token, { storage });
  const data = `0x${input.slice(74, 138)}`;
  return [{ address: token, topics: [TRANSFER_TOPIC, `0x${word(from)}`, `0x${to}`], data }];
}

function bloomOf(logs: readonly EvmMinedLog[], bits: BloomBits): Uint8Array {
  const bloom = new Uint8Array(BLOOM_BYTES);
  for (const { address, topics } of logs) for (const value of [address, ...topics]) bits.add(bloom, bytesOf(value));
  return bloom;
}

function encodeReceipt(receipt: EvmMinedReceipt, type: number): Buffer {
  const logs = receipt.logs.map(({ address, topics, data }) => [bytesOf(address), topics.map(bytesOf), bytesOf(data)]);
  const status = integerBytes(receipt.succeeded ? 1 : 0);
  const fields = [status, integerBytes(receipt.cumulativeGasUsed), bytesOf(receipt.logsBloom), logs];
  return Buffer.concat([Uint8Array.of(type), encodeRlp(fields)]);
}

function encodeWithdrawal({ index, validatorIndex, address, amount }: Withdrawal): Buffer {
  return encodeRlp([integerBytes(index), integerBytes(validatorIndex), bytesOf(address), integerBytes(amount)]);
}

interface Seal {
  readonly parentHash: string;
  readonly beneficiary: string;
  readonly stateRoot: Uint8Array;
  readonly leaves: Readonly<Record<"transactions" | "receipts" | "withdrawals", readonly Uint8Array[]>>;
  readonly bloom: Uint8Array;
  readonly number: number;
  readonly gasLimit: bigint;
  readonly gasUsed: bigint;
  readonly time: number;
  readonly baseFee: bigint;
  readonly blobGas: bigint;
  readonly excessBlobGas: bigint;
  readonly random: Random;
}

/** The 21 fields of a header since Prague. */
function sealed(seal: Seal): EvmHeader {
  const chance = (): Buffer => Buffer.from(Array.from({ length: 32 }, () => Math.floor(seal.random() * 256)));
  const fields: RlpItem[] = [
    bytesOf(seal.parentHash),
    bytesOf(NO_OMMERS),
    bytesOf(seal.beneficiary),
    seal.stateRoot,
    orderedTrieRoot(seal.leaves.transactions),
    orderedTrieRoot(seal.leaves.receipts),
    seal.bloom,
    integerBytes(0),
    integerBytes(seal.number),
    integerBytes(seal.gasLimit),
    integerBytes(seal.gasUsed),
    integerBytes(seal.time),
    EXTRA_DATA,
    chance(),
    NONCE,
    integerBytes(seal.baseFee),
    orderedTrieRoot(seal.leaves.withdrawals),
    integerBytes(seal.blobGas),
    integerBytes(seal.excessBlobGas),
    chance(),
    bytesOf(NO_REQUESTS),
  ];
  return decodeEvmHeader(encodeRlp(fields));
}

function sizeOf(
  header: EvmHeader,
  transactions: readonly SignedTransaction[],
  withdrawals: readonly Uint8Array[],
): number {
  const body = joinRlpList(transactions.map(({ raw }) => encodeRlp(raw)));
  return joinRlpList([header.raw, body, encodeRlp([]), joinRlpList(withdrawals)]).length;
}
