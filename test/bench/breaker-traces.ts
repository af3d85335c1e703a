/** Nine ways in which an upstream goes wrong, each a function of time, seeded; all durations in virtual ms. */
import { type Random, seededRandom } from "../../src/shared/clock.ts";

export const CALL_TIMEOUT_MS = 1_000;

export interface Fault {
  readonly from: number;
  readonly to: number;
}

export interface Answer {
  readonly ok: boolean;
  readonly latencyMs: number;
  /** What the caller wanted: an answer, and not a slow one where slowness is the fault. */
  readonly good: boolean;
}

export interface Arrival {
  readonly at: number;
  /** The call's own luck, the same for each breaker that is tried. */
  readonly luck: readonly [error: number, latency: number];
}

export interface Trace {
  readonly name: string;
  readonly faults: readonly Fault[];
  readonly endMs: number;
  readonly arrivals: readonly Arrival[];
  /** A fresh upstream; `admitted` is false where it is only asked what would have been. */
  upstream(): (arrival: Arrival, now: number, admitted: boolean) => Answer;
}

export const TRACES = [
  "total outage",
  "60 % errors",
  "hang",
  "latency x10",
  "flapping",
  "0.5 s blip",
  "cold recovery",
  "30 % noise",
  "steady 1 %",
] as const;
export type TraceName = (typeof TRACES)[number];

const WARM_MS = 40_000;
const USUAL_ERRORS = 0.002;

/** `minutes` shortens the two long traces. */
export function trace(name: TraceName, ratePerSecond: number, seed: number, minutes = 30): Trace {
  const random = seededRandom(seed * 7_919 + TRACES.indexOf(name) * 104_729 + Math.round(ratePerSecond * 31));
  const around = (ms: number): number => ms * (0.75 + 0.5 * random());
  const start = WARM_MS + around(2_000);
  const one = (ms: number): Fault[] => [{ from: start, to: start + around(ms) }];
  const faults: Record<TraceName, () => Fault[]> = {
    "total outage": () => one(30_000),
    "60 % errors": () => one(30_000),
    hang: () => one(20_000),
    "latency x10": () => one(20_000),
    flapping: () => flaps(start, around),
    "0.5 s blip": () => [{ from: start, to: start + 500 }],
    "cold recovery": () => one(15_000),
    "30 % noise": () => [],
    "steady 1 %": () => [],
  };
  const spans = faults[name]();
  const last = spans.at(-1)?.to ?? start;
  const endMs =
    name === "30 % noise" ? start + minutes * 60_000 : name === "steady 1 %" ? start + minutes * 20_000 : last + 30_000;
  const arrivals = arrivalsOf(ratePerSecond, endMs, random);
  return { name, faults: spans, endMs, arrivals, upstream: () => upstreamOf(name, spans, start, ratePerSecond) };
}

function flaps(start: number, around: (ms: number) => number): Fault[] {
  const spans: Fault[] = [];
  for (let at = start, i = 0; i < 8; i++) {
    const to = at + around(3_000);
    spans.push({ from: at, to });
    at = to + around(5_000);
  }
  return spans;
}

/** Half regular, half chance, as many clients together are. */
function arrivalsOf(ratePerSecond: number, endMs: number, random: Random): Arrival[] {
  const arrivals: Arrival[] = [];
  const gap = 1_000 / ratePerSecond;
  for (let at = gap * random(); at < endMs; at += gap * (0.5 - 0.5 * Math.log(1 - random()))) {
    arrivals.push({ at, luck: [random(), gaussian(random)] });
  }
  return arrivals;
}

function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function upstreamOf(
  name: TraceName,
  faults: readonly Fault[],
  start: number,
  rate: number,
): ReturnType<Trace["upstream"]> {
  const faultAt = (now: number): boolean => faults.some(({ from, to }) => now >= from && now < to);
  const last = faults.at(-1)?.to ?? 0;
  let tokens = 2;
  let filledAt = last;
  return ({ luck: [error, shape] }, now, admitted) => {
    const usual = 20 * Math.exp(0.35 * shape);
    const refused = { ok: false, latencyMs: Math.min(15, usual / 2), good: false };
    const answer = (errors: number): Answer => (error < errors ? refused : { ok: true, latencyMs: usual, good: true });
    const faulty = faultAt(now);
    if (name === "30 % noise") return answer(now >= start ? 0.3 : USUAL_ERRORS);
    if (name === "steady 1 %") return answer(0.01);
    if (name === "cold recovery" && now >= last) {
      // Capacity comes back from a tenth to all of it within ten seconds; what is beyond it is refused.
      const share = Math.min(1.5, 0.1 + (0.9 * (now - last)) / 10_000);
      tokens = Math.min(Math.max(2, rate * 0.05), tokens + ((now - filledAt) / 1_000) * rate * share);
      filledAt = now;
      if (tokens < 1) return refused;
      if (admitted) tokens--;
      return answer(USUAL_ERRORS);
    }
    if (!faulty) return answer(USUAL_ERRORS);
    if (name === "60 % errors") return answer(0.6);
    if (name === "hang") return { ok: false, latencyMs: CALL_TIMEOUT_MS, good: false };
    if (name === "latency x10") return { ok: true, latencyMs: Math.min(CALL_TIMEOUT_MS - 1, usual * 10), good: false };
    return refused;
  };
}
