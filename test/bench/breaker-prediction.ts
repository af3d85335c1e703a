/**
 * The predictor against "no model": an upstream that gets worse for three seconds before it fails, sixty times a seed, at 200 calls a second, in virtual
 * time. Precision: warnings that came true; recall: openings that were foreseen; lead: from the warning to the opening.
 */
import { FAILURE, SUCCESS } from "../../src/daemon/breaker/codes.ts";
import { BreakerPool } from "../../src/daemon/breaker/pool.ts";
import { policyOf } from "../../src/daemon/breaker/policy.ts";
import { seededRandom } from "../../src/shared/clock.ts";
import { type BenchCheck, check, median } from "./document.ts";

const OUTAGES = 60;
const EVERY_MS = 5;
const GROWS_MS = 3_000;

export interface Foresight {
  readonly who: "no model" | "with predictor";
  readonly openMs: number;
  /** Null without predictor. */
  readonly precision: number | null;
  readonly recall: number | null;
  readonly leadMs: number | null;
}

interface Tally {
  readonly delays: number[];
  readonly leads: number[];
  warnings: number;
  right: number;
  opened: number;
  foreseen: number;
}

export function foresight(seeds: readonly number[]): Foresight[] {
  return [false, true].map((predictive) => {
    const tally: Tally = { delays: [], leads: [], warnings: 0, right: 0, opened: 0, foreseen: 0 };
    for (const seed of seeds) outages(seed, predictive, tally);
    const rate = (part: number, whole: number): number | null => (predictive && whole > 0 ? part / whole : null);
    return {
      who: predictive ? "with predictor" : "no model",
      openMs: median(tally.delays),
      precision: rate(tally.right, tally.warnings),
      recall: rate(tally.foreseen, tally.opened),
      leadMs: tally.leads.length > 0 ? median(tally.leads) : null,
    };
  });
}

/** Silent below one half is what it promises; that it is worth having is that it opens sooner than without. */
export function foresightChecks([without, having]: readonly Foresight[]): BenchCheck[] {
  return [
    check("predictor: warnings that came true", having?.precision ?? Number.NaN, ">=", 0.5, ""),
    check("predictor: openings foreseen", having?.recall ?? Number.NaN, ">=", 0.5, ""),
    check("predictor: lead, median", having?.leadMs ?? Number.NaN, ">=", 100, " ms"),
    check(
      "predictor: time to open over that of no model",
      (having?.openMs ?? Number.NaN) / (without?.openMs ?? 1),
      "<=",
      1,
    ),
  ];
}

function outages(seed: number, predictive: boolean, tally: Tally): void {
  const random = seededRandom(seed);
  const opened: number[] = [];
  const pool = new BreakerPool(
    { capacity: 1 },
    {
      clock: { wall: () => 0 },
      random: seededRandom(seed + 1),
      onTransition: ({ from, at }) => from === "closed" && opened.push(at),
    },
  );
  const handle = pool.open("upstream:bench", policyOf("ENTERPRISE", { predictive }), 0);
  const ask = (now: number, errors: number): void => {
    const token = pool.tryAcquire(handle, now);
    if (token > 0) pool.onResult(handle, token, random() < errors ? FAILURE : SUCCESS, EVERY_MS, now);
  };
  const warnings = (now: number): number => pool.report(handle, now).predictor?.warnings ?? 0;
  for (let outage = 0; outage < OUTAGES; outage++) {
    const from = outage * 40_000;
    const begin = from + 30_000;
    for (let now = from; now < begin; now += EVERY_MS) ask(now, 0.005);
    const before = warnings(begin);
    const openings = opened.length;
    let warnedAt: number | null = null;
    for (let now = begin; now < begin + 5_000; now += EVERY_MS) {
      ask(now, Math.min(1, 0.005 + (now - begin) / GROWS_MS));
      if (opened.length === openings && warnedAt === null && warnings(now) > before) warnedAt = now;
    }
    const first = opened[openings];
    if (first !== undefined) tally.delays.push(first - begin);
    if (first !== undefined && warnedAt !== null) tally.leads.push(first - warnedAt);
    for (let now = begin + 5_000; now < from + 40_000; now += EVERY_MS) ask(now, 0);
  }
  const record = pool.report(handle, OUTAGES * 40_000).predictor;
  if (record === null) return;
  tally.warnings += record.warnings;
  tally.right += record.right;
  tally.opened += record.opened;
  tally.foreseen += record.foreseen;
}
