/** One chain's working parts put together: codec, ingest, race ledger, pipeline, and the feeds that its configuration names. */
import type { Block } from "../shared/block.ts";
import type { Chain } from "../shared/chain.ts";
import type { Clock, Random } from "../shared/clock.ts";
import { SprintError } from "../shared/errors.ts";
import type { TierRow } from "../shared/tier.ts";
import { type Breaker, type Transition, createBreaker } from "./breaker/index.ts";
import {
  type ChainCodec,
  type Checkpoint,
  type NetworkParams,
  checkpointFrom,
  codecFor,
  decodeHeader,
  paramsFor,
} from "./chain/index.ts";
import type { ChainConfig } from "./config.ts";
import { PIPELINE_DEFAULTS, Pipeline, type PipelineModules } from "./pipeline.ts";
import { ChainIngest, RaceLedger, type StreamDraft, type TreeRoot } from "./relay/index.ts";
import {
  type Announcement,
  type Feed,
  type FeedModules,
  type FeedSink,
  type SequenceGap,
  PeerSet,
  createP2pFeed,
  createRpcFeed,
  createZmqFeed,
  parseUpstreamUrl,
} from "./upstream/index.ts";

/** How upstreams are named: `ltc-1`, `ltc-2`. */
const SHORT_NAME: Readonly<Record<Chain, string>> = { bitcoin: "btc", litecoin: "ltc", dogecoin: "doge" };

export interface ChainLineModules extends Pick<PipelineModules, "prover" | "onFault" | "onTrouble"> {
  readonly clock: Clock;
  readonly random: Random;
  /** Of the highest tier that is served. */
  readonly breakerPolicy: TierRow["breaker"];
  readonly publish: (draft: StreamDraft) => void;
  /** What was published goes out now: the rest of this turn can wait. */
  readonly flush: () => void;
  readonly onBodyProved: (chain: Chain, milliseconds: number) => void;
  readonly onAnnounced: (feed: Feed, announcements: readonly Announcement[]) => void;
  readonly onState: NonNullable<FeedModules["onState"]>;
  /** A DNS seed of the chain gave no address. */
  readonly onSeedFailed: (chain: Chain, seed: string, error: unknown) => void;
  /** A ZMQ publisher's messages were lost, or it restarted. */
  readonly onGap: (feed: string, gap: SequenceGap) => void;
  readonly onTransition: (transition: Transition) => void;
}

export interface ChainLine {
  readonly chain: Chain;
  /** What events and the API call the network. */
  readonly network: string;
  readonly codec: ChainCodec;
  readonly ingest: ChainIngest;
  readonly race: RaceLedger;
  readonly pipeline: Pipeline;
  feeds(): readonly Feed[];
  breakers(): readonly Breaker[];
  start(): void;
  close(): Promise<void>;
}

type OpenModules = { readonly onGap: (gap: SequenceGap) => void } & Omit<FeedModules, "connect"> & {
    readonly codec: ChainCodec;
  };

/** `network` is the name shown; `config.network` the one whose rules count (devnet runs on regtest rules). */
export function createChainLine(config: ChainConfig, network: string, modules: ChainLineModules): ChainLine {
  const { chain } = config;
  const { clock, random, publish, prover, onFault, onTrouble, onBodyProved } = modules;
  const params = paramsFor(chain, config.network);
  const codec = codecFor(params);
  const finalityDepth = config.finalityDepth ?? params.finalityDepth;
  const ingest = new ChainIngest(
    { chain, network, finalityDepth, validation: config.validation },
    { publish },
    rootOf(config, codec),
  );
  const race = new RaceLedger({ chain });
  const pipeline = new Pipeline(PIPELINE_DEFAULTS, {
    codec,
    ingest,
    race,
    prover,
    clock,
    onFault,
    onTrouble,
    onBodyProved: (milliseconds) => onBodyProved(chain, milliseconds),
    onFirst: (feed) => peers?.scored(feed.name, 1),
  });
  const sink: FeedSink = {
    up: (feed) => pipeline.up(feed),
    announce(feed, announcements) {
      pipeline.announce(feed, announcements);
      modules.flush();
      modules.onAnnounced(feed, announcements);
    },
    down: (feed) => pipeline.down(feed),
  };

  const breakers = new Map<string, Breaker>();
  const feedModules = (name: string): OpenModules => {
    const { failureThreshold, resetTimeoutMs, halfOpenCalls } = modules.breakerPolicy;
    const breaker = createBreaker(
      { name: `upstream:${chain}:${name}`, failureThreshold, resetTimeoutMs, halfOpenCalls },
      { onTransition: modules.onTransition },
    );
    breakers.set(name, breaker);
    const onGap = (gap: SequenceGap): void => modules.onGap(name, gap);
    return { sink, breaker, clock, random, codec, onGap, onState: modules.onState };
  };

  const configured = config.upstreams.map((url, index) => {
    const name = `${SHORT_NAME[chain]}-${index + 1}`;
    return openFeed(url, name, params, feedModules(name));
  });
  const { onState } = modules;
  const onSeedFailed = (seed: string, error: unknown): void => modules.onSeedFailed(chain, seed, error);
  const peers =
    configured.length > 0
      ? null
      : new PeerSet({ name: SHORT_NAME[chain] }, { codec, sink, clock, random, onState, onSeedFailed });
  const feeds = (): readonly Feed[] => [...configured, ...(peers?.feeds() ?? [])];

  return {
    chain,
    network,
    codec,
    ingest,
    race,
    pipeline,
    feeds,
    breakers: () => [...breakers.values()],
    start() {
      for (const feed of configured) feed.start();
      peers?.start();
    },
    async close() {
      pipeline.close();
      await Promise.all([...configured.map((feed) => feed.close()), peers?.close()]);
    },
  };
}

function openFeed(url: string, name: string, params: NetworkParams, modules: OpenModules): Feed {
  const address = parseUpstreamUrl(url);
  switch (address.kind) {
    case "p2p":
      return createP2pFeed({ name, host: address.host, port: address.port ?? params.p2pPort }, modules);
    case "rpc":
      return createRpcFeed({ name, address }, modules);
    case "zmq":
      return createZmqFeed({ name, address }, modules);
  }
}

/** Where the chain's tree begins: the operator's checkpoint, the built-in one, or genesis. */
function rootOf(config: ChainConfig, codec: ChainCodec): TreeRoot {
  const { params } = codec;
  const checkpoint = config.checkpoint === null ? params.checkpoint : operatorCheckpoint(config.checkpoint, params);
  const raw = checkpoint?.header ?? params.genesisHeader;
  // An anchor is trusted, not proved: its 80 bytes are enough, also where its version announces an AuxPoW.
  const plain = { headerRules: { ...params.headerRules, auxpow: null } };
  const { header } = decodeHeader(raw, 0, plain);
  const block: Block = codec.toBlock(header, checkpoint?.height ?? 0, null);
  if (checkpoint === null && block.hash !== params.genesisHash) {
    throw new SprintError(
      "SPRINT_CHAIN_GENESIS",
      `expected genesis ${params.genesisHash}, the built-in header gives ${block.hash}`,
    );
  }
  return { block, work: checkpoint?.work ?? codec.work(header.bits) };
}

function operatorCheckpoint(given: NonNullable<ChainConfig["checkpoint"]>, params: NetworkParams): Checkpoint {
  const { height, header, work } = given;
  return checkpointFrom({ height, headerHex: Buffer.from(header).toString("hex"), workHex: work.toString(16) }, params);
}
