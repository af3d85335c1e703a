/**
 * Everything about a block's body that can be proved without the UTXO set, in the order of `CheckBlock` and
 * `ContextualCheckBlock` of Bitcoin Core. Not checked here: proof of work and the header's place in the chain (`checkHeader`,
 * `checkContext`), scripts and signatures, that inputs exist and suffice, the coinbase's amount, BIP30, relative lock times.
 */
import type { WatchSet } from "../../shared/body.ts";
import { isSprintError, SprintError } from "../../shared/errors.ts";
import { displayHash, sha256d } from "./hash.ts";
import { decodeHeader } from "./header.ts";
import { hashTransactions, type Leaves, merkleRoot } from "./merkle.ts";
import { checkMweb, decodeMweb, hogAddress, type MwebBlock } from "./mweb.ts";
import { ByteReader } from "./reader.ts";
import { readBody } from "./reading.ts";
import { refuse } from "./refusal.ts";
import { type BodyRules, bodyRules } from "./rules.ts";
import { type BatchHasher, batchHasher } from "./sha256.ts";
import {
  OutpointSet,
  checkTransaction,
  eachOutput,
  finality,
  isCoinbase,
  scanTransactions,
  type Tally,
  type TransactionTable,
} from "./transaction.ts";
import type { BodyVerdict, NetworkParams, Refusal, UtxoFacts, UtxoHeader } from "./types.ts";

const HASH_BYTES = 32;
/** OP_RETURN, push of 36 bytes, BIP141's mark. */
const COMMITMENT_PREFIX = Buffer.from("6a24aa21a9ed", "hex");
const COMMITMENT_BYTES = COMMITMENT_PREFIX.length + HASH_BYTES;
const WITNESS_SCALE = 4;
const OUTPOINT_BYTES = 36;
/** A transaction of this size can be read as an inner node of the tree. */
const NODE_BYTES = 64;

type Params = Pick<NetworkParams, "chain" | "network" | "headerRules" | "maxBlockBytes">;

interface Body {
  readonly raw: Uint8Array;
  readonly header: UtxoHeader;
  readonly table: TransactionTable;
  readonly mweb: MwebBlock | null;
  readonly rules: BodyRules;
  /** Without witness, marks and extension. */
  readonly baseBytes: number;
  readonly weight: number;
  /** As the coinbase says; null where it names none, or another than the block has. */
  readonly coinbaseHeight: number | null;
  /** As given, else as the coinbase says; null where neither is known. */
  readonly height: number | null;
  readonly skipped: Set<string>;
}

/** The block's hashes, in the memory of the thread's hasher until the next block. */
interface Hashed {
  readonly hasher: BatchHasher;
  readonly leaves: Leaves;
  /** A copy of the transaction ids, only where the MWEB needs them. */
  readonly txids: Uint8Array | null;
}

/**
 * Checks one serialised block. `height` null: rules by height go by the coinbase (BIP34) where the header's version says that it
 * carries one, else they are left out; `facts.skipped` names what was left out. Never throws on bytes: those that are no block
 * are refused with SPRINT_DECODE_*, blocks that break a rule with SPRINT_BLOCK_*. `data.mutated` is true where the fault may
 * lie in these bytes alone, so that another copy of the same block may still hold. With `watch` a body that holds is also read.
 */
export function checkBody(
  raw: Uint8Array,
  height: number | null,
  params: Params,
  watch: WatchSet | null = null,
): BodyVerdict<UtxoFacts> {
  try {
    const body = decodeBody(raw, height, params);
    const hashed = hashBody(body);
    const refusal =
      checkTree(body, hashed) ??
      checkLength(body) ??
      checkCoinbase(body) ??
      checkTransactions(body) ??
      checkFinality(body) ??
      checkCoinbaseHeight(body) ??
      checkWitness(body, hashed) ??
      checkExtension(body, hashed) ??
      checkWeight(body);
    return refusal === null ? { ok: true, facts: factsOf(body, watch) } : { ok: false, refusal };
  } catch (error) {
    if (!isSprintError(error) || !/^SPRINT_(DECODE|BLOCK)_/.test(error.code)) throw error;
    return { ok: false, refusal: { code: error.code, message: error.message, data: { ...error.data, mutated: true } } };
  }
}

function decodeBody(raw: Uint8Array, height: number | null, params: Params): Body {
  const rules = bodyRules(params.chain, params.network);
  if (raw.length > params.maxBlockBytes) {
    throw raised(refuse("SPRINT_BLOCK_BAD_LENGTH", "block", `at most ${params.maxBlockBytes} bytes`, raw.length));
  }
  const { header, end } = decodeHeader(raw, 0, params);
  const reader = new ByteReader(raw, end);
  const table = scanTransactions(reader, params.chain === "litecoin", rules.maxBaseBytes);
  if (table.count === 0) throw raised(refuse("SPRINT_BLOCK_BAD_LENGTH", "transactions", "at least one", "none"));
  const mweb = table.count > 1 && table.isHogEx(table.count - 1) ? decodeMweb(reader) : null;
  if (reader.remaining > 0) {
    throw raised(refuse("SPRINT_DECODE_TRAILING", "end of the block", `${reader.offset} bytes`, raw.length));
  }
  const frameBytes = table.start[0] as number;
  let baseBytes = frameBytes;
  let totalBytes = frameBytes;
  for (let i = 0; i < table.count; i++) {
    baseBytes += table.baseBytes(i);
    totalBytes += table.totalBytes(i);
  }
  const carried = header.version >= 2 ? readCoinbaseHeight(raw, table) : null;
  return {
    raw,
    header,
    table,
    mweb,
    rules,
    baseBytes,
    weight: 3 * baseBytes + totalBytes,
    coinbaseHeight: height === null || height === carried ? carried : null,
    height: height ?? (carried !== null && carried >= rules.coinbaseHeight ? carried : null),
    skipped: new Set(rules.signed ? ["signet solution"] : []),
  };
}

