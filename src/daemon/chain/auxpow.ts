/**
 * Merged mining: a Dogecoin block may be proved by a block of another scrypt chain whose coinbase commits to it.
 * The form and the rules are those of `CAuxPow` in Dogecoin Core.
 */
import { SprintError } from "../../shared/errors.ts";
import { displayHash, sha256d } from "./hash.ts";
import { ByteReader, readU32 } from "./reader.ts";
import { refuse } from "./refusal.ts";
import type { AuxPow, AuxPowRules, UtxoHeader, Refusal } from "./types.ts";

/** Version bit that says: an AuxPoW follows the header. */
const VERSION_AUXPOW = 0x100;
/** A whole block with its AuxPoW may not exceed one megabyte, so no part of it can. */
const MAX_PART_BYTES = 1_000_000;
const MIN_INPUT_BYTES = 41;
const MIN_OUTPUT_BYTES = 9;
const MAX_COINBASE_BRANCH = Math.floor(MAX_PART_BYTES / 32);
/** Consensus bound on the depth of the tree of merged-mined chains. */
const MAX_CHAIN_BRANCH = 30;
const PARENT_HEADER_BYTES = 80;
const MERGED_MINING_MAGIC = Buffer.from("fabe6d6d", "hex");
/** Without the magic the root must start within this many bytes of the coinbase script (blocks older than the magic). */
const MAX_BARE_ROOT_OFFSET = 20;

export function hasAuxPowVersion(version: number): boolean {
  return (version & VERSION_AUXPOW) !== 0;
}

/** The chain that a merged-mining header version names. */
function chainIdOf(version: number): number {
  return version >> 16;
}

/** The BIP34/66/65 version without chain id and flags. */
export function baseVersionOf(version: number): number {
  return version % VERSION_AUXPOW;
}

/** Versions from before merged mining, which name no chain. */
export function isLegacyVersion(version: number): boolean {
  return version === 1 || version === 2;
}

/** Reads an AuxPoW behind the 80 bytes of its header. The parts are copies. */
export function decodeAuxPow(reader: ByteReader): AuxPow {
  const start = reader.offset;
  walkTransaction(reader);
  const coinbase = new Uint8Array(reader.bytes.subarray(start, reader.offset));
  if (coinbase.length > MAX_PART_BYTES) {
    throw new SprintError(
      "SPRINT_DECODE_LIMIT",
      `AuxPoW coinbase: expected at most ${MAX_PART_BYTES} bytes, got ${coinbase.length} at offset ${start}`,
      { expected: MAX_PART_BYTES, actual: coinbase.length, offset: start },
    );
  }
  reader.skip(32, "AuxPoW parent block hash");
  const coinbaseBranch = readBranch(reader, "AuxPoW coinbase branch", MAX_COINBASE_BRANCH);
  const coinbaseIndex = reader.u32("AuxPoW coinbase index");
  const chainBranch = readBranch(reader, "AuxPoW chain branch", MAX_CHAIN_BRANCH);
  const chainIndex = reader.u32("AuxPoW chain index");
  const parentHeader = new Uint8Array(reader.take(PARENT_HEADER_BYTES, "AuxPoW parent header"));
  return { coinbase, coinbaseBranch, coinbaseIndex, chainBranch, chainIndex, parentHeader };
}

/** The serialised form. The parent block's hash, which nothing checks, is written as SHA-256d of its header. */
export function encodeAuxPow(auxpow: AuxPow): Buffer {
  return Buffer.concat([
    auxpow.coinbase,
    sha256d(auxpow.parentHeader),
    varint(auxpow.coinbaseBranch.length),
    ...auxpow.coinbaseBranch,
    u32(auxpow.coinbaseIndex),
    varint(auxpow.chainBranch.length),
    ...auxpow.chainBranch,
    u32(auxpow.chainIndex),
    auxpow.parentHeader,
  ]);
}

