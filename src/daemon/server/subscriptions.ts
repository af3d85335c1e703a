/** Stored filters: a client names what it wants once, and connects by the id from then on. In memory, bounded, with a life time. */
import { randomBytes } from "node:crypto";
import type { LogsBody, PendingBody, SubscribeBody } from "../../shared/api.ts";
import type { Clock } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import type { Filter, LogFilter, PendingFilter } from "../relay/index.ts";
import type { SubscriptionLimits } from "./options.ts";

/** What a body names, in the form that events are held against: hex in lower case. */
export function filterOf({ chains, types, phase, logs, pending, watch }: SubscribeBody): Filter {
  return {
    chains: chains ?? null,
    types: types ?? null,
    phase: phase ?? null,
    ...(logs === undefined ? {} : { logs: logFilter(logs) }),
    ...(pending === undefined ? {} : { pending: pendingFilter(pending) }),
    ...(watch === undefined ? {} : { watch }),
  };
}

function logFilter({ addresses = [], topics = [], abi }: LogsBody): LogFilter {
  return {
    addresses: lowered(addresses),
    topics: topics.map((any) => (any === null ? null : lowered(typeof any === "string" ? [any] : any))),
    ...(abi === undefined || abi.length === 0 ? {} : { abi }),
  };
}

function pendingFilter({ addresses = [], selectors = [], min_value_wei: least }: PendingBody): PendingFilter {
  return {
    addresses: lowered(addresses),
    selectors: lowered(selectors),
    minValue: least === undefined ? null : BigInt(least),
  };
}

function lowered(texts: readonly string[]): readonly string[] {
  return texts.map((text) => text.toLowerCase());
}

export interface Subscription {
  readonly id: string;
  /** Client address that made it: it alone sees it in the list. Whoever knows the id may use and delete it. */
  readonly owner: string;
  readonly filter: Filter;
  /** Unix ms. */
  readonly createdAt: number;
  /** Unix ms; moves on while connections use it. */
  readonly expiresAt: number;
  readonly connections: number;
}

type Stored = { -readonly [K in keyof Subscription]: Subscription[K] };

export class Subscriptions {
  readonly #limits: SubscriptionLimits;
  readonly #clock: Clock;
  readonly #stored = new Map<string, Stored>();

  constructor(limits: SubscriptionLimits, modules: { readonly clock: Clock }) {
    this.#limits = limits;
    this.#clock = modules.clock;
  }

  /** Throws SPRINT_API_SUBSCRIPTIONS_FULL. */
  add(owner: string, body: SubscribeBody): Subscription {
    this.#dropExpired();
    const { total, perAddress, ttlMs } = this.#limits;
    const own = this.listOf(owner).length;
    if (own >= perAddress || this.#stored.size >= total) {
      const message = `no room for another subscription (${own} of ${perAddress} of this address, ${this.#stored.size} of ${total} in all); delete one first`;
      throw new SprintError("SPRINT_API_SUBSCRIPTIONS_FULL", message, { perAddress, total });
    }
    const now = this.#clock.wall();
    const subscription: Stored = {
      id: randomBytes(16).toString("hex"),
      owner,
      filter: filterOf(body),
      createdAt: now,
      expiresAt: now + ttlMs,
      connections: 0,
    };
    this.#stored.set(subscription.id, subscription);
    return subscription;
  }

  listOf(owner: string): readonly Subscription[] {
    this.#dropExpired();
    return [...this.#stored.values()].filter((subscription) => subscription.owner === owner);
  }

  /** Throws SPRINT_API_SUBSCRIPTION_UNKNOWN. Streams that are open already go on. */
  remove(id: string): void {
    this.#find(id);
    this.#stored.delete(id);
  }

  filterOf(id: string): Filter {
    return this.#find(id).filter;
  }

  /** A connection uses it from now on; the returned function says that it ended. */
  use(id: string): () => void {
    const subscription = this.#find(id);
    subscription.connections++;
    return () => {
      subscription.connections--;
      subscription.expiresAt = this.#clock.wall() + this.#limits.ttlMs;
    };
  }

  #find(id: string): Stored {
    this.#dropExpired();
    const subscription = this.#stored.get(id);
    if (subscription !== undefined) return subscription;
    throw new SprintError(
      "SPRINT_API_SUBSCRIPTION_UNKNOWN",
      `no subscription ${id} here: it expired, was deleted, or belongs to another listener`,
      {
        id,
      },
    );
  }

  #dropExpired(): void {
    const now = this.#clock.wall();
    for (const [id, { connections, expiresAt }] of this.#stored) {
      if (connections === 0 && expiresAt <= now) this.#stored.delete(id);
    }
  }
}
