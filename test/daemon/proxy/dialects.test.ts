import { strict as assert } from "node:assert";
import { test } from "node:test";
import { evmCodecFor, evmHeaderFromJson, evmParamsFor } from "../../../src/daemon/chain/index.ts";
import { methodsOf, type ServedChain } from "../../../src/daemon/proxy/index.ts";
import type { ChainFamily } from "../../../src/shared/chain.ts";
import { isSprintError } from "../../../src/shared/errors.ts";
import { hasAnvil, startAnvil } from "../../fakes/anvil.ts";
import { hasData, readData } from "../../fakes/data.ts";
import { type Bench, bench, type FakeNode, NodeError } from "./upstreams.ts";

const skip = !hasData && "no chain data";
const noAnvil = !hasAnvil && "no anvil";
const KEY = `0x${"5".padStart(64, "0")}`;
const hashOf = (height: number): string => `0x${height.toString(16).padStart(64, "0")}`;
const TIP = 100;
const FAMILIES = { utxo: "litecoin", evm: "ethereum", svm: "solana" } as const;

function benchOf(family: ChainFamily, count = 2, served: Partial<ServedChain> = {}): Bench {
  const heightOf = (hash: string): number | null =>
    hash.startsWith("0x") && Number(hash) <= TIP ? Number(hash) : null;
  const chain: ServedChain = { tip: () => ({ hash: hashOf(TIP), height: TIP }), heightOf, ...served };
  return bench(count, { chain: FAMILIES[family], family }, { served: chain });
}

function answers(node: FakeNode | undefined, answer: unknown): void {
  assert.ok(node !== undefined);
  node.habit = () => {
    if (answer instanceof Error) throw answer;
    return answer;
  };
}

/** How the call went at each that was asked. */
async function tried(it: Bench, method: string, params: unknown = []): Promise<string | undefined> {
  const reply = await it.call(method, params);
  return reply.headers["x-sprint-tried"];
}

test("each family has its own methods, and none that changes or tells of a node", () => {
  const [evm, svm] = [methodsOf("ethereum", "evm"), methodsOf("solana", "svm")];
  assert.ok(methodsOf("bitcoin", "utxo").has("getblock") && evm.has("eth_call") && svm.has("getBlock"));
  assert.ok(!methodsOf("dogecoin", "utxo").has("validateaddress"));
  for (const name of ["eth_accounts", "eth_sendTransaction", "eth_sign", "eth_newFilter", "debug_traceTransaction"]) {
    assert.ok(!evm.has(name), name);
  }
  for (const name of ["requestAirdrop", "getProgramAccounts", "getClusterNodes", "getIdentity"]) {
    assert.ok(!svm.has(name), name);
  }
  const senders = [evm, svm].flatMap((table) => [...table.values()].filter((row) => row.class === "send"));
  assert.deepEqual(
    senders.map(({ method }) => method),
    ["eth_sendRawTransaction", "sendTransaction"],
  );
});

test("EVM: what is asked of the newest block is not asked of a node behind it, what is asked of an old one is", async () => {
  const behind = async (method: string, params: unknown): Promise<boolean> => {
    const it = benchOf("evm", 1);
    (it.nodes[0] as FakeNode).height = TIP - 1;
    const settled = await it.call(method, params).catch(() => null);
    return settled === null;
  };
  const account = `0x${"11".repeat(20)}`;
  for (const block of [undefined, "latest", "pending", "0x64", { blockNumber: "0x64" }]) {
    assert.equal(await behind("eth_getBalance", [account, block]), true, JSON.stringify(block));
  }
  for (const block of ["safe", "finalized", "earliest", "0x63", { blockNumber: "0x10" }, { blockHash: hashOf(20) }]) {
    assert.equal(await behind("eth_getBalance", [account, block]), false, JSON.stringify(block));
  }
  assert.equal(await behind("eth_getLogs", [{ fromBlock: "0x1" }]), true);
  assert.equal(await behind("eth_getLogs", [{ fromBlock: "0x1", toBlock: "0x60" }]), true);
  assert.equal(await behind("eth_getLogs", [{ fromBlock: "0x1", toBlock: "0x20" }]), false);
  assert.equal(await behind("eth_getBlockByHash", [hashOf(20), false]), false);
});

test("EVM: an older head than the served one, and null for a served block, are behind", async () => {
  for (const [method, params, old] of [
    ["eth_blockNumber", [], "0x63"],
    ["eth_getBlockByNumber", ["latest", true], { transactions: [{ blockNumber: "0x64" }], number: "0x63" }],
    ["eth_getBlockByNumber", ["0x64", false], null],
    ["eth_getBlockByHash", [hashOf(TIP), false], null],
    ["eth_call", [{}, "0x40"], new NodeError(-32000, "header not found")],
    [
      "eth_getBalance",
      ["0x", "0x64"],
      new NodeError(-32602, "BlockOutOfRangeError: block height is 9 but requested was 100"),
    ],
  ] as const) {
    const it = benchOf("evm");
    answers(it.nodes[0], old);
    answers(it.nodes[1], method === "eth_blockNumber" ? "0x64" : { number: "0x64" });
    assert.equal(await tried(it, method, params), "ltc-1=behind, ltc-2=ok", method);
  }
});

