import { strict as assert } from "node:assert";
import { test } from "node:test";
import { isSprintError, type SprintError } from "../../../src/shared/errors.ts";
import { type FakeNode, NodeError, bench, hashAt, settled, turn, unreachable } from "./upstreams.ts";

async function problem(promise: Promise<unknown>): Promise<SprintError> {
  try {
    await promise;
  } catch (error) {
    if (isSprintError(error)) return error;
    throw error;
  }
  throw new Error("expected a SprintError, got an answer");
}

const askedOf = (nodes: readonly FakeNode[]): readonly number[] => nodes.map(({ asked }) => asked.length);

test("a call is answered by one upstream, and upstreams take turns", async () => {
  const it = bench(2);
  const first = await it.call("getblockcount");
  assert.deepEqual(first.json, { jsonrpc: "2.0", result: 100, id: 1 });
  assert.deepEqual(first.headers, {
    "x-sprint-upstream": "ltc-1",
    "x-sprint-tried": "ltc-1=ok",
    "x-sprint-hedged": "false",
    "x-sprint-shared": "false",
  });
  for (let i = 0; i < 9; i++) await it.call("getblockcount");
  assert.deepEqual(askedOf(it.nodes), [5, 5]);
});

test("the node's own error object reaches the client unchanged and is no failure", async () => {
  const it = bench(2);
  const error = new NodeError(-8, "Block height out of range");
  for (const node of it.nodes)
    node.habit = () => {
      throw error;
    };
  const reply = await it.call("getblockhash", [7_000]);
  assert.deepEqual(reply.json, { jsonrpc: "2.0", error: error.body, id: 1 });
  assert.equal(reply.headers["x-sprint-tried"], "ltc-1=error");
  const handle = it.pool.handleOf("upstream:litecoin:ltc-1:tip");
  const { successes, failures } = it.pool.report(handle ?? 0, it.clock.now());
  assert.deepEqual({ successes, failures }, { successes: 1, failures: 0 });
});

test("a client of JSON-RPC 1.0 is answered in its form, and its id comes back as it was", async () => {
  const it = bench(1);
  const one = await it.send('{"id":"ab\\"c","method":"getblockcount"}');
  assert.deepEqual(one.json, { result: 100, error: null, id: 'ab"c' });
  assert.equal((await it.send('{"jsonrpc":"2.0","id":null,"method":"getblockcount"}')).json.id, null);
  assert.equal((await it.send('{"jsonrpc":"2.0","id":-1.5,"method":"getblockcount"}')).json.id, -1.5);
});

test("what is not on the allow-list never reaches a node", async () => {
  const it = bench(2);
  for (const method of ["stop", "getnetworkinfo", "dumpprivkey", "generatetoaddress", "__proto__", "constructor"]) {
    const reply = await it.call(method);
    assert.equal(reply.status, 200);
    assert.equal(reply.json.error.code, -32601, method);
    assert.equal(reply.json.id, 1);
  }
  assert.deepEqual(askedOf(it.nodes), [0, 0]);
  assert.ok(it.requests.every(({ method, outcome }) => method === "other" && outcome === "refused"));
});

test("an upstream that fails hands the call to the next, and the header says so", async () => {
  const it = bench(3);
  const [one, two] = it.nodes as [FakeNode, FakeNode];
  one.habit = unreachable;
  two.habit = () => {
    throw new NodeError(-28, "Loading block index…");
  };
  const reply = await it.call("getblockcount");
  assert.equal(reply.json.result, 100);
  assert.equal(reply.headers["x-sprint-tried"], "ltc-1=unreachable, ltc-2=warming_up, ltc-3=ok");
  assert.equal(reply.headers["x-sprint-upstream"], "ltc-3");
  assert.deepEqual(
    it.attempts.map(({ upstream, outcome }) => `${upstream} ${outcome}`),
    ["ltc-1 unreachable", "ltc-2 warming_up", "ltc-3 ok"],
  );
});

test("a time-out is the upstream's failure, and the call goes on elsewhere", async () => {
  const it = bench(2);
  (it.nodes[0] as FakeNode).habit = "hang";
  const reply = await it.call("getblockcount");
  assert.equal(reply.headers["x-sprint-tried"], "ltc-1=timeout, ltc-2=ok");
  const handle = it.pool.handleOf("upstream:litecoin:ltc-1:tip");
  assert.equal(it.pool.report(handle ?? 0, it.clock.now()).failures, 1);
});

