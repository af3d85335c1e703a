import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeBase58 } from "../../../../src/daemon/chain/svm/base58.ts";
import { accountKey, type Message } from "../../../../src/daemon/chain/svm/message.ts";
import { transactionFromJson } from "../../../../src/daemon/chain/svm/rpc.ts";
import { decodeTransaction, type Transaction, verifySignatures } from "../../../../src/daemon/chain/svm/transaction.ts";
import { threeTransactions } from "../../../fakes/solana.ts";

const raw = threeTransactions(1);
const [vote, , versioned] = raw as [Uint8Array, Uint8Array, Uint8Array];
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const refused = (item: unknown, code: string): void =>
  assert.throws(() => transactionFromJson(item), { name: "SprintError", code });

/** The json form, as nodes write it. */
function jsonOf(bytes: Uint8Array): { signatures: string[]; message: Record<string, unknown> } {
  const { signatures, message } = decodeTransaction(bytes);
  const keys = Array.from({ length: message.accountKeys.length / 32 }, (_, i) => encodeBase58(accountKey(message, i)));
  return { signatures: signatures.map(encodeBase58), message: messageJson(message, keys) };
}

function messageJson(message: Message, accountKeys: readonly string[]): Record<string, unknown> {
  const lookups = message.lookups.map(({ table, writable, readonly }) => ({
    accountKey: encodeBase58(table),
    writableIndexes: [...writable],
    readonlyIndexes: [...readonly],
  }));
  return {
    header: {
      numRequiredSignatures: message.requiredSignatures,
      numReadonlySignedAccounts: message.readonlySigned,
      numReadonlyUnsignedAccounts: message.readonlyUnsigned,
    },
    accountKeys,
    recentBlockhash: encodeBase58(message.recentBlockhash),
    instructions: message.instructions.map(({ program, accounts, data }) => ({
      programIdIndex: program,
      accounts: [...accounts],
      data: encodeBase58(data),
      stackHeight: null,
    })),
    ...(message.version === 0 ? { addressTableLookups: lookups } : {}),
  };
}

describe("transactions as nodes hand them out", () => {
  it("are the same in every form that holds what was signed", () => {
    for (const bytes of raw) {
      const expected = decodeTransaction(bytes);
      for (const transaction of [
        [base64(bytes), "base64"],
        [encodeBase58(bytes), "base58"],
        encodeBase58(bytes),
        jsonOf(bytes),
      ]) {
        for (const version of [undefined, expected.message.version]) {
          const read = transactionFromJson({ transaction, version, meta: null }) as Transaction;
          assert.deepEqual(Buffer.from(read.message.bytes), Buffer.from(expected.message.bytes));
          assert.deepEqual(read.signatures.map(encodeBase58), expected.signatures.map(encodeBase58));
          assert.equal(verifySignatures([read], null).sample, null);
        }
      }
    }
  });

  it("prove nothing where the node took them apart", () => {
    const { signatures } = jsonOf(vote);
    const parsed = { accountKeys: [{ pubkey: "x", signer: true }], instructions: [{ parsed: {}, program: "vote" }] };
    assert.equal(transactionFromJson({ transaction: { signatures, message: parsed } }).message, null);
    const accounts = { signatures, accountKeys: [{ pubkey: "x", signer: true, source: "transaction" }] };
    assert.equal(transactionFromJson({ transaction: accounts, version: 0 }).message, null);
    refused({ transaction: { signatures: [], message: parsed } }, "SPRINT_SVM_SIGNATURE_COUNT");
    refused({ transaction: { signatures: ["abc"], message: parsed } }, "SPRINT_SVM_BASE58");
  });

  it("are of the version that their row says", () => {
    refused({ transaction: [base64(vote), "base64"], version: 0 }, "SPRINT_SVM_VERSION");
    refused({ transaction: [base64(versioned), "base64"], version: "legacy" }, "SPRINT_SVM_VERSION");
    for (const version of [1, -1, "0", null, {}]) {
      refused({ transaction: [base64(vote), "base64"], version }, "SPRINT_SVM_VERSION");
    }
    const { message, signatures } = jsonOf(versioned);
    refused({ transaction: { signatures, message }, version: "legacy" }, "SPRINT_SVM_SHAPE");
  });

  it("are refused where they are something else", () => {
    const text = base64(vote);
    const { signatures, message } = jsonOf(vote);
    const json = (changed: object): unknown => ({ transaction: { signatures, message: { ...message, ...changed } } });
    const cases: readonly (readonly [unknown, string])[] = [
      [null, "SPRINT_SVM_SHAPE"],
      [{}, "SPRINT_SVM_SHAPE"],
      [{ transaction: null }, "SPRINT_SVM_SHAPE"],
      [{ transaction: [text] }, "SPRINT_SVM_SHAPE"],
      [{ transaction: [text, "base64+zstd"] }, "SPRINT_SVM_ENCODING"],
      [{ transaction: [text, "hex"] }, "SPRINT_SVM_ENCODING"],
      [{ transaction: [text, "base64", 1] }, "SPRINT_SVM_LIMIT"],
      [{ transaction: [7, "base64"] }, "SPRINT_SVM_SHAPE"],
      [{ transaction: [`${text.slice(0, 8)}\n${text.slice(8)}`, "base64"] }, "SPRINT_SVM_BASE64"],
      [{ transaction: [`${text.slice(0, -4)}****`, "base64"] }, "SPRINT_SVM_BASE64"],
      [{ transaction: [text.replaceAll("=", ""), "base64"] }, text.endsWith("=") ? "SPRINT_SVM_BASE64" : "none"],
      [{ transaction: ["A".repeat(1_000_000), "base64"] }, "SPRINT_SVM_LIMIT"],
      [{ transaction: ["", "base64"] }, "SPRINT_SVM_TRUNCATED"],
      [{ transaction: ["z".repeat(1_000_000), "base58"] }, "SPRINT_SVM_BASE58"],
      [{ transaction: "" }, "SPRINT_SVM_TRUNCATED"],
      [json({ accountKeys: null }), "SPRINT_SVM_SHAPE"],
      [json({ accountKeys: ["abc"] }), "SPRINT_SVM_BASE58"],
      [json({ accountKeys: Array(256).fill("1".repeat(32)) }), "SPRINT_SVM_LIMIT"],
      [json({ instructions: [{ programIdIndex: 256, accounts: [], data: "" }] }), "SPRINT_SVM_NUMBER"],
      [json({ instructions: [{ programIdIndex: 2, accounts: [1, 1.5], data: "" }] }), "SPRINT_SVM_NUMBER"],
      [json({ instructions: [{ programIdIndex: 2, accounts: "01", data: "" }] }), "SPRINT_SVM_SHAPE"],
      [json({ instructions: [{ programIdIndex: 2, accounts: [], data: null }] }), "SPRINT_SVM_SHAPE"],
      [json({ instructions: [{ programIdIndex: 2, accounts: [], data: "0" }] }), "SPRINT_SVM_BASE58"],
      [json({ header: { ...(message["header"] as object), numRequiredSignatures: 2 ** 53 } }), "SPRINT_SVM_NUMBER"],
      [json({ header: null }), "SPRINT_SVM_SHAPE"],
      [json({ recentBlockhash: "" }), "SPRINT_SVM_BASE58"],
      [json({ addressTableLookups: [{}] }), "SPRINT_SVM_SHAPE"],
    ];
    for (const [item, code] of cases) refused(item, code);
  });
});
