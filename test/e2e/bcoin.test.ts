/** The real daemon on a real bcoin: every block that the node mines reaches a subscriber, in order, once, and proved. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Bcoin, bcoinMissing, startBcoin } from "../fakes/bcoin.ts";
import { startSprint } from "../fakes/sprint.ts";
import { type TestSubscriber, subscribe } from "../fakes/subscriber.ts";

for (const kind of ["p2p", "rpc"] as const) {
  describe(`bcoin over ${kind}`, () => {
    const stops: (() => Promise<unknown>)[] = [];
    let node: Bcoin | null = null;
    let client: TestSubscriber;

    before(async () => {
      node = await startBcoin();
      if (node === null) return;
      const { p2pPort, rpcUrl, stop } = node;
      stops.push(stop);
      await node.mine(3);
      const url = kind === "p2p" ? `p2p://127.0.0.1:${p2pPort}` : rpcUrl;
      const sprint = await startSprint({ args: ["--tier", "ENTERPRISE", "--chain", `bitcoin=${url}?network=regtest`] });
      stops.push(() => sprint.stop());
      client = await subscribe(sprint.tiers.ENTERPRISE ?? "");
      stops.push(() => client.close());
      await caughtUp(node);
    });
    after(async () => {
      for (const stop of stops.reverse()) await stop();
    });

    /** Waits until the stream's best chain ends with the node's best block, its body proved; holds the whole of it against the node. */
    async function caughtUp(bcoin: Bcoin): Promise<void> {
      const best = (await bcoin.rpc("getbestblockhash")) as string;
      const isProved = (): boolean =>
        client.events.some((e) => e.type === "block" && e.phase === "validated" && e.data.hash === best);
      while (client.checker.tip("bitcoin") !== best || !isProved()) await client.next();
      client.checker.assertClean();
      assert.deepEqual(
        client.events.filter((e) => e.type === "gap"),
        [],
      );
      const path = client.checker.path("bitcoin");
      const height = (await bcoin.rpc("getblockcount")) as number;
      const truth: string[] = [];
      for (let at = height - path.length + 1; at <= height; at++)
        truth.push((await bcoin.rpc("getblockhash", [at])) as string);
      assert.deepEqual(path, truth);
    }

    test("blocks one by one and in a burst, each announced and then validated in full", async (t) => {
      if (node === null) return t.skip(bcoinMissing());
      const hashes: string[] = [];
      for (let i = 0; i < 3; i++) {
        hashes.push(...(await node.mine(1)));
        await caughtUp(node);
      }
      hashes.push(...(await node.mine(10)));
      await caughtUp(node);
      for (const hash of hashes) {
        const told = client.events.filter((e) => e.type === "block" && e.data.hash === hash);
        assert.deepEqual(
          told.map((e) => e.type === "block" && [e.phase, e.data.validation]),
          [
            ["announced", "header"],
            ["validated", "full"],
          ],
        );
      }
    });

    test("a reorg of depth 3", async (t) => {
      if (node === null) return t.skip(bcoinMissing());
      const height = (await node.rpc("getblockcount")) as number;
      const old = (await node.rpc("getblockhash", [height - 2])) as string;
      await node.rpc("invalidateblock", [old]);
      assert.equal(await node.rpc("getblockcount"), height - 3);
      await node.mine(5);
      await caughtUp(node);
      const reorg = client.events.findLast((e) => e.type === "reorg");
      assert.equal(reorg?.type === "reorg" && reorg.data.depth, 3);
      assert.equal(reorg?.type === "reorg" && reorg.data.reverted.at(-1)?.hash, old);
    });

    test("killed and started again at the same address, with three more blocks", async (t) => {
      if (node === null) return t.skip(bcoinMissing());
      await node.restart();
      await node.mine(3);
      await caughtUp(node);
    });
  });
}
