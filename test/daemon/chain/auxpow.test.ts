import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkAuxPowCommitment, checkAuxPowVersion, expectedSlot } from "../../../src/daemon/chain/auxpow.ts";
import { sha256d } from "../../../src/daemon/chain/hash.ts";
import {
  codecFor,
  decodeHeader,
  encodeHeader,
  headerBytes,
  paramsFor,
  type AuxPow,
  type UtxoHeader,
} from "../../../src/daemon/chain/index.ts";
import { type Forgery, forgeAuxPow } from "../../fakes/auxpow.ts";
import { hasData, readData } from "../../fakes/data.ts";

const DOGECOIN = paramsFor("dogecoin", "mainnet");
const skip = hasData ? false : "no chain data";

const OUR_VERSION = 0x0062_0104;

/** A header that says it is merged-mined, with a proof that is right but for `forgery`. */
function forged(forgery: Forgery = {}, version = OUR_VERSION): UtxoHeader {
  const raw = headerBytes({
    version,
    parentHash: "11".repeat(32),
    merkleRoot: "22".repeat(32),
    time: 1_700_000_000,
    bits: 0x207fffff,
    nonce: 0,
  });
  const { hash } = decodeHeader(raw, 0, { headerRules: { ...DOGECOIN.headerRules, auxpow: null } }).header;
  return decodeHeader(encodeHeader({ raw, auxpow: forgeAuxPow(hash, forgery) }), 0, DOGECOIN).header;
}

function commitmentCode(header: UtxoHeader): string | undefined {
  assert.ok(header.auxpow !== null);
  return checkAuxPowCommitment(header, header.auxpow)?.code;
}

function versionCode(header: UtxoHeader, strictChainId = true): string | undefined {
  return checkAuxPowVersion(header, { chainId: 0x62, startHeight: 0, strictChainId })?.code;
}

const siblings = (count: number): Buffer[] => Array.from({ length: count }, (_, i) => Buffer.alloc(32, i + 1));

describe("a merged-mining commitment", () => {
  it("holds alone, and in its slot among other chains", () => {
    assert.equal(commitmentCode(forged()), undefined);
    for (const height of [1, 3, 8]) {
      for (const nonce of [0, 7, 0xffff_ffff]) {
        const right = { chainBranch: siblings(height), nonce, chainIndex: expectedSlot(nonce, 0x62, height) };
        assert.equal(commitmentCode(forged(right)), undefined, `height ${height}, nonce ${nonce}`);
        const slot = (right.chainIndex + 1) % 2 ** height;
        assert.equal(commitmentCode(forged({ ...right, chainIndex: slot })), "SPRINT_AUXPOW_SLOT");
      }
    }
    assert.equal(commitmentCode(forged({ chainIndex: 1 })), "SPRINT_AUXPOW_SLOT");
  });

  it("holds in a coinbase with a witness, whose id leaves it out", () => {
    const header = forged({ withWitness: true, coinbaseBranch: siblings(4) });
    assert.equal(commitmentCode(header), undefined);
  });

  it("must be in the parent block", () => {
    const header = forged({ coinbaseBranch: siblings(4) });
    const auxpow = header.auxpow as AuxPow;
    const shorter = { ...auxpow, coinbaseBranch: auxpow.coinbaseBranch.slice(1) };
    assert.equal(checkAuxPowCommitment(header, shorter)?.code, "SPRINT_AUXPOW_COINBASE_BRANCH");
    const otherBlock = { ...header, hash: "44".repeat(32) };
    assert.equal(checkAuxPowCommitment(otherBlock, auxpow)?.code, "SPRINT_AUXPOW_CHAIN_BRANCH");
  });

  it("stands right behind the one magic, or early without it", () => {
    const magic = Buffer.from("fabe6d6d", "hex");
    assert.equal(commitmentCode(forged({ behind: magic })), "SPRINT_AUXPOW_MAGIC");
    assert.equal(commitmentCode(forged({ before: magic })), "SPRINT_AUXPOW_MAGIC");
    assert.equal(commitmentCode(forged({ magic: Buffer.concat([magic, Buffer.alloc(1)]) })), "SPRINT_AUXPOW_ROOT");
    const bare = (offset: number): UtxoHeader => forged({ magic: Buffer.alloc(0), before: Buffer.alloc(offset) });
    assert.equal(commitmentCode(bare(20)), undefined);
    assert.equal(commitmentCode(bare(21)), "SPRINT_AUXPOW_ROOT");
  });

  it("names the size of its tree", () => {
    assert.equal(commitmentCode(forged({ size: 2 })), "SPRINT_AUXPOW_SIZE");
    assert.equal(commitmentCode(forged({ chainBranch: siblings(2), size: 8 })), "SPRINT_AUXPOW_SIZE");
    const header = forged();
    const auxpow = header.auxpow as AuxPow;
    // One byte of the nonce short: the script's length is at byte 41, the script behind it.
    const coinbase = Buffer.from(auxpow.coinbase);
    const cut = Buffer.concat([coinbase.subarray(0, 41), Buffer.from([(coinbase[41] as number) - 1])]);
    const end = 42 + (coinbase[41] as number);
    const shortened = Buffer.concat([cut, coinbase.subarray(42, end - 1), coinbase.subarray(end)]);
    const parentHeader = Buffer.from(auxpow.parentHeader);
    parentHeader.set(sha256d(shortened), 36);
    assert.equal(
      checkAuxPowCommitment(header, { ...auxpow, coinbase: shortened, parentHeader })?.code,
      "SPRINT_AUXPOW_SIZE",
    );
  });
});

