import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { describe, it } from "node:test";
import {
  codecFor,
  decodeHeader,
  encodeHeader,
  headerBytes,
  paramsFor,
  type AuxPow,
  type UtxoHeader,
} from "../../../src/daemon/chain/index.ts";
import { genesisNode, headersOf, nodeOf } from "../../fakes/ancestry.ts";
import { forgeAuxPow } from "../../fakes/auxpow.ts";
import { hasData, readData } from "../../fakes/data.ts";

const skip = hasData ? false : "no chain data";
const BITCOIN = codecFor(paramsFor("bitcoin", "mainnet"));
const REGTEST = paramsFor("dogecoin", "regtest");

/** Half of all nonces meet regtest's target. */
function mine(raw: Buffer, meets: boolean): Buffer {
  for (let nonce = 0; ; nonce++) {
    raw.writeUInt32LE(nonce, 76);
    const top = scryptSync(raw, raw, 32, { N: 1024, r: 1, p: 1 })[31] as number;
    if (top < 0x7f === meets) return raw;
  }
}

function regtestRaw(version: number): Buffer {
  const fields = { parentHash: REGTEST.genesisHash, merkleRoot: "22".repeat(32), time: 1_700_000_000, nonce: 0 };
  return headerBytes({ ...fields, version, bits: 0x207fffff });
}

/** A merged-mined regtest header with real work, or with all but that. */
function mergeMined(meets = true): UtxoHeader {
  const raw = regtestRaw(0x0062_0104);
  const { hash } = decodeHeader(raw, 0, { headerRules: { ...REGTEST.headerRules, auxpow: null } }).header;
  const auxpow = forgeAuxPow(hash);
  const parentHeader = mine(Buffer.from(auxpow.parentHeader), meets);
  return decodeHeader(encodeHeader({ raw, auxpow: { ...auxpow, parentHeader } }), 0, REGTEST).header;
}

