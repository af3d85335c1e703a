import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkContext, medianTimePast, nextBits } from "../../../src/daemon/chain/context.ts";
import {
  decodeHeader,
  headerBytes,
  paramsFor,
  type Ancestor,
  type UtxoHeader,
} from "../../../src/daemon/chain/index.ts";
import { compactBits, expandBits } from "../../../src/daemon/chain/work.ts";
import { genesisNode, headersOf, madeUpChain, madeUpHeader, nodeOf } from "../../fakes/ancestry.ts";
import { hasData, readData } from "../../fakes/data.ts";

const BITCOIN = paramsFor("bitcoin", "mainnet");
const LITECOIN = paramsFor("litecoin", "mainnet");
const DOGECOIN = paramsFor("dogecoin", "mainnet");
const skip = hasData ? false : "no chain data";

/** Follows a run on top of `root`; every header must fit. Returns the tip and how many retargets moved the bits. */
function follow(root: Ancestor, headers: readonly UtxoHeader[], params = BITCOIN): { tip: Ancestor; moved: number } {
  let tip = root;
  let moved = 0;
  let bits = root.block.detail.family === "utxo" ? root.block.detail.bits : 0;
  for (const header of headers) {
    const refusal = checkContext(header, tip, header.time, params.headerRules);
    assert.equal(refusal, null, `height ${tip.block.height + 1}: ${refusal?.message}`);
    assert.equal(nextBits(tip, header.time, params.headerRules), header.bits, `exact bits at ${tip.block.height + 1}`);
    if (header.bits !== bits) moved++;
    bits = header.bits;
    tip = nodeOf(params, header, tip.block.height + 1, tip);
  }
  return { tip, moved };
}

/** The same header with other fields (and no longer any work). */
function altered(
  header: UtxoHeader,
  change: { time?: number; bits?: number; version?: number; parentHash?: string },
): UtxoHeader {
  return decodeHeader(headerBytes({ ...header, ...change }), 0, BITCOIN).header;
}

function codeOf(header: UtxoHeader, parent: Ancestor, now = header.time, params = BITCOIN): string | undefined {
  return checkContext(header, parent, now, params.headerRules)?.code;
}

describe("context of real headers", { skip }, () => {
  it("holds for Bitcoin's first 8,064", () => {
    const headers = headersOf(readData("bitcoin/headers/000000-008064.bin"), BITCOIN);
    const { tip } = follow(genesisNode(BITCOIN), headers.slice(1));
    assert.equal(tip.block.height, 8064);
  });

  it("holds for Bitcoin 586,657 to 589,289, with the retarget at 588,672", () => {
    const headers = headersOf(readData("bitcoin/headers/586657-589289.bin"), BITCOIN);
    const record = readData("bitcoin/headers/checkpoints-every-2016.txt")
      .toString()
      .split("\n")
      .slice(3)[290] as string;
    const root = decodeHeader(Buffer.from(record, "base64").subarray(-80), 0, BITCOIN).header;
    const { tip, moved } = follow(nodeOf(BITCOIN, root, 586_656, null), headers);
    assert.equal(tip.block.height, 589_289);
    assert.equal(moved, 1);
  });

  it("holds for Litecoin's first 160", () => {
    const file = readData("litecoin/blocks/000000-000160.blk.dat");
    const headers: UtxoHeader[] = [];
    for (let offset = 0; offset < file.length; offset += 8 + file.readUInt32LE(offset + 4)) {
      headers.push(decodeHeader(file, offset + 8, LITECOIN).header);
    }
    const { tip } = follow(genesisNode(LITECOIN), headers.slice(1), LITECOIN);
    assert.equal(tip.block.height, 160);
  });

  it("holds for Dogecoin's first 10,000, with a retarget every 240", () => {
    const headers = headersOf(readData("dogecoin/headers/00001-10000.bin"), DOGECOIN);
    const { tip, moved } = follow(genesisNode(DOGECOIN), headers, DOGECOIN);
    assert.equal(tip.block.height, 10_000);
    assert.ok(moved > 30, `${moved} retargets moved the bits`);
  });

  it("refuses each altered header for its own reason", () => {
    const headers = headersOf(readData("bitcoin/headers/000000-008064.bin").subarray(0, 80 * 40), BITCOIN);
    const { tip } = follow(genesisNode(BITCOIN), headers.slice(1, 30));
    const next = headers[30] as UtxoHeader;
    const median = medianTimePast(tip) as number;
    assert.equal(codeOf(next, tip), undefined);
    assert.equal(codeOf(altered(next, { parentHash: "11".repeat(32) }), tip), "SPRINT_HEADER_PARENT");
    assert.equal(codeOf(altered(next, { bits: 0x1d00fffe }), tip), "SPRINT_HEADER_BITS");
    assert.equal(codeOf(altered(next, { time: median }), tip), "SPRINT_HEADER_TIME_TOO_OLD");
    assert.equal(codeOf(altered(next, { time: median + 1 }), tip), undefined);
    assert.equal(codeOf(next, tip, next.time - 7200), undefined);
    assert.equal(codeOf(next, tip, next.time - 7201), "SPRINT_HEADER_TIME_TOO_NEW");
  });
});

