/**
 * Merged mining, seen from the miner: a block of a parent chain whose coinbase commits to our block, and the proof of it.
 *
 * The proof stands after our 80 bytes: parent coinbase · parent block hash 32 · coinbase branch · index 4 · chain branch · index 4 ·
 * parent header 80; a branch is a CompactSize count and that many hashes. The coinbase holds `fabe6d6d`, the root of the tree of
 * chains in display order, the tree's size and a nonce that, with our chain id, says which slot of the tree is ours.
 */
import type { Random } from "../../shared/clock.ts";
import { type WorkHash, solve } from "./work.ts";
import { compactSize, sha256d, u32 } from "./serialize.ts";
import { merkleRoot, parentCoinbase, randomTransactions } from "./transactions.ts";

const MERGED_MINING_MARK = Buffer.from("fabe6d6d", "hex");
const CHAIN_TREE_HEIGHT = 2;
const PARENT_VERSION = 0x20000000;

/** Slot of a chain in the tree, from the nonce in the parent coinbase: the linear congruential generator of the merged-mining rules. */
export function chainSlot(nonce: number, chainId: number, treeHeight: number): number {
  let value = nonce >>> 0;
  value = (Math.imul(value, 1103515245) + 12345) >>> 0;
  value = (value + chainId) >>> 0;
  value = (Math.imul(value, 1103515245) + 12345) >>> 0;
  return value % 2 ** treeHeight;
}

/** The proof, serialised, that the parent chain's work at `bits` stands behind the header with `blockHash` (internal order). */
export async function mergedMiningProof(
  blockHash: Buffer,
  chainId: number,
  bits: number,
  time: number,
  workHash: WorkHash,
  random: Random,
): Promise<Buffer> {
  const nonce = Math.floor(random() * 2 ** 32);
  const slot = chainSlot(nonce, chainId, CHAIN_TREE_HEIGHT);
  const chains = randomHashes(2 ** CHAIN_TREE_HEIGHT, random);
  chains[slot] = blockHash;
  const size = u32(2 ** CHAIN_TREE_HEIGHT);
  const payload = Buffer.concat([MERGED_MINING_MARK, Buffer.from(merkleRoot(chains)).reverse(), size, u32(nonce)]);

  const coinbase = parentCoinbase(100_000 + Math.floor(random() * 100_000), payload, random);
  const txids = [coinbase.txid, ...randomTransactions(3, false, random).map((tx) => tx.txid)];
  const header = Buffer.concat([
    u32(PARENT_VERSION),
    randomHashes(1, random)[0] as Buffer,
    merkleRoot(txids),
    u32(time),
    u32(bits),
    u32(0),
  ]);
  await solve(header, workHash);

  return Buffer.concat([
    coinbase.bytes,
    sha256d(header),
    branch(txids, 0),
    u32(0),
    branch(chains, slot),
    u32(slot),
    header,
  ]);
}

/** The siblings on the way from leaf `index` to the root, as they stand on the wire. `leaves.length` is a power of two. */
function branch(leaves: readonly Buffer[], index: number): Buffer {
  const siblings: Buffer[] = [];
  let level = [...leaves];
  for (let at = index; level.length > 1; at >>= 1) {
    siblings.push(level[at ^ 1] as Buffer);
    level = Array.from({ length: level.length / 2 }, (_, i) =>
      sha256d(Buffer.concat([level[2 * i] as Buffer, level[2 * i + 1] as Buffer])),
    );
  }
  return Buffer.concat([compactSize(siblings.length), ...siblings]);
}

function randomHashes(count: number, random: Random): Buffer[] {
  return Array.from({ length: count }, () => sha256d(u32(Math.floor(random() * 2 ** 32))));
}
