/**
 * Algorithm 1, exponential backoff of the open period, with decorrelated jitter:
 *
 *     floor  = max(firstOpenMs, 3 / rate)                    at least some three callers are spared, or opening was for nothing
 *     period = uniform(max(floor, 0.7 · previous), m · 2 · previous)     the first of an outage uniform(floor, 3 · floor); m = 1.5-2 by tier
 *     period = min(period, spacing · uniform(0.7, 1.3), resetTimeoutMs)     never below floor, except where the cap is
 *
 * Reason: growth spares a dead upstream, chance keeps a thousand clients, that all saw it die in the same moment, from asking in the same 100 ms.
 * "Decorrelated" (each period is drawn from the one before, not from a counter) spreads them further with every round. `spacing` comes from
 * `recovery.ts`: growth without that bound costs more good calls after the upstream's return than its probes would have.
 * The next outage starts where the last one ended if it comes at once; each healthy minute takes half of it away.
 */
import type { Random } from "../../shared/clock.ts";
import type { BreakerPolicy } from "./policy.ts";

/** Healthy time that halves what the last outage left. */
const HALVING_MS = 60_000;
/** The first period of an outage is drawn from one to three floors. */
const FIRST_SPREAD = 3;
/** Callers that an open period spares at least. */
const SPARED_CALLS = 3;

/** Shortest sensible open period for `ratePerSecond` callers; 0 where that is not known yet. */
function floorMs(policy: BreakerPolicy, ratePerSecond: number): number {
  const spared = ratePerSecond > 0 ? (SPARED_CALLS * 1_000) / ratePerSecond : 0;
  return Math.min(policy.resetTimeoutMs, Math.max(policy.firstOpenMs, spared));
}

/** The next open period. `previousMs` is 0 for the first of an outage. */
export function nextOpenMs(
  policy: BreakerPolicy,
  previousMs: number,
  ratePerSecond: number,
  spacingMs: number,
  random: Random,
): number {
  const floor = floorMs(policy, ratePerSecond);
  const previous = Math.max(previousMs, floor);
  const most = (previousMs === 0 ? FIRST_SPREAD : 2 * policy.backoffMultiplier) * previous;
  const least = Math.max(floor, 0.7 * previous);
  const drawn = least + random() * (most - least);
  const bounded = Math.min(drawn, Math.max(floor, spacingMs) * (0.7 + 0.6 * random()));
  return Math.min(policy.resetTimeoutMs, Math.max(policy.firstOpenMs, bounded));
}

/** What is left of a backoff after `healthyMs` without an opening. */
export function decayed(backoffMs: number, healthyMs: number): number {
  return backoffMs * 2 ** (-Math.max(0, healthyMs) / HALVING_MS);
}
