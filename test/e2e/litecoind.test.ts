/** The real daemon on a real litecoind: every block that the node mines reaches a subscriber, in order, once. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import {
  atSameBlock,
  hasLitecoind,
  joinNodes,
  type Litecoind,
  mineOther,
  partNodes,
  startLitecoind,
} from "../fakes/litecoind.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { subscribe, type TestSubscriber } from "../fakes/subscriber.ts";
import { until } from "./watch.ts";

const skip = hasLitecoind() ? false : "litecoind is not installed";
const MWEB_FROM_GENESIS = "-vbparams=mweb:0:0";

/** Waits until the stream's best chain ends with the node's own best block. */
async function caughtUp(client: TestSubscriber, node: Litecoind): Promise<string> {
  const best = await node.rpc<string>("getbestblockhash");
  while (client.checker.tip("litecoin") !== best) await client.next();
  return best;
}

async function nodeChain(node: Litecoind, from: number): Promise<string[]> {
  const height = await node.rpc<number>("getblockcount");
  const hashes: string[] = [];
  for (let h = from; h <= height; h++) hashes.push((await node.rpc("getblockhash", [h])) as string);
  return hashes;
}

/** The stream told exactly the node's best chain, from the first block heard on. */
async function assertSameChain(client: TestSubscriber, node: Litecoind): Promise<void> {
  await caughtUp(client, node);
  client.checker.assertClean();
  const path = client.checker.path("litecoin");
  const truth = await nodeChain(node, 0);
  assert.deepEqual(path, truth.slice(-path.length));
}

for (const kind of ["p2p", "rpc"] as const) {
  describe(`litecoind over ${kind}`, { skip }, () => {
    const stops: (() => Promise<unknown>)[] = [];
    after(async () => {
      for (const stop of stops.reverse()) await stop();
    });

    async function relay(node: Litecoind): Promise<{ sprint: SprintProcess; client: TestSubscriber }> {
      const url =
        kind === "p2p"
          ? `p2p://127.0.0.1:${node.p2pPort}?network=regtest`
          : `http://127.0.0.1:${node.rpcPort}?network=regtest&cookie=${encodeURIComponent(node.cookiePath)}`;
      const sprint = await startSprint({ args: ["--tier", "ENTERPRISE", "--chain", `litecoin=${url}`] });
      stops.push(() => sprint.stop());
      const client = await subscribe(sprint.tiers.ENTERPRISE ?? "");
      stops.push(() => client.close());
      return { sprint, client };
    }

    test("blocks, a two-node reorg of depth 5, kill -9 and restart of the node", async () => {
      const a = await startLitecoind({ args: [MWEB_FROM_GENESIS] });
      stops.push(() => a.stop());
      const b = await startLitecoind({ args: [MWEB_FROM_GENESIS] });
      stops.push(() => b.stop());
      await a.mine(10);
      await joinNodes(a, b);
      const { client } = await relay(a);

      await a.mine(5);
      await assertSameChain(client, a);
      const validated = await client.next((e) => e.type === "block" && e.phase === "validated");
      assert.equal(validated.type === "block" && validated.data.validation, "full");

      // The nodes part, A mines 5 and B 6; joined again, A gives up its 5.
      await until(
        () => atSameBlock(a, b),
        () => "the nodes stayed on different blocks",
      );
      await until(
        () => partNodes(a, b),
        () => "the nodes stayed connected",
      );
      await a.mine(5);
      await caughtUp(client, a);
      await mineOther(b, 6);
      await joinNodes(a, b);
      const reorg = await client.next((e) => e.type === "reorg");
      assert.equal(reorg.type === "reorg" && reorg.data.depth, 5);
      await until(
        () => atSameBlock(a, b),
        () => "the nodes stayed on different blocks",
      );
      await assertSameChain(client, a);

      // The node dies and comes back at the same address with three more blocks.
      await a.rpc("gettxoutsetinfo");
      await a.kill();
      await a.restart();
      await a.mine(3);
      await assertSameChain(client, a);
    });

    test("MWEB activation", async () => {
      const node = await startLitecoind({ wallet: true });
      stops.push(() => node.stop());
      const { client } = await relay(node);
      await node.rpc("createwallet", ["w"]);
      const plain = (await node.rpc("getnewaddress", [])) as string;
      await node.rpc("generatetoaddress", [431, plain]);
      const mweb = (await node.rpc("getnewaddress", ["", "mweb"])) as string;
      await node.rpc("sendtoaddress", [mweb, 1]);
      await node.rpc("generatetoaddress", [3, plain]);
      await assertSameChain(client, node);
      const last = await node.rpc<string>("getbestblockhash");
      await client.next((e) => e.type === "block" && e.phase === "validated" && e.data.hash === last);
      client.checker.assertClean();
    });
  });
}
