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

test("labels that a peer invents cannot grow the registry", async () => {
  const metrics = createMetrics({ processMetrics: false });
  for (let i = 0; i < 5_000; i++) metrics.announced("bitcoin", `peer-${i}`, "headers");
  const text = await metrics.text();
  const lines = text.split("\n").filter((line) => line.startsWith("sprint_upstream_announcements_total{"));
  assert.equal(lines.length, 501);
  assert.match(text, /upstream="other",via="other"\} 4500/);
});