describe("codec", () => {
  it("proves SHA-256d at once, without a promise", () => {
    const { header } = BITCOIN.decodeHeader(BITCOIN.params.genesisHeader);
    assert.equal(BITCOIN.checkHeader(header), null);
    const weak = decodeHeader(headerBytes({ ...header, nonce: 1 }), 0, BITCOIN.params).header;
    const refusal = BITCOIN.checkHeader(weak);
    assert.ok(refusal !== null && !(refusal instanceof Promise));
    assert.equal(refusal.code, "SPRINT_WORK_HIGH_HASH");
    assert.equal(refusal.data["actual"], weak.hash);
    assert.match(refusal.message, /expected at most 00000000ffff0000/);
  });

  it("proves scrypt once for all who announce the same header", async () => {
    const codec = codecFor(paramsFor("litecoin", "mainnet"));
    const first = codec.checkHeader(codec.decodeHeader(codec.params.genesisHeader).header);
    assert.ok(first instanceof Promise);
    assert.equal(codec.checkHeader(codec.decodeHeader(codec.params.genesisHeader).header), first);
    assert.equal(await first, null);
    assert.equal(codec.checkHeader(codec.decodeHeader(codec.params.genesisHeader).header), null);
  });

  it("remembers refusals too, and forgets the oldest proofs", async () => {
    const codec = codecFor(paramsFor("litecoin", "regtest"));
    const at = (nonce: number): UtxoHeader => {
      const genesis = codec.decodeHeader(codec.params.genesisHeader).header;
      return codec.decodeHeader(headerBytes({ ...genesis, nonce })).header;
    };
    const count = 4_096;
    const proofs = await Promise.all(Array.from({ length: count }, (_, nonce) => codec.checkHeader(at(nonce))));
    const refused = proofs.findIndex((proof) => proof !== null);
    assert.ok(refused >= 0);
    const again = codec.checkHeader(at(refused));
    assert.ok(again !== null && !(again instanceof Promise));
    assert.equal(again.code, "SPRINT_WORK_HIGH_HASH");
    await codec.checkHeader(at(count));
    assert.ok(codec.checkHeader(at(0)) instanceof Promise, "the first is forgotten");
  });

  it("takes a merged-mined block by its parent's work, and keeps a bad proof from staining it", async () => {
    const codec = codecFor(REGTEST);
    const good = mergeMined();
    const auxpow = good.auxpow as AuxPow;
    const code = async (header: UtxoHeader): Promise<string | undefined> => (await codec.checkHeader(header))?.code;
    assert.equal(await code(mergeMined(false)), "SPRINT_WORK_HIGH_HASH");
    assert.equal(await code({ ...good, auxpow: { ...auxpow, chainIndex: 5 } }), "SPRINT_AUXPOW_SLOT");
    assert.equal(await code({ ...good, auxpow: null }), "SPRINT_AUXPOW_MISSING");
    assert.equal(await code(good), undefined);
    assert.equal(await code({ ...good, auxpow: { ...auxpow, chainIndex: 5 } }), "SPRINT_AUXPOW_SLOT");
  });

  it("takes a Dogecoin block that proves itself", async () => {
    const codec = codecFor(REGTEST);
    for (const version of [1, 2, 0x0062_0004]) {
      const good = codec.decodeHeader(mine(regtestRaw(version), true)).header;
      assert.equal(await codec.checkHeader(good), null);
      assert.equal(codec.checkContext(good, genesisNode(REGTEST), good.time), null);
      const weak = codec.decodeHeader(mine(regtestRaw(version), false)).header;
      assert.equal((await codec.checkHeader(weak))?.code, "SPRINT_WORK_HIGH_HASH");
    }
    const other = codec.decodeHeader(mine(regtestRaw(0x0001_0004), true)).header;
    assert.equal((await codec.checkHeader(other))?.code, "SPRINT_AUXPOW_CHAIN_ID");
  });

  it("makes frozen blocks", () => {
    const { header } = BITCOIN.decodeHeader(BITCOIN.params.genesisHeader);
    const block = BITCOIN.toBlock(header, 0, null);
    assert.deepEqual(block, nodeOf(BITCOIN.params, header, 0, null).block);
    assert.ok(Object.isFrozen(block) && Object.isFrozen(block.detail));
    const whole = BITCOIN.toBlock(header, 0, {
      level: "full",
      txCount: 1,
      sizeBytes: 285,
      weight: 1140,
      coinbaseHeight: null,
    });
    assert.deepEqual([whole.txCount, whole.sizeBytes], [1, 285]);
    assert.ok(whole.detail.family === "utxo" && whole.detail.weight === 1140);
  });

  it("counts work as nodes do", () => {
    assert.equal(BITCOIN.weight(BITCOIN.decodeHeader(BITCOIN.params.genesisHeader).header), 0x100010001n);
  });

  it("proves and fits every real block of Bitcoin's and Litecoin's first runs", { skip }, async () => {
    const litecoin = codecFor(paramsFor("litecoin", "mainnet"));
    for (const [codec, file, count] of [
      [BITCOIN, "bitcoin/blocks/000000-000599.blk.dat", 600],
      [litecoin, "litecoin/blocks/000000-000160.blk.dat", 161],
    ] as const) {
      const bytes = readData(file);
      let tip = genesisNode(codec.params);
      let blocks = 0;
      for (let offset = 0; offset < bytes.length; offset += 8 + bytes.readUInt32LE(offset + 4)) {
        assert.deepEqual(bytes.subarray(offset, offset + 4), codec.params.magic);
        const { header } = codec.decodeHeader(bytes, offset + 8);
        assert.equal(await codec.checkHeader(header), null);
        if (blocks > 0) {
          assert.equal(codec.checkContext(header, tip, header.time), null);
          tip = nodeOf(codec.params, header, blocks, tip);
        }
        blocks++;
      }
      assert.equal(blocks, count);
    }
  });

  it("proves real single blocks of all three chains and their test networks", { skip }, async () => {
    const rows = [
      ["bitcoin", "mainnet", "bitcoin/blocks/866342.raw.gz"],
      ["bitcoin", "testnet3", "bitcoin/testnet3/1087400.raw"],
      ["bitcoin", "testnet4", "bitcoin/testnet4/0040000.raw"],
      ["litecoin", "mainnet", "litecoin/blocks/2383206.raw"],
      ["litecoin", "testnet", "litecoin/testnet4/2215584.raw"],
      ["litecoin", "regtest", "litecoin/regtest/mweb-432.raw"],
      ["dogecoin", "mainnet", "dogecoin/blocks/0000000.raw"],
      ["dogecoin", "mainnet", "dogecoin/blocks/0250000.raw"],
    ] as const;
    for (const [chain, network, file] of rows) {
      const codec = codecFor(paramsFor(chain, network));
      const { header } = codec.decodeHeader(readData(file));
      assert.equal(await codec.checkHeader(header), null, file);
    }
    const litecoin = paramsFor("litecoin", "mainnet");
    const [parent, child] = ["2383206", "2383207"].map(
      (height) => headersOf(readData(`litecoin/blocks/${height}.raw`).subarray(0, 80), litecoin)[0] as UtxoHeader,
    ) as [UtxoHeader, UtxoHeader];
    const node = nodeOf(litecoin, parent, 2_383_206, null);
    assert.equal(codecFor(litecoin).checkContext(child, node, child.time), null);
  });
});
