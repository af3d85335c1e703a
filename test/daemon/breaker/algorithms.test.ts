import { strict as assert } from "node:assert";
import { test } from "node:test";
import { seededRandom } from "../../../src/shared/clock.ts";
import { TIERS } from "../../../src/shared/tier.ts";
import { decayed, nextOpenMs } from "../../../src/daemon/breaker/backoff.ts";
import { AdaptiveThreshold, callsPerFalseOpen, evidenceRule, wilson } from "../../../src/daemon/breaker/evidence.ts";
import { healthScore } from "../../../src/daemon/breaker/health.ts";
import { BINS, binOf, midOf, quantileOf } from "../../../src/daemon/breaker/histogram.ts";
import { LatencyBaseline, consensus, slowFromMs, slowInARow } from "../../../src/daemon/breaker/latency.ts";
import { Outages } from "../../../src/daemon/breaker/outages.ts";
import { policyOf } from "../../../src/daemon/breaker/policy.ts";
import { FEATURES, FailurePredictor } from "../../../src/daemon/breaker/predictor.ts";
import { probeSpacingMs, recoveryProbability } from "../../../src/daemon/breaker/recovery.ts";
import { SlidingWindow } from "../../../src/daemon/breaker/window.ts";

test("backoff grows, stays under the tier's cap and never below the first period", () => {
  for (const tier of TIERS) {
    const policy = policyOf(tier);
    const random = seededRandom(5);
    let period = 0;
    for (let round = 0; round < 200; round++) {
      period = nextOpenMs(policy, period, 0, Number.POSITIVE_INFINITY, random);
      assert.ok(period >= policy.firstOpenMs && period <= policy.resetTimeoutMs);
    }
    assert.ok(period > policy.resetTimeoutMs / 4, `${tier} ends near its cap: ${period}`);
  }
  assert.equal(decayed(8_000, 60_000), 4_000);
});

test("a thousand clients that opened together do not probe together", () => {
  const policy = policyOf("ENTERPRISE");
  const random = seededRandom(9);
  const probes = Array.from({ length: 1_000 }, () => {
    const first = nextOpenMs(policy, 0, 100, probeSpacingMs(150, 100, 20_000, 1), random);
    const second = first + nextOpenMs(policy, first, 100, probeSpacingMs(first, 100, 20_000, 1), random);
    return {
      first,
      third: second + nextOpenMs(policy, second - first, 100, probeSpacingMs(second, 100, 20_000, 1), random),
    };
  });
  const crowd = (times: number[]): number =>
    Math.max(...times.map((at) => times.filter((other) => other >= at && other < at + 100).length));
  assert.ok(crowd(probes.map(({ first }) => first)) < 600);
  assert.ok(crowd(probes.map(({ third }) => third)) < 350);
});

test("evidence bears what its tier promises", () => {
  const rates = TIERS.map((tier) => evidenceRule(policyOf(tier)).toleratedRate);
  assert.deepEqual(
    rates.map((rate) => Number(rate.toFixed(3))),
    [0.006, 0.151, 0.301],
  );
  for (const tier of TIERS) {
    const { threshold, relief, toleratedRate } = evidenceRule(policyOf(tier));
    assert.ok(callsPerFalseOpen(toleratedRate, threshold, relief) > 1e6);
    assert.ok(callsPerFalseOpen(0.6, threshold, relief) < 100);
  }
});

test("the false-open figure is what a simulation finds", () => {
  const random = seededRandom(4);
  const [rate, threshold, relief] = [0.3, 8, 0.81];
  let [opens, sum] = [0, 0];
  const calls = 2_000_000;
  for (let n = 0; n < calls; n++) {
    sum = random() < rate ? sum + 1 : Math.max(0, sum - relief);
    if (sum < threshold) continue;
    opens++;
    sum = 0;
  }
  const ratio = calls / opens / callsPerFalseOpen(rate, threshold, relief);
  assert.ok(ratio > 0.6 && ratio < 1.7, `simulated over formula: ${ratio}`);
});

