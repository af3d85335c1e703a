/** JSON-RPC over a WebSocket, against a server that says what the test wants. */
import { strict as assert } from "node:assert";
import { EventEmitter, once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { WebSocket, WebSocketServer } from "ws";
import { type Notification, readMessage } from "../../../src/daemon/upstream/rpc-socket-message.ts";
import { RpcSocket, type RpcSocketOptions } from "../../../src/daemon/upstream/rpc-socket.ts";
import { type Clock, systemClock } from "../../../src/shared/clock.ts";
import { isSprintError, type SprintError } from "../../../src/shared/errors.ts";
import { FakeClock } from "../../fakes/clock.ts";

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

interface Opened {
  readonly socket: RpcSocket;
  readonly lost: SprintError[];
  readonly whenLost: Promise<SprintError>;
}

function open(
  t: TestContext,
  url: string,
  options: Partial<RpcSocketOptions> = {},
  clock: Clock = systemClock,
): Opened {
  const lost: SprintError[] = [];
  const { promise, resolve } = Promise.withResolvers<SprintError>();
  const onLost = (error: SprintError): void => {
    lost.push(error);
    resolve(error);
  };
  const socket = new RpcSocket({ url, ...options }, { clock, onLost });
  t.after(() => socket.close());
  return { socket, lost, whenLost: promise };
}

/** Hands every call to the test. */
async function serve(
  t: TestContext,
  onCall: (call: Call, peer: WebSocket) => void,
): Promise<{ readonly url: string; readonly peers: Map<WebSocket, Socket>; readonly headers: (string | undefined)[] }> {
  const headers: (string | undefined)[] = [];
  const peers = new Map<WebSocket, Socket>();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  server.on("connection", (peer, request) => {
    peers.set(peer, request.socket);
    headers.push(request.headers.authorization, request.url, request.headers["sec-websocket-extensions"]);
    peer.on("message", (data: Buffer) => onCall(JSON.parse(data.toString()) as Call, peer));
  });
  t.after(() => {
    for (const peer of server.clients) peer.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, peers, headers };
}

const result = ({ id }: Call, value: unknown): string => JSON.stringify({ jsonrpc: "2.0", id, result: value });

test("answers find their calls in whatever order they come", async (t) => {
  const held: Call[] = [];
  const { url, headers } = await serve(t, (call, peer) => {
    held.push(call);
    if (held.length < 3) return;
    for (const one of held.splice(0).reverse()) peer.send(result(one, one.params));
  });
  const auth = { kind: "password", user: "u", password: "p" } as const;
  const { socket } = open(t, `${url}/v2/key?dkey=secret`, { auth });
  const calls = [1, 2, 3].map((value) => socket.call("echo", [value]));
  assert.deepEqual(await Promise.all(calls), [[1], [2], [3]]);
  assert.deepEqual(headers, ["Basic dTpw", "/v2/key?dkey=secret", undefined]);
});

test("a question leaves in the turn in which it is asked, unless others are before it or nobody wants it any more", async (t) => {
  const { url } = await serve(t, (call, peer) => setImmediate(() => peer.send(result(call, call.params[0]))));
  const { socket } = open(t, url, { concurrency: 2 });
  await socket.opened();
  const send = t.mock.method(WebSocket.prototype, "send");
  const asked = (): number => send.mock.calls.filter(({ arguments: [text] }) => String(text).includes("echo")).length;
  const gone = assert.rejects(socket.call("echo", [0], { signal: AbortSignal.abort(new Error("gone")) }), /gone/);
  const calls = [1, 2, 3].map((value) => socket.call("echo", [value]));
  assert.equal(asked(), 2);
  assert.deepEqual(await Promise.all(calls), [1, 2, 3]);
  await gone;
  assert.equal(asked(), 3);
});

test("calls of a batch go one behind the other, each with its own outcome", async (t) => {
  let atATime = 0;
  let most = 0;
  const { url } = await serve(t, (call, peer) => {
    most = Math.max(most, ++atATime);
    setImmediate(() => {
      atATime--;
      const refused = { jsonrpc: "2.0", id: call.id, error: { code: -32_000, message: "no" } };
      peer.send(call.params[0] === 3 ? JSON.stringify(refused) : result(call, call.params[0]));
    });
  });
  const { socket } = open(t, url, { concurrency: 4 });
  const outcomes = await socket.batch(
    "echo",
    Array.from({ length: 50 }, (_, at) => [at]),
  );
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.ok ? outcome.result : outcome.error.code)),
    Array.from({ length: 50 }, (_, at) => (at === 3 ? "SPRINT_RPC_ERROR" : at)),
  );
  assert.ok(most <= 4 && most > 1, `${most} at a time`);
});

