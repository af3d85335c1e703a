/** Listens to a feed of Solana as the pipeline does, and holds it to what a sink may expect. */
import { strict as assert } from "node:assert";
import { EventEmitter, once } from "node:events";
import type { TestContext } from "node:test";
import { type Header, type SvmAnnounced, svmCodecFor, svmParams } from "../../../src/daemon/chain/index.ts";
import { createSvmFeed, type SvmFeedOptions } from "../../../src/daemon/upstream/svm.ts";
import type { Announcement, ChainPoint, Feed } from "../../../src/daemon/upstream/types.ts";
import { parseUpstreamUrl } from "../../../src/daemon/upstream/url.ts";
import type { PendingTransaction } from "../../../src/shared/body.ts";
import { type Clock, seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { testBreaker } from "../../fakes/breaker.ts";

export const never: AbortSignal = new AbortController().signal;

export interface SvmListener {
  readonly feed: Feed;
  /** By hash, in the order in which they were told first, the first one without its parent. */
  readonly headers: Map<string, SvmAnnounced>;
  readonly announced: Announcement[];
  /** Where the node's chain ends, as the feed says. */
  readonly head: () => SvmAnnounced | null;
  /** From the head down, as far as it was told, oldest first. */
  readonly chain: () => readonly string[];
  readonly finalized: ChainPoint[];
  readonly pending: PendingTransaction[];
  readonly errors: string[];
  readonly contradictions: string[];
  readonly ups: () => number;
  readonly filled: () => boolean;
  /** Resolves as soon as it holds; asked after each thing that happens. */
  until(holds: () => boolean): Promise<void>;
}

export function listenSvm(
  t: TestContext,
  url: string,
  options: Partial<Omit<SvmFeedOptions, "address" | "name">> & {
    readonly clock?: Clock;
    readonly network?: string;
    readonly orphansAllowed?: boolean;
    readonly onUnwatched?: (reason: string) => void;
  } = {},
): SvmListener {
  const {
    clock = systemClock,
    network = "localnet",
    orphansAllowed = false,
    onUnwatched = () => {},
    ...more
  } = options;
  const codec = svmCodecFor(svmParams(network));
  const address = parseUpstreamUrl(url);
  assert.ok(address.kind === "ws" || address.kind === "rpc");
  const changed = new EventEmitter();
  const headers = new Map<string, SvmAnnounced>();
  const announced: Announcement[] = [];
  const finalized: ChainPoint[] = [];
  const pending: PendingTransaction[] = [];
  const errors: string[] = [];
  const contradictions: string[] = [];
  let head: SvmAnnounced | null = null;
  let ups = 0;
  let isUp = false;
  let filling: Promise<void> | null = null;

  const take = (told: readonly Header[]): void => {
    for (const header of told as readonly SvmAnnounced[]) {
      assert.equal(codec.checkHeader(header), null);
      const parent = headers.get(header.parentHash);
      if (!headers.has(header.hash)) {
        assert.ok(parent !== undefined || headers.size === 0 || orphansAllowed, `no hole before slot ${header.slot}`);
        const block = parent === undefined ? null : codec.toBlock(parent, parent.height ?? 0, null);
        if (block !== null) assert.equal(codec.checkContext(header, { block, parent: null }, 0), null);
        headers.set(header.hash, header);
      }
    }
    changed.emit("change");
  };
  const fill = async (): Promise<void> => {
    for (;;) {
      const locator = [...headers.values()].reverse().map(({ locator }) => locator);
      const found = await feed.headersAfter(locator.slice(0, 100), never);
      take(found);
      if (found.length === 0) return;
    }
  };
  const settle = (): void => {
    filling = null;
    changed.emit("change");
  };
  const feed = createSvmFeed(
    { name: "sol-1", address, backoff: { baseMs: 20, capMs: 100 }, pollMs: 40, ...more },
    {
      codec,
      onUnwatched,
      breaker: testBreaker({ clock }),
      clock,
      random: seededRandom(1),
      sink: {
        up() {
          assert.ok(!isUp, "up once");
          isUp = true;
          ups++;
          filling = fill().then(settle, settle);
          changed.emit("change");
        },
        announce(_feed, announcements) {
          assert.ok(isUp, "nothing is announced while down");
          announced.push(...announcements);
          head = announcements.at(-1)?.header as SvmAnnounced;
          const told = announcements.map(({ header }) => header);
          if (filling === null) take(told);
          else filling = filling.then(() => take(told));
          changed.emit("change");
        },
        finalized(_feed, point) {
          assert.ok(isUp);
          finalized.push(point);
          changed.emit("change");
        },
        pending(_feed, transactions) {
          pending.push(...transactions);
          changed.emit("change");
        },
        contradicted(_feed, error) {
          assert.ok(!isUp, "after it is down");
          contradictions.push(error.code);
          changed.emit("change");
        },
        down() {
          isUp = false;
          changed.emit("change");
        },
      },
      onState: () => {
        const { lastError } = feed.status();
        if (lastError !== null && errors.at(-1) !== lastError.code) errors.push(lastError.code);
        changed.emit("change");
      },
    },
  );
  t.after(() => feed.close());
  feed.start();
  return {
    feed,
    headers,
    announced,
    head: () => head,
    chain() {
      const hashes: string[] = [];
      for (let at = head ?? undefined; at !== undefined; at = headers.get(at.parentHash)) hashes.push(at.hash);
      return hashes.reverse();
    },
    finalized,
    pending,
    errors,
    contradictions,
    ups: () => ups,
    filled: () => isUp && filling === null,
    async until(holds) {
      const signal = AbortSignal.timeout(20_000);
      while (!holds()) await once(changed, "change", { signal });
    },
  };
}
