/**
 * How many attempts there may be beyond one a call: failover, hedges and looks at an upstream that was behind draw on it together. In an outage every
 * call fails; without a budget each would become three, and the upstreams that are left would go under by that.
 */
import type { Clock } from "../../shared/clock.ts";
import type { RetryOptions } from "./types.ts";

export class RetryBudget {
  readonly #options: RetryOptions;
  readonly #clock: Pick<Clock, "now">;
  #tokens: number;
  #at: number;

  constructor(options: RetryOptions, modules: { readonly clock: Pick<Clock, "now"> }) {
    this.#options = options;
    this.#clock = modules.clock;
    this.#tokens = options.most;
    this.#at = modules.clock.now();
  }

  /** A call begins. */
  earn(): void {
    this.#add(this.#options.share);
  }

  get isEmpty(): boolean {
    this.#add(0);
    return this.#tokens < 1;
  }

  /** An attempt beyond the first begins. */
  spend(): void {
    this.#tokens--;
  }

  #add(tokens: number): void {
    const now = this.#clock.now();
    const { perSecond, most } = this.#options;
    this.#tokens = Math.min(most, this.#tokens + tokens + ((now - this.#at) / 1_000) * perSecond);
    this.#at = now;
  }
}
