/**
 * Litecoin's MWEB extension block (LIP-0002, LIP-0003), which follows the transactions of a block whose last one is the HogEx:
 *
 *   0x01, header, inputs, outputs, kernels            (0x00: no extension)
 *   header: height, output root, kernel root, leafset root, kernel offset, stealth offset, number of outputs, number of kernels
 *
 * Checked: the header against the commitment of the HogEx, the kernels against the header, limits, peg-ins and peg-outs against
 * the block's transactions. Not checked: signatures, range proofs, sums of commitments, roots that need the MWEB's state.
 */
import { blake3 } from "@noble/hashes/blake3.js";
import { SprintError } from "../../shared/errors.ts";
import { type ByteReader, readU32 } from "./reader.ts";
import { refuse } from "./refusal.ts";
import { eachOutput, outpointsOf, type TransactionTable } from "./transaction.ts";
import type { Refusal } from "./types.ts";

const HASH_BYTES = 32;
const PUBLIC_KEY_BYTES = 33;
const COMMITMENT_BYTES = 33;
const SIGNATURE_BYTES = 64;
const RANGE_PROOF_BYTES = 675;
/** Exchange key, view tag, masked value, masked nonce. */
const STANDARD_FIELDS_BYTES = PUBLIC_KEY_BYTES + 1 + 8 + 16;

const INPUT = { stealthKey: 1, extraData: 2 } as const;
const OUTPUT = { standardFields: 1, extraData: 2 } as const;
const KERNEL = { fee: 1, pegin: 2, pegouts: 4, lockHeight: 8, stealthExcess: 16, extraData: 32 } as const;

/** `mw::MAX_BLOCK_WEIGHT` and the weights of its parts. */
const MAX_WEIGHT = 200_000;
const MAX_INPUTS = 50_000;
const WEIGHT = { bytesPerUnit: 42, kernel: 2, stealthExcess: 1, output: 17, standardFields: 1 } as const;

/** Script of the HogEx's first output, OP_8, and of a peg-in, OP_9; each pushes 32 bytes. */
const OP_HOGADDR = 0x58;
const OP_PEGIN = 0x59;

interface Peg {
  readonly amount: bigint;
  /** Kernel id of a peg-in, script of a peg-out; hex. */
  readonly target: string;
}

export interface MwebBlock {
  /** BLAKE3 of the extension's header, hex. */
  readonly hash: string;
  readonly height: bigint;
  readonly kernelRoot: string;
  readonly declaredKernels: bigint;
  readonly inputs: number;
  readonly kernels: readonly Uint8Array[];
  readonly weight: number;
  readonly pegins: readonly Peg[];
  readonly pegouts: readonly Peg[];
}

/** Reads what follows the transactions; null where the extension is declared absent. Throws SPRINT_DECODE_*. */
export function decodeMweb(reader: ByteReader): MwebBlock | null {
  const present = reader.u8("MWEB extension");
  if (present === 0) return null;
  const { bytes } = reader;
  const headerAt = reader.offset;
  const height = readVarInt(reader, "MWEB height");
  reader.skip(HASH_BYTES, "MWEB output root");
  const kernelRoot = hex(reader.take(HASH_BYTES, "MWEB kernel root"));
  reader.skip(3 * HASH_BYTES, "MWEB leafset root and offsets");
  readVarInt(reader, "number of MWEB outputs");
  const declaredKernels = readVarInt(reader, "number of MWEB kernels");
  const hash = hex(blake3(bytes.subarray(headerAt, reader.offset)));
  let weight = 0;
  const inputs = repeat(reader, "number of MWEB inputs", () => (weight += scanInput(reader)));
  repeat(reader, "number of MWEB outputs", () => (weight += scanOutput(reader)));
  const kernels: Uint8Array[] = [];
  const pegins: Peg[] = [];
  const pegouts: Peg[] = [];
  repeat(reader, "number of MWEB kernels", () => {
    const start = reader.offset;
    const kernel = scanKernel(reader, pegouts);
    const serialised = bytes.subarray(start, reader.offset);
    weight += kernel.weight;
    kernels.push(serialised);
    if (kernel.pegin !== null) pegins.push({ amount: kernel.pegin, target: hex(blake3(serialised)) });
  });
  return { hash, height, kernelRoot, declaredKernels, inputs, kernels, weight, pegins, pegouts };
}

