/** Nodes of Ethereum and Solana that lie: who lies is taken out with the code, who does not goes on, other chains do not notice. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { SvmDevnetNode, type SvmLie } from "../../src/daemon/devnet/index.ts";
import { seededRandom, systemClock } from "../../src/shared/clock.ts";
import type { UpstreamBody } from "../../src/shared/api.ts";
import type { Chain } from "../../src/shared/chain.ts";
import { type Anvil, hasAnvil, startAnvil } from "../fakes/anvil.ts";
import { type DevnetNode, startBitcoinNode } from "../fakes/devnet.ts";
import { type Liar, type Lie, startLiar } from "../fakes/liar.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { subscribe, type TestSubscriber } from "../fakes/subscriber.ts";
import { deployToken, type Token } from "../fakes/token.ts";
import { upstream, upstreamOnce } from "./watch.ts";

interface Scene {
  readonly bitcoin: DevnetNode;
  readonly sprint: SprintProcess;
  readonly client: TestSubscriber;
}

/** A daemon on these upstreams of `chain`, and on a Bitcoin node that has nothing to do with them. */
async function sceneOf(t: TestContext, chain: Chain, urls: readonly string[]): Promise<Scene> {
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

async function proved({ client }: Scene, chain: Chain, hash: string): Promise<void> {
  while (client.checker.tip(chain) !== hash || !client.checker.isValidated(chain, hash)) await client.next();
}

/** Bitcoin's blocks come as ever, over the connection that it had. */
async function othersUndisturbed(scene: Scene): Promise<void> {
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

async function cordoned({ sprint }: Scene, name: string, code: RegExp): Promise<UpstreamBody> {
  const out = await upstreamOnce(sprint, name, ({ state }) => state === "cordoned");
  assert.match(out.cordon?.reason ?? "", code);
  return out;
}

const changed =
  (method: string, change: (result: Record<string, unknown>) => unknown): Lie =>
  (asked, result) =>
    asked === method && result !== null ? change(result as Record<string, unknown>) : result;

const EVM_LIES: Readonly<Record<string, readonly [lie: Lie, code: RegExp]>> = {
  "receipts that used other gas": [
    changed("eth_getBlockReceipts", (receipts) =>
      (receipts as unknown as Record<string, unknown>[]).map((receipt) => ({ ...receipt, cumulativeGasUsed: "0x1" })),
    ),
    /^SPRINT_EVM_/,
  ],
  "receipts without their logs": [
    changed("eth_getBlockReceipts", (receipts) =>
      (receipts as unknown as Record<string, unknown>[]).map((receipt) => ({ ...receipt, logs: [] })),
    ),
    /^SPRINT_EVM_/,
  ],
  "transactions that pay more": [
    changed("eth_getBlockByHash", (block) => ({
      ...block,
      transactions: (block["transactions"] as unknown[]).map((each) =>
        typeof each === "object" ? { ...each, value: "0x777" } : each,
      ),
    })),
    /^SPRINT_EVM_/,
  ],
};

describe("an Ethereum node that lies beside one that does not", { skip: !hasAnvil && "no anvil" }, () => {
  interface EvmScene extends Scene {
    readonly anvil: Anvil;
    readonly token: Token;
    readonly liar: Liar;
  }

  /** eth-1 lies when told to, eth-2 never. */
  async function evmScene(t: TestContext): Promise<EvmScene> {
    const anvil = await startAnvil();
    t.after(() => anvil.close());
    const token = await deployToken(anvil);
    const tip = (await anvil.mine(19)).at(-1) ?? "";
    const liar = await startLiar(anvil.url);
    t.after(() => liar.close());
    const scene = await sceneOf(t, "ethereum", [`${liar.url}?network=devnet`, `${anvil.url}?network=devnet`]);
    for (const name of ["eth-1", "eth-2"]) await upstreamOnce(scene.sprint, name, ({ state }) => state === "up");
    await proved(scene, "ethereum", tip);
    return { ...scene, anvil, token, liar };
  }

  async function goesOn(scene: EvmScene): Promise<void> {
    const { anvil, token, client } = scene;
    for (let block = 0; block < 3; block++) {
      await token.transfer(2);
      await anvil.mine(1);
    }
    await token.reorg(2);
    await proved(scene, "ethereum", (await anvil.hashes()).at(-1) ?? "");
    const path = client.checker.path("ethereum");
    assert.deepEqual(path, (await anvil.hashes()).slice(-path.length));
    await othersUndisturbed(scene);
  }

  for (const [what, [lie, code]] of Object.entries(EVM_LIES)) {
    test(what, async (t) => {
      const scene = await evmScene(t);
      const { anvil, token, liar } = scene;
      liar.lie(lie);
      // Whose body is asked for is settled by who was first.
      for (let blocks = 0; (await upstream(scene.sprint, "eth-1")).state !== "cordoned" && blocks < 40; blocks++) {
        await token.transfer(2);
        const [hash = ""] = await anvil.mine(1);
        await proved(scene, "ethereum", hash);
      }
      const { cordon } = await cordoned(scene, "eth-1", code);
      t.diagnostic(cordon?.reason.slice(0, 120) ?? "");
      assert.ok(liar.told > 0);
      await goesOn(scene);
    });
  }

  test("null for every body: nobody's fault, the other one is asked", async (t) => {
    const scene = await evmScene(t);
    scene.liar.lie((method, result) => (method === "eth_getBlockByHash" ? null : result));
    for (let turn = 0; turn < 5; turn++) await goesOn(scene);
    assert.ok(scene.liar.told > 0);
  });

  test("heads under a name that is not theirs are told by nobody", async (t) => {
    const scene = await evmScene(t);
    const { liar, client } = scene;
    const name = `0x${"77".repeat(32)}`;
    const renamed = (head: Record<string, unknown>): unknown =>
      typeof head["parentHash"] === "string" ? { ...head, hash: name } : head;
    liar.lie(changed("push", renamed));
    for (let turn = 0; turn < 3; turn++) await goesOn(scene);
    assert.ok(liar.told > 0);
    assert.ok(!client.events.some(({ data }) => JSON.stringify(data).includes(name)));
  });

  test("a node of another chain id", async (t) => {
    const anvil = await startAnvil();
    t.after(() => anvil.close());
    const token = await deployToken(anvil);
    await anvil.mine(19);
    const foreign = await startAnvil({ chainId: 999 });
    t.after(() => foreign.close());
    const scene = await sceneOf(t, "ethereum", [`${foreign.url}?network=devnet`, `${anvil.url}?network=devnet`]);
    const { last_error: error, state } = await upstreamOnce(scene.sprint, "eth-1", (each) => each.last_error !== null);
    assert.equal(error?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
    assert.notEqual(state, "up");
    await goesOn({ ...scene, anvil, token, liar: null as never });
  });

  test("a node that goes back past finality, and on from there", async (t) => {
    const scene = await evmScene(t);
    const { anvil, sprint, client, liar } = scene;
    const other = await startAnvil();
    t.after(() => other.close());
    await other.rpc("anvil_loadState", [await anvil.rpc("anvil_dumpState", [true])]);
    await liar.close();
    const twin = await sceneOf(t, "ethereum", [`${other.url}?network=devnet`, `${anvil.url}?network=devnet`]);
    await sprint.stop();
    await client.close();
    for (const name of ["eth-1", "eth-2"]) await upstreamOnce(twin.sprint, name, ({ state }) => state === "up");
    await proved(twin, "ethereum", (await anvil.mine(1))[0] ?? "");
    await other.rollback(18);
    await other.mine(30);
    await cordoned(twin, "eth-1", /^SPRINT_UPSTREAM_(PAST_FINALITY|NO_FORK)/);
    await goesOn({ ...scene, ...twin });
  });
});

describe("a Solana node that lies beside one that does not", () => {
  const LIES: Readonly<Partial<Record<SvmLie, RegExp>>> = {
    "bad-signature": /^SPRINT_SVM_/,
    "wrong-blockhash": /^SPRINT_UPSTREAM_CONTRADICTION/,
    "wrong-parent": /^SPRINT_UPSTREAM_CONTRADICTION/,
  };
  const NO_FAULT: readonly SvmLie[] = ["null-block", "silent"];

  async function svmScene(t: TestContext): Promise<Scene & { honest: SvmDevnetNode; liar: SvmDevnetNode }> {
    const modules = { clock: systemClock, random: seededRandom(5) };
    const honest = new SvmDevnetNode({ slotMs: 150, forkChance: 0, deadChance: 0 }, modules);
    await honest.start();
    t.after(() => honest.close());
    const liar = new SvmDevnetNode({ slotMs: null }, { ...modules, ledger: honest.ledger });
    await liar.start();
    t.after(() => liar.close());
    const scene = await sceneOf(t, "solana", [`${liar.url}?network=localnet`, `${honest.url}?network=localnet`]);
    await upstreamOnce(scene.sprint, "sol-2", ({ state }) => state === "up");
    return { ...scene, honest, liar };
  }

  async function goesOn(scene: Scene & { honest: SvmDevnetNode }): Promise<void> {
    const { honest, client } = scene;
    const enough = client.checker.path("solana").length + 8;
    while (client.checker.path("solana").length < enough) await client.next();
    await othersUndisturbed(scene);
    const truth = honest.blocks.map(({ hash }) => hash);
    const path = client.checker.path("solana");
    const from = truth.indexOf(path[0] ?? "");
    assert.deepEqual(path, truth.slice(from, from + path.length));
  }

  for (const [lie, code] of Object.entries(LIES) as [SvmLie, RegExp][]) {
    test(lie, async (t) => {
      const scene = await svmScene(t);
      scene.liar.lie(lie, true);
      const { cordon } = await cordoned(scene, "sol-1", code);
      t.diagnostic(cordon?.reason.slice(0, 120) ?? "");
      await goesOn(scene);
    });
  }

  for (const lie of NO_FAULT) {
    test(`${lie}: blocks come all the same`, async (t) => {
      const scene = await svmScene(t);
      scene.liar.lie(lie, true);
      await goesOn(scene);
      const { state, last_error: error, cordon } = await upstream(scene.sprint, "sol-1");
      t.diagnostic(`${state} ${error?.code ?? ""} ${cordon?.reason ?? ""}`);
    });
  }
});
