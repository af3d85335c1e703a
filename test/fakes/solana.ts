/** Solana blocks made here: keys, signed transactions and a proof of history that hold, for tests to break. */
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import { decodeBase58, encodeBase58 } from "../../src/daemon/chain/svm/base58.ts";
import { type AddressLookup, encodeMessage, type MessageFields } from "../../src/daemon/chain/svm/message.ts";
import { signatureRoot } from "../../src/daemon/chain/svm/poh.ts";
import { decodeTransaction, encodeTransaction } from "../../src/daemon/chain/svm/transaction.ts";

export interface Signer {
  readonly key: Uint8Array;
  readonly secret: KeyObject;
}

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** The same seed gives the same key (RFC 8410 around RFC 8032's 32 bytes). */
export function signer(seed: number): Signer {
  const bytes = hash("sha256", Buffer.from(`signer ${seed}`), "buffer");
  const secret = createPrivateKey({ key: Buffer.concat([PKCS8, bytes]), format: "der", type: "pkcs8" });
  const { x } = createPublicKey(secret).export({ format: "jwk" });
  return { key: Buffer.from(x ?? "", "base64url"), secret };
}

export function key(seed: number): Uint8Array {
  return hash("sha256", Buffer.from(`key ${seed}`), "buffer");
}

export const VOTE_PROGRAM = Buffer.from("0761481d357474bb7c4d7624ebd3bdb3d8355e73d11043fc0da3538000000000", "hex");

/** One signer pays; one instruction calls the program that is the last key. */
export function messageFields(payer: Signer, parts: Partial<MessageFields> = {}): MessageFields {
  return {
    version: "legacy",
    requiredSignatures: 1,
    readonlySigned: 0,
    readonlyUnsigned: 1,
    accountKeys: Buffer.concat([payer.key, key(1), key(2)]),
    recentBlockhash: key(3),
    instructions: [{ program: 2, accounts: Uint8Array.of(0, 1), data: Uint8Array.of(2, 0, 0, 0, 9) }],
    lookups: [],
    ...parts,
  };
}

export const LOOKUP: AddressLookup = { table: key(7), writable: Uint8Array.of(4), readonly: Uint8Array.of(5, 200) };

/** Signed by `signers`, in that order, whatever the message asks for. */
export function transactionBytes(fields: MessageFields, signers: readonly Signer[]): Uint8Array {
  const message = encodeMessage(fields);
  return encodeTransaction(
    signers.map(({ secret }) => sign(null, message, secret)),
    message,
  );
}

/** A vote, a transfer with two signers, and one of version 0 with a lookup. */
export function threeTransactions(seed: number): readonly Uint8Array[] {
  const [first, second] = [signer(seed), signer(seed + 1000)];
  const recentBlockhash = key(seed);
  const vote = messageFields(first, {
    recentBlockhash,
    accountKeys: Buffer.concat([first.key, key(1), VOTE_PROGRAM]),
  });
  const transfer = messageFields(first, {
    recentBlockhash,
    requiredSignatures: 2,
    accountKeys: Buffer.concat([first.key, second.key, key(2)]),
  });
  const instructions = [{ program: 2, accounts: Uint8Array.of(0, 1, 3, 4, 5), data: new Uint8Array(300) }];
  const versioned = messageFields(second, { recentBlockhash, version: 0, lookups: [LOOKUP], instructions });
  return [
    transactionBytes(vote, [first]),
    transactionBytes(transfer, [first, second]),
    transactionBytes(versioned, [second]),
  ];
}

export interface BlockJson {
  slot?: number;
  parentSlot: number;
  blockhash: string;
  previousBlockhash: string;
  blockHeight: number | null;
  blockTime: number | null;
  transactions: { transaction: unknown; version?: unknown }[];
  entries?: { numHashes: number; hash: string; transactions: number }[];
}

export const HASHES_PER_TICK = 5;

/** A block of `slot` on `parent`, or the first of its network. Its transactions come two and then one to an entry. */
export function solanaBlock(slot: number, parent: BlockJson | null, transactions = threeTransactions(slot)): BlockJson {
  const parentSlot = parent?.slot ?? 0;
  let at: Uint8Array = parent === null ? key(8) : hashOf(parent.blockhash);
  const previousBlockhash = encodeBase58(at);
  const entries: { numHashes: number; hash: string; transactions: number }[] = [];
  const signatures = transactions.map((bytes) => decodeTransaction(bytes).signatures);
  const push = (numHashes: number, mixed: readonly Uint8Array[], count: number): void => {
    for (let i = 0; i < numHashes - (count > 0 ? 1 : 0); i++) at = hash("sha256", at, "buffer");
    if (count > 0) at = hash("sha256", Buffer.concat([at, signatureRoot(mixed)]), "buffer");
    entries.push({ numHashes, hash: encodeBase58(at), transactions: count });
  };
  for (let tick = 0; tick < 64 * Math.max(1, slot - parentSlot); tick++) {
    let left = HASHES_PER_TICK;
    for (const [from, to] of [
      [0, 2],
      [2, 3],
    ] as const) {
      const some = tick === 3 ? signatures.slice(from, to) : [];
      if (some.length === 0) continue;
      push(1, some.flat(), some.length);
      left--;
    }
    push(left, [], 0);
  }
  return {
    slot,
    parentSlot,
    blockhash: encodeBase58(at),
    previousBlockhash,
    blockHeight: parent === null ? 0 : (parent.blockHeight ?? 0) + 1,
    blockTime: 1_700_000_000 + slot,
    transactions: transactions.map((bytes) => ({ transaction: [Buffer.from(bytes).toString("base64"), "base64"] })),
    entries,
  };
}

function hashOf(blockhash: string): Uint8Array {
  const bytes = decodeBase58(blockhash, 32);
  if (bytes === null) throw new Error(`${blockhash} is no hash`);
  return bytes;
}
