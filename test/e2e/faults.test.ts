/** Nodes that lie, stall, stammer and leave: whose fault it is shows, the stream stays clean, other chains do not notice. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { paramsFor } from "../../src/daemon/chain/index.ts";
import type { DevnetNode, Lie } from "../../src/daemon/devnet/index.ts";
import type { UpstreamsBody } from "../../src/shared/api.ts";
import type { UtxoChain } from "../../src/shared/chain.ts";
import { startNode, twinOf } from "../fakes/devnet.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { type TestSubscriber, subscribe } from "../fakes/subscriber.ts";
import { ask, upstream, upstreamOnce } from "./watch.ts";

describe("two nodes of one chain, one of them wrong", () => {
  const stops: (() => Promise<unknown>)[] = [];
  let sprint: SprintProcess;
  let client: TestSubscriber;
  const nodes = {} as Record<UtxoChain, { first: DevnetNode; second: DevnetNode }>;
  const short: Record<UtxoChain, string> = { bitcoin: "btc", litecoin: "ltc", dogecoin: "doge" };

  before(async () => {
    const args = ["--tier", "ENTERPRISE"];
    for (const chain of ["bitcoin", "litecoin", "dogecoin"] as const) {
      // Dogecoin is merged-mined from height 20 on.
      const first = await startNode(chain, { historyBlocks: chain === "dogecoin" ? 24 : 12 });
      stops.push(() => first.close());
      const second = await twinOf(first, 2);
      stops.push(() => second.close());
      nodes[chain] = { first, second };
      for (const node of [first, second]) args.push("--chain", `${chain}=${node.url}`);
    }
    sprint = await startSprint({ args });
    stops.push(() => sprint.stop());
    client = await subscribe(sprint.tiers.ENTERPRISE ?? "");
    stops.push(() => client.close());
    for (const chain of ["bitcoin", "litecoin", "dogecoin"] as const) {
      for (const which of [1, 2]) await upstreamOnce(sprint, `${short[chain]}-${which}`, ({ state }) => state === "up");
    }
  });
  after(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  /** The stream's best chain ends as the nodes' does, its last body proved; nothing was told twice or out of order. */
  async function assertServed(chain: UtxoChain): Promise<void> {
    const { hash } = nodes[chain].first.tip;
    const proved = (): boolean =>
      client.events.some((e) => e.type === "block" && e.phase === "validated" && e.data.hash === hash);
    while (client.checker.tip(chain) !== hash || !proved()) await client.next();
    client.checker.assertClean();
    const path = client.checker.path(chain);
    assert.deepEqual(path, nodes[chain].first.blocks.slice(-path.length));
  }

  /** How the upstreams of all other chains stand: the same before and after what happens to this one. */
  async function others(chain: UtxoChain): Promise<unknown> {
    const { upstreams } = await ask<UpstreamsBody>(sprint, "/control/v1/upstreams");
    return upstreams
      .filter((each) => each.chain !== chain)
      .map(({ name, state, connects, cordon }) => ({ name, state, connects, cordon }));
  }

  const lies: readonly { chain: UtxoChain; lie: Lie; code: RegExp }[] = [
    { chain: "dogecoin", lie: "bad-auxpow", code: /^SPRINT_AUXPOW_/ },
    { chain: "dogecoin", lie: "bad-work", code: /^SPRINT_WORK_HIGH_HASH$/ },
    { chain: "bitcoin", lie: "bad-work", code: /^SPRINT_WORK_HIGH_HASH$/ },
    { chain: "bitcoin", lie: "bad-bits", code: /^SPRINT_HEADER_BITS$/ },
    { chain: "bitcoin", lie: "bad-time", code: /^SPRINT_HEADER_TIME_TOO_OLD$/ },
    { chain: "bitcoin", lie: "unknown-parent", code: /^SPRINT_UPSTREAM_UNLINKED$/ },
    { chain: "bitcoin", lie: "bad-merkle", code: /^SPRINT_BLOCK_BAD_MERKLE_ROOT$/ },
  ];
  for (const { chain, lie, code } of lies) {
    test(`${chain}, ${lie}: its upstream is taken out with the code, the other one goes on`, async () => {
      const name = `${short[chain]}-1`;
      const { first } = nodes[chain];
      const told = client.events.length;
      const undisturbed = await others(chain);
      const hash = await first.lie(lie);
      const out = await upstreamOnce(sprint, name, ({ state }) => state === "cordoned");
      assert.match(out.cordon?.reason.split(":")[0] ?? "", code);
      await assertServed(chain);
      const news = client.events.slice(told);
      // Only a lie about the body can be told at all; it is taken back.
      const toldIt = news.some((e) => e.type === "block" && e.data.hash === hash);
      assert.equal(toldIt, lie === "bad-merkle");
      assert.ok(!client.checker.path(chain).includes(hash));

      await first.mine(2);
      await assertServed(chain);
      const last = client.events.findLast((e) => e.type === "block" && e.chain === chain);
      assert.equal(last?.type === "block" && last.data.upstream, `${short[chain]}-2`);
      assert.deepEqual(await others(chain), undisturbed);

      await ask(sprint, `/control/v1/upstreams/${name}/uncordon`, {});
      await upstreamOnce(sprint, name, ({ state }) => state === "up");
    });
  }

  const MAGIC = Buffer.from(paramsFor("bitcoin", "regtest").magic);
  const message = (command: string, length: number, checksum: Buffer): Buffer => {
    const header = Buffer.alloc(24);
    MAGIC.copy(header);
    header.write(command, 4, "latin1");
    header.writeUInt32LE(length, 16);
    checksum.copy(header, 20);
    return header;
  };
  const checksumOfZero = Buffer.from("1406e058", "hex");
  const garbage: readonly { what: string; bytes: Buffer; code: string }[] = [
    { what: "another network's magic", bytes: Buffer.alloc(24, 0xd9), code: "SPRINT_UPSTREAM_WRONG_NETWORK" },
    {
      what: "a length beyond all bounds",
      bytes: message("block", 0xffff_fff0, Buffer.alloc(4)),
      code: "SPRINT_P2P_OVERSIZED",
    },
    {
      what: "a wrong checksum",
      bytes: Buffer.concat([message("inv", 1, Buffer.alloc(4, 1)), Buffer.from([0])]),
      code: "SPRINT_P2P_BAD_CHECKSUM",
    },
    {
      what: "a block of one byte",
      bytes: Buffer.concat([message("block", 1, checksumOfZero), Buffer.from([0])]),
      code: "SPRINT_DECODE_TRUNCATED",
    },
  ];
  for (const { what, bytes, code } of garbage) {
    test(`${what}: hung up on with ${code}, dialled again`, async () => {
      const before = await upstream(sprint, "btc-1");
      nodes.bitcoin.first.sendRaw(bytes);
      const back = await upstreamOnce(
        sprint,
        "btc-1",
        ({ state, connects }) => state === "up" && connects > before.connects,
      );
      assert.equal(back.last_error?.code, code);
      assert.equal(back.cordon, null);
      await nodes.bitcoin.first.mine();
      await assertServed("bitcoin");
    });
  }

  test("messages split byte by byte are as good as whole ones", async () => {
    const { first, second } = nodes.bitcoin;
    const before = [await upstream(sprint, "btc-1"), await upstream(sprint, "btc-2")];
    for (const node of [first, second]) node.splitMessages(1);
    await first.mine(3);
    await assertServed("bitcoin");
    for (const node of [first, second]) node.splitMessages(Number.POSITIVE_INFINITY);
    for (const { name, connects } of before) assert.equal((await upstream(sprint, name)).connects, connects);
  });

  test("a node that keeps its socket open and says nothing: blocks come from the other", async () => {
    const { first, second } = nodes.litecoin;
    first.stall();
    const told = client.events.length;
    await second.mine(3);
    await assertServed("litecoin");
    for (const event of client.events.slice(told)) {
      if (event.type === "block" && event.chain === "litecoin") assert.equal(event.data.upstream, "ltc-2");
    }
    first.resume();
    await second.mine();
    await assertServed("litecoin");
  });

  test("both nodes gone, blocks mined meanwhile: the gap is filled in order, a reorg in it is told", async () => {
    const { first, second } = nodes.litecoin;
    const undisturbed = await others("litecoin");
    await first.close();
    await second.close();
    await upstreamOnce(sprint, "ltc-1", ({ state }) => state !== "up");
    await upstreamOnce(sprint, "ltc-2", ({ state }) => state !== "up");
    const hidden = await twinOf(first, 3);
    await hidden.fork(2, 3);
    await hidden.mine(4);
    await hidden.close();
    await first.start();
    await second.start();
    const reorg = await client.next((e) => e.type === "reorg" && e.chain === "litecoin");
    assert.equal(reorg.type === "reorg" && reorg.data.depth, 2);
    await assertServed("litecoin");
    assert.deepEqual(
      client.events.filter((e) => e.type === "gap"),
      [],
    );
    assert.deepEqual(await others("litecoin"), undisturbed);
  });
});