describe("retargets", () => {
  /** Bits after a period that ends at `height` with `bits`, its first block at `firstTime` and its last at `lastTime`. */
  function after(
    params: typeof BITCOIN,
    period: { height: number; blocksBack: number; firstTime: number; lastTime: number; bits: number },
  ): string {
    const { height, blocksBack, firstTime, lastTime, bits } = period;
    const tip = madeUpChain(params, height - blocksBack, height, (at) => ({
      time: at === height ? lastTime : firstTime,
      bits,
    }));
    return Number(nextBits(tip, lastTime + 1, params.headerRules)).toString(16);
  }

  it("follows Bitcoin's real periods, their limits and clamps", () => {
    const row = {
      height: 32_255,
      blocksBack: 2015,
      firstTime: 1_261_130_161,
      lastTime: 1_262_152_739,
      bits: 0x1d00ffff,
    };
    assert.equal(after(BITCOIN, row), "1d00d86a");
    assert.equal(
      after(BITCOIN, { ...row, height: 2015, firstTime: 1_231_006_505, lastTime: 1_233_061_996 }),
      "1d00ffff",
    );
    const fast = { ...row, height: 68_543, firstTime: 1_279_008_237, lastTime: 1_279_297_671, bits: 0x1c05a3f4 };
    assert.equal(after(BITCOIN, fast), "1c0168fd");
    const slow = { ...row, height: 46_367, firstTime: 1_263_163_443, lastTime: 1_269_211_443, bits: 0x1c387f6f };
    assert.equal(after(BITCOIN, slow), "1d00e1fd");
  });

  it("measures Litecoin's periods from one block further back, but for the first", () => {
    const row = {
      height: 280_223,
      blocksBack: 2016,
      firstTime: 1_358_118_740,
      lastTime: 1_358_378_777,
      bits: 0x1c0ac141,
    };
    assert.equal(after(LITECOIN, row), "1c093f8d");
    const first = {
      height: 2015,
      blocksBack: 2015,
      firstTime: 1_317_972_665,
      lastTime: 1_318_480_354,
      bits: 0x1e0ffff0,
    };
    assert.equal(after(LITECOIN, first), "1e0fffff");
    const slow = { ...row, height: 1_003_967, firstTime: 1_463_690_315, lastTime: 1_464_900_315, bits: 0x1b015318 };
    assert.equal(after(LITECOIN, slow), "1b054c60");
  });

  it("follows Dogecoin before and after DigiShield", () => {
    const early = { height: 239, blocksBack: 239, firstTime: 1_386_474_927, lastTime: 1_386_475_638, bits: 0x1e0ffff0 };
    assert.equal(after(DOGECOIN, early), "1e00ffff");
    const later = {
      height: 9599,
      blocksBack: 240,
      firstTime: 1_386_942_008,
      lastTime: 1_386_954_113,
      bits: 0x1c1a1206,
    };
    assert.equal(after(DOGECOIN, later), "1c15ea59");
    const shield = {
      height: 145_000,
      blocksBack: 1,
      firstTime: 1_395_094_427,
      lastTime: 1_395_094_679,
      bits: 0x1b499dfd,
    };
    assert.equal(after(DOGECOIN, shield), "1b671062");
    assert.equal(after(DOGECOIN, { ...shield, height: 144_999 }), "1b671062", "the first of its kind");
    assert.equal(after(DOGECOIN, { ...shield, height: 144_998 }), "1b499dfd", "the last that keeps its parent's");
    const upper = { ...shield, height: 145_107, firstTime: 1_395_100_835, lastTime: 1_395_101_360, bits: 0x1b3439cd };
    assert.equal(after(DOGECOIN, upper), "1b4e56b3");
    const lower = { ...shield, height: 149_423, firstTime: 1_395_380_517, lastTime: 1_395_380_447, bits: 0x1b446f21 };
    assert.equal(after(DOGECOIN, lower), "1b335358");
    const rounding = {
      ...shield,
      height: 145_001,
      firstTime: 1_395_094_679,
      lastTime: 1_395_094_727,
      bits: 0x1b671062,
    };
    assert.equal(after(DOGECOIN, rounding), "1b6558a4");
  });

  it("let Dogecoin's difficulty rise faster in its first 5,000 and 10,000 blocks", () => {
    const target = expandBits(0x1c1a1206) ?? 0n;
    const atOnce = (height: number): string =>
      after(DOGECOIN, { height: height - 1, blocksBack: 240, firstTime: 1000, lastTime: 1000, bits: 0x1c1a1206 });
    assert.equal(atOnce(4800), compactBits(target / 16n).toString(16));
    assert.equal(atOnce(5040), compactBits(target / 8n).toString(16));
    assert.equal(atOnce(9840), compactBits(target / 8n).toString(16));
    assert.equal(atOnce(10_080), compactBits(target / 4n).toString(16));
  });

  it("never moves on regtest", () => {
    for (const chain of ["bitcoin", "litecoin", "dogecoin"] as const) {
      const regtest = paramsFor(chain, "regtest");
      const period = { height: 2015, blocksBack: 2015, firstTime: 1, lastTime: 9_000_000, bits: 0x207fffff };
      assert.equal(after(regtest, period), "207fffff");
    }
  });
});

