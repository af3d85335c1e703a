import assert from "node:assert/strict";
import { test } from "node:test";
import { Value } from "typebox/value";
import { BreakerBody, BreakersBody, HistoryBody, PolicyBody, TransitionBody } from "../../../src/shared/api.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { TIERS } from "../../../src/shared/tier.ts";
import { SUCCESS, policyOf } from "../../../src/daemon/breaker/index.ts";
import { breakerBody, policyBody, policyChanges, transitionBody } from "../../../src/daemon/server/breaker-views.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { ask, post } from "./ask.ts";
import { OPERATOR, startFake } from "./daemon.ts";

const OPEN = "upstream:bitcoin:btc-1";
const CLOSED = "upstream:litecoin:ltc-1";

test("a breaker is told whole: state, evidence, rates, policy; times as Unix time; no credentials", async () => {
  await using daemon = await startFake();
  const { control } = daemon;
  const { body } = await ask(`${control}/control/v1/breakers`);
  assert.ok(Value.Check(BreakersBody, body));
  assert.deepEqual(
    body.breakers.map(({ name, state }) => [name, state]),
    [
      [OPEN, "open"],
      [CLOSED, "closed"],
    ],
  );
  const { body: breaker } = await ask(`${control}/control/v1/breakers/${OPEN}`);
  assert.ok(Value.Check(BreakerBody, breaker));
  assert.deepEqual(
    [breaker.tier, breaker.failure_rate, breaker.failures, breaker.requests, breaker.forced, breaker.half_open],
    ["ENTERPRISE", 1, breaker.requests, breaker.requests, null, null],
  );
  assert.equal(breaker.last_error, "connect ECONNREFUSED http://***@127.0.0.1:1");
  assert.ok(Math.abs(Date.parse(breaker.since) - Date.now()) < 60_000);
  const inMs = Date.parse(breaker.next_attempt_at ?? "") - Date.parse(breaker.since);
  assert.ok(inMs > 0 && inMs <= 15_000, `next attempt ${inMs} ms after it opened`);
  assert.equal((await ask(`${control}/control/v1/breakers/${CLOSED}`)).body.failure_rate, null);
});

test("history: newest first, with cause and evidence, no more than asked for", async () => {
  await using daemon = await startFake();
  const breaker = `${daemon.control}/control/v1/breakers/${OPEN}`;
  await post(`${breaker}/force-close`, { reason: "known to be well" });
  await ask(`${breaker}/reset`, { method: "POST" });
  const { body } = await ask(`${breaker}/history`);
  assert.ok(Value.Check(HistoryBody, body));
  assert.deepEqual(
    body.transitions.map(({ from, to, cause }) => [from, to, cause]),
    [
      ["force_close", "closed", "reset"],
      ["open", "force_close", "force_close"],
      ["closed", "open", "evidence"],
    ],
  );
  assert.equal(body.transitions[1]?.forced?.reason, "known to be well");
  const opened = body.transitions[2]?.evidence;
  assert.ok(opened !== undefined && opened.failures === 20 && opened.probe_in_ms > 0);
  assert.deepEqual((await ask(`${breaker}/history?last=1`)).body.transitions, body.transitions.slice(0, 1));
  assert.deepEqual((await ask(`${breaker}/history?last=0`)).body.error.details.field, "last");
  assert.deepEqual((await ask(`${breaker}/history?last=257`)).body.error.details.field, "last");
});

