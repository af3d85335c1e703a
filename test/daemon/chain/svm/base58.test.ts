import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeBase58, decodeBase58Bounded, encodeBase58 } from "../../../../src/daemon/chain/svm/base58.ts";

/** The published vectors of the format, and what Solana's users know by heart. */
const VECTORS = [
  ["", ""],
  ["61", "2g"],
  ["626262", "a3gV"],
  ["636363", "aPEr"],
  ["73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"],
  ["00eb15231dfceb60925886b67d065299925915aeb172c06647", "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L"],
  ["516b6fcd0f", "ABnLTmg"],
  ["bf4f89001e670274dd", "3SEo3LWLoPntC"],
  ["572e4794", "3EFU7m"],
  ["ecac89cad93923c02321", "EJDM8drfXA6uyA"],
  ["10c8511e", "Rt5zm"],
  ["00000000000000000000", "1111111111"],
  ["00".repeat(32), "11111111111111111111111111111111"],
  ["0761481d357474bb7c4d7624ebd3bdb3d8355e73d11043fc0da3538000000000", "Vote111111111111111111111111111111111111111"],
  ["06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9", "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"],
  ["ff".repeat(32), "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG"],
] as const;

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** By the definition, with one big number. */
function reference(bytes: Uint8Array): string {
  let text = "";
  for (let n = BigInt(`0x0${Buffer.from(bytes).toString("hex")}`); n > 0n; n /= 58n)
    text = ALPHABET[Number(n % 58n)] + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(zeros < 0 ? bytes.length : zeros) + text;
}

describe("base58", () => {
  for (const [hex, text] of VECTORS) {
    it(`"${text}"`, () => {
      const bytes = Buffer.from(hex, "hex");
      assert.equal(encodeBase58(bytes), text);
      assert.deepEqual(Buffer.from(decodeBase58(text, bytes.length) ?? "nothing"), bytes);
      assert.equal(decodeBase58(text, bytes.length + 1), null, "too short");
      if (bytes.length > 0) assert.equal(decodeBase58Bounded(text, bytes.length - 1), null, "too long");
    });
  }

  it("writes and reads any bytes as the definition does", () => {
    const zeros = fc.integer({ min: 0, max: 40 }).map((length) => new Uint8Array(length));
    const bytes = fc.tuple(zeros, fc.uint8Array({ maxLength: 90 })).map((parts) => Buffer.concat(parts));
    fc.assert(
      fc.property(bytes, (given) => {
        const text = encodeBase58(given);
        assert.equal(text, reference(given));
        assert.deepEqual(Buffer.from(decodeBase58(text, given.length) ?? "nothing"), given);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it("takes one spelling of a run of bytes, and no other text at all", () => {
    const text = "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG";
    for (const foreign of ["0", "O", "I", "l", " ", "\n", "é", "１", "\0", "+"]) {
      for (const at of [0, 20, text.length - 1]) {
        assert.equal(decodeBase58(text.slice(0, at) + foreign + text.slice(at + 1), 32), null, foreign);
      }
    }
    assert.equal(decodeBase58(`1${text}`, 32), null);
    assert.equal(decodeBase58("JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFH", 32), null, "2^256");
    assert.equal(decodeBase58("z".repeat(44), 32), null);
  });

  it("is bounded before it works", () => {
    assert.equal(decodeBase58Bounded("z".repeat(10_000_000), 1_280), null);
    assert.equal(decodeBase58Bounded("11", 1_281), null);
    assert.throws(() => encodeBase58(new Uint8Array(1_281)), RangeError);
    const longest = new Uint8Array(1_280).fill(0xff);
    assert.deepEqual(decodeBase58Bounded(encodeBase58(longest), 1_280), longest);
  });
});