function scanInput(reader: ByteReader): number {
  const features = reader.u8("MWEB input features");
  reader.skip(HASH_BYTES + COMMITMENT_BYTES + PUBLIC_KEY_BYTES, "MWEB input");
  if ((features & INPUT.stealthKey) !== 0) reader.skip(PUBLIC_KEY_BYTES, "MWEB input key");
  const extra = (features & INPUT.extraData) !== 0 ? skipBytes(reader, "MWEB input data") : 0;
  reader.skip(SIGNATURE_BYTES, "MWEB input signature");
  return weightOf(extra);
}

function scanOutput(reader: ByteReader): number {
  reader.skip(COMMITMENT_BYTES + 2 * PUBLIC_KEY_BYTES, "MWEB output");
  const features = reader.u8("MWEB output features");
  const standard = (features & OUTPUT.standardFields) !== 0;
  if (standard) reader.skip(STANDARD_FIELDS_BYTES, "MWEB output fields");
  const extra = (features & OUTPUT.extraData) !== 0 ? skipBytes(reader, "MWEB output data") : 0;
  reader.skip(RANGE_PROOF_BYTES + SIGNATURE_BYTES, "MWEB output proof");
  return WEIGHT.output + (standard ? WEIGHT.standardFields : 0) + weightOf(extra);
}

function scanKernel(reader: ByteReader, pegouts: Peg[]): { readonly weight: number; readonly pegin: bigint | null } {
  const features = reader.u8("MWEB kernel features");
  let weight: number = WEIGHT.kernel;
  if ((features & KERNEL.fee) !== 0) readVarInt(reader, "MWEB kernel fee");
  const pegin = (features & KERNEL.pegin) !== 0 ? readVarInt(reader, "MWEB peg-in") : null;
  if ((features & KERNEL.pegouts) !== 0) {
    repeat(reader, "number of MWEB peg-outs", () => {
      const amount = readVarInt(reader, "MWEB peg-out");
      const script = reader.take(reader.varint("MWEB peg-out script length", reader.remaining), "MWEB peg-out script");
      pegouts.push({ amount, target: hex(script) });
      weight += weightOf(script.length);
    });
  }
  if ((features & KERNEL.lockHeight) !== 0) readVarInt(reader, "MWEB lock height");
  if ((features & KERNEL.stealthExcess) !== 0) {
    reader.skip(PUBLIC_KEY_BYTES, "MWEB stealth excess");
    weight += WEIGHT.stealthExcess;
  }
  if ((features & KERNEL.extraData) !== 0) weight += weightOf(skipBytes(reader, "MWEB kernel data"));
  reader.skip(COMMITMENT_BYTES + SIGNATURE_BYTES, "MWEB kernel");
  return { weight, pegin };
}

/**
 * The extension against the block that carries it. `txids` are the block's transaction ids side by side, `first` whether this is
 * the chain's first HogEx, null where that is not known.
 */
export function checkMweb(
  mweb: MwebBlock,
  bytes: Uint8Array,
  table: TransactionTable,
  txids: Uint8Array,
  height: number | null,
  first: boolean | null,
): Refusal | null {
  const hogEx = table.count - 1;
  const committed = hogAddress(bytes, table, hogEx);
  if (committed === null) {
    return refuse(
      "SPRINT_BLOCK_BAD_HOGEX",
      "first output of the HogEx",
      "a commitment to the MWEB header",
      "another script",
      // no transaction id covers the mark: the block itself may have no HogEx
      { mutated: true },
    );
  }
  if (committed !== mweb.hash) {
    return refuse("SPRINT_BLOCK_MWEB_HASH_MISMATCH", "MWEB header", `hash ${committed}`, mweb.hash, { mutated: true });
  }
  if (height !== null && mweb.height !== BigInt(height)) {
    return refuse("SPRINT_BLOCK_MWEB_HEIGHT_MISMATCH", "MWEB height", height, `${mweb.height}`);
  }
  return checkMwebBody(mweb) ?? checkPegs(mweb, bytes, table, txids, first);
}

