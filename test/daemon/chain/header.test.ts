import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import {
  checkpointFrom,
  decodeHeader,
  encodeHeader,
  findByGenesis,
  headerBytes,
  networksOf,
  paramsFor,
} from "../../../src/daemon/chain/index.ts";
import { compactBits } from "../../../src/daemon/chain/work.ts";
import { UTXO_CHAINS } from "../../../src/shared/chain.ts";
import { isSprintError } from "../../../src/shared/errors.ts";
import { forgeAuxPow } from "../../fakes/auxpow.ts";
import { headersOf } from "../../fakes/ancestry.ts";
import { hasData, readData } from "../../fakes/data.ts";

const BITCOIN = paramsFor("bitcoin", "mainnet");
const DOGECOIN = paramsFor("dogecoin", "mainnet");
const skip = hasData ? false : "no chain data";

function thrown(run: () => unknown): { code: string; data: Record<string, unknown> } {
  try {
    run();
  } catch (error) {
    if (isSprintError(error)) return { code: error.code, data: error.data };
    throw error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}

describe("networks", () => {
  const all = UTXO_CHAINS.flatMap((chain) => networksOf(chain));

  it("have genesis headers that hash to their names", () => {
    assert.equal(all.length, 11);
    for (const params of all) {
      const { header, end } = decodeHeader(params.genesisHeader, 0, params);
      assert.equal(header.hash, params.genesisHash, `${params.chain} ${params.network}`);
      assert.equal(end, 80);
      assert.ok(header.bits <= compactBits(params.headerRules.powLimit));
    }
  });

  it("are told apart by genesis hash alone", () => {
    assert.equal(new Set(all.map((params) => params.genesisHash)).size, all.length);
    for (const params of all) assert.equal(findByGenesis(params.genesisHash), params);
    assert.equal(findByGenesis("00".repeat(32)), null);
    const regtest = UTXO_CHAINS.map((chain) => Buffer.from(paramsFor(chain, "regtest").magic).toString("hex"));
    assert.deepEqual(new Set(regtest), new Set(["fabfb5da"]));
  });

  it("take signet's magic from its challenge (BIP325)", () => {
    const challenge = Buffer.from(
      "512103ad5e0edad18cb1f0fc0d28a3d4f1f3e445640337489abb10404f2d1e086be430210359ef5021964fe22d6f8e05b2463c9540ce96883fe3b278760f048f5189f2e6c452ae",
      "hex",
    );
    const once = createHash("sha256")
      .update(Buffer.from([challenge.length]))
      .update(challenge)
      .digest();
    const twice = createHash("sha256").update(once).digest();
    assert.deepEqual(Buffer.from(paramsFor("bitcoin", "signet").magic), twice.subarray(0, 4));
  });

  it("say which ones there are", () => {
    const error = thrown(() => paramsFor("litecoin", "signet"));
    assert.equal(error.code, "SPRINT_CHAIN_UNKNOWN_NETWORK");
    assert.deepEqual(error.data["expected"], ["mainnet", "testnet", "regtest"]);
  });
});

describe("headers", () => {
  it("read every field, at any offset, into bytes of their own", () => {
    const message = Buffer.concat([Buffer.alloc(7, 0xee), BITCOIN.genesisHeader, Buffer.alloc(3, 0xee)]);
    const { header, end } = decodeHeader(message, 7, BITCOIN);
    message.fill(0);
    assert.equal(end, 87);
    assert.deepEqual(
      { ...header, raw: Buffer.from(header.raw).toString("hex") },
      {
        hash: BITCOIN.genesisHash,
        locator: BITCOIN.genesisHash,
        height: null,
        parentHash: "00".repeat(32),
        merkleRoot: "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
        version: 1,
        time: 1_231_006_505,
        bits: 0x1d00ffff,
        nonce: 2_083_236_893,
        auxpow: null,
        raw: Buffer.from(BITCOIN.genesisHeader).toString("hex"),
      },
    );
    assert.deepEqual(encodeHeader(header), Buffer.from(BITCOIN.genesisHeader));
    assert.deepEqual(headerBytes(header), Buffer.from(BITCOIN.genesisHeader));
  });

  it("say what is missing and where", () => {
    const error = thrown(() => decodeHeader(BITCOIN.genesisHeader.subarray(0, 79), 0, BITCOIN));
    assert.equal(error.code, "SPRINT_DECODE_TRUNCATED");
    assert.deepEqual(error.data, { expected: 80, actual: 79, offset: 0 });
  });

  it("have no AuxPoW on chains without merged mining, whatever the version says", () => {
    const fields = decodeHeader(BITCOIN.genesisHeader, 0, BITCOIN).header;
    const raw = headerBytes({ ...fields, version: 0x2000_0100 });
    assert.equal(decodeHeader(raw, 0, BITCOIN).header.auxpow, null);
    assert.equal(thrown(() => decodeHeader(raw, 0, DOGECOIN)).code, "SPRINT_DECODE_TRUNCATED");
  });

  it("link up in every run", { skip }, () => {
    const runs = [
      ["bitcoin/headers/000000-008064.bin", BITCOIN, 8065],
      ["bitcoin/headers/586657-589289.bin", BITCOIN, 2633],
      ["dogecoin/headers/00001-10000.bin", DOGECOIN, 10_000],
    ] as const;
    for (const [file, params, count] of runs) {
      const headers = headersOf(readData(file), params);
      assert.equal(headers.length, count);
      for (let i = 1; i < count; i++) assert.equal(headers[i]?.parentHash, headers[i - 1]?.hash, `${file} ${i}`);
    }
  });
});

describe("AuxPoW in headers", () => {
  const bare = headerBytes({
    version: 0x0062_0104,
    parentHash: "11".repeat(32),
    merkleRoot: "22".repeat(32),
    time: 1_700_000_000,
    bits: 0x207fffff,
    nonce: 0,
  });
  const auxpow = forgeAuxPow("33".repeat(32), {
    chainBranch: [Buffer.alloc(32, 5)],
    coinbaseBranch: [Buffer.alloc(32, 6)],
  });
  const whole = encodeHeader({ raw: bare, auxpow });

  it("comes back as it was written", () => {
    const { header, end } = decodeHeader(Buffer.concat([whole, Buffer.alloc(9)]), 0, DOGECOIN);
    assert.equal(end, whole.length);
    assert.deepEqual(encodeHeader(header), whole);
    assert.deepEqual(Buffer.from(header.auxpow?.coinbase ?? []), Buffer.from(auxpow.coinbase));
    assert.deepEqual(Buffer.from(header.auxpow?.parentHeader ?? []), Buffer.from(auxpow.parentHeader));
  });

  it("does not hold on to the message that it came in", () => {
    const message = Buffer.from(whole);
    const { header } = decodeHeader(message, 0, DOGECOIN);
    message.fill(0);
    assert.deepEqual(encodeHeader(header), whole);
  });

  it("is refused wherever it is cut short", () => {
    for (let length = 80; length < whole.length; length++) {
      assert.equal(thrown(() => decodeHeader(whole.subarray(0, length), 0, DOGECOIN)).code, "SPRINT_DECODE_TRUNCATED");
    }
  });

  it("has bounded branches", () => {
    const countAt = whole.length - 80 - 4 - 32 - 1;
    assert.equal(whole[countAt], 1);
    const deep = Buffer.from(whole);
    deep[countAt] = 31;
    const error = thrown(() => decodeHeader(deep, 0, DOGECOIN));
    assert.equal(error.code, "SPRINT_DECODE_LIMIT");
    assert.deepEqual(error.data, { expected: 30, actual: 31, offset: countAt });
  });

  it("has counts in their shortest form and a coinbase with an input", () => {
    const inputsAt = 84;
    const long = Buffer.concat([whole.subarray(0, inputsAt), Buffer.from([0xfd, 1, 0]), whole.subarray(inputsAt + 1)]);
    assert.equal(thrown(() => decodeHeader(long, 0, DOGECOIN)).code, "SPRINT_DECODE_VARINT");
    const none = Buffer.concat([whole.subarray(0, inputsAt), Buffer.from([0, 0]), whole.subarray(inputsAt + 1)]);
    assert.equal(thrown(() => decodeHeader(none, 0, DOGECOIN)).code, "SPRINT_DECODE_AUXPOW");
  });
});

describe("checkpoints", () => {
  it("are real headers: those built in prove their own work where the header holds it", () => {
    for (const params of [BITCOIN, paramsFor("litecoin", "mainnet"), DOGECOIN]) {
      const { checkpoint } = params;
      assert.ok(checkpoint !== null);
      const headerHex = Buffer.from(checkpoint.header).toString("hex");
      assert.deepEqual(
        checkpointFrom({ height: checkpoint.height, headerHex, workHex: checkpoint.work.toString(16) }, params),
        checkpoint,
      );
    }
  });

  it("are the blocks that the data says", { skip }, () => {
    const last = readData("bitcoin/headers/checkpoints-every-2016.txt").toString().trim().split("\n").at(-1) as string;
    const record = Buffer.from(last, "base64");
    assert.deepEqual(record.subarray(-80), Buffer.from(BITCOIN.checkpoint?.header ?? []));
    assert.equal(record.readUInt32BE(record.length - 84), BITCOIN.checkpoint?.height);
    assert.equal(BigInt(`0x${record.subarray(0, -84).toString("hex")}`), BITCOIN.checkpoint?.work);
    for (const [params, file] of [
      [paramsFor("litecoin", "mainnet"), "litecoin/rpc/getblock-2383207-verbosity2.json"],
      [DOGECOIN, "dogecoin/rpc/getblock-4505708-verbosity1.json"],
    ] as const) {
      const block = JSON.parse(readData(file).toString()) as { hash: string; height: number; chainwork: string };
      const { checkpoint } = params;
      assert.ok(checkpoint !== null);
      const hash = createHash("sha256")
        .update(createHash("sha256").update(checkpoint.header).digest())
        .digest()
        .reverse();
      assert.deepEqual([hash.toString("hex"), checkpoint.height], [block.hash, block.height]);
      assert.equal(checkpoint.work, BigInt(`0x${block.chainwork}`));
    }
  });

  it("of an operator are checked, and count from themselves without a work", () => {
    const headerHex = Buffer.from(BITCOIN.genesisHeader).toString("hex");
    assert.equal(checkpointFrom({ height: 0, headerHex }, BITCOIN).work, 0x100010001n);
    const wrong = (height: number, hex: string, workHex?: string): unknown => {
      const given = { height, headerHex: hex, ...(workHex === undefined ? {} : { workHex }) };
      const error = thrown(() => checkpointFrom(given, BITCOIN));
      assert.equal(error.code, "SPRINT_CHECKPOINT_INVALID");
      return error.data["field"];
    };
    assert.equal(wrong(-1, headerHex), "height");
    assert.equal(wrong(1.5, headerHex), "height");
    assert.equal(wrong(0, headerHex.slice(2)), "header");
    assert.equal(wrong(0, headerHex, "0x12"), "work");
    assert.equal(wrong(5, headerHex.replace(/^01/, "02")), "hash");
    const easy = Buffer.from(BITCOIN.genesisHeader);
    easy.writeUInt32LE(0x207fffff, 72);
    assert.equal(wrong(5, easy.toString("hex")), "bits");
    const other = Buffer.from(paramsFor("bitcoin", "testnet3").genesisHeader).toString("hex");
    assert.equal(wrong(0, other), "hash");
  });
});
