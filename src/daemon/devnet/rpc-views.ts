/** Blocks and headers as bitcoind's RPC shows them, from serialised bytes. Field names and meanings are those of Bitcoin Core. */
import type { BlockStore, MinedBlock } from "./blocks.ts";
import { blockBytes } from "./peer.ts";
import { displayHash } from "./serialize.ts";
import { transactionView } from "./rpc-transaction.ts";

/** A block that the node knows of, with or without its body. */
export interface KnownBlock {
  readonly hash: string;
  readonly height: number;
  /** 80 bytes, and the AuxPoW after them where there is one. */
  readonly header: Buffer;
  /** Null where only its header is kept. */
  readonly block: MinedBlock | null;
  /** Not on a branch that lost. */
  readonly isBest: boolean;
}

const VERSION_AT = 0;
const PARENT_AT = 4;
const MERKLE_ROOT_AT = 36;
const TIME_AT = 68;
const BITS_AT = 72;
const NONCE_AT = 76;

/** On both branches, and in the archive; null where the node has no such block. `hash` in display order. */
export function findBlock(store: BlockStore, hash: string): KnownBlock | null {
  const block = store.get(hash);
  if (block !== undefined) {
    const { height, header } = block;
    return { hash, height, header, block: hasBody(block) ? block : null, isBest: store.at(height) === block };
  }
  const height = store.heightOf(hash);
  const header = height === null ? undefined : store.headerAt(height);
  return height === null || header === undefined ? null : { hash, height, header, block: null, isBest: true };
}

/** Genesis is known by its header alone: nobody mined it here. */
function hasBody(block: MinedBlock): boolean {
  return block.transactions.length > 0;
}

/** `getblockheader` with verbose. */
export function headerView(store: BlockStore, known: KnownBlock): Record<string, unknown> {
  const { hash, height, header, block, isBest } = known;
  const next = isBest ? store.hashAt(height + 1) : undefined;
  const bits = header.readUInt32LE(BITS_AT);
  return {
    hash,
    confirmations: confirmationsOf(store, known),
    height,
    version: header.readInt32LE(VERSION_AT),
    versionHex: hex32(header.readUInt32LE(VERSION_AT)),
    merkleroot: displayHash(header.subarray(MERKLE_ROOT_AT, MERKLE_ROOT_AT + 32)),
    time: header.readUInt32LE(TIME_AT),
    mediantime: medianTime(store, known),
    nonce: header.readUInt32LE(NONCE_AT),
    bits: hex32(bits),
    difficulty: difficultyOf(bits),
    chainwork: chainWork(height),
    // As Core says of a block whose body it never had.
    nTx: height === 0 ? 1 : (block?.transactions.length ?? 0),
    ...(height === 0 ? {} : { previousblockhash: displayHash(header.subarray(PARENT_AT, PARENT_AT + 32)) }),
    ...(next === undefined ? {} : { nextblockhash: next }),
  };
}

/** `getblock` with verbosity 1 (transaction ids) and 2 (transactions). */
export function blockView(
  store: BlockStore,
  known: KnownBlock,
  block: MinedBlock,
  verbosity: number,
): Record<string, unknown> {
  const size = blockBytes(block, true).length;
  const strippedsize = blockBytes(block, false).length;
  const ids = block.transactions.map(({ txid }) => displayHash(txid));
  return {
    ...headerView(store, known),
    strippedsize,
    size,
    weight: 3 * strippedsize + size,
    tx: verbosity >= 2 ? block.transactions.map(transactionView) : ids,
  };
}

/** -1 on a branch that lost. */
export function confirmationsOf(store: BlockStore, { height, isBest }: KnownBlock): number {
  return isBest ? store.tip.height - height + 1 : -1;
}

/** Times the least difficulty of the main network: a fraction on regtest (`GetDifficulty` of rpc/blockchain.cpp). In 16 digits, as Core writes it. */
export function difficultyOf(bits: number): number {
  return Number(((0xffff / (bits & 0x00ffffff)) * 256 ** (29 - (bits >>> 24))).toPrecision(16));
}

/** Every block of a regtest, genesis too, stands for two hashes on average. */
export function chainWork(height: number): string {
  return (2n * BigInt(height + 1)).toString(16).padStart(64, "0");
}

/** The median of the times of the block and its ten ancestors (`GetMedianTimePast`). */
export function medianTime(store: BlockStore, { height, header, block }: Omit<KnownBlock, "hash" | "isBest">): number {
  const times = [header.readUInt32LE(TIME_AT)];
  let parent = block?.parent ?? null;
  for (let at = height - 1; at >= 0 && times.length < 11; at--) {
    // Where the links end, the archive begins, and it is of one branch only.
    times.push(parent?.time ?? (store.headerAt(at) as Buffer).readUInt32LE(TIME_AT));
    parent = parent?.parent ?? null;
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1] as number;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}