describe("versions of merged-mined headers", () => {
  it("name our chain, and the parent's names another", () => {
    assert.equal(versionCode(forged()), undefined);
    assert.equal(versionCode(forged({}, 0x0063_0104)), "SPRINT_AUXPOW_CHAIN_ID");
    assert.equal(versionCode(forged({}, 0x0063_0104), false), undefined);
    assert.equal(versionCode(forged({ parentVersion: 0x0062_0004 })), "SPRINT_AUXPOW_PARENT_CHAIN_ID");
    assert.equal(versionCode(forged({ parentVersion: 0x0062_0004 }), false), undefined);
    assert.equal(versionCode(forged({ coinbaseIndex: 1 })), "SPRINT_AUXPOW_NOT_COINBASE");
  });

  it("announce a proof exactly where there is one", () => {
    const header = forged();
    assert.equal(versionCode({ ...header, auxpow: null }), "SPRINT_AUXPOW_MISSING");
    assert.equal(versionCode({ ...header, version: 0x0062_0004 }), "SPRINT_AUXPOW_UNEXPECTED");
    assert.equal(versionCode({ ...header, version: 0x0062_0004, auxpow: null }), undefined);
    assert.equal(versionCode({ ...header, version: 2, auxpow: null }), undefined);
    assert.equal(versionCode({ ...header, version: 3, auxpow: null }), "SPRINT_AUXPOW_CHAIN_ID");
  });
});

interface RpcBlock {
  readonly hash: string;
  readonly version: number;
  readonly previousblockhash: string;
  readonly merkleroot: string;
  readonly time: number;
  readonly bits: string;
  readonly nonce: number;
  readonly auxpow: {
    readonly tx: { readonly hex: string };
    readonly index: number;
    readonly chainindex: number;
    readonly merklebranch: readonly string[];
    readonly chainmerklebranch: readonly string[];
    readonly parentblock: string;
  };
}

