import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { subscribe } from "../../fakes/subscriber.ts";
import { startFake } from "./daemon.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- what an answer holds is what the test is about
  readonly body: any;
}

async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

function post(url: string, body: string, type = "application/json"): Promise<Answer> {
  return ask(url, { method: "POST", headers: { "content-type": type }, body });
}

/** Sends bytes as they are and resolves to all that came back until the end. */
async function raw(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.setEncoding("utf8").write(bytes);
  let text = "";
  socket.on("data", (chunk: string) => (text += chunk));
  await once(socket, "close");
  return text;
}

test("blocks: newest of each chain, of one, by hash, and page by page", async () => {
  await using daemon = await startFake();
  const { tier, chain } = daemon;
  for (let i = 0; i < 5; i++) chain.mine("bitcoin");
  chain.mine("litecoin");

  const latest = await ask(`${tier}/api/v1/blocks/latest`);
  assert.equal(latest.status, 200);
  assert.deepEqual(
    latest.body.blocks.map((block: { chain: string; height: number }) => [block.chain, block.height]),
    [
      ["bitcoin", 104],
      ["litecoin", 100],
    ],
  );
  const one = await ask(`${tier}/api/v1/blocks/latest?chain=litecoin`);
  assert.deepEqual(
    one.body.blocks.map((block: { chain: string }) => block.chain),
    ["litecoin"],
  );

  const [tip] = latest.body.blocks;
  assert.deepEqual(await ask(`${tier}/api/v1/blocks/${tip.hash}`).then(({ body }) => body), {
    chain: "bitcoin",
    network: "regtest",
    hash: tip.hash,
    height: 104,
    parent_hash: tip.parent_hash,
    timestamp: "2025-06-15T15:08:24Z",
    tx_count: null,
    size_bytes: null,
    weight: null,
    version: 0x2000_0000,
    merkle_root: tip.merkle_root,
    bits: "207fffff",
    nonce: 104,
    auxpow: false,
    validation: "header",
    upstream: "btc-1",
    best_chain: true,
    final: false,
  });

  const heights: number[] = [];
  let before: string | null = "";
  while (before !== null) {
    const page: Answer = await ask(`${tier}/api/v1/chains/bitcoin/blocks?limit=2${before && `&before=${before}`}`);
    heights.push(...page.body.blocks.map((block: { height: number }) => block.height));
    before = page.body.next_before;
  }
  assert.deepEqual(heights, [104, 103, 102, 101, 100]);
  const below = await ask(`${tier}/api/v1/chains/bitcoin/blocks?before=102`);
  assert.equal(below.body.blocks[0].height, 101);
});

test("chains, status, version, health, metrics and the OpenAPI document", async () => {
  await using daemon = await startFake();
  const { tier, chain } = daemon;
  const tip = chain.mine("bitcoin");

  const status = await ask(`${tier}/api/v1/chains/bitcoin/status`);
  assert.equal(status.status, 200);
  assert.equal(status.body.status, "synced");
  assert.equal(status.body.tip.hash, tip.type === "block" && tip.data.hash);
  const chains = await ask(`${tier}/api/v1/chains`);
  assert.deepEqual(
    chains.body.chains.map((each: { chain: string; status: string }) => [each.chain, each.status]),
    [
      ["bitcoin", "synced"],
      ["litecoin", "down"],
    ],
  );
  const health = await ask(`${tier}/api/v1/health`);
  assert.deepEqual([health.status, health.body.status], [200, "degraded"]);
  assert.deepEqual(await ask(`${tier}/api/v1/version`).then(({ body }) => body), {
    name: "bitcoin-sprint",
    version: "0.1.0",
    network: "devnet",
    chains: { bitcoin: "regtest", litecoin: "regtest" },
    tier: "ENTERPRISE",
  });
  assert.match((await ask(`${tier}/api/v1/metrics`)).body, /sprint_test_total 1/);
  assert.equal((await ask(`${tier}/healthz`)).status, 200);
  assert.equal((await ask(`${tier}/readyz`)).status, 200);
});

