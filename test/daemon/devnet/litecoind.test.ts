/** What a real node makes of a devnet node: it follows it, block by block and through a reorg. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import { DevnetNode } from "../../../src/daemon/devnet/index.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { hasLitecoind, startLitecoind } from "../../fakes/litecoind.ts";

const params = paramsFor("litecoin", "regtest");
const skip = !hasLitecoind() && "litecoind is not installed";

test("litecoind accepts the devnet's blocks and reorgs with it", { skip, timeout: 60_000 }, async (context) => {
  const node = new DevnetNode(
    { chain: "litecoin", maxTransactions: 0 },
    { codec: { params }, clock: systemClock, random: seededRandom(3) },
  );
  await node.start();
  context.after(() => node.close());
  const litecoind = await startLitecoind({ args: [`-connect=127.0.0.1:${node.address.port}`] });
  context.after(() => litecoind.stop());

  const reaches = async (hash: string): Promise<void> => {
    while ((await litecoind.rpc("getbestblockhash")) !== hash) await sleep(20);
  };
  await reaches(node.tip.hash);
  await node.mine(10);
  await reaches(node.tip.hash);
  await node.fork(5, 6);
  await reaches(node.tip.hash);
  assert.equal(node.tip.height, 23);
  const tips = await litecoind.rpc<{ status: string; branchlen: number }[]>("getchaintips");
  assert.deepEqual(tips.map((tip) => `${tip.status} ${tip.branchlen}`).toSorted(), ["active 0", "valid-fork 5"]);
});

test(
  "litecoind accepts the form of blocks with transactions and refuses only coins that are not there",
  { skip, timeout: 60_000 },
  async (context) => {
    const node = new DevnetNode(
      { chain: "litecoin" },
      { codec: { params }, clock: systemClock, random: seededRandom(4) },
    );
    await node.start();
    context.after(() => node.close());
    const litecoind = await startLitecoind();
    context.after(() => litecoind.stop());

    const hashes = node.blocks.slice(1).map((hash) => node.store.get(hash));
    const verdicts = new Set<string | null>();
    for (const block of hashes) {
      if (block === undefined) continue;
      const count = Buffer.from([block.transactions.length]);
      const raw = Buffer.concat([block.header, count, ...block.transactions.map((tx) => tx.bytes)]);
      verdicts.add(await litecoind.rpc<string | null>("submitblock", [raw.toString("hex")]));
      if (verdicts.has("bad-txns-inputs-missingorspent")) break;
    }
    assert.ok(verdicts.has("bad-txns-inputs-missingorspent"));
    verdicts.delete("bad-txns-inputs-missingorspent");
    verdicts.delete(null);
    assert.deepEqual([...verdicts], []);
  },
);
