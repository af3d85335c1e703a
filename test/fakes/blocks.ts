/** Small blocks of the Bitcoin family, built from parts so that a test can spoil any one of them. No proof of work. */
import { hash } from "node:crypto";

export interface InputParts {
  readonly txid?: Buffer;
  readonly index?: number;
  readonly script?: Buffer;
  readonly sequence?: number;
  readonly witness?: readonly Buffer[];
}

export interface OutputParts {
  readonly value?: bigint;
  readonly script?: Buffer;
}

export interface TransactionParts {
  readonly version?: number;
  readonly inputs: readonly InputParts[];
  readonly outputs: readonly OutputParts[];
  readonly lockTime?: number;
  readonly hogEx?: boolean;
}

export interface BlockParts {
  readonly version?: number;
  readonly time?: number;
  readonly transactions: readonly TransactionParts[];
  /** Instead of the right one. */
  readonly merkleRoot?: Buffer;
  /** Behind the transactions. */
  readonly extension?: Buffer;
}

export const BLOCK_TIME = 1_700_000_000;
const ZERO = Buffer.alloc(32);

export function sha256d(bytes: Uint8Array): Buffer {
  return hash("sha256", hash("sha256", bytes, "buffer"), "buffer");
}

export function blockBytes(parts: BlockParts): Buffer {
  const txids = parts.transactions.map((transaction) => sha256d(transactionBytes(transaction, false)));
  const header = Buffer.alloc(80);
  header.writeInt32LE(parts.version ?? 4, 0);
  header.set(parts.merkleRoot ?? treeRoot(txids), 36);
  header.writeUInt32LE(parts.time ?? BLOCK_TIME, 68);
  header.writeUInt32LE(0x207fffff, 72);
  return Buffer.concat([
    header,
    compactSize(parts.transactions.length),
    ...parts.transactions.map((transaction) => transactionBytes(transaction, true)),
    parts.extension ?? Buffer.alloc(0),
  ]);
}

export function transactionBytes(parts: TransactionParts, extended: boolean): Buffer {
  const witness = parts.inputs.some((input) => input.witness !== undefined);
  const flags = extended ? (witness ? 1 : 0) | (parts.hogEx === true ? 8 : 0) : 0;
  return Buffer.concat([
    u32(parts.version ?? 2),
    flags === 0 ? Buffer.alloc(0) : Buffer.from([0, flags]),
    compactSize(parts.inputs.length),
    ...parts.inputs.flatMap((input) => [
      input.txid ?? ZERO,
      u32(input.index ?? 0),
      prefixed(input.script ?? Buffer.alloc(0)),
      u32(input.sequence ?? 0xffff_ffff),
    ]),
    compactSize(parts.outputs.length),
    ...parts.outputs.flatMap((output) => [u64(output.value ?? 0n), prefixed(output.script ?? Buffer.from([0x51]))]),
    ...((flags & 1) === 0
      ? []
      : parts.inputs.flatMap(({ witness = [] }) => [compactSize(witness.length), ...witness.map(prefixed)])),
    (flags & 8) === 0 ? Buffer.alloc(0) : Buffer.from([0]),
    u32(parts.lockTime ?? 0),
  ]);
}

/** A coinbase that starts with `height` in the only form that nodes accept. */
export function coinbase(
  height: number,
  parts: Partial<TransactionParts> & { readonly input?: InputParts } = {},
): TransactionParts {
  const input = {
    index: 0xffff_ffff,
    script: Buffer.concat([heightPush(height), Buffer.from("00", "hex")]),
    ...parts.input,
  };
  return { inputs: [input], outputs: [{ value: 50n }], ...parts };
}

/** A spend of an output that does not exist; `tag` tells spends apart. */
export function spend(tag: number, parts: Partial<TransactionParts> = {}): TransactionParts {
  return { inputs: [{ txid: Buffer.alloc(32, tag) }], outputs: [{ value: BigInt(tag) }], ...parts };
}

/** Transactions with a coinbase in front that commits to their witnesses (BIP141). */
export function committed(
  height: number,
  others: readonly TransactionParts[],
  reserved = Buffer.alloc(32, 9),
): TransactionParts[] {
  const root = treeRoot([
    ZERO,
    ...others.map((transaction) => sha256d(transactionBytes({ ...transaction, hogEx: false }, true))),
  ]);
  const commitment = sha256d(Buffer.concat([root, reserved]));
  const script = Buffer.concat([Buffer.from("6a24aa21a9ed", "hex"), commitment]);
  const input = {
    index: 0xffff_ffff,
    script: Buffer.concat([heightPush(height), Buffer.from([0])]),
    witness: [reserved],
  };
  return [coinbase(height, { inputs: [input], outputs: [{ value: 50n }, { script }] }), ...others];
}

export function treeRoot(leaves: readonly Buffer[]): Buffer {
  let level = [...leaves];
  while (level.length > 1) {
    if (level.length % 2 === 1) level.push(level.at(-1) as Buffer);
    level = Array.from({ length: level.length / 2 }, (_, i) => sha256d(Buffer.concat(level.slice(i * 2, i * 2 + 2))));
  }
  return level[0] ?? ZERO;
}

function heightPush(height: number): Buffer {
  if (height === 0) return Buffer.from([0]);
  if (height <= 16) return Buffer.from([0x50 + height]);
  const bytes: number[] = [];
  for (let rest = height; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256);
  if ((bytes.at(-1) as number) >= 0x80) bytes.push(0);
  return Buffer.from([bytes.length, ...bytes]);
}

export function compactSize(value: number): Buffer {
  if (value < 0xfd) return Buffer.from([value]);
  const bytes = Buffer.alloc(value <= 0xffff ? 3 : 5);
  bytes[0] = value <= 0xffff ? 0xfd : 0xfe;
  bytes.writeUIntLE(value, 1, bytes.length - 1);
  return bytes;
}

function prefixed(bytes: Buffer): Buffer {
  return Buffer.concat([compactSize(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}