function raised(refusal: Refusal): SprintError {
  return new SprintError(refusal.code, refusal.message, refusal.data);
}

function factsOf(body: Body, watch: WatchSet | null): UtxoFacts {
  return {
    level: "full",
    txCount: body.table.count,
    sizeBytes: body.raw.length,
    weight: body.weight,
    coinbaseHeight: body.coinbaseHeight,
    skipped: [...body.skipped],
    ...(watch === null ? {} : { reading: readBody(body, watch) }),
  };
}

function hashBody(body: Body): Hashed {
  const hasher = batchHasher();
  const leaves = hashTransactions(hasher, body.raw, body.table);
  const txids =
    body.mweb === null ? null : hasher.bytes.slice(leaves.txids, leaves.txids + body.table.count * HASH_BYTES);
  return { hasher, leaves, txids };
}

function checkTree(body: Body, { hasher, leaves }: Hashed): Refusal | null {
  const { root, mutated } = merkleRoot(hasher, leaves.txids, body.table.count);
  if (mutated) {
    const expected = "no equal nodes side by side (CVE-2012-2459)";
    return mutation(refuse("SPRINT_BLOCK_DUPLICATE_TX", "merkle tree", expected, "equal ones"));
  }
  const displayed = displayHash(root);
  if (displayed === body.header.merkleRoot) return null;
  return mutation(refuse("SPRINT_BLOCK_BAD_MERKLE_ROOT", "merkle root", body.header.merkleRoot, displayed));
}

function checkLength({ header, rules, baseBytes }: Body): Refusal | null {
  if (baseBytes <= rules.maxBaseBytes) return null;
  const expected = `at most ${rules.maxBaseBytes} bytes without witness`;
  return refuse("SPRINT_BLOCK_BAD_LENGTH", `block ${header.hash}`, expected, baseBytes);
}

function checkCoinbase({ raw, table }: Body): Refusal | null {
  if (!isCoinbase(raw, table, 0)) {
    for (let i = 0; i < table.count; i++) {
      if (table.baseBytes(i) !== NODE_BYTES) continue;
      // such a "block" may be a list of inner nodes of the real one's tree (`IsBlockMutated`)
      return mutation(refuse("SPRINT_BLOCK_MUTATED", `transaction ${i}`, "another size than a tree node", NODE_BYTES));
    }
    return refuse("SPRINT_BLOCK_COINBASE_MISSING", "first transaction", "a coinbase", "another transaction");
  }
  for (let i = 1; i < table.count; i++) {
    if (isCoinbase(raw, table, i)) {
      return refuse("SPRINT_BLOCK_COINBASE_MULTIPLE", `transaction ${i}`, "no coinbase but the first", "one", {
        tx: i,
      });
    }
  }
  return null;
}

function checkTransactions({ raw, table, rules }: Body): Refusal | null {
  const tally: Tally = { sigOps: 0, spent: new OutpointSet(raw, table.inputTotal) };
  for (let i = 0; i < table.count; i++) {
    const refusal = checkTransaction(raw, table, i, rules, tally);
    if (refusal !== null) return refusal;
  }
  const cost = tally.sigOps * WITNESS_SCALE;
  if (cost <= rules.maxSigOpsCost) return null;
  return refuse("SPRINT_BLOCK_SIGOPS", "signature operations", `a cost of at most ${rules.maxSigOpsCost}`, cost);
}

function checkFinality({ raw, table, header, height, skipped }: Body): Refusal | null {
  for (let i = 0; i < table.count; i++) {
    const state = finality(raw, table, i, height, header.time);
    if (state === "not final") {
      return refuse("SPRINT_BLOCK_NONFINAL_TX", `transaction ${i}`, "a lock that has run out", "one that has not", {
        tx: i,
      });
    }
    if (state === "unknown") skipped.add(height === null ? "lock times" : "lock times against the median time past");
  }
  return null;
}

function checkCoinbaseHeight({ height, rules, coinbaseHeight, skipped }: Body): Refusal | null {
  if (height === null) skipped.add("coinbase height");
  if (height === null || height < rules.coinbaseHeight || coinbaseHeight === height) return null;
  return refuse("SPRINT_BLOCK_BAD_COINBASE_HEIGHT", "coinbase", `height ${height} first (BIP34)`, "another or none");
}

