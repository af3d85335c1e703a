/** Blocks with exactly one thing wrong, for tests of those who listen. */
import type { UtxoChain } from "../../shared/chain.ts";
import type { Random } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import type { MinedBlock } from "./blocks.ts";
import {
  AUXPOW_FROM_HEIGHT,
  REGTEST_BITS,
  blockTransactions,
  canMergeMine,
  draftOn,
  medianTimePast,
  mineBlock,
} from "./miner.ts";
import { displayHash, sha256d, u32 } from "./serialize.ts";

export const LIES = ["bad-work", "bad-bits", "bad-time", "unknown-parent", "bad-merkle", "bad-auxpow"] as const;
export type Lie = (typeof LIES)[number];

const MAX_TRANSACTIONS = 4;

/** In AuxPoW, the last byte of the last sibling of the chain branch: 4 bytes of index and the parent header stand behind it. */
const CHAIN_BRANCH_END = 4 + 80 + 1;

/** A block on `parent` at about `time` (Unix seconds) that is wrong in the way of `lie` and in no other. */
export async function lyingBlock(
  chain: UtxoChain,
  lie: Lie,
  parent: MinedBlock,
  time: number,
  random: Random,
): Promise<MinedBlock> {
  const honest = draftOn(parent, time, false, MAX_TRANSACTIONS);
  switch (lie) {
    case "bad-work":
      return mineBlock(chain, { ...honest, working: false }, parent, random);
    case "bad-bits":
      return mineBlock(chain, { ...honest, bits: REGTEST_BITS - 1 }, parent, random);
    case "bad-time":
      return mineBlock(chain, { ...honest, time: medianTimePast(parent) }, parent, random);
    case "unknown-parent": {
      const nobody = displayHash(sha256d(u32(Math.floor(random() * 2 ** 32))));
      return mineBlock(chain, { ...honest, parentHash: nobody }, null, random);
    }
    case "bad-merkle": {
      const block = await mineBlock(chain, honest, parent, random);
      return { ...block, transactions: blockTransactions(chain, honest, random) };
    }
    case "bad-auxpow": {
      if (!canMergeMine(chain) || honest.height < AUXPOW_FROM_HEIGHT) throw cannotLie(chain, honest.height);
      const block = await mineBlock(chain, { ...honest, auxpow: true }, parent, random);
      const header = Buffer.from(block.header);
      const at = header.length - CHAIN_BRANCH_END;
      header[at] = (header[at] as number) ^ 1;
      return { ...block, header };
    }
  }
}

function cannotLie(chain: UtxoChain, height: number): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_LIE",
    `A wrong AuxPoW needs a chain that is merged-mined and a height of at least ${AUXPOW_FROM_HEIGHT}; this is ${chain} at height ${height}. Mine on, or tell another lie.`,
    { chain, height, needed: AUXPOW_FROM_HEIGHT },
  );
}
