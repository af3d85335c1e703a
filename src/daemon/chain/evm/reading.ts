/** What a proved block tells beside its verdict: its logs, what it did to what is watched, and the figures that stats take. */
import type { BlockLog, BodyReading, EvmDigest, Movement, WatchSet } from "../../../shared/body.ts";
import type { EvmBlock } from "./block.ts";
import { hexOf } from "./json.ts";
import type { EvmReceipt } from "./receipt.ts";
import { bytesInteger } from "./rlp.ts";
import { senderOf } from "./sender.ts";
import { type EvmTransaction, itemOf } from "./transaction.ts";

const MAX_SIGNED_TYPE = 4;
const MAX_CONTRACTS = 20;
const TIP_PERCENTILES = [10, 25, 50, 75, 90] as const;
/** Of a topic that holds an address. */
const ADDRESS_PADDING = `0x${"0".repeat(24)}`;

/** Of a block and receipts that hold. Receipts beyond the transactions (Polygon's state sync) have no root over them and are left out. */
export function readEvmBody(block: EvmBlock, receipts: readonly EvmReceipt[] | null, watch: WatchSet): BodyReading {
  const proved =
    block.transactionHashes.length === 0 ? [] : (receipts?.slice(0, block.transactionHashes.length) ?? null);
  const logs = proved === null ? null : logsOf(block, proved);
  const movements = [...transactionMovements(block, proved, watch), ...logMovements(logs ?? [], watch)];
  return { logs, movements, digest: digestOf(block, proved) };
}

function logsOf(block: EvmBlock, receipts: readonly EvmReceipt[]): readonly BlockLog[] {
  const logs: BlockLog[] = [];
  for (const [index, receipt] of receipts.entries()) {
    for (const [address, topics, data] of receipt.logs) {
      logs.push({
        address: hexOf(address),
        topics: topics.map(hexOf),
        data: hexOf(data),
        transaction_hash: block.transactionHashes[index] as string,
        transaction_index: index,
        log_index: logs.length,
      });
    }
  }
  return logs;
}

/** One for each watched address that sent a transaction or was sent one. What a node says of a sender is proved before it is told. */
function* transactionMovements(
  block: EvmBlock,
  receipts: readonly EvmReceipt[] | null,
  { items }: WatchSet,
): Generator<Movement> {
  if (items.size === 0) return;
  for (const [index, transaction] of (block.transactions ?? []).entries()) {
    const to = addressItem(transaction, "to");
    const { saidFrom } = transaction;
    const isSender = saidFrom !== null && items.has(saidFrom) && senderOf(transaction) === saidFrom;
    const touched = new Set<string>();
    if (isSender) touched.add(saidFrom);
    if (to !== null && items.has(to)) touched.add(to);
    if (touched.size === 0) continue;
    const succeeded = receipts?.[index]?.succeeded ?? null;
    const value = succeeded === null ? null : succeeded ? `${integerItem(transaction, "value") ?? 0n}` : "0";
    for (const item of touched) {
      yield { item, txid: transaction.hash, output: null, kind: "transaction", value, outpoint: null };
    }
  }
}

/** One for each watched address or first topic of a log: whose log it is, and what its topics name. */
function* logMovements(logs: readonly BlockLog[], { items, topics }: WatchSet): Generator<Movement> {
  if (items.size === 0 && topics.size === 0) return;
  for (const log of logs) {
    const touched = new Set<string>();
    if (items.has(log.address)) touched.add(log.address);
    const [first, ...indexed] = log.topics;
    if (first !== undefined && topics.has(first)) touched.add(first);
    for (const topic of indexed) {
      if (!topic.startsWith(ADDRESS_PADDING)) continue;
      const address = `0x${topic.slice(ADDRESS_PADDING.length)}`;
      if (items.has(address)) touched.add(address);
    }
    for (const item of touched) {
      yield { item, txid: log.transaction_hash, output: log.log_index, kind: "log", value: null, outpoint: null };
    }
  }
}

