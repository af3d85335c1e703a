/** What operators did survives the process that they did it to. */
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Audit, openAudit } from "../../src/daemon/audit.ts";
import type { AuditEntryBody } from "../../src/shared/api.ts";

function entry(n: number): AuditEntryBody {
  const at = new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
  return { at, actor: "cookie", role: "admin", action: "breaker.reset", target: `b-${n}`, params: {}, outcome: "done" };
}

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "sprint-audit-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const targets = (audit: Audit, count: number): (string | null)[] => audit.last(count).map(({ target }) => target);
const quiet = { onEntry: () => {}, onFault: (error: unknown) => assert.fail(String(error)) };

test("entries are told, kept newest first, and read again after a restart, a line cut short passed over", (t) => {
  const path = directory(t);
  const told: AuditEntryBody[] = [];
  const audit = openAudit({ directory: path }, { ...quiet, onEntry: (each) => void told.push(each) });
  for (const n of [1, 2, 3]) audit.add(entry(n));
  assert.deepEqual(targets(audit, 2), ["b-3", "b-2"]);
  assert.equal(told.length, 3);
  assert.equal(statSync(join(path, "audit.jsonl")).mode & 0o777, 0o600);

  appendFileSync(join(path, "audit.jsonl"), '{"at":"2026-01-01T00:00:04Z","actor":"coo');
  openAudit({ directory: path }, quiet).add(entry(4));
  assert.deepEqual(targets(openAudit({ directory: path }, quiet), 10), ["b-4", "b-3", "b-2", "b-1"]);
});

test("a full file makes room for a new one, one is kept beside it", (t) => {
  const path = directory(t);
  const audit = openAudit({ directory: path, maxFileBytes: 500 }, quiet);
  for (let n = 0; n < 20; n++) audit.add(entry(n));
  assert.deepEqual(targets(audit, 20).length, 20);
  const lines = (name: string): string[] => readFileSync(join(path, name), "utf8").trimEnd().split("\n");
  const kept = [...lines("audit.jsonl.1"), ...lines("audit.jsonl")].map((line) => JSON.parse(line) as AuditEntryBody);
  assert.equal(kept.at(-1)?.target, "b-19");
  assert.ok(kept.length < 20 && statSync(join(path, "audit.jsonl.1")).size < 1_000);
});

test("a disk that takes nothing is told of; the entry is there all the same", (t) => {
  const faults: unknown[] = [];
  const audit = openAudit(
    { directory: join(directory(t), "missing") },
    { ...quiet, onFault: (error) => void faults.push(error) },
  );
  audit.add(entry(1));
  assert.equal(faults.length, 1);
  assert.deepEqual(targets(audit, 5), ["b-1"]);
});
