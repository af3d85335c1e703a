/** The file of orders: what is wrong with it is told, and never stops the daemon. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { NO_ORDER, type Order, type Orders, openOrders } from "../../src/daemon/orders.ts";

const cordon = (until: number | null): Order => ({ ...NO_ORDER, cordon: { reason: "upgrade", until } });

function setUp(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "sprint-orders-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const faults: string[] = [];
  const clock = { now: 1_000 };
  const open = (at = directory): Orders =>
    openOrders({ directory: at }, { wall: () => clock.now, onFault: ({ code }) => void faults.push(code) });
  return { file: join(directory, "orders.json"), faults, clock, open };
}

test("an order holds for its target until it is taken back or its time is over", (t) => {
  const { file, faults, clock, open } = setUp(t);
  const orders = open();
  orders.put("a", cordon(null));
  orders.put("b", cordon(2_000));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const again = open();
  assert.deepEqual([again.of("a"), again.of("b")], [cordon(null), cordon(2_000)]);
  assert.deepEqual(again.of("c"), NO_ORDER);
  clock.now = 2_000;
  assert.deepEqual(again.of("b"), NO_ORDER);
  again.put("a", NO_ORDER);
  assert.equal(readFileSync(file, "utf8"), '{"version":1,"orders":[]}\n', "nor is what is over kept");
  assert.deepEqual(faults, []);
});

test("a file that holds something else is told of and written anew; one that cannot be written is told of", (t) => {
  const { file, faults, open } = setUp(t);
  for (const text of ["", "{", '{"version":2,"orders":[]}', '{"version":1,"orders":[{"target":1}]}'] as const) {
    writeFileSync(file, text);
    const orders = open();
    assert.deepEqual(orders.of("a"), NO_ORDER, text);
    assert.deepEqual(faults.splice(0), ["SPRINT_ORDERS_UNREADABLE"], text);
    orders.put("a", cordon(null));
    assert.deepEqual(open().of("a"), cordon(null));
  }
  const nowhere = open(join(file, "below"));
  nowhere.put("a", cordon(null));
  assert.deepEqual(faults, ["SPRINT_ORDERS_UNWRITABLE"]);
  assert.deepEqual(nowhere.of("a"), cordon(null), "it holds until the end of this run");
});

test("the oldest make room", (t) => {
  const { open } = setUp(t);
  const orders = open();
  for (let i = 0; i <= 2_000; i++) orders.put(`t${i}`, cordon(null));
  const again = open();
  assert.deepEqual([again.of("t0"), again.of("t1"), again.of("t2000")], [NO_ORDER, cordon(null), cordon(null)]);
});