test("when all fail the error says who was tried; the whole call stays within its deadline", async () => {
  const it = bench(5);
  for (const node of it.nodes) node.habit = unreachable;
  const failed = await problem(it.call("getblockcount"));
  assert.equal(failed.code, "SPRINT_PROXY_FAILED");
  assert.equal(failed.data["tried"], "ltc-1=unreachable, ltc-2=unreachable, ltc-3=unreachable");
  for (const node of it.nodes) node.habit = "hang";
  const begun = it.clock.now();
  assert.equal((await problem(it.call("getblock", [hashAt(3)]))).code, "SPRINT_PROXY_TIMEOUT");
  assert.ok(it.clock.now() - begun <= 10_000, `${it.clock.now() - begun} ms`);
});

test("open breakers: the call is refused at once, with the time of the next probe", async () => {
  const it = bench(2);
  for (const node of it.nodes) {
    node.habit = unreachable;
    node.delayMs = 0;
  }
  for (let i = 0; i < 200; i++) {
    it.clock.advance(10);
    const { code } = await problem(it.call("getblockcount"));
    if (code === "SPRINT_PROXY_OPEN") break;
  }
  const before = it.nodes[0]?.asked.length;
  const refused = await problem(it.call("getblockcount"));
  assert.equal(refused.code, "SPRINT_PROXY_OPEN");
  assert.match(String(refused.data["tried"]), /^ltc-[12]=open, ltc-[12]=open$/);
  const probes = ["ltc-1", "ltc-2"].map(
    (name) => it.pool.probeAt(it.pool.handleOf(`upstream:litecoin:${name}:tip`) ?? 0) ?? Infinity,
  );
  assert.equal(
    refused.data["retryAfterSeconds"],
    Math.max(1, Math.ceil((Math.min(...probes) - it.clock.now()) / 1_000)),
  );
  assert.equal(it.nodes[0]?.asked.length, before);
  // Another class has breakers of its own.
  for (const node of it.nodes) node.habit = null;
  assert.equal((await it.call("getblockheader", [hashAt(3)])).status, 200);
});

test("an upstream that was ill is probed with a copy: no client waits for it, and it comes back", async () => {
  const it = bench(2);
  const [one] = it.nodes as [FakeNode];
  one.habit = unreachable;
  for (let i = 0; i < 100; i++) {
    it.clock.advance(20);
    await it.call("getblockcount");
  }
  const states = (): readonly string[] => it.transitions.map(({ to }) => to);
  assert.equal(states()[0], "open");
  // It hangs now: a client that waited for a probe would see it.
  one.habit = "hang";
  let longest = 0;
  for (let i = 0; i < 100; i++) {
    it.clock.advance(50);
    longest = Math.max(longest, (await it.call("getblockcount")).tookMs);
  }
  assert.ok(longest < 50, `${longest} ms`);
  one.habit = null;
  for (let i = 0; i < 2_000 && states().at(-1) !== "closed"; i++) {
    it.clock.advance(50);
    await it.call("getblockcount");
  }
  assert.equal(states().at(-1), "closed");
});

test("retries and hedges together stay within the budget: an outage is not multiplied", async () => {
  const it = bench(3, {}, {});
  for (const node of it.nodes) {
    node.delayMs = 0;
    // Errors that are normal enough for the breakers to stay closed.
    let n = 0;
    node.habit = () => (n++ % 4 === 0 ? unreachable() : 100);
  }
  const calls = 2_000;
  for (let i = 0; i < calls; i++) await it.call("getblockcount").catch(() => {});
  const asked = it.attempts.length;
  assert.ok(asked > calls * 1.1 && asked <= calls * 1.1 + 100, `${asked} attempts for ${calls} calls`);
});

