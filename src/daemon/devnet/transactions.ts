/** Transactions as a mempool would hold them: structurally valid, with real ids; their inputs spend nothing and their signatures sign nothing. */
import { compactSize, pushBytes, sha256d, u32, u64 } from "./serialize.ts";
import type { Random } from "../../shared/clock.ts";

export interface Transaction {
  /** With witness, where it has one (BIP-144). */
  readonly bytes: Buffer;
  /** Without witness: what the txid is taken over. */
  readonly stripped: Buffer;
  /** Internal byte order. */
  readonly txid: Buffer;
  /** Internal byte order. */
  readonly wtxid: Buffer;
}

interface Input {
  /** 36 bytes: previous txid and output index. */
  readonly outpoint: Buffer;
  readonly scriptSig: Buffer;
  /** Empty for an input without witness. */
  readonly witness: readonly Buffer[];
}

interface Output {
  /** In the smallest unit. */
  readonly amount: bigint;
  readonly script: Buffer;
}

const COIN = 100_000_000n;
const SEQUENCE_FINAL = u32(0xffffffff);
const NULL_OUTPOINT = Buffer.concat([Buffer.alloc(32), SEQUENCE_FINAL]);
const EMPTY = Buffer.alloc(0);
const NOTHING: readonly Buffer[] = [];

/** BIP-141: OP_RETURN, a push of 36 bytes, and the four bytes that mark a commitment. */
const WITNESS_COMMITMENT = Buffer.from("6a24aa21a9ed", "hex");
const WITNESS_RESERVED = Buffer.alloc(32);

/** `count` different transactions; with `segwit` some of them carry a witness. */
export function randomTransactions(count: number, segwit: boolean, random: Random): Transaction[] {
  return Array.from({ length: count }, () => randomTransaction(segwit, random));
}

/**
 * The coinbase of the block at `height` that holds `others` (BIP-34 height first in its script, BIP-141 commitment where
 * the chain has SegWit). `amount` is in the smallest unit.
 */
export function coinbaseTransaction(
  height: number,
  amount: bigint,
  others: readonly Transaction[],
  segwit: boolean,
  random: Random,
): Transaction {
  const scriptSig = Buffer.concat([heightScript(height), pushBytes(randomBytes(8, random))]);
  const outputs: Output[] = [{ amount, script: payToKeyHash(random) }];
  if (segwit) {
    const root = merkleRoot([Buffer.alloc(32), ...others.map((tx) => tx.wtxid)]);
    const commitment = sha256d(Buffer.concat([root, WITNESS_RESERVED]));
    outputs.push({ amount: 0n, script: Buffer.concat([WITNESS_COMMITMENT, commitment]) });
  }
  return transaction(
    2,
    [{ outpoint: NULL_OUTPOINT, scriptSig, witness: segwit ? [WITNESS_RESERVED] : NOTHING }],
    outputs,
  );
}

/** A coinbase of another chain that commits to this one's block: `payload` is what stands in its script (merged mining). */
export function parentCoinbase(height: number, payload: Buffer, random: Random): Transaction {
  const scriptSig = Buffer.concat([heightScript(height), pushBytes(payload)]);
  const outputs = [{ amount: 50n * COIN, script: payToKeyHash(random) }];
  return transaction(1, [{ outpoint: NULL_OUTPOINT, scriptSig, witness: NOTHING }], outputs);
}

/** Root of the tree over internal-order hashes; an odd level repeats its last hash, as the consensus rule has it. */
export function merkleRoot(leaves: readonly Buffer[]): Buffer {
  let level = [...leaves];
  while (level.length > 1) {
    const next: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Buffer;
      next.push(sha256d(Buffer.concat([left, level[i + 1] ?? left])));
    }
    level = next;
  }
  return level[0] as Buffer;
}

