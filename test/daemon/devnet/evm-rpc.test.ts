/** Whatever is asked of the embedded Ethereum node, it answers in JSON-RPC, and refuses in words of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { devAccounts } from "../../../src/daemon/devnet/evm-accounts.ts";
import { EvmChain } from "../../../src/daemon/devnet/evm-chain.ts";
import { genesisBlock } from "../../../src/daemon/devnet/evm-miner.ts";
import { EvmPool } from "../../../src/daemon/devnet/evm-pool.ts";
import { callEvmMethod } from "../../../src/daemon/devnet/evm-rpc-methods.ts";
import { answerEvmRequest } from "../../../src/daemon/devnet/evm-rpc-request.ts";
import { EvmState } from "../../../src/daemon/devnet/evm-state.ts";
import { RpcRefusal } from "../../../src/daemon/devnet/rpc-error.ts";
import { seededRandom } from "../../../src/shared/clock.ts";

const random = seededRandom(3);
const accounts = devAccounts(1);
const genesis = genesisBlock(1_700_000_000, new EvmState(), random);
const chain = new EvmChain({ keepBlocks: 16 }, genesis, new EvmState());
const modules = { accounts, random, onPending: () => {} };
const pool = new EvmPool({ chainId: 1n, token: `0x${"11".repeat(20)}` }, modules);
const facts = { chainId: 1n, chain, pool, lies: new Set<never>() };

const METHODS = [
  "eth_getBlockByNumber",
  "eth_getBlockByHash",
  "eth_getBlockReceipts",
  "eth_getTransactionReceipt",
  "eth_getTransactionByHash",
  "eth_getLogs",
  "eth_getBalance",
  "eth_getTransactionCount",
  "eth_getCode",
  "eth_getProof",
  "eth_feeHistory",
];
const plausible = fc.constantFrom<unknown>(
  "latest",
  "pending",
  "0x0",
  "0xfffffffffffff",
  accounts[0]?.address,
  genesis.header.hash,
  ["0x0"],
  [0, 50, 100],
  { fromBlock: "0x0", toBlock: "0xfffffffffffff", topics: [null, []] },
  { blockHash: genesis.header.hash },
);

test("any parameters are answered or refused, and never with a fault of ours", () => {
  const params = fc.array(fc.oneof(plausible, fc.jsonValue({ maxDepth: 3 })), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...METHODS), params, (method, given) => {
      try {
        JSON.stringify(callEvmMethod(method, given, facts));
      } catch (error) {
        assert.ok(error instanceof RpcRefusal, `${method}: ${String(error)}`);
      }
    }),
    { numRuns: 3_000, seed: 1 },
  );
});

test("any text gets an answer of JSON-RPC, or none where nobody wants one", async () => {
  const part = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.record(
      {
        jsonrpc: fc.constant("2.0"),
        id: fc.jsonValue({ maxDepth: 1 }),
        method: fc.constantFrom("eth_chainId", "x", 5),
      },
      { requiredKeys: [] },
    ),
  );
  const text = fc.oneof(
    fc.string(),
    part.map((each) => JSON.stringify(each)),
    fc.array(part).map((all) => JSON.stringify(all)),
  );
  await fc.assert(
    fc.asyncProperty(text, async (given) => {
      const answer = await answerEvmRequest(given, (method, params) => callEvmMethod(method, params, facts));
      if (answer === "") return;
      const parsed = JSON.parse(answer) as object;
      for (const each of Array.isArray(parsed) ? parsed : [parsed])
        assert.ok(each.jsonrpc === "2.0" && ("result" in each || typeof each.error.code === "number"), answer);
    }),
    { numRuns: 1_000, seed: 1 },
  );
});
