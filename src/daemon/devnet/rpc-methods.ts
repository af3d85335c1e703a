/** What a devnet node answers over RPC: a row for each method, with the names, results and refusals of Bitcoin Core. */
import type { Clock } from "../../shared/clock.ts";
import type { NetworkParams } from "../chain/index.ts";
import type { BlockStore, MinedBlock } from "./blocks.ts";
import { REGTEST_BITS } from "./miner.ts";
import { AGENT, blockBytes, servicesOf } from "./peer.ts";
import { booleanIn, hashIn, integerIn, shown, stringIn, verbosityIn } from "./rpc-arguments.ts";
import { RPC_CODE, RpcRefusal } from "./rpc-error.ts";
import { transactionView } from "./rpc-transaction.ts";
import {
  type KnownBlock,
  blockView,
  chainWork,
  confirmationsOf,
  difficultyOf,
  findBlock,
  headerView,
  medianTime,
} from "./rpc-views.ts";
import { internalHash } from "./serialize.ts";
import type { Transaction } from "./transactions.ts";

/** What the methods know of their node. */
export interface RpcNodeFacts {
  readonly params: NetworkParams;
  readonly segwit: boolean;
  readonly store: BlockStore;
  readonly clock: Clock;
  /** P2P peers whose handshake is done. */
  readonly peers: () => number;
  /** Monotonic ms. */
  readonly startedAt: number;
}

interface Method {
  readonly section: "Blockchain" | "Control" | "Network" | "Rawtransactions";
  /** In order; a question mark behind those that may be left out. */
  readonly params: readonly string[];
  readonly answer: (args: readonly unknown[], node: RpcNodeFacts, signal: AbortSignal) => unknown;
}

const AGENT_VERSION = 100;
const MAX_TIMER_MS = 2 ** 31 - 1;
const NO_TRANSACTION = "No such mempool or blockchain transaction. Use gettransaction for wallet transactions.";
const NOT_IN_BLOCK = "No such transaction found in the provided block. Use gettransaction for wallet transactions.";

const METHODS: Readonly<Record<string, Method>> = {
  getbestblockhash: { section: "Blockchain", params: [], answer: (_, { store }) => store.tip.hash },
  getblock: {
    section: "Blockchain",
    params: ["blockhash", "verbosity?"],
    answer([hash, wish], { store }) {
      const known = blockOf(store, hashIn(hash, "blockhash"));
      const verbosity = verbosityIn(wish, 1);
      if (known.block === null) throw new RpcRefusal(RPC_CODE.MISC_ERROR, "Block not available (pruned data)");
      if (verbosity <= 0) return blockBytes(known.block, true).toString("hex");
      return blockView(store, known, known.block, verbosity);
    },
  },
  getblockchaininfo: { section: "Blockchain", params: [], answer: (_, node) => chainInfo(node) },
  getblockcount: { section: "Blockchain", params: [], answer: (_, { store }) => store.tip.height },
  getblockhash: {
    section: "Blockchain",
    params: ["height"],
    answer([height], { store }) {
      const hash = store.hashAt(integerIn(height));
      if (hash === undefined) throw new RpcRefusal(RPC_CODE.INVALID_PARAMETER, "Block height out of range");
      return hash;
    },
  },
  getblockheader: {
    section: "Blockchain",
    params: ["blockhash", "verbose?"],
    answer([hash, verbose], { store }) {
      const known = blockOf(store, hashIn(hash, "blockhash"));
      return booleanIn(verbose, true) ? headerView(store, known) : known.header.toString("hex");
    },
  },
  getdifficulty: { section: "Blockchain", params: [], answer: () => difficultyOf(REGTEST_BITS) },
  getmempoolinfo: { section: "Blockchain", params: [], answer: () => EMPTY_POOL },
  getrawmempool: {
    section: "Blockchain",
    params: ["verbose?", "mempool_sequence?"],
    answer([verbose, sequence]) {
      if (booleanIn(verbose, false)) return {};
      return booleanIn(sequence, false) ? { txids: [], mempool_sequence: 1 } : [];
    },
  },
  waitfornewblock: {
    section: "Blockchain",
    params: ["timeout?"],
    answer: ([timeout], node, signal) => newBlock(timeout === undefined ? 0 : integerIn(timeout), node, signal),
  },
  help: { section: "Control", params: ["command?"], answer: ([command]) => help(command) },
  uptime: {
    section: "Control",
    params: [],
    answer: (_, { clock, startedAt }) => Math.floor((clock.now() - startedAt) / 1000),
  },
  getconnectioncount: { section: "Network", params: [], answer: (_, { peers }) => peers() },
  getnetworkinfo: { section: "Network", params: [], answer: (_, node) => networkInfo(node) },
  getrawtransaction: {
    section: "Rawtransactions",
    params: ["txid", "verbosity?", "blockhash?"],
    answer([id, wish, hash], { store }) {
      const txid = internalHash(hashIn(id, "txid"));
      const verbosity = verbosityIn(wish, 0);
      const inBlock = hash === undefined ? null : blockOf(store, hashIn(hash, "blockhash"), "Block hash not found");
      const { known, block, transaction } = findTransaction(store, txid, inBlock);
      if (verbosity <= 0) return transaction.bytes.toString("hex");
      return {
        ...(inBlock === null ? {} : { in_active_chain: known.isBest }),
        ...transactionView(transaction),
        blockhash: known.hash,
        confirmations: Math.max(0, confirmationsOf(store, known)),
        time: block.time,
        blocktime: block.time,
      };
    },
  },
};

