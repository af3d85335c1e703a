import test from "node:test";
import assert from "node:assert/strict";
import { createReloading } from "../../../src/daemon/cli/reloading.ts";
import { createLogger } from "../../../src/daemon/observe/index.ts";
import type { ReloadBody } from "../../../src/shared/api.ts";
import { SprintError } from "../../../src/shared/errors.ts";

const CHANGES = [{ key: "log.level", from: "info", to: "debug", restart: false }];

function setUp(answer: () => ReloadBody) {
  const lines: { level: string; msg: string; code?: string; changes?: unknown }[] = [];
  const log = createLogger(
    { level: "info", format: "json", color: false },
    { write: (line) => lines.push(JSON.parse(line)) },
  );
  const reloading = createReloading(log);
  let reloads = 0;
  const daemon = {
    reload: () => {
      reloads++;
      return answer();
    },
  };
  return { reloading, daemon, lines, reloads: () => reloads };
}

test("the log tells the difference", () => {
  const { reloading, daemon, lines } = setUp(() => ({ applied: true, changes: CHANGES }));
  reloading.started(daemon);
  assert.equal(lines.length, 0, "nobody asked");
  reloading.request();
  assert.match(lines[0]?.msg ?? "", /changed: log\.level: info → debug$/);
  assert.deepEqual(lines[0]?.changes, CHANGES);
});

test("a signal during the start counts once, when it is over", () => {
  const { reloading, daemon, lines, reloads } = setUp(() => ({ applied: false, changes: [] }));
  reloading.request();
  reloading.request();
  reloading.started(daemon);
  assert.equal(reloads(), 1);
  assert.match(lines[0]?.msg ?? "", /nothing changed/);
});

test("what is not applied is an error in the log, with its reason, and ends nothing", () => {
  const { reloading, daemon, lines, reloads } = setUp(() => {
    throw new SprintError("SPRINT_CONFIG_NEEDS_RESTART", "expected less, got host", { changes: CHANGES });
  });
  reloading.started(daemon);
  reloading.request();
  reloading.request();
  assert.equal(reloads(), 2);
  assert.deepEqual(
    [lines[0]?.level, lines[0]?.code, lines[0]?.changes],
    ["error", "SPRINT_CONFIG_NEEDS_RESTART", CHANGES],
  );
  assert.match(lines[0]?.msg ?? "", /not changed: expected less, got host/);
});
