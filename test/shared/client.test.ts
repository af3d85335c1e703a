import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ControlClient, dataDirectory, findDaemon } from "../../src/shared/client.ts";
import { EventSubscription } from "../../src/shared/subscription.ts";
import type { ControlMessage } from "../../src/shared/api.ts";
import { exitCodeOf } from "../../src/shared/cli.ts";
import { SprintError } from "../../src/shared/errors.ts";
import type { SprintEvent } from "../../src/shared/events.ts";
import { ChainChecker } from "../fakes/subscriber.ts";
import { OPERATOR, startFake, TOKEN, VIEWER } from "../daemon/server/daemon.ts";

async function withDataDir(files: Record<string, string>, use: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "sprint-client-"));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(dataDir, name), text);
    await use(dataDir);
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

const control = JSON.stringify({ url: "http://127.0.0.1:4000", pid: 1, tiers: { FREE: "http://127.0.0.1:4001" } });

test("the data directory: argument, environment, XDG", () => {
  assert.equal(dataDirectory({ dataDir: "/a", env: { SPRINT_DATA_DIR: "/b" } }), "/a");
  assert.equal(dataDirectory({ env: { SPRINT_DATA_DIR: "/b", XDG_STATE_HOME: "/c" } }), "/b");
  assert.equal(dataDirectory({ env: { XDG_STATE_HOME: "/c" } }), "/c/bitcoin-sprint");
});

test("the daemon is found by argument, environment, control.json; the token by argument, environment, .cookie", async () => {
  await withDataDir({ "control.json": control, ".cookie": "from-cookie\n" }, async (dataDir) => {
    const env = { SPRINT_CONTROL_URL: "http://127.0.0.1:5000", SPRINT_TOKEN: "from-env" };
    const found = await findDaemon({ dataDir, env: {} });
    assert.deepEqual(found, {
      url: "http://127.0.0.1:4000",
      token: "from-cookie",
      tiers: { FREE: "http://127.0.0.1:4001" },
    });
    const byEnv = await findDaemon({ dataDir, env });
    assert.deepEqual([byEnv.url, byEnv.token], ["http://127.0.0.1:5000", "from-env"]);
    const byArgument = await findDaemon({ dataDir, env, daemon: "http://127.0.0.1:6000/", token: "given" });
    assert.deepEqual([byArgument.url, byArgument.token], ["http://127.0.0.1:6000", "given"]);
    await assert.rejects(findDaemon({ dataDir, env: {}, daemon: "localhost:80" }), { code: "SPRINT_CLIENT_BAD_URL" });
  });
});

test("what is missing is said: no daemon, no token, a broken control file", async () => {
  await withDataDir({}, async (dataDir) => {
    await assert.rejects(findDaemon({ dataDir, env: {} }), { code: "SPRINT_CLIENT_NO_DAEMON" });
  });
  await withDataDir({ "control.json": control }, async (dataDir) => {
    await assert.rejects(findDaemon({ dataDir, env: {} }), { code: "SPRINT_CLIENT_NO_TOKEN" });
  });
  await withDataDir({ "control.json": "{" }, async (dataDir) => {
    await assert.rejects(findDaemon({ dataDir, env: {} }), { code: "SPRINT_CLIENT_CONTROL_FILE" });
  });
});

test("the control client asks every route and types the answer", async () => {
  await using daemon = await startFake();
  const client = new ControlClient({}, { address: { url: daemon.control, token: TOKEN, tiers: {} } });
  assert.equal((await client.status()).network, "devnet");
  assert.equal((await client.topology()).tiers[0]?.tier, "ENTERPRISE");
  assert.equal((await client.upstreams()).upstreams[0]?.name, "btc-1");
  assert.deepEqual(await client.config(), { tier: "ENTERPRISE" });
  assert.equal((await client.breakers()).breakers.length, 2);
  assert.equal((await client.breaker("upstream:bitcoin:btc-1")).state, "open");
  assert.equal((await client.race("bitcoin", 3)).standings[0]?.wins, 1);
  assert.match(await client.metrics(), /sprint_test_total/);
  await client.cordon("btc-1", { reason: "test", forMs: 10 });
  await client.uncordon("btc-1");
  assert.deepEqual(daemon.cordons, [["btc-1", "test", 10]]);
  await client.stop();
  assert.equal(daemon.stops, 1);

  const messages: ControlMessage[] = [];
  const ended = Promise.withResolvers<string>();
  const stream = await client.stream((message) => {
    messages.push(message);
    if (messages.length === 2) stream.close();
  }, ended.resolve);
  daemon.chain.mine();
  await ended.promise;
  assert.deepEqual(
    messages.map(({ type }) => type),
    ["hello", "event"],
  );
});

test("the control client orders breakers about, reloads, and reads what was written down", async () => {
  await using daemon = await startFake();
  const client = new ControlClient({}, { address: { url: daemon.control, token: TOKEN, tiers: {} } });
  const name = "upstream:litecoin:ltc-1";
  const shut = await client.forceOpen(name, { reason: "drill", forMs: 60_000 });
  assert.deepEqual([shut.state, shut.forced?.reason], ["force_open", "drill"]);
  assert.equal((await client.resetBreaker(name)).state, "closed");
  const passing = await client.forceClose(name);
  assert.deepEqual([passing.state, passing.forced?.reason, passing.forced?.until], ["force_close", "operator", null]);
  assert.equal((await client.breakerHistory(name)).transitions.length, 3);
  assert.deepEqual(
    (await client.breakerHistory(name, 1)).transitions.map(({ to }) => to),
    ["force_close"],
  );
  const { breaker, changes } = await client.configureBreaker(name, { slow_call_ms: 1_500 });
  assert.equal(breaker.policy.slow_call_ms, 1_500);
  assert.deepEqual(changes, [{ key: "slow_call_ms", from: 2_000, to: 1_500, restart: false }]);
  assert.deepEqual(await client.reload(), { applied: true, changes: [] });
  await client.reload({ dryRun: true });
  assert.deepEqual(daemon.reloads, [false, true]);
  assert.deepEqual(
    (await client.audit(3)).entries.map(({ action, params }) => [action, params]),
    [
      ["config.reload", { dry_run: true }],
      ["config.reload", { dry_run: false }],
      ["breaker.config", { slow_call_ms: 1_500 }],
    ],
  );
  assert.equal((await client.audit()).entries.length, 6);
});

