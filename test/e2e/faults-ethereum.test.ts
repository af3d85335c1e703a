/** Nodes of Ethereum that lie: who lies is taken out with the code, who does not goes on, other chains do not notice. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { type Anvil, hasAnvil, startAnvil } from "../fakes/anvil.ts";
import { type Liar, type Lie, startLiar } from "../fakes/liar.ts";
import { deployToken, type Token } from "../fakes/token.ts";
import { cordoned, othersUndisturbed, proved, type Scene, sceneOf } from "./faults-scene.ts";
import { upstream, upstreamOnce } from "./watch.ts";

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