function checkMwebBody(mweb: MwebBlock): Refusal | null {
  const bad = (what: string, expected: string | number, actual: string | number): Refusal =>
    refuse("SPRINT_BLOCK_BAD_MWEB", what, expected, actual, { mutated: true });
  if (mweb.inputs > MAX_INPUTS) return bad("MWEB inputs", `at most ${MAX_INPUTS}`, mweb.inputs);
  if (mweb.weight > MAX_WEIGHT) return bad("MWEB weight", `at most ${MAX_WEIGHT}`, mweb.weight);
  if (mweb.declaredKernels !== BigInt(mweb.kernels.length)) {
    return bad("MWEB kernels", `${mweb.declaredKernels} as the MWEB header says`, mweb.kernels.length);
  }
  const root = kernelRoot(mweb.kernels);
  return root === mweb.kernelRoot ? null : bad("MWEB kernel root", mweb.kernelRoot, root);
}

/** HogEx inputs must be the block's peg-ins in order, kernels must name them, and HogEx outputs must be the kernels' peg-outs. */
function checkPegs(
  mweb: MwebBlock,
  bytes: Uint8Array,
  table: TransactionTable,
  txids: Uint8Array,
  first: boolean | null,
): Refusal | null {
  const hogEx = table.count - 1;
  const outpoints: string[] = [];
  const pegins: Peg[] = [];
  let stray: number | null = null;
  for (let i = 0; i <= hogEx; i++) {
    let output = 0;
    eachOutput(bytes, table, i, (valueAt, scriptAt, scriptBytes) => {
      if (isProgram(bytes, scriptAt, scriptBytes, OP_PEGIN)) {
        if (i === 0 || i === hogEx) stray = i;
        outpoints.push(`${hex(txids.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES))}:${output}`);
        pegins.push({
          amount: readAmount(bytes, valueAt),
          target: hex(bytes.subarray(scriptAt + 2, scriptAt + 2 + HASH_BYTES)),
        });
      }
      output++;
    });
  }
  if (stray !== null) {
    return refuse("SPRINT_BLOCK_UNEXPECTED_PEGIN", `transaction ${stray}`, "no peg-in in coinbase or HogEx", "one");
  }
  const spent = outpointsOf(bytes, table, hogEx);
  // all but the first HogEx spend the one before with their first input
  const own = first === null ? spent.length - outpoints.length : first ? 0 : 1;
  const named = spent
    .slice(own)
    .map((at) => `${hex(bytes.subarray(at, at + HASH_BYTES))}:${readU32(bytes, at + HASH_BYTES)}`);
  if (own < 0 || own > 1 || named.join() !== outpoints.join()) {
    return refuse(
      "SPRINT_BLOCK_PEGIN_MISMATCH",
      "HogEx inputs",
      `the block's ${outpoints.length} peg-ins in order`,
      "others",
    );
  }
  if (!samePegs(pegins, mweb.pegins)) {
    return refuse("SPRINT_BLOCK_BAD_MWEB", "MWEB peg-ins", "those of the block", "others", { mutated: true });
  }
  const pegouts: Peg[] = [];
  eachOutput(bytes, table, hogEx, (valueAt, scriptAt, scriptBytes) => {
    pegouts.push({ amount: readAmount(bytes, valueAt), target: hex(bytes.subarray(scriptAt, scriptAt + scriptBytes)) });
  });
  if (samePegs(pegouts.slice(1), mweb.pegouts)) return null;
  return refuse("SPRINT_BLOCK_BAD_MWEB", "HogEx outputs", "the peg-outs of the MWEB kernels", "others", {
    mutated: true,
  });
}

