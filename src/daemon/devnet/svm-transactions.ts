/** The Solana devnet's transactions: votes of its validators and transfers, as the reference validator's programs read them. */
import {
  type SvmInstruction,
  type SvmMessage,
  accountKey,
  decodeBase58,
  decodeTransaction,
  encodeBase58,
  encodeMessage,
  encodeTransaction,
  isVote,
} from "../chain/index.ts";
import { SVM_PROGRAM, SVM_SYSVAR, type SvmSigner, type SvmValidator } from "./svm-keys.ts";

export interface SvmTransaction {
  /** On the wire. */
  readonly bytes: Uint8Array;
  readonly signatures: readonly Uint8Array[];
  /** Its name: the first signature in base58. */
  readonly signature: string;
  readonly message: SvmMessage;
  /** Static account keys in base58, the one who pays first. */
  readonly keys: readonly string[];
  readonly vote: boolean;
}

/** The variants of the system and the vote program that are understood here (bincode: u32 LE). */
export const SYSTEM_TRANSFER = 2;
export const VOTE_VOTE = 2;

const KEY_BYTES = 32;

/** Throws SPRINT_SVM_* where `bytes` are no transaction. */
export function readTransaction(bytes: Uint8Array): SvmTransaction {
  const decoded = decodeTransaction(bytes);
  const { message, signatures } = decoded;
  return {
    bytes,
    signatures,
    signature: encodeBase58(signatures[0] as Uint8Array),
    message,
    keys: Array.from({ length: message.accountKeys.length / KEY_BYTES }, (_, i) =>
      encodeBase58(accountKey(message, i)),
    ),
    vote: isVote(decoded),
  };
}

/** 32 bytes; for addresses that are known to be some. */
export function keyOf(address: string): Uint8Array {
  return decodeBase58(address, KEY_BYTES) as Uint8Array;
}

export interface VoteBallot {
  readonly slots: readonly number[];
  /** Of the bank of the last of them, 32 bytes. */
  readonly bankHash: Uint8Array;
  /** Unix seconds. */
  readonly timestamp: number;
}

/** `VoteInstruction::Vote`: slots (u64 count, u64 each), hash, and a time (1, i64). */
export function voteTransaction(validator: SvmValidator, ballot: VoteBallot, recent: Uint8Array): SvmTransaction {
  const numbers = [ballot.slots.length, ...ballot.slots].map(u64);
  const data = Buffer.concat([u32(VOTE_VOTE), ...numbers, ballot.bankHash, Uint8Array.of(1), u64(ballot.timestamp)]);
  return signed(
    {
      version: "legacy",
      signer: validator.identity,
      writable: [validator.voteKey],
      readonly: [keyOf(SVM_SYSVAR.SLOT_HASHES), keyOf(SVM_SYSVAR.CLOCK), keyOf(SVM_PROGRAM.VOTE)],
      instructions: [{ program: 4, accounts: Uint8Array.of(1, 2, 3, 0), data }],
    },
    recent,
  );
}

/** What `voteTransaction` put in; null for another instruction. */
export function readBallot(data: Uint8Array): VoteBallot | null {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (bytes.length < 12 || bytes.readUInt32LE(0) !== VOTE_VOTE) return null;
  const count = Number(bytes.readBigUInt64LE(4));
  const end = 12 + 8 * count;
  if (!(count >= 1) || bytes.length !== end + KEY_BYTES + 9) return null;
  const slots = Array.from({ length: count }, (_, i) => Number(bytes.readBigUInt64LE(12 + 8 * i)));
  const bankHash = bytes.subarray(end, end + KEY_BYTES);
  return { slots, bankHash, timestamp: Number(bytes.readBigInt64LE(end + KEY_BYTES + 1)) };
}

export interface Transfer {
  readonly from: SvmSigner;
  /** 32 bytes, another than `from`. */
  readonly to: Uint8Array;
  readonly lamports: number;
  /** A note for the memo program, where there is one. */
  readonly memo?: string;
  readonly version?: "legacy" | 0;
}

export function transferTransaction(
  { from, to, lamports, memo, version }: Transfer,
  recent: Uint8Array,
): SvmTransaction {
  const move: SvmInstruction = {
    program: 2,
    accounts: Uint8Array.of(0, 1),
    data: Buffer.concat([u32(SYSTEM_TRANSFER), u64(lamports)]),
  };
  const note = (text: string): SvmInstruction => ({ program: 3, accounts: Uint8Array.of(), data: Buffer.from(text) });
  return signed(
    {
      version: version ?? "legacy",
      signer: from,
      writable: [to],
      readonly: [keyOf(SVM_PROGRAM.SYSTEM), ...(memo === undefined ? [] : [keyOf(SVM_PROGRAM.MEMO)])],
      instructions: [move, ...(memo === undefined ? [] : [note(memo)])],
    },
    recent,
  );
}

interface Draft {
  readonly version: "legacy" | 0;
  readonly signer: SvmSigner;
  readonly writable: readonly Uint8Array[];
  readonly readonly: readonly Uint8Array[];
  readonly instructions: readonly SvmInstruction[];
}

function signed(draft: Draft, recentBlockhash: Uint8Array): SvmTransaction {
  const message = encodeMessage({
    version: draft.version,
    requiredSignatures: 1,
    readonlySigned: 0,
    readonlyUnsigned: draft.readonly.length,
    accountKeys: Buffer.concat([draft.signer.key, ...draft.writable, ...draft.readonly]),
    recentBlockhash,
    instructions: draft.instructions,
    lookups: [],
  });
  return readTransaction(encodeTransaction([draft.signer.sign(message)], message));
}

/** Whether the message lets its program write to the static key of that index (`is_writable` of the reference validator). */
export function isWritable(message: SvmMessage, index: number): boolean {
  const { requiredSignatures, readonlySigned, readonlyUnsigned, accountKeys } = message;
  if (index < requiredSignatures) return index < requiredSignatures - readonlySigned;
  return index < accountKeys.length / KEY_BYTES - readonlyUnsigned;
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