test("the threshold follows what is normal, and an incident is not normal", () => {
  const adaptive = new AdaptiveThreshold();
  for (let n = 0; n < 100; n++) adaptive.add(0, 16, true, 0.3, 100);
  assert.equal(adaptive.scale, 0.6);
  for (let n = 0; n < 9; n++) adaptive.add(16, 16, false, 0.3, 100);
  assert.equal(adaptive.scale, 0.6, "144 bad calls that came near to an opening");
  adaptive.add(7, 24, true, 0.3, 100);
  assert.ok(adaptive.scale > 1, `two dozen calls teach what is normal: ${adaptive.scale}`);
  for (let n = 0; n < 40; n++) adaptive.add(5, 16, true, 0.3, 100);
  assert.equal(adaptive.scale, 2);
  for (let n = 0; n < 100; n++) adaptive.add(0, 16, true, 0.3, 5);
  assert.ok(adaptive.scale < 0.501);
});

test("who has just failed is suspected, for a while, and not by chance", () => {
  const outages = new Outages();
  assert.equal(outages.relapseShare(0, true), 1);
  outages.began(true);
  outages.ended(3_000, 10_000);
  assert.equal(outages.relapseShare(10_000, true).toFixed(6), "0.150000");
  assert.equal(outages.relapseShare(10_000, false), 0.5);
  assert.equal(outages.relapseShare(70_000, false), 0.75);
  assert.ok(outages.usualMs > 7_000 && outages.usualMs < 8_000);
  outages.began(false);
  outages.ended(1_000, 71_000);
  assert.ok(outages.relapseShare(70_000, false) > 0.85, "an opening that was chance");
  outages.began(false);
  outages.confirmed();
  outages.ended(1_000, 80_000);
  assert.equal(outages.relapseShare(80_000, false), 0.5, "one whose probe failed");
});

test("as many slow calls in a row as chance does not bring together", () => {
  const policy = policyOf("ENTERPRISE");
  assert.deepEqual(
    [0, 0.03, 0.1, 0.3, 1].map((rate) => slowInARow(policy, rate)),
    [4, 4, 6, 12, 20],
  );
  assert.equal(slowInARow(policyOf("FREE"), 0.5), 4);
});

test("Wilson's interval holds at the ends", () => {
  assert.deepEqual(wilson(0, 0), { low: 0, high: 1 });
  assert.ok(wilson(0, 10).high > 0.25 && wilson(0, 10).low === 0);
  const { low, high } = wilson(50, 100);
  assert.ok(Math.abs(low - 0.404) < 0.001 && Math.abs(high - 0.596) < 0.001);
});

