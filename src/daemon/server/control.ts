/** The control API: for the operator and the companions, behind a token, never on a tier's port. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import {
  AcceptedBody,
  BreakerBody,
  BreakersBody,
  CONTROL_ROUTES,
  CordonBody,
  ErrorBody,
  type ListenerBody,
  NameParams,
  RaceBody,
  RaceQuery,
  StatusBody,
  TopologyBody,
  UpstreamsBody,
} from "../../shared/api.ts";
import { SprintError } from "../../shared/errors.ts";
import { Gate } from "./gate.ts";
import { ControlStream } from "./stream.ts";
import { failureOf, refuseSocket } from "./failure.ts";
import { createApp, listenOn, notFound, type App } from "./http.ts";
import type { ServerModules } from "./modules.ts";
import type { ControlOptions, HttpLimits } from "./options.ts";
import type { ProcessStatus } from "./fanout.ts";
import { breakerBody, chainBodies, raceBody, timeOf, upstreamBody } from "./views.ts";

/** Companions keep a few sockets each; this is far above what an operator needs. Those above it are dropped. */
const MAX_CONNECTIONS = 256;
const ADVICE = "this is the control API, under /control/v1; blocks and events are on the tiers' ports";

export interface ControlListenerOptions extends ControlOptions {
  readonly version: string;
  readonly network: string;
  readonly startedAt: number;
  readonly http: HttpLimits;
}

export interface ControlListenerModules {
  readonly server: ServerModules;
  readonly listeners: () => readonly ListenerBody[];
  readonly processes: () => readonly ProcessStatus[];
  readonly isDraining: () => boolean;
}

export interface ControlListener {
  /** Resolves to the origin. */
  listen(): Promise<string>;
  close(): Promise<void>;
}

export function createControlListener(
  options: ControlListenerOptions,
  modules: ControlListenerModules,
): ControlListener {
  const { server } = modules;
  const app = createApp(options.http, server.onFault);
  const { pendingSockets } = options.http;
  const gate = new Gate({ connections: MAX_CONNECTIONS, pendingSockets, refusedSockets: 0 }, { server: app.server });
  const allow = tokenCheck(options.token);
  const stream = new ControlStream({ version: options.version, network: options.network }, { server });

  app.addHook("onRequest", async (request) => allow(request.headers.authorization));
  app.setNotFoundHandler((request) => {
    throw notFound(request, ADVICE);
  });
  addRoutes(app, options, modules);

  app.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    try {
      allow(request.headers.authorization);
      if (request.url?.split("?")[0] !== CONTROL_ROUTES.stream)
        throw notFound({ method: "WS", url: request.url ?? "" }, ADVICE);
      stream.open(request, socket, head);
    } catch (error) {
      if (failureOf(error).status === 500) server.onFault(error, CONTROL_ROUTES.stream);
      refuseSocket(socket, error);
    }
  });

  return {
    listen: () => listenOn(app, { host: options.host, port: options.port, what: "control API" }),
    async close() {
      stream.close();
      const closed = app.close();
      gate.destroyAll();
      await closed;
    },
  };
}

