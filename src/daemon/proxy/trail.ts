/** What was tried for a call, in order: for the client's header, and to say at the end what stood in the way. */
import type { Attempt, Ended } from "./attempt.ts";
import type { Choice, Lane, Skip } from "./lane.ts";

export type TrailWord = Skip | "forced" | "hedged";

/** A header stays short, whatever a call went through. */
const MOST_STEPS = 12;

export class Trail {
  /** Upstreams asked, by however many rounds. */
  attempts = 0;
  /** The earliest time at which an upstream that is open may be asked again, monotonic ms. */
  probeAt: number | null = null;
  readonly #steps = new Set<string>();
  readonly #words = new Set<string>();

  ended({ attempt, word }: Ended): void {
    this.#add(attempt.lane, word);
  }

  /** Another one had answered before. */
  lost(attempt: Attempt): void {
    this.#add(attempt.lane, "hedged");
  }

  skipped({ skips, probeAt }: Choice): void {
    for (const [lane, why] of skips) this.#add(lane, why);
    if (probeAt !== null && (this.probeAt === null || probeAt < this.probeAt)) this.probeAt = probeAt;
  }

  rejected(lane: Lane, word: TrailWord): void {
    this.#add(lane, word);
  }

  saw(word: string): boolean {
    return this.#words.has(word);
  }

  /** As `ltc-2=timeout`; each pair once. */
  get steps(): readonly string[] {
    return [...this.#steps];
  }

  get words(): ReadonlySet<string> {
    return this.#words;
  }

  #add({ upstream }: Lane, word: string): void {
    this.#words.add(word);
    if (this.#steps.size < MOST_STEPS) this.#steps.add(`${headerToken(upstream.name)}=${word}`);
  }
}

/** The operator's names stand in a header: whatever is no token there becomes a dash (RFC 9110, 5.6.2). */
export function headerToken(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/g, "-").slice(0, 64);
}

export function headerOf(steps: readonly string[]): string {
  return steps.slice(0, MOST_STEPS).join(", ");
}
