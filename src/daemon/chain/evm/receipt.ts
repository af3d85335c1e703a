/** Receipts in their canonical bytes, from JSON-RPC and from RLP, with the bloom rebuilt from their logs. */
import { SprintError } from "../../../shared/errors.ts";
import { BLOOM_BYTES, type BloomBits } from "./bloom.ts";
import {
  countOf,
  dataOf,
  fieldOf,
  hexOf,
  type JsonObject,
  listOf,
  objectOf,
  quantityBytes,
  quantityOf,
} from "./json.ts";
import { bytesInteger, decodeRlp, encodeRlp, isRlpList, rlpPayload, type RlpItem } from "./rlp.ts";
import { typeOf } from "./transaction.ts";

export interface EvmReceipt {
  readonly type: number;
  /** What the trie holds. */
  readonly raw: Uint8Array;
  readonly cumulativeGasUsed: bigint;
  /** Null before Byzantium, where a state root stands in its place (EIP-658). */
  readonly succeeded: boolean | null;
  /** Of the logs, 256 bytes. */
  readonly bloom: Uint8Array;
  readonly logs: readonly LogItem[];
  /** What JSON-RPC says beside the receipt; null for one from RLP. */
  readonly place: ReceiptPlace | null;
}

/** Where a receipt says that it belongs. */
export interface ReceiptPlace {
  readonly transactionHash: string;
  readonly transactionIndex: number;
  readonly blockHash: string;
  readonly blockNumber: number;
  readonly gasUsed: bigint;
  readonly logs: readonly LogPlace[];
}

export interface LogPlace {
  readonly transactionHash: string;
  readonly transactionIndex: number;
  readonly blockHash: string;
  readonly blockNumber: number;
  readonly logIndex: number;
}

const DEPOSIT = 0x7e;
/** EVM: LOG0 to LOG4. */
const MAX_TOPICS = 4;

/**
 * Throws SPRINT_EVM_JSON_*, SPRINT_EVM_RECEIPT_BLOOM where `logsBloom` is not that of its logs, or SPRINT_EVM_RECEIPT_REMOVED for a
 * log that its sender took back.
 */
export function receiptFromJson(value: unknown, what: string, bits: BloomBits): EvmReceipt {
  const object = objectOf(value, what);
  const type = typeOf(object, what);
  const logs = listOf(object["logs"], `${what} logs`).map((log, i) => logFromJson(log, `${what} log ${i}`));
  const items = logs.map(({ item }) => item);
  const bloom = bloomOf(items, bits);
  checkBloom(dataOf(object["logsBloom"], `${what} logsBloom`, BLOOM_BYTES), bloom, what);
  const cumulative = quantityBytes(object["cumulativeGasUsed"], `${what} cumulativeGasUsed`);
  const status = outcome(object, what);
  const fields: RlpItem[] = [status, cumulative, bloom, items];
  const version = fieldOf(object, ["depositReceiptVersion"]);
  if (type === DEPOSIT && version !== undefined) {
    // Canyon; before it the nonce was kept beside the receipt and left out of the root
    fields.push(quantityBytes(object["depositNonce"], `${what} depositNonce`));
    fields.push(quantityBytes(version, `${what} depositReceiptVersion`));
  }
  const encoded = encodeRlp(fields);
  return {
    type,
    raw: type === 0 ? encoded : Buffer.concat([Uint8Array.of(type), encoded]),
    cumulativeGasUsed: bytesInteger(cumulative, `${what} cumulativeGasUsed`),
    succeeded: succeeded(status),
    bloom,
    logs: items,
    place: {
      ...placeOf(object, what),
      gasUsed: quantityOf(object["gasUsed"], `${what} gasUsed`),
      logs: logs.map(({ place }) => place),
    },
  };
}

