import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { readRequest } from "../../../src/daemon/proxy/request.ts";
import { bench } from "./upstreams.ts";

const LIMITS = { requestChars: 262_144, batchCalls: 100 };

/** The code of the refusal, or the kind of what was read. */
function read(text: string): string | number {
  const request = readRequest(text, LIMITS);
  if (request.kind !== "malformed") return request.kind;
  const { error, id, jsonrpc } = JSON.parse(request.refusal) as {
    error: { code: number };
    id: unknown;
    jsonrpc?: unknown;
  };
  assert.ok(id === null || jsonrpc === "2.0" || jsonrpc === undefined);
  return error.code;
}

test("what is no JSON is -32700, what is no call is -32600", () => {
  for (const text of ["", "{", "[1,", "nonsense", '{"id":1}}', "\u0000"]) assert.equal(read(text), -32700, text);
  const call = (members: object): string =>
    JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getblockcount", ...members });
  const wrong = [
    "null",
    "7",
    '"getblockcount"',
    "[]",
    "{}",
    '{"jsonrpc":"2.0","method":"getblockcount"}',
    '{"jsonrpc":"2.0","method":"getblockcount","id":12345678901234567890}',
    '{"jsonrpc":"2.0","method":"getblockcount","id":1e999}',
    call({ id: {} }),
    call({ id: true }),
    call({ id: "x".repeat(257) }),
    call({ method: "" }),
    call({ method: 7 }),
    call({ method: "x".repeat(65) }),
    call({ jsonrpc: 2 }),
    call({ params: "x" }),
    call({ params: 7 }),
    call({ params: null }),
    call({ params: Array.from({ length: 17 }, () => 0) }),
    `{"id":1,"method":"getblockcount","params":${"[".repeat(9)}${"]".repeat(9)}}`,
    `[${Array.from({ length: 101 }, () => call({})).join()}]`,
    " ".repeat(262_145),
  ];
  for (const text of wrong) assert.equal(read(text), -32600, text.slice(0, 80));
  for (const good of [
    call({}),
    call({ id: null }),
    call({ id: "" }),
    call({ params: [] }),
    call({ params: { a: [[1]] } }),
  ])
    assert.equal(read(good), "single", good);
  assert.equal(read(`[${call({})},7]`), "batch");
});

test("a refusal carries the id of the call where that can be read", () => {
  const request = readRequest('{"jsonrpc":"2.0","id":"a","method":7}', LIMITS);
  assert.ok(request.kind === "malformed");
  assert.equal(JSON.parse(request.refusal).id, "a");
});

test("nesting as deep as the body allows is refused, not walked", () => {
  const depth = 130_000;
  assert.equal(read(`{"id":1,"method":"getblock","params":${"[".repeat(depth)}${"]".repeat(depth)}}`), -32600);
  assert.equal(read(`${"[".repeat(depth)}${"]".repeat(depth)}`), "batch");
  assert.equal(read(`{"id":1,"method":"getblock","params":${'{"a":'.repeat(40_000)}1${"}".repeat(40_000)}}`), -32600);
});

const value = fc.jsonValue({ maxDepth: 4 });
const method = fc.oneof(
  fc.constantFrom("getblockcount", "getblock", "sendrawtransaction", "stop", "__proto__"),
  fc.string(),
);
const call = fc.record(
  {
    jsonrpc: fc.oneof(fc.constantFrom("2.0", "1.0"), value),
    id: fc.oneof(fc.integer(), fc.string(), value),
    method: fc.oneof(method, value),
    params: fc.oneof(fc.array(value), value),
  },
  { requiredKeys: [] },
);
const cut = fc.tuple(fc.json(), fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1)));
const body = fc.oneof(
  fc.string(),
  cut,
  fc.json(),
  call.map((one) => JSON.stringify(one)),
  fc.array(fc.oneof(call, value), { maxLength: 12 }).map((all) => JSON.stringify(all)),
);

test("whatever is sent: no exception, and an answer of the right shape for each call, with its id", async () => {
  await fc.assert(
    fc.asyncProperty(body, async (text) => {
      const it = bench(1);
      const reply = await it.send(text);
      assert.ok(reply.status === 200 || reply.status === 400);
      const answers = Array.isArray(reply.json) ? reply.json : [reply.json];
      for (const answer of answers) {
        const hasError = answer.error !== undefined && answer.error !== null;
        assert.ok(
          "id" in answer && hasError !== (answer.result !== undefined && answer.result !== null),
          JSON.stringify(reply.json),
        );
        if (hasError) assert.equal(typeof answer.error.message, "string");
      }
      if (reply.status === 400) return assert.ok(!Array.isArray(reply.json));
      const sent = JSON.parse(text) as unknown;
      const entries = Array.isArray(sent) ? sent : [sent];
      assert.equal(answers.length, entries.length);
      for (const [at, entry] of entries.entries()) {
        if (answers[at].id !== null) assert.deepEqual(answers[at].id, entry.id);
      }
    }),
    { numRuns: 2_000, seed: 20_260 },
  );
});
