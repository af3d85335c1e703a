import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteReader } from "../../../src/daemon/chain/reader.ts";
import { bodyRules } from "../../../src/daemon/chain/rules.ts";
import { legacySigOps } from "../../../src/daemon/chain/sigops.ts";
import {
  checkTransaction,
  finality,
  OutpointSet,
  scanTransactions,
  type Tally,
} from "../../../src/daemon/chain/transaction.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import { isSprintError } from "../../../src/shared/errors.ts";
import { BLOCK_TIME, compactSize, spend, transactionBytes, type TransactionParts } from "../../fakes/blocks.ts";
import { hasData, readData } from "../../fakes/data.ts";

/** The code of the refusal of one transaction; null where it holds. */
function judge(transaction: Buffer, chain: Chain = "bitcoin", tally = { sigOps: 0 }): string | null {
  const raw = Buffer.concat([compactSize(1), transaction]);
  try {
    const reader = new ByteReader(raw);
    const table = scanTransactions(reader, chain === "litecoin", 2_000_000);
    if (reader.remaining > 0) return "SPRINT_DECODE_TRAILING";
    const all: Tally = Object.assign(tally, { spent: new OutpointSet(raw, table.inputTotal) });
    return checkTransaction(raw, table, 0, bodyRules(chain, "mainnet"), all)?.code ?? null;
  } catch (error) {
    if (isSprintError(error)) return error.code;
    throw error;
  }
}

const built = (parts: Partial<TransactionParts>): Buffer => transactionBytes(spend(1, parts), true);
const COIN = 100_000_000n;

