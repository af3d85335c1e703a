/** One tier's listener: REST by fastify, `/ws/v1/events` by our own upgrade handler, one limit on sockets over both. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import rateLimit from "@fastify/rate-limit";
import type { FastifyRequest } from "fastify";
import { type ListenerBody, TIER_ROUTES } from "../../shared/api.ts";
import { SprintError } from "../../shared/errors.ts";
import { Gate } from "./gate.ts";
import type { Fanout } from "./fanout.ts";
import { failureOf, refuseSocket } from "./failure.ts";
import { draining, EventsEndpoint } from "./events.ts";
import { createApp, listenOn, notFound, type App } from "./http.ts";
import type { ServerModules } from "./modules.ts";
import { documentRoutes } from "./openapi.ts";
import {
  apiCallsOf,
  connectionsOf,
  type HttpLimits,
  type SubscriptionLimits,
  type TierLimits,
  type TierOptions,
} from "./options.ts";
import { addTierRoutes } from "./routes.ts";
import type { EventSockets } from "./sockets.ts";
import { Subscriptions } from "./subscriptions.ts";
import { tierDocument } from "./tier-document.ts";

export interface TierListenerOptions extends TierOptions {
  readonly version: string;
  readonly network: string;
  readonly startedAt: number;
  readonly http: HttpLimits;
  readonly subscriptions: SubscriptionLimits;
  /** Subscribers of this listener that stay in this process. */
  readonly threshold: number;
}

export interface TierListenerModules {
  readonly server: ServerModules;
  readonly here: EventSockets;
  readonly fanout: Fanout;
  readonly isDraining: () => boolean;
}

export interface TierListener {
  /** Resolves to the origin. */
  listen(): Promise<string>;
  status(): ListenerBody;
  /** Counts from now on; open sockets are kept. */
  limitTo(limits: TierLimits): void;
  /** Stops listening and ends every socket that is still open. */
  close(): Promise<void>;
}

export async function createTierListener(
  options: TierListenerOptions,
  modules: TierListenerModules,
): Promise<TierListener> {
  const { server, here, fanout, isDraining } = modules;
  let callsPerMinute = apiCallsOf(options);
  const app = createApp(options.http, server.onFault);
  const { pendingSockets, refusedSockets } = options.http;
  const gate = new Gate(
    { connections: connectionsOf(options), pendingSockets, refusedSockets },
    { server: app.server },
  );
  const subscriptions = new Subscriptions(options.subscriptions, { clock: server.clock });
  let url = "";

  refuseOverLimit(app, gate);
  const { allowHandshake, charge } = await limitCalls(app, () => callsPerMinute);
  await documentRoutes(app, tierDocument(options));
  addTierRoutes(app, options, {
    server,
    subscriptions,
    isDraining,
    charge,
    eventsUrl: (host) => `ws://${host}${TIER_ROUTES.events}`,
  });

  const events = new EventsEndpoint(options, { server, here, fanout, subscriptions, gate, isDraining });
  app.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // From here on the socket is ours: the HTTP server has let go of it, and nobody else would hear its errors.
    socket.on("error", () => socket.destroy());
    void (async () => {
      try {
        if (isDraining()) throw draining();
        if (gate.isRefused(socket)) throw overLimit(gate.limit);
        await allowHandshake(request);
        await events.open(request, socket, head);
      } catch (error) {
        if (failureOf(error).status === 500) server.onFault(error, TIER_ROUTES.events);
        refuseSocket(socket, error);
      }
    })();
  });

  return {
    async listen() {
      url = await listenOn(app, { host: options.host, port: options.port, what: `tier ${options.tier}` });
      return url;
    },
    status: () => ({
      tier: options.tier,
      url,
      connections: gate.connections,
      connections_limit: Number.isFinite(gate.limit) ? gate.limit : null,
      subscribers: events.subscribers,
    }),
    limitTo(limits) {
      gate.limitTo(limits.connections);
      callsPerMinute = limits.apiCallsPerMinute;
    },
    async close() {
      const closed = app.close();
      gate.destroyAll();
      await closed;
    },
  };
}

function refuseOverLimit(app: App, gate: Gate): void {
  app.addHook("onRequest", async (request, reply) => {
    if (!gate.isRefused(request.raw.socket)) return;
    reply.header("connection", "close");
    // An orchestrator that finds no answer here would restart a daemon that is only well used.
    if (request.routeOptions.config.rateLimit !== false) throw overLimit(gate.limit);
  });
}

/**
 * REST, handshakes and the calls in a batch draw on the same calls per minute of one address, of which there may be more, fewer or no end
 * of from one call to the next.
 */
async function limitCalls(app: App, callsPerMinute: () => number): Promise<CallLimit> {
  await app.register(rateLimit, {
    max: callsPerMinute,
    // Not counted while there is no limit.
    allowList: () => !Number.isFinite(callsPerMinute()),
    timeWindow: 60_000,
    enableDraftSpec: true,
    errorResponseBuilder: (_request, { max, ttl }) => tooManyCalls(max, Math.ceil(ttl / 1000)),
  });
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request) => {
    throw notFound(request);
  });
  const take = app.createRateLimit();
  return {
    async allowHandshake(request) {
      // The limiter reads the address and the route's own settings of a request, and a handshake has none of fastify's.
      const asked = { ip: request.socket.remoteAddress ?? "", routeOptions: {} };
      const left = await take(asked as unknown as Parameters<typeof take>[0]);
      if (!left.isAllowed && left.isExceeded) throw tooManyCalls(left.max, left.ttlInSeconds);
    },
    async charge(request, calls) {
      for (let i = 0; i < calls && Number.isFinite(callsPerMinute()); i++) await take(request);
    },
  };
}

interface CallLimit {
  allowHandshake(request: IncomingMessage): Promise<void>;
  /** Calls that came in one request beyond its first; where they are too many, the next request is refused. */
  charge(request: FastifyRequest, calls: number): Promise<void>;
}

function tooManyCalls(callsPerMinute: number, retryAfterSeconds: number): SprintError {
  const message = `more than the ${callsPerMinute} calls per minute of this tier; come back in ${retryAfterSeconds} s`;
  return new SprintError("SPRINT_API_RATE_LIMIT", message, { callsPerMinute, retryAfterSeconds });
}

function overLimit(limit: number): SprintError {
  const message = `all ${limit} connections of this tier are taken; come back later, or use a tier with more`;
  return new SprintError("SPRINT_API_CONNECTION_LIMIT", message, { limit, retryAfterSeconds: 5 });
}
