/** A transaction in the forms in which nodes hand them out: base64, base58, json; jsonParsed and accounts, which prove nothing. */
import { SIGNATURE_BYTES } from "./ed25519.ts";
import { failure } from "./failure.ts";
import {
  base58Of,
  boundedBase58Of,
  boundedBase64Of,
  byteOf,
  bytesOf,
  type Json,
  listOf,
  objectOf,
  shape,
  shortened,
  textOf,
} from "./json.ts";
import { type AddressLookup, encodeMessage, type Instruction, KEY_BYTES } from "./message.ts";
import { decodeTransaction, encodeTransaction, MAX_TRANSACTION_BYTES, type Transaction } from "./transaction.ts";

/** `message` is null where the node did not give the bytes that were signed, nor what they can be made of. */
export interface GivenTransaction {
  readonly signatures: readonly Uint8Array[];
  readonly message: Transaction["message"] | null;
}

/** Entries of a list within one transaction: more do not fit into its bytes. */
const MAX_ENTRIES = MAX_TRANSACTION_BYTES;

/** `item` as in `transactions` of getBlock, or the result of getTransaction. Throws SPRINT_SVM_*. */
export function transactionFromJson(item: unknown): GivenTransaction {
  const { transaction, version } = objectOf(item, "transaction");
  if (version !== undefined && version !== "legacy" && version !== 0) {
    throw failure("SPRINT_SVM_VERSION", "version of a transaction", '"legacy" or 0', shortened(version));
  }
  const decoded = readTransaction(transaction, version);
  const actual = decoded.message?.version;
  if (actual !== undefined && version !== undefined && actual !== version) {
    throw failure("SPRINT_SVM_VERSION", "version of a transaction", `${version}, as its row says`, actual);
  }
  return decoded;
}

function readTransaction(value: unknown, version: "legacy" | 0 | undefined): GivenTransaction {
  // the oldest form, before there was a choice
  if (typeof value === "string") return decodeTransaction(readBytes(value, "base58"));
  if (Array.isArray(value)) {
    const [bytes, encoding] = listOf(value, "transaction", 2);
    return decodeTransaction(readBytes(bytes, textOf(encoding, "encoding of a transaction")));
  }
  const { signatures, message } = objectOf(value, "transaction");
  const signed = listOf(signatures, "signatures", MAX_ENTRIES).map((entry) =>
    base58Of(entry, "signature", SIGNATURE_BYTES),
  );
  if (signed.length === 0) throw failure("SPRINT_SVM_SIGNATURE_COUNT", "signatures", "at least 1", 0);
  if (message === undefined) return { signatures: signed, message: null };
  const fields = objectOf(message, "message");
  if (fields["header"] === undefined && !isPlain(fields)) return { signatures: signed, message: null };
  return decodeTransaction(encodeTransaction(signed, messageBytes(fields, version)));
}

function readBytes(value: unknown, encoding: string): Uint8Array {
  if (encoding === "base64") return boundedBase64Of(value, "transaction", MAX_TRANSACTION_BYTES);
  if (encoding === "base58") return boundedBase58Of(value, "transaction", MAX_TRANSACTION_BYTES);
  throw failure("SPRINT_SVM_ENCODING", "encoding of a transaction", "base64, base58 or json", shortened(encoding));
}

/** Of a message in json form its keys are strings; jsonParsed has objects there, and no header. */
function isPlain({ accountKeys }: Json): boolean {
  return !Array.isArray(accountKeys) || typeof accountKeys[0] === "string";
}

/** The bytes that were signed, from their parts. */
function messageBytes(message: Json, version: "legacy" | 0 | undefined): Uint8Array {
  const header = objectOf(message["header"], "header of a message");
  const keys = listOf(message["accountKeys"], "account keys", 0xff).map((key) =>
    base58Of(key, "account key", KEY_BYTES),
  );
  const lookups = message["addressTableLookups"] ?? null;
  const hasLookups = lookups !== null;
  if (version === "legacy" && hasLookups) throw shape("address lookups of a legacy message", "nothing", lookups);
  return encodeMessage({
    // nodes leave lookups out of legacy messages, and only there
    version: version ?? (hasLookups ? 0 : "legacy"),
    requiredSignatures: byteOf(header["numRequiredSignatures"], "numRequiredSignatures"),
    readonlySigned: byteOf(header["numReadonlySignedAccounts"], "numReadonlySignedAccounts"),
    readonlyUnsigned: byteOf(header["numReadonlyUnsignedAccounts"], "numReadonlyUnsignedAccounts"),
    accountKeys: Buffer.concat(keys),
    recentBlockhash: base58Of(message["recentBlockhash"], "recent blockhash", KEY_BYTES),
    instructions: listOf(message["instructions"], "instructions", MAX_ENTRIES).map(instruction),
    lookups: hasLookups ? listOf(lookups, "address lookups", MAX_ENTRIES).map(lookup) : [],
  });
}

function instruction(value: unknown): Instruction {
  const { programIdIndex, accounts, data } = objectOf(value, "instruction");
  return {
    program: byteOf(programIdIndex, "program of an instruction"),
    accounts: bytesOf(accounts, "accounts of an instruction", MAX_ENTRIES),
    data: boundedBase58Of(data, "data of an instruction", MAX_TRANSACTION_BYTES),
  };
}

function lookup(value: unknown): AddressLookup {
  const { accountKey, writableIndexes, readonlyIndexes } = objectOf(value, "address lookup");
  return {
    table: base58Of(accountKey, "address lookup table", KEY_BYTES),
    writable: bytesOf(writableIndexes, "writable lookups", MAX_ENTRIES),
    readonly: bytesOf(readonlyIndexes, "read-only lookups", MAX_ENTRIES),
  };
}
