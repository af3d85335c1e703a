/**
 * A rehearsal before the first block: a private node mines, a private chain line follows it, a private hub fans out to nobody who
 * is real. Blocks are rare, so the first ones would run on code that the engine has not compiled yet, several times slower; after
 * some hundred blocks it has. Nothing of it is kept.
 */
import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { type Clock, seededRandom } from "../shared/clock.ts";
import { policyOf } from "./breaker/index.ts";
import { createBreakers } from "./breakers.ts";
import { paramsFor } from "./chain/index.ts";
import { createChainLine } from "./chainline.ts";
import { BUILT_IN_ROWS, type ChainRow } from "./chains.ts";
import { DevnetNode } from "./devnet/index.ts";
import { NO_ORDERS } from "./orders.ts";
import type { Prover } from "./prove/index.ts";
import { EventLog, Hub, type Subscriber } from "./relay/index.ts";

const MAX_MS = 5_000;

/** Resolves when `blocks` blocks went the whole way, or after five seconds; never throws, for the relay works without. */
export async function rehearse(
  blocks: number,
  modules: { readonly clock: Clock; readonly prover: Prover },
): Promise<void> {
  // V8 throws away the compiled form of what did not run for a while: ten minutes between blocks is a while.
  setFlagsFromString("--no-flush-bytecode");
  const { clock, prover } = modules;
  const random = seededRandom(1);
  const row = BUILT_IN_ROWS.find(({ chain }) => chain === "bitcoin") as ChainRow;
  const codec = { params: paramsFor("bitcoin", "regtest") };
  const node = new DevnetNode({ chain: "bitcoin", historyBlocks: 1 }, { codec, clock, random });
  const log = new EventLog({}, { run: randomBytes(8) });
  const unheard = { onTransition: () => {}, onEvict: () => {}, onOrderLost: () => {}, orders: NO_ORDERS };
  const breakers = createBreakers({ tier: "FREE", policy: policyOf("FREE") }, { clock, random, ...unheard });
  const hub = new Hub({}, { clock, entropy: randomBytes(32), defer: queueMicrotask });
  hub.add(AUDIENCE, { hello: greeting(log.cursor()), backlog: [] });
  const relayed = Promise.withResolvers<void>();
  let left = blocks;
  try {
    await node.start();
    const { host, port } = node.address;
    const line = createChainLine(
      {
        chain: "bitcoin",
        network: "regtest",
        upstreams: [`p2p://${host}:${port}`],
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
