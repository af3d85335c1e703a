/** The five nodes that a start without configuration listens to. */
import { type Chain, UTXO_CHAINS, type UtxoChain } from "../../shared/chain.ts";
import { type Clock, seededRandom } from "../../shared/clock.ts";
import type { SprintError } from "../../shared/errors.ts";
import type { UtxoCodec } from "../chain/index.ts";
import { AUXPOW_FROM_HEIGHT } from "./miner.ts";
import { openEvmDevnet } from "./evm-devnet.ts";
import type { EvmDevnetNode } from "./evm-node.ts";
import { DEVNET_NODE_DEFAULTS, DevnetNode } from "./node.ts";
import { SvmDevnetNode } from "./svm-node.ts";

export interface DevnetOptions {
  /** The same seed gives the same transactions, intervals and forks. */
  readonly seed: number;
  /** Mean time between blocks, by chain: a little apart, so that the chains do not march in step. */
  readonly blockIntervalMs: Readonly<Record<UtxoChain, number>>;
  readonly forkChance: number;
  readonly auxpowEvery: number;
  readonly historyBlocks: Readonly<Record<UtxoChain, number>>;
  readonly host: string;
  /** Which nodes start. */
  readonly chains: readonly Chain[];
}

/** The chains that have a node here. */
export const DEVNET_CHAINS = [...UTXO_CHAINS, "ethereum", "solana"] as const;

export const DEVNET_DEFAULTS: Omit<DevnetOptions, "seed"> = {
  blockIntervalMs: { bitcoin: 4_000, litecoin: 3_000, dogecoin: 2_500 },
  forkChance: 0.05,
  auxpowEvery: DEVNET_NODE_DEFAULTS.auxpowEvery,
  // Long enough that the first finality comes soon; Dogecoin's goes on until merged mining begins.
  historyBlocks: { bitcoin: 12, litecoin: 12, dogecoin: AUXPOW_FROM_HEIGHT + 4 },
  host: "127.0.0.1",
  chains: DEVNET_CHAINS,
};

export interface DevnetModules {
  /** Of the chains' regtests. */
  readonly codecs: Readonly<Record<UtxoChain, Pick<UtxoCodec, "params">>>;
  readonly clock: Clock;
  readonly onBlock?: (chain: UtxoChain, block: { readonly hash: string; readonly height: number }) => void;
  /** A peer was cut off, and why. */
  /** anvil is there and did not start, so that the embedded node stands in; or it ended. */
  readonly onProblem?: (error: SprintError) => void;
  readonly onRefused?: (chain: UtxoChain, error: SprintError) => void;
}

export interface Devnet {
  /** Upstream URL of each chain's node. */
  readonly urls: ReadonlyMap<Chain, string>;
  /** Which Ethereum node it is; null where none was asked for. */
  readonly ethereum: EvmDevnetNode["kind"] | null;
  close(): Promise<void>;
}

interface Node {
  readonly url: string;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a node for each chain on free ports; where one cannot start, those that could are closed again. */
export async function startDevnet(
  options: Partial<DevnetOptions> & Pick<DevnetOptions, "seed">,
  modules: DevnetModules,
): Promise<Devnet> {
  const settings = { ...DEVNET_DEFAULTS, ...options };
  const { seed, host, chains } = settings;
  const { clock, onProblem } = modules;
  const nodes = new Map<Chain, Node>();
  for (const chain of UTXO_CHAINS) if (chains.includes(chain)) nodes.set(chain, utxoNode(chain, settings, modules));
  if (chains.includes("solana"))
    nodes.set("solana", new SvmDevnetNode({ host }, { clock, random: seededRandom(seed + 4) }));
  const close = async (): Promise<void> => {
    await Promise.all([...nodes.values()].map((node) => node.close()));
  };
  let ethereum: EvmDevnetNode["kind"] | null = null;
  try {
    await Promise.all([...nodes.values()].map((node) => node.start()));
    if (chains.includes("ethereum")) {
      const node = await openEvmDevnet({ seed, host }, { clock, ...(onProblem === undefined ? {} : { onProblem }) });
      nodes.set("ethereum", node);
      ethereum = node.kind;
    }
  } catch (error) {
    await close();
    throw error;
  }
  const urls = new Map([...nodes].map(([chain, { url }]) => [chain, url]));
  return { urls, ethereum, close };
}

function utxoNode(chain: UtxoChain, options: DevnetOptions, modules: DevnetModules): DevnetNode {
  const { seed, blockIntervalMs, forkChance, auxpowEvery, historyBlocks, host } = options;
  return new DevnetNode(
    {
      chain,
      blockIntervalMs: blockIntervalMs[chain],
      forkChance,
      auxpowEvery,
      historyBlocks: historyBlocks[chain],
      host,
    },
    {
      codec: modules.codecs[chain],
      clock: modules.clock,
      random: seededRandom(seed + UTXO_CHAINS.indexOf(chain)),
      onBlock: (block) => modules.onBlock?.(chain, block),
      onRefused: (error) => modules.onRefused?.(chain, error),
    },
  );
}
