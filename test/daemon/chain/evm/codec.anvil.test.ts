import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, it, type TestContext } from "node:test";
import { hexlify, Transaction, Wallet } from "ethers";
import { evmCodecFor } from "../../../../src/daemon/chain/evm/codec.ts";
import { evmHeaderFromJson } from "../../../../src/daemon/chain/evm/header.ts";
import { evmParamsFor, evmRulesAt } from "../../../../src/daemon/chain/evm/params.ts";
import type { Ancestor } from "../../../../src/daemon/chain/types.ts";
import { type Anvil, hasAnvil, startAnvil } from "../../../fakes/anvil.ts";

const PARAMS = evmParamsFor("ethereum", "devnet");
const codec = evmCodecFor(PARAMS);
/** The first account of every anvil, known to everybody. */
const KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const SKIP = !hasAnvil && "no anvil";
/** Emits a log with one topic and 32 bytes, whoever calls it. */
const LOGGING_CODE = "0x60016000526042602060006020a100";

async function open(t: TestContext, hardfork: string): Promise<Anvil> {
  const anvil = await startAnvil({ hardfork });
  t.after(() => anvil.close());
  return anvil;
}

/** Every block of the chain by the codec: the header, the rules by its parent, and the body. */
async function proveAll(
  anvil: Anvil,
): Promise<{ readonly logs: number; readonly blobs: number; readonly tip: Ancestor }> {
  let parent: Ancestor | null = null;
  let [logs, blobs] = [0, 0];
  for (const name of await anvil.hashes()) {
    const block = await anvil.rpc("eth_getBlockByHash", [name, true]);
    const receipts = await anvil.rpc("eth_getBlockReceipts", [name]);
    const header = evmHeaderFromJson(block);
    assert.equal(await codec.checkHeader(header), null);
    if (parent !== null) assert.equal(codec.checkContext(header, parent, 0), null);
    const place = { height: header.number, hash: name };
    const watch = { items: new Set<string>(), topics: new Set<string>(), outpoints: new Map<string, string>() };
    const verdict = codec.checkBody(Buffer.from(JSON.stringify({ block, receipts })), place, watch);
    assert.ok(verdict.ok, verdict.ok ? "" : `${header.number}: ${verdict.refusal.message}`);
    const { reading } = verdict.facts;
    assert.ok(reading?.digest.family === "evm");
    const own = reading.digest.blobs;
    // its root of transactions is over the blobs, which no block has
    assert.deepEqual([verdict.facts.level, verdict.facts.skipped.length], own === 0 ? ["full", 0] : ["header", 1]);
    logs += reading.logs?.length ?? 0;
    blobs += own;
    parent = { block: codec.toBlock(header, header.number, verdict.facts), parent };
  }
  assert.ok(parent !== null);
  return { logs, blobs, tip: parent };
}

/** A blob of zeros: its commitment and its proofs are the point at infinity, whatever the ceremony was. */
async function sendBlob(anvil: Anvil, nonce: number): Promise<void> {
  const infinity = `0xc0${"00".repeat(47)}`;
  const versioned = Buffer.from(hash("sha256", Buffer.from(infinity.slice(2), "hex"), "hex"), "hex");
  versioned[0] = 1;
  const transaction = Transaction.from({
    type: 3,
    chainId: PARAMS.chainId,
    nonce,
    to: `0x${"11".repeat(20)}`,
    gasLimit: 21_000,
    maxFeePerGas: 4_000_000_000n,
    maxPriorityFeePerGas: 1n,
    maxFeePerBlobGas: 1_000_000_000n,
    blobVersionedHashes: [hexlify(versioned)],
    blobs: [{ data: `0x${"00".repeat(131_072)}`, commitment: infinity, proof: infinity }],
  });
  await anvil.rpc("eth_sendRawTransaction", [await new Wallet(KEY).signTransaction(transaction)]);
}

describe("blocks of a real anvil", { skip: SKIP }, () => {
  const forks = { shanghai: "Shanghai", cancun: "Cancun", prague: "Prague", osaka: "Prague" };
  for (const [hardfork, rules] of Object.entries(forks)) {
    it(`${hardfork}: transactions, logs, reorg and rollback`, async (t) => {
      const anvil = await open(t, hardfork);
      const [from, to] = await anvil.rpc<string[]>("eth_accounts");
      const contract = `0x${"22".repeat(20)}`;
      await anvil.rpc("anvil_setCode", [contract, LOGGING_CODE]);
      for (let i = 0; i < 3; i++) {
        await anvil.rpc("eth_sendTransaction", [{ from, to, value: "0x1" }]);
        await anvil.rpc("eth_sendTransaction", [{ from, to: contract, gas: "0x186a0" }]);
        await anvil.mine(2);
      }
      const before = await proveAll(anvil);
      assert.equal(before.logs, 3);
      const { detail, timestamp, height } = before.tip.block;
      assert.ok(detail.family === "evm");
      const fields = [detail.withdrawalsRoot, detail.blobGasUsed, detail.excessBlobGas, detail.parentBeaconBlockRoot];
      const count = 16 + [...fields, detail.requestsHash].filter((field) => field !== null).length;
      assert.equal(evmRulesAt(PARAMS, height, timestamp, count).fork, rules);
      await anvil.reorg(2, 2);
      assert.notEqual((await proveAll(anvil)).tip.block.parentHash, before.tip.block.parentHash);
      await anvil.rollback(3);
      await anvil.mine(2);
      await proveAll(anvil);
      await anvil.rpc("evm_increaseTime", [3_600]);
      await anvil.mine(1);
      await proveAll(anvil);
    });
  }

  it("blobs: counted and paid for", async (t) => {
    const anvil = await open(t, "prague");
    for (let nonce = 0; nonce < 3; nonce++) {
      await sendBlob(anvil, nonce);
      await anvil.mine(1);
    }
    assert.equal((await proveAll(anvil)).blobs, 3);
  });
});
