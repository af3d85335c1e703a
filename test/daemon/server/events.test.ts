import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import type { SprintEvent } from "../../../src/shared/events.ts";
import { TIER } from "../../../src/shared/tier.ts";
import { HandshakeRefused, subscribe, type TestSubscriber } from "../../fakes/subscriber.ts";
import { startFake } from "./daemon.ts";

const heightOf = (event: SprintEvent): number | null => (event.type === "block" ? event.data.height : null);
const isBlock = (event: SprintEvent): boolean => event.type === "block";

/** A handshake by hand; resolves when the answer's head is in. */
async function handshake(url: string, path = "/ws/v1/events", head = ""): Promise<{ socket: Socket; answer: string }> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const key = "AAAAAAAAAAAAAAAAAAAAAA==";
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n${head}`,
  );
  const [chunk] = (await once(socket, "data")) as [Buffer];
  return { socket, answer: chunk.toString("latin1") };
}

// Every promise of the stream holds wherever the socket lives.
for (const place of ["main process", "fan-out process"] as const) {
  const fanout = place === "main process" ? { threshold: Number.POSITIVE_INFINITY } : { threshold: 0, processes: 2 };

  test(`${place}: hello first, then what is live, in order and in the shape of the contract`, async () => {
    await using daemon = await startFake({ fanout });
    const subscriber = await subscribe(daemon.tier);
    const hello = await subscriber.next();
    assert.deepEqual(hello, {
      type: "hello",
      cursor: daemon.chain.cursor,
      data: { tier: "ENTERPRISE", network: "devnet", recovered: false, version: "0.1.0" },
    });
    const sent = daemon.chain.mine("bitcoin");
    const block = await subscriber.next();
    assert.ok(block.type === "block" && sent.type === "block");
    const { relay_time_ms: relayTimeMs, ...data } = block.data;
    assert.ok(relayTimeMs >= 0 && relayTimeMs < 10_000, `relay time ${relayTimeMs}`);
    assert.deepEqual(
      { ...block, data },
      { type: "block", phase: "announced", chain: "bitcoin", network: "regtest", cursor: sent.cursor, data: sent.data },
    );

    for (let i = 0; i < 20; i++) daemon.chain.mine(i % 2 === 0 ? "bitcoin" : "litecoin");
    daemon.chain.validate("bitcoin");
    await subscriber.next((event) => event.type === "block" && event.phase === "validated");
    assert.equal(subscriber.events.filter(isBlock).length, 22);
    subscriber.checker.assertClean();
    await subscriber.close();
  });

  test(`${place}: another pace reaches who is there and who comes`, async () => {
    await using daemon = await startFake({ fanout });
    const there = await subscribe(daemon.tier);
    daemon.chain.mine();
    const first = daemon.chain.mine();
    daemon.server.adjust({ hub: { ...TIER, ENTERPRISE: { pacingMs: { min: 60, max: 90 }, eventsPerSecond: 100 } } });
    const coming = await subscribe(daemon.tier);
    await there.next((event) => event.cursor === first.cursor);
    const paced = daemon.chain.mine();
    for (const subscriber of [there, coming]) {
      const block = await subscriber.next(isBlock);
      assert.ok(block.type === "block" && block.cursor === paced.cursor);
      assert.ok(block.data.relay_time_ms >= 60, `relay time ${block.data.relay_time_ms}`);
      subscriber.checker.assertClean();
      await subscriber.close();
    }
  });

  test(`${place}: filters by chain, type and phase`, async () => {
    await using daemon = await startFake({ fanout });
    const subscriber = await subscribe(`${daemon.tier}/ws/v1/events?chains=bitcoin&types=block,reorg&phase=validated`);
    await subscriber.next();
    daemon.chain.mine("bitcoin");
    daemon.chain.mine("litecoin");
    daemon.chain.validate("litecoin");
    daemon.chain.validate("bitcoin");
    const event = await subscriber.next();
    assert.deepEqual(
      [event.type === "block" && event.phase, event.type === "block" && event.chain],
      ["validated", "bitcoin"],
    );
    await subscriber.close();
  });

  test(`${place}: a cursor brings back all that was missed, before what is live, with no gap and no duplicate`, async () => {
    await using daemon = await startFake({ fanout });
    const first = await subscribe(daemon.tier);
    daemon.chain.mine();
    await first.next(isBlock);
    const { cursor } = first;
    await first.close();
    for (let i = 0; i < 100; i++) daemon.chain.mine();

    const again = subscribe(`${daemon.tier}/ws/v1/events?cursor=${cursor}`, { checker: first.checker });
    const second = await again;
    for (let i = 0; i < 100; i++) daemon.chain.mine();
    const hello = await second.next();
    assert.deepEqual([hello.type === "hello" && hello.data.recovered, hello.cursor], [true, cursor]);
    await second.next((event) => heightOf(event) === 300);
    assert.deepEqual(
      second.events.filter(isBlock).map(heightOf),
      Array.from({ length: 200 }, (_, i) => 101 + i),
    );
    second.checker.assertClean();
    await second.close();
  });

  test(`${place}: subscribers that come while events flow miss none and hear none twice`, async () => {
    await using daemon = await startFake({ fanout });
    daemon.chain.mine();
    const { cursor } = daemon.chain;
    const arrived = new AbortController();
    const miner = (async () => {
      while (!arrived.signal.aborted) {
        daemon.chain.mine();
        daemon.chain.mine();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const subscribers = await Promise.all(
      Array.from({ length: 20 }, () => subscribe(`${daemon.tier}/ws/v1/events?cursor=${cursor}`)),
    );
    arrived.abort();
    await miner;
    const last = daemon.chain.records("bitcoin").at(-1)?.block.height;
    for (const subscriber of subscribers) {
      await subscriber.next((event) => heightOf(event) === last);
      assert.equal(heightOf(subscriber.events[1] as SprintEvent), 101);
      subscriber.checker.assertClean();
    }
    await Promise.all(subscribers.map((subscriber) => subscriber.close()));
  });

  test(`${place}: a cursor that is none is answered with a gap, not with silence`, async () => {
    await using daemon = await startFake({ fanout });
    const subscriber = await subscribe(`${daemon.tier}/ws/v1/events?cursor=bm9uc2Vuc2U`);
    const hello = await subscriber.next();
    assert.equal(hello.type === "hello" && hello.data.recovered, false);
    assert.equal((await subscriber.next()).type, "gap");
    await subscriber.close();
  });

  test(`${place}: a message from the client ends the stream with 4501 and a goodbye that holds the cursor`, async () => {
    await using daemon = await startFake({ fanout });
    const subscriber = await subscribe(daemon.tier);
    daemon.chain.mine();
    const block = await subscriber.next(isBlock);
    subscriber.socket.send("hello?");
    const goodbye = await subscriber.next((event) => event.type === "goodbye");
    assert.deepEqual([goodbye.type === "goodbye" && goodbye.data.code, goodbye.cursor], [4501, block.cursor]);
    assert.equal((await subscriber.closed).code, 4501);
  });

  test(`${place}: messages that are too large or break the protocol end the socket`, async () => {
    await using daemon = await startFake({ fanout });
    const large = await subscribe(daemon.tier);
    large.socket.send("x".repeat(2_000));
    assert.equal((await large.closed).code, 1009);
    const { socket } = await handshake(daemon.tier);
    socket.resume().write(Buffer.from([0x81, 0x01, 0x41]));
    await once(socket, "close");
    while ((daemon.server.listeners()[0]?.subscribers ?? 0) > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test(`${place}: pings are answered; who does not answer ours is dropped`, async () => {
    await using daemon = await startFake({ fanout, sockets: { pingIntervalMs: 50 } });
    const alive = await subscribe(daemon.tier);
    alive.socket.ping("are you there");
    const [echo] = (await once(alive.socket, "pong")) as [Buffer];
    assert.equal(echo.toString(), "are you there");
    const { socket } = await handshake(daemon.tier);
    socket.resume();
    await once(socket, "close");
    daemon.chain.mine();
    await alive.next(isBlock);
    await alive.close();
  });

  test(`${place}: a slow reader is closed with 4008 and a goodbye whose cursor brings the rest`, async () => {
    await using daemon = await startFake({ fanout, hub: { outboxBytes: 64 * 1024 } });
    const slow = await subscribe(daemon.tier);
    await slow.next();
    slow.pause();
    while (daemon.drops.length === 0) {
      for (let i = 0; i < 50; i++) daemon.chain.mine();
      // Slowly enough for a child on a busy machine: one that falls far behind is given up, sockets and all.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(daemon.drops, ["slow_consumer"]);
    slow.resume();
    const goodbye = await slow.next((event) => event.type === "goodbye");
    assert.equal((await slow.closed).code, 4008);
    assert.equal(goodbye.type === "goodbye" && goodbye.data.code, 4008);
    slow.checker.assertClean();

    const again = await subscribe(`${daemon.tier}/ws/v1/events?cursor=${goodbye.cursor}`, { checker: slow.checker });
    const last = daemon.chain.records("bitcoin").at(-1)?.block.height;
    await again.next((event) => heightOf(event) === last);
    again.checker.assertClean();
    assert.equal(again.checker.path("bitcoin").length, daemon.chain.records("bitcoin").length);
    await again.close();
  });

  test(`${place}: shutdown says goodbye with 4000 and the cursor to everybody, and lets nobody in`, async () => {
    await using daemon = await startFake({ fanout });
    const subscribers = await Promise.all([subscribe(daemon.tier), subscribe(daemon.tier), subscribe(daemon.tier)]);
    daemon.chain.mine();
    const blocks = await Promise.all(subscribers.map((subscriber) => subscriber.next(isBlock)));
    const drained = daemon.server.drain();
    assert.equal((await fetch(`${daemon.tier}/readyz`)).status, 503);
    await assert.rejects(subscribe(daemon.tier), { status: 503 });
    for (const [index, subscriber] of subscribers.entries()) {
      const goodbye = await subscriber.next((event) => event.type === "goodbye");
      assert.equal(goodbye.cursor, blocks[index]?.cursor);
      assert.deepEqual(await subscriber.closed, { code: 4000, reason: "shutdown" });
    }
    await drained;
    assert.equal(daemon.server.listeners()[0]?.subscribers, 0);
    assert.deepEqual(daemon.faults, []);
  });

  test(`${place}: a client that neither reads nor closes does not hold up the shutdown`, async () => {
    await using daemon = await startFake({ fanout, sockets: { closeTimeoutMs: 100 } });
    const { socket } = await handshake(daemon.tier);
    socket.pause();
    await daemon.server.drain();
    socket.destroy();
  });
}

test("handshakes that cannot be served are refused in the error shape", async () => {
  await using daemon = await startFake();
  const refusal = async (path: string): Promise<unknown[]> => {
    const error = await subscribe(daemon.tier + path).then(
      () => null,
      (cause: unknown) => cause,
    );
    assert.ok(error instanceof HandshakeRefused, path);
    return [error.status, error.body.error.code, error.body.error.details["field"]];
  };
  assert.deepEqual(await refusal("/ws/v1/other"), [404, "SPRINT_API_NOT_FOUND", undefined]);
  assert.deepEqual(await refusal("/ws/v1/events?chains=ethereum"), [404, "SPRINT_API_CHAIN_OFF", undefined]);
  assert.deepEqual(await refusal("/ws/v1/events?chains=Bitcoin"), [400, "SPRINT_API_BAD_INPUT", "chains"]);
  assert.deepEqual(await refusal("/ws/v1/events?address=0x12"), [400, "SPRINT_API_BAD_INPUT", "address"]);
  assert.deepEqual(await refusal("/ws/v1/events?topic0=0x12"), [400, "SPRINT_API_BAD_INPUT", "topic0"]);
  assert.deepEqual(await refusal("/ws/v1/events?chains=bitcoin,dogecoin"), [404, "SPRINT_API_CHAIN_OFF", undefined]);
  assert.deepEqual(await refusal("/ws/v1/events?chain=bitcoin"), [400, "SPRINT_API_BAD_INPUT", "chain"]);
  assert.deepEqual(await refusal("/ws/v1/events?types=blocks"), [400, "SPRINT_API_BAD_INPUT", "types"]);
  assert.deepEqual(await refusal("/ws/v1/events?phase=mined"), [400, "SPRINT_API_BAD_INPUT", "phase"]);
  assert.deepEqual(await refusal("/ws/v1/events?phase=announced&phase=validated"), [
    400,
    "SPRINT_API_BAD_INPUT",
    "phase",
  ]);
  assert.deepEqual(await refusal(`/ws/v1/events?cursor=${"x".repeat(2_601)}`), [400, "SPRINT_API_BAD_INPUT", "cursor"]);
  assert.deepEqual(await refusal("/ws/v1/events?subscription=none"), [
    404,
    "SPRINT_API_SUBSCRIPTION_UNKNOWN",
    undefined,
  ]);
  assert.deepEqual(await refusal("/ws/v1/events?subscription=none&phase=announced"), [
    400,
    "SPRINT_API_BAD_INPUT",
    "subscription",
  ]);

  const socket = connect(Number(new URL(daemon.tier).port), "127.0.0.1");
  socket.write(
    "GET /ws/v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
  const [answer] = (await once(socket, "data")) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 400 [^]*SPRINT_API_BAD_HANDSHAKE/);
  socket.destroy();
  assert.deepEqual(daemon.faults, []);
});

test("sockets that ask for nothing are bounded", async () => {
  await using daemon = await startFake({ http: { pendingSockets: 3 } });
  const port = Number(new URL(daemon.tier).port);
  const sockets = Array.from({ length: 3 }, () => connect(port, "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  while (daemon.server.listeners()[0]?.connections !== 3) await new Promise((resolve) => setImmediate(resolve));
  const dropped = connect(port, "127.0.0.1").resume();
  await once(dropped, "close");
  sockets.forEach((socket) => socket.destroy());
  while (daemon.server.listeners()[0]?.connections !== 0) await new Promise((resolve) => setImmediate(resolve));
  await subscribe(daemon.tier).then((subscriber) => subscriber.close());
});

test("below the threshold sockets stay here, above it they go to the child with the fewest", async () => {
  await using daemon = await startFake({ fanout: { threshold: 2, processes: 2 } });
  assert.deepEqual(daemon.server.processes(), []);
  const subscribers = [];
  for (let i = 0; i < 6; i++) subscribers.push(await subscribe(daemon.tier));
  assert.deepEqual(
    daemon.server.processes().map(({ subscribers: count }) => count),
    [2, 2],
  );
  assert.equal(daemon.server.listeners()[0]?.subscribers, 6);
  assert.equal(daemon.server.listeners()[0]?.connections, 6);
  daemon.chain.mine();
  await Promise.all(subscribers.map((subscriber) => subscriber.next(isBlock)));
  await Promise.all(subscribers.map((subscriber) => subscriber.close()));
  while ((daemon.server.listeners()[0]?.connections ?? 0) > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("a fan-out process that dies: its clients come back with their cursors and miss nothing", async () => {
  await using daemon = await startFake({ fanout: { threshold: 0, processes: 1 } });
  const subscriber = await subscribe(daemon.tier);
  daemon.chain.mine();
  await subscriber.next(isBlock);
  const [child] = daemon.server.processes();
  assert.ok(child !== undefined);
  process.kill(child.pid, "SIGKILL");
  assert.equal((await subscriber.closed).code, 1006);
  daemon.chain.mine();
  // Who knocks before the end of the child is noticed here is given to it, hung up on, and knocks again, as clients do.
  const comeBack = async (): Promise<TestSubscriber> => {
    const url = `${daemon.tier}/ws/v1/events?cursor=${subscriber.cursor}`;
    return subscribe(url, { checker: subscriber.checker }).catch((error: NodeJS.ErrnoException) => {
      assert.equal(error.code, "ECONNRESET");
      return comeBack();
    });
  };
  const again = await comeBack();
  daemon.chain.mine();
  await again.next((event) => heightOf(event) === 102);
  again.checker.assertClean();
  assert.notEqual(daemon.server.processes()[0]?.pid, child.pid);
  assert.equal((daemon.faults[0] as { code: string }).code, "SPRINT_SERVER_FANOUT_ENDED");
  await again.close();
});

test("a fan-out process that cannot be started costs its client the connection, and the daemon nothing", async (t) => {
  await using daemon = await startFake({ fanout: { threshold: 0, processes: 1 } });
  const { execPath } = process;
  t.after(() => (process.execPath = execPath));
  process.execPath = "/nowhere/node";
  await assert.rejects(subscribe(daemon.tier), { code: "ECONNRESET" });
  assert.equal((daemon.faults[0] as { code?: string }).code, "SPRINT_SERVER_FANOUT_ENDED");
  assert.deepEqual(daemon.server.processes(), []);
});

test("a client ahead of the daemon waits until that has caught up, then gets its stream without a gap", async () => {
  const asked: string[] = [];
  const caughtUp = Promise.withResolvers<void>();
  await using daemon = await startFake({
    mined: 1,
    caughtUp: (cursor) => {
      asked.push(cursor);
      return caughtUp.promise;
    },
  });
  const { cursor } = daemon.chain;
  const gone = connect(Number(new URL(daemon.tier).port), "127.0.0.1");
  gone.write(
    `GET /ws/v1/events?cursor=${cursor} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
  );
  const opening = subscribe(`${daemon.tier}/ws/v1/events?cursor=${cursor}`);
  while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(asked, [cursor, cursor]);
  // One hangs up while it waits; what is mined meanwhile belongs to the other's backlog.
  gone.resetAndDestroy();
  await once(gone, "close");
  daemon.chain.mine();
  caughtUp.resolve();

  const subscriber = await opening;
  const hello = await subscriber.next();
  assert.equal(hello.type === "hello" && hello.data.recovered, true);
  assert.equal(heightOf(await subscriber.next()), 101);
  daemon.chain.mine();
  assert.equal(heightOf(await subscriber.next()), 102);
  subscriber.checker.assertClean();
  await subscriber.close();
  assert.deepEqual(daemon.faults, []);
});