/** BIP141. Where the height is not known, a commitment counts if there is a witness that it could be for. */
function checkWitness(body: Body, { hasher, leaves }: Hashed): Refusal | null {
  const { raw, table, height, rules, skipped } = body;
  const committed = height !== null && height < rules.segwit ? null : findCommitment(raw, table);
  if (committed === null) {
    if (leaves.wtxids === null) return null;
    return mutation(refuse("SPRINT_BLOCK_UNEXPECTED_WITNESS", "witness", "none without a commitment in force", "some"));
  }
  if (leaves.wtxids === null && height === null) {
    skipped.add("witness commitment");
    return null;
  }
  // one stack item of 32 bytes: the reserved value
  const tail = table.tail[0] as number;
  const stack = table.hasWitness(0) ? raw.subarray(tail, (table.end[0] as number) - 4) : new Uint8Array();
  if (leaves.wtxids === null || stack.length !== 2 + HASH_BYTES || stack[0] !== 1) {
    const expected = "one item of 32 bytes";
    return mutation(
      refuse("SPRINT_BLOCK_BAD_WITNESS_NONCE_SIZE", "coinbase witness", expected, `${stack.length} bytes`),
    );
  }
  const { root } = merkleRoot(hasher, leaves.wtxids, table.count);
  const actual = sha256d(Buffer.concat([root, stack.subarray(2)])).toString("hex");
  if (actual === committed) return null;
  return mutation(refuse("SPRINT_BLOCK_BAD_WITNESS_COMMITMENT", "witness commitment", committed, actual));
}

/** The hash in the last output of the coinbase that has the form of a commitment; hex. */
function findCommitment(raw: Uint8Array, table: TransactionTable): string | null {
  let found: string | null = null;
  eachOutput(raw, table, 0, (_, at, length) => {
    if (length < COMMITMENT_BYTES || COMMITMENT_PREFIX.some((byte, i) => raw[at + i] !== byte)) return;
    found = Buffer.from(raw.subarray(at + COMMITMENT_PREFIX.length, at + COMMITMENT_BYTES)).toString("hex");
  });
  return found;
}

/** Litecoin's extension. The form without it, which nodes give to those who do not ask for it, holds as far as it goes. */
function checkExtension(body: Body, { txids }: Hashed): Refusal | null {
  const { raw, table, mweb, height, rules, skipped } = body;
  if (rules.mweb === Number.POSITIVE_INFINITY) return null;
  const last = table.count - 1;
  const active = height === null || rules.mweb === null ? null : height >= rules.mweb;
  for (let i = 0; i < last; i++) {
    if (!table.isHogEx(i)) continue;
    return mutation(refuse("SPRINT_BLOCK_BAD_HOGEX_POSITION", "HogEx", `only as transaction ${last}`, i, { tx: i }));
  }
  if (!table.isHogEx(last)) {
    if (active === false) return null;
    if (last > 0 && hogAddress(raw, table, last) !== null) skipped.add("MWEB extension");
    else if (active) return refuse("SPRINT_BLOCK_HOGEX_MISSING", "last transaction", "the HogEx", "another");
    return null;
  }
  if (active === false) {
    return mutation(refuse("SPRINT_BLOCK_UNEXPECTED_MWEB_DATA", "HogEx", `none before height ${rules.mweb}`, "one"));
  }
  if (mweb === null || txids === null) {
    return mutation(refuse("SPRINT_BLOCK_MWEB_MISSING", "MWEB extension", "one behind the HogEx", "none"));
  }
  const first = height === null || rules.mweb === null ? null : height === rules.mweb;
  return checkMweb(mweb, raw, table, txids, height, first);
}

function checkWeight({ header, weight, rules }: Body): Refusal | null {
  if (weight <= rules.maxWeight) return null;
  return refuse("SPRINT_BLOCK_BAD_WEIGHT", `block ${header.hash}`, `a weight of at most ${rules.maxWeight}`, weight);
}

/** The number that the coinbase script starts with, in the only form that nodes accept (BIP34); null for anything else. */
function readCoinbaseHeight(raw: Uint8Array, table: TransactionTable): number | null {
  const reader = new ByteReader(raw, table.inputs[0] as number);
  if (reader.varint("number of inputs", raw.length) === 0) return null;
  reader.skip(OUTPOINT_BYTES, "outpoint");
  const script = reader.take(reader.varint("script length", raw.length), "coinbase script");
  const opcode = script[0];
  if (opcode === undefined) return null;
  if (opcode === 0) return 0;
  if (opcode > 0x50 && opcode <= 0x60) return opcode - 0x50;
  if (opcode > 4 || script.length <= opcode) return null;
  let height = 0;
  for (let i = opcode; i > 0; i--) height = height * 256 + (script[i] as number);
  const top = script[opcode] as number;
  const minimal = top !== 0 || (opcode > 1 && (script[opcode - 1] as number) >= 0x80);
  return minimal && top < 0x80 && height > 16 ? height : null;
}

/** Marks a refusal that another copy of the same block may not deserve: its hash does not commit to what is wrong. */
function mutation(refusal: Refusal): Refusal {
  return { ...refusal, data: { ...refusal.data, mutated: true } };
}
