import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import { displayHash } from "../../../src/daemon/chain/hash.ts";
import {
  checkTarget,
  compactBits,
  expandBits,
  scryptHash,
  targetHex,
  targetReader,
  work,
} from "../../../src/daemon/chain/work.ts";
import { headersOf } from "../../fakes/ancestry.ts";
import { hasData, readData } from "../../fakes/data.ts";

const skip = hasData ? false : "no chain data";

describe("compact bits", () => {
  it("stand for what Bitcoin Core reads in them", () => {
    const rows: [number, bigint | null][] = [
      [0x1d00ffff, 0xffffn << 208n],
      [0x207fffff, 0x7fffffn << 232n],
      [0x01123456, 0x12n],
      [0x02123456, 0x1234n],
      [0x03123456, 0x123456n],
      [0x04123456, 0x12345600n],
      [0x05009234, 0x92340000n],
      [0x20123456, 0x123456n << 232n],
      [0x2100ffff, 0xffffn << 240n],
      [0x220000ff, 0xffn << 248n],
      [0, null],
      [0x00123456, null],
      [0x01003456, null],
      [0x04000000, null],
      [0x01fedcba, null],
      [0x04923456, null],
      [0x2200ffff, null],
      [0x230000ff, null],
      [0xff123456, null],
      [0xffffffff, null],
    ];
    for (const [bits, target] of rows) assert.equal(expandBits(bits), target, bits.toString(16));
  });

  it("come back from the target they stand for", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: (1n << 256n) - 1n }), fc.nat(255), (wide, shift) => {
        const target = wide >> BigInt(shift) || 1n;
        const bits = compactBits(target);
        const rounded = expandBits(bits);
        assert.ok(rounded !== null && rounded <= target);
        assert.equal(compactBits(rounded), bits);
        // At least 15 bits of precision are kept.
        assert.ok(target - rounded <= target >> 15n);
      }),
    );
  });

  it("are work", () => {
    assert.equal(work(0x1d00ffff), 0x100010001n);
    assert.equal(work(0x207fffff), 2n);
    assert.equal(work(0), 0n);
    assert.equal(work(0x04923456), 0n);
  });

  it("are refused above the limit of the network", () => {
    const target = targetReader(paramsFor("bitcoin", "mainnet").headerRules.powLimit);
    assert.equal(target(0x1d00ffff), targetHex(0xffffn << 208n));
    for (const bits of [0x1d01_0000, 0x207fffff, 0, 0x1d80_ffff]) {
      const refusal = target(bits);
      assert.ok(typeof refusal !== "string" && refusal.code === "SPRINT_WORK_BITS", bits.toString(16));
    }
    assert.equal(typeof target(0x1d00ffff), "string");
  });

  it("compare with hashes as numbers do", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
        fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
        (hash, target) => {
          assert.equal(checkTarget(targetHex(hash), targetHex(target)) === null, hash <= target);
        },
      ),
    );
    assert.equal(checkTarget(targetHex(5n), targetHex(5n)), null);
    assert.equal(checkTarget(targetHex(6n), targetHex(5n))?.code, "SPRINT_WORK_HIGH_HASH");
  });
});

describe("work of real headers", { skip }, () => {
  it("meets the bits and adds up, over all of Bitcoin's checkpoints", () => {
    const params = paramsFor("bitcoin", "mainnet");
    const targetOf = targetReader(params.headerRules.powLimit);
    const lines = readData("bitcoin/headers/checkpoints-every-2016.txt").toString().trim().split("\n").slice(3);
    assert.equal(lines.length, 436);
    // Each record's sum: 2,016 blocks at the bits of the period's first block, which is the record before.
    let sum = 2016n * work(0x1d00ffff);
    let periodBits = 0x1d00ffff;
    for (const [i, line] of lines.entries()) {
      const record = Buffer.from(line, "base64");
      const [header] = headersOf(record.subarray(-80), params);
      assert.ok(header !== undefined);
      assert.equal(checkTarget(header.hash, targetOf(header.bits) as string), null);
      sum += i === 0 ? work(header.bits) : 2015n * work(periodBits) + work(header.bits);
      assert.equal(BigInt(`0x${record.subarray(0, -84).toString("hex")}`), sum, `record ${i}`);
      periodBits = header.bits;
    }
  });

  it("meets the bits in every Bitcoin run", () => {
    const params = paramsFor("bitcoin", "mainnet");
    const targetOf = targetReader(params.headerRules.powLimit);
    for (const file of ["bitcoin/headers/000000-008064.bin", "bitcoin/headers/586657-589289.bin"]) {
      for (const header of headersOf(readData(file), params)) {
        assert.equal(checkTarget(header.hash, targetOf(header.bits) as string), null, header.hash);
      }
    }
  });

  const scryptProof = async (raw: Uint8Array, bits: number): Promise<boolean> =>
    checkTarget(displayHash(await scryptHash(raw)), targetHex(expandBits(bits) ?? 0n)) === null;

  it("meets the bits by scrypt in Litecoin's and Dogecoin's checkpoints and runs", async () => {
    const rows = [
      ["litecoin/headers/checkpoints-every-4032.bin", "litecoin", 221],
      ["dogecoin/headers/checkpoints-every-4800.bin", "dogecoin", 203],
    ] as const;
    for (const [file, chain, count] of rows) {
      const params = paramsFor(chain, "mainnet");
      const records = readData(file).subarray(21);
      assert.equal(records.length, count * 96, file);
      const proofs: Promise<boolean>[] = [];
      for (let offset = 0; offset < records.length; offset += 96) {
        const height = records.readUInt32BE(offset + 12);
        // From there on the proof is in an AuxPoW that the file does not hold.
        if (params.headerRules.auxpow !== null && height >= params.headerRules.auxpow.startHeight) break;
        const raw = records.subarray(offset + 16, offset + 96);
        proofs.push(scryptProof(raw, raw.readUInt32LE(72)));
      }
      assert.ok(proofs.length >= 77);
      assert.ok((await Promise.all(proofs)).every(Boolean), file);
    }
    const run = headersOf(readData("dogecoin/headers/00001-10000.bin"), paramsFor("dogecoin", "mainnet"));
    assert.ok((await Promise.all(run.map((header) => scryptProof(header.raw, header.bits)))).every(Boolean));
  });
});
