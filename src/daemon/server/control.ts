/** The control API: for the operator and the companions, behind tokens with roles, never on a tier's port. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { FastifyRequest } from "fastify";
import { CONTROL_ROUTES } from "../../shared/api.ts";
import { accessOf, type Actor, auditParams, checkRole, Tokens } from "./access.ts";
import { addControlRoutes, type ControlRouteModules, type ControlRouteOptions } from "./control-routes.ts";
import { controlDocument } from "./control-document.ts";
import { failureOf, refuseSocket } from "./failure.ts";
import { Gate } from "./gate.ts";
import { createApp, listenOn, notFound, type App } from "./http.ts";
import type { ServerModules } from "./modules.ts";
import { documentRoutes } from "./openapi.ts";
import type { ControlOptions, ControlToken, HttpLimits, SocketLimits } from "./options.ts";
import { ControlStream } from "./stream.ts";
import { timeOf } from "./views.ts";

/** Companions keep a few sockets each; this is far above what an operator needs. Those above it are dropped. */
const MAX_CONNECTIONS = 256;
const ADVICE = "this is the control API, /openapi.json lists what does; blocks and events are on the tiers' ports";

export interface ControlListenerOptions extends ControlOptions, ControlRouteOptions {
  readonly http: HttpLimits;
  readonly sockets: SocketLimits;
}

export interface ControlListener {
  /** Resolves to the origin. */
  listen(): Promise<string>;
  /** From now on these count, and no others. Streams whose token is gone are closed. */
  replaceTokens(tokens: readonly ControlToken[]): void;
  close(): Promise<void>;
}

export async function createControlListener(
  options: ControlListenerOptions,
  modules: ControlRouteModules,
): Promise<ControlListener> {
  const { server } = modules;
  const app = createApp(options.http, server.onFault);
  const { pendingSockets } = options.http;
  const gate = new Gate({ connections: MAX_CONNECTIONS, pendingSockets, refusedSockets: 0 }, { server: app.server });
  const tokens = new Tokens(options.tokens);
  const stream = new ControlStream(options, { server });

  guardRoutes(app, tokens);
  auditOrders(app, server);
  app.setNotFoundHandler((request) => {
    throw notFound(request, ADVICE);
  });
  await documentRoutes(app, controlDocument(options));
  addControlRoutes(app, options, modules);

  app.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const { authorization } = request.headers;
    const admit = (): void => {
      const actor = tokens.actorOf(authorization);
      const path = request.url?.split("?")[0];
      const access = path === CONTROL_ROUTES.stream ? accessOf("GET", path) : null;
      if (access === null) throw notFound({ method: "WS", url: request.url ?? "" }, ADVICE);
      checkRole(actor, access);
    };
    try {
      admit();
      stream.open(request, socket, head, () => succeeds(admit));
    } catch (error) {
      if (failureOf(error).status === 500) server.onFault(error, CONTROL_ROUTES.stream);
      refuseSocket(socket, error);
    }
  });

  return {
    listen: () => listenOn(app, { host: options.host, port: options.port, what: "control API" }),
    replaceTokens(next) {
      tokens.replace(next);
      stream.recheck();
    },
    async close() {
      stream.close();
      const closed = app.close();
      gate.destroyAll();
      await closed;
    },
  };
}

/** Token, then role, before anything else of a request is read. */
function guardRoutes(app: App, tokens: Tokens): void {
  app.addHook("onRoute", ({ method, url }) => {
    for (const each of [method].flat()) {
      if (accessOf(each, url) === null) throw new Error(`${each} ${url} has no row in the table of roles`);
    }
  });
  app.decorateRequest("actor", null);
  app.addHook("onRequest", async (request) => {
    const actor = tokens.actorOf(request.headers.authorization);
    request.setDecorator("actor", actor);
    const access = accessOf(request.method, request.routeOptions.url);
    if (access !== null) checkRole(actor, access);
  });
}

/** One entry for each order, done or refused, before its answer goes out. Without a valid token there is nobody to write down. */
function auditOrders(app: App, server: ServerModules): void {
  app.decorateRequest("refusal", null);
  app.addHook("onError", async (request, _reply, error) => {
    request.setDecorator("refusal", failureOf(error).body.error.code);
  });
  app.addHook("onSend", async (request) => {
    const action = accessOf(request.method, request.routeOptions.url)?.action ?? null;
    const actor = request.getDecorator<Actor | null>("actor");
    if (action === null || actor === null) return;
    try {
      server.audit({
        at: timeOf(server.clock.wall()),
        actor: actor.name,
        role: actor.role,
        action,
        target: targetOf(request),
        params: auditParams(request.query, request.body),
        outcome: request.getDecorator<string | null>("refusal") ?? "done",
      });
    } catch (error) {
      server.onFault(error, "audit");
    }
  });
}

function targetOf(request: FastifyRequest): string | null {
  return (request.params as { readonly name?: string } | undefined)?.name ?? null;
}

function succeeds(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