describe("minimum difficulty on test networks", () => {
  const TESTNET3 = paramsFor("bitcoin", "testnet3");
  const ordinary = 0x1c00ffff;
  const easiest = 0x1d00ffff;

  it("allows the easiest target after twenty minutes, and goes back to the last ordinary one", () => {
    const tip = madeUpChain(TESTNET3, 4032, 4050, (height) => ({
      time: height * 600,
      bits: height > 4040 ? easiest : ordinary,
    }));
    const time = tip.block.timestamp;
    assert.equal(nextBits(tip, time + 1201, TESTNET3.headerRules), easiest);
    assert.equal(nextBits(tip, time + 1200, TESTNET3.headerRules), ordinary);
  });

  it("stops walking back at the first block of a period", () => {
    const tip = madeUpChain(TESTNET3, 4030, 4050, (height) => ({
      time: height * 600,
      bits: height >= 4032 ? easiest : ordinary,
    }));
    assert.equal(nextBits(tip, tip.block.timestamp + 1, TESTNET3.headerRules), easiest);
  });

  it("says nothing where the ordinary block is not known any more", () => {
    const tip = madeUpChain(TESTNET3, 4045, 4050, (height) => ({ time: height * 600, bits: easiest }));
    assert.equal(nextBits(tip, tip.block.timestamp + 1, TESTNET3.headerRules), null);
    const time = tip.block.timestamp + 1;
    assert.equal(codeOf(madeUpHeader(4051, { time, bits: ordinary }), tip, time, TESTNET3), undefined);
  });

  it("retargets testnet4 from the period's first block and bounds its time (BIP94)", () => {
    const TESTNET4 = paramsFor("bitcoin", "testnet4");
    const chain = (params: typeof TESTNET4): Ancestor =>
      madeUpChain(params, 2016, 4031, (height) => ({ time: height * 600, bits: height === 4031 ? easiest : ordinary }));
    assert.equal(nextBits(chain(TESTNET4), 0, TESTNET4.headerRules), 0x1c00ffde);
    assert.notEqual(nextBits(chain(TESTNET3), 0, TESTNET3.headerRules), 0x1c00ffde);

    const tip = chain(TESTNET4);
    const header = (time: number): UtxoHeader => madeUpHeader(4032, { time, bits: 0x1c00ffde });
    const last = tip.block.timestamp;
    assert.equal(codeOf(header(last - 600), tip, last, TESTNET4), undefined);
    assert.equal(codeOf(header(last - 601), tip, last, TESTNET4), "SPRINT_HEADER_TIMEWARP");
  });

  it("holds for each block of Dogecoin's testnet from 157,500 on", () => {
    const DOGE_TEST = paramsFor("dogecoin", "testnet");
    const bitsAt = (height: number): unknown => {
      const tip = madeUpChain(DOGE_TEST, height - 1, height, (at) => ({ time: at * 60, bits: 0x1d00ffff }));
      return nextBits(tip, tip.block.timestamp + 121, DOGE_TEST.headerRules);
    };
    assert.equal(bitsAt(157_499), 0x1d00ffff);
    assert.equal(bitsAt(157_500), 0x1e0fffff);
  });
});

