/** Which events a subscriber hears. */
import { GAP } from "./gap.ts";
import type { Filter, StreamDraft } from "./types.ts";

/** A gap is told whatever types are asked for: silence would be a lie. */
export function matches(filter: Filter, event: StreamDraft): boolean {
  if (filter.chains !== null && !filter.chains.includes(event.chain)) return false;
  // Whoever does not listen for proofs misses nothing where one will not come.
  if (event.type === "gap") return event.data.reason !== GAP.BODY_UNAVAILABLE || filter.phase !== "announced";
  if (filter.types !== null && !filter.types.includes(event.type)) return false;
  return event.type !== "block" || filter.phase === null || filter.phase === event.phase;
}

/** The same text for filters that let the same through. */
export function filterKey(filter: Filter): string {
  const list = (values: readonly string[] | null): string =>
    values === null ? "*" : [...new Set(values)].sort().join(",");
  return `${list(filter.chains)}|${list(filter.types)}|${filter.phase ?? "*"}`;
}
