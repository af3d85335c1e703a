/** The methods that the embedded Ethereum node answers, as go-ethereum does; subscriptions are those of a socket. */
import type { EvmChain } from "./evm-chain.ts";
import { feeHistory } from "./evm-fees.ts";
import { type EvmLie, lyingBlock, lyingReceipts } from "./evm-lies.ts";
import { type EvmMinedBlock, nextBaseFee } from "./evm-miner.ts";
import type { EvmPool } from "./evm-pool.ts";
import {
  type BlockId,
  addressIn,
  blockIdIn,
  hashIn,
  isAskedFor,
  listIn,
  logQueryIn,
  numberIn,
  objectIn,
  slotIn,
} from "./evm-rpc-arguments.ts";
import { type View, blockView, headerView, logViews, quantity, receiptView, transactionView } from "./evm-rpc-views.ts";
import type { EvmState } from "./evm-state.ts";
import { RPC_CODE, RpcRefusal } from "./rpc-error.ts";

export interface EvmNodeFacts {
  readonly chainId: bigint;
  readonly chain: EvmChain;
  readonly pool: EvmPool;
  readonly lies: ReadonlySet<EvmLie>;
}

/** As anvil has them with four slots an epoch. */
export const SAFE_DEPTH = 4;
export const FINALIZED_DEPTH = 8;
const TIP_WEI = 10n ** 9n;
const MAX_LOGS = 10_000;
const MAX_SLOTS = 1_024;
const MAX_PERCENTILES = 100;

type Method = (params: readonly unknown[], facts: EvmNodeFacts) => unknown;

const METHODS: Readonly<Record<string, Method>> = {
  eth_chainId: (_, facts) => quantity(toldChainId(facts)),
  net_version: (_, facts) => String(toldChainId(facts)),
  web3_clientVersion: () => "SprintDevnet/ethereum",
  eth_syncing: () => false,
  eth_blockNumber: (_, { chain }) => quantity(chain.tip.header.number),
  eth_getBlockByNumber: ([id, full], facts) => {
    const wanted = blockIdIn(id, "block");
    if ("tag" in wanted && wanted.tag === "pending") return pendingBlock(facts, full === true);
    return toldBlock(blockOf(wanted, facts), full === true, facts);
  },
  eth_getBlockByHash: ([hash, full], facts) =>
    toldBlock(facts.chain.get(hashIn(hash, "block hash")), full === true, facts),
  eth_getBlockReceipts: ([id], facts) => {
    const block = blockOf(blockIdIn(id, "block"), facts);
    if (block === undefined || facts.lies.has("null-receipts")) return null;
    return lyingReceipts(
      block.transactions.map((_, i) => receiptView(block, i)),
      facts.lies,
    );
  },
  eth_getTransactionReceipt: ([hash], { chain }) => {
    const found = chain.transaction(hashIn(hash, "transaction hash"));
    return found === undefined ? null : receiptView(found.block, found.index);
  },
  eth_getTransactionByHash: ([given], { chain, pool }) => {
    const hash = hashIn(given, "transaction hash");
    const found = chain.transaction(hash);
    const transaction = found?.block.transactions[found.index] ?? pool.transactions.find((each) => each.hash === hash);
    return transaction === undefined ? null : transactionView(transaction, found?.block ?? null, found?.index ?? 0);
  },
  eth_getLogs: ([filter], facts) => logsOf(objectIn(filter, "filter"), facts),
  eth_getBalance: ([address, id], facts) => quantity(stateOf(id, facts).at(addressIn(address, "address")).balance),
  eth_getTransactionCount: ([given, id], facts) => {
    const address = addressIn(given, "address");
    const waiting = id === "pending" ? facts.pool.transactions.filter(({ from }) => from === address).length : 0;
    return quantity(stateOf(id, facts).at(address).nonce + waiting);
  },
  eth_getCode: ([address, id], facts) => stateOf(id, facts).at(addressIn(address, "address")).code,
  eth_getProof: ([address, slots, id], facts) => {
    const keys = listIn(slots ?? [], "storage keys", MAX_SLOTS).map((slot, i) => slotIn(slot, `storage keys[${i}]`));
    return stateOf(id, facts).proof(addressIn(address, "address"), keys);
  },
  eth_gasPrice: (_, { chain }) => quantity(nextBaseFee(chain.tip.header) + TIP_WEI),
  eth_maxPriorityFeePerGas: () => quantity(TIP_WEI),
  eth_feeHistory: ([count, newest, percentiles], facts) => {
    const block = known(blockOf(blockIdIn(newest, "newest block"), facts));
    const asked = listIn(percentiles ?? [], "percentiles", MAX_PERCENTILES).map(Number);
    return feeHistory(facts.chain, block, numberIn(count, "block count"), asked);
  },
};

