import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import { inspect, type InspectOptions, type Inspection, readInput } from "../../../src/daemon/inspect/index.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { type BlockParts, blockBytes, coinbase, sha256d, spend } from "../../fakes/blocks.ts";

const regtest = paramsFor("bitcoin", "regtest");
const genesisTime = Buffer.from(regtest.genesisHeader).readUInt32LE(68);

interface Result {
  readonly code: number;
  readonly lines: readonly Inspection[];
}

async function run(files: readonly (Uint8Array | string)[], options: Partial<InspectOptions> = {}): Promise<Result> {
  const lines: Inspection[] = [];
  const code = await inspect(
    {
      chain: "bitcoin",
      network: "regtest",
      level: "full",
      headers: false,
      files: files.map((_, i) => String(i)),
      ...options,
    },
    {
      read: async (name) => {
        const file = files[Number(name)] ?? "";
        return typeof file === "string" ? Buffer.from(file) : file;
      },
      write: (line) => void lines.push(JSON.parse(line) as Inspection),
      clock: new FakeClock(1_000, 1_750_000_000_400),
    },
  );
  return { code, lines };
}

const codes = ({ lines }: Result): (string | null)[] => lines.map((line) => line.error?.code ?? null);

/** A block on `parent` with regtest work, or with too little of it. */
function mine(parent: Uint8Array, height: number, parts: Partial<BlockParts> = {}, enough = true): Buffer {
  const raw = blockBytes({
    transactions: [coinbase(height)],
    time: genesisTime + height * 600,
    version: 0x2000_0000,
    ...parts,
  });
  raw.set(sha256d(parent.subarray(0, 80)), 4);
  while ((sha256d(raw.subarray(0, 80))[31] as number) < 0x80 !== enough)
    raw.writeUInt32LE(raw.readUInt32LE(76) + 1, 76);
  return raw;
}

function framed(blocks: readonly Buffer[]): Buffer {
  const length = (block: Buffer): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(block.length);
    return bytes;
  };
  return Buffer.concat(blocks.flatMap((block) => [regtest.magic, length(block), block]));
}

const one = mine(regtest.genesisHeader, 1, { transactions: [coinbase(1), spend(1)] });
const two = mine(one, 2);
const three = mine(two, 3);

