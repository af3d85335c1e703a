import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { mean, median, quantile, Rate, ratio } from "../../../src/daemon/stats/figures.ts";

test("means, medians and quantiles", () => {
  assert.deepEqual([mean([]), median([]), quantile([], 0.5)], [null, null, null]);
  assert.deepEqual([mean([1, 2, 6]), median([6, 1, 2]), median([4, 1, 3, 2])], [3, 2, 2.5]);
  assert.deepEqual(
    [0, 0.1, 0.5, 0.51, 1].map((share) => quantile([1, 2, 3, 4], share)),
    [1, 1, 2, 3, 4],
  );
  assert.equal(ratio(15_000_000_000_000_001n, 30_000_000_000_000_002n), 0.5);
  assert.deepEqual([ratio(1n, 0n), ratio(-1n, 8n)], [0, -0.125]);
});

test("a rate is what was counted in the last sixty whole seconds", () => {
  const event = fc.record({ pauseMs: fc.oneof(fc.nat(900), fc.nat(100_000)), count: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      const rate = new Rate();
      const counted: { readonly second: number; readonly count: number }[] = [];
      let nowMs = 1_700_000_000_123;
      rate.advance(nowMs / 1_000);
      for (const { pauseMs, count } of events) {
        nowMs += pauseMs;
        const second = Math.floor(nowMs / 1_000);
        rate.advance(nowMs / 1_000);
        rate.add(count);
        counted.push({ second, count });
        const first = counted[0]?.second ?? second;
        const seconds = Math.min(60, second - first);
        const within = counted.filter((each) => each.second < second && each.second >= second - 60);
        const total = within.reduce((sum, each) => sum + each.count, 0);
        assert.equal(rate.perSecond(), seconds === 0 ? null : total / seconds);
      }
    }),
  );
});