function randomTransaction(segwit: boolean, random: Random): Transaction {
  const makeInput = segwit ? pick([legacyInput, keyHashInput, taprootInput], random) : legacyInput;
  const makeScript = segwit ? [payToKeyHash, payToWitnessKeyHash, payToTaproot] : [payToKeyHash];
  const inputs = Array.from({ length: 1 + Math.floor(random() * 3) }, () => makeInput(random));
  const outputs = Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({
    amount: 1_000n + BigInt(Math.floor(random() * Number(10n * COIN))),
    script: pick(makeScript, random)(random),
  }));
  return transaction(2, inputs, outputs);
}

function transaction(version: number, inputs: readonly Input[], outputs: readonly Output[]): Transaction {
  const core = Buffer.concat([
    compactSize(inputs.length),
    ...inputs.flatMap((input) => [
      input.outpoint,
      compactSize(input.scriptSig.length),
      input.scriptSig,
      SEQUENCE_FINAL,
    ]),
    compactSize(outputs.length),
    ...outputs.flatMap((output) => [u64(output.amount), compactSize(output.script.length), output.script]),
  ]);
  const lockTime = u32(0);
  const stripped = Buffer.concat([u32(version), core, lockTime]);
  const txid = sha256d(stripped);
  if (inputs.every((input) => input.witness.length === 0)) return { bytes: stripped, stripped, txid, wtxid: txid };
  const witness = inputs.flatMap((input) => [
    compactSize(input.witness.length),
    ...input.witness.flatMap((item) => [compactSize(item.length), item]),
  ]);
  const bytes = Buffer.concat([u32(version), Buffer.from([0, 1]), core, ...witness, lockTime]);
  return { bytes, stripped, txid, wtxid: sha256d(bytes) };
}

function legacyInput(random: Random): Input {
  const scriptSig = Buffer.concat([pushBytes(signature(random)), pushBytes(publicKey(random))]);
  return { outpoint: randomOutpoint(random), scriptSig, witness: NOTHING };
}

function keyHashInput(random: Random): Input {
  return { outpoint: randomOutpoint(random), scriptSig: EMPTY, witness: [signature(random), publicKey(random)] };
}

function taprootInput(random: Random): Input {
  return { outpoint: randomOutpoint(random), scriptSig: EMPTY, witness: [randomBytes(64, random)] };
}

function randomOutpoint(random: Random): Buffer {
  return Buffer.concat([randomBytes(32, random), u32(Math.floor(random() * 4))]);
}

/** A DER signature's shape with SIGHASH_ALL: two 32-byte integers that are positive and minimal. */
function signature(random: Random): Buffer {
  const integer = (): Buffer => {
    const bytes = randomBytes(32, random);
    bytes[0] = 1 + ((bytes[0] ?? 0) & 0x3f);
    return Buffer.concat([Buffer.from([0x02, 32]), bytes]);
  };
  return Buffer.concat([Buffer.from([0x30, 68]), integer(), integer(), Buffer.from([0x01])]);
}

function publicKey(random: Random): Buffer {
  return Buffer.concat([Buffer.from([random() < 0.5 ? 2 : 3]), randomBytes(32, random)]);
}

function payToKeyHash(random: Random): Buffer {
  return Buffer.concat([Buffer.from("76a914", "hex"), randomBytes(20, random), Buffer.from("88ac", "hex")]);
}

function payToWitnessKeyHash(random: Random): Buffer {
  return Buffer.concat([Buffer.from("0014", "hex"), randomBytes(20, random)]);
}

function payToTaproot(random: Random): Buffer {
  return Buffer.concat([Buffer.from("5120", "hex"), randomBytes(32, random)]);
}

/** The height as a script pushes it (BIP-34): one opcode up to 16, else a minimal little-endian number with room for its sign. */
function heightScript(height: number): Buffer {
  if (height <= 16) return Buffer.from([0x50 + height]);
  const bytes: number[] = [];
  for (let rest = height; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256);
  if ((bytes.at(-1) ?? 0) >= 0x80) bytes.push(0);
  return pushBytes(Buffer.from(bytes));
}

function randomBytes(length: number, random: Random): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = Math.floor(random() * 256);
  return bytes;
}

function pick<T>(choices: readonly T[], random: Random): T {
  return choices[Math.floor(random() * choices.length)] as T;
}
