import test from "node:test";
import assert from "node:assert/strict";
import type { BreakerBody, TransitionBody } from "../../../src/shared/api.ts";
import { painter } from "../../../src/shared/cli.ts";
import { breakerText, changesText, historyText, listText } from "../../../src/daemon/cli/breakertext.ts";
import { policyOf } from "../../../src/daemon/breaker/index.ts";
import { policyBody } from "../../../src/daemon/server/breaker-views.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const plain = painter(false);

function at(secondsFromNow: number): string {
  return new Date(NOW + secondsFromNow * 1000).toISOString();
}

function breaker(change: Partial<BreakerBody> = {}): BreakerBody {
  return {
    name: "upstream:litecoin:ltc-1",
    tier: "ENTERPRISE",
    state: "closed",
    since: at(-90),
    health: 0.987,
    failure_rate: 0.1234,
    failure_rate_range: { low: 0.08, high: 0.171 },
    failure_threshold: 14.23,
    calls_per_false_open: 1_250_000,
    slow_rate: 0.01,
    slow_from_ms: 42,
    rejection_rate: 0.5,
    latency_ms: { p50: 4.21, p95: 31.4, p99: 212 },
    trend: -0.02,
    rate_per_second: 12.34,
    requests: 1000,
    failures: 123,
    ignored: 4,
    slow: 10,
    overdue: 2,
    rejected: 7,
    late: 1,
    in_flight: 3,
    recovery_probability: 1,
    next_attempt_at: null,
    last_error: null,
    forced: null,
    half_open: null,
    policy: policyBody(policyOf("ENTERPRISE")),
    ...change,
  };
}

const FIVE: BreakerBody[] = [
  breaker({ name: "well" }),
  breaker({ name: "ailing", health: 0.2 }),
  breaker({ name: "let", state: "force_close", forced: { owner: "ops", reason: "slow disk", until: at(300) } }),
  breaker({ name: "ramp", state: "half_open", half_open: { probes: 1, permits: 4, successes: 8, ramp: 0.5 } }),
  breaker({ name: "probe", state: "half_open", half_open: { probes: 1, permits: 2, successes: 1, ramp: null } }),
  breaker({ name: "shut", state: "force_open", forced: { owner: "alice", reason: "upgrade", until: null } }),
  breaker({ name: "down", state: "open", health: 0, next_attempt_at: at(0.212), last_error: "connect ECONNREFUSED" }),
];

test("the list has the worst first, and of each what an operator does next", () => {
  const [head = "", ...rows] = listText({ breakers: FIVE }, NOW, { paint: plain }).split("\n");
  assert.match(head, /^NAME +STATE +HEALTH +FAIL% +P95 MS +RATE\/S +REJECTED +NEXT ATTEMPT +LAST ERROR$/);
  assert.deepEqual(
    rows.map((row) => row.split(/ +/)[0]),
    ["down", "shut", "probe", "ramp", "let", "ailing", "well"],
  );
  assert.match(rows[0] ?? "", /^down +open +0 +12\.3 +31\.4 +12\.3 +7 {2}in 212ms +connect ECONNREFUSED$/);
  assert.match(rows[1] ?? "", /force_open .* forced by alice until reset: upgrade$/);
  assert.match(rows[2] ?? "", /half_open .* probing, 1 of 2 out +-$/);
  assert.match(rows[3] ?? "", /half_open .* ramp, 50% pass +-$/);
  assert.match(rows[4] ?? "", /force_close .* forced by ops for 5m more: slow disk$/);
});

