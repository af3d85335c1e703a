import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { encodeRlp, type RlpItem } from "../../../../src/daemon/chain/evm/rlp.ts";
import { transactionFromJson, transactionFromRlp } from "../../../../src/daemon/chain/evm/transaction.ts";

const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
const hex = (value: Uint8Array): string => `0x${Buffer.from(value).toString("hex")}`;
const address = (digit: string): Buffer => bytes(digit.repeat(40));
const hash = (digit: string): Buffer => bytes(digit.repeat(64));
const NONE = Buffer.alloc(0);

/** Fields of JSON, and what they are in RLP. */
interface Given {
  readonly type: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly rlp: readonly RlpItem[];
}

const [A, B, C] = [address("a"), address("b"), address("c")];
const CHAIN = { chainId: "0xa4b1" };
const SIGNED = { v: "0x1", r: "0x2", s: "0x3" };
const FEES = { maxPriorityFeePerGas: "0x4", maxFeePerGas: "0x5" };
const MESSAGE = { nonce: "0x0", gas: "0x5208", to: hex(A), value: "0x100", input: "0xdead" };
const [GAS, VALUE, DATA] = [bytes("5208"), bytes("0100"), bytes("dead")];
const ID = bytes("a4b1");
const ACCESS = [
  { address: hex(B), storageKeys: [hex(hash("1")), hex(hash("2"))] },
  { address: hex(C), storageKeys: [] },
];
const ACCESS_RLP: RlpItem = [
  [B, [hash("1"), hash("2")]],
  [C, []],
];
const SIGNATURE = [bytes("01"), bytes("02"), bytes("03")];
const PRIORITY_AND_FEE = [bytes("04"), bytes("05")];