function addRoutes(app: App, options: ControlListenerOptions, modules: ControlListenerModules): void {
  const { server, listeners, processes, isDraining } = modules;

  app.get(CONTROL_ROUTES.status, { schema: { response: answers(StatusBody) } }, () => {
    const latency = server.relayLatency();
    return {
      version: options.version,
      pid: process.pid,
      network: options.network,
      started_at: timeOf(options.startedAt),
      uptime_seconds: (server.clock.wall() - options.startedAt) / 1000,
      draining: isDraining(),
      rss_bytes: process.memoryUsage.rss(),
      tiers: [...listeners()],
      chains: chainBodies(server),
      relay_latency_ms: latency === null ? null : { p50: latency.p50Ms, p99: latency.p99Ms, count: latency.count },
    };
  });
  app.get(CONTROL_ROUTES.topology, { schema: { response: answers(TopologyBody) } }, () => {
    const upstreams = server.upstreams();
    return {
      network: options.network,
      chains: server.chains().map(({ chain, network }) => ({
        chain,
        network,
        upstreams: upstreams.filter((upstream) => upstream.chain === chain).map(({ name }) => name),
      })),
      tiers: listeners().map(({ tier, url, subscribers }) => ({ tier, url, subscribers })),
      fanout: { processes: processes().map(({ pid, subscribers }) => ({ pid, subscribers })) },
    };
  });
  app.get(CONTROL_ROUTES.upstreams, { schema: { response: answers(UpstreamsBody) } }, () => ({
    upstreams: server.upstreams().map((status) => upstreamBody(status, server.clock)),
  }));
  app.post(
    CONTROL_ROUTES.cordon,
    { schema: { params: NameParams, body: CordonBody, response: answers(AcceptedBody) } },
    (request) => {
      const { name } = request.params;
      const { reason, for_ms: forMs } = request.body;
      if (!server.cordon(name, reason, forMs ?? Number.POSITIVE_INFINITY)) throw upstreamUnknown(server, name);
      return { accepted: true };
    },
  );
  app.post(CONTROL_ROUTES.uncordon, { schema: { params: NameParams, response: answers(AcceptedBody) } }, (request) => {
    if (!server.uncordon(request.params.name)) throw upstreamUnknown(server, request.params.name);
    return { accepted: true };
  });
  app.get(CONTROL_ROUTES.config, () => server.config());
  app.get(CONTROL_ROUTES.breakers, { schema: { response: answers(BreakersBody) } }, () => ({
    breakers: server.breakers().map((snapshot) => breakerBody(snapshot, server.clock)),
  }));
  app.get(CONTROL_ROUTES.breaker, { schema: { params: NameParams, response: answers(BreakerBody) } }, (request) => {
    const { name } = request.params;
    const snapshot = server.breakers().find((breaker) => breaker.name === name);
    if (snapshot !== undefined) return breakerBody(snapshot, server.clock);
    const known = server.breakers().map((breaker) => breaker.name);
    throw new SprintError(
      "SPRINT_CONTROL_BREAKER_UNKNOWN",
      `no breaker ${name}; there are: ${known.join(", ") || "none"}`,
      { name, known },
    );
  });
  app.get(CONTROL_ROUTES.race, { schema: { querystring: RaceQuery, response: answers(RaceBody) } }, (request) => {
    const { chain, last } = request.query;
    if (server.chains().some((each) => each.chain === chain)) return raceBody(server.race(chain, last));
    throw new SprintError("SPRINT_API_CHAIN_OFF", `${chain} is not relayed by this daemon`, { chain });
  });
  app.post(
    CONTROL_ROUTES.stop,
    { schema: { response: { 202: AcceptedBody, "4xx": ErrorBody } } },
    async (_request, reply) => {
      // Once the answer is out, or the shutdown would cut it off.
      reply.raw.once("finish", () => server.stop());
      return reply.code(202).send({ accepted: true });
    },
  );
  app.get(CONTROL_ROUTES.metrics, async (_request, reply) =>
    reply.type("text/plain; version=0.0.4; charset=utf-8").send(await server.metricsText()),
  );
}

function answers<T>(body: T) {
  return { 200: body, "4xx": ErrorBody, 500: ErrorBody };
}

/** Throws unless the header carries the token. Both sides are hashed first: equal lengths, and no early end to measure. */
function tokenCheck(token: string): (header: string | undefined) => void {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const expected = digest(token);
  return (header) => {
    const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
    if (given === undefined) {
      const message =
        "the control API wants `Authorization: Bearer TOKEN`; the token is in .cookie of the data directory";
      throw new SprintError("SPRINT_CONTROL_NO_TOKEN", message);
    }
    if (timingSafeEqual(digest(given), expected)) return;
    const message = "not the token of this daemon; it is rewritten at each start, in .cookie of the data directory";
    throw new SprintError("SPRINT_CONTROL_WRONG_TOKEN", message);
  };
}

function upstreamUnknown(server: ServerModules, name: string): SprintError {
  const known = server.upstreams().map((upstream) => upstream.name);
  return new SprintError(
    "SPRINT_CONTROL_UPSTREAM_UNKNOWN",
    `no upstream ${name}; there are: ${known.join(", ") || "none"}`,
    { name, known },
  );
}