test("bad input is told by code, part and field", async () => {
  await using daemon = await startFake();
  const { tier } = daemon;
  const hash = "00".repeat(32);
  const cases: readonly (readonly [string, number, string, string | undefined])[] = [
    ["/api/v1/blocks/latest?chain=Ethereum", 400, "SPRINT_API_BAD_INPUT", "chain"],
    ["/api/v1/blocks/latest?chain=dogecoin", 404, "SPRINT_API_CHAIN_OFF", undefined],
    ["/api/v1/blocks/latest?chains=bitcoin", 400, "SPRINT_API_BAD_INPUT", "chains"],
    ["/api/v1/blocks/latest?chain=bitcoin&chain=litecoin", 400, "SPRINT_API_BAD_INPUT", "chain"],
    [`/api/v1/blocks/${hash}`, 404, "SPRINT_API_BLOCK_UNKNOWN", undefined],
    ["/api/v1/blocks/xyz", 400, "SPRINT_API_BAD_INPUT", "hash"],
    [`/api/v1/blocks/${"a".repeat(300)}`, 400, "SPRINT_API_BAD_REQUEST", undefined],
    ["/api/v1/blocks/%zz", 400, "SPRINT_API_BAD_REQUEST", undefined],
    ["/api/v1/chains/ethereum/status", 404, "SPRINT_API_CHAIN_OFF", undefined],
    ["/api/v1/chains/dogecoin/status", 404, "SPRINT_API_CHAIN_OFF", undefined],
    ["/api/v1/chains/bitcoin/blocks?limit=0", 400, "SPRINT_API_BAD_INPUT", "limit"],
    ["/api/v1/chains/bitcoin/blocks?limit=501", 400, "SPRINT_API_BAD_INPUT", "limit"],
    ["/api/v1/chains/bitcoin/blocks?limit=ten", 400, "SPRINT_API_BAD_INPUT", "limit"],
    ["/api/v1/chains/bitcoin/blocks?before=-1", 400, "SPRINT_API_BAD_INPUT", "before"],
    [`/api/v1/chains/bitcoin/blocks?before=${hash}`, 404, "SPRINT_API_BLOCK_UNKNOWN", undefined],
    ["/api/v2/blocks", 404, "SPRINT_API_NOT_FOUND", undefined],
    ["/api/v1/chains/bitcoin/rpc", 404, "SPRINT_API_NOT_FOUND", undefined],
    ["/ws/v1/events", 404, "SPRINT_API_NOT_FOUND", undefined],
  ];
  for (const [path, status, code, field] of cases) {
    const answer = await ask(tier + path);
    assert.deepEqual(
      [path, answer.status, answer.body.error?.code, answer.body.error?.details.field],
      [path, status, code, field],
    );
    assert.ok(answer.body.error.message.length > 10);
  }
  assert.deepEqual(daemon.faults, []);
});

test("bad bodies: no JSON, wrong types, unknown keys, wrong media type, too large", async () => {
  await using daemon = await startFake();
  const url = `${daemon.tier}/api/v1/subscribe`;
  const code = async (answer: Promise<Answer>): Promise<unknown[]> => {
    const { status, body } = await answer;
    return [status, body.error.code, body.error.details.field];
  };
  assert.deepEqual(await code(post(url, "{")), [400, "SPRINT_API_BAD_JSON", undefined]);
  assert.deepEqual(await code(post(url, "")), [400, "SPRINT_API_BAD_JSON", undefined]);
  assert.deepEqual(await code(post(url, '{"__proto__":{"x":1}}')), [400, "SPRINT_API_BAD_JSON", undefined]);
  assert.deepEqual(await code(post(url, "[]")), [400, "SPRINT_API_BAD_INPUT", ""]);
  assert.deepEqual(await code(post(url, '{"chains":"bitcoin"}')), [400, "SPRINT_API_BAD_INPUT", "chains"]);
  assert.deepEqual(await code(post(url, '{"chains":[1]}')), [400, "SPRINT_API_BAD_INPUT", "chains.0"]);
  assert.deepEqual(await code(post(url, '{"phase":"mined"}')), [400, "SPRINT_API_BAD_INPUT", "phase"]);
  assert.deepEqual(await code(post(url, '{"webhook":"http://x"}')), [400, "SPRINT_API_BAD_INPUT", "webhook"]);
  assert.deepEqual(await code(post(url, '{"chains":["dogecoin"]}')), [404, "SPRINT_API_CHAIN_OFF", undefined]);
  assert.deepEqual(await code(post(url, "<x/>", "text/xml")), [415, "SPRINT_API_MEDIA_TYPE", undefined]);
  assert.deepEqual(await code(post(url, JSON.stringify("x".repeat(80_000)))), [
    413,
    "SPRINT_API_BODY_TOO_LARGE",
    undefined,
  ]);
  assert.deepEqual(daemon.faults, []);
});

