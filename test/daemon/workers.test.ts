/** Periodic tasks keep their own rhythm, whatever one of them does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTasks } from "../../src/daemon/workers.ts";
import { FakeClock } from "../fakes/clock.ts";

test("each task runs in its own rhythm until cancelled; one that throws is told of and goes on", () => {
  const clock = new FakeClock();
  const start = clock.now();
  const ran: string[] = [];
  const errors: string[] = [];
  const at = (name: string): void => void ran.push(`${name}@${clock.now() - start}`);
  const cancel = startTasks(
    [
      { name: "tidy", everyMs: 100, run: () => at("tidy") },
      {
        name: "check",
        everyMs: 250,
        run() {
          at("check");
          throw new Error("broken");
        },
      },
    ],
    { clock, onError: (task, error) => void errors.push(`${task}: ${String(error)}`) },
  );
  assert.deepEqual(ran, [], "nothing runs at the start");
  clock.advance(500);
  assert.deepEqual(ran, ["tidy@100", "tidy@200", "check@250", "tidy@300", "tidy@400", "check@500", "tidy@500"]);
  assert.deepEqual(errors, ["check: Error: broken", "check: Error: broken"]);
  cancel();
  assert.equal(clock.pending, 0);
  clock.advance(1_000);
  assert.equal(ran.length, 7);
});

test("a task may end all of them", () => {
  const clock = new FakeClock();
  let runs = 0;
  const cancel = startTasks([{ name: "once", everyMs: 10, run: () => (runs++, cancel()) }], {
    clock,
    onError: (_, error) => assert.fail(String(error)),
  });
  clock.advance(100);
  assert.equal(runs, 1);
  assert.equal(clock.pending, 0);
});
