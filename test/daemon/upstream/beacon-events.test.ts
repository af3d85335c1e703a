import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EventReader, MAX_EVENT_BYTES, type ServerEvent } from "../../../src/daemon/upstream/beacon-events.ts";

function read(...chunks: readonly (string | Buffer)[]): ServerEvent[] {
  const reader = new EventReader();
  return chunks.flatMap((chunk) => reader.push(Buffer.from(chunk)));
}

test("events with names, lines of data, comments and fields of others", () => {
  assert.deepEqual(read(":ok\n\nevent: head\ndata: {\ndata:  1}\nid: 7\nretry\n\ndata\n\nevent:none\n\ndata:x"), [
    { name: "head", data: "{\n 1}" },
    { name: "message", data: "" },
  ]);
});

test("wherever a stream is cut, and however its lines end, the events are the same", () => {
  const events: ServerEvent[] = [
    { name: "head", data: '{"block":"0x01"}' },
    { name: "message", data: "é\n✓" },
  ];
  for (const end of ["\n", "\r\n", "\r"]) {
    const text = Buffer.from(
      `event: head\ndata: {"block":"0x01"}\n\n: still here\n\ndata: é\ndata: ✓\n\n`.replaceAll("\n", end),
    );
    fc.assert(
      fc.property(fc.array(fc.nat(text.length)), (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        assert.deepEqual(read(...at.slice(1).map((to, i) => text.subarray(at[i], to))), events);
      }),
    );
  }
});

test("a line or an event too long is refused, a day of comments is not", () => {
  const tooLarge = { code: "SPRINT_UPSTREAM_BEACON_EVENT" };
  assert.throws(() => read("x".repeat(MAX_EVENT_BYTES + 1)), tooLarge);
  const line = `data: ${"x".repeat(1_000)}\n`;
  assert.throws(() => read(...Array.from({ length: 70 }, () => line)), tooLarge);
  assert.deepEqual(read(...Array.from({ length: 20_000 }, () => ":keep-alive\n"), "data: x\n\n"), [
    { name: "message", data: "x" },
  ]);
});