test("bytes that are no HTTP, headers too large and headers that never end get an answer in the error shape", async () => {
  await using daemon = await startFake({ http: { headersTimeoutMs: 200, requestTimeoutMs: 300 } });
  const { tier } = daemon;
  assert.match(await raw(tier, "\x01\x02\x03 nonsense\r\n\r\n"), /^HTTP\/1.1 400 [^]*"SPRINT_API_BAD_REQUEST"/);
  assert.match(
    await raw(tier, `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1.1 431 [^]*"SPRINT_API_HEADERS_TOO_LARGE"/,
  );
  assert.match(await raw(tier, "GET / HTTP/1.1\r\nhost: x\r\n"), /^HTTP\/1.1 408 [^]*"SPRINT_API_TIMEOUT"/);
  assert.match(
    await raw(
      tier,
      "POST /api/v1/subscribe HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\ncontent-type: application/json\r\n\r\n{",
    ),
    /^HTTP\/1.1 408 /,
  );
});

test("a fault of ours tells the client nothing and the daemon everything", async () => {
  await using daemon = await startFake();
  daemon.breakDown();
  const answer = await ask(`${daemon.tier}/api/v1/blocks/latest`);
  assert.equal(answer.status, 500);
  assert.equal(answer.body.error.code, "SPRINT_API_INTERNAL");
  assert.ok(!JSON.stringify(answer.body).includes("secret"));
  assert.equal((daemon.faults[0] as Error).message, "secret inside");
});

test("calls per minute: RateLimit headers, 429 with Retry-After, probes exempt, handshakes counted", async () => {
  await using daemon = await startFake({ apiCallsPerMinute: 3 });
  const { tier } = daemon;
  const first = await ask(`${tier}/api/v1/version`);
  assert.equal(first.headers.get("ratelimit-limit"), "3");
  assert.equal(first.headers.get("ratelimit-remaining"), "2");
  assert.ok(Number(first.headers.get("ratelimit-reset")) > 0);
  assert.equal((await ask(`${tier}/api/v1/nothing`)).status, 404);
  const subscriber = await subscribe(tier);
  await subscriber.close();

  const over = await ask(`${tier}/api/v1/version`);
  assert.equal(over.status, 429);
  assert.equal(over.body.error.code, "SPRINT_API_RATE_LIMIT");
  assert.ok(Number(over.headers.get("retry-after")) > 0);
  assert.equal((await ask(`${tier}/api/v1/nothing`)).status, 429);
  await assert.rejects(subscribe(tier), (error: { status: number; headers: Record<string, string> }) => {
    assert.equal(error.status, 429);
    assert.ok(Number(error.headers["retry-after"]) > 0);
    return true;
  });
  for (const path of ["/healthz", "/readyz", "/api/v1/health"])
    assert.equal((await ask(tier + path)).status, 200, path);
});

test("connections: WebSockets and HTTP over the limit get 429, a freed place is given again, probes are answered", async () => {
  await using daemon = await startFake({ connections: 2 });
  const { tier, server } = daemon;
  const a = await subscribe(tier);
  const b = await subscribe(tier);
  assert.equal(server.listeners()[0]?.connections, 2);

  await assert.rejects(subscribe(tier), { status: 429 });
  const over = await ask(`${tier}/api/v1/version`, { headers: { connection: "close" } });
  assert.equal(over.status, 429);
  assert.equal(over.body.error.code, "SPRINT_API_CONNECTION_LIMIT");
  assert.ok(Number(over.headers.get("retry-after")) > 0);
  assert.equal((await ask(`${tier}/healthz`, { headers: { connection: "close" } })).status, 200);

  daemon.chain.mine();
  await a.next((event) => event.type === "block");
  await b.next((event) => event.type === "block");
  await b.close();
  for (;;) {
    if ((server.listeners()[0]?.connections ?? 0) < 2) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const c = await subscribe(tier);
  await c.next((event) => event.type === "hello");
  await Promise.all([a.close(), c.close()]);
});

test("subscriptions: stored, listed for their owner, used, deleted, bounded", async () => {
  await using daemon = await startFake({ subscriptions: { perAddress: 2 } });
  const { tier, chain } = daemon;
  const made = await post(`${tier}/api/v1/subscribe`, '{"chains":["litecoin"],"types":["block"],"phase":"announced"}');
  assert.equal(made.status, 201);
  assert.equal(made.body.url, `${tier.replace("http", "ws")}/ws/v1/events?subscription=${made.body.id}`);

  const subscriber = await subscribe(made.body.url);
  await subscriber.next((event) => event.type === "hello");
  chain.mine("bitcoin");
  chain.mine("litecoin");
  const event = await subscriber.next();
  assert.equal(event.type === "block" && event.chain, "litecoin");

  const { body: list } = await ask(`${tier}/api/v1/subscriptions`);
  assert.equal(list.subscriptions.length, 1);
  assert.deepEqual([list.subscriptions[0].id, list.subscriptions[0].connections], [made.body.id, 1]);

  assert.equal((await post(`${tier}/api/v1/subscribe`, "{}")).status, 201);
  const full = await post(`${tier}/api/v1/subscribe`, "{}");
  assert.deepEqual([full.status, full.body.error.code], [429, "SPRINT_API_SUBSCRIPTIONS_FULL"]);

  const gone = await ask(`${tier}/api/v1/subscribe/${made.body.id}`, { method: "DELETE" });
  assert.equal(gone.status, 204);
  await assert.rejects(subscribe(made.body.url), { status: 404 });
  assert.equal((await ask(`${tier}/api/v1/subscribe/${made.body.id}`, { method: "DELETE" })).status, 404);
  chain.mine("litecoin");
  assert.equal((await subscriber.next()).type, "block");
  await subscriber.close();
});

test("a port in use is named, with what to do", async () => {
  await using daemon = await startFake();
  const port = Number(new URL(daemon.tier).port);
  await assert.rejects(
    startFake({ tiers: [{ tier: "FREE", host: "127.0.0.1", port }] }),
    (error: { code: string; message: string; data: { port: number } }) => {
      assert.equal(error.code, "SPRINT_SERVER_PORT_IN_USE");
      assert.equal(error.data.port, port);
      assert.match(error.message, /choose another port/);
      return true;
    },
  );
});
