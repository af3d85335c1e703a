/** A pipeline of a chain whose head upstreams choose, each of them in the hands of a test: no hash is proved, any rule can be broken. */
import type { BodyVerdict, ChainCodec, Header, Refusal } from "../../../src/daemon/chain/index.ts";
import {
  PIPELINE_DEFAULTS,
  Pipeline,
  type PipelineModules,
  describeTrouble,
} from "../../../src/daemon/line/pipeline.ts";
import { RaceLedger } from "../../../src/daemon/relay/index.ts";
import type { Announcement } from "../../../src/daemon/upstream/index.ts";
import type { Block } from "../../../src/shared/block.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeFeed } from "./journey.ts";
import { childOf, genesis, withFacts } from "../relay/blocks.ts";
import { HeadsRun, factsOf, told } from "../relay/logs.ts";

const PER_ANSWER = 4;
const TURNS = 20;

export class ScriptedJourney {
  readonly clock = new FakeClock();
  readonly root = genesis("ethereum", 1_000);
  readonly run = new HeadsRun(1, genesis("ethereum", 0), { finalityDepth: 50 });
  readonly faults: string[] = [];
  readonly troubles: string[] = [];
  readonly refusals = new Map<string, Refusal | Error>();
  readonly codec: ChainCodec;
  readonly pipeline: Pipeline;
  /** Proofs wait for it. */
  proofGate: Promise<void> | null = null;
  provesAtOnce = 0;
  mostAtOnce = 0;
  readonly #blocks = new Map<string, Block>([[this.root.hash, this.root]]);

  constructor(changes: Partial<ChainCodec> = {}) {
    const { run, clock } = this;
    run.ingest.unroot();
    this.codec = {
      chain: "ethereum",
      family: "evm",
      network: "devnet",
      forkChoice: "heads",
      blockTimeSeconds: 12,
      finalityDepth: 50,
      genesisHash: null,
      checkHeader: () => null,
      checkContext: ({ hash }) => this.#refusalOf(hash),
      weight: () => 1n,
      toBlock: ({ hash }) => this.#blocks.get(hash) as Block,
      withFacts: (block, facts) => withFacts(block, facts),
      checkBody: (raw): BodyVerdict => ({ ok: true, facts: factsOf({ hash: Buffer.from(raw).toString() }) }),
      ...changes,
    };
    const modules: PipelineModules = {
      codec: this.codec,
      ingest: run.ingest,
      race: new RaceLedger({ chain: "ethereum" }),
      subject: { chain: "ethereum", network: "devnet", plugin: null, signatures: null },
      watch: () => null,
      prover: { check: (_subject, raw, place, watch) => this.#check(() => this.codec.checkBody(raw, place, watch)) },
      clock,
      onFault: (feed, { code }) => void this.faults.push(`${feed.name} ${code}`),
      onTrouble: (_feed, doing, error) => void this.troubles.push(`${doing}: ${describeTrouble(error).message}`),
      onBodyProved: () => {},
      onFirst: () => {},
    };
    this.pipeline = new Pipeline(PIPELINE_DEFAULTS, modules);
  }

  async #check(verdict: () => BodyVerdict): Promise<BodyVerdict> {
    this.provesAtOnce++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.provesAtOnce);
    await this.proofGate;
    this.provesAtOnce--;
    return verdict();
  }

  #refusalOf(hash: string): Refusal | null {
    const refusal = this.refusals.get(hash) ?? null;
    if (refusal instanceof Error) throw refusal;
    return refusal;
  }

  get tip(): string {
    return this.run.ingest.tip.hash;
  }

  /** As relay/logs.ts tells it, without finality. */
  get told(): readonly string[] {
    return told(this.run.events).filter((line) => !line.startsWith("finalized"));
  }

  /** A run of blocks on `parent`. */
  grow(parent: Block, count: number): Block[] {
    const blocks: Block[] = [];
    while (blocks.length < count) {
      const block = childOf(blocks.at(-1) ?? parent);
      this.#blocks.set(block.hash, block);
      blocks.push(block);
    }
    return blocks;
  }

  /** A node whose chain ends with `head`, not started yet. */
  node(name: string, head: Block): ScriptedNode {
    return new ScriptedNode(name, head, this);
  }

  async up(name: string, head: Block): Promise<ScriptedNode> {
    const node = this.node(name, head);
    node.feed.start();
    await this.settle();
    // As feeds do once they are up: where the node's chain ends.
    node.push(head);
    await this.settle();
    return node;
  }

  /** Down to the root. */
  chainTo(head: Block): Block[] {
    const chain: Block[] = [];
    for (let at: Block | undefined = head; at !== undefined; at = this.#blocks.get(at.parentHash)) chain.unshift(at);
    return chain;
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

export class ScriptedNode {
  readonly feed: FakeFeed;
  head: Block;
  readonly #journey: ScriptedJourney;

  constructor(name: string, head: Block, journey: ScriptedJourney) {
    this.#journey = journey;
    this.head = head;
    this.feed = new FakeFeed(name, "ethereum", journey.pipeline);
    this.feed.kind = "ws";
    this.feed.body = async (locator) => {
      this.feed.bodiesAsked.push(locator);
      return Buffer.from(locator);
    };
    this.feed.answer = async (locator) => {
      const chain = journey.chainTo(this.head);
      if (locator.length === 0) return chain.slice(0, PER_ANSWER).map(headerOf);
      const known = new Set(locator);
      const at = chain.findLastIndex((block) => known.has(block.locator));
      return chain.slice(at + 1, at + 1 + PER_ANSWER).map(headerOf);
    };
  }

  /** The node's chain ends there now: what is new to it is pushed, or the head itself where it went back. */
  goTo(head: Block): void {
    const before = new Set(this.#journey.chainTo(this.head).map(({ hash }) => hash));
    const news = this.#journey.chainTo(head).filter(({ hash }) => !before.has(hash));
    this.head = head;
    this.push(...(news.length === 0 ? [head] : news));
  }

  push(...blocks: readonly Block[]): void {
    const receivedAt = this.#journey.clock.now();
    this.feed.announce(
      ...blocks.map((block): Announcement => ({
        header: headerOf(block),
        via: "newHeads",
        receivedAt,
        txCount: null,
        body: null,
      })),
    );
  }
}

function headerOf({ hash, parentHash, height, locator }: Block): Header {
  return { hash, parentHash, height, locator };
}
