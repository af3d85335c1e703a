/**
 * Every breaker of the daemon: one pool, the policy of its tier, what operators changed, and what happened to each. Upstreams open theirs
 * here, and so will caches, stores and webhooks.
 *
 * A policy is the tier's, then what the breaker's owner needs (`own`), then what an operator set; a reload changes the first and keeps the rest. What
 * operators ordered is kept over a restart.
 */
import type { ChangeBody } from "../shared/api.ts";
import type { Clock, Random } from "../shared/clock.ts";
import { SprintError, isSprintError } from "../shared/errors.ts";
import type { Tier } from "../shared/tier.ts";
import {
  type Breaker,
  BreakerPool,
  type BreakerPolicy,
  type BreakerTransition,
  breakerOf,
  checkPolicy,
} from "./breaker/index.ts";
import { type Held, NO_ORDER, type Orders } from "./orders.ts";
import type { BreakerView, ServerModules } from "./server/index.ts";

export interface BreakersOptions {
  /** Whose policy counts: that of the highest tier that is served. */
  readonly tier: Tier;
  readonly policy: BreakerPolicy;
}

export interface BreakersModules {
  readonly clock: Clock;
  readonly random: Random;
  /** In the turn after the transition: who hears it may call the breaker again. */
  readonly onTransition: (transition: BreakerTransition) => void;
  /** In the turn after, and after its last transition. */
  readonly onEvict: (name: string) => void;
  readonly orders: Orders;
  /** What was ordered for it before the restart cannot be carried out any more. */
  readonly onOrderLost: (name: string, error: unknown) => void;
}

export interface Breakers extends Pick<
  ServerModules,
  "breakers" | "breaker" | "breakerHistory" | "force" | "resetBreaker" | "configureBreaker"
> {
  readonly pool: BreakerPool;
  /** What `own` says over the tier's policy. The same name gives the same breaker. */
  open(name: string, owner?: Partial<Owner>): Breaker;
  /** Its owner is gone: it is forgotten with all that is named below it (`NAME:…`), as soon as none of its calls is out. */
  release(name: string): void;
  /** The same where what it guards goes on under another owner, or after a restart: what was ordered for it holds there. */
  retire(name: string): void;
  /** Gives each breaker the new policy of the tier. Whole or not at all: throws SPRINT_BREAKER_OPTIONS where an operator's change contradicts it. */
  retune(policy: BreakerPolicy): void;
  /** What time alone changes and nobody asked for: forces that are over, calls that became overdue. */
  evaluate(): void;
  /** Thresholds that adaptation moved by a tenth or more since this was last asked. */
  adapted(): readonly { readonly name: string; readonly from: number; readonly to: number }[];
  /** Gives up lost calls, evicts what nobody owns or uses. */
  tidy(): { readonly evicted: number; readonly abandoned: number };
}

/** What the owner of a breaker needs otherwise than the tier's policy has it. */
export type OwnPolicy = (tier: BreakerPolicy) => Partial<BreakerPolicy>;

export interface Owner {
  readonly own: OwnPolicy;
  /** What an operator's orders are kept under, where the name is another one after a restart. */
  readonly lasting: string;
}

/** Transitions that are remembered, of each breaker. */
const HISTORY = 256;

