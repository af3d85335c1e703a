/** Events as JSON lines on standard output, for pipes. */
import type { StreamEvent } from "../relay/index.ts";

/** A reader that stopped reading costs at most this much memory; what it misses is counted and told. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

export interface LineSink {
  write(line: string): unknown;
  readonly writableLength?: number;
}

export interface LinePrinter {
  print(event: StreamEvent): void;
}

/** `now` is the monotonic clock that `receivedAt` was read from, ms. */
export function linePrinter(out: LineSink, now: () => number): LinePrinter {
  let skipped = 0;
  return {
    print(event) {
      if ((out.writableLength ?? 0) > MAX_BUFFERED_BYTES) {
        skipped++;
        return;
      }
      if (skipped > 0)
        out.write(`${JSON.stringify({ type: "skipped", count: skipped, reason: "not read in time" })}\n`);
      skipped = 0;
      out.write(`${JSON.stringify(shown(event, now()))}\n`);
    },
  };
}

/** As a subscriber gets it; `relay_time_ms` is measured to this line. */
function shown(event: StreamEvent, now: number): object {
  const { type, chain, network, cursor, data } = event;
  if (event.type !== "block") return { type, chain, network, cursor, data };
  const relayTimeMs = Math.round((now - event.receivedAt) * 1_000) / 1_000;
  return { type, chain, network, phase: event.phase, cursor, data: { ...data, relay_time_ms: relayTimeMs } };
}
