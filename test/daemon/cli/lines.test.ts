import test from "node:test";
import assert from "node:assert/strict";
import { linePrinter } from "../../../src/daemon/cli/lines.ts";
import type { StreamEvent } from "../../../src/daemon/relay/index.ts";

const EVENT: StreamEvent = {
  seq: 1,
  chain: "litecoin",
  network: "devnet",
  cursor: "c1",
  receivedAt: 1_000,
  type: "block",
  phase: "announced",
  data: {
    hash: "ab",
    height: 7,
    parent_hash: "aa",
    timestamp: "2026-01-01T00:00:00Z",
    tx_count: null,
    size_bytes: null,
    upstream: "ltc-1",
    validation: "header",
  },
};

test("an event is one JSON line, as a subscriber gets it", () => {
  const lines: string[] = [];
  linePrinter({ write: (line) => lines.push(line) }, () => 1_000.4204).print(EVENT);
  assert.equal(lines.length, 1);
  assert.ok(lines[0]?.endsWith("}\n"));
  const { seq: _, receivedAt: __, ...told } = EVENT;
  assert.deepEqual(JSON.parse(lines[0] ?? ""), { ...told, data: { ...EVENT.data, relay_time_ms: 0.42 } });
});

test("a reader that stops reading costs bounded memory and is told what it missed", () => {
  const lines: string[] = [];
  const out = { write: (line: string) => lines.push(line), writableLength: 0 };
  const printer = linePrinter(out, () => 1_000);
  out.writableLength = 5 * 1024 * 1024;
  for (let i = 0; i < 1_000; i++) printer.print(EVENT);
  assert.deepEqual(lines, []);
  out.writableLength = 0;
  printer.print(EVENT);
  assert.deepEqual(JSON.parse(lines[0] ?? ""), { type: "skipped", count: 1_000, reason: "not read in time" });
  assert.equal(JSON.parse(lines[1] ?? "").type, "block");
});