/** What can be refused before any hashing: chain ids and the form of the proof. */
export function checkAuxPowVersion(header: UtxoHeader, rules: AuxPowRules): Refusal | null {
  const { version, auxpow } = header;
  const chainId = chainIdOf(version);
  if (rules.strictChainId && !isLegacyVersion(version) && chainId !== rules.chainId) {
    return refuse("SPRINT_AUXPOW_CHAIN_ID", "chain id in the block's version", rules.chainId, chainId, { version });
  }
  if (auxpow === null) {
    return hasAuxPowVersion(version)
      ? refuse("SPRINT_AUXPOW_MISSING", "AuxPoW of a version that announces one", "a proof", "none", { version })
      : null;
  }
  if (!hasAuxPowVersion(version)) {
    return refuse("SPRINT_AUXPOW_UNEXPECTED", "AuxPoW of a version that announces none", "none", "a proof", {
      version,
    });
  }
  if (auxpow.coinbaseIndex !== 0) {
    return refuse("SPRINT_AUXPOW_NOT_COINBASE", "index of the parent's transaction", 0, auxpow.coinbaseIndex);
  }
  const parentChainId = chainIdOf(readU32(auxpow.parentHeader, 0) | 0);
  if (rules.strictChainId && parentChainId === chainId) {
    return refuse(
      "SPRINT_AUXPOW_PARENT_CHAIN_ID",
      "chain id of the parent block",
      `other than ${chainId}`,
      parentChainId,
    );
  }
  return null;
}

/** That the parent block commits to this block: its coinbase is in it, and holds the root of the chain branch in the right slot. */
export function checkAuxPowCommitment(header: UtxoHeader, auxpow: AuxPow): Refusal | null {
  const { script, txid } = readCoinbase(auxpow.coinbase);
  const merkleRoot = followBranch(txid, auxpow.coinbaseBranch, auxpow.coinbaseIndex);
  const parentRoot = auxpow.parentHeader.subarray(36, 68);
  if (!merkleRoot.equals(parentRoot)) {
    return refuse(
      "SPRINT_AUXPOW_COINBASE_BRANCH",
      "merkle root of the parent block",
      displayHash(parentRoot),
      displayHash(merkleRoot),
    );
  }

  const blockHash = Buffer.from(header.hash, "hex").reverse();
  // The coinbase holds the root in display order.
  const root = followBranch(blockHash, auxpow.chainBranch, auxpow.chainIndex).reverse();
  const rootAt = script.indexOf(root);
  if (rootAt === -1) {
    return refuse(
      "SPRINT_AUXPOW_CHAIN_BRANCH",
      "parent's coinbase script",
      `chain root ${root.toString("hex")}`,
      "no such root",
    );
  }
  const magicAt = script.indexOf(MERGED_MINING_MAGIC);
  if (magicAt === -1) {
    if (rootAt > MAX_BARE_ROOT_OFFSET) {
      return refuse(
        "SPRINT_AUXPOW_ROOT",
        "offset of a chain root without magic",
        `at most ${MAX_BARE_ROOT_OFFSET}`,
        rootAt,
      );
    }
  } else {
    const secondAt = script.indexOf(MERGED_MINING_MAGIC, magicAt + 1);
    if (secondAt !== -1) {
      return refuse(
        "SPRINT_AUXPOW_MAGIC",
        "merged-mining magic in the parent's coinbase",
        "one",
        `another at ${secondAt}`,
      );
    }
    if (magicAt + MERGED_MINING_MAGIC.length !== rootAt) {
      return refuse("SPRINT_AUXPOW_ROOT", "offset of the chain root", magicAt + MERGED_MINING_MAGIC.length, rootAt);
    }
  }

  const sizeAt = rootAt + root.length;
  if (script.length - sizeAt < 8) {
    return refuse(
      "SPRINT_AUXPOW_SIZE",
      "bytes behind the chain root",
      "at least 8 (size, nonce)",
      script.length - sizeAt,
    );
  }
  const size = script.readUInt32LE(sizeAt);
  const height = auxpow.chainBranch.length;
  if (size !== 2 ** height) {
    return refuse("SPRINT_AUXPOW_SIZE", "size of the tree of chains", 2 ** height, size);
  }
  const slot = expectedSlot(script.readUInt32LE(sizeAt + 4), chainIdOf(header.version), height);
  if (auxpow.chainIndex !== slot) {
    return refuse("SPRINT_AUXPOW_SLOT", "slot in the tree of chains", slot, auxpow.chainIndex);
  }
  return null;
}

/** The one slot that a chain may use for a nonce, so that the same work does not count twice for one chain. */
export function expectedSlot(nonce: number, chainId: number, height: number): number {
  let random = lcg(nonce);
  random = lcg((random + chainId) | 0);
  return (random >>> 0) % 2 ** height;
}

function lcg(value: number): number {
  return (Math.imul(value, 1_103_515_245) + 12_345) | 0;
}

