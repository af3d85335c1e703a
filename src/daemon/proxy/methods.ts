/**
 * The methods that are let through: those that read the chain or the mempool, or compute something small of their arguments, and one that sends.
 *
 * Left out is what changes the node (generate, prune, ban, wallet), what tells of its owner's machine, peers or addresses (getnetworkinfo, getpeerinfo,
 * getmemoryinfo, uptime, everything of the wallet), what takes it minutes (gettxoutsetinfo, scantxoutset, verifychain), and what holds a connection
 * (waitfor…, getblocktemplate with a long poll).
 *
 * A class has a breaker of its own at each upstream, because its calls cost alike: a block of 2 MB takes a thousand times as long as a height, and
 * would look like a hang beside it.
 */
import type { Chain } from "../../shared/chain.ts";

export type MethodClass = "tip" | "lookup" | "bulk" | "send";

export interface ClassRow {
  /** Of one attempt. */
  readonly timeoutMs: number;
  /** No call of this class is slow below this. */
  readonly slowFloorMs: number;
  /** Reads: a second upstream may be asked meanwhile, and equal calls may share one answer. */
  readonly reads: boolean;
}

/**
 * `send` is not hedged and not shared. It is repeated at another upstream when the first failed, even if nobody knows whether that one had taken the
 * transaction: it is the same transaction everywhere, known by its id, and a node that has it already says so or relays it again.
 */
export const CLASSES: Readonly<Record<MethodClass, ClassRow>> = {
  tip: { timeoutMs: 3_000, slowFloorMs: 50, reads: true },
  lookup: { timeoutMs: 3_000, slowFloorMs: 50, reads: true },
  bulk: { timeoutMs: 8_000, slowFloorMs: 1_000, reads: true },
  send: { timeoutMs: 5_000, slowFloorMs: 1_000, reads: false },
};

export interface MethodRow {
  readonly method: string;
  readonly class: MethodClass;
  /** The answer is of the node's tip or mempool: one that is behind the served tip is not asked. */
  readonly fresh: boolean;
  /** What one node does not have, another may: pruned, without an index, or with another mempool. */
  readonly elsewhere: boolean;
  /** The argument that names a block, and its position. */
  readonly block: readonly [position: number, name: string] | null;
}

const fresh = { fresh: true, elsewhere: false, block: null };
const still = { fresh: false, elsewhere: false, block: null };
const byHash = { fresh: false, elsewhere: true, block: [0, "blockhash"] } as const;

/** Of Bitcoin Core and its forks. */
const UTXO: Readonly<Record<string, Omit<MethodRow, "method">>> = {
  getblockchaininfo: { class: "tip", ...fresh },
  getblockcount: { class: "tip", ...fresh },
  getbestblockhash: { class: "tip", ...fresh },
  getblockhash: { class: "tip", ...fresh, block: [0, "height"] },
  getchaintips: { class: "tip", ...fresh },
  getchaintxstats: { class: "tip", ...fresh },
  getdifficulty: { class: "tip", ...fresh },
  getmempoolinfo: { class: "tip", ...fresh },
  estimatesmartfee: { class: "tip", ...fresh },
  gettxout: { class: "tip", ...fresh },
  getmempoolentry: { class: "tip", ...fresh, elsewhere: true },
  getblockheader: { class: "lookup", ...byHash },
  getblockfilter: { class: "lookup", ...byHash },
  getrawtransaction: { class: "lookup", ...still, elsewhere: true },
  verifytxoutproof: { class: "lookup", ...still },
  decoderawtransaction: { class: "lookup", ...still },
  decodescript: { class: "lookup", ...still },
  validateaddress: { class: "lookup", ...still },
  getconnectioncount: { class: "lookup", ...still },
  getblock: { class: "bulk", ...byHash },
  getblockstats: { class: "bulk", ...byHash, block: [0, "hash_or_height"] },
  gettxoutproof: { class: "bulk", ...still, elsewhere: true },
  getrawmempool: { class: "bulk", ...fresh },
  sendrawtransaction: { class: "send", ...still },
};

/** A node of the 0.14 line, as Dogecoin's, tells there whether an address is its wallet's. */
const NOT_ON: Partial<Readonly<Record<Chain, readonly string[]>>> = { dogecoin: ["validateaddress"] };

export function methodsOf(chain: Chain): ReadonlyMap<string, MethodRow> {
  const off = NOT_ON[chain] ?? [];
  const rows = Object.entries(UTXO).filter(([method]) => !off.includes(method));
  return new Map(rows.map(([method, row]) => [method, { method, ...row }]));
}
