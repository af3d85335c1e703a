/**
 * The table of networks: one row each, from the `chainparams.cpp` of Bitcoin Core, Litecoin Core and Dogecoin Core.
 * Networks are told apart by their genesis hash, never by name or magic: the three regtest networks share one magic.
 */
import type { Chain, UtxoChain } from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";
import { BITCOIN_MAINNET, DOGECOIN_MAINNET, LITECOIN_MAINNET } from "./checkpoints.ts";
import { headerBytes } from "./header.ts";
import type { AuxPowRules, HeaderRules, NetworkParams, RetargetRule } from "./types.ts";

const DAY = 86_400;
const ZERO_HASH = "00".repeat(32);
const REGTEST_MAGIC = "fabfb5da";

const LIMIT_BITCOIN = (1n << 224n) - 1n;
const LIMIT_SCRYPT = (1n << 236n) - 1n;
const LIMIT_REGTEST = (1n << 255n) - 1n;
const LIMIT_SIGNET = 0x377aen << 216n;

type VersionFloors = HeaderRules["versionFloors"];

/** Heights from which versions 2 (BIP34), 3 (BIP66) and 4 (BIP65) are the least. */
function floors(bip34: number, bip66: number, bip65: number): VersionFloors {
  return [
    { version: 2, height: bip34 },
    { version: 3, height: bip66 },
    { version: 4, height: bip65 },
  ];
}

/** Dogecoin never enforced version 2. */
function dogecoinFloors(bip66: number, bip65: number): VersionFloors {
  return [
    { version: 3, height: bip66 },
    { version: 4, height: bip65 },
  ];
}

const NEVER_RETARGET: RetargetRule = { kind: "none" };

function bitcoinWindow(minDifficultyAfterSeconds: number | null, bip94 = false): RetargetRule {
  return {
    kind: "window",
    intervalBlocks: 2016,
    timespanSeconds: 14 * DAY,
    fullWindow: false,
    bip94,
    minDifficultyAfterSeconds,
  };
}

function litecoinWindow(minDifficultyAfterSeconds: number | null): RetargetRule {
  return {
    kind: "window",
    intervalBlocks: 2016,
    timespanSeconds: 3.5 * DAY,
    fullWindow: true,
    bip94: false,
    minDifficultyAfterSeconds,
  };
}

function dogecoinRetarget(minDifficultyAfterSeconds: number | null): RetargetRule {
  return {
    kind: "dogecoin",
    intervalBlocks: 240,
    timespanSeconds: 4 * 3600,
    digishieldHeight: 145_000,
    digishieldTimespanSeconds: 60,
    minDifficultyAfterSeconds,
    minDifficultyHeight: 157_500,
  };
}

function dogecoinAuxPow(startHeight: number, strictChainId: boolean): AuxPowRules {
  return { chainId: 0x62, startHeight, strictChainId };
}

function rules(
  powHash: HeaderRules["powHash"],
  powLimit: bigint,
  retarget: RetargetRule,
  versionFloors: VersionFloors,
  auxpow: AuxPowRules | null = null,
): HeaderRules {
  return { powHash, powLimit, retarget, versionFloors, maxFutureSeconds: 7200, auxpow };
}

interface Genesis {
  readonly hash: string;
  readonly merkleRoot: string;
  readonly time: number;
  readonly bits: number;
  readonly nonce: number;
}

type Row = Omit<NetworkParams, "chain" | "network" | "magic" | "genesisHash" | "genesisHeader" | "checkpoint"> & {
  readonly magic: string;
  readonly genesis: Genesis;
  readonly checkpoint?: NetworkParams["checkpoint"];
};

const BITCOIN = {
  protocolVersion: 70016,
  blockInvType: 0x4000_0002,
  blockTimeSeconds: 600,
  finalityDepth: 6,
  maxBlockBytes: 4_000_000,
} as const;
const BITCOIN_MERKLE_ROOT = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";

const LITECOIN = {
  protocolVersion: 70017,
  // The whole block with its MWEB extension.
  blockInvType: 0x6000_0002,
  blockTimeSeconds: 150,
  finalityDepth: 12,
  // 4 MB and an extension block of a little over 11 MB.
  maxBlockBytes: 16_000_000,
} as const;
const LITECOIN_MERKLE_ROOT = "97ddfbbae6be97fd6cdf3e7ca13232a3afff2353e29badfab7f73011edd4ced9";

const DOGECOIN = {
  protocolVersion: 70015,
  blockInvType: 2,
  blockTimeSeconds: 60,
  finalityDepth: 60,
  maxBlockBytes: 4_000_000,
} as const;
const DOGECOIN_MERKLE_ROOT = "5b2a3f53f605d62c53e62932dac6925e3d74afa5a4b459745c36d42d0ed26a69";

