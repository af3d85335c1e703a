/**
 * The table of networks, mainnets only. Sources: go-ethereum `params/config.go` (Ethereum), maticnetwork/bor `params/config.go`,
 * bnb-chain/bsc `params/config.go` and `consensus/parlia`, ethereum-optimism/superchain-registry `op.toml` and `base.toml` with
 * specs.optimism.io, OffchainLabs/go-ethereum `params/config_arbitrum.go`.
 */
import { SprintError } from "../../../shared/errors.ts";
import type { BlobRule, DifficultyRule, EvmChain, EvmFork, EvmParams, EvmRules } from "./types.ts";

const BLOB_GAS = 131_072n;

function work(formula: "frontier" | "homestead" | "byzantium", bombDelay: number): DifficultyRule {
  return { kind: "work", formula, bombDelay };
}

function between(min: bigint, max: bigint): DifficultyRule {
  return { kind: "between", min, max };
}

/** EIP-4844 by blobs a block. */
function market(target: bigint, max: bigint, updateFraction: bigint, reserve: boolean): BlobRule {
  return { kind: "market", targetGas: target * BLOB_GAS, maxGas: max * BLOB_GAS, updateFraction, reserve };
}

const FRONTIER: EvmRules = {
  fork: "Frontier",
  headerFields: 15,
  extraDataBytes: { min: 0, max: 32 },
  difficulty: work("frontier", 0),
  ommers: true,
  zeroNonce: false,
  time: "later",
  gasLimitDivisor: 1024n,
  baseFee: null,
  withdrawals: null,
  blobs: null,
  transactionTypes: [0],
  maxTransactionGas: null,
  maxBlockBytes: null,
};
const LONDON_FEE = { kind: "eip1559", denominator: 8n, elasticity: 2n } as const;

const ETHEREUM_FORKS: readonly EvmFork[] = [
  { name: "Homestead", from: { block: 1_150_000 }, rules: { difficulty: work("homestead", 0) } },
  { name: "Byzantium", from: { block: 4_370_000 }, rules: { difficulty: work("byzantium", 3_000_000) } },
  { name: "Constantinople", from: { block: 7_280_000 }, rules: { difficulty: work("byzantium", 5_000_000) } },
  { name: "Muir Glacier", from: { block: 9_200_000 }, rules: { difficulty: work("byzantium", 9_000_000) } },
  { name: "Berlin", from: { block: 12_244_000 }, rules: { transactionTypes: [0, 1] } },
  {
    name: "London",
    from: { block: 12_965_000 },
    rules: {
      headerFields: 16,
      baseFee: LONDON_FEE,
      difficulty: work("byzantium", 9_700_000),
      transactionTypes: [0, 1, 2],
    },
  },
  { name: "Arrow Glacier", from: { block: 13_773_000 }, rules: { difficulty: work("byzantium", 10_700_000) } },
  { name: "Gray Glacier", from: { block: 15_050_000 }, rules: { difficulty: work("byzantium", 11_400_000) } },
  {
    name: "Paris",
    from: { block: 15_537_394 },
    rules: { difficulty: between(0n, 0n), ommers: false, zeroNonce: true },
  },
  { name: "Shanghai", from: { time: 1_681_338_455 }, rules: { headerFields: 17, withdrawals: "list" } },
  {
    name: "Cancun",
    from: { time: 1_710_338_135 },
    rules: { headerFields: 20, blobs: market(3n, 6n, 3_338_477n, false), transactionTypes: [0, 1, 2, 3] },
  },
  {
    name: "Prague",
    from: { time: 1_746_612_311 },
    rules: { headerFields: 21, blobs: market(6n, 9n, 5_007_716n, false), transactionTypes: [0, 1, 2, 3, 4] },
  },
  {
    name: "Osaka",
    from: { time: 1_764_798_551 },
    rules: { blobs: market(6n, 9n, 5_007_716n, true), maxTransactionGas: 1n << 24n, maxBlockBytes: 8 * 1024 * 1024 },
  },
  { name: "BPO1", from: { time: 1_765_290_071 }, rules: { blobs: market(10n, 15n, 8_346_193n, true) } },
  { name: "BPO2", from: { time: 1_767_747_671 }, rules: { blobs: market(14n, 21n, 11_684_671n, true) } },
];

/** Seals of clique and its children stand behind 32 bytes of vanity. */
const SEALED_EXTRA = 97;