/** One item of a list of receipts. Throws SPRINT_EVM_RLP_*, SPRINT_EVM_RECEIPT_FIELDS or SPRINT_EVM_RECEIPT_BLOOM. */
export function receiptFromRlp(encoded: Uint8Array, what: string, bits: BloomBits): EvmReceipt {
  const legacy = isRlpList(encoded);
  const raw = legacy ? encoded : rlpPayload(encoded);
  const type = legacy ? 0 : (raw[0] ?? 0);
  const fields = decodeRlp(legacy ? raw : raw.subarray(1));
  if (fields instanceof Uint8Array || (fields.length !== 4 && !(type === DEPOSIT && fields.length === 6))) {
    throw badReceipt("FIELDS", what, "4 fields", fields instanceof Uint8Array ? "bytes" : fields.length);
  }
  const [status, cumulative, bloom, logs] = fields as [RlpItem, RlpItem, RlpItem, RlpItem];
  const isOutcome =
    status instanceof Uint8Array && (status.length === 32 || bytesInteger(status, `${what} status`, 1) <= 1n);
  if (!isOutcome) throw badReceipt("FIELDS", what, "a status of 0 or 1, or a state root", "something else");
  if (!(bloom instanceof Uint8Array) || bloom.length !== BLOOM_BYTES) {
    throw badReceipt("FIELDS", `${what} bloom`, `${BLOOM_BYTES} bytes`, bloom.length);
  }
  if (logs instanceof Uint8Array || !logs.every(isLog))
    throw badReceipt("FIELDS", `${what} logs`, "logs", "something else");
  const rebuilt = bloomOf(logs, bits);
  checkBloom(bloom, rebuilt, what);
  const cumulativeGasUsed = bytesInteger(cumulative, `${what} cumulativeGasUsed`, 8);
  return { type, raw, cumulativeGasUsed, succeeded: succeeded(status), bloom: rebuilt, logs, place: null };
}

function succeeded(status: Uint8Array): boolean | null {
  return status.length === 32 ? null : status.length === 1;
}

export type LogItem = readonly [address: Uint8Array, topics: readonly Uint8Array[], data: Uint8Array];

function isLog(item: RlpItem): item is LogItem {
  if (item instanceof Uint8Array || item.length !== 3) return false;
  const [address, topics, data] = item;
  if (!(address instanceof Uint8Array) || address.length !== 20 || !(data instanceof Uint8Array)) return false;
  if (topics === undefined || topics instanceof Uint8Array || topics.length > MAX_TOPICS) return false;
  return topics.every((topic) => topic instanceof Uint8Array && topic.length === 32);
}

function logFromJson(value: unknown, what: string): { readonly item: LogItem; readonly place: LogPlace } {
  const log = objectOf(value, what);
  const topics = listOf(log["topics"], `${what} topics`).map((topic) => dataOf(topic, `${what} topic`, 32));
  if (topics.length > MAX_TOPICS) throw badReceipt("FIELDS", `${what} topics`, `at most ${MAX_TOPICS}`, topics.length);
  if (log["removed"] === true) throw badReceipt("REMOVED", what, "a log that stands", "removed: true");
  const item = [dataOf(log["address"], `${what} address`, 20), topics, dataOf(log["data"], `${what} data`)] as const;
  return { item, place: { ...placeOf(log, what), logIndex: countOf(log["logIndex"], `${what} logIndex`) } };
}

function placeOf(object: JsonObject, what: string): Omit<LogPlace, "logIndex"> {
  return {
    transactionHash: hexOf(dataOf(object["transactionHash"], `${what} transactionHash`, 32)),
    transactionIndex: countOf(object["transactionIndex"], `${what} transactionIndex`),
    blockHash: hexOf(dataOf(object["blockHash"], `${what} blockHash`, 32)),
    blockNumber: countOf(object["blockNumber"], `${what} blockNumber`),
  };
}

/** The state root before Byzantium (EIP-658), success or failure since. */
function outcome(object: JsonObject, what: string): Uint8Array {
  const status = fieldOf(object, ["status"]);
  if (status === undefined) return dataOf(object["root"], `${what} status or root`, 32);
  const bytes = quantityBytes(status, `${what} status`);
  if (bytesInteger(bytes, `${what} status`) > 1n) throw badReceipt("FIELDS", `${what} status`, "0 or 1", hexOf(bytes));
  return bytes;
}

function bloomOf(logs: readonly LogItem[], bits: BloomBits): Uint8Array {
  const bloom = new Uint8Array(BLOOM_BYTES);
  for (const [address, topics] of logs) {
    bits.add(bloom, address);
    for (const topic of topics) bits.add(bloom, topic);
  }
  return bloom;
}

function checkBloom(given: Uint8Array, rebuilt: Uint8Array, what: string): void {
  if (Buffer.compare(given, rebuilt) !== 0) {
    throw badReceipt("BLOOM", `${what} logsBloom`, "the bloom of its logs", "another");
  }
}

function badReceipt(
  fault: "FIELDS" | "BLOOM" | "REMOVED",
  what: string,
  expected: string,
  actual: string | number,
): SprintError {
  const message = `${what}: expected ${expected}, got ${actual}`;
  return new SprintError(`SPRINT_EVM_RECEIPT_${fault}`, message, { field: what, expected, actual });
}