function digestOf(block: EvmBlock, receipts: readonly EvmReceipt[] | null): EvmDigest {
  const { header } = block;
  const transactions = block.transactions ?? [];
  const used = gasOf(receipts);
  return {
    family: "evm",
    gasUsed: Number(header.gasUsed),
    gasLimit: Number(header.gasLimit),
    baseFeeWei: header.baseFeePerGas === null ? null : `${header.baseFeePerGas}`,
    tipsWei: tipsOf(transactions, used, header.baseFeePerGas ?? 0n),
    blobs: transactions.reduce((sum, { blobs }) => sum + blobs, 0),
    excessBlobGas: header.excessBlobGas === null ? null : `${header.excessBlobGas}`,
    contracts: contractsOf(transactions, used),
  };
}

/** Of each transaction; null without receipts. */
function gasOf(receipts: readonly EvmReceipt[] | null): readonly number[] | null {
  if (receipts === null) return null;
  let before = 0n;
  return receipts.map(({ cumulativeGasUsed }) => {
    const own = Number(cumulativeGasUsed - before);
    before = cumulativeGasUsed;
    return own;
  });
}

/** As `eth_feeHistory` weighs rewards, by the gas that was used; by what was allowed where that is not known. */
function tipsOf(
  transactions: readonly EvmTransaction[],
  used: readonly number[] | null,
  baseFee: bigint,
): readonly string[] {
  const tips: { readonly tip: bigint; readonly gas: number }[] = [];
  for (const [index, transaction] of transactions.entries()) {
    if (transaction.type > MAX_SIGNED_TYPE) continue;
    tips.push({ tip: tipOf(transaction, baseFee), gas: used?.[index] ?? Number(transaction.gasLimit) });
  }
  if (tips.length === 0) return [];
  tips.sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0));
  const total = tips.reduce((sum, { gas }) => sum + gas, 0);
  let at = 0;
  let sum = tips[0]?.gas ?? 0;
  return TIP_PERCENTILES.map((percentile) => {
    const threshold = (total * percentile) / 100;
    while (sum < threshold && at < tips.length - 1) sum += tips[++at]?.gas ?? 0;
    return `${tips[at]?.tip ?? 0n}`;
  });
}

/** Wei for a unit of gas above the base fee. Below zero only where the price is not held against it, as of no network's users. */
function tipOf(transaction: EvmTransaction, baseFee: bigint): bigint {
  const price = integerItem(transaction, "gasPrice");
  if (price !== null) return price - baseFee;
  const most = (integerItem(transaction, "maxFeePerGas") ?? 0n) - baseFee;
  const tip = integerItem(transaction, "maxPriorityFeePerGas") ?? 0n;
  return tip < most ? tip : most;
}

function contractsOf(transactions: readonly EvmTransaction[], used: readonly number[] | null): EvmDigest["contracts"] {
  const contracts = new Map<string, { address: string; calls: number; gasUsed: number }>();
  for (const [index, transaction] of transactions.entries()) {
    const input = itemOf(transaction, "input");
    const to = addressItem(transaction, "to");
    // without input it is a payment
    if (to === null || !(input instanceof Uint8Array) || input.length === 0) continue;
    let row = contracts.get(to);
    if (row === undefined) contracts.set(to, (row = { address: to, calls: 0, gasUsed: 0 }));
    row.calls++;
    row.gasUsed += used?.[index] ?? 0;
  }
  return [...contracts.values()].sort((a, b) => b.gasUsed - a.gasUsed || b.calls - a.calls).slice(0, MAX_CONTRACTS);
}

function addressItem(transaction: EvmTransaction, name: string): string | null {
  const item = itemOf(transaction, name);
  return item instanceof Uint8Array && item.length === 20 ? hexOf(item) : null;
}

function integerItem(transaction: EvmTransaction, name: string): bigint | null {
  const item = itemOf(transaction, name);
  return item === undefined ? null : bytesInteger(item, name);
}
