/** The daemon's breakers: whose policy counts, what is remembered, who is forgotten. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FAILURE, SUCCESS, policyOf } from "../../src/daemon/breaker/index.ts";
import { NO_ORDERS, type Orders, openOrders } from "../../src/daemon/orders.ts";
import { createBreakers } from "../../src/daemon/breakers.ts";
import { seededRandom } from "../../src/shared/clock.ts";
import type { SprintError } from "../../src/shared/errors.ts";
import { FakeClock } from "../fakes/clock.ts";

function setUp(orders: Orders = NO_ORDERS) {
  const clock = new FakeClock();
  const told: string[] = [];
  const gone: string[] = [];
  const lost: string[] = [];
  const breakers = createBreakers(
    { tier: "BUSINESS", policy: policyOf("BUSINESS") },
    {
      clock,
      random: seededRandom(1),
      orders,
      onOrderLost: (name, error) => void lost.push(`${name} ${(error as SprintError).code}`),
      onTransition: ({ breaker, to, cause }) => void told.push(`${breaker} ${to} ${cause}`),
      onEvict(name) {
        told.push(`${name} gone`);
        gone.push(name);
      },
    },
  );
  return { clock, told, gone, lost, breakers };
}

test("the tier's policy, then the owner's, then the operator's; a reload keeps the last two", () => {
  const { breakers } = setUp();
  breakers.open("a", { own: () => ({ latency: false }) });
  breakers.open("b");
  const policy = (name: string): unknown[] => {
    const { failureThreshold, latency, slowCallMs } = breakers.breaker(name)?.policy ?? assert.fail(name);
    return [failureThreshold, latency, slowCallMs];
  };
  assert.deepEqual(
    [policy("a"), policy("b")],
    [
      [10, false, 5_000],
      [10, true, 5_000],
    ],
  );
  const { changes } = breakers.configureBreaker("a", { failureThreshold: 4 }) ?? assert.fail();
  assert.deepEqual(changes, [{ key: "failureThreshold", from: 10, to: 4, restart: false }]);
  breakers.retune(policyOf("BUSINESS", { failureThreshold: 7, slowCallMs: 900 }));
  assert.deepEqual(
    [policy("a"), policy("b")],
    [
      [4, false, 900],
      [7, true, 900],
    ],
  );
  breakers.configureBreaker("a", { failureThreshold: null });
  assert.deepEqual(policy("a"), [7, false, 900], "taken back");
  assert.equal(breakers.configureBreaker("nobody", {}), null);
  assert.throws(() => breakers.configureBreaker("a", { halfOpenCalls: 0 }), { code: "SPRINT_BREAKER_OPTIONS" });
});

test("a reload that contradicts what an operator set changes nothing", () => {
  const { breakers } = setUp();
  breakers.open("a");
  breakers.open("b");
  breakers.configureBreaker("b", { firstOpenMs: 20_000 });
  assert.throws(() => breakers.retune(policyOf("BUSINESS", { resetTimeoutMs: 10_000 })), {
    code: "SPRINT_BREAKER_OPTIONS",
    message:
      /^b has settings of an operator .* firstOpenMs to be at most resetTimeoutMs, 10000, got 20000; set them anew/,
  });
  assert.equal(breakers.breaker("a")?.policy.resetTimeoutMs, 30_000);
  breakers.retune(policyOf("BUSINESS", { failureThreshold: 5 }));
  assert.equal(breakers.breaker("b")?.policy.resetTimeoutMs, 30_000, "nor later");
});

test("transitions are remembered and told in the next turn; a force ends by itself", async () => {
  const { breakers, clock, told } = setUp();
  const breaker = breakers.open("a");
  for (let i = 0; i < 10; i++) {
    breaker.onResult(breaker.tryAcquire(clock.now()), FAILURE, 5, clock.now(), "connection refused");
    clock.advance(1);
  }
  assert.equal(breaker.state(), "open");
  assert.deepEqual(told, []);
  await Promise.resolve();
  assert.deepEqual(told, ["a open evidence"]);
  breakers.force("a", "close", { owner: "ops", reason: "it is our proxy", forMs: 5_000 });
  const token = breaker.tryAcquire(clock.now());
  assert.ok(token > 0);
  breaker.onResult(token, SUCCESS, 5, clock.now());
  clock.advance(5_000);
  breakers.evaluate();
  assert.deepEqual(
    breakers.breakerHistory("a", 2)?.map(({ from, to, cause }) => [from, to, cause]),
    [
      ["force_close", "closed", "released"],
      ["open", "force_close", "force_close"],
    ],
  );
  assert.equal(breakers.breakerHistory("b", 2), null);
  assert.equal(breakers.breaker("a")?.report.lastError, "connection refused");
});

test("who has an owner stays, however idle; without one it goes, with what was known of it", async () => {
  const { breakers, clock, told, gone } = setUp();
  const policy = policyOf("BUSINESS");
  breakers.open("owned");
  breakers.pool.open("visitor", policy, clock.now());
  clock.advance(3_600_000);
  assert.deepEqual(breakers.tidy(), { evicted: 1, abandoned: 0 });
  await Promise.resolve();
  assert.deepEqual([gone, breakers.breaker("visitor")], [["visitor"], null]);
  breakers.force("owned", "open", { owner: "ops", reason: "gone" });
  breakers.release("owned");
  assert.equal(breakers.breaker("owned"), null);
  await Promise.resolve();
  assert.deepEqual(gone, ["visitor", "owned"]);
  assert.deepEqual(told.slice(-2), ["owned closed reset", "owned gone"], "nothing is told of it afterwards");
  const again = breakers.open("owned");
  const token = again.tryAcquire(clock.now());
  assert.ok(token > 0);
  again.onResult(token, FAILURE, 5, clock.now(), "refused");
  breakers.release("owned");
  again.onResult(token, FAILURE, 5, clock.now(), "refused once more");
  assert.equal(breakers.breaker("owned"), null, "what comes late does not bring it back");
});

test("what operators ordered survives a restart, for the same node and as long as it holds", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "sprint-orders-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  let wall = 1_000_000;
  const orders = (): Orders =>
    openOrders({ directory }, { wall: () => wall, onFault: (error) => assert.fail(error.message) });
  const state = ({ breakers }: ReturnType<typeof setUp>, name: string): unknown[] => {
    const { report, policy } = breakers.breaker(name) ?? assert.fail(name);
    const reason = "force" in report.status ? report.status.force.reason : null;
    return [report.status.state, reason, policy.failureThreshold];
  };

  const first = setUp(orders());
  wall = first.clock.wall();
  for (const name of ["a", "b", "c", "d"]) first.breakers.open(name, { lasting: `p2p://${name}` });
  first.breakers.force("a", "open", { owner: "ops", reason: "upgrade" });
  first.breakers.configureBreaker("a", { failureThreshold: 4 });
  first.breakers.force("b", "close", { owner: "ops", reason: "our proxy", forMs: 60_000 });
  first.breakers.force("c", "open", { owner: "ops", reason: "other node" });
  first.breakers.force("d", "open", { owner: "ops", reason: "over" });
  first.breakers.resetBreaker("d");

  const second = setUp(orders());
  for (const name of ["a", "b", "d"]) second.breakers.open(name, { lasting: `p2p://${name}` });
  second.breakers.open("c", { lasting: "p2p://another" });
  assert.deepEqual(state(second, "a"), ["force_open", "upgrade", 4]);
  assert.deepEqual(state(second, "b"), ["force_close", "our proxy", 10]);
  assert.deepEqual(state(second, "c"), ["closed", null, 10]);
  assert.deepEqual(state(second, "d"), ["closed", null, 10]);
  second.breakers.resetBreaker("a");
  second.breakers.configureBreaker("a", { failureThreshold: null });

  wall += 60_000;
  const third = setUp(orders());
  for (const name of ["a", "b"]) third.breakers.open(name, { lasting: `p2p://${name}` });
  assert.deepEqual(
    [state(third, "a"), state(third, "b")],
    [
      ["closed", null, 10],
      ["closed", null, 10],
    ],
  );
});

test("an order that cannot be carried out any more is told; the others hold", () => {
  const held = { owner: "ops", reason: "upgrade", until: null };
  const nameless = { ...held, owner: "" };
  const order = { forceOpen: held, forceClose: nameless, cordon: null, settings: { firstOpenMs: 60_000 } };
  const { breakers, lost } = setUp({ of: () => order, put: () => {} });
  breakers.open("a");
  assert.deepEqual(lost, ["a SPRINT_BREAKER_OPTIONS", "a SPRINT_BREAKER_FORCE"]);
  const { report, policy } = breakers.breaker("a") ?? assert.fail();
  assert.deepEqual([report.status.state, policy.firstOpenMs], ["force_open", 100]);
});

test("an order whose last millisecond passes while it is read ends by itself", () => {
  const held = { owner: "ops", reason: "upgrade", until: 1 };
  const order = { forceOpen: held, forceClose: null, cordon: null, settings: {} };
  const { breakers, lost, clock: time } = setUp({ of: () => order, put: () => {} });
  assert.ok(time.wall() > held.until);
  breakers.open("a");
  assert.deepEqual([lost, breakers.breaker("a")?.report.status.state], [[], "force_open"]);
  time.advance(1);
  breakers.evaluate();
  assert.equal(breakers.breaker("a")?.report.status.state, "half_open");
});
