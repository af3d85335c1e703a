import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { Value } from "typebox/value";
import { WebSocket } from "ws";
import { BreakersBody, type ControlMessage, TransitionBody } from "../../../src/shared/api.ts";
import { policyOf } from "../../../src/daemon/breaker/index.ts";
import { type HandshakeRefused, subscribe } from "../../fakes/subscriber.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { ask, post } from "./ask.ts";
import { ADMIN, OPERATOR, startFake, TOKEN, VIEWER } from "./daemon.ts";

const bearer = { authorization: `Bearer ${TOKEN}` };

test("nothing is answered without the token, nor with a wrong one", async () => {
  await using daemon = await startFake();
  const paths = ["/control/v1/status", "/control/v1/config", "/metrics", "/openapi.json", "/control/v1/nothing"];
  for (const path of paths) {
    const none = await ask(daemon.control + path, { token: null });
    assert.deepEqual([none.status, none.body.error.code], [401, "SPRINT_CONTROL_NO_TOKEN"], path);
    assert.equal(none.headers.get("www-authenticate"), "Bearer");
    for (const token of ["wrong", `${TOKEN}x`, TOKEN.slice(0, -1)]) {
      const wrong = await ask(daemon.control + path, { token });
      assert.deepEqual([wrong.status, wrong.body.error.code], [401, "SPRINT_CONTROL_WRONG_TOKEN"], path);
      assert.equal(wrong.headers.get("www-authenticate"), "Bearer");
    }
  }
  const basic = await fetch(daemon.control + "/control/v1/status", { headers: { authorization: `Basic ${TOKEN}` } });
  assert.equal(basic.status, 401);
  assert.equal((await ask(daemon.control + "/control/v1/stop", { method: "POST", token: null })).status, 401);
  assert.equal((await post(daemon.control + "/control/v1/upstreams/btc-1/cordon", {}, "wrong")).status, 401);
  assert.deepEqual([daemon.stops, daemon.cordons, daemon.audit], [0, [], []]);
});

test("status, topology, upstreams, config, race and metrics", async () => {
  await using daemon = await startFake();
  const { control, chain, pool } = daemon;
  chain.mine("bitcoin");
  // One of a part of that upstream, and one of another whose name begins alike.
  for (const name of ["btc-1:read", "btc-10"]) pool.open(`upstream:bitcoin:${name}`, policyOf("FREE"), 0);
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
    {
      chain: "bitcoin",
      network: "regtest",
      upstreams: [
        {
          name: "btc-1",
          kind: "p2p",
          state: "up",
          breakers: ["upstream:bitcoin:btc-1", "upstream:bitcoin:btc-1:read"],
        },
      ],
      tiers: ["ENTERPRISE"],
    },
    { chain: "litecoin", network: "regtest", upstreams: [], tiers: ["ENTERPRISE"] },
  ]);
  assert.deepEqual(topology.fanout, { processes: [] });

  const { body: upstreams } = await ask(`${control}/control/v1/upstreams`);
  assert.equal(upstreams.upstreams[0].name, "btc-1");
  assert.ok(upstreams.upstreams[0].progress_age_ms >= 0);

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
  assert.match((await ask(`${control}/api/v1/version`)).body.error.message, /openapi\.json .* tiers' ports/);
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
  assert.equal((await ask(`${control}/control/v1/upstreams/btc-1/uncordon`, { method: "POST" })).status, 200);
  const stop = await ask(`${control}/control/v1/stop`, { method: "POST" });
  assert.deepEqual([stop.status, stop.body], [202, { accepted: true }]);
  assert.equal(daemon.stops, 1);
});

