/** Listens to one feed as the pipeline does, and holds it to what a sink may expect. */
import { strict as assert } from "node:assert";
import { EventEmitter, once } from "node:events";
import type { TestContext } from "node:test";
import { decodeHeader, paramsFor } from "../../../src/daemon/chain/index.ts";
import type { FeedModules, FeedOptions } from "../../../src/daemon/upstream/feed.ts";
import type { HeaderCodec } from "../../../src/daemon/upstream/rpc-node.ts";
import type { Announcement, Feed } from "../../../src/daemon/upstream/types.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import { type Clock, seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { testBreaker } from "../../fakes/breaker.ts";

export const never: AbortSignal = new AbortController().signal;

export function headerCodec(chain: Chain, network = "regtest"): HeaderCodec {
  const params = paramsFor(chain, network);
  return { chain, network, params, decodeHeader: (bytes, offset = 0) => decodeHeader(bytes, offset, params) };
}

export interface Listener {
  readonly feed: Feed;
  /** Every header told, by push or in the gap behind an `up`, in order. */
  readonly hashes: string[];
  readonly announced: Announcement[];
  readonly downs: string[];
  readonly ups: () => number;
  /** Nothing is being asked for behind an `up`. */
  readonly filled: () => boolean;
  /** Resolves as soon as it holds; asked after each thing that happens. */
  until(holds: () => boolean): Promise<void>;
}

export interface ListenOptions {
  readonly clock?: Clock;
  /** Fill the gap behind each `up` from here, as the pipeline does; off where the node cannot be asked. */
  readonly fillGap?: boolean;
  readonly orphansAllowed?: boolean;
}

type Create = (
  options: Pick<FeedOptions, "name" | "backoff">,
  modules: Omit<FeedModules, "connect"> & { readonly codec: HeaderCodec },
) => Feed;

/** Starts the feed; it is closed when the test ends. */
export function listen(t: TestContext, codec: HeaderCodec, create: Create, options: ListenOptions = {}): Listener {
  const changed = new EventEmitter();
  const clock = options.clock ?? systemClock;
  const hashes: string[] = [];
  const announced: Announcement[] = [];
  const downs: string[] = [];
  const known = new Set([codec.params.genesisHash]);
  let ups = 0;
  let isUp = false;
  /** While the gap is filled, pushes wait, as in the pipeline. */
  let filling: Promise<void> | null = null;

  const take = (announcements: readonly Announcement[]): void => {
    for (const { header } of announcements) {
      if (known.has(header.hash)) continue;
      if (options.orphansAllowed !== true) assert.ok(known.has(header.parentHash), `no hole before ${header.hash}`);
      known.add(header.hash);
      hashes.push(header.hash);
    }
    changed.emit("change");
  };
  const fill = async (): Promise<void> => {
    for (;;) {
      const locator = [...hashes].reverse().slice(0, 100);
      const headers = await feed.headersAfter(locator, never);
      take(headers.map((header) => ({ header, via: "rpc", receivedAt: 0, txCount: null, body: null })));
      if (headers.length === 0) return;
    }
  };
  const settle = (): void => {
    filling = null;
    changed.emit("change");
  };
  const feed = create(
    { name: "test-1", backoff: { baseMs: 20, capMs: 100 } },
    {
      codec,
      breaker: testBreaker({ clock }),
      clock,
      random: seededRandom(1),
      sink: {
        up() {
          assert.ok(!isUp, "up once");
          isUp = true;
          ups++;
          filling =
            options.fillGap === false
              ? null
              : fill().then(
                  () => settle(),
                  () => settle(),
                );
          changed.emit("change");
        },
        announce(_feed, announcements) {
          assert.ok(isUp, "nothing is announced while down");
          announced.push(...announcements);
          if (filling === null) take(announcements);
          else filling = filling.then(() => take(announcements));
          changed.emit("change");
        },
        down(_feed, reason) {
          assert.ok(isUp);
          isUp = false;
          downs.push(reason);
          changed.emit("change");
        },
      },
      onState: () => changed.emit("change"),
    },
  );
  t.after(() => feed.close());
  feed.start();
  return {
    feed,
    hashes,
    announced,
    downs,
    ups: () => ups,
    filled: () => isUp && filling === null,
    async until(holds) {
      while (!holds()) await once(changed, "change", { signal: AbortSignal.timeout(20_000) });
    },
  };
}
