/** The one table of tiers. CONTRACT: ports, limits, pacing; breaker numbers per tier. */

export const TIERS = ["FREE", "BUSINESS", "ENTERPRISE"] as const;
export type Tier = (typeof TIERS)[number];

export interface TierRow {
  readonly port: number;
  /** Window over which deliveries are spread, in ms added by the daemon; null means at once. */
  readonly pacingMs: { readonly min: number; readonly max: number } | null;
  readonly eventsPerSecond: number;
  /** Infinity: no limit. */
  readonly connections: number;
  readonly apiCallsPerMinute: number;
  readonly historyDays: number;
  readonly breaker: {
    readonly failureThreshold: number;
    readonly resetTimeoutMs: number;
    readonly halfOpenCalls: number;
    readonly slowCallMs: number;
  };
}

export const TIER: Readonly<Record<Tier, TierRow>> = {
  FREE: {
    port: 8080,
    pacingMs: { min: 50, max: 100 },
    eventsPerSecond: 1_000,
    connections: 100,
    apiCallsPerMinute: 1_000,
    historyDays: 1,
    breaker: { failureThreshold: 3, resetTimeoutMs: 120_000, halfOpenCalls: 2, slowCallMs: 10_000 },
  },
  BUSINESS: {
    port: 8082,
    pacingMs: { min: 10, max: 50 },
    eventsPerSecond: 10_000,
    connections: 1_000,
    apiCallsPerMinute: 10_000,
    historyDays: 7,
    breaker: { failureThreshold: 10, resetTimeoutMs: 30_000, halfOpenCalls: 5, slowCallMs: 5_000 },
  },
  ENTERPRISE: {
    port: 9000,
    pacingMs: null,
    eventsPerSecond: 100_000,
    connections: Number.POSITIVE_INFINITY,
    apiCallsPerMinute: Number.POSITIVE_INFINITY,
    historyDays: 90,
    breaker: { failureThreshold: 20, resetTimeoutMs: 15_000, halfOpenCalls: 10, slowCallMs: 2_000 },
  },
};

/** The order in which an event goes out. */
export const TIER_ORDER: readonly Tier[] = ["ENTERPRISE", "BUSINESS", "FREE"];
