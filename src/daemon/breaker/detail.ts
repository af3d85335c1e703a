/** What a breaker with traffic knows beyond its row. Made with the first result, dropped with the breaker. */
import { AdaptiveThreshold } from "./evidence.ts";
import { type HealthFactors, healthScore } from "./health.ts";
import { LatencyBaseline } from "./latency.ts";
import { Outages } from "./outages.ts";
import { FEATURES, FailurePredictor } from "./predictor.ts";
import { type Counts, SlidingWindow, since } from "./window.ts";
import { quantileOf } from "./histogram.ts";

/** How much of the past the recent rates hold, per tick of 100 ms at least. */
const RECENT_MS = 1_000;
/** Of the evidence: what came so near to an opening may have been one, and is not taken for normal at once. */
const NEAR_INCIDENT = 0.5;
const USUAL_MS = 60_000;

const NOTHING: Counts = { completed: 0, failures: 0, slow: 0, rejected: 0 };

interface Look {
  readonly now: number;
  readonly elapsedMs: number;
  readonly counts: Counts;
  readonly asked: number;
  readonly inFlight: number;
  /** Evidence over threshold. */
  readonly evidenceShare: number;
  readonly toleratedRate: number;
  /** All five factors, or success and errors alone. */
  readonly allFactors: boolean;
}

export class Detail {
  readonly window: SlidingWindow;
  /** Where the call path counts latencies. */
  declare latencies: Uint32Array;
  /** What the call path asks of each success: below this many ms, while closed, there is nothing to judge; from this time on the window is looked at. */
  quickBelowMs = Number.NEGATIVE_INFINITY;
  lookAt = Number.NEGATIVE_INFINITY;
  readonly adaptive = new AdaptiveThreshold();
  predictor: FailurePredictor | null = null;
  baseline = new LatencyBaseline();
  lastError: string | null = null;
  readonly outages = new Outages();
  health = 1;
  /** The last look that found somebody had asked. */
  usedAt: number;
  #seen: Look | null = null;
  #askedSeen = 0;
  #rate = 0;
  #age = 0;
  #good = 1;
  #slow = 0;
  #throughput = 1;
  #usualInFlight = 0;
  #pendingBad = 0;
  #pending = 0;
  #peak = 0;
  #before = 0;
  #inFlightBefore = 0;
  readonly #features = new Float32Array(FEATURES);

  constructor(now: number, predictive: boolean) {
    this.usedAt = now;
    this.window = new SlidingWindow(now, NOTHING);
    this.latencies = this.window.current;
    this.predicts(predictive);
  }

  /** What a predictor has learnt stays while it is on. */
  predicts(on: boolean): void {
    this.predictor = on ? (this.predictor ?? new FailurePredictor()) : null;
  }

  /**
   * What every tick updates, in the order in which one needs the other. `judging` is false while nothing may be learnt: open or
   * forced; `settled` is true once it has been closed for a while: what is left of the last outage looks like the begin of the next.
   */
  look(look: Look, judging: boolean, settled: boolean): void {
    const before = this.#seen ?? { ...look, counts: NOTHING, asked: 0 };
    this.#seen = look;
    this.window.advance(look.now, look.counts, (slot) => this.baseline.close(slot));
    this.latencies = this.window.current;
    this.baseline.look(this.window.current);
    const completed = since(look.counts.completed, before.counts.completed);
    const failures = since(look.counts.failures, before.counts.failures);
    const slow = since(look.counts.slow, before.counts.slow);
    this.#learn(look, judging, failures + slow, completed);
    this.#blend(look, since(look.asked, before.asked), { completed, failures, slow });
    this.health = healthScore(this.#factors(look));
    if (settled && this.predictor !== null) this.predictor.look(this.#featuresOf(look));
  }

  /** Callers a second, of the last seconds; `asked` is cumulative. A young breaker weighs all its life alike. */
  rate(asked: number, now: number, elapsedMs: number, memoryMs: number): number {
    const more = since(asked, this.#askedSeen);
    if (more > 0) this.usedAt = now;
    this.#askedSeen = asked;
    if (elapsedMs <= 0) return this.#rate;
    this.#age += elapsedMs;
    const share = Math.max(1 - Math.exp(-elapsedMs / memoryMs), elapsedMs / this.#age);
    this.#rate += share * ((1_000 * more) / elapsedMs - this.#rate);
    return this.#rate;
  }

  /** What is normal is learnt once the evidence is gone; what ends in an opening was not. */
  #learn(look: Look, judging: boolean, bad: number, completed: number): void {
    this.#pendingBad = judging ? this.#pendingBad + bad : 0;
    this.#pending = judging ? this.#pending + completed : 0;
    this.#peak = judging ? Math.max(this.#peak, look.evidenceShare) : 0;
    if (this.#pending === 0 || look.evidenceShare > 0) return;
    const usual = this.#peak < NEAR_INCIDENT;
    this.adaptive.add(this.#pendingBad, this.#pending, usual, look.toleratedRate, this.#rate);
    this.#pendingBad = 0;
    this.#pending = 0;
    this.#peak = 0;
  }

  #blend(look: Look, asked: number, { completed, failures, slow }: Omit<Counts, "rejected">): void {
    const share = 1 - Math.exp(-look.elapsedMs / RECENT_MS);
    if (completed > 0) {
      this.#good += share * ((completed - failures) / completed - this.#good);
      this.#slow += share * (slow / completed - this.#slow);
    }
    if (asked > 0) this.#throughput += share * (Math.min(1, completed / asked) - this.#throughput);
    this.#usualInFlight += (1 - Math.exp(-look.elapsedMs / USUAL_MS)) * (look.inFlight - this.#usualInFlight);
  }

  #factors(look: Look): HealthFactors {
    const errors = 1 - look.evidenceShare;
    if (!look.allFactors) return { success: this.#good, errors, latency: 1, resources: 1, throughput: 1 };
    const baseline = this.baseline.value();
    const median = quantileOf(this.window.current, 0.5);
    return {
      success: this.#good,
      errors,
      latency: Math.min(1 - this.#slow, baseline === null || Number.isNaN(median) ? 1 : baseline / median),
      resources: (this.#usualInFlight + 2) / (look.inFlight + 2),
      throughput: this.#throughput,
    };
  }

  #featuresOf(look: Look): Float32Array {
    const failing = 1 - this.#good;
    const load = Math.min(4, (look.inFlight + 2) / (this.#usualInFlight + 2)) / 4;
    const baseline = this.baseline.value();
    const median = quantileOf(this.window.current, 0.5);
    const stretch = baseline === null || Number.isNaN(median) ? 0 : Math.min(4, median / baseline) / 4;
    const features = [
      failing,
      this.#slow,
      load,
      stretch,
      look.evidenceShare,
      failing - this.#before,
      load - this.#inFlightBefore,
    ];
    this.#features.set(features);
    this.#before = failing;
    this.#inFlightBefore = load;
    return this.#features;
  }
}
