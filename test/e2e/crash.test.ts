/** kill -9 of the daemon while 100 clients listen: after the restart each takes up its stream where it was. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DevnetNode, startBitcoinNode } from "../fakes/devnet.ts";
import { startSprint } from "../fakes/sprint.ts";
import { subscribe } from "../fakes/subscriber.ts";

const CLIENTS = 100;

test("100 clients resume with their cursors after kill -9", async () => {
  const stops: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  const node: DevnetNode = await startBitcoinNode();
  stops.push(() => node.close());
  const dataDir = await mkdtemp(join(tmpdir(), "sprint-crash-"));
  stops.push(() => rm(dataDir, { recursive: true, force: true }));
  const args = ["--tier", "ENTERPRISE", "--chain", `bitcoin=p2p://127.0.0.1:${node.address.port}?network=regtest`];

  const first = await startSprint({ args, dataDir });
  stops.push(() => first.kill());
  const address = first.tiers.ENTERPRISE ?? "";
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => subscribe(address)));
  await node.mine(5);
  const best = node.store.tip.hash;
  for (const client of clients) while (client.checker.tip("bitcoin") !== best) await client.next();

  await first.kill();
  await Promise.all(clients.map((client) => client.closed));
  await node.mine(4);

  const second = await startSprint({ args, dataDir, port: Number(new URL(address).port) });
  stops.push(() => second.stop());
  const resumed = await Promise.all(
    clients.map((client) => subscribe(`${address}/ws/v1/events?cursor=${client.cursor}`, { checker: client.checker })),
  );
  for (const client of resumed) stops.push(() => client.close());
  await node.mine(1);
  for (const client of resumed) {
    const hello = await client.next((event) => event.type === "hello");
    assert.equal(hello.type === "hello" && hello.data.recovered, true);
    while (client.checker.tip("bitcoin") !== node.store.tip.hash) await client.next();
    client.checker.assertClean();
    assert.deepEqual(
      client.events.filter((event) => event.type === "gap"),
      [],
    );
  }
});
