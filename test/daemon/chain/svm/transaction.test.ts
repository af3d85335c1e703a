import assert from "node:assert/strict";
import { hash, sign } from "node:crypto";
import { describe, it } from "node:test";
import { isSmallOrder, verifyEd25519 } from "../../../../src/daemon/chain/svm/ed25519.ts";
import { encodeMessage } from "../../../../src/daemon/chain/svm/message.ts";
import {
  decodeTransaction,
  encodeTransaction,
  isVote,
  MAX_TRANSACTION_BYTES,
  verifySignatures,
} from "../../../../src/daemon/chain/svm/transaction.ts";
import { messageFields, type Signer, signer, threeTransactions, transactionBytes } from "../../../fakes/solana.ts";

const three = threeTransactions(5).map(decodeTransaction);
const many = Array.from({ length: 10 }, (_, i) => threeTransactions(i))
  .flat()
  .map(decodeTransaction);

describe("transactions", () => {
  it("have as many signatures as their header asks for", () => {
    const [one, two] = [signer(1), signer(2)];
    assert.equal(decodeTransaction(transactionBytes(messageFields(one), [one])).signatures.length, 1);
    for (const signers of [[], [one, two]]) {
      assert.throws(() => decodeTransaction(transactionBytes(messageFields(one), signers)), {
        code: "SPRINT_SVM_SIGNATURE_COUNT",
      });
    }
  });

  it("end where their bytes do, and fit into a packet", () => {
    for (const bytes of threeTransactions(1)) {
      assert.deepEqual(
        Buffer.from(encodeTransaction(decodeTransaction(bytes).signatures, decodeTransaction(bytes).message.bytes)),
        Buffer.from(bytes),
      );
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decodeTransaction(bytes.subarray(0, length)), { name: "SprintError" });
      }
      assert.throws(() => decodeTransaction(Buffer.concat([bytes, bytes.subarray(0, 1)])), {
        code: "SPRINT_SVM_TRAILING",
      });
    }
    const one = signer(1);
    const sized = (data: number) =>
      transactionBytes(
        messageFields(one, { instructions: [{ program: 1, accounts: new Uint8Array(), data: new Uint8Array(data) }] }),
        [one],
      );
    const room = MAX_TRANSACTION_BYTES - sized(200).length + 200;
    assert.equal(decodeTransaction(sized(room)).message.instructions[0]?.data.length, room);
    assert.throws(() => decodeTransaction(sized(room + 1)), { code: "SPRINT_SVM_LIMIT" });
  });

  it("are votes where the vote program is called alone", () => {
    assert.deepEqual(three.map(isVote), [true, false, false]);
  });
});

describe("signatures", () => {
  it("are all verified, or so many transactions' as the sample says", () => {
    assert.deepEqual(verifySignatures(three, null), { signatures: 4, verified: 4, sample: null });
    const sample = { transactions: 9, seed: 3 };
    const facts = verifySignatures(many, sample);
    assert.deepEqual(facts, verifySignatures(many, sample), "the same seed takes the same ones");
    assert.deepEqual([facts.signatures, facts.sample], [40, sample]);
    assert.ok(facts.verified >= 9 && facts.verified <= 18);
    assert.deepEqual(verifySignatures(many, { transactions: 100, seed: 3 }), {
      signatures: 40,
      verified: 40,
      sample: null,
    });
    assert.equal(verifySignatures(many, { transactions: 0, seed: 3 }).verified, 0);
  });

  it("of a sample are found wrong as often as they are in it", () => {
    const wrong = many.with(7, {
      ...(many[7] as (typeof many)[0]),
      signatures: [new Uint8Array(64).fill(9), new Uint8Array(64).fill(9)],
    });
    let found = 0;
    for (let seed = 0; seed < 60; seed++) {
      try {
        verifySignatures(wrong, { transactions: 15, seed });
      } catch (error) {
        assert.equal((error as { code?: string }).code, "SPRINT_SVM_SIGNATURE");
        found++;
      }
    }
    assert.ok(found > 15 && found < 45, `half of 60, found ${found}`);
  });

  it("hold for the one message, the one key and the one signature", () => {
    const { key, secret } = signer(4);
    const message = Buffer.from(encodeMessage(messageFields(signer(4))));
    const signature = sign(null, message, secret);
    assert.ok(verifyEd25519(signature, message, key));
    for (const [bytes, check] of [
      [signature, (it: Uint8Array) => verifyEd25519(it, message, key)],
      [message, (it: Uint8Array) => verifyEd25519(signature, it, key)],
      [Buffer.from(key), (it: Uint8Array) => verifyEd25519(signature, message, it)],
    ] as const) {
      for (let at = 0; at < bytes.length; at += 3) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
        assert.ok(!check(flipped), `${at}`);
      }
    }
  });
});

