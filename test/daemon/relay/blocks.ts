/** Blocks for tests of the relay: hashes that tell their height and branch, no proof of work. */
import type { Block } from "../../../src/shared/block.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import type { ProvedFacts } from "../../../src/daemon/relay/index.ts";

let made = 0;

/** A hash of 64 hex digits, new at each call. */
export function freshHash(): string {
  made++;
  return (
    (Math.imul(made, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0").padStart(24, "0") +
    made.toString(16).padStart(40, "0")
  );
}

export function genesis(chain: Chain = "bitcoin", height = 100): Block {
  return blockOf(chain, height, freshHash(), freshHash());
}

export function childOf(parent: Block): Block {
  return blockOf(parent.chain, parent.height + 1, freshHash(), parent.hash);
}

/** `count` blocks, each on the one before, the first on `parent`. */
export function chainOn(parent: Block, count: number): Block[] {
  const blocks: Block[] = [];
  for (let index = 0; index < count; index++) blocks.push(childOf(blocks.at(-1) ?? parent));
  return blocks;
}

/** As a codec does it. */
export function withFacts(block: Block, { txCount, sizeBytes }: ProvedFacts): Block {
  return Object.freeze({ ...block, txCount, sizeBytes });
}

/** What a proved body adds that is of no matter here. */
export const FACTS: ProvedFacts = { txCount: 3, sizeBytes: 900, level: "full" };

function blockOf(chain: Chain, height: number, hash: string, parentHash: string): Block {
  return Object.freeze({
    chain,
    height,
    hash,
    locator: hash,
    parentHash,
    timestamp: 1_750_000_000 + height * 600,
    txCount: null,
    sizeBytes: null,
    detail: Object.freeze({
      family: "utxo",
      version: 4,
      merkleRoot: hash,
      bits: 0x207fffff,
      nonce: 0,
      auxpow: false,
      weight: null,
    }),
  } as const);
}
