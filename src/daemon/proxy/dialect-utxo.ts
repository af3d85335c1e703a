/**
 * Bitcoin Core and its forks. Methods that read the chain or the mempool pass, or compute something small of their arguments, and one that sends.
 *
 * Left out is what changes the node (generate, prune, ban, wallet), what tells of its owner's machine, peers or addresses (getnetworkinfo, getpeerinfo,
 * getmemoryinfo, uptime, everything of the wallet), what takes it minutes (gettxoutsetinfo, scantxoutset, verifychain), and what holds a connection
 * (waitfor…, getblocktemplate with a long poll).
 */
import { jsonRpcOutcome } from "../breaker/index.ts";
import { type Dialect, fresh, param, parsed, still } from "./dialect.ts";
import type { ServedChain } from "./types.ts";

const byHash = { fresh: false, elsewhere: true, block: [0, "blockhash"] } as const;

/** A node's error codes for what it has not: RPC_MISC_ERROR, RPC_INVALID_ADDRESS_OR_KEY, RPC_INVALID_PARAMETER (bitcoind's protocol.h). */
const NOT_HERE: ReadonlySet<number | null> = new Set([-1, -5, -8]);

export const UTXO: Dialect = {
  methods: {
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
  },
  rowFor: (row) => row,
  outcomeOf: ({ code }) => jsonRpcOutcome({ code }),
  missing(answer) {
    if (answer.ok || !NOT_HERE.has(answer.code)) return null;
    return answer.message.includes("pruned") ? "for ever" : "yet";
  },
  heightAsked({ block }, params, served) {
    if (block === null) return null;
    const asked = param(params, ...block);
    const height = typeof asked === "string" ? served.heightOf(asked) : asked;
    return typeof height === "number" && height >= 0 ? height : null;
  },
  heightIn(method, _params, json, served) {
    if (method === "getblockcount") return numberOrNull(parsed(json));
    if (method === "getblockchaininfo") return numberOrNull((parsed(json) as { blocks?: unknown } | null)?.blocks);
    return method === "getbestblockhash" || method === "gettxout" ? heightOfHash(method, json, served) : null;
  },
  doubt: () => null,
  witness: () => null,
  settle: () => null,
};

function heightOfHash(method: string, json: string, served: ServedChain): number | null {
  const answer = parsed(json);
  const hash = method === "gettxout" ? (answer as { bestblock?: unknown } | null)?.bestblock : answer;
  // One that we do not know is newer than what we serve, or on a branch that may win.
  return typeof hash === "string" ? served.heightOf(hash) : null;
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