const POLYGON: EvmRules = {
  ...FRONTIER,
  fork: "Bor",
  extraDataBytes: { min: SEALED_EXTRA, max: 1024 * 1024 },
  // the producer's rank among the validators
  difficulty: between(1n, 100_000n),
  ommers: false,
  zeroNonce: true,
};
const POLYGON_FORKS: readonly EvmFork[] = [
  { name: "Berlin", from: { block: 14_750_000 }, rules: { transactionTypes: [0, 1] } },
  {
    name: "London",
    from: { block: 23_850_000 },
    rules: { headerFields: 16, baseFee: LONDON_FEE, transactionTypes: [0, 1, 2] },
  },
  // bor looks at the parent's number for the denominator, so it comes one block after the fork
  { name: "Delhi", from: { block: 38_189_057 }, rules: { baseFee: { ...LONDON_FEE, denominator: 16n } } },
  { name: "Bhilai", from: { block: 73_440_256 }, rules: { transactionTypes: [0, 1, 2, 4] } },
  { name: "Bhilai", from: { block: 73_440_257 }, rules: { baseFee: { ...LONDON_FEE, denominator: 64n } } },
  { name: "Madhugiri", from: { block: 80_084_800 }, rules: { transactionTypes: [0, 1, 2, 4, 0x7f] } },
  // from here on the gas target is each producer's own
  { name: "Dandeli", from: { block: 81_424_000 }, rules: { baseFee: { kind: "own" } } },
];

const BSC: EvmRules = {
  ...FRONTIER,
  fork: "Parlia",
  extraDataBytes: { min: SEALED_EXTRA, max: 16 * 1024 },
  difficulty: between(1n, 2n),
  ommers: false,
  zeroNonce: true,
  gasLimitDivisor: 256n,
};
const BSC_FORKS: readonly EvmFork[] = [
  {
    name: "Hertz",
    from: { block: 31_302_048 },
    rules: { headerFields: 16, baseFee: { kind: "zero" }, transactionTypes: [0, 1, 2] },
  },
  {
    name: "Cancun",
    from: { time: 1_718_863_500 },
    rules: {
      headerFields: 19,
      withdrawals: "none",
      blobs: market(3n, 6n, 3_338_477n, false),
      transactionTypes: [0, 1, 2, 3],
    },
  },
  { name: "Bohr", from: { time: 1_727_317_200 }, rules: { headerFields: 20 } },
  { name: "Pascal", from: { time: 1_742_436_600 }, rules: { headerFields: 21, transactionTypes: [0, 1, 2, 3, 4] } },
  // blocks come faster than the seconds of their time
  { name: "Lorentz", from: { time: 1_745_903_100 }, rules: { time: "notBefore", gasLimitDivisor: 1024n } },
];

const NITRO_TYPES = [0x64, 0x65, 0x66, 0x68, 0x69, 0x6a];
const ARBITRUM: EvmRules = {
  ...FRONTIER,
  fork: "Nitro",
  headerFields: 16,
  extraDataBytes: { min: 32, max: 32 },
  difficulty: between(1n, 1n),
  ommers: false,
  time: "notBefore",
  gasLimitDivisor: null,
  baseFee: { kind: "own" },
  // from which version of ArbOS on a type is taken is in its state, not in the block
  transactionTypes: [0, 1, 2, 4, ...NITRO_TYPES],
};
const OP_STACK: EvmRules = {
  ...FRONTIER,
  fork: "Bedrock",
  headerFields: 16,
  difficulty: between(0n, 0n),
  ommers: false,
  zeroNonce: true,
  time: 2,
  gasLimitDivisor: null,
  baseFee: { kind: "eip1559", denominator: 50n, elasticity: 6n },
  transactionTypes: [0, 1, 2, 0x7e],
};
const CANYON_FEE = { denominator: 250n, elasticity: 6n } as const;
/** The same moments on OP Mainnet and Base. */
const SUPERCHAIN_FORKS: readonly EvmFork[] = [
  {
    name: "Canyon",
    from: { time: 1_704_992_401 },
    rules: { headerFields: 17, withdrawals: "none", baseFee: { kind: "eip1559", ...CANYON_FEE } },
  },
  { name: "Ecotone", from: { time: 1_710_374_401 }, rules: { headerFields: 20, blobs: { kind: "zero" } } },
  {
    name: "Holocene",
    from: { time: 1_736_445_601 },
    rules: { extraDataBytes: { min: 9, max: 9 }, baseFee: { kind: "holocene", ...CANYON_FEE } },
  },
  {
    name: "Isthmus",
    from: { time: 1_746_806_401 },
    rules: { headerFields: 21, withdrawals: "storage", transactionTypes: [0, 1, 2, 4, 0x7e] },
  },
  {
    name: "Jovian",
    from: { time: 1_764_691_201 },
    rules: { extraDataBytes: { min: 17, max: 17 }, blobs: { kind: "footprint" } },
  },
];
/** OVM 2.0: one transaction a block, sealed by one signer, timed by L1. */
const OVM: EvmRules = {
  ...FRONTIER,
  fork: "OVM 2.0",
  extraDataBytes: { min: 0, max: SEALED_EXTRA },
  difficulty: between(1n, 2n),
  ommers: false,
  time: "notBefore",
  gasLimitDivisor: null,
};
const BEDROCK = 105_235_063;
const OPTIMISM_FORKS: readonly EvmFork[] = [
  { name: "Bedrock", from: { block: BEDROCK }, rules: { ...OP_STACK, time: "later" } },
  // the first block of the new kind does not follow the old one's time
  { name: "Bedrock", from: { block: BEDROCK + 1 }, rules: { time: OP_STACK.time } },
  ...SUPERCHAIN_FORKS,
];

