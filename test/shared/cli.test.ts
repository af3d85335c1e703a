import test from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  EXIT,
  exitCodeOf,
  formatDuration,
  nearest,
  painter,
  parseDuration,
  table,
  tellError,
  wantsColor,
} from "../../src/shared/cli.ts";
import { SprintError } from "../../src/shared/errors.ts";

test("durations have units, and a bare number has none", () => {
  assert.equal(parseDuration("250ms"), 250);
  assert.equal(parseDuration("5s"), 5_000);
  assert.equal(parseDuration("1m30s"), 90_000);
  assert.equal(parseDuration("1.5h"), 5_400_000);
  for (const text of ["5", "", "s", "5 s", "-5s", "5sec", "1e3s", "1..5s"])
    assert.equal(parseDuration(text), null, text);
});

test("a formatted duration reads back", () => {
  fc.assert(fc.property(fc.nat(4_000_000_000), (ms) => parseDuration(formatDuration(ms)) === ms));
});

test("colour follows NO_COLOR, FORCE_COLOR, TERM and the terminal, in that order", () => {
  assert.equal(wantsColor({ isTTY: true }, {}), true);
  assert.equal(wantsColor({}, {}), false);
  assert.equal(wantsColor({ isTTY: true }, { TERM: "dumb" }), false);
  assert.equal(wantsColor({}, { FORCE_COLOR: "1" }), true);
  assert.equal(wantsColor({ isTTY: true }, { FORCE_COLOR: "0" }), false);
  assert.equal(wantsColor({ isTTY: true }, { NO_COLOR: "1", FORCE_COLOR: "1" }), false);
  assert.equal(wantsColor({ isTTY: true }, { NO_COLOR: "" }), true);
});

test("the nearest word is near, or there is none", () => {
  const known = ["rpc_url", "zmq_endpoint", "validation_level", "enabled"];
  assert.equal(nearest("rcp_url", known), "rpc_url");
  assert.equal(nearest("validation_lvl", known), "validation_level");
  assert.equal(nearest("Enabled", known), "enabled");
  assert.equal(nearest("colour", known), null);
});

test("a table stands in columns, numbers to the right", () => {
  assert.equal(
    table(
      ["name", "wins"],
      [
        ["ltc-1", 7],
        ["b", 120],
      ],
    ),
    "name   wins\nltc-1     7\nb       120",
  );
});

test("an error ends in its exit code and is told without secrets", () => {
  assert.equal(exitCodeOf(new SprintError("SPRINT_CONFIG_VALUE", "x")), EXIT.USAGE);
  assert.equal(exitCodeOf(new SprintError("SPRINT_CLIENT_UNREACHABLE", "x")), EXIT.UNREACHABLE);
  assert.equal(exitCodeOf(new Error("x")), EXIT.FAILED);
  const error = new SprintError("SPRINT_X", "no answer from http://u:p@h", { url: "http://u:p@h" });
  assert.equal(
    tellError(error, { json: false, paint: painter(false) }),
    "error no answer from http://***@h [SPRINT_X]\n",
  );
  assert.deepEqual(JSON.parse(tellError(error, { json: true, paint: painter(true) })), {
    error: { code: "SPRINT_X", message: "no answer from http://***@h", details: { url: "http://***@h" } },
  });
});
