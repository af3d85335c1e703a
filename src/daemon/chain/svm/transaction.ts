/** Transactions on the wire: compact-u16 count, 64-byte signatures, message. And who has signed them. */
import { seededRandom } from "../../../shared/clock.ts";
import { encodeBase58 } from "./base58.ts";
import { SIGNATURE_BYTES, verifyEd25519 } from "./ed25519.ts";
import { failure } from "./failure.ts";
import { accountKey, decodeMessage, type Message } from "./message.ts";
import { compactU16, WireReader } from "./wire.ts";

/** PACKET_DATA_SIZE: what fits into one IPv6 packet that nobody splits. */
export const MAX_TRANSACTION_BYTES = 1_232;

export interface Transaction {
  /** One for each of the message's first account keys; the first one names the transaction. */
  readonly signatures: readonly Uint8Array[];
  readonly message: Message;
}

/** Throws SPRINT_SVM_*; takes no byte more than there should be. */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  if (bytes.length > MAX_TRANSACTION_BYTES) {
    throw failure("SPRINT_SVM_LIMIT", "transaction", `at most ${MAX_TRANSACTION_BYTES} bytes`, bytes.length);
  }
  const reader = new WireReader(bytes);
  const count = reader.compactU16("signatures");
  const signatures: Uint8Array[] = [];
  for (let left = count; left > 0; left--) signatures.push(reader.take(SIGNATURE_BYTES, "signature"));
  const message = decodeMessage(bytes.subarray(reader.offset));
  if (count !== message.requiredSignatures) {
    throw failure("SPRINT_SVM_SIGNATURE_COUNT", "signatures", message.requiredSignatures, count);
  }
  return { signatures, message };
}

/** Takes what it is given: `decodeTransaction` checks. */
export function encodeTransaction(signatures: readonly Uint8Array[], message: Uint8Array): Uint8Array {
  return Buffer.concat([compactU16(signatures.length), ...signatures, message]);
}

/** The name of a transaction: its first signature. */
export function signatureOf({ signatures }: Pick<Transaction, "signatures">): string {
  return encodeBase58(signatures[0] ?? new Uint8Array());
}

const VOTE_PROGRAM = Buffer.from("0761481d357474bb7c4d7624ebd3bdb3d8355e73d11043fc0da3538000000000", "hex");

/** A validator's vote as the reference validator tells them apart: legacy, one instruction to the vote program, at most two signers. */
export function isVote({ signatures, message }: Transaction): boolean {
  const [instruction, second] = message.instructions;
  if (instruction === undefined || second !== undefined || signatures.length > 2) return false;
  return message.version === "legacy" && VOTE_PROGRAM.equals(accountKey(message, instruction.program));
}

/** Which transactions are verified: so many of them, chosen by the seed. */
export interface Sample {
  readonly transactions: number;
  readonly seed: number;
}

export interface SignatureFacts {
  /** Signatures there are, and how many of them were verified. */
  readonly signatures: number;
  readonly verified: number;
  /** Null where all were. */
  readonly sample: Sample | null;
}

/** Verifies all signatures of all `transactions`, or of a sample. CPU-heavy. Throws SPRINT_SVM_SIGNATURE. */
export function verifySignatures(transactions: readonly Transaction[], sample: Sample | null): SignatureFacts {
  const chosen = sample === null ? transactions.keys() : choose(transactions.length, sample);
  let verified = 0;
  for (const index of chosen) {
    const transaction = transactions[index] as Transaction;
    const { signatures, message } = transaction;
    signatures.forEach((signature, i) => {
      if (!verifyEd25519(signature, message.bytes, accountKey(message, i))) {
        const expected = `a signature of ${encodeBase58(accountKey(message, i))}`;
        throw failure("SPRINT_SVM_SIGNATURE", `signature ${i} of transaction ${index}`, expected, "another", {
          transaction: signatureOf(transaction),
        });
      }
    });
    verified += signatures.length;
  }
  const signatures = transactions.reduce((sum, { signatures }) => sum + signatures.length, 0);
  return { signatures, verified, sample: verified === signatures ? null : sample };
}

/** So many of the indexes below `count`, each as likely as the others, in ascending order. */
function choose(count: number, { transactions, seed }: Sample): number[] {
  const random = seededRandom(seed);
  const indexes = Array.from({ length: count }, (_, i) => i);
  const size = Math.min(count, Math.max(0, Math.floor(transactions)));
  for (let i = 0; i < size; i++) {
    const other = i + Math.floor(random() * (count - i));
    [indexes[i], indexes[other]] = [indexes[other] as number, indexes[i] as number];
  }
  return indexes.slice(0, size).sort((a, b) => a - b);
}
