/**
 * Messages: what a transaction's signers sign. Legacy, and version 0 with address lookup tables; the rules are those of
 * `Message::sanitize` of the reference validator.
 *
 *   [0x80 | version]  three counts of the header, u8 each
 *   compact-u16 count, 32-byte account keys; 32-byte recent blockhash
 *   compact-u16 count, instructions: u8 program, compact-u16 count + u8 accounts, compact-u16 length + data
 *   version 0: compact-u16 count, lookups: 32-byte table, compact-u16 count + u8 writable, compact-u16 count + u8 read-only
 */
import { failure } from "./failure.ts";
import { compactU16, WireReader } from "./wire.ts";

export interface MessageFields {
  readonly version: "legacy" | 0;
  readonly requiredSignatures: number;
  /** Of those that sign. */
  readonly readonlySigned: number;
  /** Of those that do not. */
  readonly readonlyUnsigned: number;
  /** Static account keys, 32 bytes each, one behind the other: signers first, the one who pays first of all. */
  readonly accountKeys: Uint8Array;
  readonly recentBlockhash: Uint8Array;
  readonly instructions: readonly Instruction[];
  /** None in a legacy message. */
  readonly lookups: readonly AddressLookup[];
}

/** As decoded, with the bytes that are signed. Fields are views of them. */
export interface Message extends MessageFields {
  readonly bytes: Uint8Array;
}

export interface Instruction {
  readonly program: number;
  /** Indexes into the static keys, then the looked-up writable ones, then the looked-up read-only ones. */
  readonly accounts: Uint8Array;
  readonly data: Uint8Array;
}

export interface AddressLookup {
  readonly table: Uint8Array;
  readonly writable: Uint8Array;
  readonly readonly: Uint8Array;
}

export const KEY_BYTES = 32;
const VERSION_BIT = 0x80;
/** Accounts are named by one byte. */
const MAX_ACCOUNTS = 256;

/** Throws SPRINT_SVM_*. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new WireReader(bytes);
  const version = decodeVersion(reader);
  const requiredSignatures = reader.u8("signatures required");
  const readonlySigned = reader.u8("read-only signers");
  const readonlyUnsigned = reader.u8("read-only accounts");
  const accountKeys = reader.take(reader.compactU16("account keys") * KEY_BYTES, "account keys");
  const recentBlockhash = reader.take(KEY_BYTES, "recent blockhash");
  const instructions = decodeInstructions(reader);
  const lookups = version === "legacy" ? [] : decodeLookups(reader);
  reader.end("message");
  const message = {
    version,
    requiredSignatures,
    readonlySigned,
    readonlyUnsigned,
    accountKeys,
    recentBlockhash,
    instructions,
    lookups,
    bytes,
  };
  checkHeader(message);
  checkIndexes(message);
  return message;
}

/** The bytes to sign. Takes what it is given: `decodeMessage` checks. */
export function encodeMessage(message: MessageFields): Uint8Array {
  const { version, accountKeys, instructions, lookups } = message;
  const counted = (bytes: Uint8Array): Uint8Array[] => [compactU16(bytes.length), bytes];
  return Buffer.concat([
    Uint8Array.from(version === "legacy" ? [] : [VERSION_BIT | version]),
    Uint8Array.of(message.requiredSignatures, message.readonlySigned, message.readonlyUnsigned),
    compactU16(accountKeys.length / KEY_BYTES),
    accountKeys,
    message.recentBlockhash,
    compactU16(instructions.length),
    ...instructions.flatMap(({ program, accounts, data }) => [
      Uint8Array.of(program),
      ...counted(accounts),
      ...counted(data),
    ]),
    ...(version === "legacy" ? [] : [compactU16(lookups.length)]),
    ...lookups.flatMap(({ table, writable, readonly }) => [table, ...counted(writable), ...counted(readonly)]),
  ]);
}

/** A static account key; the caller knows that there are as many. */
export function accountKey({ accountKeys }: MessageFields, index: number): Uint8Array {
  return accountKeys.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES);
}

