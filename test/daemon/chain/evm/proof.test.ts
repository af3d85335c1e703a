import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { keccak256 } from "../../../../src/daemon/chain/evm/keccak.ts";
import { verifyAccountProof, verifyProof } from "../../../../src/daemon/chain/evm/proof.ts";
import { encodeRlp, integerBytes } from "../../../../src/daemon/chain/evm/rlp.ts";
import { EMPTY_TRIE_ROOT } from "../../../../src/daemon/chain/evm/trie.ts";
import { PatientTrie } from "../../../fakes/trie.ts";

const key = (index: number): Buffer => keccak256(Buffer.from(`key ${index}`));
const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`;

function trieOf(count: number): PatientTrie {
  const trie = new PatientTrie();
  for (let i = 0; i < count; i++) trie.put(key(i), Buffer.from(`value ${i}`));
  return trie;
}

describe("proofs of single keys", () => {
  for (const count of [1, 2, 17, 80]) {
    it(`hold for each of ${count} keys, and for keys that are not there`, () => {
      const trie = trieOf(count);
      for (let i = 0; i < count + 20; i++) {
        const verdict = verifyProof(trie.root(), key(i), trie.prove(key(i)));
        const value = verdict.ok ? verdict.value : undefined;
        assert.equal(value === null ? null : Buffer.from(value ?? []).toString(), i < count ? `value ${i}` : null);
      }
    });
  }

  it("hold for an empty trie", () => {
    const root = Buffer.from(EMPTY_TRIE_ROOT.slice(2), "hex");
    assert.deepEqual(verifyProof(root, key(0), []), { ok: true, value: null });
  });

  it("do not hold with one byte changed, one node less or one more", () => {
    const trie = trieOf(100);
    fc.assert(
      fc.property(fc.nat(99), fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (index, node, at, change) => {
        const proof = trie.prove(key(index));
        const bytes = Buffer.from(proof[node % proof.length] as Buffer);
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change;
        const changed = proof.with(node % proof.length, bytes);
        const verdict = verifyProof(trie.root(), key(index), changed);
        assert.ok(!verdict.ok && verdict.refusal.code === "SPRINT_EVM_PROOF_HASH");
      }),
      { numRuns: 200 },
    );
    const proof = trie.prove(key(3));
    const code = (nodes: readonly Buffer[]): string => {
      const verdict = verifyProof(trie.root(), key(3), nodes);
      return verdict.ok ? "holds" : verdict.refusal.code;
    };
    assert.equal(code(proof.slice(0, -1)), "SPRINT_EVM_PROOF_LENGTH");
    assert.equal(code([...proof, proof[0] as Buffer]), "SPRINT_EVM_PROOF_LENGTH");
    assert.equal(code([]), "SPRINT_EVM_PROOF_LENGTH");
    assert.equal(code(trie.prove(key(4))), "SPRINT_EVM_PROOF_HASH");
  });

  it("refuse nodes that hash right and are none", () => {
    for (const node of [
      "83646f67",
      "c20102",
      "c30000c0",
      "c1",
      "c420808080",
      "d1808080808080808080808080808080808080",
    ]) {
      const encoded = Buffer.from(node, "hex");
      const verdict = verifyProof(keccak256(encoded), key(0), [encoded]);
      assert.ok(!verdict.ok && verdict.refusal.code === "SPRINT_EVM_PROOF_NODE", node);
    }
  });
});

describe("answers of eth_getProof", () => {
  const address = Buffer.alloc(20, 7);
  const slot = Buffer.alloc(32, 1);
  const storage = new PatientTrie();
  storage.put(keccak256(slot), encodeRlp(integerBytes(2n ** 200n)));
  storage.put(keccak256(Buffer.alloc(32)), encodeRlp(integerBytes(5)));
  const codeHash = keccak256(Buffer.from("code"));
  const state = new PatientTrie();
  for (let i = 0; i < 30; i++) state.put(key(i), Buffer.from("another account"));
  state.put(keccak256(address), encodeRlp([integerBytes(9), integerBytes(10n ** 20n), storage.root(), codeHash]));
  const root = hex(state.root());
  const proofOf = (given: Buffer): object => ({ key: hex(given), proof: storage.prove(keccak256(given)).map(hex) });
  const answer = {
    address: hex(address),
    accountProof: state.prove(keccak256(address)).map(hex),
    nonce: "0x9",
    balance: `0x${(10n ** 20n).toString(16)}`,
    storageHash: hex(storage.root()),
    codeHash: hex(codeHash),
    storageProof: [
      { ...proofOf(slot), value: `0x${(2n ** 200n).toString(16)}` },
      { ...proofOf(Buffer.alloc(32)), key: "0x0", value: "0x5" },
      { ...proofOf(Buffer.alloc(32, 9)), value: "0x0" },
    ],
  };
  const codeOf = (changes: object): string => {
    const verdict = verifyAccountProof(root, { ...answer, ...changes });
    return verdict.ok ? "holds" : verdict.refusal.code;
  };

  it("hold, with storage that is there and that is not", () => {
    const verdict = verifyAccountProof(root, answer);
    assert.ok(verdict.ok);
    assert.equal(verdict.account.exists, true);
    assert.equal(verdict.account.balance, 10n ** 20n);
    assert.deepEqual([...verdict.account.storage.values()], [2n ** 200n, 5n, 0n]);
  });

  it("do not hold where one says something else", () => {
    assert.equal(codeOf({ balance: "0x1" }), "SPRINT_EVM_PROOF_VALUE");
    assert.equal(codeOf({ nonce: "0xa" }), "SPRINT_EVM_PROOF_VALUE");
    assert.equal(codeOf({ codeHash: hex(key(1)) }), "SPRINT_EVM_PROOF_VALUE");
    assert.equal(codeOf({ storageHash: EMPTY_TRIE_ROOT }), "SPRINT_EVM_PROOF_VALUE");
    assert.equal(codeOf({ storageProof: [{ ...proofOf(slot), value: "0x0" }] }), "SPRINT_EVM_PROOF_VALUE");
    assert.equal(codeOf({ storageProof: [{ ...proofOf(slot), proof: [], value: "0x0" }] }), "SPRINT_EVM_PROOF_LENGTH");
    assert.match(codeOf({ address: hex(Buffer.alloc(20, 8)) }), /^SPRINT_EVM_PROOF_/);
    assert.throws(() => verifyAccountProof(root, null), { code: "SPRINT_EVM_JSON_NULL" });
    assert.throws(() => verifyAccountProof(root, { ...answer, accountProof: "0x" }), { code: "SPRINT_EVM_JSON_TYPE" });
  });

  it("show that an account is not there, and take none that is said to hold something", () => {
    const stranger = Buffer.alloc(20, 1);
    const absent = {
      address: hex(stranger),
      accountProof: state.prove(keccak256(stranger)).map(hex),
      nonce: "0x0",
      balance: "0x0",
      storageHash: EMPTY_TRIE_ROOT,
      codeHash: `0x${"00".repeat(32)}`,
      storageProof: [],
    };
    const verdict = verifyAccountProof(root, absent);
    assert.ok(verdict.ok && !verdict.account.exists);
    const rich = verifyAccountProof(root, { ...absent, balance: "0x1" });
    assert.ok(!rich.ok && rich.refusal.code === "SPRINT_EVM_PROOF_VALUE");
  });
});