const TABLE: Readonly<Record<UtxoChain, Readonly<Record<string, Row>>>> = {
  bitcoin: {
    mainnet: {
      ...BITCOIN,
      magic: "f9beb4d9",
      p2pPort: 8333,
      rpcPort: 8332,
      dnsSeeds: [
        "seed.bitcoin.sipa.be",
        "dnsseed.bluematt.me",
        "seed.bitcoin.jonasschnelli.ch",
        "seed.btc.petertodd.net",
        "seed.bitcoin.sprovoost.nl",
        "dnsseed.emzy.de",
        "seed.bitcoin.wiz.biz",
        "seed.mainnet.achownodes.xyz",
      ],
      genesis: {
        hash: "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        merkleRoot: BITCOIN_MERKLE_ROOT,
        time: 1_231_006_505,
        bits: 0x1d00ffff,
        nonce: 2_083_236_893,
      },
      checkpoint: BITCOIN_MAINNET,
      headerRules: rules("sha256d", LIMIT_BITCOIN, bitcoinWindow(null), floors(227_931, 363_725, 388_381)),
    },
    testnet3: {
      ...BITCOIN,
      magic: "0b110907",
      p2pPort: 18333,
      rpcPort: 18332,
      dnsSeeds: [
        "testnet-seed.bitcoin.jonasschnelli.ch",
        "seed.tbtc.petertodd.net",
        "seed.testnet.bitcoin.sprovoost.nl",
        "testnet-seed.bluematt.me",
        "seed.testnet.achownodes.xyz",
      ],
      genesis: {
        hash: "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
        merkleRoot: BITCOIN_MERKLE_ROOT,
        time: 1_296_688_602,
        bits: 0x1d00ffff,
        nonce: 414_098_458,
      },
      headerRules: rules("sha256d", LIMIT_BITCOIN, bitcoinWindow(1200), floors(21_111, 330_776, 581_885)),
    },
    testnet4: {
      ...BITCOIN,
      magic: "1c163f28",
      p2pPort: 48333,
      rpcPort: 48332,
      dnsSeeds: ["seed.testnet4.bitcoin.sprovoost.nl", "seed.testnet4.wiz.biz"],
      genesis: {
        hash: "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
        merkleRoot: "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e",
        time: 1_714_777_860,
        bits: 0x1d00ffff,
        nonce: 393_743_547,
      },
      headerRules: rules("sha256d", LIMIT_BITCOIN, bitcoinWindow(1200, true), floors(1, 1, 1)),
    },
    signet: {
      ...BITCOIN,
      // The first bytes of SHA-256d of the default challenge (BIP325).
      magic: "0a03cf40",
      p2pPort: 38333,
      rpcPort: 38332,
      dnsSeeds: ["seed.signet.bitcoin.sprovoost.nl", "seed.signet.achownodes.xyz"],
      genesis: {
        hash: "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
        merkleRoot: BITCOIN_MERKLE_ROOT,
        time: 1_598_918_400,
        bits: 0x1e0377ae,
        nonce: 52_613_770,
      },
      headerRules: rules("sha256d", LIMIT_SIGNET, bitcoinWindow(null), floors(1, 1, 1)),
    },
    regtest: {
      ...BITCOIN,
      magic: REGTEST_MAGIC,
      p2pPort: 18444,
      rpcPort: 18443,
      dnsSeeds: [],
      genesis: {
        hash: "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        merkleRoot: BITCOIN_MERKLE_ROOT,
        time: 1_296_688_602,
        bits: 0x207fffff,
        nonce: 2,
      },
      headerRules: rules("sha256d", LIMIT_REGTEST, NEVER_RETARGET, floors(1, 1, 1)),
    },
  },
  litecoin: {
    mainnet: {
      ...LITECOIN,
      magic: "fbc0b6db",
      p2pPort: 9333,
      rpcPort: 9332,
      dnsSeeds: [
        "seed-a.litecoin.loshan.co.uk",
        "dnsseed.thrasher.io",
        "dnsseed.litecointools.com",
        "dnsseed.litecoinpool.org",
        "dnsseed.koin-project.com",
      ],
      genesis: {
        hash: "12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2",
        merkleRoot: LITECOIN_MERKLE_ROOT,
        time: 1_317_972_665,
        bits: 0x1e0ffff0,
        nonce: 2_084_524_493,
      },
      checkpoint: LITECOIN_MAINNET,
      headerRules: rules("scrypt", LIMIT_SCRYPT, litecoinWindow(null), floors(710_000, 811_879, 918_684)),
    },
    // The fourth of its kind; its nodes call it testnet4.
    testnet: {
      ...LITECOIN,
      magic: "fdd2c8f1",
      p2pPort: 19335,
      rpcPort: 19332,
      dnsSeeds: ["testnet-seed.litecointools.com", "seed-b.litecoin.loshan.co.uk", "dnsseed-testnet.thrasher.io"],
      genesis: {
        hash: "4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0",
        merkleRoot: LITECOIN_MERKLE_ROOT,
        time: 1_486_949_366,
        bits: 0x1e0ffff0,
        nonce: 293_345,
      },
      headerRules: rules("scrypt", LIMIT_SCRYPT, litecoinWindow(300), floors(76, 76, 76)),
    },
    regtest: {
      ...LITECOIN,
      magic: REGTEST_MAGIC,
      p2pPort: 19444,
      rpcPort: 19443,
      dnsSeeds: [],
      genesis: {
        hash: "530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9",
        merkleRoot: LITECOIN_MERKLE_ROOT,
        time: 1_296_688_602,
        bits: 0x207fffff,
        nonce: 0,
      },
      headerRules: rules("scrypt", LIMIT_REGTEST, NEVER_RETARGET, floors(500, 1251, 1351)),
    },
  },
  dogecoin: {
    mainnet: {
      ...DOGECOIN,
      magic: "c0c0c0c0",
      p2pPort: 22556,
      rpcPort: 22555,
      dnsSeeds: ["seed.multidoge.org", "seed2.multidoge.org"],
      genesis: {
        hash: "1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691",
        merkleRoot: DOGECOIN_MERKLE_ROOT,
        time: 1_386_325_540,
        bits: 0x1e0ffff0,
        nonce: 99_943,
      },
      checkpoint: DOGECOIN_MAINNET,
      headerRules: rules(
        "scrypt",
        LIMIT_SCRYPT,
        dogecoinRetarget(null),
        dogecoinFloors(1_034_383, 3_464_751),
        dogecoinAuxPow(371_337, true),
      ),
    },
    testnet: {
      ...DOGECOIN,
      magic: "fcc1b7dc",
      p2pPort: 44556,
      rpcPort: 44555,
      dnsSeeds: ["testseed.jrn.me.uk"],
      genesis: {
        hash: "bb0a78264637406b6360aad926284d544d7049f45189db5664f3c4d07350559e",
        merkleRoot: DOGECOIN_MERKLE_ROOT,
        time: 1_391_503_289,
        bits: 0x1e0ffff0,
        nonce: 997_879,
      },
      headerRules: rules(
        "scrypt",
        LIMIT_SCRYPT,
        dogecoinRetarget(120),
        dogecoinFloors(708_658, 1_854_705),
        dogecoinAuxPow(158_100, false),
      ),
    },
    regtest: {
      ...DOGECOIN,
      magic: REGTEST_MAGIC,
      p2pPort: 18444,
      rpcPort: 18332,
      dnsSeeds: [],
      genesis: {
        hash: "3d2160a3b5dc4a9d62e7e66a295f70313ac808440ef7400d6c0772171ce973a5",
        merkleRoot: DOGECOIN_MERKLE_ROOT,
        time: 1_296_688_602,
        bits: 0x207fffff,
        nonce: 2,
      },
      // DigiShield with a timespan of one second clamps every change away, so bits never move here either.
      headerRules: rules("scrypt", LIMIT_REGTEST, NEVER_RETARGET, dogecoinFloors(1251, 1351), dogecoinAuxPow(20, true)),
    },
  },
};

