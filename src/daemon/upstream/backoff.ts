/** How long to wait before dialling again. Pure: the last delay and a random number in, the next delay out. */
import type { Random } from "../../shared/clock.ts";

export interface BackoffOptions {
  /** The shortest delay, and the first one. */
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Decorrelated jitter: anywhere between the base and three times the delay before, so that a thousand clients that lost
 * the same node do not come back together. `previousMs` is 0 after a success.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function nextDelayMs(previousMs: number, options: BackoffOptions, random: Random): number {
  const { baseMs, capMs } = options;
  const topMs = Math.max(baseMs, 3 * previousMs);
  return Math.min(capMs, baseMs + random() * (topMs - baseMs));
}
