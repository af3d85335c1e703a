/** A block's receipts against its header and its transactions. */
import { refuse } from "../refusal.ts";
import type { Refusal } from "../types.ts";
import { BLOOM_BYTES, mergeBloom } from "./bloom.ts";
import type { EvmHeader } from "./header.ts";
import { hexOf } from "./json.ts";
import type { EvmReceipt, LogPlace } from "./receipt.ts";
import type { EvmTransaction } from "./transaction.ts";
import { EMPTY_TRIE_ROOT, orderedTrieRoot } from "./trie.ts";

interface Receipted {
  readonly header: EvmHeader;
  readonly transactions: readonly EvmTransaction[] | null;
  readonly transactionHashes: readonly string[];
  readonly stateSync: string | null;
}

/**
 * Root, bloom, gas, number and place of the receipts; `skipped` grows where they are not here. Refuses with SPRINT_EVM_RECEIPT_COUNT,
 * _RECEIPT_PLACE, _RECEIPT_GAS, _RECEIPTS_ROOT, _LOGS_BLOOM or _GAS_USED.
 */
export function checkEvmReceipts(
  block: Receipted,
  given: readonly EvmReceipt[] | null,
  skipped: string[],
): Refusal | null {
  const { header, transactionHashes: hashes } = block;
  if (given === null && hashes.length > 0) {
    skipped.push("receipts, as they are not here");
    return null;
  }
  // the receipt of a state-sync transaction stands behind the others, and no root is over it
  const all = given ?? [];
  const receipts = block.stateSync === null ? all : all.slice(0, hashes.length);
  const most = hashes.length + (block.stateSync === null ? 0 : 1);
  if (receipts.length < hashes.length || all.length > most) {
    return refuse("SPRINT_EVM_RECEIPT_COUNT", "receipts", hashes.length, all.length);
  }
  const refusal = checkPlaces(block, all) ?? checkGas(header, receipts);
  if (refusal !== null) return refusal;
  const root = receipts.length === 0 ? EMPTY_TRIE_ROOT : hexOf(orderedTrieRoot(receipts.map(({ raw }) => raw)));
  if (root !== header.receiptsRoot) {
    return refuse("SPRINT_EVM_RECEIPTS_ROOT", "receiptsRoot", header.receiptsRoot, root);
  }
  const bloom = new Uint8Array(BLOOM_BYTES);
  for (const receipt of receipts) mergeBloom(bloom, receipt.bloom);
  if (hexOf(bloom) === header.logsBloom) return null;
  return refuse("SPRINT_EVM_LOGS_BLOOM", "logsBloom", "the bloom of all logs", "another");
}

function checkGas(header: EvmHeader, receipts: readonly EvmReceipt[]): Refusal | null {
  let before = 0n;
  for (const [index, { cumulativeGasUsed: gas, place }] of receipts.entries()) {
    if (gas < before) return refuse("SPRINT_EVM_RECEIPT_GAS", `receipt ${index} gas`, `at least ${before}`, `${gas}`);
    if (place !== null && place.gasUsed !== gas - before) {
      return refuse("SPRINT_EVM_RECEIPT_GAS", `receipt ${index} gasUsed`, `${gas - before}`, `${place.gasUsed}`);
    }
    before = gas;
  }
  return before === header.gasUsed ? null : refuse("SPRINT_EVM_GAS_USED", "gasUsed", `${header.gasUsed}`, `${before}`);
}

/** Types, and of JSON the hashes and indexes that no root is over. */
function checkPlaces(block: Receipted, receipts: readonly EvmReceipt[]): Refusal | null {
  let logIndex = 0;
  for (const [index, { type, place }] of receipts.entries()) {
    const transaction = block.transactions?.[index];
    if (transaction !== undefined && transaction.type !== type) {
      return refuse("SPRINT_EVM_RECEIPT_TYPE", `receipt ${index} type`, transaction.type, type);
    }
    if (place === null) continue;
    const hash = block.transactionHashes[index] ?? block.stateSync ?? "";
    const expected = { transactionHash: hash, transactionIndex: index };
    const logs = place.logs.map((log) => [log, logIndex++] as const);
    const stray = isStray(block.header, expected, place)
      ? place
      : logs.find(([log, at]) => isStray(block.header, expected, log, at))?.[0];
    if (stray !== undefined) {
      const { header } = block;
      const where = `transaction ${index} ${hash} of block ${header.number} ${header.hash}`;
      const actual = `${stray.transactionIndex} ${stray.transactionHash} of ${stray.blockNumber} ${stray.blockHash}`;
      return refuse("SPRINT_EVM_RECEIPT_PLACE", `receipt ${index} and its logs in order`, where, actual);
    }
  }
  return null;
}

type Place = Omit<LogPlace, "logIndex"> & Partial<Pick<LogPlace, "logIndex">>;

function isStray(
  header: EvmHeader,
  expected: Pick<LogPlace, "transactionHash" | "transactionIndex">,
  place: Place,
  logIndex?: number,
): boolean {
  return (
    place.transactionHash !== expected.transactionHash ||
    place.transactionIndex !== expected.transactionIndex ||
    place.blockHash !== header.hash ||
    place.blockNumber !== header.number ||
    place.logIndex !== logIndex
  );
}