/** The MWEB header hash that a HogEx commits to, hex; null where its first output is another script. */
export function hogAddress(bytes: Uint8Array, table: TransactionTable, index: number): string | null {
  let committed: string | null = null;
  let output = 0;
  eachOutput(bytes, table, index, (_, scriptAt, scriptBytes) => {
    if (output++ === 0 && isProgram(bytes, scriptAt, scriptBytes, OP_HOGADDR)) {
      committed = hex(bytes.subarray(scriptAt + 2, scriptAt + 2 + HASH_BYTES));
    }
  });
  return committed;
}

function isProgram(bytes: Uint8Array, at: number, length: number, opcode: number): boolean {
  return length === 2 + HASH_BYTES && bytes[at] === opcode && bytes[at + 1] === HASH_BYTES;
}

function samePegs(a: readonly Peg[], b: readonly Peg[]): boolean {
  const sorted = (pegs: readonly Peg[]): string =>
    pegs
      .map((peg) => `${peg.amount} ${peg.target}`)
      .sort()
      .join();
  return a.length === b.length && sorted(a) === sorted(b);
}

/** Root of a Merkle mountain range over the kernels: each node is hashed with its position, peaks are bagged from the right. */
function kernelRoot(kernels: readonly Uint8Array[]): string {
  const peaks: { readonly height: number; readonly hash: Uint8Array }[] = [];
  let position = 0;
  for (const kernel of kernels) {
    let node = { height: 0, hash: positioned(position++, lengthPrefixed(kernel)) };
    for (let left = peaks.at(-1); left?.height === node.height; left = peaks.at(-1)) {
      peaks.pop();
      node = { height: node.height + 1, hash: positioned(position++, left.hash, node.hash) };
    }
    peaks.push(node);
  }
  const root = peaks.reduceRight<Uint8Array | null>(
    (bagged, peak) => (bagged === null ? peak.hash : positioned(position, peak.hash, bagged)),
    null,
  );
  return hex(root ?? new Uint8Array(HASH_BYTES));
}

function positioned(position: number, ...parts: Uint8Array[]): Uint8Array {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(position);
  return blake3(Buffer.concat([prefix, ...parts]));
}

function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const prefix =
    length < 0xfd
      ? [length]
      : length <= 0xffff
        ? [0xfd, length & 0xff, length >> 8]
        : [0xfe, length & 0xff, (length >> 8) & 0xff, (length >> 16) & 0xff, length >>> 24];
  return Buffer.concat([Buffer.from(prefix), bytes]);
}

function repeat(reader: ByteReader, what: string, read: () => void): number {
  const count = reader.varint(what, reader.remaining);
  for (let i = 0; i < count; i++) read();
  return count;
}

function skipBytes(reader: ByteReader, what: string): number {
  const length = reader.varint(what, reader.remaining);
  reader.skip(length, what);
  return length;
}

function weightOf(extraBytes: number): number {
  return Math.ceil(extraBytes / WEIGHT.bytesPerUnit);
}

/** The node's own variable-length integer (base 128, most significant first, each continuation counts one more). */
function readVarInt(reader: ByteReader, what: string): bigint {
  let value = 0n;
  for (;;) {
    const byte = reader.u8(what);
    value = (value << 7n) | BigInt(byte & 0x7f);
    if (value > 0x7fff_ffff_ffff_ffffn) {
      throw new SprintError(
        "SPRINT_DECODE_LIMIT",
        `${what}: expected at most 63 bits, got more at offset ${reader.offset}`,
        {
          expected: "63 bits",
          actual: "more",
          offset: reader.offset,
        },
      );
    }
    if ((byte & 0x80) === 0) return value;
    value++;
  }
}

function readAmount(bytes: Uint8Array, at: number): bigint {
  return BigInt(readU32(bytes, at)) + (BigInt(readU32(bytes, at + 4)) << 32n);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}