test("subscriptions of Ethereum and of Solana, also where the first comes before the answer", async (t) => {
  const eth = (id: string, value: unknown): string =>
    JSON.stringify({ jsonrpc: "2.0", method: "eth_subscription", params: { subscription: id, result: value } });
  const sol = (id: number, value: unknown): string =>
    JSON.stringify({ jsonrpc: "2.0", method: "slotNotification", params: { result: value, subscription: id } });
  const { url } = await serve(t, (call, peer) => {
    if (call.method === "eth_subscribe") {
      peer.send(eth("0xa", { early: true }));
      peer.send(eth("0xstranger", {}));
      peer.send(result(call, "0xa"));
      peer.send(eth("0xa", { number: "0x1" }));
    } else {
      peer.send(result(call, 0));
      peer.send(sol(0, { slot: 7 }));
    }
  });
  const changed = new EventEmitter();
  const heard: unknown[] = [];
  const hear = (notification: Notification): void => {
    heard.push([notification.subscription, notification.value()]);
    changed.emit("change");
  };
  const { socket } = open(t, url);
  assert.equal(await socket.subscribe("eth_subscribe", ["newHeads"], hear), "0xa");
  assert.equal(await socket.subscribe("slotSubscribe", [], hear), 0);
  while (heard.length < 3) await once(changed, "change");
  assert.deepEqual(
    heard.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
    [
      ["0xa", { early: true }],
      ["0xa", { number: "0x1" }],
      [0, { slot: 7 }],
    ],
  );
});

test("nothing is handed on of a subscription that was ended, whatever the node still says", async (t) => {
  const changed = new EventEmitter();
  const { url } = await serve(t, ({ id, method, params }, peer) => {
    const tell = (name: number): void =>
      peer.send(`{"jsonrpc":"2.0","method":"n","params":{"result":${name},"subscription":${name}}}`);
    if (method === "logsUnsubscribe") tell(Number(params[0]));
    peer.send(JSON.stringify({ jsonrpc: "2.0", result: params[0] ?? true, id }));
    tell(1);
    tell(2);
  });
  const { socket } = open(t, url);
  const told: unknown[] = [];
  const take = (notification: Notification): void => {
    told.push(notification.value());
    changed.emit("change");
  };
  await socket.subscribe("logsSubscribe", [1], take);
  await socket.subscribe("logsSubscribe", [2], take);
  while (!told.includes(2)) await once(changed, "change");
  await socket.call("settle");
  told.length = 0;
  await socket.unsubscribe("logsUnsubscribe", 1);
  while (told.length < 1) await once(changed, "change");
  await socket.call("settle");
  assert.ok(
    told.every((each) => each === 2),
    told.join(),
  );
});