test("EVM: what a node has not, pruned or never had, is looked for elsewhere; what it was asked wrongly is its answer", async () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [null, "elsewhere"],
    [new NodeError(-32000, "missing trie node 5f…"), "elsewhere"],
    [new NodeError(-32000, "required historical state unavailable (reexec=128)"), "elsewhere"],
    [new NodeError(-32601, "the method does not exist"), "elsewhere"],
    [new NodeError(-32005, "daily request limit reached, too many requests"), "unwell"],
    [new NodeError(-32000, "context deadline exceeded"), "unwell"],
    [new NodeError(-32603, "Internal error"), "unwell"],
  ];
  for (const [answer, word] of cases) {
    const it = benchOf("evm");
    answers(it.nodes[0], answer);
    answers(it.nodes[1], "0x");
    assert.equal(await tried(it, "eth_getTransactionReceipt", [hashOf(7)]), `ltc-1=${word}, ltc-2=ok`);
  }
  for (const error of [
    new NodeError(3, "execution reverted"),
    new NodeError(-32000, "insufficient funds for gas * price + value"),
    new NodeError(-32000, "nonce too low"),
    new NodeError(-32005, "query returned more than 10000 results"),
  ]) {
    const it = benchOf("evm");
    answers(it.nodes[0], error);
    assert.equal(await tried(it, "eth_call", [{}, "0x10"]), "ltc-1=error");
    const handle = it.pool.handleOf("upstream:ethereum:ltc-1:bulk");
    assert.equal(it.pool.report(handle ?? 0, it.clock.now()).failures, 0);
  }
  const nobody = benchOf("evm");
  for (const node of nobody.nodes) answers(node, null);
  assert.equal((await nobody.call("eth_getTransactionReceipt", [hashOf(7)])).json.result, null);
});

test("EVM: logs that the served block's bloom speaks against are asked for elsewhere", { skip }, async () => {
  const json = JSON.parse(readData("ethereum/rpc/17300000.block.json").toString()) as unknown;
  const receipts = JSON.parse(readData("ethereum/rpc/17300000.receipts.json").toString()) as {
    logs: { address: string }[];
  }[];
  const logs = receipts.flatMap((receipt) => receipt.logs);
  const header = evmHeaderFromJson(json);
  const block = evmCodecFor(evmParamsFor("ethereum", "mainnet")).toBlock(header, header.number, null);
  const number = `0x${header.number.toString(16)}`;
  const served = {
    tip: () => ({ hash: header.hash, height: header.number }),
    heightOf: (hash: string) => (hash === header.hash ? header.number : null),
    block: (height: number) => (height === header.number ? block : null),
  };
  const [log] = logs;
  const own = logs.filter(({ address }) => address === log?.address);
  const asked = async (filter: object, first: unknown): Promise<string | undefined> => {
    const it = benchOf("evm", 2, served);
    for (const node of it.nodes) node.height = header.number;
    answers(it.nodes[0], first);
    answers(it.nodes[1], own);
    return tried(it, "eth_getLogs", [filter]);
  };
  const at = { address: log?.address };
  assert.equal(await asked({ ...at, blockHash: header.hash }, []), "ltc-1=doubted, ltc-2=ok");
  assert.equal(await asked({ ...at, fromBlock: number, toBlock: number }, []), "ltc-1=doubted, ltc-2=ok");
  assert.equal(await asked({ ...at, blockHash: header.hash }, own), "ltc-1=ok");
  const stray = own.map((each) => ({ ...each, blockHash: hashOf(1) }));
  assert.equal(await asked({ ...at, blockHash: header.hash }, stray), "ltc-1=doubted, ltc-2=ok");
  assert.equal(await asked({ ...at, blockHash: header.hash }, "nonsense"), "ltc-1=disproved, ltc-2=ok");
  // none of both is settled by the receipts, whose root is the served block's
  const settle = async (witness: unknown): Promise<unknown> => {
    const it = benchOf("evm", 2, served);
    for (const node of it.nodes) {
      node.height = header.number;
      node.habit = (method) => (method === "eth_getLogs" ? [] : witness);
    }
    const reply = await it.call("eth_getLogs", [{ ...at, blockHash: header.hash }]).catch((error: unknown) => error);
    return isSprintError(reply) ? reply.code : (reply as { json: { result: unknown } }).json.result;
  };
  assert.deepEqual(await settle(receipts), own);
  assert.equal(await settle(receipts.slice(1)), "SPRINT_PROXY_FAILED");
  assert.equal(await settle(null), "SPRINT_PROXY_BEHIND");
  // what the bloom says is not there is believed
  const nobody = { address: `0x${"00".repeat(18)}beef`, blockHash: header.hash };
  assert.equal(await asked(nobody, []), "ltc-1=ok");
  // of more than one block, and of one that is not served, nothing is known
  assert.equal(await asked({ ...at, fromBlock: "0x1", toBlock: number }, []), "ltc-1=ok");
  assert.equal(await asked({ ...at, blockHash: hashOf(5) }, []), "ltc-1=ok");
});

