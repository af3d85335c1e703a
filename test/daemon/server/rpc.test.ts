/** The route to the proxy: what goes in as it came, what comes out as it is, and what HTTP adds. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { SprintError } from "../../../src/shared/errors.ts";
import { startFake } from "./daemon.ts";

const ROUTE = "/api/v1/chains/bitcoin/rpc";

function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: "POST", body, headers });
}

test("a body is handed on as text, whatever its content type says, and the answer is sent as it is", async () => {
  const bodies: string[] = [];
  await using daemon = await startFake({
    rpc: async (chain, body) => {
      bodies.push(`${chain} ${body}`);
      return { status: 200, headers: { "x-sprint-upstream": "btc-1" }, body: '{"result":0.10000000,"id":1}', calls: 1 };
    },
  });
  for (const type of ["application/json", "text/plain;", "text/plain", "application/x-www-form-urlencoded"]) {
    const answer = await post(`${daemon.tier}${ROUTE}`, '{"id":1 ,', { "content-type": type });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "application/json; charset=utf-8");
    assert.equal(answer.headers.get("x-sprint-upstream"), "btc-1");
    assert.equal(await answer.text(), '{"result":0.10000000,"id":1}');
  }
  await post(`${daemon.tier}${ROUTE}`, "");
  assert.deepEqual(bodies, [...Array.from({ length: 4 }, () => 'bitcoin {"id":1 ,'), "bitcoin "]);
});

test("status and headers of a refusal in JSON-RPC are the proxy's", async () => {
  await using daemon = await startFake({
    rpc: async () => ({ status: 400, headers: {}, body: '{"error":{"code":-32700}}', calls: 1 }),
  });
  const answer = await post(`${daemon.tier}${ROUTE}`, "{");
  assert.equal(answer.status, 400);
  assert.deepEqual(await answer.json(), { error: { code: -32700 } });
});

test("when no upstream can answer: the house's error, the time to come back, and what was tried", async () => {
  const cases = [
    ["SPRINT_PROXY_OPEN", 503],
    ["SPRINT_PROXY_BEHIND", 503],
    ["SPRINT_PROXY_BUSY", 503],
    ["SPRINT_PROXY_NO_UPSTREAM", 503],
    ["SPRINT_PROXY_FAILED", 502],
    ["SPRINT_PROXY_TIMEOUT", 504],
  ] as const;
  let code: (typeof cases)[number][0] = "SPRINT_PROXY_OPEN";
  await using daemon = await startFake({
    rpc: async () => {
      throw new SprintError(code, "no upstream", { tried: "btc-1=open", retryAfterSeconds: 7 });
    },
  });
  for (const [thrown, status] of cases) {
    code = thrown;
    const answer = await post(`${daemon.tier}${ROUTE}`, "{}");
    assert.equal(answer.status, status, thrown);
    assert.equal(answer.headers.get("retry-after"), "7");
    assert.equal(answer.headers.get("x-sprint-tried"), "btc-1=open");
    const { error } = (await answer.json()) as { error: { code: string; details: unknown } };
    assert.equal(error.code, thrown);
    assert.deepEqual(error.details, { tried: "btc-1=open", retryAfterSeconds: 7 });
  }
  assert.deepEqual(daemon.faults, []);
});

test("a chain that is off, and a body that is too large, do not come to the proxy", async () => {
  let asked = 0;
  await using daemon = await startFake({
    rpc: async () => {
      asked++;
      return { status: 200, headers: {}, body: "{}", calls: 1 };
    },
  });
  assert.equal((await post(`${daemon.tier}/api/v1/chains/dogecoin/rpc`, "{}")).status, 404);
  assert.equal((await post(`${daemon.tier}/api/v1/chains/nochain/rpc`, "{}")).status, 404);
  assert.equal((await post(`${daemon.tier}${ROUTE}`, " ".repeat(262_145))).status, 413);
  assert.equal(asked, 0);
  assert.equal((await post(`${daemon.tier}${ROUTE}`, " ".repeat(262_144))).status, 200);
  // Other routes still take JSON alone.
  assert.equal((await post(`${daemon.tier}/api/v1/subscribe`, "{}", { "content-type": "text/xml" })).status, 415);
});

test("the proxy is told when the client goes away", async () => {
  const aborted = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await using daemon = await startFake({
    rpc: (_chain, _body, signal) =>
      new Promise((_, reject) => {
        asked.resolve();
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(signal.reason);
        });
      }),
  });
  const socket = connect(Number(new URL(daemon.tier).port), "127.0.0.1");
  socket.write(`POST ${ROUTE} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`);
  await asked.promise;
  socket.destroy();
  await aborted.promise;
  assert.deepEqual(daemon.faults, []);
});

test("a batch is as many calls as it holds, for the tier's limit", async () => {
  await using daemon = await startFake({
    apiCallsPerMinute: 10,
    rpc: async () => ({ status: 200, headers: {}, body: "[]", calls: 6 }),
  });
  assert.equal((await post(`${daemon.tier}${ROUTE}`, "[]")).status, 200);
  const last = await post(`${daemon.tier}${ROUTE}`, "[]");
  assert.equal(last.status, 200);
  assert.equal(last.headers.get("ratelimit-remaining"), "3");
  assert.equal((await post(`${daemon.tier}${ROUTE}`, "[]")).status, 429);
});