/** The root that a merkle branch leads to from `leaf` at `index`. */
function followBranch(leaf: Uint8Array, branch: readonly Uint8Array[], index: number): Buffer {
  const pair = Buffer.allocUnsafe(64);
  let node: Uint8Array = leaf;
  let position = index;
  for (const sibling of branch) {
    const nodeIsRight = (position & 1) === 1;
    pair.set(nodeIsRight ? sibling : node, 0);
    pair.set(nodeIsRight ? node : sibling, 32);
    node = sha256d(pair);
    position >>>= 1;
  }
  return Buffer.from(node);
}

interface TransactionShape {
  readonly scriptStart: number;
  readonly scriptEnd: number;
  readonly inputsStart: number;
  readonly outputsEnd: number;
  readonly end: number;
}

function readCoinbase(bytes: Uint8Array): { readonly script: Buffer; readonly txid: Buffer } {
  const shape = walkTransaction(new ByteReader(bytes));
  // The transaction id leaves the witness out, and with it the two bytes that announce it.
  const stripped = Buffer.concat([
    bytes.subarray(0, 4),
    bytes.subarray(shape.inputsStart, shape.outputsEnd),
    bytes.subarray(shape.end - 4, shape.end),
  ]);
  return { script: Buffer.from(bytes.subarray(shape.scriptStart, shape.scriptEnd)), txid: sha256d(stripped) };
}

/** Moves the reader behind a transaction with at least one input, in either serialisation (BIP144). */
function walkTransaction(reader: ByteReader): TransactionShape {
  const start = reader.offset;
  reader.skip(4, "AuxPoW coinbase version");
  let inputsStart = reader.offset;
  let inputs = reader.varint("AuxPoW coinbase inputs", Math.floor(MAX_PART_BYTES / MIN_INPUT_BYTES));
  const hasWitness = inputs === 0;
  if (hasWitness) {
    const flag = reader.u8("AuxPoW coinbase witness flag");
    inputsStart = reader.offset;
    if (flag === 1) inputs = reader.varint("AuxPoW coinbase inputs", Math.floor(MAX_PART_BYTES / MIN_INPUT_BYTES));
    if (inputs === 0) {
      throw new SprintError("SPRINT_DECODE_AUXPOW", `AuxPoW coinbase at offset ${start}: expected an input, got none`, {
        expected: "an input",
        actual: "none",
        offset: start,
      });
    }
  }
  let scriptStart = 0;
  let scriptEnd = 0;
  for (let i = 0; i < inputs; i++) {
    reader.skip(36, "AuxPoW coinbase previous output");
    const length = reader.varint("AuxPoW coinbase script length", MAX_PART_BYTES);
    if (i === 0) {
      scriptStart = reader.offset;
      scriptEnd = scriptStart + length;
    }
    reader.skip(length + 4, "AuxPoW coinbase script and sequence");
  }
  const outputs = reader.varint("AuxPoW coinbase outputs", Math.floor(MAX_PART_BYTES / MIN_OUTPUT_BYTES));
  for (let i = 0; i < outputs; i++) {
    reader.skip(8, "AuxPoW coinbase amount");
    reader.skip(reader.varint("AuxPoW coinbase output script length", MAX_PART_BYTES), "AuxPoW coinbase output script");
  }
  const outputsEnd = reader.offset;
  if (hasWitness) {
    for (let i = 0; i < inputs; i++) {
      const items = reader.varint("AuxPoW coinbase witness items", MAX_PART_BYTES);
      for (let item = 0; item < items; item++) {
        reader.skip(reader.varint("AuxPoW coinbase witness length", MAX_PART_BYTES), "AuxPoW coinbase witness");
      }
    }
  }
  reader.skip(4, "AuxPoW coinbase lock time");
  return { scriptStart, scriptEnd, inputsStart, outputsEnd, end: reader.offset };
}

function readBranch(reader: ByteReader, what: string, limit: number): Uint8Array[] {
  const count = reader.varint(`${what} length`, limit);
  const hashes = new Uint8Array(reader.take(count * 32, what));
  return Array.from({ length: count }, (_, i) => hashes.subarray(i * 32, i * 32 + 32));
}

function varint(value: number): Buffer {
  if (value < 0xfd) return Buffer.from([value]);
  return Buffer.from([0xfd, value & 0xff, value >>> 8]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
