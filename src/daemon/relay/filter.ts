/** Which events a subscriber hears. */
import type { BlockLog } from "../../shared/body.ts";
import type { Chain } from "../../shared/chain.ts";
import { BASIC_TYPES, type EventType, type LogData, type PendingEntry } from "../../shared/events.ts";
import { GAP } from "./gap.ts";
import type { Filter, LogFilter, PassingDraft, PendingFilter, StreamDraft } from "./types.ts";

/** Who names no types hears these. */
const BASIC: ReadonlySet<EventType> = new Set(BASIC_TYPES);

/** A gap is told whatever types are asked for: silence would be a lie. Who is told of pending transactions is told by `PendingListeners`. */
export function matches(filter: Filter, event: StreamDraft | PassingDraft): boolean {
  if (filter.chains !== null && !filter.chains.includes(event.chain)) return false;
  // Whoever does not listen for proofs misses nothing where one will not come.
  if (event.type === "gap") {
    if (event.data.reason === GAP.LOGS_UNAVAILABLE) return filter.types?.includes("log") === true;
    return event.data.reason !== GAP.BODY_UNAVAILABLE || filter.phase !== "announced";
  }
  if (filter.types === null ? !BASIC.has(event.type) : !filter.types.includes(event.type)) return false;
  switch (event.type) {
    case "block":
      return filter.phase === null || filter.phase === event.phase;
    case "watch":
      return filter.watch === undefined || filter.watch.includes(event.data.list);
    case "log":
      return filter.logs === undefined || event.data.logs.some((log) => logMatches(log, filter.logs as LogFilter));
    default:
      return true;
  }
}

/** What of a list the filter lets through. */
export function logsFor({ logs: filter }: Filter, data: LogData): LogData {
  return filter === undefined ? data : { ...data, logs: data.logs.filter((log) => logMatches(log, filter)) };
}

/** Whether it is told of some transactions of this chain that are in no block yet. */
export function hearsPending({ chains, types }: Filter, chain: Chain): boolean {
  return types?.includes("pending_tx") === true && (chains === null || chains.includes(chain));
}

/** Lists of a filter as sets: a filter may name some thousand things, and a block has thousands of logs. */
interface Sets {
  readonly addresses: ReadonlySet<string> | null;
  /** Positions that may not be any. */
  readonly topics: readonly (readonly [position: number, any: ReadonlySet<string>])[];
  readonly selectors: ReadonlySet<string> | null;
}

const setsOf = new WeakMap<LogFilter | PendingFilter, Sets>();

function compiled(filter: LogFilter | PendingFilter): Sets {
  let sets = setsOf.get(filter);
  if (sets === undefined) {
    const some = (values: readonly string[]): ReadonlySet<string> | null =>
      values.length === 0 ? null : new Set(values);
    const topics = "topics" in filter ? filter.topics : [];
    sets = {
      addresses: some(filter.addresses),
      topics: topics.flatMap((any, position) => (any === null ? [] : [[position, new Set(any)] as const])),
      selectors: "selectors" in filter ? some(filter.selectors) : null,
    };
    setsOf.set(filter, sets);
  }
  return sets;
}

function logMatches(log: BlockLog, filter: LogFilter): boolean {
  const { addresses, topics } = compiled(filter);
  if (addresses !== null && !addresses.has(log.address)) return false;
  return topics.every(([position, any]) => any.has(log.topics[position] ?? ""));
}

/** Of what came as a hash alone nothing else is known: only who asks for nothing in particular hears of it. */
export function pendingMatches({ evm }: PendingEntry, filter: PendingFilter): boolean {
  if (evm === undefined) return false;
  const { addresses, selectors } = compiled(filter);
  if (addresses !== null && !addresses.has(evm.from) && (evm.to === null || !addresses.has(evm.to))) return false;
  if (selectors !== null && (evm.selector === null || !selectors.has(evm.selector))) return false;
  return filter.minValue === null || BigInt(evm.value_wei) >= filter.minValue;
}

/** The same text for filters that let the same through. */
export function filterKey(filter: Filter): string {
  const list = (values: readonly string[] | null): string =>
    values === null ? "*" : [...new Set(values)].sort().join(",");
  const { logs, pending, watch } = filter;
  const more =
    logs === undefined && pending === undefined && watch === undefined
      ? ""
      : `|${JSON.stringify([logs, pending, watch], bigintText)}`;
  return `${list(filter.chains)}|${list(filter.types)}|${filter.phase ?? "*"}${more}`;
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
