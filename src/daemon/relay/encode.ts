/**
 * Events as complete, unmasked WebSocket text frames (RFC 6455, section 5.2), made once and shared by all who get them.
 * `relay_time_ms` differs from write to write: it stands in a field of fixed width, padded with spaces as JSON allows, and is
 * written into a fresh copy; bytes that a socket has seen are never touched again.
 */
import type { GoodbyeEvent, HelloEvent, PendingEntry } from "../../shared/events.ts";
import { logsFor } from "./filter.ts";
import type { Filter, LogDecoder, PendingDraft, StreamEvent } from "./types.ts";

/** One or several frames in a row, to be handed over in one write. */
export interface Batch {
  readonly bytes: Buffer;
  /** Where the relay times go, and since when they count. */
  readonly stamps: readonly Stamp[];
  readonly events: number;
  /** The position after the last of them. */
  readonly cursor: string;
  /** Monotonic ms of the socket read behind the first announced block in it; null where there is none. */
  readonly announcedAt: number | null;
}

interface Stamp {
  readonly at: number;
  /** Monotonic ms. */
  readonly receivedAt: number;
}

/** Up to 99,999,999.999 ms, which is 27 hours. */
const STAMP_WIDTH = 12;
const STAMP_MAX_US = 99_999_999_999;
const SPACE = 0x20;
const POINT = 0x2e;
const ZERO = 0x30;

/** Whether the same bytes serve everybody who gets the event. */
export function isForAll(event: StreamEvent, { logs }: Filter): boolean {
  return event.type !== "log" || logs === undefined;
}

/** `filter` and `decode` (null: logs are not decoded) are those of the subscribers that get the event. */
export function encodeEvent(event: StreamEvent, filter: Filter, decode: LogDecoder | null): Batch {
  const { type, chain, network, cursor } = event;
  if (event.type !== "block") {
    const text = JSON.stringify({ type, chain, network, cursor, data: dataFor(event, filter, decode) });
    return { bytes: textFrame(Buffer.from(text)), stamps: [], events: 1, cursor, announcedAt: null };
  }
  const head = JSON.stringify({ type, chain, network, phase: event.phase, cursor }).slice(0, -1);
  const data = JSON.stringify(event.data).slice(0, -1);
  const before = Buffer.from(`${head},"data":${data},"relay_time_ms":`);
  const tail = `${" ".repeat(STAMP_WIDTH)}}}`;
  const bytes = textFrame(Buffer.concat([before, Buffer.from(tail)]));
  const { phase, receivedAt } = event;
  const stamps = [{ at: bytes.length - tail.length, receivedAt }];
  return { bytes, stamps, events: 1, cursor, announcedAt: phase === "announced" ? receivedAt : null };
}

function dataFor(event: StreamEvent, filter: Filter, decode: LogDecoder | null): unknown {
  if (event.type !== "log") return event.data;
  const data = logsFor(filter, event.data);
  return decode === null ? data : { ...data, logs: data.logs.map((log) => ({ ...log, decoded: decode(log) })) };
}

/** Makes a frame of some of the event's transactions; each of them is written as JSON once, and all of them are framed once. */
export function pendingEncoder(event: StreamEvent & PendingDraft): (transactions: readonly PendingEntry[]) => Batch {
  const { type, chain, network, cursor, data } = event;
  const head = JSON.stringify({ type, chain, network, cursor }).slice(0, -1);
  const texts = new Map<PendingEntry, string>();
  const textOf = (entry: PendingEntry): string => {
    const text = texts.get(entry) ?? JSON.stringify(entry);
    texts.set(entry, text);
    return text;
  };
  const encode = (transactions: readonly PendingEntry[]): Batch => {
    const bytes = textFrame(Buffer.from(`${head},"data":{"transactions":[${transactions.map(textOf).join(",")}]}}`));
    return { bytes, stamps: [], events: 1, cursor, announcedAt: null };
  };
  let whole: Batch | null = null;
  return (transactions) =>
    transactions === data.transactions ? (whole ??= encode(transactions)) : encode(transactions);
}

/** `hello` and `goodbye` belong to one subscriber. */
export function encodeMessage(message: HelloEvent | GoodbyeEvent): Buffer {
  return textFrame(Buffer.from(JSON.stringify(message)));
}

/** Several batches as one, in order. */
export function joinBatches(batches: readonly Batch[]): Batch {
  const [first] = batches;
  if (first !== undefined && batches.length === 1) return first;
  const stamps: Stamp[] = [];
  let at = 0;
  let events = 0;
  for (const batch of batches) {
    for (const stamp of batch.stamps) stamps.push({ at: at + stamp.at, receivedAt: stamp.receivedAt });
    at += batch.bytes.length;
    events += batch.events;
  }
  const bytes = Buffer.concat(
    batches.map((batch) => batch.bytes),
    at,
  );
  const announcedAt = batches.find((batch) => batch.announcedAt !== null)?.announcedAt ?? null;
  return { bytes, stamps, events, cursor: batches.at(-1)?.cursor ?? "", announcedAt };
}

/** A copy that says how long the relay took until `now` (monotonic ms); the batch itself where no time stands in it. */
export function stamped(batch: Batch, now: number): Buffer {
  if (batch.stamps.length === 0) return batch.bytes;
  const copy = Buffer.allocUnsafeSlow(batch.bytes.length);
  copy.set(batch.bytes);
  for (const { at, receivedAt } of batch.stamps) writeMilliseconds(copy, at, now - receivedAt);
  return copy;
}

function writeMilliseconds(bytes: Uint8Array, at: number, milliseconds: number): void {
  let rest = Math.min(STAMP_MAX_US, Math.max(0, Math.round(milliseconds * 1_000)));
  for (let index = at + STAMP_WIDTH - 1; index >= at; index--) {
    const fromRight = at + STAMP_WIDTH - 1 - index;
    if (fromRight === 3) {
      bytes[index] = POINT;
    } else {
      bytes[index] = rest > 0 || fromRight <= 4 ? ZERO + (rest % 10) : SPACE;
      rest = Math.floor(rest / 10);
    }
  }
}

/** FIN, opcode text, no mask. */
function textFrame(payload: Buffer): Buffer {
  const { length } = payload;
  const headBytes = length < 126 ? 2 : length < 0x1_0000 ? 4 : 10;
  const frame = Buffer.allocUnsafeSlow(headBytes + length);
  frame[0] = 0x81;
  if (headBytes === 2) frame[1] = length;
  else if (headBytes === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.set(payload, headBytes);
  return frame;
}
