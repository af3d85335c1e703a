/** Listens to one EVM feed as the pipeline does: fills behind `up`, and holds it to "every header after its parent". */
import { strict as assert } from "node:assert";
import { EventEmitter, once } from "node:events";
import type { TestContext } from "node:test";
import { evmCodecFor, evmParamsFor } from "../../../src/daemon/chain/index.ts";
import { createEvmFeed, type EvmFeedOptions } from "../../../src/daemon/upstream/evm.ts";
import type { EvmNetwork } from "../../../src/daemon/upstream/evm-node.ts";
import type { Announcement, ChainPoint, Feed } from "../../../src/daemon/upstream/types.ts";
import { parseUpstreamUrl } from "../../../src/daemon/upstream/url.ts";
import type { PendingTransaction } from "../../../src/shared/body.ts";
import { type Clock, seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { testBreaker } from "../../fakes/breaker.ts";

export const never: AbortSignal = new AbortController().signal;

export const codec = evmCodecFor(evmParamsFor("ethereum", "devnet"));
export const devnet: EvmNetwork = codec;

/** Runs `factor` times as fast, so that the time-outs of a node that hangs are not waited for. */
export function fastClock(factor: number): Clock {
  return {
    now: () => systemClock.now() * factor,
    wall: () => systemClock.wall(),
    after: (ms, fn) => systemClock.after(ms / factor, fn),
  };
}

export interface EvmListener {
  readonly feed: Feed;
  readonly announced: Announcement[];
  readonly batches: (readonly string[])[];
  readonly pending: PendingTransaction[];
  readonly finalized: ChainPoint[];
  readonly downs: string[];
  /** Parent by hash, of all that was announced or filled. */
  readonly parents: ReadonlyMap<string, string>;
  readonly head: () => string | null;
  readonly ups: () => number;
  /** It is up and the gap behind that is filled. */
  readonly filled: () => boolean;
  /** The last `count` hashes that lead to the head, oldest first. */
  chain(count: number): readonly string[];
  until(holds: () => boolean): Promise<void>;
}

export interface EvmListenOptions extends Partial<Omit<EvmFeedOptions, "address">> {
  readonly url: string;
  readonly network?: EvmNetwork;
  readonly clock?: Clock;
  readonly orphansAllowed?: boolean;
}

/** Starts the feed; it is closed when the test ends. */
export function listenEvm(
  t: TestContext,
  { url, network = devnet, clock = systemClock, orphansAllowed = false, ...options }: EvmListenOptions,
): EvmListener {
  const address = parseUpstreamUrl(url);
  assert.ok(address.kind === "ws" || address.kind === "rpc");
  const changed = new EventEmitter();
  const announced: Announcement[] = [];
  const batches: (readonly string[])[] = [];
  const pending: PendingTransaction[] = [];
  const finalized: ChainPoint[] = [];
  const downs: string[] = [];
  const parents = new Map<string, string>();
  let head: string | null = null;
  let ups = 0;
  let isUp = false;
  let filling: Promise<void> | null = null;

  const take = (announcements: readonly Announcement[]): void => {
    for (const { header } of announcements) {
      const isRoot = parents.size === 0;
      assert.ok(
        orphansAllowed || isRoot || parents.has(header.hash) || parents.has(header.parentHash),
        `a hole before ${header.height}`,
      );
      parents.set(header.hash, header.parentHash);
    }
    head = announcements.at(-1)?.header.hash ?? head;
  };
  const fill = async (): Promise<void> => {
    for (;;) {
      const locator = head === null ? [] : chain(64).toReversed();
      const headers = await feed.headersAfter(locator, never);
      take(headers.map((header) => ({ header, via: "rpc", receivedAt: 0, txCount: null, body: null })));
      if (headers.length === 0 || locator.length === 0) return;
    }
  };
  const chain = (count: number): readonly string[] => {
    const found: string[] = [];
    for (let hash = head; hash !== null && found.length < count; hash = parents.get(hash) ?? null)
      if (parents.has(hash)) found.unshift(hash);
    return found;
  };
  /** What waits when the connection ends is dropped with it. */
  const afterFill = async (before: Promise<void>, announcements: readonly Announcement[]): Promise<void> => {
    const connection = ups;
    await before;
    if (isUp && connection === ups) take(announcements);
    settle();
  };
  const settle = (): void => {
    filling = null;
    changed.emit("change");
  };
  const feed = createEvmFeed(
    { name: "evm-1", backoff: { baseMs: 20, capMs: 100 }, pollMs: 60, finalityMs: 100, ...options, address },
    {
      codec: network,
      breaker: testBreaker({ clock }),
      clock,
      random: seededRandom(1),
      sink: {
        up() {
          assert.ok(!isUp);
          isUp = true;
          ups++;
          filling = fill().then(settle, settle);
          changed.emit("change");
        },
        announce(_feed, announcements) {
          assert.ok(isUp, "nothing is announced while down");
          announced.push(...announcements);
          batches.push(announcements.map(({ header }) => header.hash));
          if (filling === null) take(announcements);
          else filling = afterFill(filling, announcements);
          changed.emit("change");
        },
        down(_feed, reason) {
          isUp = false;
          downs.push(reason);
          changed.emit("change");
        },
        finalized(_feed, point) {
          finalized.push(point);
          changed.emit("change");
        },
        pending(_feed, transactions) {
          pending.push(...transactions);
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
    announced,
    batches,
    pending,
    finalized,
    downs,
    parents,
    head: () => head,
    ups: () => ups,
    filled: () => isUp && filling === null,
    chain,
    async until(holds) {
      while (!holds()) await once(changed, "change", { signal: AbortSignal.timeout(20_000) });
    },
  };
}
