/** Makes blocks: transactions, coinbase, header, proof of work. One row says what differs from chain to chain. */
import type { UtxoChain } from "../../shared/chain.ts";
import type { Random } from "../../shared/clock.ts";
import { mergedMiningProof } from "./auxpow.ts";
import type { MinedBlock } from "./blocks.ts";
import { displayHash, internalHash, sha256d, u32 } from "./serialize.ts";
import { type Transaction, coinbaseTransaction, merkleRoot, randomTransactions } from "./transactions.ts";
import { type WorkHash, scryptWork, sha256dWork, solve } from "./work.ts";

interface Recipe {
  readonly version: number;
  readonly workHash: WorkHash;
  readonly segwit: boolean;
  /** Chain id for merged mining, null where the chain has none. */
  readonly chainId: number | null;
  /** What the coinbase may claim at least, in the smallest unit. */
  readonly subsidy: (height: number) => bigint;
}

/** Both halve every 150 blocks on regtest. */
const halving = (height: number): bigint => 5_000_000_000n >> BigInt(Math.floor(height / 150));

const RECIPE: Readonly<Record<UtxoChain, Recipe>> = {
  bitcoin: { version: 0x20000000, workHash: sha256dWork, segwit: true, chainId: null, subsidy: halving },
  litecoin: { version: 0x20000000, workHash: scryptWork, segwit: true, chainId: null, subsidy: halving },
  dogecoin: {
    version: 0x00620004,
    workHash: scryptWork,
    segwit: false,
    chainId: 0x62,
    subsidy: () => 1_000_000_000_000n,
  },
};

const VERSION_AUXPOW = 0x100;
/** Dogecoin's regtest takes AuxPoW from this height on. */
export const AUXPOW_FROM_HEIGHT = 20;
export const REGTEST_BITS = 0x207fffff;

const MEDIAN_TIME_SPAN = 11;

/** What a block is to be; the lies of `lies.ts` are drafts and blocks with one thing wrong. */
export interface Draft {
  /** Display order. */
  readonly parentHash: string;
  readonly height: number;
  /** Unix seconds. */
  readonly time: number;
  readonly bits: number;
  readonly auxpow: boolean;
  /** At most so many beside the coinbase. */
  readonly maxTransactions: number;
  /** False: the nonce is chosen so that the hash misses the target. */
  readonly working: boolean;
}

export function hasSegwit(chain: UtxoChain): boolean {
  return RECIPE[chain].segwit;
}

export function canMergeMine(chain: UtxoChain): boolean {
  return RECIPE[chain].chainId !== null;
}

/** The draft of an honest block on `parent`, at `time` or as soon after it as median time past allows. */
export function draftOn(parent: MinedBlock, time: number, auxpow: boolean, maxTransactions: number): Draft {
  const height = parent.height + 1;
  return {
    parentHash: parent.hash,
    height,
    time: Math.max(time, medianTimePast(parent) + 1),
    bits: REGTEST_BITS,
    auxpow: auxpow && height >= AUXPOW_FROM_HEIGHT,
    maxTransactions,
    working: true,
  };
}

/** Fills the draft with transactions and works until its nonce is found. `parent` is null where the parent is nobody's. */
export async function mineBlock(
  chain: UtxoChain,
  draft: Draft,
  parent: MinedBlock | null,
  random: Random,
): Promise<MinedBlock> {
  const recipe = RECIPE[chain];
  const transactions = blockTransactions(chain, draft, random);
  const header = Buffer.concat([
    u32(draft.auxpow ? recipe.version | VERSION_AUXPOW : recipe.version),
    internalHash(draft.parentHash),
    merkleRoot(transactions.map((tx) => tx.txid)),
    u32(draft.time),
    u32(draft.bits),
    u32(0),
  ]);
  const block = { height: draft.height, time: draft.time, transactions, parent };
  if (draft.auxpow && recipe.chainId !== null) {
    const hash = sha256d(header);
    const proof = await mergedMiningProof(hash, recipe.chainId, draft.bits, draft.time, recipe.workHash, random);
    return { ...block, hash: displayHash(hash), header: Buffer.concat([header, proof]) };
  }
  await solve(header, recipe.workHash, draft.working);
  return { ...block, hash: displayHash(sha256d(header)), header };
}

/** A coinbase and as many others as chance and the draft allow. */
export function blockTransactions(
  chain: UtxoChain,
  { height, maxTransactions }: Pick<Draft, "height" | "maxTransactions">,
  random: Random,
): Transaction[] {
  const { segwit, subsidy } = RECIPE[chain];
  const others = randomTransactions(Math.floor(random() * (maxTransactions + 1)), segwit, random);
  return [coinbaseTransaction(height, subsidy(height), others, segwit, random), ...others];
}

/** The median of the last eleven times (fewer near genesis): a block's time must be above it. */
export function medianTimePast(block: MinedBlock): number {
  const times: number[] = [];
  for (let at: MinedBlock | null = block; at !== null && times.length < MEDIAN_TIME_SPAN; at = at.parent)
    times.push(at.time);
  times.sort((a, b) => a - b);
  return times[times.length >> 1] as number;
}