test("the histogram is true to 6 % and merges", () => {
  for (let ms = 0.5; ms < 60_000; ms *= 1.01) assert.ok(Math.abs(midOf(binOf(ms)) / ms - 1) < 0.0667, `${ms}`);
  for (const odd of [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) assert.ok(binOf(odd) >= 0 && binOf(odd) < BINS);
  const counts = new Uint32Array(BINS);
  for (let ms = 1; ms <= 1_000; ms++) (counts[binOf(ms)] as number)++;
  assert.ok(Math.abs(quantileOf(counts, 0.99) / 990 - 1) < 0.07);
  assert.ok(Number.isNaN(quantileOf(new Uint32Array(BINS), 0.5)));
});

test("the window forgets after five minutes, also when nobody looked", () => {
  const counts = (completed: number, failures = 0) => ({ completed, failures, slow: 0, rejected: 0 });
  const window = new SlidingWindow(0, counts(0));
  let ended = 0;
  (window.current[binOf(20)] as number) += 10;
  window.advance(1_000, counts(10, 5), () => ended++);
  assert.equal(window.stats().failureRate, 0.5);
  window.advance(299_000, counts(20, 5), () => ended++);
  assert.equal(window.stats().requests, 20);
  assert.equal(window.stats().latencyMs.p50, midOf(binOf(20)));
  window.advance(302_000, counts(20, 5), () => ended++);
  assert.equal(window.stats().requests, 10);
  window.advance(9e9, counts(21, 5), () => ended++);
  assert.deepEqual([window.stats().requests, window.stats().latencyMs.p50], [1, null]);
  assert.equal(ended, 3);
});

test("a drift cannot pull the baseline up, and 70 % of eight is six", () => {
  const baseline = new LatencyBaseline();
  const slot = (ms: number): Uint32Array => {
    const counts = new Uint32Array(BINS);
    counts[binOf(ms)] = 50;
    return counts;
  };
  baseline.close(slot(20));
  for (let n = 0; n < 15; n++) baseline.close(slot(20 * 1.2 ** n));
  assert.ok(Math.abs((baseline.value() ?? 0) / 20 - 1) < 0.07);
  const policy = policyOf("ENTERPRISE");
  assert.equal(slowFromMs(policy, null), 2_000);
  assert.equal(slowFromMs(policy, 0.1), 10);
  assert.equal(slowFromMs(policy, 20), 80);
  assert.equal(slowFromMs(policy, 900), 2_000);
  assert.equal(consensus(0b00111111), true);
  assert.equal(consensus(0b00011111), false);
});

test("health is near 0 in an outage in which all the rest is perfect", () => {
  const perfect = { success: 1, latency: 1, errors: 1, resources: 1, throughput: 1 };
  assert.equal(healthScore(perfect), 1);
  assert.ok(healthScore({ ...perfect, success: 0, errors: 0 }) < 0.05);
  assert.ok(healthScore({ ...perfect, success: 0.99 }) > 0.99);
  assert.equal(healthScore({ ...perfect, latency: Number.NaN }), 1);
});

test("recovery becomes likely however many failures there were, and probes space out with age and rarity", () => {
  const at = (sinceMs: number): number => recoveryProbability({ sinceMs, failures: 1_000, health: 0, periodMs: 1_000 });
  assert.ok(at(0) < 0.01 && at(500) < 0.5 && at(3_000) > 0.7);
  for (let failures = 0; failures <= 100; failures++) {
    const atTheEnd = recoveryProbability({ sinceMs: 700, failures, health: 0, periodMs: 700 });
    assert.ok(atTheEnd > 0.62, `every probe is tried at one half or more: ${atTheEnd}`);
  }
  const spacing = (outageMs: number, rate: number, usualMs = 20_000, badShare = 1): number =>
    probeSpacingMs(outageMs, rate, usualMs, badShare);
  assert.ok(spacing(60_000, 100) > spacing(10_000, 100));
  assert.ok(spacing(10_000, 3) > spacing(10_000, 100));
  assert.ok(spacing(1_000, 3, 3_000) < spacing(1_000, 3), "where outages are brief");
  assert.ok(spacing(10_000, 3, 20_000, 0.6) < spacing(10_000, 3) / 2, "where some get their answer");
  assert.equal(spacing(1, 0), Number.POSITIVE_INFINITY);
});

test("the predictor learns a precursor, and falls silent when it stops being one", () => {
  const predictor = new FailurePredictor();
  const look = (symptom: number): void => void predictor.look(new Float32Array(FEATURES).fill(0).fill(symptom, 0, 2));
  for (let outage = 0; outage < 40; outage++) {
    for (let n = 0; n < 100; n++) look(0);
    for (let n = 0; n < 10; n++) look(1);
    predictor.opened();
  }
  const { warnings, right, opened } = predictor.record();
  assert.equal(opened, 40);
  assert.ok(right > 20 && right / warnings > 0.8, `${right} of ${warnings}`);
  for (let n = 0; n < 100; n++) look(0);
  for (let n = 0; n < 3; n++) look(1);
  assert.equal(predictor.warning, true);
  for (let alarm = 0; alarm < 12; alarm++) {
    for (let n = 0; n < 4; n++) look(1);
    for (let n = 0; n < 60; n++) look(0);
  }
  for (let n = 0; n < 3; n++) look(1);
  assert.equal(predictor.warning, false);
});
