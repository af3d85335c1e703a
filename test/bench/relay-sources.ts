/** Where the blocks of the relay bench come from: a node of each family in the bench's own process, which tells a block on order. */
import { setTimeout as sleep } from "node:timers/promises";
import { paramsFor } from "../../src/daemon/chain/index.ts";
import { DevnetNode } from "../../src/daemon/devnet/index.ts";
import { encodeCompactBlock, encodeMessage, shortIdKey, shortIdOf } from "../../src/daemon/wire/index.ts";
import { seededRandom, systemClock } from "../../src/shared/clock.ts";
import { startScriptedEvm } from "./scripted-evm.ts";
import { startScriptedSolana } from "./scripted-solana.ts";

export interface Source {
  readonly chain: string;
  /** For `--chain`. */
  readonly url: string;
  /** What has to be asked between the announcement and the block, and what is answered; null: nothing. */
  readonly question: { readonly askBytes: number; readonly answerBytes: number } | null;
  /** Resolves when the daemon listens to it. */
  heard(): Promise<void>;
  /** Makes the next block. */
  prepare(): Promise<Announcement>;
  close(): Promise<void>;
}

export interface Announcement {
  readonly hash: string;
  /** On the wire. */
  readonly bytes: number;
  /** Writes it to the daemon's socket, in this turn. */
  tell(): void;
}

export const SOURCES = {
  bitcoin: openBitcoin,
  ethereum: openEthereum,
  solana: openSolana,
} as const satisfies Readonly<Record<string, () => Promise<Source>>>;

/** The clock's own timer is never reached: the node announces nothing by itself. */
const NEVER_MS = 2 ** 31 - 1;

async function openBitcoin(): Promise<Source> {
  const params = paramsFor("bitcoin", "regtest");
  const node = new DevnetNode({ chain: "bitcoin" }, { codec: { params }, clock: systemClock, random: seededRandom(1) });
  await node.start();
  node.lag(NEVER_MS);
  return {
    chain: "bitcoin",
    url: node.url,
    question: null,
    async heard() {
      while (node.peers === 0) await sleep(10);
    },
    async prepare() {
      const [hash = ""] = await node.mine();
      const block = node.store.get(hash);
      if (block === undefined) throw new Error(`mined block ${hash} is not in the store`);
      const nonce = 1n;
      const key = shortIdKey(block.header, nonce);
      const [coinbase, ...others] = block.transactions;
      const payload = encodeCompactBlock({
        headerBytes: block.header,
        nonce,
        shortIds: others.map((tx) => shortIdOf(key, tx.wtxid)),
        prefilled: coinbase === undefined ? [] : [{ index: 0, transaction: coinbase.bytes }],
      });
      const message = encodeMessage(params.magic, "cmpctblock", payload);
      return { hash, bytes: message.length, tell: () => node.sendRaw(message) };
    },
    close: () => node.close(),
  };
}

async function openEthereum(): Promise<Source> {
  const node = await startScriptedEvm();
  return {
    chain: node.chain,
    url: node.url,
    question: null,
    async heard() {
      while (node.subscribers("newHeads") === 0) await sleep(10);
    },
    async prepare() {
      const news = node.prepare();
      return { hash: news.hash, bytes: news.frame.length, tell: () => node.tell(news) };
    },
    close: () => node.close(),
  };
}

/** A slot is told without its block's hash, which the daemon has to ask for. */
async function openSolana(): Promise<Source> {
  const node = await startScriptedSolana();
  return {
    chain: node.chain,
    url: node.url,
    // getLatestBlockhash in a masked frame, and its answer
    question: { askBytes: 101, answerBytes: 190 },
    async heard() {
      while (node.subscribers("slot") === 0) await sleep(10);
    },
    async prepare() {
      const news = node.prepare();
      return { hash: news.hash, bytes: news.frame.length, tell: () => node.tell(news) };
    },
    close: () => node.close(),
  };
}
