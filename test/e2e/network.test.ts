/** Upstreams that are something else than was hoped for, and starts that cannot be: a code, a sentence that helps, and no crash. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type RequestListener, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { startNode } from "../fakes/devnet.ts";
import { startSprint } from "../fakes/sprint.ts";
import { subscribe } from "../fakes/subscriber.ts";
import { runSprint, upstreamOnce } from "./watch.ts";

/** `http://127.0.0.1:PORT` of a server that answers as told. */
async function httpServer(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "sprint-network-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe("starts with something wrong", { concurrency: 3 }, () => {
  test("a node of another chain, an RPC that is none: each says so, the good chain is served", async (t) => {
    const bitcoin = await startNode("bitcoin");
    t.after(() => bitcoin.close());
    const html = await httpServer(t, (_, response) => response.end("<html><body>It works!</body></html>"));
    const denied = await httpServer(t, (_, response) => response.writeHead(401).end());
    const busy = await httpServer(t, (_, response) => response.writeHead(503).end("Work queue depth exceeded"));
    const silent = await httpServer(t, () => {});
    const cases: readonly [name: string, url: string, code: RegExp, says: RegExp][] = [
      ["ltc-1", `p2p://127.0.0.1:${bitcoin.port}`, /^SPRINT_UPSTREAM_WRONG_NETWORK$/, /another chain or network/],
      ["doge-1", html, /^SPRINT_RPC_NOT_JSON$/, /JSON/],
      ["doge-2", denied.replace("//", "//user:a-secret@"), /^SPRINT_RPC_(UNAUTHORIZED|AUTH|STATUS)/, /401|password/],
      ["doge-3", busy, /^SPRINT_RPC_(UNAVAILABLE|STATUS|BUSY)/, /503/],
      ["doge-4", html, /^SPRINT_RPC_COOKIE/, /no-such-cookie/],
      ["doge-5", "http://127.0.0.1:1", /^SPRINT_RPC_UNREACHABLE$/, /ECONNREFUSED|reach/],
      ["doge-6", silent, /^SPRINT_(RPC|UPSTREAM)_TIMEOUT$/, /within|time/],
    ];
    const args = ["--tier", "ENTERPRISE", "--chain", `bitcoin=${bitcoin.url}`];
    for (const [name, url] of cases) {
      const chain = name.startsWith("ltc") ? "litecoin" : "dogecoin";
      const cookie = name === "doge-4" ? "&cookie=/no-such-cookie" : "";
      args.push("--chain", `${chain}=${url}?network=regtest${cookie}`);
    }
    const sprint = await startSprint({ args });
    t.after(() => sprint.stop());
    const client = await subscribe(sprint.tiers.ENTERPRISE ?? "");
    t.after(() => client.close());

    await Promise.all(
      cases.map(async ([name, , code, says]) => {
        const { last_error: error } = await upstreamOnce(sprint, name, (each) => each.last_error !== null);
        assert.match(error?.code ?? "", code, name);
        assert.match(error?.message ?? "", says, name);
      }),
    );
    assert.ok(!sprint.output().includes("a-secret"));
    assert.match(
      sprint.output(),
      /"upstream":"ltc-1"[^\n]*SPRINT_UPSTREAM_WRONG_NETWORK[^\n]*another chain or network/,
    );

    await bitcoin.mine(2);
    while (client.checker.tip("bitcoin") !== bitcoin.tip.hash) await client.next();
    client.checker.assertClean();
    assert.deepEqual([...new Set(client.events.map((e) => ("chain" in e ? e.chain : "bitcoin")))], ["bitcoin"]);
    const origin = sprint.tiers.ENTERPRISE ?? "";
    assert.equal((await fetch(`${origin}/healthz`)).status, 200);
    assert.equal((await fetch(`${origin}/readyz`)).status, 200, "one chain is served");
    const health = (await (await fetch(`${origin}/api/v1/health`)).json()) as { status: string };
    assert.equal(health.status, "degraded");
    const latest = await fetch(`${origin}/api/v1/blocks/latest?chain=litecoin`);
    assert.ok(latest.status < 500, `${latest.status} for a chain without blocks`);
  });

  test("with no node at all it stays up, and is not ready", async (t) => {
    const sprint = await startSprint({
      args: ["--tier", "FREE", "--chain", "bitcoin=p2p://127.0.0.1:1?network=regtest"],
    });
    t.after(() => sprint.stop());
    const origin = sprint.tiers.FREE ?? "";
    const error = await upstreamOnce(sprint, "btc-1", (each) => each.last_error !== null);
    assert.equal(error.last_error?.code, "SPRINT_UPSTREAM_UNREACHABLE");
    assert.equal((await fetch(`${origin}/healthz`)).status, 200);
    const ready = await fetch(`${origin}/readyz`);
    assert.equal(ready.status, 503);
    assert.deepEqual(await ready.json(), { ready: false, reason: "down" });

    await t.test("a second sprint does not take its data directory", async () => {
      const second = await runSprint(["start", "--port", "0", "--control-port", "0", "--data-dir", sprint.dataDir]);
      assert.equal(second.code, 1);
      assertOneSentence(second.stderr, new RegExp(`in use by another sprint, process ${sprint.pid}`));
      assert.equal(second.stdout, "");
      assert.equal((await fetch(`${origin}/healthz`)).status, 200, "the first one did not notice");
    });

    await t.test("a port in use is named, and nothing is left behind", async () => {
      const { port } = new URL(origin);
      const dir = await folder(t);
      const other = await runSprint([
        "start",
        "--tier",
        "FREE",
        "--port",
        port,
        "--control-port",
        "0",
        "--data-dir",
        dir,
      ]);
      assert.equal(other.code, 1);
      assertOneSentence(other.stderr, new RegExp(`${port}`));
      const again = await runSprint([
        "start",
        "--tier",
        "FREE",
        "--port",
        port,
        "--control-port",
        "0",
        "--data-dir",
        dir,
      ]);
      assert.match(again.stderr, new RegExp(`${port}`), "the data directory was let go");
    });
  });

  const wrong: readonly { what: string; args?: readonly string[]; file?: string; says: RegExp }[] = [
    { what: "an unknown key", file: 'tierr = "FREE"\n', says: /tierr.*tier/s },
    { what: "a value of another type", file: '[control]\nport = "many"\n', says: /port/ },
    { what: "an upstream of no known form", args: ["--chain", "bitcoin=gopher://127.0.0.1"], says: /gopher/ },
    { what: "a chain that is none", args: ["--chain", "peercoin=p2p://127.0.0.1:1"], says: /peercoin/ },
    { what: "an unknown network", args: ["--network", "mainnett"], says: /mainnett/ },
    { what: "an unknown option", args: ["--prot", "1"], says: /--prot/ },
  ];
  for (const { what, args = [], file, says } of wrong) {
    test(`${what} ends with exit code 2 and a sentence`, async (t) => {
      const dir = await folder(t);
      const all = ["start", "--port", "0", "--control-port", "0", "--data-dir", join(dir, "data"), ...args];
      if (file !== undefined) {
        await writeFile(join(dir, "sprint.toml"), file);
        all.push("--config", join(dir, "sprint.toml"));
      }
      const { code, stdout, stderr } = await runSprint(all);
      assert.match(stderr, says);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.doesNotMatch(stderr, /^\s+at /m, "no stack");
    });
  }
});

/** What a user needs to read: no stack, no JSON, nothing before it. */
function assertOneSentence(stderr: string, says: RegExp): void {
  const lines = stderr
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("{"));
  assert.match(lines.join("\n"), says);
  assert.ok(lines.length <= 2, stderr);
  assert.doesNotMatch(stderr, /^\s+at /m);
}
