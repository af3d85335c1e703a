import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeMessage, encodeMessage, type MessageFields } from "../../../../src/daemon/chain/svm/message.ts";
import { compactU16, WireReader } from "../../../../src/daemon/chain/svm/wire.ts";
import { key, LOOKUP, messageFields, signer } from "../../../fakes/solana.ts";

const payer = signer(1);
const keys = (count: number): Uint8Array => Buffer.concat(Array.from({ length: count }, (_, i) => key(100 + i)));
const decode = (parts: Partial<MessageFields>) => decodeMessage(encodeMessage(messageFields(payer, parts)));
const refused = (parts: Partial<MessageFields>, code: string) =>
  assert.throws(() => decode(parts), { name: "SprintError", code });
const read = (hex: string) => new WireReader(Buffer.from(hex, "hex")).compactU16("length");

describe("compact-u16", () => {
  it("reads what it writes, in the shortest form", () => {
    for (const [value, hex] of [
      [0, "00"],
      [0x7f, "7f"],
      [0x80, "8001"],
      [0xff, "ff01"],
      [0x3fff, "ff7f"],
      [0x4000, "808001"],
      [0xffff, "ffff03"],
    ] as const) {
      assert.equal(Buffer.from(compactU16(value)).toString("hex"), hex);
      assert.equal(read(hex), value);
    }
  });

  it("refuses longer forms, larger values, and what is cut off", () => {
    for (const hex of ["8000", "ff00", "808000", "ffff04", "ffff83", "80808001"]) {
      assert.throws(() => read(hex), { code: "SPRINT_SVM_COMPACT_U16" }, hex);
    }
    for (const hex of ["", "80", "8080"]) assert.throws(() => read(hex), { code: "SPRINT_SVM_TRUNCATED" }, hex);
  });
});

describe("messages", () => {
  it("reads a legacy message, byte by byte", () => {
    const hex = `010001${"03"}${Buffer.from(messageFields(payer).accountKeys).toString("hex")}${Buffer.from(key(3)).toString("hex")}01${"02"}020001${"05"}0200000009`;
    const bytes = Buffer.from(hex, "hex");
    const message = decodeMessage(bytes);
    const { bytes: own, ...fields } = message;
    assert.equal(own, bytes);
    const plain = (value: unknown) =>
      JSON.parse(
        JSON.stringify(value, (_, part) =>
          part instanceof Uint8Array
            ? Buffer.from(part).toString("hex")
            : part?.type === "Buffer"
              ? Buffer.from(part).toString("hex")
              : part,
        ),
      );
    assert.deepEqual(plain(fields), plain(messageFields(payer)));
    assert.deepEqual(Buffer.from(encodeMessage(message)), bytes);
  });

  it("reads version 0 with its lookups, whose accounts instructions may name", () => {
    const instructions = [{ program: 2, accounts: Uint8Array.of(3, 4, 5), data: new Uint8Array() }];
    const message = decode({ version: 0, lookups: [LOOKUP], instructions });
    assert.equal(message.version, 0);
    assert.equal(message.bytes[0], 0x80);
    assert.deepEqual(Buffer.from(message.lookups[0]?.table ?? []), Buffer.from(LOOKUP.table));
    const beyond = [{ program: 2, accounts: Uint8Array.of(6), data: new Uint8Array() }];
    refused({ version: 0, lookups: [LOOKUP], instructions: beyond }, "SPRINT_SVM_ACCOUNT_INDEX");
    assert.equal(decode({ version: 0 }).lookups.length, 0);
  });

  it("refuses versions that it does not know", () => {
    const bytes = encodeMessage(messageFields(payer, { version: 0 }));
    for (const first of [0x81, 0xff]) {
      bytes[0] = first;
      assert.throws(() => decodeMessage(bytes), { code: "SPRINT_SVM_VERSION" });
    }
  });

  it("refuses a header that its keys cannot fill, and one by which nobody pays", () => {
    refused({ requiredSignatures: 3, readonlyUnsigned: 1 }, "SPRINT_SVM_HEADER");
    refused({ requiredSignatures: 0 }, "SPRINT_SVM_HEADER");
    refused({ requiredSignatures: 1, readonlySigned: 1 }, "SPRINT_SVM_HEADER");
    refused({ accountKeys: new Uint8Array() }, "SPRINT_SVM_HEADER");
    decode({ requiredSignatures: 2, readonlySigned: 1 });
  });

  it("refuses an account named twice", () => {
    const twice = Buffer.concat([payer.key, key(1), key(2), key(1)]);
    refused({ accountKeys: twice }, "SPRINT_SVM_DUPLICATE_KEY");
    const alike = Buffer.concat([payer.key, key(1), key(2), key(1)]);
    alike[127] = (alike[127] as number) ^ 1;
    decode({ accountKeys: alike });
  });

  it("refuses indexes that lead nowhere", () => {
    const data = new Uint8Array();
    const none = new Uint8Array();
    refused({ instructions: [{ program: 0, accounts: none, data }] }, "SPRINT_SVM_PROGRAM_INDEX");
    refused({ instructions: [{ program: 3, accounts: none, data }] }, "SPRINT_SVM_PROGRAM_INDEX");
    refused({ instructions: [{ program: 1, accounts: Uint8Array.of(0, 3), data }] }, "SPRINT_SVM_ACCOUNT_INDEX");
    const looked = [{ program: 4, accounts: none, data }];
    refused({ version: 0, lookups: [LOOKUP], instructions: looked }, "SPRINT_SVM_PROGRAM_INDEX");
  });

  it("refuses lookups of nothing, and of more accounts than a byte can name", () => {
    const empty = { ...LOOKUP, writable: new Uint8Array(), readonly: new Uint8Array() };
    refused({ version: 0, lookups: [empty] }, "SPRINT_SVM_LOOKUP");
    const many = { ...LOOKUP, writable: new Uint8Array(250), readonly: new Uint8Array(4) };
    refused({ version: 0, lookups: [many] }, "SPRINT_SVM_LOOKUP");
    decode({ version: 0, lookups: [{ ...many, readonly: new Uint8Array(3) }] });
  });

  it("takes no message that ends too early or too late", () => {
    for (const version of ["legacy", 0] as const) {
      const bytes = encodeMessage(messageFields(payer, { version, lookups: version === 0 ? [LOOKUP] : [] }));
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decodeMessage(bytes.subarray(0, length)), { name: "SprintError" }, `${length}`);
      }
      const longer = Buffer.concat([bytes, Uint8Array.of(0)]);
      assert.throws(() => decodeMessage(longer), { code: "SPRINT_SVM_TRAILING" });
    }
    assert.throws(() => decodeMessage(keys(1).subarray(0, 0)), { code: "SPRINT_SVM_TRUNCATED" });
  });
});
