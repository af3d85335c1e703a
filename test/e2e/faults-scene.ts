/** A chain whose nodes may lie, beside one that has nothing to do with it: what holds whatever they say. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { UpstreamBody } from "../../src/shared/api.ts";
import type { Chain } from "../../src/shared/chain.ts";
import { type DevnetNode, startBitcoinNode } from "../fakes/devnet.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { subscribe, type TestSubscriber } from "../fakes/subscriber.ts";
import { upstream, upstreamOnce } from "./watch.ts";

export interface Scene {
  readonly bitcoin: DevnetNode;
  readonly sprint: SprintProcess;
  readonly client: TestSubscriber;
}

/** A daemon on these upstreams of `chain`, and on a Bitcoin node that has nothing to do with them. */
export async function sceneOf(t: TestContext, chain: Chain, urls: readonly string[]): Promise<Scene> {
  const bitcoin = await startBitcoinNode();
  t.after(() => bitcoin.close());
  const upstreams = [...urls.map((url) => `${chain}=${url}`), `bitcoin=${bitcoin.url}`];
  const sprint = await startSprint({
    args: ["--tier", "ENTERPRISE", ...upstreams.flatMap((upstream) => ["--chain", upstream])],
  });
  t.after(() => sprint.stop());
  const client = await subscribe(`${sprint.tiers.ENTERPRISE}/ws/v1/events?types=block,reorg,finalized,gap,log`);
  t.after(() => client.close());
  return { bitcoin, sprint, client };
}

export async function proved({ client }: Scene, chain: Chain, hash: string): Promise<void> {
  while (client.checker.tip(chain) !== hash || !client.checker.isValidated(chain, hash)) await client.next();
}

/** Bitcoin's blocks come as ever, over the connection that it had. */
export async function othersUndisturbed(scene: Scene): Promise<void> {
  const { bitcoin, sprint, client } = scene;
  await bitcoin.mine(2);
  await proved(scene, "bitcoin", bitcoin.store.tip.hash);
  client.checker.assertClean();
  const { state, connects } = await upstream(sprint, "btc-1");
  assert.deepEqual([state, connects], ["up", 1]);
  assert.deepEqual(
    client.events.filter(({ type }) => type === "gap"),
    [],
  );
}

export async function cordoned({ sprint }: Scene, name: string, code: RegExp): Promise<UpstreamBody> {
  const out = await upstreamOnce(sprint, name, ({ state }) => state === "cordoned");
  assert.match(out.cordon?.reason ?? "", code);
  return out;
}
