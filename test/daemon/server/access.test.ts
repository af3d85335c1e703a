import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTROL_ROUTES, type Role, ROLES } from "../../../src/shared/api.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { auditParams, Tokens } from "../../../src/daemon/server/access.ts";
import { type Answer, ask, post } from "./ask.ts";
import { ADMIN, type FakeDaemon, OPERATOR, startFake, TOKEN, VIEWER } from "./daemon.ts";

const TOKEN_OF: Readonly<Record<Role, string>> = {
  viewer: VIEWER.token,
  operator: OPERATOR.token,
  admin: ADMIN.token,
};

/** A call of each route that would succeed, and the least role that may make it. */
const CALLS: readonly (readonly [method: string, path: string, least: Role, body?: unknown])[] = [
  ["GET", CONTROL_ROUTES.status, "viewer"],
  ["HEAD", CONTROL_ROUTES.status, "viewer"],
  ["GET", CONTROL_ROUTES.topology, "viewer"],
  ["GET", CONTROL_ROUTES.upstreams, "viewer"],
  ["GET", CONTROL_ROUTES.config, "viewer"],
  ["GET", CONTROL_ROUTES.breakers, "viewer"],
  ["GET", CONTROL_ROUTES.breaker, "viewer"],
  ["GET", CONTROL_ROUTES.breakerHistory, "viewer"],
  ["GET", CONTROL_ROUTES.audit, "viewer"],
  ["GET", `${CONTROL_ROUTES.race}?chain=bitcoin`, "viewer"],
  ["GET", CONTROL_ROUTES.metrics, "viewer"],
  ["GET", CONTROL_ROUTES.openapi, "viewer"],
  ["POST", CONTROL_ROUTES.cordon, "operator", {}],
  ["POST", CONTROL_ROUTES.uncordon, "operator"],
  ["POST", CONTROL_ROUTES.forceOpen, "operator", {}],
  ["POST", CONTROL_ROUTES.forceClose, "operator", {}],
  ["POST", CONTROL_ROUTES.reset, "operator"],
  ["PATCH", CONTROL_ROUTES.breakerConfig, "admin", { health: false }],
  ["GET", CONTROL_ROUTES.plugins, "viewer"],
  ["POST", CONTROL_ROUTES.reload, "admin"],
  ["POST", CONTROL_ROUTES.reloadPlugins, "admin"],
  ["POST", CONTROL_ROUTES.stop, "admin"],
];

const BREAKER = "upstream:litecoin:ltc-1";

function urlOf(daemon: FakeDaemon, path: string): string {
  return daemon.control + path.replace(":name", path.includes("upstreams") ? "btc-1" : BREAKER);
}

