import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import fc from "fast-check";
import {
  bytesInteger,
  decodeRlp,
  encodeRlp,
  integerBytes,
  readRlp,
  type RlpItem,
  splitRlpList,
} from "../../../../src/daemon/chain/evm/rlp.ts";

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const LOREM = "Lorem ipsum dolor sit amet, consectetur adipisicing elit";

/** Examples of the specification. */
const EXAMPLES: readonly (readonly [item: RlpItem, hex: string])[] = [
  [text("dog"), "83646f67"],
  [[text("cat"), text("dog")], "c88363617483646f67"],
  [text(""), "80"],
  [[], "c0"],
  [Buffer.of(0), "00"],
  [Buffer.of(15), "0f"],
  [Buffer.of(4, 0), "820400"],
  [[[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"],
  [text(LOREM), `b838${text(LOREM).toString("hex")}`],
];

/** What a lax decoder takes, each with the code of its refusal. */
const BROKEN: readonly (readonly [hex: string, code: RegExp])[] = [
  ["", /TRUNCATED/],
  ["83646f", /TRUNCATED/],
  ["c883636174", /TRUNCATED/],
  ["8100", /CANONICAL/],
  ["817f", /CANONICAL/],
  [`b837${"61".repeat(55)}`, /CANONICAL/],
  [`b90038${"61".repeat(56)}`, /CANONICAL/],
  [`f803${"c0".repeat(3)}`, /CANONICAL/],
  ["8080", /TRAILING/],
  ["bfffffffffffffffff", /SIZE/],
  ["fbffffffff", /TRUNCATED/],
  ["c283646f", /TRUNCATED/],
  [nested(40), /DEPTH/],
];

/** Lists inside each other. */
function nested(depth: number): string {
  let item: RlpItem = [];
  for (let i = 0; i < depth; i++) item = [item];
  return encodeRlp(item).toString("hex");
}

describe("RLP", () => {
  for (const [item, hex] of EXAMPLES) {
    it(`${hex.slice(0, 20)} both ways`, () => {
      assert.equal(encodeRlp(item).toString("hex"), hex);
      assert.deepEqual(plain(decodeRlp(Buffer.from(hex, "hex"))), plain(item));
    });
  }

  for (const [hex, code] of BROKEN) {
    it(`refuses ${hex.slice(0, 20) || "nothing"}`, () => {
      assert.throws(() => decodeRlp(Buffer.from(hex, "hex")), { code });
    });
  }

  it("has one encoding for each value, and takes no other", () => {
    const item = fc.letrec<{ item: RlpItem }>((tie) => ({
      item: fc.oneof(
        { maxDepth: 4 },
        fc.uint8Array({ maxLength: 80 }),
        fc.array(tie("item"), { maxLength: 6 }) as fc.Arbitrary<RlpItem>,
      ),
    })).item;
    fc.assert(
      fc.property(item, (value) => assert.deepEqual(plain(decodeRlp(encodeRlp(value))), plain(value))),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        let taken: RlpItem;
        try {
          taken = decodeRlp(bytes);
        } catch {
          return;
        }
        assert.deepEqual(encodeRlp(taken), Buffer.from(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  it("writes integers in as few bytes as hold them", () => {
    for (const value of [0n, 1n, 127n, 128n, 255n, 256n, 2n ** 53n + 1n, 2n ** 256n - 1n]) {
      assert.equal(bytesInteger(integerBytes(value), "value"), value);
    }
    assert.throws(() => bytesInteger(Buffer.of(0, 1), "value"), { code: "SPRINT_EVM_RLP_INTEGER" });
    assert.throws(() => bytesInteger(Buffer.of(0), "value"), { code: "SPRINT_EVM_RLP_INTEGER" });
    assert.throws(() => bytesInteger(Buffer.alloc(9, 1), "value", 8), { code: "SPRINT_EVM_RLP_INTEGER" });
    assert.throws(() => bytesInteger([], "value"), { code: "SPRINT_EVM_RLP_TYPE" });
  });
});

test("a list is split into its items' own bytes, one after the other", () => {
  const run = Buffer.concat([encodeRlp([text("cat"), []]), encodeRlp(text("dog"))]);
  const { items, end } = splitRlpList(run);
  assert.deepEqual(
    items.map((item) => Buffer.from(item).toString("hex")),
    ["83636174", "c0"],
  );
  assert.equal(Buffer.from(readRlp(run, end).item as Uint8Array).toString(), "dog");
  assert.throws(() => splitRlpList(run, end), { code: "SPRINT_EVM_RLP_TYPE" });
});

function plain(item: RlpItem): unknown {
  return item instanceof Uint8Array ? Buffer.from(item).toString("hex") : item.map(plain);
}
