/** A node of Ethereum whose blocks are empty, and whose headers hold by every rule of the mainnet of today. */
import { randomBytes } from "node:crypto";
import {
  baseFeeAfter,
  EMPTY_TRIE_ROOT,
  encodeRlp,
  evmParamsFor,
  evmRulesAt,
  excessBlobGasAfter,
  hexOf,
  keccak256,
  NO_OMMERS,
} from "../../src/daemon/chain/index.ts";
import { type ScriptedNode, startScriptedNode } from "./scripted-node.ts";

export interface ScriptedEvm extends ScriptedNode {
  readonly chain: "ethereum";
  /** A block on top of the newest that was told: its hash, and the frame that tells it. */
  prepare(): EvmNews;
  /** It is the newest now, and everybody is told. */
  tell(news: EvmNews): void;
}

export interface EvmNews {
  readonly hash: string;
  readonly frame: Buffer;
  readonly block: Block;
}

/** As in JSON. */
type Block = Readonly<Record<string, string>>;

/** Blocks before what is told begin so far back, for time is not to run ahead. */
const ROOM_SECONDS = 12 * 8_000;
const HISTORY = 70;
const FIRST = 24_000_000;
const GAS_LIMIT = 45_000_000n;

export async function startScriptedEvm(): Promise<ScriptedEvm> {
  const params = evmParamsFor("ethereum", "mainnet");
  const slots = params.slots ?? { genesisTime: 0, seconds: 12 };
  const now = Math.floor(Date.now() / 1_000) - ROOM_SECONDS;
  const started = now - ((now - slots.genesisTime) % slots.seconds);
  const byHash = new Map<string, Block>();
  const byNumber = new Map<string, Block>();
  const keep = (block: Block): void => {
    byHash.set(block["hash"] ?? "", block);
    byNumber.set(block["number"] ?? "", block);
    tip = block;
  };
  const child = (parent: Block): Block => {
    const number = Number(parent["number"]) + 1;
    const timestamp = Number(parent["timestamp"]) + slots.seconds;
    const rules = evmRulesAt(params, number, timestamp);
    const before = {
      ommersHash: NO_OMMERS,
      hash: parent["hash"] ?? "",
      number: number - 1,
      timestamp: Number(parent["timestamp"]),
      difficulty: 0n,
      gasLimit: GAS_LIMIT,
      gasUsed: 0n,
      extraData: parent["extraData"] ?? "0x",
      baseFeePerGas: BigInt(parent["baseFeePerGas"] ?? 0),
      blobGasUsed: 0n,
      excessBlobGas: BigInt(parent["excessBlobGas"] ?? 0),
    };
    return blockOf(before.hash, number, timestamp, {
      baseFeePerGas: baseFeeAfter(before, rules) ?? 0n,
      excessBlobGas: excessBlobGasAfter(before, rules.blobs) ?? 0n,
    });
  };
  let tip = blockOf(hexOf(randomBytes(32)), FIRST, started, { baseFeePerGas: 1_000_000_000n, excessBlobGas: 0n });
  keep(tip);
  for (let i = 0; i < HISTORY; i++) keep(child(tip));

  const whole = (block: Block | undefined): unknown =>
    block === undefined ? null : { ...block, size: "0x27d", transactions: [], uncles: [], withdrawals: [] };
  const answers: Readonly<Record<string, (params: readonly unknown[]) => unknown>> = {
    eth_chainId: () => `0x${params.chainId.toString(16)}`,
    eth_syncing: () => false,
    web3_clientVersion: () => "bench/1.0.0",
    eth_getBlockByHash: ([hash]) => whole(byHash.get(hash as string)),
    eth_getBlockByNumber([at]) {
      if (at === "latest") return whole(tip);
      if (at === "0x0") return { hash: params.genesisHash };
      return whole(byNumber.get(at as string));
    },
    eth_getBlockReceipts: () => [],
  };
  const node = await startScriptedNode({
    notification: () => "eth_subscription",
    topicOf: (method, [topic]) => (method === "eth_subscribe" ? String(topic) : null),
    answer: (method, given) => answers[method]?.(given),
  });
  return {
    ...node,
    chain: "ethereum",
    prepare() {
      const block = child(tip);
      return { hash: block["hash"] ?? "", frame: node.frame("newHeads", block), block };
    },
    tell({ frame, block }) {
      keep(block);
      node.push(frame);
    },
  };
}

/** With what must be equal in every empty block of today. */
function blockOf(
  parentHash: string,
  number: number,
  timestamp: number,
  { baseFeePerGas, excessBlobGas }: { readonly baseFeePerGas: bigint; readonly excessBlobGas: bigint },
): Block {
  const fields: Readonly<Record<string, string>> = {
    parentHash,
    sha3Uncles: NO_OMMERS,
    miner: "0x4838b106fce9647bdf1e7877bf73ce8b0bad5f97",
    stateRoot: hexOf(randomBytes(32)),
    transactionsRoot: EMPTY_TRIE_ROOT,
    receiptsRoot: EMPTY_TRIE_ROOT,
    logsBloom: hexOf(Buffer.alloc(256)),
    difficulty: "0x0",
    number: quantity(number),
    gasLimit: quantity(GAS_LIMIT),
    gasUsed: "0x0",
    timestamp: quantity(timestamp),
    extraData: hexOf(Buffer.from("a bench, not a builder")),
    mixHash: hexOf(randomBytes(32)),
    nonce: "0x0000000000000000",
    baseFeePerGas: quantity(baseFeePerGas),
    withdrawalsRoot: EMPTY_TRIE_ROOT,
    blobGasUsed: "0x0",
    excessBlobGas: quantity(excessBlobGas),
    parentBeaconBlockRoot: hexOf(randomBytes(32)),
    // of no requests: SHA-256 of nothing, EIP-7685
    requestsHash: "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  };
  const isInteger = new Set([
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
  ]);
  const items = Object.entries(fields).map(([name, value]) => {
    const digits = value.slice(2);
    if (!isInteger.has(name)) return Buffer.from(digits, "hex");
    return value === "0x0" ? Buffer.alloc(0) : Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  });
  return { ...fields, hash: hexOf(keccak256(encodeRlp(items))) };
}

function quantity(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
