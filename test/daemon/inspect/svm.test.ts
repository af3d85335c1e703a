import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { inspectSvm, type InspectSvmOptions, type Inspection } from "../../../src/daemon/inspect/index.ts";
import { hasData, readData } from "../../fakes/data.ts";
import { type BlockJson, solanaBlock } from "../../fakes/solana.ts";

interface Result {
  readonly code: number;
  readonly lines: readonly Inspection[];
}

async function run(files: readonly (Uint8Array | string)[], options: Partial<InspectSvmOptions> = {}): Promise<Result> {
  const lines: Inspection[] = [];
  const code = await inspectSvm(
    { network: "localnet", level: "full", files: files.map((_, i) => String(i)), ...options },
    {
      read: async (name) => Buffer.from(files[Number(name)] ?? ""),
      write: (line) => void lines.push(JSON.parse(line) as Inspection),
    },
  );
  return { code, lines };
}

const codes = ({ lines }: Result): (string | null)[] => lines.map((line) => line.error?.code ?? null);
const first = solanaBlock(0, null);
const second = solanaBlock(1, first);
const third = solanaBlock(4, second);
const fork = solanaBlock(3, second);
const json = (value: unknown): string => JSON.stringify(value);

describe("inspect, Solana", () => {
  it("writes a line a block with what the contract names", async () => {
    const { code, lines } = await run([json(first)]);
    assert.equal(code, 0);
    const hash = first.blockhash;
    const expected = { chain: "solana", hash, height: 0, tx_count: 3, validation: "full", ok: true, error: null };
    assert.deepEqual(lines, [expected]);
  });

  it("reads results, responses, arrays of both, and gzip", async () => {
    const response = (result: BlockJson): unknown => ({ jsonrpc: "2.0", id: 1, result });
    for (const [file, count] of [
      [json(first), 1],
      [` ${json(response(first))}\n`, 1],
      [json([first, response(second), third]), 3],
      [gzipSync(json([first, second])), 2],
    ] as const) {
      assert.deepEqual(codes(await run([file])), Array<null>(count).fill(null));
    }
  });

  it("holds each block against the parent that it has read, forks included", async () => {
    const linked = await run([json([first, second]), json(third), json(fork)]);
    assert.deepEqual(codes(linked), [null, null, null, null]);
    assert.deepEqual(
      linked.lines.map(({ height, skipped }) => [height, skipped]),
      [
        [0, undefined],
        [1, undefined],
        [2, undefined],
        [2, undefined],
      ],
    );
    const alone = await run([json(third)]);
    assert.deepEqual(alone.lines[0]?.skipped, ["link to the parent"]);
    const { entries: _, ...bare } = third;
    const stray = { ...bare, previousBlockhash: first.blockhash };
    assert.deepEqual(codes(await run([json([first, second, stray])])), [null, null, "SPRINT_SVM_PARENT_SLOT"]);
    const torn = { ...bare, previousBlockhash: solanaBlock(9, fork).blockhash };
    assert.deepEqual(codes(await run([json([first, second, torn])])), [null, null, "SPRINT_SVM_PARENT_HASH"]);
    const high = { ...bare, blockHeight: 1 };
    assert.deepEqual(codes(await run([json([first, second, high])])), [null, null, "SPRINT_SVM_HEIGHT"]);
    const unknown = await run([json([first, second, { ...bare, previousBlockhash: "1".repeat(32) }])]);
    assert.deepEqual(codes(unknown), [null, null, null]);
    assert.equal(unknown.lines[2]?.skipped?.[0], "link to the parent");
  });

  it("learns a height that the node did not tell", async () => {
    const untold = { ...second, blockHeight: null };
    assert.deepEqual(
      (await run([json([first, untold])])).lines.map((line) => line.height),
      [0, 1],
    );
    assert.equal((await run([json(untold)])).lines[0]?.height, null);
  });

  it("goes as far as the level says", async () => {
    const broken = { ...second, transactions: [null] };
    assert.deepEqual(codes(await run([json([first, broken])])), [null, "SPRINT_SVM_SHAPE"]);
    const { code, lines } = await run([json([first, broken])], { level: "header" });
    assert.equal(code, 0);
    assert.deepEqual(
      lines.map(({ validation, tx_count }) => [validation, tx_count]),
      [
        ["header", null],
        ["header", null],
      ],
    );
  });

  it("says what is wrong with a file, and goes on with the next", async () => {
    const files = [
      "",
      "{",
      Buffer.from([0x22, 0xff, 0x22]),
      "null",
      "[]",
      json(Array(4097).fill(null)),
      json({ jsonrpc: "2.0", id: 1, error: { code: -32007, message: "Slot 5 was skipped" } }),
      `{"jsonrpc":"2.0","id":1,"error":${"[".repeat(200_000)}${"]".repeat(200_000)}}`,
      json({ jsonrpc: "2.0", id: 1, result: null }),
      gzipSync(Buffer.alloc(64 * 1024 * 1024 + 1)),
      gzipSync(json(first)).subarray(0, 40),
      json({ ...first, parentSlot: 2 ** 53 }),
      json(first),
    ];
    const result = await run(files);
    assert.deepEqual(codes(result), [
      "SPRINT_INSPECT_FORMAT",
      "SPRINT_INSPECT_FORMAT",
      "SPRINT_INSPECT_FORMAT",
      "SPRINT_SVM_NULL_BLOCK",
      "SPRINT_SVM_LIMIT",
      "SPRINT_SVM_LIMIT",
      "SPRINT_SVM_RPC_ERROR",
      "SPRINT_SVM_RPC_ERROR",
      "SPRINT_SVM_NULL_BLOCK",
      "SPRINT_INSPECT_GZIP",
      "SPRINT_INSPECT_GZIP",
      "SPRINT_SVM_NUMBER",
      null,
    ]);
    assert.equal(result.code, 1);
    assert.match(result.lines[6]?.error?.message ?? "", /Slot 5 was skipped/);
  });

  it("names the networks there are when it is given another", async () => {
    await assert.rejects(run([json(first)], { network: "regtest" }), { code: "SPRINT_CLI_NETWORK", message: /devnet/ });
    await assert.rejects(run([json(first)], { headers: true }), { code: "SPRINT_CLI_HEADERS" });
  });
});

