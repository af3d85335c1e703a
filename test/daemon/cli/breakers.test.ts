/** `sprint breakers …` and `sprint audit` against a control API with real breakers behind it. */
import test from "node:test";
import assert from "node:assert/strict";
import { type FakeDaemon, OPERATOR, TOKEN, VIEWER, startFake } from "../server/daemon.ts";
import { type Ran, run } from "./run.ts";

const OPEN = "upstream:bitcoin:btc-1";
const CLOSED = "upstream:litecoin:ltc-1";

function asker(daemon: FakeDaemon, token: string = TOKEN): (...args: string[]) => Promise<Ran> {
  return (...args) => run(args, { env: { SPRINT_CONTROL_URL: daemon.control, SPRINT_TOKEN: token } });
}

test("list, get and history tell of an open breaker, without credentials", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon);
  const list = await ask("breakers", "list");
  assert.equal(list.code, 0, list.err);
  const [, first = "", second = ""] = list.out.split("\n");
  assert.match(first, new RegExp(`^${OPEN} +open .*connect ECONNREFUSED`));
  assert.match(second, new RegExp(`^${CLOSED} +closed `));

  const get = await ask("breakers", "get", OPEN);
  assert.equal(get.code, 0, get.err);
  assert.match(get.out, /state +open for .*\n +why +evidence: 20 bad of threshold/);

  const history = await ask("breakers", "history", OPEN, "--last", "1");
  assert.equal(history.code, 0, history.err);
  assert.match(history.out, /closed +→ {2}open +evidence +20 bad of threshold/);
  assert.doesNotMatch(list.out + get.out + history.out, /hunter2/);
});

test("--json is one document of the API, --quiet is silent", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon);
  const [list, get, history] = [
    await ask("breakers", "list", "--json"),
    await ask("breakers", "get", OPEN, "--json"),
    await ask("breakers", "history", OPEN, "--json"),
  ];
  assert.equal(JSON.parse(list.out).breakers.length, 2);
  assert.equal(JSON.parse(get.out).state, "open");
  assert.equal(JSON.parse(history.out).transitions[0].cause, "evidence");
  assert.deepEqual(await ask("breakers", "list", "--quiet"), { code: 0, out: "", err: "" });
});

test("force-open, force-close and reset do what they say, and tell what is in force", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon, OPERATOR.token);
  const state = (): string => {
    const handle = daemon.pool.handleOf(CLOSED) ?? assert.fail();
    return daemon.pool.report(handle, performance.now()).status.state;
  };
  const forced = await ask("breakers", "force-open", CLOSED, "--for", "10m", "--reason", "node upgrade");
  assert.equal(forced.out, `${CLOSED} is force_open, forced by night shift for 10m more: node upgrade\n`, forced.err);
  assert.equal(state(), "force_open");

  const beaten = await ask("breakers", "force-close", CLOSED, "--reason", "slow disk");
  assert.match(beaten.out, /is force_open, .*; force-open beats force-close/);

  assert.equal((await ask("breakers", "reset", CLOSED)).out, `${CLOSED} is closed\n`);
  assert.equal(state(), "closed");
  assert.match(
    (await ask("breakers", "force-close", CLOSED)).out,
    /is force_close, forced by .* until reset: operator/,
  );
  assert.equal(state(), "force_close");
});

test("set applies the changes and tells them; one that contradicts the others changes nothing", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon);
  const policy = () => daemon.pool.policyOf(daemon.pool.handleOf(CLOSED) ?? assert.fail());
  const set = await ask("breakers", "set", CLOSED, "failure_threshold=10", "reset_timeout_ms=5s");
  assert.equal(set.code, 0, set.err);
  assert.match(set.out, /failure_threshold +20 +10\n.*reset_timeout_ms +15s +5s\n$/);
  assert.deepEqual([policy().failureThreshold, policy().resetTimeoutMs], [10, 5_000]);

  const wrong = await ask("breakers", "set", CLOSED, "failure_threshold=7", "first_open_ms=1m");
  assert.equal(wrong.code, 2, wrong.err);
  assert.match(wrong.err, /first_open_ms.*reset_timeout_ms, 5000/);
  assert.equal(policy().failureThreshold, 10);
});

test("the audit says who ordered what, and what was refused", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon, OPERATOR.token);
  assert.equal((await ask("audit")).out, "nothing was ordered yet\n");
  await ask("breakers", "force-open", CLOSED, "--reason", "node upgrade");
  await asker(daemon, VIEWER.token)("breakers", "reset", CLOSED);
  const audit = await ask("audit", "--last", "5");
  assert.match(audit.out, /^TIME +WHO +ACTION +TARGET +OUTCOME +WITH$/m);
  assert.match(
    audit.out,
    /night shift \(operator\) +breaker\.force-open +upstream:litecoin:ltc-1 +done +.*"node upgrade"/,
  );
  assert.match(audit.out, /screen \(viewer\) +breaker\.reset +upstream:litecoin:ltc-1 +SPRINT_\S+/);
  const { entries } = JSON.parse((await ask("audit", "--json", "--last", "1")).out);
  assert.equal(entries.length, 1);
});

test("exit codes: 1 refused, 2 usage, 3 not reached, 4 not allowed", async () => {
  await using daemon = await startFake();
  const ask = asker(daemon);
  const cases: readonly (readonly [number, Promise<Ran>, RegExp])[] = [
    [1, ask("breakers", "get", "upstream:moon:1"), /no breaker upstream:moon:1.*upstream:bitcoin:btc-1/],
    [2, ask("breakers", "set", CLOSED, "failure_treshold=1"), /did you mean failure_threshold\?/],
    [2, ask("breakers", "set", CLOSED), /key=value/],
    [2, ask("breakers", "get"), /missing required argument 'breaker'/],
    [2, ask("breakers", "history", OPEN, "--last", "0"), /1 to 256/],
    [2, ask("breakers", "forceopen", OPEN), /Did you mean force-open/],
    [3, ask("breakers", "list", "--daemon", "http://127.0.0.1:1"), /cannot be reached/],
    [4, asker(daemon, "wrong")("breakers", "list"), /SPRINT_CLIENT_NOT_ALLOWED/],
    [4, asker(daemon, VIEWER.token)("breakers", "force-open", OPEN), /SPRINT_CLIENT_NOT_ALLOWED/],
    [4, asker(daemon, OPERATOR.token)("breakers", "set", OPEN, "adaptive=false"), /SPRINT_CLIENT_NOT_ALLOWED/],
  ];
  for (const [code, ran, message] of cases) {
    const { code: actual, out, err } = await ran;
    assert.equal(actual, code, err);
    assert.match(err, message);
    assert.equal(out, "");
  }
});
