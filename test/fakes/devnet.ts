/** Nodes that mine on orders only, for tests that start the real daemon. */
import { paramsFor } from "../../src/daemon/chain/index.ts";
import { DevnetNode, type DevnetNodeOptions } from "../../src/daemon/devnet/index.ts";
import type { UtxoChain } from "../../src/shared/chain.ts";
import { seededRandom, systemClock } from "../../src/shared/clock.ts";

export type { DevnetNode } from "../../src/daemon/devnet/index.ts";

/** A running node with a history of twelve blocks; the caller closes it. */
export async function startNode(chain: UtxoChain, options: Partial<DevnetNodeOptions> = {}): Promise<DevnetNode> {
  const codec = { params: paramsFor(chain, "regtest") };
  const node = new DevnetNode({ ...options, chain }, { codec, clock: systemClock, random: seededRandom(1) });
  await node.start();
  return node;
}

/** Another node on the same chain: what one mines the other has too. */
export async function twinOf(node: DevnetNode, seed: number): Promise<DevnetNode> {
  const { chain, store } = node;
  const codec = { params: paramsFor(chain, "regtest") };
  const twin = new DevnetNode({ chain }, { codec, clock: systemClock, random: seededRandom(seed), store });
  await twin.start();
  return twin;
}

export function startBitcoinNode(options: Partial<DevnetNodeOptions> = {}): Promise<DevnetNode> {
  return startNode("bitcoin", options);
}