test("a message is read in whatever form it is written, and numbers stay as they were", () => {
  const long = "x".repeat(100_000);
  for (const json of [`{"lamports":18446744073709551615,"text":"a \\"b\\""}`, `{"n":1,"long":"${long}"}`, "[]", "7"]) {
    for (const text of [
      `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1f","result":${json}}}`,
      `{"jsonrpc":"2.0","method":"blockNotification","params":{"result":${json},"subscription":31}}`,
    ]) {
      const message = readMessage(text, 5);
      assert.ok(message.kind === "notification");
      assert.ok(message.subscription === "0x1f" || message.subscription === 31);
      assert.equal(message.json(), json);
      assert.deepEqual(message.value(), JSON.parse(json));
      assert.equal(message.receivedAt, 5);
    }
    for (const text of [
      `{"jsonrpc":"2.0","id":12,"result":${json}}`,
      `{"id":12,"jsonrpc":"2.0","result":${json}}`,
      `{"jsonrpc":"2.0","result":${json},"id":12}`,
      `{ "result": ${json}, "jsonrpc": "2.0", "id": 12 }`,
    ]) {
      assert.deepEqual(readMessage(text, 5), { kind: "answer", id: 12, text });
    }
  }
  const odd = '{"params":{"subscription":"0x1","result":{"a":1},"more":2},"method":"m","jsonrpc":"2.0"}';
  const spaced = '{ "jsonrpc": "2.0", "method": "m", "params": { "result": {"a":1}, "subscription": "0x1" } }';
  const trailing = '{"jsonrpc":"2.0","method":"m","params":{"subscription":"0x1","result":{"a":1},"more":{}}}';
  for (const text of [odd, spaced, trailing]) {
    const message = readMessage(text, 5);
    assert.ok(message.kind === "notification", text);
    assert.deepEqual([message.subscription, message.value(), message.json()], ["0x1", { a: 1 }, '{"a":1}']);
  }
  const named = (name: string): string => `{"jsonrpc":"2.0","method":"m","params":{"subscription":${name},"result":1}}`;
  for (const text of [
    named('"\u0001"'),
    named("007"),
    named("null"),
    "",
    "{",
    "[]",
    "null",
    '{"id":null,"error":{}}',
    '{"method":"m","params":{}}',
    '"id":1}',
  ])
    assert.equal(readMessage(text, 5).kind, "strange", text);
});

test("whatever comes is an answer, a notification or strange, and nothing throws", () => {
  const part = fc.constantFrom(
    '{"jsonrpc":"2.0",',
    '"method":"m",',
    '"params":{',
    '"subscription":"0x1"',
    '"subscription":7',
    ",",
    '"result":',
    '"id":5',
    "}",
    "}}",
    "[",
    "1",
    "x".repeat(70_000),
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 8 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (message) => {
      assert.match(readMessage(message, 1).kind, /^(answer|notification|strange)$/);
    }),
    { numRuns: 2000 },
  );
});

test("a large answer passes as text; one above the call's bound is refused, the connection stays", async (t) => {
  const long = `{"n":123456789012345678901,"x":"${"y".repeat(300_000)}"}`;
  const { url } = await serve(t, ({ id }, peer) => peer.send(`{"jsonrpc":"2.0","id":${id},"result":${long}}`));
  const { socket, lost } = open(t, url);
  assert.deepEqual(await socket.ask("any", []), { ok: true, json: long });
  await assert.rejects(socket.ask("any", [], { maxResponseBytes: 1000 }), { code: "SPRINT_RPC_TOO_LARGE" });
  assert.deepEqual(await socket.ask("any", []), { ok: true, json: long });
  assert.equal(lost.length, 0);
});

test("a message above the bound ends the connection, with all that was under way", async (t) => {
  const { url } = await serve(t, ({ id }, peer) =>
    peer.send(`{"jsonrpc":"2.0","id":${id},"result":"${"z".repeat(5000)}"}`),
  );
  const { socket, whenLost, lost } = open(t, url, { maxMessageBytes: 4000 });
  const calls = [socket.call("a"), socket.call("b")];
  for (const outcome of await Promise.allSettled(calls)) {
    assert.ok(outcome.status === "rejected" && isSprintError(outcome.reason));
    assert.equal(outcome.reason.code, "SPRINT_RPC_TOO_LARGE");
  }
  assert.equal((await whenLost).code, "SPRINT_RPC_TOO_LARGE");
  await assert.rejects(socket.call("c"), { code: "SPRINT_RPC_TOO_LARGE" });
  assert.equal(lost.length, 1);
});

test("calls above what may wait are refused; one that is given up makes room", async (t) => {
  const { url } = await serve(t, () => {});
  const { socket } = open(t, url, { concurrency: 1, queueLimit: 1 });
  await socket.opened();
  const given = new AbortController();
  const first = socket.call("a", [], { signal: given.signal });
  const second = socket.call("b", [], { timeoutMs: 1 });
  await assert.rejects(socket.call("c"), { code: "SPRINT_RPC_BUSY" });
  given.abort(new Error("not wanted any more"));
  await assert.rejects(first, /not wanted/);
  await assert.rejects(second, { code: "SPRINT_RPC_TIMEOUT" });
});

