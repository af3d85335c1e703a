import test from "node:test";
import assert from "node:assert/strict";
import { PolicyBody } from "../../../src/shared/api.ts";
import { patchOf } from "../../../src/daemon/cli/patch.ts";

test("key=value becomes a patch; times have units, or are milliseconds as their key says", () => {
  const patch = patchOf([
    "reset_timeout_ms=1m30s",
    "slow_floor_ms=25",
    "bad_rate=0.5",
    "false_open_budget=1e6",
    "adaptive=false",
  ]);
  assert.deepEqual(patch, {
    reset_timeout_ms: 90_000,
    slow_floor_ms: 25,
    bad_rate: 0.5,
    false_open_budget: 1_000_000,
    adaptive: false,
  });
});

test("what cannot be applied is refused with the key, what it takes, and what came", () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["failure_treshold=1"], /no setting "failure_treshold", did you mean failure_threshold\?/],
    [["moon=1"], /no setting "moon"; there are failure_threshold, /],
    [["toString=1"], /no setting "toString"/],
    [["adaptive"], /expected key=value, got "adaptive"/],
    [["adaptive="], /expected key=value/],
    [["adaptive=on"], /adaptive takes true or false, got "on"/],
    [["failure_threshold=1.5"], /takes a whole number from 1 to 1000, got "1\.5"/],
    [["failure_threshold=0"], /from 1 to 1000/],
    [["bad_rate=0.99"], /bad_rate takes a number from 0\.05 to 0\.95, got "0\.99"/],
    [["bad_rate=5s"], /got "5s"/],
    [["reset_timeout_ms=5 s"], /takes a duration such as "5s", or milliseconds, from 1 to 86400000, got "5 s"/],
    [["reset_timeout_ms=2d"], /to 86400000/],
    [["bad_rate=0.5", "bad_rate=0.6"], /given twice/],
  ];
  for (const [changes, message] of cases) {
    assert.throws(() => patchOf(changes), { code: "SPRINT_CLI_SET", message }, changes.join(" "));
  }
});

test("every key of the contract can be set", () => {
  for (const [key, field] of Object.entries(PolicyBody.properties) as [string, { type: string; minimum?: number }][]) {
    const text = field.type === "boolean" ? "true" : String(field.minimum);
    assert.deepEqual(Object.keys(patchOf([`${key}=${text}`])), [key]);
    assert.deepEqual(patchOf([`${key}=default`]), { [key]: null });
  }
});
