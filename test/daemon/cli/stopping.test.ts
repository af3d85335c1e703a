import test from "node:test";
import assert from "node:assert/strict";
import { STOP_BY_ORDER, watchForStop } from "../../../src/daemon/cli/stopping.ts";

function watched(t: { after(fn: () => void): void }, onHangup: (() => void) | null = null) {
  const exits: number[] = [];
  const time = { now: 0 };
  const stopping = watchForStop({ exitNow: (code) => exits.push(code), now: () => time.now, onHangup });
  t.after(() => stopping.dispose());
  return { stopping, exits, time };
}

test("the first reason counts, with its exit code", async (t) => {
  const { stopping } = watched(t);
  process.emit("SIGTERM", "SIGTERM");
  stopping.request(STOP_BY_ORDER);
  assert.deepEqual(await stopping.requested, { text: "SIGTERM", exitCode: 143 });
});

test("one Ctrl-C that comes twice is one, a second one ends the process at once", async (t) => {
  const { stopping, exits, time } = watched(t);
  process.emit("SIGINT", "SIGINT");
  time.now = 5;
  process.emit("SIGINT", "SIGINT");
  assert.deepEqual(exits, []);
  assert.equal((await stopping.requested).exitCode, 130);
  time.now = 1_000;
  stopping.signal("SIGINT");
  assert.deepEqual(exits, [130]);
});

test("a Ctrl-C after an order to stop is not yet the second one", (t) => {
  const { stopping, exits } = watched(t);
  stopping.request(STOP_BY_ORDER);
  process.emit("SIGINT", "SIGINT");
  assert.deepEqual(exits, []);
});

test("a hangup ends it where a terminal was closed, and is somebody else's where there is none", async (t) => {
  let hangups = 0;
  const reloads = watched(t, () => hangups++);
  process.emit("SIGHUP", "SIGHUP");
  reloads.stopping.signal("SIGHUP");
  assert.equal(hangups, 2);
  reloads.stopping.request(STOP_BY_ORDER);
  assert.equal(await reloads.stopping.requested, STOP_BY_ORDER);
  reloads.stopping.dispose();

  const stops = watched(t);
  process.emit("SIGHUP", "SIGHUP");
  assert.deepEqual(await stops.stopping.requested, { text: "SIGHUP", exitCode: 129 });
});

test("after the end nobody listens to signals any more", () => {
  const before = process.listenerCount("SIGTERM");
  const stopping = watchForStop({ exitNow: () => assert.fail(), now: () => 0, onHangup: null });
  assert.equal(process.listenerCount("SIGTERM"), before + 1);
  stopping.dispose();
  assert.equal(process.listenerCount("SIGTERM"), before);
});
