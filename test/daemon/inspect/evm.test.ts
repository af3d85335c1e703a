import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { decodeEvmHeader } from "../../../src/daemon/chain/evm/header.ts";
import { encodeRlp, integerBytes } from "../../../src/daemon/chain/evm/rlp.ts";
import { EMPTY_TRIE_ROOT } from "../../../src/daemon/chain/evm/trie.ts";
import { type Inspection, inspectEvm, type InspectEvmOptions } from "../../../src/daemon/inspect/index.ts";
import { FakeClock } from "../../fakes/clock.ts";

const MAIN = fileURLToPath(new URL("../../../src/daemon/main.ts", import.meta.url));
const hex = (digits: string): Buffer => Buffer.from(digits, "hex");
const NO_OMMERS = "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
const EMPTY_ROOT = EMPTY_TRIE_ROOT.slice(2);
const GENESIS_STATE = "d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544";
const GENESIS_EXTRA = "11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa";

/** A Frontier header without transactions. */
function header(number: number, parentHash: string, time: number, difficulty: bigint, extra = ""): Buffer {
  const [zero, none] = [hex("00".repeat(32)), hex(EMPTY_ROOT)];
  return encodeRlp([
    hex(parentHash.slice(2)),
    hex(NO_OMMERS),
    hex("00".repeat(20)),
    hex(GENESIS_STATE),
    none,
    none,
    hex("00".repeat(256)),
    ...[difficulty, number, 5000, 0, time].map(integerBytes),
    hex(extra),
    zero,
    hex("0000000000000042"),
  ]);
}

/** The same header as a node's JSON has it. */
function json(raw: Buffer): Record<string, unknown> {
  const read = decodeEvmHeader(raw);
  const quantity = (value: bigint | number): string => `0x${value.toString(16)}`;
  const { hash, parentHash, stateRoot, transactionsRoot, receiptsRoot, logsBloom, extraData, mixHash, nonce } = read;
  return {
    hash,
    parentHash,
    stateRoot,
    transactionsRoot,
    receiptsRoot,
    logsBloom,
    extraData,
    mixHash,
    nonce,
    sha3Uncles: read.ommersHash,
    miner: read.beneficiary,
    difficulty: quantity(read.difficulty),
    number: quantity(read.number),
    gasLimit: quantity(read.gasLimit),
    gasUsed: quantity(read.gasUsed),
    timestamp: quantity(read.timestamp),
    transactions: [],
    uncles: [],
  };
}

const GENESIS = header(0, `0x${"00".repeat(32)}`, 0, 1n << 34n, GENESIS_EXTRA);
const GENESIS_HASH = decodeEvmHeader(GENESIS).hash;
/** Later than thirteen seconds: less by a 2048th. */
const FIRST = header(1, GENESIS_HASH, 1_438_269_988, (1n << 34n) - (1n << 23n));
/** A second later: more by a 2048th. */
const SECOND = header(2, decodeEvmHeader(FIRST).hash, 1_438_269_989, (1n << 34n) - 4096n);

async function run(
  files: readonly (string | Uint8Array)[],
  options: Partial<InspectEvmOptions> & { readonly beside?: string | Uint8Array } = {},
): Promise<{ readonly code: number; readonly lines: readonly Inspection[] }> {
  const { beside, ...rest } = options;
  const lines: Inspection[] = [];
  const code = await inspectEvm(
    {
      chain: "ethereum",
      network: "mainnet",
      level: "full",
      headers: false,
      files: files.map((_, i) => String(i)),
      ...(beside === undefined ? {} : { receipts: "beside" }),
      ...rest,
    },
    {
      read: async (name) => Buffer.from((name === "beside" ? beside : files[Number(name)]) ?? ""),
      write: (line) => void lines.push(JSON.parse(line) as Inspection),
      clock: new FakeClock(1_000, 1_750_000_000_000),
      checkWork: () => null,
    },
  );
  return { code, lines };
}

const codes = (lines: readonly Inspection[]): (string | null)[] => lines.map((line) => line.error?.code ?? null);