function decodeVersion(reader: WireReader): "legacy" | 0 {
  const first = reader.bytes[0] ?? 0;
  if ((first & VERSION_BIT) === 0) return "legacy";
  const version = reader.u8("version") & ~VERSION_BIT;
  if (version !== 0) throw failure("SPRINT_SVM_VERSION", "message version", "legacy or 0", version);
  return version;
}

function decodeInstructions(reader: WireReader): Instruction[] {
  const instructions: Instruction[] = [];
  for (let left = reader.compactU16("instructions"); left > 0; left--) {
    const program = reader.u8("program of an instruction");
    const accounts = reader.take(reader.compactU16("accounts of an instruction"), "accounts of an instruction");
    const data = reader.take(reader.compactU16("data of an instruction"), "data of an instruction");
    instructions.push({ program, accounts, data });
  }
  return instructions;
}

function decodeLookups(reader: WireReader): AddressLookup[] {
  const lookups: AddressLookup[] = [];
  for (let left = reader.compactU16("address lookups"); left > 0; left--) {
    const table = reader.take(KEY_BYTES, "address lookup table");
    const writable = reader.take(reader.compactU16("writable lookups"), "writable lookups");
    const readonly = reader.take(reader.compactU16("read-only lookups"), "read-only lookups");
    if (writable.length + readonly.length === 0) {
      throw failure("SPRINT_SVM_LOOKUP", "accounts of an address lookup", "at least 1", 0);
    }
    lookups.push({ table, writable, readonly });
  }
  return lookups;
}

function checkHeader(message: MessageFields): void {
  const { requiredSignatures, readonlySigned, readonlyUnsigned, accountKeys } = message;
  const count = accountKeys.length / KEY_BYTES;
  if (readonlySigned >= requiredSignatures) {
    const expected = `fewer than the ${requiredSignatures} that sign: somebody pays`;
    throw failure("SPRINT_SVM_HEADER", "read-only signers", expected, readonlySigned);
  }
  if (requiredSignatures + readonlyUnsigned > count) {
    const expected = `at least ${requiredSignatures} that sign and ${readonlyUnsigned} read-only`;
    throw failure("SPRINT_SVM_HEADER", "account keys", expected, count);
  }
  checkDistinct(accountKeys);
}

/** A transaction that names an account twice cannot lock it, so no block holds one. */
function checkDistinct(keys: Uint8Array): void {
  const view = new DataView(keys.buffer, keys.byteOffset, keys.length);
  for (let i = KEY_BYTES; i < keys.length; i += KEY_BYTES) {
    const word = view.getUint32(i);
    for (let j = 0; j < i; j += KEY_BYTES) {
      if (view.getUint32(j) === word && Buffer.compare(keyAt(keys, i), keyAt(keys, j)) === 0) {
        throw failure("SPRINT_SVM_DUPLICATE_KEY", "account keys", "each once", `key ${j / KEY_BYTES} again`, {
          index: i / KEY_BYTES,
        });
      }
    }
  }
}

function keyAt(keys: Uint8Array, offset: number): Uint8Array {
  return keys.subarray(offset, offset + KEY_BYTES);
}

function checkIndexes({ accountKeys, instructions, lookups }: MessageFields): void {
  const fixed = accountKeys.length / KEY_BYTES;
  const total = lookups.reduce((sum, { writable, readonly }) => sum + writable.length + readonly.length, fixed);
  if (total > MAX_ACCOUNTS) {
    throw failure("SPRINT_SVM_LOOKUP", "accounts of a message", `at most ${MAX_ACCOUNTS}`, total);
  }
  instructions.forEach(({ program, accounts }, index) => {
    // the one who pays is no program, and a program is never looked up
    if (program === 0 || program >= fixed) {
      throw failure("SPRINT_SVM_PROGRAM_INDEX", `program of instruction ${index}`, `1 to ${fixed - 1}`, program);
    }
    for (const account of accounts) {
      if (account >= total) {
        throw failure("SPRINT_SVM_ACCOUNT_INDEX", `account of instruction ${index}`, `0 to ${total - 1}`, account);
      }
    }
  });
}
