import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HDKey } from "@scure/bip32";
import { addressOf, type AddressPlace } from "../../../src/daemon/chain/address.ts";
import { type Branch, Wallet, type WalletOptions } from "../../../src/daemon/chain/xpub.ts";

/** All four are of the mnemonic "abandon … about", as the BIPs have them. */
const BIP44 =
  "xpub6BosfCnifzxcFwrSzQiqu2DBVTshkCXacvNsWGYJVVhhawA7d4R5WSWGFNbi8Aw6ZRc1brxMyWMzG3DSSSSoekkudhUd9yLb6qx39T9nMdj";
const BIP49_PRIVATE =
  "tprv8gRrNu65W2Msef2BdBSUgFdRTGzC8EwVXnV7UGS3faeXtuMVtGfEdidVeGbThs4ELEoayCAzZQ4uUji9DUiAs7erdVskqju7hrBcDvDsdbY";
const BIP84 =
  "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
const BIP86 =
  "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ";

const BITCOIN: AddressPlace = { chain: "bitcoin", network: "mainnet" };
const TESTNET: AddressPlace = { chain: "bitcoin", network: "testnet3" };

function addresses(
  key: string,
  place: AddressPlace,
  options: WalletOptions = {},
): (branch: Branch, index: number) => string {
  const wallet = new Wallet({ gapLimit: 2, ...options }, key, place);
  const scripts = wallet.fill(100);
  return (branch, index) => {
    const script = scripts.find((candidate) => {
      const found = wallet.placeOf(candidate);
      return found?.branch === branch && found.index === index;
    });
    return addressOf(script ?? "", place) ?? "";
  };
}

/** The same key under the prefix of another kind. */
function prefixed(key: HDKey, version: number): string {
  const { publicKey, chainCode, depth, index, parentFingerprint } = key;
  assert.ok(publicKey !== null && chainCode !== null);
  const versions = { public: version, private: 0 };
  return new HDKey({ versions, publicKey, chainCode, depth, index, parentFingerprint }).publicExtendedKey;
}

describe("wallets by extended key", () => {
  it("have the addresses of BIP 44, 49, 84 and 86", () => {
    assert.equal(addresses(BIP44, BITCOIN)(0, 0), "1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA");
    const account = HDKey.fromExtendedKey(BIP49_PRIVATE, { private: 0x04358394, public: 0x043587cf });
    const upub = prefixed(account, 0x044a5262);
    assert.match(upub, /^upub/);
    assert.equal(addresses(upub, TESTNET)(0, 0), "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2");
    const native = addresses(BIP84, BITCOIN);
    assert.equal(native(0, 0), "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");
    assert.equal(native(0, 1), "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g");
    assert.equal(native(1, 0), "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el");
    const taproot = addresses(BIP86, BITCOIN, { kind: "p2tr" });
    assert.equal(taproot(0, 0), "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr");
    assert.equal(taproot(0, 1), "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh");
    assert.equal(taproot(1, 0), "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7");
  });

  it("keep a gap of unused scripts behind the last used one, on each branch", () => {
    const wallet = new Wallet({ gapLimit: 3 }, BIP84, BITCOIN);
    const first = [...wallet.fill(4), ...wallet.fill(4)];
    assert.equal(new Set(first).size, 6);
    assert.deepEqual(wallet.fill(4), []);
    assert.equal(wallet.used("00"), false);
    const receiving = first.filter((script) => wallet.placeOf(script)?.branch === 0);
    assert.equal(wallet.used(receiving[1] as string), true);
    assert.equal(wallet.used(receiving[0] as string), false, "before one that was used already");
    const more = wallet.fill(100);
    assert.deepEqual(
      more.map((script) => wallet.placeOf(script)),
      [
        { branch: 0, index: 3 },
        { branch: 0, index: 4 },
      ],
    );
    assert.deepEqual([...wallet.scripts()].sort(), [...first, ...more].sort());
  });

  it("are refused where the key is private, another chain's, spoilt, or the gap has no bound", () => {
    const code = (key: string, place: AddressPlace, options: WalletOptions = {}) => {
      try {
        return new Wallet(options, key, place).fill(1).length === 1 ? "taken" : "empty";
      } catch (error) {
        assert.equal(String(error).includes(BIP49_PRIVATE.slice(0, 12)), false, "a private key is not repeated");
        return (error as { code?: string }).code;
      }
    };
    assert.equal(code(BIP49_PRIVATE, TESTNET), "SPRINT_XPUB_PRIVATE");
    assert.equal(code(BIP84, TESTNET), "SPRINT_XPUB_NETWORK");
    assert.equal(code(BIP84, { chain: "dogecoin", network: "mainnet" }), "SPRINT_XPUB_NETWORK");
    assert.equal(code(BIP84, { chain: "litecoin", network: "mainnet" }), "taken");
    assert.equal(code(`${BIP84.slice(0, -1)}t`, BITCOIN), "SPRINT_XPUB_MALFORMED");
    assert.equal(code("Zpub6rFR7y4Q2", BITCOIN), "SPRINT_XPUB_MALFORMED");
    for (const gapLimit of [0, 1.5, 1001, Number.NaN])
      assert.equal(code(BIP84, BITCOIN, { gapLimit }), "SPRINT_XPUB_GAP");
    const doge = prefixed(HDKey.fromExtendedKey(BIP44), 0x02facafd);
    assert.match(doge, /^dgub/);
    const dogecoin = { chain: "dogecoin", network: "mainnet" };
    assert.equal(code(doge, dogecoin), "taken");
    assert.equal(code(doge, dogecoin, { kind: "p2wpkh" }), "SPRINT_XPUB_KIND");
    assert.match(addresses(doge, dogecoin)(0, 0), /^D/);
  });
});