/** The order of fields is that of the EIPs, and of the structures of Nitro and op-geth. */
const GIVEN: Readonly<Record<string, Given>> = {
  "legacy, a contract made": {
    type: 0,
    json: { ...MESSAGE, ...SIGNED, v: "0x1b", gasPrice: "0x9", to: null },
    rlp: [NONE, bytes("09"), GAS, NONE, VALUE, DATA, bytes("1b"), bytes("02"), bytes("03")],
  },
  "EIP-2930": {
    type: 1,
    json: { ...CHAIN, ...MESSAGE, ...SIGNED, gasPrice: "0x9", accessList: ACCESS },
    rlp: [ID, NONE, bytes("09"), GAS, A, VALUE, DATA, ACCESS_RLP, ...SIGNATURE],
  },
  "EIP-1559": {
    type: 2,
    json: { ...CHAIN, ...MESSAGE, ...SIGNED, ...FEES, accessList: [] },
    rlp: [ID, NONE, ...PRIORITY_AND_FEE, GAS, A, VALUE, DATA, [], ...SIGNATURE],
  },
  "EIP-4844": {
    type: 3,
    json: {
      ...CHAIN,
      ...MESSAGE,
      ...SIGNED,
      ...FEES,
      accessList: ACCESS,
      maxFeePerBlobGas: "0x6",
      blobVersionedHashes: [hex(hash("7")), hex(hash("8"))],
    },
    rlp: [
      ID,
      NONE,
      ...PRIORITY_AND_FEE,
      GAS,
      A,
      VALUE,
      DATA,
      ACCESS_RLP,
      bytes("06"),
      [hash("7"), hash("8")],
      ...SIGNATURE,
    ],
  },
  "EIP-7702": {
    type: 4,
    json: {
      ...CHAIN,
      ...MESSAGE,
      ...SIGNED,
      ...FEES,
      accessList: [],
      authorizationList: [{ chainId: "0x0", address: hex(B), nonce: "0x7", yParity: "0x1", r: "0x8", s: "0x9" }],
    },
    rlp: [
      ID,
      NONE,
      ...PRIORITY_AND_FEE,
      GAS,
      A,
      VALUE,
      DATA,
      [],
      [[NONE, B, bytes("07"), bytes("01"), bytes("08"), bytes("09")]],
      ...SIGNATURE,
    ],
  },
  "Nitro's deposit": {
    type: 0x64,
    json: { ...CHAIN, requestId: hex(hash("1")), from: hex(B), to: hex(A), value: "0x100" },
    rlp: [ID, hash("1"), B, A, VALUE],
  },
  "Nitro's unsigned": {
    type: 0x65,
    json: { ...CHAIN, ...MESSAGE, from: hex(B), maxFeePerGas: "0x5" },
    rlp: [ID, B, NONE, bytes("05"), GAS, A, VALUE, DATA],
  },
  "Nitro's contract": {
    type: 0x66,
    json: { ...CHAIN, ...MESSAGE, requestId: hex(hash("1")), from: hex(B), gasPrice: "0x5" },
    rlp: [ID, hash("1"), B, bytes("05"), GAS, A, VALUE, DATA],
  },
  "Nitro's retry": {
    type: 0x68,
    json: {
      ...CHAIN,
      ...MESSAGE,
      from: hex(B),
      maxFeePerGas: "0x5",
      ticketId: hex(hash("1")),
      refundTo: hex(C),
      maxRefund: "0x10",
      submissionFeeRefund: "0x11",
    },
    rlp: [ID, NONE, B, bytes("05"), GAS, A, VALUE, DATA, hash("1"), C, bytes("10"), bytes("11")],
  },
  "Nitro's submission of a retryable": {
    type: 0x69,
    json: {
      ...CHAIN,
      requestId: hex(hash("1")),
      from: hex(B),
      l1BaseFee: "0x12",
      depositValue: "0x13",
      maxFeePerGas: "0x5",
      gas: "0x5208",
      retryTo: hex(A),
      retryValue: "0x100",
      beneficiary: hex(C),
      maxSubmissionFee: "0x14",
      refundTo: hex(B),
      retryData: "0xdead",
    },
    rlp: [ID, hash("1"), B, bytes("12"), bytes("13"), bytes("05"), GAS, A, VALUE, C, bytes("14"), B, DATA],
  },
  "Nitro's own": { type: 0x6a, json: { ...CHAIN, input: "0xdead" }, rlp: [ID, DATA] },
  "the OP stack's deposit": {
    type: 0x7e,
    json: {
      sourceHash: hex(hash("1")),
      from: hex(B),
      to: hex(A),
      value: "0x100",
      gas: "0x5208",
      input: "0xdead",
      isSystemTx: true,
    },
    rlp: [hash("1"), B, A, NONE, VALUE, GAS, bytes("01"), DATA],
  },
};

function canonical({ type, rlp }: Pick<Given, "type" | "rlp">): Buffer {
  const encoded = encodeRlp(rlp);
  return type === 0 ? encoded : Buffer.concat([Buffer.of(type), encoded]);
}

function named({ type, json, rlp }: Given): Record<string, unknown> {
  return { ...json, type: `0x${type.toString(16)}`, hash: hex(keccak_256(canonical({ type, rlp }))) };
}

