/** What the tier listeners and the control API have in common: limits, checked input, the error shape, a port that may be taken. */
import type { AddressInfo } from "node:net";
import Fastify, { type FastifyReply, type FastifyTypeProvider } from "fastify";
import type { Static, TSchema } from "typebox";
import { SprintError } from "../../shared/errors.ts";
import { failureOf, isOurFault, refuseSocket } from "./failure.ts";
import { checkInput, type InputPart } from "./input.ts";
import type { HttpLimits } from "./options.ts";

/** Types requests and replies by the schemas of their route. */
interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
  readonly serializer: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
}

export type App = ReturnType<typeof createApp>;

const PART: Readonly<Record<string, InputPart>> = { querystring: "query", params: "path", body: "body" };

/** A listener's HTTP side, not listening yet. `onFault` gets the errors that are ours. */
export function createApp(limits: HttpLimits, onFault: (error: unknown, where: string) => void) {
  const app = Fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
      noDelay: true,
    },
    clientErrorHandler: (error, socket) => refuseSocket(socket, error),
    frameworkErrors: (error, _request, reply) => {
      const { status, body } = failureOf(error);
      void (reply as FastifyReply).code(status).type("application/json; charset=utf-8").send(JSON.stringify(body));
    },
  }).withTypeProvider<SchemaTypes>();

  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const part = PART[httpPart ?? "body"] ?? "body";
    return (value: unknown) => {
      try {
        return { value: checkInput(schema, value ?? {}, part) };
      } catch (error) {
        return { error: error as Error };
      }
    };
  });
  app.setErrorHandler((error, request, reply) => {
    if (isOurFault(error)) onFault(error, `${request.method} ${request.routeOptions.url ?? "?"}`);
    const { status, headers, body } = failureOf(error);
    return reply.code(status).headers(headers).send(body);
  });
  return app;
}

/** For requests that no route takes; `advice` says where to look. */
export function notFound(
  request: { readonly method: string; readonly url: string },
  advice = "/openapi.json lists what does",
): SprintError {
  const path = request.url.split("?")[0] ?? "";
  return new SprintError("SPRINT_API_NOT_FOUND", `nothing answers to ${request.method} ${path}; ${advice}`, {
    method: request.method,
    path,
  });
}

/** Listens and returns the origin, with the port that was chosen. Throws SPRINT_SERVER_PORT_IN_USE, SPRINT_SERVER_LISTEN. */
export async function listenOn(
  app: App,
  at: { readonly host: string; readonly port: number; readonly what: string },
): Promise<string> {
  try {
    await app.listen({ host: at.host, port: at.port });
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, at);
  }
  const { port } = app.server.address() as AddressInfo;
  const host = at.host.includes(":") ? `[${at.host}]` : at.host;
  return `http://${host}:${port}`;
}

function listenError(
  error: NodeJS.ErrnoException,
  at: { readonly host: string; readonly port: number; readonly what: string },
): Error {
  const place = `${at.host}:${at.port}`;
  const data = { host: at.host, port: at.port, listener: at.what };
  if (error.code === "EADDRINUSE") {
    const message = `${place} (${at.what}) is in use by another program, perhaps another sprint; stop it, or choose another port (0: any free one)`;
    return new SprintError("SPRINT_SERVER_PORT_IN_USE", message, data, { cause: error });
  }
  return new SprintError("SPRINT_SERVER_LISTEN", `cannot listen on ${place} (${at.what}): ${error.message}`, data, {
    cause: error,
  });
}