/** Transactions come into being with their block; none waits, and none is taken. */
const EMPTY_POOL = {
  loaded: true,
  size: 0,
  bytes: 0,
  usage: 0,
  total_fee: 0,
  maxmempool: 0,
  mempoolminfee: 0.00001,
  minrelaytxfee: 0.00001,
  unbroadcastcount: 0,
} as const;

/** The result of `method`, as JSON takes it. Throws RpcRefusal. `signal` ends what waits. */
export async function callMethod(
  method: string,
  params: unknown,
  node: RpcNodeFacts,
  signal: AbortSignal,
): Promise<unknown> {
  const row = rowOf(method);
  if (row === undefined) throw new RpcRefusal(RPC_CODE.METHOD_NOT_FOUND, "Method not found");
  const args = Array.isArray(params) ? params : named(row, (params ?? {}) as Record<string, unknown>);
  const required = row.params.filter((name) => !name.endsWith("?")).length;
  const given = args.map((arg: unknown) => arg ?? undefined);
  if (args.length < required || args.length > row.params.length)
    throw new RpcRefusal(RPC_CODE.MISC_ERROR, usage(method, row));
  return row.answer(given, node, signal);
}

function rowOf(method: string): Method | undefined {
  return Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
}

function named({ params }: Method, given: Record<string, unknown>): unknown[] {
  const names = params.map((name) => name.replace("?", ""));
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new RpcRefusal(RPC_CODE.INVALID_PARAMETER, `Unknown named parameter ${shown(unknown)}`);
  const last = names.findLastIndex((name) => Object.hasOwn(given, name));
  return names.slice(0, last + 1).map((name) => (Object.hasOwn(given, name) ? given[name] : undefined));
}

/** As bitcoind writes it: `getblock blockhash ( verbosity )`. */
function usage(method: string, { params }: Method): string {
  const optional = params.filter((name) => name.endsWith("?")).map((name) => name.slice(0, -1));
  const required = params.filter((name) => !name.endsWith("?"));
  return [method, ...required, ...(optional.length === 0 ? [] : ["(", ...optional, ")"])].join(" ");
}

function help(command: unknown): string {
  if (command !== undefined) {
    const name = stringIn(command);
    const row = rowOf(name);
    return row === undefined ? `help: unknown command: ${shown(name)}` : usage(name, row);
  }
  const sections = ["Blockchain", "Control", "Network", "Rawtransactions"] as const;
  const linesOf = (section: string): string[] =>
    Object.entries(METHODS)
      .filter(([, row]) => row.section === section)
      .map(([name, row]) => usage(name, row));
  return sections.map((section) => [`== ${section} ==`, ...linesOf(section)].join("\n")).join("\n\n");
}