export function createBreakers(options: BreakersOptions, modules: BreakersModules): Breakers {
  const { clock, random, orders } = modules;
  const { tier } = options;
  let tierPolicy = options.policy;
  /** By name, of those that have an owner. */
  const owned = new Map<string, Owner>();
  const set = new Map<string, Partial<BreakerPolicy>>();
  const history = new Map<string, BreakerTransition[]>();
  /** As `adapted` last told them. */
  const thresholds = new Map<string, number>();

  const pool = new BreakerPool(
    {},
    {
      clock,
      random,
      onTransition(transition) {
        const past = history.get(transition.breaker) ?? [];
        history.set(transition.breaker, past);
        past.push(transition);
        if (past.length > HISTORY) past.shift();
        queueMicrotask(() => modules.onTransition(transition));
      },
      onEvict(name) {
        history.delete(name);
        set.delete(name);
        thresholds.delete(name);
        // After the transitions that led here, or they would count one that is gone.
        queueMicrotask(() => modules.onEvict(name));
      },
    },
  );

  const policyFor = (name: string, settings = set.get(name)): BreakerPolicy =>
    checkPolicy({ ...tierPolicy, ...owned.get(name)?.own(tierPolicy), ...settings });
  const retuned = (name: string): BreakerPolicy => {
    try {
      return policyFor(name);
    } catch (error) {
      if (!isSprintError(error) || !set.has(name)) throw error;
      const message = `${name} has settings of an operator that the new policy contradicts: ${error.message}; set them anew, or back to their defaults, then reload again`;
      throw new SprintError(error.code, message, { ...error.data, breaker: name, set: set.get(name) });
    }
  };
  const viewOf = (handle: number): BreakerView => ({
    tier,
    policy: pool.policyOf(handle),
    report: pool.report(handle, clock.now()),
  });
  /** Null where there is none of that name. */
  const at = <T>(name: string, act: (handle: number) => T): T | null => {
    const handle = pool.handleOf(name);
    return handle === null ? null : act(handle);
  };

  /** Gives a breaker that is new in this run what was ordered in the last. */
  const reinstate = (name: string, lasting: string): void => {
    const { settings, forceOpen, forceClose } = orders.of(lasting);
    const attempt = (order: () => void): void => {
      try {
        order();
      } catch (error) {
        modules.onOrderLost(name, error);
      }
    };
    // The configuration may contradict it by now.
    attempt(() => {
      policyFor(name, settings);
      set.set(name, settings);
    });
    const handle = pool.open(name, policyFor(name), clock.now());
    const by = ({ owner, reason, until }: Held): Parameters<BreakerPool["forceOpen"]>[1] =>
      until === null ? { owner, reason } : { owner, reason, forMs: Math.max(1, until - clock.wall()) };
    if (forceClose !== null) attempt(() => pool.forceClose(handle, by(forceClose), clock.now()));
    if (forceOpen !== null) attempt(() => pool.forceOpen(handle, by(forceOpen), clock.now()));
  };
  /** Writes down what is ordered for it now. */
  const keep = (name: string, handle: number): void => {
    const { forceOpen, forceClose } = pool.snapshot(handle, clock.now());
    const held = (by: typeof forceOpen): Held | null =>
      by && { owner: by.owner, reason: by.reason, until: by.forMs === undefined ? null : clock.wall() + by.forMs };
    const order = {
      forceOpen: held(forceOpen),
      forceClose: held(forceClose),
      cordon: null,
      settings: set.get(name) ?? {},
    };
    orders.put(owned.get(name)?.lasting ?? name, order);
  };

  /** A breaker and all that are named below it. */
  const keysOf = (name: string): readonly string[] =>
    pool.keys().filter((key) => key === name || key.startsWith(`${name}:`));
  const forget = (key: string): void => {
    owned.delete(key);
    at(key, (handle) => pool.reset(handle, clock.now()));
    pool.evict(key);
  };

  return {
    pool,
    open(name, { own = () => ({}), lasting = name } = {}) {
      const isNew = !owned.has(name);
      owned.set(name, { own, lasting });
      if (isNew) reinstate(name, lasting);
      return breakerOf(name, () => policyFor(name), { pool, now: () => clock.now() });
    },
    release(name) {
      for (const key of keysOf(name)) {
        orders.put(owned.get(key)?.lasting ?? key, NO_ORDER);
        forget(key);
      }
    },
    retire(name) {
      for (const key of keysOf(name)) forget(key);
    },
    retune(policy) {
      const before = tierPolicy;
      tierPolicy = policy;
      try {
        const policies = pool.keys().map((name) => [name, retuned(name)] as const);
        for (const [name, next] of policies) at(name, (handle) => pool.configure(handle, next));
      } catch (error) {
        tierPolicy = before;
        throw error;
      }
    },
    evaluate() {
      for (const name of pool.keys()) at(name, (handle) => pool.look(handle, clock.now()));
    },
    adapted: () =>
      pool.keys().flatMap((name) => {
        const to = at(name, (handle) => pool.report(handle, clock.now()).failureThreshold) ?? 0;
        const from = thresholds.get(name);
        if (from !== undefined && Math.abs(to - from) < from / 10) return [];
        thresholds.set(name, to);
        return from === undefined ? [] : [{ name, from, to }];
      }),
    tidy: () => pool.tidy(clock.now(), (name) => !owned.has(name)),

    breakers: () => pool.keys().flatMap((name) => at(name, viewOf) ?? []),
    breaker: (name) => at(name, viewOf),
    breakerHistory: (name, last) => at(name, () => (history.get(name) ?? []).slice(-last).reverse()),
    force: (name, to, by) =>
      at(name, (handle) => {
        if (to === "open") pool.forceOpen(handle, by, clock.now());
        else pool.forceClose(handle, by, clock.now());
        keep(name, handle);
        return viewOf(handle);
      }),
    resetBreaker: (name) =>
      at(name, (handle) => {
        pool.reset(handle, clock.now());
        keep(name, handle);
        return viewOf(handle);
      }),
    configureBreaker: (name, changes) =>
      at(name, (handle) => {
        const before = pool.policyOf(handle);
        const wished = Object.entries({ ...set.get(name), ...changes }).filter(([, value]) => value !== null);
        const settings: Partial<BreakerPolicy> = Object.fromEntries(wished);
        const after = pool.configure(handle, policyFor(name, settings));
        set.set(name, settings);
        keep(name, handle);
        return { breaker: viewOf(handle), changes: changed(before, after) };
      }),
  };
}

function changed(before: BreakerPolicy, after: BreakerPolicy): ChangeBody[] {
  const fields = Object.keys(after) as (keyof BreakerPolicy)[];
  return fields
    .filter((field) => before[field] !== after[field])
    .map((field) => ({ key: field, from: before[field], to: after[field], restart: false }));
}