test("force-open, force-close and reset: owner is the token's name, force-open wins, the time to live ends it", async () => {
  const clock = new FakeClock();
  await using daemon = await startFake({ clock });
  const breaker = `${daemon.control}/control/v1/breakers/${CLOSED}`;
  const { body: shut } = await post(`${breaker}/force-open`, { reason: "drill", for_ms: 5_000 }, OPERATOR.token);
  assert.equal(shut.state, "force_open");
  assert.deepEqual(shut.forced, {
    owner: "night shift",
    reason: "drill",
    until: new Date(clock.wall() + 5_000).toISOString().replace(".000Z", "Z"),
  });
  const { body: both } = await post(`${breaker}/force-close`, {});
  assert.deepEqual([both.state, both.forced.owner], ["force_open", "night shift"]);
  clock.advance(5_000);
  const { body: passing } = await ask(breaker);
  assert.deepEqual(
    [passing.state, passing.forced],
    ["force_close", { owner: "cookie", reason: "operator", until: null }],
  );
  const { body: reset } = await ask(`${breaker}/reset`, { method: "POST" });
  assert.deepEqual([reset.state, reset.forced], ["closed", null]);

  const wrong = async (body: unknown): Promise<unknown[]> => {
    const answer = await post(`${breaker}/force-open`, body);
    return [answer.status, answer.body.error.code, answer.body.error.details.field];
  };
  assert.deepEqual(await wrong({ for_ms: 0 }), [400, "SPRINT_API_BAD_INPUT", "for_ms"]);
  assert.deepEqual(await wrong({ for_ms: "5s" }), [400, "SPRINT_API_BAD_INPUT", "for_ms"]);
  assert.deepEqual(await wrong({ reason: "" }), [400, "SPRINT_API_BAD_INPUT", "reason"]);
  assert.deepEqual(await wrong({ owner: "me" }), [400, "SPRINT_API_BAD_INPUT", "owner"]);
  // Within the schema by its characters, beyond the breaker's bound by its length: still the caller's fault.
  assert.deepEqual(await wrong({ reason: "\u{1f600}".repeat(150) }), [400, "SPRINT_BREAKER_FORCE", "reason"]);
  assert.deepEqual(daemon.faults, []);
});

test("PATCH: applied whole or not at all, told as changes; what is wrong is named as it was written", async () => {
  await using daemon = await startFake();
  const breaker = `${daemon.control}/control/v1/breakers/${CLOSED}`;
  const patch = (body: unknown): ReturnType<typeof ask> => ask(`${breaker}/config`, { method: "PATCH", body });
  const { status, body } = await patch({ failure_threshold: 7, predictive: false });
  assert.equal(status, 200);
  assert.deepEqual(body.changes, [
    { key: "failure_threshold", from: 20, to: 7, restart: false },
    { key: "predictive", from: true, to: false, restart: false },
  ]);
  assert.deepEqual([body.breaker.policy.failure_threshold, body.breaker.policy.predictive], [7, false]);
  const { policy } = (await ask(breaker)).body;
  assert.deepEqual(policy, { ...policyBody(policyOf("ENTERPRISE")), failure_threshold: 7, predictive: false });

  const wrong = async (changes: unknown): Promise<unknown[]> => {
    const answer = await patch(changes);
    const { code, details } = answer.body.error;
    return [answer.status, code, details.part, details.field];
  };
  assert.deepEqual(await wrong({ bad_rate: "much" }), [400, "SPRINT_API_BAD_INPUT", "body", "bad_rate"]);
  assert.deepEqual(await wrong({ half_open_calls: 1.5 }), [400, "SPRINT_API_BAD_INPUT", "body", "half_open_calls"]);
  assert.deepEqual(await wrong({ badRate: 0.5 }), [400, "SPRINT_API_BAD_INPUT", "body", "badRate"]);
  assert.deepEqual(await wrong({ slow_call_ms: "5s" }), [400, "SPRINT_API_BAD_INPUT", "body", "slow_call_ms"]);
  assert.equal((await wrong({}))[0], 400);
  assert.equal((await wrong([]))[0], 400);
  // Each holds by itself, not together; nothing of it may be applied.
  assert.deepEqual(await wrong({ slow_call_ms: 3_000, first_open_ms: 20_000 }), [
    400,
    "SPRINT_BREAKER_OPTIONS",
    "body",
    "first_open_ms",
  ]);
  const contradiction = await patch({ first_open_ms: 20_000 });
  assert.match(
    contradiction.body.error.message,
    /expected first_open_ms to be at most reset_timeout_ms, 15000, got 20000/,
  );
  assert.deepEqual((await ask(breaker)).body.policy, policy);
});

test("a breaker that is none: 404 with the nearest names, however many there are", async () => {
  await using daemon = await startFake();
  const { control, pool } = daemon;
  const unknown = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await ask(`${control}/control/v1/breakers/${path}`, { method, body });
    assert.deepEqual([answer.status, answer.body.error.code], [404, "SPRINT_CONTROL_BREAKER_UNKNOWN"], path);
  };
  await unknown("GET", "store");
  await unknown("GET", "store/history");
  await unknown("POST", "store/force-open", {});
  await unknown("POST", "store/force-close", {});
  await unknown("POST", "store/reset");
  await unknown("PATCH", "store/config", { health: false });
  const few = await ask(`${control}/control/v1/breakers/upstrem:litecoin:ltc-1`);
  assert.deepEqual(few.body.error.details.known, [CLOSED, OPEN]);
  for (let i = 0; i < 500; i++) pool.open(`webhook:${i}`, policyOf("FREE"), 0);
  const many = await ask(`${control}/control/v1/breakers/upstream:litecoin:ltc-2`);
  const { known } = many.body.error.details;
  assert.deepEqual([known.length, known[0], known[1]], [20, CLOSED, OPEN]);
  assert.match(many.body.error.message, /there are 502, the nearest: upstream:litecoin:ltc-1, /);
});

