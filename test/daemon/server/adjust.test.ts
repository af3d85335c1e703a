import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { type HandshakeRefused, subscribe } from "../../fakes/subscriber.ts";
import { startFake } from "./daemon.ts";

const UNLIMITED = { connections: Number.POSITIVE_INFINITY, apiCallsPerMinute: Number.POSITIVE_INFINITY };

test("calls per minute: a tier without a limit gets one, another, and none again", async () => {
  await using daemon = await startFake();
  const { tier, server } = daemon;
  const call = async (): Promise<[number, string | null]> => {
    const response = await fetch(`${tier}/api/v1/version`);
    await response.arrayBuffer();
    return [response.status, response.headers.get("ratelimit-limit")];
  };
  const limitTo = (apiCallsPerMinute: number): void =>
    server.adjust({ tiers: { ENTERPRISE: { ...UNLIMITED, apiCallsPerMinute } } });

  for (let i = 0; i < 5; i++) assert.deepEqual(await call(), [200, null]);
  limitTo(3);
  for (let i = 0; i < 3; i++) assert.deepEqual(await call(), [200, "3"], "calls before the limit do not count");
  assert.deepEqual(await call(), [429, "3"]);
  const refused = (await subscribe(tier).catch((error: unknown) => error)) as HandshakeRefused;
  assert.equal(refused.status, 429, "handshakes draw on the same");
  assert.match(refused.body.error.message, /3 calls per minute/);
  assert.equal((await fetch(`${tier}/nothing`)).status, 429, "so do paths that are none");
  assert.equal((await fetch(`${tier}/healthz`)).status, 200);
  limitTo(100);
  assert.deepEqual(await call(), [200, "100"]);
  limitTo(2);
  assert.deepEqual(await call(), [429, "2"]);
  server.adjust({ tiers: { ENTERPRISE: UNLIMITED } });
  for (let i = 0; i < 5; i++) assert.deepEqual(await call(), [200, null]);
  await (await subscribe(tier)).close();
});

test("connections: a lower limit sends nobody away and lets nobody in until enough have left", async () => {
  await using daemon = await startFake();
  const { tier, server, chain } = daemon;
  const subscribers = [await subscribe(tier), await subscribe(tier), await subscribe(tier)];
  const limitTo = (connections: number): void =>
    server.adjust({ tiers: { ENTERPRISE: { ...UNLIMITED, connections } } });
  const refused = async (): Promise<number> => {
    const error = await subscribe(tier).catch((thrown: unknown) => thrown);
    return (error as HandshakeRefused).status;
  };
  limitTo(2);
  assert.deepEqual(
    server.listeners().map(({ connections, connections_limit: limit }) => [connections, limit]),
    [[3, 2]],
  );
  assert.equal(await refused(), 429);
  const sent = chain.mine();
  for (const subscriber of subscribers) {
    const heard = await subscriber.next((event) => event.type === "block");
    assert.equal(heard.cursor, sent.cursor, "every socket is kept");
  }
  await subscribers[0]?.close();
  while ((server.listeners()[0]?.connections ?? 0) > 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await refused(), 429, "two of two");
  limitTo(3);
  const third = await subscribe(tier);
  assert.equal(await refused(), 429);
  server.adjust({});
  assert.equal(server.listeners()[0]?.connections_limit, 3, "what is left out stays");
  server.adjust({ tiers: { ENTERPRISE: UNLIMITED } });
  assert.equal(server.listeners()[0]?.connections_limit, null);
  const fourth = await subscribe(tier);
  for (const subscriber of [...subscribers.slice(1), third, fourth]) await subscriber.close();
});

test("connections: a higher limit lets those in who came too early and have not asked yet", async () => {
  await using daemon = await startFake({ connections: 1 });
  const { tier, server } = daemon;
  const subscriber = await subscribe(tier);
  const early = connect(Number(new URL(tier).port), "127.0.0.1").setEncoding("latin1");
  await once(early, "connect");
  // Its place is refused by the time that one who came after it has its answer.
  assert.equal((await fetch(`${tier}/api/v1/version`)).status, 429);
  server.adjust({ tiers: { ENTERPRISE: { ...UNLIMITED, connections: 2 } } });
  early.write("GET /api/v1/version HTTP/1.1\r\nHost: x\r\n\r\n");
  const [answer] = (await once(early, "data")) as [string];
  assert.match(answer, /^HTTP\/1\.1 200/);
  assert.equal(server.listeners()[0]?.connections, 2);
  early.destroy();
  while (server.listeners()[0]?.connections !== 1) await new Promise((resolve) => setImmediate(resolve));
  await subscriber.close();
});
