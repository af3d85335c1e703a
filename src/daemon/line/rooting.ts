/** Where a chain begins that no rule and no configuration says it of: two upstreams that agree say so, or one where nobody else answers in time. */
import type { Cancel, Clock } from "../../shared/clock.ts";
import type { ChainCodec, Header, Refusal } from "../chain/index.ts";
import type { FeedRecord } from "./feedrecord.ts";
import type { ChainIngest } from "../relay/index.ts";
import type { Feed } from "../upstream/index.ts";

export interface RootingModules {
  readonly codec: ChainCodec;
  readonly ingest: ChainIngest;
  readonly clock: Clock;
  /** The upstream is neither lost nor taken out. */
  readonly isUp: (record: FeedRecord) => boolean;
  /** How many upstreams there are that may tell where the chain begins, up or not. */
  readonly sources: () => number;
  readonly onFault: (feed: Feed, refusal: Refusal) => void;
}

/** Counts from the first answer: then one alone is enough, for the others may be gone. */
export const ROOT_PATIENCE_MS = 3_000;
/** Cursors have 32 bits for a height. */
const MAX_ROOT_HEIGHT = 0xf000_0000;

export class Rooting {
  readonly #modules: RootingModules;
  /** Answers that nobody agreed with yet, oldest first. Their first header holds. */
  readonly #answers = new Map<FeedRecord, readonly Header[]>();
  readonly #rooted = Promise.withResolvers<void>();
  #cancelPatience: Cancel | null = null;
  #isPatient = true;

  constructor(modules: RootingModules) {
    this.#modules = modules;
  }

  /** What an upstream answered with, asked for its chain (not empty). Resolves when the chain has its root; false: this upstream is lost, or was refused. */
  async take(record: FeedRecord, headers: readonly Header[]): Promise<boolean> {
    const { ingest, clock, isUp, sources } = this.#modules;
    const [first] = headers;
    if (first === undefined || !(await this.#holds(record, first))) return false;
    if (ingest.isRooted) return true;
    if (sources() <= 1 || !this.#isPatient) {
      this.#plant(first);
      return true;
    }
    this.#answers.set(record, headers);
    this.#cancelPatience ??= clock.after(ROOT_PATIENCE_MS, () => this.#plantAlone());
    const shared = this.#sharedWith(record, headers);
    // Of what is agreed on a liar may tell anything but its name.
    if (shared !== undefined && (await this.#holds(record, shared)) && !ingest.isRooted) this.#plant(shared);
    await Promise.race([this.#rooted.promise, lost(record)]);
    this.#answers.delete(record);
    return ingest.isRooted && isUp(record);
  }

  close(): void {
    this.#cancelPatience?.();
  }

  /** The oldest block that another upstream has at the same place: what is before it, only one of them says. */
  #sharedWith(record: FeedRecord, headers: readonly Header[]): Header | undefined {
    const others = new Set<string>();
    for (const [other, theirs] of this.#answers)
      if (other.feed !== record.feed) for (const header of theirs) others.add(placeOf(header));
    return headers.find((header) => others.has(placeOf(header)));
  }

  /** Nobody agreed, or that would have been the root: the first that answered is believed. Where it is lost by now, the next that answers. */
  #plantAlone(): void {
    this.#isPatient = false;
    const [headers] = this.#answers.values();
    const first = headers?.[0];
    if (first !== undefined && !this.#modules.ingest.isRooted) this.#plant(first);
  }

  #plant(header: Header): void {
    const { codec, ingest } = this.#modules;
    this.#cancelPatience?.();
    ingest.root({ block: codec.toBlock(header, header.height ?? 0, null), work: 0n });
    this.#rooted.resolve();
  }

  /** False where that header can be no root: its upstream is taken out, or lost. */
  async #holds(record: FeedRecord, header: Header): Promise<boolean> {
    const { codec, isUp, onFault } = this.#modules;
    const { hash, height } = header;
    // What follows is held against its parent; of the first block nothing else says how high it is.
    const refusal =
      height !== null && !(height >= 0 && height <= MAX_ROOT_HEIGHT)
        ? tooHigh(height)
        : await codec.checkHeader(header);
    if (!isUp(record)) return false;
    if (refusal !== null) onFault(record.feed, { ...refusal, data: { ...refusal.data, hash } });
    return refusal === null;
  }
}

/** A block at its place in the chain: where one of these is another one, upstreams do not mean the same. */
function placeOf({ hash, parentHash, height, locator }: Header): string {
  return `${height} ${hash} ${parentHash} ${locator}`;
}

function lost({ abort: { signal } }: FeedRecord): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function tooHigh(height: number): Refusal {
  return {
    code: "SPRINT_UPSTREAM_HEIGHT",
    message: `expected a chain that begins at a height up to ${MAX_ROOT_HEIGHT}, got ${height}`,
    data: { expected: MAX_ROOT_HEIGHT, actual: height },
  };
}