describe("heights", () => {
  it("need the versions of BIP34, BIP66 and BIP65", () => {
    const at = (height: number, version: number, params = BITCOIN): string | undefined => {
      const tip = madeUpChain(params, height - 1, height - 1, () => ({ time: 1, bits: 0x1b0404cb }));
      return codeOf(madeUpHeader(height, { time: 2, bits: 0x1b0404cb, version }), tip, 2, params);
    };
    assert.equal(at(227_930, 1), undefined);
    assert.equal(at(227_931, 1), "SPRINT_HEADER_VERSION");
    assert.equal(at(227_931, 2), undefined);
    assert.equal(at(363_725, 2), "SPRINT_HEADER_VERSION");
    assert.equal(at(388_381, 3), "SPRINT_HEADER_VERSION");
    assert.equal(at(388_381, 4), undefined);
    assert.equal(at(388_381, -1), "SPRINT_HEADER_VERSION");
    assert.equal(at(1_034_383, 0x0062_0102, DOGECOIN), "SPRINT_HEADER_VERSION");
    assert.equal(at(1_034_383, 0x0062_0103, DOGECOIN), undefined);
    assert.equal(at(3_464_751, 0x0062_0103, DOGECOIN), "SPRINT_HEADER_VERSION");
  });

  it("divide Dogecoin into before and after merged mining", () => {
    const at = (height: number, version: number): string | undefined => {
      const tip = madeUpChain(DOGECOIN, height - 1, height - 1, () => ({ time: 1, bits: 0x1b0404cb }));
      return codeOf(madeUpHeader(height, { time: 2, bits: 0x1b0404cb, version }), tip, 2, DOGECOIN);
    };
    assert.equal(at(371_336, 0x0062_0102), "SPRINT_HEADER_AUXPOW_EARLY");
    assert.equal(at(371_336, 2), undefined);
    assert.equal(at(371_337, 0x0062_0102), undefined);
    assert.equal(at(371_337, 0x0062_0002), undefined);
    assert.equal(at(371_337, 2), "SPRINT_HEADER_LEGACY_LATE");
    assert.equal(at(371_337, 1), "SPRINT_HEADER_LEGACY_LATE");
  });
});

describe("a chain that starts from a checkpoint", () => {
  it("still bounds a retarget whose period is not known", () => {
    const tip = madeUpChain(BITCOIN, 4031, 4031, () => ({ time: 1, bits: 0x1b0404cb }));
    const at = (bits: number): string | undefined => codeOf(madeUpHeader(4032, { time: 2, bits }), tip, 2);
    assert.equal(at(0x1b0404cb), undefined);
    assert.equal(at(0x1b01_0132), undefined);
    assert.equal(at(0x1b10_132c), undefined);
    assert.equal(at(0x1b01_0131), "SPRINT_HEADER_BITS");
    assert.equal(at(0x1b10_132d), "SPRINT_HEADER_BITS");
    assert.equal(at(0), "SPRINT_HEADER_BITS");
  });

  it("skips the median time until eleven blocks are known", () => {
    const chain = (from: number): Ancestor =>
      madeUpChain(BITCOIN, from, 100, (height) => ({ time: height, bits: 0x1d00ffff }));
    assert.equal(medianTimePast(chain(91)), null);
    assert.equal(medianTimePast(chain(90)), 95);
    assert.equal(medianTimePast(madeUpChain(BITCOIN, 0, 3, (height) => ({ time: height, bits: 0 }))), 2);
  });
});
