/** A node of Solana whose blocks are empty: it tells a slot when it begins the next one, and is asked for the blockhash, as validators are. */
import { randomBytes } from "node:crypto";
import { svmParams } from "../../src/daemon/chain/index.ts";
import { encodeBase58 } from "../../src/daemon/chain/svm/base58.ts";
import { type ScriptedNode, startScriptedNode } from "./scripted-node.ts";

export interface ScriptedSolana extends ScriptedNode {
  readonly chain: "solana";
  /** A block of the slot after the newest: its hash, and the frame that tells that the next slot began. */
  prepare(): SvmNews;
  tell(news: SvmNews): void;
}

export interface SvmNews {
  readonly hash: string;
  readonly frame: Buffer;
  readonly block: Block;
}

interface Block {
  readonly slot: number;
  readonly blockhash: string;
  readonly result: Readonly<Record<string, unknown>>;
}

const FIRST = 300_000_000;
const HISTORY = 80;
const FINAL_AFTER = 32;

export async function startScriptedSolana(): Promise<ScriptedSolana> {
  const startedAt = Math.floor(Date.now() / 1_000);
  const blocks = new Map<number, Block>();
  const keep = (block: Block): void => {
    blocks.set(block.slot, block);
    tip = block;
  };
  const child = ({ slot, blockhash }: Pick<Block, "slot" | "blockhash">): Block => {
    const hash = encodeBase58(randomBytes(32));
    const times = { blockTime: startedAt, blockHeight: slot + 1 - FIRST + 1_000 };
    const result = { ...times, blockhash: hash, parentSlot: slot, previousBlockhash: blockhash, transactions: [] };
    return { slot: slot + 1, blockhash: hash, result };
  };
  let tip = child({ slot: FIRST, blockhash: encodeBase58(randomBytes(32)) });
  keep(tip);
  for (let i = 0; i < HISTORY; i++) keep(child(tip));

  const answers: Readonly<Record<string, (params: readonly unknown[]) => unknown>> = {
    getGenesisHash: () => svmParams("mainnet").genesisHash,
    getVersion: () => ({ "solana-core": "2.0.0", "feature-set": 1 }),
    getSlot: ([options]) =>
      (options as { commitment?: string }).commitment === "finalized" ? tip.slot - FINAL_AFTER : tip.slot,
    getLatestBlockhash: () => ({
      context: { apiVersion: "2.0.0", slot: tip.slot },
      value: { blockhash: tip.blockhash, lastValidBlockHeight: tip.slot + 150 },
    }),
    getBlocks: ([from, to]) => [...blocks.keys()].filter((slot) => slot >= (from as number) && slot <= (to as number)),
    getBlock: ([slot]) => blocks.get(slot as number)?.result ?? null,
    getVoteAccounts: () => ({ current: [], delinquent: [] }),
  };
  const node = await startScriptedNode({
    notification: () => "slotNotification",
    topicOf: (method) => (method === "slotSubscribe" ? "slot" : null),
    answer: (method, given) => answers[method]?.(given),
  });
  return {
    ...node,
    chain: "solana",
    prepare() {
      const block = child(tip);
      const { slot, blockhash } = block;
      const news = { parent: slot, root: slot - FINAL_AFTER, slot: slot + 1 };
      return { hash: blockhash, frame: node.frame("slot", news), block };
    },
    tell({ frame, block }) {
      keep(block);
      node.push(frame);
    },
  };
}
