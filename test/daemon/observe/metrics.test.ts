import test from "node:test";
import assert from "node:assert/strict";
import { createMetrics } from "../../../src/daemon/observe/index.ts";

test("what is fed is what a scrape shows, in seconds and totals", async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.blockRelayed("litecoin", "announced");
  metrics.blockRelayed("litecoin", "announced");
  metrics.relayLatency("litecoin", 0.4);
  metrics.reorg("litecoin", 5);
  metrics.refused("litecoin", "SPRINT_HEADER_BAD_WORK");
  metrics.delivered(100);
  metrics.onScrape(() => metrics.subscribers("ENTERPRISE", 3));
  const text = await metrics.text();
  assert.match(text, /^sprint_relay_blocks_total\{chain="litecoin",phase="announced"\} 2$/m);
  assert.match(text, /^sprint_relay_latency_seconds_bucket\{le="0.00025",chain="litecoin"\} 0$/m);
  assert.match(text, /^sprint_relay_latency_seconds_bucket\{le="0.0005",chain="litecoin"\} 1$/m);
  assert.match(text, /^sprint_relay_reverted_blocks_total\{chain="litecoin"\} 5$/m);
  assert.match(text, /^sprint_upstream_refused_total\{chain="litecoin",code="SPRINT_HEADER_BAD_WORK"\} 1$/m);
  assert.match(text, /^sprint_server_deliveries_total 100$/m);
  assert.match(text, /^sprint_server_subscribers\{tier="ENTERPRISE"\} 3$/m);
});

test("an upstream is in one state at a time", async () => {
  const metrics = createMetrics({ processMetrics: false });
  for (const state of ["connecting", "up", "down", "up"]) metrics.upstreamState("bitcoin", "btc-1", state);
  const text = await metrics.text();
  const ones = text.split("\n").filter((line) => line.startsWith("sprint_upstream_state{") && line.endsWith(" 1"));
  assert.deepEqual(ones, ['sprint_upstream_state{chain="bitcoin",upstream="btc-1",state="up"} 1']);
});

test("one that is gone is in no state", async () => {
  const metrics = createMetrics({ processMetrics: false });
  for (const name of ["ltc-1", "ltc-2"]) {
    for (const state of ["connecting", "up"]) metrics.upstreamState("litecoin", name, state);
  }
  metrics.upstreamGone("ltc-1");
  const text = await metrics.text();
  assert.doesNotMatch(text, /ltc-1/);
  assert.match(text, /upstream="ltc-2",state="up"\} 1$/m);
});

test("labels that a peer invents cannot grow the registry", async () => {
  const metrics = createMetrics({ processMetrics: false });
  for (let i = 0; i < 5_000; i++) metrics.announced("bitcoin", `peer-${i}`, "headers");
  const text = await metrics.text();
  const lines = text.split("\n").filter((line) => line.startsWith("sprint_upstream_announcements_total{"));
  assert.equal(lines.length, 501);
  assert.match(text, /upstream="other",via="other"\} 4500/);
});

test("a breaker's totals are counters, its series leave with it", async () => {
  const metrics = createMetrics({ processMetrics: false });
  const name = "upstream:litecoin:ltc-1";
  const figures = {
    name,
    state: "closed",
    health: 1,
    failureThreshold: 12.5,
    failureRate: null,
    counts: { success: 0xffff_fffe, failure: 3, ignored: 0, rejected: 0 },
    latencyMs: { p50: 20, p95: null, p99: null },
  };
  metrics.breaker(figures);
  metrics.breaker({ ...figures, state: "open", counts: { ...figures.counts, success: 2, rejected: 7 } });
  metrics.breakerTransition(name, "open");
  metrics.breaker({ ...figures, name: "store" });
  const text = await metrics.text();
  const line = (metric: string, labels: string, value: string | number): void =>
    assert.ok(text.includes(`${metric}{breaker="${name}"${labels}} ${value}\n`), `${metric} ${labels} in ${text}`);
  line("sprint_breaker_state", ',state="closed"', 0);
  line("sprint_breaker_state", ',state="open"', 1);
  line("sprint_breaker_calls_total", ',outcome="success"', 0xffff_fffe + 4);
  line("sprint_breaker_calls_total", ',outcome="rejected"', 7);
  line("sprint_breaker_latency_seconds", ',quantile="0.5"', 0.02);
  line("sprint_breaker_failure_threshold_calls", "", 12.5);
  metrics.breakerGone(name);
  const after = await metrics.text();
  assert.ok(!after.includes(name));
  assert.match(after, /sprint_breaker_state\{breaker="store",state="closed"\} 1/);
});
