/** Logs as nodes answer for a filter, against the bloom of the block that they are of. */
import { refuse } from "../refusal.ts";
import type { Refusal } from "../types.ts";
import { evmReceiptsFromJson } from "./block.ts";
import { bloomMayMatch, type LogFilter } from "./bloom.ts";
import type { EvmHeader } from "./header.ts";
import { dataOf, hexOf, listOf, objectOf } from "./json.ts";
import type { EvmReceipt } from "./receipt.ts";
import { orderedTrieRoot } from "./trie.ts";

/** As geth takes them. */
const MAX_TOPICS = 4;

/** The filter of eth_getLogs; which blocks it names is not looked at. Throws SPRINT_EVM_JSON_*. */
export function logFilterFromJson(value: unknown): LogFilter {
  const { address = null, topics = null } = objectOf(value, "filter");
  const anyOf = (given: unknown, what: string, bytes: number): Uint8Array[] => {
    if (given === null || given === undefined) return [];
    return (Array.isArray(given) ? listOf(given, what) : [given]).map((each) => dataOf(each, what, bytes));
  };
  return {
    addresses: anyOf(address, "address", 20),
    topics: topics === null ? [] : listOf(topics, "topics").map((each) => anyOf(each, "topic", 32)),
  };
}

/**
 * Whether `logs`, the answer of eth_getLogs, can be all that match `filter` in this block: none where the bloom says that there may be some is refused
 * (SPRINT_EVM_LOGS_EMPTY), though bits are shared and it may be right; so is one of another block (_LOGS_PLACE), one that the filter does not let
 * through, and one that the bloom does not hold (_LOGS_STRANGE). That none is left out only the receipts prove. Throws SPRINT_EVM_JSON_*.
 */
export function checkLogs(
  header: Pick<EvmHeader, "hash" | "logsBloom">,
  filter: LogFilter,
  logs: unknown,
): Refusal | null {
  const bloom = dataOf(header.logsBloom, "logsBloom", 256);
  const given = listOf(logs, "logs");
  if (given.length === 0) {
    const may = bloomMayMatch(bloom, filter);
    return may ? refuse("SPRINT_EVM_LOGS_EMPTY", "logs", "some, as the bloom has bits for them", "none") : null;
  }
  for (const [index, each] of given.entries()) {
    const what = `log ${index}`;
    const log = objectOf(each, what);
    const hash = hexOf(dataOf(log["blockHash"], `${what} blockHash`, 32));
    if (hash !== header.hash) return refuse("SPRINT_EVM_LOGS_PLACE", `${what} blockHash`, header.hash, hash);
    const address = dataOf(log["address"], `${what} address`, 20);
    const topics = listOf(log["topics"], `${what} topics`).map((topic) => dataOf(topic, `${what} topic`, 32));
    if (topics.length > MAX_TOPICS)
      return refuse("SPRINT_EVM_LOGS_STRANGE", `${what} topics`, "at most 4", topics.length);
    const own = { addresses: [address], topics: topics.map((topic) => [topic]) };
    if (!passes(own, filter) || !bloomMayMatch(bloom, own)) {
      return refuse("SPRINT_EVM_LOGS_STRANGE", what, "a log of the filter and of the bloom", hexOf(address));
    }
  }
  return null;
}

/**
 * The logs that match `filter`, as the node wrote them into the receipts of a block (eth_getBlockReceipts); null where these are not those that
 * `receiptsRoot` commits to. Throws SPRINT_EVM_JSON_*, SPRINT_EVM_RECEIPT_*.
 */
export function provedLogs(receiptsRoot: string, filter: LogFilter, receipts: unknown): readonly unknown[] | null {
  const given = evmReceiptsFromJson(receipts);
  const proves = (list: readonly EvmReceipt[]): boolean =>
    hexOf(orderedTrieRoot(list.map(({ raw }) => raw))) === receiptsRoot;
  // no root is over the receipt of Polygon's state sync, which stood last before Madhugiri
  const read = [given, given.slice(0, -1)].find(proves);
  if (read === undefined) return null;
  const said = listOf(receipts, "receipts").map((each, i) => listOf(objectOf(each, `receipt ${i}`)["logs"], "logs"));
  return read.flatMap(({ logs }, i) =>
    logs.flatMap(([address, topics], at) => {
      const own = { addresses: [address], topics: topics.map((topic) => [topic]) };
      return passes(own, filter) ? [said[i]?.[at]] : [];
    }),
  );
}

/** Whether the address and topics of one log, each alone in its place, are among those of the filter. */
function passes(log: LogFilter, filter: LogFilter): boolean {
  const among = (own: Uint8Array | undefined, wanted: readonly Uint8Array[]): boolean =>
    wanted.length === 0 || (own !== undefined && wanted.some((each) => Buffer.compare(each, own) === 0));
  return (
    filter.topics.length <= log.topics.length &&
    among(log.addresses[0], filter.addresses) &&
    filter.topics.every((wanted, i) => among(log.topics[i]?.[0], wanted))
  );
}