describe("transactions", () => {
  it("holds or refuses as the reference vectors say", { skip: !hasData && "no chain data" }, () => {
    const vectors = (file: string): [unknown, string, string][] =>
      (JSON.parse(readData(`bitcoin/vectors/${file}`).toString()) as [unknown, string, string][]).filter(
        (entry) => entry.length === 3,
      );
    const valid = vectors("tx_valid.json");
    for (const [, hex] of valid) assert.equal(judge(Buffer.from(hex, "hex")), null, hex);
    const invalid = vectors("tx_invalid.json");
    const structural = invalid.filter(([, , flags]) => flags === "BADTX");
    assert.deepEqual(
      structural.map(([, hex]) => judge(Buffer.from(hex, "hex"))),
      [
        "SPRINT_BLOCK_TX_VOUT_EMPTY",
        "SPRINT_BLOCK_TX_VOUT_NEGATIVE",
        "SPRINT_BLOCK_TX_VOUT_TOO_LARGE",
        "SPRINT_BLOCK_TX_TOTAL_TOO_LARGE",
        "SPRINT_BLOCK_TX_INPUTS_DUPLICATE",
        "SPRINT_BLOCK_COINBASE_LENGTH",
        "SPRINT_BLOCK_COINBASE_LENGTH",
        "SPRINT_BLOCK_TX_PREVOUT_NULL",
        "SPRINT_BLOCK_TX_PREVOUT_NULL",
      ],
    );
    for (const [, hex, flags] of invalid) {
      // what fails by script has nothing that is checked here
      if (flags !== "BADTX") assert.equal(judge(Buffer.from(hex, "hex")), null, hex);
    }
    assert.ok(valid.length > 100 && invalid.length > 80);
  });

  it("bounds amounts exactly, also where they exceed what a double holds", () => {
    const max = { bitcoin: 21_000_000n * COIN, litecoin: 84_000_000n * COIN, dogecoin: 10_000_000_000n * COIN };
    for (const [chain, limit] of Object.entries(max) as [Chain, bigint][]) {
      assert.equal(judge(built({ outputs: [{ value: limit }] }), chain), null, chain);
      assert.equal(judge(built({ outputs: [{ value: limit + 1n }] }), chain), "SPRINT_BLOCK_TX_VOUT_TOO_LARGE", chain);
      assert.equal(judge(built({ outputs: [{ value: limit - 1n }, { value: 1n }] }), chain), null, chain);
      const over = built({ outputs: [{ value: limit - 1n }, { value: 1n }, { value: 1n }] });
      assert.equal(judge(over, chain), "SPRINT_BLOCK_TX_TOTAL_TOO_LARGE", chain);
      assert.equal(judge(built({ outputs: [{ value: -1n }] }), chain), "SPRINT_BLOCK_TX_VOUT_NEGATIVE", chain);
    }
  });

  it("finds an output spent twice among few and among many inputs (CVE-2018-17144)", () => {
    for (const count of [2, 8, 9, 100, 3000]) {
      const inputs = Array.from({ length: count }, (_, index) => ({ txid: Buffer.alloc(32, 1), index }));
      assert.equal(judge(built({ inputs })), null, `${count} different`);
      const twice = [...inputs.slice(0, -1), { txid: Buffer.alloc(32, 1), index: Math.floor((count - 1) / 2) }];
      assert.equal(judge(built({ inputs: twice })), "SPRINT_BLOCK_TX_INPUTS_DUPLICATE", `${count} with a twin`);
    }
  });

  it("refuses forms that nodes do not take", () => {
    const witness = built({ inputs: [{ witness: [Buffer.from("aa", "hex")] }] });
    assert.equal(judge(witness), null);
    const empty = built({ inputs: [{ witness: [] }] });
    assert.equal(judge(empty), "SPRINT_DECODE_WITNESS", "superfluous witness record");
    const unknown = Buffer.from(witness);
    unknown[5] = 3;
    assert.equal(judge(unknown), "SPRINT_DECODE_TX_FLAGS");
    assert.equal(judge(built({ hogEx: true })), "SPRINT_DECODE_TX_FLAGS", "a HogEx outside Litecoin");
    assert.equal(judge(built({ hogEx: true }), "litecoin"), null);
    assert.equal(judge(built({ hogEx: true, outputs: [] }), "litecoin"), "SPRINT_DECODE_MWEB");
    const carrying = built({ hogEx: true });
    carrying[carrying.length - 5] = 1;
    assert.equal(judge(carrying, "litecoin"), "SPRINT_BLOCK_UNEXPECTED_MWEB_DATA");
    assert.equal(judge(Buffer.from("02000000000000000000", "hex")), "SPRINT_BLOCK_TX_VIN_EMPTY");
    assert.equal(judge(built({ outputs: [{ script: Buffer.alloc(1_000_000) }] })), "SPRINT_BLOCK_TX_OVERSIZE");
    for (let cut = 0; cut < witness.length; cut++) {
      assert.match(judge(witness.subarray(0, cut)) ?? "holds", /^SPRINT_DECODE_/, `cut to ${cut} bytes`);
    }
  });

  it("counts signature operations by opcode", () => {
    const count = (hex: string): number => legacySigOps(Buffer.from(hex, "hex"), 0, hex.length / 2);
    assert.equal(count(""), 0);
    assert.equal(count("acadaeaf"), 42);
    assert.equal(count("5121ac"), 0, "inside a push that runs over the end");
    assert.equal(count("02acacac"), 1, "behind a push");
    assert.equal(count("4c02acacac"), 1);
    assert.equal(count("4d0200acacac"), 1);
    assert.equal(count("4e02000000acacac"), 1);
    assert.equal(count("ac4dff"), 1, "a push without its length");
    assert.equal(count("ac4effffffffac"), 1);
    const tally = { sigOps: 0 };
    judge(
      built({ inputs: [{ script: Buffer.from("acac", "hex") }], outputs: [{ script: Buffer.from("ae", "hex") }] }),
      "bitcoin",
      tally,
    );
    assert.equal(tally.sigOps, 22);
  });

  it("judges lock times as far as they can be known", () => {
    const lock = (lockTime: number, height: number | null, sequence = 0): string => {
      const raw = Buffer.concat([compactSize(1), built({ lockTime, inputs: [{ index: 1 }, { sequence }] })]);
      return finality(raw, scanTransactions(new ByteReader(raw), false, 1_000_000), 0, height, BLOCK_TIME);
    };
    assert.equal(lock(0, 100), "final");
    assert.equal(lock(99, 100), "final");
    assert.equal(lock(100, 100), "not final");
    assert.equal(lock(100, 100, 0xffff_ffff), "final", "no input asks for it");
    assert.equal(lock(100, null), "unknown");
    assert.equal(lock(BLOCK_TIME - 1, 100), "unknown", "by time: the median time past is not known here");
    assert.equal(lock(BLOCK_TIME, 100), "not final", "but it must be below the block's own time");
  });
});
