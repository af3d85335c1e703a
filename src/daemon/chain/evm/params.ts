/** The table of networks. Sources: as in forks.ts; of the slots eth-clients/{sepolia,holesky,hoodi}, `config.yaml`. */
import { type Chain, EVM_CHAINS } from "../../../shared/chain.ts";
import { SprintError } from "../../../shared/errors.ts";
import {
  ARBITRUM,
  BSC,
  BSC_FORKS,
  DEVNET,
  DEVNET_FORKS,
  ETHEREUM_FORKS,
  FRONTIER,
  HOLESKY_FORKS,
  HOODI_FORKS,
  LONDON,
  OP_STACK,
  OPTIMISM_FORKS,
  OVM,
  POLYGON,
  POLYGON_FORKS,
  SEPOLIA_FORKS,
  STAKED,
  SUPERCHAIN_FORKS,
} from "./forks.ts";
import type { EvmParams, EvmRules } from "./types.ts";

/** go-ethereum, `allowedFutureBlockTime`. */
const MAX_FUTURE_SECONDS = 15;
const ETHEREUM = {
  chain: "ethereum",
  blockTimeSeconds: 12,
  // two epochs, the least that finality takes
  finalityDepth: 64,
  historyBlocks: 64,
  maxFutureSeconds: MAX_FUTURE_SECONDS,
} as const;
/** What layer 1 has not made final is as old as two of its epochs and a batch: a quarter of an hour, at most. */
const SUPERCHAIN = {
  blockTimeSeconds: 2,
  finalityDepth: 450,
  historyBlocks: 64,
  maxFutureSeconds: MAX_FUTURE_SECONDS,
} as const;

const NETWORKS: readonly EvmParams[] = [
  {
    ...ETHEREUM,
    network: "mainnet",
    chainId: 1n,
    genesisHash: "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    slots: { genesisTime: 1_606_824_023, seconds: 12 },
    genesisRules: FRONTIER,
    forks: ETHEREUM_FORKS,
  },
  {
    ...ETHEREUM,
    network: "sepolia",
    chainId: 11_155_111n,
    genesisHash: "0x25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9",
    slots: { genesisTime: 1_655_733_600, seconds: 12 },
    genesisRules: LONDON,
    forks: SEPOLIA_FORKS,
  },
  {
    ...ETHEREUM,
    network: "holesky",
    chainId: 17_000n,
    genesisHash: "0xb5f7f912443c940f21fd611f12828d75b534364ed9e95ca4e307729a4661bde4",
    slots: { genesisTime: 1_695_902_400, seconds: 12 },
    genesisRules: STAKED,
    forks: HOLESKY_FORKS,
  },
  {
    ...ETHEREUM,
    network: "hoodi",
    chainId: 560_048n,
    genesisHash: "0xbbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b",
    slots: { genesisTime: 1_742_213_400, seconds: 12 },
    genesisRules: STAKED,
    forks: HOODI_FORKS,
  },
  {
    ...ETHEREUM,
    network: "devnet",
    chainId: 31_337n,
    genesisHash: null,
    blockTimeSeconds: 2,
    slots: null,
    // `evm_increaseTime` is there to be used
    maxFutureSeconds: null,
    genesisRules: DEVNET,
    forks: DEVNET_FORKS,
  },
  {
    chain: "polygon",
    network: "mainnet",
    chainId: 137n,
    genesisHash: "0xa9c28ce2141b56c474f1dc504bee9b01eb1bd7d1a507580d5519d4437a97de1b",
    blockTimeSeconds: 2,
    // branches of more than 150 blocks have been seen, before there were milestones
    finalityDepth: 256,
    historyBlocks: 64,
    maxFutureSeconds: MAX_FUTURE_SECONDS,
    slots: null,
    genesisRules: POLYGON,
    forks: POLYGON_FORKS,
  },
  {
    chain: "arbitrum",
    network: "mainnet",
    chainId: 42_161n,
    genesisHash: "0x7ee576b35482195fc49205cec9af72ce14f003b9ae69f6ba0faef4514be8b442",
    blockTimeSeconds: 0.25,
    // a quarter of an hour, as on the other chains above Ethereum
    finalityDepth: 3_600,
    historyBlocks: 128,
    maxFutureSeconds: MAX_FUTURE_SECONDS,
    slots: null,
    genesisRules: ARBITRUM,
    forks: [],
  },
  {
    ...SUPERCHAIN,
    chain: "optimism",
    network: "mainnet",
    chainId: 10n,
    genesisHash: "0x7ca38a1916c42007829c55e69d3e9a73265554b586a499015373241b8a3fa48b",
    slots: null,
    genesisRules: OVM,
    forks: OPTIMISM_FORKS,
  },
  {
    ...SUPERCHAIN,
    chain: "base",
    network: "mainnet",
    chainId: 8453n,
    genesisHash: "0xf712aa9241cc24369b143cf6dce85f0902a9731e70d66818a3a5845b296c73dd",
    slots: null,
    genesisRules: OP_STACK,
    forks: SUPERCHAIN_FORKS,
  },
  {
    chain: "bsc",
    network: "mainnet",
    chainId: 56n,
    genesisHash: "0x0d21840abff46b96c84b2ac9e10e4f5cdaeb5693cb665db62a2f3b02d2d57b5b",
    // since Maxwell
    blockTimeSeconds: 0.75,
    // Parlia without fast finality: a block is safe after two thirds of 21 validators built on it
    finalityDepth: 15,
    historyBlocks: 128,
    maxFutureSeconds: MAX_FUTURE_SECONDS,
    slots: null,
    genesisRules: BSC,
    forks: BSC_FORKS,
  },
];

/** All networks of a chain, mainnet first; none where the chain is not of this family. */
export function evmNetworksOf(chain: Chain): readonly EvmParams[] {
  return NETWORKS.filter((params) => params.chain === chain);
}

/** Throws SPRINT_CHAIN_UNKNOWN for a chain that is not of this family, SPRINT_CHAIN_UNKNOWN_NETWORK for a network that has no row. */
export function evmParamsFor(chain: Chain, network: string): EvmParams {
  const networks = evmNetworksOf(chain);
  const params = networks.find((each) => each.network === network);
  if (params !== undefined) return params;
  if (networks.length === 0) {
    const message = `chain: expected one of ${EVM_CHAINS.join(", ")}, got ${JSON.stringify(chain)}`;
    throw new SprintError("SPRINT_CHAIN_UNKNOWN", message, { expected: EVM_CHAINS, actual: chain });
  }
  const expected = networks.map((each) => each.network);
  const message = `network of ${chain}: expected one of ${expected.join(", ")}, got ${JSON.stringify(network)}`;
  throw new SprintError("SPRINT_CHAIN_UNKNOWN_NETWORK", message, { chain, expected, actual: network });
}

/**
 * What holds for the block with this number and time (Unix seconds). `fields` is how many its header has, where they tell of its fork
 * (development networks); without it the newest one is taken.
 */
export function evmRulesAt(
  params: EvmParams,
  number: number,
  timestamp: number,
  fields = Number.POSITIVE_INFINITY,
): EvmRules {
  let rules = params.genesisRules;
  for (const { name, from, rules: changes } of params.forks) {
    const active =
      "block" in from ? number >= from.block : "time" in from ? timestamp >= from.time : fields >= from.fields;
    if (active) rules = { ...rules, ...changes, fork: name };
  }
  return rules;
}