/** Throws RpcRefusal. */
export function callEvmMethod(method: string, params: readonly unknown[], facts: EvmNodeFacts): unknown {
  const answer = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
  if (answer === undefined) {
    const shown = method.slice(0, 80);
    throw new RpcRefusal(RPC_CODE.METHOD_NOT_FOUND, `the method ${shown} does not exist/is not available`);
  }
  return answer(params, facts);
}

/** The head as it is told to subscribers. */
export function toldHead(block: EvmMinedBlock, lies: ReadonlySet<EvmLie>): View {
  return lyingBlock(headerView(block.header), lies);
}

function toldChainId({ chainId, lies }: EvmNodeFacts): bigint {
  return lies.has("wrong-chain-id") ? chainId + 1n : chainId;
}

function toldBlock(block: EvmMinedBlock | undefined, full: boolean, { lies }: EvmNodeFacts): View | null {
  return block === undefined || lies.has("null-blocks") ? null : lyingBlock(blockView(block, full), lies);
}

function pendingBlock({ chain, pool }: EvmNodeFacts, full: boolean): View {
  const { header } = chain.tip;
  return {
    number: quantity(header.number + 1),
    hash: null,
    nonce: null,
    miner: null,
    parentHash: header.hash,
    gasLimit: quantity(header.gasLimit),
    timestamp: quantity(header.timestamp + 1),
    baseFeePerGas: quantity(nextBaseFee(header)),
    uncles: [],
    transactions: pool.transactions.map((each) => (full ? transactionView(each, null, 0) : each.hash)),
  };
}

function blockOf(id: BlockId, { chain }: EvmNodeFacts): EvmMinedBlock | undefined {
  if ("hash" in id) return chain.get(id.hash);
  if ("number" in id) return chain.at(id.number);
  const tip = chain.tip.header.number;
  const depth = { latest: 0, pending: 0, safe: SAFE_DEPTH, finalized: FINALIZED_DEPTH, earliest: tip }[id.tag];
  return chain.at(Math.max(0, tip - depth));
}

function stateOf(id: unknown, facts: EvmNodeFacts): EvmState {
  const block = known(blockOf(blockIdIn(id, "block"), facts));
  const state = facts.chain.stateOf(block);
  if (state !== undefined) return state;
  const root = block.header.stateRoot;
  throw new RpcRefusal(RPC_CODE.RESOURCE_UNAVAILABLE, `missing trie node ${root}: state is not available`);
}

function known(block: EvmMinedBlock | undefined): EvmMinedBlock {
  if (block === undefined) throw new RpcRefusal(RPC_CODE.RESOURCE_UNAVAILABLE, "unknown block");
  return block;
}

function logsOf(filter: View, facts: EvmNodeFacts): View[] {
  const query = logQueryIn(filter);
  const blocks: EvmMinedBlock[] = [];
  if (filter["blockHash"] !== undefined) blocks.push(known(facts.chain.get(hashIn(filter["blockHash"], "blockHash"))));
  else {
    const numberOf = (name: string): number => {
      const id = blockIdIn(filter[name], name);
      return "number" in id ? id.number : (blockOf(id, facts)?.header.number ?? 0);
    };
    const [from, to] = [numberOf("fromBlock"), Math.min(numberOf("toBlock"), facts.chain.tip.header.number)];
    if (from > numberOf("toBlock")) throw new RpcRefusal(RPC_CODE.INVALID_PARAMS, "invalid block range params");
    for (let number = Math.max(from, facts.chain.oldest); number <= to; number++) {
      const block = facts.chain.at(number);
      if (block !== undefined) blocks.push(block);
    }
  }
  if (facts.lies.has("empty-logs")) return [];
  const found: View[] = [];
  for (const block of blocks) {
    found.push(...logViews(block, !facts.chain.isBest(block)).filter((log) => isAskedFor(log, query)));
    if (found.length > MAX_LOGS)
      throw new RpcRefusal(RPC_CODE.LIMIT_EXCEEDED, `query returned more than ${MAX_LOGS} results`);
  }
  return found;
}