test("closing breaks off what is under way, and tells nobody", async (t) => {
  const { url } = await serve(t, () => {});
  const { socket, lost } = open(t, url, { concurrency: 1 });
  await socket.opened();
  const calls = [socket.call("a"), socket.call("waits"), socket.subscribe("s", [], () => {})];
  const outcomes = Promise.allSettled(calls);
  await socket.close();
  for (const outcome of await outcomes)
    assert.ok(outcome.status === "rejected" && outcome.reason.code === "SPRINT_RPC_CLOSED");
  await assert.rejects(socket.call("later"), { code: "SPRINT_RPC_CLOSED" });
  assert.equal(lost.length, 0);
});

test("the node hangs up: told once, with what it said", async (t) => {
  const { url } = await serve(t, (_, peer) => peer.close(1013, "too many\u001b[31m subscriptions"));
  const { socket, whenLost } = open(t, url);
  await assert.rejects(socket.call("a"), { code: "SPRINT_RPC_UNREACHABLE" });
  assert.equal((await whenLost).message, "the node closed the socket: 1013 too many [31m subscriptions");
});

test("a listener that throws ends the connection", async (t) => {
  const { url } = await serve(t, (call, peer) => {
    peer.send(result(call, "0x1"));
    peer.send('{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{}}}');
  });
  const { socket, whenLost } = open(t, url);
  await socket.subscribe("eth_subscribe", ["newHeads"], () => {
    throw new Error("no header");
  });
  const error = await whenLost;
  assert.equal(error.code, "SPRINT_RPC_SHAPE");
  assert.match(error.message, /no header/);
});

/** A TCP server that answers the handshake with `text` and nothing more. */
async function tcp(t: TestContext, onData: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => onData(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/key0123456789abcdef0123?token=hunter2`;
}

test("no handshake: each reason has its code, and no key is in any", async (t) => {
  const nobody = await tcp(t, () => {});
  const port = new URL(nobody).port;
  for (const [status, code] of [
    ["401 Unauthorized", "SPRINT_RPC_UNAUTHORIZED"],
    ["403 Forbidden", "SPRINT_RPC_FORBIDDEN"],
    ["503 Service Unavailable", "SPRINT_RPC_UNAVAILABLE"],
    ["404 Not Found", "SPRINT_RPC_STATUS"],
    ["200 OK", "SPRINT_RPC_STATUS"],
  ] as const) {
    const url = await tcp(t, (socket) => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`));
    const { socket, whenLost } = open(t, url);
    await assert.rejects(socket.opened(), { code });
    const error = await whenLost;
    assert.equal(error.code, code);
    assert.ok(!/key0123|hunter2/.test(JSON.stringify({ ...error, message: error.message })), error.message);
    await socket.close();
  }
  const clock = new FakeClock();
  const silent = open(t, nobody, { timeoutMs: 100 }, clock);
  clock.advance(100);
  assert.equal((await silent.whenLost).code, "SPRINT_RPC_TIMEOUT");
  await silent.socket.close();
  const closed = open(t, `ws://127.0.0.1:${port === "1" ? 2 : 1}/`);
  assert.equal((await closed.whenLost).code, "SPRINT_RPC_UNREACHABLE");
});

test("a black hole is noticed; a node that says anything is not one", async (t) => {
  const clock = new FakeClock();
  const { url, peers } = await serve(t, (call, peer) => peer.send(result(call, "here")));
  const { socket, whenLost, lost } = open(t, url, { pingMs: 1000, pongMs: 500 }, clock);
  assert.equal(await socket.call("a"), "here");
  clock.advance(1000);
  const [[peer, connection] = []] = peers;
  assert.ok(peer !== undefined && connection !== undefined);
  clock.advance(1000);
  await once(peer, "ping");
  assert.equal(await socket.call("b"), "here");
  clock.advance(500);
  assert.equal(lost.length, 0, "it answered");

  connection.pause();
  const hanging = socket.call("c", [], { timeoutMs: 60_000 });
  clock.advance(1000);
  clock.advance(1000);
  clock.advance(500);
  assert.equal((await whenLost).code, "SPRINT_RPC_TIMEOUT");
  await assert.rejects(hanging, /ping/);
});