describe("transactions", () => {
  for (const [what, given] of Object.entries(GIVEN)) {
    it(`${what}: from JSON and from RLP the same bytes`, () => {
      const raw = canonical(given);
      const read = transactionFromJson(named(given), "transaction");
      assert.deepEqual(Buffer.from(read.raw ?? []), raw);
      const again = transactionFromRlp(given.type === 0 ? raw : encodeRlp(raw), "transaction");
      assert.ok(encodeRlp(again.items).equals(encodeRlp(read.items)));
      assert.deepEqual({ ...again, items: [] }, { ...read, items: [], saidFrom: null });
      assert.equal(read.type, given.type);
    });

    it(`${what}: a field more or less is refused, and so is a list where bytes belong`, () => {
      const encode = (rlp: readonly RlpItem[]): Uint8Array => {
        const raw = canonical({ type: given.type, rlp });
        return given.type === 0 ? raw : encodeRlp(raw);
      };
      for (const rlp of [[...given.rlp, NONE], given.rlp.slice(1)]) {
        assert.throws(() => transactionFromRlp(encode(rlp), "transaction"), { code: "SPRINT_EVM_TX_FIELDS" });
      }
      given.rlp.forEach((item, i) => {
        const other: RlpItem = item instanceof Uint8Array ? [item] : Buffer.of(1);
        assert.throws(() => transactionFromRlp(encode(given.rlp.with(i, other)), "transaction"), {
          code: /^SPRINT_EVM_(TX_FIELDS|RLP_TYPE)$/,
        });
      });
      for (const name of Object.keys(given.json).filter(
        (field) => !["to", "accessList", "isSystemTx", "nonce"].includes(field),
      )) {
        const { [name]: _, ...rest } = named(given);
        assert.throws(
          () => transactionFromJson(rest, "transaction"),
          { code: /^SPRINT_EVM_(JSON_(FIELD|NULL)|TX_HASH)$/ },
          name,
        );
      }
    });
  }

  it("say their chain by EIP-155, by their field, or not at all", () => {
    const chainOf = (what: string): bigint | null => transactionFromJson(named(GIVEN[what] as Given), "t").chainId;
    assert.equal(chainOf("legacy, a contract made"), null);
    assert.equal(chainOf("EIP-1559"), 42_161n);
    assert.equal(chainOf("the OP stack's deposit"), null);
    const { json, rlp } = GIVEN["legacy, a contract made"] as Given;
    const protectedOne = { type: 0, json: { ...json, v: "0x14986" }, rlp: rlp.with(6, bytes("014986")) };
    assert.equal(transactionFromJson(named(protectedOne), "t").chainId, 42_161n);
    const other = { ...named(protectedOne), chainId: "0x1" };
    assert.throws(() => transactionFromJson(other, "t"), { code: "SPRINT_EVM_TX_CHAIN_ID" });
  });

  it("are refused where a node says two things about one field", () => {
    const given = named(GIVEN["EIP-1559"] as Given);
    assert.throws(() => transactionFromJson({ ...given, yParity: "0x1", v: "0x0" }, "t"), {
      code: "SPRINT_EVM_TX_FIELDS",
    });
    assert.throws(() => transactionFromJson({ ...given, data: "0xbeef" }, "t"), { code: "SPRINT_EVM_TX_FIELDS" });
    assert.doesNotThrow(() => transactionFromJson({ ...given, yParity: "0x1", data: "0xdead" }, "t"));
  });

  it("of Polygon's state-sync are known from RLP, and by their name only from JSON", () => {
    const raw = Buffer.concat([
      Buffer.of(0x7f),
      encodeRlp([
        [bytes("05"), A, DATA, hash("1")],
        [bytes("06"), B, NONE, hash("2")],
      ]),
    ]);
    const read = transactionFromRlp(encodeRlp(raw), "transaction");
    assert.deepEqual([read.type, read.hash, read.chainId], [0x7f, hex(keccak_256(raw)), null]);
    const named = transactionFromJson({ type: "0x7f", hash: read.hash, input: "0x" }, "transaction");
    assert.deepEqual(named, { ...read, raw: null });
    for (const events of [
      [[bytes("05"), A, DATA]],
      [[bytes("0005"), A, DATA, hash("1")]],
      [[bytes("05"), DATA, DATA, hash("1")]],
    ]) {
      const broken = encodeRlp(Buffer.concat([Buffer.of(0x7f), encodeRlp(events)]));
      assert.throws(() => transactionFromRlp(broken, "transaction"), { code: "SPRINT_EVM_TX_FIELDS" });
    }
  });

  it("count their blobs, and are refused by types that nobody knows", () => {
    assert.equal(transactionFromJson(named(GIVEN["EIP-4844"] as Given), "t").blobs, 2);
    for (const type of ["0x5", "0x7d", "0x100", "0xffffffffff"]) {
      assert.throws(() => transactionFromJson({ type }, "t"), { code: "SPRINT_EVM_TX_TYPE" }, type);
    }
    for (const raw of ["00c0", "05c0", "7dc0"]) {
      assert.throws(() => transactionFromRlp(encodeRlp(bytes(raw)), "t"), { code: "SPRINT_EVM_TX_TYPE" }, raw);
    }
  });
});
