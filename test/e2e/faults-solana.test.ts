/** Nodes of Solana that lie: who contradicts what is proved, or itself, is taken out with the code, who does not goes on, other chains do not notice. */
import { describe, test, type TestContext } from "node:test";
import assert from "node:assert/strict";
import { SvmDevnetNode, type SvmLie } from "../../src/daemon/devnet/index.ts";
import { seededRandom, systemClock } from "../../src/shared/clock.ts";
import { cordoned, othersUndisturbed, type Scene, sceneOf } from "./faults-scene.ts";
import { upstream, upstreamOnce } from "./watch.ts";

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
