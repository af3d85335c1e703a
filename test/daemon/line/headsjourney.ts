/** A pipeline of a chain whose best branch is where upstreams say that it is; headers, feeds and time are in the hands of a test. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { BodyVerdict, ChainCodec, Header } from "../../../src/daemon/chain/index.ts";
import {
  PIPELINE_DEFAULTS,
  Pipeline,
  type PipelineOptions,
  describeTrouble,
} from "../../../src/daemon/line/pipeline.ts";
import { ChainIngest, type IngestOptions, RaceLedger, type StreamDraft } from "../../../src/daemon/relay/index.ts";
import type { Announcement } from "../../../src/daemon/upstream/index.ts";
import type { Block } from "../../../src/shared/block.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeFeed } from "./journey.ts";

const CHAIN = "solana";
export const ROOT = header("root", "before", 100);

export function header(hash: string, parentHash: string, height: number): Header {
  return { hash, parentHash, height, locator: hash };
}

/** Headers on `parent`, named `<name><height>`. */
export function branch(name: string, parent: Header, count: number): Header[] {
  const headers: Header[] = [];
  for (let at = parent; headers.length < count; headers.push(at)) {
    const height = (at.height ?? 0) + 1;
    at = header(`${name}${height}`, at.hash, height);
  }
  return headers;
}

export interface HeadsJourneyOptions extends Partial<PipelineOptions> {
  readonly ingest?: Partial<IngestOptions>;
  /** The chain begins where the first upstream says. */
  readonly unrooted?: boolean;
  /** Upstreams that are configured, up or not. Default 1. */
  readonly sources?: number;
  readonly check?: (raw: Uint8Array, hash: string) => Promise<BodyVerdict>;
}

export class HeadsJourney {
  readonly clock = new FakeClock();
  readonly events: StreamDraft[] = [];
  readonly faults: string[] = [];
  readonly troubles: string[] = [];
  readonly ingest: ChainIngest;
  readonly pipeline: Pipeline;

  constructor({ ingest, check, unrooted = false, sources = 1, ...options }: HeadsJourneyOptions = {}) {
    const toBlock = ({ hash, parentHash, locator }: Header, height: number): Block => ({
      chain: CHAIN,
      hash,
      parentHash,
      locator,
      height,
      timestamp: 1_700_000_000 + height,
      txCount: null,
      sizeBytes: null,
      detail: { family: "svm", slot: height, parentSlot: height - 1, signatures: null },
    });
    const codec = {
      chain: CHAIN,
      family: "svm",
      network: "localnet",
      forkChoice: "heads",
      blockTimeSeconds: 0.4,
      finalityDepth: 50,
      genesisHash: null,
      checkHeader: () => null,
      checkContext: () => null,
      weight: () => 0n,
      toBlock,
      withFacts: (block: Block) => block,
      checkBody: () => {
        throw new Error("not asked here");
      },
    } as unknown as ChainCodec;
    this.ingest = new ChainIngest(
      {
        chain: CHAIN,
        network: "localnet",
        finalityDepth: 50,
        followsWork: false,
        finality: "told",
        validation: check === undefined ? "header" : "full",
        ...ingest,
      },
      { publish: (draft) => void this.events.push(draft), withFacts: codec.withFacts as never },
      { block: toBlock(ROOT, 100), work: 0n },
    );
    if (unrooted) this.ingest.unroot();
    this.pipeline = new Pipeline(
      { ...PIPELINE_DEFAULTS, ...options },
      {
        codec,
        ingest: this.ingest,
        race: new RaceLedger({ chain: CHAIN }),
        subject: { chain: CHAIN, network: "localnet", plugin: null, signatures: null },
        watch: () => null,
        prover: { check: (_subject, raw, { hash }) => (check ?? noBodies)(raw, hash ?? "") },
        clock: this.clock,
        onFault: (feed, { code }) => void this.faults.push(`${feed.name} ${code}`),
        onTrouble: (feed, doing, error) =>
          void this.troubles.push(`${feed?.name ?? "-"} ${doing}: ${describeTrouble(error).code}`),
        onBodyProved: () => {},
        onFirst: () => {},
        sources: () => sources,
      },
    );
  }

  async feed(name: string, ...chain: readonly Header[]): Promise<FakeFeed> {
    const feed = new FakeFeed(name, CHAIN, this.pipeline);
    feed.kind = "rpc";
    feed.start();
    await this.settle();
    if (chain.length > 0) this.tell(feed, ...chain);
    await this.settle();
    return feed;
  }

  tell(feed: FakeFeed, ...headers: readonly Header[]): void {
    const receivedAt = this.clock.now();
    feed.announce(
      ...headers.map(
        (each) => ({ header: each, via: "headers", receivedAt, txCount: null, body: null }) as Announcement,
      ),
    );
  }

  get tip(): string {
    return this.ingest.tip.hash;
  }

  /** "a101a a101v reorg-1 b101a", finality left out. */
  get told(): string {
    return this.events
      .filter((event) => event.type !== "finalized")
      .map((event) => {
        if (event.type === "block") return `${event.data.hash}${event.phase[0]}`;
        if (event.type === "reorg") return `reorg-${event.data.depth}`;
        return event.type === "gap" ? `gap:${event.data.reason}` : event.type;
      })
      .join(" ");
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await nextTurn();
  }
}

function noBodies(): never {
  throw new Error("bodies are not proved here");
}