/** File, network, blocks, transactions, signatures verified, votes where the source counts them. */
const DATA = [
  ["solana/blocks/18144001.json", "mainnet", 1, 89],
  ["solana/blocks/254170887.json.gz", "mainnet", 1, 602],
  ["solana/blocks/64800004.json.gz", "mainnet", 1, 11],
  ["solana/partial/100000000.json", "mainnet", 1, 10],
  ["solana/partial/154808473.json", "mainnet", 1, 1],
  ["solana/rpc-samples/getblock.json", "mainnet", 1, 1],
  ["solana/rpc-format-samples/Http_Blocks_GetBlockResponse.json", "mainnet", 1, 2],
  ["solana/devnet/270893658.json", "devnet", 1, 57],
  ["solana/devnet/380876342.json", "devnet", 1, 58],
] as const;

describe("inspect over all Solana data", { skip: !hasData && "no chain data" }, () => {
  for (const [file, network, blocks, transactions] of DATA) {
    it(`takes ${file}`, async () => {
      const { code, lines } = await run([readData(file)], { network });
      assert.deepEqual(
        lines.map((line) => line.error),
        Array<null>(blocks).fill(null),
      );
      assert.equal(code, 0);
      assert.deepEqual(
        lines.map(({ tx_count, validation }) => [tx_count, validation]),
        [[transactions, "full"]],
      );
      assert.deepEqual(lines[0]?.skipped, ["link to the parent", "blockhash: needs the entries and where they begin"]);
    });
  }

  it("proves slots 0 to 19 from the genesis hash, with nothing left out", async () => {
    const files = ["slots-00-09", "slots-10-19"].map((name) => readData(`solana/blocks/${name}.json`));
    const { lines } = await run(files, { network: "mainnet" });
    assert.deepEqual(
      lines.map(({ ok, validation, height, skipped }) => [ok, validation, height, skipped]),
      Array.from({ length: 20 }, (_, i) => [true, "full", i, undefined]),
    );
    assert.equal(
      lines.reduce((sum, line) => sum + (line.tx_count ?? 0), 0),
      34 + 41,
    );
    assert.equal(lines[19]?.hash, "Bn4rzFuV1EwgsR54iwBXZWcxCSXuezFxyoE69kRpWPcC");
    assert.deepEqual(codes(await run(files.slice(0, 1), { network: "devnet" }))[0], "SPRINT_SVM_GENESIS");
  });

  it("says that a block in jsonParsed is not proved", async () => {
    const { lines } = await run([readData("solana/partial/100000000.jsonParsed.json")], { network: "mainnet" });
    const [line] = lines;
    assert.deepEqual([line?.ok, line?.validation, line?.tx_count], [true, "header", 10]);
    assert.match(line?.skipped?.[1] ?? "", /^messages and signatures of 10 transactions/);
  });

  it("takes no response of another method for a block", async () => {
    const others = ["getvoteaccounts", "getblocks", "getblockheight"].map((name) => `rpc-samples/${name}.json`);
    for (const name of [
      ...others,
      "transactions/create-tx-from-gettransaction.json",
      "transactions/from-blockSubscribe-v0.json",
    ]) {
      const { code, lines } = await run([readData(`solana/${name}`)], { network: "mainnet" });
      assert.deepEqual([code, lines[0]?.error?.code], [1, "SPRINT_SVM_SHAPE"], name);
    }
  });
});