test("reload: its answer, a dry run, 400 for what does not hold, 409 for what needs a restart", async () => {
  await using daemon = await startFake();
  const reload = `${daemon.control}/control/v1/config/reload`;
  const changes = [{ key: "tiers.FREE.connections", from: 100, to: 50, restart: false }];
  daemon.reloadAs({ applied: true, changes });
  assert.deepEqual((await ask(reload, { method: "POST" })).body, { applied: true, changes });
  await post(`${reload}?dry_run=true`, {});
  assert.deepEqual(daemon.reloads, [false, true]);
  assert.equal((await post(`${reload}?dry_run=perhaps`, {})).body.error.details.field, "dry_run");
  assert.equal((await post(`${reload}?dryrun=true`, {})).body.error.details.field, "dryrun");
  daemon.reloadAs(
    new SprintError("SPRINT_CONFIG_VALUE", "chains.litecoin: expected a table", { key: "chains.litecoin" }),
  );
  const bad = await ask(reload, { method: "POST" });
  assert.deepEqual(
    [bad.status, bad.body.error.code, bad.body.error.details.key],
    [400, "SPRINT_CONFIG_VALUE", "chains.litecoin"],
  );
  daemon.reloadAs(new SprintError("SPRINT_CONFIG_NEEDS_RESTART", "restart for control.port", { changes }));
  const restart = await ask(reload, { method: "POST" });
  assert.deepEqual([restart.status, restart.body.error.details.changes], [409, changes]);
  assert.deepEqual(daemon.faults, [], "nothing of this is a fault of ours");
});

test("a policy survives the way through both spellings, and each field of the schema is one of the policy", () => {
  for (const tier of TIERS) {
    const policy = policyOf(tier);
    const told = policyBody(policy);
    assert.ok(Value.Check(PolicyBody, told));
    assert.equal(Object.keys(told).length, Object.keys(policy).length);
    assert.deepEqual(policyChanges(told), policy);
  }
  assert.deepEqual(policyChanges({ slow_call_ms: 5 }), { slowCallMs: 5 });
});

test("what a report and a transition hold of infinity and of later is told within the schema", async () => {
  const clock = new FakeClock(1_000.5, 1_750_000_000_000);
  await using daemon = await startFake({ clock });
  const { pool } = daemon;
  const handle = pool.handleOf(OPEN) ?? assert.fail("a breaker");
  const now = (): number => clock.now();
  const view = () => ({ tier: "FREE" as const, policy: pool.policyOf(handle), report: pool.report(handle, now()) });
  const { report } = view();
  const endless = { ...report, callsPerFalseOpen: Number.POSITIVE_INFINITY, nextAttemptAt: Number.POSITIVE_INFINITY };
  const body = breakerBody({ ...view(), report: endless }, clock);
  assert.deepEqual([body.calls_per_false_open, body.next_attempt_at], [null, null]);
  assert.ok(Value.Check(BreakerBody, body));

  clock.advance(15_000);
  const token = pool.tryAcquire(handle, now());
  assert.ok(token > 0, "the probe");
  const probing = breakerBody(view(), clock);
  assert.equal(probing.state, "half_open");
  assert.deepEqual([probing.half_open?.probes, probing.half_open?.successes, probing.half_open?.ramp], [1, 0, null]);
  pool.onResult(handle, token, SUCCESS, 1, now());
  pool.forceOpen(handle, { owner: "a", reason: "key at http://u:p@h/", forMs: 2_000 }, now());
  const transition = daemon.transitions.at(-1) ?? assert.fail("a transition");
  clock.advance(1_000);
  clock.shiftWall(3_600_000);
  const told = transitionBody(transition);
  assert.ok(Value.Check(TransitionBody, told));
  assert.equal(Date.parse(told.forced?.until ?? "") - Date.parse(told.at), 2_000, "by the clock of that time");
  assert.equal(told.forced?.reason, "key at http://***@h/");
});