// --- points of small order

const P = 2n ** 255n - 19n;
const mod = (n: bigint): bigint => ((n % P) + P) % P;
const power = (base: bigint, exponent: bigint): bigint => {
  let result = 1n;
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = mod(b * b)) if (e & 1n) result = mod(result * b);
  return result;
};
const D = mod(-121665n * power(121666n, P - 2n));

/** y of twice a point, from its y alone: by the curve x² is (y² - 1) / (d y² + 1), and 2P has y (y² + x²) / (1 - d x² y²). */
function doubled(y: bigint): bigint {
  const yy = mod(y * y);
  const xx = mod((yy - 1n) * power(D * yy + 1n, P - 2n));
  return mod((yy + xx) * power(1n - D * xx * yy, P - 2n));
}

const SPELLINGS = [
  0n,
  1n,
  P - 1n,
  P,
  P + 1n,
  ...[
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ].map((hex) => BigInt(`0x${Buffer.from(hex, "hex").reverse().toString("hex")}`)),
];

describe("keys of small order", () => {
  const bytesOf = (y: bigint, sign: number): Buffer => {
    const bytes = Buffer.from(y.toString(16).padStart(64, "0"), "hex").reverse();
    bytes[31] = (bytes[31] as number) | (sign << 7);
    return bytes;
  };

  it("are all that there are: eight points, in each of their spellings", () => {
    for (const y of SPELLINGS) {
      assert.equal(doubled(doubled(doubled(mod(y)))), 1n);
      for (const sign of [0, 1]) assert.ok(isSmallOrder(bytesOf(y, sign)));
    }
    assert.equal(new Set(SPELLINGS.map(mod)).size, 5, "1, -1, 0 twice, and four of order 8 that pair off by sign");
    for (let seed = 0; seed < 50; seed++) assert.ok(!isSmallOrder(signer(seed).key));
    assert.ok(!isSmallOrder(bytesOf(2n, 0)));
  });

  it("sign nothing", () => {
    // S·B - k·A is R for every message where A and R are the neutral point and S is 0
    for (const key of SPELLINGS.map((y) => bytesOf(y, 0))) {
      const forged = Buffer.concat([bytesOf(1n, 0), new Uint8Array(32)]);
      for (let i = 0; i < 8; i++) assert.ok(!verifyEd25519(forged, Buffer.from(`all that they have, ${i}`), key));
    }
  });

  it("are no R either: a nonce of 0 makes no signature, a nonce of another does", () => {
    const [own, other] = [signer(6), signer(7)];
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
    const scalarOf = ({ secret }: Signer): bigint => {
      const seed = Buffer.from(secret.export({ format: "jwk" }).d ?? "", "base64url");
      const scalar = hash("sha512", seed, "buffer").subarray(0, 32);
      scalar[0] = (scalar[0] as number) & 248;
      scalar[31] = ((scalar[31] as number) & 63) | 64;
      return number(scalar);
    };
    const message = Buffer.from("paid twice");
    const signed = (R: Uint8Array, nonce: bigint): Buffer => {
      const challenge = number(hash("sha512", Buffer.concat([R, own.key, message]), "buffer"));
      return Buffer.concat([R, bytesOf((nonce + challenge * scalarOf(own)) % order, 0)]);
    };
    assert.ok(verifyEd25519(signed(other.key, scalarOf(other)), message, own.key));
    assert.ok(!verifyEd25519(signed(bytesOf(1n, 0), 0n), message, own.key));
  });
});
