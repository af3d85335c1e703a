import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/shared/clock.ts";

test("a timer may be set for longer than the system's go, and cancelled at any time", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const DAY_MS = 86_400_000;
  const fired: string[] = [];
  systemClock.after(60 * DAY_MS, () => fired.push("60 days"));
  const cancel = systemClock.after(60 * DAY_MS, () => fired.push("cancelled"));
  systemClock.after(DAY_MS, () => fired.push("1 day"));
  for (let day = 1; day < 60; day++) t.mock.timers.tick(DAY_MS);
  assert.deepEqual(fired, ["1 day"]);
  cancel();
  // The mocked time of a timer begins at the end of the tick in which it is set.
  for (let day = 60; day < 63; day++) t.mock.timers.tick(DAY_MS);
  assert.deepEqual(fired, ["1 day", "60 days"]);
});

test("the system's own would go off at once", async () => {
  let isOver = false;
  const cancel = systemClock.after(2 ** 40, () => (isOver = true));
  await new Promise<void>((resolve) => systemClock.after(5, resolve));
  cancel();
  assert.equal(isOver, false);
});
