/** The routes of the control API: a table to read from top to bottom. Who may ask which is in `access.ts`. */
import {
  AcceptedBody,
  AuditBody,
  AuditQuery,
  BreakerBody,
  BreakerConfigBody,
  BreakersBody,
  CONTROL_ROUTES,
  CordonBody,
  ErrorBody,
  ForceBody,
  HistoryBody,
  HistoryQuery,
  type ListenerBody,
  NameParams,
  PluginsBody,
  PolicyPatch,
  RaceBody,
  RaceQuery,
  ReloadBody,
  ReloadQuery,
  StatusBody,
  TopologyBody,
  UpstreamsBody,
} from "../../shared/api.ts";
import { SprintError, isSprintError } from "../../shared/errors.ts";
import type { Actor } from "./access.ts";
import { breakerBody, changesBody, policyChanges, policyFault, transitionBody } from "./breaker-views.ts";
import type { ProcessStatus } from "./fanout.ts";
import type { App } from "./http.ts";
import type { ServerModules } from "./modules.ts";
import { chainBodies, raceBody, timeOf, topologyChains, upstreamBody } from "./views.ts";

export interface ControlRouteOptions {
  readonly version: string;
  readonly network: string;
  readonly startedAt: number;
}

export interface ControlRouteModules {
  readonly server: ServerModules;
  readonly listeners: () => readonly ListenerBody[];
  readonly processes: () => readonly ProcessStatus[];
  readonly isDraining: () => boolean;
}

export function addControlRoutes(app: App, options: ControlRouteOptions, modules: ControlRouteModules): void {
  addDaemonRoutes(app, options, modules);
  addUpstreamRoutes(app, modules.server);
  addBreakerRoutes(app, modules.server);
  addPluginRoutes(app, modules.server);
}

function addPluginRoutes(app: App, server: ServerModules): void {
  app.get(CONTROL_ROUTES.plugins, { schema: { response: answers(PluginsBody) } }, () => ({
    plugins: [...server.plugins()],
  }));
  app.post(CONTROL_ROUTES.reloadPlugins, { schema: { response: answers(PluginsBody) } }, async () => ({
    plugins: [...(await server.reloadPlugins())],
  }));
}

function addDaemonRoutes(app: App, options: ControlRouteOptions, modules: ControlRouteModules): void {
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
  app.get(CONTROL_ROUTES.topology, { schema: { response: answers(TopologyBody) } }, () => ({
    network: options.network,
    chains: topologyChains(server, listeners()),
    tiers: listeners().map(({ tier, url, subscribers }) => ({ tier, url, subscribers })),
    fanout: { processes: processes().map(({ pid, subscribers }) => ({ pid, subscribers })) },
  }));
  app.get(CONTROL_ROUTES.config, () => server.config());
  app.post(CONTROL_ROUTES.reload, { schema: { querystring: ReloadQuery, response: answers(ReloadBody) } }, (request) =>
    server.reload(request.query.dry_run),
  );
  app.get(CONTROL_ROUTES.audit, { schema: { querystring: AuditQuery, response: answers(AuditBody) } }, (request) => ({
    entries: [...server.audited(request.query.last)],
  }));
  app.post(
    CONTROL_ROUTES.stop,
    { schema: { response: { 202: AcceptedBody, "4xx": ErrorBody } } },
    async (_request, reply) => {
      // Once the answer is out, or the shutdown would cut it off.
      reply.raw.once("finish", () => server.stop());
      return reply.code(202).send({ accepted: true });
    },
  );
  app.get(CONTROL_ROUTES.openapi, () => app.swagger());
  app.get(CONTROL_ROUTES.metrics, async (_request, reply) =>
    reply.type("text/plain; version=0.0.4; charset=utf-8").send(await server.metricsText()),
  );
}

function addUpstreamRoutes(app: App, server: ServerModules): void {
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
  app.get(CONTROL_ROUTES.race, { schema: { querystring: RaceQuery, response: answers(RaceBody) } }, (request) => {
    const { chain, last } = request.query;
    const on = server.chains().map((each) => each.chain);
    if (on.includes(chain)) return raceBody(server.race(chain, last));
    const message = `${chain} is not relayed by this daemon; it relays ${on.join(", ") || "no chain"}`;
    throw new SprintError("SPRINT_API_CHAIN_OFF", message, { chain, on });
  });
}

