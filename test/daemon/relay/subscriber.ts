/** A subscriber that keeps what it was given, and takes it off its socket only as fast as the test says. */
import type { SprintEvent } from "../../../src/shared/events.ts";
import type { Tier } from "../../../src/shared/tier.ts";
import type { Filter, Subscriber } from "../../../src/daemon/relay/index.ts";

export interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export class FakeSubscriber implements Subscriber {
  readonly id: string;
  readonly tier: Tier;
  readonly filter: Filter;
  readonly writes: Write[] = [];
  closed: { code: number; reason: string } | null = null;
  /** Bytes that the peer has not taken; grows with each write while `stalled`. */
  buffered = 0;
  stalled = false;
  fails = false;
  readonly #now: () => number;

  constructor(id: string, tier: Tier = "ENTERPRISE", now: () => number = () => 0, filter: Partial<Filter> = {}) {
    this.id = id;
    this.tier = tier;
    this.filter = { chains: null, types: null, phase: null, ...filter };
    this.#now = now;
  }

  write(bytes: Uint8Array): void {
    if (this.fails) throw new Error("EPIPE");
    this.writes.push({ at: this.#now(), bytes });
    if (this.stalled) this.buffered += bytes.length;
  }

  bufferedBytes(): number {
    return this.buffered;
  }

  close(code: number, reason: string): void {
    this.closed = { code, reason };
  }

  /** Everything received, in order. */
  messages(): SprintEvent[] {
    return this.writes.flatMap(({ bytes }) => readFrames(bytes));
  }
}

/** Unmasked text frames, each JSON. Throws on anything else. */
export function readFrames(bytes: Uint8Array): SprintEvent[] {
  const view = Buffer.from(bytes);
  const messages: SprintEvent[] = [];
  let at = 0;
  while (at < view.length) {
    if (view[at] !== 0x81) throw new Error(`expected a final text frame at byte ${at}`);
    let length = view.readUInt8(at + 1);
    at += 2;
    if (length === 126) {
      length = view.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      length = Number(view.readBigUInt64BE(at));
      at += 8;
    }
    messages.push(JSON.parse(view.toString("utf8", at, at + length)) as SprintEvent);
    at += length;
  }
  return messages;
}