test("a node that hangs is hedged after the learnt quantile, and its breaker hears of it all the same", async () => {
  const it = bench(2);
  const [one, two] = it.nodes as [FakeNode, FakeNode];
  one.delayMs = two.delayMs = 20;
  for (let i = 0; i < 100; i++) {
    const reply = await it.call("getblockcount");
    assert.equal(reply.headers["x-sprint-hedged"], "false");
  }
  one.habit = "hang";
  const reply = await it.call("getblockcount");
  assert.equal(reply.headers["x-sprint-hedged"], "true");
  assert.equal(reply.headers["x-sprint-tried"], "ltc-2=ok, ltc-1=hedged");
  assert.equal(reply.headers["x-sprint-upstream"], "ltc-2");
  assert.ok(reply.tookMs > 35 && reply.tookMs < 45, `${reply.tookMs} ms`);
  assert.equal(one.underWay, 1, "it was left to itself");
  for (let calls = 0; it.transitions.length === 0; calls++) {
    assert.ok(calls < 60, "its breaker opens while every client is served by the other");
    assert.equal((await it.call("getblockcount")).json.result, 100);
    it.clock.advance(10);
  }
  const [{ breaker, to, cause } = assert.fail()] = it.transitions;
  assert.deepEqual([breaker, to, cause], ["upstream:litecoin:ltc-1:tip", "open", "latency"]);
  assert.ok(one.underWay <= 16);
});

test("what hedges have overtaken is bounded: beyond it a node that hangs is not asked", async () => {
  const it = bench(2, { leftPerUpstream: 3 });
  const [one] = it.nodes as [FakeNode];
  for (let i = 0; i < 100; i++) await it.call("getblockcount");
  one.habit = "hang";
  for (let i = 0; i < 20; i++) assert.equal((await it.call("getblockcount")).json.result, 100);
  assert.equal(one.underWay, 3);
  it.proxy.close();
  await turn();
  assert.equal(one.underWay, 0);
});

test("no hedge without a second upstream, for what sends, or before enough is known", async () => {
  const alone = bench(1);
  for (let i = 0; i < 120; i++) await alone.call("getblockcount");
  (alone.nodes[0] as FakeNode).delayMs = 500;
  assert.equal((await alone.call("getblockcount")).headers["x-sprint-hedged"], "false");

  const it = bench(2);
  for (let i = 0; i < 120; i++) await it.call("sendrawtransaction", [String(i)]);
  for (const node of it.nodes) node.delayMs = 500;
  assert.equal((await it.call("sendrawtransaction", ["aa"])).headers["x-sprint-hedged"], "false");
  assert.equal((await it.call("getblockcount")).headers["x-sprint-hedged"], "false");
});

test("a transaction is repeated at another upstream when the first failed", async () => {
  const it = bench(2);
  (it.nodes[0] as FakeNode).habit = "hang";
  const reply = await it.call("sendrawtransaction", ["00"]);
  assert.equal(reply.headers["x-sprint-tried"], "ltc-1=timeout, ltc-2=ok");
});

test("equal calls share one answer, each with its own id; different ones do not", async () => {
  const it = bench(2);
  const ask = (id: unknown, params: unknown[]): Promise<{ body: string; headers: Readonly<Record<string, string>> }> =>
    it.proxy.handle(JSON.stringify({ jsonrpc: "2.0", id, method: "getblock", params }), new AbortController().signal);
  const all = Promise.all([ask("a", [hashAt(1)]), ask(2, [hashAt(1)]), ask(3, [hashAt(1), 2]), ask(null, [hashAt(1)])]);
  const replies = await settled(it.clock, all);
  assert.deepEqual(askedOf(it.nodes), [1, 1]);
  assert.deepEqual(
    replies.map(({ body }) => JSON.parse(body).id),
    ["a", 2, 3, null],
  );
  assert.deepEqual(
    replies.map(({ headers }) => headers["x-sprint-shared"]),
    ["false", "true", "false", "true"],
  );
  assert.deepEqual(JSON.parse(replies[3].body).result, { method: "getblock", params: [hashAt(1)], by: "ltc-1" });
});

test("who was told of a block, or has sent a transaction, does not join a call from before it", async () => {
  const it = bench(1);
  const signal = new AbortController().signal;
  const ask = (method: string): Promise<unknown> => it.proxy.handle(`{"id":1,"method":"${method}"}`, signal);
  const early = ask("getmempoolinfo");
  it.served = { hash: hashAt(101), height: 101 };
  (it.nodes[0] as FakeNode).height = 101;
  const later = ask("getmempoolinfo");
  assert.deepEqual(it.nodes[0]?.asked, ["getmempoolinfo", "getmempoolinfo"]);
  await settled(it.clock, Promise.all([early, later]));
  (it.nodes[0] as FakeNode).habit = "hang";
  const reading = ask("getmempoolinfo");
  (it.nodes[0] as FakeNode).habit = null;
  await settled(it.clock, ask("sendrawtransaction"));
  const after = ask("getmempoolinfo");
  assert.equal(it.nodes[0]?.asked.length, 5);
  await settled(it.clock, Promise.all([after, reading.catch(() => {})]));
});

