/** A pipeline with everything around it in the hands of a test: feeds, blocks, time. Codec, tree and race ledger are the real ones. */
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type Header,
  type UtxoCodec,
  type UtxoHeader,
  type Refusal,
  codecFor,
  paramsFor,
} from "../../../src/daemon/chain/index.ts";
import { BlockStore, type MinedBlock } from "../../../src/daemon/devnet/blocks.ts";
import { type Draft, draftOn, mineBlock } from "../../../src/daemon/devnet/miner.ts";
import { compactSize } from "../../../src/daemon/devnet/serialize.ts";
import {
  PIPELINE_DEFAULTS,
  Pipeline,
  type PipelineOptions,
  describeTrouble,
} from "../../../src/daemon/line/pipeline.ts";
import { ChainIngest, RaceLedger, type StreamDraft } from "../../../src/daemon/relay/index.ts";
import type {
  AnnounceVia,
  Announcement,
  Feed,
  FeedKind,
  FeedSink,
  FeedState,
  FeedStatus,
} from "../../../src/daemon/upstream/index.ts";
import type { Chain, UtxoChain } from "../../../src/shared/chain.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { FakeClock } from "../../fakes/clock.ts";

const PATIENCE_MS = 10_000;

/** An upstream that says what a test puts into its mouth. */
export class FakeFeed implements Feed {
  readonly name: string;
  readonly chain: Chain;
  kind: FeedKind = "p2p";
  /** Reasons, in order. */
  readonly cordons: string[] = [];
  /** How often `headersAfter` was called. */
  asked = 0;
  /** Hashes that `body` was asked for. */
  readonly bodiesAsked: string[] = [];
  readonly bodies = new Map<string, Uint8Array>();
  /** What it answers with to `headersAfter`; at first nothing newer. */
  answer: (locator: readonly string[], signal: AbortSignal) => Promise<readonly Header[]> = async () => [];
  /** Set: `body` waits for it. */
  bodyGate: Promise<void> | null = null;
  height = 0;
  #state: FeedState = "idle";
  readonly #sink: FeedSink;

  constructor(name: string, chain: Chain, sink: FeedSink) {
    this.name = name;
    this.chain = chain;
    this.#sink = sink;
  }

  /** The code of its only cordon, null where there is none. */
  get cordoned(): string | null {
    return this.cordons.join(" | ").split(":")[0] || null;
  }

  start(): void {
    this.#state = "up";
    this.#sink.up(this);
  }

  async close(): Promise<void> {
    this.hangUp();
  }

  hangUp(): void {
    if (this.#state !== "up") return;
    this.#state = "down";
    this.#sink.down(this, "hung up");
  }

  announce(...announcements: readonly Announcement[]): void {
    this.#sink.announce(this, announcements);
  }

  async headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly Header[]> {
    this.asked++;
    return abortable(this.answer(locator, signal), signal);
  }

  async body(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    this.bodiesAsked.push(hash);
    if (this.bodyGate !== null) await abortable(this.bodyGate, signal);
    const raw = this.bodies.get(hash);
    if (raw === undefined) throw new SprintError("SPRINT_UPSTREAM_NOT_FOUND", `${this.name} does not have ${hash}`);
    return raw;
  }

  cordon(reason: string): void {
    this.cordons.push(reason);
    this.#state = "cordoned";
    this.#sink.down(this, reason);
  }

  uncordon(): void {}
  breakerMoved(): void {}

  status(): FeedStatus {
    const { name, chain, kind, height } = this;
    const state = this.#state;
    return {
      name,
      chain,
      kind,
      state,
      height,
      url: "p2p://127.0.0.1:1",
      agent: null,
      lastProgressAt: null,
      connects: 1,
      lastError: null,
      safe: null,
      finalized: null,
      cordon: null,
    };
  }
}

export interface JourneyOptions extends Partial<PipelineOptions> {
  readonly chain?: UtxoChain;
  readonly finalityDepth?: number;
}

/** One chain on regtest from genesis on, its pipeline, and a miner. */
export class Journey {
  readonly chain: UtxoChain;
  readonly codec: UtxoCodec;
  readonly clock = new FakeClock();
  readonly events: StreamDraft[] = [];
  readonly faults: { readonly feed: string; readonly code: string }[] = [];
  readonly troubles: string[] = [];
  readonly ingest: ChainIngest;
  readonly race: RaceLedger;
  readonly pipeline: Pipeline;
  readonly genesis: MinedBlock;
  /** Who was called first, block by block. */
  readonly firsts: string[] = [];
  /** Headers whose work was checked, in order. */
  readonly proofs: string[] = [];
  /** Set: a proof of work is done when it says so. */
  proofGate: ((header: UtxoHeader) => Promise<void>) | null = null;
  readonly #random = seededRandom(7);

