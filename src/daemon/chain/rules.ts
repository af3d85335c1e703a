/** Consensus rules of block bodies: limits of each chain and the heights from which its networks enforce a rule. */
import type { Chain } from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";

export interface BodyRules {
  /** No output, and no sum of a transaction's outputs, may exceed this; smallest units. */
  readonly maxMoney: bigint;
  /** Serialised size without witness and extension block. */
  readonly maxBaseBytes: number;
  /** BIP141: three times the size without witness plus the whole size. */
  readonly maxWeight: number;
  /** Legacy signature operations of a block, each counted fourfold since BIP141. */
  readonly maxSigOpsCost: number;
  /** First height whose coinbase must start with its height (BIP34). */
  readonly coinbaseHeight: number;
  /** First height under BIP141; Infinity where it never came. */
  readonly segwit: number;
  /** First height with an MWEB extension; Infinity where there is none, null where each node sets its own. */
  readonly mweb: number | null;
  /** Whether the network's blocks are signed (BIP325); that is a script, and so not checked. */
  readonly signed: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;
const COIN = 100_000_000n;
const LIMITS = { maxBaseBytes: 1_000_000, maxWeight: 4_000_000, maxSigOpsCost: 80_000, signed: false } as const;
const BITCOIN = { ...LIMITS, maxMoney: 21_000_000n * COIN, mweb: NEVER } as const;
const LITECOIN = { ...LIMITS, maxMoney: 84_000_000n * COIN } as const;
/** Dogecoin's supply has no end; its nodes still bound a single amount. */
const DOGECOIN = { ...LIMITS, maxMoney: 10_000_000_000n * COIN, segwit: NEVER, mweb: NEVER } as const;

/** From the `chainparams.cpp` of Bitcoin Core, Litecoin Core and Dogecoin Core. */
const RULES: Readonly<Record<string, Readonly<Record<string, BodyRules>>>> = {
  bitcoin: {
    mainnet: { ...BITCOIN, coinbaseHeight: 227_931, segwit: 481_824 },
    testnet3: { ...BITCOIN, coinbaseHeight: 21_111, segwit: 834_624 },
    testnet4: { ...BITCOIN, coinbaseHeight: 1, segwit: 1 },
    signet: { ...BITCOIN, coinbaseHeight: 1, segwit: 1, signed: true },
    regtest: { ...BITCOIN, coinbaseHeight: 1, segwit: 0 },
  },
  litecoin: {
    mainnet: { ...LITECOIN, coinbaseHeight: 710_000, segwit: 1_201_536, mweb: 2_265_984 },
    testnet: { ...LITECOIN, coinbaseHeight: 76, segwit: 6_048, mweb: 2_215_584 },
    regtest: { ...LITECOIN, coinbaseHeight: 500, segwit: 0, mweb: null },
  },
  dogecoin: {
    mainnet: { ...DOGECOIN, coinbaseHeight: 1_034_383 },
    testnet: { ...DOGECOIN, coinbaseHeight: 708_658 },
    regtest: { ...DOGECOIN, coinbaseHeight: 100_000_000 },
  },
};

/** Throws SPRINT_CHAIN_UNKNOWN_NETWORK for a network that has no row. */
export function bodyRules(chain: Chain, network: string): BodyRules {
  const networks = RULES[chain] ?? {};
  const rules = networks[network];
  if (rules === undefined) {
    const known = Object.keys(networks).join(", ");
    throw new SprintError(
      "SPRINT_CHAIN_UNKNOWN_NETWORK",
      `network of ${chain}: expected one of ${known}, got ${network}`,
      {
        expected: known,
        actual: network,
      },
    );
  }
  return rules;
}
