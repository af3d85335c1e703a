/** The stream as it was sent: gives each event its number and its cursor, and keeps the newest of them for those who come back. */
import type { Chain } from "../../shared/chain.ts";
import { advance, type ChainPosition, encodeCursor, type Positions } from "./cursor.ts";
import type { PassingDraft, StreamDraft, StreamEvent } from "./types.ts";

export interface LogOptions {
  readonly maxEvents: number;
  /** Approximate memory of the events kept. */
  readonly maxBytes: number;
}

const LOG_DEFAULTS: LogOptions = { maxEvents: 10_000, maxBytes: 16 * 1024 * 1024 };

export class EventLog {
  readonly #options: LogOptions;
  /** Names this daemon run, as 16 hex digits. */
  readonly run: string;
  readonly #ring: (StreamEvent | undefined)[] = [];
  readonly #positions = new Map<Chain, ChainPosition>();
  #lastSeq = 0;
  #kept = 0;
  #bytes = 0;
  /** The cursor of the newest event, made when it is first asked for. */
  #cursorNow = "";
  #cursorOf = -1;

  /** `run`: 8 random bytes, new at each start. */
  constructor(options: Partial<LogOptions>, modules: { readonly run: Uint8Array }) {
    this.#options = { ...LOG_DEFAULTS, ...options };
    this.run = Buffer.from(modules.run.subarray(0, 8)).toString("hex");
  }

  /** Seq of the newest event, 0 before the first. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** How far each chain's stream has come. */
  get positions(): Positions {
    return this.#positions;
  }

  get size(): { readonly events: number; readonly bytes: number } {
    return { events: this.#kept, bytes: this.#bytes };
  }

  /** A cursor for the place after the newest event. */
  cursor(): string {
    return encodeCursor({ run: this.run, seq: this.#lastSeq, positions: this.#positions });
  }

  /** Throws where a cursor has no room for what the event says (a height beyond 32 bits, a chain too many); nothing is changed then. */
  append(draft: StreamDraft): StreamEvent {
    const before = this.#positions.get(draft.chain) ?? null;
    this.#stand(draft.chain, advance(before, draft));
    const seq = this.#lastSeq + 1;
    let cursor: string;
    try {
      cursor = encodeCursor({ run: this.run, seq, positions: this.#positions });
    } catch (error) {
      // It stands in the cursors of all chains: it must not stay.
      this.#stand(draft.chain, before);
      throw error;
    }
    if (this.#kept === this.#options.maxEvents) this.#forgetOldest();
    this.#lastSeq = seq;
    const event: StreamEvent = { ...draft, seq, cursor };
    this.#ring[this.#lastSeq % this.#options.maxEvents] = event;
    this.#bytes += approximateBytes(event);
    this.#kept++;
    while (this.#kept > 1 && this.#bytes > this.#options.maxBytes) this.#forgetOldest();
    return event;
  }

  /** An event of the moment: it takes no place of its own, and is not kept. */
  passing(draft: PassingDraft): StreamEvent {
    if (this.#cursorOf !== this.#lastSeq) {
      this.#cursorNow = this.cursor();
      this.#cursorOf = this.#lastSeq;
    }
    return { ...draft, seq: this.#lastSeq, cursor: this.#cursorNow };
  }

  /** Everything after `seq`, oldest first; null where that is not all kept any more, or was never sent. */
  since(seq: number): readonly StreamEvent[] | null {
    if (seq > this.#lastSeq || seq < this.#lastSeq - this.#kept) return null;
    const events: StreamEvent[] = [];
    for (let next = seq + 1; next <= this.#lastSeq; next++) events.push(this.#at(next));
    return events;
  }

  #stand(chain: Chain, position: ChainPosition | null): void {
    if (position === null) this.#positions.delete(chain);
    else this.#positions.set(chain, position);
  }

  #forgetOldest(): void {
    const oldest = this.#lastSeq - this.#kept + 1;
    this.#bytes -= approximateBytes(this.#at(oldest));
    this.#ring[oldest % this.#options.maxEvents] = undefined;
    this.#kept--;
  }

  /** `seq` must be one that is kept. */
  #at(seq: number): StreamEvent {
    return this.#ring[seq % this.#options.maxEvents] as StreamEvent;
  }
}

function approximateBytes(event: StreamEvent): number {
  if (event.type === "reorg") return 600 + (event.data.reverted.length + event.data.applied.length) * 120;
  if (event.type !== "log") return 600;
  return event.data.logs.reduce((sum, { topics, data }) => sum + 400 + topics.length * 68 + data.length, 600);
}