test("a client that goes away leaves the others their answer; the last one breaks the call off, to nobody's blame", async () => {
  const it = bench(1);
  const [node] = it.nodes as [FakeNode];
  const [one, two, three] = [new AbortController(), new AbortController(), new AbortController()];
  const ask = (control: AbortController): Promise<unknown> =>
    it.proxy.handle('{"id":1,"method":"getblockcount"}', control.signal);
  const [gone, stays] = [ask(one), ask(two)];
  one.abort(new Error("gone"));
  await assert.rejects(gone, /gone/);
  assert.equal(node.aborted, 0);
  await settled(it.clock, stays);

  const last = ask(three);
  three.abort(new Error("gone too"));
  await assert.rejects(last, /gone too/);
  await turn();
  assert.equal(node.aborted, 1);
  assert.equal(node.underWay, 0);
  const { failures, ignored } = it.pool.report(it.pool.handleOf("upstream:litecoin:ltc-1:tip") ?? 0, it.clock.now());
  assert.deepEqual({ failures, ignored }, { failures: 0, ignored: 1 });
  assert.equal(it.clock.pending, 0);
  assert.deepEqual(
    it.requests.map(({ outcome }) => outcome),
    ["gone", "result", "gone"],
  );
});

test("what depends on the tip is not asked of an upstream that is behind the served tip", async () => {
  const it = bench(2);
  const [one] = it.nodes as [FakeNode];
  one.height = 99;
  for (let i = 0; i < 4; i++) {
    const reply = await it.call("getmempoolinfo");
    assert.equal(reply.headers["x-sprint-upstream"], "ltc-2");
  }
  assert.match((await it.call("getmempoolinfo")).headers["x-sprint-tried"] ?? "", /ltc-1=behind/);
  assert.deepEqual(askedOf(it.nodes), [0, 5]);
  // What does not depend on it is, where nobody better is left.
  (it.nodes[1] as FakeNode).habit = unreachable;
  assert.equal((await it.call("getblockheader", [hashAt(5)])).headers["x-sprint-upstream"], "ltc-1");
});

test("an answer from before the served tip is not passed on: another upstream, then a moment's wait, then 503", async () => {
  const it = bench(2);
  const [one, two] = it.nodes as [FakeNode, FakeNode];
  // It announced block 101 and is still connecting it.
  it.served = { hash: hashAt(101), height: 101 };
  it.known.set(hashAt(101), 101);
  const lags = (method: string): unknown => {
    if (method === "getblockcount") return 100;
    if (method === "getblockchaininfo") return { blocks: 100 };
    if (method === "getbestblockhash") return hashAt(100);
    throw method === "getblockhash"
      ? new NodeError(-8, "Block height out of range")
      : new NodeError(-5, "Block not found");
  };
  one.height = two.height = 101;
  one.habit = two.habit = lags;
  const calls = [
    ["getblockcount"],
    ["getblockchaininfo"],
    ["getbestblockhash"],
    ["getblockhash", [101]],
    ["getblock", [hashAt(101), 1]],
    ["getblockheader", { blockhash: hashAt(101) }],
  ] as const;
  for (const [method, params] of calls) {
    const begun = it.clock.now();
    const behind = await problem(it.call(method, params));
    assert.equal(behind.code, "SPRINT_PROXY_BEHIND", method);
    assert.equal(behind.data["tried"], "ltc-1=behind, ltc-2=behind".split(", ").toSorted().join(", "), method);
    assert.ok(it.clock.now() - begun <= 300);
    it.clock.advance(60_000);
    // Asked twice, so that each call begins with the first upstream.
    await problem(it.call(method, params));
    it.clock.advance(60_000);
  }
  // A question about a block that nobody was told of is the node's to answer.
  assert.equal((await it.call("getblockheader", ["ff".repeat(32)])).json.error.code, -5);
  assert.equal((await it.call("getblockhash", [500])).json.error.code, -8);

  // It has caught up 40 ms later.
  it.clock.after(40, () => {
    one.habit = () => 101;
  });
  const reply = await it.call("getblockcount");
  assert.equal(reply.json.result, 101);
  assert.match(reply.headers["x-sprint-tried"] ?? "", /ltc-1=behind, ltc-2=behind, ltc-1=ok/);
  assert.ok(reply.tookMs < 250, `${reply.tookMs} ms`);
});

