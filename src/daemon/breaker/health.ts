/**
 * Algorithm 5, health score, 0 to 1. The weights are success 30 %, latency 25 %, errors 20 %, resources 15 %, throughput 10 %.
 *
 *     health = success^0.30 · latency^0.25 · errors^0.20 · resources^0.15 · throughput^0.10
 *
 * a weighted geometric mean, because a plain weighted sum is exactly 0.5 in a total outage (errors come fast, so latency, resources and throughput are
 * perfect: 0.25 + 0.15 + 0.10) and never falls below. Here a factor at 0 takes the score with it, and weights keep their meaning as
 * elasticities: one per cent less success costs 0.3 per cent of health. Factors have a floor of 0.001, so a dead upstream scores about 0.03.
 *
 *     success     share of good calls among those recently completed
 *     errors      1 − S/H, how far the evidence is from opening
 *     latency     baseline / recent median, at most 1
 *     resources   usual calls in flight / calls in flight now, at most 1; the caller may give a gauge of its own
 *     throughput  completed / asked for, at most 1
 *
 * Below 0.5 the breaker opens early: at 70 % of the evidence. FREE ("basic") scores success and errors alone.
 */
export interface HealthFactors {
  readonly success: number;
  readonly latency: number;
  readonly errors: number;
  readonly resources: number;
  readonly throughput: number;
}

const HEALTH_WEIGHTS: Readonly<HealthFactors> = {
  success: 0.3,
  latency: 0.25,
  errors: 0.2,
  resources: 0.15,
  throughput: 0.1,
};

const FLOOR = 0.001;

/** Below this it opens early. */
export const UNHEALTHY = 0.5;
/** Of the evidence, where health is below `UNHEALTHY`. */
export const EARLY_SHARE = 0.7;

/** 0-1. A factor that is no number counts as 1: what is not known is not held against anybody. */
export function healthScore(factors: HealthFactors): number {
  let log = 0;
  for (const [name, weight] of Object.entries(HEALTH_WEIGHTS)) {
    const factor = factors[name as keyof HealthFactors];
    log += weight * Math.log(Number.isNaN(factor) ? 1 : Math.min(1, Math.max(FLOOR, factor)));
  }
  return Math.exp(log);
}
