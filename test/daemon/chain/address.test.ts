import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addressOf, type AddressPlace, scriptOf } from "../../../src/daemon/chain/address.ts";
import { isSprintError } from "../../../src/shared/errors.ts";

const place = (chain: string, network = "mainnet"): AddressPlace => ({ chain, network });
const BITCOIN = place("bitcoin");
const TESTNET = place("bitcoin", "testnet3");

function refusal(address: string, at: AddressPlace): string {
  try {
    return scriptOf(address, at);
  } catch (error) {
    assert.ok(isSprintError(error), String(error));
    return `${error.code} ${error.message}`;
  }
}

describe("addresses", () => {
  it("are those of BIP 173 and BIP 350", () => {
    for (const [address, script, at] of [
      ["BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6", BITCOIN],
      [
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        TESTNET,
      ],
      [
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
        "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        BITCOIN,
      ],
      ["BC1SW50QGDZ25J", "6002751e", BITCOIN],
      ["bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323", BITCOIN],
      [
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        TESTNET,
      ],
      [
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        BITCOIN,
      ],
    ] as const) {
      assert.equal(scriptOf(address, at), script);
      assert.equal(addressOf(script, at), address.toLowerCase());
    }
  });

  it("are refused as those BIPs refuse them", () => {
    for (const address of [
      // the other checksum
      "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
      "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
      "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
      // a character of no bech32 in the checksum, a version of 17, one byte, 41 bytes, 16 bytes in version 0
      "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
      "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
      "bc1pw5dgrnzv",
      "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
      "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
      "bc1gmk9yu",
    ]) {
      assert.match(refusal(address, BITCOIN), /^SPRINT_ADDRESS_MALFORMED address /, address);
    }
    const mixed = "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq";
    assert.match(refusal(mixed, TESTNET), /^SPRINT_ADDRESS_MALFORMED /);
  });

  it("are read on each chain, and those of another network are said to be that one's", () => {
    const keyHash = (hex: string) => `76a914${hex}88ac`;
    // The outputs of Bitcoin's and Dogecoin's first blocks, were they paid by hash.
    assert.equal(
      scriptOf("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", BITCOIN),
      keyHash("62e907b15cbf27d5425399ebf6f0fb50ebb88f18"),
    );
    const hash = "62e907b15cbf27d5425399ebf6f0fb50ebb88f18";
    const doge = addressOf(keyHash(hash), place("dogecoin")) ?? "";
    const lite = addressOf(keyHash(hash), place("litecoin")) ?? "";
    assert.match(doge, /^D/);
    assert.match(lite, /^L/);
    assert.match(addressOf(`a914${hash}87`, place("litecoin")) ?? "", /^M/);
    assert.match(addressOf(`a914${hash}87`, place("dogecoin")) ?? "", /^[9A]/);
    assert.match(
      refusal(doge, BITCOIN),
      /SPRINT_ADDRESS_NETWORK .* expected one of bitcoin mainnet, this one is of dogecoin mainnet/,
    );
    const old = addressOf(`a914${hash}87`, BITCOIN) ?? "";
    assert.equal(scriptOf(old, place("litecoin")), `a914${hash}87`, "from when both chains' looked the same");
    assert.match(refusal(old, place("dogecoin")), /this one is of bitcoin mainnet, litecoin mainnet/);
    const taproot = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0";
    assert.match(refusal(taproot, place("litecoin")), /SPRINT_ADDRESS_NETWORK .* this one is of bitcoin mainnet$/);
    assert.match(refusal(taproot, place("dogecoin")), /SPRINT_ADDRESS_NETWORK/);
    assert.match(
      refusal("tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut", BITCOIN),
      /of no network known here/,
    );
    assert.match(refusal("ltcmweb1qqw", place("litecoin")), /SPRINT_ADDRESS_MALFORMED .*confidential/);
    assert.match(refusal("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", BITCOIN), /SPRINT_ADDRESS_MALFORMED .*typing error/);
  });

  it("give every form of script back, on every network that has it", () => {
    const networks = [
      ...["mainnet", "testnet3", "testnet4", "signet", "regtest"].map((network) => place("bitcoin", network)),
      ...["mainnet", "testnet", "regtest"].flatMap((network) => [
        place("litecoin", network),
        place("dogecoin", network),
      ]),
    ];
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    const script = fc.oneof(
      bytes(20).map((hash) => `76a914${Buffer.from(hash).toString("hex")}88ac`),
      bytes(20).map((hash) => `a914${Buffer.from(hash).toString("hex")}87`),
      bytes(20).map((hash) => `0014${Buffer.from(hash).toString("hex")}`),
      bytes(32).map((hash) => `0020${Buffer.from(hash).toString("hex")}`),
      bytes(32).map((key) => `5120${Buffer.from(key).toString("hex")}`),
    );
    fc.assert(
      fc.property(script, fc.constantFrom(...networks), (hex, at) => {
        const address = addressOf(hex, at);
        if (address === null) assert.ok(at.chain === "dogecoin" && /^(00|51)/.test(hex));
        else assert.equal(scriptOf(address, at), hex);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it("do not exist of bare keys and other scripts, which are named by their bytes", () => {
    const bare = `21${"02".repeat(33)}ac`;
    assert.equal(addressOf(bare, BITCOIN), null);
    assert.equal(scriptOf(bare.toUpperCase(), BITCOIN), bare);
    for (const odd of ["", "6a", "51", "0000", "0013" + "00".repeat(19), "5101ff", "0014ff"])
      assert.equal(addressOf(odd, BITCOIN), null, odd);
  });
});