test("each state has its colour, which does not move the columns", () => {
  const text = listText({ breakers: FIVE }, NOW, { paint: painter(true) });
  const colors = { closed: 32, open: 31, half_open: 33, force_open: 35, force_close: 35 };
  for (const [state, color] of Object.entries(colors))
    assert.ok(text.includes(`\u001b[${color}m${state}\u001b[39m`), state);
  assert.ok(text.includes("\u001b[31m0.2\u001b[39m"), "the health of one that is closed and ails");
  // oxlint-disable-next-line no-control-regex -- colours are what is taken out
  assert.equal(text.replaceAll(/\u001b\[\d+m/g, ""), listText({ breakers: FIVE }, NOW, { paint: plain }));
});

test("an error is cut to the terminal, and steers none", () => {
  const breakers = [breaker({ state: "open", last_error: `\u001b[2J${"long ".repeat(40)}` })];
  const lines = listText({ breakers }, NOW, { paint: plain, columns: 140 }).split("\n");
  assert.equal(lines[1]?.length, 140);
  assert.match(lines[1] ?? "", /\?\[2Jlong .*…$/);
  assert.ok(listText({ breakers }, NOW, { paint: plain }).includes("long ".repeat(40).trim()));
});

test("a narrow terminal loses the columns that are wanted least, and no line is broken", () => {
  const [head = "", ...rows] = listText({ breakers: FIVE }, NOW, { paint: plain, columns: 80 }).split("\n");
  assert.doesNotMatch(head, /RATE\/S/);
  assert.match(head, /^NAME +STATE +HEALTH .*NEXT ATTEMPT +LAST ERROR$/);
  assert.ok(rows.every((row) => row.length <= 80));
  assert.match(listText({ breakers: FIVE }, NOW, { paint: plain, columns: 160 }), /FAIL% +P95 MS +RATE\/S +REJECTED/);
});

test("one breaker is told whole: what each number means, and its policy with the keys that set takes", () => {
  const text = breakerText(breaker(), null, NOW, plain);
  assert.match(text, /state +closed for 1m30s, since 2026-03-01T11:58:30/);
  assert.match(text, /failed +12\.3% \(95% sure of 8% to 17\.1%\), last minute -2 points/);
  assert.match(text, /slow +1%, slow from 42ms on/);
  assert.match(text, /turned away +50%/);
  assert.match(text, /latency +p50 4\.2ms, p95 31ms, p99 212ms/);
  assert.match(text, /at +14\.2 bad calls in a row.*; 20 before it adapted/);
  // 1,250,000 calls at 12.34 a second are 28 hours.
  assert.match(text, /one false open in 1\.3 million calls, at the present rate one in 1d4h$/m);
  for (const key of Object.keys(breaker().policy)) assert.match(text, new RegExp(`^  ${key} `, "m"));
  assert.match(text, /reset_timeout_ms +15s$/m);
});

function transition(change: Partial<TransitionBody> = {}): TransitionBody {
  return {
    seq: 1,
    breaker: "upstream:litecoin:ltc-1",
    from: "closed",
    to: "open",
    at: at(-5),
    monotonic_ms: 1,
    cause: "evidence",
    forced: null,
    evidence: {
      failures: 12,
      bad: 20,
      threshold: 14.2,
      slow_from_ms: 40,
      in_flight: 3,
      rate_per_second: 100,
      health: 0.31,
      outage_ms: 0,
      probe_in_ms: 212,
    },
    ...change,
  };
}

test("why it is open stands with its state: the cause and the evidence; an order's reason where one forces it", () => {
  const open = breaker({ state: "open", next_attempt_at: at(3.14) });
  const why = /why +evidence: 20 bad \(12 failed\) of threshold 14\.2, 3 in flight, probe in 212ms$/m;
  assert.match(breakerText(open, transition(), NOW, plain), why);
  assert.match(breakerText(open, transition(), NOW, plain), /next attempt +in 3\.1s$/m);
  const forced = breaker({ state: "force_open", forced: { owner: "alice", reason: "upgrade", until: null } });
  assert.match(breakerText(forced, transition(), NOW, plain), /why +forced by alice until reset: upgrade$/m);
});

test("the history is one line a transition: when, from where to where, cause, evidence", () => {
  const quiet = { ...transition().evidence, in_flight: 0, probe_in_ms: 0, outage_ms: 4_321 };
  const transitions = [
    transition({ from: "half_open", to: "closed", cause: "recovered", evidence: quiet }),
    transition({ cause: "latency" }),
    transition({ cause: "health" }),
    transition({ to: "force_open", cause: "force_open", forced: { owner: "alice", reason: "upgrade", until: at(60) } }),
  ];
  const [head = "", ...rows] = historyText({ name: "a", transitions }, plain).split("\n");
  assert.match(head, /^TIME +FROM +TO +CAUSE +EVIDENCE$/);
  assert.match(rows[0] ?? "", /^2026-03-01T11:59:55\.000Z {2}half_open {2}→ {2}closed +recovered +outage of 4\.3s$/);
  assert.match(rows[1] ?? "", /closed +→ {2}open +latency +20 bad .*, slow from 40ms, 3 in flight, probe in 212ms$/);
  assert.match(rows[2] ?? "", /health +20 bad .*, health 0\.31, 3 in flight/);
  assert.match(rows[3] ?? "", /force_open +by alice until 2026-03-01T12:01:00\.000Z: upgrade$/);
  assert.match(historyText({ name: "a", transitions: [] }, plain), /^a has not changed its state since the start$/);
});

test("changes are told as before and after, times with units", () => {
  const changes = [
    { key: "reset_timeout_ms", from: 15_000, to: 5_000, restart: false },
    { key: "adaptive", from: true, to: false, restart: false },
  ];
  assert.deepEqual(changesText("a", { changes }, plain).split(/\n/), [
    "a",
    "   KEY               BEFORE  NOW",
    "~  reset_timeout_ms  15s     5s",
    "~  adaptive          true    false",
  ]);
  assert.match(changesText("a", { changes: [] }, plain), /nothing changed/);
});
