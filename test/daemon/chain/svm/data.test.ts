/** Real transactions, one by one, and real proof of history with a bit changed. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { checkSvmBlock, svmParams } from "../../../../src/daemon/chain/index.ts";
import { encodeMessage } from "../../../../src/daemon/chain/svm/message.ts";
import { transactionFromJson } from "../../../../src/daemon/chain/svm/rpc.ts";
import {
  isVote,
  signatureOf,
  type Transaction,
  verifySignatures,
} from "../../../../src/daemon/chain/svm/transaction.ts";
import { seededRandom } from "../../../../src/shared/clock.ts";
import { dataPath, hasData, readData } from "../../../fakes/data.ts";

const read = (name: string): unknown => JSON.parse(new TextDecoder().decode(readData(`solana/${name}`)));
const transactionsOf = (block: unknown): Transaction[] =>
  (block as { transactions: unknown[] }).transactions.map(transactionFromJson) as Transaction[];
const params = svmParams("mainnet");

describe("Solana data", { skip: !hasData && "no chain data" }, () => {
  it("has the signatures and votes that its source counts", () => {
    const large = transactionsOf(read("blocks/254170887.json.gz"));
    assert.deepEqual(verifySignatures(large, null), { signatures: 607, verified: 607, sample: null });
    assert.equal(large.filter(isVote).length, 158);
    assert.equal(large.filter(({ message }) => message.version === 0).length, 263);
    for (const [name, count] of [
      ["blocks/18144001.json", 89],
      ["blocks/64800004.json.gz", 11],
      ["devnet/270893658.json", 57],
      ["devnet/380876342.json", 59],
    ] as const) {
      assert.equal(verifySignatures(transactionsOf(read(name)), null).verified, count, name);
    }
  });

  it("comes out of the encoder as it went into the decoder", () => {
    for (const name of ["blocks/254170887.json.gz", "blocks/18144001.json", "partial/154808473.json"]) {
      for (const { message } of transactionsOf(read(name))) {
        assert.deepEqual(Buffer.from(encodeMessage(message)), Buffer.from(message.bytes));
      }
    }
  });

  it("is the same in the archive and in the store's own form", () => {
    const found = (file: string, parts: readonly Uint8Array[]): number => {
      const bytes = readData(`solana/${file}`);
      return parts.filter((part) => bytes.includes(part)).length;
    };
    for (const [slots, count] of [
      ["00-09", 34],
      ["10-19", 41],
    ] as const) {
      const blocks = read(`blocks/slots-${slots}.json`) as { transactions: { transaction: [string] }[] }[];
      const raw = blocks.flatMap((each) => each.transactions.map((row) => Buffer.from(row.transaction[0], "base64")));
      assert.equal(found(`car/epoch-0-slots-${slots}.car`, raw), count);
    }
    for (const [slot, name, count] of [
      ["18144001", "18144001.json", 89],
      ["64800004", "64800004.json.gz", 11],
    ] as const) {
      const signatures = transactionsOf(read(`blocks/${name}`)).map((each) => each.signatures[0] as Uint8Array);
      assert.equal(found(`blocks/${slot}.confirmedblock.pb`, signatures), count);
    }
  });

  it("has transactions by themselves: of a subscription, of getTransaction", () => {
    const subscribed = transactionFromJson(read("transactions/from-blockSubscribe-v0.json")) as Transaction;
    assert.match(signatureOf(subscribed), /^5EDHe12KqokKkhDLY8n5/);
    assert.equal(verifySignatures([subscribed], null).verified, 2);
    const { result } = read("transactions/create-tx-from-gettransaction.json") as { result: unknown };
    assert.equal(transactionFromJson(result).message, null, "jsonParsed");
    const sample = read("rpc-format-samples/Http_Transaction_GetTransactionResponse2.json") as { result: unknown };
    assert.equal((transactionFromJson(sample.result) as Transaction).signatures.length, 2);
  });

  it("has format samples that are no blocks, and crash nothing", () => {
    for (const name of readdirSync(dataPath("solana/rpc-format-samples"))) {
      const verdict = checkSvmBlock(read(`rpc-format-samples/${name}`), { params });
      assert.ok(!verdict.ok);
      assert.match(verdict.refusal.code, /^SPRINT_SVM_[A-Z0-9_]+$/, name);
    }
  });

  it("is refused with any byte of a real transaction changed", () => {
    const random = seededRandom(4);
    const rows = (read("blocks/254170887.json.gz") as { transactions: { transaction: [string, string] }[] })
      .transactions;
    for (let i = 0; i < 300; i++) {
      const { transaction } = rows[Math.floor(random() * rows.length)] as (typeof rows)[0];
      const bytes = Buffer.from(transaction[0], "base64");
      const at = Math.floor(random() * bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 + Math.floor(random() * 255));
      assert.throws(
        () => {
          const changed = transactionFromJson({ transaction: [bytes.toString("base64"), "base64"] }) as Transaction;
          verifySignatures([changed], null);
        },
        { name: "SprintError" },
        `${transaction[0].slice(0, 20)} at ${at}`,
      );
    }
  });

  it("has a proof of history that takes no change", () => {
    interface Block {
      blockhash: string;
      previousBlockhash: string;
      parentSlot: number;
      transactions: unknown[];
      entries: { numHashes: number; hash: string; transactions: number }[];
    }
    const blocks = read("blocks/slots-00-09.json") as [Block, Block, Block];
    const [, , block] = blocks;
    const other = blocks[1];
    const code = (changed: Partial<Block>): string | null => {
      const verdict = checkSvmBlock({ ...block, ...changed }, { params });
      return verdict.ok ? null : verdict.refusal.code;
    };
    const at = block.entries.findIndex(({ transactions }) => transactions > 0);
    const taking = block.entries[at] as Block["entries"][0];
    const entries = (changed: object): Partial<Block> => ({
      entries: block.entries.with(at, { ...taking, ...changed }),
    });
    assert.equal(code({}), null);
    assert.equal(code({ previousBlockhash: other.previousBlockhash }), "SPRINT_SVM_ENTRY_HASH");
    assert.equal(code({ blockhash: other.blockhash }), "SPRINT_SVM_BLOCKHASH");
    assert.equal(code(entries({ hash: other.blockhash })), "SPRINT_SVM_ENTRY_HASH");
    assert.equal(code(entries({ numHashes: taking.numHashes - 1 })), "SPRINT_SVM_TICKS");
    assert.equal(code(entries({ transactions: taking.transactions + 1 })), "SPRINT_SVM_ENTRIES");
    assert.equal(code({ transactions: block.transactions.toReversed() }), "SPRINT_SVM_ENTRY_HASH");
    assert.equal(code({ transactions: block.transactions.with(0, other.transactions[0]) }), "SPRINT_SVM_ENTRY_HASH");
    assert.equal(code({ parentSlot: 0 }), "SPRINT_SVM_TICKS");
  });
});
