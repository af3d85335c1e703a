/**
 * A rehearsal before the first block: a private node makes blocks, a private chain line follows it, a private hub fans out to nobody who
 * is real. Blocks are rare, so the first ones would run on code that the engine has not compiled yet, several times slower; after
 * some hundred blocks it has. Nothing of it is kept.
 */
import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import type { BuiltInChain, ChainFamily } from "../shared/chain.ts";
import { type Clock, type Random, seededRandom } from "../shared/clock.ts";
import { policyOf } from "./breaker/index.ts";
import { createBreakers } from "./breakers.ts";
import { paramsFor } from "./chain/index.ts";
import { createChainLine } from "./line/index.ts";
import { BUILT_IN_ROWS, type ChainRow } from "./line/index.ts";
import { DevnetNode, EvmEmbeddedNode } from "./devnet/index.ts";
import { NO_ORDERS } from "./orders.ts";
import type { Prover } from "./prove/index.ts";
import { EventLog, Hub, type Subscriber } from "./relay/index.ts";

export interface RehearsalModules {
  readonly clock: Clock;
  readonly prover: Prover;
}

/** A node whose blocks are made on orders, and where its line finds it. */
interface Stage {
  readonly chain: BuiltInChain;
  readonly network: string;
  readonly node: { start(): Promise<void>; close(): Promise<void>; mine(count: number): Promise<unknown> };
  readonly url: () => string;
}

const MAX_MS = 5_000;
/** Of the first family; the others share with it all but their own announcements. */
const BLOCKS = 600;
const BLOCKS_OF_OTHERS = 200;

/** Resolves with how many blocks of which family went the whole way, after five seconds each at most; never throws, for the relay works without. */
export async function rehearse(
  families: ReadonlySet<ChainFamily>,
  modules: RehearsalModules,
): Promise<Readonly<Partial<Record<ChainFamily, number>>>> {
  // V8 throws away the compiled form of what did not run for a while: ten minutes between blocks is a while.
  setFlagsFromString("--no-flush-bytecode");
  const random = seededRandom(1);
  const utxo = await play(utxoStage(modules.clock, random), BLOCKS, modules);
  if (!families.has("evm")) return { utxo };
  return { utxo, evm: await play(evmStage(modules.clock, random), BLOCKS_OF_OTHERS, modules) };
}

function utxoStage(clock: Clock, random: Random): Stage {
  const codec = { params: paramsFor("bitcoin", "regtest") };
  const node = new DevnetNode({ chain: "bitcoin", historyBlocks: 1 }, { codec, clock, random });
  const url = (): string => `p2p://${node.address.host}:${node.address.port}`;
  return { chain: "bitcoin", network: "regtest", node, url };
}

function evmStage(clock: Clock, random: Random): Stage {
  const options = { blockIntervalMs: null, forkChance: 0, transactionsPerBlock: 0, historyBlocks: 1 };
  const node = new EvmEmbeddedNode(options, { clock, random });
  return { chain: "ethereum", network: "devnet", node, url: () => node.url };
}

async function play(stage: Stage, blocks: number, { clock, prover }: RehearsalModules): Promise<number> {
  const { chain, network, node } = stage;
  const random = seededRandom(1);
  const row = BUILT_IN_ROWS.find((each) => each.chain === chain) as ChainRow;
  const log = new EventLog({}, { run: randomBytes(8) });
  const unheard = { onTransition: () => {}, onEvict: () => {}, onOrderLost: () => {}, orders: NO_ORDERS };
  const breakers = createBreakers({ tier: "FREE", policy: policyOf("FREE") }, { clock, random, ...unheard });
  const hub = new Hub({}, { clock, entropy: randomBytes(32), defer: queueMicrotask });
  hub.add(AUDIENCE, { hello: greeting(log.cursor()), backlog: [] });
  const relayed = Promise.withResolvers<void>();
  let left = blocks;
  try {
    await node.start();
    const line = createChainLine(
      {
        chain,
        network,
        upstreams: [stage.url()],
        validation: "full",
        finalityDepth: null,
        checkpoint: null,
        mempool: false,
        signatures: null,
      },
      row,
      "rehearsal",
      {
        clock,
        random,
        prover,
        breakers,
        orders: NO_ORDERS,
        flush: () => hub.flush(),
        publish(draft) {
          hub.publish(log.append(draft));
          if (draft.type !== "block" || draft.phase !== "validated") return;
          if (--left <= 0) relayed.resolve();
          else void node.mine(1).catch(relayed.resolve);
        },
        publishPassing: () => {},
        onWatchRefused: () => {},
        onFault: () => relayed.resolve(),
        onTrouble: () => {},
        onBodyProved: () => {},
        onAnnounced: () => {},
        onState: () => {},
        onSeedFailed: () => {},
        onGap: () => {},
        onUnwatched: () => {},
        onRpcAttempt: () => {},
        onRpcRequest: () => {},
      },
    );
    line.start();
    const giveUp = clock.after(MAX_MS, relayed.resolve);
    await relayed.promise;
    giveUp();
    await line.close();
  } catch {
    // A machine that cannot rehearse can still relay.
  } finally {
    await node.close();
  }
  return blocks - left;
}

const AUDIENCE: Subscriber = {
  id: "rehearsal",
  tier: "ENTERPRISE",
  filter: { chains: null, types: null, phase: null },
  write: () => {},
  bufferedBytes: () => 0,
  close: () => {},
};

function greeting(cursor: string): Parameters<Hub["add"]>[1]["hello"] {
  return { type: "hello", cursor, data: { tier: "ENTERPRISE", network: "rehearsal", recovered: false, version: "" } };
}
