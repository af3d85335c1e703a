/** A subscriber that comes back: by its cursor, after a pause that grows, and not where it is told to stay away. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import type { SprintError } from "../../src/shared/errors.ts";
import type { SprintEvent } from "../../src/shared/events.ts";
import { EventSubscription, type SubscribeOptions } from "../../src/shared/subscription.ts";
import { FakeClock } from "../fakes/clock.ts";

interface Scene {
  readonly subscription: EventSubscription;
  readonly clock: FakeClock;
  readonly events: SprintEvent[];
  readonly pauses: number[];
  readonly ends: (SprintError | null)[];
  /** The next connection, and the query that it came with. */
  connected(): Promise<{ readonly socket: WebSocket; readonly query: URLSearchParams }>;
  refuseWith(status: number | null): void;
  until(holds: () => boolean): Promise<void>;
}

async function scene(t: TestContext, options: Partial<SubscribeOptions> = {}): Promise<Scene> {
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const waiting: { socket: WebSocket; query: URLSearchParams }[] = [];
  let wake = Promise.withResolvers<void>();
  const stir = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  let refused: number | null = null;
  http.on("upgrade", (request: IncomingMessage, socket, head) => {
    if (refused !== null) {
      socket.end(`HTTP/1.1 ${refused} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (accepted) => {
      waiting.push({ socket: accepted, query: new URL(request.url ?? "", "http://x").searchParams });
      stir();
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  const clock = new FakeClock();
  const [events, pauses, ends]: [SprintEvent[], number[], (SprintError | null)[]] = [[], [], []];
  const heard =
    <T>(list: T[]) =>
    (value: T): void => {
      list.push(value);
      stir();
    };
  const subscription = new EventSubscription(
    { url: `http://127.0.0.1:${port}`, minBackoffMs: 100, maxBackoffMs: 400, ...options },
    {
      clock,
      random: () => 1,
      onEvent: heard(events),
      onReconnect: (_reason, inMs) => heard(pauses)(inMs),
      onEnd: heard(ends),
    },
  );
  t.after(async () => {
    subscription.close();
    for (const client of sockets.clients) client.terminate();
    sockets.close();
    http.close();
    await once(http, "close");
  });
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await wake.promise;
  };
  return {
    subscription,
    clock,
    events,
    pauses,
    ends,
    until,
    async connected() {
      await until(() => waiting.length > 0);
      return waiting.shift() ?? assert.fail();
    },
    refuseWith: (status) => {
      refused = status;
    },
  };
}

const event = (cursor: string): string => JSON.stringify({ type: "hello", cursor, data: {} });

test("asks for what it was given, and comes back behind the last event that it took", async (t) => {
  const s = await scene(t, { chains: ["ethereum", "tiny"], types: ["block", "log"], phase: "announced", cursor: "c0" });
  const first = await s.connected();
  assert.deepEqual(Object.fromEntries(first.query), {
    chains: "ethereum,tiny",
    types: "block,log",
    phase: "announced",
    cursor: "c0",
  });
  first.socket.send(event("c1"));
  first.socket.send(event("c2"));
  await s.until(() => s.events.length === 2);
  assert.equal(s.subscription.cursor, "c2");
  first.socket.close(4008, "slow_consumer");
  await s.until(() => s.pauses.length === 1);
  await s.clock.advanceAsync(100);
  assert.equal((await s.connected()).query.get("cursor"), "c2");
  assert.deepEqual([s.pauses, s.ends], [[100], []]);
});

test("waits longer each time up to a bound, and begins anew once an event came", async (t) => {
  const s = await scene(t);
  for (const [index, pause] of [100, 200, 400, 400].entries()) {
    (await s.connected()).socket.terminate();
    await s.until(() => s.pauses.length === index + 1);
    assert.equal(s.pauses.at(-1), pause);
    await s.clock.advanceAsync(pause);
  }
  const { socket } = await s.connected();
  socket.send(event("c1"));
  await s.until(() => s.events.length === 1);
  socket.terminate();
  await s.until(() => s.pauses.length === 5);
  assert.equal(s.pauses.at(-1), 100);
});

test("text that is no event ends the connection, not the subscription, and the cursor stays", async (t) => {
  const s = await scene(t, { cursor: "c0" });
  const { socket } = await s.connected();
  socket.send("{");
  await s.until(() => s.pauses.length === 1);
  assert.deepEqual([s.subscription.cursor, s.events, s.ends], ["c0", [], []]);
});

test("stays away where it is told to: close codes from 4500 on, handshakes that no retry mends", async (t) => {
  const s = await scene(t);
  (await s.connected()).socket.close(4500, "moved");
  await s.until(() => s.ends.length === 1);
  assert.deepEqual([s.ends[0]?.code, s.ends[0]?.data["reason"], s.pauses], ["SPRINT_CLIENT_CLOSED", "moved", []]);

  const refused = await scene(t);
  const { socket } = await refused.connected();
  refused.refuseWith(429);
  socket.terminate();
  await refused.until(() => refused.pauses.length === 1);
  await refused.clock.advanceAsync(100);
  await refused.until(() => refused.pauses.length === 2);
  refused.refuseWith(404);
  await refused.clock.advanceAsync(200);
  await refused.until(() => refused.ends.length === 1);
  assert.ok(refused.ends[0] !== null);
});

test("closed by its owner it is over: no pause is waited for, nothing more is taken", async (t) => {
  const s = await scene(t);
  const { socket } = await s.connected();
  socket.terminate();
  await s.until(() => s.pauses.length === 1);
  s.subscription.close();
  s.subscription.close();
  assert.deepEqual([s.ends, s.clock.pending], [[null], 0]);
});
