/**
 * Rules at genesis and what each fork changed. Sources: go-ethereum `params/config.go` (Ethereum), maticnetwork/bor `params/config.go`,
 * bnb-chain/bsc `params/config.go` and `consensus/parlia`, ethereum-optimism/superchain-registry `op.toml` and `base.toml` with
 * specs.optimism.io, OffchainLabs/go-ethereum `params/config_arbitrum.go`.
 */
import type { BlobRule, DifficultyRule, EvmFork, EvmRules } from "./types.ts";

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

export const FRONTIER: EvmRules = {
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
  blobsInRoot: false,
  maxTransactionGas: null,
  maxBlockBytes: null,
};
const LONDON_FEE = { kind: "eip1559", denominator: 8n, elasticity: 2n } as const;

const PARIS: Partial<EvmRules> = { difficulty: between(0n, 0n), ommers: false, zeroNonce: true };

/** Ethereum's forks since proof of stake; when each came is the network's. */
const STAKE_FORKS: readonly Omit<EvmFork, "from">[] = [
  { name: "Shanghai", rules: { headerFields: 17, withdrawals: "list" } },
  {
    name: "Cancun",
    rules: { headerFields: 20, blobs: market(3n, 6n, 3_338_477n, false), transactionTypes: [0, 1, 2, 3] },
  },
  {
    name: "Prague",
    rules: { headerFields: 21, blobs: market(6n, 9n, 5_007_716n, false), transactionTypes: [0, 1, 2, 3, 4] },
  },
  {
    name: "Osaka",
    rules: { blobs: market(6n, 9n, 5_007_716n, true), maxTransactionGas: 1n << 24n, maxBlockBytes: 8 * 1024 * 1024 },
  },
  { name: "BPO1", rules: { blobs: market(10n, 15n, 8_346_193n, true) } },
  { name: "BPO2", rules: { blobs: market(14n, 21n, 11_684_671n, true) } },
];

function timed(times: readonly number[]): EvmFork[] {
  return times.map((time, i) => ({ ...(STAKE_FORKS[i] as Omit<EvmFork, "from">), from: { time } }));
}

export const ETHEREUM_FORKS: readonly EvmFork[] = [
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
  { name: "Paris", from: { block: 15_537_394 }, rules: PARIS },
  ...timed([1_681_338_455, 1_710_338_135, 1_746_612_311, 1_764_798_551, 1_765_290_071, 1_767_747_671]),
];

/** The test networks began with London. */
export const LONDON: EvmRules = {
  ...FRONTIER,
  fork: "London",
  headerFields: 16,
  baseFee: LONDON_FEE,
  difficulty: work("byzantium", 9_700_000),
  transactionTypes: [0, 1, 2],
};
export const STAKED: EvmRules = { ...LONDON, ...PARIS, fork: "Paris" };
export const SEPOLIA_FORKS: readonly EvmFork[] = [
  { name: "Paris", from: { block: 1_450_409 }, rules: PARIS },
  ...timed([1_677_557_088, 1_706_655_072, 1_741_159_776, 1_760_427_360, 1_761_017_184, 1_761_607_008]),
];
export const HOLESKY_FORKS = timed([
  1_696_000_704, 1_707_305_664, 1_740_434_112, 1_759_308_480, 1_759_800_000, 1_760_389_824,
]);
export const HOODI_FORKS = timed([0, 0, 1_742_999_832, 1_761_677_592, 1_762_365_720, 1_762_955_544]);

/**
 * anvil: whoever runs it sets times and limits, and after `anvil_reorg` and `anvil_rollback` the base fee and the excess of blobs go on from the
 * block that was left. Blocks made at once have one time. Its fork is in no header; it follows from which fields there are.
 */
export const DEVNET: EvmRules = {
  ...STAKED,
  baseFee: { kind: "own", usual: { denominator: 8n, elasticity: 2n } },
  time: "notBefore",
  gasLimitDivisor: null,
  blobsInRoot: true,
};
export const DEVNET_FORKS: readonly EvmFork[] = [
  { name: "Shanghai", from: { fields: 17 }, rules: { headerFields: 17, withdrawals: "list" } },
  {
    name: "Cancun",
    from: { fields: 20 },
    rules: { headerFields: 20, blobs: { kind: "own" }, transactionTypes: [0, 1, 2, 3] },
  },
  { name: "Prague", from: { fields: 21 }, rules: { headerFields: 21, transactionTypes: [0, 1, 2, 3, 4] } },
];

/** Seals of clique and its children stand behind 32 bytes of vanity. */
const SEALED_EXTRA = 97;

export const POLYGON: EvmRules = {
  ...FRONTIER,
  fork: "Bor",
  extraDataBytes: { min: SEALED_EXTRA, max: 1024 * 1024 },
  // the producer's rank among the validators
  difficulty: between(1n, 100_000n),
  ommers: false,
  zeroNonce: true,
};
export const POLYGON_FORKS: readonly EvmFork[] = [
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

export const BSC: EvmRules = {
  ...FRONTIER,
  fork: "Parlia",
  extraDataBytes: { min: SEALED_EXTRA, max: 16 * 1024 },
  difficulty: between(1n, 2n),
  ommers: false,
  zeroNonce: true,
  gasLimitDivisor: 256n,
};
export const BSC_FORKS: readonly EvmFork[] = [
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
export const ARBITRUM: EvmRules = {
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
export const OP_STACK: EvmRules = {
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
export const SUPERCHAIN_FORKS: readonly EvmFork[] = [
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
export const OVM: EvmRules = {
  ...FRONTIER,
  fork: "OVM 2.0",
  extraDataBytes: { min: 0, max: SEALED_EXTRA },
  difficulty: between(1n, 2n),
  ommers: false,
  time: "notBefore",
  gasLimitDivisor: null,
};
const BEDROCK = 105_235_063;
export const OPTIMISM_FORKS: readonly EvmFork[] = [
  { name: "Bedrock", from: { block: BEDROCK }, rules: { ...OP_STACK, time: "later" } },
  // the first block of the new kind does not follow the old one's time
  { name: "Bedrock", from: { block: BEDROCK + 1 }, rules: { time: OP_STACK.time } },
  ...SUPERCHAIN_FORKS,
];
