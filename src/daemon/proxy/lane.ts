/** The way to one upstream: its calls under way, and its breakers, one for each class of methods. And which way a call goes. */
import type { Breaker } from "../breaker/index.ts";
import { CLASSES, type MethodClass, type MethodRow } from "./methods.ts";
import type { ProxyModules, ProxyOptions, RpcUpstream, ServedChain } from "./types.ts";

export class Lane {
  readonly upstream: RpcUpstream;
  /** Calls that somebody waits for. */
  underWay = 0;
  /** Calls that nobody waits for any more. */
  left = 0;
  readonly #chain: string;
  readonly #openBreaker: ProxyModules["openBreaker"];
  readonly #breakers = new Map<MethodClass, Breaker>();

  constructor(chain: string, upstream: RpcUpstream, modules: Pick<ProxyModules, "openBreaker">) {
    this.#chain = chain;
    this.upstream = upstream;
    this.#openBreaker = modules.openBreaker;
  }

  /** Of its own: what is slow differs by class. */
  breaker(name: MethodClass): Breaker {
    let breaker = this.#breakers.get(name);
    if (breaker === undefined) {
      const floor = CLASSES[name].slowFloorMs;
      breaker = this.#openBreaker(`upstream:${this.#chain}:${this.upstream.name}:${name}`, (tier) => ({
        slowFloorMs: Math.min(tier.slowCallMs, Math.max(tier.slowFloorMs, floor)),
      }));
      this.#breakers.set(name, breaker);
    }
    return breaker;
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
 * tip is not asked of one behind at all, and of one whose height is not known only after the others.
 */
export function choose(
  lanes: readonly Lane[],
  row: MethodRow,
  served: ServedChain,
  bounds: Pick<ProxyOptions, "perUpstream" | "leftPerUpstream">,
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
    const isUpToDate = tip === null || (height === null ? !row.fresh : !isBehind);
    const breaker = lane.breaker(row.class);
    const [state, probeAt] = [breaker.state(), breaker.probeAt()];
    const isDue = state === "half_open" || (state === "open" && (probeAt === null || probeAt <= now));
    if (isBehind && row.fresh) skips.push([lane, "behind"]);
    else if (lane.underWay >= bounds.perUpstream || lane.left >= bounds.leftPerUpstream) skips.push([lane, "busy"]);
    // Whether the force is over shows when the breaker is asked.
    else if (state === "force_open") ranked[4]?.push(lane);
    else if (state === "open" && !isDue) {
      skips.push([lane, "open"]);
      if (probeAt !== null && (earliest === null || probeAt < earliest)) earliest = probeAt;
    } else {
      if (isDue) probes.push(lane);
      ranked[(isDue ? 2 : 0) + (isUpToDate ? 0 : 1)]?.push(lane);
    }
  }
  return { ways: ranked.flat(), probes, skips, probeAt: earliest };
}
