/** How much a peer may say unasked. Answers to our requests are not counted: those are bounded by the requests. */
import { SprintError } from "../../shared/errors.ts";

export interface MeterOptions {
  readonly burstMessages: number;
  readonly messagesPerSecond: number;
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
}

/** Far above what an honest node sends in a block storm of a test network (one compact block per block), far below a flood. */
export const METER_DEFAULTS: MeterOptions = {
  burstMessages: 5_000,
  messagesPerSecond: 500,
  burstBytes: 64_000_000,
  bytesPerSecond: 4_000_000,
};

/** Two token buckets, refilled by elapsed time. */
export class InboundMeter {
  readonly #options: MeterOptions;
  #messages: number;
  #bytes: number;
  #at: number;

  constructor(options: MeterOptions, now: number) {
    this.#options = options;
    this.#messages = options.burstMessages;
    this.#bytes = options.burstBytes;
    this.#at = now;
  }

  /** Counts one unasked message. Throws SPRINT_P2P_FLOOD where the peer went beyond its share. */
  count(command: string, sizeBytes: number, now: number): void {
    const { burstMessages, messagesPerSecond, burstBytes, bytesPerSecond } = this.#options;
    const seconds = (now - this.#at) / 1_000;
    this.#at = now;
    this.#messages = Math.min(burstMessages, this.#messages + seconds * messagesPerSecond) - 1;
    this.#bytes = Math.min(burstBytes, this.#bytes + seconds * bytesPerSecond) - sizeBytes;
    if (this.#messages >= 0 && this.#bytes >= 0) return;
    throw new SprintError(
      "SPRINT_P2P_FLOOD",
      `Expected at most ${messagesPerSecond} messages and ${bytesPerSecond} bytes a second unasked, the peer sent more; the last was "${command}". Disconnected.`,
      { command, messagesPerSecond, bytesPerSecond },
    );
  }
}