test("one whose height is not known is asked after those that are up to date, and found out where its answer shows it", async () => {
  const it = bench(2);
  const [back, steady] = it.nodes as [FakeNode, FakeNode];
  // It has just come up again: its RPC answers already, the relay has not dialled it yet.
  back.height = null;
  for (let i = 0; i < 3; i++) {
    const reply = await it.call("getrawmempool", [i > 1]);
    assert.equal(reply.headers["x-sprint-upstream"], "ltc-2");
  }
  steady.habit = unreachable;
  assert.equal((await it.call("getrawmempool")).headers["x-sprint-upstream"], "ltc-1", "better than nobody");
  back.habit = () => ({ bestblock: hashAt(99), confirmations: 3 });
  const spent = it.call("gettxout", ["00".repeat(32), 0]);
  await assert.rejects(spent, { code: "SPRINT_PROXY_BEHIND" });
  back.habit = () => ({ bestblock: hashAt(100), confirmations: 4 });
  assert.equal((await it.call("gettxout", ["00".repeat(32), 0])).json.result.confirmations, 4);
});

test("all known to be behind: nobody is asked in vain, and the call waits for the first to catch up", async () => {
  const it = bench(2);
  it.served = { hash: hashAt(101), height: 101 };
  it.clock.after(100, () => {
    (it.nodes[1] as FakeNode).height = 101;
  });
  const reply = await it.call("getblockcount");
  assert.equal(reply.json.result, 101);
  assert.deepEqual(askedOf(it.nodes), [0, 1]);
  for (const node of it.nodes) node.height = 90;
  const behind = await problem(it.call("getblockcount"));
  assert.equal(behind.code, "SPRINT_PROXY_BEHIND");
  assert.equal(behind.data["retryAfterSeconds"], 1);
});

test("what one node has pruned, another may have; if none has, the first answer counts", async () => {
  const it = bench(2);
  const [one, two] = it.nodes as [FakeNode, FakeNode];
  one.habit = () => {
    throw new NodeError(-1, "Block not available (pruned data)");
  };
  const reply = await it.call("getblock", [hashAt(5)]);
  assert.equal(reply.headers["x-sprint-tried"], "ltc-1=elsewhere, ltc-2=ok");
  two.habit = () => {
    throw new NodeError(-1, "no index");
  };
  await it.call("getrawtransaction", ["cd"]);
  assert.equal((await it.call("getrawtransaction", ["ab"])).json.error.message, "Block not available (pruned data)");
});

test("an upstream takes so many calls at a time; beyond, the next one, then 503", async () => {
  const it = bench(2, { perUpstream: 2, shared: 0 });
  const signal = new AbortController().signal;
  const all = Array.from({ length: 5 }, (_, id) => it.proxy.handle(`{"id":${id},"method":"getblockcount"}`, signal));
  const refused = await problem(all[4] as Promise<unknown>);
  assert.equal(refused.code, "SPRINT_PROXY_BUSY");
  assert.equal(refused.data["tried"], "ltc-1=busy, ltc-2=busy");
  await settled(it.clock, Promise.all(all.slice(0, 4)));
  assert.deepEqual(
    it.nodes.map(({ mostUnderWay }) => mostUnderWay),
    [2, 2],
  );
  assert.equal((await it.call("getblockcount")).status, 200);
});