  constructor({ chain = "bitcoin", finalityDepth = 50, ...options }: JourneyOptions = {}) {
    this.chain = chain;
    const params = paramsFor(chain, "regtest");
    const codec = codecFor(params);
    this.codec = { ...codec, checkHeader: (header) => this.#checkWork(codec, header) };
    const { header } = codec.decodeHeader(params.genesisHeader);
    // Its body counts as proved: no feed needs to have it.
    const facts = { txCount: 1, sizeBytes: 285, weight: 1_140, coinbaseHeight: null, level: "full" as const };
    const root = { block: codec.toBlock(header, 0, facts), work: codec.weight(header) };
    this.ingest = new ChainIngest(
      { chain, network: "regtest", finalityDepth },
      { publish: (draft) => void this.events.push(draft), withFacts: codec.withFacts },
      root,
    );
    this.race = new RaceLedger({ chain });
    this.pipeline = new Pipeline(
      { ...PIPELINE_DEFAULTS, ...options },
      {
        codec: this.codec,
        ingest: this.ingest,
        race: this.race,
        subject: { chain, network: "regtest", plugin: null, signatures: null },
        watch: () => null,
        prover: { check: async (_subject, raw, place, watch) => codec.checkBody(raw, place, watch) },
        clock: this.clock,
        onFault: (feed, { code }) => void this.faults.push({ feed: feed.name, code }),
        onTrouble: (_feed, doing, error) => void this.troubles.push(`${doing}: ${describeTrouble(error).code}`),
        onBodyProved: () => {},
        onFirst: (feed) => void this.firsts.push(feed.name),
      },
    );
    this.genesis = {
      hash: params.genesisHash,
      height: 0,
      time: header.time,
      header: Buffer.from(params.genesisHeader),
      transactions: [],
      parent: null,
    };
  }

  #checkWork(codec: UtxoCodec, header: UtxoHeader): ReturnType<UtxoCodec["checkHeader"]> {
    this.proofs.push(header.hash);
    if (this.proofGate === null) return codec.checkHeader(header);
    return this.proofGate(header).then(() => codec.checkHeader(header));
  }

  /** A feed that is up and has nothing to tell yet. */
  async feed(name: string): Promise<FakeFeed> {
    const feed = new FakeFeed(name, this.chain, this.pipeline);
    feed.start();
    await this.settle();
    return feed;
  }

  /** A block on `parent`; `changes` spoil it. */
  mine(parent: MinedBlock, changes: Partial<Draft> = {}): Promise<MinedBlock> {
    const time = Math.floor(this.clock.wall() / 1000) - 3_600 + parent.height;
    return mineBlock(this.chain, { ...draftOn(parent, time, false, 2), ...changes }, parent, this.#random);
  }

  async mineRun(parent: MinedBlock, count: number): Promise<MinedBlock[]> {
    const blocks: MinedBlock[] = [];
    for (let at = parent; blocks.length < count; blocks.push(at)) at = await this.mine(at);
    return blocks;
  }

  headerOf(block: MinedBlock): UtxoHeader {
    return this.codec.decodeHeader(block.header).header;
  }

  announcement(block: MinedBlock, body: Uint8Array | null = null, via: AnnounceVia = "headers"): Announcement {
    return { header: this.headerOf(block), via, receivedAt: this.clock.now(), txCount: null, body };
  }

  /** Answers `headersAfter` as a node does whose best chain ends with `tip`. */
  nodeAt(tip: MinedBlock, perAnswer = 2_000): FakeFeed["answer"] {
    const store = new BlockStore({ keepBlocks: 10_000 }, this.genesis);
    const chain: MinedBlock[] = [];
    for (let at = tip; at.height > 0; at = at.parent as MinedBlock) chain.unshift(at);
    for (const block of chain) store.add(block);
    return async (locator) =>
      store
        .headersAfter(locator, "00".repeat(32), perAnswer)
        .headers.map((header) => this.codec.decodeHeader(header).header);
  }

  /** Heights and phases as told after genesis: "1a 1v reorg-1 2a"; finality is left out. */
  get told(): string {
    return this.events
      .filter((event) => event.type !== "finalized" && !(event.type === "block" && event.data.height === 0))
      .map((event) => {
        if (event.type === "block") return `${event.data.height}${event.phase[0]}`;
        if (event.type === "reorg") return `reorg-${event.data.depth}`;
        return event.type === "gap" ? `gap:${event.data.reason}` : event.type;
      })
      .join(" ");
  }

  /** Hashes of the blocks announced after genesis, in order. */
  get announced(): string[] {
    return this.events.flatMap((event) =>
      event.type === "block" && event.phase === "announced" && event.data.height > 0 ? [event.data.hash] : [],
    );
  }

  /** Lets promises that need no thread and no timer run out. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await nextTurn();
  }

  async until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!holds()) {
      if (performance.now() > deadline)
        throw new Error(`did not come true; told: ${this.told}; ${JSON.stringify(this.faults)}`);
      await nextTurn();
    }
  }
}

/** As a node sends it. */
export function bodyOf(block: MinedBlock, transactions = block.transactions): Uint8Array {
  return Buffer.concat([block.header, compactSize(transactions.length), ...transactions.map(({ bytes }) => bytes)]);
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", stop));
}

export type { MinedBlock, Refusal };
