/** A devnet node and the relay's own P2P feed understand each other: announcements, headers, bodies, over each chain. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codecFor, paramsFor } from "../../../src/daemon/chain/index.ts";
import { DevnetNode } from "../../../src/daemon/devnet/index.ts";
import { type Announcement, type FeedSink, createP2pFeed } from "../../../src/daemon/upstream/index.ts";
import { UTXO_CHAINS } from "../../../src/shared/chain.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { testBreaker } from "../../fakes/breaker.ts";

for (const chain of UTXO_CHAINS) {
  test(`a feed follows a ${chain} node`, { timeout: 30_000 }, async (context) => {
    const codec = codecFor(paramsFor(chain, "regtest"));
    const random = seededRandom(9);
    const node = new DevnetNode({ chain, historyBlocks: 24 }, { codec, clock: systemClock, random });
    await node.start();
    context.after(() => node.close());

    const heard: Announcement[] = [];
    const downs: string[] = [];
    let wake: () => void = () => {};
    const up = new Promise<void>((resolve) => {
      wake = resolve;
    });
    let announced: () => void = () => {};
    const sink: FeedSink = {
      up: () => wake(),
      announce: (_feed, announcements) => {
        heard.push(...announcements);
        announced();
      },
      down: (_feed, reason) => downs.push(reason),
    };
    const breaker = testBreaker();
    const feed = createP2pFeed(
      { name: "devnet", host: node.address.host, port: node.address.port },
      { codec, clock: systemClock, random, sink, breaker },
    );
    context.after(() => feed.close());
    feed.start();
    await up;
    const signal = AbortSignal.timeout(20_000);
    const headers = await feed.headersAfter([codec.params.genesisHash], signal);
    assert.deepEqual(
      headers.map((header) => header.hash),
      node.blocks.slice(1),
    );
    assert.deepEqual(await feed.headersAfter([node.tip.hash], signal), []);

    for (let i = 0; i < 8; i++) {
      const next = new Promise<void>((resolve) => {
        announced = resolve;
      });
      const [hash = ""] = await node.mine();
      await next;
      const last = heard.at(-1);
      assert.equal(last?.header.hash, hash);
      assert.equal(last?.via, "cmpctblock");
      const verdict = codec.checkBody(await feed.body(hash, signal), { height: node.tip.height, hash: null }, null);
      assert.ok(verdict.ok);
      assert.equal(verdict.facts.txCount, last?.txCount);
    }
    assert.ok((node.seen.messages["getblocktxn"] ?? 0) > 0, "bodies came from compact blocks");
    assert.deepEqual(downs, []);
  });
}