test("a batch: answers in order, some at a time, errors each for itself, headers of them all", async () => {
  const it = bench(2, { batchParallel: 3, perUpstream: 3 });
  const [, two] = it.nodes as [FakeNode, FakeNode];
  two.habit = (method) => (method === "getblockhash" ? unreachable() : 100);
  const batch = [
    { jsonrpc: "2.0", id: "a", method: "getblockcount" },
    { jsonrpc: "2.0", id: "b", method: "stop" },
    7,
    { jsonrpc: "2.0", id: "c", method: "getblockhash", params: [1] },
    { jsonrpc: "2.0", method: "getblockcount" },
    { jsonrpc: "2.0", id: "d", method: "getblockheader", params: [hashAt(1)] },
  ];
  const reply = await it.send(JSON.stringify(batch));
  assert.equal(reply.status, 200);
  assert.deepEqual(
    reply.json.map(({ id }: { id: unknown }) => id),
    ["a", "b", null, "c", null, "d"],
  );
  assert.deepEqual(
    reply.json.map(({ error }: { error?: { code: number } }) => error?.code ?? 0),
    [0, -32601, -32600, 0, -32600, 0],
  );
  assert.match(reply.headers["x-sprint-tried"] ?? "", /ltc-2=unreachable/);
  assert.deepEqual(reply.headers["x-sprint-upstream"], "ltc-1");
});

test("in a batch a call that no upstream can answer is an error object with the code and the time to come back", async () => {
  const it = bench(0);
  const reply = await it.send('[{"jsonrpc":"2.0","id":1,"method":"getblockcount"},{"id":2,"method":"stop"}]');
  assert.equal(reply.json[0].error.code, -32000);
  assert.equal(reply.json[0].error.data.code, "SPRINT_PROXY_NO_UPSTREAM");
  assert.equal(reply.json[1].error.code, -32601);
  assert.equal((await problem(it.call("getblockcount"))).code, "SPRINT_PROXY_NO_UPSTREAM");
});

test("answers of a batch have a bound together", async () => {
  const it = bench(1, { replyChars: 500 });
  (it.nodes[0] as FakeNode).habit = () => "x".repeat(300);
  const reply = await it.send(JSON.stringify([1, 2].map((id) => ({ id, method: "getblock", params: [hashAt(id)] }))));
  assert.equal(reply.json[0].result.length, 300);
  assert.equal(reply.json[1].error.data.code, "SPRINT_PROXY_TOO_LARGE");
});

test("requests under way have a bound", async () => {
  const it = bench(1, { requests: 1 });
  const signal = new AbortController().signal;
  const first = it.proxy.handle('{"id":1,"method":"getblockcount"}', signal);
  assert.equal((await problem(it.proxy.handle('{"id":1,"method":"getblockcount"}', signal))).code, "SPRINT_PROXY_BUSY");
  await settled(it.clock, first);
});

test("an upstream's name cannot write a header of its own", async () => {
  const it = bench(1);
  Object.assign(it.nodes[0] as object, { name: "evil\r\nset-cookie: a=b, c" });
  const reply = await it.call("getblockcount");
  for (const value of Object.values(reply.headers)) assert.match(value, /^[A-Za-z0-9._=, -]+$/);
  assert.equal(reply.headers["x-sprint-upstream"], "evil--set-cookie--a-b--c");
});

test("an operator's force is obeyed: forced open is not asked", async () => {
  const it = bench(2);
  await it.call("getblockcount");
  const handle = it.pool.handleOf("upstream:litecoin:ltc-1:tip") ?? 0;
  it.pool.forceOpen(handle, { owner: "op", reason: "maintenance" }, it.clock.now());
  const before = it.nodes[0]?.asked.length;
  for (let i = 0; i < 6; i++) assert.equal((await it.call("getblockcount")).headers["x-sprint-upstream"], "ltc-2");
  assert.equal(it.nodes[0]?.asked.length, before);
});

test("a breaker that was evicted is made anew", async () => {
  const it = bench(1);
  await it.call("getblockcount");
  assert.equal(it.pool.evict("upstream:litecoin:ltc-1:tip"), true);
  assert.equal((await it.call("getblockcount")).json.result, 100);
});

test("closing breaks off what is under way, and nothing begins after it", async () => {
  const it = bench(1);
  (it.nodes[0] as FakeNode).habit = "hang";
  const waiting = problem(it.proxy.handle('{"id":1,"method":"getblockcount"}', new AbortController().signal));
  it.proxy.close();
  assert.equal((await waiting).code, "SPRINT_PROXY_CLOSED");
  assert.equal((await problem(it.call("getblockcount"))).code, "SPRINT_PROXY_CLOSED");
  assert.equal(it.clock.pending, 0);
  assert.equal(it.pool.faults.callsOut, 0);
});
