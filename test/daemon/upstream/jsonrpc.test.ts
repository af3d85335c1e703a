import { strict as assert } from "node:assert";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { readAnswer, readBatch, readPassed } from "../../../src/daemon/upstream/jsonrpc-answer.ts";
import { RpcClient, type RpcClientOptions } from "../../../src/daemon/upstream/jsonrpc.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { isSprintError } from "../../../src/shared/errors.ts";
import { FakeClock } from "../../fakes/clock.ts";

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: unknown[];
  readonly authorization: string | undefined;
  /** The calls of a batch. */
  readonly batch: readonly { readonly id: number }[];
}
type Answer = (call: Call, response: ServerResponse, request: IncomingMessage) => void;

async function node(t: TestContext, answer: Answer): Promise<{ origin: string; calls: Call[] }> {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const parsed = JSON.parse(body) as Call | Call["batch"];
      const { authorization } = request.headers;
      const call = Array.isArray(parsed)
        ? { id: 0, method: "", params: [], authorization, batch: parsed }
        : { ...(parsed as Call), authorization, batch: [] };
      calls.push(call);
      answer(call, response, request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

function client(
  t: TestContext,
  origin: string,
  options: Partial<RpcClientOptions> = {},
  clock = systemClock,
): RpcClient {
  const made = new RpcClient({ origin, path: "/", auth: { kind: "none" }, ...options }, { clock });
  t.after(() => made.close());
  return made;
}

function say(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status);
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

test("takes results in the forms of 1.0 and 2.0, and sends user and password", async (t) => {
  const { origin, calls } = await node(t, ({ id, method }, response) => {
    if (method === "one") say(response, 200, { result: { a: 1 }, error: null, id });
    else say(response, 200, { jsonrpc: "2.0", result: null, id });
  });
  const rpc = client(t, origin, { auth: { kind: "password", user: "x", password: "pä:ss" } });
  assert.deepEqual(await rpc.call("one", ["p", 1]), { a: 1 });
  assert.equal(await rpc.call("two"), null);
  assert.equal(calls[0]?.authorization, `Basic ${Buffer.from("x:pä:ss").toString("base64")}`);
  assert.deepEqual(calls[0]?.params, ["p", 1]);
});

const WRONG: readonly (readonly [name: string, status: number, body: (id: number) => unknown, code: string])[] = [
  ["a web page", 200, () => "<!DOCTYPE html><html><body>router</body></html>", "SPRINT_RPC_NOT_JSON"],
  ["plain words", 200, () => "hello", "SPRINT_RPC_NOT_JSON"],
  ["a list", 200, () => [1], "SPRINT_RPC_SHAPE"],
  ["nothing", 200, () => "", "SPRINT_RPC_EMPTY"],
  ["spaces", 200, () => " \n", "SPRINT_RPC_EMPTY"],
  ["half of the JSON", 200, () => '{"result":', "SPRINT_RPC_BAD_JSON"],
  ["neither result nor error", 200, (id) => ({ id }), "SPRINT_RPC_SHAPE"],
  ["an error that is a string", 500, (id) => ({ id, result: null, error: "no" }), "SPRINT_RPC_SHAPE"],
  ["another call's answer", 200, (id) => ({ result: 1, error: null, id: id + 1 }), "SPRINT_RPC_WRONG_ID"],
  ["the id as a string", 200, (id) => ({ result: 1, error: null, id: String(id) }), "SPRINT_RPC_WRONG_ID"],
  ["no id", 200, () => ({ result: 1, error: null }), "SPRINT_RPC_WRONG_ID"],
  ["401", 401, () => "", "SPRINT_RPC_UNAUTHORIZED"],
  ["403", 403, () => "", "SPRINT_RPC_FORBIDDEN"],
  ["404 of a web server", 404, () => "<html>", "SPRINT_RPC_STATUS"],
  ["503", 503, () => "Service Unavailable", "SPRINT_RPC_UNAVAILABLE"],
  ["a full work queue", 500, () => "Work queue depth exceeded", "SPRINT_RPC_UNAVAILABLE"],
  [
    "a node that starts",
    500,
    (id) => ({ id, result: null, error: { code: -28, message: "Loading block index..." } }),
    "SPRINT_RPC_WARMING_UP",
  ],
  [
    "a missing method",
    404,
    (id) => ({ id, result: null, error: { code: -32601, message: "Method not found" } }),
    "SPRINT_RPC_METHOD_MISSING",
  ],
  [
    "an error, as 1.0",
    500,
    (id) => ({ id, result: null, error: { code: -5, message: "Block not found" } }),
    "SPRINT_RPC_ERROR",
  ],
  [
    "an error, as 2.0",
    200,
    (id) => ({ jsonrpc: "2.0", id, error: { code: -5, message: "Block not found" } }),
    "SPRINT_RPC_ERROR",
  ],
  [
    "an error to no id",
    500,
    () => ({ id: null, result: null, error: { code: -32700, message: "Parse error" } }),
    "SPRINT_RPC_ERROR",
  ],
  [
    "an error whose code is no number",
    500,
    (id) => ({ id, result: null, error: { code: { toString: 1, valueOf: 1 }, message: 7 } }),
    "SPRINT_RPC_ERROR",
  ],
  ["more bytes than allowed", 200, (id) => ({ id, error: null, result: "x".repeat(5000) }), "SPRINT_RPC_TOO_LARGE"],
];

test("every wrong answer has a code, and the next call goes on", async (t) => {
  let wrong: (typeof WRONG)[number] | null = null;
  const { origin } = await node(t, ({ id }, response) => {
    if (wrong) say(response, wrong[1], wrong[2](id));
    else say(response, 200, { result: "fine", error: null, id });
  });
  const rpc = client(t, origin, { maxResponseBytes: 2000, auth: { kind: "password", user: "u", password: "hunter2" } });
  for (wrong of WRONG) {
    const [name, , , code] = wrong;
    await assert.rejects(rpc.call("getblockhash", [0]), (error) => {
      assert.ok(isSprintError(error), name);
      assert.equal(error.code, code, name);
      assert.ok(
        error.message.length > 30 && error.message.length < 400 && !error.message.includes("hunter2"),
        error.message,
      );
      return true;
    });
    wrong = null;
    assert.equal(await rpc.call("getblockhash"), "fine", name);
  }
});

test("what a node says is printed as one safe line", async (t) => {
  const message = "a\nb\u001b[31mred\u202e" + "x".repeat(500);
  const { origin } = await node(t, ({ id }, response) =>
    say(response, 500, { id, result: null, error: { code: -1, message } }),
  );
  await assert.rejects(client(t, origin).call("x"), (error) => {
    assert.ok(isSprintError(error) && error.message.length < 200);
    assert.ok(!/[\p{Cc}\p{Cf}]/u.test(error.message));
    return true;
  });
});

test("an answer without an end is cut at the bound", async (t) => {
  const { origin } = await node(t, (_call, response) => {
    const flood = (): void => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
      if (!response.destroyed) response.once("drain", flood);
    };
    flood();
  });
  await assert.rejects(client(t, origin).call("getblock"), { code: "SPRINT_RPC_TOO_LARGE" });
});

test("no node", async (t) => {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  await assert.rejects(client(t, `http://127.0.0.1:${port}`).call("getblockhash"), {
    code: "SPRINT_RPC_UNREACHABLE",
    message: /ECONNREFUSED/,
  });
});

test("something that does not speak HTTP", async (t) => {
  const server = createTcpServer((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  await assert.rejects(client(t, `http://127.0.0.1:${port}`).call("getblockhash"), { code: "SPRINT_RPC_UNREACHABLE" });
});

test("a node that says nothing is given up when its time is over", async (t) => {
  let asked: () => void = () => {};
  const arrived = new Promise<void>((resolve) => (asked = resolve));
  const { origin } = await node(t, () => asked());
  const clock = new FakeClock();
  const call = client(t, origin, { timeoutMs: 5000 }, clock).call("getblockhash");
  await arrived;
  clock.advance(4999);
  assert.equal(clock.pending, 1);
  clock.advance(1);
  await assert.rejects(call, { code: "SPRINT_RPC_TIMEOUT" });
  assert.equal(clock.pending, 0);
});

test("a caller's abort and a close end a call, whether it runs or waits", async (t) => {
  let asked: () => void = () => {};
  const arrived = new Promise<void>((resolve) => (asked = resolve));
  const { origin, calls } = await node(t, () => asked());
  const rpc = client(t, origin, { concurrency: 1 });
  const abort = new AbortController();
  const running = rpc.call("runs", [], { signal: abort.signal });
  const waiting = rpc.call("waits", [], { signal: abort.signal });
  const closedWaiting = rpc.call("waits too");
  const gone = new Error("not wanted any more");
  const ends = Promise.all([
    assert.rejects(waiting, gone),
    assert.rejects(running, gone),
    assert.rejects(closedWaiting, { code: "SPRINT_RPC_CLOSED" }),
  ]);
  await arrived;
  abort.abort(gone);
  await rpc.close();
  await ends;
  await assert.rejects(rpc.call("after"), { code: "SPRINT_RPC_CLOSED" });
  assert.ok(!calls.some((call) => call.method === "waits"));
  await assert.rejects(rpc.call("x", [], { signal: abort.signal }), gone);
});

test("no more calls run at a time than allowed, and no more wait", async (t) => {
  let most = 0;
  const held: (() => void)[] = [];
  const { origin } = await node(t, ({ id }, response) => {
    held.push(() => say(response, 200, { result: id, error: null, id }));
    most = Math.max(most, held.length);
    // Nobody is answered before three are there: with fewer at a time this would never end.
    if (held.length === 3) for (const answer of held.splice(0)) answer();
  });
  const rpc = client(t, origin, { concurrency: 3, queueLimit: 21 });
  const calls = Array.from({ length: 24 }, () => rpc.call("x"));
  await assert.rejects(rpc.call("one too many"), { code: "SPRINT_RPC_BUSY" });
  assert.equal(new Set(await Promise.all(calls)).size, 24);
  assert.equal(most, 3);
});

test("a cookie is read again after a 401, once", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sprint-cookie-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, ".cookie");
  let valid = "__cookie__:one";
  const { origin, calls } = await node(t, ({ id, authorization }, response) => {
    if (authorization === `Basic ${Buffer.from(valid).toString("base64")}`)
      say(response, 200, { result: true, error: null, id });
    else say(response, 401, "");
  });
  const rpc = client(t, origin, { auth: { kind: "cookie", file } });
  await assert.rejects(rpc.call("x"), { code: "SPRINT_RPC_COOKIE" });
  await writeFile(file, "no colon");
  await assert.rejects(rpc.call("x"), { code: "SPRINT_RPC_COOKIE" });
  await writeFile(file, "__cookie__:one\n");
  assert.equal(await rpc.call("x"), true);
  // The node restarts with a new cookie.
  valid = "__cookie__:two";
  await writeFile(file, valid);
  const before = calls.length;
  assert.equal(await rpc.call("x"), true);
  assert.equal(calls.length, before + 2);
  assert.equal(await rpc.call("x"), true);
  assert.equal(calls.length, before + 3);
  // A cookie that is of another node: asked twice, not for ever.
  valid = "__cookie__:three";
  await assert.rejects(rpc.call("x"), { code: "SPRINT_RPC_UNAUTHORIZED" });
  assert.equal(calls.length, before + 5);
});

test("a kept-alive connection that the node dropped is replaced without a word", async (t) => {
  let drop = false;
  const { origin, calls } = await node(t, ({ id }, response, request) => {
    if (drop) {
      drop = false;
      request.socket.destroy();
    } else say(response, 200, { result: id, error: null, id });
  });
  const rpc = client(t, origin);
  await rpc.call("x");
  drop = true;
  await rpc.call("x");
  assert.equal(calls.length, 3);
});

test("a batch gives each call its own outcome, whatever the order of the answers", async (t) => {
  let answer: (ids: number[]) => unknown = () => [];
  const { origin, calls } = await node(t, (batch, response) => {
    say(response, 200, answer(batch.batch.map((call) => call.id)));
  });
  const rpc = client(t, origin);
  answer = ([a, b]) => [
    { id: b, result: null, error: { code: -8, message: "Block height out of range" } },
    { id: a, result: "x", error: null },
  ];
  const outcomes = await rpc.batch("getblockhash", [[1], [2]]);
  assert.deepEqual(outcomes[0], { ok: true, result: "x" });
  assert.ok(outcomes[1]?.ok === false && outcomes[1].error.code === "SPRINT_RPC_ERROR");
  answer = ([a]) => [{ id: a, result: "x", error: null }];
  await assert.rejects(rpc.batch("getblockhash", [[1], [2]]), { code: "SPRINT_RPC_WRONG_ID" });
  answer = () => ({ id: null, result: null, error: { code: -32600, message: "no batches here" } });
  await assert.rejects(rpc.batch("getblockhash", [[1]]), { code: "SPRINT_RPC_ERROR" });
  answer = () => ({ id: 1, result: 1, error: null });
  await assert.rejects(rpc.batch("getblockhash", [[1]]), { code: "SPRINT_RPC_SHAPE" });
  assert.deepEqual(await rpc.batch("getblockhash", []), []);
  assert.equal(calls.length, 4);
});

test("whatever is answered is a result or an error with a code", () => {
  const member = fc.oneof(
    fc.jsonValue(),
    fc.constant({ toString: 1 }),
    fc.record({ code: fc.jsonValue(), message: fc.jsonValue() }),
  );
  const object = fc.dictionary(fc.constantFrom("result", "error", "id", "jsonrpc", "__proto__"), member);
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    object.map((value) => JSON.stringify(value)),
    fc.array(fc.oneof(object, fc.jsonValue())).map((value) => JSON.stringify(value)),
  );
  const status = fc.constantFrom(200, 204, 301, 401, 403, 404, 500, 503);
  const coded = (read: () => unknown): void => {
    try {
      read();
    } catch (error) {
      assert.ok(isSprintError(error) && error.code.startsWith("SPRINT_RPC_"), String(error));
      assert.ok(error.message.length < 500 && !/\p{Cc}/u.test(error.message), JSON.stringify(error.message));
    }
  };
  fc.assert(
    fc.property(status, body, (status, body) => {
      coded(() => readAnswer("http://h:1", "getblock", 1, { status, body }));
      coded(() => readBatch("http://h:1", "getblock", [{ id: 1 }, { id: 2 }], { status, body }));
    }),
    { seed: 7, numRuns: 3000 },
  );
});