test(
  "EVM: a proof that does not lead to the served block's state root is its sender's failure",
  { skip: noAnvil },
  async (t) => {
    const anvil = await startAnvil({ hardfork: "cancun" });
    t.after(() => anvil.close());
    const [hash = ""] = await anvil.mine(1);
    const [address, other] = await anvil.rpc<string[]>("eth_accounts");
    const header = evmHeaderFromJson(await anvil.rpc("eth_getBlockByHash", [hash, false]));
    const block = evmCodecFor(evmParamsFor("ethereum", "devnet")).toBlock(header, header.number, null);
    const proof = await anvil.rpc<{ balance: string }>("eth_getProof", [address, [KEY], "0x1"]);
    const asked = async (at: unknown, first: unknown, account = address): Promise<[string | undefined, number]> => {
      const it = benchOf("evm", 2, {
        tip: () => ({ hash, height: 1 }),
        heightOf: (name) => (name === hash ? 1 : null),
        block: (height) => (height === 1 ? block : null),
      });
      answers(it.nodes[0], first);
      answers(it.nodes[1], account === address ? proof : await anvil.rpc("eth_getProof", [account, [KEY], "0x1"]));
      const steps = await tried(it, "eth_getProof", [account, [KEY], at]);
      const handle = it.pool.handleOf("upstream:ethereum:ltc-1:lookup");
      return [steps, it.pool.report(handle ?? 0, it.clock.now()).failures];
    };
    assert.deepEqual(await asked({ blockHash: hash }, proof), ["ltc-1=ok", 0]);
    const richer = { ...proof, balance: `${proof.balance}0` };
    assert.deepEqual(await asked({ blockHash: hash }, richer), ["ltc-1=disproved, ltc-2=ok", 1]);
    // by number it may be of another branch
    assert.deepEqual(await asked("0x1", richer), ["ltc-1=doubted, ltc-2=ok", 0]);
    // a right proof of what was not asked for
    assert.deepEqual(await asked({ blockHash: hash }, proof, other), ["ltc-1=disproved, ltc-2=ok", 1]);
    assert.deepEqual(await asked({ blockHash: hash }, { ...proof, storageProof: [] }), [
      "ltc-1=disproved, ltc-2=ok",
      1,
    ]);
    assert.deepEqual(await asked("latest", richer), ["ltc-1=ok", 0]);
  },
);

test("Solana: what it was asked wrongly is a node's answer, what it has not is elsewhere, unhealthy it is not well", async () => {
  const cases: readonly (readonly [code: number, word: string])[] = [
    [-32004, "elsewhere"],
    [-32007, "elsewhere"],
    [-32009, "elsewhere"],
    [-32011, "elsewhere"],
    [-32014, "elsewhere"],
    [-32005, "unwell"],
    [-32603, "unwell"],
  ];
  for (const [code, word] of cases) {
    const it = benchOf("svm");
    answers(it.nodes[0], new NodeError(code, "some words"));
    answers(it.nodes[1], {});
    assert.equal(await tried(it, "getBlock", [5]), `ltc-1=${word}, ltc-2=ok`, String(code));
  }
  for (const code of [-32002, -32003, -32602]) {
    const it = benchOf("svm");
    answers(it.nodes[0], new NodeError(code, "some words"));
    assert.equal(await tried(it, "simulateTransaction", ["AA=="]), "ltc-1=error");
  }
});

test("Solana: the commitment says how new an answer is to be", async () => {
  const behind = async (method: string, params: unknown): Promise<boolean> => {
    const it = benchOf("svm", 1);
    (it.nodes[0] as FakeNode).height = TIP - 1;
    return (await it.call(method, params).catch(() => null)) === null;
  };
  assert.equal(await behind("getBalance", ["key"]), false);
  assert.equal(await behind("getBalance", ["key", { commitment: "finalized" }]), false);
  assert.equal(await behind("getBalance", ["key", { commitment: "confirmed" }]), true);
  assert.equal(await behind("getLatestBlockhash", [{ commitment: "processed" }]), true);
  const it = benchOf("svm");
  answers(it.nodes[0], TIP - 1);
  answers(it.nodes[1], TIP);
  assert.equal(await tried(it, "getBlockHeight", [{ commitment: "processed" }]), "ltc-1=behind, ltc-2=ok");
  assert.equal(await tried(it, "getBlockHeight", [{ commitment: "finalized" }]), "ltc-2=ok");
});
