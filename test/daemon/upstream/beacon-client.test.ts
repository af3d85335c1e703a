import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { BeaconClient } from "../../../src/daemon/upstream/beacon-client.ts";
import { FakeClock } from "../../fakes/clock.ts";

const never = new AbortController().signal;
const small = { signal: never, maxBytes: 1_000 };

async function serve(t: TestContext, listener: RequestListener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const clock = new FakeClock();
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new BeaconClient({ origin, path: "/key/" }, { clock });
  t.after(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  return { server, clock, client };
}

test("an answer that does not come, and one that stops in the middle, are given up in time", async (t) => {
  const { server, clock, client } = await serve(t, (request, response) => {
    if (request.url === "/key/half") response.writeHead(200).write("{");
  });
  for (const path of ["/none", "/half"]) {
    const asked = client.ask(path, small);
    await once(server, "request");
    clock.advance(15_000);
    await assert.rejects(asked, { code: "SPRINT_UPSTREAM_BEACON_TIMEOUT" });
  }
  const stream = client.events(["head"], never);
  await once(server, "request");
  clock.advance(15_000);
  await assert.rejects(stream, { code: "SPRINT_UPSTREAM_BEACON_TIMEOUT" });
  assert.equal(clock.pending, 0);
});

test("a stream outlives the time for an answer, and ends with the client", async (t) => {
  const { clock, client } = await serve(t, (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream;charset=utf-8" }).write(":hello\n");
  });
  const bytes = (await client.events(["head"], never))[Symbol.asyncIterator]();
  assert.equal(String((await bytes.next()).value), ":hello\n");
  clock.advance(1_000_000);
  const next = assert.rejects(bytes.next());
  await client.close();
  await next;
  await assert.rejects(client.ask("/x", small), { code: "SPRINT_UPSTREAM_BEACON_CLOSED" });
});

test("what is not there, what is refused, what is cut off, who is not there", async (t) => {
  const { server, client } = await serve(t, ({ url }, response) => {
    if (url === "/key/cut")
      return void response.writeHead(200, { "content-length": "9" }).write("{", () => response.destroy());
    response.writeHead(Number(url?.slice(5)), { "content-type": "application/json", "eth-consensus-version": "Deneb" });
    response.end('{"data":1}');
  });
  assert.deepEqual(await client.ask("/200", small), { body: { data: 1 }, version: "deneb" });
  assert.equal(await client.ask("/404", small), null);
  await assert.rejects(client.ask("/503", small), { code: "SPRINT_UPSTREAM_BEACON_STATUS" });
  await assert.rejects(client.ask("/cut", small), { code: "SPRINT_UPSTREAM_BEACON_UNREACHABLE" });
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await assert.rejects(client.ask("/200", { ...small, signal: stop.signal }), { message: "enough" });
  server.closeAllConnections();
  server.close();
  await assert.rejects(client.ask("/200", small), { code: "SPRINT_UPSTREAM_BEACON_UNREACHABLE" });
});