test("what a role does not allow ends with the exit code of not allowed, and says which role it takes", async () => {
  await using daemon = await startFake();
  const clientOf = ({ token }: { readonly token: string }): ControlClient =>
    new ControlClient({}, { address: { url: daemon.control, token, tiers: {} } });
  const refusedFor = async (call: Promise<unknown>): Promise<SprintError> => {
    const error: unknown = await call.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof SprintError);
    assert.deepEqual([error.code, exitCodeOf(error)], ["SPRINT_CLIENT_NOT_ALLOWED", 4]);
    return error;
  };
  assert.equal((await clientOf(VIEWER).breakers()).breakers.length, 2);
  const forced = await refusedFor(clientOf(VIEWER).forceOpen("upstream:bitcoin:btc-1"));
  assert.equal(forced.data["reason"], "SPRINT_CONTROL_ROLE");
  assert.match(forced.message, /does not allow that: breaker\.force-open needs the role operator.* has viewer/);
  assert.match((await refusedFor(clientOf(OPERATOR).reload())).message, /needs the role admin/);
  assert.match((await refusedFor(clientOf({ token: "wrong" }).status())).message, /did not let us in/);
});

test("errors of the control client: not allowed, refused, unreachable, no sprint, silent", async () => {
  await using daemon = await startFake();
  const clientOf = (url: string, token = TOKEN): ControlClient =>
    new ControlClient({ timeoutMs: 300 }, { address: { url, token, tiers: {} } });
  await assert.rejects(clientOf(daemon.control, "wrong").status(), { code: "SPRINT_CLIENT_NOT_ALLOWED" });
  await assert.rejects(
    clientOf(daemon.control, "wrong").stream(
      () => {},
      () => {},
    ),
    { code: "SPRINT_CLIENT_NOT_ALLOWED" },
  );
  await assert.rejects(clientOf(daemon.control).breaker("none"), (error: SprintError) => {
    assert.equal(error.code, "SPRINT_CLIENT_REFUSED");
    assert.equal(error.data["reason"], "SPRINT_CONTROL_BREAKER_UNKNOWN");
    return true;
  });

  const other = createServer((request, response) => {
    if (request.url === "/control/v1/status") response.end("<html>");
  }).listen(0, "127.0.0.1");
  await once(other, "listening");
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  await assert.rejects(clientOf(url).status(), { code: "SPRINT_CLIENT_BAD_ANSWER" });
  await assert.rejects(clientOf(url).topology(), { code: "SPRINT_CLIENT_TIMEOUT" });
  other.closeAllConnections();
  other.close();
  await once(other, "close");
  await assert.rejects(clientOf(url).status(), { code: "SPRINT_CLIENT_UNREACHABLE" });
});

test("a subscription resumes by its cursor over a restart of the listener, with no gap and no duplicate", async () => {
  const first = await startFake();
  const port = Number(new URL(first.tier).port);
  const checker = new ChainChecker();
  const reconnects: string[] = [];
  let heard = Promise.withResolvers<void>();
  let awaited = 101;
  const subscription = new EventSubscription(
    { url: first.tier, minBackoffMs: 10, maxBackoffMs: 50 },
    {
      onEvent: (event: SprintEvent) => {
        checker.see(event);
        if (event.type === "hello" && awaited === 0) heard.resolve();
        if (event.type === "block" && event.data.height === awaited) heard.resolve();
      },
      onReconnect: (reason) => reconnects.push(reason),
    },
  );
  while (first.server.listeners()[0]?.subscribers !== 1) await new Promise((resolve) => setImmediate(resolve));
  first.chain.mine();
  first.chain.mine();
  await heard.promise;
  await first.server.drain();
  await first[Symbol.asyncDispose]();

  // The same chain, told by a daemon that has three blocks more.
  heard = Promise.withResolvers();
  awaited = 106;
  await using second = await startFake({ tiers: [{ tier: "ENTERPRISE", host: "127.0.0.1", port }], mined: 5 });
  while (second.server.listeners()[0]?.subscribers !== 1) await new Promise((resolve) => setImmediate(resolve));
  second.chain.mine();
  second.chain.mine();
  await heard.promise;
  checker.assertClean();
  assert.equal(checker.path("bitcoin").length, 7);
  assert.match(reconnects[0] ?? "", /4000/);
  subscription.close();
});

test("a subscription ends where coming back makes no sense", async () => {
  await using daemon = await startFake();
  const endOf = (url: string): Promise<SprintError | null> =>
    new Promise((resolve) => new EventSubscription({ url }, { onEvent: () => {}, onEnd: resolve }));
  const refused = await endOf(`${daemon.tier}/ws/v1/events?types=nothing`);
  assert.deepEqual([refused?.code, refused?.data["reason"]], ["SPRINT_CLIENT_REFUSED", "SPRINT_API_BAD_INPUT"]);

  const ended = Promise.withResolvers<SprintError | null>();
  const subscription = new EventSubscription(
    { url: daemon.tier },
    { onEvent: () => subscription.close(), onEnd: ended.resolve },
  );
  assert.equal(await ended.promise, null);
});
