/** A P2P feed on the system's clock and what it told, with the means to wait for it. */
import { seededRandom, systemClock } from "../../src/shared/clock.ts";
import type { UtxoCodec } from "../../src/daemon/chain/index.ts";
import type { PendingTransaction } from "../../src/shared/body.ts";
import { type Announcement, type Feed, type P2pOptions, createP2pFeed } from "../../src/daemon/upstream/index.ts";

import { testBreaker } from "./breaker.ts";

export class FeedListener {
  readonly feed: Feed;
  readonly announced: Announcement[] = [];
  readonly told: string[] = [];
  readonly pending: PendingTransaction[] = [];
  #wake: () => void = () => {};

  constructor(port: number, codec: UtxoCodec, options: Partial<P2pOptions> = {}) {
    const tell = (what: string) => {
      this.told.push(what);
      this.#wake();
    };
    this.feed = createP2pFeed(
      { name: "node", host: "127.0.0.1", port, backoff: { baseMs: 20, capMs: 100 }, ...options },
      {
        codec,
        clock: systemClock,
        random: seededRandom(1),
        breaker: testBreaker(),
        sink: {
          up: () => tell("up"),
          announce: (_, announcements) => {
            this.announced.push(...announcements);
            this.#wake();
          },
          down: (_, reason) => tell(reason),
          pending: (_, transactions) => {
            this.pending.push(...transactions);
            this.#wake();
          },
        },
      },
    );
    this.feed.start();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  /** Waits until the block was pushed. */
  async heard(hash: string): Promise<Announcement> {
    for (;;) {
      const found = this.announced.find(({ header }) => header.hash === hash);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
