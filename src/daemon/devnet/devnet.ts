/** The three nodes that a start without configuration listens to. */
import { UTXO_CHAINS, type UtxoChain } from "../../shared/chain.ts";
import { type Clock, seededRandom } from "../../shared/clock.ts";
import type { SprintError } from "../../shared/errors.ts";
import type { UtxoCodec } from "../chain/index.ts";
import { AUXPOW_FROM_HEIGHT } from "./miner.ts";
import { DEVNET_NODE_DEFAULTS, DevnetNode } from "./node.ts";

export interface DevnetOptions {
  /** The same seed gives the same transactions, intervals and forks. */
  readonly seed: number;
  /** Mean time between blocks, by chain: a little apart, so that the chains do not march in step. */
  readonly blockIntervalMs: Readonly<Record<UtxoChain, number>>;
  readonly forkChance: number;
  readonly auxpowEvery: number;
  readonly historyBlocks: Readonly<Record<UtxoChain, number>>;
  readonly host: string;
}

export const DEVNET_DEFAULTS: Omit<DevnetOptions, "seed"> = {
  blockIntervalMs: { bitcoin: 4_000, litecoin: 3_000, dogecoin: 2_500 },
  forkChance: 0.05,
  auxpowEvery: DEVNET_NODE_DEFAULTS.auxpowEvery,
  // Long enough that the first finality comes soon; Dogecoin's goes on until merged mining begins.
  historyBlocks: { bitcoin: 12, litecoin: 12, dogecoin: AUXPOW_FROM_HEIGHT + 4 },
  host: "127.0.0.1",
};

export interface DevnetModules {
  /** Of the chains' regtests. */
  readonly codecs: Readonly<Record<UtxoChain, Pick<UtxoCodec, "params">>>;
  readonly clock: Clock;
  readonly onBlock?: (chain: UtxoChain, block: { readonly hash: string; readonly height: number }) => void;
  /** A peer was cut off, and why. */
  readonly onRefused?: (chain: UtxoChain, error: SprintError) => void;
}

export interface Devnet {
  readonly nodes: Readonly<Record<UtxoChain, DevnetNode>>;
  close(): Promise<void>;
}

/** Starts a node for each chain on free ports; where one cannot start, those that could are closed again. */
export async function startDevnet(
  options: Partial<DevnetOptions> & Pick<DevnetOptions, "seed">,
  modules: DevnetModules,
): Promise<Devnet> {
  const { seed, blockIntervalMs, forkChance, auxpowEvery, historyBlocks, host } = { ...DEVNET_DEFAULTS, ...options };
  const make = (chain: UtxoChain): DevnetNode =>
    new DevnetNode(
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
  const nodes = { bitcoin: make("bitcoin"), litecoin: make("litecoin"), dogecoin: make("dogecoin") };
  const close = async (): Promise<void> => {
    await Promise.all(UTXO_CHAINS.map((chain) => nodes[chain].close()));
  };
  try {
    await Promise.all(UTXO_CHAINS.map((chain) => nodes[chain].start()));
  } catch (error) {
    await close();
    throw error;
  }
  return { nodes, close };
}