function chainInfo({ params, store }: RpcNodeFacts): object {
  const { tip } = store;
  return {
    chain: params.network,
    blocks: tip.height,
    headers: tip.height,
    bestblockhash: tip.hash,
    difficulty: difficultyOf(REGTEST_BITS),
    time: tip.time,
    mediantime: medianTime(store, { height: tip.height, header: tip.header, block: tip }),
    verificationprogress: 1,
    initialblockdownload: false,
    chainwork: chainWork(tip.height),
    size_on_disk: 0,
    pruned: true,
    pruneheight: store.firstBody,
    automatic_pruning: true,
    warnings: "",
  };
}

function networkInfo({ params, segwit, peers }: RpcNodeFacts): object {
  const names = ["NETWORK", ...(segwit ? ["WITNESS"] : []), "NETWORK_LIMITED"];
  return {
    version: AGENT_VERSION,
    subversion: AGENT,
    protocolversion: params.protocolVersion,
    localservices: servicesOf(segwit).toString(16).padStart(16, "0"),
    localservicesnames: names,
    localrelay: true,
    timeoffset: 0,
    networkactive: true,
    connections: peers(),
    connections_in: peers(),
    connections_out: 0,
    networks: [],
    relayfee: EMPTY_POOL.minrelaytxfee,
    incrementalfee: EMPTY_POOL.minrelaytxfee,
    localaddresses: [],
    warnings: "",
  };
}

/** The tip after its next change, or after `timeoutMs` as it is; 0: without end. */
function newBlock(timeoutMs: number, { store, clock }: RpcNodeFacts, signal: AbortSignal): Promise<object> {
  if (timeoutMs < 0) throw new RpcRefusal(RPC_CODE.MISC_ERROR, "Negative timeout");
  return new Promise((resolve) => {
    const end = (): void => {
      stopListening();
      cancelTimer();
      signal.removeEventListener("abort", end);
      resolve({ hash: store.tip.hash, height: store.tip.height });
    };
    const stopListening = store.onTip(end);
    const cancelTimer = timeoutMs === 0 ? () => {} : clock.after(Math.min(timeoutMs, MAX_TIMER_MS), end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

function blockOf(store: BlockStore, hash: string, otherwise = "Block not found"): KnownBlock {
  const known = findBlock(store, hash);
  if (known === null) throw new RpcRefusal(RPC_CODE.INVALID_ADDRESS_OR_KEY, otherwise);
  return known;
}

interface FoundTransaction {
  readonly known: KnownBlock;
  readonly block: MinedBlock;
  readonly transaction: Transaction;
}

/** In one block, or in every one of the best chain whose body is kept, newest first. */
function findTransaction(store: BlockStore, txid: Buffer, inBlock: KnownBlock | null): FoundTransaction {
  if (inBlock !== null) {
    if (inBlock.block === null) throw new RpcRefusal(RPC_CODE.MISC_ERROR, "Block not available");
    const transaction = transactionIn(inBlock.block, txid);
    if (transaction !== undefined) return { known: inBlock, block: inBlock.block, transaction };
    throw new RpcRefusal(RPC_CODE.INVALID_ADDRESS_OR_KEY, NOT_IN_BLOCK);
  }
  for (let height = store.tip.height; height >= store.firstBody; height--) {
    const block = store.at(height) as MinedBlock;
    const transaction = transactionIn(block, txid);
    if (transaction !== undefined) return { known: { ...block, block, isBest: true }, block, transaction };
  }
  throw new RpcRefusal(RPC_CODE.INVALID_ADDRESS_OR_KEY, NO_TRANSACTION);
}

function transactionIn(block: MinedBlock, txid: Buffer): Transaction | undefined {
  return block.transactions.find((each) => each.txid.equals(txid));
}