describe("inspect", () => {
  it("writes a line a block with what the contract names", async () => {
    const { code, lines } = await run([one]);
    assert.equal(code, 0);
    const hash = sha256d(one.subarray(0, 80)).reverse().toString("hex");
    const expected = { chain: "bitcoin", hash, height: 1, tx_count: 2, validation: "full", ok: true, error: null };
    assert.deepEqual(lines, [expected]);
  });

  it("reads raw bytes, hex in one or many lines, gzip and block files alike", async () => {
    const wrapped = one.toString("hex").replace(/.{64}/g, "$&\n");
    const lines = `${one.toString("hex")}\n${two.toString("hex").toUpperCase()}\n`;
    for (const [file, count] of [
      [one, 1],
      [`${one.toString("hex")}\n`, 1],
      [wrapped, 1],
      [lines, 2],
      [gzipSync(one), 1],
      [gzipSync(lines), 2],
      [framed([one, two, three]), 3],
      [Buffer.concat([framed([one, two]), Buffer.alloc(1000)]), 2],
    ] as const) {
      const result = await run([file]);
      assert.deepEqual(codes(result), Array<null>(count).fill(null));
      assert.equal(result.lines.at(-1)?.height, count);
    }
  });

  it("learns ancestors from what it has read, over all files", async () => {
    const early = mine(two, 3, { time: genesisTime });
    assert.deepEqual(codes(await run([one, two, early])), [null, null, "SPRINT_HEADER_TIME_TOO_OLD"]);
    const alone = await run([early]);
    assert.deepEqual(codes(alone), [null]);
    assert.deepEqual(alone.lines[0]?.skipped, ["rules by ancestors"]);
    const elsewhere = mine(two, 4);
    assert.deepEqual(codes(await run([one, two, elsewhere])), [null, null, "SPRINT_BLOCK_BAD_COINBASE_HEIGHT"]);
    const future = mine(two, 3, { time: 4_000_000_000 });
    const refused = await run([future]);
    assert.deepEqual(codes(refused), ["SPRINT_HEADER_TIME_TOO_NEW"], "needs no ancestors");
    assert.equal(refused.lines[0]?.error?.message, "time: expected at most 1750007200, got 4000000000");
  });

  it("goes as far as the level says", async () => {
    const broken = Buffer.from(one);
    broken[broken.length - 1] = 1;
    const full = await run([broken, two]);
    assert.deepEqual(codes(full), ["SPRINT_BLOCK_BAD_MERKLE_ROOT", null]);
    assert.equal(full.code, 1);
    const header = await run([broken, two], { level: "header" });
    assert.deepEqual(codes(header), [null, null]);
    assert.deepEqual(
      header.lines.map((line) => [line.height, line.tx_count, line.validation]),
      [
        [1, null, "header"],
        [2, null, "header"],
      ],
    );
    assert.deepEqual(codes(await run([mine(one, 2, {}, false)])), ["SPRINT_WORK_HIGH_HASH"]);
  });

  it("reads runs of headers and holds each against the one before", async () => {
    const heads = [one, two, three].map((block) => block.subarray(0, 80));
    const good = await run([Buffer.concat(heads)], { headers: true });
    assert.deepEqual(codes(good), [null, null, null]);
    assert.deepEqual(
      good.lines.map((line) => [line.height, line.validation]),
      [1, 2, 3].map((height) => [height, "header"]),
    );
    const stray = mine(Buffer.alloc(80), 9).subarray(0, 80);
    const broken = await run([Buffer.concat([...heads, stray])], { headers: true });
    assert.deepEqual(codes(broken), [null, null, null, "SPRINT_HEADER_PARENT"]);
    const cut = await run([Buffer.concat([...heads, stray.subarray(0, 79)])], { headers: true });
    assert.deepEqual(codes(cut), [null, null, null, "SPRINT_DECODE_TRUNCATED"]);
    const fork = mine(one, 2, { time: genesisTime + 5000 }).subarray(0, 80);
    assert.deepEqual(codes(await run([Buffer.concat([...heads, fork])], { headers: true })), [null, null, null, null]);
  });

  it("says what is wrong with a file, and goes on with the next", async () => {
    const longer = framed([one]);
    longer.writeUInt32LE(one.length + 1, 4);
    const files = [
      "",
      `{"hash": "00"}`,
      "[1, 2]",
      "abc",
      gzipSync(one).subarray(0, 40),
      longer,
      Buffer.concat([framed([one]), Buffer.from("00ff", "hex")]),
      one,
    ];
    const result = await run(files);
    assert.deepEqual(codes(result), [
      "SPRINT_INSPECT_EMPTY",
      "SPRINT_INSPECT_FORMAT",
      "SPRINT_INSPECT_FORMAT",
      "SPRINT_INSPECT_FORMAT",
      "SPRINT_INSPECT_GZIP",
      "SPRINT_INSPECT_FRAME",
      null,
      "SPRINT_INSPECT_FRAME",
      null,
    ]);
    assert.equal(result.code, 1);
  });

  it("takes binary that starts with a bracket for what it is", async () => {
    const rolled = mine(regtest.genesisHeader, 1, { version: 0x2000_005b });
    assert.equal(rolled[0], "[".charCodeAt(0));
    assert.deepEqual(codes(await run([rolled])), [null]);
  });

  it("reads files no further than its bound", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "sprint-inspect-"));
    try {
      const file = path.join(folder, "block");
      await writeFile(file, one);
      assert.deepEqual(await readInput(file, one.length), one);
      await assert.rejects(readInput(file, one.length - 1), { code: "SPRINT_INSPECT_FILE", message: /split it/ });
      await assert.rejects(readInput(path.join(folder, "none"), 10), {
        code: "SPRINT_INSPECT_FILE",
        message: /ENOENT/,
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("ends quietly when its reader does", async () => {
    const main = fileURLToPath(new URL("../../../src/daemon/main.ts", import.meta.url));
    const options = ["inspect", "--chain", "bitcoin", "--network", "regtest", "-"];
    const child = spawn(process.execPath, [main, ...options], { stdio: "pipe" });
    const stderr: Buffer[] = [];
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    const ended = once(child, "close");
    const many = framed(Array<Buffer>(5000).fill(one));
    child.stdin.on("error", () => {});
    child.stdin.end(many);
    await once(child.stdout, "data");
    child.stdout.destroy();
    assert.deepEqual(await ended, [0, null]);
    assert.equal(Buffer.concat(stderr).toString(), "");
  });

  it("names the networks there are when it is given another", async () => {
    await assert.rejects(run([one], { network: "testnet9" }), {
      code: "SPRINT_CLI_NETWORK",
      message: /regtest.*testnet9/,
    });
  });
});
