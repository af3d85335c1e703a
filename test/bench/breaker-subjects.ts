/**
 * The breakers that are compared, behind one door. Ours is asked with the virtual time; opossum and cockatiel run their own code, unchanged, while
 * Date.now and the timers of the process are those of the simulation.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { type Tier } from "../../src/shared/tier.ts";
import { seededRandom } from "../../src/shared/clock.ts";
import { policyOf, type BreakerPolicy } from "../../src/daemon/breaker/policy.ts";
import { BreakerPool } from "../../src/daemon/breaker/pool.ts";
import { FAILURE, SUCCESS } from "../../src/daemon/breaker/codes.ts";

export interface Subject {
  /** Runs `fn` or rejects. */
  call(fn: () => Promise<void>): Promise<void>;
  isOpen(): boolean;
  close(): void;
}

export interface Entrant {
  readonly name: string;
  readonly ours: boolean;
  make(clock: VirtualClock, seed: number): Subject;
}

export interface VirtualClock {
  now(): number;
}

// What the bench calls of the two libraries.
interface Opossum {
  fire(fn: () => Promise<void>): Promise<void>;
  readonly opened: boolean;
  shutdown(): void;
}
interface OpossumClass {
  new (action: (fn: () => Promise<void>) => Promise<void>, options: Record<string, unknown>): Opossum;
}
interface CockatielPolicy {
  execute(fn: () => Promise<void>): Promise<void>;
  readonly state: number;
}
export interface Cockatiel {
  circuitBreaker(policy: unknown, options: { halfOpenAfter: number; breaker: unknown }): CockatielPolicy;
  readonly handleAll: unknown;
  readonly ConsecutiveBreaker: new (threshold: number) => unknown;
  readonly SamplingBreaker: new (options: { threshold: number; duration: number; minimumRps?: number }) => unknown;
  readonly CountBreaker: new (options: { threshold: number; size: number }) => unknown;
}

export interface Peers {
  readonly opossum: OpossumClass;
  readonly cockatiel: Cockatiel;
  readonly versions: { readonly opossum: string; readonly cockatiel: string };
}

export async function loadPeers(): Promise<Peers> {
  const require = createRequire(import.meta.url);
  const opossum = require("opossum") as OpossumClass;
  const cockatiel = (await import(pathToFileURL(require.resolve("cockatiel")).href)) as Cockatiel;
  const version = (name: string): string => (require(`${name}/package.json`) as { version: string }).version;
  return { opossum, cockatiel, versions: { opossum: version("opossum"), cockatiel: version("cockatiel") } };
}

export function sprint(tier: Tier, changes: Partial<BreakerPolicy> = {}, name = `sprint ${tier}`): Entrant {
  return {
    name,
    ours: true,
    make(clock, seed) {
      const pool = new BreakerPool({ capacity: 1 }, { clock: { wall: () => clock.now() }, random: seededRandom(seed) });
      const handle = pool.open("upstream:bench", policyOf(tier, changes), clock.now());
      let open = false;
      return {
        call(fn) {
          const at = clock.now();
          const token = pool.tryAcquire(handle, at);
          open = token === -1;
          if (token < 0) return Promise.reject(new Error("rejected"));
          return fn().then(
            () => {
              pool.onResult(handle, token, SUCCESS, clock.now() - at, clock.now());
            },
            (error: unknown) => {
              pool.onResult(handle, token, FAILURE, clock.now() - at, clock.now());
              throw error;
            },
          );
        },
        isOpen: () => open || pool.stateOf(handle) === "open",
        close: () => {},
      };
    },
  };
}

/**
 * The first of each library is what it does by itself or what its documentation shows; the others are set for these traces: windows of two seconds or twenty
 * calls, a probe after one second. None of them is given a time-out: the calls have their own, of one second.
 */
export function peers({ opossum: Opossum, cockatiel }: Peers): Entrant[] {
  const opossum = (name: string, options: Record<string, unknown>): Entrant => ({
    name,
    ours: false,
    make() {
      const breaker = new Opossum((fn) => fn(), {
        timeout: false,
        rollingPercentilesEnabled: false,
        enableSnapshots: false,
        ...options,
      });
      return { call: (fn) => breaker.fire(fn), isOpen: () => breaker.opened, close: () => breaker.shutdown() };
    },
  });
  const cockatielEntrant = (name: string, halfOpenAfter: number, breaker: () => unknown): Entrant => ({
    name,
    ours: false,
    make() {
      const policy = cockatiel.circuitBreaker(cockatiel.handleAll, { halfOpenAfter, breaker: breaker() });
      return { call: (fn) => policy.execute(fn), isOpen: () => policy.state === 1, close: () => {} };
    },
  });
  return [
    opossum("opossum defaults: 50 % of 10 s, probe after 30 s", {}),
    opossum("opossum 50 % of 2 s and 5 calls, 1 s", {
      rollingCountTimeout: 2_000,
      resetTimeout: 1_000,
      volumeThreshold: 5,
    }),
    cockatielEntrant("cockatiel 5 in a row, 10 s", 10_000, () => new cockatiel.ConsecutiveBreaker(5)),
    cockatielEntrant(
      "cockatiel 50 % of 10 s, 10 s",
      10_000,
      () => new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000 }),
    ),
    cockatielEntrant(
      "cockatiel 50 % of 2 s, 1 s",
      1_000,
      () => new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 2_000, minimumRps: 2 }),
    ),
    cockatielEntrant(
      "cockatiel 50 % of 20 calls, 1 s",
      1_000,
      () => new cockatiel.CountBreaker({ threshold: 0.5, size: 20 }),
    ),
  ];
}
