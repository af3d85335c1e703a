/** `sprint stats` and `sprint watch` against real listeners. */
import test from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { TOKEN, startFake } from "../server/daemon.ts";
import { type Ran, run } from "./run.ts";

function asker(control: string): (...args: string[]) => Promise<Ran> {
  return (...args) => run(args, { env: { SPRINT_CONTROL_URL: control, SPRINT_TOKEN: TOKEN } });
}

test("stats come from a tier's listener, as text and as its own document", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon.control);
  const text = await ask("stats", "--chain", "bitcoin");
  assert.equal(text.code, 0, text.err);
  assert.match(text.out, /^bitcoin .*\n(?:.*\n)*Mempool\n/);
  const json = await ask("stats", "--chain", "bitcoin", "--json");
  assert.equal(JSON.parse(json.out).family, "utxo");
  assert.deepEqual(await ask("stats", "--chain", "bitcoin", "--quiet"), { code: 0, out: "", err: "" });
});

test("a chain that is not relayed is told with those that are", async () => {
  await using daemon = await startFake();
  const refused = await asker(daemon.control)("stats", "--chain", "polygon");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /polygon is not relayed by this daemon; it relays bitcoin/);
});

test("where no tier's listener can be reached, that is said, with exit code 3", async () => {
  const gone = createServer();
  await once(gone.listen(0, "127.0.0.1"), "listening");
  const { port } = gone.address() as AddressInfo;
  gone.close();
  const listener = { connections: 0, connections_limit: null, subscribers: 0 };
  const status = {
    version: "0.1.0",
    pid: 1,
    network: "devnet",
    started_at: "2026-01-01T00:00:00Z",
    uptime_seconds: 1,
    draining: false,
    rss_bytes: 1,
    tiers: [{ tier: "FREE", url: `http://127.0.0.1:${port}`, ...listener }],
    chains: [],
    relay_latency_ms: null,
  };
  const control = createServer((_request, response) => response.end(JSON.stringify(status)));
  await once(control.listen(0, "127.0.0.1"), "listening");
  try {
    const ask = asker(`http://127.0.0.1:${(control.address() as AddressInfo).port}`);
    const ran = await ask("stats", "--chain", "bitcoin");
    assert.equal(ran.code, 3);
    assert.match(ran.err, /expected a tier's listener .*FREE at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    status.tiers.length = 0;
    assert.match((await ask("watch", "list", "--chain", "bitcoin")).err, /but it has none/);
  } finally {
    control.close();
  }
});

test("a watch list is added, listed and removed", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon.control);
  const scripts = ["--script", "76a9", "--script", "51"];
  const added = await ask("watch", "add", "--chain", "bitcoin", "--id", "mine", ...scripts, "--confirmations", "1,6");
  assert.equal(added.code, 0, added.err);
  assert.match(added.out, /^mine watches 2 scripts of bitcoin, confirmed at 1, 6;/);
  const listed = await ask("watch", "list", "--chain", "bitcoin");
  assert.match(listed.out, /\nmine +2 scripts +2 +1, 6 +20/);
  assert.deepEqual(await ask("watch", "remove", "--chain", "bitcoin", "mine"), {
    code: 0,
    out: "mine is watched no more\n",
    err: "",
  });
  assert.match((await ask("watch", "list", "--chain", "bitcoin")).out, /^nothing of bitcoin is watched/);
  assert.equal((await ask("watch", "remove", "--chain", "bitcoin", "mine")).code, 1);
});

test("what cannot be watched is wrong usage", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon.control);
  const nothing = await ask("watch", "add", "--chain", "bitcoin");
  assert.deepEqual([nothing.code, /expected something to watch, got nothing/.test(nothing.err)], [2, true]);
  const typo = await ask("watch", "add", "--chain", "bitcoin", "--address", "bc1qnonsense");
  assert.deepEqual([typo.code, /bc1qnonsense/.test(typo.err)], [2, true]);
  assert.equal((await ask("watch", "add", "--chain", "bitcoin", "--script", "51", "--confirmations", "1,x")).code, 2);
});
