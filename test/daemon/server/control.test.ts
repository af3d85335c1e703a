import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { WebSocket } from "ws";
import type { ControlMessage } from "../../../src/shared/api.ts";
import { type HandshakeRefused, subscribe } from "../../fakes/subscriber.ts";
import { startFake, TOKEN } from "./daemon.ts";

const bearer = { authorization: `Bearer ${TOKEN}` };

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- what an answer holds is what the test is about
  readonly body: any;
}

async function ask(url: string, init: RequestInit = { headers: bearer }): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith("{") ? JSON.parse(text) : text };
}

function post(url: string, body: unknown): ReturnType<typeof ask> {
  return ask(url, {
    method: "POST",
    headers: { ...bearer, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

test("nothing is answered without the token, nor with a wrong one", async () => {
  await using daemon = await startFake();
  const paths = ["/control/v1/status", "/control/v1/config", "/metrics", "/control/v1/nothing"];
  for (const path of paths) {
    const none = await ask(daemon.control + path, {});
    assert.deepEqual([none.status, none.body.error.code], [401, "SPRINT_CONTROL_NO_TOKEN"], path);
    assert.equal(none.headers.get("www-authenticate"), "Bearer");
    for (const authorization of ["Bearer wrong", `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`]) {
      const wrong = await ask(daemon.control + path, { headers: { authorization } });
      assert.deepEqual([wrong.status, wrong.body.error.code], [401, "SPRINT_CONTROL_WRONG_TOKEN"], path);
    }
  }
  assert.equal(
    (await ask(daemon.control + "/control/v1/status", { headers: { authorization: `Basic ${TOKEN}` } })).status,
    401,
  );
  assert.equal((await ask(daemon.control + "/control/v1/stop", { method: "POST" })).status, 401);
  assert.equal(daemon.stops, 0);
});

test("status, topology, upstreams, breakers, config, race and metrics", async () => {
  await using daemon = await startFake();
  const { control, chain } = daemon;
  chain.mine("bitcoin");
  const subscriber = await subscribe(daemon.tier);

  const { body: status } = await ask(`${control}/control/v1/status`);
  assert.deepEqual(
    [status.version, status.pid, status.network, status.draining],
    ["0.1.0", process.pid, "devnet", false],
  );
  assert.ok(status.uptime_seconds >= 1 && status.rss_bytes > 1e6);
  assert.deepEqual(status.tiers, [
    { tier: "ENTERPRISE", url: daemon.tier, connections: 1, connections_limit: null, subscribers: 1 },
  ]);
  assert.deepEqual(status.relay_latency_ms, { p50: 0.4, p99: 2, count: 10 });
  assert.equal(status.chains[0].tip.height, 100);

  const { body: topology } = await ask(`${control}/control/v1/topology`);
  assert.deepEqual(topology.chains, [
    { chain: "bitcoin", network: "regtest", upstreams: ["btc-1"] },
    { chain: "litecoin", network: "regtest", upstreams: [] },
  ]);
  assert.deepEqual(topology.fanout, { processes: [] });

  const { body: upstreams } = await ask(`${control}/control/v1/upstreams`);
  assert.equal(upstreams.upstreams[0].name, "btc-1");
  assert.ok(upstreams.upstreams[0].progress_age_ms >= 0);

  const { body: breakers } = await ask(`${control}/control/v1/breakers`);
  const [breaker] = breakers.breakers;
  assert.deepEqual([breaker.state, breaker.failure_rate, breaker.failures], ["open", 0.25, 3]);
  const inMs = Date.parse(breaker.next_attempt_at) - Date.now();
  assert.ok(inMs > 0 && inMs <= 60_000, `next attempt in ${inMs} ms`);
  assert.deepEqual((await ask(`${control}/control/v1/breakers/upstream:bitcoin:btc-1`)).body.name, breaker.name);
  const unknown = await ask(`${control}/control/v1/breakers/store`);
  assert.deepEqual([unknown.status, unknown.body.error.code], [404, "SPRINT_CONTROL_BREAKER_UNKNOWN"]);

  assert.deepEqual((await ask(`${control}/control/v1/config`)).body, { tier: "ENTERPRISE" });
  const { body: race } = await ask(`${control}/control/v1/race?chain=bitcoin&last=5`);
  assert.deepEqual(race.blocks[0].arrivals, [{ upstream: "btc-1", via: "cmpctblock", behind_ms: 0 }]);
  assert.match((await ask(`${control}/metrics`)).body, /sprint_test_total/);
  await subscriber.close();
});

test("bad input of the control API names the field", async () => {
  await using daemon = await startFake();
  const { control } = daemon;
  const told = async (answer: ReturnType<typeof ask>): Promise<unknown[]> => {
    const { status, body } = await answer;
    return [status, body.error.code, body.error.details.field];
  };
  assert.deepEqual(await told(ask(`${control}/control/v1/race`)), [400, "SPRINT_API_BAD_INPUT", "chain"]);
  assert.deepEqual(await told(ask(`${control}/control/v1/race?chain=bitcoin&last=no`)), [
    400,
    "SPRINT_API_BAD_INPUT",
    "last",
  ]);
  assert.deepEqual(await told(ask(`${control}/control/v1/race?chain=dogecoin`)), [
    404,
    "SPRINT_API_CHAIN_OFF",
    undefined,
  ]);
  const cordon = `${control}/control/v1/upstreams/btc-1/cordon`;
  assert.deepEqual(await told(post(cordon, { reason: 5 })), [400, "SPRINT_API_BAD_INPUT", "reason"]);
  assert.deepEqual(await told(post(cordon, { for_ms: -1 })), [400, "SPRINT_API_BAD_INPUT", "for_ms"]);
  assert.deepEqual(await told(post(cordon, { forever: true })), [400, "SPRINT_API_BAD_INPUT", "forever"]);
  assert.deepEqual(await told(post(`${control}/control/v1/upstreams/none/cordon`, {})), [
    404,
    "SPRINT_CONTROL_UPSTREAM_UNKNOWN",
    undefined,
  ]);
  assert.deepEqual(await told(post(`${control}/control/v1/upstreams/none/uncordon`, {})), [
    404,
    "SPRINT_CONTROL_UPSTREAM_UNKNOWN",
    undefined,
  ]);
  assert.deepEqual(await told(ask(`${control}/api/v1/version`)), [404, "SPRINT_API_NOT_FOUND", undefined]);
  assert.match((await ask(`${control}/api/v1/version`)).body.error.message, /tiers' ports/, "no /openapi.json here");
  assert.deepEqual(daemon.cordons, []);
});

test("cordon, uncordon and stop reach the daemon", async () => {
  await using daemon = await startFake();
  const { control } = daemon;
  assert.deepEqual(
    (await post(`${control}/control/v1/upstreams/btc-1/cordon`, { reason: "maintenance", for_ms: 5_000 })).body,
    { accepted: true },
  );
  assert.deepEqual((await post(`${control}/control/v1/upstreams/btc-1/cordon`, {})).body, { accepted: true });
  assert.deepEqual(daemon.cordons, [
    ["btc-1", "maintenance", 5_000],
    ["btc-1", "operator", Number.POSITIVE_INFINITY],
  ]);
  assert.equal(
    (await ask(`${control}/control/v1/upstreams/btc-1/uncordon`, { method: "POST", headers: bearer })).status,
    200,
  );
  const stop = await ask(`${control}/control/v1/stop`, { method: "POST", headers: bearer });
  assert.deepEqual([stop.status, stop.body], [202, { accepted: true }]);
  assert.equal(daemon.stops, 1);
});

test("the stream tells events, transitions and upstream changes as they happen, to those with the token", async () => {
  await using daemon = await startFake();
  const url = `${daemon.control.replace("http", "ws")}/control/v1/stream`;
  const refused = (await subscribe(url).catch((error: unknown) => error)) as HandshakeRefused;
  assert.deepEqual([refused.status, refused.body.error.code], [401, "SPRINT_CONTROL_NO_TOKEN"]);

  const socket = new WebSocket(url, { headers: bearer });
  const messages: ControlMessage[] = [];
  const four = new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      messages.push(JSON.parse(String(data)) as ControlMessage);
      if (messages.length === 4) resolve();
    });
  });
  await once(socket, "open");
  const sent = daemon.chain.mine("bitcoin");
  daemon.transition({ breaker: "upstream:bitcoin:btc-1", from: "closed", to: "open", at: 1, cause: "3 failures" });
  daemon.upstream({
    name: "btc-1",
    chain: "bitcoin",
    kind: "p2p",
    url: "p2p://127.0.0.1:1",
    state: "down",
    agent: null,
    height: null,
    lastProgressAt: null,
    connects: 1,
    lastError: { code: "SPRINT_UPSTREAM_CLOSED", message: "closed" },
    cordon: null,
  });
  await four;
  assert.deepEqual(
    messages.map(({ type }) => type),
    ["hello", "event", "transition", "upstream"],
  );
  const [, event, transition, upstream] = messages;
  assert.ok(
    event?.type === "event" &&
      event.data.cursor === sent.cursor &&
      !("receivedAt" in event.data) &&
      !("seq" in event.data),
  );
  assert.deepEqual(transition?.data, {
    breaker: "upstream:bitcoin:btc-1",
    from: "closed",
    to: "open",
    cause: "3 failures",
  });
  assert.ok(upstream?.type === "upstream" && upstream.data.state === "down");

  socket.send("hello?");
  const [code] = (await once(socket, "close")) as [number];
  assert.equal(code, 4501);
});

test("a reader of the stream that falls behind is closed, and does not hold up the others", async () => {
  await using daemon = await startFake();
  const url = `${daemon.control.replace("http", "ws")}/control/v1/stream`;
  const slow = new WebSocket(url, { headers: bearer });
  await once(slow, "open");
  slow.pause();
  const closed = once(slow, "close");
  for (let round = 0; round < 400; round++) {
    for (let i = 0; i < 100; i++) daemon.chain.mine();
    await new Promise((resolve) => setImmediate(resolve));
  }
  slow.resume();
  const [code] = (await closed) as [number];
  assert.equal(code, 4008);
});

test("sockets above the control API's limit are dropped, those below are served", async () => {
  await using daemon = await startFake();
  const port = Number(new URL(daemon.control).port);
  const held = Array.from({ length: 256 }, () => connect(port, "127.0.0.1"));
  await Promise.all(held.map((socket) => once(socket, "connect")));
  const over = connect(port, "127.0.0.1").resume();
  over.on("error", () => {});
  await once(over, "close");
  assert.equal(over.bytesRead, 0);
  held[0]?.destroy();
  const [first] = held.slice(1);
  first?.write("GET /control/v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
  const [chunk] = (await once(first as Socket, "data")) as [Buffer];
  assert.match(chunk.toString("latin1"), /^HTTP\/1\.1 401/);
  for (const socket of held) socket.destroy();
});