test("each route is open to its role and those above it, and to no other", async () => {
  await using daemon = await startFake();
  for (const [method, path, least, body] of CALLS) {
    for (const role of ROLES) {
      const answer = await ask(urlOf(daemon, path), { method, body, token: TOKEN_OF[role] });
      const what = `${method} ${path} as ${role}`;
      if (ROLES.indexOf(role) >= ROLES.indexOf(least)) {
        assert.ok(answer.status < 300, `${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
        continue;
      }
      assert.deepEqual([answer.status, answer.body.error.code], [403, "SPRINT_CONTROL_ROLE"], what);
      const { needed, role: had } = answer.body.error.details;
      assert.deepEqual([needed, had], [least, role], what);
      assert.match(answer.body.error.message, new RegExp(`needs the role ${least}.* has ${role}`), what);
    }
  }
  const tried = new Set(CALLS.map(([, path]) => path.split("?")[0]));
  const untried = Object.values(CONTROL_ROUTES).filter((route) => !tried.has(route));
  assert.deepEqual(untried, [CONTROL_ROUTES.stream], "the stream has tests of its own");
});

test("what a role may not do does not happen, whatever else is wrong with it", async () => {
  await using daemon = await startFake();
  const { control } = daemon;
  const breaker = `${control}/control/v1/breakers/${BREAKER}`;
  assert.equal((await post(`${breaker}/force-open`, {}, VIEWER.token)).status, 403);
  assert.equal((await post(`${breaker}/force-open`, { reason: 5 }, VIEWER.token)).status, 403);
  assert.equal((await post(`${control}/control/v1/breakers/none/reset`, "{", VIEWER.token)).status, 403);
  assert.equal((await post(`${control}/control/v1/upstreams/btc-1/cordon`, {}, VIEWER.token)).status, 403);
  assert.equal(
    (await ask(`${breaker}/config`, { method: "PATCH", body: { health: false }, token: OPERATOR.token })).status,
    403,
  );
  assert.equal((await post(`${control}/control/v1/config/reload`, {}, OPERATOR.token)).status, 403);
  assert.equal((await post(`${control}/control/v1/stop`, {}, OPERATOR.token)).status, 403);
  assert.deepEqual([daemon.cordons, daemon.reloads, daemon.stops, daemon.transitions.length], [[], [], 0, 1]);
  assert.equal((await ask(breaker)).body.policy.health, true);
});

test("each order leaves one entry, done or refused; looking leaves none, nor does a call without a valid token", async () => {
  await using daemon = await startFake();
  const { control, audit } = daemon;
  const breaker = `${control}/control/v1/breakers/${BREAKER}`;
  const upstream = `${control}/control/v1/upstreams/btc-1`;
  const patch = (body: unknown): Promise<Answer> => ask(`${breaker}/config`, { method: "PATCH", body });
  const last = async (call: Promise<Answer>): Promise<unknown[]> => {
    const before = audit.length;
    await call;
    assert.equal(audit.length, before + 1, "one entry");
    const { actor, role, action, target, params, outcome } = audit.at(-1) ?? assert.fail("an entry");
    return [actor, role, action, target, params, outcome];
  };
  const by = ["night shift", "operator"];
  const { token } = OPERATOR;

  assert.deepEqual(await last(post(`${upstream}/cordon`, { reason: "upgrade", for_ms: 9 }, token)), [
    ...by,
    "upstream.cordon",
    "btc-1",
    { reason: "upgrade", for_ms: 9 },
    "done",
  ]);
  assert.deepEqual(await last(ask(`${upstream}/uncordon`, { method: "POST", token })), [
    ...by,
    "upstream.uncordon",
    "btc-1",
    {},
    "done",
  ]);
  assert.deepEqual((await last(post(`${breaker}/force-open`, {}, token))).slice(2), [
    "breaker.force-open",
    BREAKER,
    { reason: "operator" },
    "done",
  ]);
  assert.equal((await last(post(`${breaker}/force-close`, {}, token)))[2], "breaker.force-close");
  assert.equal((await last(ask(`${breaker}/reset`, { method: "POST", token })))[2], "breaker.reset");
  assert.deepEqual(await last(patch({ slow_call_ms: 1_500 })), [
    "cookie",
    "admin",
    "breaker.config",
    BREAKER,
    { slow_call_ms: 1_500 },
    "done",
  ]);
  const reload = `${control}/control/v1/config/reload`;
  assert.deepEqual((await last(ask(`${reload}?dry_run=true`, { method: "POST" }))).slice(2), [
    "config.reload",
    null,
    { dry_run: true },
    "done",
  ]);

  // Refused: role, schema, policy, name, configuration, a body that is none or too large, a fault of ours.
  const outcome = async (call: Promise<Answer>): Promise<unknown> => (await last(call))[5];
  assert.equal(await outcome(post(`${breaker}/reset`, {}, VIEWER.token)), "SPRINT_CONTROL_ROLE");
  assert.deepEqual([audit.at(-1)?.actor, audit.at(-1)?.role, audit.at(-1)?.target], ["screen", "viewer", BREAKER]);
  assert.equal(await outcome(patch({ bad_rate: 2 })), "SPRINT_API_BAD_INPUT");
  assert.deepEqual(audit.at(-1)?.params, { bad_rate: 2 }, "what was refused is told, too");
  assert.equal(await outcome(patch({ first_open_ms: 20_000 })), "SPRINT_BREAKER_OPTIONS");
  assert.equal(
    await outcome(post(`${control}/control/v1/breakers/none/reset`, {}, token)),
    "SPRINT_CONTROL_BREAKER_UNKNOWN",
  );
  assert.equal(
    await outcome(post(`${control}/control/v1/upstreams/none/cordon`, {}, token)),
    "SPRINT_CONTROL_UPSTREAM_UNKNOWN",
  );
  daemon.reloadAs(new SprintError("SPRINT_CONFIG_NEEDS_RESTART", "a restart is needed", { changes: [] }));
  assert.equal(await outcome(ask(reload, { method: "POST" })), "SPRINT_CONFIG_NEEDS_RESTART");
  daemon.reloadAs(new Error("secret inside"));
  assert.equal(await outcome(ask(reload, { method: "POST" })), "SPRINT_API_INTERNAL");
  assert.equal(await outcome(post(`${breaker}/force-open`, "{", token)), "SPRINT_API_BAD_JSON");
  assert.equal(
    await outcome(post(`${breaker}/force-open`, { reason: "x".repeat(20_000) }, token)),
    "SPRINT_API_BODY_TOO_LARGE",
  );

  const entries = audit.length;
  const shown = await ask(`${control}/control/v1/audit?last=2`, { token: VIEWER.token });
  assert.deepEqual(shown.body.entries, [audit.at(-1), audit.at(-2)]);
  assert.equal((await ask(`${control}/control/v1/audit?last=0`)).body.error.details.field, "last");
  await ask(breaker);
  await post(`${breaker}/reset`, {}, "wrong");
  await ask(`${breaker}/reset`, { method: "POST", token: null });
  await post(`${breaker}/no-such-order`, {});
  assert.equal(audit.length, entries);
  assert.deepEqual((await last(ask(`${control}/control/v1/stop`, { method: "POST" }))).slice(2), [
    "daemon.stop",
    null,
    {},
    "done",
  ]);
});

test("an entry that cannot be kept is a fault of ours, and the order, which is done, is answered so", async () => {
  await using daemon = await startFake();
  Object.defineProperty(daemon.audit, "push", {
    value: () => {
      throw new Error("disk full");
    },
  });
  const answer = await post(`${daemon.control}/control/v1/upstreams/btc-1/cordon`, {});
  assert.deepEqual([answer.status, daemon.cordons.length], [200, 1]);
  assert.deepEqual(
    daemon.faults.map((fault) => (fault as Error).message),
    ["disk full"],
  );
});

test("parameters in the audit are bounded, and without secrets", () => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`field${i}`, i]));
  assert.equal(Object.keys(auditParams({ dry_run: true }, many)).length, 32);
  assert.deepEqual(
    auditParams({ token: "abc", reason: "see http://user:hunter2@host/x", deep: { a: [1] } }, [1], null),
    {
      token: "***",
      reason: "see http://***@host/x",
      deep: '{"a":[1]}',
    },
  );
  const { reason } = auditParams({ reason: "x".repeat(10_000) });
  assert.equal(String(reason).length, 201);
  const name = "n".repeat(10_000);
  assert.equal(Object.keys(auditParams({ [name]: 1 }))[0]?.length, 200);
});

test("a token is found wherever it stands, and a header that is none never is", () => {
  const tokens = new Tokens([VIEWER, OPERATOR, ADMIN]);
  for (const { name, role, token } of [VIEWER, OPERATOR, ADMIN]) {
    assert.deepEqual(tokens.actorOf(`Bearer ${token}`), { name, role });
  }
  assert.deepEqual(tokens.actorOf(`bearer   ${TOKEN}`).role, "admin");
  for (const header of [undefined, "", "Bearer", "Bearer ", `Basic ${TOKEN}`, TOKEN]) {
    assert.throws(() => tokens.actorOf(header), { code: "SPRINT_CONTROL_NO_TOKEN" });
  }
  assert.throws(() => tokens.actorOf("Bearer wrong"), { code: "SPRINT_CONTROL_WRONG_TOKEN" });
  assert.throws(() => new Tokens([]).actorOf(`Bearer ${TOKEN}`), { code: "SPRINT_CONTROL_WRONG_TOKEN" });
});
