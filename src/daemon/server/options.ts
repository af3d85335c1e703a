/** Numbers and names that this room is built with, and their defaults. */
import { availableParallelism } from "node:os";
import type { Role } from "../../shared/api.ts";
import { TIER, type Tier } from "../../shared/tier.ts";
import type { HubOptions } from "../relay/index.ts";

export interface ServerOptions {
  readonly version: string;
  /** "devnet", "mainnet", …: what `--network` said. */
  readonly network: string;
  /** Unix ms. */
  readonly startedAt: number;
  readonly tiers: readonly TierOptions[];
  readonly control: ControlOptions;
  readonly http?: Partial<HttpLimits>;
  readonly subscriptions?: Partial<SubscriptionLimits>;
  readonly sockets?: Partial<SocketLimits>;
  readonly fanout?: Partial<FanoutOptions>;
  /** For the hubs of fan-out processes: the same numbers as the main process's hub has. */
  readonly hub?: Partial<HubOptions>;
}

export interface TierOptions {
  readonly tier: Tier;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Concurrent sockets; by default the tier's. Infinity: no limit. */
  readonly connections?: number;
  /** By client address; by default the tier's. Infinity: no limit. */
  readonly apiCallsPerMinute?: number;
}

/** Of a listener that runs. Infinity: no limit. */
export interface TierLimits {
  readonly connections: number;
  readonly apiCallsPerMinute: number;
}

/** What can change while the ports are open; what is left out stays as it is. */
export interface Adjustment {
  readonly tiers?: Readonly<Partial<Record<Tier, TierLimits>>>;
  readonly tokens?: readonly ControlToken[];
  /** Paces and rates of every hub: the main process's and those of the fan-out processes. */
  readonly hub?: HubOptions["tiers"];
}

export interface ControlOptions {
  readonly host: string;
  readonly port: number;
  /** Whose they are, and what they may do. The data directory's own is called `cookie` and is an admin's. */
  readonly tokens: readonly ControlToken[];
}

export interface ControlToken {
  readonly name: string;
  readonly role: Role;
  readonly token: string;
}

export interface HttpLimits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  /** From the first byte of a connection (or request) to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** To the end of its body. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Sockets that have not completed their first request; newer ones are dropped. */
  readonly pendingSockets: number;
  /** Sockets above a tier's limit that are kept just long enough to be told so; beyond that they are dropped. */
  readonly refusedSockets: number;
}

export const HTTP_LIMITS: HttpLimits = {
  bodyBytes: 16 * 1024,
  headerBytes: 8 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  keepAliveTimeoutMs: 30_000,
  pendingSockets: 4_096,
  refusedSockets: 64,
};

export interface SubscriptionLimits {
  /** Stored by one listener. */
  readonly total: number;
  /** Stored for one client address. */
  readonly perAddress: number;
  /** Life after the last connection that used it ended. */
  readonly ttlMs: number;
}

export const SUBSCRIPTION_LIMITS: SubscriptionLimits = { total: 1_000, perAddress: 100, ttlMs: 24 * 3_600_000 };

export interface SocketLimits {
  readonly pingIntervalMs: number;
  /** A client has nothing to say beyond control frames. */
  readonly maxMessageBytes: number;
  /** From our close frame to the end of the socket. */
  readonly closeTimeoutMs: number;
}

export const SOCKET_LIMITS: SocketLimits = { pingIntervalMs: 30_000, maxMessageBytes: 1_024, closeTimeoutMs: 3_000 };

export interface FanoutOptions {
  /** Subscribers of one listener that the main process holds; those above it go to child processes. Infinity: never. */
  readonly threshold: number;
  readonly processes: number;
  /** Events a child may be behind before it is given up. */
  readonly maxPendingEvents: number;
}

/**
 * One process writes one event to about 100,000 sockets a second (bench `fanout`), so up to 1,000 subscribers it keeps the 10 ms of
 * the ENTERPRISE tier by itself. With two cores and the clients on the same machine children add nothing; they pay where cores are free.
 */
export const FANOUT_DEFAULTS: FanoutOptions = {
  threshold: 1_000,
  processes: Math.max(1, availableParallelism() - 1),
  maxPendingEvents: 20_000,
};

export function connectionsOf(options: TierOptions): number {
  return options.connections ?? TIER[options.tier].connections;
}

export function apiCallsOf(options: TierOptions): number {
  return options.apiCallsPerMinute ?? TIER[options.tier].apiCallsPerMinute;
}