function addBreakerRoutes(app: App, server: ServerModules): void {
  const one = { params: NameParams, response: answers(BreakerBody) };

  app.get(CONTROL_ROUTES.breakers, { schema: { response: answers(BreakersBody) } }, () => ({
    breakers: server.breakers().map((view) => breakerBody(view, server.clock)),
  }));
  app.get(CONTROL_ROUTES.breaker, { schema: one }, (request) => {
    const { name } = request.params;
    return breakerBody(server.breaker(name) ?? breakerUnknown(server, name), server.clock);
  });
  app.get(
    CONTROL_ROUTES.breakerHistory,
    { schema: { params: NameParams, querystring: HistoryQuery, response: answers(HistoryBody) } },
    (request) => {
      const { name } = request.params;
      const transitions = server.breakerHistory(name, request.query.last) ?? breakerUnknown(server, name);
      return { name, transitions: transitions.map(transitionBody) };
    },
  );
  for (const [route, to] of [
    [CONTROL_ROUTES.forceOpen, "open"],
    [CONTROL_ROUTES.forceClose, "close"],
  ] as const) {
    app.post(route, { schema: { ...one, body: ForceBody } }, (request) => {
      const { name } = request.params;
      const { reason, for_ms: forMs } = request.body;
      const owner = request.getDecorator<Actor>("actor").name;
      const view = server.force(name, to, { owner, reason, ...(forMs === undefined ? {} : { forMs }) });
      return breakerBody(view ?? breakerUnknown(server, name), server.clock);
    });
  }
  app.post(CONTROL_ROUTES.reset, { schema: one }, (request) => {
    const { name } = request.params;
    return breakerBody(server.resetBreaker(name) ?? breakerUnknown(server, name), server.clock);
  });
  app.patch(
    CONTROL_ROUTES.breakerConfig,
    { schema: { params: NameParams, body: PolicyPatch, response: answers(BreakerConfigBody) } },
    (request) => {
      const { name } = request.params;
      const configured = configure(server, name, request.body) ?? breakerUnknown(server, name);
      return { breaker: breakerBody(configured.breaker, server.clock), changes: changesBody(configured) };
    },
  );
}

function configure(
  server: ServerModules,
  name: string,
  patch: PolicyPatch,
): ReturnType<ServerModules["configureBreaker"]> {
  try {
    return server.configureBreaker(name, policyChanges(patch));
  } catch (error) {
    throw isSprintError(error) && error.code === "SPRINT_BREAKER_OPTIONS" ? policyFault(error) : error;
  }
}

function answers<T>(body: T) {
  return { 200: body, "4xx": ErrorBody, 500: ErrorBody };
}

function upstreamUnknown(server: ServerModules, name: string): SprintError {
  const { known, told } = nearestOf(
    name,
    server.upstreams().map((upstream) => upstream.name),
  );
  return new SprintError("SPRINT_CONTROL_UPSTREAM_UNKNOWN", `no upstream ${name}; ${told}`, { name, known });
}

function breakerUnknown(server: ServerModules, name: string): never {
  const { known, told } = nearestOf(
    name,
    server.breakers().map(({ report }) => report.name),
  );
  throw new SprintError("SPRINT_CONTROL_BREAKER_UNKNOWN", `no breaker ${name}; ${told}`, { name, known });
}

const MAX_KNOWN = 20;

/** Those that share most of their beginning and end with `name`, nearest first: linear, where an edit distance to thousands would hold up blocks. */
function nearestOf(name: string, names: readonly string[]): { readonly known: string[]; readonly told: string } {
  const known = names
    .map((each) => ({ each, shared: sharedEnds(name, each) }))
    .toSorted((a, b) => b.shared - a.shared)
    .slice(0, MAX_KNOWN)
    .map(({ each }) => each);
  const list = known.join(", ") || "none";
  return {
    known,
    told: names.length > MAX_KNOWN ? `there are ${names.length}, the nearest: ${list}` : `there are: ${list}`,
  };
}

function sharedEnds(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let front = 0;
  while (front < most && a[front] === b[front]) front++;
  let back = 0;
  while (back < most - front && a[a.length - 1 - back] === b[b.length - 1 - back]) back++;
  return front + back;
}