const PARAMS: Readonly<Record<EvmChain, EvmParams>> = {
  ethereum: {
    chain: "ethereum",
    network: "mainnet",
    chainId: 1n,
    genesisHash: "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    slots: { genesisTime: 1_606_824_023, seconds: 12 },
    genesisRules: FRONTIER,
    forks: ETHEREUM_FORKS,
  },
  polygon: {
    chain: "polygon",
    network: "mainnet",
    chainId: 137n,
    genesisHash: "0xa9c28ce2141b56c474f1dc504bee9b01eb1bd7d1a507580d5519d4437a97de1b",
    slots: null,
    genesisRules: POLYGON,
    forks: POLYGON_FORKS,
  },
  arbitrum: {
    chain: "arbitrum",
    network: "mainnet",
    chainId: 42_161n,
    genesisHash: "0x7ee576b35482195fc49205cec9af72ce14f003b9ae69f6ba0faef4514be8b442",
    slots: null,
    genesisRules: ARBITRUM,
    forks: [],
  },
  optimism: {
    chain: "optimism",
    network: "mainnet",
    chainId: 10n,
    genesisHash: "0x7ca38a1916c42007829c55e69d3e9a73265554b586a499015373241b8a3fa48b",
    slots: null,
    genesisRules: OVM,
    forks: OPTIMISM_FORKS,
  },
  base: {
    chain: "base",
    network: "mainnet",
    chainId: 8453n,
    genesisHash: "0xf712aa9241cc24369b143cf6dce85f0902a9731e70d66818a3a5845b296c73dd",
    slots: null,
    genesisRules: OP_STACK,
    forks: SUPERCHAIN_FORKS,
  },
  bsc: {
    chain: "bsc",
    network: "mainnet",
    chainId: 56n,
    genesisHash: "0x0d21840abff46b96c84b2ac9e10e4f5cdaeb5693cb665db62a2f3b02d2d57b5b",
    slots: null,
    genesisRules: BSC,
    forks: BSC_FORKS,
  },
};

/** Throws SPRINT_CHAIN_UNKNOWN_NETWORK for a network that has no row. */
export function evmParamsFor(chain: EvmChain, network: string): EvmParams {
  const params = PARAMS[chain];
  if (params.network === network) return params;
  const message = `network of ${chain}: expected ${params.network}, got ${network}`;
  throw new SprintError("SPRINT_CHAIN_UNKNOWN_NETWORK", message, { expected: params.network, actual: network });
}

/** What holds for the block with this number and time (Unix seconds). */
export function evmRulesAt(params: EvmParams, number: number, timestamp: number): EvmRules {
  let rules = params.genesisRules;
  for (const { name, from, rules: changes } of params.forks) {
    const active = "block" in from ? number >= from.block : timestamp >= from.time;
    if (active) rules = { ...rules, ...changes, fork: name };
  }
  return rules;
}
