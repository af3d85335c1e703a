/** Server-sent events, as a stream of bytes brings them. https://html.spec.whatwg.org/multipage/server-sent-events.html */
import { SprintError } from "../../shared/errors.ts";

export interface ServerEvent {
  /** "message" where it has no name. */
  readonly name: string;
  readonly data: string;
}

/** The events that are listened to have less than 1 KB. */
export const MAX_EVENT_BYTES = 65_536;
const [LF, CR] = [0x0a, 0x0d];

export class EventReader {
  /** Of the line that has not ended. */
  #pieces: Buffer[] = [];
  /** Of that line and of the event so far. */
  #sizeBytes = 0;
  #name = "";
  #data: string[] = [];
  #afterCr = false;

  /** Events that are complete with `chunk`. Throws SPRINT_UPSTREAM_BEACON_EVENT for one of more than 64 KiB. */
  push(chunk: Buffer): ServerEvent[] {
    const events: ServerEvent[] = [];
    let from = this.#afterCr && chunk[0] === LF ? 1 : 0;
    if (chunk.length > 0) this.#afterCr = false;
    while (from < chunk.length) {
      const end = lineEnd(chunk, from);
      this.#keep(chunk.subarray(from, end));
      if (end === chunk.length) break;
      const event = this.#endLine();
      if (event !== null) events.push(event);
      const isCr = chunk[end] === CR;
      from = end + (isCr && chunk[end + 1] === LF ? 2 : 1);
      this.#afterCr = isCr && end + 1 === chunk.length;
    }
    return events;
  }

  #keep(piece: Buffer): void {
    this.#sizeBytes += piece.length;
    if (this.#sizeBytes > MAX_EVENT_BYTES) {
      throw new SprintError(
        "SPRINT_UPSTREAM_BEACON_EVENT",
        `event stream: expected events of at most ${MAX_EVENT_BYTES} bytes, got a longer one`,
        { maxBytes: MAX_EVENT_BYTES },
      );
    }
    // A copy: what is kept should not hold the whole of what was read.
    if (piece.length > 0) this.#pieces.push(Buffer.from(piece));
  }

  #endLine(): ServerEvent | null {
    const line = Buffer.concat(this.#pieces).toString("utf8");
    this.#pieces = [];
    if (line === "") return this.#endEvent();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    // A comment (no field name) keeps a connection alive, for hours: it is no part of an event.
    else this.#sizeBytes -= Buffer.byteLength(line);
    return null;
  }

  #endEvent(): ServerEvent | null {
    const event = this.#data.length === 0 ? null : { name: this.#name || "message", data: this.#data.join("\n") };
    this.#name = "";
    this.#data = [];
    this.#sizeBytes = 0;
    return event;
  }
}

function lineEnd(bytes: Buffer, from: number): number {
  let end = from;
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++;
  return end;
}
