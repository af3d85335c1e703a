/** The numbers that a ZMQ publisher counts its messages by. */

/** `restarted`: the publisher counts from the beginning again. Topic `mempool`: numbers of the node's mempool. */
export interface SequenceGap {
  readonly topic: string;
  readonly cause: "lost" | "restarted";
  readonly expected: number;
  readonly got: number;
}

/** Counts each topic's messages. */
export class SequenceTracker {
  readonly #last = new Map<string, number>();

  /** Null: the next one, or the first that was heard. */
  seen(topic: string, sequence: number): SequenceGap | null {
    const last = this.#last.get(topic);
    this.#last.set(topic, sequence);
    if (last === undefined) return null;
    const expected = (last + 1) >>> 0;
    if (sequence === expected) return null;
    return { topic, cause: sequence <= last ? "restarted" : "lost", expected, got: sequence };
  }
}
