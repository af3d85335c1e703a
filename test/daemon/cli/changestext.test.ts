import test from "node:test";
import assert from "node:assert/strict";
import { changesSentence, changesTable } from "../../../src/daemon/cli/changestext.ts";
import { painter } from "../../../src/shared/cli.ts";

const CHANGES = [
  { key: "log.level", from: "info", to: "debug", restart: false },
  { key: "host", from: "127.0.0.1", to: "0.0.0.0", restart: true },
  { key: "chains.litecoin.upstreams", from: ["p2p://a", "p2p://b"], to: ["p2p://a", "p2p://c"], restart: false },
  { key: "chains.bitcoin.upstreams", from: ["x", "y"], to: ["y", "x"], restart: false },
  { key: "control_tokens.grafana", from: null, to: { role: "viewer", token: "***" }, restart: false },
  { key: "log.format", from: "json", to: null, restart: true },
];

test("what is new, gone and another is marked, the entries of a list by themselves, a restart at the end", () => {
  const text = changesTable(CHANGES, ["RUNNING", "FILE"], painter(false));
  assert.deepEqual(
    text.split("\n").map((line) => line.split(/ {2,}/).filter((cell) => cell !== "")),
    [
      ["KEY", "RUNNING", "FILE"],
      ["~", "log.level", "info", "debug"],
      ["~", "host", "127.0.0.1", "0.0.0.0", "restart"],
      ["-", "chains.litecoin.upstreams", "p2p://b"],
      ["+", "chains.litecoin.upstreams", "p2p://c"],
      ["~", "chains.bitcoin.upstreams", '["x","y"]', '["y","x"]'],
      ["+", "control_tokens.grafana", '{"role":"viewer","token":"***"}'],
      ["-", "log.format", "json", "restart"],
    ],
  );
});

test("a line has the colour of its mark", () => {
  const [, changed, , gone, come] = changesTable(CHANGES, ["A", "B"], painter(true)).split("\n");
  assert.ok(changed?.startsWith("\u001b[33m~"));
  assert.ok(gone?.startsWith("\u001b[31m-"));
  assert.ok(come?.startsWith("\u001b[32m+"));
});

test("what a value holds cannot steer the terminal", () => {
  const changes = [{ key: "host", from: "a", to: "\u001b[2Jb", restart: false }];
  const texts = [changesTable(changes, ["A", "B"], painter(false)), changesSentence(changes)];
  assert.ok(texts.every((text) => text.includes("[2Jb") && !text.includes("\u001b")));
});

test("a log line names every change", () => {
  assert.equal(changesSentence(CHANGES.slice(0, 2)), "log.level: info → debug; host: 127.0.0.1 → 0.0.0.0 (restart)");
});