const NETWORKS: readonly NetworkParams[] = Object.entries(TABLE).flatMap(([chain, rows]) =>
  Object.entries(rows).map(([network, row]) => fromRow(chain as Chain, network, row)),
);
const BY_GENESIS: ReadonlyMap<string, NetworkParams> = new Map(NETWORKS.map((params) => [params.genesisHash, params]));

function fromRow(chain: Chain, network: string, row: Row): NetworkParams {
  const { magic, genesis, checkpoint, ...rest } = row;
  const { hash, ...fields } = genesis;
  return Object.freeze({
    ...rest,
    chain,
    network,
    magic: Buffer.from(magic, "hex"),
    genesisHash: hash,
    genesisHeader: headerBytes({ version: 1, parentHash: ZERO_HASH, ...fields }),
    checkpoint: checkpoint ?? null,
  });
}

/** All networks of a chain, mainnet first. */
export function networksOf(chain: Chain): readonly NetworkParams[] {
  return NETWORKS.filter((params) => params.chain === chain);
}

/** Throws SPRINT_CHAIN_UNKNOWN_NETWORK, naming the networks there are. */
export function paramsFor(chain: Chain, network: string): NetworkParams {
  const networks = networksOf(chain);
  const params = networks.find((candidate) => candidate.network === network);
  if (params === undefined) {
    const known = networks.map((candidate) => candidate.network);
    throw new SprintError(
      "SPRINT_CHAIN_UNKNOWN_NETWORK",
      `network of ${chain}: expected one of ${known.join(", ")}, got ${JSON.stringify(network)}`,
      { chain, expected: known, actual: network },
    );
  }
  return params;
}

/** The network whose first block has this hash (display order); null for a chain that this build does not know. */
export function findByGenesis(hash: string): NetworkParams | null {
  return BY_GENESIS.get(hash.toLowerCase()) ?? null;
}