/** Opens the stream and collects; `heard(n)` settles with the first n messages. */
async function listen(control: string, token = TOKEN, autoPong = true) {
  const url = `${control.replace("http", "ws")}/control/v1/stream`;
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` }, autoPong });
  const messages: ControlMessage[] = [];
  socket.on("message", (data) => {
    messages.push(JSON.parse(String(data)) as ControlMessage);
    socket.emit("heard");
  });
  await once(socket, "open");
  const heard = async (count: number): Promise<readonly ControlMessage[]> => {
    while (messages.length < count) await once(socket, "heard");
    return messages;
  };
  return { socket, heard };
}

test("the stream tells events, transitions, orders, metrics and upstream changes as they happen, to viewers too", async () => {
  await using daemon = await startFake();
  const url = `${daemon.control.replace("http", "ws")}/control/v1/stream`;
  const refused = (await subscribe(url).catch((error: unknown) => error)) as HandshakeRefused;
  assert.deepEqual([refused.status, refused.body.error.code], [401, "SPRINT_CONTROL_NO_TOKEN"]);

  const { socket, heard } = await listen(daemon.control, VIEWER.token);
  const sent = daemon.chain.mine("bitcoin");
  const force = `${daemon.control}/control/v1/breakers/upstream:litecoin:ltc-1/force-open`;
  await post(force, { reason: "drill", for_ms: 60_000 }, OPERATOR.token);
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
    safe: null,
    finalized: null,
    cordon: null,
  });
  daemon.beat();
  const messages = await heard(6);
  assert.deepEqual(
    messages.map(({ type }) => type),
    ["hello", "event", "transition", "audit", "upstream", "metrics"],
  );
  const [, event, transition, audit, upstream, metrics] = messages;
  assert.ok(
    event?.type === "event" &&
      event.data.cursor === sent.cursor &&
      !("receivedAt" in event.data) &&
      !("seq" in event.data),
  );
  assert.ok(transition?.type === "transition" && Value.Check(TransitionBody, transition.data));
  const { seq, breaker, from, to, cause, at, forced } = transition.data;
  assert.deepEqual(
    [seq, breaker, from, to, cause],
    [2, "upstream:litecoin:ltc-1", "closed", "force_open", "force_open"],
  );
  assert.deepEqual([forced?.owner, forced?.reason], ["night shift", "drill"]);
  assert.equal(Date.parse(forced?.until ?? "") - Date.parse(at), 60_000, "reckoned from the transition's own time");
  assert.ok(
    audit?.type === "audit" && audit.data.action === "breaker.force-open" && audit.data.actor === "night shift",
  );
  assert.ok(upstream?.type === "upstream" && upstream.data.state === "down");
  assert.ok(metrics?.type === "metrics" && Value.Check(BreakersBody, metrics.data));
  assert.deepEqual(
    metrics.data.breakers.map(({ name, state }) => [name, state]),
    [
      ["upstream:bitcoin:btc-1", "open"],
      ["upstream:litecoin:ltc-1", "force_open"],
    ],
  );

  socket.send("hello?");
  const [code] = (await once(socket, "close")) as [number];
  assert.equal(code, 4501);
});

test("metrics of more breakers than fit a message: those that are not closed are told", async () => {
  await using daemon = await startFake();
  for (let i = 0; i < 400; i++) daemon.pool.open(`webhook:${i}`, policyOf("FREE"), 0);
  const last = daemon.pool.handleOf("webhook:399") ?? 0;
  daemon.pool.forceClose(last, { owner: "test", reason: "drill" }, performance.now());
  const { socket, heard } = await listen(daemon.control);
  daemon.beat();
  const [, metrics] = await heard(2);
  assert.ok(metrics?.type === "metrics");
  assert.deepEqual(
    metrics.data.breakers.slice(0, 3).map(({ name }) => name),
    ["upstream:bitcoin:btc-1", "webhook:399", "upstream:litecoin:ltc-1"],
  );
  assert.equal(metrics.data.breakers.length, 256);
  socket.terminate();
});

test("a reader that answers no ping is dropped at the next, one that does stays", async () => {
  const clock = new FakeClock();
  await using daemon = await startFake({ clock });
  const live = await listen(daemon.control);
  const dead = await listen(daemon.control, TOKEN, false);
  const pings = Promise.all([once(live.socket, "ping"), once(dead.socket, "ping")]);
  clock.advance(30_000);
  await pings;
  const closed = once(dead.socket, "close");
  const pinged = once(live.socket, "ping");
  // The pong was sent before this, so it is read by the time this is answered.
  await ask(`${daemon.control}/control/v1/status`);
  clock.advance(30_000);
  const [code] = (await closed) as [number];
  assert.equal(code, 1006);
  await pinged;
  daemon.chain.mine();
  await live.heard(2);
  live.socket.terminate();
});

test("tokens change while it runs: new ones count at once, and the streams of those that are gone end", async () => {
  await using daemon = await startFake();
  const status = `${daemon.control}/control/v1/status`;
  const [viewer, admin] = [await listen(daemon.control, VIEWER.token), await listen(daemon.control)];
  const closed = once(viewer.socket, "close");
  daemon.server.adjust({ tokens: [ADMIN, { name: "new", role: "viewer", token: "another-token" }] });
  assert.equal((await closed)[0], 1008);
  assert.equal((await ask(status, { token: VIEWER.token })).status, 401);
  assert.equal((await ask(status, { token: OPERATOR.token })).status, 401);
  assert.equal((await ask(status, { token: "another-token" })).status, 200);
  assert.equal((await ask(status)).status, 200);
  daemon.chain.mine();
  assert.equal((await admin.heard(2))[1]?.type, "event", "a stream whose token stays is kept");
  admin.socket.terminate();
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
