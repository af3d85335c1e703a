/** The way to one upstream: its calls under way, and its breakers, one for each class of methods. And which way a call goes. */
import { type BreakerCondition, type BreakerPolicy, type BreakerPool, checkPolicy } from "../breaker/index.ts";
import { CLASSES, type MethodClass, type MethodRow } from "./methods.ts";
import type { RpcUpstream, ServedChain } from "./types.ts";

export interface LaneModules {
  readonly pool: BreakerPool;
  readonly policies: Readonly<Record<MethodClass, BreakerPolicy>>;
}

/** What is slow differs by class; the rest is the policy's. */
export function policiesFrom(policy: BreakerPolicy): LaneModules["policies"] {
  const of = (name: MethodClass): BreakerPolicy => {
    const slowFloorMs = Math.min(policy.slowCallMs, Math.max(policy.slowFloorMs, CLASSES[name].slowFloorMs));
    return checkPolicy({ ...policy, slowFloorMs });
  };
  return { tip: of("tip"), lookup: of("lookup"), bulk: of("bulk"), send: of("send") };
}

export class Lane {
  readonly upstream: RpcUpstream;
  underWay = 0;
  readonly #keys: Readonly<Record<MethodClass, string>>;
  readonly #modules: LaneModules;

  constructor(chain: string, upstream: RpcUpstream, modules: LaneModules) {
    const key = (name: MethodClass): string => `upstream:${chain}:${upstream.name}:${name}`;
    this.upstream = upstream;
    this.#keys = { tip: key("tip"), lookup: key("lookup"), bulk: key("bulk"), send: key("send") };
    this.#modules = modules;
  }

  /** Of the breaker of `name`; made anew where it was evicted, as one that is not used for an hour may be. */
  handle(name: MethodClass, now: number): number {
    return this.#modules.pool.open(this.#keys[name], this.#modules.policies[name], now);
  }

  /** A token, or a REJECT code. */
  admit(name: MethodClass, now: number): number {
    return this.#modules.pool.tryAcquire(this.handle(name, now), now);
  }

  state(name: MethodClass, now: number): { readonly state: BreakerCondition; readonly probeAt: number | null } {
    const handle = this.handle(name, now);
    return { state: this.#modules.pool.stateOf(handle), probeAt: this.#modules.pool.probeAt(handle) };
  }
}

/** Why an upstream was not asked. */
export type Skip = "behind" | "busy" | "open";

export interface Choice {
  /** The best first; their breakers are not asked yet. */
  readonly ways: readonly Lane[];
  /** Those of `ways` that are not closed and whose time for a probe has come. */
  readonly probes: readonly Lane[];
  readonly skips: readonly (readonly [lane: Lane, why: Skip])[];
  /** The earliest time at which one that is open lets a probe through; monotonic ms. */
  readonly probeAt: number | null;
}

/**
 * In the order of `lanes`: first closed breakers, then those that want a probe; each up to date before those that are behind. What is asked of a node's
 * tip is not asked of one behind at all. One whose height is not known counts as up to date: its answers show.
 */
export function choose(
  lanes: readonly Lane[],
  row: MethodRow,
  served: ServedChain,
  perUpstream: number,
  now: number,
): Choice {
  const tip = served.tip();
  const ranked: Lane[][] = [[], [], [], [], []];
  const probes: Lane[] = [];
  const skips: [Lane, Skip][] = [];
  let earliest: number | null = null;
  for (const lane of lanes) {
    const height = lane.upstream.heightNow();
    const isBehind = tip !== null && height !== null && height < tip.height;
    const { state, probeAt } = lane.state(row.class, now);
    const isDue = state === "half_open" || (state === "open" && (probeAt === null || probeAt <= now));
    if (isBehind && row.fresh) skips.push([lane, "behind"]);
    else if (lane.underWay >= perUpstream) skips.push([lane, "busy"]);
    // Whether the force is over shows when the breaker is asked.
    else if (state === "force_open") ranked[4]?.push(lane);
    else if (state === "open" && !isDue) {
      skips.push([lane, "open"]);
      if (probeAt !== null && (earliest === null || probeAt < earliest)) earliest = probeAt;
    } else {
      if (isDue) probes.push(lane);
      ranked[(isDue ? 2 : 0) + (isBehind ? 1 : 0)]?.push(lane);
    }
  }
  return { ways: ranked.flat(), probes, skips, probeAt: earliest };
}