describe("sprint inspect, Ethereum", () => {
  it("knows the genesis that everybody knows", () => {
    assert.equal(GENESIS_HASH, "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
  });

  const first = json(FIRST);
  const shapes: readonly (readonly [what: string, file: string | Uint8Array])[] = [
    ["JSON", JSON.stringify(first)],
    ["a response", JSON.stringify({ jsonrpc: "2.0", id: 1, result: first })],
    ["gzip", gzipSync(JSON.stringify(first))],
    ["RLP", sized(FIRST)],
    ["RLP in hex", `0x${sized(FIRST).toString("hex")}\n`],
  ];
  for (const [what, file] of shapes) {
    it(`reads a block as ${what}`, async () => {
      const { code, lines } = await run([file]);
      const expected = {
        chain: "ethereum",
        hash: first["hash"],
        height: 1,
        tx_count: 0,
        validation: "full",
        ok: true,
        error: null,
      };
      assert.deepEqual(lines, [{ ...expected, skipped: ["rules by the parent"] }]);
      assert.equal(code, 0);
    });
  }

  it("reads many, and holds each against its parent", async () => {
    const three = JSON.stringify([json(GENESIS), { jsonrpc: "2.0", id: 2, result: first }, json(SECOND)]);
    const { lines } = await run([three]);
    assert.deepEqual(codes(lines), [null, null, null]);
    assert.deepEqual(
      lines.map(({ height, skipped }) => [height, skipped]),
      [
        [0, undefined],
        [1, undefined],
        [2, undefined],
      ],
    );
    const run2 = await run([Buffer.concat([sized(GENESIS), sized(FIRST)]), sized(SECOND)]);
    assert.deepEqual(codes(run2.lines), [null, null, null]);
    const late = header(1, GENESIS_HASH, 1_438_269_988, (1n << 34n) - (1n << 23n) + 1n);
    const { code, lines: refused } = await run([Buffer.concat([sized(GENESIS), sized(late), sized(FIRST)])]);
    assert.deepEqual(codes(refused), [null, "SPRINT_EVM_DIFFICULTY", null]);
    assert.equal(code, 1);
  });

  it("reads runs of headers, each of which must follow the one before", async () => {
    const { lines } = await run([Buffer.concat([GENESIS, FIRST, SECOND])], { headers: true });
    assert.deepEqual(
      lines.map(({ validation, ok }) => [validation, ok]),
      [
        ["header", true],
        ["header", true],
        ["header", true],
      ],
    );
    const gap = await run([Buffer.concat([GENESIS, SECOND])], { headers: true });
    assert.deepEqual(codes(gap.lines), [null, "SPRINT_EVM_PARENT"]);
    const array = await run([JSON.stringify([json(GENESIS), first])], { headers: true });
    assert.deepEqual(
      array.lines.map(({ validation }) => validation),
      ["header", "header"],
    );
  });

  it("takes receipts beside a block, and says so where they are not those of the block", async () => {
    assert.deepEqual(codes((await run([sized(FIRST)], { beside: "[]" })).lines), [null]);
    assert.deepEqual(codes((await run([sized(FIRST)], { beside: hex("c0") })).lines), [null]);
    const receipt = encodeRlp([[Buffer.of(1), Buffer.of(5), hex("00".repeat(256)), []]]);
    assert.deepEqual(codes((await run([sized(FIRST)], { beside: receipt })).lines), ["SPRINT_EVM_RECEIPT_COUNT"]);
    const two = await run([Buffer.concat([sized(GENESIS), sized(FIRST)])], { beside: "[]" });
    assert.deepEqual(codes(two.lines), ["SPRINT_INSPECT_RECEIPTS"]);
    assert.deepEqual(codes((await run([sized(FIRST)], { beside: "null" })).lines), ["SPRINT_EVM_JSON_NULL"]);
  });

  it("proves no body at level header", async () => {
    const broken = { ...first, transactions: null };
    assert.deepEqual(codes((await run([JSON.stringify(broken)])).lines), ["SPRINT_EVM_JSON_NULL"]);
    const { lines } = await run([JSON.stringify(first)], { level: "header" });
    assert.deepEqual(
      lines.map(({ validation, tx_count }) => [validation, tx_count]),
      [["header", null]],
    );
  });

  const refused: readonly (readonly [what: string, file: string | Uint8Array, code: string])[] = [
    ["null, as nodes answer for what they do not have", "null", "SPRINT_EVM_JSON_NULL"],
    ["a response without a block", '{"jsonrpc":"2.0","id":1,"result":null}', "SPRINT_EVM_JSON_NULL"],
    [
      "a response that is an error",
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}',
      "SPRINT_EVM_JSON_RESPONSE",
    ],
    ["half of a document", JSON.stringify(first).slice(0, 300), "SPRINT_EVM_JSON_SYNTAX"],
    ["a string", '"0xabc"', "SPRINT_EVM_JSON_TYPE"],
    ["lists inside each other", "[".repeat(500_000) + "]".repeat(500_000), "SPRINT_EVM_JSON_TYPE"],
    [
      "a list for a hash",
      JSON.stringify(first).replace(/"hash":"[^"]*"/, `"hash":${"[".repeat(5000)}${"]".repeat(5000)}`),
      "SPRINT_EVM_JSON_TYPE",
    ],
    ["no bytes", "", "SPRINT_INSPECT_EMPTY"],
    ["an empty list", "[]", "SPRINT_INSPECT_EMPTY"],
    ["half of a byte of hex", `0x${sized(FIRST).toString("hex")}f`, "SPRINT_INSPECT_FORMAT"],
    ["half of a block", sized(FIRST).subarray(0, 100), "SPRINT_EVM_RLP_TRUNCATED"],
    ["a list of nothing", hex("c0"), "SPRINT_EVM_HEADER_FIELDS"],
    ["a block of five parts", encodeRlp([[], [], [], [], []]), "SPRINT_EVM_BLOCK_FIELDS"],
    [
      "a hash that is not the header's",
      JSON.stringify({ ...first, nonce: "0x0000000000000043" }),
      "SPRINT_EVM_HEADER_HASH",
    ],
    ["a time from the future", sized(header(1, GENESIS_HASH, 1_750_000_100, 1n << 33n)), "SPRINT_EVM_FORK_FIELDS"],
    ["another genesis", sized(header(0, GENESIS_HASH, 0, 1n << 34n)), "SPRINT_EVM_GENESIS"],
  ];
  for (const [what, file, code] of refused) {
    it(`refuses ${what}: ${code}`, async () => {
      const result = await run([file]);
      assert.deepEqual(codes(result.lines), [code]);
      assert.equal(result.code, 1);
    });
  }

  it("is a command: receipts beside a block, one line on standard output, the verdict as exit code", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "sprint-inspect-"));
    try {
      const [file, beside] = [path.join(folder, "block.json"), path.join(folder, "receipts.json")];
      await writeFile(file, JSON.stringify(json(GENESIS)));
      await writeFile(beside, "[]");
      const sprint = (...args: string[]): ReturnType<typeof spawnSync> =>
        spawnSync(process.execPath, [MAIN, "inspect", ...args], { encoding: "utf8" });
      const good = sprint("--chain", "ethereum", file, "--receipts", beside);
      assert.equal(good.status, 0, String(good.stderr));
      assert.equal((JSON.parse(String(good.stdout)) as Inspection).hash, GENESIS_HASH);
      const other = sprint("--chain", "base", file);
      assert.equal(other.status, 1);
      assert.match(String(other.stdout), /SPRINT_EVM_GENESIS/);
      const wrong = sprint("--chain", "litecoin", file, "--receipts", beside);
      assert.equal(wrong.status, 2);
      assert.match(String(wrong.stderr), /SPRINT_CLI_RECEIPTS/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("refuses a network that it has no parameters of", async () => {
    await assert.rejects(run([sized(FIRST)], { network: "ropsten" }), { code: "SPRINT_CLI_NETWORK" });
  });
});

/** RLP [header, no transactions, no ommers]. */
function sized(raw: Buffer): Buffer {
  const payload = Buffer.concat([raw, hex("c0c0")]);
  return Buffer.concat([Buffer.of(0xf9, payload.length >> 8, payload.length & 0xff), payload]);
}
