import test from "node:test";
import assert from "node:assert/strict";
import { SprintError } from "../../src/shared/errors.ts";
import { redactText, redactValue } from "../../src/shared/redact.ts";

test("credentials leave every form of URL", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["http://alice:s3cret@node:8332/", "http://***@node:8332/"],
    ["dial http://u:p/w?d@node:1 failed", "dial http://***@node:1 failed"],
    ["zmq+tcp://h:1?rpc=http://u:p@h:2", "zmq+tcp://h:1?rpc=http://***@h:2"],
    ["zmq+tcp://h:1?rpc=http%3A%2F%2Fu%3Ap%40h%3A2", "zmq+tcp://h:1?rpc=http%3A%2F%2F***%40h%3A2"],
    ["https://eth.example/v3/0123456789abcdef0123456789abcdef", "https://eth.example/v3/***"],
    ["https://node.example/?apikey=abc&x=1", "https://node.example/?apikey=***&x=1"],
    ["Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic ***"],
    ["sent Bearer 0123456789abcdef", "sent Bearer ***"],
    ["p2p://127.0.0.1:19444?network=regtest", "p2p://127.0.0.1:19444?network=regtest"],
    ["basic configuration of a block", "basic configuration of a block"],
  ];
  for (const [text, shown] of cases) assert.equal(redactText(text), shown);
});

test("fields named like a secret lose their value at any depth, also behind an error's cause", () => {
  const error = new SprintError("SPRINT_TEST", "no answer from http://u:p@h", { rpc_password: "hunter2", height: 5 });
  const shown = JSON.stringify(redactValue({ outer: [{ err: new Error("outer", { cause: error }) }], token: "abc" }));
  assert.doesNotMatch(shown, /hunter2|u:p|abc/);
  assert.match(shown, /"height":5/);
});

test("a value that points at itself ends", () => {
  const loop: Record<string, unknown> = { name: "loop" };
  loop["self"] = loop;
  assert.match(JSON.stringify(redactValue(loop)), /deeper/);
});