test("an answer to pass on stays as the node wrote it, in the known forms and in any other", () => {
  const passed = (body: string, status = 200) => readPassed("http://node", "getblock", 7, { status, body });
  const result = '{"difficulty":4.656542373906925e-10,"fee":0.10000000,"n":12345678901234567890}';
  assert.deepEqual(passed(`{"result":${result},"error":null,"id":7}\n`), { ok: true, json: result });
  assert.deepEqual(passed(`{"jsonrpc":"2.0","result":${result},"id":7}`), { ok: true, json: result });
  assert.deepEqual(passed(`{"jsonrpc":"2.0","id":7,"result":${result}}`), { ok: true, json: result });
  assert.deepEqual(passed(`{"id":7,"jsonrpc":"2.0","result":${result}}\n`), { ok: true, json: result });
  const long = `{"n":12345678901234567890,"x":"${"y".repeat(100_000)}"}`;
  assert.deepEqual(passed(`{"jsonrpc":"2.0","id":7,"result":${long}}`), { ok: true, json: long });
  const behind = passed(`{"jsonrpc":"2.0","id":7,"result":${long},"error":null}`);
  assert.deepEqual(behind, { ok: true, json: JSON.stringify(JSON.parse(long)) });
  assert.deepEqual(passed('{"id":7, "result": [1, 2]}'), { ok: true, json: "[1,2]" });
  assert.deepEqual(passed('{"result":null,"error":null,"id":7}'), { ok: true, json: "null" });
  const error = '{"code":-5,"message":"Block not found","data":{"a":[1]}}';
  const refused = { ok: false, json: error, code: -5, message: "Block not found" };
  assert.deepEqual(passed(`{"result":null,"error":${error},"id":7}`, 500), refused);
  assert.deepEqual(passed(`{"jsonrpc":"2.0","error":${error},"id":7}`), refused);
});

test("no answer to pass on: cut short, of another call, or none at all", () => {
  const code = (body: string, status = 200): string => {
    try {
      readPassed("http://node", "getblock", 7, { status, body });
    } catch (error) {
      if (isSprintError(error)) return error.code;
    }
    return "passed";
  };
  assert.equal(code('{"result":{"a":1,"error":null,"id":7}'), "SPRINT_RPC_BAD_JSON");
  assert.equal(code('{"result":1,"error":null,"id":8}'), "SPRINT_RPC_WRONG_ID");
  assert.equal(code('{"id":7}'), "SPRINT_RPC_SHAPE");
  assert.equal(code("Work queue depth exceeded", 500), "SPRINT_RPC_UNAVAILABLE");
  assert.equal(code("", 401), "SPRINT_RPC_UNAUTHORIZED");
});
