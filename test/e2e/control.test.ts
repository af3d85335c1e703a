/** What an operator does to a running daemon while blocks flow: force, reset, set, reload; by whom, and who may not. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { DevnetNode } from "../../src/daemon/devnet/index.ts";
import type {
  AuditBody,
  AuditEntryBody,
  BreakerBody,
  ControlMessage,
  ErrorBody,
  HistoryBody,
  ReloadBody,
  TransitionBody,
} from "../../src/shared/api.ts";
import { ControlClient } from "../../src/shared/client.ts";
import { startNode, twinOf } from "../fakes/devnet.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { type TestSubscriber, subscribe } from "../fakes/subscriber.ts";
import { ask, runSprint, until, upstream, upstreamOnce } from "./watch.ts";

const NAME = "upstream:litecoin:ltc-1";
const VIEWER = "viewer-0123456789abcdef";
const OPERATOR = "operator-0123456789abcdef";

describe("control while blocks flow", () => {
  const stops: (() => Promise<unknown>)[] = [];
  let nodes: readonly [DevnetNode, DevnetNode, DevnetNode];
  let sprint: SprintProcess;
  let client: TestSubscriber;
  let file: string;
  const stream: ControlMessage[] = [];

  /** The configuration with what a test puts in its place. */
  async function write({
    level = "info",
    threshold = 20,
    upstreams = [nodes[0].url, nodes[1].url],
  } = {}): Promise<void> {
    const text = `
tiers = ["ENTERPRISE"]
control_tokens = [
  { name = "grafana", role = "viewer", token = "${VIEWER}" },
  { name = "night-shift", role = "operator", token = "${OPERATOR}" },
]
[log]
level = "${level}"
[breakers.ENTERPRISE]
failure_threshold = ${threshold}
[chains.litecoin]
network = "regtest"
upstreams = ${JSON.stringify(upstreams)}
`;
    await writeFile(file, text);
  }

  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), "sprint-control-"));
    stops.push(() => rm(directory, { recursive: true, force: true }));
    file = join(directory, "sprint.toml");
    const first = await startNode("litecoin", { historyBlocks: 12 });
    nodes = [first, await twinOf(first, 2), await twinOf(first, 3)];
    for (const node of nodes) stops.push(() => node.close());
    await write();
    sprint = await startSprint({ args: ["--config", file] });
    stops.push(() => sprint.stop());
    client = await subscribe(sprint.tiers.ENTERPRISE ?? "");
    stops.push(() => client.close());
    const control = new ControlClient({}, { address: { url: sprint.control, token: VIEWER, tiers: {} } });
    const listening = await control.stream(
      (message) => stream.push(message),
      () => {},
    );
    stops.push(async () => listening.close());
    for (const name of ["ltc-1", "ltc-2"]) await upstreamOnce(sprint, name, ({ state }) => state === "up");
  });
  after(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  /** A block that reaches the subscriber, and who announced it. */
  async function flows(node: DevnetNode = nodes[1]): Promise<string | null> {
    const [hash] = await node.mine();
    const event = await client.next((e) => e.type === "block" && e.data.hash === hash);
    client.checker.assertClean();
    return event.type === "block" ? event.data.upstream : null;
  }

  const breaker = (): Promise<BreakerBody> => ask(sprint, `/control/v1/breakers/${NAME}`);
  const command = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runSprint([...args, "--data-dir", sprint.dataDir]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const newest = async (): Promise<AuditEntryBody | undefined> =>
    (await ask<AuditBody>(sprint, "/control/v1/audit?last=1")).entries[0];
  async function call(
    method: string,
    path: string,
    token: string,
    body?: unknown,
  ): Promise<[number, ErrorBody["error"]]> {
    const response = await fetch(`${sprint.control}/control/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        connection: "close",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return [response.status, ((await response.json()) as ErrorBody).error];
  }

  test("force-open takes an upstream out with owner and reason; the other one serves; reset brings it back", async () => {
    await command("breakers", "force-open", NAME, "--reason", "node upgrade");
    const { state, forced } = await breaker();
    assert.deepEqual(
      [state, forced?.owner, forced?.reason, forced?.until],
      ["force_open", "cookie", "node upgrade", null],
    );
    await upstreamOnce(sprint, "ltc-1", (each) => each.state === "down");
    for (let i = 0; i < 3; i++) assert.equal(await flows(), "ltc-2");
    const entry = await newest();
    assert.deepEqual(
      [entry?.actor, entry?.role, entry?.action, entry?.target, entry?.outcome],
      ["cookie", "admin", "breaker.force-open", NAME, "done"],
    );

    await command("breakers", "reset", NAME);
    await upstreamOnce(sprint, "ltc-1", (each) => each.state === "up");
    assert.equal((await breaker()).state, "closed");
    await flows();
    const { transitions } = await ask<HistoryBody>(sprint, `/control/v1/breakers/${NAME}/history?last=2`);
    assert.deepEqual(
      transitions.map(({ to, cause }) => [to, cause]),
      [
        ["closed", "reset"],
        ["force_open", "force_open"],
      ],
    );
    assert.match(await command("breakers", "history", NAME), /force_open.*node upgrade/);
  });

  test("force-close holds for its time and says so, then ends by itself", async () => {
    const [status] = await call("POST", `/breakers/${NAME}/force-close`, OPERATOR, {
      reason: "our proxy",
      for_ms: 60_000,
    });
    assert.equal(status, 200);
    const { state, forced } = await breaker();
    assert.deepEqual([state, forced?.owner, typeof forced?.until], ["force_close", "night-shift", "string"]);
    await flows();
    await call("POST", `/breakers/${NAME}/force-close`, OPERATOR, { for_ms: 1 });
    await until(
      async () => (await breaker()).state === "closed",
      () => "force-close did not end",
    );
    assert.equal((await upstream(sprint, "ltc-1")).state, "up");
    await flows();
  });

  test("PATCH changes what is given, whole or not at all", async () => {
    const shown = await command("breakers", "set", NAME, "failure_threshold=7", "slow_call_ms=1500");
    assert.match(shown, /failure_threshold.*20.*7/);
    assert.equal((await breaker()).policy.failure_threshold, 7);
    await flows();
    const admin = sprint.token.trim();
    const [status, error] = await call("PATCH", `/breakers/${NAME}/config`, admin, {
      half_open_calls: 3,
      first_open_ms: 60_000,
    });
    assert.equal(status, 400);
    assert.match(error.message, /first_open_ms/);
    assert.equal((await breaker()).policy.half_open_calls, 10);
    assert.equal((await newest())?.outcome, error.code);
  });

  test("401 without or with a wrong token, 403 with a role too low, 400 naming the field, 404 with the names", async () => {
    const path = `/breakers/${NAME}/force-open`;
    assert.equal((await call("POST", path, "wrong", {}))[0], 401);
    const [status, error] = await call("POST", path, VIEWER, {});
    assert.equal(status, 403);
    assert.match(error.message, /operator/);
    assert.deepEqual([(await newest())?.actor, (await newest())?.outcome], ["grafana", error.code]);
    assert.equal((await call("PATCH", `/breakers/${NAME}/config`, OPERATOR, { adaptive: false }))[0], 403);
    const [bad, wrong] = await call("POST", path, OPERATOR, { for_ms: "soon" });
    assert.equal(bad, 400);
    assert.match(wrong.message, /for_ms/);
    const [missing, unknown] = await call("POST", "/breakers/upstream:litecoin:ltc-9/reset", OPERATOR, {});
    assert.equal(missing, 404);
    assert.match(unknown.message, /ltc-1/);
    const refused = await runSprint(["breakers", "reset", NAME, "--data-dir", sprint.dataDir, "--token", VIEWER]);
    assert.equal(refused.code, 4, refused.stderr);
    assert.equal((await breaker()).state, "closed");
    await flows();
  });

  test("reload: shown, applied whole, sockets kept; what does not hold or needs a restart changes nothing", async () => {
    const connects = (await upstream(sprint, "ltc-1")).connects;
    await write({ threshold: 12, upstreams: [nodes[0].url, nodes[2].url] });
    const preview = JSON.parse(await command("config", "reload", "--dry-run", "--json")) as ReloadBody;
    assert.equal(preview.applied, false);
    assert.deepEqual(preview.changes.map(({ key, restart }) => [key, restart]).sort(), [
      ["breakers.ENTERPRISE.failure_threshold", false],
      ["chains.litecoin.upstreams", false],
    ]);
    assert.equal((await upstream(sprint, "ltc-2")).state, "up");
    await command("config", "reload");
    const added = await upstreamOnce(sprint, "ltc-3", ({ state }) => state === "up");
    assert.ok(added.url.includes(String(nodes[2].address.port)));
    await assert.rejects(upstream(sprint, "ltc-2"), /no upstream ltc-2/);
    assert.equal((await breaker()).policy.failure_threshold, 7, "what an operator set stays");
    const fresh = await ask<BreakerBody>(sprint, "/control/v1/breakers/upstream:litecoin:ltc-3");
    assert.equal(fresh.policy.failure_threshold, 12);
    await flows(nodes[2]);

    await write({ threshold: 0 });
    process.kill(sprint.pid, "SIGHUP");
    await until(
      async () => (await newest())?.outcome === "SPRINT_CONFIG_CONFLICT",
      () => `SIGHUP was not heard: ${sprint.output().slice(-1_500)}`,
    );
    assert.equal((await newest())?.actor, "SIGHUP");
    await flows(nodes[2]);
    await write({ threshold: 9, upstreams: [nodes[0].url, nodes[2].url] });
    process.kill(sprint.pid, "SIGHUP");
    await until(
      async () =>
        (await ask<BreakerBody>(sprint, "/control/v1/breakers/upstream:litecoin:ltc-3")).policy.failure_threshold === 9,
      () => "SIGHUP did not apply",
    );
    await writeFile(file, (await readFile(file, "utf8")).replace('["ENTERPRISE"]', '["ENTERPRISE", "FREE"]'));
    const [status, error] = await call("POST", "/config/reload", sprint.token.trim());
    assert.deepEqual([status, error.code], [409, "SPRINT_CONFIG_NEEDS_RESTART"]);
    await flows(nodes[2]);
    assert.equal((await upstream(sprint, "ltc-1")).connects, connects);
    assert.equal(client.socket.readyState, WebSocket.OPEN);
  });

  test("the control stream told every transition in order with its cause, and every audit line is in the file", async () => {
    const told = stream.flatMap((message) => (message.type === "transition" ? [message.data] : [])) as TransitionBody[];
    assert.deepEqual(
      told.map(({ seq }) => seq),
      told.map((_, at) => (told[0]?.seq ?? 0) + at),
    );
    const causes = told.filter((each) => each.breaker === NAME).map(({ cause }) => cause);
    assert.deepEqual(causes.slice(0, 3), ["force_open", "reset", "force_close"]);
    assert.equal(causes.at(-1), "released");
    const heard = stream.flatMap((message) => (message.type === "audit" ? [message.data] : []));
    const lines = (await readFile(join(sprint.dataDir, "audit.jsonl"), "utf8")).trimEnd().split("\n");
    assert.deepEqual(
      heard,
      lines.map((line) => JSON.parse(line) as AuditEntryBody),
    );
    assert.ok(!lines.join("").includes(OPERATOR));
  });

  test("what was ordered survives a kill", async () => {
    await write({ threshold: 9, upstreams: [nodes[0].url, nodes[2].url] });
    await command("breakers", "force-open", NAME, "--reason", "half an upgrade", "--for", "1h");
    await command("upstreams", "cordon", "ltc-3", "--reason", "noisy");
    await sprint.kill();
    const { dataDir } = sprint;
    sprint = await startSprint({ args: ["--config", file], dataDir });
    stops.push(
      () => rm(dataDir, { recursive: true, force: true }),
      () => sprint.stop(),
    );
    const { state, forced, policy } = await breaker();
    assert.deepEqual([state, forced?.owner, forced?.reason], ["force_open", "cookie", "half an upgrade"]);
    assert.equal(policy.failure_threshold, 7);
    assert.equal((await upstream(sprint, "ltc-1")).connects, 0);
    // It has another name now, and is the same node.
    const cordoned = await upstream(sprint, "ltc-2");
    assert.deepEqual([cordoned.state, cordoned.cordon?.reason], ["cordoned", "noisy"]);
    await command("breakers", "reset", NAME);
    await upstreamOnce(sprint, "ltc-1", (each) => each.state === "up");
    const lines = (await readFile(join(sprint.dataDir, "audit.jsonl"), "utf8")).trimEnd().split("\n");
    const actions = lines.map((line) => (JSON.parse(line) as AuditEntryBody).action);
    assert.deepEqual(actions.slice(-3), ["breaker.force-open", "upstream.cordon", "breaker.reset"]);
  });
});