function fromRpc(file: string): UtxoHeader {
  const block = JSON.parse(readData(file).toString()) as RpcBlock;
  const wire = (display: string): Buffer => Buffer.from(display, "hex").reverse();
  const raw = headerBytes({
    version: block.version,
    parentHash: block.previousblockhash,
    merkleRoot: block.merkleroot,
    time: block.time,
    bits: Number.parseInt(block.bits, 16),
    nonce: block.nonce,
  });
  const auxpow: AuxPow = {
    coinbase: Buffer.from(block.auxpow.tx.hex, "hex"),
    coinbaseBranch: block.auxpow.merklebranch.map(wire),
    coinbaseIndex: block.auxpow.index,
    chainBranch: block.auxpow.chainmerklebranch.map(wire),
    chainIndex: block.auxpow.chainindex,
    parentHeader: Buffer.from(block.auxpow.parentblock, "hex"),
  };
  const { header } = decodeHeader(encodeHeader({ raw, auxpow }), 0, DOGECOIN);
  assert.equal(header.hash, block.hash);
  return header;
}

describe("real AuxPoW blocks", { skip }, () => {
  const codec = codecFor(DOGECOIN);
  const raws = ["0371337", "0748634", "2264125"];
  const read = (): [string, UtxoHeader][] => [
    ...raws.map((height): [string, UtxoHeader] => [
      height,
      codec.decodeHeader(readData(`dogecoin/blocks/${height}.raw`)).header,
    ]),
    ["4505707", fromRpc("dogecoin/rpc/getblock-4505707-verbosity1.json")],
    ["4505708", fromRpc("dogecoin/rpc/getblock-4505708-verbosity1.json")],
  ];

  it("are proved by their parents", async () => {
    for (const [name, header] of read()) {
      assert.ok(header.auxpow !== null, name);
      assert.equal(await codec.checkHeader(header), null, name);
    }
  });

  it("are refused for their own reason when anything is changed", async () => {
    for (const [name, header] of read()) {
      const auxpow = header.auxpow as AuxPow;
      const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
      const flipFirst = (branch: readonly Uint8Array[]): Uint8Array[] =>
        branch.map((node, i) => (i === 0 ? flip(node, 9) : node));
      const code = async (change: Partial<AuxPow>, of: Partial<UtxoHeader> = {}): Promise<string | undefined> =>
        (await codec.checkHeader({ ...header, ...of, auxpow: { ...auxpow, ...change } }))?.code;
      assert.equal(await code({ parentHeader: flip(auxpow.parentHeader, 79) }), "SPRINT_WORK_HIGH_HASH", name);
      assert.equal(
        await code({ coinbaseBranch: flipFirst(auxpow.coinbaseBranch) }),
        "SPRINT_AUXPOW_COINBASE_BRANCH",
        name,
      );
      assert.equal(
        await code({ coinbase: flip(auxpow.coinbase, auxpow.coinbase.length - 1) }),
        "SPRINT_AUXPOW_COINBASE_BRANCH",
        name,
      );
      assert.equal(await code({ chainBranch: flipFirst(auxpow.chainBranch) }), "SPRINT_AUXPOW_CHAIN_BRANCH", name);
      assert.equal(await code({ chainIndex: auxpow.chainIndex ^ 1 }), "SPRINT_AUXPOW_CHAIN_BRANCH", name);
      assert.equal(await code({ coinbaseIndex: 1 }), "SPRINT_AUXPOW_NOT_COINBASE", name);
      assert.equal(await code({}, { version: header.version + 0x1_0000 }), "SPRINT_AUXPOW_CHAIN_ID", name);
      const withBits = async (bits: number): Promise<string | undefined> => {
        const changed = encodeHeader({ raw: headerBytes({ ...header, bits }), auxpow });
        return (await codec.checkHeader(codec.decodeHeader(changed).header))?.code;
      };
      assert.equal(await withBits(0x1f00ffff), "SPRINT_WORK_BITS", name);
      assert.equal(await withBits(0x1700ffff), "SPRINT_WORK_HIGH_HASH", name);
      // None of these has spoiled the block for those who bring the right proof.
      assert.equal(await codec.checkHeader(header), null, name);
    }
  });
});
